"""The arrays of one batch, and what is copied into them at every time."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from specent.sampling.setup import Setup
from specent.sampling.sides import Step


class Recorder:
    """The arrays of one batch, by name, batch first.

    Parameters
    ----------
    setup : Setup
        The run, which says what is kept.
    count : int
        Trajectories of the batch.
    """

    def __init__(self, setup: Setup, count: int) -> None:
        self.arrays: dict[str, NDArray[Any]] = {
            name: np.empty((count, *shape), dtype) for name, (dtype, shape) in setup.layout().items()
        }
        self._plan = setup

    def write_step(self, i: int, part: slice, step: Step) -> None:
        """Copy what is kept of the candidates at the time with index i.

        Parameters
        ----------
        i : int
            Index in the grid.
        part : slice
            The trajectories.
        step : Step
            What is known of their candidates then.
        """
        out = self.arrays
        out["log_likelihood"][part, i] = step.log_likelihood.cpu()
        if "production" in out:
            gamma = float(np.exp(self._plan.log_snr[i]))
            for name, rate in zip(("production", "cross_production"), self._plan.sides.production(step), strict=True):
                out[name][part, i] = (gamma * rate).cpu()
        if "denoiser_distance" in out:
            out["denoiser_distance"][part, i] = _squared_distances(step.delta).float().cpu()

    def write(
        self, i: int, predicted: Tensor, scale: float | Tensor, evaluated: Tensor, dropped_mass: Tensor | None
    ) -> None:
        """Copy what is kept of all trajectories at the time with index i.

        Parameters
        ----------
        i : int
            Index in the grid.
        predicted : Tensor, shape (batch, features)
            The denoised data that move the sample.
        scale : float or Tensor, shape (batch,)
            The guidance scale.
        evaluated : Tensor of int, shape (pairs,)
            The trajectory of every evaluation of the model.
        dropped_mass : Tensor or None, shape (batch,)
            Posterior mass of the candidates that were dropped, if any ever are.
        """
        out = self.arrays
        if "scale" in out:
            out["scale"][:, i] = scale.cpu() if isinstance(scale, Tensor) else scale
        if "evaluations" in out:
            out["evaluations"][:, i] = evaluated.bincount(minlength=len(predicted)).cpu()
        if dropped_mass is not None:
            out["dropped_mass"][:, i] = dropped_mass.cpu()
        if i in self._plan.prediction_indices:
            out["prediction"][:, self._plan.prediction_indices.index(i)] = predicted.float().cpu()
        if i == 0:
            out["final"][:] = predicted.float().cpu()


def _squared_distances(delta: Tensor) -> Tensor:
    """Squared distances between the rows of a batch, shape (batch, rows, rows)."""
    gram = delta @ delta.transpose(1, 2)
    square = gram.diagonal(dim1=1, dim2=2)
    return (square[:, :, None] + square[:, None, :] - 2 * gram).clamp_min(0)
