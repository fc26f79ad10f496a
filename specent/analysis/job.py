"""What is averaged over the trajectories of partitions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from specent.analysis.posterior import Statistic
from specent.analysis.production import PRODUCTION, Producer
from specent.analysis.scored import ScoredPartition

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Job:
    """What is averaged over the trajectories of partitions.

    Attributes
    ----------
    runs : Dataset
        Kind ``trajectories``, in NumPy or Dask arrays.
    sources : sequence of str
        Variables that are read: ``log_likelihood``, and those from which production is taken, if it is wanted.
    partitions : sequence of ScoredPartition
        The partitions.
    statistics : sequence of Statistic
        Numbers per trajectory.
    replicates, seed : int
        Of the resampling.
    progress : bool
        Whether to show a bar where it takes more than two seconds.
    first : mapping of ndarray, shape (guidance, partitions, times)
        In a second pass: what the first has given, by name. Paths are then read as a whole.
    """

    runs: xr.Dataset
    sources: Sequence[str]
    partitions: Sequence[ScoredPartition]
    statistics: Sequence[Statistic]
    replicates: int
    seed: int
    progress: bool = False
    first: Mapping[str, Array] = field(default_factory=dict)

    @property
    def reads(self) -> list[str]:
        """Names of all variables that are read."""
        return list(dict.fromkeys([*self.sources, *(name for one in self.statistics for name in one.reads)]))

    @property
    def means(self) -> list[str]:
        """Names of the quantities that are resampled, in bits."""
        own = [one.name for one in self.statistics if one.over == "mean"]
        return [*own, *(PRODUCTION if len(self.sources) > 1 else ())]

    @cached_property
    def half(self) -> NDArray[np.int64]:
        """Which half of the trajectories of its class each sample belongs to, 0 or 1.

        It is the lowest digit, in base two, in which the numbers of the samples differ: parts of a run agree on it.
        """
        differs = int(np.bitwise_or.reduce(self.numbers ^ self.numbers[0]))
        return np.asarray((self.numbers & (differs & -differs)) != 0, dtype=np.int64)

    @property
    def totals(self) -> list[Statistic]:
        """The statistics that are not."""
        return [one for one in self.statistics if one.over != "mean"]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of guidance settings, partitions and times."""
        return self.runs.sizes["guidance"], len(self.partitions), self.runs.sizes["time"]

    @cached_property
    def numbers(self) -> NDArray[np.int64]:
        """Numbers of the samples, by which they are resampled."""
        runs = self.runs
        return runs["sample"].values if "sample" in runs.coords else np.arange(runs.sizes["sample"])

    @cached_property
    def producer(self) -> Producer | None:
        """What takes the production from the sources, if it is wanted."""
        return Producer(self.runs, self.partitions) if len(self.sources) > 1 else None

    @property
    def inner(self) -> int:
        """Numbers that work takes per guidance setting, class, sample and time; the weights of replicates included."""
        candidates = self.runs.sizes["candidate"]
        numbers = candidates + self.replicates // self.runs.sizes["time"]
        if "denoiser_distance" not in self.reads:
            return numbers
        # what is in memory already is not copied
        read = candidates**2 if self.runs["denoiser_distance"].chunks else 0
        return int(numbers + read + (2 * self.producer.widest**2 if self.producer is not None else 0))

    @property
    def passes(self) -> tuple[Job, Job | None]:
        """The first pass over the data, and the second if a statistic needs what the first gives."""
        later = [one for one in self.statistics if one.after]
        if not later:
            return self, None
        first = replace(self, statistics=[one for one in self.statistics if not one.after])
        return first, replace(self, sources=["log_likelihood"], statistics=later)

    def after(self, first: Mapping[str, Array]) -> Job:
        """The second pass, with the estimates of the first."""
        needed = {name for one in self.statistics for name in one.after}
        return replace(self, first={name: first[name][..., 0] for name in needed})
