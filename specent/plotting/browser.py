"""A page of HTML turned into a PNG by a headless Chromium."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

from PIL import Image

from specent.errors import SpecentError

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "chrome-headless-shell")
_FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--disable-background-networking",
    "--disable-component-update", "--disable-extensions", "--no-first-run", "--no-default-browser-check",
    "--force-color-profile=srgb", "--virtual-time-budget=20000",
)  # fmt: skip
_WIDTH = 1100
# in some versions of the browser the page is somewhat lower than its window
_SLACK = 200


def browser() -> str:
    """Path of the browser that renders pictures.

    Raises
    ------
    SpecentError
        If none is on the PATH.
    """
    for name in BROWSERS:
        path = shutil.which(name)
        if path:
            return path
    raise SpecentError(
        "a PNG needs Chromium or Chrome and none is on the PATH; install one (for instance: apt-get install chromium), "
        "or write a page ending in .html instead"
    )


def size(page: Path, folder: Path) -> tuple[int, int]:
    """Width and height of the content of a page in pixels, which the page writes into its own body once it is drawn.

    Raises
    ------
    SpecentError
        If the browser fails or does not draw the page.
    """
    text = _browse(folder, "--dump-dom", f"--window-size={_WIDTH},900", page.as_uri())
    match = re.search(r'<body[^>]*data-width="(\d+)"[^>]*data-height="(\d+)"', text)
    if match is None:
        raise SpecentError("the browser did not draw the page; write a page ending in .html and open it to see why")
    return int(match[1]), int(match[2])


def screenshot(page: Path, folder: Path, width: int, height: int, scale: float) -> Path:
    """A picture of the upper left `width` by `height` pixels of a page.

    Parameters
    ----------
    page : Path
        The page.
    folder : Path
        Folder for the picture and the profile of the browser.
    width, height : int
        Pixels of the page.
    scale : float
        Pixels of the picture per pixel of the page; less if the picture would be too high for the browser.

    Returns
    -------
    Path
        The picture.

    Raises
    ------
    SpecentError
        If the browser fails.
    """
    picture = folder / "page.png"
    # beyond this many pixels on a side browsers give up
    scale = min(scale, 16000 / (height + _SLACK))
    window = f"--window-size={max(width, _WIDTH)},{height + _SLACK}"
    _browse(folder, f"--screenshot={picture}", window, f"--force-device-scale-factor={scale}", page.as_uri())
    if not picture.is_file():
        raise SpecentError("the browser made no picture; write a page ending in .html instead")
    with Image.open(picture) as whole:
        whole.crop((0, 0, round(width * scale), min(whole.height, round(height * scale)))).save(picture)
    return picture


def _browse(folder: Path, *arguments: str) -> str:
    command = [browser(), *_FLAGS, f"--user-data-dir={folder / 'profile'}", *arguments]
    try:
        process = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SpecentError(f"the browser {command[0]!r} could not render the page: {error}") from error
    if process.returncode:
        raise SpecentError(f"the browser {command[0]!r} failed with code {process.returncode}: {process.stderr[-300:]}")
    return process.stdout
