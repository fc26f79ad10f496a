r"""From sums over trajectories to phi, the kernel and its spectrum, with intervals.

With a kernel :math:`M_n` measured at n steps and its error of about 1/n, the kernel of infinitely many steps is

.. math:: M = \frac{n_2 M_{n_2} - n_1 M_{n_1}}{n_2 - n_1} ,

at :math:`n_2 = 2 n_1` the familiar :math:`2M_{2n} - M_n`. Everything else is taken from it, replicate by replicate.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.special import ndtri

from specent import schema
from specent.analysis.bootstrap import Resampling, skewed_interval
from specent.exact.cloning import bracket, eigenvalues
from specent.interventions.carrying_out import SEED_RULE, TurnSums, extrapolated, is_resampled
from specent.interventions.plan import Turning
from specent.interventions.without_replicates import eigenvalue_errors, kernel_variances
from specent.schema import coordinates

Array = NDArray[np.float64]
Numbers = dict[str, tuple[tuple[str, ...], Array]]

_TURN = ("mover", "time")
# a spread of replicates below this is rounding
_NONE = 1e-12
# continuations that are expected to end elsewhere; of fewer, what was counted does not tell its own error
_RARE = 10.0


def kernels(turning: Turning, sums: TurnSums, seed: int) -> Array:
    """Kernels between the sides, shape (movers, steps, turns, 1 + replicates, sides, sides)."""
    prior = turning.weights.sum(axis=1)
    within = turning.weights / prior[:, None]
    observed = np.einsum("zl,mstrlw->mstrzw", within, sums.ends, optimize=True)
    if turning.confusion is None:
        return np.asarray(observed)
    corrected = turning.confusion.corrected(np.moveaxis(observed, 3, 0), seed)
    return np.asarray(np.moveaxis(corrected, 0, 3))


def interventions_dataset(
    turning: Turning, sums: TurnSums, resampling: Resampling, confidence: float, settings: dict[str, Any]
) -> xr.Dataset:
    """A dataset of kind ``interventions``."""
    setup, prior = turning.setup, turning.weights.sum(axis=1)
    every = kernels(turning, sums, resampling.seed)
    # of measured mistakes every replicate has its own
    at_steps = np.einsum("mstrzz,z->mstr", every, prior) if is_resampled(turning) else sums.again
    kernel, phi = extrapolated(every, turning.steps), extrapolated(at_steps, turning.steps)
    count = float(1 / np.sum((turning.weights.sum(axis=0) ** 2) / setup.samples))
    rows: Numbers = {"kernel": ((*_TURN, "side", "end_side"), kernel[:, :, 0])}
    if is_resampled(turning):
        rows["kernel_standard_error"] = (*_TURN, "side", "end_side"), _standard_error(np.moveaxis(kernel, 2, -1))
        rows |= _bounded("eigenvalue", (*_TURN, "rank"), np.moveaxis(eigenvalues(kernel, prior), 2, -1), confidence)
    else:
        rows |= _closed_rows(turning, sums, kernel[:, :, 0], confidence)
    if turning.continuation == "basin":
        rows |= _bounded("basin", _TURN, phi, confidence, count)
    else:
        rows |= _phi_rows(turning, phi, at_steps, count, confidence)
        predicted = np.einsum("trl,l->tr", sums.squares, turning.weights.sum(axis=0))
        rows |= _posterior_rows(turning, phi, predicted, count, confidence)
    coords = {
        **coordinates.of_schedule(setup.schedule, turning.turns), **coordinates.of_sides(turning.partition, prior),
        "mover": list(turning.movers),
    }  # fmt: skip
    if "phi_at_steps" in rows:
        coords["steps"] = np.array(turning.steps)
    return schema.finish(
        xr.Dataset(rows, coords),
        "interventions",
        title=f"U-turns of {setup.model.identity['name']}, moved by {', '.join(turning.movers)}",
        settings=settings,
        schedule=setup.schedule.to_json(),
        partition=turning.partition.to_json(),
        start=turning.start,
        continuation=turning.continuation,
        classifier=turning.ends,
        model=json.dumps(setup.model.identity, sort_keys=True),
        seed=setup.seed,
        seed_rule=SEED_RULE,
        confidence=confidence,
    )


def _closed_rows(turning: Turning, sums: TurnSums, kernel: Array, confidence: float) -> Numbers:
    """Standard error of kernels and intervals of their eigenvalues, without replicates."""
    variance, prior = kernel_variances(turning, sums), turning.weights.sum(axis=1)
    values, error = np.empty(kernel.shape[:3]), np.empty(kernel.shape[:3])
    for at in np.ndindex(*kernel.shape[:2]):
        values[at], error[at] = eigenvalue_errors(kernel[at], variance[at], prior)
    half = float(ndtri(0.5 + confidence / 2)) * error
    ends = {"": values, "_lower": values - half, "_upper": values + half}
    rows: Numbers = {"kernel_standard_error": ((*_TURN, "side", "end_side"), np.sqrt(variance))}
    return rows | {f"eigenvalue{end}": ((*_TURN, "rank"), numbers) for end, numbers in ends.items()}


def _phi_rows(turning: Turning, phi: Array, at_steps: Array, count: float, confidence: float) -> Numbers:
    """Phi, what it says of the entropy, and how it changed with the steps."""
    rows = _bounded("phi", _TURN, phi, confidence, count)
    rows["phi_standard_error"] = _TURN, _standard_error(phi)
    sides = len(turning.weights)
    # the bracket of the interval, not of the estimate alone
    rows["entropy_least"] = _TURN, bracket(rows["phi_upper"][1], sides)[0]
    rows["entropy_most"] = _TURN, bracket(rows["phi_lower"][1], sides)[1]
    if len(turning.steps) > 1:
        moved = np.moveaxis(at_steps, 1, 2)
        rows |= _bounded("phi_at_steps", (*_TURN, "steps"), moved, confidence, count)
        rows["step_error"] = _TURN, phi[..., 0] - at_steps[:, -1, :, 0]
    return rows


def _posterior_rows(turning: Turning, phi: Array, predicted: Array, count: float, confidence: float) -> Numbers:
    """Phi as the posterior at the turn predicts it, and by how much what was counted differs from that."""
    gap = phi - predicted
    rows = _bounded("posterior_phi", ("time",), predicted, confidence)
    rows |= _bounded("disagreement", _TURN, gap, confidence)
    # where hardly any continuation is to end elsewhere none may have done so, and resampling knows of no chance
    share = np.clip(predicted[:, 0], 0.0, 1.0)
    counted = np.sqrt(share * (1 - share) / count) * _spread_by_extrapolation(turning.steps)
    error = np.where(count * (1 - share) < _RARE, np.maximum(_standard_error(gap), counted), _standard_error(gap))
    half = np.where(count * (1 - share) < _RARE, float(ndtri(0.5 + confidence / 2)) * error, 0.0)
    rows["disagreement_lower"] = _TURN, np.minimum(rows["disagreement_lower"][1], gap[..., 0] - half)
    rows["disagreement_upper"] = _TURN, np.maximum(rows["disagreement_upper"][1], gap[..., 0] + half)
    rows["disagreement_standard_error"] = _TURN, error
    return rows


def _spread_by_extrapolation(steps: tuple[int, ...]) -> float:
    """By which factor extrapolation from independent counts raises their standard error."""
    if len(steps) == 1:
        return 1.0
    fewer, more = steps[-2] - 1, steps[-1] - 1
    return float(np.hypot(fewer, more) / (more - fewer))


def _standard_error(values: Array) -> Array:
    """From the replicates behind the estimate on the last axis."""
    return np.asarray(values[..., 1:].std(axis=-1))


def _bounded(name: str, dims: tuple[str, ...], values: Array, confidence: float, count: float = 0.0) -> Numbers:
    """An estimate with its bounds; of a share of `count` trajectories that none of them contradicts, Wilson's."""
    ends = skewed_interval(values, confidence)
    lower, upper = ends[..., 0], ends[..., 1]
    if count:
        share = np.clip(values[..., 0], 0.0, 1.0)
        square = float(ndtri(0.5 + confidence / 2)) ** 2 / count
        middle = (share + square / 2) / (1 + square)
        half = np.sqrt(square * share * (1 - share) + square**2 / 4) / (1 + square)
        flat = values[..., 1:].std(axis=-1) < _NONE
        lower = np.where(flat, np.minimum(middle - half, values[..., 0]), lower)
        upper = np.where(flat, np.maximum(middle + half, values[..., 0]), upper)
    return {name: (dims, values[..., 0]), f"{name}_lower": (dims, lower), f"{name}_upper": (dims, upper)}
