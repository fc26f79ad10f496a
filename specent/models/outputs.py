"""Checks of what a network or a model of one's own returns."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from specent.arguments import brief
from specent.errors import ModelError


def checked(output: object, shape: Sequence[int], device: torch.device, what: str) -> Tensor:
    """`output` without its gradient, if it is a dense real tensor of that shape on that device.

    Raises
    ------
    ModelError
        Saying what `what` returned and what it should have.

    Examples
    --------
    >>> checked(torch.ones(2, 1), (2, 1), torch.device("cpu"), "the network").shape
    torch.Size([2, 1])
    """
    if not isinstance(output, Tensor):
        raise ModelError(f"{what} returned {brief(output)}, a {type(output).__name__}; {_hint(output)}")
    if output.layout != torch.strided:
        raise ModelError(f"{what} returned a tensor of layout {output.layout}; return output.to_dense()")
    if output.device != device:
        raise ModelError(f"{what} returned a tensor on {output.device} for states on {device}; keep to their device")
    if not output.is_floating_point():
        raise ModelError(f"{what} returned numbers of type {output.dtype}; return real ones, like the states")
    if tuple(output.shape) != tuple(shape):
        raise ModelError(f"{what} returned shape {tuple(output.shape)}; {tuple(shape)} is needed")
    return output.detach()


def reason(error: Exception) -> str:
    """An exception on one line, with a hint if memory ran out.

    Examples
    --------
    >>> reason(IndexError("index 3"))
    'IndexError: index 3'
    """
    text = f"{type(error).__name__}: {' '.join(words(error).split())[:300]}"
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        text += " (memory ran out; use a smaller batch_size)"
    return text


def words(error: BaseException) -> str:
    """What an exception says, if it can: one of somebody else may raise another one then.

    Examples
    --------
    >>> words(IndexError("index 3"))
    'index 3'
    """
    try:
        return str(error)
    except Exception:
        return "without a message"


def _hint(output: object) -> str:
    if isinstance(getattr(output, "sample", None), Tensor):
        return "return the tensor, for example output.sample"
    if isinstance(output, (tuple, list)):
        return "return the tensor alone, for example output[0]"
    if isinstance(output, np.ndarray):
        return "return a tensor, for example torch.from_numpy(output).to(x)"
    return "return the tensor"
