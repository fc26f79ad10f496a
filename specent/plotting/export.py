"""Pages as files that any program shows: the check of their names, and pictures in PNG."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import xarray as xr
from tqdm.auto import tqdm

from specent import arguments, files
from specent.plotting import browser
from specent.plotting.pages import page


def figure_path(path: str | Path, *, overwrite: bool = False) -> Path:
    """Check, before any work, that a page or a picture can be written to `path`.

    Parameters
    ----------
    path : str or Path
        File to write, ending in ``.html`` (see `page`) or ``.png`` (see `picture`).
    overwrite : bool
        Whether an existing file may be replaced.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    SpecentError
        If the ending is another, the folder is missing or read-only, the file exists, or a PNG has no browser.
    """
    target = files.output_path(path, (".html", ".png"), overwrite=overwrite)
    if target.suffix == ".png":
        browser.browser()
    return target


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
        hidden = None if progress else True
        with tqdm(total=2, desc="rendering", unit="pass", disable=hidden, leave=False, delay=2) as bar:
            width, height = browser.size(source, folder)
            bar.update()
            screenshot = browser.screenshot(source, folder, width, height, scale)
            bar.update()
        return files.write_whole(screenshot.read_bytes(), target, overwrite=overwrite)
