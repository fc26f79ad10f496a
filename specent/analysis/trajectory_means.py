"""Means over the trajectories of partitions, with bootstrap replicates, in one pass over the data.

A statistic that needs the means of others takes a second pass, in which every path is seen as a whole.

A trajectory matters to the partitions that hold its driver. So every partition is worked on for its own drivers only,
two of many where it is a pair, and what it needs of a block is added to its sums at once: no number per trajectory and
partition is kept.
"""

from __future__ import annotations

import itertools
import math
import sys
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from dask.diagnostics.progress import ProgressBar
from numpy.typing import NDArray
from tqdm.auto import tqdm

from specent.analysis.blocks import Extent, TrajectoryBlock, block_extents, read_block
from specent.analysis.bootstrap import draw_weights
from specent.analysis.posterior import Further, PathEvidence, Rest, Statistic, is_rest, rest_of
from specent.analysis.production import PRODUCTION, Producer
from specent.analysis.scored import ScoredPartition, pair_columns
from specent.evidence import BITS_PER_NAT
from specent.partitions import NULL

Array = NDArray[np.float64]

_DIMS = ("guidance", "partition", "time")
# parts that may be worked on side by side, and the bytes that their sums may take together
_PARTS = 16
_STATES = 1 << 30


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


def trajectory_means(job: Job, lazy: bool = False) -> xr.Dataset:
    """Every statistic over the trajectories of each partition, and its production.

    Parameters
    ----------
    job : Job
        What is averaged.
    lazy : bool
        Whether to leave the work for later, in Dask arrays of one block.

    Returns
    -------
    Dataset, dims (guidance, partition, time, replicate)
        By the names of the statistics: means with the estimate at index 0 of ``replicate`` and replicates from 1 on;
        counts and variances without replicates. With more sources than ``log_likelihood`` also ``production`` and
        ``cross_production``, in bits. NaN at the times where any number that was read is not finite.
    """
    first, second = job.passes
    if lazy:
        later = _in_parallel(first)
        result = _dataset(first, _lazy_arrays(first, later))
        return (
            result
            if second is None
            else result.merge(_dataset(second, _lazy_arrays(second, _in_parallel(second, later))))
        )
    values = _computed(first)
    result = _dataset(first, values)
    return result if second is None else result.merge(_dataset(second, _computed(second.after(values))))


def _computed(job: Job) -> dict[str, Array]:
    """The values of one pass, by name."""
    if not any(job.runs[name].chunks for name in job.reads):
        return _values(job, _partial_sums(job, _extents(job), job.progress))
    import dask

    with ProgressBar(minimum=2.0, out=sys.stderr) if job.progress else nullcontext():  # type: ignore[no-untyped-call]
        values: dict[str, Array] = dask.compute(_in_parallel(job))[0]  # type: ignore[attr-defined,no-untyped-call]
    return values


def _lazy_arrays(job: Job, later: Any) -> dict[str, Any]:
    """The values of one pass as Dask arrays, from the task that works them out."""
    import dask.array as da

    shapes = dict.fromkeys(job.means, (*job.shape, 1 + job.replicates))
    shapes |= {one.name: job.shape for one in job.totals}  # type: ignore[misc]
    return {name: da.from_delayed(later[name], shape, float) for name, shape in shapes.items()}  # type: ignore[no-untyped-call]


def _extents(job: Job) -> list[Extent]:
    return block_extents(job.runs, job.reads, job.inner, whole_paths=any(one.after for one in job.statistics))


def _dataset(job: Job, values: Mapping[str, Any]) -> xr.Dataset:
    return xr.Dataset(
        {name: ((*_DIMS, "replicate") if name in job.means else _DIMS, array) for name, array in values.items()}
    )


