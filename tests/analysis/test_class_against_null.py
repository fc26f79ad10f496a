"""A class held against the null condition: the null as a side and as a driver, exact profiles, the floor."""

import json

import numpy as np
import pytest
import torch
import xarray as xr

import specent as sp
from specent.errors import ArchiveError, PartitionError, SpecentError

LABELS = ("a", "b", "c", "d")
GRID = np.geomspace(0.1, 150.0, 160)
CLOCK = sp.schedules.VE()


def four(radius: float = 12.0) -> sp.exact.GaussianMixture:
    """Four classes that are all alike."""
    return sp.exact.GaussianMixture(radius * np.eye(4), labels=LABELS)


def sampled(mix: sp.exact.GaussianMixture, samples: int, **more: object) -> xr.Dataset:
    options = {"time": GRID, "classes": ["a", "null"], "candidates": ["a", "null"], "progress": False, **more}
    return sp.sample(sp.models.mixture(mix), schedule=CLOCK, samples=samples, **options)


def test_the_null_side_takes_the_prior_of_the_side_whatever_the_label_prior() -> None:
    weights = sp.Partition.pair("b", "null").weights([*LABELS, "null"], [0.1, 0.2, 0.3, 0.4, 0.0])
    np.testing.assert_allclose(weights, [[0, 0.5, 0, 0, 0], [0, 0, 0, 0, 0.5]])
    assert sp.Partition.parse("b|null", LABELS) == sp.Partition.pair("b", "null")


def test_the_null_condition_stands_alone_and_has_no_prior_of_its_own() -> None:
    with pytest.raises(PartitionError, match="stands alone on a side"):
        sp.Partition.groups({"x": ["a"], "y": ["b", "null"]}, prior=(0.5, 0.5))
    with pytest.raises(PartitionError, match="give prior="):
        sp.Partition.groups({"x": ["a"], "y": ["null"]})
    with pytest.raises(PartitionError, match="unknown label 'null'"):
        sp.Partition.pair("a", "null").check(LABELS)


def test_a_single_class_cannot_be_told_from_its_own_null_condition() -> None:
    mix = sp.exact.GaussianMixture([[3.0, -1.0]], labels=["only"])
    question = sp.Partition.pair("only", "null")
    options = {"schedule": CLOCK, "time": GRID, "samples": 20, "partitions": question, "progress": False}
    runs = sp.sample(sp.models.mixture(mix), classes=["only", "null"], **options)
    made = sp.entropy(runs, replicates=50)
    # rounding of a double-precision sum over 160 steps
    np.testing.assert_allclose(made.entropy, 1.0, rtol=0, atol=1e-12)


def test_paths_of_class_and_null_give_the_exact_profile_down_to_the_floor() -> None:
    mix = four()
    question = sp.Partition.pair("a", "null")
    # a path knows a little more than its end point: at 640 steps the excess is below 0.01 bit
    time = np.geomspace(0.1, 150.0, 640)
    runs = sampled(mix, 600, partitions=question, time=time)
    made = sp.entropy(runs, estimator=("path", "cross_entropy", "denoiser_gap"), replicates=50)
    exact = sp.exact.profiles(mix, CLOCK, time, question).isel(estimator=0)
    # spread of h(P) between the paths of a side is below 0.4 bit: standard error at most 0.4 / sqrt(1200) = 0.0115
    for name, most in (("path", 0.055), ("denoiser_gap", 0.055)):
        assert float(abs(made.entropy.sel(estimator=name) - exact.entropy).max()) < most, name
    assert float(exact.entropy.isel(time=0).squeeze()) == pytest.approx(float(sp.exact.null_floor(0.25)), abs=1e-9)


def test_exact_profiles_of_a_mixture_agree_with_draws_of_the_same_model() -> None:
    """The first integrates seen from every component, the second averages over noisy draws of the torch model."""
    mix = sp.exact.GaussianMixture(
        [[-3.0, 0.0], [2.0, 1.0], [0.0, 4.0]], variance=[0.5, 1.0, 1.5], weights=[0.2, 0.5, 0.3], labels=list("abc")
    )
    asked = [
        sp.Partition.pair("b", "null", prior=(0.3, 0.7)),
        sp.Partition.groups({"a": ["a"], "c": ["c"], "any": ["null"]}, prior=(0.25, 0.25, 0.5)),
        sp.Partition.pair("a", "c"),
    ]
    grid = np.geomspace(0.2, 20.0, 7)
    known = sp.exact.profiles(mix, CLOCK, grid, asked, samples=20000, seed=1)
    drawn = sp.exact.profiles(sp.models.mixture(mix), CLOCK, grid, asked, samples=4000, seed=2, progress=False)
    for name in ("entropy", "entropy_rate"):
        error = (drawn[name] - known[name]).values
        width = np.hypot(*((one[f"{name}_upper"] - one[name]).values for one in (drawn, known))) / 1.96
        # 21 correlated comparisons each at 4.5 standard errors
        assert (abs(error) <= 4.5 * width + 1e-9).all(), name


