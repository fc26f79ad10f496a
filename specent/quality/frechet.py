r"""Frechet distance of two sets of features, taken for Gaussians (arXiv 1706.08500), and its limit of many samples.

.. math:: d^2 = |m_a - m_b|^2 + \operatorname{tr}\bigl(\Sigma_a + \Sigma_b - 2 (\Sigma_a\Sigma_b)^{1/2}\bigr)

The trace of the root is that of :math:`(\Sigma_a^{1/2}\Sigma_b\Sigma_a^{1/2})^{1/2}`, whose argument is symmetric: two
eigen-decompositions in double precision, in which the null space of a singular covariance is exactly that. With N
samples the distance is too large by about c/N, more so in more dimensions, and c depends on the model: two models must
be compared at the same N, or at their limits, which a line in 1/N extrapolates to (arXiv 1911.07023).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from specent import arguments
from specent.errors import SpecentError
from specent.quality.estimates import (
    GROUPS,
    Estimate,
    check_same_space,
    check_seed,
    features,
    jackknife,
    jackknife_groups,
)

Array = NDArray[np.float64]

# pieces into which the samples are cut for the extrapolation: each number divides the groups of the jackknife
_CUTS = (1, 2, 3, 4)


def frechet_gaussians(mean_a: ArrayLike, covariance_a: ArrayLike, mean_b: ArrayLike, covariance_b: ArrayLike) -> float:
    """Squared Frechet distance of two Gaussians.

    Parameters
    ----------
    mean_a, mean_b : array_like, shape (features,)
        Means.
    covariance_a, covariance_b : array_like, shape (features, features)
        Covariances, symmetric and not negative; they may be singular.

    Returns
    -------
    float
        At least 0.

    Raises
    ------
    SpecentError
        If shapes do not fit, a number is not finite, or a covariance is none.

    Examples
    --------
    >>> frechet_gaussians([0.0, 0.0], np.diag([1.0, 4.0]), [3.0, 0.0], np.diag([1.0, 9.0]))
    10.0
    """
    means = [arguments.array(mean, name) for mean, name in ((mean_a, "mean_a"), (mean_b, "mean_b"))]
    spreads = [
        arguments.array(one, name) for one, name in ((covariance_a, "covariance_a"), (covariance_b, "covariance_b"))
    ]
    size = means[0].size
    for name, array, shape in zip(
        ("mean_a", "mean_b", "covariance_a", "covariance_b"), (*means, *spreads), [(size,)] * 2 + [(size, size)] * 2,
        strict=True,
    ):  # fmt: skip
        if array.shape != shape or not np.isfinite(array).all():
            raise SpecentError(f"{name} has shape {array.shape}; finite numbers of shape {shape} are needed")
    for name, array in zip(("covariance_a", "covariance_b"), spreads, strict=True):
        values = np.linalg.eigvalsh(array)
        if not np.allclose(array, array.T) or values[0] < -1e-8 * max(abs(values[-1]), 1e-300):
            raise SpecentError(f"{name} is no covariance: it must be symmetric, without negative eigenvalues")
    return _distance(_Reference.of(means[0], spreads[0]), means[1], spreads[1])


def frechet_distance(
    real: ArrayLike, fake: ArrayLike, *, confidence: float = 0.95, real_sampled: bool = False,
    groups: ArrayLike | None = None, seed: int = 0,
) -> Estimate:  # fmt: skip
    r"""Squared Frechet distance of two sets of features, with the interval of its scatter.

    Parameters
    ----------
    real, fake : array_like, shape (samples, features)
        Features, at least 3 samples each. Fewer samples than features make a covariance singular, which is allowed.
    confidence : float
        Nominal coverage of the interval.
    real_sampled : bool
        Whether `real` is itself a sample, whose scatter counts too. By default it is the distribution compared with.
    groups : array_like of int, shape (fake samples,), optional
        Group, 0 .. 23, of every fake sample for the jackknife, for instance evenly over classes. Random by default.
    seed : int
        Of the random groups.

    Returns
    -------
    Estimate
        The interval is where the distance of **as many samples** would fall on repetition. It does not hold the
        distance of the distributions, from which the value is off by about c/N with c > 0; see `frechet_limit`.

    Raises
    ------
    SpecentError
        If there are too few samples, a number is not finite (naming its sample and feature), or the spaces differ.

    References
    ----------
    arXiv 1706.08500.

    Examples
    --------
    >>> real = np.random.default_rng(0).normal(size=(4000, 1))
    >>> round(float(frechet_distance(real, real + 2.0)), 3)
    4.0
    """
    pieces = _Pieces.of(real, fake, groups, seed, confidence, arguments.flag(real_sampled, "real_sampled"))
    whole = pieces.distance()
    deleted = [[pieces.distance(without=g) for g in range(pieces.groups)]]
    if real_sampled:
        deleted.append([pieces.distance(real_without=g) for g in range(len(pieces.real))])
    return jackknife(whole, *map(np.array, deleted), confidence=pieces.confidence, least=0.0)


def frechet_limit(
    real: ArrayLike, fake: ArrayLike, *, confidence: float = 0.95, groups: ArrayLike | None = None, seed: int = 0
) -> Estimate:
    r"""Squared Frechet distance in the limit of many fake samples, extrapolated by a line in 1/N.

    Of the samples cut into k = 1, 2, 3 and 4 pieces, the mean distances of the pieces lie on a line in k/N if N/4 is
    well above the number of features; its intercept has lost the bias of order 1/N.

    Parameters
    ----------
    real, fake : array_like, shape (samples, features)
        Features; at least 96 fake samples. `real` is taken for the distribution compared with.
    confidence : float
        Nominal coverage of the interval, which is meant to hold the distance of the distributions.
    groups : array_like of int, shape (fake samples,), optional
        As for `frechet_distance`.
    seed : int
        Of the random groups.

    Returns
    -------
    Estimate
        May be negative where the distributions hardly differ: cutting it off would make it biased again.

    Raises
    ------
    SpecentError
        If there are too few samples, a number is not finite (naming its sample and feature), or the spaces differ.

    References
    ----------
    arXiv 1911.07023.

    Examples
    --------
    >>> draw = np.random.default_rng(0).normal
    >>> real, fake = draw(size=(20000, 8)), draw(size=(400, 8))
    >>> limit, plain = frechet_limit(real, fake), frechet_distance(real, fake)
    >>> limit.lower < 0.0 < limit.upper, plain.lower > 0.0
    (True, True)
    """
    pieces = _Pieces.of(real, fake, groups, seed, confidence, False, least=4 * GROUPS)
    whole = [[pieces.distance(cut=(k, j)) for j in range(k)] for k in _CUTS]
    deleted = []
    for g in range(pieces.groups):
        changed = [list(row) for row in whole]
        for k, row in zip(_CUTS, changed, strict=True):
            row[g % k] = pieces.distance(without=g, cut=(k, g % k))
        deleted.append(_intercept(changed))
    return jackknife(_intercept(whole), np.array(deleted), confidence=pieces.confidence)


def _intercept(distances: list[list[float]]) -> float:
    """Intercept at k = 0 of the line through the mean distances of k pieces."""
    return float(np.polynomial.Polynomial.fit(_CUTS, [np.mean(row) for row in distances], 1)(0.0))


@dataclass(frozen=True)
class _Reference:
    """A Gaussian, with the root of its covariance."""

    mean: Array
    trace: float
    root: Array

    @classmethod
    def of(cls, mean: Array, covariance: Array) -> _Reference:
        values, vectors = _eigen(covariance)
        return cls(mean, float(np.trace(covariance)), (vectors * np.sqrt(values)) @ vectors.T)


def _eigen(matrix: Array) -> tuple[Array, Array]:
    """Eigenvalues and eigenvectors of a positive matrix; a rounded 0 is 0, for its root would not be small."""
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    return np.where(values > len(values) * np.finfo(np.float64).eps * values[-1], values, 0.0), vectors


def _distance(reference: _Reference, mean: Array, covariance: Array) -> float:
    values, _ = _eigen(reference.root @ covariance @ reference.root)
    apart = float(np.sum((reference.mean - mean) ** 2))
    return max(0.0, apart + reference.trace + float(np.trace(covariance)) - 2 * float(np.sqrt(values).sum()))


@dataclass(frozen=True)
class _Sums:
    """Number, sum and sum of products of some features: sums of groups add up to those of all."""

    count: Array
    first: Array
    second: Array

    @classmethod
    def of(cls, values: Array, group: NDArray[np.intp]) -> _Sums:
        """The sums of every group, stacked."""
        parts = [values[group == g] for g in range(int(group.max()) + 1)]
        return cls(
            np.array([float(len(part)) for part in parts]),
            np.stack([part.sum(axis=0) for part in parts]),
            np.stack([part.T @ part for part in parts]),
        )

    def __len__(self) -> int:
        return len(self.count)

    def moments(self, selection: NDArray[np.bool_]) -> tuple[Array, Array]:
        """Mean and unbiased covariance over the selected groups."""
        count, first, second = (part[selection].sum(axis=0) for part in (self.count, self.first, self.second))
        mean = first / count
        return mean, (second - count * np.outer(mean, mean)) / (count - 1)


@dataclass(frozen=True)
class _Pieces:
    """Two sets of features by groups."""

    real: _Sums
    fake: _Sums
    reference: _Reference
    confidence: float

    @classmethod
    def of(
        cls, real: Any, fake: Any, groups: ArrayLike | None, seed: int, confidence: float, real_sampled: bool,
        least: int = 3,
    ) -> _Pieces:  # fmt: skip
        seed, confidence = check_seed(seed, confidence)
        one, other = features(real, "real", 3), features(fake, "fake", least)
        check_same_space(one, other)
        # near the origin the sums of products keep their digits; the distance does not depend on the origin
        centre = one.mean(axis=0)
        first = jackknife_groups(len(one), None, seed) if real_sampled else np.zeros(len(one), dtype=np.intp)
        sums = _Sums.of(one - centre, first), _Sums.of(other - centre, jackknife_groups(len(other), groups, seed))
        return cls(*sums, _Reference.of(*sums[0].moments(np.full(len(sums[0]), True))), confidence)

    @property
    def groups(self) -> int:
        """Groups of the fake samples."""
        return len(self.fake)

    def distance(
        self, without: int | None = None, real_without: int | None = None, cut: tuple[int, int] = (1, 0)
    ) -> float:
        """The distance without a group of either set, of one of several pieces of the fake samples."""
        group = np.arange(self.groups)
        selection = (group % cut[0] == cut[1]) & (group != without)
        reference = self.reference
        if real_without is not None:
            reference = _Reference.of(*self.real.moments(np.arange(len(self.real)) != real_without))
        return _distance(reference, *self.fake.moments(selection))
