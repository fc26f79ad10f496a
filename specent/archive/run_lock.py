"""The lock of a run folder: one process carries a run out, and one that died is no obstacle.

The lock is held by the operating system on an open file, so it goes with the process that held it, however that ended;
what stands in the file is for people.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from specent.errors import SpecentError

NAME = ".lock"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of a run folder.

    Raises
    ------
    SpecentError
        If another process holds it, or the folder cannot be written to.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as name, locked(Path(name)):
    ...     Path(name, NAME).exists()
    True
    """
    try:
        descriptor = _opened(folder, os.O_RDWR | os.O_CREAT)
    except OSError as error:
        raise SpecentError(
            f"folder={str(folder)!r} cannot be written to ({error.strerror}); choose another folder"
        ) from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise SpecentError(
                f"folder={str(folder)!r} is being written by {_holder(descriptor)}; wait for it, or stop it first"
            ) from error
        except OSError as error:
            raise SpecentError(
                f"folder={str(folder)!r}: its file system has no locks ({error.strerror}), so two runs could not be "
                "told apart; choose a folder on another"
            ) from error
        note = {
            "process": os.getpid(),
            "host": socket.gethostname(),
            "since": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        }
        try:
            os.truncate(descriptor, 0)
            os.pwrite(descriptor, json.dumps(note).encode(), 0)
        except OSError as error:
            raise SpecentError(
                f"folder={str(folder)!r} cannot be written to ({error.strerror}); is the disk full?"
            ) from error
        yield
    finally:
        os.close(descriptor)


def _opened(folder: Path, flags: int) -> int:
    """The file of the lock: neither a link, which may lead to a file of somebody else, nor a pipe, which may block."""
    descriptor = os.open(folder / NAME, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o666)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, f"{NAME} is no regular file", str(folder / NAME))
    return descriptor


def _holder(descriptor: int) -> str:
    """Who wrote the note, in words."""
    try:
        note = json.loads(os.pread(descriptor, 4096, 0))
        return f"process {int(note['process'])} on {str(note['host'])!r} since {str(note['since'])!r}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"


def is_held(folder: Path) -> bool:
    """Whether a process is carrying out the run of a folder now."""
    try:
        descriptor = _opened(folder, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return False
