"""Exact profiles by Monte Carlo against quadrature and closed forms."""

import numpy as np
import pytest

import specent as sp
from specent.errors import SpecentError
from specent.schedules import VE, VP

GRID = np.geomspace(0.1, 20.0, 9)


def half_width(profile: object, name: str) -> np.ndarray:
    """Standard error from the 95 % bounds."""
    return (profile[f"{name}_upper"] - profile[name]).values / 1.959964


def test_two_point_data_has_the_closed_form_of_the_symmetric_mixture() -> None:
    data = sp.models.finite([[-1.0], [1.0]], ["a", "b"])
    # below 0.4 fewer than one draw in 160 is undecided, and a standard error from so few says little
    grid = np.geomspace(0.4, 20.0, 9)
    found = sp.exact.profiles(data, VE(), grid, [sp.Partition.full(data.labels)], samples=4000, progress=False, seed=3)
    expected = np.array([sp.exact.two_component_entropy(1.0 / level) for level in grid])
    error = np.abs(found.entropy.values.ravel() - expected)
    # 9 correlated comparisons at 4 standard errors: a false alarm in 2000 seeds at worst
    assert (error <= 4 * half_width(found, "entropy").ravel() + 1e-9).all()


@pytest.mark.parametrize("schedule", [VE(), VP()])
def test_mixture_profiles_agree_with_quadrature(schedule: sp.schedules.Schedule) -> None:
    mix = sp.exact.GaussianMixture(
        [[-2.0], [0.5], [3.0]], variance=[0.3, 1.0, 0.5], weights=[0.2, 0.5, 0.3], labels=["a", "b", "c"]
    )
    grid = schedule.time(-2 * np.log(GRID))
    partitions = [sp.Partition.full(mix.labels), sp.Partition.pair("a", "c"), sp.Partition.one_vs_rest("b", mix.labels)]
    found = sp.exact.profiles(
        sp.models.mixture(mix), schedule, grid, partitions, samples=3000, rate_axis="time", progress=False, seed=1
    )
    truth = sp.exact.profiles(mix, schedule, grid, partitions, rate_axis="time")
    for name in ("entropy", "entropy_rate", "mutual_information"):
        error = np.abs(found[name].values - truth[name].values)
        assert (error <= 4.5 * half_width(found, name) + 1e-9).all(), name
        assert half_width(found, name).max() > 0


def test_the_settings_are_checked_first() -> None:
    data = sp.models.finite([[-1.0], [1.0]], ["a", "b"])
    full = [sp.Partition.full(data.labels)]
    with pytest.raises(SpecentError, match="samples"):
        sp.exact.profiles(data, VE(), GRID, full, samples=1)
    with pytest.raises(SpecentError, match="unknown label"):
        sp.exact.profiles(data, VE(), GRID, [sp.Partition.pair("a", "cat")])
    with pytest.raises(SpecentError, match="partitions is empty"):
        sp.exact.profiles(data, VE(), GRID, [])
    with pytest.raises(SpecentError, match="confidence"):
        sp.exact.profiles(data, VE(), GRID, full, confidence=95)
    with pytest.raises(SpecentError, match="ascend"):
        sp.exact.profiles(data, VE(), GRID[::-1], full)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"source": sp.models.network(lambda x, t, c: x, ["a", "b"], (1,), prediction="data")},
            "specent.models.finite or specent.models.mixture",
        ),
        ({"source": None}, "source=None .* specent.models.finite or specent.models.mixture"),
        ({"schedule": "ve"}, "schedule='ve' is a str"),
        ({"time": [1e-160, 1.0]}, "sigma/alpha=1e-160"),
        ({"partitions": "a|cat"}, "unknown label 'cat'"),
        ({"partitions": [sp.Partition.pair("a", "b")] * 2}, "same name"),
        ({"samples": 2.5}, "samples=2.5 must be a whole number"),
        ({"samples": 10**12}, "samples=1000000000000 .* GiB"),
        ({"seed": -1}, "seed=-1"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"confidence": np.nan}, "confidence=nan"),
        ({"rate_axis": "log"}, "rate_axis='log'"),
        ({"device": "mps"}, "device='mps'"),
        ({"progress": "yes"}, "progress='yes'"),
    ],
    ids=str,
)
def test_arguments_that_cannot_be_used_are_named(change: dict[str, object], message: str) -> None:
    data = sp.models.finite([[-1.0], [1.0]], ["a", "b"])
    good = {"source": data, "schedule": VE(), "time": GRID, "partitions": sp.Partition.full(data.labels), "samples": 4}
    with pytest.raises(SpecentError, match=message):
        sp.exact.profiles(**{**good, "progress": False, **change})


def test_a_single_partition_counts_as_a_list() -> None:
    data = sp.models.finite([[-1.0], [1.0]], ["a", "b"])
    full = sp.Partition.full(data.labels)
    one, listed = (sp.exact.profiles(data, VE(), GRID, asked, samples=4, progress=False) for asked in (full, [full]))
    assert one.entropy.equals(listed.entropy)


def test_a_profile_that_is_not_finite_is_refused() -> None:
    data = sp.models.finite([[-1.0], [1.0]], ["a", "b"])
    data.images[0] = np.inf
    with pytest.raises(SpecentError, match=r"not finite at time=0\.1 "):
        sp.exact.profiles(data, VE(), GRID, sp.Partition.full(data.labels), samples=4, progress=False)


def test_one_function_serves_mixtures_data_and_models() -> None:
    mix = sp.exact.GaussianMixture([[-1.0], [1.0]], labels=["a", "b"])
    for model in (sp.models.mixture(mix), sp.models.finite([[-1.0], [1.0]], ["a", "b"])):
        own = model.exact_profiles(VE(), GRID, "full", samples=50, seed=2, progress=False)
        same = sp.exact.profiles(model, VE(), GRID, "full", samples=50, seed=2, progress=False)
        np.testing.assert_array_equal(same.entropy, own.entropy)
        assert same.estimator.values.tolist() == ["exact"]
    assert sp.exact.profiles(mix, VE(), GRID, "full").entropy.dims == same.entropy.dims


def test_the_name_of_version_one_still_works_with_a_warning() -> None:
    data = sp.models.finite([[-1.0], [1.0]], ["a", "b"])
    with pytest.warns(DeprecationWarning, match=r"specent\.exact\.profiles"):
        old = sp.models.exact_profiles
    made = old(data, VE(), [0.5, 100.0], [sp.Partition.full(data.labels)], samples=10, device="cpu", progress=False)
    assert made.sizes["time"] == 2
