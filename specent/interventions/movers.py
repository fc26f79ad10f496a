"""What moves a continuation: by its name it is tested, and what ends where it should not is its fault."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Choice = Callable[[Tensor, Tensor], Tensor | None]


def null_condition(posterior: Tensor, uniform: Tensor) -> Tensor:
    """The null condition moves every continuation; it stands behind the labels.

    Parameters
    ----------
    posterior : Tensor, shape (batch, labels)
        Posterior of the labels at the turn.
    uniform : Tensor, shape (batch,)
        A random number between 0 and 1 for each.

    Returns
    -------
    Tensor of int64, shape (batch,)
        Index of the condition that moves it.

    Examples
    --------
    >>> null_condition(torch.tensor([[0.5, 0.5]]), torch.tensor([0.2])).tolist()
    [2]
    """
    return torch.full((len(posterior),), posterior.shape[1], device=posterior.device)


def drawn_class(posterior: Tensor, uniform: Tensor) -> Tensor:
    """One class, drawn from the posterior at the turn, moves the continuation to its end; see `null_condition`.

    Examples
    --------
    >>> drawn_class(torch.tensor([[0.5, 0.5], [0.5, 0.5]]), torch.tensor([0.2, 0.7])).tolist()
    [0, 1]
    """
    edges = torch.cumsum(posterior, dim=1)
    # rounding may leave the last edge below the random number
    return torch.searchsorted(edges, uniform[:, None])[:, 0].clamp(max=posterior.shape[1] - 1)


def running_mixture(posterior: Tensor, uniform: Tensor) -> None:
    """No condition alone: at every step the conditionals are mixed by the posterior that the path has then."""
    return


MOVERS: dict[str, Choice] = {"null": null_condition, "mixture": running_mixture, "class": drawn_class}
"""How each mover chooses the condition at the turn; None is the mixture of all."""
