"""Paired comparisons: their statistics, and how often noise alone makes one significant."""

import numpy as np
import pytest
from scipy.stats import ttest_rel

from specent.diagnostics.paired_differences import mostly_smaller, paired_difference, z_text


def test_a_difference_has_the_statistic_of_the_paired_test() -> None:
    first, second = np.random.default_rng(0).normal(size=(2, 30))
    assert paired_difference(first, second).z == pytest.approx(ttest_rel(first, second).statistic)


def test_what_all_have_in_common_does_not_count() -> None:
    generator = np.random.default_rng(1)
    shared, small = 100 * generator.normal(size=50), generator.normal(size=50)
    assert paired_difference(shared + 3 + 0.1 * small, shared).significant
    assert not paired_difference(100 * generator.normal(size=50) + 3, shared).significant


def test_noise_alone_is_hardly_ever_significant() -> None:
    # 20000 comparisons of 10 pairs, at one in a million each: none expected
    pairs = np.random.default_rng(2).normal(size=(20000, 2, 10))
    assert sum(paired_difference(first, second).significant for first, second in pairs) == 0


def test_a_difference_without_scatter_is_all_or_nothing() -> None:
    same = np.ones(5)
    assert paired_difference(same, same).z == 0
    assert not paired_difference(same, same).significant
    assert paired_difference(same + 1, same).significant
    assert paired_difference(same, same + 1).z == -np.inf


@pytest.mark.parametrize(("count", "significant"), [(1, False), (2, False), (12, True)])
def test_two_examples_never_decide(count: int, significant: bool) -> None:
    first = 5 + 0.1 * np.random.default_rng(3).normal(size=count)
    assert paired_difference(first, np.zeros(count)).significant is significant


def test_most_levels_count_and_undecided_ones_do_not() -> None:
    generator = np.random.default_rng(4)
    first, second = generator.normal(size=(2, 10, 200))
    assert not mostly_smaller(first, second)  # nothing is decided
    better = second.copy()
    better[:3] -= 2
    assert mostly_smaller(first, better)
    better[3:5] += 2
    assert not mostly_smaller(first, better)  # three against two


def test_numbers_of_standard_errors_are_short() -> None:
    assert [z_text(value) for value in (0.123, -3.21, 123.4)] == [
        "0.12 standard errors", "-3.2 standard errors", "123 standard errors",
    ]  # fmt: skip
