"""Frechet distance against closed forms and scipy's matrix root, and what sampling does to it."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import sqrtm

from specent.errors import SpecentError
from specent.quality import frechet_distance, frechet_gaussians, frechet_limit


def spread(rng: np.random.Generator, size: int, rank: int | None = None) -> np.ndarray:
    """A random covariance of that rank."""
    root = rng.normal(size=(size, rank or size))
    return root @ root.T


@settings(deadline=None, max_examples=50)
@given(st.floats(-5, 5), st.floats(0, 4), st.floats(-5, 5), st.floats(0, 4))
def test_on_a_line_it_is_the_squared_distance_of_mean_and_deviation(m: float, s: float, n: float, t: float) -> None:
    expected = (m - n) ** 2 + (s - t) ** 2
    assert frechet_gaussians([m], [[s**2]], [n], [[t**2]]) == pytest.approx(expected, rel=1e-7, abs=1e-12)


def test_covariances_that_commute_give_the_distance_of_the_deviations() -> None:
    rng = np.random.default_rng(0)
    turn, _ = np.linalg.qr(rng.normal(size=(7, 7)))
    a, b, shift = rng.uniform(0, 3, 7), rng.uniform(0, 3, 7), rng.normal(size=7)
    estimates = frechet_gaussians(np.zeros(7), turn @ np.diag(a**2) @ turn.T, shift, turn @ np.diag(b**2) @ turn.T)
    assert estimates == pytest.approx(shift @ shift + ((a - b) ** 2).sum(), rel=1e-10)


@pytest.mark.parametrize("size", [2, 16, 64])
def test_it_is_that_of_the_matrix_root_of_scipy(size: int) -> None:
    rng = np.random.default_rng(size)
    a, b, shift = spread(rng, size), spread(rng, size), rng.normal(size=size)
    expected = shift @ shift + np.trace(a + b - 2 * sqrtm(a @ b).real)
    assert frechet_gaussians(shift, a, np.zeros(size), b) == pytest.approx(expected, rel=1e-8)


def test_it_is_symmetric_and_vanishes_only_for_equals() -> None:
    rng = np.random.default_rng(1)
    a, b = (rng.normal(size=5), spread(rng, 5)), (rng.normal(size=5), spread(rng, 5))
    assert frechet_gaussians(*a, *b) == pytest.approx(frechet_gaussians(*b, *a), rel=1e-10)
    assert frechet_gaussians(*a, *a) == pytest.approx(0.0, abs=1e-12)
    assert frechet_gaussians(*a, *b) > 0.1


@pytest.mark.parametrize(("first", "second"), [(3, 40), (40, 5), (3, 5), (1, 1)])
def test_singular_covariances_of_any_rank_are_right_to_many_digits(first: int, second: int) -> None:
    rng = np.random.default_rng(first)
    left, right = rng.normal(size=(40, first)), rng.normal(size=(40, second))
    # the trace of the root of (A A^T) (B B^T) is the sum of the singular values of A^T B
    root = np.linalg.svd(left.T @ right, compute_uv=False).sum()
    expected = (left**2).sum() + (right**2).sum() - 2 * root
    estimates = frechet_gaussians(np.zeros(40), left @ left.T, np.zeros(40), right @ right.T)
    assert estimates == pytest.approx(expected, rel=1e-9)


def test_features_far_from_their_origin_keep_their_digits() -> None:
    rng = np.random.default_rng(2)
    real, fake = rng.normal(size=(200, 3)), 1.1 * rng.normal(size=(150, 3)) + 0.2
    near, far = (frechet_distance(real + shift, fake + shift).value for shift in (0.0, 1e6))
    assert far == pytest.approx(near, rel=1e-6)


def test_of_samples_it_is_that_of_their_means_and_covariances() -> None:
    rng = np.random.default_rng(3)
    real, fake = rng.normal(size=(50, 4)), rng.normal(size=(31, 4)) @ rng.normal(size=(4, 4))
    moments = [part for one in (real, fake) for part in (one.mean(axis=0), np.cov(one.T))]
    assert frechet_distance(real, fake).value == pytest.approx(frechet_gaussians(*moments), rel=1e-10)


def test_fewer_samples_than_features_are_allowed() -> None:
    rng = np.random.default_rng(4)
    real, fake = rng.normal(size=(30, 100)), rng.normal(size=(20, 100)) + 1
    moments = [part for one in (real, fake) for part in (one.mean(axis=0), np.cov(one.T))]
    expected = 0.0
    a, b = (one - one.mean(axis=0) for one in (real, fake))
    root = np.linalg.svd(a @ b.T, compute_uv=False).sum() / math.sqrt(29 * 19)
    expected = ((moments[0] - moments[2]) ** 2).sum() + np.trace(moments[1]) + np.trace(moments[3]) - 2 * root
    assert frechet_distance(real, fake).value == pytest.approx(expected, rel=1e-9)


def sampled(size: int, samples: int, shift: float, repetitions: int, function: Any) -> np.ndarray:
    """The estimates of repeated draws from N(shift, 1), against 50000 draws of N(0, 1)."""
    rng = np.random.default_rng(5)
    # whitened, so that the reference is the standard normal to the last digit
    real = rng.normal(size=(50_000, size))
    real = (real - real.mean(axis=0)) @ np.linalg.inv(np.linalg.cholesky(np.cov(real.T))).T
    estimates = [function(real, rng.normal(shift, 1, (samples, size)), seed=i) for i in range(repetitions)]
    return np.array([[one.value, one.lower, one.upper, one.standard_error] for one in estimates])


def test_the_bias_falls_as_one_over_the_number_of_samples_and_the_limit_has_lost_it() -> None:
    size = 8
    plain = {n: sampled(size, n, 0.0, 40, frechet_distance)[:, 0] for n in (200, 400, 800)}
    limit = sampled(size, 400, 0.0, 40, frechet_limit)[:, 0]
    error = {n: one.std() / math.sqrt(40) for n, one in plain.items()}
    # of order 1/N the means add d/N, the covariances d (d + 1) / 4N: 26/N for 8 features. The next order is about d/N
    # of that, 4 % at N = 200
    for n, one in plain.items():
        assert abs(one.mean() - 26 / n) < 4 * error[n] + 0.05 * 26 / n
    assert abs(limit.mean()) < 4 * limit.std() / math.sqrt(40)
    assert limit.std() / math.sqrt(40) < 0.1 * plain[400].mean()


@pytest.mark.parametrize(("function", "shift"), [(frechet_limit, 0.3), (frechet_limit, 0.0), (frechet_distance, 0.3)])
def test_intervals_cover_what_they_say(function: Any, shift: float) -> None:
    estimates = sampled(4, 200, shift, 100, function)
    # the limit is that of the distributions, the plain distance that of as many samples
    truth = 4 * shift**2 if function is frechet_limit else estimates[:, 0].mean()
    covered = ((estimates[:, 1] <= truth) & (truth <= estimates[:, 2])).mean()
    # of 100 at 95 %: standard error 0.022. They may cover more, where the distance itself is of second order
    assert covered >= 0.95 - 4 * 0.022
    if shift:
        # 100 repetitions know a deviation to 7 %
        assert estimates[:, 3].mean() == pytest.approx(estimates[:, 0].std(), rel=0.28)


def test_the_scatter_of_real_samples_counts_where_it_is_to_be_counted() -> None:
    rng = np.random.default_rng(6)
    real, fake = rng.normal(size=(300, 3)), rng.normal(0.5, 1, size=(3000, 3))
    fixed, sampled_too = (frechet_distance(real, fake, real_sampled=flag) for flag in (False, True))
    assert fixed.value == pytest.approx(sampled_too.value, rel=1e-12)
    # ten times fewer real samples: about ten times the variance
    assert sampled_too.standard_error == pytest.approx(math.sqrt(11) * fixed.standard_error, rel=0.5)


def test_the_same_seed_gives_the_same_numbers() -> None:
    rng = np.random.default_rng(7)
    real, fake = rng.normal(size=(100, 3)), rng.normal(size=(100, 3))
    assert frechet_limit(real, fake, seed=3) == frechet_limit(real, fake, seed=3)
    assert frechet_limit(real, fake, seed=3) != frechet_limit(real, fake, seed=4)


GOOD = np.random.default_rng(8).normal(size=(100, 3))


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((GOOD[:2], GOOD), {}, "real holds 2 sample(s); at least 3 are needed"),
        ((GOOD, GOOD[:, :2]), {}, "real has 3 features and fake 2; take both from the same network"),
        ((GOOD, GOOD[0]), {}, "fake has shape (3,)"),
        ((GOOD, GOOD.astype(str)), {}, "fake="),
        ((GOOD, GOOD), {"confidence": 1.0}, "confidence=1.0"),
        ((GOOD, GOOD), {"groups": [0, 1]}, "groups=[0, 1] must name one of the groups 0 .. 23"),
        ((GOOD, GOOD), {"groups": np.zeros(100, dtype=int)}, "none may be empty"),
        ((GOOD, GOOD), {"seed": -1}, "seed=-1"),
    ],
    ids=str,
)
def test_bad_input_is_named(arguments: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecentError, match=re.escape(message)):
        frechet_distance(*arguments, **options)


def test_a_feature_that_is_not_finite_is_refused_with_its_sample_and_feature() -> None:
    bad = GOOD.copy()
    bad[7, 1] = np.nan
    with pytest.raises(SpecentError, match="fake is nan at sample 7, feature 1"):
        frechet_distance(GOOD, bad)
    bad[7, 1] = 1e200
    with pytest.raises(SpecentError, match=r"real is 1e\+200 at sample 7, feature 1"):
        frechet_limit(bad, GOOD)


def test_the_limit_needs_more_samples_than_the_distance() -> None:
    with pytest.raises(SpecentError, match=re.escape("fake holds 95 sample(s); at least 96 are needed")):
        frechet_limit(GOOD, GOOD[:95])


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"mean_b": [0.0]}, "mean_b has shape (1,)"),
        ({"covariance_a": np.eye(3)}, "covariance_a has shape (3, 3)"),
        ({"covariance_b": np.diag([1.0, -1.0])}, "covariance_b is no covariance"),
        ({"covariance_b": np.array([[1.0, 0.5], [0.0, 1.0]])}, "covariance_b is no covariance"),
        ({"mean_a": [0.0, np.nan]}, "mean_a has shape (2,); finite numbers"),
    ],
)
def test_what_is_no_gaussian_is_refused(changed: dict[str, Any], message: str) -> None:
    given = {"mean_a": np.zeros(2), "covariance_a": np.eye(2), "mean_b": np.zeros(2), "covariance_b": np.eye(2)}
    with pytest.raises(SpecentError, match=re.escape(message)):
        frechet_gaussians(**{**given, **changed})
