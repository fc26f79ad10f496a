r"""Numbers with their uncertainty, and checks of the features they are computed from.

Uncertainty comes from the delete-a-group jackknife: the samples fall at random into G groups, and with
:math:`\theta_{(g)}` the statistic without group g its standard error is :math:`\sqrt{\tfrac{G-1}{G} \sum_g
(\theta_{(g)} - \bar\theta)^2}` (B. Efron, *The Jackknife, the Bootstrap and Other Resampling Plans*, 1982), with G - 1
degrees of freedom. No sample is ever drawn twice, which would be its own nearest neighbour. Shares between 0 and 1 have
at least the score interval of E. B. Wilson (*J. Am. Stat. Assoc.* 22, 209, 1927), which bears shares of 0 and 1.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import norm
from scipy.stats import t as student

from specent import arguments
from specent.arguments import brief
from specent.errors import SpecentError

Array = NDArray[np.float64]

GROUPS = 24
"""Groups of the jackknife: divisible by 2, 3 and 4, into which `specent.quality.frechet_limit` cuts the samples."""

_LARGEST = 1e100


@dataclass(frozen=True)
class Estimate:
    """A number, the bounds of its interval, its standard error, and the number without each group of fake samples.

    Examples
    --------
    >>> str(Estimate(0.5, 0.4, 0.6, 0.05))
    '0.5 [0.4, 0.6]'
    """

    value: float
    lower: float
    upper: float
    standard_error: float
    deleted: Array = field(default_factory=lambda: np.empty(0), repr=False, compare=False)

    def __float__(self) -> float:
        return self.value

    def __str__(self) -> str:
        return f"{self.value:.4g} [{self.lower:.4g}, {self.upper:.4g}]"


def jackknife(value: float, *deleted: Array, confidence: float, least: float = -np.inf) -> Estimate:
    """A statistic with its symmetric interval.

    Parameters
    ----------
    value : float
        The statistic.
    *deleted : ndarray, shape (groups,)
        The statistic without each group of one set of samples; several independent sets may be given, the fake one
        first.
    confidence : float
        Nominal coverage.
    least : float
        Where the interval is cut off.
    """
    error = standard_error(*deleted)
    width = error * float(student.ppf(0.5 + confidence / 2, len(deleted[0]) - 1))
    return Estimate(float(value), min(max(value - width, least), value), float(value + width), error, deleted[0])


def standard_error(*deleted: Array) -> float:
    """Standard error from the statistic without each group, summed over independent sets of samples."""
    return float(np.sqrt(sum((len(part) - 1) * np.var(part) for part in deleted)))


def difference(first: Estimate, second: Estimate, *, confidence: float, least: float = 0.0) -> Estimate:
    """The difference of two estimates of the same groups, whose common scatter drops out.

    Parameters
    ----------
    first, second : Estimate
        With the statistic without each group.
    confidence : float
        Nominal coverage.
    least : float
        What the standard error is at least, for shares that hardly vary.

    Examples
    --------
    >>> mean = Estimate(1.0, 0.0, 2.0, 0.5, np.array([0.5, 1.5]))
    >>> str(difference(mean, mean, confidence=0.95))
    '0 [0, 0]'
    """
    change = jackknife(first.value - second.value, first.deleted - second.deleted, confidence=confidence)
    error = max(change.standard_error, least)
    width = error * float(student.ppf(0.5 + confidence / 2, len(first.deleted) - 1))
    return Estimate(change.value, change.value - width, change.value + width, error, change.deleted)


def share(value: float, count: int, *deleted: Array, confidence: float) -> Estimate:
    """A share with its Wilson interval, or that of its jackknife where it is wider.

    Parameters
    ----------
    value : float
        From 0 to 1.
    count : int
        Samples it is a share of.
    *deleted : ndarray, shape (groups,)
        As for `jackknife`; the interval is that of a binomial without any.
    confidence : float
        Nominal coverage.

    Examples
    --------
    >>> str(share(0.0, 100, confidence=0.95))
    '0 [0, 0.03699]'
    """
    error = standard_error(*deleted)
    z = float(norm.ppf(0.5 + confidence / 2))
    t = float(student.ppf(0.5 + confidence / 2, len(deleted[0]) - 1)) if deleted else 0.0
    spread = value * (1 - value)
    centre = (value + z**2 / (2 * count)) / (1 + z**2 / count)
    half = z / (1 + z**2 / count) * float(np.sqrt(spread / count + (z / (2 * count)) ** 2))
    lower, upper = min(centre - half, value - t * error), max(centre + half, value + t * error)
    binomial = float(np.sqrt(spread / count))
    bounds = max(0.0, min(lower, value)), min(1.0, max(upper, value))
    return Estimate(value, *bounds, max(error, binomial), *deleted[:1])


def accuracy(
    predicted: ArrayLike, labels: ArrayLike, *, confidence: float = 0.95, groups: ArrayLike | None = None
) -> Estimate:
    """Share of the samples that a classifier takes for what they should be.

    Parameters
    ----------
    predicted, labels : array_like, shape (samples,)
        Labels that a classifier gave, and labels that were to be given.
    confidence : float
        Nominal coverage of the interval.
    groups : array_like of int, shape (samples,), optional
        Group, 0 .. 23, of every sample for the jackknife; without groups the interval is that of a binomial.

    Returns
    -------
    Estimate
        With the interval of Wilson, or that of the jackknife where it is wider.

    Raises
    ------
    SpecentError
        If the two differ in length or are empty.

    Examples
    --------
    >>> str(accuracy(["cat", "dog", "dog"], ["cat", "dog", "cat"]))
    '0.6667 [0.2077, 0.9385]'
    """
    confidence = arguments.number(confidence, "confidence", above=0, below=1)
    outcomes, targets = (
        arguments.names(values, name) for values, name in ((predicted, "predicted"), (labels, "labels"))
    )
    if len(outcomes) != len(targets) or not outcomes:
        raise SpecentError(
            f"predicted has {len(outcomes)} entries and labels {len(targets)}; give one for one, at least 1"
        )
    hits = np.array([a == b for a, b in zip(outcomes, targets, strict=True)])
    deleted = []
    if groups is not None:
        group = jackknife_groups(len(hits), groups, 0)
        deleted.append(np.array([hits[group != g].mean() for g in range(GROUPS)]))
    return share(float(hits.mean()), len(hits), *deleted, confidence=confidence)


def features(values: Any, argument: str, least: int) -> Array:
    """Features as an array (samples, features) in double precision, at least `least` samples, all finite.

    Raises
    ------
    SpecentError
        Naming the sample and the feature of the first number that is not finite, or what else is wrong.
    """
    array = arguments.array(values, argument)
    if array.ndim != 2 or array.shape[1] < 1:
        raise SpecentError(f"{argument} has shape {array.shape}; features are needed, shape (samples, features)")
    if len(array) < least:
        raise SpecentError(f"{argument} holds {len(array)} sample(s); at least {least} are needed")
    bad = ~(np.abs(array) < _LARGEST)
    if bad.any():
        row, column = (int(index) for index in np.argwhere(bad)[0])
        raise SpecentError(
            f"{argument} is {array[row, column]} at sample {row}, feature {column}; look at the pictures there, and at "
            "the network that gave the features"
        )
    return array


def check_same_space(real: Array, fake: Array) -> None:
    """Raise unless two sets of features are of one space."""
    if real.shape[1] != fake.shape[1]:
        raise SpecentError(
            f"real has {real.shape[1]} features and fake {fake.shape[1]}; take both from the same network"
        )


def jackknife_groups(count: int, groups: ArrayLike | None, seed: int) -> NDArray[np.intp]:
    """The jackknife's group of every sample: as given, or drawn so that groups are as equal as can be."""
    if groups is None:
        order = np.random.default_rng(seed).permutation(count)
        return np.argsort(order) % min(GROUPS, count)
    arguments.array(groups, "groups")  # refuses lists of lists of unequal length
    array = np.asarray(groups)
    if array.shape != (count,) or array.dtype.kind not in "iu" or set(array.tolist()) != set(range(GROUPS)):
        raise SpecentError(
            f"groups={brief(groups)} must name one of the groups 0 .. {GROUPS - 1} for each of {count} samples, "
            "and none may be empty"
        )
    return array.astype(np.intp)


def check_seed(seed: Any, confidence: Any) -> tuple[int, float]:
    """The seed and the confidence as plain numbers."""
    return arguments.whole(seed, "seed", most=2**256 - 1), arguments.number(confidence, "confidence", above=0, below=1)
