"""Datasets are understood in whatever selection or reduction xarray makes of them, and in their earlier version."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import specent as sp
from specent import schema
from specent.errors import ArchiveError, SpecentError

OLD = Path(__file__).parents[1] / "archive" / "version_1"
Change = Callable[[xr.Dataset], xr.Dataset]


@pytest.fixture(scope="module")
def profiles() -> xr.Dataset:
    return sp.entropy(sp.archive.example(), replicates=50)


def without(dataset: xr.Dataset, attribute: str) -> xr.Dataset:
    rest = dataset.copy()
    del rest.attrs[attribute]
    return rest


SELECTIONS: dict[str, Change] = {
    "one partition": lambda d: d.sel(partition="full"),
    "one partition, dropped": lambda d: d.sel(partition="full", drop=True),
    "one of each": lambda d: d.isel(partition=0, guidance=0, estimator=0),
    "mean over partitions": lambda d: d.mean("partition"),
    "extra coordinate": lambda d: d.assign_coords(colour=("partition", ["red", "green", "blue"])),
    "extra variable": lambda d: d.assign(doubled=2 * d.entropy),
    "no replicates": lambda d: d.drop_dims("replicate"),
    "transposed": lambda d: d.transpose("time", ...),
    "renamed partition": lambda d: d.assign_coords(partition=["all", "coarse", "fine"]),
    "fewer times": lambda d: d.isel(time=slice(4, None)),
    "added dimension": lambda d: xr.concat([d, d], "network"),
}


@pytest.mark.parametrize("change", SELECTIONS.values(), ids=SELECTIONS.keys())
def test_a_selection_has_the_speciation_of_what_it_selects(profiles: xr.Dataset, change: Change) -> None:
    some = change(profiles)
    spec = sp.speciation(some, axis="sigma")
    schema.validate(spec, complete="definition" in some.coords)
    # the position of a crossing, from the curve itself by linear interpolation on this coarse grid of 32 times
    entropy = some.entropy.squeeze()
    if entropy.ndim == 1:
        start = float((some.entropy + some.mutual_information).squeeze()[-1])
        level = np.interp(0.5 * start, entropy.values, np.log(some.sigma.values))
        assert abs(np.log(spec.half_entropy.item()) - level) < 0.1
    whole = sp.speciation(profiles, axis="sigma").half_entropy.squeeze("axis")
    if "partition" in some.dims and "network" not in some.dims and some.sizes["time"] == profiles.sizes["time"]:
        np.testing.assert_allclose(spec.half_entropy.squeeze("axis").values, whole.values, rtol=1e-12)


def test_an_added_dimension_tells_runs_apart(profiles: xr.Dataset) -> None:
    both = xr.concat([profiles, profiles], "seed").assign_coords(seed=[7, 8])
    spec = sp.speciation(both, axis="sigma")
    assert spec.run.values.tolist() == ["7", "8"]
    np.testing.assert_array_equal(spec.half_entropy.isel(run=0), spec.half_entropy.isel(run=1))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.mean("time"), "the dimension 'time' of 'entropy' is gone"),
        (lambda d: d[["entropy"]], "profiles: the variable 'entropy_rate' is missing"),
        (lambda d: d[["clipped_ratios"]] if "clipped_ratios" in d else d[[]], "none of the variables of a profiles"),
        (lambda d: d.expand_dims(seed=2, network=2), "the dimension 'seed' is not one of a profiles dataset"),
        (lambda d: xr.Dataset(d.data_vars).drop_attrs(), "this dataset was not made by specent"),
        (lambda d: d.assign_coords(definition=d.definition[::-1].variable), "has the definition of 'cat | dog'"),
        (lambda d: d.stack(both=["partition", "guidance"]), "profiles: the dimension 'both' stacks several"),
        (lambda d: d.expand_dims(sample=2, run=2), "the dimension 'sample' is not one of a profiles dataset"),
        (lambda d: d.isel(replicate=[]), "profiles: the dimension 'replicate' has no entries"),
        (lambda d: d.isel(partition=[0, 0]), "profiles: the coordinate 'partition' holds the label 'full' 2 times"),
        (lambda d: d.drop_vars("log_snr"), "profiles: the coordinate 'log_snr' is missing"),
        (lambda d: d.drop_vars("time"), "profiles: the coordinate 'time' is missing"),
        (lambda d: d.assign_coords(sigma=3.0), r"profiles: the coordinate 'sigma' has the dimensions \(\)"),
        (lambda d: d.assign(entropy=d.entropy.astype(str)), "profiles: the variable 'entropy' has type <U"),
        (lambda d: without(d, "schedule"), "profiles: the attribute 'schedule' is missing"),
        (lambda d: without(d, "settings"), "profiles: the attribute 'settings' is missing"),
        (lambda d: d.assign_attrs(settings="{"), "profiles: the attribute 'settings' is '{', not the JSON text"),
        (lambda d: d.assign_attrs(rate_axis="noise"), "profiles: attribute 'rate_axis' is 'noise'"),
    ],
)
def test_what_cannot_be_understood_is_named(profiles: xr.Dataset, change: Change, message: str) -> None:
    with pytest.raises(SpecentError, match=message):
        sp.speciation(change(profiles))


def test_trajectories_of_one_setting_are_analysed_as_those_of_all() -> None:
    runs = sp.archive.example()
    whole = sp.entropy(runs, "full", "path", replicates=50)
    one = sp.entropy(runs.isel(guidance=1).assign(comment=0.0), "full", "path", replicates=50)
    np.testing.assert_allclose(one.entropy, whole.entropy.isel(guidance=[1]), rtol=1e-12, atol=1e-12)
    with pytest.raises(ArchiveError, match=r"runs: the dimension 'class_label' of 'log_likelihood' is gone"):
        sp.entropy(runs.mean("class_label"), "full", "path")


@pytest.mark.parametrize("dim", ["class_label", "candidate"])
def test_a_driver_or_candidate_that_is_there_twice_is_named(dim: str) -> None:
    runs = sp.archive.example()
    with pytest.raises(SpecentError, match=f"runs: the coordinate '{dim}' holds the label 'cat' 2 times"):
        sp.entropy(runs.isel({dim: [0, 0, 1]}), replicates=50)


def test_sealing_stays_strict(profiles: xr.Dataset, tmp_path: Path) -> None:
    for name in ("one partition", "extra variable", "added dimension"):
        with pytest.raises(ArchiveError):
            sp.write(SELECTIONS[name](profiles), tmp_path / "some.nc")
    assert not list(tmp_path.iterdir())


def test_a_summary_of_version_1_gets_its_axis() -> None:
    # the file is read without the package: its own names and attribute
    with xr.open_dataset(OLD / "speciation.nc", engine="netcdf4", decode_times=False) as raw:
        old = raw.load()
    assert old.attrs["specent_schema"] == "1"
    spec = sp.open(OLD / "speciation.nc")
    assert spec.attrs["specent_schema"] == "2"
    assert spec.axis.values.tolist() == [old.attrs["time_axis"]]
    for new, name in (("half_entropy", "half_time"), ("peak", "peak_time"), ("peak_rate_upper", "peak_rate_upper")):
        np.testing.assert_array_equal(spec[new].squeeze("axis").values, old[name].values)
    schema.validate(spec)


@pytest.mark.parametrize("path", sorted(OLD.glob("*.nc")), ids=lambda path: path.stem)
def test_files_of_version_1_open_and_can_be_written_anew(path: Path, tmp_path: Path) -> None:
    with sp.open(path) as dataset:
        again = sp.open(sp.write(dataset, tmp_path / "again.nc"))
        xr.testing.assert_equal(again, dataset)
        assert again.attrs["specent_schema"] == "2"


def test_the_analysis_of_trajectories_of_version_1_gives_the_numbers_it_gave() -> None:
    # profiles.nc was computed by version 0.1 from the first of the trajectories, see its history
    old = sp.open(OLD / "profiles.nc")
    new = sp.entropy(sp.open(OLD / "trajectories.nc"), replicates=50)
    for name in ("entropy", "entropy_rate", "mutual_information"):
        np.testing.assert_allclose(new[name], old[name], rtol=1e-12, atol=1e-12)
        # trajectories are resampled by other random numbers now: a standard deviation from 50 replicates has an error
        # of 10 %, that of the mean width of curves whose times go together is hardly smaller, and there are two
        wide = [float((profiles[f"{name}_upper"] - profiles[f"{name}_lower"]).mean()) for profiles in (new, old)]
        assert 0.6 < wide[0] / wide[1] < 1.6
    spec, before = sp.speciation(new, axis="sigma"), sp.open(OLD / "speciation.nc")
    for name in ("half_entropy", "peak", "peak_rate", "window_start", "window_end"):
        np.testing.assert_allclose(spec[name], before[name], rtol=1e-9)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.drop_vars("partition"), "the coordinate 'partition' is missing; restore it"),
        (lambda d: d.assign(final=d.final.mean("guidance")), "'final' has lost the dimension 'guidance'"),
        (lambda d: d.drop_vars("candidate_prior"), "the coordinate 'candidate_prior' is missing; restore it"),
        (lambda d: d.assign_coords(sigma=d.sigma.astype(object)), "'sigma' has type object; convert it"),
        (lambda d: d.assign_coords(log_snr=d.log_snr.astype(str)), "'log_snr' has type <U.*; convert it"),
        (lambda d: d.assign_coords(sigma_lo=d.sigma_lo.astype(str)), "'sigma_lo' has type <U.*; convert it"),
        (lambda d: d.assign_coords(label_prior=d.label_prior.astype(str)), "'label_prior' has type <U.*; convert it"),
        (lambda d: d.isel(sample=[0, 1, 0]), "holds sample 0 more than once"),
        (lambda d: d.assign_coords(sample=d.sample + 0.5), "the coordinate 'sample' has type float64"),
        (lambda d: d.mean("sample"), "average what comes out of the analysis"),
    ],
)
def test_trajectories_that_lost_what_is_needed_are_refused_by_name(change: Change, message: str) -> None:
    with pytest.raises(SpecentError, match=message):
        sp.entropy(change(sp.archive.example()), replicates=50)


@pytest.mark.parametrize("name", ["sigma", "alpha", "guidance_scale", "sigma_lo", "sigma_hi"])
def test_coordinates_that_are_only_carried_along_may_be_missing(name: str) -> None:
    runs = sp.archive.example().isel(sample=slice(8))
    whole, less = (sp.calibration_gap(one, "full", replicates=50) for one in (runs, runs.drop_vars(name)))
    assert name not in less.coords
    xr.testing.assert_equal(less, whole.drop_vars(name))


def test_a_title_may_be_missing(profiles: xr.Dataset) -> None:
    assert sp.on_schedule(without(profiles, "title"), sp.schedules.VP()).title == "profiles on the schedule vp"


def test_replicates_under_another_name_and_axes_that_are_no_text_are_refused(profiles: xr.Dataset) -> None:
    with pytest.raises(SpecentError, match="the dimension 'draw' is not one of a profiles dataset; undo its renaming"):
        sp.speciation(profiles.rename(replicate="draw"))
    with pytest.raises(SpecentError, match="attribute 'rate_axis' is"):
        sp.speciation(profiles.assign_attrs(rate_axis=np.array([1, 2])))


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d.isel(replicate=[0]),
        lambda d: d.isel(replicate=0),
        lambda d: d.isel(replicate=[0] * 50),
        lambda d: d.isel(replicate=slice(20)),
        lambda d: d.mean("replicate", keep_attrs=True),
    ],
)
def test_too_few_replicates_make_no_interval(profiles: xr.Dataset, change: Change) -> None:
    with pytest.warns(sp.SpecentWarning, match="different bootstrap replicates, too few for intervals"):
        spec = sp.speciation(change(profiles), axis="sigma")
    xr.testing.assert_equal(spec, sp.speciation(profiles.drop_dims("replicate"), axis="sigma"))


def test_profiles_of_other_replicates_are_not_joined(profiles: xr.Dataset) -> None:
    first, second = profiles.isel(estimator=[0], replicate=slice(None, None, -1)), profiles.isel(estimator=[1])
    with pytest.raises(SpecentError, match="datasets do not fit together"):
        sp.combine([first, second])
    runs = sp.archive.example()
    with pytest.raises(SpecentError, match="datasets do not fit together"):
        sp.combine([runs.isel(guidance=[0], other_candidate=[0]), runs.isel(guidance=[1])], along="guidance")
