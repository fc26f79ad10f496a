r"""The reverse chain of one batch of trajectories, with the evidence of every candidate along it.

Each step is drawn from the posterior of the forward process, which is the chain of arXiv 2010.02502 with eta = 1. No
other chain will do: with another amount of noise a path weighs the candidates by another density than that of its
states, and without any (eta = 0, or the solver of an ODE) the path of one candidate has no density under the others.

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
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from specent.errors import ModelError
from specent.guidance import Setting
from specent.models.outputs import checked, reason
from specent.partitions import NULL
from specent.sampling.failures import refuse_infinite_output, step_text
from specent.sampling.grid import warn_of_informed_start
from specent.sampling.plan import Plan
from specent.sampling.recorder import Recorder
from specent.sampling.streams import Streams


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
        Index of each trajectory's driver among the candidates.
    streams : Streams
        Its noise.
    tick : callable
        Called after every step, for the progress bar.
    first : bool
        Whether this is the first batch of the run, whose start is looked at.

    Returns
    -------
    dict of ndarray
        ``log_likelihood`` (batch, time, candidates) and what else is kept; batch first.
    """
    batch, own = torch.arange(len(drivers), device=plan.device), torch.as_tensor(drivers, device=plan.device)
    driver = torch.nn.functional.one_hot(own, len(plan.candidates)).to(torch.float64)
    recorder = Recorder(plan, guidance, driver)
    log_likelihood = torch.zeros_like(driver)
    state = guidance.start(plan.noise_level, len(drivers), like=log_likelihood)
    x = plan.start * _noise(streams, plan)
    for i in reversed(range(len(plan.time))):
        denoised = _denoised(plan, i, x)
        scale = guidance.scale_at(float(plan.noise_level[i]), state)
        mover = _mover(plan, driver, scale)
        predicted = (mover[:, None, :] @ denoised)[:, 0]
        delta = denoised - denoised[batch, own][:, None]
        gram = delta @ delta.transpose(1, 2)
        refuse_infinite_output(gram, denoised, x, plan, i, drivers)
        if first and i == len(plan.time) - 1:
            warn_of_informed_start(gram, plan)
        recorder.write(i, log_likelihood, gram, mover, predicted, scale)
        tick()
        if i == 0:
            break
        step, noise = plan.steps[i - 1], _noise(streams, plan)
        x = step.keep * x + step.pull * predicted + step.spread * noise
        drift = step.gain * ((gram @ mover[..., None])[..., 0] - 0.5 * gram.diagonal(dim1=1, dim2=2))
        diffusion = step.gain**0.5 * (delta @ noise[..., None])[..., 0]
        log_likelihood = log_likelihood + drift + diffusion
        if guidance.needs_null:
            state = guidance.update(state, -(drift + diffusion)[:, plan.index[NULL]])
    return recorder.arrays


def _noise(streams: Streams, plan: Plan) -> Tensor:
    return torch.from_numpy(streams.draw()).to(plan.device)


def _mover(plan: Plan, driver: Tensor, scale: float | Tensor) -> Tensor:
    """Weights of the candidates' denoised data in those that move the sample, shape (batch, candidates)."""
    if not isinstance(scale, Tensor) and scale == 1.0:
        return driver
    mover = (scale[:, None] if isinstance(scale, Tensor) else scale) * driver
    mover[:, plan.index[NULL]] += 1 - scale
    return mover


def _denoised(plan: Plan, i: int, x: Tensor) -> Tensor:
    """The data as denoised under every candidate, shape (batch, candidates, features)."""
    shape = (len(x), len(plan.candidates), *plan.model.shape)
    state = (x / plan.alpha[i]).reshape(len(x), *plan.model.shape)
    try:
        output = plan.model.candidates(state, float(plan.noise_level[i]), plan.conditions.clone())
        output = checked(output, shape, x.device, f"{type(plan.model).__name__}.candidates")
    except ModelError as error:
        raise ModelError(f"{step_text(plan, i)}: {error}") from (error.__cause__ or error)
    except Exception as error:
        raise ModelError(f"{step_text(plan, i)}: the model raised {reason(error)}") from error
    return output.reshape(*shape[:2], -1).to(torch.float64)
