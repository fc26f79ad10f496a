r"""Bootstrap over trajectories, stratified by driver, and intervals that respect skewness.

Resampling works on counts: a replicate is the same weighted sum over trajectories with the number of times each was
drawn as extra weight. One matrix of counts serves every guidance setting, partition, time and estimator, so replicates
of differences are paired. Their spread is scaled by :math:`\sqrt{N/(N-1)}`, which a plug-in variance lacks.

Entropies of single trajectories are skewed (most of them near 0 or near their maximum), where percentile intervals
cover too little. To first order in its skewness k the studentised mean has the quantiles :math:`z - k(2z^2 + 1)/6` (P.
Hall, *J. R. Statist. Soc.* B 54, 221, 1992). The intervals here come from a monotone map that agrees with them: with a
normal quantile z and the standard deviation s and skewness k of the replicates,

.. math:: \theta(z) = \hat\theta + s\,\Bigl(\frac{e^{az} - 1}{a} + \frac{k}{6}\Bigr) , \qquad a = \tfrac23 k ,

which tends to the normal interval for small k and grows evenly with it, where Hall's own cubic transformation leaps
from 4 to 8 standard deviations near k = 1/2. The skewness of R replicates has a standard error of
:math:`e = \sqrt{6/R}`; only the share :math:`k^2/(k^2 + e^2)` of it is used, so that noise does not move the bounds.

Nominal 95 % intervals of means over two classes of 100 trajectories each cover in about 94 % of cases as long as the
mean is above about 3 bit / (number of trajectories). Below that, where fewer than a few trajectories carry all of the
entropy, no resampling can know of the rare ones that are not in the sample: the intervals are then too low, and more
samples are the only remedy.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.special import ndtri

from specent.analysis.posterior import Statistic
from specent.analysis.scored import ScoredPartition, shares
from specent.arguments import number, whole

Array = NDArray[np.float64]

FEWEST = 50
"""Replicates that are needed: of fewer, standard deviation and skewness are noise."""

MOST = 100_000
"""Replicates that are taken at most: their weights are held in memory, and more of them change no digit."""

# samples whose counts are drawn together; another value is another stream of random numbers
_STRIDE = 256


def check_options(confidence: float, replicates: int, seed: int) -> tuple[float, int, int]:
    """The options of a bootstrap as plain numbers, or a `SpecentError` that names the one that is unusable."""
    return (
        number(confidence, "confidence", above=0, below=1),
        whole(replicates, "replicates", least=FEWEST, most=MOST),
        whole(seed, "seed", most=2**256 - 1),
    )


def distinct_replicates(profiles: xr.Dataset) -> int:
    """How many different replicates profiles have; a selection may have left few, or one of them many times.

    Examples
    --------
    >>> distinct_replicates(xr.Dataset(coords={"replicate": [0, 0, 1]}))
    2
    """
    if "replicate" not in profiles.coords:
        return int(profiles.sizes.get("replicate", 0))
    return len(np.unique(profiles["replicate"].values))


def draw_weights(classes: tuple[int, int], part: tuple[int, int], samples: int, replicates: int, seed: int) -> Array:
    """Weights of trajectories in the estimate (first) and in every bootstrap replicate.

    The samples of a class are drawn in strides of 256: how often each stride is drawn, then each sample of it. So any
    block can be made by itself, without the others, and has the same numbers whatever the blocks are.

    Parameters
    ----------
    classes, part : tuple of int
        First and last plus one of the classes, and of their samples, for which weights are wanted.
    samples : int
        Trajectories per class.
    replicates : int
        How many.
    seed : int
        Of the streams.

    Returns
    -------
    ndarray, shape (1 + replicates, classes, samples of the part)
        Over all samples of a class the weights sum to 1.

    Examples
    --------
    >>> draw_weights((0, 2), (0, 4), samples=4, replicates=20, seed=0).sum(axis=-1).round(12).min().item()
    1.0
    """
    out = np.empty((1 + replicates, classes[1] - classes[0], part[1] - part[0]))
    out[0] = 1 / samples
    scale = np.sqrt(samples / (samples - 1))
    for row, label in enumerate(range(*classes)):
        counts = _draw_counts(label, part, samples, replicates, seed)
        out[1:, row] = (1 + scale * (counts - 1)) / samples
    return out


def _draw_counts(label: int, part: tuple[int, int], samples: int, replicates: int, seed: int) -> NDArray[np.int64]:
    sizes = np.minimum(_STRIDE, samples - np.arange(0, samples, _STRIDE))
    totals = np.random.default_rng([seed, label, 0]).multinomial(samples, sizes / samples, size=replicates)
    first, last = part[0] // _STRIDE, (part[1] - 1) // _STRIDE
    strides = [
        np.random.default_rng([seed, label, 1 + b]).multinomial(totals[:, b], np.full(sizes[b], 1 / sizes[b]))
        for b in range(first, last + 1)
    ]
    return np.concatenate(strides, axis=1)[:, part[0] - first * _STRIDE : part[1] - first * _STRIDE]


def resampled(statistic: xr.DataArray, share: xr.DataArray, replicates: int, seed: int) -> xr.DataArray:
    """Mean of a statistic over the trajectories of a partition, and its bootstrap replicates.

    Parameters
    ----------
    statistic : DataArray, dims (class_label, sample, ...)
        One number per trajectory.
    share : DataArray, dims (class_label, ...)
        Weight of each class, summing to 1.
    replicates : int
        How many.
    seed : int
        Of the resampling.

    Returns
    -------
    DataArray, dims (replicate, ...)
        The estimate at index 0, replicates from 1 on. Lazy if the statistic is.
    """
    weighted = (statistic * share).transpose("class_label", "sample", ...)
    rest = weighted.dims[2:]
    means: xr.DataArray = xr.apply_ufunc(
        _contract,
        _weights(weighted, replicates, seed),
        weighted,
        input_core_dims=[["replicate", "class_label", "sample"], ["class_label", "sample", *rest]],
        output_core_dims=[["replicate", *rest]],
        dask="allowed",
    )
    return means


def statistic_means(
    values: xr.DataArray,
    statistics: Sequence[Statistic],
    partitions: Sequence[ScoredPartition],
    replicates: int,
    seed: int,
) -> dict[str, xr.DataArray]:
    """Every statistic over the trajectories of each partition, in its own way.

    Parameters
    ----------
    values : DataArray, dims (class_label, sample, ..., partition, statistic)
        One number per trajectory.
    statistics : sequence of Statistic
        What they are.
    partitions : sequence of ScoredPartition
        The partitions.
    replicates, seed : int
        Of the resampling.

    Returns
    -------
    dict of DataArray
        By the names of the statistics: means with the estimate at index 0 of ``replicate`` and replicates from 1 on;
        counts and variances without replicates. Lazy if the values are.
    """
    share = shares(partitions)
    # one contraction of all statistics keeps no single one of all trajectories in memory; the variance of a mean over
    # trajectories of weight share / samples has that weight once more
    once = xr.ones_like(share)
    scale = [share / values.sizes["sample"] if one.over == "variance" else once for one in statistics]
    means = resampled(values * xr.concat(scale, "statistic"), share, replicates, seed)
    out: dict[str, xr.DataArray] = {}
    for i, one in enumerate(statistics):
        if one.over == "mean":
            out[one.name] = means.isel(statistic=i)
        elif one.over == "variance":
            out[one.name] = means.isel(statistic=i, replicate=0)
        else:
            # drivers on no side took part in nothing
            out[one.name] = values.isel(statistic=i).where(share > 0, 0.0).sum(("class_label", "sample"))
    return out


def variance_of_mean(variance: xr.DataArray, share: xr.DataArray) -> xr.DataArray:
    """Variance of the mean over the trajectories of a partition if each of them has the given variance."""
    total = (variance * share**2).sum(("class_label", "sample"), skipna=False)
    return total / variance.sizes["sample"] ** 2


def _contract(weights: Any, statistic: Any) -> Any:
    with np.errstate(invalid="ignore"):  # what is not finite is reported with its coordinates
        return np.tensordot(weights, statistic, axes=2)


def _weights(statistic: xr.DataArray, replicates: int, seed: int) -> xr.Variable:
    classes, samples = statistic.sizes["class_label"], statistic.sizes["sample"]
    dims = ("replicate", "class_label", "sample")
    if statistic.chunks is None:
        return xr.Variable(dims, draw_weights((0, classes), (0, samples), samples, replicates, seed))
    import dask.array as da

    drawn = da.map_blocks(  # type: ignore[no-untyped-call]
        _weights_block,
        samples,
        replicates,
        seed,
        chunks=((1 + replicates,), statistic.chunksizes["class_label"], statistic.chunksizes["sample"]),
        dtype=np.float64,
        meta=np.empty((0, 0, 0)),
    )
    return xr.Variable(dims, drawn)


def _weights_block(samples: int, replicates: int, seed: int, block_info: Any = None) -> Array:
    _, classes, part = block_info[None]["array-location"]
    return draw_weights(classes, part, samples, replicates, seed)


def skewed_interval(values: Array, confidence: float) -> Array:
    """Lower and upper bound from an estimate and its replicates, corrected for skewness.

    Parameters
    ----------
    values : ndarray, shape (..., 1 + replicates)
        The estimate at index 0, replicates from 1 on.
    confidence : float
        Probability that the interval should cover.

    Returns
    -------
    ndarray, shape (..., 2)
        Around the estimate.

    Examples
    --------
    >>> normal = np.append(0.0, ndtri((np.arange(1000) + 0.5) / 1000))
    >>> skewed_interval(normal, 0.95).round(2).tolist()
    [-1.96, 1.96]
    """
    estimate, replicates = values[..., :1], values[..., 1:]
    centred = replicates - replicates.mean(axis=-1, keepdims=True)
    # scaled before it is cubed: a spread of 1e-110 would underflow
    spread = np.sqrt(np.mean(centred**2, axis=-1, keepdims=True))
    unit = np.divide(centred, spread, out=np.zeros_like(centred), where=spread > 0)
    skewness = np.mean(unit**3, axis=-1, keepdims=True)
    # what cannot be told from none is shrunk towards none
    skewness = skewness**3 / (skewness**2 + 6 / replicates.shape[-1])
    scale = np.where(np.abs(skewness) < 1e-4, 1e-4, 2 / 3 * skewness)
    quantile = ndtri(0.5 + confidence / 2) * np.array([-1.0, 1.0])
    ends = estimate + (np.expm1(scale * quantile) / scale + skewness / 6) * spread
    # at low confidence and high skewness both ends can lie on one side
    return np.concatenate([np.minimum(ends[..., :1], estimate), np.maximum(ends[..., 1:], estimate)], axis=-1)


def bounds(values: xr.DataArray, confidence: float) -> tuple[xr.DataArray, xr.DataArray]:
    """Lower and upper bound of an estimate with its replicates along the dimension ``replicate``."""
    pair = xr.apply_ufunc(
        skewed_interval,
        values,
        input_core_dims=[["replicate"]],
        output_core_dims=[["bound"]],
        kwargs={"confidence": confidence},
        dask="parallelized",
        output_dtypes=[np.float64],
        dask_gufunc_kwargs={"output_sizes": {"bound": 2}},
    )
    return pair.isel(bound=0), pair.isel(bound=1)
