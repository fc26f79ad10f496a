"""Runs that keep statistics: the same numbers as of trajectories, whatever the shards, interruptions and growth."""

from __future__ import annotations

import itertools
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

import specent as sp
from specent.analysis import bootstrap
from specent.archive import folding
from specent.archive.run_folder import RunFolder
from specent.archive.shards import Shard
from specent.archive.sums import summed
from specent.errors import ArchiveError, PartitionError, SpecentError, SpecentWarning
from specent.plotting.derived import with_profiles
from specent.runs import keeping

MIX = sp.exact.GaussianMixture([[-3.0, 0.0], [3.0, 0.0], [0.0, 4.0]], labels=["cat", "dog", "car"])
VE, GRID = sp.schedules.VE(), sp.schedules.edm_grid(5, 0.02, 100.0)
PARTITIONS = ["full", "cat|dog", "car|rest"]
ALL = ("path", "cross_entropy", "denoiser_gap", "null")

# five steps are too few for the estimators to agree, and are enough for what is compared here
pytestmark = pytest.mark.filterwarnings("ignore::specent.errors.CalibrationWarning")


def planned(samples: int = 50, **changes: Any) -> sp.Plan:
    options: dict[str, Any] = {"partitions": PARTITIONS, "guidance": [1.0, 2.0], "seed": 3, "record": "statistics"}
    return sp.Plan(sp.models.mixture(MIX), VE, GRID, samples, **(options | changes))


def trajectories(samples: int = 50, partitions: Any = PARTITIONS) -> xr.Dataset:
    return sp.sample(
        sp.models.mixture(MIX), schedule=VE, time=GRID, samples=samples, partitions=partitions, guidance=[1.0, 2.0],
        seed=3, progress=False,
    )  # fmt: skip


def carried_out(plan: sp.Plan, folder: Path, **options: Any) -> xr.Dataset:
    return sp.open(sp.run(plan, folder, progress=False, **options))


