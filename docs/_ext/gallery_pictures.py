"""Figures as files: an SVG for light pages, and another for dark ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ink

import specent as sp

WIDTH = 130.0
"""Of a figure, in millimetres: letters have the size of those of a page."""


def write(figure: Any, target: Path) -> list[Path]:
    """Write a figure beside `target`, the version for light pages first, and one for dark pages where there is one."""
    light, dark = target.with_suffix(".svg"), target.with_name(f"{target.name}-dark.svg")
    sp.plot.save(figure, light, width=WIDTH, overwrite=True)
    svg = ink.transparent(light.read_text(encoding="utf-8"))
    light.write_text(svg, encoding="utf-8")
    dark.unlink(missing_ok=True)
    if not ink.can_be_dark(svg):
        return [light]
    dark.write_text(ink.dark(svg), encoding="utf-8")
    return [light, dark]
