"""The lock around the netCDF and HDF5 libraries, which are not safe to use from several threads at once."""

from __future__ import annotations

import threading
from types import TracebackType


class LibraryLock:
    """A lock that the thread holding it may acquire again; a copy of it in another process is the lock there.

    Data that are read lazily keep the lock with them, and must be picklable for schedulers of several processes.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()

    def acquire(self, blocking: bool = True) -> bool:
        """Wait for the lock, or try it."""
        return self._lock.acquire(blocking)

    def release(self) -> None:
        """Let other threads go on."""
        self._lock.release()

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lock.release()

    def __reduce__(self) -> str:
        return "LIBRARY"


LIBRARY = LibraryLock()
"""Held around every call of the library, by this package and by xarray on the files that it opened."""
