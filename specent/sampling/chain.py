r"""The reverse chain of one batch of trajectories, with the evidence of every candidate along it.

The likelihood of a path under candidate c is a product of the Gaussian transitions that the sampler itself uses
(arXiv 2506.10433 equation 3), so for any network the posterior of the driving class given the path is exact. Against
the driver r, with the realised noise :math:`\xi` and the denoiser :math:`D_g` that moved the sample, a step of gain
:math:`\delta\gamma` adds

.. math:: \delta\gamma\,(D_c - D_r)\cdot(D_g - D_r) + \sqrt{\delta\gamma}\,(D_c - D_r)\cdot\xi
          - \tfrac12\,\delta\gamma\,|D_c - D_r|^2 ,

a sum of small terms, where a difference of two squared errors would cancel.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from specent import evidence
from specent.errors import ModelError
from specent.guidance import Guidance
from specent.models.base import Model
from specent.sampling.streams import Streams
from specent.sampling.transitions import Transition
from specent.schema import NULL

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Record:
    """What is kept of a run.

    `log_priors` holds the partitions as joint log-priors of side and candidate, grouped by their number of sides, each
    with the places of its partitions among all; `predictions` the places in the grid where predictions are kept.
    """

    log_priors: tuple[tuple[NDArray[np.intp], Array], ...] = ()
    distances: bool = False
    predictions: tuple[int, ...] = ()


@dataclass(frozen=True)
class Plan:
    """A run, worked out: the same for every batch."""

    model: Model
    candidates: tuple[str, ...]
    log_snr: Array
    noise_level: Array
    start: float
    alpha: Array
    steps: tuple[Transition, ...]
    record: Record
    device: torch.device

    @property
    def conditions(self) -> Tensor:
        """Indices of the candidates in the model's own numbering."""
        order = [*self.model.labels, NULL]
        return torch.tensor([order.index(name) for name in self.candidates], device=self.device)

    @property
    def partitions(self) -> int:
        """How many partitions are recorded."""
        return sum(len(places) for places, _ in self.record.log_priors)


def run_batch(
    plan: Plan, guidance: Guidance, drivers: NDArray[np.intp], streams: Streams, tick: Callable[[], object]
) -> dict[str, NDArray[Any]]:
    """Sample a batch of trajectories and score every candidate along them.

    Parameters
    ----------
    plan : Plan
        The run.
    guidance : Guidance
        The guidance setting.
    drivers : ndarray of int, shape (batch,)
        Place of each trajectory's driver among the candidates.
    streams : Streams
        Its noise.
    tick : callable
        Called after every step, for the progress bar.

    Returns
    -------
    dict of ndarray
        ``log_likelihood`` (batch, time, candidates) and what the record asks for; batch first.
    """
    batch, times, count = len(drivers), len(plan.log_snr), len(plan.candidates)
    out = _allocate(plan, batch)
    driver = torch.nn.functional.one_hot(torch.as_tensor(drivers), count).to(plan.device, torch.float64)
    rows = torch.arange(batch, device=plan.device)
    chosen = torch.as_tensor(drivers, device=plan.device)
    conditions = plan.conditions
    log_likelihood = torch.zeros(batch, count, dtype=torch.float64, device=plan.device)
    x = plan.start * _noise(streams, plan)
    for i in reversed(range(times)):
        level = float(plan.noise_level[i])
        denoised = plan.model.candidates((x / plan.alpha[i]).reshape(batch, *plan.model.shape), level, conditions)
        denoised = denoised.reshape(batch, count, -1).to(torch.float64)
        mover = _mover(plan, driver, guidance.scale_at(level))
        delta = denoised - denoised[rows, chosen][:, None]
        gram = delta @ delta.transpose(1, 2)
        # a NaN or an infinity anywhere in the output shows here, in an array that is small
        if not torch.isfinite(gram).all():
            raise ModelError(_not_finite(denoised, plan, i, drivers))
        moved = (mover[:, None, :] @ denoised)[:, 0]
        _keep(out, plan, i, log_likelihood, gram, mover, driver, moved, guidance)
        tick()
        if i == 0:
            out["final"][:] = moved.cpu()
            break
        step = plan.steps[i - 1]
        noise = _noise(streams, plan)
        x = step.keep * x + step.pull * moved + step.spread * noise
        drift = (gram @ mover[..., None])[..., 0] - 0.5 * gram.diagonal(dim1=1, dim2=2)
        log_likelihood = log_likelihood + step.gain * drift + step.gain**0.5 * (delta @ noise[..., None])[..., 0]
    return out


def _noise(streams: Streams, plan: Plan) -> Tensor:
    return torch.from_numpy(streams.draw()).to(plan.device)


def _mover(plan: Plan, driver: Tensor, scale: float) -> Tensor:
    """Weights with which the candidates' denoisers make the one that moves the sample."""
    if scale == 1.0:
        return driver
    mover = scale * driver
    mover[:, plan.candidates.index(NULL)] += 1 - scale
    return mover


def _allocate(plan: Plan, batch: int) -> dict[str, NDArray[Any]]:
    times, count, features = len(plan.log_snr), len(plan.candidates), int(np.prod(plan.model.shape))
    out: dict[str, NDArray[Any]] = {
        "log_likelihood": np.empty((batch, times, count)),
        "final": np.empty((batch, features), np.float32),
    }
    if plan.partitions:
        out["production"] = np.empty((batch, times, plan.partitions))
        out["cross_production"] = np.empty((batch, times, plan.partitions))
    if plan.record.distances:
        out["denoiser_distance"] = np.empty((batch, times, count, count), np.float32)
    if plan.record.predictions:
        out["prediction"] = np.empty((batch, len(plan.record.predictions), features), np.float32)
    return out


def _keep(
    out: dict[str, NDArray[Any]], plan: Plan, i: int, log_likelihood: Tensor, gram: Tensor, mover: Tensor,
    driver: Tensor, moved: Tensor, guidance: Guidance,
) -> None:  # fmt: skip
    """Copy what the record asks for at time i."""
    out["log_likelihood"][:, i] = log_likelihood.cpu()
    gamma = float(np.exp(plan.log_snr[i]))
    for places, log_prior in plan.record.log_priors:
        prior = torch.as_tensor(log_prior, device=plan.device)
        pair = evidence.production(log_likelihood, prior, gram, mover, driver, not guidance.guided)
        for name, value in zip(("production", "cross_production"), pair, strict=True):
            out[name][:, i, places] = (gamma * value).cpu()
    if plan.record.distances:
        square = gram.diagonal(dim1=1, dim2=2)
        distance = square[:, :, None] + square[:, None, :] - 2 * gram
        out["denoiser_distance"][:, i] = distance.clamp_min(0).cpu()
    if i in plan.record.predictions:
        out["prediction"][:, plan.record.predictions.index(i)] = moved.cpu()


def _not_finite(denoised: Tensor, plan: Plan, i: int, drivers: NDArray[np.intp]) -> str:
    """Where the network's output stopped being finite, or was too large to be squared."""
    fine = denoised.abs() < 1e150
    row, column = (int(place) for place in torch.nonzero(~fine.all(-1))[0])
    return (
        f"the network returned a NaN or an infinity at step {len(plan.log_snr) - 1 - i} of {len(plan.log_snr)} (noise "
        f"level {plan.noise_level[i]:.4g}) for class {plan.candidates[column]!r}, on a trajectory driven by "
        f"{plan.candidates[int(drivers[row])]!r}; check its weights and the range of the time grid"
    )
