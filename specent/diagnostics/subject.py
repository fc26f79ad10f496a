"""A model under check, with the data, the conditions and the noise levels on which it is tried."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from specent import arguments
from specent.arguments import brief
from specent.diagnostics.labelled_data import Array, LabelledExamples
from specent.diagnostics.network_probe import Probe
from specent.errors import SpecentError
from specent.models.base import Model

FEW = 12
"""Models of at most so many labels are tried on all of them."""

_SOME = 6
_LEVELS = 10
_RANGE = (0.002, 80.0)
# how far the noise levels at which errors are compared go, in deviations of the data
_LOW, _HIGH = 0.02, 3.0


@dataclass(frozen=True)
class Subject:
    """A model under check, and what it is tried on.

    Parameters
    ----------
    model : Model
        On its device.
    probe : Probe
        The model as the checks call it.
    examples : LabelledExamples or None
        Data of the kind it was trained on, if there are any.
    labels : tuple of int
        Indices of the labels that are tried.
    low, high : float
        Ends of the noise levels that are to be sampled.
    complete : bool
        Whether the labels cover all that the null condition stands for.
    seed : int
        Of the noise.
    device : torch.device
        Device of the states.
    """

    model: Model
    probe: Probe
    examples: LabelledExamples | None
    labels: tuple[int, ...]
    low: float
    high: float
    complete: bool
    seed: int
    device: torch.device

    @property
    def null(self) -> int:
        """Index of the null condition."""
        return len(self.model.labels)

    @property
    def conditions(self) -> list[int]:
        """The conditions that are tried, the null condition among them if there is one."""
        return [*self.labels, *([self.null] if self.model.null else [])]

    @property
    def data(self) -> LabelledExamples:
        """The examples, for a measurement that cannot do without.

        Raises
        ------
        SpecentError
            If there are none.
        """
        if self.examples is None:
            raise SpecentError("errors need images")
        return self.examples

    def error_levels(self) -> Array:
        """Noise levels at which errors are compared: from hardly any noise to where the data is swamped."""
        variance, top = self.data.variance, float(self.data.spectrum[0])
        low = max(self.low, _LOW * variance**0.5)
        return self.probe.levels(low, min(self.high, max(_HIGH * top**0.5, 4 * low)), _LEVELS)

    def name(self, condition: int) -> str:
        """A condition by its label."""
        return "null" if condition == self.null else repr(self.model.labels[condition])

    def batch_of(self, condition: int, count: int) -> Tensor:
        """That condition, `count` times."""
        return torch.full((count,), condition, dtype=torch.int64, device=self.device)


def noise_range(probe: Probe, levels: Any) -> tuple[float, float]:
    """Smallest and largest noise level that is tried: the given ones, or those of the schedule.

    Raises
    ------
    SpecentError
        If they are no two ascending noise levels that the model knows.
    """
    least, most = probe.range
    if levels is None:
        return (least if least > 0 else _RANGE[0]), (most if np.isfinite(most) else _RANGE[1])
    ends = arguments.listed(levels, "levels", "pass the smallest and the largest noise level")
    if len(ends) != 2:
        raise SpecentError(f"levels={brief(levels)} must be the smallest and the largest noise level")
    low = arguments.number(ends[0], "levels[0]", above=0)
    high = arguments.number(ends[1], "levels[1]", above=low)
    if low < 0.999 * least or high > 1.001 * most:
        raise SpecentError(
            f"levels={brief(levels)}: the model knows noise levels from {least:.5g} to {most:.5g}; stay within"
        )
    return max(low, least), min(high, most)


def tried_labels(model: Model, examples: LabelledExamples | None) -> tuple[int, ...]:
    """Indices of the labels that are tried: all of a few, otherwise those with most examples."""
    count = len(model.labels)
    if count <= FEW:
        return tuple(range(count))
    if examples is None:
        return tuple(range(_SOME))
    occurrences = torch.bincount(examples.classes.cpu(), minlength=count).numpy()
    order = np.argsort(-occurrences, kind="stable")
    return tuple(sorted(int(index) for index in order[:_SOME]))
