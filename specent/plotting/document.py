"""One self-contained document in HTML from figures and text: nothing is loaded from the network."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import holoviews as hv
from bokeh.document import Document
from bokeh.embed import components
from bokeh.models import GridPlot, LayoutDOM, Plot, Toolbar
from bokeh.resources import Resources

from specent.plotting import texts


@dataclass(frozen=True)
class FigureBlock:
    """One figure: its name, which is the class of its element, the Bokeh model, and the text above it as HTML."""

    name: str
    model: LayoutDOM
    caption: str = ""


@dataclass(frozen=True)
class Chapter:
    """Figures under a heading, which may be empty, and the tables after them as HTML."""

    heading: str
    blocks: Sequence[FigureBlock]
    tables: Sequence[str] = field(default=())


def document(title: str, chapters: Sequence[Chapter], introduction: str = "", footer: str = "") -> str:
    """The document.

    Parameters
    ----------
    title : str
        Its heading.
    chapters : sequence of Chapter
        At least one figure in all.
    introduction, footer : str
        HTML before and after the chapters.

    Returns
    -------
    str
        HTML.
    """
    roots = [block.model for chapter in chapters for block in chapter.blocks]
    # Bokeh would put the figures into a document one by one, and look through all of them after every one
    whole = Document()
    with whole.models.freeze():
        for root in roots:
            whole.add_root(root)
    script, divisions = components(roots)
    division = iter(divisions)
    body = [f"<h1>{html.escape(title)}</h1>", introduction]
    for chapter in chapters:
        body += [f"<h2>{html.escape(chapter.heading)}</h2>"] if chapter.heading else []
        for block in chapter.blocks:
            caption = f"<figcaption>{block.caption}</figcaption>" if block.caption else ""
            body.append(f'<figure class="{block.name}">{caption}{next(division)}</figure>')
        body += chapter.tables
    body.append(footer)
    return texts.PAGE.format(
        title=html.escape(title),
        # only the text of Bokeh itself: rendered resources may also point at files that Panel would serve
        scripts="".join(f"<script>{text}</script>" for text in Resources(mode="inline", components=["bokeh"]).js_raw),
        body="\n".join(body),
        script=script,
    )


def model(figure: Any, *, still: bool) -> LayoutDOM:
    """The Bokeh model of a figure, its size given by its frame; a picture that stands still has no tools."""
    root: LayoutDOM = hv.renderer("bokeh").get_plot(figure).state
    for part in root.references():
        if isinstance(part, Plot):
            part.update(sizing_mode=None)
        if still and isinstance(part, Plot | GridPlot):
            part.update(toolbar_location=None)
        if isinstance(part, Toolbar):
            part.update(logo=None)
    return root
