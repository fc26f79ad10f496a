"""What is turned, worked out from the arguments of `specent.u_turn` and refused where it cannot be used."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from specent import arguments
from specent.arguments import brief
from specent.errors import SpecentError
from specent.exact.cloning import one_partition
from specent.guidance import Guidance
from specent.interventions.endings import (
    Confusion,
    Ending,
    by_classifier,
    check_confusion,
    exact_posterior,
    path_posterior,
)
from specent.interventions.movers import MOVERS
from specent.interventions.turning import continuation_grid, turns_of_levels
from specent.models.base import Model
from specent.models.exact_model import ExactModel
from specent.partitions import NULL, Partition
from specent.sampling.preparation import make_setup
from specent.sampling.record import Record
from specent.sampling.setup import Setup
from specent.schedules import Schedule, check_grid

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Turning:
    """U-turns, ready to be carried out.

    Attributes
    ----------
    setup : Setup
        The run on the grid of the trunk, from pure noise down to the lowest turn; candidates are the labels.
    grid : ndarray
        The grid that was given.
    partition : Partition
        Whose sides are counted.
    weights : ndarray, shape (sides, labels)
        Joint prior of side and label.
    turns : ndarray, shape (time,)
        Times of the turns, ascending.
    movers : tuple of str
        What continues.
    steps : tuple of int
        Numbers of noise levels of the continuations, ascending.
    start, continuation : str
        "data" or "trunk", "chain" or "basin".
    data : ExactModel or None
        The distribution of the data.
    columns : list of int
        Which labels of `data` the labels are.
    ending : Ending
        Says on which side a continuation ended.
    ends : str
        Its name.
    confusion : Confusion or None
        Its mistakes.
    """

    setup: Setup
    grid: Array
    partition: Partition
    weights: Array
    turns: Array
    movers: tuple[str, ...]
    steps: tuple[int, ...]
    start: str
    continuation: str
    data: ExactModel | None
    columns: list[int]
    ending: Ending
    ends: str
    confusion: Confusion | None

    def on_device(self, model: Model) -> Turning:
        """The same with its model on its device."""
        return replace(self, setup=replace(self.setup, model=model))

    @property
    def settings(self) -> dict[str, Any]:
        """What decided the numbers."""
        setup = self.setup
        return {
            "function": "u_turn",
            "model": setup.model.identity,
            "data": None if self.data is None else self.data.identity,
            "schedule": setup.schedule.to_json(),
            "time": self.grid.tolist(),
            "levels": setup.schedule.noise_level(self.turns).tolist(),
            "partition": self.partition.to_json(),
            "samples": setup.samples,
            "seed": setup.seed,
            "start": self.start,
            "movers": list(self.movers),
            "steps": list(self.steps),
            "continuation": self.continuation,
            "classifier": self.ends,
            "confusion": None if self.confusion is None else self.confusion.shares.tolist(),
            "device": setup.device.type,
        }

    def continued(self, turn: int, steps: int, mover: str) -> Setup:
        """The run that goes on from a turn."""
        grid = continuation_grid(self.setup.schedule, self.grid, float(self.turns[turn]), steps)
        names = self.setup.candidates
        if mover != "null":
            return replace(self.setup, time=grid)
        return replace(
            self.setup, time=grid, candidates=(*names, NULL), candidate_prior=np.append(self.setup.candidate_prior, 0.0)
        )

    @property
    def path_is_needed(self) -> bool:
        """Whether all labels are scored along every continuation."""
        return self.ends == "path"

    @property
    def evaluations(self) -> int:
        """How many states are denoised in all."""
        labels, total = len(self.setup.candidates), self.setup.trajectories
        each = 0
        for mover in self.movers:
            scored = mover == "mixture" or self.path_is_needed
            each += (labels + (mover == "null") if scored else 1) * sum(self.steps)
        trunk = len(self.setup.time) * labels if self.start == "trunk" else 0
        return total * (each * len(self.turns) + trunk)


def make_turning(
    model: Model, schedule: Schedule, time: ArrayLike, levels: Any, samples: int, partition: Partition | str,
    start: str, data: Any, mover: str | Sequence[str], steps: Any, continuation: str, classifier: Any, confusion: Any,
    confusion_samples: Any, seed: int, device: str,
) -> Turning:  # fmt: skip
    """Work out U-turns from the arguments of `specent.u_turn`, each of which is refused if it cannot be used."""
    start = arguments.choice(start, "start", ("data", "trunk"))
    continuation = arguments.choice(continuation, "continuation", ("chain", "basin"))
    grid = check_grid(schedule, time)
    turns = turns_of_levels(schedule, grid, levels)
    lowest = np.union1d(grid[grid > turns[0]], turns) if start == "trunk" else np.union1d(turns[:1], grid[-1:])
    if len(lowest) < 2:
        lowest = grid[-2:]
    arguments.instance(model, Model, "model", "wrap a network with specent.models.network(...)")  # type: ignore[type-abstract]
    split = one_partition(partition, model.labels)
    labels = tuple(name for name in model.labels if name in split.labels)
    setup = make_setup(
        model, schedule, lowest, samples, (), Guidance(), seed, device, labels, labels, Record(distances=False), False
    )
    model.check_levels(schedule.noise_level(grid))
    prior = dict(zip(model.labels, model.label_prior, strict=True))
    weights = split.weights(labels, [float(prior[name]) for name in labels])
    movers = _movers(mover, model, split, weights, labels)
    counts = _steps(steps)
    source, columns = _source(data, model, labels)
    source = None if source is None else source.to(setup.device)
    if start == "data" and source is None:
        raise SpecentError(
            "start='data' noises data, and the model is a network: give them as data=specent.models.finite(images, "
            "labels), or start='trunk'"
        )
    _refuse_basin(continuation, movers, counts, model, classifier)
    ends, ending = _ending(classifier, source, columns, weights, split, labels)
    if ends in ("posterior", "path") and confusion is not None:
        raise SpecentError(f"confusion is that of a classifier, and the ends are told by {ends!r}; leave it out")
    if ends not in ("posterior", "path") and confusion is None:
        raise SpecentError(
            "confusion is missing: what a classifier takes for other sides would count as ends there; measure it on "
            f"labelled data, or give numpy.eye({len(weights)}) if it makes no mistakes"
        )
    mistakes = None if confusion is None else check_confusion(confusion, confusion_samples, len(weights))
    turning = Turning(
        setup, grid, split, weights, turns, movers, counts, start, continuation, source, columns, ending, ends, mistakes
    )
    for i in range(len(turns)):
        for count in counts:
            turning.continued(i, count, movers[0])
    return turning


def _movers(
    mover: Any, model: Model, split: Partition, weights: Array, labels: tuple[str, ...]
) -> tuple[str, ...]:  # fmt: skip
    names = (mover,) if isinstance(mover, str) else arguments.names(mover, "mover")
    for name in names:
        arguments.choice(name, "mover", MOVERS)
    if not names or len(set(names)) < len(names):
        raise SpecentError(f"mover={brief(list(names))} must name at least one, and none twice")
    if "null" in names:
        if not model.null:
            raise SpecentError("mover='null': this model has no null condition; use 'mixture' or 'class'")
        prior = dict(zip(model.labels, model.label_prior, strict=True))
        own = np.array([prior[name] for name in labels])
        if len(labels) < len(model.labels) or np.abs(weights.sum(axis=0) - own).max() > 1e-9:
            raise SpecentError(
                f"mover='null' moves to all labels by their prior, but the partition {split.name!r} covers some or "
                "weighs them otherwise; use mover='mixture', or a partition of all labels with prior=None"
            )
    return tuple(names)


def _steps(steps: Any) -> tuple[int, ...]:
    some = (steps,) if not np.iterable(steps) or isinstance(steps, str) else tuple(steps)
    counts = sorted({arguments.whole(one, "steps", least=2, most=10**6) for one in some})
    if not counts or len(counts) < len(some):
        raise SpecentError(f"steps={brief(steps)} must hold at least one number, and none twice")
    return tuple(counts)


def _source(data: Any, model: Model, labels: tuple[str, ...]) -> tuple[ExactModel | None, list[int]]:
    """The distribution of the data, and which of its labels the labels are."""
    if data is None and not isinstance(model, ExactModel):
        return None, []
    hint = "give specent.models.finite(images, labels), or specent.models.mixture(mix)"
    source = model if data is None else arguments.instance(data, ExactModel, "data", hint)  # type: ignore[type-abstract]
    assert isinstance(source, ExactModel)
    lost = next((name for name in labels if name not in source.labels), None)
    if lost is not None or source.shape != model.shape:
        raise SpecentError(
            f"data has the labels {brief(list(source.labels))} and the shape {source.shape}; the model needs "
            f"{brief(list(labels))} and {model.shape}"
        )
    return source, [source.labels.index(name) for name in labels]


def _refuse_basin(
    continuation: str, movers: tuple[str, ...], steps: tuple[int, ...], model: Model, classifier: Any
) -> None:
    if continuation == "chain":
        return
    if classifier == "path":
        raise SpecentError("classifier='path': a walk without noise has no likelihood; classify its ends")
    if len(steps) > 1:
        raise SpecentError(f"steps={steps}: the basin is not extrapolated; give one number of steps")
    if "mixture" in movers and not isinstance(model, ExactModel):
        raise SpecentError(
            "mover='mixture': without noise a path has no posterior to mix by; use mover='null' or 'class'"
        )


def _ending(
    classifier: Any, source: ExactModel | None, columns: list[int], weights: Array, split: Partition,
    labels: tuple[str, ...],
) -> tuple[str, Ending]:  # fmt: skip
    if classifier is None:
        classifier = "path" if source is None else "posterior"
    if isinstance(classifier, str):
        name = arguments.choice(classifier, "classifier", ("posterior", "path"))
        if name == "path":
            return name, path_posterior(weights)
        if source is None:
            raise SpecentError(
                "classifier='posterior' needs the distribution of the data: give data=specent.models.finite(...)"
            )
        return name, exact_posterior(source, columns, weights)
    if not callable(classifier) and not callable(getattr(classifier, "classify", None)):
        raise SpecentError(
            f"classifier={brief(classifier)} cannot be called; give 'posterior', 'path', or a function of pictures"
        )
    sides = {label: i for i, (_, members) in enumerate(split.sides) for label in members}
    name = str(getattr(classifier, "__name__", type(classifier).__name__))
    return name, by_classifier(classifier, sides, len(weights))


def log_prior(turning: Turning) -> torch.Tensor:
    """Logarithm of the prior of the labels, shape (labels,)."""
    return torch.as_tensor(np.log(turning.weights.sum(axis=0)), device=turning.setup.device)
