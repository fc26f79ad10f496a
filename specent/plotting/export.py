"""Figures as files that any program shows: the check of their names, pictures of pages, and figures for print."""

from __future__ import annotations

import glob
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import xarray as xr
from holoviews.core.data import disable_pipeline
from tqdm.auto import tqdm

from specent import arguments, files
from specent.axes import AXES, check_axis
from specent.errors import SpecentError
from specent.plotting import browser, colouring, style
from specent.plotting.available import nothing_to_draw, refuse_unavailable, warn_of_empty
from specent.plotting.contents import PAGE_FIGURES, Section, figure_names
from specent.plotting.derived import of_any_kind, with_profiles
from specent.plotting.pages import page
from specent.plotting.printing import SUFFIXES, millimetres, printed, resolution
from specent.plotting.select import Names

# what is drawn of profiles needs no summary of them
_PLAIN = {
    "entropy", "rate", "mutual_information", "predictions", "samples", "quality", "guidance_effect", "rescaled",
    "returns",
}  # fmt: skip


def figure_path(
    path: str | Path,
    *,
    figures: Names = None,
    width: str | float | None = None,
    dpi: int | None = None,
    axis: str | None = None,
    overwrite: bool = False,
) -> Path:
    """Check, before any work, that a page, a picture or a print can be written to `path`.

    Parameters
    ----------
    path : str or Path
        File to write, ending in ``.html`` (see `page`), ``.pdf`` or ``.svg`` (see `save_figures`), or ``.png``: with
        `figures` these in print, otherwise the `picture` of a page.
    figures : str or sequence of str, optional
        Names of the figures that are to be drawn, out of `FIGURES`.
    width, dpi
        Of a print, as for `save`.
    axis : {"log_snr", "sigma", "log_sigma", "time", "step"}, optional
        Noise axis of the figures; pages alone have "step".
    overwrite : bool
        Whether an existing file may be replaced.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    SpecentError
        If the ending is another, the folder is missing or read-only, the file exists, a figure, the axis, the width
        or the resolution is none, or the picture of a page has no browser.
    """
    target = files.output_path(path, (".html", *SUFFIXES), overwrite=overwrite)
    names = None if figures is None else figure_names(figures)
    millimetres("single" if width is None else width)
    resolution(300 if dpi is None else dpi)
    if axis is not None and (axis != "step" or is_print(target, figures=names)):
        _print_axis(axis)
    if is_print(target, figures=names):
        if target.suffix != ".pdf" and not overwrite:
            _refuse_taken(target)
        return target
    for name, value in (("width", width), ("dpi", dpi)):
        if value is not None:
            raise SpecentError(
                f"{name}={value!r} is for print: give a path ending in .pdf or .svg, or in .png with the figures named"
            )
    if target.suffix == ".png":
        browser.browser()
    return target


def is_print(path: Path, *, figures: Names = None) -> bool:
    """Whether figures written to `path` are printed, rather than shown on a page or in the picture of one.

    Examples
    --------
    >>> [is_print(Path(name)) for name in ("a.pdf", "a.png", "a.html")]
    [True, False, False]
    """
    return path.suffix in (".pdf", ".svg") or (path.suffix == ".png" and figures is not None)


def _refuse_taken(target: Path) -> None:
    """Refuse numbered files that are there, before it is known how many there will be."""
    taken = sorted(target.parent.glob(f"{glob.escape(target.stem)}-[0-9]*{target.suffix}"))
    if taken:
        raise SpecentError(
            f"path={str(target)!r}: {taken[0].name!r} exists, and of several figures each has a file numbered like it; "
            "pass overwrite=True to replace it, or choose another name"
        )


