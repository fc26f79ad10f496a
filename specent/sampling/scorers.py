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
        All that was evaluated, as the model returned it, sorted by trajectory.
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
        """Denoised data of the candidates less the driver's, as they are scored, shape (part, candidates, features).

        In double precision, and perhaps overwritten by the next call.
        """


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
        # one array for all steps: memory that is taken and given back at every step costs as much as what is done in it
        shape = (len(driver), count, setup.features)
        self._delta = torch.empty(shape, dtype=torch.float64, device=driver.device)

    def dropped(self, log_likelihood: Tensor) -> Tensor:
        """Nothing is dropped."""
        return log_likelihood

    def seen(self, i: int, x: Tensor, log_likelihood: Tensor) -> Seen:
        """Evaluate every candidate; see `Scorer`."""
        denoised = every_candidate(self._setup, i, x)
        index = self._setup.index.get(NULL)
        null = None if index is None else denoised[:, index].double()
        driving = denoised[self._batch, self._driver].double()
        return Seen(driving, null, denoised.reshape(-1, denoised.shape[-1]), self._rows, self._columns)

    def delta(self, seen: Seen, part: slice) -> Tensor:
        """Every difference; see `Scorer`."""
        denoised = seen.denoised.reshape(self._delta.shape)
        return self._delta[part].copy_(denoised[part]).sub_(seen.driving[part, None])


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
