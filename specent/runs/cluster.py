"""The engine of many processes: Dask's distributed scheduler hands out shards, one task each, and repeats lost ones.

What a worker has written stays, whatever becomes of it or of the scheduler, and a shard that is sampled twice has the
same bits. Workers that come later take part; those that die are done without.
"""

from __future__ import annotations

import socket
import sys
import time
import uuid
import warnings
from collections.abc import Generator, Iterator
from concurrent.futures import CancelledError
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import cloudpickle
from dask.system import CPU_COUNT
from distributed import Client, Future, LocalCluster, as_completed
from distributed.comm.addressing import parse_address, parse_host_port
from distributed.comm.core import CommClosedError
from distributed.scheduler import KilledWorker

from specent.archive.shards import Shard
from specent.arguments import brief
from specent.errors import SpecentError, SpecentWarning
from specent.runs.carrying_out import Stopped
from specent.runs.plan import Plan
from specent.runs.shards import ShardOutcome, Workload
from specent.runs.worker import (
    ONE_AT_A_TIME,
    ShardWorker,
    WorkerReport,
    inspect_worker,
    sample_on_worker,
    stop_worker,
    worker_versions,
)
from specent.sampling.sampler import progress_bar

LOCAL = "local"
"""What stands for the processes of this machine instead of the address of a scheduler."""

_RETRIES = 2
_CONNECT_SECONDS = 5.0
_POLL_SECONDS = 0.05
_PATIENCE_SECONDS = 30.0


@dataclass(frozen=True, eq=False)
class DaskEngine:
    """Samples shards on the workers of a Dask cluster.

    Attributes
    ----------
    client : Client or None
        Of the cluster; None for processes of this machine that are started when there is something to do.
    plan : Plan
        What is sampled.
    device : str
        Where the network runs, on the workers.
    """

    client: Client | None
    plan: Plan
    device: str

    def __call__(self, work: Workload, stopped: Stopped, *, shows: bool) -> Generator[ShardOutcome]:
        """Sample the shards of a workload, see `specent.runs.carrying_out.Engine`."""
        if self.client is not None:
            yield from self._sample(self.client, work, stopped, shows)
            return
        with local_client(self.device, work.execution.threads, len(work.shards), shows) as client:
            yield from self._sample(client, work, stopped, shows)

    def _sample(self, client: Client, work: Workload, stopped: Stopped, shows: bool) -> Generator[ShardOutcome]:
        _refuse_unfit_workers(client)
        name = f"specent-{work.folder.plan_sha256[:8]}-{uuid.uuid4().hex[:8]}"
        path, digest = work.folder.path, work.folder.plan_sha256
        plugin = ShardWorker(name, pickled(self.plan), path, digest, work.execution, self.device)
        client.register_plugin(plugin, name=name)
        tasks: dict[Future[WorkerReport], Shard] = {}
        try:
            # to ask a scheduler that has just ended how many there are takes half a minute
            count = len(client.run(inspect_worker, name, self.device))
            tasks.update(_submitted(client, name, work))
            where = f"{count} worker{'s' if count != 1 else ''}"
            with progress_bar(work.setup, work.evaluations(), work.trajectories, where, shows) as bar:
                for outcome in _outcomes(client, name, tasks, stopped):
                    bar.update(work.evaluations(outcome.shard))
                    yield outcome
        except (CommClosedError, CancelledError) as error:
            raise SpecentError(
                f"the scheduler {_address(client)} is gone, or the tasks were cancelled there; shards that are done "
                "stay: run it again to go on"
            ) from error
        finally:
            # of a scheduler that is gone there is nothing to take back
            with suppress(Exception):
                client.run(stop_worker, name, on_error="ignore")
                client.cancel(list(tasks), force=True)
                client.unregister_worker_plugin(name)