def save_figures(
    datasets: xr.Dataset | Sequence[xr.Dataset],
    path: str | Path,
    figures: Names = None,
    *,
    width: str | float = "single",
    dpi: int = 300,
    title: str | None = None,
    axis: str | None = None,
    partition: Names = None,
    estimator: Names = None,
    guidance: Names = None,
    run: Names = None,
    overwrite: bool = False,
    progress: bool = True,
) -> list[Path]:
    """Print figures of some datasets for a paper: as PDF, SVG or PNG at the width of a column.

    Parameters
    ----------
    datasets : Dataset or sequence of Dataset
        Of any kind. What follows from them and is not given is analysed first, as for `page`.
    path : str or Path
        File to write. A ``.pdf`` has a page for each figure. A ``.svg`` or ``.png`` holds one; of several every one
        has a file, with a number after the name: ``rate-1.svg``, ``rate-2.svg``.
    figures : str or sequence of str, optional
        Names out of `FIGURES`; all that can be drawn by default.
    width, dpi
        As for `save`.
    title : str, optional
        Title of every figure; what the figure says of itself by default. An empty one leaves it to the caption.
    axis : {"log_snr", "sigma", "log_sigma", "time"}, optional
        Horizontal axis of the curves.
    partition, estimator, guidance, run : str or sequence, optional
        What is drawn, in every figure; all by default. Of trajectories any partition can be drawn, as for `page`.
    overwrite : bool
        Replace existing files.
    progress : bool
        Whether to show progress bars, on a terminal and where it takes more than two seconds.

    Returns
    -------
    list of Path
        The written files.

    Raises
    ------
    SpecentError
        If a file cannot be written, an argument is none, or nothing can be drawn.
    """
    names = figure_names(figures)
    target = files.output_path(path, SUFFIXES, overwrite=overwrite)
    figure_path(target, figures=names, overwrite=overwrite)
    size, pixels = millimetres(width), resolution(dpi)
    style.heading(title)
    axis = None if axis is None else _print_axis(axis)
    section = _section(datasets, names, axis, partition, estimator, progress, guidance=guidance, run=run)
    hidden = None if progress else True
    bar = tqdm(names, desc="drawing", unit="figure", disable=hidden, leave=False, delay=2)
    with bar, disable_pipeline(), colouring.agreed(colouring.common_colours(section.every)):
        named = {name: list(PAGE_FIGURES[name].draw(section)) for name in bar}
    drawn = [figure for some in named.values() for figure in some]
    if not drawn:
        raise nothing_to_draw(names, section.every)
    warn_of_empty(figures, [name for name, some in named.items() if some], section.every)
    data = printed(drawn, target.suffix, size, pixels, title)
    numbers = [""] if len(data) == 1 else [f"-{i:0{len(str(len(data)))}}" for i in range(1, len(data) + 1)]
    targets = [target.with_stem(f"{target.stem}{number}") for number in numbers]
    for one in targets:
        files.output_path(one, SUFFIXES, overwrite=overwrite)
    return [files.write_whole(content, one, overwrite=overwrite) for content, one in zip(data, targets, strict=True)]


def _print_axis(axis: str) -> str:
    if axis == "step":
        raise SpecentError(f"axis='step' is for pages, which number the steps; in print use one of {', '.join(AXES)}")
    return check_axis(axis)


def _section(
    datasets: xr.Dataset | Sequence[xr.Dataset],
    names: Sequence[str],
    axis: str | None,
    partition: Names,
    estimator: Names,
    progress: bool,
    **selection: Names,
) -> Section:
    """The datasets with all that follows from them and the figures need, reduced to the selection."""
    given = [datasets] if isinstance(datasets, xr.Dataset) else arguments.listed(datasets, "datasets", "give datasets")
    known = [of_any_kind(one) for one in given]
    if not known:
        raise SpecentError("datasets is empty; give at least one dataset")
    refuse_unavailable(names, known)
    whole, partitions = with_profiles(known, partition, estimator)
    section = Section.of(whole, axis, partition=partitions, estimator=estimator, **selection)
    return section if _PLAIN.issuperset(names) else section.with_summaries(progress=progress)


def picture(
    datasets: xr.Dataset | Sequence[xr.Dataset] | Mapping[str, Sequence[xr.Dataset]],
    path: str | Path,
    *,
    overwrite: bool = False,
    scale: float = 1.5,
    progress: bool = True,
    **options: Any,
) -> Path:
    """Write the page of some datasets as a PNG, rendered by a headless Chromium and cut to its content.

    Parameters
    ----------
    datasets : Dataset, sequence of Dataset, or mapping of heading to such a sequence
        As for `page`.
    path : str or Path
        File to write, ending in ``.png``.
    overwrite : bool
        Replace an existing file.
    scale : float
        Pixels of the picture per pixel of the page.
    progress : bool
        Whether to show progress bars, on a terminal and where it takes more than two seconds.
    **options
        As for `page`: title, axis, figures, partition, estimator, guidance, run.

    Returns
    -------
    Path
        The written file.

    Raises
    ------
    SpecentError
        If the file cannot be written, there is no browser, or it fails.
    """
    target = files.output_path(path, ".png", overwrite=overwrite)
    browser.browser()
    scale = arguments.number(scale, "scale", least=0.1, most=10)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = page(datasets, folder / "page.html", plain=True, progress=progress, **options)
        screenshot = browser.screenshot(source, folder, scale)
        return files.write_whole(screenshot.read_bytes(), target, overwrite=overwrite)
