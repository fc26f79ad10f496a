r"""A data set as its own exact model.

The empirical distribution is a mixture of point masses, so everything is known in closed form: given :math:`x = x_0 +
\sigma\varepsilon`, image i has the weight :math:`w_i \propto \exp((x\cdot x_i - |x_i|^2/2)/\sigma^2)`, a label the
sum of the weights of its images, and the denoiser is the weighted mean (arXiv 2206.00364, appendix B.3). The sums are
streamed over the data with a running maximum, so memory does not grow with the data set.
"""

from __future__ import annotations

import hashlib
import itertools
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from specent import arguments
from specent.errors import ModelError
from specent.models.exact_model import ExactModel

_LARGEST = 1e100


class FiniteModel(ExactModel):
    """Denoisers and posteriors of a finite labelled data set; see `finite`."""

    exact: ClassVar[bool] = True

    def __init__(
        self, images: Tensor, labels: list[str], counts: list[int], sha256: str, block: int, name: str
    ) -> None:
        shape = images.shape[1:]
        super().__init__(labels, shape, np.asarray(counts) / sum(counts))
        self.images = images.reshape(len(images), -1)
        self.half_squares = 0.5 * (self.images**2).sum(-1)
        self.counts = counts
        stops = list(itertools.accumulate(counts))
        # first and last row of the images of every condition; those of the null condition are all of them
        self.parts = [*zip([0, *stops[:-1]], stops, strict=True), (0, stops[-1])]
        self.sha256 = sha256
        self.block = block
        self.name = name

    @property
    def identity(self) -> dict[str, Any]:
        return {"name": self.name, "images": sum(self.counts), "shape": list(self.shape), "sha256": self.sha256}

    def to(self, device: torch.device) -> FiniteModel:
        images = self.images.to(device).reshape(-1, *self.shape)
        return FiniteModel(images, list(self.labels), self.counts, self.sha256, self.block, self.name)

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
            Denoised data given the label.
        """
        state = x.reshape(len(x), -1).to(self.images.dtype)
        density, mean = [], []
        for (start, stop), count in zip(self.parts, self.counts, strict=False):
            log_sum, average = self._streamed(state, sigma, start, stop)
            density.append(log_sum - float(np.log(count)))
            mean.append(average)
        return torch.stack(density, dim=1), torch.stack(mean, dim=1)

    def draw_data(self, drivers: Tensor, generator: torch.Generator) -> Tensor:
        """Data of the given classes, see `ExactModel.draw_data`."""
        pick = torch.rand(len(drivers), generator=generator, dtype=torch.float64)
        sizes = torch.tensor(self.counts)
        start = torch.cumsum(sizes, 0) - sizes
        return self.images[(start[drivers] + (pick * sizes[drivers]).long()).to(self.images.device)]

    def _streamed(self, state: Tensor, sigma: float, start: int, stop: int) -> tuple[Tensor, Tensor]:
        """Log of the summed weights of some images, and the mean of the images under these weights."""
        if stop - start <= self.block:
            score = self._scores(state, sigma, slice(start, stop))
            return score.logsumexp(-1), torch.softmax(score, dim=-1) @ self.images[start:stop]
        top = torch.full((len(state), 1), -torch.inf, dtype=state.dtype, device=state.device)
        total = torch.zeros_like(top)
        average = torch.zeros_like(state)
        for low in range(start, stop, self.block):
            part = slice(low, min(low + self.block, stop))
            score = self._scores(state, sigma, part)
            new_top = torch.maximum(top, score.amax(-1, keepdim=True))
            weight = torch.exp(score - new_top)
            rescale = torch.exp(top - new_top)
            total = total * rescale + weight.sum(-1, keepdim=True)
            average = average * rescale + weight @ self.images[part]
            top = new_top
        return (top + torch.log(total))[:, 0], average / total

    def _average(self, state: Tensor, sigma: float, start: int, stop: int) -> Tensor:
        """The mean of some images under their weights."""
        if stop - start > self.block:
            return self._streamed(state, sigma, start, stop)[1]
        return torch.softmax(self._scores(state, sigma, slice(start, stop)), dim=-1) @ self.images[start:stop]

    def log_density(self, x: Tensor, sigma: float) -> Tensor:
        """Log-density of the states given each label, shape (batch, labels), up to a shared constant."""
        state = x.reshape(len(x), -1).to(self.images.dtype)
        density, start = [], 0
        for count in self.counts:
            cuts = [*range(start, start + count, self.block), start + count]
            parts = [self._scores(state, sigma, slice(*ends)).logsumexp(-1) for ends in itertools.pairwise(cuts)]
            density.append(torch.stack(parts, dim=1).logsumexp(-1) - float(np.log(count)))
            start += count
        return torch.stack(density, dim=1)

    def _scores(self, state: Tensor, sigma: float, part: slice) -> Tensor:
        """Log-weight of every image of a part, up to a constant shared by all images."""
        return (state @ self.images[part].T - self.half_squares[part]) / sigma**2

    def denoise(self, x: Tensor, sigma: float, condition: Tensor) -> Tensor:
        state = x.reshape(len(x), -1).to(self.images.dtype)
        chosen = condition.tolist()
        if len(set(chosen)) == 1:
            return self._average(state, sigma, *self.parts[chosen[0]]).reshape(len(x), *self.shape)
        denoised = torch.empty_like(state)
        # every state meets the images of its own condition only
        for index in sorted(set(chosen)):
            rows = torch.nonzero(condition == index)[:, 0]
            denoised[rows] = self._average(state[rows], sigma, *self.parts[index])
        return denoised.reshape(len(x), *self.shape)

    def candidates(self, x: Tensor, sigma: float, conditions: Tensor) -> Tensor:
        density, mean = self.moments(x, sigma)
        prior = torch.as_tensor(self.label_prior, dtype=density.dtype, device=density.device)
        posterior = torch.softmax(density + torch.log(prior), dim=-1)
        null = (posterior[:, None, :] @ mean)[:, 0]
        every = torch.cat([mean, null[:, None]], dim=1)
        return every[:, conditions].reshape(len(x), len(conditions), *self.shape)


def finite(images: ArrayLike, labels: ArrayLike, *, block: int = 4096, name: str = "finite_data") -> FiniteModel:
    """The exact denoisers and posteriors of a finite labelled data set.

    Parameters
    ----------
    images : array_like, shape (n, features) or (n, channels, height, width)
        The data.
    labels : array_like, shape (n,)
        Label of each image; converted to text, sorted. Label priors are the frequencies in the data.
    block : int
        Images worked on at a time: memory is proportional to it and to the batch, not to n.
    name : str
        Name of the data set, recorded in archives.

    Returns
    -------
    FiniteModel
        In double precision.

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
    data = arguments.array(images, "images", error=ModelError)
    # as objects, for in an array of text a None or a NaN would look like a name
    names = np.asarray(arguments.names(np.asarray(labels, dtype=object).ravel(), "labels", error=ModelError))
    if data.ndim not in (2, 4) or len(data) != len(names) or data.size < 1:
        raise ModelError(
            f"images has shape {data.shape} and labels has {len(names)} entries; need (n, features) or "
            "(n, channels, height, width) and n labels"
        )
    block = arguments.whole(block, "block", least=1, error=ModelError)
    name = arguments.name(name, "name", error=ModelError)
    bad = ~np.isfinite(data.reshape(len(data), -1)).all(axis=1)
    if bad.any():
        raise ModelError(f"images[{int(np.argmax(bad))}] holds a NaN or an infinity; clean the data first")
    if np.abs(data).max() > _LARGEST:
        raise ModelError(f"images holds values of up to {np.abs(data).max():g}, too large to be squared; rescale them")
    unique, counts = np.unique(names, return_counts=True)
    ordered = data[np.argsort(names, kind="stable")]
    digest = hashlib.sha256(ordered.tobytes() + "\n".join(np.sort(names)).encode()).hexdigest()
    tensor = torch.as_tensor(ordered)
    return FiniteModel(tensor, [str(u) for u in unique], [int(c) for c in counts], digest, block, name)
