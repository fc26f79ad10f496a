"""Carrying plans out: resuming, growing, damaged shards, other plans, two runs at once, networks that fail."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import threading
import time
import warnings
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr
from torch import Tensor

import specent as sp
from specent.archive import run_lock, sealing
from specent.archive.run_folder import RunFolder
from specent.errors import ArchiveError, SpecentError, SpecentWarning
from specent.sampling.streams import Streams

MIX = sp.exact.GaussianMixture([[-3.0, 0.0], [3.0, 0.0], [0.0, 4.0]], labels=["cat", "dog", "car"])
VE, GRID = sp.schedules.VE(), sp.schedules.edm_grid(5, 0.02, 100.0)


def planned(samples: int = 20, **changes: Any) -> sp.Plan:
    options: dict[str, Any] = {"partitions": ["full", "cat|dog"], "guidance": [1.0, 2.0], "seed": 3}
    return sp.Plan(sp.models.mixture(MIX), VE, GRID, samples, **(options | changes))


def carried_out(plan: sp.Plan, folder: Path, **options: Any) -> xr.Dataset:
    return sp.open(sp.run(plan, folder, progress=False, **options))


def sampled(plan: sp.Plan) -> xr.Dataset:
    names = ("schedule", "time", "samples", "partitions", "guidance", "seed", "record", "classes")
    return sp.sample(plan.model, progress=False, **{name: getattr(plan, name) for name in names})


def same(one: xr.Dataset, other: xr.Dataset) -> None:
    """Bit for bit the same variables and coordinates."""
    assert set(one.variables) == set(other.variables)
    for name in one.variables:
        assert one[name].dims == other[name].dims
        assert one[name].attrs == other[name].attrs
        assert one[name].values.tobytes() == other[name].values.tobytes(), name


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of 20 samples in shards of 8, which tests only read."""
    return sp.run(planned(), tmp_path_factory.mktemp("runs") / "finished", shard=8, progress=False)


def copied(folder: Path, target: Path) -> Path:
    target.mkdir()
    for file in folder.iterdir():
        (target / file.name).write_bytes(file.read_bytes())
    return target


def test_a_run_is_what_sample_returns(finished: Path) -> None:
    runs, whole = sp.open(finished), sampled(planned())
    assert len(list(finished.glob("shard-*.nc"))) == 9
    assert dict(runs.sizes) == dict(whole.sizes)
    whole = sp.schema.compact(whole)
    for name in whole.variables:
        assert runs[name].attrs == whole[name].attrs
        if whole[name].dtype.kind == "f":
            # batches of other sizes may be summed in another order, and a last digit be rounded the other way
            np.testing.assert_allclose(runs[name].values, whole[name].values, rtol=2.0**-12, atol=1e-9)
        else:
            assert runs[name].equals(whole[name])
    assert {**runs.attrs, "history": "", "settings": "", "settings_sha256": ""} == {
        **whole.attrs, "history": "", "settings": "", "settings_sha256": ""
    }  # fmt: skip
    settings = [json.loads(dataset.attrs["settings"]) for dataset in (runs, whole)]
    del settings[1]["threads"]
    assert settings[0] == settings[1]


def test_blocks_are_shards_and_any_part_of_them_can_be_read(finished: Path) -> None:
    runs = sp.open(finished)
    assert runs["log_likelihood"].chunksizes["sample"] == (8, 8, 4)
    assert runs["log_likelihood"].chunksizes["class_label"] == (1, 1, 1)
    values = runs["log_likelihood"].values
    chosen = runs["log_likelihood"].isel(sample=[3, 17, 4], class_label=2, time=slice(None, None, -2))
    np.testing.assert_array_equal(chosen.values, values[:, 2][:, [3, 17, 4], ::-2])
    np.testing.assert_array_equal(
        runs["final"].isel(sample=slice(19, 2, -5)).values, runs["final"].values[:, :, 19:2:-5]
    )
    assert runs["final"].isel(sample=slice(0, 0)).values.size == 0


