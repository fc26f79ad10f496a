"""What a run keeps of its trajectories: these themselves, or sums over them, which are added up as they are sampled."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from tqdm.auto import tqdm

from specent import memory, schema
from specent.analysis.blocks import TrajectoryBlock
from specent.analysis.bootstrap import GROUP
from specent.analysis.job import Job
from specent.analysis.statistics import KIND, statistics_dataset, statistics_job
from specent.analysis.summation import Summation
from specent.archive.shards import Shard, suitable_block
from specent.sampling.dataset import trajectories_dataset
from specent.sampling.record import Statistics
from specent.sampling.sampler import Execution, Sampler, empty_result, refuse_impossible_result, result_bytes
from specent.sampling.setup import Setup

# what the network of a shard gives out, at least: a second of work or more
_NUMBERS = 1 << 25
_MOST_SHARDS = 1000
# of a shard of trajectories
_SHARD_BYTES = 64 << 20
# of a shard of statistics, for each number of them: they have to be written and added up
_WORK = 128
# of trajectories that are in memory at a time until they are added up
_BYTES = 192 << 20
# of what a run spent on a trajectory, where it does not evaluate all candidates
_SPENT = {"evaluations", "dropped_mass"}
# a sum, what a shard is sampled into, and one that is read to be added
_COPIES = 4


@dataclass(frozen=True, eq=False)
class Keeping(ABC):
    """What a run keeps of its trajectories.

    Attributes
    ----------
    setup : Setup
        The whole run.
    execution : Execution
        How it is computed.
    """

    setup: Setup
    execution: Execution

    def attributes(self, device: str) -> dict[str, Any]:
        """Attributes of the dataset of the whole run, sampled on devices of this kind."""
        settings = {**self.execution.settings(self.setup), "device": device}
        return trajectories_dataset(empty_result(self.setup), self.setup, settings).attrs

    @abstractmethod
    def block(self) -> tuple[int, int]:
        """Classes and samples of a shard."""

    @abstractmethod
    def refuse_if_too_large(self, block: tuple[int, int]) -> None:
        """Raise `SpecentError` if a shard of so many classes and samples does not fit into memory, or is no dataset."""

    @abstractmethod
    def sample(self, sampler: Sampler, shard: Shard, bar: tqdm[Any], looks: bool) -> xr.Dataset:
        """What is kept of a shard.

        Parameters
        ----------
        sampler : Sampler
            Of this run.
        shard : Shard
            Which trajectories.
        bar : tqdm
            Counts the evaluations of the network.
        looks : bool
            Whether to warn of a start that tells the labels apart.
        """

    @property
    def _each(self) -> int:
        """Numbers that the network gives out for a trajectory."""
        setup = self.setup
        return math.prod((len(setup.guidance), len(setup.time), len(setup.candidates), setup.features))


class Trajectories(Keeping):
    """The trajectories themselves are kept, in single precision."""

    def block(self) -> tuple[int, int]:
        most = max(1, _SHARD_BYTES // result_bytes(self.setup.part(self.setup.drivers[:1], 0, 1)))
        classes = len(self.setup.drivers)
        return suitable_block(classes, self.setup.samples, _NUMBERS // self._each, most, _MOST_SHARDS)

    def refuse_if_too_large(self, block: tuple[int, int]) -> None:
        part = self.setup.part(self.setup.drivers[: block[0]], 0, block[1])
        refuse_impossible_result(part, self.execution, "a shard", "make it smaller, shard=50 or less")

    def sample(self, sampler: Sampler, shard: Shard, bar: tqdm[Any], looks: bool) -> xr.Dataset:
        return schema.compact(sampler.sample(_part(sampler, shard), bar, looks))


@dataclass(frozen=True, eq=False)
class Sums(Keeping):
    """Sums over the trajectories are kept, and these are forgotten.

    Attributes
    ----------
    statistics : Statistics
        What is summed.
    """

    statistics: Statistics

    @cached_property
    def job(self) -> Job:
        """What is summed."""
        template = trajectories_dataset(empty_result(self.setup), self.setup, self.execution.settings(self.setup))
        return statistics_job(template, self.statistics.replicates, self.statistics.seed)

    def attributes(self, device: str) -> dict[str, Any]:
        whole = super().attributes(device)
        return {**whole, "specent_kind": KIND, "title": self._title, "resampling_seed": self.statistics.seed}

    @property
    def _title(self) -> str:
        count = len(self.setup.partitions)
        name = self.setup.model.identity["name"]
        return f"Statistics of trajectories of {name} for {count} partition{'s' if count != 1 else ''}"

    @property
    def numbers(self) -> int:
        """How many numbers the statistics of any trajectories are."""
        return (1 + self.statistics.replicates) * len(self.job.means) * math.prod(self.job.shape)

    def block(self) -> tuple[int, int]:
        least = max(_NUMBERS, _WORK * self.numbers) // self._each
        across, along = suitable_block(len(self.setup.drivers), self.setup.samples, least, 10**9, _MOST_SHARDS)
        return across, min(along, -(-self.setup.samples // GROUP) * GROUP)

    def refuse_if_too_large(self, block: tuple[int, int]) -> None:
        what = f"the statistics of {len(self.setup.partitions)} partitions with {self.statistics.replicates} replicates"
        memory.check_fits(8 * _COPIES * self.numbers, what, "take fewer of either, specent.Statistics(replicates=50)")
        some = self.setup.part(self.setup.drivers[:1], 0, GROUP)
        refuse_impossible_result(some, self.execution, f"{GROUP} trajectories", "score fewer candidates")

    def sample(self, sampler: Sampler, shard: Shard, bar: tqdm[Any], looks: bool) -> xr.Dataset:
        summation = Summation(self.job)
        spent: dict[str, NDArray[Any]] = {}
        times = slice(0, len(self.setup.time))
        for drivers, numbers in self._portions(shard):
            part = sampler.setup.part(self.setup.drivers[drivers], numbers.start, numbers.stop)
            arrays = sampler.arrays(part, bar, looks)
            read = {name: _by_trajectory(arrays[name]) for name in self.job.sources}
            summation.add(TrajectoryBlock(drivers, numbers, times, read))
            for name in _SPENT & arrays.keys():
                total = arrays[name].sum(axis=(1, 2), dtype=np.float64 if arrays[name].dtype.kind == "f" else np.int64)
                spent[name] = spent.get(name, 0) + total
            looks = False
        classes = slice(shard.class_start, shard.class_stop)
        whole = _part(sampler, shard)
        settings = {**self.execution.settings(whole), "replicates": self.statistics.replicates}
        return statistics_dataset(summation, classes, whole.samples, spent, self._title, settings)

    def _portions(self, shard: Shard) -> Iterator[tuple[slice, slice]]:
        """Classes and samples of a shard that are in memory at a time: whole groups."""
        most = max(1, _BYTES // result_bytes(self.setup.part(self.setup.drivers[:1], 0, 1)))
        classes = shard.class_stop - shard.class_start
        along = min(shard.sample_stop - shard.sample_start, max(most // classes // GROUP, 1) * GROUP)
        across = max(1, min(classes, most // along))
        for first in range(shard.sample_start, shard.sample_stop, along):
            for driver in range(shard.class_start, shard.class_stop, across):
                yield (
                    slice(driver, min(driver + across, shard.class_stop)),
                    slice(first, min(first + along, shard.sample_stop)),
                )


def keeping(setup: Setup, execution: Execution, statistics: Statistics | None) -> Keeping:
    """What a run keeps."""
    return Trajectories(setup, execution) if statistics is None else Sums(setup, execution, statistics)


def _part(sampler: Sampler, shard: Shard) -> Setup:
    """The trajectories of a shard, with the model where the sampler has it."""
    drivers = sampler.setup.drivers[shard.class_start : shard.class_stop]
    return sampler.setup.part(drivers, shard.sample_start, shard.sample_stop)


def _by_trajectory(array: NDArray[Any]) -> NDArray[Any]:
    """An array (guidance, class, sample, ...) as (class, sample, guidance, ...)."""
    return np.moveaxis(array, 0, 2)
