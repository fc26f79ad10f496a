r"""The reverse chain of one batch of trajectories, with the evidence of every candidate along it.

Each step is drawn from the posterior of the forward process, which is the chain of arXiv 2010.02502 with eta = 1. No
other chain will do: with less noise than that a path weighs the candidates by another density than that of its states,
and without any (eta = 0, or the solver of an ODE) the path of one candidate has no density under the others.

The likelihood of a path under candidate c is a product of the Gaussian transitions that the sampler itself uses
(arXiv 2506.10433 equation 3), so for any network the posterior of the driving class given the path is exact. Against
the driver r, with the realised noise :math:`\xi` and the denoiser :math:`D_g` that moved the sample, a step of gain
:math:`\delta\gamma` adds

.. math:: \delta\gamma\,(D_c - D_r)\cdot(D_g - D_r) + \sqrt{\delta\gamma}\,(D_c - D_r)\cdot\xi
          - \tfrac12\,\delta\gamma\,|D_c - D_r|^2 ,

a sum of small terms, where a difference of two squared errors would cancel.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from specent import evidence
from specent.errors import ModelError, SpecentWarning
from specent.guidance import Setting
from specent.models.base import Model
from specent.models.outputs import checked, reason
from specent.sampling.streams import Streams
from specent.schema import NULL
from specent.transitions import Transition

Array = NDArray[np.float64]

START_BITS = 0.05
"""Information of the label at the start of the chain, in bits, beyond which a warning is given."""

# beyond what data and noise of any grid make of a state
_VAST = 1e30


@dataclass(frozen=True)
class Selection:
    """What is kept of a run.

    `log_priors` holds the partitions as joint log-priors of side and candidate, grouped by their number of sides, each
    with the places of its partitions among all; `predictions` the places in the grid where predictions are kept;
    `scales` whether the guidance scale of every trajectory is.
    """

    log_priors: tuple[tuple[NDArray[np.intp], Array], ...] = ()
    distances: bool = False
    predictions: tuple[int, ...] = ()
    scales: bool = False


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
    record: Selection
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
    plan: Plan, guidance: Setting, drivers: NDArray[np.intp], streams: Streams, tick: Callable[[], object],
    first: bool = False,
) -> dict[str, NDArray[Any]]:  # fmt: skip
    """Sample a batch of trajectories and score every candidate along them.

    Parameters
    ----------
    plan : Plan
        The run.
    guidance : Setting
        The guidance setting.
    drivers : ndarray of int, shape (batch,)
        Place of each trajectory's driver among the candidates.
    streams : Streams
        Its noise.
    tick : callable
        Called after every step, for the progress bar.
    first : bool
        Whether this is the first batch of the run, which is where its start is looked at.

    Returns
    -------
    dict of ndarray
        ``log_likelihood`` (batch, time, candidates) and what the record asks for; batch first.
    """
    batch, times, count = len(drivers), len(plan.log_snr), len(plan.candidates)
    out = {name: np.empty((batch, *shape), kind) for name, (kind, shape) in recorded(plan).items()}
    driver = torch.nn.functional.one_hot(torch.as_tensor(drivers), count).to(plan.device, torch.float64)
    rows = torch.arange(batch, device=plan.device)
    chosen = torch.as_tensor(drivers, device=plan.device)
    conditions = plan.conditions
    log_likelihood = torch.zeros(batch, count, dtype=torch.float64, device=plan.device)
    state = guidance.start(plan.noise_level, batch, like=log_likelihood)
    x = plan.start * _noise(streams, plan)
    for i in reversed(range(times)):
        denoised = _denoised(plan, i, x, conditions)
        scale = guidance.scale_at(float(plan.noise_level[i]), state)
        mover = _mover(plan, driver, scale)
        delta = denoised - denoised[rows, chosen][:, None]
        gram = delta @ delta.transpose(1, 2)
        # a NaN or an infinity anywhere in the output shows here, in an array that is small
        if not torch.isfinite(gram).all():
            raise ModelError(_not_finite(denoised, x, plan, i, drivers))
        if first and i == times - 1:
            _check_start(gram, plan)
        moved = (mover[:, None, :] @ denoised)[:, 0]
        _keep(out, plan, i, log_likelihood, gram, mover, driver, moved, guidance)
        if plan.record.scales:
            out["scale"][:, i] = scale if isinstance(scale, float) else scale.cpu()
        tick()
        if i == 0:
            out["final"][:] = moved.float().cpu()
            break
        step = plan.steps[i - 1]
        noise = _noise(streams, plan)
        x = step.keep * x + step.pull * moved + step.spread * noise
        drift = (gram @ mover[..., None])[..., 0] - 0.5 * gram.diagonal(dim1=1, dim2=2)
        pushed, shaken = step.gain * drift, step.gain**0.5 * (delta @ noise[..., None])[..., 0]
        log_likelihood = log_likelihood + pushed + shaken
        if guidance.needs_null:
            state = guidance.update(state, -(pushed + shaken)[:, plan.candidates.index(NULL)])
    return out


def _check_start(gram: Tensor, plan: Plan) -> None:
    """Warn if the chain starts where the state would already tell the labels apart, which a path cannot know.

    At small signal-to-noise ratio the mutual information of label and state is half that ratio times the variance of
    the labels' denoised data (arXiv math/0412108).
    """
    labels = [i for i, name in enumerate(plan.candidates) if name != NULL]
    if len(labels) < 2:
        labels = list(range(len(plan.candidates)))
    inner = gram[:, labels][:, :, labels]
    variance = inner.diagonal(dim1=1, dim2=2).mean(-1) - inner.mean((-2, -1))
    known = 0.5 * float(np.exp(plan.log_snr[-1])) * float(variance.mean()) / np.log(2)
    if known > START_BITS:
        warnings.warn(
            f"time ends at noise level {plan.noise_level[-1]:.3g}, where a state already tells about {known:.1g} bit "
            "of its label, but the chain starts from pure noise and knows nothing: all places will be wrong. End the "
            "grid at higher noise; it is in the clock of its schedule, as in edm_grid(64, 0.02, 100, schedule=VP())",
            SpecentWarning,
            stacklevel=5,
        )


def _noise(streams: Streams, plan: Plan) -> Tensor:
    return torch.from_numpy(streams.draw()).to(plan.device)


def _mover(plan: Plan, driver: Tensor, scale: float | Tensor) -> Tensor:
    """Weights with which the candidates' denoisers make the one that moves the sample."""
    if isinstance(scale, float) and scale == 1.0:
        return driver
    mover = (scale if isinstance(scale, float) else scale[:, None]) * driver
    mover[:, plan.candidates.index(NULL)] += 1 - scale
    return mover


