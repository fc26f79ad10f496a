"""How notebooks are run and show figures.

Figures are the drawings that `sp.plot.save` writes, so that a page needs no script for them. Pages with code to run
are spread over the list of pages, of which two processes take a part at a time.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent
GENERATED = FOLDER.parent / "generated"
ARCHIVES = GENERATED / "archives"
PROFILE = GENERATED / "ipython" / "profile_default"


def as_html(figure: Any) -> str:
    """A figure in a version for a light page and one for a dark page."""
    import base64
    import tempfile

    import gallery_pictures

    with tempfile.TemporaryDirectory() as name:
        paths = gallery_pictures.write(figure, Path(name) / "figure")
        images, versions = [], ("only-light", "only-dark dark-light") if len(paths) > 1 else ("",)
        for path, classes in zip(paths, versions, strict=True):
            kind = "svg+xml" if path.suffix == ".svg" else "png"
            text = base64.b64encode(path.read_bytes()).decode()
            images.append(f'<img class="{classes}" alt="Figure" src="data:image/{kind};base64,{text}">')
        return "".join(images)


def register(shell: Any) -> None:
    """Have a kernel show figures this way."""
    import holoviews as hv

    from specent.plotting import style

    # with the style comes what displays figures otherwise, which is replaced here
    assert style
    html = shell.display_formatter.formatters["text/html"]
    bundle = shell.display_formatter.mimebundle_formatter
    for kind in (hv.core.dimension.LabelledData, hv.core.layout.Layout):
        html.for_type(kind, as_html)
        bundle.for_type(kind, lambda figure, include=None, exclude=None: None)


def write(app: Any) -> None:
    """Write what every kernel runs first."""
    (PROFILE / "startup").mkdir(parents=True, exist_ok=True)
    lines = [
        "import sys",
        f"sys.path.insert(0, {str(FOLDER)!r})",
        "import notebooks",
        "notebooks.register(get_ipython())",
    ]
    (PROFILE / "startup" / "figures.py").write_text("\n".join(lines) + "\n", encoding="utf-8")
    # two kernels would write to one history; what they notice about their connection is no warning of a page
    settings = ["c = get_config()", "c.HistoryManager.enabled = False", "c.IPKernelApp.log_level = 40"]
    (PROFILE / "ipython_kernel_config.py").write_text("\n".join(settings) + "\n", encoding="utf-8")


def spread(app: Any, env: Any, names: list[str]) -> None:
    """Spread the pages with code evenly over the list of pages, the longest first.

    The processes take parts of the list as they stand there, and would otherwise leave all code to one of them.
    """
    sources = {name: Path(env.doc2path(name)).read_text(encoding="utf-8") for name in names}
    run = sorted((name for name in names if "{code-cell}" in sources[name]), key=lambda name: -len(sources[name]))
    others = [name for name in names if name not in run]
    for index, name in enumerate(run):
        others.insert(index * len(names) // len(run), name)
    names[:] = others


def setup(app: Any) -> dict[str, bool]:
    """Write the settings of the kernels first."""
    app.connect("builder-inited", write)
    app.connect("env-before-read-docs", spread)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
