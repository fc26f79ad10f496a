r"""What the sampling half needs from a model.

All Gaussian diffusions are one channel in the coordinates :math:`x = x_0 + \sigma\varepsilon` of arXiv 2206.00364: the
state of any schedule divided by its alpha. Models speak these coordinates; conditions are indices, 0 .. K-1 for
the K labels and K for the null condition.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from specent.errors import ModelError, SpecentError
from specent.schema import NULL


class Model(ABC):
    """A class-conditional denoiser.

    Parameters
    ----------
    labels : sequence of str
        Names of the class labels; none may be called ``"null"``.
    shape : sequence of int
        Shape of one sample: (features,) or (channels, height, width).
    label_prior : array_like, shape (labels,), optional
        Prior of the labels, uniform by default.
    null : bool
        Whether the model also denoises under the null condition.
    """

    def __init__(
        self, labels: Sequence[str], shape: Sequence[int], label_prior: ArrayLike | None = None, null: bool = True
    ) -> None:
        self.labels = tuple(str(label) for label in labels)
        self.shape = tuple(int(size) for size in shape)
        self.null = null
        if len(set(self.labels)) < len(self.labels) or NULL in self.labels or not self.labels:
            raise ModelError(f"labels={self.labels!r} must be distinct, at least one, and none called {NULL!r}")
        if len(self.shape) not in (1, 3) or min(self.shape) < 1:
            raise ModelError(f"shape={self.shape!r}: a sample is (features,) or (channels, height, width)")
        count = len(self.labels)
        prior = np.full(count, 1 / count) if label_prior is None else np.array(label_prior, dtype=np.float64)
        if prior.shape != (count,) or not (np.all(prior > 0) and abs(prior.sum() - 1) < 1e-9):
            raise ModelError(f"label_prior={label_prior!r} must hold {count} positive numbers that sum to 1")
        self.label_prior: NDArray[np.float64] = prior

    @property
    @abstractmethod
    def identity(self) -> dict[str, Any]:
        """What the model is, JSON serialisable, for the attribute ``model`` of an archive."""

    @abstractmethod
    def to(self, device: torch.device) -> Model:
        """The same model on another device."""

    @abstractmethod
    def denoise(self, x: Tensor, sigma: float, condition: Tensor) -> Tensor:
        """Expected data given the noisy state.

        Parameters
        ----------
        x : Tensor, shape ``(batch, *shape)``
            States ``x_0 + sigma * noise``.
        sigma : float
            Noise level, shared by the batch.
        condition : Tensor of int64, shape (batch,)
            Index of the label, or the number of labels for the null condition.

        Returns
        -------
        Tensor, shape ``(batch, *shape)``
        """

    def candidates(self, x: Tensor, sigma: float, conditions: Tensor) -> Tensor:
        """Denoise every state under every condition, in one batched call.

        Parameters
        ----------
        x : Tensor, shape ``(batch, *shape)``
            States.
        sigma : float
            Noise level.
        conditions : Tensor of int64, shape (candidates,)
            Indices of the conditions.

        Returns
        -------
        Tensor, shape ``(batch, candidates, *shape)``
        """
        count = len(conditions)
        repeated = x.repeat_interleave(count, dim=0)
        return self.denoise(repeated, sigma, conditions.repeat(len(x))).reshape(len(x), count, *self.shape)


def resolve_device(device: str | torch.device) -> torch.device:
    """The torch device of that name, after checking that it is there.

    Raises
    ------
    SpecentError
        If the name is not a device, or CUDA is asked for and absent.

    Examples
    --------
    >>> resolve_device("cpu")
    device(type='cpu')
    """
    try:
        found = torch.device(device)
    except RuntimeError as error:
        raise SpecentError(f"device={device!r} is not a torch device; use 'cpu' or 'cuda'") from error
    if found.type == "cuda" and not torch.cuda.is_available():
        raise SpecentError(f"device={device!r} was asked for, but torch finds no CUDA GPU; use device='cpu'")
    return found
