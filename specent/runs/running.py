"""Running a plan: the folder is prepared, and the shards that are missing are sampled into it."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tqdm.auto import tqdm

from specent import arguments, files, memory
from specent.analysis.bootstrap import GROUP
from specent.archive.folding import fold
from specent.archive.run_folder import RECORD, SET_ASIDE, STATISTICS, RunFolder
from specent.archive.run_lock import locked
from specent.archive.sealing import refuse_other_name
from specent.archive.shards import Shard, ShardGrid
from specent.errors import SpecentError, SpecentWarning
from specent.files import as_path
from specent.models.base import named_device
from specent.runs.carrying_out import Engine, carry_out, one_after_the_other
from specent.runs.keeping import Keeping, keeping
from specent.runs.plan import Plan, plan_difference
from specent.runs.shards import Workload
from specent.sampling.sampler import Execution

if TYPE_CHECKING:
    from distributed import Client


def run(
    plan: Plan,
    folder: str | os.PathLike[str],
    *,
    client: Client | str | None = None,
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
    one lazy dataset, also while it is being written. Statistics of neighbouring shards are added up in one file.

    Parameters
    ----------
    plan : Plan
        What is sampled.
    folder : str or path-like
        The folder of the run: new, empty, or of the same plan.
    client : distributed.Client or str, optional
        A Dask cluster whose workers sample the shards, one task each: a client, the address of its scheduler, or
        ``"local"`` for processes of this machine. By default this process samples them, one after the other.
    shard : int, optional
        Samples of each class in a shard; of a folder that exists it cannot be changed. By default 50 or more, so that
        there are not many more than a thousand shards. Of a run that keeps statistics a multiple of 25.
    device, batch_size, compiled, threads, check, progress
        As in `specent.sample`. By default a batch is a shard, or what fits into memory of it. With a `client` the
        device is one of each worker, and the number of threads that of each worker by default.

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
    # the workers of a cluster may have what this machine lacks
    setup = plan.setup(device if client is None else "cpu")
    # whatever is kept of them, their numbers are coordinates
    memory.check_fits(32 * setup.samples, f"samples={setup.samples}: their numbers", "take fewer")
    device_type = named_device(device).type
    execution = Execution(batch_size, plan.precision, compiled, threads, check)
    shows = arguments.flag(progress, "progress")
    size = None if shard is None else arguments.whole(shard, "shard", least=1, most=10**9)
    if plan.statistics is not None and size is not None and size % GROUP:
        raise SpecentError(f"shard={size}: statistics are kept of groups of {GROUP} samples; take a multiple of it")
    kept = keeping(setup, execution, plan.statistics)
    with _engine(client, plan, device) as engine:
        path = _folder(folder)
        with locked(path):
            there = _prepared(path, plan, kept, device_type, size)
            wanted = _wanted(there, setup.samples)
            if wanted:
                classes = max(shard.class_stop - shard.class_start for shard in wanted)
                kept.refuse_if_too_large((classes, max(shard.sample_stop - shard.sample_start for shard in wanted)))
            try:
                if wanted:
                    carry_out(Workload(kept, there, wanted), engine, shows=shows)
            finally:
                _sweep(path)
            if there.kind == STATISTICS:
                fold(there, everything=True)
    return path


@contextmanager
def _engine(client: Client | str | None, plan: Plan, device: str) -> Iterator[Engine]:
    """What samples the shards: this process, or the workers of a cluster."""
    if client is None:
        yield one_after_the_other
        return
    try:
        from specent.runs import cluster
    except ImportError as error:
        raise SpecentError(f"client: clusters are Dask's ({error}): pip install distributed") from error
    with cluster.engine(client, plan, device) as engine:
        yield engine


def _folder(folder: str | os.PathLike[str]) -> Path:
    """The folder, which is made if it is not there."""
    path = as_path(folder, "folder")
    refuse_other_name(path, "folder")
    try:
        path.mkdir(parents=True, exist_ok=True)
        with os.scandir(path) as entries:
            is_link = {entry.name: entry.is_symlink() for entry in entries}
        foreign = not (path / RECORD).exists() and any(not name.startswith(".") for name in is_link)
    except OSError as error:
        raise SpecentError(f"folder={str(path)!r} cannot be made ({error.strerror}); choose another") from error
    link = next((name for name in is_link if is_link[name]), None)
    if link is not None:
        raise SpecentError(
            f"folder={str(path)!r} holds a symbolic link, {link!r}, through which files elsewhere could be written; "
            "remove it"
        )
    if foreign:
        raise SpecentError(f"folder={str(path)!r} holds other files and no run; choose a new folder, or an empty one")
    resolved = path.resolve()
    refuse_other_name(resolved, "folder")
    return resolved


def _sweep(path: Path) -> None:
    """Remove what killed processes left behind."""
    for leftover in [*path.glob(".shard-*.tmp"), *path.glob(f".{RECORD}.*.tmp")]:
        leftover.unlink(missing_ok=True)


def _prepared(path: Path, plan: Plan, kept: Keeping, device: str, size: int | None) -> RunFolder:
    """The run folder with a ``run.json`` of this plan, in which leftovers of an interrupted run are swept away."""
    _sweep(path)
    setup, attributes = kept.setup, kept.attributes(device)
    if not (path / RECORD).exists():
        block = kept.block() if size is None else (1, size)
        grid = ShardGrid(len(setup.drivers), (setup.samples,), block)
        there = RunFolder(path, plan.definition, grid, attributes)
        files.write_whole(there.text(), path / RECORD)
        return there
    there = RunFolder.read(path)
    difference = plan_difference(there.plan, plan.definition)
    kind = str(attributes["specent_kind"])
    if there.kind != kind:
        difference = f"record is {there.kind!r} there and {kind!r} here"
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


def _wanted(there: RunFolder, samples: int) -> list[Shard]:
    """The shards of so many samples that are not there, or not good; a file that is not good is set aside."""
    good = []
    # on a terminal, and only if it takes more than a moment
    for shard in tqdm(there.files(), desc="validating shards", disable=None, leave=False, delay=2):
        if fault := there.fault(shard):
            _set_aside(there.file(shard), fault)
        else:
            good.append(shard)
    return [shard for shard in there.missing(good) if shard.sample_start < samples]


def _set_aside(file: Path, fault: str) -> None:
    aside = file.parent / SET_ASIDE
    try:
        aside.mkdir(exist_ok=True)
    except OSError as error:
        raise SpecentError(f"{str(aside)!r} is needed for shards that are damaged, but {error.strerror}") from error
    number = next(i for i in range(1, 10**6) if not (aside / f"{file.stem}.{i}.nc").exists())
    files.move(file, aside / f"{file.stem}.{number}.nc")
    files.write_whole(fault + "\n", aside / f"{file.stem}.{number}.txt")
    warnings.warn(
        f"{file.name} was set aside in {SET_ASIDE}/ and is sampled again; what is wrong with it: {fault}",
        SpecentWarning,
        stacklevel=4,
    )