def test_analysis_streams_over_the_shards(finished: Path) -> None:
    by_path = sp.entropy(finished, estimator="path", replicates=50)
    in_memory = sp.entropy(sp.open(finished).load(), estimator="path", replicates=50)
    np.testing.assert_allclose(by_path["entropy"].values, in_memory["entropy"].values, atol=1e-12)


def test_a_finished_run_is_not_sampled_again(finished: Path, tmp_path: Path) -> None:
    folder = copied(finished, tmp_path / "again")
    before = {path.name: path.stat().st_mtime_ns for path in folder.glob("*.nc")}
    sp.run(planned(), folder, progress=False)
    assert {path.name: path.stat().st_mtime_ns for path in folder.glob("*.nc")} == before


def test_a_missing_shard_a_damaged_one_and_one_cut_short_are_sampled_again(finished: Path, tmp_path: Path) -> None:
    folder = copied(finished, tmp_path / "damaged")
    missing, flipped, short, foreign = sorted(folder.glob("shard-*.nc"))[1:5]
    missing.unlink()
    data = bytearray(flipped.read_bytes())
    data[len(data) // 2] ^= 1
    flipped.write_bytes(data)
    short.write_bytes(short.read_bytes()[:-100])
    # a good archive, but of other trajectories
    foreign.write_bytes(sorted(finished.glob("shard-*.nc"))[0].read_bytes())
    (folder / f".{missing.name}.77-abcd.tmp").write_bytes(b"left by a run that was killed")
    assert sp.archive.status(folder).damaged[0][0] == short.name
    assert {name for name, _ in sp.archive.status(folder, verify=True).damaged} == {
        flipped.name, short.name, foreign.name
    }  # fmt: skip
    with pytest.warns(SpecentWarning, match="set aside in damaged/"):
        again = carried_out(planned(), folder)
    same(again, sp.open(finished))
    aside = sorted(path.name for path in (folder / "damaged").iterdir())
    stems = (flipped.stem, short.stem, foreign.stem)
    assert aside == sorted(f"{stem}.1.{end}" for stem in stems for end in ("nc", "txt"))
    assert "other trajectories" in (folder / "damaged" / f"{foreign.stem}.1.txt").read_text()
    assert not list(folder.glob(".*.tmp"))
    assert sp.archive.status(folder).set_aside == 3


def test_a_shard_that_is_damaged_later_is_refused_when_it_is_read(finished: Path, tmp_path: Path) -> None:
    folder = copied(finished, tmp_path / "later")
    runs = sp.open(folder)
    victim = sorted(folder.glob("shard-*.nc"))[4]
    data = bytearray(victim.read_bytes())
    data[len(data) // 3] ^= 4
    victim.write_bytes(data)
    with pytest.raises(ArchiveError, match="damaged or was altered"):
        runs["production"].compute()
    with pytest.raises(ArchiveError, match="damaged or was altered"):
        sp.validate(folder)


@pytest.mark.parametrize("shard", [10, None])
def test_a_run_that_grows_is_the_run_that_was_as_large_from_the_start(tmp_path: Path, shard: int | None) -> None:
    samples = 10 if shard else 50
    carried_out(planned(samples), tmp_path / "grown", shard=shard)
    first = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "grown").glob("*.nc")}
    grown = carried_out(planned(2 * samples), tmp_path / "grown")
    assert {name: (tmp_path / "grown" / name).stat().st_mtime_ns for name in first} == first
    same(grown, carried_out(planned(2 * samples), tmp_path / "whole", shard=shard))
    # asked for fewer again, a run keeps what it has
    assert carried_out(planned(samples), tmp_path / "grown").sizes["sample"] == 2 * samples


