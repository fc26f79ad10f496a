"""Names of files, checked before anything else touches them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from specent.arguments import brief
from specent.errors import ArchiveError

SUFFIX = ".nc"
_LONGEST = 255  # bytes of one name, on every common file system


def as_path(path: Any, argument: str = "path") -> Path:
    """The argument as a path that the operating system can be asked about, ``~`` expanded.

    Examples
    --------
    >>> as_path("runs.nc").name
    'runs.nc'
    """
    text = os.fspath(path) if isinstance(path, os.PathLike) else path
    if not isinstance(text, str):
        raise ArchiveError(f"{argument}={brief(path)} is a {type(path).__name__}; give the name of a file as text")
    if not text or "\0" in text or any("\ud800" <= letter <= "\udfff" for letter in text):
        raise ArchiveError(f"{argument}={brief(path)} cannot be the name of a file; choose another")
    try:
        found = Path(text).expanduser()
    except RuntimeError as error:
        raise ArchiveError(f"{argument}={text!r}: there is no such user ({error}); write the folder out") from error
    for part in found.parts:
        if len(part.encode()) > _LONGEST:
            raise ArchiveError(
                f"{argument}={brief(text)} holds the name {brief(part)} of {len(part.encode())} bytes; shorten it to "
                f"{_LONGEST} at most"
            )
    return found


def output(path: Any, overwrite: bool) -> Path:
    """The absolute path to write to: symbolic links are followed, and what they lead to is what is checked."""
    given = as_path(path)
    try:
        target = given.resolve()
        folder, taken, is_folder = target.parent.is_dir(), target.exists(), target.is_dir()
    except (OSError, RuntimeError) as error:  # a loop of links, no permission to look
        raise ArchiveError(f"path={str(given)!r} cannot be followed ({error}); choose another") from error
    leads = "" if target == given.absolute() else f" leads to {str(target)!r}, which"
    if target.suffix != SUFFIX:
        raise ArchiveError(f"path={str(given)!r}{leads} must end in {SUFFIX!r}")
    if not folder:
        raise ArchiveError(f"path={str(given)!r}: the folder {str(target.parent)!r} does not exist; make it first")
    if is_folder:
        raise ArchiveError(f"path={str(given)!r}{leads} is a folder; choose another name")
    if taken and not overwrite:
        raise ArchiveError(f"path={str(given)!r}{leads} exists; pass overwrite=True to replace it")
    return target


def publish(temporary: Path, target: Path, overwrite: bool) -> None:
    """Give a finished file its name, in one step that either replaces, or fails if the name is taken."""
    if overwrite:
        os.replace(temporary, target)
        return
    try:
        _link(temporary, target)
    except FileExistsError as error:
        raise ArchiveError(f"path={str(target)!r} exists; pass overwrite=True to replace it") from error


def _link(temporary: Path, target: Path) -> None:
    try:
        os.link(temporary, target)
        return
    except FileExistsError:
        raise
    except OSError:  # no hard links on this file system: reserve the name first
        os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    try:
        os.replace(temporary, target)
    except OSError:
        target.unlink(missing_ok=True)
        raise
