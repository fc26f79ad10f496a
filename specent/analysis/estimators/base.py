"""What an estimator is: a name, what it reads, its numbers per trajectory, curve, rate, bounds, and self-check."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import xarray as xr

from specent.analysis.posterior import Statistic
from specent.analysis.scored import ScoredPartition


@dataclass(frozen=True, eq=False)
class Means:
    """Means over trajectories, from which estimators make their curves.

    Attributes
    ----------
    runs : Dataset
        The trajectories, for their coordinates.
    partitions : sequence of ScoredPartition
        The partitions.
    values : Dataset
        Every statistic by its name, dims (guidance, partition, time, replicate): the estimate at index 0, bootstrap
        replicates from 1 on; counts and variances without replicates. ``production`` and ``cross_production`` in bits
        per unit of log_snr, if they are needed.
    """

    runs: xr.Dataset
    partitions: Sequence[ScoredPartition]
    values: xr.Dataset

    def __getitem__(self, name: str) -> xr.DataArray:
        return self.values[name]

    @property
    def log_snr(self) -> xr.DataArray:
        """Log-SNR of the times, without a coordinate."""
        return xr.DataArray(self.runs["log_snr"].variable)

    @property
    def prior_entropy(self) -> xr.DataArray:
        """Entropy of the sides before anything is seen, in bits."""
        return xr.DataArray([scored.prior_entropy for scored in self.partitions], dims="partition")

    @property
    def sides(self) -> xr.DataArray:
        """Number of sides of every partition."""
        return xr.DataArray([len(scored.weights) for scored in self.partitions], dims="partition")


class Estimator(ABC):
    """One way to get the entropy of a partition from trajectories.

    A new one is a subclass in a file of its own and a line in the table of `specent.analysis.estimators`.

    Attributes
    ----------
    name : str
        As in the argument ``estimator`` of `specent.entropy` and the coordinate of profiles.
    statistics : tuple of Statistic
        Its numbers per trajectory, from the evidence. Those that several estimators share are computed once.
    production : {"", "production", "cross_production"}
        The production that is its rate; empty if the rate is taken from the curve by differences, or by `rate`.
    integrates : bool
        Whether the curve itself is made from the production.
    agrees : bool
        Whether its intervals tell how far it may be from others that estimate the entropy; a bound does not agree, nor
        does an estimator that has a better test of its own.
    """

    name: ClassVar[str]
    statistics: ClassVar[tuple[Statistic, ...]] = ()
    production: ClassVar[Literal["", "production", "cross_production"]] = ""
    integrates: ClassVar[bool] = False
    agrees: ClassVar[bool] = True

    @abstractmethod
    def curve(self, means: Means) -> xr.DataArray:
        """Entropy in bits, dims (guidance, partition, time, replicate)."""

    def rate(self, means: Means) -> xr.DataArray | None:
        """Entropy rate in bits per unit of log_snr, dims as `curve`; None if it is taken from the curve."""
        return means[self.production] if self.production else None

    def limits(self, sides: int) -> tuple[float, float]:
        """Range in bits which bounds never leave, for a number of sides; infinite where the estimate itself may."""
        return -np.inf, np.inf

    def refuse(self, runs: xr.Dataset, partitions: Sequence[ScoredPartition]) -> None:
        """Raise `SpecentError` if the estimator cannot be used on `runs` or a partition."""
        return

    def settings(self, partitions: Sequence[ScoredPartition]) -> dict[str, Any]:
        """Entries for the settings of the profiles."""
        return {}

    def variables(self, means: Means) -> dict[str, xr.DataArray]:
        """Further variables of the profiles, dims (guidance, partition, time); 0 for the other estimators."""
        return {}

    def self_check(self, means: Means) -> Iterator[str]:
        """Texts for a `CalibrationWarning`: where what must hold does not."""
        yield from ()


def log2_sides(sides: int) -> float:
    """Largest entropy in bits of a number of sides."""
    return float(np.log2(sides))
