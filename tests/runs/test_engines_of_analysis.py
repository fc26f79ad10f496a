"""Analysis on every scheduler of Dask: threads, processes and a cluster give the same bits, of folders and archives."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import dask
import numpy as np
import pytest
import xarray as xr
from distributed import Client, LocalCluster

import specent as sp
from specent.errors import CalibrationWarning

SIZES = (2, 8, 32)

# few steps, so that the tests are quick
pytestmark = pytest.mark.filterwarnings("ignore::specent.errors.CalibrationWarning")


def run_of(seed: int, folder: Path) -> Path:
    mix = sp.exact.GaussianMixture([[-3.0, 0.0], [3.0, 0.0], [0.0, 4.0]], labels=["cat", "dog", "car"])
    grid = sp.schedules.edm_grid(8, 0.02, 100.0)
    partitions = ["full", "cat|dog"]
    plan = sp.Plan(sp.models.mixture(mix), sp.schedules.VE(), grid, 12, partitions, [1.0, 2.0], seed=seed)
    return sp.run(plan, folder, shard=6, progress=False)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two run folders, and the first of them merged into an archive."""
    folder = tmp_path_factory.mktemp("analysed")
    runs = [run_of(seed, folder / f"run {seed}") for seed in (0, 1)]
    return [*runs, sp.archive.merge(runs[0], folder / "merged.nc")]


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    """Two processes of two threads each."""
    with (
        LocalCluster(n_workers=2, threads_per_worker=2, processes=True, dashboard_address="127.0.0.1:0") as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        yield client


def analysed(path: Path, other: Path) -> dict[str, xr.Dataset]:
    """Everything that can be done with trajectories and what comes of them."""
    runs, more = sp.open(path), sp.open(other)
    profiles = sp.entropy(runs, replicates=50)
    summary = sp.speciation(profiles)
    both = sp.combine([runs, more.assign_coords(sample=more["sample"] + runs.sizes["sample"])], along="sample")
    return {
        "entropy, speciation": summary,
        "entropy": profiles,
        "combine": sp.entropy(both, replicates=50),
        "compare": sp.compare({"a": profiles, "b": sp.entropy(more, replicates=50)}),
    }


def assert_same(one: dict[str, xr.Dataset], other: dict[str, xr.Dataset]) -> None:
    for name, dataset in one.items():
        assert set(dataset.variables) == set(other[name].variables)
        for key, variable in dataset.variables.items():
            assert variable.values.tobytes() == other[name][key].values.tobytes(), (name, key)


@pytest.fixture(scope="module")
def expected(folders: list[Path]) -> dict[str, xr.Dataset]:
    """From what is in memory, without any scheduler."""
    with dask.config.set(scheduler="synchronous"), warnings.catch_warnings():
        warnings.simplefilter("ignore", CalibrationWarning)
        return analysed(folders[0], folders[1])


@pytest.mark.parametrize("which", [0, 2], ids=["folder", "archive"])
def test_threads_and_a_cluster_give_the_same_bits(
    folders: list[Path], expected: dict[str, xr.Dataset], client: Client, which: int
) -> None:
    with dask.config.set(scheduler="threads", num_workers=4):
        assert_same(analysed(folders[which], folders[1]), expected)
    with client.as_current():
        assert_same(analysed(folders[which], folders[1]), expected)


def test_processes_give_the_same_bits(folders: list[Path], expected: dict[str, xr.Dataset]) -> None:
    with dask.config.set(scheduler="processes", num_workers=2):
        profiles = sp.entropy(folders[0], estimator="path", replicates=50)
    both = expected["entropy"].sel(estimator=["path"])
    for name in ("entropy", "entropy_lower", "entropy_upper", "entropy_rate"):
        np.testing.assert_array_equal(profiles[name].values, both[name].values)


def test_scaling_follows_from_profiles_of_any_scheduler(client: Client, tmp_path: Path) -> None:
    folder = tmp_path

    def fitted() -> xr.Dataset:
        summaries = []
        for size in SIZES:
            mean = np.eye(2, size) * 4
            mix = sp.exact.GaussianMixture(mean, labels=["a", "b"])
            plan = sp.Plan(sp.models.mixture(mix), sp.schedules.VE(), sp.schedules.edm_grid(10, 0.02, 100.0), 20)
            profiles = sp.entropy(
                sp.run(plan, folder / str(size), shard=10, progress=False), partitions="full", estimator="path",
                replicates=50,
            )  # fmt: skip
            summaries.append(sp.speciation(profiles, axis="sigma").expand_dims(dimension=[size]))
        return sp.fit_scaling(xr.concat(summaries, "dimension", combine_attrs="override"), law="sqrt")

    here = fitted()
    with client.as_current():
        there = fitted()
    for name in here.data_vars:
        assert here[name].values.tobytes() == there[name].values.tobytes()


def test_many_threads_and_clients_may_open_at_once(folders: list[Path], client: Client) -> None:
    """The netCDF library crashes, or reads nonsense, where two threads are in it."""
    whole = {path: sp.open(path)["log_likelihood"].values.tobytes() for path in folders}
    barrier = threading.Barrier(8)

    def read(number: int) -> bool:
        barrier.wait()
        same = True
        for path in (folders[number % 3], folders[(number + 1) % 3]):
            same = same and sp.open(path)["log_likelihood"].values.tobytes() == whole[path]
        return same

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(read, range(8)))
    address: Any = client.scheduler.address
    with Client(address, set_as_default=False) as second:
        futures = [
            each.submit(_checksum, path, pure=False) for _ in range(4) for path in folders for each in (client, second)
        ]
        sums = {future.result() for future in futures}
    assert sums <= {_checksum(path) for path in folders}
    assert len(sums) == 2


def _checksum(path: Path) -> int:
    import hashlib

    import dask

    import specent as sp

    # several threads of a worker within one task, too
    with dask.config.set(scheduler="threads", num_workers=3):
        return int(hashlib.sha256(sp.open(path)["log_likelihood"].values.tobytes()).hexdigest()[:12], 16)
