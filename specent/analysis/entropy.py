r"""Conditional entropy of partitions along the reverse process, in bits, from sampled trajectories.

The order of work: trajectories and partitions are read, every estimator takes its numbers from each trajectory, these
are averaged and resampled, become curves and rates, and a dataset with their bounds. What must hold is tested. The
estimators, one file each, are in `specent.analysis.estimators`; they agree if model and discretisation are good.
"""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Sequence
from contextlib import nullcontext
from os import PathLike
from typing import Any, Literal

import numpy as np
import xarray as xr
from dask.diagnostics.progress import ProgressBar

from specent import schema
from specent.analysis import agreement, bootstrap
from specent.analysis.curves import rate_by_differences
from specent.analysis.estimators import ESTIMATORS, Estimator, Means
from specent.analysis.estimators.null import null_floors
from specent.analysis.inputs import checked_runs, refuse_not_finite
from specent.analysis.posterior import Statistic, path_statistics, streamed
from specent.analysis.production import PRODUCTION, production, production_sources
from specent.analysis.scored import Partitions, ScoredPartition, scored_partitions, shares
from specent.arguments import brief, flag, names
from specent.axes import check_axis, rate_factor
from specent.errors import CalibrationWarning, SpecentError
from specent.evidence import BITS_PER_NAT
from specent.schedules import from_json
from specent.schema import Curve

_COORDINATES = ("time", "sigma", "alpha", "log_snr", "guidance", "guidance_scale", "sigma_lo", "sigma_hi")


