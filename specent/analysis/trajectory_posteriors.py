"""The posterior of the sides of a partition along single trajectories: block by block, and its quantiles over them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from specent import arguments
from specent.analysis.blocks import block_extents, read_block
from specent.analysis.inputs import checked_runs, refuse_not_finite
from specent.analysis.posterior import side_log_posterior
from specent.analysis.scored import ScoredPartition, scored_partitions
from specent.arguments import brief
from specent.errors import SpecentError
from specent.partitions import Partition
from specent.schema import coordinates

Array = NDArray[np.float64]

BINS = 4096
"""Quantiles are read off a histogram of so many bins, and are right to within one of them."""

COPIED = ("time", "sigma", "alpha", "log_snr", "guidance", "guidance_scale", "sigma_lo", "sigma_hi")
"""Coordinates of trajectories that are also those of what is made of them."""


@dataclass(frozen=True, eq=False)
class PosteriorBlock:
    """The posterior along some trajectories.

    Attributes
    ----------
    drivers : ndarray of int, shape (drivers,)
        Positions of their drivers among those of the runs; all of them are on a side.
    samples : slice
        Their samples.
    posterior : ndarray, shape (drivers, samples, guidance, time, sides)
        Normalised over the sides.
    """

    drivers: NDArray[np.intp]
    samples: slice
    posterior: Array

    def of_side(self, scored: ScoredPartition, side: int | None) -> Array:
        """Posterior of one side, or of that which holds the driver, shape (drivers, samples, guidance, time)."""
        if side is not None:
            return self.posterior[..., side]
        own = scored.side[self.drivers][:, None, None, None, None]
        return np.asarray(np.take_along_axis(self.posterior, own, axis=-1)[..., 0])


def each_posterior(runs: xr.Dataset, scored: ScoredPartition) -> Iterator[PosteriorBlock]:
    """The posterior of one partition along whole paths; memory does not grow with the number of trajectories.

    Parameters
    ----------
    runs : Dataset
        Kind ``trajectories``, as `specent.analysis.inputs.checked_runs` gives it.
    scored : ScoredPartition
        The partition.

    Raises
    ------
    SpecentError
        If `runs` holds a number that is not finite.
    """
    share = scored.share > 0
    # the posterior of every side in double precision, and what it is worked out with, stand beside what was read
    inner = runs.sizes["candidate"] + 4 * len(scored.weights)
    for extent in block_extents(runs, ["log_likelihood"], inner, whole_paths=True):
        if not share[extent[0]].any():
            continue
        block = read_block(runs, ["log_likelihood"], extent)
        rows = np.flatnonzero(share[block.classes])
        values = block.arrays["log_likelihood"][rows].astype(np.float64, copy=False)
        if not np.isfinite(values).all():
            refuse_not_finite(runs, ["log_likelihood"], xr.Dataset({"posterior": np.nan}))
        posterior = np.exp(side_log_posterior(values, scored.weights))
        yield PosteriorBlock(rows + block.classes.start, block.samples, posterior)


def scored_partition(runs: xr.Dataset, partition: Partition | str | None) -> ScoredPartition:
    """One partition set against the trajectories; the first of those that were named at sampling by default."""
    return scored_partitions(runs, partition)[0]


def side_index(scored: ScoredPartition, side: str | None) -> int | None:
    """Position of a side by its name; None stands for the side that holds the driver.

    Raises
    ------
    SpecentError
        If the partition has no side of that name.
    """
    names = list(scored.partition.side_names)
    if side is None:
        return None
    if side not in names:
        raise SpecentError(
            f"side={brief(side)} is no side of {scored.name!r}; choose from {names}, or None for its own"
        )
    return names.index(side)


def side_posterior(runs: xr.Dataset, partition: Partition | str | None = None) -> xr.Dataset:
    """Posterior of every side of a partition given the path so far, trajectory by trajectory.

    Parameters
    ----------
    runs : Dataset
        Kind ``trajectories``; the result holds a number for every side, trajectory and time, so select those needed.
    partition : Partition or str, optional
        By default the first of those named when `runs` was sampled.

    Returns
    -------
    Dataset
        Not a kind of the data contract. ``posterior`` (guidance, class_label, sample, time, side) sums to 1 over the
        sides, ``driver_side`` (class_label) names the side of the class that drives; classes on no side are left out.

    Raises
    ------
    SpecentError
        If the partition cannot be analysed, or `runs` holds a number that is not finite.

    Examples
    --------
    >>> import specent as sp
    >>> some = sp.archive.example().isel(sample=slice(0, 3))
    >>> side_posterior(some, "cat | dog").posterior.sel(side="cat", class_label="dog").isel(time=-1).values[0].round(6)
    array([0.5, 0.5, 0.5])
    """
    runs = checked_runs(runs)
    scored = scored_partition(runs, partition)
    drivers = np.flatnonzero(scored.share > 0)
    names = list(scored.partition.side_names)
    dims = ("class_label", "sample", "guidance", "time", "side")
    posterior = np.empty((len(drivers), *(runs.sizes[dim] for dim in dims[1:-1]), len(names)))
    for block in each_posterior(runs, scored):
        posterior[np.searchsorted(drivers, block.drivers), block.samples] = block.posterior
    some = runs["log_likelihood"].isel(class_label=drivers)
    coords = {name: coord for name, coord in some.coords.items() if set(coord.dims) <= set(dims)}
    result = xr.Dataset(
        {
            "posterior": (dims, posterior),
            "driver_side": ("class_label", [names[side] for side in scored.side[drivers]]),
        },
        {**coords, "side": names},
        {"title": f"Posterior of the sides of {scored.name}", "partition": scored.name},
    )
    result["posterior"].attrs = {"units": "1", "long_name": "posterior of the side given the path so far"}
    return result.transpose("guidance", "class_label", "sample", "time", "side")


def fractions(values: ArrayLike, argument: str) -> Array:
    """A list of numbers from 0 to 1.

    Raises
    ------
    SpecentError
        Naming the argument, if it is none.

    Examples
    --------
    >>> fractions([0.5, 1], "levels")
    array([0.5, 1. ])
    """
    share = arguments.array(values, argument)
    if share.ndim != 1 or not share.size or not ((share >= 0) & (share <= 1)).all():
        raise SpecentError(f"{argument}={brief(share.tolist())} must be a list of numbers from 0 to 1")
    return share


def posterior_quantiles(
    runs: xr.Dataset,
    partition: Partition | str | None = None,
    levels: ArrayLike = (0.1, 0.25, 0.5, 0.75, 0.9),
    *,
    side: str | None = None,
) -> xr.Dataset:
    """Quantiles over the trajectories of the posterior of a side.

    Trajectories are weighted by the prior of the label that drives them.

    Parameters
    ----------
    runs : Dataset or path
        Kind ``trajectories``; read block by block.
    partition : Partition or str, optional
        By default the first of those named when `runs` was sampled.
    levels : array_like, shape (quantiles,)
        From 0 to 1.
    side : str, optional
        Name of a side; by default that which holds the driver of the trajectory.

    Returns
    -------
    Dataset
        Not a kind of the data contract. ``posterior_quantile`` (guidance, quantile, time), right to within 1/4096, and
        ``posterior_mean`` (guidance, time).

    Raises
    ------
    SpecentError
        If an argument cannot be used, or `runs` holds a number that is not finite.

    Examples
    --------
    >>> import specent as sp
    >>> table = posterior_quantiles(sp.archive.example(), "cat | dog", [0.5])
    >>> table.posterior_quantile.sel(guidance="unguided").isel(time=[0, -1]).values.round(2).tolist()
    [[1.0, 0.5]]
    """
    share = fractions(levels, "levels")
    runs = checked_runs(runs)
    scored = scored_partition(runs, partition)
    number = side_index(scored, side)
    shape = runs.sizes["guidance"], runs.sizes["time"]
    counts, mean = np.zeros((*shape, BINS)), np.zeros(shape)
    for block in each_posterior(runs, scored):
        values = block.of_side(scored, number)
        weight = np.broadcast_to(scored.share[block.drivers, None, None, None] / runs.sizes["sample"], values.shape)
        counts += _histogram(values, weight)
        mean += np.sum(weight * values, axis=(0, 1))
    result = xr.Dataset(
        {
            "posterior_quantile": (("guidance", "time", "quantile"), _quantiles(counts, share)),
            "posterior_mean": (("guidance", "time"), mean),
        },
        {**runs[[name for name in COPIED if name in runs.coords]].coords, "quantile": share},
    )
    whose = "side that holds the driver" if side is None else f"side {side}"
    for name, text in (("posterior_quantile", "quantile over the trajectories"), ("posterior_mean", "mean")):
        result[name].attrs = {"units": "1", "long_name": f"{text} of the posterior of the {whose}"}
    result.attrs = {"title": f"Posterior of the {whose}, partition {scored.name}"}
    return result.assign_coords(coordinates.of_partitions([scored.partition])).transpose(
        "guidance", "quantile", "time", "partition"
    )


def _histogram(values: Array, weight: Array) -> Array:
    """Weights per bin, shape (guidance, time, BINS), of numbers of shape (..., guidance, time)."""
    guidance, times = values.shape[-2:]
    at = np.minimum((values * BINS).astype(np.int64), BINS - 1)
    at += (np.arange(guidance * times) * BINS).reshape(guidance, times)
    total = np.bincount(at.ravel(), weight.ravel(), guidance * times * BINS).reshape(guidance, times, BINS)
    return np.asarray(total, dtype=np.float64)


def _quantiles(counts: Array, levels: Sequence[float] | Array) -> Array:
    """Quantiles of histograms, shape (..., levels), linear within a bin."""
    rows = counts.reshape(-1, BINS)
    edges = np.linspace(0.0, 1.0, BINS + 1)
    out = np.empty((len(rows), len(levels)))
    for row, numbers in zip(rows, out, strict=True):
        total = np.concatenate([[0.0], np.cumsum(row)])
        end = int(np.flatnonzero(row)[-1]) + 2
        numbers[:] = np.interp(np.asarray(levels) * total[-1], total[:end], edges[:end])
    return out.reshape(*counts.shape[:-1], len(levels))
