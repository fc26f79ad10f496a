"""Processes that write under adverse conditions; run as a script, so that nothing of it touches the tests' process."""

from __future__ import annotations

import errno
import os
import pickle
import resource
import signal
import sys
import time
from pathlib import Path

import dask.array  # noqa: F401  (all imports before the children are forked, so that each starts to write at once)
import numpy as np

from specent import archive
from specent.errors import ArchiveError


def _write(dataset: object, path: Path, pipe: int) -> None:
    """In a child: say that writing begins, write, and leave without cleaning up."""
    os.write(pipe, b"x")
    archive.write(dataset, path, overwrite=True)
    os._exit(0)


def _spawn(dataset: object, path: Path) -> tuple[int, int]:
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            _write(dataset, path, writer)
        finally:
            os._exit(1)
    os.close(writer)
    os.read(reader, 1)
    os.close(reader)
    return child, time.monotonic_ns()


def crash(dataset: object, folder: Path, times: int) -> None:
    """Kill `times` writers, each at a random instant of the time that one needs; print how many died of it."""
    child, start = _spawn(dataset, folder / "warm.nc")
    os.waitpid(child, 0)
    child, start = _spawn(dataset, folder / "measured.nc")
    assert os.waitpid(child, 0)[1] == 0
    duration = (time.monotonic_ns() - start) * 1e-9
    killed = 0
    for i, share in enumerate(np.random.default_rng(0).permutation((np.arange(times) + 0.5) / times)):
        child, start = _spawn(dataset, folder / f"{i}.nc")
        time.sleep(max(share * duration - (time.monotonic_ns() - start) * 1e-9, 0.0))
        os.kill(child, signal.SIGKILL)
        killed += os.WIFSIGNALED(os.waitpid(child, 0)[1])
    sys.stdout.write(f"{killed} {duration}\n")


def race(dataset: object, folder: Path, times: int) -> None:
    """Let two writers loose on one path, `times` times; print how many of each two reported success.

    First with hard links, and then as on a file system that has none.
    """
    for i in range(2 * times):
        if i == times:
            os.link = _no_link
        gate, opener = os.pipe()
        children = [_contend(dataset, folder / f"{i}.nc", gate, opener) for _ in range(2)]
        os.close(gate)
        os.close(opener)
        done = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
        assert set(done) <= {0, 3}, done
        sys.stdout.write(f"{done.count(0)}\n")


def _contend(dataset: object, path: Path, gate: int, opener: int) -> int:
    """A child that starts to write when the gate is closed, and says by its status whether it succeeded."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.close(opener)
            os.read(gate, 1)
            archive.write(dataset, path)
            status = 0
        except ArchiveError as error:
            status = 3 if "exists; pass overwrite=True" in str(error) else 4
        finally:
            os._exit(status)
    return child


def _no_link(*_: object) -> None:
    raise OSError(errno.EPERM, "Operation not permitted")


def full(dataset: object, folder: Path) -> None:
    """Write with a limit on the size of files, which acts as a full disk does."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
    try:
        archive.write(dataset, folder / "a.nc")
    except ArchiveError as error:
        sys.stdout.write(str(error))


if __name__ == "__main__":
    given = pickle.loads(Path(sys.argv[2]).read_bytes())
    if sys.argv[1] == "crash":
        crash(given, Path(sys.argv[3]), int(sys.argv[4]))
    elif sys.argv[1] == "race":
        race(given, Path(sys.argv[3]), int(sys.argv[4]))
    else:
        full(given, Path(sys.argv[3]))
