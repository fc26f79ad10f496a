"""What decides between quadrature and quasi-Monte Carlo, and what each of them rests on."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.integrate import quad
from scipy.special import entr
from scipy.stats import chi2, qmc, t

from specent import exact
from specent.errors import SpecentError
from specent.exact import GaussianMixture, expectation
from specent.exact.expectation import Expectation, monte_carlo, on_a_line, quadrature, span
from specent.exact.kernel import Points, View, log_ratio, statistics
from specent.exact.mixture import component_weights
from specent.partitions import Partition
from specent.schedules import VE

TAU = np.array([0.3, 1.0, 3.0, 10.0])


def _is_near(estimate: Expectation, entropy: NDArray[np.float64], rate: NDArray[np.float64] | None = None) -> bool:
    """Whether a partition's values are no further off than one in a thousand is."""
    far = t.ppf(1 - 0.0005, estimate.entropy_degrees[0]) * estimate.entropy_error[0]
    near = bool((np.abs(estimate.entropy[0] - entropy) < far).all())
    if rate is None:
        return near
    far = t.ppf(1 - 0.0005, estimate.rate_degrees[0]) * estimate.rate_error[0]
    return near and bool((np.abs(estimate.rate[0] - rate) < far).all())


def test_coordinates_in_the_span_keep_all_distances() -> None:
    rng = np.random.default_rng(0)
    means = rng.normal(size=(6, 3)) @ rng.normal(size=(3, 40)) + rng.normal(size=40)
    coordinates = span(means)
    assert coordinates.shape == (6, 3)
    apart, between = (np.linalg.norm(each[:, None] - each, axis=-1) for each in (means, coordinates))
    np.testing.assert_allclose(between, apart, atol=1e-10)


def test_the_span_has_as_many_coordinates_as_it_needs() -> None:
    assert span(np.ones((4, 3))).shape == (4, 0)
    assert span(np.zeros((1, 3))).shape == (1, 0)
    assert span(np.outer([0.0, 1.0, -2.0], [1.0, 1.0])).shape == (3, 1)
    assert span(np.eye(5)).shape == (5, 4)


def test_one_dimension_suffices_for_collinear_covered_means_of_equal_variance() -> None:
    plane = GaussianMixture([[0.0, 0.0], [1.0, 1.0], [3.0, 3.0], [0.0, 5.0]], [1.0, 1.0, 1.0, 2.0])
    full, pair = Partition.full(plane.labels), Partition.groups({"x": ["0", "1"], "y": ["2"]})
    assert not on_a_line(plane, component_weights(plane, full))
    assert on_a_line(plane, component_weights(plane, pair))
    assert not on_a_line(plane, component_weights(plane, Partition.pair("0", "3")))
    line = GaussianMixture([[0.0], [1.0]], [1.0, 2.0])
    assert on_a_line(line, component_weights(line, Partition.full(line.labels)))
    wide = GaussianMixture([[0.0], [1.0]], [1.0, 2.0], dimension=2)
    assert not on_a_line(wide, component_weights(wide, Partition.full(wide.labels)))


def test_a_component_far_narrower_than_its_neighbour_is_not_stepped_over() -> None:
    spread, weight = np.array([1.0, 1e-8]), np.array([0.5, 0.5])
    centres = np.array([0.0, 1.0])

    def integrand(x: float) -> float:
        joint = weight * np.exp(-0.5 * (x - centres) ** 2 / spread) / np.sqrt(2 * np.pi * spread)
        P = joint / joint.sum()
        return float(-np.sum(joint * np.log(np.maximum(P, 1e-300))))

    cuts = np.array([-9.0, -3.0, 0.0, *(1 + 1e-4 * np.arange(-12.0, 12.5, 0.5)), 3.0, 9.0])
    expected = sum(quad(integrand, low, high, epsabs=1e-13)[0] for low, high in itertools.pairwise(cuts))
    tau = 1e-20
    mix = GaussianMixture(centres[:, None], spread - tau, weight)
    integral, _ = quadrature(mix, np.array([tau]), component_weights(mix, Partition.full(mix.labels)))
    assert expected > 1e-4
    assert integral[0] == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("variances", [[0.7, 0.7, 0.7], [0.2, 1.0, 3.0]])
