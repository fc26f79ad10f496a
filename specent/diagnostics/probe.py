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
from specent.schedules import DDPM, VE, Schedule

Array = NDArray[np.float64]

# numbers in a batch of states, and weights of a network of which a second copy may be made
_BATCH_NUMBERS = 2**21
_MOST_WEIGHTS = 4 * 10**8
_STEPS = 2000


class Place(NamedTuple):
    """A noise level, and where it is on the network's own schedule."""

    level: float
    alpha: float
    sigma: float
    time: float


class Counted(Model):
    """A model that tells how many states it has denoised."""

    def __init__(self, model: Model, tick: Callable[[int], object]) -> None:
        super().__init__(model.labels, model.shape, model.label_prior, model.null)
        self.model, self.tick = model, tick

    @property
    def identity(self) -> dict[str, Any]:
        return self.model.identity

    def to(self, device: torch.device) -> Counted:
        return Counted(self.model.to(device), self.tick)

    def check_levels(self, noise_levels: Array) -> None:
        self.model.check_levels(noise_levels)

    def denoise(self, x: Tensor, sigma: float, condition: Tensor) -> Tensor:
        self.tick(len(x))
        return self.model.denoise(x, sigma, condition)

    def candidates(self, x: Tensor, sigma: float, conditions: Tensor) -> Tensor:
        self.tick(len(x) * len(conditions))
        return self.model.candidates(x, sigma, conditions)


class Probe:
    """A model, called as its network is.

    A model that is no `NetworkModel` counts as a network that returns the denoised data, with noise level as its time.

    Parameters
    ----------
    model : Model
        On its device.
    tick : callable
        Told how many states were denoised.
    """

    def __init__(self, model: Model, tick: Callable[[int], object]) -> None:
        self.model, self.tick = model, tick
        self.network = model if isinstance(model, NetworkModel) else None
        self.prediction = "data" if self.network is None else str(self.network.prediction)
        self.schedule: Schedule = VE() if self.network is None else self.network.schedule
        self.whole = self.network is not None and self.network.integer_times
        # a DDPM network that rounds its time itself has steps all the same
        self.stepped = self.whole or isinstance(self.schedule, DDPM)
        self.known = self._steps()

    @property
    def range(self) -> tuple[float, float]:
        """Smallest and largest noise level; 0 and infinity where there is no end."""
        if self.known is not None:
            return float(self.known[0]), float(self.known[-1])
        return level_range(self.schedule)

    def levels(self, low: float, high: float, count: int) -> Array:
        """Ascending noise levels that the model knows, evenly over the logarithm where it knows them all."""
        least, most = self.range
        low, high = (min(max(end, least), most) for end in (low, high))
        return self.snapped(np.geomspace(low, high, count))

    def snapped(self, levels: Array) -> Array:
        """The nearest known ones of ascending noise levels, each once."""
        if self.known is None:
            return levels
        gaps = np.abs(np.log(levels)[:, None] - np.log(self.known))
        return np.asarray(self.known[np.unique(gaps.argmin(axis=1))])

    def place(self, level: float) -> Place:
        """Where a noise level is on the network's schedule."""
        time = float(self.schedule.time(-2 * np.log(level)))
        if self.whole:
            time = float(round(time))
        return Place(level, float(self.schedule.alpha(time)), float(self.schedule.sigma(time)), time)

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
        made = []
        for low in range(0, len(state), size):
            part = slice(low, low + size)
            self.tick(len(state[part]))
            made.append(self._called(state[part], time, condition[part]).to(torch.float64))
        return torch.cat(made)

    def denoise(self, x: Tensor, level: float, condition: Tensor) -> Tensor:
        """Denoised data of states ``x_0 + level * noise``, in double precision."""
        place = self.place(level)
        state = place.alpha * x
        return to_data(
            self.prediction, self.output(state, place.time, condition), state.double(), place.alpha, place.sigma
        )

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
        return Probe(twin, self.tick)

    def _called(self, state: Tensor, time: float, condition: Tensor) -> Tensor:
        if self.network is None:
            with torch.no_grad():
                return self.model.denoise(state, time, condition)
        return self.network.call(state.to(self.network.dtype), time, condition)

    def _steps(self) -> Array | None:
        """The noise levels of a network that knows some only, ascending."""
        if self.network is None:
            return None
        low, high = self.schedule.time_range
        if self.whole:
            return self.schedule.noise_level(np.arange(math.ceil(low), math.floor(high) + 1.0))
        if np.isfinite(self.schedule.time_range).all() and not (
            self.schedule.noise_free_start or self.schedule.signal_free_end
        ):
            try:
                self.model.check_levels(np.sqrt([self.schedule.noise_level(low) * self.schedule.noise_level(high)]))
            except ModelError:
                return np.unique(self.schedule.noise_level(np.linspace(low, high, _STEPS)))
        return None


def _owners(model: Model) -> Sequence[object]:
    """What may hold a network: the model, and the object that it wraps."""
    return [model, model.net] if isinstance(model, NetworkModel) else [model]


def _modules(owner: object) -> list[nn.Module]:
    if isinstance(owner, nn.Module):
        return [owner]
    return [value for value in getattr(owner, "__dict__", {}).values() if isinstance(value, nn.Module)]
