"""Intervals of shares, and the jackknife."""

from __future__ import annotations

import re

import numpy as np
import pytest
from scipy.stats import binomtest

from specent.errors import SpecentError
from specent.quality import Estimate, accuracy
from specent.quality.estimates import difference, jackknife, jackknife_groups, share, standard_error


@pytest.mark.parametrize(("hits", "count"), [(0, 20), (7, 20), (20, 20), (995, 1000)])
def test_without_an_error_of_its_own_a_share_has_the_interval_of_wilson(hits: int, count: int) -> None:
    expected = binomtest(hits, count).proportion_ci(0.9, method="wilson")
    estimate = share(hits / count, count, confidence=0.9)
    assert (estimate.lower, estimate.upper) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_a_larger_error_widens_the_interval_and_a_smaller_one_does_not_narrow_it() -> None:
    spread = np.array([1.0, -1.0] * 12)
    plain = share(0.3, 100, confidence=0.95)
    # the jackknife of 24 groups makes sqrt(23) times their deviation of it
    wide, narrow = (share(0.3, 100, 0.3 + error / np.sqrt(23) * spread, confidence=0.95) for error in (0.1, 0.001))
    assert narrow == plain
    # Student's t with 23 degrees of freedom
    assert (wide.lower, wide.upper) == pytest.approx((0.3 - 2.0687 * 0.1, 0.3 + 2.0687 * 0.1), rel=1e-4)
    assert wide.standard_error == pytest.approx(0.1)
    edge = share(1.0, 100, 1.0 + 0.05 / np.sqrt(23) * spread, confidence=0.95)
    assert (edge.lower, edge.upper) == pytest.approx((1.0 - 2.0687 * 0.05, 1.0), rel=1e-4)


def test_the_scatter_that_two_estimates_share_drops_out_of_their_difference() -> None:
    rng = np.random.default_rng(1)
    common, own = rng.normal(size=240), 0.1 * rng.normal(size=240)
    groups = np.arange(240) % 24

    def mean(values: np.ndarray) -> Estimate:
        deleted = np.array([values[groups != g].mean() for g in range(24)])
        return jackknife(values.mean(), deleted, confidence=0.95)

    estimate = difference(mean(common + own), mean(common), confidence=0.95)
    assert estimate.value == pytest.approx(own.mean())
    # 24 groups know a deviation to 15 %
    assert estimate.standard_error == pytest.approx(0.1 / np.sqrt(240), rel=0.6)
    assert difference(mean(common), mean(common), confidence=0.95, least=0.01).standard_error == 0.01


def test_the_jackknife_of_a_mean_is_its_standard_error() -> None:
    values = np.random.default_rng(0).normal(size=24)
    deleted = (values.sum() - values) / 23
    assert standard_error(deleted) == pytest.approx(values.std(ddof=1) / np.sqrt(24), rel=1e-12)
    assert standard_error(deleted, deleted) == pytest.approx(np.sqrt(2) * standard_error(deleted), rel=1e-12)
    estimate = jackknife(0.01, deleted, confidence=0.95, least=0.0)
    assert estimate.lower == 0.0
    # Student's t with 23 degrees of freedom
    assert estimate.upper == pytest.approx(0.01 + 2.0687 * standard_error(deleted), rel=1e-4)


def test_groups_are_as_equal_as_can_be() -> None:
    counts = np.bincount(jackknife_groups(101, None, 3))
    assert len(counts) == 24
    assert set(counts.tolist()) == {4, 5}
    assert len(set(jackknife_groups(5, None, 0).tolist())) == 5


def test_accuracy_counts_hits() -> None:
    estimate = accuracy(np.array(["1", "2", "3", "3"]), [1, 2, 3, 1])
    assert estimate.value == 0.75
    assert estimate.lower < 0.75 < estimate.upper
    assert float(estimate) == 0.75
    # by groups, each of which is all hits or all misses, it varies more than a binomial
    hit = np.repeat([True, False], 120)
    even, lumped = (accuracy(np.where(hit, "a", "b"), ["a"] * 240, groups=g) for g in (
        np.arange(240) % 24, np.repeat(np.arange(24), 10),
    ))  # fmt: skip
    assert even.standard_error == pytest.approx(0.5 / np.sqrt(240))
    assert lumped.standard_error == pytest.approx(0.5 / np.sqrt(23))
    for predicted, labels, message in (([], [], "at least 1"), ([1], [1, 2], "predicted has 1 entries and labels 2")):
        with pytest.raises(SpecentError, match=re.escape(message)):
            accuracy(predicted, labels)
    with pytest.raises(SpecentError, match="labels"):
        accuracy([1], [None])
