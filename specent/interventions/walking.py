r"""The chain from any state down a grid, moved by one condition or by the mixture, with the evidence of every label.

With the denoiser :math:`D_m` of the mover, a step of gain :math:`\delta\gamma` and realised noise :math:`\xi` adds to
the log-likelihood of label c, relative to the mover (arXiv 2506.10433 equation 3),

.. math:: \sqrt{\delta\gamma}\,(D_c - D_m)\cdot\xi - \tfrac12\,\delta\gamma\,|D_c - D_m|^2 .

Only differences between labels are used, so what was gained before a turn, relative to another mover, adds up with it.
A trunk is such a walk from pure noise, moved by its class.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from specent.errors import ModelError
from specent.sampling.failures import step_text
from specent.sampling.scorers import chosen_pairs, every_candidate
from specent.sampling.setup import Setup
from specent.sampling.sides import projections


class Moment(NamedTuple):
    """A batch at one time of the grid.

    Attributes
    ----------
    at : int
        Of the time in the grid.
    x : Tensor, shape (batch, features)
        States.
    log_likelihood : Tensor, shape (batch, labels)
        Of the path so far, up to a number of each trajectory.
    denoised : Tensor, shape (batch, features)
        Data as the mover denoises them there.
    """

    at: int
    x: Tensor
    log_likelihood: Tensor
    denoised: Tensor


class Walk(NamedTuple):
    """How a batch goes on.

    Attributes
    ----------
    setup : Setup
        The grid, the model and the candidates: the labels first, perhaps the null condition behind them.
    log_prior : Tensor, shape (labels,)
        Logarithm of the prior of the labels.
    chosen : Tensor of int64, shape (batch,), or None
        Index of the candidate that moves each trajectory; the mixture of the labels for None.
    scored : bool
        Whether the labels are scored along the way, as the mixture needs it.
    noise : callable or None
        Called for the noise of each step, shape (batch, features); without any, the walk is the deterministic one of
        arXiv 2010.02502 with eta = 0, which has no likelihood.
    log_density : callable, optional
        From states at a time of the grid to the log-density of the labels, by which the mixture is weighted instead of
        by the path.
    tick : callable
        Called with the number of evaluations after every step.
    """

    setup: Setup
    log_prior: Tensor
    chosen: Tensor | None
    scored: bool
    noise: Callable[[], Tensor] | None
    log_density: Callable[[int, Tensor], Tensor] | None
    tick: Callable[[int], object]

    def moments(self, x: Tensor, log_likelihood: Tensor) -> Iterator[Moment]:
        """The batch at every time of the grid, from its end to its start.

        Parameters
        ----------
        x : Tensor, shape (batch, features)
            States at the end of the grid.
        log_likelihood : Tensor, shape (batch, labels)
            What the labels have gained before.
        """
        setup = self.setup
        for i in reversed(range(len(setup.time))):
            weighted = log_likelihood if self.log_density is None else self.log_density(i, x)
            labels, moved = self._denoised(i, x, weighted)
            if not torch.isfinite(moved).all():
                raise ModelError(
                    f"the network returned a NaN or an infinity {step_text(setup, i)} of a continuation; check its "
                    "weights and the range of the time grid"
                )
            yield Moment(i, x, log_likelihood, moved)
            if i == 0:
                return
            step = setup.steps[i - 1]
            if self.noise is None:
                x = _without_noise(setup, i, x, moved)
                continue
            noise = self.noise()
            if labels is not None:
                delta = labels - moved[:, None]
                gained = step.gain**0.5 * projections(delta, noise) - 0.5 * step.gain * delta.square().sum(-1)
                log_likelihood = log_likelihood + gained
            x = step.keep * x + step.pull * moved + step.spread * noise

    def _denoised(self, i: int, x: Tensor, weighted: Tensor) -> tuple[Tensor | None, Tensor]:
        """Data as the labels denoise them, where these are needed, and as the mover does."""
        batch = torch.arange(len(x), device=x.device)
        if self.chosen is not None and not self.scored:
            self.tick(len(x))
            return None, chosen_pairs(self.setup, i, x, batch, self.chosen).double()
        every = every_candidate(self.setup, i, x).double()
        self.tick(every.shape[0] * every.shape[1])
        labels = every[:, : len(self.log_prior)]
        if self.chosen is not None:
            return labels, every[batch, self.chosen]
        weights = torch.softmax(weighted + self.log_prior, dim=-1)
        return labels, projections(labels.mT, weights)


def _without_noise(setup: Setup, i: int, x: Tensor, moved: Tensor) -> Tensor:
    """The next state of the deterministic walk: the noise that the mover sees is kept, and shrunk."""
    keep = float(setup.noise_level[i - 1] * setup.alpha[i - 1] / (setup.noise_level[i] * setup.alpha[i]))
    state: Tensor = keep * x + (setup.alpha[i - 1] - keep * setup.alpha[i]) * moved
    return state
