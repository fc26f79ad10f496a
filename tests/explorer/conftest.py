"""Explorers whose work is done at once, in the thread of the test."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import xarray as xr

import specent as sp
from specent.explorer.app import Explorer
from specent.explorer.computing import Computing
from specent.explorer.source import open_source
from specent.explorer.state import State
from specent.explorer.work import Job

MakeExplorer = Callable[..., Explorer]


class AtOnce:
    """Instead of a thread: does every job when it is submitted."""

    busy = False

    def submit(self, job: Job) -> None:
        job(lambda: False)

    def close(self) -> None:
        pass


@pytest.fixture(scope="session")
def example_runs() -> xr.Dataset:
    """Trajectories of cat, dog and car in memory."""
    with sp.archive.example() as runs:
        return runs.load()


@pytest.fixture
def explorer(example_runs: xr.Dataset) -> MakeExplorer:
    """An explorer of a dataset or path, the example by default, that has drawn its first state unless told not to."""

    def make(
        what: object = None, moved: Callable[[State], None] = lambda _: None, start: bool = True, **state: object
    ) -> Explorer:
        source = open_source(example_runs if what is None else what)  # type: ignore[arg-type]
        one = Explorer(Computing(source), State(**state), lambda function: function(), moved)  # type: ignore[arg-type]
        one.quick = one.slow = AtOnce()  # type: ignore[assignment]
        if start:
            one.start()
        return one

    return make