def test_both_ways_agree_where_both_can_be_taken(variances: list[float]) -> None:
    mix = GaussianMixture([[-1.0], [0.5], [2.0]], variances, [0.2, 0.5, 0.3], ["a", "b", "a"])
    weights = component_weights(mix, Partition.full(mix.labels))
    tau = np.array([0.01, 0.5, 5.0, 100.0])
    entropy, rate = quadrature(mix, tau, weights)
    estimate = monte_carlo(mix, tau, [weights], 50_000, 1)
    assert _is_near(estimate, entropy, rate)


def _box(sides: list[float]) -> tuple[GaussianMixture, NDArray[np.float64], NDArray[np.float64]]:
    """Components at the corners of a box, whose entropy and rate are the sums of those of its sides."""
    mix = GaussianMixture(np.array(list(itertools.product(*[(-side, side) for side in sides]))))
    lines = [GaussianMixture([[-side], [side]]) for side in sides]
    parts = [quadrature(line, TAU, component_weights(line, Partition.full(line.labels))) for line in lines]
    entropy, rate = np.sum(parts, axis=0)
    return mix, entropy, rate


@pytest.mark.parametrize("sides", [[1.0, 2.0], [1.0, 2.0, 3.0], [0.5, 1.0, 2.0, 4.0]], ids=len)
def test_a_box_is_decided_as_its_sides_are(sides: list[float]) -> None:
    mix, entropy, rate = _box(sides)
    weights = component_weights(mix, Partition.full(mix.labels))
    estimate = monte_carlo(mix, TAU, [weights], 4096, 1)
    assert _is_near(estimate, entropy, rate)
    # as many independent draws: of every side a logistic function of a normal variable says what is decided
    x = np.random.default_rng(2).standard_normal((4096 * len(mix.labels), len(sides), 1))
    chance = 1 / (
        1 + np.exp(-2 * np.array(sides)[:, None] * (x * np.sqrt(1 + TAU) + np.array(sides)[:, None]) / (1 + TAU))
    )
    surprisal = (entr(chance) + entr(1 - chance)).sum(axis=1)
    np.testing.assert_allclose(surprisal.mean(axis=0), entropy, atol=4 * np.log(2) / np.sqrt(len(x)) * len(sides))
    independent = surprisal.std(axis=0) / np.sqrt(len(x))
    # a sequence of n points leaves an error of order log(n)^rank / n; over five seeds the largest ratio is 0.055, and
    # an estimate with 7 degrees of freedom scatters by 27 % of itself
    assert (estimate.entropy_error[0] < 0.1 * independent).all()


def test_intervals_cover_the_exact_value() -> None:
    mix, entropy, rate = _box([1.0, 2.0])
    expected = np.array([entropy, rate]) / np.log(2)
    inside = []
    for seed in range(100):
        profile = exact.profiles(mix, VE(), np.sqrt(TAU), "full", samples=64, seed=seed).squeeze()
        low, high = (
            np.array([profile[f"{name}_{bound}"] for name in ("entropy", "entropy_rate")])
            for bound in ("lower", "upper")
        )
        inside.append((low < expected) & (expected < high))
    # 100 runs at 95 %: a standard error of 2.2 %
    np.testing.assert_allclose(np.mean(inside, axis=0), 0.95, atol=4 * 0.0218)


def _on_a_grid(mix: GaussianMixture, noise: float) -> tuple[float, float]:
    """Entropy and rate of all components of a mixture in the plane, by a sum over a fine grid."""
    ticks = np.arange(-30.0, 30.0, 0.1)
    y = np.stack(np.meshgrid(ticks, ticks), axis=-1)
    spread = mix.variances + noise
    apart = y[..., None, :] - mix.means
    joint = mix.weights * np.exp(-0.5 * np.sum(apart**2, axis=-1) / spread) / (2 * np.pi * spread)
    density = joint.sum(axis=-1)
    P = joint / np.maximum(density, 1e-300)[..., None]
    denoised = y[..., None, :] - (noise / spread)[:, None] * apart
    mean = np.einsum("xyk,xykd->xyd", P, denoised)
    variance = np.einsum("xyk,xykd->xy", P, (denoised - mean[..., None, :]) ** 2)
    return 0.01 * float(np.sum(density * entr(P).sum(axis=-1))), 0.01 * float(np.sum(density * variance)) / 2 / noise


