"""Carrying a workload out, whichever engine does the work: failures are collected, and an interruption is no loss.

An engine is a function that samples the shards of a workload and yields what came of each. That of a single process is
`one_after_the_other`.
"""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from types import FrameType
from typing import Protocol

from specent.archive.folding import fold
from specent.archive.run_folder import STATISTICS
from specent.errors import SpecentError
from specent.runs.shards import ShardOutcome, Workload, try_shard
from specent.sampling.sampler import ready

Stopped = Callable[[], bool]
"""Whether no further shard is to be begun."""


class Engine(Protocol):
    """What samples the shards of a workload."""

    def __call__(self, work: Workload, stopped: Stopped, *, shows: bool) -> Generator[ShardOutcome]:
        """Sample the shards; yield the outcome of each that was begun, in any order.

        Parameters
        ----------
        work : Workload
            What there is to do.
        stopped : callable
            True from the moment on from which no further shard is to be begun.
        shows : bool
            Whether to show a progress bar.

        Yields
        ------
        ShardOutcome
        """
        ...


def carry_out(work: Workload, engine: Engine, *, shows: bool) -> None:
    """Have an engine sample the shards of a workload; one that fails is left out, and named at the end.

    Raises
    ------
    KeyboardInterrupt
        If the user wished it to stop and shards are left.
    SpecentError
        If shards failed: the others are done then.
    """
    failures: dict[str, str] = {}
    ended = 0
    with _stoppable() as stopped, closing(engine(work, stopped, shows=shows)) as outcomes:
        for outcome in outcomes:
            ended += 1
            if outcome.failure:
                failures[outcome.shard.name] = outcome.failure
            if work.folder.kind == STATISTICS:
                fold(work.folder)
    wanted = len(work.shards)
    if ended < wanted:
        done = f"{ended - len(failures)} of {wanted} missing shards were done"
        raise KeyboardInterrupt(f"stopped after a shard: {done}; run it again to go on")
    if failures:
        name, reason = min(failures.items())
        more = f", and {len(failures) - 1} more" if len(failures) > 1 else ""
        raise SpecentError(
            f"{len(failures)} of {wanted} shards failed, the others are done: {name}{more}: {reason}; repair the "
            "model and run it again, which samples these alone"
        )


def one_after_the_other(work: Workload, stopped: Stopped, *, shows: bool) -> Generator[ShardOutcome]:
    """The engine of a single process: one shard after the other."""
    with (
        ready(work.setup, work.execution) as sampler,
        sampler.progress(work.evaluations(), work.trajectories, shows) as bar,
    ):
        for number, shard in enumerate(work.shards):
            if stopped():
                return
            before = bar.n
            outcome = try_shard(sampler, work.kept, work.folder, shard, bar, looks=number == 0)
            if outcome.failure:  # on the way
                bar.update(before + work.evaluations(shard) - bar.n)
            yield outcome


@contextmanager
def _stoppable() -> Iterator[Stopped]:
    """Turn the first interruption from the keyboard into a wish to stop after the shards that are being worked on."""
    wished = False

    def wish(_number: int, _frame: FrameType | None) -> None:
        nonlocal wished
        if wished:
            raise KeyboardInterrupt
        wished = True
        sys.stderr.write("\nspecent: stopping when the shards at work are done; interrupt again to stop at once\n")

    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    before = signal.signal(signal.SIGINT, wish)
    try:
        yield lambda: wished
    finally:
        signal.signal(signal.SIGINT, before)
