"""The analytic side against the reference table and against independent quadrature and roots."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.optimize import brentq, minimize_scalar

from specent import exact
from specent.errors import SpecentError
from specent.schedules import VP


def test_two_component_entropy_has_the_reference_values() -> None:
    bits = exact.two_component_entropy([0.5, 1.0, 2.0])
    np.testing.assert_allclose(bits, [0.839253, 0.514056, 0.087178], atol=1e-6)
    np.testing.assert_allclose(bits * np.log(2), [0.581726, 0.356316, 0.060427], atol=1e-6)


def test_inverse_has_the_reference_values() -> None:
    np.testing.assert_allclose(
        exact.two_component_entropy_inverse([0.4, 0.5, 0.6]), [1.184471, 1.021770, 0.870218], atol=1e-6
    )


def test_steepest_fall_over_the_log_ratio_has_the_reference_position_and_height() -> None:
    peak = minimize_scalar(
        lambda k: k * float(exact.two_component_entropy_slope(k)), bounds=(0.5, 3.0), options={"xatol": 1e-9}
    )
    assert -peak.fun == pytest.approx(0.691795, abs=1e-6)
    # a maximum is located to the square root of the rounding error, about 1e-7
    assert peak.x == pytest.approx(1.228141, abs=1e-6)


@pytest.mark.parametrize("K", [0.0, 1e-3, 0.3, 1.0, 3.0, 6.0, 20.0])
def test_entropy_agrees_with_adaptive_quadrature(K: float) -> None:
    def integrand(xi: float) -> float:
        return float(np.exp(-0.5 * xi**2) / np.sqrt(2 * np.pi) * np.logaddexp(0, -2 * K**2 - 2 * K * xi))

    value = sum(quad(integrand, low, low + 1, epsabs=1e-13)[0] for low in range(-30, 30))
    assert exact.two_component_entropy(K) == pytest.approx(value / np.log(2), abs=1e-10)


@given(K=st.floats(0.05, 7.0))
@settings(deadline=None, max_examples=40)
def test_slope_is_the_derivative(K: float) -> None:
    step = 1e-3
    value = exact.two_component_entropy(K + step * np.array([-2, -1, 1, 2]))
    # truncation is step^4 / 30 times a fifth derivative of order 10
    assert exact.two_component_entropy_slope(K) == pytest.approx(
        (value[0] - 8 * value[1] + 8 * value[2] - value[3]) / (12 * step), abs=1e-9
    )


@given(entropy=st.floats(1e-5, 0.9999))
@settings(deadline=None, max_examples=30)
def test_inverse_undoes_the_entropy(entropy: float) -> None:
    assert exact.two_component_entropy(exact.two_component_entropy_inverse(entropy)) == pytest.approx(
        entropy, abs=1e-10
    )


def test_shapes_are_kept_and_long_inputs_are_worked_on_in_blocks() -> None:
    K = np.linspace(0, 4, 2100).reshape(3, 7, 100)
    entropy = exact.two_component_entropy(K)
    assert entropy.shape == K.shape
    # a block and a single number may be summed in another order: 1000 terms of one sign, each good to 1e-16
    one_by_one = [float(exact.two_component_entropy(value)) for value in K.ravel()[[0, 1023, 1024, 2099]]]
    np.testing.assert_allclose(entropy.ravel()[[0, 1023, 1024, 2099]], one_by_one, rtol=1e-13)
    assert (np.diff(entropy.ravel()) < 0).all()
    assert exact.two_component_entropy(np.zeros((0, 2))).shape == (0, 2)


def test_cloning_probability_is_the_reference_and_the_mean_sum_of_squares() -> None:
    assert exact.cloning_probability(1.0) == pytest.approx(0.7752, abs=5e-5)
    K = np.array([0.0, 0.4, 1.7, 9.0])
    x = K[:, None] + np.random.default_rng(1).standard_normal(200_000)
    P = 1 / (1 + np.exp(-2 * K[:, None] * x))
    squares = P**2 + (1 - P) ** 2
    error = squares.std(axis=1) / np.sqrt(squares.shape[1])
    assert (np.abs(exact.cloning_probability(K) - squares.mean(axis=1)) <= 4 * error + 1e-12).all()


def test_speciation_scales_with_the_dimension() -> None:
    d = 2.0 ** np.arange(1, 21)
    np.testing.assert_allclose(exact.speciation_time(d), np.log(d) / 2)
    # the two predictions are one noise level: sigma / alpha at t_s is sqrt(d - 1)
    np.testing.assert_allclose(VP().noise_level(exact.speciation_time(d)) ** 2, exact.speciation_sigma(d) ** 2 - 1)


def test_spectral_prediction_reads_the_largest_eigenvalue() -> None:
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(5, 5)))[0]
    covariance = turn @ np.diag([9.0, 1.0, 0.5, 2.0, 4.0]) @ turn.T
    assert exact.spectral_time(covariance=covariance) == pytest.approx(np.log(9) / 2)
    assert exact.spectral_sigma(covariance=covariance) == pytest.approx(3)


@pytest.mark.parametrize("shape", [(40, 3), (6, 200), (12, 1, 4, 4)])
def test_spectral_prediction_from_data_is_that_of_their_covariance(shape: tuple[int, ...]) -> None:
    data = np.random.default_rng(3).normal(size=shape) * 3 + 5
    covariance = np.cov(data.reshape(len(data), -1), rowvar=False)
    assert exact.spectral_sigma(data=data) == pytest.approx(exact.spectral_sigma(covariance=covariance))
    assert exact.spectral_time(data=data) == pytest.approx(np.log(exact.spectral_sigma(data=data)))


def test_spectral_prediction_of_two_components_is_the_dimension_and_the_within_variance() -> None:
    mean = np.full(64, 1.0)
    assert exact.spectral_sigma(covariance=np.eye(64) + np.outer(mean, mean)) == pytest.approx(np.sqrt(65))


def _drift_slope(time: float, mean: float, variance: float) -> float:
    """Slope of x + 2 score at the origin, by finite differences of the log-density of the noisy mixture."""
    alpha = np.exp(-time)
    spread = 1 - alpha**2 + alpha**2 * variance

    def log_density(x: float) -> float:
        return float(np.logaddexp(-((x - alpha * mean) ** 2) / (2 * spread), -((x + alpha * mean) ** 2) / (2 * spread)))

    step = 1e-3 * spread / (alpha * mean)
    return 1 + 2 * (log_density(step) - 2 * log_density(0.0) + log_density(-step)) / step**2


@pytest.mark.parametrize(("mean", "variance"), [(1.0, 0.0), (3.0, 0.0), (0.8, 0.25), (2.0, 1.0), (1.5, 2.0)])
def test_symmetry_breaks_where_the_slope_of_the_drift_changes_sign(mean: float, variance: float) -> None:
    expected = brentq(_drift_slope, 1e-3, 5.0, args=(mean, variance), xtol=1e-10)
    # the second difference is good to 1e-6 of the slope's scale
    assert exact.symmetry_breaking_time(mean, variance) == pytest.approx(expected, abs=1e-5)


def test_two_points_break_symmetry_at_the_reference_time_away_from_the_peak_of_the_rate() -> None:
    breaking = exact.symmetry_breaking_time()
    assert breaking == pytest.approx(0.4407, abs=5e-5)
    assert np.exp(-breaking) == pytest.approx(np.sqrt(np.sqrt(2) - 1), rel=1e-12)

    def rate(time: float) -> float:
        snr = 1 / np.expm1(2 * time)
        # K = sqrt(snr), dsnr/dt = -2 snr (1 + snr)
        return float(-exact.two_component_entropy_slope(np.sqrt(snr)) * np.sqrt(snr) * (1 + snr))

    peak = minimize_scalar(lambda t: -rate(t), bounds=(0.02, 1.0), options={"xatol": 1e-8}).x
    assert peak == pytest.approx(0.1499, abs=5e-5)
    assert abs(peak - breaking) > 0.2


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: exact.two_component_entropy(-0.1), "K=-0.1"),
        (lambda: exact.two_component_entropy_slope([1.0, np.nan]), "K="),
        (lambda: exact.cloning_probability(np.inf), "K=inf"),
        (lambda: exact.two_component_entropy_inverse(1.0), "entropy=1.0"),
        (lambda: exact.two_component_entropy_inverse([0.5, 0.0]), "entropy="),
        (lambda: exact.speciation_time(0), "dimension=0"),
        (lambda: exact.speciation_sigma(-4.0), "dimension=-4.0"),
        (lambda: exact.symmetry_breaking_time(0.0), "mean=0.0"),
        (lambda: exact.symmetry_breaking_time(1.0, -1.0), "variance=-1.0"),
        (lambda: exact.symmetry_breaking_time(0.3, 1.0), "one fixed point"),
        (lambda: exact.spectral_time(), "covariance= or data="),
        (lambda: exact.spectral_time(covariance=np.eye(2), data=np.eye(2)), "covariance= or data="),
        (lambda: exact.spectral_time(covariance=np.ones((2, 3))), r"shape \(2, 3\)"),
        (lambda: exact.spectral_time(covariance=[[1.0, 2.0], [0.0, 1.0]]), "symmetric"),
        (lambda: exact.spectral_sigma(covariance=[[np.nan]]), "covariance holds NaN"),
        (lambda: exact.spectral_sigma(covariance=[[0.0]]), "covariance has no variance"),
        (lambda: exact.spectral_sigma(data=[[1.0, 2.0]]), "at least 2 rows"),
        (lambda: exact.spectral_sigma(data=np.ones((4, 2))), "data has no variance"),
        (lambda: exact.spectral_sigma(data=[[1.0], [np.inf]]), "data holds NaN"),
    ],
)
def test_bad_input_is_named(call, named: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(SpecentError, match=named):
        call()


def test_the_floor_of_a_class_against_the_null_condition_has_the_reference_values() -> None:
    np.testing.assert_allclose(exact.null_floor([1 / 10, 1 / 1000]), [0.2417, 0.0057], atol=5e-5)
    # a class that is everything cannot be distinguished from it; one that is nothing can
    assert exact.null_floor(1.0) == pytest.approx(1.0)
    assert exact.null_floor(0.0) == 0.0


@given(mass=st.floats(0.01, 1.0), prior=st.floats(0.01, 0.99))
@settings(deadline=None, max_examples=40)
def test_the_floor_is_the_entropy_of_a_table_of_side_and_class(mass: float, prior: float) -> None:
    # rows: the class, the null condition; columns: samples that look like the class, the others
    table = np.array([[prior, 0.0], [(1 - prior) * mass, (1 - prior) * (1 - mass)]])
    column = table.sum(axis=0)
    given_column = np.divide(table, column, out=np.ones_like(table), where=table > 0)
    assert exact.null_floor(mass, prior) == pytest.approx(-np.sum(table * np.log2(given_column)), abs=1e-12)


@pytest.mark.parametrize(
    ("mass", "prior", "named"), [(1.5, 0.5, "mass=1.5"), (0.1, -1, "prior=-1"), ("x", 0.5, "mass=")]
)
def test_a_floor_needs_probabilities(mass: object, prior: float, named: str) -> None:
    with pytest.raises(SpecentError, match=named):
        exact.null_floor(mass, prior)  # type: ignore[arg-type]
