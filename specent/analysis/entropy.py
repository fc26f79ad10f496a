r"""Conditional entropy of partitions along the reverse process, in bits, from sampled trajectories.

Estimators (all of them agree if model and discretisation are good; their disagreement is the diagnosis):

- ``path``: mean entropy of the posterior given the path (arXiv 2506.10433, 2602.09651);
- ``cross_entropy``: mean of :math:`-\log P(z)` of the driving side, the same number on unguided runs;
- ``denoiser_gap``: the prior entropy less the integral of the production (arXiv math/0412108, 2302.03792; Ito's form
  under guidance), the rate without differentiation;
- ``null``: the null condition in place of the other classes, an option with a warning, see `specent.analysis.null`.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import xarray as xr

from specent import arguments, schema
from specent.analysis import bootstrap, calibration
from specent.analysis.null import check_null, evaluations, null_entropies, null_floors
from specent.analysis.posterior import (
    NAT,
    Question,
    along_candidates,
    check_finite,
    check_start,
    checked_runs,
    questions,
    streamed,
)
from specent.analysis.production import PRODUCTION, differences, integrated, production, production_sources
from specent.arguments import brief, flag
from specent.axes import check_axis, rate_factor
from specent.errors import CalibrationWarning, SpecentError
from specent.partitions import Partition
from specent.schedules import from_json
from specent.schema import NULL, coordinates

ESTIMATORS = ("path", "cross_entropy", "denoiser_gap", "null")


def entropy(
    runs: xr.Dataset,
    partitions: Partition | str | Sequence[Partition | str] | None = None,
    estimator: str | Sequence[str] = ("path", "cross_entropy", "denoiser_gap"),
    *,
    rate: Literal["production", "differences"] = "production",
    rate_axis: str = "log_snr",
    confidence: float = 0.95,
    replicates: int = 200,
    keep_replicates: bool = True,
    seed: int = 0,
    compute: bool = True,
) -> xr.Dataset:
    """Entropy, entropy rate and mutual information of partitions, with bootstrap intervals over trajectories.

    Parameters
    ----------
    runs : Dataset
        Kind ``trajectories``, in NumPy or Dask arrays; it is streamed block by block. A selection of candidates will
        do: drivers that are scored no longer are left out.
    partitions : Partition, str, or sequence of these, optional
        Questions to ask, text as in `Partition.parse`. By default those named when `runs` was sampled.
    estimator : str or sequence of str
        "path", "cross_entropy", "denoiser_gap", "null".
    rate : {"production", "differences"}
        How rates are taken: from the production along the trajectories, or by second-order differences of the entropy
        curves. The estimator "null" always takes differences.
    rate_axis : {"log_snr", "log_sigma", "sigma", "time"}
        Axis along which the rate is given; the place of its peak depends on it.
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

    Returns
    -------
    Dataset
        Kind ``profiles`` over (estimator, guidance, partition, time): ``entropy``, ``entropy_rate`` and
        ``mutual_information`` in bits with ``_lower`` and ``_upper``.

    Raises
    ------
    SpecentError
        If an argument cannot be used, a partition has an unknown label, the production is asked for and not there,
        "denoiser_gap" is asked of `runs` without their noisy end, or `runs` holds a NaN or an infinity; the message
        names the place.

    Warns
    -----
    CalibrationWarning
        If "path" and "cross_entropy" differ on unguided runs by more than sampling noise explains, or "null" differs
        from them.

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
    names = _estimators(estimator)
    if not isinstance(rate, str) or rate not in ("production", "differences"):
        raise SpecentError(f"rate={brief(rate)} is not known; use 'production' or 'differences'")
    check_axis(rate_axis, "rate_axis")
    confidence, replicates, seed = bootstrap.check_options(confidence, replicates, seed)
    keep_replicates, compute = flag(keep_replicates, "keep_replicates"), flag(compute, "compute")
    runs = checked_runs(runs)
    asked = questions(runs, partitions)
    sources = _sources(runs, asked, names, rate)
    means = _means(runs, asked, names, sources, replicates, seed)
    if compute:
        means = means.compute()
        check_finite(runs, sources, means)
    curves, rates = _curves(means, asked, names, rate, runs)
    settings = {
        "function": "entropy", "estimator": list(names), "rate": rate, "rate_axis": rate_axis, "replicates": replicates,
        "partitions": [json.loads(question.partition.to_json()) for question in asked], "confidence": confidence,
        "seed": seed, "runs": json.loads(runs.attrs["settings"]),
    }  # fmt: skip
    if NULL in names:
        settings["null_evaluations"] = {question.partition.name: evaluations(question) for question in asked}
    floors = null_floors(runs, asked)
    if floors:
        settings["null_floor"] = floors
    made = _profiles(curves, rates, means, runs, asked, names, rate_axis, confidence, keep_replicates)
    result = schema.finish(
        made, "profiles", title=f"Entropy profiles of {len(asked)} partition(s) from trajectories", settings=settings,
        parents=[runs], rate_axis=rate_axis, schedule=runs.attrs["schedule"], model=runs.attrs["model"],
        guidance_formula=runs.attrs["guidance_formula"], confidence=confidence,
    )  # fmt: skip
    if compute:
        _warn(runs, means, asked, names)
    return result


