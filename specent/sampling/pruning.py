"""The scorer that evaluates no more candidates than may matter; `specent.sampling.scoring` has the rules."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from specent import evidence
from specent.evidence import BITS_PER_NAT
from specent.guidance import Setting
from specent.partitions import NULL
from specent.sampling.scorers import Seen, chosen_pairs, every_candidate
from specent.sampling.scoring import DROPPED, GAIN_BITS, GAIN_SHARE, SPAN, Scoring
from specent.sampling.setup import Setup

HALF_BYTES, WORKING_BYTES = 2, 40
"""Bytes that a difference takes while it is held, and while it is worked on in double precision in a few copies."""


class FewCandidates:
    """Only the candidates that may still matter, and no more often than they must be.

    Decisions are taken for every trajectory by itself, so they do not depend on the batch it is in.

    Parameters
    ----------
    setup : Setup
        The run.
    scoring : Scoring
        What is dropped and held.
    driver : Tensor of int, shape (batch,)
        Index of each trajectory's driver among the candidates.
    guidance : Setting
        The guidance setting; one that needs the null condition has it evaluated at every step.
    most : int
        Pairs of state and candidate that the model is handed at a time.
    """

    def __init__(self, setup: Setup, scoring: Scoring, driver: Tensor, guidance: Setting, most: int) -> None:
        self._setup, self._scoring, self._driver, self._most = setup, scoring, driver, most
        self._null = setup.index.get(NULL)
        self._null_moves = guidance.needs_null
        batch, count, device = len(driver), len(setup.candidates), driver.device
        self._row = torch.arange(batch, device=device)
        prior = setup.candidate_prior / setup.candidate_prior.sum() if setup.candidate_prior.any() else None
        share = np.zeros(count) if prior is None else prior
        self._log_prior = torch.as_tensor(evidence.log_weights(share), device=device)
        self._prior_bits = BITS_PER_NAT * float(evidence.entropy(evidence.log_weights(share[share > 0])))
        self._enough = min(GAIN_BITS, GAIN_SHARE * self._prior_bits)
        # labels that the rule has not dropped, and candidates that are scored: those, the null condition, the driver
        self._open = (self._log_prior > -torch.inf).expand(batch, count).clone()
        self._scored = torch.ones(batch, count, dtype=torch.bool, device=device)
        self._mass = torch.zeros(batch, dtype=torch.float64, device=device)
        # from when every step is evaluated, and signal-to-noise ratio and noise level of the last evaluation
        self._free = torch.full((batch,), scoring.lag == 0, device=device)
        self._gamma, self._level = (torch.full((batch,), value, device=device).double() for value in (0.0, math.inf))
        shape = (batch, count, setup.features) if scoring.lag else (batch, 0, 0)
        self._held = torch.zeros(shape, dtype=torch.float16, device=device)
        self._size = torch.zeros(shape[:2], dtype=torch.float64, device=device)

    @property
    def mass(self) -> Tensor | None:
        """Posterior mass of what was dropped so far, shape (batch,); None if nothing ever is."""
        return self._mass if self._scoring.drop else None

    def dropped(self, log_likelihood: Tensor) -> Tensor:
        """Drop labels for good; see `Scorer`."""
        if not self._scoring.drop:
            return log_likelihood
        log_posterior = self._log_posterior(log_likelihood, self._open)
        # the rule does not look at the driver, or the bound would not hold; the driver is scored on nevertheless
        falls = self._open & (log_posterior <= self._log_prior + math.log(self._scoring.drop))
        self._mass += torch.where(falls, log_posterior.exp(), 0.0).sum(1)
        self._open &= ~falls
        self._scored &= ~falls
        self._scored[self._row, self._driver] = True
        return torch.where(self._scored, log_likelihood, DROPPED)

    def seen(self, i: int, x: Tensor, log_likelihood: Tensor) -> Seen:
        """Evaluate what is needed, take the rest from what is held; see `Scorer`."""
        delta, waits = self._lagging(i, log_likelihood)
        needed = self._scored & ~waits[:, None]
        needed[self._row, self._driver] = True
        if self._null_moves:
            needed[:, self._null] = True
        if needed.all():
            denoised = every_candidate(self._setup, i, x)
            rows, columns = (index.reshape(-1) for index in torch.nonzero(needed, as_tuple=True))
            flat = denoised.reshape(-1, self._setup.features)
        else:
            rows, columns = torch.nonzero(needed, as_tuple=True)
            flat = chosen_pairs(self._setup, i, x, rows, columns, self._most)
        # pairs are sorted by trajectory, each of which has its driver once
        driving = flat[columns == self._driver[rows]]
        fresh = flat - driving[rows]
        delta[rows, columns] = fresh
        self._hold(i, waits, rows, columns, fresh)
        null = flat[columns == self._null] if self._null_moves else None
        return Seen(delta, driving, null, flat, rows, columns)

    def _log_posterior(self, log_likelihood: Tensor, among: Tensor) -> Tensor:
        joint = torch.where(among, log_likelihood + self._log_prior, -torch.inf)
        return joint - joint.logsumexp(1, keepdim=True)

    def _lagging(self, i: int, log_likelihood: Tensor) -> tuple[Tensor, Tensor]:
        """The differences that are held, 0 where none are, and the trajectories whose candidates wait."""
        level = self._setup.noise_level
        delta = torch.zeros(*self._scored.shape, self._setup.features, dtype=torch.float64, device=self._scored.device)
        if self._free.all():
            return delta, torch.zeros_like(self._free)
        log_posterior = self._log_posterior(log_likelihood, self._scored)
        gained = self._prior_bits - BITS_PER_NAT * evidence.entropy(log_posterior)
        self._free |= gained >= self._enough
        waits = ~self._free & (self._level < SPAN * float(level[i]))
        some = torch.nonzero(waits)[:, 0]
        if len(some):
            held = self._held[some].double() * self._size[some, :, None]
            posterior = log_posterior[some].exp()
            mean = (posterior[:, None] @ held)[:, 0]
            variance = (posterior * (held**2).sum(-1)).sum(1) - (mean**2).sum(1)
            # at the end of the step that follows
            gamma = float(level[max(i - 1, 0)]) ** -2
            pending = 0.5 * BITS_PER_NAT * (gamma - self._gamma[some]) * variance
            waits[some] = pending < self._scoring.lag
            delta[some] = held * self._scored[some, :, None]
        return delta, waits

    def _hold(self, i: int, waits: Tensor, rows: Tensor, columns: Tensor, fresh: Tensor) -> None:
        """Keep what was evaluated, in half precision relative to its largest entry, where it may be needed again."""
        level = float(self._setup.noise_level[i])
        self._gamma = torch.where(waits, self._gamma, level**-2)
        self._level = torch.where(waits, self._level, level)
        again = ~self._free[rows]
        if not again.any():
            return
        rows, columns, fresh = rows[again], columns[again], fresh[again]
        size = fresh.abs().amax(1).clamp_min(torch.finfo(torch.float64).tiny)
        self._held[rows, columns] = (fresh / size[:, None]).half()
        self._size[rows, columns] = size