def test_stated_errors_are_those_to_a_sum_over_a_grid() -> None:
    means = 3 * np.random.default_rng(3).normal(size=(5, 2))
    mix = GaussianMixture(means, [0.5, 1.0, 1.5, 2.0, 0.8], [0.1, 0.3, 0.2, 0.25, 0.15])
    tau = np.array([0.5, 5.0])
    truth = np.array([_on_a_grid(mix, noise) for noise in tau]).T
    weights = component_weights(mix, Partition.full(mix.labels))
    runs = [monte_carlo(mix, tau, [weights], 256, seed) for seed in range(100)]
    for value, name in zip(truth, ("entropy", "rate"), strict=True):
        gap, error, degrees = (
            np.array([getattr(run, f"{name}{end}")[0] for run in runs]) for end in ("", "_error", "_degrees")
        )
        score = (gap - value) / error
        assert (np.abs(score) < t.ppf(0.975, degrees)).mean(axis=0) == pytest.approx(0.95, abs=4 * 0.0218)
        # the mean of 100 squares of Student's t with 8 degrees of freedom or more, 4/3 each, has a deviation of 0.27
        assert (score**2).mean(axis=0) == pytest.approx(1.25, abs=4 * 0.27)
        assert (np.abs(score.mean(axis=0)) < 4 * np.sqrt(1.3 / 100)).all()
    usual = monte_carlo(mix, tau, [weights], 4096, 0)
    assert (usual.entropy_error[0] < 2e-4 * np.log(2)).all()


def test_degrees_of_freedom_are_those_of_the_components_that_err() -> None:
    square = GaussianMixture([[-1.0, -1.0], [-1.0, 1.0], [1.0, -1.0], [1.0, 1.0]])
    weights = component_weights(square, Partition.full(square.labels))
    alike = np.array([monte_carlo(square, TAU, [weights], 256, seed).entropy_degrees[0] for seed in range(20)])
    assert ((alike > 3) & (alike < 12)).all()
    drawn = np.random.default_rng(0).chisquare(3, (100_000, 4))
    expected = 3 * np.mean(drawn.sum(axis=1) ** 2 / (drawn**2).sum(axis=1))
    # 20 runs, each of which scatters by 1.6
    assert alike.mean() == pytest.approx(expected, abs=4 * 1.6 / np.sqrt(20))
    pair = np.array([[0.5, 0, 0, 0], [0, 0.5, 0, 0]])
    lone = GaussianMixture(square.means, [1.0, 1e-3, 1.0, 1.0], [1 - 3e-6, 1e-6, 1e-6, 1e-6])
    uneven = monte_carlo(lone, TAU[:2], [pair * np.array([[2 - 2e-9], [2e-9]])], 256, 0).entropy_degrees[0]
    assert (uneven < 3.1).all()


@pytest.mark.parametrize("degrees", [1, 3, 64, 3072, 2**20 - 1, 2**20, 2**21])
def test_the_squared_length_of_the_rest_is_a_chi_square_variable(degrees: int) -> None:
    uniform = np.linspace(0.001, 0.999, 999)
    surplus = expectation._chi_square_surplus(degrees, uniform)
    np.testing.assert_allclose(chi2.cdf(surplus + degrees, degrees), uniform, atol=1e-7)


def test_the_squared_length_of_the_rest_is_nearly_normal_in_a_huge_space() -> None:
    uniform = (np.arange(100_000) + 0.5) / 100_000
    surplus = expectation._chi_square_surplus(2**40, uniform) / np.sqrt(2.0 * 2**40)
    assert surplus.mean() == pytest.approx(0, abs=1e-5)
    # what midpoints leave out beyond four standard deviations
    assert surplus.var() == pytest.approx(1, abs=5e-4)


def test_more_coordinates_than_are_tabulated_are_drawn_independently(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qmc.Sobol, "MAXDIM", 1)
    mix, entropy, _ = _box([1.0, 2.0])
    estimate = monte_carlo(mix, TAU, [component_weights(mix, Partition.full(mix.labels))], 4096, 1)
    assert _is_near(estimate, entropy)


def test_points_do_not_depend_on_the_times_or_on_the_size_of_a_block(monkeypatch: pytest.MonkeyPatch) -> None:
    mix = GaussianMixture(np.random.default_rng(4).normal(size=(4, 3)), [0.5, 1.0, 1.5, 2.0])
    weights = component_weights(mix, Partition.full(mix.labels))
    tau = np.array([0.1, 1.0, 10.0])
    whole = monte_carlo(mix, tau, [weights], 5000, 7)
    monkeypatch.setattr(expectation, "_BLOCK", 10)
    cut = monte_carlo(mix, tau[1:], [weights], 5000, 7)
    np.testing.assert_allclose(whole.entropy[:, 1:], cut.entropy, rtol=1e-12)
    np.testing.assert_allclose(whole.rate_error[:, 1:], cut.rate_error, rtol=1e-9)


