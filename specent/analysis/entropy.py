r"""Conditional entropy of partitions along the reverse process, in bits, from sampled trajectories.

The order of work: trajectories and partitions are read, every estimator takes its numbers from each trajectory, these
are averaged and resampled block by block, become curves and rates, and a dataset with their bounds. What must hold is
tested. The estimators, one file each, are in `specent.analysis.estimators`; they agree if model and discretisation are
good.
"""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Sequence
from os import PathLike
from typing import Any, Literal, NamedTuple

import numpy as np
import xarray as xr

from specent import schema
from specent.analysis import agreement, bootstrap
from specent.analysis.curves import rate_by_differences
from specent.analysis.estimators import ESTIMATORS, Estimator, Means
from specent.analysis.estimators.null import null_floors
from specent.analysis.inputs import as_dataset, checked_runs, refuse_not_finite
from specent.analysis.job import Job
from specent.analysis.posterior import Statistic
from specent.analysis.production import production_sources
from specent.analysis.scored import Partitions, ScoredPartition, scored_partitions
from specent.analysis.statistics import is_statistics, kept_partitions, kept_resampling, means_of_sums
from specent.analysis.trajectory_means import trajectory_means
from specent.arguments import brief, flag, names, number
from specent.axes import check_axis, rate_factor
from specent.errors import CalibrationWarning, SpecentError
from specent.schedules import from_json
from specent.schema import Curve
from specent.schema.definitions import as_settings

# numbers of the curves of which intervals are taken at a time
_NUMBERS = 2**21
_COORDINATES = ("time", "sigma", "alpha", "log_snr", "guidance", "guidance_scale", "sigma_lo", "sigma_hi")