def _estimators(estimator: str | Sequence[str]) -> tuple[str, ...]:
    names = (estimator,) if isinstance(estimator, str) else arguments.names(estimator, "estimator")
    unknown = [name for name in names if name not in ESTIMATORS]
    if unknown or not names or len(set(names)) < len(names):
        wrong = f"{unknown[0]!r} is not known" if unknown else "name one at least, and none twice"
        raise SpecentError(f"estimator={brief(estimator)}: {wrong}; the estimators are {', '.join(ESTIMATORS)}")
    return names


def _sources(runs: xr.Dataset, asked: Sequence[Question], names: tuple[str, ...], rate: str) -> list[str]:
    """Variables that are read, after checking that they are there."""
    if NULL in names:
        check_null(runs, asked)
    if "denoiser_gap" in names:
        check_start(runs, "estimator 'denoiser_gap' would lack what was produced there")
    needed = "denoiser_gap" in names or (rate == "production" and set(names) != {NULL})
    return ["log_likelihood", *(production_sources(runs, asked) if needed else [])]


def _means(
    runs: xr.Dataset, asked: Sequence[Question], names: tuple[str, ...], sources: list[str], replicates: int, seed: int
) -> xr.Dataset:
    """Means over trajectories (replicate 0) and their replicates, small and still lazy if `runs` is."""
    candidates, count = runs.sizes["candidate"], len(asked)
    inner = candidates + 8 * count + (4 * candidates**2 if "denoiser_distance" in sources else 0)
    blocks = streamed(runs, sources, inner)
    means = calibration.path_means(blocks, asked, replicates, seed)
    share = calibration.shares(asked)
    if len(sources) > 1:
        produced = NAT * bootstrap.resampled(production(runs, blocks, asked), share, replicates, seed)
        means |= {name: produced.isel(statistic=i) for i, name in enumerate(PRODUCTION)}
    if NULL in names:
        place = [str(name) for name in runs["candidate"].values].index(NULL)
        prior = runs["candidate_prior"].values
        two = along_candidates(null_entropies, blocks, asked, 2, partitions=asked, prior=prior, null=place)
        two = xr.DataArray(two)
        means[NULL] = bootstrap.resampled(two.isel(statistic=0), share, replicates, seed)
        # the null condition may have driven trajectories that the partition does not look at
        means["clipped"] = two.isel(statistic=1).where(share > 0, 0.0).sum(("class_label", "sample"))
    return xr.Dataset(means)


def _curves(
    means: xr.Dataset, asked: Sequence[Question], names: tuple[str, ...], rate: str, runs: xr.Dataset
) -> tuple[xr.DataArray, xr.DataArray]:
    """Entropy and its rate per unit log_snr, dims (estimator, replicate, guidance, partition, time)."""
    lazy = any(variable.chunks for variable in means.variables.values())
    whole = means.chunk({"time": -1, "replicate": -1}) if lazy else means
    log_snr = xr.DataArray(runs["log_snr"].variable)
    start = xr.DataArray([question.prior_entropy for question in asked], dims="partition")
    recorded = {"path": "production", "denoiser_gap": "production", "cross_entropy": "cross_production"}
    curves, rates = [], []
    for name in names:
        curve = start - integrated(whole["production"], log_snr) if name == "denoiser_gap" else whole[name]
        differ = rate == "differences" or name == NULL
        curves.append(curve)
        rates.append(differences(curve, log_snr) if differ else whole[recorded[name]])
    return xr.concat(curves, "estimator", join="exact"), xr.concat(rates, "estimator", join="exact")


