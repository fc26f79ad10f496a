"""On which side a continuation ended: by the exact posterior of data, by its own path, or by a classifier."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from specent import arguments
from specent.arguments import brief
from specent.errors import SpecentError
from specent.interventions.walking import Moment
from specent.models.exact_model import ExactModel
from specent.models.outputs import reason
from specent.sampling.setup import Setup

Array = NDArray[np.float64]
Ending = Callable[[Setup, Moment], Array]

_ROUNDING = 1e-6
# beyond it a small error of the matrix becomes a large one of its inverse
_SINGULAR = 1e8
# data of a confusion at most: more are not drawn again
_MOST = 10**15


class Confusion(NamedTuple):
    """What a classifier says of data whose side is known.

    Attributes
    ----------
    shares : ndarray, shape (sides, sides)
        Share of the data of a side, the row, that it puts on each side.
    counts : ndarray of int, shape (sides,), or None
        On how many data of each side that was measured; None if it is known.
    """

    shares: Array
    counts: NDArray[np.int64] | None

    def freed(self, ends: Array) -> Array:
        """Ends as they would be seen without the mistakes as they were measured, shape (..., sides)."""
        return np.asarray(ends @ np.linalg.inv(self.shares))

    def corrected(self, observed: Array, seed: int) -> Array:
        """Kernels as they would be seen without mistakes, shape (1 + replicates, ..., sides, sides).

        The first is taken with the confusion as it was measured, every replicate with one that is drawn again.
        """
        if self.counts is None:
            return np.asarray(observed @ np.linalg.inv(self.shares))
        rng = np.random.default_rng([seed, 2])
        result = np.empty_like(observed)
        for r, one in enumerate(observed):
            shares = self.shares
            if r:
                rows = zip(self.counts, self.shares, strict=True)
                shares = np.stack([rng.multinomial(count, row / row.sum()) / count for count, row in rows])
            result[r] = one @ np.linalg.pinv(shares)
        return result


def check_confusion(confusion: Any, samples: Any, sides: int) -> Confusion:
    """The confusion of a classifier.

    Parameters
    ----------
    confusion : array_like, shape (sides, sides)
        Share of the data of a side, the row, that it puts on each side.
    samples : int, array_like of int, shape (sides,), or None
        On how many data of each side that was measured.
    sides : int
        How many sides there are.

    Raises
    ------
    SpecentError
        If it has another shape, is not stochastic, or is singular.

    Examples
    --------
    >>> check_confusion([[0.9, 0.1], [0.2, 0.8]], 100, 2).counts.tolist()
    [100, 100]
    """
    shares = arguments.array(confusion, "confusion")
    if shares.shape != (sides, sides):
        raise SpecentError(f"confusion has shape {shares.shape}; it must be ({sides}, {sides}), true side by said side")
    if not ((shares >= 0) & (shares <= 1 + _ROUNDING)).all() or (np.abs(shares.sum(1) - 1) > _ROUNDING).any():
        raise SpecentError(
            f"confusion={brief(shares.tolist())} is not stochastic: every row holds shares that sum to 1; divide the "
            "counts of a true side by their sum"
        )
    if np.linalg.cond(shares) > _SINGULAR:
        raise SpecentError(
            f"confusion={brief(shares.tolist())} is singular: the classifier cannot tell some sides apart; use a "
            "coarser partition or a better classifier"
        )
    if samples is None:
        return Confusion(shares, None)
    counts = np.atleast_1d(arguments.array(samples, "confusion_samples"))
    if counts.shape not in ((1,), (sides,)) or not ((counts >= 1) & (counts <= _MOST) & (counts % 1 == 0)).all():
        raise SpecentError(f"confusion_samples={brief(samples)} must be a number of data, or one for each side")
    return Confusion(shares, np.broadcast_to(counts, (sides,)).astype(np.int64))


def exact_posterior(source: ExactModel, columns: list[int], weights: Array) -> Ending:
    """The posterior of the sides given the state at the end, under a known distribution of data.

    Parameters
    ----------
    source : ExactModel
        The distribution.
    columns : list of int
        Which of its labels the labels are.
    weights : ndarray, shape (sides, labels)
        Joint prior of side and label.
    """

    def ending(setup: Setup, moment: Moment) -> Array:
        density = exact_density(source, columns, setup, moment.at, moment.x)
        return posterior_of_sides(density, weights)

    return ending


def exact_density(source: ExactModel, columns: list[int], setup: Setup, i: int, x: Tensor) -> Tensor:
    """Log-density of the labels at states at a time of a grid, shape (batch, labels)."""
    state = (x / setup.alpha[i]).reshape(len(x), -1)
    return source.moments(state, float(setup.noise_level[i]))[0][:, columns]


def path_posterior(weights: Array) -> Ending:
    """The posterior of the sides given the path of the trunk and of the continuation."""
    return lambda setup, moment: posterior_of_sides(moment.log_likelihood, weights)


def posterior_of_sides(log_likelihood: Tensor, weights: Array) -> Array:
    """Posterior of the sides, shape (batch, sides).

    Examples
    --------
    >>> posterior_of_sides(torch.zeros(1, 2), np.diag([0.25, 0.75])).round(12).tolist()
    [[0.25, 0.75]]
    """
    log_prior = torch.as_tensor(np.log(weights.sum(axis=0)), device=log_likelihood.device)
    labels = torch.softmax(log_likelihood.double() + log_prior, dim=-1).cpu().numpy()
    member = (weights > 0).astype(np.float64)
    return np.asarray(labels @ member.T)


def by_classifier(classifier: Any, sides: dict[str, int], count: int) -> Ending:
    """What a classifier says of the data at the end: shares of the sides, or labels.

    Parameters
    ----------
    classifier : callable, or object with ``classify``
        From pictures, or plain vectors, to probabilities of the sides, or to labels.
    sides : dict of str to int
        Number of the side of every label.
    count : int
        How many sides there are.
    """
    labels = callable(getattr(classifier, "classify", None))
    function = classifier.classify if labels else classifier

    def ending(setup: Setup, moment: Moment) -> Array:
        data = moment.denoised.reshape(len(moment.x), *setup.model.shape).float()
        pictures = setup.model.decode(data) if data.ndim == 4 else data
        try:
            with torch.inference_mode():
                said = function(pictures)
        except Exception as error:
            raise SpecentError(f"classifier raised {reason(error)} on the ends of continuations") from error
        return _from_labels(said, sides, count, len(data)) if labels else _shares(said, count, len(data))

    return ending


def _shares(said: Any, count: int, batch: int) -> Array:
    values = arguments.array(said, "what classifier returned")
    if values.shape != (batch, count):
        raise SpecentError(
            f"classifier returned shape {values.shape} for {batch} samples; it must return probabilities of the sides, "
            f"({batch}, {count}), or have classify(pictures), which returns labels"
        )
    if not (values >= -_ROUNDING).all() or not (np.abs(values.sum(axis=1) - 1) < 1e-3).all():
        raise SpecentError("classifier returned rows that are no probabilities; apply a softmax over the sides")
    return values


def _from_labels(said: Any, sides: dict[str, int], count: int, batch: int) -> Array:
    hint = "classify must return one label for each picture"
    names = [str(name) for name in arguments.listed(said, "classifier: what classify returned", hint)]
    other = next((name for name in names if name not in sides), None)
    if len(names) != batch or other is not None:
        raise SpecentError(
            f"classifier: classify returned {len(names)} labels for {batch} samples"
            + (f", among them {other!r}, which the partition does not cover" if other is not None else "")
            + "; return one label of the partition for each"
        )
    result = np.zeros((batch, count))
    result[np.arange(batch), [sides[name] for name in names]] = 1.0
    return result
