"""Carrying a plan out: the shards that are missing are sampled, one after the other, into the folder of the run."""

from __future__ import annotations

import math
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from tqdm.auto import tqdm

from specent import archive, arguments, files, schema
from specent.archive.run_folder import RECORD, SET_ASIDE, RunFolder
from specent.archive.run_lock import locked
from specent.archive.shards import Shard, ShardGrid, suitable_block
from specent.errors import ModelError, SpecentError, SpecentWarning
from specent.files import as_path
from specent.runs.plan import Plan, first_difference
from specent.sampling.dataset import trajectories_dataset
from specent.sampling.sampler import Execution, Sampler, empty_result, ready, refuse_impossible_result, result_bytes
from specent.sampling.setup import Setup

_SHARD_BYTES = 64 << 20
# of the network's outputs: a second or more
_SHARD_NUMBERS = 1 << 25
_MOST_SHARDS = 1000


def run(
    plan: Plan,
    folder: str | os.PathLike[str],
    *,
    shard: int | None = None,
    device: str = "cpu",
    batch_size: int | None = None,
    compiled: bool = False,
    threads: int | None = None,
    check: bool = True,
    progress: bool = True,
) -> Path:
    """Carry a plan out in shards, each a sealed archive in a folder; what is there already is kept.

    The folder gets ``run.json``, which says what the run is, and ``shard-*.nc``. A run that was interrupted, however,
    goes on where it stopped when it is called again: shards that are missing, damaged or of another plan are sampled,
    and no others. With more `samples` in the plan, the new ones are added. `specent.open` opens the folder as
    one lazy dataset, also while it is being written.

    Parameters
    ----------
    plan : Plan
        What is sampled.
    folder : str or path-like
        The folder of the run: new, empty, or of the same plan.
    shard : int, optional
        Samples of each class in a shard; of a folder that exists it cannot be changed. By default 50 or more, so that
        there are not many more than a thousand shards.
    device, batch_size, compiled, threads, check, progress
        As in `specent.sample`. By default a batch is a shard, or what fits into memory of it.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    SpecentError
        If an argument cannot be used, the folder holds another plan (the first difference is named) or anything else,
        another process is writing to it, or shards failed: the others are done then.

    Warns
    -----
    SpecentWarning
        As `specent.sample`; and if a damaged shard was set aside.

    Examples
    --------
    >>> import tempfile, specent as sp
    >>> mix = sp.exact.GaussianMixture([[-4.0], [4.0]], labels=["left", "right"])
    >>> plan = Plan(sp.models.mixture(mix), sp.schedules.VE(), sp.schedules.edm_grid(8), samples=100)
    >>> with tempfile.TemporaryDirectory() as name:
    ...     sp.open(run(plan, name, progress=False)).sizes["sample"]
    100
    """
    arguments.instance(plan, Plan, "plan", "pass a specent.Plan")
    setup = plan.setup(device)
    execution = Execution(batch_size, plan.precision, compiled, threads, check)
    shows = arguments.flag(progress, "progress")
    size = None if shard is None else arguments.whole(shard, "shard", least=1, most=10**9)
    path = _folder(folder)
    with locked(path):
        there = _prepared(path, plan, setup, execution, size)
        block = setup.part(setup.drivers[: there.grid.block[0]], 0, min(there.grid.block[1], setup.samples))
        refuse_impossible_result(block, execution, "a shard", "make it smaller, shard=50 or less")
        wanted = _wanted(there)
        if wanted:
            with ready(setup, execution) as sampler:
                _carry_out(sampler, there, wanted, shows)
    return path


def _folder(folder: str | os.PathLike[str]) -> Path:
    """The folder, which is made if it is not there."""
    path = as_path(folder, "folder")
    try:
        path.mkdir(parents=True, exist_ok=True)
        foreign = not (path / RECORD).exists() and any(not name.startswith(".") for name in os.listdir(path))
    except OSError as error:
        raise SpecentError(f"folder={str(path)!r} cannot be made ({error.strerror}); choose another") from error
    if foreign:
        raise SpecentError(f"folder={str(path)!r} holds other files and no run; choose a new folder, or an empty one")
    return path.resolve()


