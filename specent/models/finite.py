r"""A data set as its own exact model.

The empirical distribution is a mixture of point masses, so everything is known in closed form: given :math:`x = x_0 +
\sigma\varepsilon`, image i has the weight :math:`w_i \propto \exp((x\cdot x_i - |x_i|^2/2)/\sigma^2)`, a label the
sum of the weights of its images, and the denoiser is the weighted mean (arXiv 2206.00364, appendix B.3). The sums are
streamed over the data with a running maximum, so memory does not grow with the data set; see `weighted_sums`.
"""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from specent import arguments
from specent.arguments import brief
from specent.errors import ModelError
from specent.models.exact_model import ExactModel
from specent.models.stored import Stored
from specent.models.weighted_sums import WeightedSums

_LARGEST = {"float64": 1e100, "float32": 1e30}
_TYPES = {"float64": torch.float64, "float32": torch.float32}
# numbers that are checked, hashed and copied at a time
_AT_ONCE = 2**21


class FiniteModel(ExactModel):
    """Denoisers and posteriors of a finite labelled data set; see `finite`."""

    exact: ClassVar[bool] = True

    def __init__(
        self, images: Tensor | Stored, half_squares: Tensor, shape: Sequence[int], labels: Sequence[str],
        counts: list[int], *, offset: float, sha256: str, block: int, name: str,
    ) -> None:  # fmt: skip
        super().__init__(labels, shape, np.asarray(counts) / sum(counts))
        # sorted by label, less the offset, which is 0 in double precision
        self.images = images
        self.half_squares = half_squares
        self.offset = offset
        self.counts = counts
        stops = list(itertools.accumulate(counts))
        # first and last row of the images of every condition; those of the null condition are all of them
        self.parts = [*zip([0, *stops[:-1]], stops, strict=True), (0, stops[-1])]
        self.sha256 = sha256
        self.block = block
        self.name = name

    @property
    def identity(self) -> dict[str, Any]:
        single = {"precision": "float32"} if self.images.dtype is torch.float32 else {}
        known = {"images": sum(self.counts), "shape": list(self.shape), "sha256": self.sha256}
        return {"name": self.name, **known, **single}

    def to(self, device: torch.device) -> FiniteModel:
        return FiniteModel(
            self.images.to(device), self.half_squares.to(device), self.shape, self.labels, self.counts,
            offset=self.offset, sha256=self.sha256, block=self.block, name=self.name,
        )  # fmt: skip

    def moments(self, x: Tensor, sigma: float) -> tuple[Tensor, Tensor]:
        """Log-density and denoiser of every label.

        Parameters
        ----------
        x : Tensor, shape ``(batch, *shape)``
            States.
        sigma : float
            Noise level.

        Returns
        -------
        log_density : Tensor, shape (batch, labels)
            Log-density of the state given the label, up to a constant shared by the labels.
        mean : Tensor, shape (batch, labels, pixels)
            Denoised data given the label; where every image has a label of its own, a view of the images.
        """
        if len(self.images) == len(self.labels):
            return self.log_density(x, sigma), (self.images[:].double() + self.offset).expand(len(x), -1, -1)
        log_sum, mean = self._sums(x, sigma, self.parts[:-1])
        return log_sum - self._log_counts(), mean

    def log_density(self, x: Tensor, sigma: float) -> Tensor:
        """Log-density of the states given each label, shape (batch, labels), up to a shared constant."""
        if len(self.images) == len(self.labels):
            state = x.reshape(len(x), -1).double() - self.offset
            return WeightedSums(self.images, self.half_squares, state, sigma, self.parts[-1:]).scores(self.block)
        return self._sums(x, sigma, self.parts[:-1], averaged=False)[0] - self._log_counts()

    def draw_data(self, drivers: Tensor, generator: torch.Generator) -> Tensor:
        """Data of the given classes, see `ExactModel.draw_data`."""
        pick = torch.rand(len(drivers), generator=generator, dtype=torch.float64)
        sizes = torch.tensor(self.counts)
        start = torch.cumsum(sizes, 0) - sizes
        return (
            self.images[(start[drivers] + (pick * sizes[drivers]).long()).to(self.images.device)].double() + self.offset
        )

    def _sums(
        self, x: Tensor, sigma: float, parts: Sequence[tuple[int, int]], averaged: bool = True
    ) -> tuple[Tensor, Tensor]:
        """Log of the summed weights of each of some parts of the images, and the means of the images under them."""
        state = x.reshape(len(x), -1).double() - self.offset
        sums = WeightedSums(self.images, self.half_squares, state, sigma, parts)
        log_sum, average = sums.run(self.block, averaged=averaged)
        return log_sum, average.add_(self.offset)

    def _log_counts(self) -> Tensor:
        return torch.as_tensor(np.log(self.counts), device=self.half_squares.device)

    def denoise(self, x: Tensor, sigma: float, condition: Tensor) -> Tensor:
        chosen = condition.tolist()
        denoised = torch.empty((len(x), *self.shape), dtype=torch.float64, device=self.half_squares.device)
        # every state meets the images of its own condition only
        for index in sorted(set(chosen)):
            rows = torch.nonzero(condition == index)[:, 0]
            denoised[rows] = self._sums(x[rows], sigma, [self.parts[index]])[1].reshape(len(rows), *self.shape)
        return denoised

    def candidates(self, x: Tensor, sigma: float, conditions: Tensor) -> Tensor:
        density, mean = self.moments(x, sigma)
        prior = torch.as_tensor(self.label_prior, dtype=density.dtype, device=density.device)
        posterior = torch.softmax(density + torch.log(prior), dim=-1)
        null = (posterior[:, None, :] @ mean)[:, 0]
        every = torch.cat([mean, null[:, None]], dim=1)
        return every[:, conditions].reshape(len(x), len(conditions), *self.shape)


