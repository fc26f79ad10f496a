"""A plan: what is to be sampled, as a value that can be kept, compared and carried out in parts."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from specent.arguments import brief
from specent.files import sha256
from specent.guidance import Guidance, Setting
from specent.models.base import Model
from specent.models.protocol import Denoiser, as_model
from specent.partitions import Partition
from specent.sampling.precision import Precision, check_precision
from specent.sampling.preparation import make_setup
from specent.sampling.record import Record
from specent.sampling.setup import Setup
from specent.schedules import Schedule


@dataclass(frozen=True, eq=False)
class Plan:
    """What is to be sampled: the arguments of `specent.sample` on which its numbers depend.

    Parameters
    ----------
    model : Model or Denoiser
        A class-conditional denoiser.
    schedule : Schedule
        The noise schedule of the chain.
    time : array_like, shape (time,)
        Ascending times from data to noise.
    samples : int
        Trajectories per class, at least 2. A run may grow: carried out again with more samples, the new ones are added.
    partitions : Partition, str, or iterable of these
        Partitions whose entropy production is recorded.
    guidance : Guidance, FeedbackGuidance, float, or sequence of these
        Guidance settings.
    seed : int
        Seed of the random streams.
    classes, candidates : sequence of str, optional
        The conditions that drive trajectories, and those that are scored.
    record : Record
        What is kept beside the evidence.
    shared_noise : bool
        Whether all classes share their noise.
    precision : {"float32", "tf32", "bfloat16", "float16"}
        Arithmetic of the network.

    Raises
    ------
    SpecentError
        If an argument cannot be used.

    Examples
    --------
    >>> import specent as sp
    >>> mix = sp.exact.GaussianMixture([[-4.0], [4.0]], labels=["left", "right"])
    >>> plan = Plan(sp.models.mixture(mix), sp.schedules.VE(), sp.schedules.edm_grid(16), samples=100)
    >>> plan.definition["classes"]
    ['left', 'right']
    """

    model: Model | Denoiser
    schedule: Schedule
    time: ArrayLike
    samples: int
    partitions: Partition | str | Iterable[Partition | str] = ()
    guidance: Setting | float | Sequence[Setting | float] = Guidance()  # noqa: RUF009  (frozen)
    seed: int = 0
    classes: Sequence[str] | None = None
    candidates: Sequence[str] | None = None
    record: Record = Record()  # noqa: RUF009  (frozen)
    shared_noise: bool = False
    precision: Precision = "float32"

    def __post_init__(self) -> None:
        check_precision(self.precision)
        object.__setattr__(self, "_setup", self.setup("cpu"))

    def setup(self, device: str) -> Setup:
        """The run, worked out for a device."""
        return make_setup(
            as_model(self.model), self.schedule, self.time, self.samples, self.partitions, self.guidance, self.seed,
            device, self.classes, self.candidates, self.record, self.shared_noise,
        )  # fmt: skip

    @cached_property
    def definition(self) -> dict[str, Any]:
        """The plan as plain values, defaults worked out, without the number of samples, which may grow.

        Two plans are carried out into the same folder only if these are the same. A partition is its name and a digest
        of its definition.
        """
        setup: Setup = self._setup  # type: ignore[attr-defined]
        return {
            "model": json.loads(json.dumps(setup.model.identity)),
            "schedule": json.loads(setup.schedule.to_json()),
            "time": [float(value) for value in setup.time],
            "classes": list(setup.drivers),
            "candidates": list(setup.candidates),
            "partitions": [[partition.name, _digest(partition.to_json())] for partition in setup.partitions],
            "guidance": [json.loads(setting.to_json()) for setting in setup.guidance],
            "seed": setup.seed,
            "shared_noise": setup.shared_noise,
            "record": {
                "predictions": [float(value) for value in np.atleast_1d(setup.record.predictions)],
                "distances": setup.record.keeps_distances(len(setup.candidates)),
            },
            "precision": self.precision,
        }


def _digest(text: str) -> str:
    return sha256(text.encode())[:16]


def first_difference(there: object, here: object, where: str = "") -> str:
    """Where two plain values differ first, in words; empty if they are the same.

    Examples
    --------
    >>> first_difference({"seed": 1, "time": [1, 2]}, {"seed": 1, "time": [1, 3]})
    'time[1] is 2 there and 3 here'
    """
    if isinstance(there, dict) and isinstance(here, dict):
        for key in dict.fromkeys([*there, *here]):
            name = f"{where}.{key}" if where else str(key)
            if key not in there or key not in here:
                return f"{name} is missing {'there' if key not in there else 'here'}"
            if found := first_difference(there[key], here[key], name):
                return found
        return ""
    if isinstance(there, list) and isinstance(here, list):
        for i, (one, other) in enumerate(zip(there, here, strict=False)):
            if found := first_difference(one, other, f"{where}[{i}]"):
                return found
        return "" if len(there) == len(here) else f"{where} has {len(there)} entries there and {len(here)} here"
    return "" if there == here else f"{where} is {brief(there)} there and {brief(here)} here"
