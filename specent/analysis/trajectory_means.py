"""Means over the trajectories of partitions, with bootstrap replicates, in one pass over the data.

A statistic that needs the means of others takes a second pass, in which every path is seen as a whole.
"""

from __future__ import annotations

import itertools
import math
import sys
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from dask.diagnostics.progress import ProgressBar
from numpy.typing import NDArray
from tqdm.auto import tqdm

from specent.analysis.blocks import Extent, block_extents, read_block
from specent.analysis.job import Job
from specent.analysis.summation import Summation

Array = NDArray[np.float64]

_DIMS = ("guidance", "partition", "time")
# parts that may be worked on side by side, the bytes that their sums may take together, and how many bytes are read
# for one of sums, which have to be filled, sent and added
_PARTS = 16
_STATES = 1 << 30
_READ = 4


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
    read = sum(job.runs[name].nbytes for name in job.reads)
    count = max(1, min(len(extents), _PARTS, _STATES // each, max(2, read // (_READ * each))))
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
