"""Runs on clusters: the same bits as from one process, whoever dies on the way, and errors that say which worker."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from distributed import Client, LocalCluster
from torch import Tensor

import specent as sp
from specent import command, studies
from specent.errors import SpecentError, SpecentWarning
from specent.runs import cluster
from specent.runs.worker import ShardWorker

sys.path.insert(0, str(Path(__file__).parent.parent))
from killed_runs import differences

VE = sp.schedules.VE()
# any port that is free
NOWHERE = "127.0.0.1:0"
SLOW = '''
import time
import torch

class Slow(torch.nn.Module):
    """Every class is a point; a call takes a moment."""

    def forward(self, x, sigma, condition):
        time.sleep(0.02)
        return condition[:, None].to(x.dtype).expand_as(x)
'''


def small_plan(samples: int = 6, **changes: Any) -> sp.Plan:
    mix = sp.exact.GaussianMixture([[-3.0], [3.0]], labels=["left", "right"])
    options: dict[str, Any] = {"partitions": ["full"], "guidance": [1.0, 2.0]}
    return sp.Plan(
        sp.models.mixture(mix), VE, sp.schedules.edm_grid(4, 0.02, 100.0), samples, **(options | changes)
    )  # fmt: skip


def digits_plan(samples: int, steps: int = 6) -> sp.Plan:
    model = sp.models.digits()
    return sp.Plan(
        model, VE, sp.schedules.edm_grid(steps), samples, ["full", "3|8"], [1.0, 2.0], seed=1, classes=["3", "8"]
    )


def slow_plan(folder: Path, samples: int = 16) -> sp.Plan:
    """A network out of a file that no worker can import."""
    file = folder / "slow_network.py"
    file.write_text(SLOW)
    spec = importlib.util.spec_from_file_location("_network_of_a_recipe", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    model = sp.models.network(module.Slow(), ["a", "b"], (2,), prediction="data", null=False)
    return sp.Plan(model, VE, sp.schedules.edm_grid(4, 0.02, 100.0), samples)


def same(folder: Path, other: Path) -> None:
    """The same content, bit for bit, and nothing else in the folder."""
    assert differences(sp.open(folder), sp.open(other)) == []
    names = [path.name for path in folder.iterdir()]
    assert sorted(names) == sorted(path.name for path in other.iterdir())


@pytest.fixture(scope="module")
def threads() -> Iterator[Client]:
    """Two workers in this process."""
    with Client(
        processes=False, n_workers=2, threads_per_worker=2, dashboard_address=NOWHERE, set_as_default=False
    ) as it:
        yield it


@pytest.fixture(scope="module")
def processes() -> Iterator[Client]:
    """Two workers, each a process, with a dashboard nowhere."""
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=NOWHERE) as local,
        Client(local, set_as_default=False) as client,
    ):
        yield client


def test_workers_sample_what_one_process_samples(tmp_path: Path, threads: Client) -> None:
    serial = sp.run(small_plan(), tmp_path / "serial", shard=2, progress=False)
    same(sp.run(small_plan(), tmp_path / "cluster", shard=2, client=threads, progress=False), serial)


def test_digits_on_processes_are_those_of_one_process_and_grow_to_them(tmp_path: Path, processes: Client) -> None:
    options: dict[str, Any] = {"shard": 3, "threads": 1, "progress": False}
    serial = sp.run(digits_plan(6), tmp_path / "serial", **options)
    grown = sp.run(digits_plan(3), tmp_path / "grown", client=processes, **options)
    before = {path.name: path.stat().st_mtime_ns for path in grown.glob("*.nc")}
    sp.run(digits_plan(6), grown, client=processes, **options)
    assert before.items() <= {path.name: path.stat().st_mtime_ns for path in grown.glob("*.nc")}.items()
    same(grown, serial)


def test_a_worker_that_is_killed_costs_nothing_but_time(tmp_path: Path, processes: Client) -> None:
    plan = slow_plan(tmp_path)
    folder = tmp_path / "killed"
    pids: dict[str, int] = processes.run(os.getpid)
    victim = sorted(pids.values())[0]

    def kill() -> None:
        while not list(folder.glob("shard-*.nc")):
            time.sleep(0.01)
        os.kill(victim, signal.SIGKILL)

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    sp.run(plan, folder, shard=2, client=processes, progress=False)
    killer.join()
    # it is another process now
    processes.wait_for_workers(2, timeout=600)
    assert victim not in processes.run(os.getpid).values()
    same(folder, sp.run(plan, tmp_path / "serial", shard=2, progress=False))


@pytest.fixture
def scheduler(tmp_path: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A scheduler with one worker, in processes of their own: its address and the scheduler."""
    file = tmp_path / "scheduler.json"
    commands = (
        ["scheduler", "--port", "0", "--no-dashboard", "--scheduler-file", str(file), "--host", "127.0.0.1"],
        ["worker", "--scheduler-file", str(file), "--nthreads", "1", "--no-dashboard", "--death-timeout", "600"],
    )
    started = [
        subprocess.Popen([sys.executable, "-m", "dask", *command], stderr=subprocess.DEVNULL) for command in commands
    ]
    try:
        while not file.exists():
            time.sleep(0.05)
        address = json.loads(file.read_text())["address"]
        with Client(address, set_as_default=False) as client:
            client.wait_for_workers(1, timeout=600)
        yield address, started[0]
    finally:
        for process in reversed(started):
            process.kill()
            process.wait()