def _profiles(
    curves: xr.DataArray, rates: xr.DataArray, means: xr.Dataset, runs: xr.Dataset, asked: Sequence[Question],
    names: tuple[str, ...], rate_axis: str, confidence: float, keep_replicates: bool,
) -> xr.Dataset:  # fmt: skip
    schedule = from_json(str(runs.attrs["schedule"]))
    rates = rates * xr.DataArray(rate_factor(rate_axis, runs["log_snr"].values, schedule), dims="time")
    start = xr.DataArray([question.prior_entropy for question in asked], dims="partition")
    made: dict[str, Any] = {}
    for name, values in (("entropy", curves), ("entropy_rate", rates)):
        made[name] = values.isel(replicate=0)
        made[f"{name}_lower"], made[f"{name}_upper"] = bootstrap.bounds(values, confidence)
        if keep_replicates:
            made[f"{name}_replicate"] = values.isel(replicate=slice(1, None)).astype(np.float32)
    least, most = _limits(asked, names)
    # a bound never leaves the range of the quantity, nor the estimate, which rounding may leave outside it
    made["entropy_lower"] = np.minimum(np.maximum(made["entropy_lower"], least), made["entropy"])
    made["entropy_upper"] = np.maximum(np.minimum(made["entropy_upper"], most), made["entropy"])
    for name, bound in (("", ""), ("_lower", "_upper"), ("_upper", "_lower")):
        made[f"mutual_information{name}"] = start - made[f"entropy{bound}"]
    if NULL in names:
        clipped = means["clipped"] * xr.DataArray([int(name == NULL) for name in names], dims="estimator")
        made["clipped_ratios"] = clipped.astype(np.int64)
    kept = runs[["time", "sigma", "alpha", "log_snr", "guidance", "guidance_scale", "sigma_lo", "sigma_hi"]].coords
    coords: dict[Any, Any] = {
        **kept,
        "estimator": list(names),
        **coordinates.of_partitions([question.partition for question in asked]),
    }
    return xr.Dataset(made, coords)


def _limits(asked: Sequence[Question], names: Sequence[str]) -> tuple[xr.DataArray, xr.DataArray]:
    """Range of each estimator of each partition, infinite where an estimate may leave that of the entropy."""
    sides = np.array([len(question.partition.sides) for question in asked])
    bounded = [(name == "path") | ((name == NULL) & (sides == 2)) for name in names]
    above = [bound | (name == "cross_entropy") for name, bound in zip(names, bounded, strict=True)]
    dims = ("estimator", "partition")
    return (
        xr.DataArray(np.where(above, 0.0, -np.inf), dims=dims),
        xr.DataArray(np.where(bounded, np.log2(sides), np.inf), dims=dims),
    )


def _warn(runs: xr.Dataset, means: xr.Dataset, asked: Sequence[Question], names: tuple[str, ...]) -> None:
    """Say where estimators that must agree do not."""
    partitions = [question.partition.name for question in asked]
    unguided = np.flatnonzero(runs["guidance_scale"].values == 1.0)
    gap, error = calibration.gap_and_error(means["path"] - means["cross_entropy"], means["gap_variance"])
    log_snr = xr.DataArray(runs["log_snr"].variable)
    text = calibration.worst_gap(
        gap.isel(guidance=unguided), error.isel(guidance=unguided), runs["guidance"].values[unguided], partitions,
        log_snr, "path minus cross_entropy",
    )  # fmt: skip
    if text:
        warnings.warn(f"{text}; the likelihood is not that of the chain that was sampled", CalibrationWarning, 3)
    if NULL not in names:
        return
    two = xr.DataArray([len(question.partition.sides) == 2 for question in asked], dims="partition")
    reference = means["path"].where(two, means["cross_entropy"])
    gap, error = calibration.gap_and_error(means[NULL] - reference)
    text = calibration.worst_gap(
        gap, error, runs["guidance"].values, partitions, log_snr, "null minus path (cross_entropy if many-sided)"
    )
    if text:
        clipped = int(means["clipped"].sum())
        warnings.warn(
            f"{text}; {clipped} likelihood ratios exceeded their bound: the null condition is not the mixture of the "
            "classes, or the steps are too coarse for its likelihood along the path to be that of the mixture; prefer "
            "the estimator 'path', or sample with more steps",
            CalibrationWarning,
            3,
        )
