"""The arrays of one batch, and what is copied into them at every time."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from specent import evidence
from specent.guidance import Setting
from specent.sampling.plan import Plan


class Recorder:
    """The arrays of one batch, by name, batch first.

    Parameters
    ----------
    plan : Plan
        The run, which says what is kept.
    guidance : Setting
        The guidance setting of the batch.
    driver : Tensor, shape (batch, candidates)
        1 for the driver of each trajectory, 0 elsewhere.
    """

    def __init__(self, plan: Plan, guidance: Setting, driver: Tensor) -> None:
        self.arrays: dict[str, NDArray[Any]] = {
            name: np.empty((len(driver), *shape), dtype) for name, (dtype, shape) in plan.layout().items()
        }
        self._plan, self._unguided, self._driver = plan, not guidance.guided, driver

    def write(
        self, i: int, log_likelihood: Tensor, gram: Tensor, mover: Tensor, predicted: Tensor, scale: float | Tensor
    ) -> None:
        """Copy what is kept of the time with index i.

        Parameters
        ----------
        i : int
            Index in the grid.
        log_likelihood : Tensor, shape (batch, candidates)
            Path log-likelihoods.
        gram : Tensor, shape (batch, candidates, candidates)
            Inner products of the candidates' denoised data, less that of the driver.
        mover : Tensor, shape (batch, candidates)
            Weights of the candidates in the denoised data that move the sample.
        predicted : Tensor, shape (batch, features)
            Those denoised data.
        scale : float or Tensor, shape (batch,)
            The guidance scale.
        """
        out = self.arrays
        out["log_likelihood"][:, i] = log_likelihood.cpu()
        self._write_production(i, log_likelihood, gram, mover)
        if "denoiser_distance" in out:
            square = gram.diagonal(dim1=1, dim2=2)
            distance = square[:, :, None] + square[:, None, :] - 2 * gram
            out["denoiser_distance"][:, i] = distance.clamp_min(0).float().cpu()
        if "scale" in out:
            out["scale"][:, i] = scale.cpu() if isinstance(scale, Tensor) else scale
        if i in self._plan.prediction_indices:
            out["prediction"][:, self._plan.prediction_indices.index(i)] = predicted.float().cpu()
        if i == 0:
            out["final"][:] = predicted.float().cpu()

    def _write_production(self, i: int, log_likelihood: Tensor, gram: Tensor, mover: Tensor) -> None:
        gamma = float(np.exp(self._plan.log_snr[i]))
        for indices, log_prior in self._plan.log_priors:
            prior = torch.as_tensor(log_prior, device=gram.device)
            rates = evidence.production(log_likelihood, prior, gram, mover, self._driver, self._unguided)
            for name, rate in zip(("production", "cross_production"), rates, strict=True):
                self.arrays[name][:, i, indices] = (gamma * rate).cpu()