def test_a_scheduler_that_is_killed_costs_no_shard_that_is_there(
    tmp_path: Path, scheduler: tuple[str, subprocess.Popen[bytes]]
) -> None:
    address, process = scheduler
    folder, plan = tmp_path / "killed", slow_plan(tmp_path)

    def kill() -> None:
        while not list(folder.glob("shard-*.nc")):
            time.sleep(0.01)
        process.kill()

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    with pytest.raises(SpecentError, match=r"is gone, .* run it again to go on"):
        sp.run(plan, folder, shard=2, client=address, progress=False)
    killer.join()
    done = sp.archive.status(folder, verify=True)
    assert 0 < done.done < 16
    assert done.damaged == ()
    assert not done.running
    # goes on in one process, which is another engine
    sp.run(plan, folder, progress=False)
    same(folder, sp.run(plan, tmp_path / "serial", shard=2, progress=False))


def test_a_scheduler_that_is_not_there_is_refused_before_anything(tmp_path: Path) -> None:
    for address in ("tcp://127.0.0.1:1", "nonsense", ""):
        with pytest.raises(SpecentError, match=r"no scheduler was reached there within 5 s .*check the address"):
            sp.run(small_plan(), tmp_path / "run", client=address)
    for client in (3, object()):
        with pytest.raises(SpecentError, match=r"must be a connected, synchronous distributed\.Client"):
            sp.run(small_plan(), tmp_path / "run", client=client)  # type: ignore[arg-type]
    assert not (tmp_path / "run").exists()


def test_a_cluster_without_workers_is_refused(tmp_path: Path) -> None:
    with (
        Client(processes=False, n_workers=0, dashboard_address=NOWHERE, set_as_default=False) as client,
        pytest.raises(SpecentError, match="has no workers; start some"),
    ):
        sp.run(small_plan(), tmp_path / "run", client=client, progress=False)


@pytest.mark.parametrize(
    ("before", "message"),
    [
        ("sys.modules['specent'] = None", "cannot load specent .*; install version"),
        ("import specent; specent.__version__ = '0.0.1'", r"has specent 0\.0\.1 and this process .*; install the same"),
    ],
)
def test_a_worker_with_another_version_or_none_is_named(tmp_path: Path, before: str, message: str) -> None:
    with (
        LocalCluster(n_workers=0, processes=False, protocol="tcp://", dashboard_address=NOWHERE) as local,
        Client(local, set_as_default=False) as client,
    ):
        code = f"import sys; {before}; from distributed.cli.dask_worker import main; main(sys.argv[1:])"
        worker = subprocess.Popen(
            [sys.executable, "-c", code, local.scheduler_address, "--no-nanny", "--no-dashboard"],
            stderr=subprocess.DEVNULL,
        )
        try:
            client.wait_for_workers(1, timeout=600)
            with pytest.raises(SpecentError, match=f"the worker tcp://.* {message}"):
                sp.run(small_plan(), tmp_path / "run", client=client, progress=False)
        finally:
            worker.kill()
            worker.wait()