def _prepared(path: Path, plan: Plan, setup: Setup, execution: Execution, size: int | None) -> RunFolder:
    """The run folder with a ``run.json`` of this plan, in which leftovers of an interrupted run are swept away."""
    for leftover in [*path.glob(".shard-*.tmp"), *path.glob(f".{RECORD}.*.tmp")]:
        leftover.unlink(missing_ok=True)
    attributes = trajectories_dataset(empty_result(setup), setup, execution.settings(setup)).attrs
    if not (path / RECORD).exists():
        found = _block(setup)
        block = found if size is None else (1, size)
        grid = ShardGrid(len(setup.drivers), (setup.samples,), block)
        there = RunFolder(path, plan.definition, grid, attributes)
        files.write_whole(there.text(), path / RECORD)
        return there
    there = RunFolder.read(path)
    difference = first_difference(there.plan, plan.definition)
    if difference:
        raise SpecentError(
            f"folder={str(path)!r} holds the run of another plan: {difference}; choose another folder, or the same plan"
        )
    if size is not None and size != there.grid.block[1]:
        raise SpecentError(f"shard={size}: the run has shards of {there.grid.block[1]} samples; leave the argument out")
    if setup.samples > there.grid.sizes[-1]:
        there = RunFolder(path, there.plan, there.grid.grown(setup.samples), attributes)
        files.write_whole(there.text(), path / RECORD, overwrite=True)
    return there


def _block(setup: Setup) -> tuple[int, int]:
    """Classes and samples of a shard: seconds of work at least, and no more than a moderate file."""
    each = math.prod((len(setup.guidance), len(setup.time), len(setup.candidates), setup.features))
    most = max(1, _SHARD_BYTES // result_bytes(setup.part(setup.drivers[:1], 0, 1)))
    return suitable_block(len(setup.drivers), setup.samples, _SHARD_NUMBERS // each, most, _MOST_SHARDS)


def _wanted(there: RunFolder) -> list[Shard]:
    """The shards that are not there, or not good; a file that is not good is set aside."""
    wanted = []
    # on a terminal, and only if it takes more than a moment
    for shard in tqdm(there.grid.shards, desc="checking shards", disable=None, leave=False, delay=2):
        file = there.file(shard)
        if not file.exists():
            wanted.append(shard)
        elif fault := there.fault(shard):
            _set_aside(file, fault)
            wanted.append(shard)
    return wanted


def _set_aside(file: Path, fault: str) -> None:
    aside = file.parent / SET_ASIDE
    aside.mkdir(exist_ok=True)
    number = next(i for i in range(1, 10**6) if not (aside / f"{file.stem}.{i}.nc").exists())
    files.move(file, aside / f"{file.stem}.{number}.nc")
    files.write_whole(fault + "\n", aside / f"{file.stem}.{number}.txt")
    warnings.warn(
        f"{file.name} is sampled again; it was set aside in {SET_ASIDE}/, for {fault}", SpecentWarning, stacklevel=4
    )


def _carry_out(sampler: Sampler, there: RunFolder, wanted: Sequence[Shard], shows: bool) -> None:
    """Sample the shards; one that fails is left out, and named at the end."""
    setup = sampler.setup
    each = setup.evaluations // setup.trajectories
    count = sum(shard.trajectories for shard in wanted)
    failures: dict[str, str] = {}
    with sampler.progress(each * count, count, shows) as bar, _stoppable() as stopped:
        for number, shard in enumerate(wanted):
            if stopped():
                done = f"{number - len(failures)} of {len(wanted)} missing shards were done"
                raise KeyboardInterrupt(f"stopped after a shard: {done}; run it again to go on")
            before = bar.n
            try:
                _sample_shard(sampler, there, shard, bar, looks=number == 0)
            except ModelError as error:
                failures[shard.name] = str(error)
                bar.update(before + each * shard.trajectories - bar.n)
    if failures:
        name, reason = next(iter(failures.items()))
        more = f", and {len(failures) - 1} more" if len(failures) > 1 else ""
        raise SpecentError(
            f"{len(failures)} of {len(wanted)} shards failed, the others are done: {name}{more}: {reason}; repair the "
            "model and run it again, which samples these alone"
        )


def _sample_shard(sampler: Sampler, there: RunFolder, shard: Shard, bar: tqdm[Any], looks: bool) -> None:
    drivers = there.classes[shard.class_start : shard.class_stop]
    part = sampler.setup.part(drivers, shard.sample_start, shard.sample_stop)
    dataset = sampler.sample(part, bar, looks)
    dataset = schema.with_settings(dataset, plan_sha256=there.plan_sha256, shard=shard.name)
    archive.write(schema.compact(dataset), there.file(shard))


@contextmanager
def _stoppable() -> Iterator[Callable[[], bool]]:
    """Turn the first interruption from the keyboard into a wish to stop after the shard that is being worked on."""
    wished = False

    def wish(_number: int, _frame: FrameType | None) -> None:
        nonlocal wished
        if wished:
            raise KeyboardInterrupt
        wished = True
        sys.stderr.write("\nspecent: stopping after this shard; interrupt again to stop at once\n")

    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    before = signal.signal(signal.SIGINT, wish)
    try:
        yield lambda: wished
    finally:
        signal.signal(signal.SIGINT, before)
