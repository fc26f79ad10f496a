"""A model as the checks call it: in the coordinates of its own network, at noise levels it knows, and counted."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from specent.errors import ModelError
from specent.models.base import Model
from specent.models.network import NetworkModel, level_range
from specent.models.predictions import to_data
from specent.schedules import VE, Schedule

Array = NDArray[np.float64]

# numbers in a batch of states, and weights beyond which a network is not copied
_BATCH_NUMBERS = 2**21
_MOST_WEIGHTS = 4 * 10**8
_STEPS = 2000


class SchedulePoint(NamedTuple):
    """A noise level on the network's own schedule: its alpha, its sigma and its time."""

    level: float
    alpha: float
    sigma: float
    time: float


class CountedModel(Model):
    """A model that reports how many states it denoises.

    Parameters
    ----------
    model : Model
        The model.
    count : callable
        Called with the number of states of every batch.
    """

    def __init__(self, model: Model, count: Callable[[int], object]) -> None:
        super().__init__(model.labels, model.shape, model.label_prior, model.null)
        self.model, self.count = model, count

    @property
    def identity(self) -> dict[str, Any]:
        return self.model.identity

    def to(self, device: torch.device) -> CountedModel:
        return CountedModel(self.model.to(device), self.count)

    def check_levels(self, noise_levels: Array) -> None:
        self.model.check_levels(noise_levels)

    def denoise(self, x: Tensor, sigma: float, condition: Tensor) -> Tensor:
        self.count(len(x))
        return self.model.denoise(x, sigma, condition)

    def candidates(self, x: Tensor, sigma: float, conditions: Tensor) -> Tensor:
        self.count(len(x) * len(conditions))
        return self.model.candidates(x, sigma, conditions)


