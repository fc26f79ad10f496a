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

from specent.guidance import Setting
from specent.partitions import NULL
from specent.sampling.failures import refuse_infinite_output
from specent.sampling.grid import warn_of_informed_start
from specent.sampling.pruning import FewCandidates
from specent.sampling.recorder import Recorder
from specent.sampling.scorers import EveryCandidate, Scorer, Seen
from specent.sampling.setup import Setup
from specent.sampling.sides import Step, projections
from specent.sampling.streams import Streams


def run_batch(
    setup: Setup, guidance: Setting, drivers: NDArray[np.intp], streams: Streams, tick: Callable[[int], object],
    first: bool = False, most: int | None = None,
) -> dict[str, NDArray[Any]]:  # fmt: skip
    """Sample a batch of trajectories and score every candidate along them.

    Parameters
    ----------
    setup : Setup
        The run.
    guidance : Setting
        The guidance setting.
    drivers : ndarray of int, shape (batch,)
        Index of each trajectory's driver among the candidates.
    streams : Streams
        Its noise.
    tick : callable
        Called after every step with the number of evaluations that it took, for the progress bar.
    first : bool
        Whether this is the first batch of the run, whose start is looked at.
    most : int, optional
        Pairs of state and candidate that the model is handed at a time where only some are evaluated; all by default.

    Returns
    -------
    dict of ndarray
        ``log_likelihood`` (batch, time, candidates) and what else is kept; batch first.
    """
    own = torch.as_tensor(drivers, device=setup.device)
    scorer = _scorer(setup, own, guidance, most or len(drivers) * len(setup.candidates))
    recorder = Recorder(setup, len(drivers))
    log_likelihood = torch.zeros(len(drivers), len(setup.candidates), dtype=torch.float64, device=setup.device)
    state = guidance.start(setup.noise_level, len(drivers), like=log_likelihood)
    x = setup.start * _noise(streams, setup)
    for i in reversed(range(len(setup.time))):
        log_likelihood = scorer.dropped(log_likelihood)
        seen = scorer.seen(i, x, log_likelihood)
        scale = guidance.scale_at(float(setup.noise_level[i]), state)
        predicted = _moving(seen, scale)
        move, noise = (setup.steps[i - 1], _noise(streams, setup)) if i else (None, predicted)
        increment = torch.zeros_like(log_likelihood)
        for part in scorer.parts:
            delta, moved = scorer.delta(seen, part), (predicted - seen.driving)[part]
            step = Step(log_likelihood[part], delta, moved, own[part], unguided=not guidance.guided)
            refuse_infinite_output(step.square, seen, x, setup, i, drivers)
            if first:
                warn_of_informed_start(delta, setup)
                first = False
            recorder.write_step(i, part, step)
            if move is not None:
                drift = move.gain * (step.pull - 0.5 * step.square)
                increment[part] = drift + move.gain**0.5 * projections(delta, noise[part])
        recorder.write(i, predicted, scale, seen.rows, scorer.mass)
        tick(len(seen.rows))
        if move is not None:
            x = move.keep * x + move.pull * predicted + move.spread * noise
            log_likelihood = log_likelihood + increment
        if guidance.needs_null:
            state = guidance.update(state, -increment[:, setup.index[NULL]])
    return recorder.arrays


def _noise(streams: Streams, setup: Setup) -> Tensor:
    return torch.from_numpy(streams.draw()).to(setup.device)


def _scorer(setup: Setup, driver: Tensor, guidance: Setting, most: int) -> Scorer:
    if setup.scoring is None:
        return EveryCandidate(setup, driver)
    return FewCandidates(setup, setup.scoring, driver, guidance, most)


def _moving(seen: Seen, scale: float | Tensor) -> Tensor:
    """The denoised data that move the sample, shape (batch, features)."""
    if seen.null is None or (not isinstance(scale, Tensor) and scale == 1.0):
        return seen.driving
    moving: Tensor = seen.null + (scale[:, None] if isinstance(scale, Tensor) else scale) * (seen.driving - seen.null)
    return moving
