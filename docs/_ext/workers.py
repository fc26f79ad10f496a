"""Two processes that write what the pages show. Each imports the package once, and computes with one thread."""

from __future__ import annotations

import contextlib
import io
import os
import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

# as many as the documentation may take cores
PROCESSES = 2


@contextlib.contextmanager
def pool() -> Iterator[ProcessPoolExecutor]:
    """The processes; an error in one of their tasks ends those that wait."""
    # new processes, for a copy of this one would not know of the threads of its libraries
    with ProcessPoolExecutor(PROCESSES, get_context("spawn")) as executor:
        try:
            yield executor
        except BaseException:
            executor.shutdown(wait=False, cancel_futures=True)
            raise


def results(executor: ProcessPoolExecutor, function: Callable[..., Any], tasks: Iterable[tuple[Any, ...]]) -> list[Any]:
    """What a function returns for the arguments of each task, in their order."""
    futures: list[Future[Any]] = [executor.submit(function, *task) for task in tasks]
    return [future.result() for future in futures]


@contextlib.contextmanager
def inside(folder: Path) -> Iterator[None]:
    """Work in a folder."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def command(line: str, folder: Path) -> None:
    """Run a line such as `specent run digits` in a folder."""
    from specent.command import main

    said = io.StringIO()
    with inside(folder), warnings.catch_warnings(), contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        code = main(line.removeprefix("specent ").split())
    if code:
        raise RuntimeError(f"{line}: {said.getvalue()[-2000:]}")