def entropy(
    runs: xr.Dataset | xr.DataTree | str | PathLike[str],
    partitions: Partitions = None,
    estimator: str | Sequence[str] = ("path", "cross_entropy", "denoiser_gap"),
    *,
    rate: Literal["production", "differences"] = "production",
    rate_axis: str = "log_snr",
    confidence: float = 0.95,
    replicates: int | None = None,
    keep_replicates: bool = True,
    seed: int | None = None,
    compute: bool = True,
    progress: bool = True,
) -> xr.Dataset:
    """Entropy, entropy rate and mutual information of partitions, with bootstrap intervals over trajectories.

    Parameters
    ----------
    runs : Dataset, path, or DataTree
        Kind ``trajectories``, in NumPy or Dask arrays; it is streamed block by block. A path is opened lazily; a tree
        must hold one such dataset. A selection of candidates will do: drivers that are scored no longer are left out.
        Or kind ``statistics``, for the partitions of which they were kept.
    partitions : Partition, str, or sequence of these, optional
        The partitions, text as in `Partition.parse`. By default those named when `runs` was sampled.
    estimator : str or sequence of str
        "path", "cross_entropy", "denoiser_gap", "null", "rao_blackwell"; "all" takes those that can be had, and the
        settings say why others were left out.
    rate : {"production", "differences"}
        How rates are taken: from the production along the trajectories, or by second-order differences of the entropy
        curves. The estimator "null" always takes differences.
    rate_axis : {"log_snr", "log_sigma", "sigma", "time"}
        Axis along which the rate is given; the position of its peak depends on it.
    confidence : float
        Nominal coverage of the intervals.
    replicates : int
        Bootstrap replicates over trajectories, at least 50, stratified by driver; 200 by default. All estimators,
        guidance settings, partitions and times share the resampling, so differences between replicates are paired.
        Statistics have theirs already.
    keep_replicates : bool
        Whether replicates are kept in the result, from which `speciation` takes its intervals.
    seed : int
        Seed of the resampling, 0 by default.
    compute : bool
        If False the result is lazy (Dask), values are not checked for NaN and no warning is issued.
    progress : bool
        Whether to show a progress bar on a terminal where it takes more than two seconds.

    Returns
    -------
    Dataset
        Kind ``profiles`` over (estimator, guidance, partition, time): ``entropy``, ``entropy_rate`` and
        ``mutual_information`` in bits with ``_lower`` and ``_upper``. ``impossible`` is 1 where an estimate lies beyond
        the range of an entropy by more than its interval; it is left out where there is none. ``discretisation_bias``
        is how far the finite steps may have moved the entropy, which no interval knows: the distance of "path" and
        "denoiser_gap", whichever were chosen, wherever the production is read; one number for all estimators, and too
        large for "rao_blackwell". The attribute ``disagreements`` lists, as JSON, where estimators part on unguided
        runs.

    Raises
    ------
    SpecentError
        If an argument cannot be used, a partition has an unknown label, the production is needed and not there,
        "denoiser_gap" is wanted of `runs` without their noisy end, or `runs` holds a NaN or an infinity; the message
        names its coordinates.

    Warns
    -----
    CalibrationWarning
        If "path" and "cross_entropy" differ on unguided runs by more than sampling noise explains, if "null" differs
        from them, or if "path" and "denoiser_gap" differ there by more than their intervals and a quarter of the start.

    Notes
    -----
    Intervals hold where the mean is carried by more than a handful of trajectories: about 3 bits in the sum over all of
    them; see `specent.analysis.bootstrap`. They do not know of the error of a finite step, see
    ``discretisation_bias``.

    References
    ----------
    arXiv 2506.10433, 2602.09651, 2302.03792.

    Examples
    --------
    >>> import specent as sp
    >>> mix = sp.exact.GaussianMixture([[-4.0], [4.0]], labels=["left", "right"])
    >>> runs = sp.sample(sp.models.mixture(mix), schedule=sp.schedules.VE(), time=sp.schedules.edm_grid(16),
    ...                  samples=50, progress=False)
    >>> prof = sp.entropy(runs, "left|right", "path")
    >>> round(prof.entropy.isel(time=-1).item(), 9)
    1.0
    """
    named = _named(estimator)
    if not isinstance(rate, str) or rate not in ("production", "differences"):
        raise SpecentError(f"rate={brief(rate)} is not known; use 'production' or 'differences'")
    check_axis(rate_axis, "rate_axis")
    confidence = number(confidence, "confidence", above=0, below=1)
    keep_replicates, compute = flag(keep_replicates, "keep_replicates"), flag(compute, "compute")
    shows = flag(progress, "progress") and compute and sys.stderr.isatty()
    runs = as_dataset(runs, "trajectories", "runs")
    if is_statistics(runs):
        runs, scored = kept_partitions(runs, partitions)
        resampling = kept_resampling(runs, replicates, seed)
    else:
        runs = checked_runs(runs)
        scored = scored_partitions(runs, partitions)
        resampling = bootstrap.check_resampling(200 if replicates is None else replicates, 0 if seed is None else seed)
    lost = next((name for name in _COORDINATES if name not in runs.coords), None)
    if lost is not None:
        raise SpecentError(f"runs: the coordinate {lost!r} is missing; restore it, runs.assign_coords({lost}=...)")
    chosen, left_out = _chosen(named, runs, scored)
    # calibration is tested whatever was chosen, and by the same pass over the data
    checked = list({one.name: one for one in (ESTIMATORS["path"], *chosen)}.values())
    if is_statistics(runs):
        means = means_of_sums(runs, scored, checked)
    else:
        means = _averaged(runs, scored, checked, _sources(runs, scored, chosen, rate), resampling, compute, shows)
    settings = {
        "function": "entropy", "estimator": [one.name for one in chosen], "rate": rate, "rate_axis": rate_axis,
        "replicates": resampling.replicates, "confidence": confidence, "seed": resampling.seed,
        "runs": json.loads(runs.attrs["settings"]), **as_settings([one.partition for one in scored]),
    }  # fmt: skip
    for one in chosen:
        settings |= one.settings(scored)
    if left_out:
        settings["left_out"] = left_out
    floors = null_floors(runs, scored)
    if floors:
        settings["null_floor"] = floors
    options = _Options(rate, rate_axis, confidence, keep_replicates)
    profiles = _profiles(means, chosen, options, settings)
    if compute:
        _warn([text for one in checked for text in one.self_check(means)])
        profiles, texts = agreement.examined(profiles, [one.name for one in chosen if one.agrees])
        _warn(texts)
    return profiles


