r"""Expectations of the kernel over a mixture: quadrature on a line where it suffices, quasi-Monte Carlo otherwise.

The posterior depends on the state through its projection on the span of the covered means when the variances are
equal, and through the length of the rest when they are not. One dimension therefore suffices for collinear means of
equal variance, and for any mixture on a line. Otherwise the states are points in the span of the means, at most K - 1
coordinates, with one chi-square radius for all the rest: the ambient dimension is never walked through
(arXiv 2402.18491). The points are a scrambled Sobol sequence, and the error is that of independent scramblings
(A. B. Owen, 1997, Ann. Stat. 25, 1541). Few randomisations of many points each serve best; that they are independent
for every component makes up for their number (F. E. Satterthwaite, 1946, Biometrics Bull. 2, 110).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import qr
from scipy.special import gammaincinv, ndtri

from specent.errors import SpecentError
from specent.exact.kernel import Points, View, log_ratio, rest_statistics, statistics
from specent.exact.mixture import GaussianMixture

if TYPE_CHECKING:
    from scipy.stats.qmc import Sobol

Array = NDArray[np.float64]

_NODES, _NODE_WEIGHTS = np.polynomial.legendre.leggauss(16)
# the normal density beyond 10.5 standard deviations holds 1e-25
_EDGES = np.linspace(-10.5, 10.5, 43)
_TOLERANCE = 1e-10
_FINEST = 6
# numbers in the largest array of a step
_BLOCK = 1_000_000
RANDOMISATIONS = 4
"""Independent randomisations of the points of every component, from which their error is estimated."""

# by how much the normal points are spread, and weighted for it, by their coordinates: a sequence integrates well what
# vanishes at the faces of the cube, but in many coordinates the weights differ too much
_SPREADS = {1: 1.3, 2: 1.3, 3: 1.15, 4: 1.1}

# points of a randomisation worked on at a time, a power of two, so that memory does not grow with their number
_ROWS = 512
_LEAST = 2.0**-53
# digits of the points of a sequence
_BITS = 50
# degrees of freedom beyond which the formula of Wilson and Hilferty is better than an inverted incomplete gamma
_MANY = 2**20


@dataclass(frozen=True)
class Expectation:
    """Entropy and rate per unit log-SNR, in nats, their standard errors, and the degrees of freedom of these.

    Each of shape (partitions, time).
    """

    entropy: Array
    rate: Array
    entropy_error: Array
    rate_error: Array
    entropy_degrees: Array
    rate_degrees: Array


def on_a_line(mix: GaussianMixture, weights: Array) -> bool:
    """Whether one-dimensional quadrature is exact for the components with weight in `weights` (sides, K)."""
    covered = weights.any(axis=0)
    if mix.dimension == 1:
        return True
    return bool(np.ptp(mix.variances[covered]) == 0) and span(mix.means[covered]).shape[1] <= 1


def span(means: Array) -> Array:
    """Coordinates of `means` (K, d') in an orthonormal basis of their affine span, shape (K, rank).

    Rotating or shifting the means leaves the coordinates alone, up to rounding.
    """
    offset = means - means[0]
    triangle, pivot = qr(offset.T, mode="r", pivoting=True)
    diagonal = np.abs(np.diagonal(triangle))
    rank = int(np.sum(diagonal > 1e-12 * max(diagonal[0], np.finfo(float).tiny)))
    signed = triangle[:rank] * np.sign(np.diagonal(triangle)[:rank, None])
    coordinates = np.empty((len(means), rank))
    coordinates[pivot] = signed.T
    return coordinates


def quadrature(mix: GaussianMixture, tau: Array, weights: Array) -> tuple[Array, Array]:
    """Entropy and rate of one partition by composite Gauss-Legendre quadrature, checked against twice the nodes.

    Parameters
    ----------
    mix : GaussianMixture
        With the covered components `on_a_line`.
    tau : ndarray, shape (time,)
        Noise variances 1/SNR.
    weights : ndarray, shape (sides, K)
        Joint probability of side and component.

    Returns
    -------
    entropy, rate : ndarray, shape (time,)
        In nats, the rate per unit log-SNR, to 1e-10.

    Raises
    ------
    SpecentError
        If a component is narrower, at its distance from another and at that noise, than double precision resolves.
    """
    covered = np.flatnonzero(weights.any(axis=0))
    centres = mix.means[covered] if mix.dimension == 1 else span(mix.means[covered])
    # coinciding means span nothing; they still need one coordinate to integrate over
    line = centres if centres.shape[1] else np.zeros((len(covered), 1))
    views = [View(line - line[j], mix.variances[covered], j, 1) for j in range(len(covered))]
    # a component too narrow for its distance overflows, and a result that is not finite never settles
    with np.errstate(over="ignore", invalid="ignore"):
        result = _refined(views, tau, weights[:, covered], 0)
        for level in range(1, _FINEST):
            finer = _refined(views, tau, weights[:, covered], level)
            if np.max(np.abs(finer - result)) < _TOLERANCE:
                return finer[0], finer[1]
            result = finer
    raise SpecentError(
        f"means, variance: quadrature over {len(covered)} components did not settle to {_TOLERANCE:g}; bring variances "
        "and distances closer together"
    )


def _refined(views: list[View], tau: Array, weights: Array, level: int) -> Array:
    """Entropy and rate, shape (2, time), with every panel cut in ``2**level``."""
    total = np.zeros((2, len(tau)))
    for view in views:
        panels = (len(_EDGES) - 1) * (1 if np.ptp(view.variances) == 0 else len(view.variances) + 1) * 2**level
        for part in time_blocks(len(tau), panels * len(_NODES) * len(view.variances)):
            nodes, node_weights = line_nodes(view, tau[part], level)
            points = Points(nodes[..., None], nodes**2 - 1)
            ratio = np.exp(log_ratio(view, points, tau[part]))
            for i, value in enumerate(statistics(view, points, tau[part], ratio, weights)):
                total[i, part] += weights[:, view.own].sum() * np.sum(value * node_weights, axis=-1)
    return total


def line_nodes(view: View, tau: Array, level: int) -> tuple[Array, Array]:
    """Nodes and weights for the expectation over a standard normal, shape (time or 1, nodes).

    Half a standard deviation a panel resolves every step of the posterior that carries weight when all components
    are equally wide. A narrower component steps within its own width, so its panels are added.
    """
    edges = _EDGES[None]
    if np.ptp(view.variances) > 0:
        scale = np.sqrt(view.spreads(tau))[..., None]
        own = scale[:, [view.own]]
        others = (view.delta[None] + scale * _EDGES) / own
        edges = np.concatenate([np.broadcast_to(edges, (len(tau), len(_EDGES))), others.reshape(len(tau), -1)], axis=1)
        edges = np.sort(np.clip(edges, _EDGES[0], _EDGES[-1]), axis=1)
    left, width = edges[:, :-1, None], np.diff(edges, axis=1)[..., None]
    cuts = 2**level
    start = left + width * np.arange(cuts) / cuts
    half = np.broadcast_to(width / (2 * cuts), start.shape)[..., None]
    nodes = start[..., None] + half * (1 + _NODES)
    density = np.exp(-0.5 * nodes**2) / np.sqrt(2 * np.pi)
    return nodes.reshape(len(edges), -1), (density * half * _NODE_WEIGHTS).reshape(len(edges), -1)


def monte_carlo(mix: GaussianMixture, tau: Array, partitions: list[Array], samples: int, seed: int) -> Expectation:
    """Entropy and rate of several partitions from the same points, stratified by component.

    The error of a low-discrepancy sequence falls almost as the number of its points, where that of independent draws
    falls as the root. It is estimated from independent randomisations of every component, whose variances add up: a
    scrambled sequence that the components share, with a digital shift of its own for each of them.

    Parameters
    ----------
    mix : GaussianMixture
        Any mixture.
    tau : ndarray, shape (time,)
        Noise variances 1/SNR. The same points serve all of them, so curves are smooth and their errors correlated.
    partitions : list of ndarray, shape (sides, K)
        Joint probabilities of side and component.
    samples : int
        Points per component, which are rounded up to `RANDOMISATIONS` times a power of two.
    seed : int
        Seed; randomisation r draws its sequence from the stream (seed, r), the shift of component k from (seed, r, k).

    Returns
    -------
    Expectation
    """
    centres = principal_axes(span(mix.means), mix.weights)
    count = 2 ** math.ceil(math.log2(max(samples / RANDOMISATIONS, 1)))
    covered = np.any([weights.any(axis=0) for weights in partitions], axis=0)
    rest = _Rest.among(partitions, mix.weights)
    sequences = scrambled_sequences(mix, centres.shape[1], seed)
    total, variance, squared = np.zeros((3, 2, len(partitions), len(tau)))
    for own in np.flatnonzero(covered):
        view = View(centres - centres[own], mix.variances, int(own), mix.dimension)
        value = _of_component(view, tau, partitions, rest, mix.weights, state_points(view, count, sequences, seed))
        total += value.mean(axis=0)
        each = value.var(axis=0, ddof=1) / RANDOMISATIONS
        variance += each
        squared += each**2
    # what a normal variable's estimated variance would have that scatters as the sum does
    ratio = np.divide(variance**2, squared, out=np.ones_like(squared), where=squared > 0)
    degrees = (RANDOMISATIONS - 1) * np.clip(ratio, 1, len(centres))
    return Expectation(*total, *np.sqrt(variance), *degrees)


def _of_component(
    view: View, tau: Array, partitions: list[Array], rest: _Rest, prior: Array, blocks: Iterator[tuple[Points, Array]]
) -> Array:
    """What a component adds to entropy and rate, shape (randomisations, 2, partitions, time).

    Parameters
    ----------
    view : View
        The component.
    tau, partitions : ndarray and list of ndarray
        As of `monte_carlo`.
    rest : _Rest
        Those of the partitions that share sums.
    prior : ndarray, shape (K,)
        Weights of the components.
    blocks : iterator
        As `state_points` has it.
    """
    shares = np.array([weights[:, view.own].sum() for weights in partitions])
    others = [i for i in np.flatnonzero(shares > 0) if i not in set(rest.at.tolist())]
    value = np.zeros((RANDOMISATIONS, 2, len(partitions), len(tau)))
    whole = np.zeros(RANDOMISATIONS)
    for points, importance in blocks:
        whole += importance.reshape(RANDOMISATIONS, -1).sum(axis=1)
        for part in time_blocks(len(tau), points.xi.shape[1] * max(view.delta.shape)):
            ratio = np.exp(log_ratio(view, points, tau[part]))
            for i in others:
                for j, numbers in enumerate(statistics(view, points, tau[part], ratio, partitions[i])):
                    # a value may be the same at all points, as the rate of a line of equal variances is
                    every = np.broadcast_to(numbers, ratio.shape[:-1]) * importance
                    value[:, j, i, part] += _per_randomisation(every[..., None])[..., 0]
            if len(rest.at):
                both = rest_statistics(view, points, tau[part], ratio, prior, rest.single, rest.chance)
                for j, numbers in enumerate(both):
                    sums = _per_randomisation(numbers * importance[:, None])
                    value[:, j, rest.at, part] += np.moveaxis(sums, 2, 1)
    # divided by the sum of the weights themselves, which errs as the sum of the values does
    return np.asarray(shares[:, None] * value / whole[:, None, None, None])


def _per_randomisation(numbers: Array) -> Array:
    """Sums over the points of each randomisation, (time, points, ...) to (randomisations, time, ...)."""
    parts = numbers.reshape(len(numbers), RANDOMISATIONS, -1, *numbers.shape[2:])
    return np.asarray(np.moveaxis(parts.sum(axis=2), 1, 0))


class _Rest(NamedTuple):
    """Partitions of one component against all others: where they stand, the components, and their probabilities."""

    at: NDArray[np.intp]
    single: NDArray[np.intp]
    chance: Array

    @classmethod
    def among(cls, partitions: Sequence[Array], prior: Array) -> _Rest:
        """Those in which the others keep the `prior` (K,) among themselves, from three components on."""
        found = []
        for i, weights in enumerate(partitions):
            counts = np.count_nonzero(weights, axis=1)
            if len(weights) == 2 and 1 in counts and counts.sum() == len(prior) > 2 and prior.min() > 0:
                row = int(np.argmin(counts))
                single = int(np.argmax(weights[row]))
                share = np.delete(weights[1 - row] / prior, single)
                if np.ptp(share) <= 1e-12 * share[0]:
                    found.append((i, single, weights[row, single]))
        index, singles, chance = zip(*found, strict=True) if found else ((), (), ())
        return cls(np.array(index, dtype=np.intp), np.array(singles, dtype=np.intp), np.array(chance, dtype=np.float64))


def principal_axes(centres: Array, weights: Array) -> Array:
    """The same means along their principal axes, because the first coordinates of a sequence are its best."""
    if centres.shape[1] < 2:
        return centres
    offset = centres - weights @ centres
    return np.asarray(offset @ np.linalg.svd(np.sqrt(weights)[:, None] * offset, full_matrices=False)[2].T)


def scrambled_sequences(mix: GaussianMixture, rank: int, seed: int) -> list[Sobol | None]:
    """A scrambled sequence for each randomisation; None where there are more coordinates than are tabulated."""
    # loading it takes half a second, which most that import the package need not wait for
    from scipy.stats.qmc import Sobol

    dimension = rank + _radial(mix.dimension - rank, mix.variances)
    if not 0 < dimension <= Sobol.MAXDIM:
        return [None] * RANDOMISATIONS
    return [
        Sobol(dimension, scramble=True, bits=_BITS, rng=np.random.default_rng([seed, r])) for r in range(RANDOMISATIONS)
    ]


def _radial(beyond: int, variances: Array) -> bool:
    """Whether the length of what is beyond the span matters."""
    return bool(beyond and np.ptp(variances) > 0)


def state_points(
    view: View, count: int, sequences: Sequence[Sobol | None], seed: int
) -> Iterator[tuple[Points, Array]]:
    """Some points of every randomisation at a time, those of one randomisation after those of another; their weights.

    Weighted they are standard normal in the span of the means, and the squared length of the rest.
    """
    rank = view.delta.shape[1]
    beyond, spread = view.dimension - rank, _SPREADS.get(rank, 1.0)
    radial = _radial(beyond, view.variances)
    streams = [np.random.default_rng([seed, r, view.own]) for r in range(RANDOMISATIONS)]
    each = [
        _uniform(sequence, rank + radial, count, stream) for sequence, stream in zip(sequences, streams, strict=True)
    ]
    for some in zip(*each, strict=True):
        uniform = np.concatenate(some)
        standard = ndtri(uniform[:, :rank])
        xi, square = spread * standard, np.sum(standard**2, axis=1)
        surplus = spread**2 * square - rank
        if radial:
            surplus = surplus + _chi_square_surplus(beyond, uniform[:, rank])
        yield Points(xi[None], surplus[None]), np.exp(-0.5 * (spread**2 - 1) * square)


def _chi_square_surplus(degrees: int, uniform: Array) -> Array:
    """Quantiles of a chi-square variable less its mean."""
    if degrees < _MANY:
        return np.asarray(2 * gammaincinv(degrees / 2, uniform) - degrees)
    # the cube root is normal (E. B. Wilson and M. M. Hilferty, 1931); expanded, because its cube would cancel
    variance = 2 / (9 * degrees)
    step = ndtri(uniform) * np.sqrt(variance) - variance
    return np.asarray(degrees * step * (3 + step * (3 + step)))


def _uniform(sequence: Sobol | None, dimension: int, count: int, stream: np.random.Generator) -> Iterator[Array]:
    """Shifted points of a sequence in the open unit cube, shape (points, dimension); independent ones if it is None."""
    shift = stream.integers(0, 2**_BITS, dimension, dtype=np.int64)
    if sequence is not None:
        sequence.reset()
    for low in range(0, count, _ROWS):
        size = min(_ROWS, count - low)
        if sequence is None:
            yield np.clip(stream.random((size, dimension)), _LEAST, 1 - _LEAST)
        else:
            # a digital shift makes every point uniform, and leaves alone how evenly they lie; half a step keeps off 0
            digits = (sequence.random(size) * 2.0**_BITS).astype(np.int64) ^ shift
            yield (digits + 0.5) * 2.0**-_BITS


def time_blocks(count: int, each: int) -> Iterator[slice]:
    """Slices over so many times that keep the numbers in memory bounded.

    Parameters
    ----------
    count : int
        Number of times.
    each : int
        Numbers that a time takes.

    Examples
    --------
    >>> list(time_blocks(3, 2**40))
    [slice(0, 1, None), slice(1, 2, None), slice(2, 3, None)]
    """
    step = max(1, _BLOCK // max(each, 1))
    for low in range(0, count, step):
        yield slice(low, min(low + step, count))
