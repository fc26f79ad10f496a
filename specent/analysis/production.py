r"""Entropy rates: from the production recorded along trajectories, from denoiser distances, or by differences.

The production of entropy needs no differentiation (arXiv 2302.03792 unguided, Ito's lemma guided, see
`specent.evidence`). It is either stored for the partitions named at sampling, or follows from the squared distances
between the candidates' denoised data for any other partition.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from specent import evidence
from specent.analysis.posterior import Question, stored
from specent.errors import SpecentError
from specent.schema import NULL
from specent.schema.coordinates import guidance_settings

Array = NDArray[np.float64]

PRODUCTION = ("production", "cross_production")
_DIMS = ("guidance", "class_label", "sample", "time", "partition", "statistic")


def production_sources(runs: xr.Dataset, asked: Sequence[Question]) -> list[str]:
    """Names of the variables from which the production of the partitions is taken.

    Raises
    ------
    SpecentError
        If a partition is neither stored nor can be worked out, with what to do about it.
    """
    has_stored = all(name in runs for name in PRODUCTION)
    places = [_place(runs, question) if has_stored else None for question in asked]
    names = list(PRODUCTION) if any(place is not None for place in places) else []
    if None not in places:
        return names
    if "denoiser_distance" not in runs:
        missing = asked[places.index(None)].partition.name
        raise SpecentError(
            f"the production of partition {missing!r} is not in runs, and there is no denoiser_distance to take it "
            "from: use rate='differences' with the estimators 'path' and 'cross_entropy', or sample again with this "
            "partition named or with record=specent.Record(distances=True)"
        )
    guided = [str(name) for name in runs["guidance"].values[runs["guidance_scale"].values != 1.0]]
    if guided and NULL not in runs["candidate"].values:
        raise SpecentError(
            f"the production under guidance {guided[0]!r} needs the distances to the null condition, which is not "
            "among the candidates: use rate='differences', or sample again with the null condition scored"
        )
    if not any(setting.per_trajectory for setting in guidance_settings(runs)):
        return [*names, "denoiser_distance"]
    if "scale" not in runs:
        raise SpecentError(
            "the production of a new partition under guidance with a scale of its own for every trajectory needs the "
            "variable 'scale', which was dropped from runs: use rate='differences', or keep it"
        )
    return [*names, "denoiser_distance", "scale"]


def production(runs: xr.Dataset, blocks: xr.Dataset, asked: Sequence[Question]) -> xr.DataArray:
    """Production of entropy and cross-entropy of every trajectory, in nats per unit log_snr.

    Parameters
    ----------
    runs : Dataset
        Kind ``trajectories``, for its coordinates.
    blocks : Dataset
        Its variables, ready to be streamed; those of `production_sources` among them.
    asked : sequence of Question
        The partitions.

    Returns
    -------
    DataArray
        Over (guidance, class_label, sample, time, partition, statistic), where statistic is `PRODUCTION`.
    """
    places = [_place(runs, question) if "production" in blocks else None for question in asked]
    wanting = [question for question, place in zip(asked, places, strict=True) if place is None]
    pieces, order = [], []
    kept = [place for place in places if place is not None]
    if kept:
        both = [xr.DataArray(blocks[name].variable).isel(partition=kept) for name in PRODUCTION]
        pieces.append(xr.concat(both, "statistic").transpose(*_DIMS))
        order += [i for i, place in enumerate(places) if place is not None]
    if wanting:
        pieces.append(_from_distances(runs, blocks, wanting))
        order += [i for i, place in enumerate(places) if place is None]
    return xr.concat(pieces, "partition").isel(partition=np.argsort(order))


def differences(entropy: xr.DataArray, log_snr: xr.DataArray) -> xr.DataArray:
    """Minus the derivative of entropy curves with respect to log_snr, by second-order differences on any grid."""
    made: xr.DataArray = xr.apply_ufunc(
        _minus_gradient,
        entropy,
        log_snr,
        input_core_dims=[["time"], ["time"]],
        output_core_dims=[["time"]],
        dask="parallelized",
        output_dtypes=[np.float64],
    )
    return made


def integrated(rate: xr.DataArray, log_snr: xr.DataArray) -> xr.DataArray:
    """Trapezoid integral of a rate over log_snr, from the noisiest time down to every time."""
    made: xr.DataArray = xr.apply_ufunc(
        _trapezoid_from_end,
        rate,
        log_snr,
        input_core_dims=[["time"], ["time"]],
        output_core_dims=[["time"]],
        dask="parallelized",
        output_dtypes=[np.float64],
    )
    return made


def _place(runs: xr.Dataset, question: Question) -> int | None:
    """Place of a partition of the same sides and prior among those stored."""
    key = (question.partition.sides, question.partition.prior)
    known = [(partition.sides, partition.prior) for partition in stored(runs)]
    return known.index(key) if key in known else None


def _minus_gradient(entropy: Array, log_snr: Array) -> Array:
    edge = 2 if len(log_snr) > 2 else 1
    slope: Array = np.gradient(entropy, log_snr, axis=-1, edge_order=edge)  # type: ignore[call-overload]
    return -slope


def _trapezoid_from_end(rate: Array, log_snr: Array) -> Array:
    area = 0.5 * (rate[..., 1:] + rate[..., :-1]) * -np.diff(log_snr)
    out = np.zeros_like(rate)
    out[..., :-1] = np.cumsum(area[..., ::-1], axis=-1)[..., ::-1]
    return out


def _from_distances(runs: xr.Dataset, blocks: xr.Dataset, asked: Sequence[Question]) -> xr.DataArray:
    mover, driver = _mover(runs, blocks)
    both: xr.DataArray = xr.apply_ufunc(
        _distance_production,
        *[xr.DataArray(blocks[name].variable) for name in ("log_likelihood", "denoiser_distance")],
        mover,
        driver,
        input_core_dims=[["candidate"], ["candidate", "other_candidate"], ["candidate"], ["candidate"]],
        output_core_dims=[["partition", "statistic"]],
        kwargs={
            "weights": [question.weights for question in asked],
            "unguided": (runs["guidance_scale"].values == 1.0).tolist(),
        },
        dask="parallelized",
        output_dtypes=[np.float64],
        dask_gufunc_kwargs={"output_sizes": {"partition": len(asked), "statistic": 2}},
    )
    return (both * xr.DataArray(np.exp(runs["log_snr"].values), dims="time")).transpose(*_DIMS)


def _mover(runs: xr.Dataset, blocks: xr.Dataset) -> tuple[xr.DataArray, xr.DataArray]:
    """Weights with which the candidates' denoisers moved the sample, and which candidate drove it."""
    candidates = [str(name) for name in runs["candidate"].values]
    level = np.exp(-0.5 * runs["log_snr"].values)
    if "scale" in blocks:
        scale = xr.DataArray(blocks["scale"].variable)
    else:
        every = [[setting.scale_at(float(value)) for value in level] for setting in guidance_settings(runs)]
        scale = xr.DataArray(np.array(every), dims=("guidance", "time"))
    driver = xr.DataArray(
        [[float(name == str(label)) for name in candidates] for label in runs["class_label"].values],
        dims=("class_label", "candidate"),
    )
    null = xr.DataArray([float(name == NULL) for name in candidates], dims="candidate")
    return scale * driver + (1 - scale) * null, driver