def test_quadrature_that_does_not_settle_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expectation, "_TOLERANCE", 0.0)
    mix = GaussianMixture([[0.0], [1.0]])
    with pytest.raises(SpecentError, match="did not settle"):
        quadrature(mix, np.array([1.0]), component_weights(mix, Partition.full(mix.labels)))


@pytest.mark.parametrize("variances", [1.0, [0.3, 1.0, 2.0, 0.7, 1.5, 0.5]], ids=["equal", "unequal"])
def test_one_against_the_rest_is_that_of_a_sum_over_the_rest(variances: float | list[float]) -> None:
    means = np.random.default_rng(5).normal(size=(6, 3)) * 2
    weights = [0.1, 0.2, 0.3, 0.15, 0.05, 0.2]
    mix = GaussianMixture(means, variances, weights, dimension=5)
    partitions = [
        Partition.one_vs_rest("2", mix.labels),
        Partition.one_vs_rest("4", mix.labels, prior=[0.9, 0.1]),
        Partition.groups({"others": ["0", "1", "2", "4", "5"], "one": ["3"]}),
    ]
    joint = [component_weights(mix, partition) for partition in partitions]
    together = monte_carlo(mix, TAU, joint, 64, 3)
    # with a third side, of no weight, sums are not shared
    apart = [np.concatenate([weights, np.zeros((1, 6))]) for weights in joint]
    plain = monte_carlo(mix, TAU, apart, 64, 3)
    np.testing.assert_allclose(together.entropy, plain.entropy, rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(together.rate, plain.rate, rtol=1e-9, atol=1e-12)


def test_sides_of_several_components_are_those_of_posteriors_by_hand() -> None:
    rng = np.random.default_rng(6)
    mix = GaussianMixture(rng.normal(size=(5, 2)), [0.5, 1.0, 1.5, 2.0, 0.8], dimension=4)
    weights = np.array([[0.2, 0.0, 0.1, 0.0, 0.0], [0.0, 0.4, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0, 0.3]])
    tau = np.array([0.5, 4.0])
    xi = rng.standard_normal((20, 4))
    # the means span the first two coordinates
    points = Points(xi[None, :, :2], np.sum(xi**2, axis=1)[None] - 4)
    view = View(mix.means - mix.means[1], mix.variances, 1, 4)
    entropy, rate = statistics(view, points, tau, np.exp(log_ratio(view, points, tau)), weights)
    for i, noise in enumerate(tau):
        spread = mix.variances + noise
        means = np.concatenate([mix.means, np.zeros((5, 2))], axis=1)
        y = means[1] + np.sqrt(spread[1]) * xi
        apart = y[:, None] - means
        density = np.exp(-0.5 * np.sum(apart**2, axis=-1) / spread) / spread**2
        denoised = y[:, None] - noise * apart / spread[:, None]
        part = density[:, None] * weights
        part /= part.sum(axis=(1, 2), keepdims=True)
        P = part.sum(axis=2)
        D = np.einsum("nzk,nkd->nzd", part, denoised) / P[..., None]
        mixed = np.einsum("nz,nzd->nd", P, D)
        np.testing.assert_allclose(entropy[i], entr(P).sum(axis=1), rtol=1e-10)
        expected = 0.5 / noise * np.sum(P * np.sum((D - mixed[:, None]) ** 2, axis=-1), axis=1)
        np.testing.assert_allclose(rate[i], expected, rtol=1e-9)


def test_components_share_a_sequence_and_are_shifted_each_for_itself() -> None:
    mix = GaussianMixture(np.eye(3), dimension=3)
    sequences = expectation.scrambled_sequences(mix, 2, 0)
    drawn = [
        list(expectation._uniform(sequence, 2, 1024, np.random.default_rng([0, r, own])))
        for r, sequence in enumerate(sequences[:2])
        for own in (0, 1)
    ]
    for parts in drawn:
        points = np.concatenate(parts)
        # every interval of a thousandth holds one point, in both coordinates, shifted or not
        assert np.array_equal(np.sort((points * 1024).astype(int), axis=0), np.tile(np.arange(1024)[:, None], (1, 2)))
    assert len({parts[0][0, 0] for parts in drawn}) == 4