def _submitted(client: Client, name: str, work: Workload) -> dict[Future[WorkerReport], Shard]:
    """One task a shard; the first also looks whether the start tells the labels apart."""
    looks = [number == 0 for number in range(len(work.shards))]
    keys = [f"{shard.name.removesuffix('.nc')}-{name}" for shard in work.shards]
    futures = client.map(
        sample_on_worker, [name] * len(keys), list(work.shards), looks, key=keys, retries=_RETRIES, pure=False
    )
    return dict(zip(futures, work.shards, strict=True))


def _outcomes(
    client: Client, name: str, tasks: dict[Future[WorkerReport], Shard], stopped: Stopped
) -> Iterator[ShardOutcome]:
    """What came of the tasks, as they end; after a wish to stop, of those that were begun before."""
    completed, announced, seen = as_completed(list(tasks), loop=client.loop), False, set[tuple[type, str]]()
    last = time.monotonic()
    while not completed.is_empty():
        if stopped() and not announced:
            announced = True
            client.run(stop_worker, name, on_error="ignore")
        batch = completed.next_batch(block=False)
        if not batch:
            time.sleep(_POLL_SECONDS)
            if time.monotonic() - last > _PATIENCE_SECONDS:
                last = time.monotonic()
                _say_if_alone(client)
            continue
        last = time.monotonic()
        for future in batch:
            report = _report(future, tasks[future])
            # every worker looks at the model, and says the same
            for category, text in dict.fromkeys(report.warnings):
                if (category, text) not in seen:
                    seen.add((category, text))
                    # workers may be in this process, and would take it for theirs
                    with ONE_AT_A_TIME:
                        warnings.warn(text, category, stacklevel=2)
            if report.outcome is not None:
                yield report.outcome


def _report(future: Future[WorkerReport], shard: Shard) -> WorkerReport:
    """What the worker said of a task, or what is known if it could not."""
    if future.status == "error":
        error: Any = future.exception()
        if not isinstance(error, KilledWorker):
            raise error
        reason = f"{error.allowed_failures + 1} workers died of it; {error.last_worker.address} was the last"
        return WorkerReport(ShardOutcome(shard, f"{reason}; did memory run out?"))
    return future.result()


def _address(client: Client) -> str:
    return str(getattr(client.scheduler, "address", "of the client"))


def _say_if_alone(client: Client) -> None:
    with suppress(Exception):
        if not client.nthreads():
            sys.stderr.write("\nspecent: there are no workers any more; waiting for new ones\n")


def _refuse_unfit_workers(client: Client) -> None:
    """Refuse a cluster without workers, or with one that has no or another version of this package."""
    answers: dict[str, Any] = client.run(worker_versions, on_error="return")
    if not answers:
        address = _address(client)
        raise SpecentError(
            f"client: the scheduler {address} has no workers; start some (dask worker {address} --nthreads 1), or "
            "wait for those that are starting (client.wait_for_workers(1))"
        )
    here = worker_versions()
    for worker, there in sorted(answers.items()):
        if isinstance(there, BaseException):
            raise SpecentError(
                f"client: the worker {worker} cannot load specent ({type(there).__name__}: {there}); install version "
                f"{here['specent']} there, with its extras torch and cluster"
            )
        if there["specent"] != here["specent"]:
            raise SpecentError(
                f"client: the worker {worker} has specent {there['specent']} and this process {here['specent']}; "
                "install the same version there"
            )
        if there["torch"] != here["torch"]:
            warnings.warn(
                f"the worker {worker} has torch {there['torch']} and this process {here['torch']}; the last digits "
                "may depend on the worker",
                SpecentWarning,
                stacklevel=2,
            )


def pickled(plan: Plan) -> bytes:
    """A plan for other processes; with it the source of modules that cannot be imported there, such as recipes.

    Raises
    ------
    SpecentError
        If something in the model cannot be pickled.
    """
    try:
        with _foreign_modules_by_value():
            return bytes(cloudpickle.dumps(plan))
    except Exception as error:
        raise SpecentError(
            f"plan: its model cannot be sent to workers ({type(error).__name__}: {error}); build it from tensors and "
            "functions of a module, without open files, locks or generators"
        ) from error


