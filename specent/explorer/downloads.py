"""What a reader takes away: a figure as PNG, SVG or PDF, the profile as an archive, the Python behind the view."""

from __future__ import annotations

import html
import io
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import panel as pn

import specent
from specent import archive
from specent.errors import SpecentError
from specent.explorer.cards import paragraph, text_pane
from specent.explorer.layout import WIDGETS
from specent.explorer.lines import download_name, python_lines
from specent.explorer.views import ALL_VIEWS, PAIR_VIEWS, PROFILE_VIEWS, FigureView, Scene

FORMATS = ("png", "svg", "pdf")
"""Formats of figures."""


class Downloads:
    """Buttons that save what is shown.

    Parameters
    ----------
    scene : callable
        What is shown now, or None.
    """

    def __init__(self, scene: Callable[[], Scene | None]) -> None:
        self._scene = scene
        names = {view.heading: view.name for view in ALL_VIEWS}
        self.figure = pn.widgets.Select(label="Figure to save", options=names, stylesheets=[WIDGETS], max_width=320)
        self.figures = {
            form: self._button(f"Save as {form.upper()}", partial(self._figure, form), f"figure.{form}")
            for form in FORMATS
        }
        self.profile = self._button("Save the profile (netCDF)", self._profile, "profile.nc")
        self.python = self._button("Save the Python lines", self._python, "view.py")
        self.problem = text_pane(kind="alert")
        self.lines = text_pane()

    def panel(self) -> Any:
        """The buttons."""
        head = text_pane()
        head.object = paragraph("Take it away", "heading", "h2")
        buttons = pn.FlexBox(*self.figures.values(), self.profile, self.python, align_items="center")
        return pn.Column(head, self.figure, buttons, self.problem, self.lines, sizing_mode="stretch_width", margin=0)

    def show_lines(self) -> None:
        """Show the Python lines of what is shown now."""
        scene = self._scene()
        if scene is not None:
            text = html.escape(python_lines(scene, self._shown(scene)))
            self.lines.object = (
                f"<details><summary>Python that recreates this view</summary><pre>{text}</pre></details>"
            )

    def _button(self, label: str, content: Callable[[], io.BytesIO | None], name: str) -> Any:
        return pn.widgets.FileDownload(
            callback=content, filename=name, label=label, stylesheets=[WIDGETS], margin=(4, 4)
        )

    def _figure(self, form: str) -> io.BytesIO | None:
        def written(folder: Path, scene: Scene) -> bytes:
            view = next(one for one in ALL_VIEWS if one.name == self.figure.value)
            self.figures[form].filename = download_name(scene.source, view.name, f".{form}")
            return specent.plotting.save(view.draw(scene), folder / f"figure.{form}").read_bytes()

        return self._written(written)

    def _profile(self) -> io.BytesIO | None:
        def written(folder: Path, scene: Scene) -> bytes:
            self.profile.filename = download_name(scene.source, "profile", ".nc")
            return Path(archive.write(scene.answer.profiles, folder / "profile.nc")).read_bytes()

        return self._written(written)

    def _python(self) -> io.BytesIO | None:
        def written(_folder: Path, scene: Scene) -> bytes:
            self.python.filename = download_name(scene.source, "view", ".py")
            return python_lines(scene, self._shown(scene)).encode()

        return self._written(written)

    @staticmethod
    def _shown(scene: Scene) -> tuple[FigureView, ...]:
        views = (*PROFILE_VIEWS, *(PAIR_VIEWS if scene.pairs is not None else ()))
        return tuple(view for view in views if scene.answer.summary is not None or "summary" not in view.line(scene))

    def _written(self, write: Callable[[Path, Scene], bytes]) -> io.BytesIO | None:
        scene = self._scene()
        if scene is None:
            return None
        self.problem.object = ""
        with tempfile.TemporaryDirectory() as folder:
            try:
                return io.BytesIO(write(Path(folder), scene))
            except SpecentError as error:
                self.problem.object = paragraph(str(error), "alert", role="alert")
                return None