def test_growing_by_half_a_shard_adds_one_of_its_own(tmp_path: Path) -> None:
    for samples in (7, 12):
        sp.run(planned(samples, classes=["cat"]), tmp_path / "run", shard=5, progress=False)
    spans = [name.split("-s")[1] for name in sorted(path.stem for path in (tmp_path / "run").glob("*.nc"))]
    assert spans == ["0000000-0000005", "0000005-0000007", "0000007-0000010", "0000010-0000012"]
    runs, whole = sp.open(tmp_path / "run"), sampled(planned(12, classes=["cat"]))
    np.testing.assert_allclose(runs["final"].values, whole["final"].values, rtol=1e-6)


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        ({"seed": 4}, "seed is 3 there and 4 here"),
        ({"guidance": [1.0]}, r"guidance has 2 entries there and 1 here"),
        ({"guidance": [1.0, 3.0]}, r"guidance\[1\].scale is 2.0 there and 3.0 here"),
        ({"partitions": ["full"]}, "partitions has 2 entries there and 1 here"),
        ({"classes": ["cat", "car"]}, r"classes\[1\] is 'dog' there and 'car' here"),
        ({"record": sp.Record(distances=False)}, "record.distances is True there and False here"),
        ({"shared_noise": True}, "shared_noise is False there and True here"),
    ],
)
def test_a_folder_of_another_plan_is_refused_with_the_first_difference(
    finished: Path, change: dict[str, Any], difference: str
) -> None:
    before = sorted(os.listdir(finished))
    with pytest.raises(SpecentError, match=f"another plan: {difference}"):
        sp.run(planned(**change), finished, progress=False)
    assert sorted(os.listdir(finished)) == before


def test_other_times_and_models_are_other_plans(finished: Path) -> None:
    other = sp.exact.GaussianMixture(MIX.means + 1e-12, labels=MIX.labels)
    for plan in (
        sp.Plan(sp.models.mixture(MIX), VE, GRID * (1 + 1e-14), 20, ["full", "cat|dog"], [1.0, 2.0], seed=3),
        sp.Plan(sp.models.mixture(other), VE, GRID, 20, ["full", "cat|dog"], [1.0, 2.0], seed=3),
    ):
        with pytest.raises(SpecentError, match=r"another plan: (time\[0\]|model\.)"):
            sp.run(plan, finished, progress=False)


def test_folders_that_cannot_be_a_run_are_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(SpecentError, match="holds other files and no run"):
        sp.run(planned(), tmp_path)
    with pytest.raises(SpecentError, match="cannot be made"):
        sp.run(planned(), tmp_path / "notes.txt" / "run")
    assert sorted(os.listdir(tmp_path)) == ["notes.txt"]
    with pytest.raises(SpecentError, match="shard=0 must be a whole number from 1"):
        sp.run(planned(), tmp_path / "run", shard=0)
    with pytest.raises(SpecentError, match=r"pass a specent\.Plan"):
        sp.run("digits", tmp_path / "run")  # type: ignore[arg-type]
    assert not (tmp_path / "run").exists()


def test_the_size_of_shards_cannot_be_changed(finished: Path) -> None:
    with pytest.raises(SpecentError, match="the run has shards of 8 samples"):
        sp.run(planned(), finished, shard=9, progress=False)


@pytest.mark.parametrize("text", ["", "{}", '{"specent_run": "1"}', "[" * 100_000, '{"specent_run": "2"}'])
def test_a_damaged_record_is_refused(finished: Path, tmp_path: Path, text: str) -> None:
    folder = copied(finished, tmp_path / "record")
    (folder / "run.json").write_text(text)
    for act in (sp.open, sp.archive.status, lambda path: sp.run(planned(), path)):
        with pytest.raises(ArchiveError, match=r"run\.json"):
            act(folder)


@pytest.mark.parametrize(
    ("key", "value"), [("settings", "x"), ("specent_kind", "profiles"), ("schedule", "{}"), ("settings_sha256", "0")]
)
def test_a_record_that_does_not_fit_its_shards_is_refused(finished: Path, tmp_path: Path, key: str, value: str) -> None:
    folder = copied(finished, tmp_path / "record")
    record = json.loads((folder / "run.json").read_text())
    record["attributes"][key] = value
    (folder / "run.json").write_text(json.dumps(record))
    with pytest.raises(ArchiveError, match=r"do not fit together|does not describe a run"):
        sp.open(folder)