@contextmanager
def _foreign_modules_by_value() -> Iterator[None]:
    """Within it what is pickled takes along the source of modules that no import finds, but were loaded from a path."""
    tops = {name.partition(".")[0] for name in sys.modules} - {"__main__", *sys.builtin_module_names}
    lost = {top for top in tops if not any(_finds(finder, top) for finder in sys.meta_path)}
    modules = [module for name, module in list(sys.modules.items()) if name.partition(".")[0] in lost]
    modules = [module for module in modules if getattr(module, "__file__", None)]
    for module in modules:
        cloudpickle.register_pickle_by_value(module)
    try:
        yield
    finally:
        for module in modules:
            cloudpickle.unregister_pickle_by_value(module)


def _finds(finder: Any, name: str) -> bool:
    try:
        return finder.find_spec(name, None) is not None
    except Exception:  # of others, and not for us to judge
        return False


@contextmanager
def engine(client: Client | str, plan: Plan, device: str) -> Iterator[DaskEngine]:
    """The engine of a cluster; a connection that is made for it is closed afterwards.

    Parameters
    ----------
    client : Client or str
        A client, the address of a scheduler, or ``"local"`` for processes of this machine.
    plan : Plan
        What is sampled.
    device : str
        Where the network runs, on the workers.

    Yields
    ------
    DaskEngine

    Raises
    ------
    SpecentError
        If the client cannot be used, or the scheduler is not reached within seconds.
    """
    if isinstance(client, str) and client == LOCAL:
        yield DaskEngine(None, plan, device)
    elif isinstance(client, str):
        with closing(_connected(client)) as connected:
            yield DaskEngine(connected, plan, device)
    elif isinstance(client, Client) and not client.asynchronous and client.status == "running":
        yield DaskEngine(client, plan, device)
    else:
        raise SpecentError(
            f"client={brief(client)} must be a connected, synchronous distributed.Client, the address of a scheduler, "
            f"or {LOCAL!r} for processes of this machine"
        )


def _connected(address: str) -> Client:
    try:
        _knock(address)
        return Client(address, timeout=_CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError, TypeError, RuntimeError, ImportError) as error:
        raise SpecentError(
            f"client={address!r}: no scheduler was reached there within {_CONNECT_SECONDS:g} s ({error}); check the "
            "address, as in tcp://host:8786, and that it is running"
        ) from error


def _knock(address: str) -> None:
    """Raise `OSError` if nobody listens; a client that finds nobody is not to be got rid of for half a minute."""
    protocol, location = parse_address(address)
    if protocol in ("tcp", "tls"):
        host, port = parse_host_port(location)
        socket.create_connection((host, port), timeout=_CONNECT_SECONDS).close()


@contextmanager
def local_client(device: str, threads: int | None, most: int, shows: bool) -> Iterator[Client]:
    """A client of a new cluster of processes on this machine, which ends with it.

    Parameters
    ----------
    device : str
        Where the networks run.
    threads : int, optional
        Threads of every process.
    most : int
        How many processes are of use.
    shows : bool
        Whether to print the address of the dashboard.
    """
    workers = max(1, min(most, CPU_COUNT // (threads or 1)))
    try:
        started = LocalCluster(
            n_workers=workers, threads_per_worker=threads or 1, processes=True, dashboard_address="127.0.0.1:0"
        )
    except RuntimeError as error:
        raise SpecentError(
            f"client='local': no process could be started ({error}); processes begin by importing a script, so "
            "in one call run under: if __name__ == '__main__'"
        ) from error
    with started as cluster, Client(cluster, set_as_default=False) as client:
        if shows:
            processes = "1 process" if workers == 1 else f"{workers} processes"
            sys.stderr.write(f"specent: {processes}; dashboard at {cluster.dashboard_link}\n")
        yield client
