"""A linear denoiser in place of a network, so that a check can be rehearsed without calling the network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from specent.diagnostics.labelled_data import LabelledExamples
from specent.diagnostics.network_probe import Probe
from specent.models.base import Model
from specent.models.predictions import from_data


class LinearDenoiser(Model):
    r"""The exact denoiser of Gaussian data, :math:`D = m + (x - m) v/(v + \sigma^2)`, under every condition.

    Parameters
    ----------
    model : Model
        Whose labels and shape it has.
    mean : Tensor, shape ``shape``
        Mean of the data.
    variance : float
        Variance of every number.
    """

    def __init__(self, model: Model, mean: Tensor, variance: float) -> None:
        super().__init__(model.labels, model.shape, model.label_prior, model.null)
        self.mean, self.variance = mean, variance

    @property
    def identity(self) -> dict[str, Any]:
        return {"name": "linear denoiser"}

    def to(self, device: torch.device) -> LinearDenoiser:
        return LinearDenoiser(self, self.mean.to(device), self.variance)

    def denoise(self, x: Tensor, sigma: float, condition: Tensor) -> Tensor:
        mean = self.mean.to(x)
        return mean + (x - mean) * (self.variance / (self.variance + sigma**2))


class StandInProbe(Probe):
    """A probe that behaves as another does, with a linear denoiser of the data's variance in place of the network."""

    def __init__(self, probe: Probe, examples: LabelledExamples | None, count: Callable[[int], object]) -> None:
        if examples is None:
            mean, variance = torch.zeros(probe.model.shape, dtype=torch.float64), 1.0
        else:
            mean, variance = examples.images.mean(0), examples.variance
        super().__init__(LinearDenoiser(probe.model, mean, variance), count)
        self.prediction, self.schedule = probe.prediction, probe.schedule
        self.integer_times, self.has_steps = probe.integer_times, probe.has_steps
        self.known_levels = probe.known_levels

    def in_double_precision(self) -> Probe | str:
        return self

    def _call(self, state: Tensor, time: float, condition: Tensor) -> Tensor:
        alpha, sigma = float(self.schedule.alpha(time)), float(self.schedule.sigma(time))
        data = self.model.denoise(state / alpha, sigma / alpha, condition)
        return from_data(self.prediction, data, state, alpha, sigma)