def _distance_production(
    log_likelihood: Array,
    distance: Array,
    mover: Array,
    driver: Array,
    weights: Sequence[Array],
    unguided: Sequence[bool],
) -> Array:
    """Kernel on arrays (guidance, class, sample, time, ...); out (..., partitions, 2), per unit of gamma."""
    values, moved, drove = np.broadcast_arrays(np.asarray(log_likelihood, dtype=np.float64), mover, driver)
    gram = -0.5 * np.asarray(distance, dtype=np.float64)
    # candidates on no side take no part, except the null condition that moves guided samples
    moves = (moved * (1 - drove) != 0).any(axis=tuple(range(moved.ndim - 1)))
    out = np.empty((*values.shape[:-1], len(weights), 2))
    for p, joint in enumerate(weights):
        column = np.flatnonzero(joint.any(axis=0) | moves)
        prior, cut = evidence.log_weights(joint[None][..., column]), (..., column)
        for g, plain in enumerate(unguided):
            block = gram[g][..., column[:, None], column]
            pair = evidence.production(values[g][cut], prior, block, moved[g][cut], drove[g][cut], plain)
            for i, part in enumerate(pair):
                out[g, ..., p, i] = part[..., 0]
    out[~np.isfinite(gram).all(axis=(-1, -2))] = np.nan
    return out