def recorded(plan: Plan) -> dict[str, tuple[type[np.floating[Any]], tuple[int, ...]]]:
    """Type and shape, for one trajectory, of every array that is kept."""
    times, count, features = len(plan.log_snr), len(plan.candidates), math.prod(plan.model.shape)
    made: dict[str, tuple[type[np.floating[Any]], tuple[int, ...]]] = {
        "log_likelihood": (np.float64, (times, count)),
        "final": (np.float32, (features,)),
    }
    if plan.partitions:
        made["production"] = made["cross_production"] = (np.float64, (times, plan.partitions))
    if plan.record.distances:
        made["denoiser_distance"] = (np.float32, (times, count, count))
    if plan.record.scales:
        made["scale"] = (np.float64, (times,))
    if plan.record.predictions:
        made["prediction"] = (np.float32, (len(plan.record.predictions), features))
    return made


def check_finite(
    name: str, value: NDArray[Any], plan: Plan, guidance: Setting, keys: Sequence[tuple[str, int]]
) -> None:
    """Refuse a batch of results that holds a NaN or an infinity, naming where."""
    finite = np.isfinite(value)
    if finite.all():
        return
    row, *place = (int(index) for index in np.unravel_index(np.argmin(finite), value.shape))
    step = plan.record.predictions[place[0]] if name == "prediction" else 0 if name == "final" else place[0]
    label, sample = keys[row]
    raise ModelError(
        f"{name} is {value[(row, *place)]} {_where(plan, step)} for guidance {str(guidance)!r}, class {label!r}, "
        f"sample {sample}: the model's outputs or the guidance scale are too large to be squared and kept"
    )


def _denoised(plan: Plan, i: int, x: Tensor, conditions: Tensor) -> Tensor:
    """The data as denoised under every candidate, shape (batch, candidates, features)."""
    shape = (len(x), len(conditions), *plan.model.shape)
    state = (x / plan.alpha[i]).reshape(len(x), *plan.model.shape)
    try:
        output = plan.model.candidates(state, float(plan.noise_level[i]), conditions.clone())
        output = checked(output, shape, x.device, f"{type(plan.model).__name__}.candidates")
    except ModelError as error:
        raise ModelError(f"{_where(plan, i)}: {error}") from (error.__cause__ or error)
    except Exception as error:
        raise ModelError(f"{_where(plan, i)}: the model raised {reason(error)}") from error
    return output.reshape(*shape[:2], -1).to(torch.float64)


def _where(plan: Plan, i: int) -> str:
    return f"at step {len(plan.log_snr) - 1 - i} of {len(plan.log_snr)} (noise level {plan.noise_level[i]:.4g})"


def _keep(
    out: dict[str, NDArray[Any]], plan: Plan, i: int, log_likelihood: Tensor, gram: Tensor, mover: Tensor,
    driver: Tensor, moved: Tensor, guidance: Setting,
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
        out["denoiser_distance"][:, i] = distance.clamp_min(0).float().cpu()
    if i in plan.record.predictions:
        out["prediction"][:, plan.record.predictions.index(i)] = moved.float().cpu()


def _not_finite(denoised: Tensor, x: Tensor, plan: Plan, i: int, drivers: NDArray[np.intp]) -> str:
    """Where the network's output stopped being finite, or was too large to be squared, and why."""
    size = denoised.abs().amax(-1).nan_to_num(nan=torch.inf, posinf=torch.inf)
    row, column = (int(place) for place in torch.nonzero(size == size.max())[0])
    worst, state = float(size[row, column]), float(x[row].abs().max())
    what = f"{worst:.3g}, too large to be squared," if math.isfinite(worst) else "a NaN or an infinity"
    mend = "check its weights and the range of the time grid"
    if not state < _VAST:
        mend = (
            f"the state itself had grown to {state:.3g} before: an earlier output or the guidance scale was too large"
        )
    return (
        f"the network returned {what} {_where(plan, i)} for class {plan.candidates[column]!r}, on a trajectory driven "
        f"by {plan.candidates[int(drivers[row])]!r}; {mend}"
    )
