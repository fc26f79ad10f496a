"""The command ``specent plot``: figures of archives."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from specent.command.interface import ERRORS, Names, app, one_or_more
from specent.errors import visible

_EXAMPLES = """For instance:
  specent plot digits.nc -o digits.html           a page with every figure
  specent plot digits.nc -o cats.html --partition full "cat | dog" --axis sigma
  specent plot digits.nc -o rate.pdf --figure rate        as wide as a column
  specent plot digits.nc -o all.pdf --width double        a page each
  specent plot digits.nc -o rate.png --figure rate --width 120 --dpi 600

"""


@app.command(name="plot", help_epilogue=_EXAMPLES + ERRORS)
def plot(
    *paths: Path,
    output: Annotated[Path, Parameter(name=("--output", "-o"))],
    overwrite: bool = False,
    title: str | None = None,
    axis: str | None = None,
    partition: Names = (),
    estimator: Names = (),
    guidance: Names = (),
    run: Names = (),
    figure: Names = (),
    width: str | None = None,
    dpi: int | None = None,
) -> None:
    """Draw archives and run folders: as one self-contained page, or as figures for a paper.

    Archives of trajectories and profiles are analysed first; what is drawn follows from what they hold.

    Parameters
    ----------
    paths : Path
        One or more archives of any kind, or run folders.
    output : Path
        File to write. Its ending says what: .html a page of interactive figures; .pdf, .svg or .png the figures that
        --figure names, for print (a PDF has a page for each, SVG and PNG are numbered); .png without --figure a
        picture of the whole page, which needs Chromium.
    overwrite : bool
        Replace an existing file.
    title : str
        Heading of the page, that of the first archive by default; in print the title of every figure, "" for none.
    axis : str
        Horizontal axis of the curves: log_snr (the default), sigma, log_sigma or time; of a page also step, the number
        of the step. The reader of a page can change it.
    partition : tuple of str
        Names of the partitions to draw; all of them by default. Trajectories can be analysed for any other, written
        as "full", "cat | dog", "cat | rest" or "cat, dog | car".
    estimator : tuple of str
        Names of the estimators to draw; all of them by default. Trajectories are analysed with those that are named:
        path, cross_entropy, denoiser_gap (these three by default), null, and of pairs of classes rao_blackwell.
    guidance : tuple of str
        Guidance settings to draw; all of them by default.
    run : tuple of str
        Runs of a comparison to draw; all of them by default.
    figure : tuple of str
        Figures to draw, by name; all that the archives allow by default. The names are entropy, rate, rescaled,
        windows, pair_matrix, tree, scaling, predictions, samples, posteriors, reliability, paths, disagreement,
        class_production, guidance_effect, quality and returns.
    width : str
        Width of a printed figure: single (a column of 85 mm, the default), double (175 mm), or a number of
        millimetres.
    dpi : int
        Pixels per inch of a printed PNG, 300 by default.
    """
    from specent import archive, plotting

    one_or_more(paths)
    chosen: dict[str, Any] = {
        "title": title,
        "axis": axis,
        "figures": figure or None,
        "partition": partition or None,
        "estimator": estimator or None,
        "guidance": guidance or None,
        "run": run or None,
        "overwrite": overwrite,
    }
    sizes: dict[str, Any] = {name: value for name, value in (("width", width), ("dpi", dpi)) if value is not None}
    target = plotting.figure_path(output, figures=figure or None, axis=axis, overwrite=overwrite, **sizes)
    datasets = [archive.open(path) for path in paths]
    if plotting.is_print(target, figures=figure or None):
        written = plotting.save_figures(datasets, output, **chosen, **sizes)
    else:
        write: Callable[..., Path] = plotting.picture if target.suffix == ".png" else plotting.page
        written = [write(datasets, output, **chosen)]
    for path in written:
        print(f"wrote {visible(str(path))} ({_size(path.stat().st_size)})")


def _size(number: int) -> str:
    return f"{number / 1e6:.1f} MB" if number > 1e5 else f"{number / 1e3:.0f} kB"
