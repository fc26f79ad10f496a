"""Settings of the documentation. What is generated when it is built stands in `docs/_ext`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

DOCS = Path(__file__).parent
sys.path.insert(0, str(DOCS / "_ext"))
# the settings of the notebooks' kernels, see docs/_ext/notebooks.py
os.environ["IPYTHONDIR"] = str(DOCS / "generated" / "ipython")
# what runs side by side computes with one thread each
os.environ["OMP_NUM_THREADS"] = "1"

import specent as sp  # noqa: E402

# Sphinx looks for folders before what they hold is generated
for folder in ("static", "pages"):
    (DOCS / "generated" / folder).mkdir(parents=True, exist_ok=True)

project = "specent"
author = "The specent developers"
copyright = "The specent developers"
version = release = sp.__version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    # of this folder
    "mathml",
    "mathfont",
    "reference",
    "gallery",
    "notebooks",
    "built",
]
myst_enable_extensions = ["dollarmath", "amsmath", "deflist", "colon_fence", "attrs_inline"]
myst_heading_anchors = 3
templates_path = ["_templates"]
# parts of other pages, and what is no page
PARTS = ("format.md", "gallery.md", "gallery_commands.md", "landing.md", "recipes.md", "archives", "figures", "ipython")
exclude_patterns = ["_build", "_templates", "gallery", "generated/static", *(f"generated/{name}" for name in PARTS)]
default_role = "obj"

nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_in_temp = True
nb_execution_timeout = 600
nb_merge_streams = True
nb_ipywidgets_js: dict[str, dict[str, str]] = {}

autosummary_generate = True
autosummary_ignore_module_all = False
autodoc_typehints = "none"
autodoc_member_order = "bysource"
numpydoc_show_class_members = False

html_theme = "pydata_sphinx_theme"
html_title = "specent"
html_math_renderer = "mathml"
html_static_path = ["_static", "generated/static"]
html_context = {"default_mode": "auto"}
html_css_files = ["specent.css"]
html_sidebars = {"**": ["contents.html"]}
html_extra_path = ["generated/pages"]
html_show_copyright = False
html_show_sourcelink = False
html_theme_options = {
    "navbar_center": [],
    "navbar_end": ["theme-switcher"],
    "footer_start": [],
    "footer_end": [],
    "secondary_sidebar_items": ["page-toc"],
    "show_toc_level": 2,
    "navigation_with_keys": False,
}
