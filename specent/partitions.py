r"""Partitions: splits of the class labels into named sides, between which a trajectory decides.

A partition Z groups some of the labels into two or more sides. It need not cover all labels: everything is then
conditioned on the covered ones. Sides carry a prior :math:`P(z)`, 1/2 each for a pair and for one class against the
rest (the convention of arXiv 2506.10433 and 2602.09651), the label priors otherwise; labels within a side keep their
own prior, :math:`\pi(c \mid z)`.

The null condition ``"null"`` may stand alone on a side: its trajectories are those of the unconditional chain. It mixes
all labels, those of the other sides too, so a partition that holds it is never decided, see `specent.exact.null_floor`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain

import numpy as np
from numpy.typing import ArrayLike, NDArray

from specent import arguments
from specent.arguments import brief
from specent.errors import PartitionError
from specent.untrusted import parse_json

Array = NDArray[np.float64]

NULL = "null"
"""Name of the null condition among candidates and drivers; no label of a model may have this name."""


@dataclass(frozen=True)
class Partition:
    """Named sides, each a tuple of labels. Build one with `full`, `pair`, `one_vs_rest`, `groups` or `parse`.

    Parameters
    ----------
    name : str
        Name of the partition in datasets and figures.
    sides : tuple of (str, tuple of str)
        Name and labels of each side, at least two, none empty, none overlapping.
    prior : tuple of float, optional
        Probability of each side, summing to 1. By default the sum of the label priors of the side.

    Raises
    ------
    PartitionError
        If there is a single side, an empty side, a label on two sides, a prior that is not a distribution, or the null
        condition shares its side with a label or has no `prior`.

    Examples
    --------
    >>> Partition.groups({"animal": ["cat", "dog"], "vehicle": ["car"]}).labels
    ('cat', 'dog', 'car')
    """

    name: str
    sides: tuple[tuple[str, tuple[str, ...]], ...]
    prior: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        arguments.instance(self.name, str, "partition name", "give text", error=PartitionError)
        subject = f"partition {arguments.name(self.name, 'partition name', error=PartitionError)!r}"
        sides = _checked_sides(subject, self.sides)
        seen = _covered(subject, sides)
        names = [side for side, _ in sides]
        if len(set(names)) < len(names):
            duplicate = next(side for side in names if names.count(side) > 1)
            raise PartitionError(f"{subject} names two sides alike, {duplicate!r}; give each its own name")
        # sides and prior may come as lists; a partition must hash and compare alike
        object.__setattr__(self, "sides", sides)
        object.__setattr__(self, "prior", _tuple(self.prior))
        if self.prior is None and NULL in seen:
            raise PartitionError(f"{subject}: {NULL!r} has no prior among the labels; give prior=, a number per side")
        if self.prior is not None:
            prior = np.asarray(self.prior)
            if len(prior) != len(sides) or not ((prior > 0).all() and abs(prior.sum() - 1) < 1e-9):
                raise PartitionError(
                    f"{subject}: prior={brief(self.prior)} must hold a positive number per side, summing to 1"
                )

    @classmethod
    def full(cls, labels: Sequence[str], prior: Sequence[float] | None = None) -> Partition:
        """Every label on a side of its own, weighted by the label priors unless `prior` is given."""
        return cls("full", tuple((label, (label,)) for label in _names(labels)), _tuple(prior))

    @classmethod
    def pair(cls, a: str, b: str, prior: Sequence[float] | None = (0.5, 0.5)) -> Partition:
        """Label `a` against label `b`, which may be ``"null"``; the other labels are left out."""
        first, second = _name(a, "a"), _name(b, "b")
        return cls(f"{first} | {second}", ((first, (first,)), (second, (second,))), _tuple(prior))

    @classmethod
    def one_vs_rest(cls, a: str, labels: Sequence[str], prior: Sequence[float] | None = (0.5, 0.5)) -> Partition:
        """Label `a` against all the other `labels` together."""
        one, names = _name(a, "a"), _names(labels)
        if one not in names:
            raise PartitionError(f"one_vs_rest: label {one!r} is not among the labels {_shown(names)}")
        rest = tuple(label for label in names if label != one)
        return cls(f"{one} | rest", ((one, (one,)), (f"not {one}", rest)), _tuple(prior))

    @classmethod
    def groups(
        cls, sides: Mapping[str, Sequence[str]], prior: Sequence[float] | None = None, name: str | None = None
    ) -> Partition:
        """Named groups of labels, weighted by the label priors unless `prior` is given."""
        hint = "give a mapping from the name of each side to its labels"
        arguments.instance(sides, Mapping, "sides", hint, error=PartitionError)  # type: ignore[type-abstract]
        pairs = tuple((_name(side, "side"), _names(labels, f"side {side!r}")) for side, labels in sides.items())
        joined = " | ".join(side for side, _ in pairs) or "groups"
        return cls(joined if name is None else name, pairs, _tuple(prior))

    @classmethod
    def parse(cls, text: str, labels: Sequence[str]) -> Partition:
        """Read ``"full"``, ``"a|b"``, ``"a|rest"`` or ``"a,b|c,d"`` and check it against `labels`.

        Examples
        --------
        >>> Partition.parse("cat|rest", ["cat", "dog", "car"]).sides
        (('cat', ('cat',)), ('not cat', ('dog', 'car')))
        """
        arguments.instance(text, str, "partition", "give text such as 'full' or 'a|rest'", error=PartitionError)
        labels = _names(labels)
        if text.strip() == "full":
            return cls.full(labels)
        sides = [[label.strip() for label in side.split(",") if label.strip()] for side in text.split("|")]
        if len(sides) == 2 and len(sides[0]) == 1 and sides[1] == ["rest"] and "rest" not in labels:
            partition = cls.one_vs_rest(sides[0][0], labels)
        elif len(sides) == 2 and len(sides[0]) == len(sides[1]) == 1:
            partition = cls.pair(sides[0][0], sides[1][0])
        else:
            partition = cls.groups({"+".join(side) or f"side {i}": side for i, side in enumerate(sides)})
        partition.check([*labels, NULL] if NULL in partition.labels else labels)
        return partition

    @property
    def labels(self) -> tuple[str, ...]:
        """All covered labels, in the order of the sides."""
        return tuple(chain.from_iterable(labels for _, labels in self.sides))

    @property
    def side_names(self) -> tuple[str, ...]:
        """Names of the sides, in order."""
        return tuple(name for name, _ in self.sides)

    def check(self, labels: Sequence[str]) -> None:
        """Raise `PartitionError` if the partition uses a label that is not among `labels`."""
        known = _names(labels)
        among = set(known)
        unknown = [label for label in self.labels if label not in among]
        if unknown:
            raise PartitionError(
                f"partition {self.name!r}: unknown label {unknown[0]!r}; the labels are {_shown(known)}"
            )

    def covers(self, labels: Sequence[str]) -> bool:
        """Whether every one of `labels` is on some side."""
        return set(self.labels) >= set(_names(labels))

    def members(
        self, labels: Sequence[str], label_prior: ArrayLike | None = None
    ) -> list[tuple[NDArray[np.intp], Array]]:
        r"""Labels of every side and their joint probability :math:`P(z)\,\pi(c \mid z)` with it.

        Parameters
        ----------
        labels : sequence of str
            The labels, the null condition among them if it is on a side.
        label_prior : array_like, shape (labels,), optional
            Prior of the labels, uniform by default. That of the null condition does not matter.

        Returns
        -------
        list of (ndarray of int, ndarray)
            For each side the positions of its labels among `labels`, ascending, and their probabilities, which sum to
            1 over all sides.

        Raises
        ------
        PartitionError
            If a label is unknown, the prior has another length, or a side has no prior weight.

        Examples
        --------
        >>> [weights.tolist() for _, weights in Partition.one_vs_rest("a", ["a", "b", "c"]).members(["a", "b", "c"])]
        [[0.5], [0.25, 0.25]]
        """
        labels = _names(labels)
        self.check(labels)
        uniform = np.full(len(labels), 1 / len(labels))
        prior = uniform if label_prior is None else arguments.array(label_prior, "label_prior", error=PartitionError)
        # a sum of smaller ones may be too small to divide by
        if prior.shape != (len(labels),) or not np.all((prior == 0) | ((prior >= 1e-100) & (prior <= 1e100))):
            raise PartitionError(
                f"label_prior={brief(label_prior)} must hold one number per label, 0 or between 1e-100 and 1e100"
            )
        column = {label: i for i, label in enumerate(labels)}
        columns = [np.sort([column[label] for label in covered]) for _, covered in self.sides]
        # the null condition is a side by itself, whose prior is that of the side
        weights = [
            np.ones(1) if NULL in covered else prior[own] for own, (_, covered) in zip(columns, self.sides, strict=True)
        ]
        totals = np.array([weight.sum() for weight in weights])
        if not np.all(totals > 0):
            side = self.side_names[int(np.argmin(totals))]
            raise PartitionError(f"partition {self.name!r}: the labels of side {side!r} have no prior weight")
        if self.prior is None:
            return [(own, weight / totals.sum()) for own, weight in zip(columns, weights, strict=True)]
        shares = np.asarray(self.prior) / totals
        return [(own, weight * share) for own, weight, share in zip(columns, weights, shares, strict=True)]

    def weights(self, labels: Sequence[str], label_prior: ArrayLike | None = None) -> Array:
        r"""Joint probability :math:`P(z)\,\pi(c \mid z)` of every side and label, see `members`.

        Returns
        -------
        ndarray, shape (sides, labels)
            Non-negative, summing to 1; 0 for labels that are not on the side.

        Examples
        --------
        >>> Partition.one_vs_rest("a", ["a", "b", "c"]).weights(["a", "b", "c"]).tolist()
        [[0.5, 0.0, 0.0], [0.0, 0.25, 0.25]]
        """
        sides = self.members(labels, label_prior)
        dense = np.zeros((len(sides), len(labels)))
        for row, (columns, weights) in enumerate(sides):
            dense[row, columns] = weights
        return dense

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
            fields = parse_json(text)
            return cls(fields["name"], fields["sides"], fields["prior"])
        except PartitionError:
            raise
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise PartitionError(f"{brief(text)} is not the JSON definition of a partition") from error


def parse_all(
    partitions: Partition | str | Iterable[Partition | str], labels: Sequence[str], argument: str = "partitions"
) -> tuple[Partition, ...]:
    """Partitions of distinct names from a single one or a list of them, each of which may be a text.

    Parameters
    ----------
    partitions : Partition, str, or iterable of these
        Text is read by `Partition.parse`.
    labels : sequence of str
        The labels that the text speaks of.
    argument : str
        Name of the argument in messages.

    Raises
    ------
    SpecentError
        If something is neither a partition nor a text, a text has an unknown label, or two partitions have one name.

    Examples
    --------
    >>> [partition.name for partition in parse_all(["full", "a|rest"], ["a", "b", "c"])]
    ['full', 'a | rest']
    """
    hint = "use specent.Partition, or text such as 'full', 'a|b', 'a|rest' or 'a,b|c,d'"
    if isinstance(partitions, (Partition, str)):
        partitions = (partitions,)
    items = arguments.listed(partitions, argument, hint, error=PartitionError)
    result = tuple(
        Partition.parse(item, labels)
        if isinstance(item, str)
        else arguments.instance(item, Partition, f"{argument}[{i}]", hint, error=PartitionError)
        for i, item in enumerate(items)
    )
    names: set[str] = set()
    for partition in result:
        if partition.name in names:
            raise PartitionError(
                f"{argument}: two partitions have the same name {partition.name!r}; give each a name of its own"
            )
        names.add(partition.name)
    return result


def refuse_other_labels(partition: Partition, first: Partition) -> None:
    """Raise `PartitionError` if a partition covers other labels than the first, or the null condition."""
    odd = set(partition.labels) ^ set(first.labels)
    if odd:
        raise PartitionError(
            f"partitions {first.name!r} and {partition.name!r} cover different labels, {min(odd)!r} for instance; both "
            "must cover the same"
        )
    if NULL in partition.labels:
        raise PartitionError(f"partition {partition.name!r} holds the null condition, which is within no label")


def _name(value: object, argument: str) -> str:
    return arguments.name(value, argument, error=PartitionError)


def _names(labels: object, argument: str = "labels") -> tuple[str, ...]:
    # a thousand partitions of a thousand labels check the same tuple of these each time
    plain = type(labels) is tuple and set(map(type, labels)) == {str}
    return _known_names(labels, argument) if plain else arguments.names(labels, argument, error=PartitionError)


@lru_cache(maxsize=64)
def _known_names(labels: tuple[str, ...], argument: str) -> tuple[str, ...]:
    return arguments.names(labels, argument, error=PartitionError)


def _checked_sides(subject: str, sides: object) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """The sides with plain names and labels; what they hold in common is for the caller to check."""
    try:
        pairs = [(side, labels) for side, labels in sides]  # type: ignore[attr-defined]
    except (TypeError, ValueError) as problem:
        raise PartitionError(
            f"{subject}: sides={brief(sides)} must be pairs of a name and its labels; see Partition.groups"
        ) from problem
    if len(pairs) < 2:
        raise PartitionError(f"{subject} has {len(pairs)} side(s); it needs at least two")
    return tuple(
        (_name(side, f"{subject}: side"), _names(labels, f"{subject}: side {side!r}")) for side, labels in pairs
    )


def _covered(subject: str, sides: tuple[tuple[str, tuple[str, ...]], ...]) -> set[str]:
    """All labels of the sides, none of which is empty or has a label of another."""
    for side, labels in sides:
        if not labels:
            raise PartitionError(f"{subject}: side {side!r} is empty; give it a label or drop it")
        if NULL in labels and len(labels) > 1:
            raise PartitionError(
                f"{subject}: side {side!r} holds {NULL!r} and {len(labels) - 1} more; the null condition mixes all "
                "labels and stands alone on a side"
            )
    covered = set(chain.from_iterable(labels for _, labels in sides))
    if len(covered) < sum(len(labels) for _, labels in sides):
        seen: set[str] = set()
        for side, labels in sides:
            for label in labels:
                if label in seen:
                    raise PartitionError(f"{subject}: label {label!r} (side {side!r}) stands twice; name it once")
                seen.add(label)
    return covered


def _tuple(prior: object) -> tuple[float, ...] | None:
    if prior is None:
        return None
    values = arguments.array(prior, "prior", error=PartitionError)
    if values.ndim != 1:
        raise PartitionError(f"prior={brief(prior)} must be a list with one number per side")
    return tuple(values.tolist())


def _shown(labels: tuple[str, ...], most: int = 12) -> str:
    more = f", ... ({len(labels)} in all)" if len(labels) > most else ""
    return ", ".join(repr(label) for label in labels[:most]) + more
