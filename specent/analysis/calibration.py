r"""Self-tests of unguided runs, which hold for any network if sampling and likelihood are the same chain.

The posterior given the path is the exact posterior of the driving side (arXiv 2506.10433). So its mean is the prior at
every time, and its mean entropy is the mean surprisal :math:`-\log P(z)`. Given the path, both differences have mean
zero and a known variance: :math:`P(1-P)`, and the variance of the surprisal under P. That variance counts the rare
wrong turns that a finite sample has not seen, which the bootstrap cannot; the standard error is the larger of the two.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.special import ndtri

from specent.analysis.blocks import each_block
from specent.analysis.bootstrap import check_resampling
from specent.analysis.inputs import checked_runs, refuse_not_finite
from specent.analysis.job import Job
from specent.analysis.posterior import PathEvidence, Statistic, side_log_posterior
from specent.analysis.scored import Partitions, ScoredPartition, scored_partitions
from specent.analysis.trajectory_means import trajectory_means
from specent.schema import coordinates

Array = NDArray[np.float64]

# chance that a calibrated run is warned about, over all its partitions and times together
_FALSE_ALARM = 1e-4
# differences below this many bits are rounding
_ROUNDING = 1e-9


def _entropy(path: PathEvidence) -> Array:
    return path.surprisal.mean


def _surprisal(path: PathEvidence) -> Array:
    return path.surprisal.driver


def _surprisal_variance(path: PathEvidence) -> Array:
    return path.surprisal.variance


ENTROPY = Statistic("posterior_entropy", _entropy)
"""Entropy of the posterior given the path, in bits."""

SURPRISAL = Statistic("surprisal", _surprisal)
"""Surprisal of the driving side, in bits; 0 where no side holds the driver."""

SURPRISAL_VARIANCE = Statistic("surprisal_variance", _surprisal_variance, "variance")
"""Variance of the surprisal under the posterior, in bits squared."""

STATISTICS = (ENTROPY, SURPRISAL, SURPRISAL_VARIANCE)
"""What the test of calibration needs."""


def calibration_gap(
    runs: xr.Dataset,
    partitions: Partitions = None,
    *,
    replicates: int = 200,
    seed: int = 0,
) -> xr.Dataset:
    """How far the path posterior is from a calibrated one, with standard errors.

    On unguided runs both gaps are zero up to sampling noise. Under guidance they are not meant to be: the first is then
    the difference between entropy and cross-entropy under guidance.

    Parameters
    ----------
    runs : Dataset
        Kind ``trajectories``.
    partitions : Partition, str, or sequence of these, optional
        By default those named when `runs` was sampled.
    replicates, seed : int
        Of the bootstrap over trajectories; at least 50 replicates.

    Returns
    -------
    Dataset
        Not a kind of the data contract. ``gap`` (guidance, partition, time): mean entropy of the posterior minus mean
        surprisal of the driving side, in bits; ``posterior_gap`` (guidance, partition, side, time): mean posterior of
        each side minus its prior. Each with ``_standard_error``. ``side_name`` (partition, side) names the sides;
        where a partition has fewer sides it is empty and the numbers are NaN.

    Raises
    ------
    SpecentError
        If an argument cannot be used, or `runs` holds a NaN or an infinity.

    References
    ----------
    arXiv 2506.10433.

    Examples
    --------
    >>> import specent as sp
    >>> mix = sp.exact.GaussianMixture([[-4.0], [4.0]], labels=["left", "right"])
    >>> runs = sp.sample(sp.models.mixture(mix), schedule=sp.schedules.VE(), time=sp.schedules.edm_grid(16),
    ...                  samples=50, progress=False)
    >>> gap = sp.calibration_gap(runs, "left|right")
    >>> bool((abs(gap.gap) <= 5 * gap.gap_standard_error + 1e-9).all())
    True
    """
    replicates, seed = check_resampling(replicates, seed)
    runs = checked_runs(runs)
    scored = scored_partitions(runs, partitions)
    job = Job(runs, ["log_likelihood"], scored, STATISTICS, replicates, seed)
    numbers = trajectory_means(job)
    refuse_not_finite(runs, job.sources, numbers)
    result = xr.Dataset()
    result["gap"], result["gap_standard_error"] = gap_and_error(
        numbers[ENTROPY.name] - numbers[SURPRISAL.name], numbers[SURPRISAL_VARIANCE.name]
    )
    both = _posterior_gaps(job)
    result["posterior_gap"], result["posterior_gap_standard_error"] = both.isel(number=0), both.isel(number=1)
    return _described(result, runs, scored)


def _posterior_gaps(job: Job) -> xr.DataArray:
    """Mean posterior minus prior of the sides, and its standard error, dims (number, partition, side, guidance, time).

    NaN where a partition has fewer sides than another.
    """
    runs, partitions, samples = job.runs, job.partitions, job.runs.sizes["sample"]
    guidance, _, times = job.shape
    drivers = [np.flatnonzero(scored.share > 0) for scored in partitions]
    # of posterior less membership, for every driver and side: the mean, and that of the squares
    moments = [
        np.zeros((2, len(own), len(scored.weights), guidance, times))
        for own, scored in zip(drivers, partitions, strict=True)
    ]
    for block in each_block(runs, job.sources, job.inner):
        values = block.arrays["log_likelihood"]
        for own, scored, moment in zip(drivers, partitions, moments, strict=True):
            row = np.flatnonzero((own >= block.classes.start) & (own < block.classes.stop))
            if len(row):
                some = values[own[row] - block.classes.start].astype(np.float64, copy=False)
                gap = np.exp(side_log_posterior(some, scored.weights)) - _member(scored, own[row])[:, None, None, None]
                for order in (0, 1):
                    total = np.sum(gap ** (1 + order), axis=1) / samples
                    moment[order, row, :, :, block.times] += np.moveaxis(total, -1, 1)
    out = np.full((2, len(partitions), max(len(scored.weights) for scored in partitions), guidance, times), np.nan)
    for p, (own, scored, (mean, square)) in enumerate(zip(drivers, partitions, moments, strict=True)):
        share = scored.share[own][:, None, None, None]
        spread = np.sum(share**2 * (square - mean**2), axis=0) / (samples - 1)
        # of the variance P(1 - P) that a calibrated posterior has, the part between drivers is not sampled but fixed
        within = (1 - 2 * _member(scored, own)[..., None, None]) * mean - square - mean**2
        chance = np.sum(share**2 * np.maximum(within, 0.0), axis=0) / samples
        # the shares of the drivers of a side sum to its prior
        out[0, p, : len(scored.weights)] = np.sum(share * mean, axis=0)
        out[1, p, : len(scored.weights)] = np.sqrt(np.maximum(spread, chance))
    return xr.DataArray(out, dims=("number", "partition", "side", "guidance", "time"))


def _member(scored: ScoredPartition, drivers: NDArray[np.intp]) -> Array:
    """1 on the side that holds each driver, shape (drivers, sides)."""
    return np.asarray(scored.side[drivers, None] == np.arange(len(scored.weights)), dtype=np.float64)


def gap_and_error(values: xr.DataArray, variance: xr.DataArray | None = None) -> tuple[xr.DataArray, xr.DataArray]:
    """A difference and its standard error: that of the replicates, or the root of `variance` if that is larger.

    Parameters
    ----------
    values : DataArray, dims (replicate, ...)
        The difference at index 0, replicates from 1 on.
    variance : DataArray, optional
        Variance the difference has if all is well.
    """
    error = values.isel(replicate=slice(1, None)).std("replicate", skipna=False)
    if variance is not None:
        error = error.clip(min=variance**0.5)
    return values.isel(replicate=0), error


def worst_gap(
    gap: xr.DataArray, error: xr.DataArray, guidance: NDArray[Any], partitions: Sequence[str], log_snr: xr.DataArray,
    what: str,
) -> str:  # fmt: skip
    """Describe the most significant gap of all, or nothing if sampling noise explains them.

    Parameters
    ----------
    gap, error : DataArray, dims (guidance, partition, time)
        In bits.
    guidance : ndarray of str
        Names of the guidance settings.
    partitions : sequence of str
        Names of the partitions.
    log_snr : DataArray, dims (time,)
        For the message.
    what : str
        What was subtracted from what.

    Returns
    -------
    str
        Empty if every gap is within the normal quantile of one false alarm in ten thousand, shared over all gaps.
    """
    if not gap.size:
        return ""
    gap, error = (part.transpose("guidance", "partition", "time") for part in (gap, error))
    size = np.abs(gap.values)
    limit = float(ndtri(1 - 0.5 * _FALSE_ALARM / gap.size))
    excess = np.where(size > _ROUNDING, size / np.maximum(error.values, 1e-300), 0.0)
    if excess.max() <= limit:
        return ""
    g, p, t = (int(index) for index in np.unravel_index(int(np.argmax(excess)), excess.shape))
    others = int((excess.max(axis=(0, 2)) > limit).sum()) - 1
    more = f", and so in {others} other partition(s)" if others else ""
    return (
        f"partition {partitions[p]!r}, guidance {str(guidance[g])!r}, log_snr={float(log_snr[t]):.3g}: {what} is "
        f"{float(gap[g, p, t]):.3g} bit with standard error {float(error[g, p, t]):.2g}, more than sampling noise "
        f"explains{more}"
    )


def _described(result: xr.Dataset, runs: xr.Dataset, partitions: Sequence[ScoredPartition]) -> xr.Dataset:
    copied = ("time", "sigma", "alpha", "log_snr", "guidance", "guidance_scale", "sigma_lo", "sigma_hi")
    coords = runs[[name for name in copied if name in runs.coords]].coords
    most = result.sizes["side"]
    names = [[*scored.partition.side_names, *[""] * most][:most] for scored in partitions]
    result = result.assign_coords(
        {
            **coords,
            **coordinates.of_partitions([scored.partition for scored in partitions]),
            "side_name": (("partition", "side"), names, {"units": "1", "long_name": "name of the side"}),
        }
    )
    for name, units, text in (
        ("gap", "bit", "mean entropy of the path posterior minus mean surprisal of the driving side"),
        ("posterior_gap", "1", "mean path posterior of the side minus its prior"),
    ):
        result[name].attrs = {"units": units, "long_name": text}
        result[f"{name}_standard_error"].attrs = {"units": units, "long_name": f"standard error of the {text}"}
    result.attrs = {"title": "Calibration of the path posterior"}
    return result.transpose("guidance", "partition", "side", "time")
