r"""The posterior of the sides of a partition along every trajectory, in blocks that fit into memory.

Along a path the log-likelihoods of the candidates give the posterior of the sides of a partition, exactly and for any
network (arXiv 2506.10433). Estimators take their numbers per trajectory and time from it: one pass over the data serves
all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from specent import evidence
from specent.analysis.scored import ScoredPartition
from specent.partitions import NULL

Array = NDArray[np.float64]

# numbers per block of a streamed statistic: 32 MB
_BLOCK = 2**22
_TRAJECTORY = ("guidance", "class_label", "sample", "time")
# a log-probability below this contributes nothing
_LEAST = -1e4


@dataclass(frozen=True, eq=False)
class PathEvidence:
    """The evidence for one partition along a block of trajectories.

    Attributes
    ----------
    log_likelihood : ndarray, shape (..., candidates)
        In nats, relative to any one candidate.
    side : ndarray of int, shape (...)
        The side that holds the driver, -1 if none does.
    scored : ScoredPartition
        The partition.
    prior : ndarray, shape (candidates,)
        Prior of the candidates, 0 for the null condition.
    null : int or None
        Index of the null condition among the candidates.
    """

    log_likelihood: Array
    side: NDArray[np.int64]
    scored: ScoredPartition
    prior: Array
    null: int | None

    @cached_property
    def log_side(self) -> Array:
        """Logarithm of the posterior of the sides, shape (..., sides), kept above -10 000."""
        return np.clip(side_log_posterior(self.log_likelihood, self.scored.weights), _LEAST, 0.0)

    @cached_property
    def nats(self) -> Array:
        """Entropy of the posterior in nats, shape (...)."""
        return np.asarray(evidence.entropy(self.log_side))

    def of_driver(self, sides: Array) -> Array:
        """Of numbers per side, shape (..., sides), that of the side that holds the driver; 0 if none does."""
        holds = np.arange(sides.shape[-1]) == self.side[..., None]
        return np.asarray(np.sum(np.where(holds, sides, 0.0), axis=-1))


@dataclass(frozen=True)
class Statistic:
    """One number per trajectory, time and partition, and what is done with it over trajectories.

    Attributes
    ----------
    name : str
        Of the number, unique among those of all estimators.
    of : callable
        From `PathEvidence` to an ndarray of shape (...).
    over : {"mean", "count", "variance"}
        The mean, with replicates; the sum over the trajectories that the partition looks at; or the variance that the
        mean of independent numbers of these variances has.
    """

    name: str
    of: Callable[[PathEvidence], Array]
    over: Literal["mean", "count", "variance"] = "mean"


def side_log_posterior(log_likelihood: Array, weights: Array) -> Array:
    """Logarithm of the posterior of the sides of one partition.

    Parameters
    ----------
    log_likelihood : ndarray, shape (..., candidates)
        In nats.
    weights : ndarray, shape (sides, candidates)
        Joint prior of side and candidate.

    Returns
    -------
    ndarray, shape (..., sides)
        Normalised.

    Examples
    --------
    >>> np.exp(side_log_posterior(np.log([1.0, 3.0, 9.0]), np.array([[0.5, 0, 0], [0, 0.5, 0]]))).round(3).tolist()
    [0.25, 0.75]
    """
    log_weights = evidence.log_weights(weights)
    # a side sees its own few candidates only: for all pairs of many classes this is far less work than all of them
    members = [np.flatnonzero(row > 0) for row in weights]
    if all(len(member) == 1 for member in members):
        column = np.concatenate(members)
        joint = log_likelihood[..., column] + log_weights[np.arange(len(column)), column]
    else:
        joint = np.stack(
            [
                evidence.log_sum_exp(log_likelihood[..., member] + row[member])
                for member, row in zip(members, log_weights, strict=True)
            ],
            axis=-1,
        )
    return np.asarray(joint - evidence.log_sum_exp(joint)[..., None])


def path_statistics(
    runs: xr.Dataset, blocks: xr.Dataset, partitions: Sequence[ScoredPartition], statistics: Sequence[Statistic]
) -> xr.DataArray:
    """Every statistic of every trajectory, block by block.

    Parameters
    ----------
    runs : Dataset
        Kind ``trajectories``, for its coordinates.
    blocks : Dataset
        Its ``log_likelihood``, ready to be streamed.
    partitions : sequence of ScoredPartition
        The partitions.
    statistics : sequence of Statistic
        What is computed.

    Returns
    -------
    DataArray, dims (guidance, class_label, sample, time, partition, statistic)
        Lazy if `blocks` is.
    """
    candidates = [str(name) for name in runs["candidate"].values]
    sides = xr.Variable(("class_label", "partition"), np.stack([scored.side for scored in partitions], axis=-1))
    values = xr.apply_ufunc(
        _block_statistics,
        blocks["log_likelihood"].variable,
        sides,
        input_core_dims=[["candidate"], ["partition"]],
        output_core_dims=[["partition", "statistic"]],
        kwargs={
            "partitions": partitions,
            "statistics": statistics,
            "prior": runs["candidate_prior"].values,
            "null": candidates.index(NULL) if NULL in candidates else None,
        },
        dask="parallelized",
        output_dtypes=[np.float64],
        dask_gufunc_kwargs={"output_sizes": {"statistic": len(statistics)}},
    )
    return xr.DataArray(values)


def _block_statistics(
    log_likelihood: Array,
    side: NDArray[np.int64],
    partitions: Sequence[ScoredPartition],
    statistics: Sequence[Statistic],
    prior: Array,
    null: int | None,
) -> Array:
    """Kernel on arrays: shape (..., candidates) and (..., partitions) to (..., partitions, statistics)."""
    values = np.asarray(log_likelihood, dtype=np.float64)
    out = np.empty((*values.shape[:-1], len(partitions), len(statistics)))
    for p, scored in enumerate(partitions):
        path = PathEvidence(values, np.broadcast_to(side[..., p], values.shape[:-1]), scored, prior, null)
        for s, statistic in enumerate(statistics):
            out[..., p, s] = statistic.of(path)
    # also where the candidate takes no part in a partition: the run is damaged
    out[~np.isfinite(values).all(axis=-1)] = np.nan
    return out


def streamed(runs: xr.Dataset, names: Sequence[str], inner: int) -> xr.Dataset:
    """The variables `names` of `runs`, in blocks small enough to stream; left in NumPy if all of it is small.

    Parameters
    ----------
    runs : Dataset
        Kind ``trajectories``.
    names : sequence of str
        Variables that are used.
    inner : int
        Numbers that work takes per guidance setting, class, sample and time.
    """
    used = runs[list(names)]
    guidance, classes, samples, times = (runs.sizes[dim] for dim in _TRAJECTORY)
    lazy = any(variable.chunks for variable in used.variables.values())
    if not lazy and guidance * classes * samples * times * inner <= _BLOCK:
        return used
    time = max(1, min(times, _BLOCK // (guidance * inner)))
    sample = max(1, min(samples, _BLOCK // (guidance * inner * time)))
    label = max(1, min(classes, _BLOCK // (guidance * inner * time * sample)))
    most = {"time": time, "sample": sample, "class_label": label}
    return used.assign({name: _cut(used[name], most) for name in names})


def _cut(variable: xr.DataArray, most: Mapping[str, int]) -> xr.DataArray:
    """Blocks of the given sizes. Those of the file are kept if they are not much larger: to recut costs memory."""
    sizes: dict[Any, int] = {dim: most.get(str(dim), -1) for dim in variable.dims}
    if variable.chunks is not None:
        large = {dim: max(variable.chunksizes[dim]) for dim in most}
        if np.prod(list(large.values())) <= 4 * np.prod(list(most.values())):
            sizes = {dim: size for dim, size in sizes.items() if dim not in most}
    return variable.chunk(sizes)
