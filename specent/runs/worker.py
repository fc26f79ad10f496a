"""What a worker of a Dask cluster does: it gets the plan once, makes its network ready once, and samples shards.

The plan comes in a plugin, which the scheduler also sends to workers that join later, so none is without it. A process
samples one shard at a time, whatever the number of its threads: torch takes those.
"""

from __future__ import annotations

import signal
import threading
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cloudpickle
import torch
from distributed import Worker, WorkerPlugin, get_worker
from tqdm.auto import tqdm

import specent
from specent.archive.run_folder import RunFolder
from specent.archive.shards import Shard
from specent.errors import ModelError, SpecentError, SpecentWarning
from specent.runs.keeping import Keeping, keeping
from specent.runs.plan import Plan
from specent.runs.shards import ShardOutcome, try_shard
from specent.sampling.sampler import Execution, Sampler, prepared
from specent.sampling.threads import limited

ONE_AT_A_TIME = threading.Lock()
"""Held while a shard is sampled: arithmetic and the filters of warnings are those of a process, so it does one."""


@dataclass(frozen=True)
class WorkerReport:
    """What a worker says of a task.

    Attributes
    ----------
    outcome : ShardOutcome or None
        What came of the shard; None if the run was stopped before it was begun.
    warnings : tuple of (type, str)
        Category and text of the warnings on the way.
    """

    outcome: ShardOutcome | None
    warnings: tuple[tuple[type[SpecentWarning], str], ...] = ()


class ShardWorker(WorkerPlugin):
    """The half of a run that is on a worker.

    Parameters
    ----------
    name : str
        Under which tasks find it.
    plan : bytes
        The plan, pickled.
    folder : Path
        The run folder, which this machine must see too.
    plan_sha256 : str
        Digest of the plan in it.
    execution : Execution
        How it is computed.
    device : str
        Where the network runs.
    """

    def __init__(
        self, name: str, plan: bytes, folder: Path, plan_sha256: str, execution: Execution, device: str
    ) -> None:
        self.name = name
        self.idempotent = False
        self._plan, self._folder, self._plan_sha256 = plan, folder, plan_sha256
        self._execution, self._device = execution, device
        self._prepared: tuple[Sampler, Keeping, RunFolder] | None = None
        self._address, self._threads = "", 1
        self._interruption: Any = None
        self.stopping = False

    def setup(self, worker: Worker) -> None:
        """Note which worker this is, called by it at the start."""
        self._address, self._threads = worker.address, worker.state.nthreads
        if worker.nanny is not None and threading.current_thread() is threading.main_thread():
            # an interruption from the keyboard reaches all processes of a terminal; what it means is for the run to say
            self._interruption = signal.signal(signal.SIGINT, signal.SIG_IGN)

    def teardown(self, worker: Worker) -> None:
        """Let the network go, called by the worker at the end of the run."""
        self._prepared = None
        if self._interruption is not None:
            signal.signal(signal.SIGINT, self._interruption)

    def folder(self) -> RunFolder:
        """The run folder as this worker sees it.

        Raises
        ------
        SpecentError
            If it sees none, or another one of the same name.
        """
        try:
            there = RunFolder.read(self._folder)
        except SpecentError as error:
            raise SpecentError(
                f"the worker {self._address} does not see the run folder ({error}); choose a folder on a file system "
                "that all workers share"
            ) from error
        if there.plan_sha256 != self._plan_sha256:
            raise SpecentError(
                f"the worker {self._address} sees another run in {str(self._folder)!r}; choose a folder on a file "
                "system that all workers share"
            )
        return there

    def sample(self, shard: Shard, looks: bool) -> WorkerReport:
        """Sample a shard into the folder, unless the run was stopped."""
        with ONE_AT_A_TIME:
            if self.stopping:
                return WorkerReport(None)
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always", SpecentWarning)
                outcome = self._sampled(shard, looks)
        texts = tuple(
            (each.category, str(each.message)) for each in caught if issubclass(each.category, SpecentWarning)
        )
        return WorkerReport(outcome, texts)

    def _sampled(self, shard: Shard, looks: bool) -> ShardOutcome:
        with limited(self._threads):
            if self._prepared is None:
                self._prepared = self._made_ready()
            sampler, kept, folder = self._prepared
            with sampler.at_work():
                return try_shard(sampler, kept, folder, shard, tqdm(disable=True), looks)

    def _made_ready(self) -> tuple[Sampler, Keeping, RunFolder]:
        folder = self.folder()
        try:
            plan: Plan = cloudpickle.loads(self._plan)
        except Exception as error:
            raise ModelError(
                f"the worker {self._address} cannot load the model ({type(error).__name__}: {error}); install there "
                "what it needs, or start the worker with the folder of your own modules in PYTHONPATH"
            ) from error
        sampler = prepared(plan.setup(self._device), self._execution)
        return sampler, keeping(sampler.setup, self._execution, plan.statistics), folder


def sample_on_worker(name: str, shard: Shard, looks: bool) -> WorkerReport:
    """The task of a shard, on the worker that got it."""
    plugin: ShardWorker = get_worker().plugins[name]  # type: ignore[assignment]
    return plugin.sample(shard, looks)


def stop_worker(name: str, dask_worker: Worker) -> None:
    """Have a worker begin no further shard of a run."""
    plugin = dask_worker.plugins.get(name)
    if isinstance(plugin, ShardWorker):
        plugin.stopping = True


def inspect_worker(name: str, device: str, dask_worker: Worker) -> None:
    """Refuse a worker that does not see the folder, or lacks the device."""
    from specent.models.base import resolve_device

    plugin = dask_worker.plugins[name]
    if isinstance(plugin, ShardWorker):
        plugin.folder()
    try:
        resolve_device(device)
    except SpecentError as error:
        raise SpecentError(f"the worker {dask_worker.address}: {error}") from error


def worker_versions() -> dict[str, str]:
    """Versions of what decides the numbers."""
    return {"specent": specent.__version__, "torch": str(torch.__version__)}
