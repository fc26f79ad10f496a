"""Files of figures: where they may be written, and a page turned into a PNG by a headless Chromium."""

from __future__ import annotations

import os
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
from specent.arguments import brief
from specent.errors import SpecentError

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "chrome-headless-shell")
_FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--disable-background-networking",
    "--disable-component-update", "--disable-extensions", "--no-first-run", "--no-default-browser-check",
    "--force-color-profile=srgb", "--virtual-time-budget=20000",
)  # fmt: skip
_WIDTH = 1100
# a window is somewhat lower than asked for in some versions of the browser
_SLACK = 200


def check_output(path: str | Path, *, suffixes: Sequence[str] = (".html", ".png"), overwrite: bool = False) -> Path:
    """Check, before any work, that a figure can be written to `path`.

    Parameters
    ----------
    path : str or Path
        The file.
    suffixes : sequence of str
        Endings that are allowed.
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
    path = _named(path)
    shown = f"output={str(path)!r}"
    if path.suffix not in suffixes:
        raise SpecentError(f"{shown} must end in {' or '.join(suffixes)}")
    arguments.flag(overwrite, "overwrite")
    try:
        if not path.parent.is_dir():
            raise SpecentError(f"{shown}: the folder {str(path.parent)!r} does not exist; make it first")
        if path.is_dir():
            raise SpecentError(f"{shown} is a folder; give the name of a file")
        _spare(path, overwrite)
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise SpecentError(f"{shown}: the folder cannot be written to ({error.strerror})") from error
    if path.suffix == ".png":
        browser()
    return path


def _named(path: str | Path) -> Path:
    """The file of that name, if it is one that a file can have."""
    try:
        found = Path(path).expanduser()
        long = len(str(found).encode()) > 4000 or len(found.name.encode()) > 255
    except (TypeError, RuntimeError, UnicodeError) as error:
        raise SpecentError(f"output={brief(path)} is not the name of a file ({error})") from error
    if long or "\0" in str(found):
        raise SpecentError(f"output={brief(path)} is too long, or holds a zero byte; choose another name")
    return found


def _spare(path: Path, overwrite: bool) -> None:
    if path.exists() and not overwrite:
        raise SpecentError(f"output={str(path)!r} exists; choose another name, or pass overwrite=True to replace it")


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


def put(data: bytes, path: Path, *, overwrite: bool = False) -> Path:
    """Write a file whole or not at all.

    Raises
    ------
    SpecentError
        If it cannot be written, or has come to exist since it was checked.
    """
    name = ""
    try:
        # the name of the file may be as long as names can be
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=".specent-", suffix=path.suffix)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        # mkstemp makes private files; a figure is an ordinary one
        os.chmod(name, 0o666 & ~_umask())
        _spare(path, overwrite)
        os.replace(name, path)
    except OSError as error:
        raise SpecentError(f"output={str(path)!r} could not be written ({error.strerror or error})") from error
    finally:
        if name:
            Path(name).unlink(missing_ok=True)
    return path


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


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

    path = check_output(path, suffixes=(".png",), overwrite=overwrite)
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
        return put(shot.read_bytes(), path, overwrite=overwrite)


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