def test_a_second_run_on_a_folder_stops_and_a_lock_without_a_holder_is_none(finished: Path, tmp_path: Path) -> None:
    folder = copied(finished, tmp_path / "locked")
    with run_lock.locked(folder):
        assert sp.archive.status(folder).running
        with pytest.raises(SpecentError, match=f"is being written by process {os.getpid()} on "):
            sp.run(planned(), folder, progress=False)
    assert not sp.archive.status(folder).running
    # what a run from before a reboot leaves: the note, and no lock
    (folder / ".lock").write_text('{"process": 1, "host": "here", "since": "long ago"}')
    sp.run(planned(), folder, progress=False)


class Moody(torch.nn.Module):
    """A network of three classes whose data are a point each; one of them gives NaN."""

    def __init__(self, bad: int) -> None:
        super().__init__()
        self.bad = bad

    def forward(self, x: Tensor, sigma: Tensor, condition: Tensor) -> Tensor:
        data = condition[:, None].to(x.dtype).expand_as(x)
        return torch.where(condition[:, None] == self.bad, torch.nan, data)


def moody(bad: int) -> sp.Plan:
    model = sp.models.network(Moody(bad), ["a", "b", "c"], (2,), prediction="data", null=False)
    return sp.Plan(model, VE, GRID, 10)


def test_a_class_that_fails_costs_the_others_nothing(tmp_path: Path) -> None:
    # of which only its own trajectories are scored
    plans = [
        sp.Plan(moody(bad).model, VE, GRID, 10, classes=["a", "b", "c"], candidates=["a", "b", "c"]) for bad in (1, 7)
    ]
    with pytest.raises(SpecentError, match="6 of 6 shards failed"):
        sp.run(plans[0], tmp_path / "all", shard=5, progress=False)
    assert sp.archive.status(tmp_path / "all").done == 0
    sp.run(plans[1], tmp_path / "none", shard=5, progress=False)
    assert sp.archive.status(tmp_path / "none").done == 6


def test_a_failed_shard_is_named_and_alone_sampled_again(tmp_path: Path) -> None:
    grid = sp.schedules.edm_grid(5, 0.02, 300.0)
    keys = [(label, sample) for label in "ab" for sample in range(12)]
    starts = np.sort(np.abs(300 * Streams(0, keys, 1, 1).draw()[:, 0]))
    # the start of one trajectory alone is beyond the network
    most = {"state": starts[-2:].mean()}

    def net(x: Tensor, sigma: Tensor, condition: Tensor) -> Tensor:
        data = condition[:, None].to(x.dtype).expand_as(x)
        return torch.where(x.abs() > most["state"], torch.nan, data)

    model = sp.models.network(net, ["a", "b"], (1,), prediction="data", null=False, dtype=torch.float64)
    plan = sp.Plan(model, VE, grid, 12, seed=0)
    with pytest.raises(SpecentError, match=r"1 of 6 shards failed, the others are done: shard-c0000\d") as raised:
        sp.run(plan, tmp_path / "run", shard=4, progress=False, check=False)
    assert "a NaN or an infinity" in str(raised.value)
    assert sp.archive.status(tmp_path / "run").done == 5
    most["state"] = np.inf
    assert carried_out(plan, tmp_path / "run", check=False).sizes["sample"] == 12


def test_an_interruption_stops_after_the_shard_and_says_how_to_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write: Callable[..., Path] = sp.archive.write

    def interrupted(*args: Any, **options: Any) -> Path:
        os.kill(os.getpid(), signal.SIGINT)
        return write(*args, **options)

    monkeypatch.setattr(sp.archive, "write", interrupted)
    with pytest.raises(KeyboardInterrupt, match="1 of 9 missing shards were done; run it again to go on"):
        sp.run(planned(), tmp_path / "run", shard=8, progress=False)
    assert "interrupt again to stop at once" in capsys.readouterr().err
    monkeypatch.undo()
    assert sp.archive.status(tmp_path / "run").done == 1
    same(carried_out(planned(), tmp_path / "run"), carried_out(planned(), tmp_path / "whole", shard=8))


