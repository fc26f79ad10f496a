"""Input of another kind, or beyond what double precision holds: one line that names it, and never a wrong number."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy.stats import t

from specent import exact
from specent.errors import ScheduleError, SpecentError
from specent.exact import GaussianMixture
from specent.partitions import Partition
from specent.schedules import VE, VP, FlowMatching, Schedule, log_snr_grid

NOT_ARRAYS = [
    None,
    "ab",
    b"ab",
    {"a": 1.0},
    True,
    1j,
    [1.0, None],
    ["0", "1"],
    [1.0, 1j],
    np.array(["2020-01-01", "2021-01-01"], dtype="datetime64[D]"),
    np.ma.masked_invalid([1.0, np.nan]),
]
NOT_NUMBERS = [*NOT_ARRAYS, [1.0], np.nan, np.inf, np.timedelta64(1, "s")]
NOT_WHOLE = [*NOT_NUMBERS, 2.5, 4096.0, "64"]

MIX = GaussianMixture([[-1.0], [1.0]])
PLANE = GaussianMixture([[0.0, 0.0], [3.0, 0.0], [0.0, 3.0]])
FULL = Partition.full(MIX.labels)


def _one_line(call: Callable[[], object], named: str, error: type[Exception] = SpecentError) -> None:
    with pytest.raises(error, match=re.escape(named)) as caught:
        call()
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


# ---- wrong types


@pytest.mark.parametrize("bad", NOT_ARRAYS, ids=repr)
def test_a_mixture_is_made_of_numbers_only(bad: Any) -> None:
    _one_line(lambda: GaussianMixture(bad), "means")
    _one_line(lambda: GaussianMixture([[0.0], [1.0]], bad), "variance")
    if bad is not None:
        _one_line(lambda: GaussianMixture([[0.0], [1.0]], weights=bad), "weights")
    _one_line(lambda: MIX.log_density(bad, 1.0, 1.0), "x")


@pytest.mark.parametrize("bad", ["ab", b"ab", {"a": 1, "b": 2}, 3, [None, "b"], ["a", "b\n"], ["a", "\0"], [0.5, 1.5]])
def test_labels_are_names(bad: Any) -> None:
    _one_line(lambda: GaussianMixture([[0.0], [1.0]], labels=bad), "labels")


def test_labels_may_be_whole_numbers_and_arrays() -> None:
    for labels in ([3, 7], np.array([3, 7]), np.array(["3", "7"])):
        assert GaussianMixture([[0.0], [1.0]], labels=labels).labels == ("3", "7")  # type: ignore[arg-type]


@pytest.mark.parametrize("bad", [*NOT_WHOLE, 2**2000, -1], ids=lambda bad: repr(bad)[:20])
def test_a_dimension_is_a_whole_number(bad: Any) -> None:
    if bad is not None:
        _one_line(lambda: GaussianMixture([[0.0], [1.0]], dimension=bad), "dimension=")


@pytest.mark.parametrize("bad", NOT_NUMBERS, ids=repr)
def test_single_numbers_are_numbers(bad: Any) -> None:
    for call, named in (
        (lambda: MIX.log_density([0.0], bad, 1.0), "alpha="),
        (lambda: MIX.log_density([0.0], 1.0, bad), "sigma="),
        (lambda: exact.half_entropy(MIX, FULL, bad), "fraction="),
        (lambda: exact.profiles(MIX, VE(), [1.0, 2.0], FULL, confidence=bad), "confidence="),
        (lambda: exact.scaling_profiles([2], VE(), [1.0, 2.0], variance=bad), "variance="),
        (lambda: exact.symmetry_breaking_time(bad), "mean="),
        (lambda: exact.symmetry_breaking_time(1.0, bad), "variance="),
    ):
        _one_line(call, named)


@pytest.mark.parametrize("bad", [*NOT_WHOLE, -1], ids=repr)
def test_counts_and_seeds_are_whole_numbers_even_where_nothing_is_drawn(bad: Any) -> None:
    if bad is not None:  # which asks for the usual number
        _one_line(lambda: exact.profiles(MIX, VE(), [1.0, 2.0], FULL, samples=bad), "samples=")
    _one_line(lambda: exact.profiles(MIX, VE(), [1.0, 2.0], FULL, seed=bad), "seed=")


@pytest.mark.parametrize("bad", NOT_ARRAYS, ids=repr)
@pytest.mark.parametrize(
    ("function", "named"),
    [
        (exact.two_component_entropy, "K"),
        (exact.two_component_entropy_slope, "K"),
        (exact.two_component_entropy_inverse, "entropy"),
        (exact.cloning_probability, "K"),
        (exact.speciation_time, "dimension"),
        (exact.speciation_sigma, "dimension"),
    ],
)
def test_closed_forms_take_numbers_only(function: Callable[[Any], object], named: str, bad: Any) -> None:
    _one_line(lambda: function(bad), named)


@pytest.mark.parametrize("bad", NOT_ARRAYS, ids=repr)
def test_spectra_and_dimensions_are_of_numbers_only(bad: Any) -> None:
    if bad is not None:
        _one_line(lambda: exact.spectral_time(covariance=bad), "covariance")
        _one_line(lambda: exact.spectral_sigma(data=bad), "data")
    _one_line(lambda: exact.scaling_profiles(bad, VE(), [1.0, 2.0]), "dimensions")
    _one_line(lambda: exact.scaling_profiles([2], VE(), bad), "time")
    _one_line(lambda: exact.profiles(MIX, VE(), bad, FULL), "time")


@pytest.mark.parametrize("bad", ["ve", VE, None, 1.0], ids=repr)
def test_schedules_mixtures_and_axes_are_what_they_are_called(bad: Any) -> None:
    _one_line(lambda: exact.profiles(MIX, bad, [1.0, 2.0], FULL), "schedule=", ScheduleError)
    _one_line(lambda: exact.scaling_profiles([2], bad, [1.0, 2.0]), "schedule=", ScheduleError)
    _one_line(lambda: exact.profiles(bad, VE(), [1.0, 2.0], FULL), "give a specent.exact.GaussianMixture, or a model")
    _one_line(lambda: exact.half_entropy(bad, FULL), "mix=")
    _one_line(lambda: exact.profiles(MIX, VE(), [1.0, 2.0], FULL, rate_axis=bad), "rate_axis=")


@pytest.mark.parametrize("bad", [b"full", None, 3, [FULL, 3], [None], {"full": FULL}], ids=repr)
def test_partitions_are_partitions_or_text(bad: Any) -> None:
    _one_line(lambda: exact.profiles(MIX, VE(), [1.0, 2.0], bad), "use specent.Partition, or text such as 'full'")


@pytest.mark.parametrize("bad", ["full", b"full", None, 3, ["full"], {"full": FULL}], ids=repr)
def test_a_single_partition_is_no_text(bad: Any) -> None:
    _one_line(lambda: exact.half_entropy(MIX, bad), "give a specent.Partition")
    _one_line(lambda: MIX.posterior([0.0], 1.0, 1.0, bad), "give a specent.Partition")


def test_one_partition_is_a_list_of_one() -> None:
    alone, listed, text = (exact.profiles(MIX, VE(), [1.0, 2.0], given) for given in (FULL, [FULL], "full"))
    np.testing.assert_allclose(alone.entropy, listed.entropy, rtol=1e-12)
    np.testing.assert_allclose(text.entropy, listed.entropy, rtol=1e-12)
    assert alone.partition.values.tolist() == text.partition.values.tolist() == ["full"]


# ---- beyond double precision


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (
            lambda: exact.profiles(PLANE, VP(), [1.0, 500.0], Partition.full(PLANE.labels)),
            "time[1]=500 has noise level",
        ),
        (lambda: exact.profiles(MIX, VE(), [1.0, 1e200], FULL), "time[1]=1e+200 has noise level"),
        (lambda: exact.scaling_profiles([2], VP(), [0.1, 800.0]), "time=800.0 is outside (0, 709)"),
        (lambda: exact.scaling_profiles([2], VE(), [1.0, 1e200]), "time[1]=1e+200 has noise level"),
        (lambda: exact.scaling_profiles(2 ** np.arange(60, 70), VE(), [1.0, 2.0]), "2.0 ** numpy.arange"),
        (lambda: exact.scaling_profiles([2**2000], VE(), [1.0, 2.0]), "dimensions="),
        (lambda: exact.scaling_profiles([1e200], VE(), [1.0, 2.0]), "from 1 to 1e30"),
        (lambda: GaussianMixture([[0.0], [1e160]]), "means[1]=[1e+160] is beyond 1e+30"),
        (lambda: GaussianMixture([[0.0], [1.0]], 1e160), "variance=1e+160"),
        (lambda: GaussianMixture([[0.0], [1.0]], 5e-324), "variance=5e-324"),
        (lambda: GaussianMixture([[0.0], [1.0]], weights=[1e308, 1e308]), "weights="),
        (lambda: MIX.log_density([1e200], 1.0, 1.0), "x holds"),
        (lambda: MIX.log_density([0.0], 1e-200, 0.0), "alpha=1e-200"),
        (lambda: exact.symmetry_breaking_time(1e200), "mean=1e+200"),
        (lambda: exact.symmetry_breaking_time(1.0, 1e200), "variance=1e+200"),
        (lambda: exact.half_entropy(MIX, FULL, 1 - 1e-16), "ask for a smaller fraction"),
        (lambda: exact.spectral_sigma(data=[[1e200], [-1e200]]), "data holds 1e+200"),
        (lambda: exact.spectral_time(covariance=[[1e200]]), "covariance holds 1e+200"),
    ],
)
def test_numbers_whose_squares_overflow_are_refused(call: Callable[[], object], named: str) -> None:
    _one_line(call, named)


@pytest.mark.parametrize("schedule", [VP(), VE(), FlowMatching()], ids=str)
@pytest.mark.parametrize("axis", ["log_snr", "log_sigma", "sigma", "time"])
def test_everything_is_finite_as_far_as_a_grid_may_reach(schedule: Schedule, axis: str) -> None:
    grid = log_snr_grid(schedule, 7, -55.26, 55.26)
    far = GaussianMixture(1e29 * PLANE.means, [1e-100, 1e30, 1.0], dimension=2**62)
    for profile in (
        exact.scaling_profiles([1, 2**40, 1e30], schedule, grid, variance=1e-30, rate_axis=axis),
        exact.scaling_profiles([1, 2**40, 1e30], schedule, grid, variance=1e30, rate_axis=axis),
        exact.profiles(PLANE, schedule, grid, Partition.full(PLANE.labels), rate_axis=axis, samples=16),
        exact.profiles(far, schedule, grid, Partition.full(far.labels), rate_axis=axis, samples=16),
        exact.profiles(MIX, schedule, grid, FULL, rate_axis=axis),
    ):
        assert all(np.isfinite(curve).all() for curve in profile.data_vars.values())


def test_a_component_narrower_than_double_precision_is_distinguished_or_refused() -> None:
    # concentric, in many dimensions, widths 1e20 apart: the posterior is certain
    nested = GaussianMixture([[0.0], [0.0]], [1.0, 1e-20], dimension=64)
    profile = exact.profiles(nested, VE(), [1e-12, 1e-11], Partition.full(nested.labels), samples=64)
    np.testing.assert_allclose(profile.entropy, 0, atol=1e-12)
    # on a line, at a distance of 1e10 of its own widths, what quadrature needs cannot be represented
    narrow = GaussianMixture([[0.0], [1.0]], [1.0, 1e-20])
    _one_line(lambda: exact.profiles(narrow, VE(), [1e-12, 1.0], Partition.full(narrow.labels)), "did not settle")


def test_two_components_infinitely_far_apart_for_all_purposes_are_certain() -> None:
    assert exact.two_component_entropy(1e200) == 0
    assert exact.two_component_entropy_slope(1e200) == 0
    assert exact.cloning_probability(1e200) == 1


def test_confidence_as_near_to_one_as_can_be_said_gives_finite_bounds() -> None:
    profile = exact.profiles(PLANE, VE(), [1.0, 2.0], Partition.full(PLANE.labels), samples=64, confidence=1 - 2**-53)
    usual = exact.profiles(PLANE, VE(), [1.0, 2.0], Partition.full(PLANE.labels), samples=64)
    wide, narrow = ((each.entropy_upper - each.entropy).values for each in (profile, usual))
    assert np.isfinite(wide).all()
    # four randomisations of three components have from three to nine degrees of freedom
    assert (wide / narrow > t.isf(2**-53, 9) / t.isf(0.025, 9)).all()
    assert (wide / narrow < t.isf(2**-53, 3) / t.isf(0.025, 3)).all()


# ---- spectra


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"covariance": [[1.0, 5.0], [5.0, 1.0]]}, "eigenvalue -4"),
        ({"covariance": [[-1.0]]}, "eigenvalue -1"),
        ({"covariance": [[1.0, 2.0], [0.0, 1.0]]}, "not symmetric"),
        ({"covariance": np.zeros((0, 0))}, "shape (0, 0)"),
        ({"covariance": 4.0}, "shape ()"),
        ({"covariance": [1.0, 2.0]}, "shape (2,)"),
        ({"covariance": [[np.inf]]}, "covariance holds NaN or infinity"),
        ({"data": np.zeros((5, 0))}, "shape (5, 0)"),
        ({"data": []}, "shape (0,)"),
    ],
)
def test_what_is_no_covariance_predicts_nothing(arguments: dict[str, Any], named: str) -> None:
    for function in (exact.spectral_time, exact.spectral_sigma):
        _one_line(lambda function=function: function(**arguments), named)  # type: ignore[misc]


def test_a_covariance_that_is_singular_up_to_rounding_is_one() -> None:
    rows = np.random.default_rng(0).normal(size=(3, 20))
    covariance = np.cov(rows, rowvar=False)
    assert np.linalg.eigvalsh(covariance)[0] < 1e-15
    assert exact.spectral_sigma(covariance=covariance) == pytest.approx(exact.spectral_sigma(data=rows))
    assert np.isfinite(exact.spectral_sigma(covariance=covariance.astype(np.float32)))