def test_exact_profiles_of_data_agree_with_brute_force() -> None:
    images = np.array([[-1.0, 0.0], [-0.8, 0.3], [1.0, 0.5], [0.2, -1.0], [0.5, 0.9]])
    labels = np.array(["x", "x", "y", "y", "y"])
    question = sp.Partition.pair("x", "null")
    made = sp.exact.profiles(sp.models.finite(images, labels), CLOCK, [0.6, 5.0], question, samples=4000, seed=3,
                                    progress=False)  # fmt: skip
    stream = np.random.default_rng(4)
    total = []
    for side in ("x", "null"):
        pool = images if side == "null" else images[labels == "x"]
        state = pool[stream.integers(len(pool), size=20000)] + 0.6 * stream.normal(size=(20000, 2))
        density = np.exp(-((state[:, None] - images) ** 2).sum(-1) / (2 * 0.36))
        one, any_ = density[:, labels == "x"].mean(1), density.mean(1)
        chance = one / (one + any_)
        total.append(-(chance * np.log2(chance) + (1 - chance) * np.log2(1 - chance)))
    error = np.sqrt(sum(np.var(part) / len(part) / 4 for part in total))
    first = made.squeeze().isel(time=0)
    half = float(first.entropy_upper - first.entropy) / 1.96
    assert float(first.entropy) == pytest.approx(np.mean(total), abs=4 * np.hypot(error, half))


def test_the_floor_is_recorded_and_that_of_several_classes_adds_up() -> None:
    asked = [
        sp.Partition.pair("a", "null"),
        sp.Partition.groups({"ab": ["a", "b"], "c": ["c"], "any": ["null"]}, prior=(0.3, 0.3, 0.4), name="three"),
        sp.Partition.pair("a", "b"),
    ]
    runs = sampled(four(), 4, classes=[*LABELS, "null"], candidates=[*LABELS, "null"])
    made = sp.entropy(runs, asked, "path", replicates=50)
    floors = json.loads(made.attrs["settings"])["null_floor"]
    assert set(floors) == {"a | null", "three"}
    h = lambda p: -p * np.log2(p) - (1 - p) * np.log2(1 - p)  # noqa: E731
    assert floors["a | null"] == pytest.approx(0.5 * 1.25 * h(0.2))
    # half of the null side's samples look like ab, a quarter like c
    assert floors["three"] == pytest.approx(0.5 * h(0.3 / 0.5) + 0.4 * h(0.3 / 0.4))
    assert "null_floor" not in json.loads(sp.entropy(runs, asked[2], "path", replicates=50).attrs["settings"])


def test_the_null_driver_is_the_unconditional_chain_and_guidance_leaves_it_alone() -> None:
    mix = four(3.0)
    plain, guided = (sampled(mix, 5, guidance=setting).sel(class_label="null") for setting in
                     (sp.Guidance(), sp.Guidance(3.0)))  # fmt: skip
    np.testing.assert_allclose(plain.final.squeeze(), guided.final.squeeze(), atol=1e-6)
    # the same noise through a model whose only class is the whole mixture
    whole = sp.exact.GaussianMixture(mix.means, labels=["all"] * 4)
    streams = sp.sampling.streams.Streams(0, [("null", n) for n in range(5)], 4, len(GRID))
    model, x = sp.models.mixture(whole), GRID[-1] * torch.as_tensor(streams.draw())
    for i in range(len(GRID) - 1, 0, -1):
        keep = (GRID[i - 1] / GRID[i]) ** 2
        denoised = model.denoise(x, float(GRID[i]), torch.zeros(5, dtype=torch.int64))
        x = keep * x + (1 - keep) * denoised + GRID[i - 1] * np.sqrt(1 - keep) * torch.as_tensor(streams.draw())
    final = model.denoise(x, float(GRID[0]), torch.zeros(5, dtype=torch.int64))
    np.testing.assert_allclose(plain.final.squeeze(), final, atol=1e-5)
    assert plain.label_prior.item() == 0.0


def test_null_driven_paths_do_not_change_other_questions() -> None:
    mix, questions = four(), ["a|rest", "b|c"]
    without = sampled(mix, 6, classes=LABELS, candidates=[*LABELS, "null"])
    beside = sampled(mix, 6, classes=[*LABELS, "null"], candidates=[*LABELS, "null"])
    first, second = (sp.entropy(runs, questions, rate="differences", replicates=50) for runs in (without, beside))
    np.testing.assert_allclose(first.entropy, second.entropy, rtol=1e-12)
    # a few paths prove no disagreement: no warning
    first, second = (sp.entropy(runs, "a|rest", "null", replicates=50) for runs in (without, beside))
    assert first.clipped_ratios.sum() > 0
    assert np.array_equal(first.clipped_ratios, second.clipped_ratios)


def test_an_archive_with_null_driven_paths_is_valid_unless_the_null_has_a_prior(tmp_path) -> None:
    runs = sampled(four(), 3)
    sp.validate(sp.write(runs, tmp_path / "runs.nc"))
    prior = runs.label_prior.copy(data=[0.25, 0.25])
    with pytest.raises(ArchiveError, match="'null' is the name of the null condition, which has no label_prior"):
        sp.write(runs.assign_coords(label_prior=prior), tmp_path / "bad.nc")


def test_what_cannot_be_asked_is_named() -> None:
    with pytest.raises(PartitionError, match="label 'null' drove no trajectory"):
        sp.entropy(sampled(four(), 3, classes=["a"]), sp.Partition.pair("a", "null"))
    bare = sp.models.network(lambda x, t, c: x, ["a", "b"], (2,), null=False, prediction="data")
    with pytest.raises(SpecentError, match="classes="):
        sp.sample(bare, schedule=CLOCK, time=GRID, samples=2, classes=["a", "null"])
    with pytest.raises(SpecentError, match="does not cover all labels"):
        sp.entropy(sampled(four(), 3), sp.Partition.pair("a", "null"), "null")


def test_a_chain_that_starts_where_class_and_null_differ_is_warned_about() -> None:
    with pytest.warns(sp.SpecentWarning, match="starts from pure noise"):
        sampled(four(), 3, time=np.geomspace(0.1, 5.0, 8))