def test_an_unfinished_run_opens_as_far_as_all_classes_are_there(finished: Path, tmp_path: Path) -> None:
    folder = copied(finished, tmp_path / "unfinished")
    shards = sorted(folder.glob("shard-*.nc"))
    shards[1].unlink()
    with pytest.warns(SpecentWarning, match="8 of 9 shards are there; opened are 12 samples of every class, of 20"):
        runs = sp.open(folder)
    assert runs["sample"].values.tolist() == [*range(8), *range(16, 20)]
    np.testing.assert_array_equal(runs["final"].values, sp.open(finished)["final"].sel(sample=runs["sample"]).values)
    with pytest.raises(SpecentError, match="lacks 1 of 9 shards"):
        sp.archive.merge(folder, tmp_path / "merged.nc")
    for shard in shards[3:6:2] + shards[2:3]:
        shard.unlink(missing_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SpecentWarning)
        for shard in sorted(folder.glob("shard-c00000*.nc")):
            shard.unlink()
        with pytest.raises(ArchiveError, match="no samples of every class"):
            sp.open(folder)


def test_merging_gives_the_archive_of_the_whole(finished: Path, tmp_path: Path) -> None:
    path = sp.archive.merge(finished, tmp_path / "merged.nc")
    same(sp.open(path), sp.open(finished))
    assert sp.validate(path) == sp.validate(finished) == "2"
    with pytest.raises(ArchiveError, match="exists"):
        sp.archive.merge(finished, path)
    text = sp.describe(finished)
    assert "trajectories: Trajectories of gaussian_mixture" in text
    assert f"{finished.name}, " in text


def test_status_and_open_never_see_half_a_shard(tmp_path: Path) -> None:
    """A reader beside a writer: what is there is whole, and nothing is ever taken back."""
    folder = tmp_path / "run"
    writer = threading.Thread(target=lambda: sp.run(planned(60), folder, shard=5, progress=False))
    writer.start()
    seen = [0]
    while writer.is_alive():
        # a reader that never rests keeps the writer, which shares its interpreter, from writing
        time.sleep(0.1)
        if not (folder / "run.json").exists():
            continue
        report = sp.archive.status(folder, verify=len(seen) % 7 == 0)
        assert report.damaged == ()
        seen.append(report.done)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", SpecentWarning)
                runs = sp.open(folder)
        except ArchiveError as error:
            assert "no samples of every class" in str(error)  # noqa: PT017  (a race: there may be none)
        else:
            assert np.isfinite(runs["log_likelihood"].isel(sample=-1).values).all()
    writer.join()
    assert seen == sorted(seen)
    assert sp.archive.status(folder).done == 36
    # on a busy machine the reader comes to see few of the states between
    assert any(0 < count < 36 for count in seen)


def test_the_report_is_read_by_people(finished: Path, tmp_path: Path) -> None:
    text = str(sp.archive.status(finished))
    assert text.splitlines()[0] == f"{finished}: finished"
    assert "9 of 9 shards, 60 trajectories for every guidance setting" in text
    folder = copied(finished, tmp_path / "part")
    for i, shard in enumerate(sorted(folder.glob("shard-*.nc"))):
        if i in (2, 5, 8):
            shard.unlink()
        else:
            os.utime(shard, (1e9 + 600 * i, 1e9 + 600 * i))
    report = sp.archive.status(folder)
    # the last five of them took seventy minutes
    assert report.rate == pytest.approx(5 / (70 / 60))
    assert report.hours_left == pytest.approx(3 * 70 / 60 / 5)
    assert "about 4.29 shards an hour, 42 minutes left" in str(report)
    assert "run it again to go on" in str(report)
    # a clock that was set back tells nothing, and harms nothing
    for shard in folder.glob("shard-*.nc"):
        os.utime(shard, (1e9, 1e9))
    assert sp.archive.status(folder).rate is None


