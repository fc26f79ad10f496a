"""The merges of a tree of labels, thinned to what can be drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import squareform

from specent.analysis.hierarchy import average_linkage
from specent.plotting.pair_levels import Array, leaf_order

Labels = tuple[str, ...]


@dataclass(frozen=True)
class Leaf:
    """An end of the tree as it is drawn: one label, or a group of which one label stands for all.

    Parameters
    ----------
    name : str
        The label, or that which is closest to the others of its group.
    members : tuple of str
        All labels of the leaf.
    level : float
        Log noise level at which the group has become one; the lowest level for a single label.
    """

    name: str
    members: Labels
    level: float


@dataclass(frozen=True)
class Merge:
    """Where two branches become one, on the way from the data to the noise.

    Parameters
    ----------
    first, second : tuple of str
        Labels of the upper and the lower branch.
    level : float
        Log noise level.
    at_most : bool
        Whether a pair between them never falls to half, so that the level is an upper bound.
    rows : tuple of float
        Rows of the two branches, counted from the top.
    starts : tuple of float or None
        Log noise levels at which the two branches begin; None for a single label, which begins at the data.
    bounds : tuple of float
        Interval of the level, at least as wide as that of a mean over pairs whose errors are alike; NaN where a pair
        has none.
    """

    first: Labels
    second: Labels
    level: float
    at_most: bool
    rows: tuple[float, float]
    starts: tuple[float | None, float | None]
    bounds: tuple[float, float] = (np.nan, np.nan)

    @property
    def row(self) -> float:
        """Row of the branch that goes on."""
        return sum(self.rows) / 2


def merges_of(
    levels: Array, labels: Sequence[str], lowest: float, most: int, bounds: Array | None = None
) -> tuple[list[Merge], list[Leaf]]:
    """The tree of some labels: its merges from the data to the noise, and its leaves from top to bottom.

    Parameters
    ----------
    levels : ndarray, shape (pair,)
        Log noise level at which the entropy of every pair falls to half, in the order of condensed distances; NaN for
        pairs that never do.
    labels : sequence of str
        The labels.
    lowest : float
        The lowest known log noise level, with which pairs that never fall enter.
    most : int
        Largest number of leaves; with more labels only the last merges are drawn.
    bounds : ndarray, shape (2, pair), optional
        Ends of the interval of every level. Those of a merge are their means over its pairs: the standard error of a
        mean is at most the mean of the standard errors, whatever the pairs share.

    Returns
    -------
    list of Merge, list of Leaf
        One merge less than there are leaves.

    Examples
    --------
    >>> merges, leaves = merges_of(np.array([0.0, 2.0, 3.0]), "abc", -1.0, 9)
    >>> [(one.first, one.second, one.level) for one in merges], [one.name for one in leaves]
    ([(('a',), ('b',), 0.0), (('a', 'b'), ('c',), 2.5)], ['a', 'b', 'c'])
    """
    never = np.isnan(levels)
    filled = np.where(never, lowest, levels)
    table = average_linkage(filled)
    unresolved = squareform(never)
    # a bound below all levels that are known is somewhere below the lowest, which is as far as the figure goes
    low, high = (np.full(levels.shape, np.nan),) * 2 if bounds is None else bounds
    ends = [squareform(np.where(np.isnan(low) & ~np.isnan(high), lowest, low)), squareform(high)]
    members = _members(table)
    between = [np.ix_(members[left], members[right]) for left, right in table[:, :2].astype(int)]
    intervals = [(float(ends[0][pairs].mean()), float(ends[1][pairs].mean())) for pairs in between]
    at_most = [bool(unresolved[pairs].any()) for pairs in between]
    return laid_out(table, labels, squareform(filled - lowest), (lowest, most), at_most, intervals)


def laid_out(
    table: Array,
    labels: Sequence[str],
    distances: Array,
    limits: tuple[float, int],
    at_most: Sequence[bool],
    intervals: Sequence[tuple[float, float]],
) -> tuple[list[Merge], list[Leaf]]:
    """The merges of a table with the rows in which they are drawn, and the leaves from top to bottom.

    Parameters
    ----------
    table : ndarray, shape (label - 1, 4)
        As `specent.analysis.hierarchy.average_linkage` makes it.
    labels : sequence of str
        The labels.
    distances : ndarray, shape (label, label)
        How unlike two labels are; a group is named after the one that is closest to its others.
    limits : tuple of float and int
        The lowest known log noise level, and the largest number of leaves.
    at_most, intervals : sequence, one for each merge
        Whether its level is an upper bound, and its interval.

    Returns
    -------
    list of Merge, list of Leaf
        One merge less than there are leaves.
    """
    (lowest, most), count, members = limits, len(labels), _members(table)
    # nodes up to this one are drawn as leaves
    first_drawn = 2 * count - min(most, count)
    order = leaf_order(table, first_drawn)
    leaves = [_leaf(node, members[node], table, labels, distances, lowest) for node in order]
    rows = {node: float(i) for i, node in enumerate(order)}
    levels_of = {node: (table[node - count, 2] if node >= count else None) for node in order}
    merges = []
    for node in range(first_drawn, 2 * count - 1):
        # the upper branch is named first
        upper, lower = sorted(table[node - count, :2].astype(int), key=rows.__getitem__)
        level = float(table[node - count, 2])
        merges.append(
            Merge(
                _names(members[upper], labels),
                _names(members[lower], labels),
                level,
                at_most[node - count],
                (rows[upper], rows[lower]),
                (levels_of[upper], levels_of[lower]),
                intervals[node - count],
            )
        )
        rows[node], levels_of[node] = merges[-1].row, level
    return merges, leaves


def _names(members: NDArray[np.intp], labels: Sequence[str]) -> Labels:
    return tuple(labels[i] for i in np.sort(members))


def _members(table: Array) -> list[NDArray[np.intp]]:
    """Labels below every node."""
    members = [np.array([i]) for i in range(len(table) + 1)]
    for left, right in table[:, :2].astype(int):
        members.append(np.concatenate([members[left], members[right]]))
    return members


def _leaf(
    node: int, members: NDArray[np.intp], table: Array, labels: Sequence[str], distances: Array, lowest: float
) -> Leaf:
    count = len(labels)
    middle = members[np.argmin(distances[np.ix_(members, members)].sum(axis=1))]
    level = lowest if node < count else float(table[node - count, 2])
    return Leaf(labels[middle], _names(members, labels), level)
