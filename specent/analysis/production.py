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
from specent.analysis.scored import ScoredPartition, stored_partitions
from specent.errors import SpecentError
from specent.partitions import NULL
from specent.schema.coordinates import guidance_settings

Array = NDArray[np.float64]

PRODUCTION = ("production", "cross_production")
_DIMS = ("guidance", "class_label", "sample", "time", "partition", "statistic")


def production_sources(runs: xr.Dataset, partitions: Sequence[ScoredPartition]) -> list[str]:
    """Names of the variables from which the production of the partitions is taken.

    Raises
    ------
    SpecentError
        If a partition is neither stored nor can be worked out, with what to do about it.
    """
    positions = _stored_positions(runs, partitions)
    names = list(PRODUCTION) if any(position is not None for position in positions) else []
    if None not in positions:
        return names
    if "denoiser_distance" not in runs:
        missing = partitions[positions.index(None)].name
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


def production(runs: xr.Dataset, blocks: xr.Dataset, partitions: Sequence[ScoredPartition]) -> xr.DataArray:
    """Production of entropy and cross-entropy of every trajectory, in nats per unit log_snr.

    Parameters
    ----------
    runs : Dataset
        Kind ``trajectories``, for its coordinates.
    blocks : Dataset
        Its variables, ready to be streamed; those of `production_sources` among them.
    partitions : sequence of ScoredPartition
        The partitions.

    Returns
    -------
    DataArray
        Over (guidance, class_label, sample, time, partition, statistic), where statistic is `PRODUCTION`.
    """
    positions = _stored_positions(runs, partitions) if "production" in blocks else [None] * len(partitions)
    stored = [i for i, position in enumerate(positions) if position is not None]
    others = [i for i, position in enumerate(positions) if position is None]
    pieces = []
    if stored:
        columns = [positions[i] for i in stored]
        both = [xr.DataArray(blocks[name].variable).isel(partition=columns) for name in PRODUCTION]
        pieces.append(xr.concat(both, "statistic").transpose(*_DIMS))
    if others:
        pieces.append(_from_distances(runs, blocks, [partitions[i] for i in others]))
    order = [*stored, *others]
    return xr.concat(pieces, "partition").isel(partition=np.argsort(order))


def _stored_positions(runs: xr.Dataset, partitions: Sequence[ScoredPartition]) -> list[int | None]:
    """For every partition the position of one of the same sides and prior among those whose production is stored."""
    if not all(name in runs for name in PRODUCTION):
        return [None] * len(partitions)
    stored = {(partition.sides, partition.prior): i for i, partition in reversed([*enumerate(stored_partitions(runs))])}
    return [stored.get((scored.partition.sides, scored.partition.prior)) for scored in partitions]


def _from_distances(runs: xr.Dataset, blocks: xr.Dataset, partitions: Sequence[ScoredPartition]) -> xr.DataArray:
    mover, driver = _mover(runs, blocks)
    both: xr.DataArray = xr.apply_ufunc(
        _distance_production,
        *[xr.DataArray(blocks[name].variable) for name in ("log_likelihood", "denoiser_distance")],
        mover,
        driver,
        input_core_dims=[["candidate"], ["candidate", "other_candidate"], ["candidate"], ["candidate"]],
        output_core_dims=[["partition", "statistic"]],
        kwargs={
            "weights": [scored.weights for scored in partitions],
            "unguided": (runs["guidance_scale"].values == 1.0).tolist(),
        },
        dask="parallelized",
        output_dtypes=[np.float64],
        dask_gufunc_kwargs={"output_sizes": {"partition": len(partitions), "statistic": 2}},
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
