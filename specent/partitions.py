r"""Partitions: the question asked of a trajectory, as a split of class labels into named sides.

A partition Z groups some of the labels into two or more sides. It need not cover all labels: everything is then
conditioned on the covered ones. Sides carry a prior :math:`P(z)`, 1/2 each for a pair and for one class against the
rest (the convention of arXiv 2506.10433 and 2602.09651), the label priors otherwise; labels within a side keep their
own prior, :math:`\pi(c \mid z)`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from specent.errors import PartitionError

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Partition:
    """Named sides, each a tuple of labels. Build one with `full`, `pair`, `one_vs_rest`, `groups` or `parse`.

    Parameters
    ----------
    name : str
        How the partition is called in datasets and figures.
    sides : tuple of (str, tuple of str)
        Name and labels of each side, at least two, none empty, none overlapping.
    prior : tuple of float, optional
        Probability of each side, summing to 1. By default the sum of the label priors of the side.

    Raises
    ------
    PartitionError
        If there is a single side, an empty side, a label on two sides, or a prior that is not a distribution.

    Examples
    --------
    >>> Partition.groups({"animal": ["cat", "dog"], "vehicle": ["car"]}).labels
    ('cat', 'dog', 'car')
    """

    name: str
    sides: tuple[tuple[str, tuple[str, ...]], ...]
    prior: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        if len(self.sides) < 2:
            raise PartitionError(f"partition {self.name!r} has {len(self.sides)} side(s); it needs at least two")
        names = [name for name, _ in self.sides]
        if len(set(names)) < len(names):
            raise PartitionError(f"partition {self.name!r} names two sides alike: {names}")
        for side, labels in self.sides:
            if not labels:
                raise PartitionError(f"partition {self.name!r}: side {side!r} is empty; give it a label or drop it")
        seen: set[str] = set()
        for side, labels in self.sides:
            for label in labels:
                if label in seen:
                    raise PartitionError(f"partition {self.name!r}: label {label!r} (side {side!r}) stands twice")
                seen.add(label)
        if self.prior is not None:
            prior = np.asarray(self.prior, dtype=np.float64)
            if prior.shape != (len(self.sides),) or not (np.all(prior > 0) and abs(prior.sum() - 1) < 1e-9):
                raise PartitionError(
                    f"partition {self.name!r}: prior={self.prior!r} must hold a positive number per side, summing to 1"
                )

    @classmethod
    def full(cls, labels: Sequence[str], prior: Sequence[float] | None = None) -> Partition:
        """Every label on a side of its own, weighted by the label priors unless `prior` is given."""
        return cls("full", tuple((str(label), (str(label),)) for label in labels), _tuple(prior))

    @classmethod
    def pair(cls, a: str, b: str, prior: Sequence[float] | None = (0.5, 0.5)) -> Partition:
        """Label `a` against label `b`; the other labels are left out."""
        return cls(f"{a} | {b}", ((str(a), (str(a),)), (str(b), (str(b),))), _tuple(prior))

    @classmethod
    def one_vs_rest(cls, a: str, labels: Sequence[str], prior: Sequence[float] | None = (0.5, 0.5)) -> Partition:
        """Label `a` against all the other `labels` together."""
        names = tuple(str(label) for label in labels)
        if str(a) not in names:
            raise PartitionError(f"one_vs_rest: label {a!r} is not among the labels {_shown(names)}")
        rest = tuple(label for label in names if label != str(a))
        return cls(f"{a} | rest", ((str(a), (str(a),)), (f"not {a}", rest)), _tuple(prior))

    @classmethod
    def groups(
        cls, sides: Mapping[str, Sequence[str]], prior: Sequence[float] | None = None, name: str | None = None
    ) -> Partition:
        """Named groups of labels, weighted by the label priors unless `prior` is given."""
        made = tuple((str(side), _labels(side, labels)) for side, labels in sides.items())
        return cls(name or " | ".join(side for side, _ in made), made, _tuple(prior))

    @classmethod
    def parse(cls, text: str, labels: Sequence[str]) -> Partition:
        """Read ``"full"``, ``"a|b"``, ``"a|rest"`` or ``"a,b|c,d"`` and check it against `labels`.

        Examples
        --------
        >>> Partition.parse("cat|rest", ["cat", "dog", "car"]).sides
        (('cat', ('cat',)), ('not cat', ('dog', 'car')))
        """
        if text.strip() == "full":
            return cls.full(labels)
        sides = [[label.strip() for label in side.split(",") if label.strip()] for side in text.split("|")]
        if len(sides) == 2 and len(sides[0]) == 1 and sides[1] == ["rest"] and "rest" not in labels:
            made = cls.one_vs_rest(sides[0][0], labels)
        elif len(sides) == 2 and len(sides[0]) == len(sides[1]) == 1:
            made = cls.pair(sides[0][0], sides[1][0])
        else:
            made = cls.groups({"+".join(side) or f"side {i}": side for i, side in enumerate(sides)})
        made.check(labels)
        return made

    @property
    def labels(self) -> tuple[str, ...]:
        """All covered labels, in the order of the sides."""
        return tuple(label for _, labels in self.sides for label in labels)

    @property
    def side_names(self) -> tuple[str, ...]:
        """Names of the sides, in order."""
        return tuple(name for name, _ in self.sides)

    def check(self, labels: Sequence[str]) -> None:
        """Raise `PartitionError` if the partition uses a label that is not among `labels`."""
        unknown = [label for label in self.labels if label not in labels]
        if unknown:
            raise PartitionError(
                f"partition {self.name!r}: unknown label {unknown[0]!r}; the labels are {_shown(tuple(labels))}"
            )

    def covers(self, labels: Sequence[str]) -> bool:
        """Whether every one of `labels` is on some side."""
        return set(self.labels) >= set(labels)

    def weights(self, labels: Sequence[str], label_prior: ArrayLike | None = None) -> Array:
        r"""Joint probability :math:`P(z)\,\pi(c \mid z)` of side and label.

        Parameters
        ----------
        labels : sequence of str
            The labels in the order of the last axis of the result; those not covered get weight 0.
        label_prior : array_like, shape (labels,), optional
            Prior of the labels, uniform by default.

        Returns
        -------
        ndarray, shape (sides, labels)
            Non-negative, summing to 1.

        Raises
        ------
        PartitionError
            If a label is unknown, the prior has another length, or a side has no prior weight.

        Examples
        --------
        >>> Partition.one_vs_rest("a", ["a", "b", "c"]).weights(["a", "b", "c"]).tolist()
        [[0.5, 0.0, 0.0], [0.0, 0.25, 0.25]]
        """
        self.check(labels)
        prior = np.full(len(labels), 1 / len(labels)) if label_prior is None else np.asarray(label_prior, dtype=float)
        if prior.shape != (len(labels),) or not np.all(np.isfinite(prior) & (prior >= 0)):
            raise PartitionError(f"label_prior={label_prior!r} must hold one finite non-negative number per label")
        member = np.array([[label in side for label in labels] for _, side in self.sides], dtype=float)
        weights: Array = member * prior
        totals = weights.sum(axis=1)
        if not np.all(totals > 0):
            side = self.side_names[int(np.argmin(totals))]
            raise PartitionError(f"partition {self.name!r}: the labels of side {side!r} have no prior weight")
        if self.prior is None:
            return np.asarray(weights / totals.sum())
        return np.asarray(weights * (np.asarray(self.prior) / totals)[:, None])

    def to_json(self) -> str:
        """The definition as JSON text, for the coordinate ``definition`` of a dataset."""
        return json.dumps(
            {"name": self.name, "sides": [[name, list(labels)] for name, labels in self.sides], "prior": self.prior}
        )

    @classmethod
    def from_json(cls, text: str) -> Partition:
        """Rebuild a partition from the text of `to_json`.

        Raises
        ------
        PartitionError
            If the text is not the definition of a partition.

        Examples
        --------
        >>> Partition.from_json(Partition.pair("cat", "dog").to_json()) == Partition.pair("cat", "dog")
        True
        """
        try:
            fields = json.loads(text)
            sides = tuple((str(name), tuple(str(label) for label in labels)) for name, labels in fields["sides"])
            return cls(str(fields["name"]), sides, _tuple(fields["prior"]))
        except PartitionError:
            raise
        except (ValueError, KeyError, TypeError) as error:
            raise PartitionError(f"{text!r} is not the JSON definition of a partition") from error


def _labels(side: str, labels: Sequence[str]) -> tuple[str, ...]:
    if isinstance(labels, str):
        raise PartitionError(f"side {side!r}={labels!r}: give a list of labels, not one string")
    return tuple(str(label) for label in labels)


def _tuple(prior: Sequence[float] | None) -> tuple[float, ...] | None:
    return None if prior is None else tuple(float(p) for p in prior)


def _shown(labels: tuple[str, ...], most: int = 12) -> str:
    more = f", ... ({len(labels)} in all)" if len(labels) > most else ""
    return ", ".join(repr(label) for label in labels[:most]) + more
