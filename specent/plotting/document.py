"""One self-contained document in HTML from figures and text: nothing is loaded from the network.

Figures that are in sight when a page opens are drawn first; those behind a fold are drawn when it is opened, from
numbers that are compressed until then. Scripts that are not part of the page are refused by its own policy.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import html
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

from bokeh.embed import json_item
from bokeh.models import LayoutDOM
from bokeh.resources import Resources

from specent.plotting import scales

_SCRIPTS = ("page.js", "theme.js", "tables.js", "noise_axis.js")
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data: blob:; font-src data:; base-uri 'none'; "
_POLICY += "form-action 'none'; script-src {hashes}"


@dataclass(frozen=True)
class FigureBlock:
    """One figure: its name, which is the class of its element, the Bokeh model, and the words around it.

    The heading and the notes are text; the caption and how to read it, which is folded, are HTML. `panels` is the
    number of panels side by side.
    """

    name: str
    model: LayoutDOM
    heading: str = ""
    notes: Sequence[str] = field(default=())
    caption: str = ""
    reading: str = ""
    panels: int = 1


@dataclass(frozen=True)
class Chapter:
    """Figures under a heading, which may be empty, what they show in one sentence, and the tables after them as HTML.

    Only the first `shown` figures are in sight before the reader asks for more.
    """

    heading: str
    blocks: Sequence[FigureBlock]
    tables: Sequence[str] = field(default=())
    result: str = ""
    shown: int = 0


def document(
    title: str, chapters: Sequence[Chapter], noise: dict[str, Any], footer: str = "", *, plain: bool = False
) -> str:
    """The document.

    Parameters
    ----------
    title : str
        Its heading.
    chapters : sequence of Chapter
        At least one figure in all.
    noise : dict
        Scales of the noise axis and tables of schedules, as made by `scales.noise_data`.
    footer : str
        HTML after the chapters.
    plain : bool
        Figures alone, all of them in sight.

    Returns
    -------
    str
        HTML.
    """
    bokeh, script = _library(), _script()
    body = [f'<script type="application/json" id="noise-axis">{scales.json_text(noise)}</script>']
    main = [f"<h1>{html.escape(title)}</h1>", "" if plain else _results(chapters)]
    main += [_section(number, chapter, plain) for number, chapter in enumerate(chapters, 1)]
    side = "" if plain else _side(chapters, noise)
    body.append(f'<div class="layout">{side}<main id="main">{"".join(main)}{footer}</main></div>')
    hashes = " ".join(f"'sha256-{_digest(text)}'" for text in (bokeh, script))
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY.format(hashes=hashes)}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(title)}</title>\n<style>\n{_asset('page.css')}</style>\n</head>\n"
        f'<body class="{"plain" if plain else "report"}">\n{"".join(body)}\n'
        # only the text of Bokeh itself: rendered resources may also point at files that Panel would serve
        f"<script>{bokeh}</script>\n<script>{script}</script>\n</body>\n</html>\n"
    )


@cache
def _asset(name: str) -> str:
    return (files("specent.plotting") / "assets" / name).read_text(encoding="utf-8")


@cache
def _library() -> str:
    return "\n".join(Resources(mode="inline", components=["bokeh"]).js_raw)


@cache
def _script() -> str:
    return '"use strict";\n{\n' + "\n".join(_asset(name) for name in _SCRIPTS) + "\nstart();\n}\n"


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _side(chapters: Sequence[Chapter], noise: dict[str, Any]) -> str:
    """Contents, the scale of the noise axis, and light or dark; at the top of the page on a narrow screen."""
    entries = []
    for number, chapter in enumerate(chapters, 1):
        inner = "".join(
            f'<li><a href="#figure-{number}-{index}">{html.escape(block.heading)}</a></li>'
            for index, block in enumerate(chapter.blocks[: chapter.shown], 1)
        )
        rest = len(chapter.blocks) - chapter.shown
        inner += f'<li><a href="#more-{number}">{rest} more</a></li>' if rest else ""
        name = html.escape(chapter.heading or "Figures")
        entries.append(f'<li><a href="#section-{number}">{name}</a><ol>{inner}</ol></li>')
    return (
        '<a class="skip" href="#main">Skip the contents</a>'
        '<nav class="side" aria-label="Contents and settings"><details open><summary>Contents and noise axis</summary>'
        f'{scales.switch(noise)}<p><button class="theme" aria-pressed="false">Dark</button></p>'
        f"<h2>Contents</h2><ol>{''.join(entries)}</ol></details></nav>"
    )


def _results(chapters: Sequence[Chapter]) -> str:
    lines = []
    for number, chapter in enumerate(chapters, 1):
        if chapter.result:
            name = html.escape(chapter.heading or "Result")
            lines.append(f'<li><a href="#section-{number}">{name}</a><br>{chapter.result}</li>')
    return f'<ul class="results" aria-label="Results">{"".join(lines)}</ul>' if lines else ""


def _section(number: int, chapter: Chapter, plain: bool) -> str:
    shown = len(chapter.blocks) if plain else chapter.shown
    alone = _left_over(chapter.blocks[:shown]) + [shown + index for index in _left_over(chapter.blocks[shown:])]
    figures = [
        _figure(f"figure-{number}-{index}", number, block, folded=index > shown, plain=plain, alone=index in alone)
        for index, block in enumerate(chapter.blocks, 1)
    ]
    heading = f"<h2>{html.escape(chapter.heading)}</h2>" if chapter.heading else ""
    text = f'<section id="section-{number}">{heading}<div class="grid">{"".join(figures[:shown])}</div>'
    if figures[shown:]:
        rest = len(figures) - shown
        names = dict.fromkeys(block.name.replace("_", " ") for block in chapter.blocks[shown:])
        words = f"{rest} more figure{'s' if rest > 1 else ''}: {', '.join(names)}" if shown else f"{rest} figures"
        text += f'<details class="more" id="more-{number}"><summary>{words}</summary>'
        text += f'<div class="grid">{"".join(figures[shown:])}</div></details>'
    return text + "".join(chapter.tables) + "</section>"


def _left_over(blocks: Sequence[FigureBlock]) -> list[int]:
    """The number, from 1 on, of the figure that is left over when figures of one panel fill rows of two, if one is."""
    single = [index for index, block in enumerate(blocks, 1) if block.panels == 1]
    return single[-1:] if len(single) % 2 else []


def _figure(name: str, section: int, block: FigureBlock, *, folded: bool, plain: bool, alone: bool) -> str:
    notes = "".join(f'<p class="note">{html.escape(line)}</p>' for line in block.notes)
    reading = f"<details><summary>How to read this</summary>{block.reading}</details>" if block.reading else ""
    tools = f'<div class="tools">{reading}<button data-figure="{name}">Numbers as CSV</button></div>'
    caption = "" if plain else f"<figcaption>{block.caption}{tools}</figcaption>"
    extent = " wide" if block.panels > 1 else " alone" if alone else ""
    return (
        f'<div id="{name}" class="card{extent}" data-section="{section}">'
        f'<figure class="{block.name}"><div class="picture"><h3>{html.escape(block.heading)}</h3>{notes}'
        f'<div class="plot"><div class="panels" style="--panels:{block.panels}"></div></div></div>{caption}</figure>'
        f"{_numbers(block.model, folded)}</div>"
    )


def _numbers(model: LayoutDOM, folded: bool) -> str:
    """The figure as JSON, compressed where it is not drawn at once."""
    text = scales.json_text(json_item(model))
    if not folded:
        return f'<script type="application/json">{text}</script>'
    packed = base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode()
    return f'<script type="application/gzip">{packed}</script>'
