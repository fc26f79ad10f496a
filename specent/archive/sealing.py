"""The seal: a last line of text with the SHA-256 of everything before it.

HDF5 finds the end of its data in its own header and ignores what follows. Without this package the seal is checked by
``head -c -81 FILE | sha256sum`` beside ``tail -c 81 FILE``; it takes about 0.6 s for each GB of file.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import BinaryIO

from specent.errors import ArchiveError
from specent.untrusted import open_regular

SIGNATURE = b"\x89HDF\r\n\x1a\n"
_PREFIX = b"\nspecent sha256 "
LENGTH = len(_PREFIX) + 64 + 1
_BUFFER = 1 << 22


def seal(path: Path) -> None:
    """Append the seal to a closed file."""
    with path.open("r+b") as file:
        digest = _digest(file, os.fstat(file.fileno()).st_size)
        file.seek(0, os.SEEK_END)
        file.write(_line(digest))


def refuse_other_name(path: Path, argument: str = "path") -> None:
    """Refuse a path of which the netCDF library makes another one: it takes a backslash for a slash.

    Raises
    ------
    ArchiveError
        If there is a backslash in it, or in the path of the folder that it is relative to.
    """
    if "\\" in str(path.absolute()):
        raise ArchiveError(
            f"{argument}={str(path)!r}: the netCDF library takes a backslash for a slash, and {str(path.absolute())!r} "
            "for another file; choose a name and folders without"
        )


def check_signature(path: Path) -> None:
    """Raise `ArchiveError` unless `path` is a readable file that begins as a netCDF-4 file does."""
    refuse_other_name(path)
    try:
        if not path.exists():
            raise ArchiveError(f"path={str(path)!r} does not exist; check the name and the folder")
        with open_regular(path) as file:
            start = file.read(len(SIGNATURE))
    except OSError as error:
        raise ArchiveError(f"path={str(path)!r} cannot be read: {error.strerror}") from error
    if start != SIGNATURE:
        raise ArchiveError(f"path={str(path)!r} is not a netCDF-4 file; it begins with {start!r}")


def check_seal(path: Path) -> None:
    """Read the whole file and raise `ArchiveError` unless it ends in its own seal."""
    try:
        with open_regular(path) as file:
            length = os.fstat(file.fileno()).st_size - LENGTH
            file.seek(max(length, 0))
            last_line = file.read()
            file.seek(0)
            expected = _line(_digest(file, length))
    except OSError as error:
        raise ArchiveError(f"path={str(path)!r} cannot be read: {error.strerror}") from error
    if not last_line.startswith(_PREFIX):
        raise ArchiveError(
            f"path={str(path)!r} does not end in a seal: it was cut short, altered by another program, or not written "
            "by sp.write; fetch or compute it again, or, if you trust it, seal a copy: "
            "sp.write(sp.open(path, verify=False), new_path)"
        )
    if last_line != expected:
        raise ArchiveError(
            f"path={str(path)!r} is damaged or was altered: its bytes do not match the SHA-256 in its last line; "
            "fetch or compute it again"
        )


def ends_in_seal(path: Path) -> bool:
    """Whether a file is there and ends as a sealed one does; not whether the seal is right, which takes longer."""
    try:
        with open_regular(path) as file:
            file.seek(-LENGTH, os.SEEK_END)
            return file.read().startswith(_PREFIX)
    except OSError:
        return False


def _line(digest: str) -> bytes:
    return _PREFIX + digest.encode() + b"\n"


def _digest(file: BinaryIO, length: int) -> str:
    """SHA-256 of the first `length` bytes from where the file stands."""
    digest = hashlib.sha256()
    while length > 0 and (block := file.read(min(_BUFFER, length))):
        digest.update(block)
        length -= len(block)
    return digest.hexdigest()
