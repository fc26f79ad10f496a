r"""Bootstrap over trajectories, stratified by driver, and intervals that respect skewness.

Resampling works on counts: a replicate is the same weighted sum over trajectories with the number of times each was
drawn as extra weight. One matrix of counts serves every guidance setting, partition, time and estimator, so replicates
of differences are paired. Their spread is scaled by :math:`\sqrt{N/(N-1)}`, which a plug-in variance lacks.

Entropies of single trajectories are skewed (most of them near 0 or near their maximum), where percentile intervals
cover too little. The intervals here invert Hall's cubic transformation of the studentised mean (P. Hall, *J. R.
Statist. Soc.* B 54, 221, 1992): with a normal quantile z and the standard deviation s and skewness k of the replicates,

.. math:: \theta(z) = \hat\theta - s\,\frac{3}{k}\Bigl(\bigl(1 + k(z - k/6)\bigr)^{1/3} - 1\Bigr) ,

a monotone map that tends to the normal interval for small k. Nominal 95 % intervals of means over two classes of 100
trajectories each cover in 93-96 % of cases as long as the mean is above about 3 bit / (number of trajectories).
Below that, where fewer than a few trajectories carry all of the entropy, no resampling can know of the rare ones that
are not in the sample: the intervals are then too low, and more samples are the only mend.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.special import ndtri

from specent.errors import SpecentError

Array = NDArray[np.float64]


def check_options(confidence: float, replicates: int, seed: int) -> None:
    """Raise `SpecentError` unless the options of a bootstrap are usable."""
    check_confidence(confidence)
    if isinstance(replicates, bool) or not isinstance(replicates, (int, np.integer)) or replicates < 20:
        raise SpecentError(f"replicates={replicates!r} must be a whole number, at least 20; 200 will do")
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
        raise SpecentError(f"seed={seed!r} must be a whole number, 0 or above")


def check_confidence(confidence: float) -> None:
    """Raise `SpecentError` unless `confidence` is a probability strictly between 0 and 1."""
    if not 0 < confidence < 1:
        raise SpecentError(f"confidence={confidence!r} must lie strictly between 0 and 1, for example 0.95")


def draw_weights(classes: NDArray[np.int64], samples: int, replicates: int, seed: int) -> Array:
    """Weights of the trajectories in the estimate (first) and in every bootstrap replicate.

    Parameters
    ----------
    classes : ndarray of int, shape (classes,)
        Places of the classes among all: each has a random stream of its own, so blocks give the same numbers.
    samples, replicates : int
        How many of each, trajectories per class.
    seed : int
        Of the streams.

    Returns
    -------
    ndarray, shape (1 + replicates, classes, samples)
        Each row of samples sums to 1.

    Examples
    --------
    >>> draw_weights(np.arange(2), 4, 20, 0).sum(axis=-1).round(12).min()
    np.float64(1.0)
    """
    out = np.empty((1 + replicates, len(classes), samples))
    out[0] = 1 / samples
    offset = samples * np.arange(replicates)[:, None]
    for place, label in enumerate(classes):
        drawn = np.random.default_rng([seed, int(label)]).integers(samples, size=(replicates, samples))
        counts = np.bincount((drawn + offset).ravel(), minlength=replicates * samples).reshape(replicates, samples)
        out[1:, place] = (1 + np.sqrt(samples / (samples - 1)) * (counts - 1)) / samples
    return out


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
        The estimate at place 0, replicates from 1 on. Lazy if the statistic is.
    """
    weighted = (statistic * share).transpose("class_label", "sample", ...)
    rest = weighted.dims[2:]
    made: xr.DataArray = xr.apply_ufunc(
        _contract,
        _weights(weighted, replicates, seed),
        weighted,
        input_core_dims=[["replicate", "class_label", "sample"], ["class_label", "sample", *rest]],
        output_core_dims=[["replicate", *rest]],
        dask="allowed",
    )
    return made


def variance_of_mean(variance: xr.DataArray, share: xr.DataArray) -> xr.DataArray:
    """Variance of the mean over the trajectories of a partition if each of them has the given variance."""
    total = (variance * share**2).sum(("class_label", "sample"), skipna=False)
    return total / variance.sizes["sample"] ** 2


def _contract(weights: Any, statistic: Any) -> Any:
    return np.tensordot(weights, statistic, axes=2)


def _weights(statistic: xr.DataArray, replicates: int, seed: int) -> xr.Variable:
    samples, classes = statistic.sizes["sample"], np.arange(statistic.sizes["class_label"])
    dims = ("replicate", "class_label", "sample")
    if statistic.chunks is None:
        return xr.Variable(dims, draw_weights(classes, samples, replicates, seed))
    import dask.array as da
    from dask.delayed import delayed

    ends = np.cumsum((0, *statistic.chunksizes["class_label"]))
    parts = []
    for low, high in pairwise(ends):
        block = delayed(draw_weights, pure=True)(classes[low:high], samples, replicates, seed)
        parts.append(da.from_delayed(block, (1 + replicates, high - low, samples), np.float64))  # type: ignore[no-untyped-call]
    drawn = da.concatenate(parts, axis=1)  # type: ignore[no-untyped-call]
    return xr.Variable(dims, drawn.rechunk({2: statistic.chunksizes["sample"]}))


def skewed_interval(values: Array, confidence: float) -> Array:
    """Lower and upper bound from an estimate and its replicates, by Hall's transformation.

    Parameters
    ----------
    values : ndarray, shape (..., 1 + replicates)
        The estimate at place 0, replicates from 1 on.
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
    skewness = np.where(np.abs(skewness) < 1e-4, 1e-4, skewness)
    quantile = ndtri(0.5 + confidence / 2) * np.array([1.0, -1.0])
    root = np.cbrt(1 + skewness * (quantile - skewness / 6))
    return np.asarray(estimate - 3 / skewness * (root - 1) * spread)


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
