"""Trajectories sampled apart are, joined, those sampled at once; runs compared keep their numbers."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import specent as sp
from specent.errors import SpecentError, SpecentWarning
from specent.partitions import Partition

MIX = sp.exact.GaussianMixture([[-3.0], [3.0], [9.0]], labels=["a", "b", "c"])
GRID = sp.schedules.edm_grid(12)
BOTH = [sp.Guidance(), sp.Guidance(2.0)]


def sampled(**options: object) -> xr.Dataset:
    given = {"samples": 20, "partitions": ["full", "a|b"], "guidance": BOTH, "progress": False, **options}
    return sp.sample(sp.models.mixture(MIX), schedule=sp.schedules.VE(), time=GRID, **given)


@pytest.fixture(scope="module")
def at_once() -> xr.Dataset:
    return sampled()


def assert_same(first: xr.Dataset, second: xr.Dataset) -> None:
    for name in first.data_vars:
        # batches of another size: sums of a few double-precision numbers in another order
        np.testing.assert_allclose(first[name], second[name], rtol=1e-9, atol=1e-9, err_msg=str(name))
    for name in first.coords:
        assert first[name].values.tolist() == second[name].values.tolist(), name


def test_classes_sampled_apart_are_those_sampled_at_once(at_once: xr.Dataset) -> None:
    parts = [sampled(classes=classes) for classes in (["a"], ["b", "c"])]
    runs = sp.combine(parts, along="class_label")
    assert_same(runs, at_once)
    sp.validate(runs)


def test_guidance_settings_sampled_apart_are_those_sampled_at_once(at_once: xr.Dataset) -> None:
    runs = sp.combine(*(sampled(guidance=setting) for setting in BOTH), along="guidance")
    assert_same(runs, at_once)
    assert runs.attrs["guidance_formula"] == at_once.attrs["guidance_formula"]


def test_samples_of_two_seeds_have_the_mean_of_both(at_once: xr.Dataset, tmp_path: Path) -> None:
    other = sampled(seed=1, samples=60)
    runs = sp.combine([at_once, other], along="sample")
    assert runs.sample.values.tolist() == list(range(80))
    together, first, second = (sp.entropy(part, estimator="path", replicates=50) for part in (runs, at_once, other))
    # a mean over 20 and 60 trajectories a class
    np.testing.assert_allclose(together.entropy, 0.25 * first.entropy + 0.75 * second.entropy, rtol=1e-9, atol=1e-12)
    again = sp.open(sp.write(runs, tmp_path / "runs.nc"))
    assert json.loads(again.attrs["seed"]) == [0, 1]
    assert [part["seed"] for part in json.loads(again.attrs["settings"])["parts"]] == [0, 1]
    more = sp.combine([runs, sampled(seed=2)], along="sample")
    assert json.loads(more.attrs["seed"]) == [0, 1, 2]


@pytest.mark.parametrize(
    ("options", "along", "message"),
    [
        ({}, "sample", "the trajectories of seed 0, sample 0 once more"),
        ({"seed": 1}, "class_label", "class_label 'a' is in more than one"),
        ({}, "guidance", "guidance 'unguided' is in more than one"),
        ({"seed": 1, "guidance": sp.Guidance(3.0)}, "guidance", r"the seeds \[0, 1\] differ"),
        ({"seed": 1, "guidance": sp.Guidance(3.0)}, "sample", "differs .* in the coordinate 'guidance'"),
        ({"seed": 1, "partitions": ["full"]}, "sample", "differs .* in the coordinate 'partition'"),
        ({"seed": 1, "candidates": ["a", "b", "c", "null"][::-1]}, "sample", ""),
        ({"seed": 1, "shared_noise": True}, "sample", "seed_rule"),
        ({"seed": 1, "record": sp.Record(distances=False)}, "sample", "'denoiser_distance' is in only one"),
    ],
)
def test_what_does_not_belong_together_is_named(
    at_once: xr.Dataset, options: dict[str, object], along: str, message: str
) -> None:
    other = sampled(**options)
    if not message:
        joined = sp.combine([at_once, other], along=along)
        assert joined.candidate.values.tolist() == at_once.candidate.values.tolist()
        return
    with pytest.raises(SpecentError, match=message):
        sp.combine([at_once, other], along=along)


@pytest.mark.parametrize(
    ("change", "along", "message"),
    [
        (
            lambda d: d.drop_vars("guidance_scale"),
            "guidance",
            r"datasets\[0\] has lost the coordinate 'guidance_scale'",
        ),
        (lambda d: d.drop_vars("sample"), "sample", "lost the coordinate 'sample' of 'sample'; restore it"),
        (lambda d: d.drop_vars("label_prior"), "class_label", "lost the coordinate 'label_prior' of 'class_label'"),
        (lambda d: d.assign_attrs(seed="x"), "sample", r"datasets\[0\] has seed='x', which is neither a whole number"),
        (lambda d: d.assign_attrs(seed=[[1]]), "sample", r"has seed=\[\[1\]\]"),
        (lambda d: d.assign_attrs(seed='{"a": 1}'), "sample", "has seed="),
    ],
)
def test_trajectories_that_lost_what_they_are_known_by_are_named(
    at_once: xr.Dataset, change: Callable[[xr.Dataset], xr.Dataset], along: str, message: str
) -> None:
    with pytest.raises(SpecentError, match=message):
        sp.combine([change(at_once), at_once], along=along)


def test_compared_runs_are_not_combined_with_a_single_one(two: dict[str, xr.Dataset]) -> None:
    single = two["near"].assign_coords(estimator=["other"])
    with pytest.raises(SpecentError, match="one of them compares runs"):
        sp.combine([sp.compare(two), single])


def test_other_models_and_other_grids_are_refused(at_once: xr.Dataset) -> None:
    far = sp.exact.GaussianMixture([[-3.0], [3.0], [8.0]], labels=["a", "b", "c"])
    options = {"samples": 20, "partitions": ["full", "a|b"], "guidance": BOTH, "progress": False, "seed": 1}
    other = sp.sample(sp.models.mixture(far), schedule=sp.schedules.VE(), time=GRID, **options)
    with pytest.raises(SpecentError, match=r"datasets\[1\] has model=.* different models"):
        sp.combine([at_once, other], along="sample")
    finer = sp.sample(sp.models.mixture(MIX), schedule=sp.schedules.VE(), time=sp.schedules.edm_grid(16), **options)
    with pytest.raises(SpecentError, match="in the coordinate 'log_snr'"):
        sp.combine([at_once, finer], along="sample")
    with pytest.raises(SpecentError, match="along='time' must be"):
        sp.combine([at_once, at_once], along="time")
    with pytest.raises(SpecentError, match="joins at least two"):
        sp.combine([at_once], along="sample")


@pytest.fixture(scope="module")
def two() -> dict[str, xr.Dataset]:
    exact = {}
    for name, m in (("near", 2.0), ("far", 8.0)):
        mix = sp.exact.GaussianMixture([[-m], [m]], labels=["a", "b"])
        exact[name] = sp.exact.profiles(mix, sp.schedules.VE(), np.geomspace(0.05, 200, 80), Partition.pair("a", "b"))
    return exact


def test_compared_runs_keep_their_numbers_through_summary_and_file(two: dict[str, xr.Dataset], tmp_path: Path) -> None:
    both = sp.compare(two)
    spec = sp.speciation(both)
    for name, profile in two.items():
        xr.testing.assert_allclose(both.entropy.sel(run=name, drop=True), profile.entropy)
        alone = sp.speciation(profile)
        for variable in spec.data_vars:
            np.testing.assert_allclose(spec[variable].sel(run=name), alone[variable], rtol=1e-12)
    # two components at +-m of unit variance: sigma^2 = m^2 / 1.021770^2 - 1 at half the entropy (arXiv 2602.09651)
    expected = np.sqrt(np.array([4.0, 64.0]) / 1.021770**2 - 1)
    np.testing.assert_allclose(spec.half_entropy.sel(axis="sigma").values.ravel(), expected, rtol=1e-4)
    again = sp.open(sp.write(both, tmp_path / "both.nc"))
    assert again.run.values.tolist() == ["near", "far"]
    assert set(json.loads(again.attrs["settings"])["runs"]) == {"near", "far"}
    compared = sp.compare({name: sp.speciation(profile) for name, profile in two.items()})
    np.testing.assert_allclose(compared.half_entropy.transpose(*spec.half_entropy.dims), spec.half_entropy)


def test_fits_of_compared_runs_are_those_of_each() -> None:
    grid = sp.schedules.log_snr_grid(sp.schedules.VE(), 201, -14.0, 4.0)
    sweeps = {str(v): sp.exact.scaling_profiles([16, 64, 256], sp.schedules.VE(), grid, variance=v) for v in (1.0, 4.0)}
    fit = sp.fit_scaling(sp.speciation(sp.compare(sweeps), axis="sigma"), law="sqrt")
    for name, sweep in sweeps.items():
        alone = sp.fit_scaling(sp.speciation(sweep, axis="sigma"), law="sqrt")
        np.testing.assert_allclose(fit.exponent.sel(run=name), alone.exponent, rtol=1e-12)


def test_what_one_run_lacks_is_left_out_and_said(two: dict[str, xr.Dataset]) -> None:
    more = sp.exact.profiles(
        sp.exact.GaussianMixture([[-2.0], [2.0]], labels=["a", "b"]), sp.schedules.VE(), two["near"].time.values,
        [Partition.full(["a", "b"]), Partition.pair("a", "b")],
    )  # fmt: skip
    with pytest.warns(SpecentWarning, match="left out: partition 'full'"):
        both = sp.compare({"one": two["far"], "other": more})
    assert both.partition.values.tolist() == ["a | b"]


def test_axes_that_one_summary_lacks_are_said(two: dict[str, xr.Dataset]) -> None:
    short = two["far"].isel(time=slice(60, None))
    with pytest.warns(SpecentWarning, match="do not cross"):
        far = sp.speciation(short, axis=["sigma", "time"])
    near = sp.speciation(two["near"])
    with pytest.warns(SpecentWarning, match="left out: axis 'log_sigma', axis 'log_snr'"):
        both = sp.compare({"near": near, "far": far})
    assert both.axis.values.tolist() == ["sigma", "time"]
    values = ("half_entropy", "peak", "peak_rate", "window_start", "window_end")
    assert both.attrs["missing"] == sum(int(np.isnan(both[name]).sum()) for name in values) > 0
    # on other schedules the axis "time" is not one, which goes without saying
    other = sp.speciation(sp.on_schedule(two["far"], sp.schedules.VP()))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert "time" not in sp.compare({"near": near, "far": other}).axis


@pytest.mark.parametrize("options", [{"level": 0.3}, {"window": (0.7, 0.4)}])
def test_summaries_of_other_levels_are_not_compared(two: dict[str, xr.Dataset], options: dict[str, object]) -> None:
    other = sp.speciation(two["far"], **options)
    with pytest.raises(SpecentError, match=rf"datasets\['far'\] has {next(iter(options))}=.* mean different things"):
        sp.compare({"near": sp.speciation(two["near"]), "far": other})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: sp.speciation(d), "compare like with like"),
        (lambda d: d.isel(time=slice(1, None)), "has other times"),
        (lambda d: sp.on_schedule(d, sp.schedules.VP()), "has schedule="),
        (lambda d: d.assign_coords(partition=["other"]), "have no partition in common"),
        (lambda d: 3, "is a int; compare profiles or summaries"),
        (lambda d: sp.archive.example(), "of kind 'trajectories'; compare profiles"),
    ],
)
def test_runs_that_cannot_be_compared_are_named(two: dict[str, xr.Dataset], change: object, message: str) -> None:
    with pytest.raises(SpecentError, match=message):
        sp.compare({"one": two["near"], "other": change(two["far"])})  # type: ignore[operator]
    with pytest.raises(SpecentError, match="pass a mapping from the name"):
        sp.compare(two["near"])  # type: ignore[arg-type]


def test_definitions_are_read_once_for_each_partition(monkeypatch: pytest.MonkeyPatch) -> None:
    labels = [f"{i}" for i in range(12)]
    mix = sp.exact.GaussianMixture(4 * np.eye(12), labels=labels)
    pairs = [Partition.pair(a, b) for i, a in enumerate(labels) for b in labels[:i]]
    runs = sp.sample(
        sp.models.mixture(mix), schedule=sp.schedules.VE(), time=sp.schedules.edm_grid(4), samples=2,
        partitions=pairs, progress=False,
    )  # fmt: skip
    calls = []
    read = Partition.from_json.__func__  # type: ignore[attr-defined]
    monkeypatch.setattr(Partition, "from_json", classmethod(lambda cls, text: calls.append(text) or read(cls, text)))
    with warnings.catch_warnings():
        # four steps are too few for the numbers
        warnings.simplefilter("ignore", SpecentWarning)
        sp.entropy(runs, estimator=("path", "denoiser_gap"), replicates=50)
    # 66 partitions: every one parsed once to be named, once for its production, and a few times to be validated
    assert len(calls) <= 6 * len(pairs)


def test_entropy_takes_a_path_and_a_tree(at_once: xr.Dataset, tmp_path: Path) -> None:
    path = sp.write(at_once, tmp_path / "runs.nc")
    options = {"estimator": "path", "replicates": 50}
    expected = sp.entropy(at_once, **options).entropy.values
    tree = xr.DataTree.from_dict({"/mixture/runs": at_once})
    for runs in (path, str(path), tree, tree["mixture"]["runs"]):
        np.testing.assert_allclose(sp.entropy(runs, **options).entropy, expected, rtol=1e-9, atol=1e-12)
    several = xr.DataTree.from_dict({"/one": at_once, "/two": at_once})
    with pytest.raises(SpecentError, match="a DataTree with 2 datasets of kind 'trajectories'"):
        sp.entropy(several)
    with pytest.raises(SpecentError, match="does not exist"):
        sp.entropy(str(tmp_path / "none.nc"))
