"""Precision and recall against a computation by brute force, and on sets whose answer is plain."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import KDTree
from scipy.spatial.distance import cdist

from specent.errors import SpecentError
from specent.quality import manifolds, precision_recall
from specent.quality.manifolds import share_on_manifold


def brute(points: np.ndarray, centres: np.ndarray, neighbours: int) -> float:
    """Share of the points within a ball, by scipy's tree and an explicit loop."""
    radius = KDTree(centres).query(centres, neighbours + 1)[0][:, -1]
    inside = [any(np.linalg.norm(p - c) <= r for c, r in zip(centres, radius, strict=True)) for p in points]
    return float(np.mean(inside))


@pytest.mark.parametrize("neighbours", [1, 3, 7])
@pytest.mark.parametrize("size", [1, 2, 10])
def test_shares_are_those_of_brute_force(neighbours: int, size: int) -> None:
    rng = np.random.default_rng(neighbours)
    real, fake = rng.normal(size=(60, size)), rng.normal(0.7, 0.8, size=(45, size))
    precision, recall = precision_recall(real, fake, neighbours)
    assert precision.value == brute(fake, real, neighbours)
    assert recall.value == brute(real, fake, neighbours)
    assert 0 < precision.value <= 1
    if size == 10:
        assert recall.value < 1


def test_a_set_covers_itself_and_none_that_lies_apart() -> None:
    real = np.random.default_rng(0).normal(size=(100, 5))
    same = precision_recall(real, real.copy())
    apart = precision_recall(real, real + 100.0)
    assert [one.value for one in same] == [1.0, 1.0]
    assert [one.value for one in apart] == [0.0, 0.0]
    # nothing of 100 still leaves a few per cent
    assert 0.01 < apart[0].upper < 0.1
    assert 0.9 < same[0].lower < 0.99


def test_samples_of_one_mode_out_of_two_are_precise_and_reach_half() -> None:
    rng = np.random.default_rng(1)
    real = np.concatenate([rng.normal(-20, 1, (200, 2)), rng.normal(20, 1, (200, 2))])
    precision, recall = precision_recall(real, rng.normal(20, 1, (300, 2)))
    assert precision.value > 0.9
    assert 0.45 < recall.value <= 0.5
    assert recall.lower < 0.5 < recall.upper


def test_copies_lie_on_a_manifold_of_no_extent() -> None:
    rng = np.random.default_rng(2)
    centres = 1e3 * rng.normal(size=(12, 6))
    real = np.repeat(centres, 5, axis=0)
    precision, recall = precision_recall(real, real[::-1].copy())
    assert precision.value == recall.value == 1.0
    assert precision_recall(real, np.repeat(centres + 1e-3, 5, axis=0))[0].value == 0.0


def test_memory_is_bounded_by_blocks_that_do_not_change_the_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    real, fake = rng.normal(size=(150, 4)), rng.normal(0.5, 1, size=(120, 4))
    whole = precision_recall(real, fake, real_sampled=True)
    sizes: list[int] = []
    squares = manifolds._squares

    def watched(points: np.ndarray, centres: np.ndarray) -> np.ndarray:
        sizes.append(len(points) * len(centres))
        return squares(points, centres)

    monkeypatch.setattr(manifolds, "_BLOCK", 1000)
    monkeypatch.setattr(manifolds, "_squares", watched)
    assert precision_recall(real, fake, real_sampled=True) == whole
    assert max(sizes) <= 1000


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 10**6), st.integers(1, 4))
def test_the_jackknife_leaves_out_what_it_says(seed: int, neighbours: int) -> None:
    rng = np.random.default_rng(seed)
    points, centres = rng.normal(size=(40, 2)), rng.normal(size=(50, 2))
    mine, theirs = rng.permutation(40) % 5, rng.permutation(50) % 6
    value, by_point, by_centre = share_on_manifold(points, centres, neighbours, mine, theirs)
    assert value == brute(points, centres, neighbours)
    for g in range(5):
        assert by_point[g] == pytest.approx(brute(points[mine != g], centres, neighbours))
    for g in range(6):
        assert by_centre[g] == pytest.approx(brute(points, centres[theirs != g], neighbours))


def test_intervals_hold_the_mean_over_repetitions() -> None:
    rng = np.random.default_rng(4)
    real = rng.normal(size=(500, 3))
    estimates = [precision_recall(real, 1.3 * rng.normal(size=(300, 3)), seed=i) for i in range(60)]
    for index, looser in ((0, 1.35), (1, 3.0)):
        values = np.array([[pair[index].value, pair[index].lower, pair[index].upper] for pair in estimates])
        errors = np.mean([pair[index].standard_error for pair in estimates])
        mean, deviation = values[:, 0].mean(), values[:, 0].std()
        # 60 intervals at 95 %: standard error 0.028
        assert ((values[:, 1] <= mean) & (mean <= values[:, 2])).mean() >= 0.95 - 4 * 0.028
        # a deviation of 60 is known to 9 %; that of the recall is on the safe side, by up to a factor of 2
        assert 0.65 < errors / deviation < looser


def test_distances_are_those_of_scipy() -> None:
    rng = np.random.default_rng(5)
    points, centres = rng.normal(size=(30, 8)), rng.normal(size=(20, 8))
    np.testing.assert_allclose(manifolds._squares(points, centres), cdist(points, centres, "sqeuclidean"), rtol=1e-12)


GOOD = np.random.default_rng(6).normal(size=(40, 3))


@pytest.mark.parametrize(
    ("real", "fake", "options", "message"),
    [
        (GOOD[:3], GOOD, {}, "real holds 3 sample(s); at least 4 are needed"),
        (GOOD, GOOD[:, :1], {}, "real has 3 features and fake 1"),
        (GOOD, GOOD, {"neighbours": 0}, "neighbours=0"),
        (GOOD, GOOD, {"neighbours": 1.5}, "neighbours=1.5"),
        (GOOD, GOOD[:4], {}, "neighbours=3 needs more than 4 fake samples"),
        (GOOD, np.full((10, 3), np.inf), {}, "fake is inf at sample 0, feature 0"),
        (GOOD, GOOD, {"real_sampled": 1}, "real_sampled=1"),
    ],
    ids=str,
)
def test_bad_input_is_named(real: Any, fake: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecentError, match=re.escape(message)):
        precision_recall(real, fake, **options)
