"""What a check works with: the model, pictures with their noise, the conditions and noise levels that are tried."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from specent import arguments
from specent.arguments import brief
from specent.diagnostics.probe import Array, Probe
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
class Examples:
    """Data to be denoised, with the level of noise at which it is swamped.

    Parameters
    ----------
    images : Tensor, shape ``(n, *shape)``
        In double precision.
    classes : Tensor of int64, shape (n,)
        Index of the label of each.
    own : bool
        Whether they are samples of the model itself.
    seed : int
        Of the noise.
    """

    images: Tensor
    classes: Tensor
    own: bool
    seed: int

    def __len__(self) -> int:
        return len(self.images)

    @property
    def size(self) -> int:
        """How many numbers one of them has."""
        return int(self.images[0].numel())

    @cached_property
    def spectrum(self) -> Array:
        """Eigenvalues of their covariance, as many as there are examples."""
        flat = self.images.reshape(len(self), -1)
        centred = flat - flat.mean(0)
        return np.asarray((torch.linalg.svdvals(centred) ** 2 / max(1, len(self) - 1)).cpu(), dtype=np.float64)

    @property
    def variance(self) -> float:
        """Variance of a number, over the examples."""
        return float(self.spectrum.sum()) / self.size

    def noise(self, stream: int) -> Tensor:
        """Standard normal noise, one draw per example; every stream has another."""
        generator = torch.Generator().manual_seed(1_000_003 * self.seed + stream)
        return torch.randn(self.images.shape, generator=generator, dtype=torch.float64).to(self.images.device)

    def noisy(self, level: float, stream: int) -> Tensor:
        """States ``x_0 + level * noise``."""
        return self.images + level * self.noise(stream)

    def errors(self, denoised: Tensor) -> Array:
        """Squared error of every example, shape (n,)."""
        return np.asarray(((denoised - self.images) ** 2).reshape(len(self), -1).sum(-1).cpu())

    def first(self, count: int) -> Examples:
        """The first few of them."""
        return Examples(self.images[:count], self.classes[:count], self.own, self.seed)


@dataclass(frozen=True)
class Trial:
    """A model and what it is tried on.

    `low` and `high` are the ends of the noise levels that are to be sampled; `labels` the indices that are tried;
    `complete` says whether the labels cover all that the null condition stands for.
    """

    model: Model
    probe: Probe
    examples: Examples | None
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
    def every(self) -> bool:
        """Whether all labels are tried."""
        return len(self.labels) == len(self.model.labels)

    def fit_levels(self) -> Array:
        """Noise levels at which errors are compared: from hardly any noise to where the data is swamped."""
        if self.examples is None:
            raise SpecentError("errors need images")
        variance, top = self.examples.variance, float(self.examples.spectrum[0])
        low = max(self.low, _LOW * variance**0.5)
        return self.probe.levels(low, min(self.high, max(_HIGH * top**0.5, 4 * low)), _LEVELS)

    def name(self, condition: int) -> str:
        """A condition by its label."""
        return "null" if condition == self.null else repr(self.model.labels[condition])

    def ones(self, condition: int, count: int) -> Tensor:
        """That condition, `count` times."""
        return torch.full((count,), condition, dtype=torch.int64, device=self.device)


def noise_range(probe: Probe, levels: Any) -> tuple[float, float]:
    """Smallest and largest noise level that is tried: those asked for, or those of the schedule.

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


def examples(model: Model, images: ArrayLike, labels: Any, most: int, seed: int, device: torch.device) -> Examples:
    """At most so many labelled images, evenly from all classes, checked against the model.

    Raises
    ------
    SpecentError
        If shapes do not fit, a number is not finite, a label is not the model's, or there are too few.
    """
    data = arguments.array(images, "images")
    if data.shape[1:] != model.shape or data.ndim != len(model.shape) + 1:
        raise SpecentError(
            f"images has shape {data.shape}; the model needs (n, {', '.join(map(str, model.shape))}), in the units it "
            "was trained in"
        )
    classes = label_indices(labels, model.labels)
    if len(classes) != len(data):
        raise SpecentError(f"labels has {len(classes)} entries for {len(data)} images; give one label per image")
    if len(data) < 2:
        raise SpecentError(f"images has {len(data)} entries; give at least 2, better 32 or more")
    bad = ~np.isfinite(data.reshape(len(data), -1)).all(axis=1)
    if bad.any():
        raise SpecentError(f"images[{int(np.argmax(bad))}] holds a NaN or an infinity; clean the data first")
    chosen = _spread(classes, most, seed)
    made = torch.as_tensor(data[chosen], device=device), torch.as_tensor(classes[chosen], device=device)
    found = Examples(*made, own=False, seed=seed)
    if not found.variance > 0:
        raise SpecentError("images are all the same; give different ones")
    return found


def label_indices(labels: Any, known: Sequence[str]) -> NDArray[np.int64]:
    """Index of every label: by its name, or the whole numbers 0 .. K-1 where these are no names.

    Examples
    --------
    >>> label_indices(["dog", "cat"], ["cat", "dog"]).tolist()
    [1, 0]
    >>> label_indices([1, 0], ["cat", "dog"]).tolist()
    [1, 0]
    """
    flat = np.asarray(labels, dtype=object).ravel()
    names = arguments.names(flat, "labels")
    places = {name: place for place, name in enumerate(known)}
    if all(name in places for name in names):
        return np.array([places[name] for name in names], dtype=np.int64)
    if not isinstance(flat[0], str) and all(name.isdecimal() and int(name) < len(known) for name in names):
        return np.array([int(name) for name in names], dtype=np.int64)
    indices = set() if isinstance(flat[0], str) else {str(place) for place in range(len(known))}
    strange = next(name for name in names if name not in places and name not in indices)
    raise SpecentError(
        f"labels holds {strange!r}, which is no label of the model ({brief(list(known))}); use its labels, or "
        f"their indices 0 to {len(known) - 1}"
    )


def tried_labels(model: Model, found: Examples | None) -> tuple[int, ...]:
    """Indices of the labels that are tried: all of a few, otherwise those with most examples."""
    count = len(model.labels)
    if count <= FEW:
        return tuple(range(count))
    if found is None:
        return tuple(range(_SOME))
    held = torch.bincount(found.classes.cpu(), minlength=count).numpy()
    order = np.argsort(-held, kind="stable")
    return tuple(sorted(int(place) for place in order[:_SOME]))


def _spread(classes: NDArray[np.int64], most: int, seed: int) -> NDArray[np.intp]:
    """Places of at most so many examples, in turn from every class."""
    generator = np.random.default_rng(seed)
    shuffled = generator.permutation(len(classes))
    turn = np.zeros(len(classes), dtype=np.int64)
    for label in np.unique(classes):
        held = classes[shuffled] == label
        turn[held] = np.arange(held.sum())
    return shuffled[np.argsort(turn, kind="stable")[:most]]
