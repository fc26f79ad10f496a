"""The command ``specent plot``: figures of archives."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from specent.command.interface import ERRORS, Names, app, one_or_more
from specent.errors import visible


@app.command(name="plot", help_epilogue=ERRORS)
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
) -> None:
    """Draw archives and run folders: one self-contained page (.html), or a picture of it (.png, needs Chromium).

    Archives of trajectories and profiles are analysed first; what is drawn follows from what they hold. For instance:
    specent plot digits.nc -o digits.html --partition full "3 | 8" --estimator exact path --axis sigma

    Parameters
    ----------
    paths : Path
        One or more archives of any kind, or run folders.
    output : Path
        File to write, ending in .html or .png.
    overwrite : bool
        Replace an existing file.
    title : str
        Heading of the page; that of the first archive by default.
    axis : str
        Horizontal axis of the curves: log_snr, sigma, log_sigma or time.
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
        Figures to draw, by name; all that the archives allow by default.
    """
    from specent import archive, plotting

    plotting.figure_path(output, overwrite=overwrite)
    write: Callable[..., Path] = plotting.picture if output.suffix == ".png" else plotting.page
    written = write(
        [archive.open(path) for path in one_or_more(paths)],
        output,
        title=title,
        axis=axis,
        figures=figure or None,
        partition=partition or None,
        estimator=estimator or None,
        guidance=guidance or None,
        run=run or None,
        overwrite=overwrite,
    )
    print(f"wrote {visible(str(written))} ({written.stat().st_size / 1e6:.1f} MB)")
