"""Settings of the documentation, and the pages that are generated when it is built."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from docutils.nodes import SkipNode
from latex2mathml.converter import convert

import specent as sp

GENERATED = Path(__file__).parent / "generated"

project = "specent"
author = "The specent developers"
copyright = "The specent developers"
version = release = sp.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.autosummary", "numpydoc"]
myst_enable_extensions = ["dollarmath", "amsmath", "deflist"]
myst_heading_anchors = 3
templates_path = ["_templates"]
exclude_patterns = ["_build", "_templates", "generated/format.md"]
default_role = "obj"

autosummary_generate = True
autosummary_ignore_module_all = False
autodoc_typehints = "none"
autodoc_member_order = "bysource"
numpydoc_show_class_members = False

html_theme = "pydata_sphinx_theme"
html_title = "specent"
html_math_renderer = "mathml"
html_sidebars = {"*": []}
html_extra_path = ["generated/pages"]
html_show_copyright = False
html_show_sourcelink = False
html_theme_options = {
    "navbar_end": ["theme-switcher"],
    "footer_start": [],
    "footer_end": [],
    "secondary_sidebar_items": ["page-toc"],
    "show_toc_level": 2,
}


def write_format() -> None:
    """Write the tables of the file format, straight from the registry that checks files."""
    (GENERATED / "format.md").write_text(sp.schema.as_markdown(), encoding="utf-8")


def write_example() -> None:
    """Draw the page of figures that is shown on the page about figures."""
    mix = sp.exact.GaussianMixture([[-4.0], [4.0]], labels=["left", "right"])
    schedule, time = sp.schedules.VE(), sp.schedules.edm_grid(64, 0.05, 80.0)
    partitions = [sp.Partition.full(mix.labels)]
    runs = sp.sample(
        sp.models.mixture(mix), schedule=schedule, time=time, samples=200, partitions=partitions, progress=False
    )
    measured = sp.entropy(runs, estimator=("path", "denoiser_gap"))
    exact = sp.exact.profiles(mix, schedule, time, partitions)
    path = GENERATED / "pages" / "two_components.html"
    path.parent.mkdir(exist_ok=True)
    figures = [measured, exact, sp.speciation(measured, axis="sigma")]
    sp.plot.page(figures, path, title="Two components of unit variance at -4 and 4", axis="sigma", overwrite=True)


def write_math(translator: Any, node: Any) -> None:
    """Write a formula as MathML, which browsers draw without a script from the network."""
    if node.tagname == "math_block":
        formula = convert(node.astext(), display="block")
        translator.body.append(f'<div style="overflow-x: auto; margin: 1em 0">{formula}</div>')
    else:
        translator.body.append(convert(node.astext()))
    raise SkipNode


def setup(app: Any) -> None:
    """Register the way formulas are written."""
    app.add_html_math_renderer("mathml", inline_renderers=(write_math, None), block_renderers=(write_math, None))


GENERATED.mkdir(exist_ok=True)
write_format()
write_example()
