"""A run, worked out from its arguments: the same for every batch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from specent.guidance import Setting
from specent.models.base import Model
from specent.partitions import NULL, Partition
from specent.sampling.record import Record
from specent.sampling.scoring import Scoring
from specent.sampling.sides import Sides
from specent.schedules import Schedule
from specent.schema import coordinates
from specent.transitions import Transition, transitions

Array = NDArray[np.float64]
Layout = dict[str, tuple[type[np.number[Any]], tuple[int, ...]]]


@dataclass(frozen=True, eq=False)
class Setup:
    """What is sampled and scored, on which grid, and what is kept of it.

    Attributes
    ----------
    model : Model
        The denoiser.
    schedule, time : Schedule and ndarray, shape (time,)
        The noise schedule and the ascending times of the grid.
    drivers, candidates : tuple of str
        The conditions that drive trajectories, and those that are scored along them.
    candidate_prior : ndarray, shape (candidates,)
        Prior of the candidates, 0 for the null condition.
    guidance : tuple of Setting
        The guidance settings.
    partitions : tuple of Partition
        The partitions whose production is recorded.
    record : Record
        What else is kept.
    samples, seed, shared_noise : int, int, bool
        Trajectories per driver, the seed of their noise, and whether all drivers share it.
    first : int
        Number of the first trajectory of every driver.
    device : torch.device
        Where the network runs.
    scoring : Scoring or None
        Which candidates are evaluated; all of them for None.
    """

    model: Model
    schedule: Schedule
    time: Array
    drivers: tuple[str, ...]
    candidates: tuple[str, ...]
    candidate_prior: Array
    guidance: tuple[Setting, ...]
    partitions: tuple[Partition, ...]
    record: Record
    samples: int
    seed: int
    shared_noise: bool
    device: torch.device
    first: int = 0
    scoring: Scoring | None = None

    def part(self, drivers: Sequence[str], first: int, last: int) -> Setup:
        """Some drivers, and of each the trajectories from number `first` to the one before `last`."""
        part = replace(self, drivers=tuple(drivers), first=first, samples=last - first)
        # of a thousand partitions they take a second, and are the same for every part; so are the numbers of the
        # labels, even if a model gives others after it was called
        for name in ("sides", "partition_coordinates", "conditions"):
            part.__dict__[name] = getattr(self, name)
        return part

    @cached_property
    def log_snr(self) -> Array:
        """Log-SNR of the grid, shape (time,)."""
        return self.schedule.log_snr(self.time)

    @cached_property
    def noise_level(self) -> Array:
        """Noise level ``sigma / alpha`` of the grid, shape (time,)."""
        return np.asarray(np.exp(-0.5 * self.log_snr))

    @cached_property
    def alpha(self) -> Array:
        """Scale of the signal on the grid, shape (time,)."""
        return self.schedule.alpha(self.time)

    @cached_property
    def start(self) -> float:
        """Standard deviation of the state from which the chain starts."""
        return float(self.schedule.sigma(self.time[-1]))

    @cached_property
    def steps(self) -> tuple[Transition, ...]:
        """The steps of the chain; entry i leads from time i + 1 to time i."""
        return tuple(transitions(self.schedule, self.time))

    @cached_property
    def index(self) -> dict[str, int]:
        """Index of every candidate."""
        return {name: i for i, name in enumerate(self.candidates)}

    @cached_property
    def conditions(self) -> Tensor:
        """The candidates as the model numbers them."""
        number = {name: i for i, name in enumerate((*self.model.labels, NULL))}
        return torch.tensor([number[name] for name in self.candidates], device=self.device)

    @property
    def features(self) -> int:
        """How many numbers a sample has."""
        return math.prod(self.model.shape)

    @property
    def trajectories(self) -> int:
        """How many trajectories there are for every guidance setting."""
        return len(self.drivers) * self.samples

    @property
    def evaluations(self) -> int:
        """How many states the network denoises in the whole run, at most if `scoring` leaves some out."""
        return len(self.guidance) * self.trajectories * len(self.time) * len(self.candidates)

    @cached_property
    def keys(self) -> list[tuple[str, int]]:
        """Driver and sample of every trajectory, in the order of the arrays."""
        numbers = range(self.first, self.first + self.samples)
        return [(label, sample) for label in self.drivers for sample in numbers]

    @cached_property
    def sides(self) -> Sides:
        """The sides of the partitions, set against the candidates."""
        return Sides(self.partitions, self.candidates, self.candidate_prior, self.device)

    @cached_property
    def partition_coordinates(self) -> dict[str, Any]:
        """Names and definitions of the partitions."""
        return coordinates.of_partitions(self.partitions)

    @cached_property
    def prediction_indices(self) -> tuple[int, ...]:
        """Indices in the grid at which predictions are kept."""
        return self.record.prediction_indices(self.time)

    def layout(self) -> Layout:
        """Type and shape, for one trajectory, of every array that is kept."""
        times, count = len(self.time), len(self.candidates)
        arrays: Layout = {
            "log_likelihood": (np.float64, (times, count)),
            "final": (np.float32, (self.features,)),
        }
        if self.partitions:
            arrays["production"] = arrays["cross_production"] = (np.float64, (times, len(self.partitions)))
        if self.record.keeps_distances(count):
            arrays["denoiser_distance"] = (np.float32, (times, count, count))
        if any(setting.per_trajectory for setting in self.guidance):
            arrays["scale"] = (np.float64, (times,))
        if self.scoring is not None:
            arrays["evaluations"] = (np.int32, (times,))
            if self.scoring.drop:
                arrays["dropped_mass"] = (np.float32, (times,))
        if self.prediction_indices:
            arrays["prediction"] = (np.float32, (len(self.prediction_indices), self.features))
        return arrays

    def whole_layout(self) -> Layout:
        """Type and shape (guidance, class, sample, ...) of every array of the result."""
        run = (len(self.guidance), len(self.drivers), self.samples)
        return {name: (dtype, (*run, *shape)) for name, (dtype, shape) in self.layout().items()}
