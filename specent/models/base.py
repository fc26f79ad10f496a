r"""What the sampling half needs from a model.

All Gaussian diffusions are one channel in the coordinates :math:`x = x_0 + \sigma\varepsilon` of arXiv 2206.00364: the
state of any schedule divided by its alpha. Models speak these coordinates; conditions are indices, 0 .. K-1 for
the K labels and K for the null condition.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from specent import arguments
from specent.arguments import brief
from specent.errors import ModelError, SpecentError
from specent.models.modules import visible_tensors
from specent.models.outputs import checked
from specent.schema import NULL

# labels that are named when a model is printed
_NAMED = 4


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

    exact: ClassVar[bool] = False
    """Whether the denoiser is known in closed form, so that nothing needs to be checked of it."""

    def __init__(
        self, labels: Sequence[str], shape: Sequence[int], label_prior: ArrayLike | None = None, null: bool = True
    ) -> None:
        self.labels = arguments.names(labels, "labels", error=ModelError)
        self.shape = arguments.shape(shape, error=ModelError)
        self.null = arguments.flag(null, "null", error=ModelError)
        if len(set(self.labels)) < len(self.labels) or NULL in self.labels or not self.labels:
            shown = brief(list(self.labels))
            raise ModelError(f"labels={shown} must be distinct, at least one, and none called {NULL!r}")
        count = len(self.labels)
        self.label_prior: NDArray[np.float64] = np.full(count, 1 / count)
        if label_prior is not None:
            self.label_prior = arguments.array(label_prior, "label_prior", error=ModelError)
        prior = self.label_prior
        if prior.shape != (count,) or not (np.all(prior > 0) and abs(prior.sum() - 1) < 1e-9):
            raise ModelError(
                f"label_prior={brief(label_prior)} must hold {count} positive numbers that sum to 1; "
                "divide them by their sum in double precision"
            )

    def __repr__(self) -> str:
        names = [*map(repr, self.labels[:_NAMED]), *(["..."] if len(self.labels) > _NAMED else [])]
        tensors = visible_tensors(self)
        weights = sum(tensor.numel() for tensor in tensors if isinstance(tensor, nn.Parameter))
        devices = sorted({str(tensor.device) for tensor in tensors})
        parts = [
            f"{len(self.labels)} label{'s' if len(self.labels) > 1 else ''} ({', '.join(names)})",
            f"shape {self.shape}",
            "with the null condition" if self.null else "without a null condition",
            *([f"{weights:,} weights"] if weights else []),
            *([f"on {', '.join(devices)}"] if devices else []),
        ]
        return f"<{type(self).__name__} {self.identity['name']!r}: {', '.join(parts)}>"

    @property
    @abstractmethod
    def identity(self) -> dict[str, Any]:
        """What the model is, JSON serialisable, for the attribute ``model`` of an archive."""

    @abstractmethod
    def to(self, device: torch.device) -> Model:
        """The same model on another device.

        It returns a model and changes nothing: a network, an object or a schedule of the caller stays on its device, in
        its mode, with its weights. What is on the device already is shared, the rest is copied there. Where the weights
        cannot be seen, in a function, they stay where they are: make the model of a function that is on the device.
        """

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

    def check_levels(self, noise_levels: NDArray[np.float64]) -> None:  # noqa: B027  (most models serve any level)
        """Raise `ModelError` if the model cannot denoise at one of the noise levels ``sigma / alpha``.

        Called before a run. A model that serves any level need not override it.

        Parameters
        ----------
        noise_levels : ndarray, shape (levels,)
            Positive noise levels.
        """

    def compiled(self) -> Model:
        """The same model with its network compiled by torch.

        Raises
        ------
        ModelError
            If the model has no network that could be compiled.
        """
        raise ModelError(f"compiled=True: {type(self).__name__} has no torch module to compile; leave it out")

    def decode(self, x: Tensor) -> Tensor:
        """Pictures of samples. By default pixels are taken to run from -1 to 1; models of latents decode them.

        Parameters
        ----------
        x : Tensor, shape ``(batch, *shape)``
            Samples or predictions of the data.

        Returns
        -------
        Tensor, shape (batch, 1 or 3, height, width)
            From 0 (black) to 1 (white).

        Raises
        ------
        ModelError
            If samples are not pictures of one or three channels.
        """
        if len(self.shape) != 3 or self.shape[0] not in (1, 3):
            raise ModelError(
                f"{type(self).__name__}: samples of shape {self.shape} are not pictures of 1 or 3 channels; override "
                "decode to make pictures of them"
            )
        return (0.5 * (x + 1)).clamp(0, 1)

    def greys(self, pictures: Tensor) -> Tensor:
        """Whole greys of pictures that `decode` returned: the nearest ones.

        Parameters
        ----------
        pictures : Tensor
            From 0 (black) to 1 (white).

        Returns
        -------
        Tensor of uint8, same shape
            From 0 (black) to 255 (white).
        """
        return (255 * pictures.double().clamp(0, 1)).round().to(torch.uint8)

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
        output = self.denoise(repeated, sigma, conditions.repeat(len(x)))
        denoised = checked(output, (len(x) * count, *self.shape), x.device, f"{type(self).__name__}.denoise")
        return denoised.reshape(len(x), count, *self.shape)

    def pairs(self, x: Tensor, sigma: float, rows: Tensor, conditions: Tensor) -> Tensor:
        """Denoise chosen states, each under a condition of its own, in one batched call.

        What `candidates` is where only some pairs of state and condition are needed. The default serves any model.

        Parameters
        ----------
        x : Tensor, shape ``(batch, *shape)``
            States.
        sigma : float
            Noise level.
        rows : Tensor of int64, shape (pairs,)
            Number of the state of each pair; a state may be in several, or in none.
        conditions : Tensor of int64, shape (pairs,)
            Index of the condition of each pair.

        Returns
        -------
        Tensor, shape ``(pairs, *shape)``
        """
        return self.denoise(x[rows], sigma, conditions)


def named_device(device: str | torch.device) -> torch.device:
    """The torch device of that name, whether or not this machine has it.

    Raises
    ------
    SpecentError
        If the name is neither the processor nor a CUDA GPU.

    Examples
    --------
    >>> named_device("cuda:1")
    device(type='cuda', index=1)
    """
    match = (
        re.fullmatch(r"(cpu(:0)?|cuda(:\d{1,4})?)", str(device)) if isinstance(device, (str, torch.device)) else None
    )
    if match is None:
        raise SpecentError(f"device={brief(device)} cannot be used; use 'cpu', 'cuda' or, for example, 'cuda:0'")
    return torch.device(device)


def resolve_device(device: str | torch.device) -> torch.device:
    """The torch device of that name, after checking that it is there.

    Raises
    ------
    SpecentError
        If the name is neither the processor nor a CUDA GPU, or the GPU is absent.

    Examples
    --------
    >>> resolve_device("cpu")
    device(type='cpu')
    """
    result = named_device(device)
    if result.type == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if count == 0:
            raise SpecentError(f"device={str(device)!r} cannot be used: torch finds no CUDA GPU; use device='cpu'")
        if (result.index or 0) >= count:
            raise SpecentError(
                f"device={str(device)!r} cannot be used: torch finds {count} CUDA GPU(s); use 'cuda:0' to "
                f"'cuda:{count - 1}'"
            )
    return result