def test_the_time_of_a_copy_is_not_taken_for_that_of_sampling(finished: Path, tmp_path: Path) -> None:
    folder = copied(finished, tmp_path / "copy")
    shards = sorted(folder.glob("shard-*.nc"))
    shards[-1].unlink()
    now = time.time()
    for i, shard in enumerate(shards[:-1]):
        os.utime(shard, (now + 3600 + 1e-3 * i, now + 3600 + 1e-3 * i))
    assert sp.archive.status(folder).rate is None
    # the last three were sampled here, six minutes each
    for i, shard in enumerate(shards[5:-1]):
        text = f"{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime(now + 7200 + 360 * i))} sampled"
        with sp.open(shard) as opened:
            own = opened.load().assign_attrs(history=text)
        sp.write(own, shard, overwrite=True)
        os.utime(shard, (now + 7202 + 360 * i, now + 7202 + 360 * i))
    assert sp.archive.status(folder).rate == pytest.approx(10)


def test_the_report_of_a_quick_run_has_neither_exponents_nor_zero_minutes(finished: Path, tmp_path: Path) -> None:
    folder = copied(finished, tmp_path / "quick")
    for i, shard in enumerate(sorted(folder.glob("shard-*.nc"))):
        if i < 6:
            os.utime(shard, (1e9 + 0.5 * i, 1e9 + 0.5 * i))
        else:
            shard.unlink()
    assert "about 7200 shards an hour, less than a minute left" in str(sp.archive.status(folder))


def test_a_file_system_without_locks_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(SpecentError, match="has no locks"):
        sp.run(planned(), tmp_path / "run", progress=False)


def test_a_shard_of_another_plan_is_known_by_its_digest(finished: Path, tmp_path: Path) -> None:
    other = sp.run(planned(seed=4), tmp_path / "other", shard=8, progress=False)
    folder = copied(finished, tmp_path / "mixed")
    name = sorted(path.name for path in folder.glob("shard-*.nc"))[0]
    (folder / name).write_bytes((other / name).read_bytes())
    there = RunFolder.read(folder)
    assert "another plan" in there.fault(there.grid.shards[0])
    assert sealing.ends_in_seal(folder / name)


@pytest.mark.parametrize("workers", [1, 3, 20])
def test_the_rate_of_several_workers_is_that_of_all_together(workers: int) -> None:
    """Workers that take a minute a shard, and end within a second of each other; there was a night between."""
    rate = import_module("specent.archive.status")._rate
    bursts, ends = np.divmod(np.arange(900), workers)
    times = 60.0 * bursts + ends / workers + 30_000 * (np.arange(900) >= 500)
    # a burst at the end belongs to a minute that is not seen, and the night hides another
    assert rate(times.tolist()) == pytest.approx(60 * workers, rel=0.06)


class VastInOneClass(torch.nn.Module):
    """Its outputs for the third class are finite, and their squares too large for single precision."""

    def forward(self, x: Tensor, sigma: Tensor, label: Tensor) -> Tensor:
        return torch.where(label[:, None] == 2, 1e30, 0.0) * torch.ones_like(x)


@pytest.mark.filterwarnings("ignore:time ends at noise level")
@pytest.mark.parametrize("scoring", [None, sp.Scoring()], ids=["all", "few"])
def test_numbers_too_large_for_a_file_are_named_before_it_is_written(tmp_path: Path, scoring: Any) -> None:
    model = sp.models.network(VastInOneClass(), list(MIX.labels), (2,), prediction="data", null=False)
    plan = sp.Plan(model, VE, GRID, 4, "full", record=sp.Record(distances=False), scoring=scoring)
    with pytest.raises(
        SpecentError, match=r"shards failed.*(log_likelihood|production) is -?[\d.e+]+ at step.*too large"
    ):
        sp.run(plan, tmp_path / "run", check=False, progress=False)
    assert list((tmp_path / "run").glob("shard-*.nc")) == []
