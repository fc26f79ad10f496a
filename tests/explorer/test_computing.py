"""Previews are of the first trajectories, whole answers of all; both are what `specent.entropy` gives."""

from __future__ import annotations

import threading
import warnings
from pathlib import Path

import dask.array as da
import numpy as np
import pytest
import xarray as xr

import specent as sp
from specent.explorer import computing as computing_module
from specent.explorer.computing import Computing, Request, StoppedError
from specent.explorer.remarks import collected
from specent.explorer.source import open_source
from specent.explorer.work import Worker

PAIR = sp.Partition.pair("cat", "car")


def test_a_preview_is_of_the_first_trajectories(example_runs: xr.Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(computing_module, "PREVIEW", example_runs["log_likelihood"].size // 4)
    computing = Computing(open_source(example_runs))
    assert computing.preview_samples == 15
    for partition in (PAIR, "full"):
        request = Request((computing.source.partition(partition) if isinstance(partition, str) else partition,))
        answer = computing.answer(request, whole=False)
        direct = sp.entropy(example_runs.isel(sample=slice(0, 15)), [partition], "path", replicates=50)
        xr.testing.assert_equal(answer.profiles, direct)
        assert not answer.whole
        assert computing.answer(request, whole=False) is answer
        whole = computing.answer(request, whole=True)
        xr.testing.assert_equal(whole.profiles, sp.entropy(example_runs, [partition], "path"))
        assert whole.whole


def test_a_preview_is_of_whole_shards(example_runs: xr.Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(computing_module, "PREVIEW", example_runs["log_likelihood"].size // 2)
    # of 30 trajectories that may be taken
    sizes = {20: 20, 12: 24, 30: 30, 40: 30, 60: 30}
    for shard, taken in sizes.items():
        assert Computing(open_source(example_runs.chunk(sample=shard))).preview_samples == taken


def test_rates_are_differences_where_there_is_no_production(example_runs: xr.Dataset) -> None:
    poor = example_runs.drop_vars(["production", "cross_production", "denoiser_distance", "partition", "definition"])
    answer = Computing(open_source(poor)).answer(Request((PAIR,)), whole=True)
    assert answer.rate == "differences"
    xr.testing.assert_equal(answer.profiles, sp.entropy(poor, [PAIR], "path", rate="differences"))


def test_an_error_is_that_of_the_first_attempt(example_runs: xr.Dataset) -> None:
    with pytest.raises(sp.SpecentError, match="not known"):
        Computing(open_source(example_runs)).answer(Request((PAIR,), estimator=("guess",)), whole=True)


def test_old_answers_are_forgotten(example_runs: xr.Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(computing_module, "_ENTRIES", 1)
    computing = Computing(open_source(sp.entropy(example_runs)))
    first = Request((computing.source.stored[0],))
    answer = computing.answer(first, whole=True)
    computing.answer(Request((computing.source.stored[1],)), whole=True)
    assert computing.answer(first, whole=True) is not answer


def test_work_that_is_not_needed_stops_between_two_blocks(
    example_runs: xr.Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []

    def noted(block: np.ndarray) -> np.ndarray:
        read.append(1)
        return block

    values = da.from_array(example_runs["log_likelihood"].values, chunks=(2, 1, 5, 32, 4)).map_blocks(noted)
    lazy = example_runs.assign(log_likelihood=(example_runs["log_likelihood"].dims, values))
    monkeypatch.setattr(computing_module, "PREVIEW", 1)
    computing = Computing(open_source(lazy))
    asked = iter([False, True])
    with pytest.raises(StoppedError):
        computing.answer(Request((PAIR,)), whole=True, stop=lambda: next(asked))
    # what is looked at before the work begins is the noisy end of one sample
    assert len(read) <= 6 < values.npartitions


def test_a_run_that_goes_on_is_followed(tmp_path: Path) -> None:
    mix = sp.exact.GaussianMixture([[-4.0], [4.0]], labels=["left", "right"])
    plan = sp.Plan(sp.models.mixture(mix), sp.schedules.VE(), sp.schedules.edm_grid(8), 20, partitions=["full"])
    folder = sp.run(plan, tmp_path / "run", progress=False, shard=10)
    later = {path: path.read_bytes() for path in folder.glob("shard-*-s0000010-*.nc")}
    assert later
    for path in later:
        path.unlink()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        source = open_source(folder)
    assert source.grows
    assert source.followed() is None
    assert source.dataset.sizes["sample"] == 10
    for path, content in later.items():
        path.write_bytes(content)
    now = source.followed()
    assert now is not None
    assert (now.grows, now.done, now.generation) == (False, now.shards, 1)
    assert now.dataset.sizes["sample"] == 20
    assert now.followed() is None


def test_a_worker_does_the_newest_job_only() -> None:
    worker, begun, release, done = Worker("test"), threading.Event(), threading.Event(), list[str]()

    def first(stale: object) -> None:
        begun.set()
        assert release.wait(20)
        done.append(f"first {stale()}")  # type: ignore[operator]

    worker.submit(first)
    assert begun.wait(20)
    worker.submit(lambda _stale: done.append("second"))
    worker.submit(lambda _stale: done.append("third"))
    release.set()
    assert worker.wait(20)
    assert done == ["first True", "third"]
    worker.close()
    worker.submit(lambda _stale: done.append("fourth"))
    assert done == ["first True", "third"]


def test_warnings_are_kept_by_the_thread_that_issues_them() -> None:
    texts: dict[str, list[str]] = {}
    both = threading.Barrier(2, timeout=600)

    def work(name: str) -> None:
        with collected() as caught:
            both.wait()
            warnings.warn(name, sp.SpecentWarning, stacklevel=1)
            warnings.warn(name, sp.SpecentWarning, stacklevel=1)
            both.wait()
        texts[name] = caught

    before = warnings.showwarning, list(warnings.filters)
    threads = [threading.Thread(target=work, args=(name,)) for name in ("one", "other")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert texts == {"one": ["one"], "other": ["other"]}
    assert (warnings.showwarning, list(warnings.filters)) == before
