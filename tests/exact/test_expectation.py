"""What decides between quadrature and Monte Carlo, and what each of them rests on."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.integrate import quad

from specent.errors import SpecentError
from specent.exact import GaussianMixture, expectation
from specent.exact.expectation import monte_carlo, on_a_line, quadrature, span
from specent.exact.mixture import component_weights
from specent.partitions import Partition


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
    assert (np.abs(estimate.entropy[0] - entropy) < 4 * estimate.entropy_error[0]).all()
    assert (np.abs(estimate.rate[0] - rate) < 4 * estimate.rate_error[0]).all()


def test_draws_do_not_depend_on_the_times_or_on_the_size_of_a_block(monkeypatch: pytest.MonkeyPatch) -> None:
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