def same_profiles(one: xr.Dataset, other: xr.Dataset) -> None:
    """Estimates, intervals and replicates, up to the rounding of sums in another order."""
    assert set(one.variables) == set(other.variables)
    for name in one.data_vars:
        # replicates are in single precision
        tolerance = 1e-6 if "replicate" in name else 1e-12
        np.testing.assert_allclose(one[name].values, other[name].values, rtol=tolerance, atol=tolerance, err_msg=name)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of 50 samples of three classes in 6 shards, which tests only read."""
    return sp.run(planned(), tmp_path_factory.mktemp("runs") / "finished", shard=25, progress=False)


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> list[xr.Dataset]:
    """The statistics of its shards one by one."""
    folder = tmp_path_factory.mktemp("parts") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("specent.runs.running.fold", lambda *_, **__: None)
        sp.run(planned(), folder, shard=25, progress=False)
    files = sorted(folder.glob("shard-*.nc"))
    assert len(files) == 6
    return [sp.open(file).load() for file in files]


@pytest.mark.parametrize("rate", ["production", "differences"])
def test_profiles_are_those_of_the_trajectories(finished: Path, rate: Any) -> None:
    same_profiles(sp.entropy(finished, rate=rate), sp.entropy(trajectories(), rate=rate))


def test_the_null_estimator_serves_the_partitions_that_cover_all_labels(finished: Path) -> None:
    names = ["full", "car|rest"]
    same_profiles(sp.entropy(finished, names, ALL), sp.entropy(trajectories(), names, ALL))
    with pytest.raises(SpecentError, match=r"estimator 'null': partition 'cat \| dog' does not cover all labels"):
        sp.entropy(finished, None, "null")


def test_a_partition_is_found_by_its_name_and_by_its_sides(finished: Path) -> None:
    expected = sp.entropy(trajectories(), "cat|dog")
    same_profiles(sp.entropy(finished, "cat | dog"), expected)
    same_profiles(sp.entropy(sp.open(finished), sp.Partition.pair("cat", "dog")), expected)


def test_replicates_and_seed_are_those_of_the_plan(tmp_path: Path) -> None:
    runs = carried_out(planned(record=sp.Statistics(60, seed=5)), tmp_path / "run")
    same_profiles(sp.entropy(runs), sp.entropy(trajectories(), replicates=60, seed=5))
    same_profiles(sp.entropy(runs, replicates=60, seed=5), sp.entropy(runs))
    with pytest.raises(SpecentError, match=r"replicates=200: statistics were resampled .* with replicates=60"):
        sp.entropy(runs, replicates=200)
    with pytest.raises(SpecentError, match=r"seed=0: .* with seed=5; leave the argument out"):
        sp.entropy(runs, seed=0)


@settings(max_examples=15)
@given(order=st.permutations(range(6)), cuts=st.sets(st.integers(1, 5), max_size=3))
def test_parts_add_up_in_any_order_and_grouping(parts: list[xr.Dataset], order: list[int], cuts: set[int]) -> None:
    edges = [0, *sorted(cuts), 6]
    groups = [summed(parts[i] for i in order[low:high]) for low, high in itertools.pairwise(edges)]
    total, whole = summed(groups), summed(parts)
    total = total.sel(class_label=whole["class_label"].values)
    assert total["trajectories"].values.tolist() == [50, 50, 50]
    for name in whole.data_vars:
        # replicates have weights of both signs: rounding is of the size of what is summed
        scale = float(abs(whole[name]).max())
        np.testing.assert_allclose(total[name].values, whole[name].values, rtol=1e-12, atol=1e-12 * scale, err_msg=name)


def test_parts_of_other_runs_are_not_added(parts: list[xr.Dataset]) -> None:
    other = parts[0].assign_coords(time=parts[0].time * 2)
    for misfit in (other, parts[0].isel(replicate=slice(0, 60)), parts[0].drop_vars("production")):
        with pytest.raises(ArchiveError, match="cannot be added"):
            summed([parts[1], misfit])


def test_the_size_does_not_depend_on_the_samples_and_one_file_is_left(tmp_path: Path, finished: Path) -> None:
    few = sp.run(planned(25), tmp_path / "few", progress=False)
    sizes = [[file.stat().st_size for file in folder.glob("shard-*.nc")] for folder in (few, finished)]
    assert [len(size) for size in sizes] == [1, 1]
    # values that compress a little better or worse
    assert sizes[0][0] == pytest.approx(sizes[1][0], rel=0.05)


def test_files_are_added_up_on_the_way_if_they_are_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    most = []

    def watched(folder: RunFolder, **options: Any) -> None:
        most.append(len(folder.files()))
        folding.fold(folder, **options)

    monkeypatch.setattr(folding, "_BYTES", 500_000)
    monkeypatch.setattr("specent.runs.carrying_out.fold", watched)
    same_profiles(sp.entropy(carried_out(planned(), tmp_path / "run", shard=25)), sp.entropy(trajectories()))
    # a file has about 300 kB, so there are two of them, and the next one
    assert max(most) <= 3


def test_an_interrupted_run_goes_on_and_a_longer_one_adds_samples(tmp_path: Path, finished: Path) -> None:
    folder = tmp_path / "run"
    sp.run(planned(25), folder, shard=25, progress=False)
    for damage in ("cut", "gone"):
        (file,) = folder.glob("shard-*.nc")
        if damage == "cut":
            file.write_bytes(file.read_bytes()[:-100])
            with pytest.warns(SpecentWarning, match="was set aside in damaged/ and is sampled again"):
                sp.run(planned(25), folder, progress=False)
        else:
            file.unlink()
            sp.run(planned(25), folder, progress=False)
    runs = carried_out(planned(), folder)
    assert runs["trajectories"].values.tolist() == [50, 50, 50]
    same_profiles(sp.entropy(runs), sp.entropy(finished))


def test_a_file_within_another_counts_once(tmp_path: Path, parts: list[xr.Dataset], finished: Path) -> None:
    """As it is left by a run that was killed after it added files up, and before it removed them."""
    folder = Path(shutil.copytree(finished, tmp_path / "run"))
    sp.write(parts[4], folder / "shard-c00001-00002-s0000025-0000050.nc")
    assert len(list(folder.glob("shard-*.nc"))) == 2
    same_profiles(sp.entropy(folder), sp.entropy(finished))
    sp.run(planned(), folder, progress=False)
    assert [file.name for file in folder.glob("shard-*.nc")] == ["shard-c00000-00003-s0000000-0000050.nc"]


def test_files_that_overlap_count_each_trajectory_once(tmp_path: Path) -> None:
    """As they are if two copies of a folder, which added up different shards, are brought together."""
    folder = sp.run(planned(75), tmp_path / "run", shard=25, progress=False)
    whole, (file,) = sp.open(folder).load(), folder.glob("shard-*.nc")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("specent.runs.running.fold", lambda *_, **__: None)
        file.unlink()
        sp.run(planned(75), folder, progress=False)
    there = RunFolder.read(folder)
    shards = there.files()
    sums = (Shard(0, 3, 0, 50), Shard(0, 3, 25, 75))
    for joined in sums:
        members = [shard for shard in shards if joined.holds(shard)]
        sp.write(sp.schema.with_settings(summed(there.read_sums(members)), shard=joined.name), there.file(joined))
    # all is there: one sum, and shards beside it
    same_profiles(sp.entropy(folder), sp.entropy(whole))
    for shard in shards:
        there.file(shard).unlink()
    with pytest.warns(SpecentWarning, match="opened are 50 samples of every class, of 75"):
        assert sp.open(folder)["trajectories"].values.tolist() == [50, 50, 50]
    runs = carried_out(planned(75), folder)
    assert runs["trajectories"].values.tolist() == [75, 75, 75]
    same_profiles(sp.entropy(runs), sp.entropy(whole))
    assert [one.name for one in folder.glob("shard-*.nc")] == [file.name]


def test_files_that_are_added_up_while_they_are_read_are_read_again(
    tmp_path: Path, parts: list[xr.Dataset], finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    shutil.copy(finished / "run.json", folder)
    for part in parts:
        sp.write(part, folder / sp.untrusted.parse_json(part.attrs["settings"])["shard"])
    read = RunFolder.read_sums

    def adds_up_first(there: RunFolder, files: Any) -> Any:
        monkeypatch.setattr(RunFolder, "read_sums", read)
        folding.fold(there, everything=True)
        return read(there, files)

    monkeypatch.setattr(RunFolder, "read_sums", adds_up_first)
    same_profiles(sp.entropy(folder), sp.entropy(finished))
    assert len(list(folder.glob("shard-*.nc"))) == 1


def test_of_a_run_that_is_not_finished_the_samples_of_all_classes_are_opened(
    tmp_path: Path, parts: list[xr.Dataset], finished: Path
) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    shutil.copy(finished / "run.json", folder)
    for part in parts[:-1]:
        sp.write(part, folder / sp.untrusted.parse_json(part.attrs["settings"])["shard"])
    with pytest.warns(SpecentWarning, match="opened are 25 samples of every class, of 50"):
        runs = sp.open(folder)
    assert runs["trajectories"].values.tolist() == [25, 25, 25]
    same_profiles(sp.entropy(runs), sp.entropy(trajectories(25)))
    assert "5 of 6 shards" in str(sp.archive.status(folder))
    with pytest.raises(SpecentError, match="lacks"):
        sp.validate(folder)
    folding.fold(RunFolder.read(folder), everything=True)
    # the samples that all classes have, and those that one class lacks
    assert len(list(folder.glob("shard-*.nc"))) == 2
    with pytest.warns(SpecentWarning, match="opened are 25 samples of every class"):
        same_profiles(sp.entropy(folder), sp.entropy(trajectories(25)))


def test_a_renamed_file_is_not_counted_twice(tmp_path: Path, finished: Path) -> None:
    folder = Path(shutil.copytree(finished, tmp_path / "run"))
    (file,) = folder.glob("shard-*.nc")
    file.rename(folder / "shard-c00000-00003-s0000000-0000025.nc")
    assert "holds other trajectories than its name says" in RunFolder.read(folder).fault(Shard(0, 3, 0, 25))
    with pytest.raises(ArchiveError, match="holds other trajectories than its name says"), pytest.warns(SpecentWarning):
        sp.open(folder)


def test_the_folder_merges_validates_is_described_and_drawn(tmp_path: Path, finished: Path) -> None:
    merged = sp.archive.merge(finished, tmp_path / "sums.nc")
    assert sp.validate(merged, "statistics") == sp.validate(finished) == "2"
    assert "statistics: Statistics of trajectories of gaussian_mixture for 3 partitions\n" in sp.describe(finished)
    drawn, names = with_profiles([sp.open(merged)], "cat | dog")
    assert [one.attrs["specent_kind"] for one in drawn] == ["statistics", "profiles"]
    assert names == ["cat | dog"]
    with pytest.warns(SpecentWarning, match="do not cross one of the levels"):
        summary = sp.analysis.summarise(sp.open(merged))
    assert [one.attrs["specent_kind"] for one in summary] == ["statistics", "profiles", "speciation"]


def test_what_was_not_evaluated_is_summed_too(tmp_path: Path) -> None:
    scoring = sp.Scoring(drop=0.05, lag=0.5)
    kept = carried_out(planned(25, scoring=scoring, guidance=1.0), tmp_path / "run")
    runs = sp.sample(
        sp.models.mixture(MIX), schedule=VE, time=GRID, samples=25, partitions=PARTITIONS, seed=3, scoring=scoring,
        progress=False,
    )  # fmt: skip
    same_profiles(sp.entropy(kept), sp.entropy(runs))
    assert kept["evaluations"].values.tolist() == runs["evaluations"].sum(("class_label", "sample")).values.tolist()
    # of 75 trajectories with four candidates each
    assert 75 <= int(kept["evaluations"].min()) < 300
    dropped = runs["dropped_mass"].astype(float).sum(("class_label", "sample"))
    np.testing.assert_allclose(kept["dropped_mass"].values, dropped.values, rtol=1e-12)
    assert float(kept["dropped_mass"].max()) > 0
    assert kept.attrs["scoring"] == runs.attrs["scoring"]
    assert sp.validate(tmp_path / "run") == "2"


def test_batches_and_portions_change_nothing(tmp_path: Path, finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeping, "_BYTES", 100_000)
    runs = carried_out(planned(), tmp_path / "run", batch_size=7, shard=50)
    same_profiles(sp.entropy(runs), sp.entropy(finished))


def test_what_statistics_cannot_say_is_refused(finished: Path) -> None:
    runs = sp.open(finished)
    with pytest.raises(PartitionError, match=r"'cat \| car' is not among the 3 of which statistics were kept"):
        sp.entropy(runs, "cat|car")
    with pytest.raises(SpecentError, match="noisy end was cut off"):
        sp.entropy(runs.isel(time=slice(0, 3)))
    sp.entropy(runs.isel(time=slice(0, 3)), None, "path")
    with pytest.raises(SpecentError, match="different numbers of trajectories, 50 to 100"):
        sp.entropy(runs.assign(trajectories=runs.trajectories * [1, 2, 1]))
    with pytest.raises(SpecentError, match="'statistics'"):
        sp.calibration_gap(runs)
    with pytest.raises(SpecentError, match="null condition is not among the candidates"):
        sp.entropy(runs.drop_vars(["null_entropy", "null_entropy_replicate"]), None, "null")
    with pytest.raises(SpecentError, match="statistics keep no production"):
        sp.entropy(runs.drop_vars(["production", "production_replicate"]))


def test_selections_and_changes_of_statistics_are_refused_or_change_nothing(finished: Path) -> None:
    runs = sp.open(finished).load()
    same_profiles(sp.entropy(runs.chunk(time=2)), sp.entropy(runs))
    refused: dict[str, xr.Dataset] = {
        "10 replicates are too few": runs.isel(replicate=slice(10)),
        "1 replicates are too few": runs.isel(replicate=0),
        "0 replicates are too few": runs.drop_vars([name for name in runs.data_vars if "_replicate" in str(name)]),
        "trajectories=.* at least 1": runs.assign(trajectories=-runs.trajectories),
        "production is not finite": runs.assign(production=runs.production.where(runs.time > runs.time[1])),
        "attribute resampling_seed='x'": runs.assign_attrs(resampling_seed="x"),
    }
    for name in ("class_label", "label_prior", "guidance", "guidance_scale", "sigma_lo"):
        refused[f"the coordinate '{name}' is missing"] = runs.drop_vars(name)
    for text, changed in refused.items():
        with pytest.raises(SpecentError, match=text):
            sp.entropy(changed)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"samples": 60}, "samples=60: statistics are kept of groups of 25 samples; take 50 or 75"),
        ({"partitions": ()}, "the plan names none"),
        ({"record": "nothing"}, "record='nothing': use 'trajectories', 'statistics'"),
        ({"record": 3}, "record=3: use 'trajectories'"),
        ({"classes": ["cat", "dog"], "partitions": ["cat|car"]}, "the label 'car' .* drives no trajectory"),
    ],
)
def test_plans_without_statistics_are_refused(changes: dict[str, Any], text: str) -> None:
    with pytest.raises(SpecentError, match=text):
        planned(**changes)


@pytest.mark.parametrize("options", [{"replicates": 49}, {"replicates": 2.5}, {"seed": -1}, {"seed": 2**63}])
def test_bad_options_of_statistics_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(SpecentError, match=f"record: {next(iter(options))}"):
        sp.Statistics(**options)


@pytest.mark.parametrize("record", ["statistics", sp.Statistics()])
def test_sample_says_where_statistics_are_kept(record: Any) -> None:
    with pytest.raises(SpecentError, match=r"statistics are kept by specent.run\(specent.Plan"):
        sp.sample(sp.models.mixture(MIX), schedule=VE, time=GRID, samples=25, record=record)


def test_the_replicates_that_can_be_kept_are_those_that_the_analysis_takes() -> None:
    for count in (bootstrap.FEWEST, bootstrap.MOST):
        assert sp.Statistics(count).replicates == bootstrap.check_resampling(count, 0).replicates
    for count in (bootstrap.FEWEST - 1, bootstrap.MOST + 1):
        with pytest.raises(SpecentError, match="record: replicates"):
            sp.Statistics(count)


def test_shards_are_cut_between_groups(tmp_path: Path) -> None:
    with pytest.raises(SpecentError, match="shard=30: statistics are kept of groups of 25"):
        sp.run(planned(), tmp_path / "run", shard=30)
    assert not (tmp_path / "run" / "run.json").exists()


def test_statistics_that_do_not_fit_into_memory_are_refused_early(tmp_path: Path) -> None:
    plan = planned(record=sp.Statistics(100_000), partitions=[sp.Partition.full(MIX.labels)] * 1)
    kept = keeping.keeping(plan.setup("cpu"), sp.sampling.sampler.Execution(), plan.statistics)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sp.memory, "total", lambda: 10_000_000)
        with pytest.raises(SpecentError, match=r"the statistics of 1 partitions with 100000 replicates would need"):
            kept.refuse_if_too_large((1, 50))
    for record in ("statistics", "trajectories"):
        with pytest.raises(SpecentError, match=r"samples=1000000000000: their numbers would need .* GiB"):
            sp.run(planned(10**12, record=record), tmp_path / "long", progress=False)


def test_another_record_is_another_plan(tmp_path: Path) -> None:
    sp.run(planned(25), tmp_path / "run", progress=False)
    others = {"statistics' there and 'trajectories' here": sp.Record(), "replicates is 200 there": sp.Statistics(60)}
    for difference, record in others.items():
        with pytest.raises(SpecentError, match=f"holds the run of another plan: record.*{difference}"):
            sp.run(planned(25, record=record), tmp_path / "run", progress=False)


@pytest.mark.parametrize("suffix", [".toml", ".json"])
def test_a_plan_file_says_which_statistics_are_kept(tmp_path: Path, suffix: str) -> None:
    for record in ("statistics", sp.Statistics(60, seed=5)):
        plan = planned(record=record)
        again = sp.Plan.read(plan.write(tmp_path / f"plan{suffix}", overwrite=True))
        assert (again.record, again.definition) == (plan.record, plan.definition)


def test_the_posterior_of_a_symmetric_pair_has_its_closed_form(tmp_path: Path) -> None:
    """Two points at -m and m: the entropy of the label given x at noise sigma, by quadrature, within its interval."""
    m, level = 1.0, 1.0
    pair = sp.exact.GaussianMixture([[-m], [m]], labels=["a", "b"], variance=1e-6)
    grid = sp.schedules.edm_grid(48, 0.3, 40.0)
    grid = np.sort(np.append(grid, level))
    plan = sp.Plan(sp.models.mixture(pair), VE, grid, 2000, partitions=["a|b"], record="statistics", seed=1)
    profiles = sp.entropy(carried_out(plan, tmp_path / "run"), estimator="path").sel(time=level).squeeze()
    bias = float(profiles["discretisation_bias"])
    assert bias < 0.03
    nodes, weights = np.polynomial.hermite_e.hermegauss(100)
    x = m + level * nodes
    p = 1 / (1 + np.exp(-2 * m * x / level**2))
    with np.errstate(all="ignore"):
        h = -(p * np.log2(p) + np.nan_to_num((1 - p) * np.log2(1 - p)))
    exact = float((weights / weights.sum()) @ h)
    spread = float(profiles["entropy_upper"] - profiles["entropy_lower"]) / 3.92
    # finite steps move it by about as much as the other estimator lies apart
    assert float(profiles["entropy"]) == pytest.approx(exact, abs=4 * spread + bias)
    assert spread < 0.02