def _in_parallel(job: Job, first: Any = None) -> Any:
    """The values, by name, as a task of Dask: sums over parts of the trajectories, which are added up.

    The task `first` is that of the first pass, if this is the second. The parts follow from the data, and not from who
    works on them, so the result has the same bits on any scheduler.
    """
    import dask

    # not traversed, because Dask would load all of the trajectories that it finds among the arguments
    delayed = partial(dask.delayed, pure=False, traverse=False)  # type: ignore[attr-defined]
    shared = delayed(job) if first is None else delayed(Job.after)(delayed(job), first)
    extents = _extents(job)
    each = 8 * (1 + job.replicates) * len(job.means) * math.prod(job.shape)
    count = max(1, min(len(extents), _PARTS, _STATES // each))
    cuts = [len(extents) * i // count for i in range(count + 1)]
    sums = [delayed(_partial_sums)(shared, extents[low:high]) for low, high in itertools.pairwise(cuts)]
    while len(sums) > 1:
        pairs = [sums[i : i + 2] for i in range(0, len(sums), 2)]
        sums = [delayed(_added)(*pair) if len(pair) > 1 else pair[0] for pair in pairs]
    return delayed(_values)(shared, sums[0])


class _Sums(NamedTuple):
    """Sums over some trajectories.

    Attributes
    ----------
    means : ndarray, shape (quantities, guidance, partitions, times, 1 + replicates)
        Weighted sums of the quantities that are resampled.
    totals : ndarray, shape (statistics, guidance, partitions, times)
        Sums of the others.
    damaged : ndarray of bool, shape (guidance, times)
        Where a number that was read is not finite.
    """

    means: Array
    totals: Array
    damaged: NDArray[np.bool_]


def _partial_sums(job: Job, extents: Sequence[Extent], shows: bool = False) -> _Sums:
    """Sums over some blocks."""
    sums = Summation(job)
    for extent in tqdm(extents, desc="entropy", unit="block", disable=not shows, delay=2.0):
        sums.add(read_block(job.runs, job.reads, extent))
    return _Sums(sums.means, sums.totals, sums.damaged)


def _added(one: _Sums, other: _Sums) -> _Sums:
    # into arrays of their own: a task may be done twice
    return _Sums(one.means + other.means, one.totals + other.totals, one.damaged | other.damaged)


def _values(job: Job, sums: _Sums) -> dict[str, Array]:
    """By name."""
    means = sums.means.copy() if sums.damaged.any() else sums.means
    # also where the number takes no part in a partition: the run is damaged
    for guidance, time in np.argwhere(sums.damaged):
        means[:, guidance, :, time] = np.nan
    totals = {one.name: total for one, total in zip(job.totals, sums.totals, strict=True)}
    return dict(zip(job.means, means, strict=True)) | totals


class Summation:
    """Weighted sums over the trajectories of the blocks that were added so far.

    Parameters
    ----------
    job : Job
        What is averaged. Of its trajectories only the coordinates are used.

    Attributes
    ----------
    means : ndarray, shape (quantities, guidance, partitions, times, 1 + replicates)
        What these blocks add to the means of the job.
    totals : ndarray, shape (statistics, guidance, partitions, times)
        What they add to its counts and variances.
    damaged : ndarray of bool, shape (guidance, times)
        Where a number that was read is not finite.
    """

    def __init__(self, job: Job) -> None:
        self.job = job
        self.groups = [[p] for p in range(len(job.partitions))] if job.producer is None else job.producer.groups
        candidates = job.runs["candidate"].values.tolist()
        self.null = candidates.index(NULL) if NULL in candidates else None
        self.prior = np.asarray(job.runs["candidate_prior"].values, dtype=np.float64)
        self.rests = [any(is_rest(row, self.prior) for row in one.weights) for one in job.partitions]
        self.means = np.zeros((len(job.means), *job.shape, 1 + job.replicates))
        self.totals = np.zeros((len(job.totals), *job.shape))
        self.damaged = np.zeros((job.shape[0], job.shape[2]), dtype=bool)

    def add(self, block: TrajectoryBlock) -> None:
        """Add what the trajectories of a block have."""
        bad = self._damaged(block)
        self.damaged[:, block.times] |= bad
        with np.errstate(all="ignore" if bad.any() else None):
            self._add_block(block)

    def _add_block(self, block: TrajectoryBlock) -> None:
        labels = self.job.runs["class_label"].values[block.classes].tolist()
        drawn = draw_weights(labels, self.job.numbers, block.samples, self.job.replicates, self.job.seed)
        parts = _Parts(block, self.prior if any(self.rests) else None, drawn)
        for group in self.groups:
            drivers = np.flatnonzero(self.job.partitions[group[0]].share[block.classes] > 0)
            if len(drivers):
                values, rest, weights = parts.of(drivers, any(self.rests[p] for p in group))
                producer = self.job.producer
                produced = None if producer is None else BITS_PER_NAT * producer.of(block, drivers, group)
                for i, p in enumerate(group):
                    scored = self.job.partitions[p]
                    side = scored.side[block.classes][drivers, None, None, None]
                    path = PathEvidence(
                        values, np.broadcast_to(side, values.shape[:-1]), scored, self.prior, self.null, rest,
                        self._further(block, drivers, p),
                    )  # fmt: skip
                    numbers = {one.name: one.of(path) for one in self.job.statistics}
                    if produced is not None:
                        numbers |= {name: produced[..., i, k] for k, name in enumerate(PRODUCTION)}
                    self._add(p, numbers, weights, scored.share[block.classes][drivers], block.times)

    def _add(self, p: int, numbers: dict[str, Array], weights: Array, share: Array, times: slice) -> None:
        """Add numbers (drivers, samples, guidance, time) to those of partition `p`.

        The weights are of shape (1 + replicates, drivers * samples), and share is that of the drivers.
        """
        for i, one in enumerate(self.job.totals):
            # the variance of a mean over trajectories of weight share / samples has that weight twice
            once = np.ones(len(share)) if one.over == "count" else (share / self.job.runs.sizes["sample"]) ** 2
            self.totals[i, :, p, times] += np.einsum("d,dsgt->gt", once, numbers[one.name])
        stacked = np.stack([numbers[name] for name in self.job.means], axis=2) * share[:, None, None, None, None]
        added = stacked.reshape(weights.shape[1], -1).T @ weights.T
        self.means[:, :, p, times] += added.reshape(*stacked.shape[2:], -1)

    def _further(self, block: TrajectoryBlock, drivers: NDArray[np.intp], p: int) -> Further | None:
        """What statistics may need beside the evidence, for some drivers of a block and one partition."""
        if not any(one.reads or one.after for one in self.job.statistics):
            return None
        half = self.job.half
        columns = pair_columns(self.job.partitions[p])
        pairs = block.arrays.get("denoiser_distance")
        distance = None
        if pairs is not None and columns is not None:
            distance = np.stack([pairs[driver][..., columns[0], columns[1]] for driver in drivers]).astype(np.float64)
        return Further(
            self.job.runs["log_snr"].values[block.times], half[block.samples, None, None],
            (float(np.mean(half == 0)), float(np.mean(half == 1))), distance,
            {name: array[:, p, block.times] for name, array in self.job.first.items()},
        )  # fmt: skip

    def _damaged(self, block: TrajectoryBlock) -> NDArray[np.bool_]:
        """Guidance settings and times at which a number that is needed is not finite, shape (guidance, time)."""
        bad = np.zeros((self.job.shape[0], block.times.stop - block.times.start), dtype=bool)
        for name, array in block.arrays.items():
            if name in PRODUCTION and self.job.producer is not None:
                columns = [column for column in self.job.producer.columns if column is not None]
                array = array if len(set(columns)) == array.shape[-1] else array[..., columns]
            # a sum tells faster than a look at each of the numbers
            with np.errstate(over="ignore", invalid="ignore"):
                total = array.sum()
            if not np.isfinite(total):
                bad |= ~np.isfinite(array).all(axis=(0, 1, *range(4, array.ndim)))
        return bad


class _Parts:
    """What partitions need of some drivers of a block, kept until other drivers are wanted.

    The weights `drawn` are of shape (1 + replicates, classes, samples).
    """

    def __init__(self, block: TrajectoryBlock, prior: Array | None, drawn: Array) -> None:
        values = np.asarray(block.arrays["log_likelihood"], dtype=np.float64)
        rest = None if prior is None else rest_of(values, prior)
        self.whole = self.last = (values, rest, drawn.reshape(len(drawn), -1))
        self.drawn = drawn
        self.drivers = np.arange(len(values))

    def of(self, drivers: NDArray[np.intp], wants_rest: bool) -> tuple[Array, Rest | None, Array]:
        """Log-likelihood (drivers, samples, guidance, time, candidates), its rest, and weights (..., trajectories)."""
        values, rest, weights = self.whole
        if len(drivers) == len(values):
            return self.whole
        if not np.array_equal(drivers, self.drivers) or (wants_rest and self.last[1] is None):
            self.drivers = drivers
            some = Rest(rest.prior, rest.log_sum[drivers]) if wants_rest and rest is not None else None
            self.last = values[drivers], some, self.drawn[:, drivers].reshape(len(weights), -1)
        return self.last
