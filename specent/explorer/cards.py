"""One figure on the page with its heading, and what is said where it cannot be drawn."""

from __future__ import annotations

import html
from typing import Any

import panel as pn

from specent.errors import SpecentError
from specent.explorer.changing import changed_into
from specent.explorer.drawing import Drawing, drawn
from specent.explorer.layout import TEXTS
from specent.explorer.views import FigureView, Scene


def text_pane(words: str = "", kind: str = "note", **more: Any) -> Any:
    """Text on the page; it is escaped."""
    return pn.pane.HTML(paragraph(words, kind), stylesheets=[TEXTS], sizing_mode="stretch_width", margin=0, **more)


def paragraph(words: str, kind: str = "note", tag: str = "p", **attributes: str) -> str:
    """An element of text in HTML, of any text.

    Examples
    --------
    >>> paragraph("<b>", "alert", role="alert")
    '<p class="alert" role="alert">&lt;b&gt;</p>'
    """
    more = "".join(f' {name}="{html.escape(value)}"' for name, value in attributes.items())
    return f'<{tag} class="{kind}"{more}>{html.escape(words)}</{tag}>'


WIDE = ("predictions",)
"""Views that take a row of the page for themselves."""


class Card:
    """A view on the page.

    Parameters
    ----------
    view : FigureView
        What it shows.
    """

    def __init__(self, view: FigureView) -> None:
        self.view = view
        self.drawing: Drawing | None = None
        self._read: tuple[Any, ...] = ()
        self.title, self.note = text_pane(), text_pane()
        width: dict[str, Any] = {"sizing_mode": "stretch_width"} if view.stretched else {}
        self.pane = pn.pane.Bokeh(None, margin=0, **width)
        head = text_pane()
        head.object = paragraph(view.heading, "heading", "h2")
        # two beside each other where there is room
        basis = "27rem" if view.stretched else "100%" if view.noisy or view.name in WIDE else "34rem"
        layout = {"flex": f"1 1 {basis}", "min-width": "min(100%, 18rem)", "overflow-x": "auto"}
        self.panel = pn.Column(
            head, self.title, self.pane, self.note, sizing_mode="stretch_width", margin=0, styles=layout,
            css_classes=[view.name],
        )  # fmt: skip

    def draw(self, scene: Scene, dark: bool, **listeners: Any) -> None:
        """Draw the view anew, or say why it cannot be drawn; nothing is done if all that it reads is as before."""
        read = (dark, *scene.read(self.view.reads))
        if _same(read, self._read):
            return
        self._read = read
        position = scene.position if self.view.noisy else None
        # the page is laid out before figures are imported
        from holoviews.core.data import disable_pipeline

        # HoloViews need not record how to compute anew what is drawn once
        with disable_pipeline():
            try:
                figure = self.view.draw(scene)
            except SpecentError as error:
                self.say(str(error))
                return
            drawing = drawn(
                figure, dark=dark, position=position, pinned=scene.state.pinned, stretched=self.view.stretched,
                **listeners,
            )  # fmt: skip
        if self.drawing is not None and changed_into(self.drawing.model, drawing.model):
            self.drawing.lines = drawing.lines
        else:
            self.drawing = drawing
            self.pane.object, self.pane.visible = drawing.model, True
        self.title.object = "".join(paragraph(line, "title") for line in self.drawing.lines)
        self.note.object = ""

    def say(self, words: str) -> None:
        """Show words in the place of the figure."""
        self.drawing, self.pane.visible, self.title.object = None, False, ""
        self.note.object = paragraph(words)


def _same(some: tuple[Any, ...], others: tuple[Any, ...]) -> bool:
    """Whether values are equal, or the same objects where they are data."""
    plain = (str, int, float, tuple)
    return len(some) == len(others) and all(
        one is other or (isinstance(one, plain) and one == other) for one, other in zip(some, others, strict=True)
    )
