"""The differences of the candidates' denoised data at one step: by evaluating every candidate, or only some.

`EveryCandidate` is here, `specent.sampling.pruning` has the one that evaluates no more than it must.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import torch
from torch import Tensor

from specent.errors import ModelError
from specent.models.outputs import checked, reason
from specent.partitions import NULL
from specent.sampling.failures import step_text
from specent.sampling.setup import Setup


@dataclass(frozen=True, eq=False)
class Seen:
    """What the model was evaluated for at one step.

    Attributes
    ----------
    driving : Tensor, shape (batch, features)
        Denoised data of the driver, in double precision.
    null : Tensor or None, shape (batch, features)
        Those of the null condition, where it was evaluated.
    denoised : Tensor, shape (pairs, features)
        All that was evaluated, sorted by trajectory.
    rows, columns : Tensor of int, shape (pairs,)
        Its trajectories and candidates.
    """

    driving: Tensor
    null: Tensor | None
    denoised: Tensor
    rows: Tensor
    columns: Tensor


class Scorer(Protocol):
    """What the chain asks for the differences of the candidates."""

    @property
    def parts(self) -> Sequence[slice]:
        """The trajectories that are worked on together."""

    @property
    def mass(self) -> Tensor | None:
        """Posterior mass of what was dropped so far, shape (batch,); None if nothing ever is."""

    def dropped(self, log_likelihood: Tensor) -> Tensor:
        """Path log-likelihoods after candidates that cannot matter any more are dropped."""

    def seen(self, i: int, x: Tensor, log_likelihood: Tensor) -> Seen:
        """Evaluate what is needed at the states x of the time with index i."""

    def delta(self, seen: Seen, part: slice) -> Tensor:
        """Denoised data of the candidates less the driver's, as they are scored, shape (part, candidates, features)."""


class EveryCandidate:
    """Every candidate at every step.

    Parameters
    ----------
    setup : Setup
        The run.
    driver : Tensor of int, shape (batch,)
        Index of each trajectory's driver among the candidates.
    """

    mass = None
    parts = (slice(None),)

    def __init__(self, setup: Setup, driver: Tensor) -> None:
        self._setup, self._driver = setup, driver
        self._batch = torch.arange(len(driver), device=driver.device)
        count = len(setup.candidates)
        self._rows = self._batch.repeat_interleave(count)
        self._columns = torch.arange(count, device=driver.device).repeat(len(driver))

    def dropped(self, log_likelihood: Tensor) -> Tensor:
        """Nothing is dropped."""
        return log_likelihood

    def seen(self, i: int, x: Tensor, log_likelihood: Tensor) -> Seen:
        """Evaluate every candidate; see `Scorer`."""
        denoised = every_candidate(self._setup, i, x).to(torch.float64)
        index = self._setup.index.get(NULL)
        null = None if index is None else denoised[:, index]
        flat = denoised.reshape(-1, denoised.shape[-1])
        return Seen(denoised[self._batch, self._driver], null, flat, self._rows, self._columns)

    def delta(self, seen: Seen, part: slice) -> Tensor:
        """Every difference; see `Scorer`."""
        denoised = seen.denoised.reshape(len(seen.driving), -1, seen.denoised.shape[-1])
        return denoised[part] - seen.driving[part, None]


def every_candidate(setup: Setup, i: int, x: Tensor) -> Tensor:
    """The data as denoised under every candidate, shape (batch, candidates, features)."""
    shape = (len(x), len(setup.candidates), *setup.model.shape)
    call = partial(setup.model.candidates, _state(setup, i, x), float(setup.noise_level[i]), setup.conditions.clone())
    return _evaluated(setup, i, x, shape, "candidates", call).reshape(*shape[:2], -1)


def chosen_pairs(setup: Setup, i: int, x: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """The data as denoised under one candidate for each of the chosen states, shape (pairs, features).

    Parameters
    ----------
    setup : Setup
        The run.
    i : int
        Index in the grid.
    x : Tensor, shape (batch, features)
        States.
    rows, columns : Tensor of int, shape (pairs,)
        State and candidate of each pair.
    """
    shape = (len(rows), *setup.model.shape)
    state, level = _state(setup, i, x), float(setup.noise_level[i])
    call = partial(setup.model.pairs, state, level, rows, setup.conditions[columns])
    return _evaluated(setup, i, x, shape, "pairs", call).reshape(len(rows), -1)


def _state(setup: Setup, i: int, x: Tensor) -> Tensor:
    state: Tensor = x / setup.alpha[i]
    return state.reshape(len(x), *setup.model.shape)


def _evaluated(
    setup: Setup, i: int, x: Tensor, shape: Sequence[int], method: str, call: Callable[[], object]
) -> Tensor:
    """What the model returns, or an error that says at which step it failed."""
    try:
        return checked(call(), shape, x.device, f"{type(setup.model).__name__}.{method}")
    except ModelError as error:
        raise ModelError(f"{step_text(setup, i)}: {error}") from (error.__cause__ or error)
    except Exception as error:
        raise ModelError(f"{step_text(setup, i)}: the model raised {reason(error)}") from error
