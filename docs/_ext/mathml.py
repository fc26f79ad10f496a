"""Formulas as MathML, which browsers draw without a script and without the network."""

from __future__ import annotations

from typing import Any

from docutils.nodes import SkipNode
from latex2mathml.converter import convert


def write(translator: Any, node: Any) -> None:
    """Write a formula, on a line of its own or within the text."""
    if node.tagname == "math_block":
        translator.body.append(f'<div class="formula">{convert(node.astext(), display="block")}</div>')
    else:
        translator.body.append(convert(node.astext()))
    raise SkipNode


def setup(app: Any) -> dict[str, bool]:
    """Register the way formulas are written."""
    app.add_html_math_renderer("mathml", inline_renderers=(write, None), block_renderers=(write, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
