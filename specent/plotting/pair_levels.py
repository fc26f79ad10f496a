"""The pairs of single labels in a summary: of which labels they are, and their numbers as a matrix or a tree."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from specent.arguments import brief
from specent.errors import SpecentError
from specent.partitions import NULL
from specent.plotting.style import name_list
from specent.untrusted import parse_json

Array = NDArray[np.float64]
Indices = NDArray[np.intp]

_AT_ONCE = 2000


@dataclass(frozen=True)
class Pairs:
    """Which partitions of a dataset are pairs of single labels.

    Parameters
    ----------
    labels : tuple of str
        Their labels in the order in which the pairs name them, numbers by value.
    partitions : ndarray of int, shape (pair,)
        Which partitions of the dataset they are.
    first, second : ndarray of int, shape (pair,)
        Both labels of every pair, as indices of `labels`.
    """

    labels: tuple[str, ...]
    partitions: Indices
    first: Indices
    second: Indices

    @classmethod
    def of(cls, dataset: xr.Dataset, among: Iterable[str] | None = None) -> Pairs:
        """The pairs of a dataset, or those between some labels; a label against the null condition is none."""
        every = _members(dataset)
        chosen = None if among is None else _known(among, {label for two in every for label in two if label})
        found = [
            i
            for i, (a, b) in enumerate(every)
            if a and b and NULL not in (a, b) and (chosen is None or {a, b} <= chosen)
        ]
        if not found:
            raise SpecentError("spec holds no pair of labels; analyse pairs, for instance Partition.pair(a, b)")
        names = list(dict.fromkeys(label for i in found for label in every[i]))
        if all(name.isdecimal() for name in names):
            names.sort(key=float)
        index = {name: i for i, name in enumerate(names)}
        first, second = (np.array([index[every[i][side]] for i in found]) for side in (0, 1))
        return cls(tuple(names), np.array(found), first, second)

    def __len__(self) -> int:
        return len(self.partitions)

    @property
    def complete(self) -> bool:
        """Whether every pair of the labels is there."""
        count = len(self.labels)
        lower, upper = np.minimum(self.first, self.second), np.maximum(self.first, self.second)
        return len(np.unique(lower * count + upper)) == count * (count - 1) // 2

    def matrix(self, values: Array) -> Array:
        """One number per pair as a symmetric matrix over the labels; NaN on the diagonal and where there is no pair."""
        whole = np.full((len(self.labels),) * 2, np.nan)
        whole[self.first, self.second] = whole[self.second, self.first] = values
        return whole

    def condensed(self, values: Array) -> Array:
        """One number per pair in the order of scipy's condensed distances.

        Raises
        ------
        SpecentError
            If a pair of the labels is missing, naming the first one.
        """
        there = self.matrix(np.zeros(len(self)))
        rows, columns = np.triu_indices(len(self.labels), 1)
        gone = np.flatnonzero(np.isnan(there[rows, columns]))
        if gone.size:
            a, b = self.labels[rows[gone[0]]], self.labels[columns[gone[0]]]
            raise SpecentError(
                f"spec holds {len(rows) - len(gone)} of the {len(rows)} pairs of {len(self.labels)} labels, and not "
                f"{a!r} against {b!r}; analyse every pair, or select labels of which all pairs are there"
            )
        full: Array = self.matrix(values)[rows, columns]
        return full


def _members(dataset: xr.Dataset) -> list[tuple[str, str]]:
    """Both labels of every partition that is a pair of single labels, empty texts for the others."""
    if "definition" not in dataset.coords:
        return [("", "")] * dataset.sizes.get("partition", 0)
    texts = [str(text) for text in dataset["definition"].values]
    # reading the text of many definitions at once is ten times as fast as making partitions of them
    parts = [texts[low : low + _AT_ONCE] for low in range(0, len(texts), _AT_ONCE)]
    fields = [one for part in parts for one in parse_json(f"[{','.join(part)}]")]
    if len(fields) != len(texts):
        raise SpecentError("spec: the definitions of its partitions are not those that specent writes")
    return [_labels(one) for one in fields]


def _known(among: Iterable[object], labels: set[str]) -> set[str]:
    """Names of some labels, if all of them are in a pair."""
    names = {name if isinstance(name, str) else brief(name) for name in among}
    unknown = sorted(names - labels)
    if unknown and labels:
        raise SpecentError(
            f"class_label={brief(unknown[0])} is in no pair of spec; choose from {name_list(sorted(labels), 60)}"
        )
    return names


def _labels(fields: dict[str, object]) -> tuple[str, str]:
    match fields:
        case {"sides": [[str(), [str(a)]], [str(), [str(b)]]]}:
            return a, b
    return "", ""


def leaf_order(merges: Array, first_drawn: int = 0) -> list[int]:
    """Labels in the order of a tree without crossings; of two branches that with the first label comes first.

    Nodes below `first_drawn` are not opened: groups of labels stand where their labels would.

    Examples
    --------
    >>> from specent.analysis.hierarchy import average_linkage
    >>> leaf_order(average_linkage(np.array([5.0, 1.0, 5.0]))), leaf_order(average_linkage(np.array([5.0, 5.0, 1.0])))
    ([0, 2, 1], [0, 1, 2])
    """
    count = len(merges) + 1
    children = merges[:, :2].astype(int)
    first = [*range(count)]
    for left, right in children:
        first.append(min(first[left], first[right]))
    order, stack = [], [2 * count - 2]
    while stack:
        node = stack.pop()
        if node < max(first_drawn, count):
            order.append(node)
        else:
            stack += sorted((int(child) for child in children[node - count]), key=first.__getitem__, reverse=True)
    return order


def decimals(values: Array, digits: int = 3) -> int:
    """Places behind the point that show `digits` digits of the largest of some numbers.

    Examples
    --------
    >>> decimals(np.array([0.02, -34.0])), decimals(np.array([0.02])), decimals(np.array([np.nan]))
    (1, 4, 0)
    """
    finite = np.abs(values[np.isfinite(values) & (values != 0)])
    return int(np.clip(digits - 1 - np.floor(np.log10(finite.max())), 0, 6)) if finite.size else 0


def significant(value: float, digits: int = 3) -> str:
    """A positive number with always as many digits.

    Examples
    --------
    >>> significant(1.0), significant(0.0512), significant(123.4), significant(0.9996)
    ('1.00', '0.0512', '123', '1.00')
    """
    # rounding may carry into another digit
    rounded = float(f"{value:.{digits - 1}e}")
    return f"{rounded:.{decimals(np.array([rounded]), digits)}f}"


def every_nth(labels: Sequence[str], most: int) -> list[tuple[int, str]]:
    """Positions and names of at most `most` labels, evenly spread."""
    step = -(-len(labels) // most)
    return [(i, labels[i]) for i in range(0, len(labels), step)]