def test_workers_that_do_not_see_the_folder_are_named(
    tmp_path: Path, threads: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    setup = ShardWorker.setup

    def far_away(self: ShardWorker, worker: Any) -> None:
        setup(self, worker)
        self._folder = tmp_path / "not mounted"

    monkeypatch.setattr(ShardWorker, "setup", far_away)
    with pytest.raises(SpecentError, match=r"the worker inproc://.* does not see the run folder .*all workers share"):
        sp.run(small_plan(), tmp_path / "run", client=threads, progress=False)


def test_a_gpu_that_a_worker_lacks_is_its_error(tmp_path: Path, threads: Client) -> None:
    with pytest.raises(SpecentError, match=r"the worker inproc://.* torch finds no CUDA GPU"):
        sp.run(small_plan(), tmp_path / "run", client=threads, device="cuda", progress=False)


class Locked(torch.nn.Module):
    """A network that cannot be sent anywhere."""

    def __init__(self) -> None:
        super().__init__()
        self.lock = threading.Lock()

    def forward(self, x: Tensor, sigma: Tensor, condition: Tensor) -> Tensor:
        return torch.zeros_like(x)


def test_a_model_that_cannot_be_sent_is_refused(tmp_path: Path, threads: Client) -> None:
    model = sp.models.network(Locked(), ["a", "b"], (2,), prediction="data", null=False)
    plan = sp.Plan(model, VE, sp.schedules.edm_grid(4, 0.02, 100.0), 6)
    with pytest.raises(SpecentError, match=r"cannot be sent to workers \(TypeError: cannot pickle '_thread.lock'"):
        sp.run(plan, tmp_path / "run", client=threads, progress=False)


class Moody(torch.nn.Module):
    """A network whose data are a point for each class; states far out become NaN."""

    def forward(self, x: Tensor, sigma: Tensor, condition: Tensor) -> Tensor:
        return torch.where(x.abs() > 150, torch.nan, condition[:, None].to(x.dtype).expand_as(x))


def test_failed_shards_are_named_and_the_others_done_as_in_one_process(tmp_path: Path, threads: Client) -> None:
    model = sp.models.network(Moody(), ["a", "b"], (1,), prediction="data", null=False)
    plan = sp.Plan(model, VE, sp.schedules.edm_grid(5, 0.02, 100.0), 12)
    messages = []
    for name, client in (("serial", None), ("cluster", threads)):
        with pytest.raises(SpecentError, match=r"\d of 12 shards failed, the others are done: shard-c0000") as raised:
            sp.run(plan, tmp_path / name, shard=2, client=client, check=False, progress=False)
        messages.append(str(raised.value))
    assert messages[0] == messages[1]
    done = [sorted(path.name for path in (tmp_path / name).glob("*.nc")) for name in ("serial", "cluster")]
    assert done[0] == done[1]
    assert 0 < len(done[0]) < 12


def test_warnings_of_workers_are_seen_once(tmp_path: Path, threads: Client) -> None:
    coarse = sp.Plan(small_plan().model, VE, [1e-4, 10.0, 50.0, 100.0], 6)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        sp.run(coarse, tmp_path / "run", shard=1, client=threads, progress=False)
    texts = [str(each.message) for each in caught if issubclass(each.category, SpecentWarning)]
    assert len([text for text in texts if "the last step of the grid" in text]) == 1


def test_an_interruption_stops_after_the_shards_at_work(
    tmp_path: Path, threads: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    write: Callable[..., Path] = sp.archive.write

    def interrupted(*args: Any, **options: Any) -> Path:
        path = write(*args, **options)
        os.kill(os.getpid(), signal.SIGINT)
        monkeypatch.setattr(sp.archive, "write", write)
        time.sleep(0.5)
        return path

    monkeypatch.setattr(sp.archive, "write", interrupted)
    plan = slow_plan(tmp_path)
    with pytest.raises(KeyboardInterrupt, match=r"\d of 16 missing shards were done; run it again to go on"):
        sp.run(plan, tmp_path / "run", shard=2, client=threads, progress=False)
    # all that was begun was ended, and the client is as it was
    report = sp.archive.status(tmp_path / "run", verify=True)
    assert 0 < report.done < 16
    assert not [path.name for path in (tmp_path / "run").iterdir() if path.name.endswith(".tmp")]
    assert threads.submit(sum, [1, 2]).result() == 3
    sp.run(plan, tmp_path / "run", client=threads, progress=False)
    same(tmp_path / "run", sp.run(plan, tmp_path / "serial", shard=2, progress=False))


def test_an_error_that_is_no_shards_own_ends_the_run(
    tmp_path: Path, threads: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> Path:
        raise SpecentError("the disk is full")

    monkeypatch.setattr(sp.archive, "write", full)
    with pytest.raises(SpecentError, match="the disk is full"):
        sp.run(small_plan(), tmp_path / "run", shard=2, client=threads, progress=False)
    monkeypatch.undo()
    sp.run(small_plan(), tmp_path / "run", client=threads, progress=False)
    assert sp.archive.status(tmp_path / "run").missing == 0


def test_local_processes_that_cannot_start_are_one_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a script that calls run wherever it is imported."""

    def failing(**_options: Any) -> LocalCluster:
        raise RuntimeError("Nanny failed to start.")

    monkeypatch.setattr(cluster, "LocalCluster", failing)
    with pytest.raises(SpecentError, match=r"client='local': no process could be started \(Nanny.*__main__"):
        sp.run(small_plan(), tmp_path / "run", client="local", progress=False)


def test_local_processes_end_with_their_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "CPU_COUNT", 1)
    folder = sp.run(small_plan(), tmp_path / "run", shard=3, client="local")
    assert "1 process; dashboard at http://127.0.0.1:" in capsys.readouterr().err
    same(folder, sp.run(small_plan(), tmp_path / "serial", shard=3, progress=False))
    # nothing to do, nothing to start
    sp.run(small_plan(), folder, client="local")
    assert "dashboard" not in capsys.readouterr().err


def test_a_recipe_on_a_scheduler_writes_what_it_writes_alone(
    tmp_path: Path, processes: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    # the settings in the file hold the name of the output
    common = ["run", "gmm_1d", "--steps", "8", "--samples", "60", "--means", "-1", "1", "--output", "gmm.nc"]
    written = []
    for name, more in (("alone", []), ("cluster", ["--scheduler", processes.scheduler.address])):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        assert command.main([*common, *more]) == 0
        written.append(sp.open("gmm.nc").load())
    assert differences(*written) == []


def test_a_scheduler_that_is_not_there_is_one_line_of_the_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "gmm.nc"
    assert command.main(["run", "gmm_1d", "--output", str(output), "--scheduler", "tcp://127.0.0.1:1"]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines[-1].startswith("specent: client='tcp://127.0.0.1:1': no scheduler was reached there within 5 s")
    assert not output.exists()


@pytest.mark.faults
def test_the_study_of_digits_on_two_processes_killed_and_grown_is_that_of_one_process(
    tmp_path: Path, processes: Client
) -> None:
    """From 50 to 100 samples of a class; on the way workers are killed."""
    study = studies.recipe("digits")
    settings = study.Settings()
    model = sp.models.digits()
    channel = VE, sp.schedules.edm_grid(settings.steps, settings.sigma_min, settings.sigma_max)

    def plan(samples: int) -> sp.Plan:
        planned: sp.Plan = study.planned(
            replace(settings, samples=samples), model, channel, study.partitions_of(model.labels)
        )
        return planned

    options: dict[str, Any] = {"threads": 1, "progress": False}
    cluster_run, done = tmp_path / "cluster", threading.Event()
    deaths: list[float] = []

    def kill() -> None:
        for seconds in np.random.default_rng(0).uniform(2, 10, 4):
            if done.wait(seconds):
                return
            deaths.append(seconds)
            os.kill(min(processes.run(os.getpid, on_error="ignore").values()), signal.SIGKILL)
            processes.wait_for_workers(2, timeout=600)

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    sp.run(plan(50), cluster_run, client=processes, **options)
    sp.run(plan(100), cluster_run, client=processes, **options)
    done.set()
    killer.join()
    assert deaths
    same(cluster_run, sp.run(plan(100), tmp_path / "serial", **options))
