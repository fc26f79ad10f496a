"""Files that stay open while several of their variables are read: to open a file takes longer than to read a small one.

A file is open for a moment only, within `kept_open`, because one that stays open cannot be written by others.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import netCDF4

from specent.archive.locking import LIBRARY

# files that are open at a time: small shards are read several together
_MOST = 16


class _Kept(threading.local):
    """The files that this thread keeps open, the one that was opened last at the end."""

    def __init__(self) -> None:
        self.depth = 0
        self.files: dict[Path, netCDF4.Dataset] = {}

    def close(self, count: int) -> None:
        """Close all files but the last few."""
        with LIBRARY:
            while len(self.files) > count:
                self.files.pop(next(iter(self.files))).close()


_KEPT = _Kept()


@contextmanager
def kept_open() -> Iterator[None]:
    """Within it, files that this thread opens by `opened` stay open, the last few of them."""
    _KEPT.depth += 1
    try:
        yield
    finally:
        _KEPT.depth -= 1
        if not _KEPT.depth:
            _KEPT.close(0)


@contextmanager
def opened(path: Path) -> Iterator[netCDF4.Dataset]:
    """A file, open for reading. The library's lock is held meanwhile."""
    with LIBRARY:
        if not _KEPT.depth:
            with netCDF4.Dataset(path) as file:
                yield file
            return
        if path not in _KEPT.files:
            _KEPT.close(_MOST - 1)
            _KEPT.files[path] = netCDF4.Dataset(path)
        yield _KEPT.files[path]
