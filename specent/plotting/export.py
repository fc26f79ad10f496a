"""Files of figures: where they may be written, and a page turned into a PNG by a headless Chromium."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import xarray as xr
from PIL import Image

from specent import arguments
from specent.errors import SpecentError
from specent.files import output_path, write_whole

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "chrome-headless-shell")
_FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--disable-background-networking",
    "--disable-component-update", "--disable-extensions", "--no-first-run", "--no-default-browser-check",
    "--force-color-profile=srgb", "--virtual-time-budget=20000",
)  # fmt: skip
_WIDTH = 1100
# a window is somewhat lower than asked for in some versions of the browser
_SLACK = 200


def figure_path(path: str | Path, suffixes: tuple[str, ...] = (".html", ".png"), *, overwrite: bool = False) -> Path:
    """Check, before any work, that a figure can be written to `path`.

    Parameters
    ----------
    path : str or Path
        The file.
    suffixes : tuple of str
        Endings that are allowed.
    overwrite : bool
        Whether an existing file may be replaced.

    Returns
    -------
    Path
        The absolute path of the file.

    Raises
    ------
    SpecentError
        If the ending is another, the folder is missing or read-only, the file exists, or a PNG has no browser.
    """
    target = output_path(path, suffixes, overwrite=overwrite, argument="output")
    if target.suffix == ".png":
        browser()
    return target


def browser() -> str:
    """Path of the browser that renders pictures.

    Raises
    ------
    SpecentError
        If none is on the PATH.
    """
    for name in BROWSERS:
        found = shutil.which(name)
        if found:
            return found
    raise SpecentError(
        "a PNG needs Chromium or Chrome and none is on the PATH; install one (for instance: apt-get install chromium), "
        "or write a page ending in .html instead"
    )


def picture(
    datasets: xr.Dataset | Sequence[xr.Dataset],
    path: str | Path,
    *,
    overwrite: bool = False,
    scale: float = 1.5,
    **options: Any,
) -> Path:
    """Write the page of some datasets as a PNG, rendered by a headless Chromium and cut to its content.

    Parameters
    ----------
    datasets : Dataset or sequence of Dataset
        As for `page`.
    path : str or Path
        File to write, ending in ``.png``.
    overwrite : bool
        Replace an existing file.
    scale : float
        Pixels of the picture per pixel of the page.
    **options
        As for `page`: title, axis, figures, partition, estimator, guidance.

    Returns
    -------
    Path
        The written file.

    Raises
    ------
    SpecentError
        If the file cannot be written, there is no browser, or it fails.
    """
    from specent.plotting.pages import page

    path = figure_path(path, (".png",), overwrite=overwrite)
    scale = arguments.number(scale, "scale", least=0.1, most=10)
    with tempfile.TemporaryDirectory() as folder:
        source = page(datasets, Path(folder) / "page.html", plain=True, **options)
        width, height = _size(source, Path(folder))
        shot = Path(folder) / "page.png"
        # beyond this many pixels on a side browsers give up
        scale = min(scale, 16000 / (height + _SLACK))
        window = f"--window-size={max(width, _WIDTH)},{height + _SLACK}"
        _browse(Path(folder), f"--screenshot={shot}", window, f"--force-device-scale-factor={scale}", source.as_uri())
        if not shot.is_file():
            raise SpecentError("the browser made no picture; write a page ending in .html instead")
        with Image.open(shot) as whole:
            whole.crop((0, 0, round(width * scale), min(whole.height, round(height * scale)))).save(shot)
        return write_whole(shot.read_bytes(), path, overwrite=overwrite, argument="output")


def _size(source: Path, folder: Path) -> tuple[int, int]:
    """Width and height of the content, which the page writes into its own body once it is drawn."""
    text = _browse(folder, "--dump-dom", f"--window-size={_WIDTH},900", source.as_uri())
    found = re.search(r'<body[^>]*data-width="(\d+)"[^>]*data-height="(\d+)"', text)
    if found is None:
        raise SpecentError("the browser did not draw the page; write a page ending in .html and open it to see why")
    return int(found[1]), int(found[2])


def _browse(folder: Path, *arguments: str) -> str:
    command = [browser(), *_FLAGS, f"--user-data-dir={folder / 'profile'}", *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SpecentError(f"the browser {command[0]!r} could not render the page: {error}") from error
    if done.returncode:
        raise SpecentError(f"the browser {command[0]!r} failed with code {done.returncode}: {done.stderr[-300:]}")
    return done.stdout
