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

# numbers that are worked on together: so few that a processor keeps them near, so many that a GPU has enough to do
_TOGETHER, _TOGETHER_ON_GPU = 2**18, 2**26


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
        self._waits, self._first = torch.zeros_like(self._free), [0] * (batch + 1)
        step = max(1, (_TOGETHER if device.type == "cpu" else _TOGETHER_ON_GPU) // (count * setup.features))
        self.parts = [slice(low, min(low + step, batch)) for low in range(0, batch, step)]
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
        """Evaluate what is needed; see `Scorer`."""
        self._waits = self._waiting(i, log_likelihood)
        needed = self._scored & ~self._waits[:, None]
        needed[self._row, self._driver] = True
        if self._null_moves:
            needed[:, self._null] = True
        # sorted by trajectory, each of which has its driver once
        rows, columns = torch.nonzero(needed, as_tuple=True)
        denoised = self._denoised(i, x, rows, columns)
        driving = denoised[columns == self._driver[rows]].double()
        null = denoised[columns == self._null].double() if self._null_moves else None
        found = Seen(driving, null, denoised, rows, columns)
        self._first = torch.searchsorted(rows, torch.arange(len(x) + 1, device=rows.device)).tolist()
        self._hold(i, found)
        return found

    def delta(self, seen: Seen, part: slice) -> Tensor:
        """What was evaluated, and what is held of the trajectories that wait; see `Scorer`."""
        rows, columns, fresh = self._fresh(seen, part)
        count = part.stop - part.start
        if len(rows) == count * len(self._log_prior):
            return fresh.reshape(count, -1, fresh.shape[1])
        delta = self._held_of(part) if self._waits[part].any() else self._nothing(count)
        delta[rows, columns] = fresh
        return delta

    def _denoised(self, i: int, x: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
        """What the model returns for the pairs, shape (pairs, features), in calls of moderate size."""
        count = len(self._log_prior)
        whole = len(rows) == len(x) * count
        step = max(1, self._most // count) if whole else self._most
        outputs = []
        for low in range(0, len(x) if whole else len(rows), step):
            some = slice(low, low + step)
            if whole:
                output = every_candidate(self._setup, i, x[some]).reshape(-1, x.shape[1])
            else:
                output = chosen_pairs(self._setup, i, x, rows[some], columns[some])
            outputs.append(output)
        return outputs[0] if len(outputs) == 1 else torch.cat(outputs)

    def _fresh(self, seen: Seen, part: slice) -> tuple[Tensor, Tensor, Tensor]:
        """Trajectories of a part, counted from its first, candidates, and differences of what was evaluated."""
        pairs = slice(self._first[part.start], self._first[part.stop])
        rows = seen.rows[pairs]
        return rows - part.start, seen.columns[pairs], seen.denoised[pairs].double() - seen.driving[rows]

    def _held_of(self, part: slice) -> Tensor:
        return self._held[part].double() * self._size[part, :, None]

    def _nothing(self, count: int) -> Tensor:
        shape = (count, len(self._log_prior), self._setup.features)
        return torch.zeros(shape, dtype=torch.float64, device=self._row.device)

    def _log_posterior(self, log_likelihood: Tensor, among: Tensor) -> Tensor:
        joint = torch.where(among, log_likelihood + self._log_prior, -torch.inf)
        return joint - joint.logsumexp(1, keepdim=True)

    def _waiting(self, i: int, log_likelihood: Tensor) -> Tensor:
        """The trajectories whose candidates need not be evaluated anew, shape (batch,)."""
        if self._free.all():
            return torch.zeros_like(self._free)
        level = self._setup.noise_level
        log_posterior = self._log_posterior(log_likelihood, self._scored)
        gained = self._prior_bits - BITS_PER_NAT * evidence.entropy(log_posterior)
        self._free |= gained >= self._enough
        waits = ~self._free & (self._level < SPAN * float(level[i]))
        # at the end of the step that follows
        gain = float(level[max(i - 1, 0)]) ** -2 - self._gamma
        for part in self.parts:
            if waits[part].any():
                held, posterior = self._held_of(part), log_posterior[part].exp()
                mean = (posterior[:, None] @ held)[:, 0]
                variance = (posterior * (held**2).sum(-1)).sum(1) - (mean**2).sum(1)
                waits[part] &= 0.5 * BITS_PER_NAT * gain[part] * variance < self._scoring.lag
        return waits

    def _hold(self, i: int, seen: Seen) -> None:
        """Keep what was evaluated, in half precision relative to its largest entry, where it may be needed again."""
        level = float(self._setup.noise_level[i])
        self._gamma = torch.where(self._waits, self._gamma, level**-2)
        self._level = torch.where(self._waits, self._level, level)
        for part in self.parts:
            if not self._free[part].all():
                rows, columns, fresh = self._fresh(seen, part)
                size = fresh.abs().amax(1).clamp_min(torch.finfo(torch.float64).tiny)
                self._held[part.start + rows, columns] = (fresh / size[:, None]).half()
                self._size[part.start + rows, columns] = size
