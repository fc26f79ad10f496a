"""Exact profiles against brute force in the full space, finite differences, closed forms and invariances."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import t

from specent import exact, schema
from specent.errors import PartitionError, ScheduleError, SpecentError
from specent.exact import GaussianMixture
from specent.exact.expectation import monte_carlo
from specent.exact.mixture import component_weights
from specent.partitions import Partition
from specent.schedules import DDPM, VE, VP, FlowMatching, Schedule, log_snr_grid

Array = NDArray[np.float64]

CURVES = ("entropy", "entropy_rate", "mutual_information")
# of a normal variable; that of Student's t is larger, so what is divided by it is a standard error at least
QUANTILE = 1.959964


@dataclass(frozen=True)
class Five:
    """Five components of unequal weight and variance, two of them under one label."""

    means: Array
    variances: Array
    weights: Array
    labels: tuple[str, ...] = ("a", "b", "c", "b", "d")


def _five(d: int) -> Five:
    rng = np.random.default_rng(d)
    variances = np.array([0.3, 1.0, 2.0, 0.7, 1.4])
    return Five(rng.normal(size=(5, d)) * 2, variances, np.array([0.1, 0.3, 0.25, 0.15, 0.2]))


# joint probability of side and component, written out by hand for the three partitions
PARTITIONS = {
    "a | c": (Partition.pair("a", "c"), [[0.5, 0, 0, 0, 0], [0, 0, 0.5, 0, 0]]),
    "grouping": (
        Partition.groups({"x": ["a", "b"], "y": ["d"]}, prior=(0.7, 0.3), name="grouping"),
        [[0.7 * 10 / 55, 0.7 * 30 / 55, 0, 0.7 * 15 / 55, 0], [0, 0, 0, 0, 0.3]],
    ),
    "full": (
        Partition.full(("a", "b", "c", "d")),
        [[0.1, 0, 0, 0, 0], [0, 0.3, 0, 0.15, 0], [0, 0, 0.25, 0, 0], [0, 0, 0, 0, 0.2]],
    ),
}


def _brute_force(five: Five, joint: Array, sigma: float, samples: int, rng: np.random.Generator) -> Array:
    """Posterior entropy and rate per log-SNR in bit at states drawn in the full space, shape (2, samples)."""
    d = five.means.shape[1]
    prior = joint.sum(axis=0)
    component = rng.choice(5, size=samples, p=prior)
    data = five.means[component] + np.sqrt(five.variances[component])[:, None] * rng.standard_normal((samples, d))
    x = data + sigma * rng.standard_normal((samples, d))
    total = five.variances + sigma**2
    away = x[:, None, :] - five.means
    density = np.exp(-0.5 * np.sum(away**2, axis=2) / total) / total ** (d / 2)
    denoised = x[:, None, :] - (sigma**2 / total)[:, None] * away
    side, denoiser = [], []
    for row in joint:
        part = row * density
        side.append(part.sum(axis=1))
        denoiser.append(np.einsum("nk,nkd->nd", part, denoised) / side[-1][:, None])
    P = np.array(side) / np.sum(side, axis=0)
    mixed = np.einsum("zn,znd->nd", P, np.array(denoiser))
    spread = np.einsum("zn,znd->n", P, (np.array(denoiser) - mixed) ** 2)
    return np.array([-np.sum(P * np.log2(P), axis=0), spread / (2 * sigma**2 * np.log(2))])


@pytest.mark.parametrize("name", PARTITIONS)
@pytest.mark.parametrize("d", [3, 7])
def test_unequal_components_agree_with_brute_force_in_the_full_space(d: int, name: str) -> None:
    five, (partition, joint) = _five(d), PARTITIONS[name]
    mix = GaussianMixture(five.means, five.variances, five.weights, five.labels)
    sigmas = [0.7, 1.5, 4.0]
    profile = exact.profiles(mix, VE(), sigmas, [partition], samples=40_000).squeeze()
    rng = np.random.default_rng(100 * d + len(name))
    for i, sigma in enumerate(sigmas):
        values = _brute_force(five, np.array(joint), sigma, 100_000, rng)
        for curve, sample in zip(("entropy", "entropy_rate"), values, strict=True):
            own = float(profile[f"{curve}_upper"][i] - profile[curve][i]) / QUANTILE
            error = np.hypot(own, sample.std() / np.sqrt(len(sample)))
            assert 0 < own < 0.01
            assert abs(float(profile[curve][i]) - sample.mean()) < 4 * error


def test_several_partitions_at_once_are_the_same_as_one_by_one() -> None:
    five = _five(3)
    mix = GaussianMixture(five.means, five.variances, five.weights, five.labels)
    partitions = [partition for partition, _ in PARTITIONS.values()]
    together = exact.profiles(mix, VE(), [0.5, 2.0], partitions, samples=3000)
    for partition in partitions:
        alone = exact.profiles(mix, VE(), [0.5, 2.0], [partition], samples=3000)
        for curve in CURVES:
            np.testing.assert_allclose(together[curve].sel(partition=partition.name), alone[curve].squeeze("partition"))


def test_standard_errors_say_how_far_seeds_scatter() -> None:
    mix = GaussianMixture([[0.0, 0.0], [2.0, 0.0], [0.0, 2.0]], [1.0, 0.5, 2.0], [0.2, 0.3, 0.5])
    partition = Partition.full(mix.labels)
    weights = component_weights(mix, partition)
    runs = [monte_carlo(mix, np.array([1.0, 4.0]), [weights], 200, seed) for seed in range(100)]
    for curve in ("entropy", "rate"):
        values = np.array([getattr(run, curve)[0] for run in runs])
        stated = np.array([getattr(run, f"{curve}_error")[0] for run in runs])
        # the standard deviation of 100 values is known to 7 %: four times that
        np.testing.assert_allclose(np.sqrt((stated**2).mean(axis=0)), values.std(axis=0, ddof=1), rtol=0.28)


# ---- quadrature

line = st.tuples(
    st.lists(st.floats(-6, 6), min_size=3, max_size=3),
    st.lists(st.floats(0.02, 4), min_size=3, max_size=3),
    st.lists(st.floats(0.05, 1), min_size=3, max_size=3),
)
Line = tuple[list[float], list[float], list[float]]


def _mixture(parts: Line, equal: bool = False) -> GaussianMixture:
    centres, variances, weights = parts
    share = np.array(weights) / np.sum(weights)
    share[-1] = 1 - share[:-1].sum()
    return GaussianMixture(np.array(centres)[:, None], variances[0] if equal else variances, share, ["a", "b", "c"])


def _values(mix: GaussianMixture, log_snr: list[float], partition: Partition | None = None) -> xr.Dataset:
    """Curves over ascending log-SNR."""
    time = np.exp(-0.5 * np.array(log_snr))[::-1]
    return exact.profiles(mix, VE(), time, partition or "full").squeeze(drop=True).isel(time=slice(None, None, -1))


@given(parts=line)
@settings(deadline=None, max_examples=10)
def test_a_line_agrees_with_a_riemann_sum(parts: Line) -> None:
    mix = _mixture(parts)
    sigma = 0.5
    spread = mix.variances + sigma**2
    # a uniform grid integrates smooth functions that vanish at its ends to rounding once it resolves them
    x, dx = np.linspace(-30, 30, 40_001, retstep=True)
    away = x[:, None] - mix.means[:, 0]
    joint = mix.weights * np.exp(-0.5 * away**2 / spread) / np.sqrt(2 * np.pi * spread)
    density = joint.sum(axis=1)
    keep = density > 1e-200
    P = joint[keep] / density[keep, None]
    D = x[keep, None] - sigma**2 / spread * away[keep]
    entropy = np.sum(-P * np.log2(np.maximum(P, 1e-300)), axis=1)
    rate = (np.sum(P * D**2, axis=1) - np.sum(P * D, axis=1) ** 2) / (2 * sigma**2 * np.log(2))
    profile = _values(mix, [-2 * np.log(sigma), 3.0]).isel(time=0)
    assert float(profile.entropy) == pytest.approx(np.sum(density[keep] * entropy) * dx, abs=1e-9)
    assert float(profile.entropy_rate) == pytest.approx(np.sum(density[keep] * rate) * dx, abs=1e-9)


@given(parts=line, log_snr=st.floats(-5, 5), equal=st.booleans())
@settings(deadline=None, max_examples=15)
def test_the_rate_is_minus_the_derivative_of_the_entropy(parts: Line, log_snr: float, equal: bool) -> None:
    mix = _mixture(parts, equal)
    step = 0.02
    profile = _values(mix, [log_snr + k * step for k in (-2, -1, 0, 1, 2)])
    h = profile.entropy.values
    slope = (h[0] - 8 * h[1] + 8 * h[3] - h[4]) / (12 * step)
    # truncation step^4 / 30 = 5e-9 times a fifth derivative of order 10
    assert float(profile.entropy_rate[2]) == pytest.approx(-slope, abs=2e-7)


@given(parts=line, equal=st.booleans())
@settings(deadline=None, max_examples=15)
def test_entropy_lies_between_zero_and_its_start_and_noise_only_adds(parts: Line, equal: bool) -> None:
    mix = _mixture(parts, equal)
    profile = _values(mix, [-12.0, -4.0, 0.0, 2.0, 6.0])
    start = float(-np.sum(mix.weights * np.log2(mix.weights)))
    assert (profile.entropy >= -1e-10).all()
    assert (profile.entropy <= start + 1e-10).all()
    assert (np.diff(profile.entropy) <= 1e-10).all()
    assert (profile.entropy_rate >= -1e-10).all()
    np.testing.assert_allclose(profile.entropy + profile.mutual_information, start, atol=1e-12)


@given(parts=line, equal=st.booleans())
@settings(deadline=None, max_examples=10)
def test_joining_two_sides_leaves_less_to_decide(parts: Line, equal: bool) -> None:
    mix = _mixture(parts, equal)
    full = _values(mix, [-2.0, 0.0, 3.0])
    joined = _values(mix, [-2.0, 0.0, 3.0], Partition.groups({"x": ["a", "b"], "y": ["c"]}))
    assert (joined.entropy <= full.entropy + 1e-10).all()


@given(parts=line, shift=st.floats(-50, 50), seed=st.integers(0, 1000))
@settings(deadline=None, max_examples=10)
def test_moving_turning_and_reordering_the_components_changes_nothing(parts: Line, shift: float, seed: int) -> None:
    mix = _mixture(parts, equal=True)
    rng = np.random.default_rng(seed)
    along = rng.normal(size=4)
    order = rng.permutation(3)
    moved = GaussianMixture(
        (mix.means * along / np.linalg.norm(along) + shift)[order],
        mix.variances[order],
        mix.weights[order],
        [mix.component_labels[k] for k in order],
        dimension=9,
    )
    plain, turned = _values(mix, [-1.0, 2.0]), _values(moved, [-1.0, 2.0], Partition.full(mix.labels))
    for curve in CURVES:
        np.testing.assert_allclose(turned[curve], plain[curve], atol=2e-10)


@given(parts=line, equal=st.booleans(), share=st.floats(0.1, 0.9))
@settings(deadline=None, max_examples=10)
def test_splitting_a_component_under_its_label_changes_nothing(parts: Line, equal: bool, share: float) -> None:
    mix = _mixture(parts, equal)
    rows = [0, 1, 2, 1]
    weights = mix.weights[rows] * [1, share, 1, 1 - share]
    split = GaussianMixture(mix.means[rows], mix.variances[rows], weights, ["a", "b", "c", "b"])
    for curve in CURVES:
        np.testing.assert_allclose(_values(split, [-1.0, 2.0])[curve], _values(mix, [-1.0, 2.0])[curve], atol=2e-10)


def test_turning_and_moving_a_plane_of_components_changes_nothing() -> None:
    five = _five(3)
    rng = np.random.default_rng(5)
    turn = np.linalg.qr(rng.normal(size=(6, 6)))[0]
    plain = GaussianMixture(np.hstack([five.means, np.zeros((5, 3))]), five.variances, five.weights, five.labels)
    turned = GaussianMixture(plain.means @ turn + 7.0, five.variances, five.weights, five.labels)
    partition = PARTITIONS["full"][0]
    one, other = (exact.profiles(mix, VE(), [0.5, 2.0], [partition], samples=1000) for mix in (plain, turned))
    for curve in CURVES:
        np.testing.assert_allclose(one[curve], other[curve], atol=1e-9)


@pytest.mark.parametrize("gap", [0.0, 1e-3, 1.0, 30.0, 1e4])
@pytest.mark.parametrize("weight", [0.5, 1e-6])
def test_quadrature_settles_at_any_distance_and_weight(gap: float, weight: float) -> None:
    mix = GaussianMixture([[0.0], [gap]], [1.0, 1e-4], [weight, 1 - weight])
    profile = _values(mix, [-20.0, -8.0, 0.0, 8.0, 20.0])
    start = -(weight * np.log2(weight) + (1 - weight) * np.log2(1 - weight))
    assert np.isfinite(profile.entropy_rate).all()
    assert ((profile.entropy > -1e-10) & (profile.entropy < start + 1e-10)).all()
    assert (np.diff(profile.entropy) <= 1e-10).all()


# ---- dimension


@pytest.mark.parametrize("count", [2, 4])
def test_dimension_costs_nothing_because_it_changes_nothing(count: int) -> None:
    means = np.random.default_rng(3).normal(size=(count, 4)) * 2
    partitions = [Partition.full([str(k) for k in range(count)])]
    small, huge = (
        exact.profiles(GaussianMixture(means, dimension=d), VP(), [0.2, 0.7, 1.5], partitions) for d in (4, 2**40)
    )
    for curve in CURVES:
        np.testing.assert_allclose(small[curve], huge[curve], rtol=1e-12)
    # the profile is read where something is decided
    assert 0.2 < float(small.entropy[..., -1].squeeze()) / np.log2(count) < 0.99


def test_padding_with_zeros_is_the_same_as_naming_the_dimension() -> None:
    five = _five(3)
    padded = np.hstack([five.means, np.zeros((5, 4))])
    partition = PARTITIONS["full"][0]
    one, other = (
        exact.profiles(mix, VE(), [0.5, 2.0], [partition], samples=500)
        for mix in (
            GaussianMixture(padded, five.variances, five.weights, five.labels),
            GaussianMixture(five.means, five.variances, five.weights, five.labels, dimension=7),
        )
    )
    for curve in CURVES:
        np.testing.assert_allclose(one[curve], other[curve], rtol=1e-9)


def test_in_high_dimension_shells_of_nearly_equal_variance_are_two_gaussians() -> None:
    # two concentric components of variances 1 and 1 + c / sqrt(d): the log-likelihood ratio of the radius is
    # Gaussian with mean d e^2 / 4, e = (c / sqrt(d)) / (1 + tau), so K^2 = c^2 / (8 (1 + tau)^2), up to 1 / sqrt(d)
    d, c = 2**40, 6.0
    mix = GaussianMixture([[0.0], [0.0]], [1.0, 1.0 + c / np.sqrt(d)], dimension=d)
    sigma = np.array([0.5, 1.0, 2.0])
    profile = exact.profiles(mix, VE(), sigma, [Partition.full(mix.labels)], samples=50_000).squeeze()
    tau = sigma**2
    K = c / np.sqrt(8) / (1 + tau)
    rate = -exact.two_component_entropy_slope(K) * K * tau / (1 + tau)
    for curve, expected in (("entropy", exact.two_component_entropy(K)), ("entropy_rate", rate)):
        error = (profile[f"{curve}_upper"] - profile[curve]).values / QUANTILE
        assert (error > 0).all()
        assert (np.abs(profile[curve].values - expected) < 4 * error + 1e-5).all()


# ---- known cases


@pytest.mark.parametrize(("count", "floor"), [(10, 0.2417), (1000, 0.0057)])
def test_one_class_against_the_mixture_that_holds_it_keeps_the_floor_of_the_null_model(
    count: int, floor: float
) -> None:
    # without noise the other classes are distinguished for certain, so one far component stands for them all
    weights = np.array([0.5, 0.5 / count, 0.5 * (count - 1) / count])
    mix = GaussianMixture([[0.0], [0.0], [100.0]], 1.0, weights, ["class", "mixture", "mixture"])
    profile = _values(mix, [10.0, 20.0], Partition.pair("class", "mixture"))
    chance = 1 / (count + 1)
    formula = 0.5 * (1 + 1 / count) * -(chance * np.log2(chance) + (1 - chance) * np.log2(1 - chance))
    np.testing.assert_allclose(profile.entropy, formula, atol=1e-9)
    np.testing.assert_allclose(profile.entropy, floor, atol=5e-5)


@pytest.mark.parametrize("schedule", [VP(), VE(), FlowMatching(), DDPM("linear")], ids=str)
def test_schedules_agree_over_log_snr(schedule: Schedule) -> None:
    mix = GaussianMixture([[-1.0], [0.5], [2.0]], [0.3, 1.0, 0.5])
    partition = Partition.one_vs_rest("1", mix.labels)
    time = log_snr_grid(schedule, 7, -6.0, 6.0)
    profile = exact.profiles(mix, schedule, time, [partition])
    other = exact.profiles(mix, VE(), log_snr_grid(VE(), 7, -6.0, 6.0), [partition])
    for curve in CURVES:
        np.testing.assert_allclose(profile[curve], other[curve], atol=1e-9)


@pytest.mark.parametrize("schedule", [VP(), FlowMatching(), VE()], ids=str)
def test_rates_along_an_axis_are_derivatives_along_it(schedule: Schedule) -> None:
    mix = GaussianMixture([[-1.0], [1.5]], [0.3, 1.0])
    partition = [Partition.full(mix.labels)]
    centre = 0.4
    time = centre * (1 + 1e-3 * np.arange(-2, 3))
    weights = np.array([1, -8, 0, 8, -1]) / 12
    level = schedule.noise_level(time)
    for axis, x in (("time", time), ("sigma", level), ("log_sigma", np.log(level)), ("log_snr", 2 * np.log(level))):
        profile = exact.profiles(mix, schedule, time, partition, rate_axis=axis).squeeze()
        # both the entropy and the position are differentiated over the index, to the fourth order
        expected = (weights @ profile.entropy.values) / (weights @ x)
        assert float(profile.entropy_rate[2]) == pytest.approx(expected, rel=1e-6)
        assert profile.attrs["rate_axis"] == axis


def test_half_entropy_is_where_the_profile_says_half() -> None:
    mix = GaussianMixture([[-1.0], [0.5], [4.0]], [0.3, 1.0, 0.5], [0.2, 0.3, 0.5])
    partition = Partition.full(mix.labels)
    start = -np.sum(mix.weights * np.log2(mix.weights))
    for fraction in (0.3, 0.5, 0.9):
        half = exact.half_entropy(mix, partition, fraction)
        profile = _values(mix, [half - 1, half])
        assert float(profile.entropy[1]) == pytest.approx(fraction * start, abs=1e-10)


def test_half_entropy_refuses_what_it_cannot_find() -> None:
    overlap = GaussianMixture([[0.0], [0.5]])
    with pytest.raises(SpecentError, match="does not fall that far"):
        exact.half_entropy(overlap, Partition.full(overlap.labels))
    plane = GaussianMixture([[0.0, 0.0], [4.0, 0.0], [0.0, 4.0]])
    with pytest.raises(SpecentError, match="not collinear"):
        exact.half_entropy(plane, Partition.full(plane.labels))
    assert np.isfinite(exact.half_entropy(plane, Partition.pair("0", "1")))
    for fraction in (0.0, 1.0, np.nan):
        with pytest.raises(SpecentError, match="fraction="):
            exact.half_entropy(overlap, Partition.full(overlap.labels), fraction)


# ---- the dataset


def test_the_dataset_keeps_the_contract_and_names_what_made_it() -> None:
    mix = GaussianMixture([[0.0], [1.0], [3.0]], labels=["a", "b", "c"])
    partitions = [Partition.full(mix.labels), Partition.one_vs_rest("a", mix.labels)]
    profile = exact.profiles(mix, VP(), [0.1, 1.0], partitions, rate_axis="time")
    schema.validate(profile, "profiles")
    assert profile.entropy.dims == ("estimator", "guidance", "partition", "time")
    assert profile.estimator.values.tolist() == ["exact"]
    assert profile.guidance.values.tolist() == ["unguided"]
    assert [Partition.from_json(str(text)) for text in profile.definition.values] == partitions
    assert profile.attrs["schedule"] == VP().to_json()
    np.testing.assert_allclose(profile.log_snr, VP().log_snr([0.1, 1.0]))
    for curve in CURVES:
        np.testing.assert_array_equal(profile[curve], profile[f"{curve}_lower"])
        np.testing.assert_array_equal(profile[curve], profile[f"{curve}_upper"])


def test_confidence_widens_the_bounds_as_the_quantile_of_student() -> None:
    mix = GaussianMixture([[0.0, 0.0], [2.0, 0.0], [0.0, 2.0]])
    partition = [Partition.full(mix.labels)]
    half = [
        (profile.entropy_upper - profile.entropy).values.ravel()
        for profile in (
            exact.profiles(mix, VE(), [0.5, 1.0], partition, samples=200, confidence=c) for c in (0.5, 0.95)
        )
    ]
    estimate = monte_carlo(mix, np.array([0.25, 1.0]), [component_weights(mix, partition[0])], 200, 0)
    # of three equal components with four randomisations each: between three and nine degrees of freedom
    degrees = estimate.entropy_degrees[0]
    assert ((degrees > 3) & (degrees < 9)).all()
    np.testing.assert_allclose(half[0], t.ppf(0.75, degrees) * estimate.entropy_error[0] / np.log(2))
    np.testing.assert_allclose(half[1] / half[0], t.ppf(0.975, degrees) / t.ppf(0.75, degrees))


@pytest.mark.parametrize(
    ("changes", "error", "named"),
    [
        ({"time": [2.0, 1.0]}, ScheduleError, "must ascend"),
        ({"time": [0.0, 1.0]}, ScheduleError, "is outside"),
        ({"time": [1.0]}, ScheduleError, "at least 2 steps"),
        ({"partitions": []}, SpecentError, "partitions is empty"),
        ({"partitions": [Partition.pair("0", "1")] * 2}, SpecentError, "the same name '0 | 1'"),
        ({"partitions": [Partition.pair("0", "9")]}, PartitionError, "unknown label '9'"),
        ({"rate_axis": "snr"}, SpecentError, "rate_axis='snr'"),
        ({"samples": 1}, SpecentError, "samples=1"),
        ({"seed": -1}, SpecentError, "seed=-1"),
        ({"confidence": 1.0}, SpecentError, "confidence=1.0"),
    ],
)
def test_bad_input_is_named(changes: dict[str, object], error: type[Exception], named: str) -> None:
    mix = GaussianMixture([[0.0], [1.0]])
    arguments: dict[str, object] = {"time": [1.0, 2.0], "partitions": [Partition.pair("0", "1")], **changes}
    time, partitions = arguments.pop("time"), arguments.pop("partitions")
    with pytest.raises(error, match=named.replace("|", r"\|")):
        exact.profiles(mix, VE(), time, partitions, **arguments)  # type: ignore[arg-type]


# ---- sources that bring their own


class Coin:
    """A source whose profiles are those of two far components, for any partition; it remembers the options."""

    def __init__(self) -> None:
        self.options: dict[str, object] = {}

    def exact_profiles(self, schedule: Schedule, time: object, partitions: object, **options: object) -> xr.Dataset:
        self.options = options
        return exact.scaling_profiles([4.0], schedule, time)  # type: ignore[arg-type]


def test_a_source_that_brings_its_own_profiles_is_left_to_make_them() -> None:
    coin = Coin()
    profiles = exact.profiles(coin, VE(), [1.0, 2.0], "full", samples=7, seed=3, device="cpu")
    np.testing.assert_allclose(profiles.entropy.squeeze(), exact.two_component_entropy([2 / 2**0.5, 2 / 5**0.5]))
    assert coin.options == {"rate_axis": "log_snr", "samples": 7, "seed": 3, "confidence": 0.95, "device": "cpu"}
    exact.profiles(coin, VE(), [1.0, 2.0], "full")
    # how many draws there are by default is for the source to say
    assert "samples" not in coin.options


def test_options_of_models_are_none_of_a_mixture() -> None:
    with pytest.raises(SpecentError, match="device= is an option of models"):
        exact.profiles(GaussianMixture([[0.0], [1.0]]), VE(), [1.0, 2.0], "full", device="cpu")