def _averaged(
    runs: xr.Dataset, scored: list[ScoredPartition], checked: Sequence[Estimator], sources: list[str],
    resampling: bootstrap.Resampling, compute: bool, shows: bool,
) -> Means:  # fmt: skip
    """Means over trajectories, of all that the estimators `checked` need."""
    statistics: list[Statistic] = list({one.name: one for kind in checked for one in kind.statistics}.values())
    job = Job(runs, sources, scored, statistics, resampling.replicates, resampling.seed, shows)
    values = trajectory_means(job, lazy=not compute)
    if compute:
        refuse_not_finite(runs, job.reads, values)
    return Means(runs, scored, values)


def _named(estimator: str | Sequence[str]) -> list[Estimator] | None:
    """The estimators that are named, None for all of them."""
    if isinstance(estimator, str) and estimator == "all":
        return None
    chosen = (estimator,) if isinstance(estimator, str) else names(estimator, "estimator")
    unknown = [name for name in chosen if name not in ESTIMATORS]
    if unknown or not chosen or len(set(chosen)) < len(chosen):
        wrong = f"{unknown[0]!r} is not known" if unknown else "name one at least, and none twice"
        raise SpecentError(f"estimator={brief(estimator)}: {wrong}; the estimators are {', '.join(ESTIMATORS)}")
    return [ESTIMATORS[name] for name in chosen]


def _chosen(
    named: list[Estimator] | None, runs: xr.Dataset, partitions: Sequence[ScoredPartition]
) -> tuple[list[Estimator], dict[str, str]]:
    """The estimators to use, after they have had a look at what they are given, and why others were left out."""
    chosen, left_out = [], {}
    for estimator in ESTIMATORS.values() if named is None else named:
        try:
            estimator.refuse(runs, partitions)
            chosen.append(estimator)
        except SpecentError as error:
            if named is not None:
                raise
            left_out[estimator.name] = str(error)
    return chosen, left_out


def _sources(
    runs: xr.Dataset, partitions: Sequence[ScoredPartition], chosen: Sequence[Estimator], rate: str
) -> list[str]:
    """Variables from which the evidence and, if an estimator needs it, the production are taken."""
    needed = any(one.integrates or (rate == "production" and one.production) for one in chosen)
    return ["log_likelihood", *(production_sources(runs, partitions) if needed else [])]


class _Options(NamedTuple):
    """What curves are made of means by; the arguments of `entropy` of these names."""

    rate: str
    rate_axis: str
    confidence: float
    keep_replicates: bool


def _profiles(means: Means, chosen: Sequence[Estimator], options: _Options, settings: dict[str, Any]) -> xr.Dataset:
    runs, partitions = means.runs, means.partitions
    entropy, entropy_rate = _curves(means, chosen, options)
    extra: dict[str, xr.DataArray] = {}
    for i, estimator in enumerate(chosen):
        own = xr.DataArray([int(i == other) for other in range(len(chosen))], dims="estimator")
        extra |= {name: array * own for name, array in estimator.variables(means).items()}
    bias = _discretisation_bias(means)
    if bias is not None:
        extra["discretisation_bias"] = bias * xr.DataArray(np.ones(len(chosen)), dims="estimator")
    return schema.build_profiles(
        entropy, entropy_rate, prior_entropy=[one.prior_entropy for one in partitions],
        partitions=[one.partition for one in partitions], estimators=[one.name for one in chosen],
        coords=runs[list(_COORDINATES)].coords, extra=extra, settings=settings, parents=[runs],
        title=f"Entropy profiles of {len(partitions)} partition{'s' if len(partitions) != 1 else ''} from trajectories",
        rate_axis=options.rate_axis, schedule=runs.attrs["schedule"], model=runs.attrs["model"],
        guidance_formula=runs.attrs["guidance_formula"], confidence=options.confidence,
    )  # fmt: skip