def entropy(
    runs: xr.Dataset | xr.DataTree | str | PathLike[str],
    partitions: Partitions = None,
    estimator: str | Sequence[str] = ("path", "cross_entropy", "denoiser_gap"),
    *,
    rate: Literal["production", "differences"] = "production",
    rate_axis: str = "log_snr",
    confidence: float = 0.95,
    replicates: int = 200,
    keep_replicates: bool = True,
    seed: int = 0,
    compute: bool = True,
    progress: bool = True,
) -> xr.Dataset:
    """Entropy, entropy rate and mutual information of partitions, with bootstrap intervals over trajectories.

    Parameters
    ----------
    runs : Dataset, path, or DataTree
        Kind ``trajectories``, in NumPy or Dask arrays; it is streamed block by block. A path is opened lazily; a tree
        must hold one such dataset. A selection of candidates will do: drivers that are scored no longer are left out.
    partitions : Partition, str, or sequence of these, optional
        The partitions, text as in `Partition.parse`. By default those named when `runs` was sampled.
    estimator : str or sequence of str
        "path", "cross_entropy", "denoiser_gap", "null".
    rate : {"production", "differences"}
        How rates are taken: from the production along the trajectories, or by second-order differences of the entropy
        curves. The estimator "null" always takes differences.
    rate_axis : {"log_snr", "log_sigma", "sigma", "time"}
        Axis along which the rate is given; the position of its peak depends on it.
    confidence : float
        Nominal coverage of the intervals.
    replicates : int
        Bootstrap replicates over trajectories, at least 50, stratified by driver. All estimators, guidance settings,
        partitions and times share the resampling, so differences between replicates are paired.
    keep_replicates : bool
        Whether replicates are kept in the result, from which `speciation` takes its intervals.
    seed : int
        Seed of the resampling.
    compute : bool
        If False the result is lazy (Dask), values are not checked for NaN and no warning is issued.
    progress : bool
        Whether to show a progress bar on a terminal where it takes more than two seconds.

    Returns
    -------
    Dataset
        Kind ``profiles`` over (estimator, guidance, partition, time): ``entropy``, ``entropy_rate`` and
        ``mutual_information`` in bits with ``_lower`` and ``_upper``. ``impossible`` is 1 where an estimate lies beyond
        the range of an entropy by more than its interval; it is left out where there is none. The attribute
        ``disagreements`` lists, as JSON, where estimators part on unguided runs.

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
    them; see `specent.analysis.bootstrap`. They do not know of the error of a finite step.

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
    chosen = _chosen(estimator)
    if not isinstance(rate, str) or rate not in ("production", "differences"):
        raise SpecentError(f"rate={brief(rate)} is not known; use 'production' or 'differences'")
    check_axis(rate_axis, "rate_axis")
    confidence, replicates, seed = bootstrap.check_options(confidence, replicates, seed)
    keep_replicates, compute = flag(keep_replicates, "keep_replicates"), flag(compute, "compute")
    shows = flag(progress, "progress") and compute and sys.stderr.isatty()
    runs = checked_runs(runs)
    scored = scored_partitions(runs, partitions)
    sources = _sources(runs, scored, chosen, rate)
    # calibration is tested whatever was chosen, and by the same pass over the data
    checked = list({one.name: one for one in (ESTIMATORS["path"], *chosen)}.values())
    values = _means(runs, scored, checked, sources, replicates, seed)
    if compute:
        with ProgressBar(minimum=2.0, out=sys.stderr) if shows else nullcontext():  # type: ignore[no-untyped-call]
            values = values.compute()
        refuse_not_finite(runs, sources, values)
    means = Means(runs, scored, values)
    curves, rates = _curves(means, chosen, rate)
    settings = {
        "function": "entropy", "estimator": [one.name for one in chosen], "rate": rate, "rate_axis": rate_axis,
        "replicates": replicates, "partitions": [json.loads(one.partition.to_json()) for one in scored],
        "confidence": confidence, "seed": seed, "runs": json.loads(runs.attrs["settings"]),
    }  # fmt: skip
    for one in chosen:
        settings |= one.settings(scored)
    floors = null_floors(runs, scored)
    if floors:
        settings["null_floor"] = floors
    profiles = _profiles(curves, rates, means, chosen, settings, rate_axis, confidence, keep_replicates)
    if compute:
        _warn([text for one in checked for text in one.self_check(means)])
        profiles, texts = agreement.examined(profiles, [one.name for one in chosen if one.agrees])
        _warn(texts)
    return profiles


def _chosen(estimator: str | Sequence[str]) -> list[Estimator]:
    chosen = (estimator,) if isinstance(estimator, str) else names(estimator, "estimator")
    unknown = [name for name in chosen if name not in ESTIMATORS]
    if unknown or not chosen or len(set(chosen)) < len(chosen):
        wrong = f"{unknown[0]!r} is not known" if unknown else "name one at least, and none twice"
        raise SpecentError(f"estimator={brief(estimator)}: {wrong}; the estimators are {', '.join(ESTIMATORS)}")
    return [ESTIMATORS[name] for name in chosen]


def _sources(
    runs: xr.Dataset, partitions: Sequence[ScoredPartition], chosen: Sequence[Estimator], rate: str
) -> list[str]:
    """Variables that are read, after the estimators have had a look at what they are given."""
    for estimator in chosen:
        estimator.refuse(runs, partitions)
    needed = any(one.integrates or (rate == "production" and one.production) for one in chosen)
    return ["log_likelihood", *(production_sources(runs, partitions) if needed else [])]


def _means(
    runs: xr.Dataset, partitions: Sequence[ScoredPartition], estimators: Sequence[Estimator], sources: list[str],
    replicates: int, seed: int,
) -> xr.Dataset:  # fmt: skip
    """Every statistic over trajectories, small and still lazy if `runs` is."""
    candidates, count = runs.sizes["candidate"], len(partitions)
    inner = candidates + 8 * count + (4 * candidates**2 if "denoiser_distance" in sources else 0)
    blocks = streamed(runs, sources, inner)
    statistics: list[Statistic] = list({one.name: one for kind in estimators for one in kind.statistics}.values())
    values = path_statistics(runs, blocks, partitions, statistics)
    means = bootstrap.statistic_means(values, statistics, partitions, replicates, seed)
    if len(sources) > 1:
        bits = BITS_PER_NAT * bootstrap.resampled(
            production(runs, blocks, partitions), shares(partitions), replicates, seed
        )
        means |= {name: bits.isel(statistic=i) for i, name in enumerate(PRODUCTION)}
    return xr.Dataset(means)


def _curves(means: Means, chosen: Sequence[Estimator], rate: str) -> tuple[xr.DataArray, xr.DataArray]:
    """Entropy and its rate per unit log_snr, dims (estimator, replicate, guidance, partition, time)."""
    lazy = any(variable.chunks for variable in means.values.variables.values())
    values = means.values.chunk({"time": -1, "replicate": -1}) if lazy else means.values
    whole = Means(means.runs, means.partitions, values)
    curves, rates = [], []
    for estimator in chosen:
        curve = estimator.curve(whole)
        curves.append(curve)
        recorded = estimator.production if rate == "production" else ""
        rates.append(whole[recorded] if recorded else rate_by_differences(curve, whole.log_snr))
    return xr.concat(curves, "estimator", join="exact"), xr.concat(rates, "estimator", join="exact")


def _profiles(
    curves: xr.DataArray, rates: xr.DataArray, means: Means, chosen: Sequence[Estimator], settings: dict[str, Any],
    rate_axis: str, confidence: float, keep_replicates: bool,
) -> xr.Dataset:  # fmt: skip
    runs, partitions = means.runs, means.partitions
    factor = rate_factor(rate_axis, runs["log_snr"].values, from_json(str(runs.attrs["schedule"])))
    entropy = _bounded(curves, confidence, keep_replicates)
    entropy_rate = _bounded(rates * xr.DataArray(factor, dims="time"), confidence, keep_replicates)
    extra: dict[str, xr.DataArray] = {}
    for i, estimator in enumerate(chosen):
        own = xr.DataArray([int(i == other) for other in range(len(chosen))], dims="estimator")
        extra |= {name: array * own for name, array in estimator.variables(means).items()}
    return schema.build_profiles(
        _within(entropy, chosen, partitions), entropy_rate,
        prior_entropy=[one.prior_entropy for one in partitions],
        partitions=[one.partition for one in partitions], estimators=[one.name for one in chosen],
        coords=runs[list(_COORDINATES)].coords, extra=extra, settings=settings, parents=[runs],
        title=f"Entropy profiles of {len(partitions)} partition(s) from trajectories",
        rate_axis=rate_axis, schedule=runs.attrs["schedule"], model=runs.attrs["model"],
        guidance_formula=runs.attrs["guidance_formula"], confidence=confidence,
    )  # fmt: skip


def _bounded(values: xr.DataArray, confidence: float, keep_replicates: bool) -> Curve:
    lower, upper = bootstrap.bounds(values, confidence)
    replicates = values.isel(replicate=slice(1, None)) if keep_replicates else None
    return Curve(values.isel(replicate=0), lower, upper, replicates)


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
