r"""The posterior of the sides of a partition along every trajectory.

Along a path the log-likelihoods of the candidates give the posterior of the sides of a partition, exactly and for any
network (arXiv 2506.10433). Estimators take their numbers per trajectory and time from it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from specent import evidence
from specent.analysis.scored import ScoredPartition

Array = NDArray[np.float64]

# a log-probability below this contributes nothing
_LEAST = -1e4


@dataclass(frozen=True, eq=False)
class PathEvidence:
    """The evidence for one partition along a block of trajectories.

    Attributes
    ----------
    log_likelihood : ndarray, shape (..., candidates)
        In nats, relative to any one candidate.
    side : ndarray of int, shape (...)
        The side that holds the driver, -1 if none does.
    scored : ScoredPartition
        The partition.
    prior : ndarray, shape (candidates,)
        Prior of the candidates, 0 for the null condition.
    null : int or None
        Index of the null condition among the candidates.
    rest : Rest, optional
        What `rest_of` makes of the log-likelihood.
    further : Further, optional
        For statistics that read more than the log-likelihood, or need a second pass over the data.
    """

    log_likelihood: Array
    side: NDArray[np.int64]
    scored: ScoredPartition
    prior: Array
    null: int | None
    rest: Rest | None = None
    further: Further | None = None
    _results: dict[Callable[[PathEvidence], Any], Any] = field(default_factory=dict, init=False, repr=False)

    def once(self, function: Callable[[PathEvidence], Any]) -> Any:
        """What a function makes of the path, worked out once for all statistics that use it."""
        if function not in self._results:
            self._results[function] = function(self)
        return self._results[function]

    @cached_property
    def log_side(self) -> Array:
        """Logarithm of the posterior of the sides, shape (..., sides), kept above -10 000."""
        return np.clip(side_log_posterior(self.log_likelihood, self.scored.weights, self.rest), _LEAST, 0.0)

    @cached_property
    def nats(self) -> Array:
        """Entropy of the posterior in nats, shape (...)."""
        return np.asarray(evidence.entropy(self.log_side))

    def of_driver(self, sides: Array) -> Array:
        """Of numbers per side, shape (..., sides), that of the side that holds the driver; 0 if none does."""
        holds = np.arange(sides.shape[-1]) == self.side[..., None]
        return np.asarray(np.sum(np.where(holds, sides, 0.0), axis=-1))


@dataclass(frozen=True, eq=False)
class Further:
    """What a statistic may need beside the evidence of a path.

    Attributes
    ----------
    log_snr : ndarray, shape (times,)
        Log-SNR of the times of the block.
    half : ndarray of int, shape (samples, 1, 1)
        0 or 1: the half of the trajectories of a class that each belongs to, by its own number.
    shares : tuple of float
        The share of the trajectories that each half has.
    distance : ndarray, shape (...), or None
        Squared distance between the denoised data of the two sides of a partition of two candidates, if it is read.
    means : mapping of ndarray, shape (guidance, time)
        In a second pass over the data: by name, what was found for the partition in the first.
    """

    log_snr: Array
    half: NDArray[np.int64]
    shares: tuple[float, float]
    distance: Array | None
    means: Mapping[str, Array]


@dataclass(frozen=True)
class Statistic:
    """One number per trajectory, time and partition, and what is done with it over trajectories.

    Attributes
    ----------
    name : str
        Of the number, unique among those of all estimators.
    of : callable
        From `PathEvidence` to an ndarray of shape (...).
    over : {"mean", "count", "variance"}
        The mean, with replicates; the sum over the trajectories that the partition looks at; or the variance that the
        mean of independent numbers of these variances has.
    after : tuple of str
        Names of the statistics whose means it needs. It is then taken in a second pass over the data, in which all
        times of a path are seen at once.
    reads : tuple of str
        Variables of the trajectories that it needs beside ``log_likelihood``: ``denoiser_distance``.
    """

    name: str
    of: Callable[[PathEvidence], Array]
    over: Literal["mean", "count", "variance"] = "mean"
    after: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Rest:
    """All labels but one, as a side that many partitions share.

    Attributes
    ----------
    prior : ndarray, shape (candidates,)
        Prior of the candidates, 0 for the null condition.
    log_sum : ndarray, shape (..., candidates)
        Logarithm of prior times likelihood, summed over all candidates but this one.
    """

    prior: Array
    log_sum: Array

    def of_side(self, weights: Array) -> Array | None:
        """Logarithm of the joint probability of a side of these `weights`, if it `is_rest`."""
        if not is_rest(weights, self.prior):
            return None
        other = int(np.argmax((self.prior > 0) & (weights == 0)))
        # labels keep their own prior within a side, so one factor is that of all
        member = int(np.argmax(weights))
        return np.asarray(self.log_sum[..., other] + np.log(weights[member] / self.prior[member]))


def is_rest(weights: Array, prior: Array) -> bool:
    """Whether a side of these weights (candidates,) holds two labels at least, and all of them but one."""
    count = int(np.count_nonzero(weights))
    return 2 <= count == np.count_nonzero(prior) - 1 and prior[weights > 0].min() > 0


def rest_of(log_likelihood: Array, prior: Array) -> Rest:
    """For every candidate what all others amount to, by two sums for all of them together.

    Parameters
    ----------
    log_likelihood : ndarray, shape (..., candidates)
        In nats.
    prior : ndarray, shape (candidates,)
        Prior of the candidates, 0 for the null condition; three at least are positive.

    Examples
    --------
    >>> rest_of(np.array([0.0, -1e4, -2e4, -2e4]), np.array([0.25, 0.25, 0.25, 0.25])).log_sum.round(3).tolist()
    [-10001.386, -1.386, -1.386, -1.386]
    """
    return Rest(prior, evidence.log_sum_exp_of_others(log_likelihood + evidence.log_weights(prior)))


def side_log_posterior(log_likelihood: Array, weights: Array, rest: Rest | None = None) -> Array:
    """Logarithm of the posterior of the sides of one partition.

    Parameters
    ----------
    log_likelihood : ndarray, shape (..., candidates)
        In nats.
    weights : ndarray, shape (sides, candidates)
        Joint prior of side and candidate.
    rest : Rest, optional
        What `rest_of` makes of the log-likelihood: a side of all labels but one then costs no sum over them.

    Returns
    -------
    ndarray, shape (..., sides)
        Normalised.

    Examples
    --------
    >>> np.exp(side_log_posterior(np.log([1.0, 3.0, 9.0]), np.array([[0.5, 0, 0], [0, 0.5, 0]]))).round(3).tolist()
    [0.25, 0.75]
    """
    log_weights = evidence.log_weights(weights)
    # a side sees its own few candidates only: for all pairs of many classes this is far less work than all of them
    members = [np.flatnonzero(row > 0) for row in weights]
    if all(len(member) == 1 for member in members):
        column = np.concatenate(members)
        joint = log_likelihood[..., column] + log_weights[np.arange(len(column)), column]
    else:
        joints = []
        for member, row, log_row in zip(members, weights, log_weights, strict=True):
            shared = None if rest is None else rest.of_side(row)
            joints.append(
                evidence.log_sum_exp(log_likelihood[..., member] + log_row[member]) if shared is None else shared
            )
        joint = np.stack(joints, axis=-1)
    return np.asarray(joint - evidence.log_sum_exp(joint)[..., None])
