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
# of the window of the first picture: most pages of a few figures fit, others need a second one
_WIDTH, _HEIGHT = 1100, 4000
_MARGIN, _MOST_PIXELS = 48, 16000
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


def screenshot(page: Path, folder: Path, scale: float) -> Path:
    """A picture of a page, cut to its content, whose size the page writes into its own body once it is drawn.

    Parameters
    ----------
    page : Path
        The page.
    folder : Path
        Folder for the picture and the profile of the browser.
    scale : float
        Pixels of the picture per pixel of the page; less if the picture would be too high for the browser.

    Returns
    -------
    Path
        The picture.

    Raises
    ------
    SpecentError
        If the browser fails or does not draw the page.
    """
    picture = folder / "page.png"
    window = (_WIDTH, _HEIGHT)
    for _ in range(2):
        # beyond this many pixels on a side browsers give up
        drawn = min(scale, _MOST_PIXELS / window[1])
        options = (f"--window-size={window[0]},{window[1]}", f"--force-device-scale-factor={drawn}")
        width, height = _size(_browse(folder, "--dump-dom", f"--screenshot={picture}", *options, page.as_uri()))
        # the page adds a margin to what it needs, which is never less than the window
        needed = (window[0] if width - _MARGIN <= window[0] else width, max(window[1], height + _SLACK))
        if not picture.is_file():
            raise SpecentError("the browser made no picture; write a page ending in .html instead")
        if needed == window:
            break
        window = needed
    with Image.open(picture) as whole:
        ends = min(whole.width, round(width * drawn)), min(whole.height, round(height * drawn))
        whole.crop((0, 0, *ends)).save(picture)
    return picture


def _size(text: str) -> tuple[int, int]:
    """Width and height of the content of a page, as the page wrote them into its text."""
    match = re.search(r'<body[^>]*data-width="(\d+)"[^>]*data-height="(\d+)"', text)
    if match is None:
        raise SpecentError("the browser did not draw the page; write a page ending in .html and open it to see why")
    return int(match[1]), int(match[2])


def _browse(folder: Path, *arguments: str) -> str:
    command = [browser(), *_FLAGS, f"--user-data-dir={folder / 'profile'}", *arguments]
    try:
        process = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SpecentError(f"the browser {command[0]!r} could not render the page: {error}") from error
    if process.returncode:
        raise SpecentError(f"the browser {command[0]!r} failed with code {process.returncode}: {process.stderr[-300:]}")
    return process.stdout
