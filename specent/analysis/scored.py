"""Partitions set against a set of trajectories: which candidates are on which side, and which drivers count."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from specent import evidence
from specent.arguments import listed
from specent.errors import PartitionError
from specent.evidence import BITS_PER_NAT
from specent.partitions import NULL, Partition
from specent.schema.coordinates import stored_partitions

Array = NDArray[np.float64]
Partitions = Partition | str | Sequence[Partition | str] | None


@dataclass(frozen=True, eq=False)
class ScoredPartition:
    """A partition, set against the candidates and drivers of a set of trajectories.

    Attributes
    ----------
    partition : Partition
    weights : ndarray, shape (sides, candidates)
        Joint prior of side and candidate.
    side : ndarray of int, shape (classes,)
        The side that holds the driver, -1 if none does.
    share : ndarray, shape (classes,)
        Weight of the driver in expectations over the partition, summing to 1.
    """

    partition: Partition
    weights: Array
    side: NDArray[np.int64]
    share: Array

    @property
    def name(self) -> str:
        """Name of the partition."""
        return self.partition.name

    @property
    def prior_entropy(self) -> float:
        """Entropy of the sides before anything is seen, in bits."""
        return BITS_PER_NAT * float(evidence.entropy(evidence.log_weights(self.weights.sum(axis=1))))


def scored_partitions(runs: xr.Dataset, partitions: Partitions) -> list[ScoredPartition]:
    """The partitions to analyse, validated against the labels of `runs`.

    Parameters
    ----------
    runs : Dataset
        Kind ``trajectories``.
    partitions : Partition, str, sequence of these, or None
        Text is the name of a stored partition, or is read by `Partition.parse`. None stands for all stored ones.

    Raises
    ------
    SpecentError
        If there is none, a label is unknown or drove no trajectory, or two partitions have one name; or one holds the
        null condition although labels were dropped, see `specent.Scoring`: the bound on what dropping changes is one
        for labels.
    """
    candidates = [str(name) for name in runs["candidate"].values]
    drivers = [str(name) for name in runs["class_label"].values]
    prior = runs["candidate_prior"].values
    resolved = _resolved(stored_partitions(runs), partitions, [name for name in candidates if name != NULL])
    names: set[str] = set()
    for partition in resolved:
        if "dropped_mass" in runs and NULL in partition.labels:
            raise PartitionError(
                f"partition {partition.name!r} holds the null condition, but labels were dropped from runs by their "
                "posterior among all labels: what they weigh against the null condition is not known; sample with "
                "scoring=specent.Scoring(drop=0)"
            )
        if partition.name in names:
            raise PartitionError(
                f"partitions: the name {partition.name!r} stands for two of them; give each a name of its own"
            )
        names.add(partition.name)
    position = {name: i for i, name in enumerate(candidates)}
    columns = np.array([position[label] for label in drivers])
    return [_scored(partition, candidates, set(drivers), columns, prior) for partition in resolved]


def pair_columns(scored: ScoredPartition) -> tuple[int, int] | None:
    """Positions of the two candidates of a partition of two sides of one candidate each; None of any other."""
    member = scored.weights > 0
    if len(member) != 2 or not (member.sum(axis=1) == 1).all():
        return None
    first, second = np.argmax(member, axis=1)
    return int(first), int(second)


def stored_positions(runs: xr.Dataset, partitions: Sequence[ScoredPartition]) -> list[int | None]:
    """For every partition the position of one of the same sides and prior among the stored ones, or None."""
    stored = {(partition.sides, partition.prior): i for i, partition in reversed([*enumerate(stored_partitions(runs))])}
    return [stored.get((scored.partition.sides, scored.partition.prior)) for scored in partitions]


def shares(partitions: Sequence[ScoredPartition]) -> xr.DataArray:
    """Weight of each driver in expectations over each partition, dims (class_label, partition)."""
    return xr.DataArray(np.stack([scored.share for scored in partitions], axis=-1), dims=("class_label", "partition"))


def _resolved(stored: list[Partition], partitions: Partitions, labels: Sequence[str]) -> list[Partition]:
    if partitions is None:
        if not stored:
            raise PartitionError("partitions=None, but none were named when runs was sampled; pass partitions=[...]")
        known = {*labels, NULL}
        lost = next((label for partition in stored for label in partition.labels if label not in known), None)
        if lost is not None:
            raise PartitionError(
                f"partitions=None, but those named when runs was sampled ask for {lost!r}, which is no candidate of "
                "this selection; pass partitions=[...] of the candidates that are left"
            )
        return stored
    hint = "use a specent.Partition, text like 'a|b', or a list of these"
    single = isinstance(partitions, (Partition, str))
    items = [partitions] if single else listed(partitions, "partitions", hint, error=PartitionError)
    if not items:
        raise PartitionError("partitions is empty; pass one at least, or None for those named in runs")
    by_name = {partition.name: partition for partition in stored}
    resolved = []
    for item in items:
        if not isinstance(item, (Partition, str)):
            raise PartitionError(f"partitions holds a {type(item).__name__}; use specent.Partition, or text like 'a|b'")
        if isinstance(item, str):
            item = by_name[item] if item in by_name else Partition.parse(item, labels)
        resolved.append(item)
    return resolved


def _scored(
    partition: Partition, candidates: list[str], drivers: set[str], columns: NDArray[np.int64], prior: Array
) -> ScoredPartition:
    """`columns` are the positions of the drivers among the candidates."""
    partition.check(candidates)
    idle = next((label for label in partition.labels if label not in drivers), None)
    if idle is not None:
        raise PartitionError(
            f"partition {partition.name!r}: the label {idle!r} drove no trajectory of runs; sample it too, or leave "
            "it out of the partition"
        )
    weights = partition.weights(candidates, prior)
    share = weights.sum(axis=0)[columns]
    side = np.where(share > 0, np.argmax(weights[:, columns] > 0, axis=0), -1)
    return ScoredPartition(partition, weights, side.astype(np.int64), share)