def finite(
    images: ArrayLike, labels: ArrayLike, *, precision: Literal["float64", "float32"] = "float64", block: int = 4096,
    name: str = "finite_data",
) -> FiniteModel:  # fmt: skip
    """The exact denoisers and posteriors of a finite labelled data set.

    Parameters
    ----------
    images : array_like, shape (n, features) or (n, channels, height, width)
        The data, whole numbers as they are. A NumPy memory map, or another array on disk that has ``dtype`` and
        ``shape`` and is read by indexing, stays on disk: it is read block by block at every call, label by label and
        forwards, which is fastest if it is sorted by label. Anything else is copied.
    labels : array_like, shape (n,)
        Label of each image; converted to text, sorted. Label priors are the frequencies in the data.
    precision : {"float64", "float32"}
        How images are kept in memory and multiplied. In single precision images are rounded, which halves their memory,
        and denoised data are within 1e-5 of the range of the data; what single precision cannot resolve is computed in
        double precision nevertheless. Results are in double precision either way.
    block : int
        Most images worked on at a time: memory is proportional to it and to the batch, not to n.
    name : str
        Name of the data set, recorded in archives.

    Returns
    -------
    FiniteModel

    Raises
    ------
    ModelError
        If shapes do not fit or an image holds a NaN or an infinity.

    Examples
    --------
    >>> import torch
    >>> model = finite([[-1.0], [1.0], [3.0]], ["a", "b", "b"])
    >>> model.denoise(torch.tensor([[2.0]]), 10.0, torch.tensor([1])).round(decimals=3).item()
    2.0
    """
    if not isinstance(precision, str) or precision not in _TYPES:
        raise ModelError(f"precision={brief(precision)} must be 'float64' or 'float32'")
    source, on_disk = _source(images)
    # as objects, for in an array of text a None or a NaN would look like a name
    names = np.asarray(arguments.names(np.asarray(labels, dtype=object).ravel(), "labels", error=ModelError))
    shape = tuple(source.shape)
    if len(shape) not in (2, 4) or shape[0] != len(names) or math.prod(shape) < 1:
        raise ModelError(
            f"images has shape {shape} and labels has {len(names)} entries; need (n, features) or "
            "(n, channels, height, width) and n labels"
        )
    block = arguments.whole(block, "block", least=1, error=ModelError)
    name = arguments.name(name, "name", error=ModelError)
    middle = _middle(source, precision)
    offset = float(np.float32(middle)) if precision == "float32" else 0.0
    unique, counts = np.unique(names, return_counts=True)
    stored = Stored(source, np.argsort(names, kind="stable"), _TYPES[precision], offset, torch.device("cpu"))
    digest = hashlib.sha256()
    kept, half_squares = _taken(stored, digest, in_memory=not on_disk)
    digest.update("\n".join(np.sort(names)).encode())
    return FiniteModel(
        kept, half_squares, shape[1:], [str(u) for u in unique], [int(c) for c in counts], offset=offset,
        sha256=digest.hexdigest(), block=block, name=name,
    )  # fmt: skip


