r"""The denoising error of a model along its own paths, from the predictions that a run has kept.

The last state of an unguided chain is what its earlier predictions :math:`D(x_\sigma)` were predictions of. So the mean
of :math:`|x_0 - D(x_\sigma)|^2` over trajectories is the error of the denoiser on data that the model itself makes:
twice the rate of information about them (arXiv math/0412108), and what grids of noise levels are made of (2504.13612).
Nothing has to be evaluated again, and data need not be at hand. On data a network errs more, see
`specent.denoising_error`; and the steps of the chain make its samples too narrow, and so the error too small, in
proportion to the length of the steps.
"""

from __future__ import annotations

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from specent import arguments, schema
from specent.analysis.bootstrap import Resampling, check_resampling, draw_weights
from specent.analysis.inputs import refuse_not_finite
from specent.analysis.several_partitions import with_bounds
from specent.errors import SpecentError

Array = NDArray[np.float64]

_LEAST = 3


def path_error(runs: xr.Dataset, *, confidence: float = 0.95, replicates: int = 200, seed: int = 0) -> xr.Dataset:
    """Denoising error of the conditions that drive, at the times of the kept predictions, for `specent.grids`.

    Parameters
    ----------
    runs : Dataset
        Kind ``trajectories`` with predictions at three times at least, see `specent.Record`. Of several guidance
        settings the unguided one is taken.
    confidence : float
        Nominal coverage of the interval.
    replicates, seed : int
        Of the bootstrap over trajectories; at least 50 replicates.

    Returns
    -------
    Dataset
        Not a kind of the data contract. ``denoising_error`` (time), the sum over the features in squared units of the
        data, the mean over the classes by their prior. To the ends of the grid of `runs` it is continued: as it is to
        the highest noise level, and to the lowest by the power law of the last two, between 0 and 2. With
        ``denoising_error_lower`` and ``denoising_error_upper``, for what trajectories differ by at the steps that were
        taken; NaN for a single trajectory of each class.

    Raises
    ------
    SpecentError
        If `runs` has kept no predictions, or no unguided setting, a coordinate is missing, or a number is not finite.

    Examples
    --------
    >>> import specent as sp
    >>> mix = sp.exact.GaussianMixture([[-4.0], [4.0]])
    >>> time = sp.schedules.edm_grid(40, 0.05, 80.0)
    >>> runs = sp.sample(sp.models.mixture(mix), schedule=sp.schedules.VE(), time=time, samples=50, progress=False,
    ...                  record=sp.Record(predictions=[0.1, 1.0, 10.0]))
    >>> path_error(runs).sizes["time"]
    5
    """
    confidence = arguments.number(confidence, "confidence", above=0, below=1)
    resampling = check_resampling(replicates, seed)
    runs = schema.need(runs, "trajectories", "runs", ["final"])
    at = _kept(runs)
    count = int(np.sum(at > 0))
    if count < _LEAST:
        raise SpecentError(
            f"runs has kept predictions at {count} times above its first, and {_LEAST} are needed; sample with "
            "record=specent.Record(predictions=time[::4]), or measure on data with specent.denoising_error"
        )
    plain = np.flatnonzero(runs["guidance_scale"].values == 1.0)
    if not len(plain):
        raise SpecentError(
            f"runs: none of the guidance settings {runs['guidance'].values.tolist()} is unguided, and guided chains "
            "predict what they do not reach; sample an unguided setting too"
        )
    one = runs.isel(guidance=int(plain[0]))
    features = [name for name in one["final"].dims if name not in ("class_label", "sample")]
    if set(one["prediction"].dims) != {*one["final"].dims, "prediction_time"}:
        raise SpecentError("runs: predictions and final samples have other dimensions; select the same of both")
    for name in ("final", "prediction"):
        refuse_not_finite(one, [name], xr.Dataset({name: ((), float(abs(one[name]).max(skipna=False)))}))
    square = (one["final"].astype(float) - one["prediction"].astype(float)) ** 2
    means = _means(one, square.sum(features).transpose("class_label", "sample", "prediction_time"), resampling)
    times = runs["time"].values
    levels = np.exp(-0.5 * runs["log_snr"].values)
    # the last state is its own prediction
    continued = [_to_the_ends(levels, at[at > 0], mean[at > 0]) for mean in means]
    index = continued[0][0]
    values = xr.DataArray(np.stack([error for _, error in continued]), dims=("replicate", "time"))
    words = "mean squared error of predictions of the final samples"
    coordinates = {name: ("time", runs[name].values[index]) for name in ("sigma", "alpha", "log_snr")}
    return xr.Dataset(
        dict(with_bounds(values, "denoising_error", words, "1", confidence)), {"time": times[index], **coordinates},
        {"title": "Denoising error along paths", "denoiser": "along paths", "confidence": confidence},
    )  # fmt: skip


def _kept(runs: xr.Dataset) -> NDArray[np.intp]:
    """Indices of the times of the kept predictions; none without any."""
    for name in ("guidance_scale", "sigma", "alpha", "log_snr", "prediction_time"):
        if name not in runs.coords and (name != "prediction_time" or "prediction" in runs):
            raise SpecentError(f"runs: the coordinate {name!r} is missing; restore it, runs.assign_coords({name}=...)")
    if "prediction" not in runs:
        return np.zeros(0, dtype=np.intp)
    at = np.searchsorted(runs["time"].values, runs["prediction_time"].values)
    inside = at < runs.sizes["time"]
    if not inside.all() or (runs["time"].values[at] != runs["prediction_time"].values).any():
        raise SpecentError("runs: prediction_time holds times that are none of runs; select the same of both")
    if (np.diff(at) <= 0).any():
        raise SpecentError("runs: prediction_time does not ascend; sort it, runs.sortby('prediction_time')")
    return at


def _means(one: xr.Dataset, square: xr.DataArray, resampling: Resampling) -> Array:
    """Mean over classes and trajectories, and its replicates, shape (1 + replicates, times)."""
    prior = one["label_prior"].values if "label_prior" in one.coords else np.ones(one.sizes["class_label"])
    share, values = prior / prior.sum(), square.values
    if one.sizes["sample"] < 2:
        return np.asarray(np.einsum("c,cst->t", share, values)[None])
    numbers = one["sample"].values if "sample" in one.coords else np.arange(one.sizes["sample"])
    names = [str(name) for name in one["class_label"].values]
    drawn = draw_weights(names, numbers, slice(0, len(numbers)), resampling.replicates, resampling.seed)
    return np.asarray(np.einsum("rcs,c,cst->rt", drawn, share, values, optimize=True))


def _to_the_ends(levels: Array, index: NDArray[np.intp], error: Array) -> tuple[NDArray[np.intp], Array]:
    """Indices of noise levels and the error there, continued to the lowest and the highest of all levels."""
    index, error = np.asarray(index), np.asarray(error, dtype=np.float64)
    if index[0] > 0:
        slope = np.diff(np.log(np.maximum(error[:2], np.finfo(float).tiny))) / np.diff(np.log(levels[index[:2]]))
        least = error[0] * (levels[0] / levels[index[0]]) ** np.clip(slope[0], 0.0, 2.0)
        index, error = np.append(0, index), np.append(least, error)
    if index[-1] < len(levels) - 1:
        index, error = np.append(index, len(levels) - 1), np.append(error, error[-1])
    return index, error
