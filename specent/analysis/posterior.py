r"""The posterior of the sides of a partition along every trajectory.

Along a path the log-likelihoods of the candidates give the posterior of the sides of a partition, exactly and for any
network (arXiv 2506.10433). Estimators take their numbers per trajectory and time from it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from specent import evidence
from specent.analysis.scored import ScoredPartition

Array = NDArray[np.float64]

# a log-probability below this contributes nothing
_LEAST = -1e4
# numbers that are worked on together, so that what is in between stays in the cache
_NUMBERS = 2**15


@dataclass(frozen=True, eq=False)
class PathEvidence:
    """The evidence for one partition along a block of trajectories.

    Attributes
    ----------
    log_likelihood : ndarray, shape (..., candidates)
        In nats, relative to any one candidate.
    side : ndarray of int, of a shape that broadcasts to (...)
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

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape (...) of the numbers of one candidate."""
        return self.log_likelihood.shape[:-1]

    @cached_property
    def _joints(self) -> list[tuple[Array, float]]:
        return _side_log_joints(self.log_likelihood, self.scored.weights, self.rest)

    @cached_property
    def log_side(self) -> Array:
        """Logarithm of the posterior of the sides, shape (..., sides), kept above -10 000."""
        return np.clip(_normalised(self._joints), _LEAST, 0.0)

    @cached_property
    def odds(self) -> Array:
        """Of two sides: log-odds of the one that holds the driver, shape (...); 0 if none does."""
        (first, weight), (second, other) = self._joints
        odds = first - second
        odds += weight - other
        odds *= np.where(self.side < 0, 0.0, 1.0 - 2.0 * self.side)
        return odds

    @cached_property
    def surprisal(self) -> Surprisal:
        """The surprisal of the driving side, with its mean and variance under the posterior of the sides."""
        if len(self._joints) > 2 or self.side.min() < 0:
            return _of_many_sides(self._joints, self.side)
        return surprisal_of_two(self.odds)

    def of_driver(self, sides: Array) -> Array:
        """Of numbers per side, shape (..., sides), that of the side that holds the driver; 0 if none does."""
        holds = np.arange(sides.shape[-1]) == self.side[..., None]
        return np.asarray(np.sum(np.where(holds, sides, 0.0), axis=-1))


class Surprisal(NamedTuple):
    """The surprisal of the driving side, in bits, each of shape (...).

    Attributes
    ----------
    driver : ndarray
        The surprisal; 0 where no side holds the driver.
    mean, variance : ndarray
        Over the posterior of the sides: its entropy, and how far the surprisal is from that, in bits squared.
    """

    driver: Array
    mean: Array
    variance: Array


def surprisal_of_two(odds: Array) -> Surprisal:
    """Surprisal of one of two sides, from the log-odds of that side; by one exponential and one logarithm.

    Examples
    --------
    >>> [round(part.item(), 6) for part in surprisal_of_two(np.log([3.0]))]
    [0.415037, 0.811278, 0.47102]
    """
    size = np.abs(odds)
    np.minimum(size, -_LEAST, out=size)
    other = np.negative(size)
    np.exp(other, out=other)
    whole = other + 1.0
    # of the likelier side; the other has this and the log-odds
    driver = np.log(whole)
    np.divide(other, whole, out=other)
    np.multiply(other, size, out=other)
    mean = np.add(driver, other, out=whole)
    np.subtract(size, other, out=size)
    variance = np.multiply(other, size, out=size)
    np.clip(odds, _LEAST, 0.0, out=other)
    np.subtract(driver, other, out=driver)
    return _in_bits(driver, mean, variance)


def _in_bits(driver: Array, mean: Array, variance: Array) -> Surprisal:
    """The same, of these arrays in nats, which are overwritten."""
    driver *= evidence.BITS_PER_NAT
    mean *= evidence.BITS_PER_NAT
    variance *= evidence.BITS_PER_NAT**2
    return Surprisal(driver, mean, variance)


def _of_many_sides(joints: Sequence[tuple[Array, float]], side: NDArray[np.int64]) -> Surprisal:
    """Surprisal of one of several sides, from what `_side_log_joints` gives."""
    shape = joints[0][0].shape
    rows = [values.reshape(-1) for values, _ in joints]
    weights = np.array([[weight] for _, weight in joints])
    sides = np.broadcast_to(side, shape).reshape(-1)
    driver, mean, variance = (np.empty(len(sides)) for _ in range(3))
    step = max(1, _NUMBERS // len(rows))
    for low in range(0, len(sides), step):
        part = slice(low, low + step)
        excess = np.stack([row[part] for row in rows])
        excess += weights
        excess -= excess.max(axis=0)
        np.maximum(excess, _LEAST, out=excess)
        chance = np.exp(excess)
        total = chance.sum(axis=0)
        log_total = np.log(total)
        own = np.take_along_axis(excess, sides[None, part], axis=0)[0]
        driver[part] = np.where(sides[part] < 0, 0.0, np.minimum(log_total - own, -_LEAST))
        chance *= excess
        expected = chance.sum(axis=0) / total
        mean[part] = log_total - expected
        chance *= excess
        variance[part] = np.maximum(chance.sum(axis=0) / total - expected**2, 0.0)
    return _in_bits(driver.reshape(shape), mean.reshape(shape), variance.reshape(shape))


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

    def of_side(self, weights: Array) -> tuple[Array, float] | None:
        """Logarithm of the joint probability of a side of these `weights`, up to a term, if it `is_rest`."""
        if not is_rest(weights, self.prior):
            return None
        other = int(np.argmax((self.prior > 0) & (weights == 0)))
        # labels keep their own prior within a side, so one factor is that of all
        member = int(np.argmax(weights))
        return self.log_sum[..., other], math.log(weights[member] / self.prior[member])


def is_rest(weights: Array, prior: Array) -> bool:
    """Whether a side of these weights (candidates,) holds two labels at least, and all of them but one."""
    count = int(np.count_nonzero(weights))
    return 2 <= count == np.count_nonzero(prior) - 1 and prior[weights > 0].min() > 0


def rest_of(log_likelihood: Array, prior: Array) -> Rest:
    """For every candidate what all others amount to, by one sum for all of them together.

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
    labels = np.flatnonzero(prior > 0)
    out = np.empty((len(prior), *log_likelihood.shape[:-1]))
    values = np.moveaxis(log_likelihood, -1, 0).reshape(len(prior), -1)
    flat = out.reshape(values.shape)
    log_prior = np.log(prior[labels])[:, None]
    step = max(1, _NUMBERS // len(labels))
    for low in range(0, values.shape[1], step):
        part = slice(low, low + step)
        joint = values[labels, part] + log_prior
        flat[labels, part], total = _log_sum_exp_of_others(joint)
        flat[prior == 0, part] = total
    return Rest(prior, np.moveaxis(out, 0, -1))


def _log_sum_exp_of_others(joint: Array) -> tuple[Array, Array]:
    """For every row the logarithm of the sum of the exponentials of all others, and of all rows; safe at any values.

    Shape (rows, numbers). Exponentials are taken relative to the second largest row, so that neither their sum without
    the largest can vanish nor any of them overflow.
    """
    largest, second = joint[0].copy(), np.full(joint.shape[1], -np.inf)
    for row in joint[1:]:
        np.maximum(second, np.minimum(largest, row), out=second)
        np.maximum(largest, row, out=largest)
    excess = joint - second
    is_largest = joint == largest
    np.minimum(excess, 0.0, out=excess)
    np.exp(excess, out=excess)
    # the largest row counts as 1
    others = excess.sum(axis=0) - 1.0
    ratio = np.exp(second - largest)
    total = np.log(others * ratio + 1.0) + largest
    np.subtract(others, excess, out=excess)
    excess *= ratio
    excess += 1.0
    np.log(excess, out=excess)
    excess += largest
    np.copyto(excess, np.log(others) + second, where=is_largest)
    return excess, total


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
    return _normalised(_side_log_joints(log_likelihood, weights, rest))


def _normalised(joints: Sequence[tuple[Array, float]]) -> Array:
    """Logarithm of the posterior of the sides, shape (..., sides)."""
    joint = np.stack([values + weight for values, weight in joints], axis=-1)
    return np.asarray(joint - evidence.log_sum_exp(joint)[..., None])


def _side_log_joints(log_likelihood: Array, weights: Array, rest: Rest | None) -> list[tuple[Array, float]]:
    """Logarithm of the joint probability of each side and the path, as an array (...) and a number to be added."""
    joints = []
    # a side sees its own few candidates only: for all pairs of many classes this is far less work than all of them
    for row in weights:
        members = np.flatnonzero(row)
        shared = None if rest is None else rest.of_side(row)
        if len(members) == 1:
            shared = log_likelihood[..., members[0]], math.log(row[members[0]])
        elif shared is None:
            shared = np.asarray(evidence.log_sum_exp(log_likelihood[..., members] + np.log(row[members]))), 0.0
        joints.append(shared)
    return joints