def _source(images: Any) -> tuple[Any, bool]:
    """Images as an array of real numbers, and whether it lies on disk."""
    dtype, shape = getattr(images, "dtype", None), getattr(images, "shape", ())
    real = isinstance(dtype, np.dtype) and dtype.kind in "iuf" and len(shape) in (2, 4)
    if real and isinstance(images, np.ndarray) and not isinstance(images, np.ma.MaskedArray):
        return images, isinstance(images, np.memmap)
    # an array in a file hands out its numbers; one that computes with them has them in memory, or makes them
    if real and hasattr(images, "__getitem__") and not hasattr(images, "__add__"):
        return images, True
    return arguments.array(images, "images", error=ModelError), False


def _slices(shape: Sequence[int]) -> list[slice]:
    """Rows of an array of this shape that are worked on together."""
    rows = max(1, _AT_ONCE // math.prod(shape[1:]))
    return [slice(low, min(low + rows, shape[0])) for low in range(0, shape[0], rows)]


def _middle(source: Any, precision: str) -> float:
    """The middle of the range of the images, each of which must hold usable numbers."""
    lowest, highest = math.inf, -math.inf
    for part in _slices(source.shape):
        found = source[part]
        if np.ma.is_masked(found):
            raise ModelError("images holds masked values; fill or drop them first")
        with np.errstate(over="ignore", invalid="ignore"):  # of a float wider than double precision
            least, most = float(np.min(found)), float(np.max(found))
        if not math.isfinite(least + most):
            with np.errstate(over="ignore"):
                wide = np.asarray(found, dtype=np.float64).reshape(len(found), -1)
            bad = part.start + int(np.argmin(np.isfinite(wide).all(axis=1)))
            raise ModelError(f"images[{bad}] holds a NaN or an infinity; clean the data first")
        lowest, highest = min(lowest, least), max(highest, most)
    largest = max(-lowest, highest)
    if largest > _LARGEST[precision]:
        what = "squared" if precision == "float64" else "held in single precision"
        raise ModelError(f"images holds values of up to {largest:g}, too large to be {what}; rescale them")
    return (lowest + highest) / 2


def _taken(stored: Stored, digest: Any, *, in_memory: bool) -> tuple[Tensor | Stored, Tensor]:
    """The images, copied into memory or left where they are, and half their squared norms; their digest is taken."""
    shape = (len(stored), math.prod(stored.source.shape[1:]))
    half_squares = torch.empty(shape[0], dtype=torch.float64)
    copied = torch.empty(shape, dtype=stored.dtype) if in_memory else None
    for part in _slices(shape):
        found = stored.read(stored.order[part])
        # of the same numbers in the same order, whatever they are held in
        digest.update(np.ascontiguousarray(found, dtype=np.float64))
        values = stored.converted(found)
        half_squares[part] = 0.5 * values.double().square().sum(-1)
        if copied is not None:
            copied[part] = values
    return stored if copied is None else copied, half_squares
