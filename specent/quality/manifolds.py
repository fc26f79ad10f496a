r"""Precision and recall of samples: how many lie where the data lie, and how much of the data they reach.

The manifold of a set of features is the union of balls around its members that reach to their k-th nearest neighbour in
the set. Precision is the share of fake samples on the manifold of the real ones, recall the share of real samples on
that of the fake ones (arXiv 1904.06991). Distances are worked on block by block, so memory does not grow with the
square of the samples.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from specent import arguments
from specent.errors import SpecentError
from specent.quality.estimates import Estimate, check_same_space, check_seed, features, jackknife_groups, share

Array = NDArray[np.float64]

# distances in memory at a time: 32 MB
_BLOCK = 2**22
# neighbours known beyond the k-th, because the groups of the jackknife take a few away
_SPARE = 16
_ROUNDING = 1e-13


def precision_recall(
    real: ArrayLike, fake: ArrayLike, neighbours: int = 3, *, confidence: float = 0.95, real_sampled: bool = False,
    groups: ArrayLike | None = None, seed: int = 0,
) -> tuple[Estimate, Estimate]:  # fmt: skip
    """Precision and recall of fake samples in a feature space.

    Parameters
    ----------
    real, fake : array_like, shape (samples, features)
        Features, more samples than `neighbours` each.
    neighbours : int
        The k of the k-th neighbour, which sets how far a manifold reaches.
    confidence : float
        Nominal coverage of the intervals.
    real_sampled : bool
        Whether `real` is itself a sample, whose scatter counts too. By default it is the distribution compared with.
    groups : array_like of int, shape (fake samples,), optional
        Group, 0 .. 23, of every fake sample for the jackknife. Random by default.
    seed : int
        Of the random groups.

    Returns
    -------
    precision, recall : Estimate
        Intervals say where the numbers of **as many samples** would fall: both depend on the number of samples, since
        balls shrink as sets grow. Compare at the same number only. That of the recall is on the safe side: its standard
        error comes out up to twice too large.

    Raises
    ------
    SpecentError
        If there are too few samples, a number is not finite (naming its sample and feature), or the spaces differ.

    References
    ----------
    arXiv 1904.06991.

    Examples
    --------
    >>> real = np.random.default_rng(0).normal(size=(200, 2))
    >>> precision, recall = precision_recall(real, real[:, ::-1] + [9.0, 0.0])
    >>> precision.value, recall.value
    (0.0, 0.0)
    """
    seed, confidence = check_seed(seed, confidence)
    count = arguments.whole(neighbours, "neighbours", least=1)
    one, other = features(real, "real", count + 1), features(fake, "fake", count + 1)
    check_same_space(one, other)
    centre = one.mean(axis=0)
    one, other = one - centre, other - centre
    group = jackknife_groups(len(other), groups, seed)
    mine = jackknife_groups(len(one), None, seed) if arguments.flag(real_sampled, "real_sampled") else None
    for name, values, part in (("real", one, mine), ("fake", other, group)):
        if part is not None and len(values) - np.bincount(part).max() <= count:
            raise SpecentError(
                f"neighbours={count} needs more than {len(values)} {name} samples, of which the jackknife leaves a "
                f"{int(part.max()) + 1}th part out; take fewer neighbours, or more samples"
            )
    estimates = []
    for points, centres, point_group, centre_group in ((other, one, group, mine), (one, other, mine, group)):
        value, by_point, by_centre = share_on_manifold(points, centres, count, point_group, centre_group)
        # the fake samples are the points of precision, and the centres of recall
        deleted = (by_point, by_centre) if points is other else (by_centre, by_point)
        parts = [part for part in deleted if len(part)]
        estimates.append(share(value, len(points), *parts, confidence=confidence))
    return estimates[0], estimates[1]


def share_on_manifold(
    points: Array,
    centres: Array,
    neighbours: int,
    point_group: NDArray[np.intp] | None = None,
    centre_group: NDArray[np.intp] | None = None,
) -> tuple[float, Array, Array]:
    """Share of the points on the manifold of the centres, and the same without each group of either.

    Parameters
    ----------
    points, centres : ndarray, shape (samples, features)
        Features.
    neighbours : int
        Which neighbour of a centre its ball reaches to.
    point_group, centre_group : ndarray of int, shape (samples,), optional
        Groups that are left out in turn.

    Returns
    -------
    value : float
    by_point, by_centre : ndarray, shape (groups,)
        Empty where no groups are given.

    Examples
    --------
    >>> share_on_manifold(np.array([[0.0], [5.0]]), np.array([[1.0], [2.0], [3.0]]), 1)[0]
    0.5
    """
    left_out = 0 if centre_group is None else int(centre_group.max()) + 1
    # row 0 is the whole manifold, row 1 + g that without group g, whose members reach nowhere
    reach = _radii(centres, neighbours, centre_group, left_out)
    inside = np.zeros((1 + left_out, len(points)), dtype=bool)
    for rows in _blocks(len(points), len(centres)):
        # what is equal but for rounding is equal: a copy of a centre lies in a ball of no extent
        square = _squares(points[rows], centres) - _ROUNDING * _norms(points[rows], centres)
        for row, radius in enumerate(reach):
            inside[row, rows] = (square <= radius).any(axis=1)
    by_point = np.empty(0)
    if point_group is not None:
        by_point = np.array([inside[0, point_group != g].mean() for g in range(int(point_group.max()) + 1)])
    shares = inside.mean(axis=1)
    return float(shares[0]), by_point, shares[1:]


def _radii(centres: Array, neighbours: int, group: NDArray[np.intp] | None, groups: int) -> Array:
    """Squared distance to the k-th neighbour, shape (1 + groups, centres), in all and without each group."""
    number = min(len(centres) - 1, neighbours + (_SPARE if groups else 0))
    reach = np.empty((1 + groups, len(centres)))
    for rows in _blocks(len(centres), len(centres)):
        square = _squares(centres[rows], centres)
        # no centre is its own neighbour, even where rounding leaves it at some distance from itself
        square[np.arange(len(square)), np.arange(len(centres))[rows]] = np.inf
        near = np.argpartition(square, number - 1, axis=1)[:, :number]
        distance = np.take_along_axis(square, near, axis=1)
        order = np.argsort(distance, axis=1)
        near, distance = np.take_along_axis(near, order, axis=1), np.take_along_axis(distance, order, axis=1)
        reach[0, rows] = distance[:, neighbours - 1]
        for g in range(groups):
            reach[1 + g, rows] = _without(distance, group[near] == g, neighbours)  # type: ignore[index]
            reach[1 + g, rows][group[rows] == g] = -1.0  # type: ignore[index]
    return reach


def _without(distance: Array, gone: NDArray[np.bool_], neighbours: int) -> Array:
    """Distance of the k-th neighbour that remains, or of the last one that is known."""
    rank = np.cumsum(~gone, axis=1)
    last = np.full(len(distance), distance.shape[1] - 1)
    index = np.where((rank == neighbours).any(axis=1), np.argmax(rank == neighbours, axis=1), last)
    remaining: Array = distance[np.arange(len(distance)), index]
    return remaining


def _squares(points: Array, centres: Array) -> Array:
    """Squared distances; features stand near their origin, where the product form keeps its digits."""
    square = _norms(points, centres) - 2 * points @ centres.T
    return np.maximum(square, 0.0, out=square)


def _norms(points: Array, centres: Array) -> Array:
    """Sum of the squared lengths of every pair, to which rounding is proportional."""
    total: Array = (points**2).sum(axis=1)[:, None] + (centres**2).sum(axis=1)
    return total


def _blocks(points: int, centres: int) -> list[slice]:
    size = max(1, _BLOCK // centres)
    return [slice(low, min(low + size, points)) for low in range(0, points, size)]