def _discretisation_bias(means: Means) -> xr.DataArray | None:
    """Distance of the path posterior and the denoiser gap, dims (guidance, partition, time); None without either."""
    both = [ESTIMATORS[name] for name in ("path", "denoiser_gap")]
    if "production" not in means.values:
        return None
    try:
        both[1].refuse(means.runs, means.partitions)
    except SpecentError:
        return None
    estimates = Means(means.runs, means.partitions, means.values.isel(replicate=[0]))
    path, gap = (one.curve(estimates).isel(replicate=0) for one in both)
    return abs(path - gap)


def _curves(means: Means, chosen: Sequence[Estimator], options: _Options) -> tuple[Curve, Curve]:
    """Entropy and its rate with bounds, some partitions at a time: intervals take several times what they are of."""
    runs, partitions = means.runs, means.partitions
    factor = rate_factor(options.rate_axis, runs["log_snr"].values, from_json(str(runs.attrs["schedule"])))
    numbers = len(chosen) * means.values.sizes["replicate"] * runs.sizes["guidance"] * runs.sizes["time"]
    step = max(1, _NUMBERS // numbers)
    entropies, rates = [], []
    for low in range(0, len(partitions), step):
        part = slice(low, low + step)
        some = Means(runs, partitions[part], means.values.isel(partition=part))
        curves = [estimator.curve(some) for estimator in chosen]
        entropies.append(_within(_bounded(curves, options), chosen, some.partitions))
        slopes: dict[str, xr.DataArray] = {}
        keys = [(options.rate == "production" and one.production) or one.name for one in chosen]
        for key, estimator, curve in zip(keys, chosen, curves, strict=True):
            # estimators share a production
            if key not in slopes:
                own = estimator.rate(some) if options.rate == "production" else None
                slope = rate_by_differences(curve, some.log_snr) if own is None else own
                slopes[key] = slope * xr.DataArray(factor, dims="time")
        rates.append(_bounded([slopes[key] for key in keys], options))
    return _joined(entropies), _joined(rates)


def _bounded(curves: Sequence[xr.DataArray], options: _Options) -> Curve:
    """Curves of all estimators, dims (guidance, partition, time, replicate), as one with bounds."""
    # a rate that two of them share has the same bounds
    distinct = {id(curve): (curve, *bootstrap.bounds(curve, options.confidence)) for curve in curves}
    each = [distinct[id(curve)] for curve in curves]
    value, lower, upper = (
        xr.concat(parts, "estimator", join="exact")
        for parts in zip(*((curve.isel(replicate=0), *ends) for curve, *ends in each), strict=True)
    )
    if not options.keep_replicates:
        return Curve(value, lower, upper, None)
    # in single precision before they are joined: they are most of what there is
    kept = [curve.isel(replicate=slice(1, None)).astype(np.float32) for curve in curves]
    return Curve(value, lower, upper, xr.concat(kept, "estimator", join="exact"))


def _joined(parts: Sequence[Curve]) -> Curve:
    fields = [[array for array in arrays if array is not None] for arrays in zip(*parts, strict=True)]
    return Curve(*(xr.concat(arrays, "partition", join="exact") for arrays in fields if arrays))


def _within(entropy: Curve, chosen: Sequence[Estimator], partitions: Sequence[ScoredPartition]) -> Curve:
    """The curve with bounds that never leave the range of the quantity, nor exclude the estimate."""
    limits = np.array([[estimator.limits(len(one.weights)) for one in partitions] for estimator in chosen])
    least, most = (xr.DataArray(limits[..., i], dims=("estimator", "partition")) for i in (0, 1))
    # rounding may leave the estimate outside its range
    lower: xr.DataArray = np.minimum(np.maximum(entropy.lower, least), entropy.value)  # type: ignore[assignment]
    upper: xr.DataArray = np.maximum(np.minimum(entropy.upper, most), entropy.value)  # type: ignore[assignment]
    return entropy._replace(lower=lower, upper=upper)


def _warn(texts: Sequence[str]) -> None:
    for text in texts:
        warnings.warn(text, CalibrationWarning, stacklevel=3)
