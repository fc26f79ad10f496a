"""Labelled images to be denoised: their covariance, their noise, and the errors of what a denoiser makes of them."""

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
from specent.errors import SpecentError
from specent.models.base import Model

Array = NDArray[np.float64]


@dataclass(frozen=True)
class LabelledExamples:
    """Labelled images, with a reproducible noise for each.

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
        """How many numbers one image has."""
        return int(self.images[0].numel())

    @cached_property
    def spectrum(self) -> Array:
        """Eigenvalues of the covariance of the images, as many as there are images."""
        flat = self.images.reshape(len(self), -1)
        centred = flat - flat.mean(0)
        return np.asarray((torch.linalg.svdvals(centred) ** 2 / max(1, len(self) - 1)).cpu(), dtype=np.float64)

    @property
    def variance(self) -> float:
        """Variance of a number over the images, the mean over all numbers."""
        return float(self.spectrum.sum()) / self.size

    def noise(self, stream: int) -> Tensor:
        """Standard normal noise, one draw per image; every stream has another."""
        generator = torch.Generator().manual_seed(1_000_003 * self.seed + stream)
        return torch.randn(self.images.shape, generator=generator, dtype=torch.float64).to(self.images.device)

    def noisy(self, level: float, stream: int) -> Tensor:
        """States ``x_0 + level * noise``."""
        return self.images + level * self.noise(stream)

    def errors(self, denoised: Tensor) -> Array:
        """Squared error of the denoised data of every image, shape (n,)."""
        return np.asarray(((denoised - self.images) ** 2).reshape(len(self), -1).sum(-1).cpu())

    def linear_error(self, level: float) -> float:
        r"""The unit of errors: :math:`d\sigma^2 v/(\sigma^2 + v)`, the error of a linear filter for variance v."""
        return self.size * level**2 * self.variance / (level**2 + self.variance)

    def first(self, count: int) -> LabelledExamples:
        """The first few of them."""
        return LabelledExamples(self.images[:count], self.classes[:count], self.own, self.seed)


def labelled_examples(
    model: Model, images: ArrayLike, labels: Any, most: int, seed: int, device: torch.device
) -> LabelledExamples:
    """At most so many labelled images, evenly from all classes, refused where they do not fit the model.

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
    rows = _in_turn(classes, most, seed)
    tensors = torch.as_tensor(data[rows], device=device), torch.as_tensor(classes[rows], device=device)
    examples = LabelledExamples(*tensors, own=False, seed=seed)
    if not examples.variance > 0:
        raise SpecentError("images are all the same; give different ones")
    return examples


def label_indices(labels: Any, known: Sequence[str]) -> NDArray[np.int64]:
    """Index of every label: by its name, or the whole numbers 0 .. K-1 where these are no names.

    Examples
    --------
    >>> label_indices(["dog", "cat"], ["cat", "dog"]).tolist()
    [1, 0]
    >>> label_indices([1, 0], ["cat", "dog"]).tolist()
    [1, 0]
    """
    try:
        flat = np.asarray(labels, dtype=object).ravel()
    except TypeError as problem:
        raise SpecentError(f"labels={arguments.brief(labels)} is a {type(labels).__name__}; give a list") from problem
    names = arguments.names(flat, "labels")
    index_of = {name: index for index, name in enumerate(known)}
    if all(name in index_of for name in names):
        return np.array([index_of[name] for name in names], dtype=np.int64)
    if not isinstance(flat[0], str) and all(name.isdecimal() and int(name) < len(known) for name in names):
        return np.array([int(name) for name in names], dtype=np.int64)
    indices = set() if isinstance(flat[0], str) else {str(index) for index in range(len(known))}
    strange = next(name for name in names if name not in index_of and name not in indices)
    raise SpecentError(
        f"labels holds {strange!r}, which is no label of the model ({brief(list(known))}); use its labels, or "
        f"their indices 0 to {len(known) - 1}"
    )


def _in_turn(classes: NDArray[np.int64], most: int, seed: int) -> NDArray[np.intp]:
    """Indices of at most so many images, in turn from every class."""
    generator = np.random.default_rng(seed)
    shuffled = generator.permutation(len(classes))
    turn = np.zeros(len(classes), dtype=np.int64)
    for label in np.unique(classes):
        members = classes[shuffled] == label
        turn[members] = np.arange(members.sum())
    return shuffled[np.argsort(turn, kind="stable")[:most]]