class Probe:
    """A model, called as its network is.

    A model that is no `NetworkModel` counts as a network that returns the denoised data, with noise level as its time.

    Parameters
    ----------
    model : Model
        On its device.
    count : callable
        Called with the number of states of every batch that is denoised.

    Attributes
    ----------
    prediction : str
        The declared prediction type.
    schedule : Schedule
        The declared schedule.
    integer_times : bool
        Whether the network is called at whole times only.
    has_steps : bool
        Whether its schedule has steps; a DDPM network that rounds its time itself has steps all the same.
    known_levels : ndarray or None
        The noise levels of a network that knows some only, ascending; None if it knows them all.
    """

    def __init__(self, model: Model, count: Callable[[int], object]) -> None:
        self.model, self.count = model, count
        self.network = model if isinstance(model, NetworkModel) else None
        self.prediction = "data" if self.network is None else str(self.network.prediction)
        self.schedule: Schedule = VE() if self.network is None else self.network.schedule
        self.integer_times = self.network is not None and self.network.integer_times
        self.has_steps = self.integer_times or self.schedule.whole_times is not None
        self.known_levels = _known_levels(self.network)

    @property
    def range(self) -> tuple[float, float]:
        """Smallest and largest noise level; 0 and infinity where there is no end."""
        if self.known_levels is not None:
            return float(self.known_levels[0]), float(self.known_levels[-1])
        return level_range(self.schedule)

    @property
    def counted_model(self) -> Model:
        """The model, for a run whose network evaluations are counted too."""
        return CountedModel(self.model, self.count)

    def levels(self, low: float, high: float, count: int) -> Array:
        """Ascending noise levels that the model knows, evenly over the logarithm where it knows them all."""
        least, most = self.range
        low, high = (min(max(end, least), most) for end in (low, high))
        return self.nearest_known(np.geomspace(low, high, count))

    def nearest_known(self, levels: Array) -> Array:
        """The nearest known ones of ascending noise levels, each once."""
        if self.known_levels is None:
            return levels
        gaps = np.abs(np.log(levels)[:, None] - np.log(self.known_levels))
        return np.asarray(self.known_levels[np.unique(gaps.argmin(axis=1))])

    def point(self, level: float) -> SchedulePoint:
        """A noise level on the network's own schedule."""
        time = float(self.schedule.time(-2 * np.log(level)))
        if self.integer_times:
            time = float(round(time))
        return SchedulePoint(level, float(self.schedule.alpha(time)), float(self.schedule.sigma(time)), time)

    def output(self, state: Tensor, time: float, condition: Tensor) -> Tensor:
        """What the network returns, in double precision.

        Parameters
        ----------
        state : Tensor, shape ``(batch, *shape)``
            In the coordinates of the network's own schedule.
        time : float
            Of that schedule; need not belong to the state.
        condition : Tensor of int64, shape (batch,)
            Index of the label, or the number of labels for the null condition.

        Returns
        -------
        Tensor, shape ``(batch, *shape)``
        """
        size = max(1, _BATCH_NUMBERS // math.prod(self.model.shape))
        outputs = []
        for low in range(0, len(state), size):
            batch = slice(low, low + size)
            self.count(len(state[batch]))
            outputs.append(self._call(state[batch], time, condition[batch]).to(torch.float64))
        return torch.cat(outputs)

    def denoise(self, x: Tensor, level: float, condition: Tensor) -> Tensor:
        """Denoised data of states ``x_0 + level * noise``, in double precision."""
        point = self.point(level)
        state = point.alpha * x
        output = self.output(state, point.time, condition)
        return to_data(self.prediction, output, state.double(), point.alpha, point.sigma)

    def candidates(self, x: Tensor, level: float, conditions: Tensor) -> Tensor:
        """Every state denoised under every condition by the model itself, in double precision."""
        with torch.no_grad():
            return self.counted_model.candidates(x, level, conditions).double()

    def in_double_precision(self) -> Probe | str:
        """A copy in double precision, or why there is none."""
        modules = {id(part): part for owner in _owners(self.model) for part in _modules(owner)}
        weights = sum(weight.numel() for module in modules.values() for weight in module.parameters())
        if not weights:
            return "no torch module with weights was found in the model"
        if weights > _MOST_WEIGHTS:
            return f"the network has {weights / 1e6:.0f} million weights, too many for a second copy"
        try:
            twin = copy.deepcopy(self.model)
        except Exception as error:
            return f"the model cannot be copied ({type(error).__name__})"
        for owner in _owners(twin):
            for module in _modules(owner):
                module.double()
        if isinstance(twin, NetworkModel):
            twin.dtype = torch.float64
        return Probe(twin, self.count)

    def _call(self, state: Tensor, time: float, condition: Tensor) -> Tensor:
        if self.network is None:
            with torch.no_grad():
                return self.model.denoise(state, time, condition)
        return self.network.call(state.to(self.network.dtype), time, condition)


def _known_levels(network: NetworkModel | None) -> Array | None:
    """The noise levels of a network that knows some only, ascending."""
    if network is None:
        return None
    schedule = network.schedule
    low, high = schedule.time_range
    if network.integer_times:
        return schedule.noise_level(np.arange(math.ceil(low), math.floor(high) + 1.0))
    if np.isfinite(schedule.time_range).all() and not (schedule.noise_free_start or schedule.signal_free_end):
        try:
            network.check_levels(np.sqrt([schedule.noise_level(low) * schedule.noise_level(high)]))
        except ModelError:
            return np.unique(schedule.noise_level(np.linspace(low, high, _STEPS)))
    return None


def _owners(model: Model) -> Sequence[object]:
    """The objects that may hold a network: the model, and the object that it wraps."""
    return [model, model.net] if isinstance(model, NetworkModel) else [model]


def _modules(owner: object) -> list[nn.Module]:
    if isinstance(owner, nn.Module):
        return [owner]
    return [value for value in getattr(owner, "__dict__", {}).values() if isinstance(value, nn.Module)]
