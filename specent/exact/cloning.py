r"""What a U-turn does to an exact Gaussian mixture: the probability to come back, and the kernel between the sides.

Noise a datum to :math:`x`, forget it, and denoise again with fresh noise: the new datum is an independent draw from
:math:`p(x_0|x)`, so its side is one from the posterior :math:`P(z|x)` (arXiv 2402.18491, 2402.16991). Given the side z
of the origin, the end is on side z' with probability

.. math:: M(z, z') = E[\,P(z'|x) \mid z\,] , \qquad
          \phi = \sum_z \pi_z M(z, z) = E \sum_z P(z|x)^2 .

M is reversible for the prior :math:`\pi` and positive semi-definite: its eigenvalues run from 1 down to 0, and those of
independent attributes multiply. Nothing but ends is counted, so :math:`\phi` bounds the entropy of any posterior,

.. math:: -\log_2\phi \le H[Z|X] \le h_2(\phi) + (1-\phi)\log_2(K-1) ,

on the left by the convexity of :math:`-\log`, on the right by Fano's inequality.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray
from scipy.special import entr, stdtrit

from specent import arguments
from specent.arguments import brief
from specent.errors import PartitionError, SpecentError
from specent.evidence import BITS_PER_NAT
from specent.exact import expectation
from specent.exact.expectation import RANDOMISATIONS
from specent.exact.kernel import Points, View, log_ratio
from specent.exact.mixture import GaussianMixture, component_weights
from specent.partitions import NULL, Partition, parse_all
from specent.schedules import Schedule, check_grid
from specent.schema import coordinates, finish

Array = NDArray[np.float64]

_SAMPLES = 4096
_TOLERANCE = 1e-10
_FINEST = 6
# of sums of probabilities; and what is extrapolated over the steps may lie beyond 0 and 1 by sampling error
_ROUNDING, _LARGEST = 1e-6, 1e6


def spectrum(kernel: ArrayLike, prior: ArrayLike) -> Array:
    r"""Eigenvalues of a transition kernel between sides, the largest first.

    A kernel that is reversible for the prior has those of the symmetric matrix
    :math:`\pi^{1/2} M \pi^{-1/2}`. Of one that was measured its symmetric part is taken, which halves the noise.

    Parameters
    ----------
    kernel : array_like, shape (..., sides, sides)
        Probability of the end, the last axis, given the origin.
    prior : array_like, shape (sides,)
        Prior of the sides, positive.

    Returns
    -------
    ndarray, shape (..., sides)

    Raises
    ------
    SpecentError
        If the rows of the kernel or the prior do not sum to 1, the prior is not positive, or shapes do not fit.

    Examples
    --------
    >>> spectrum([[0.8, 0.2], [0.2, 0.8]], [0.5, 0.5]).round(12).tolist()
    [1.0, 0.6]
    """
    return eigenvalues(*_checked_kernel(kernel, prior))


def eigenvalues(kernel: Array, prior: Array) -> Array:
    """What `spectrum` returns, of a kernel and a prior that are known to be such.

    Examples
    --------
    >>> eigenvalues(np.eye(2), np.array([0.25, 0.75])).tolist()
    [1.0, 1.0]
    """
    return np.asarray(np.linalg.eigvalsh(symmetric_form(kernel, prior))[..., ::-1], dtype=np.float64)


def _checked_kernel(kernel: ArrayLike, prior: ArrayLike) -> tuple[Array, Array]:
    shares, rows = arguments.array(prior, "prior"), arguments.array(kernel, "kernel")
    if shares.ndim != 1 or shares.size < 2 or not ((shares > 0) & (shares <= 1)).all():
        raise SpecentError(f"prior={brief(prior)} must hold a positive probability for each of two sides or more")
    if abs(float(shares.sum()) - 1) > _ROUNDING:
        raise SpecentError(f"prior={brief(prior)} sums to {float(shares.sum()):.6g}, not 1; divide it by its sum")
    if rows.ndim < 2 or rows.shape[-2:] != (shares.size, shares.size):
        raise SpecentError(
            f"kernel has the shape {rows.shape}, and the prior {shares.size} sides; give {shares.size} rows of as many "
            "probabilities"
        )
    if not (abs(rows) <= _LARGEST).all():
        raise SpecentError("kernel holds numbers that are not finite, or no probabilities; measure it again")
    furthest = rows.sum(axis=-1).ravel()[np.argmax(abs(rows.sum(axis=-1) - 1))] if rows.size else 1.0
    if abs(furthest - 1) > _ROUNDING:
        raise SpecentError(f"kernel has a row that sums to {furthest:.6g}, not 1; the last axis is the end of a turn")
    return rows, shares


def symmetric_form(kernel: ArrayLike, prior: ArrayLike) -> Array:
    r"""The symmetric part of :math:`\pi^{1/2} M \pi^{-1/2}`, which has the eigenvalues of a reversible kernel.

    Rows of a kernel sum to 1 and leave the prior as it is, so that :math:`\pi^{1/2}` is an eigenvector with the
    eigenvalue 1. The symmetric part of a measured one has it in the mean only; it is given it back.

    Parameters
    ----------
    kernel : array_like, shape (..., sides, sides)
        Probability of the end, the last axis, given the origin.
    prior : array_like, shape (sides,)
        Prior of the sides, positive.

    Returns
    -------
    ndarray, shape (..., sides, sides)

    Examples
    --------
    >>> symmetric_form([[0.5, 0.5], [0.125, 0.875]], [0.2, 0.8]).round(12).tolist()
    [[0.5, 0.25], [0.25, 0.875]]
    """
    root = np.sqrt(np.asarray(prior, dtype=np.float64))
    turned = root[:, None] * np.asarray(kernel, dtype=np.float64) / root
    symmetric = 0.5 * (turned + np.swapaxes(turned, -1, -2))
    # P S P + r r', with P the projection away from r, the root of the prior
    unit = root / np.linalg.norm(root)
    moved = symmetric @ unit
    along = (moved @ unit)[..., None, None]
    sides = moved[..., :, None] * unit + unit[:, None] * moved[..., None, :]
    return np.asarray(symmetric - sides + (along + 1) * np.outer(unit, unit))


def entropy_bracket(phi: ArrayLike, sides: int) -> tuple[Array, Array]:
    """The least and the largest conditional entropy, in bits, that go with a probability of coming back.

    Parameters
    ----------
    phi : array_like
        Probability that a continuation ends on the side of its origin. It cannot be below ``1 / sides``; what lies
        there by chance counts as that.
    sides : int
        How many sides there are, at least 2.

    Returns
    -------
    least, most : ndarray
        Same shape.

    Raises
    ------
    SpecentError
        If there are fewer than two sides, or `phi` is no probability: not finite, or further beyond 0 and 1 than what
        is extrapolated over the steps may be by chance.

    Examples
    --------
    >>> [bits.round(3).item() for bits in entropy_bracket(0.75, 2)]
    [0.415, 0.811]
    """
    count = arguments.whole(sides, "sides", least=2)
    shares = arguments.array(phi, "phi")
    if not ((shares >= -1) & (shares <= 2)).all():
        raise SpecentError(f"phi={brief(phi)} must hold probabilities, from 0 to 1")
    return bracket(shares, count)


def bracket(phi: Array, count: int) -> tuple[Array, Array]:
    """What `entropy_bracket` returns, of numbers that were measured.

    Examples
    --------
    >>> [bits.round(3).item() for bits in bracket(np.array(0.75), 2)]
    [0.415, 0.811]
    """
    chance = np.clip(phi, 1 / count, 1.0)
    nats = entr(chance) + entr(1 - chance) + (1 - chance) * np.log(count - 1)
    # -log2(1) would be -0.0
    return np.abs(np.log2(chance)), BITS_PER_NAT * nats


def u_turns(
    mix: GaussianMixture,
    schedule: Schedule,
    time: ArrayLike,
    partition: Partition | str = "full",
    *,
    samples: int = _SAMPLES,
    seed: int = 0,
    confidence: float = 0.95,
) -> xr.Dataset:
    """What U-turns of a mixture would show with infinitely many samples and steps.

    Parameters
    ----------
    mix : GaussianMixture
        The distribution of the data.
    schedule : Schedule
        The noise schedule.
    time : array_like, shape (time,)
        Ascending times at which the trajectory turns.
    partition : Partition or str
        Whose sides count, text as in `Partition.parse`; not the null condition.
    samples : int
        Points per component, where one dimension does not suffice; see `profiles`.
    seed : int
        Of their randomisation.
    confidence : float
        Coverage of the bounds, which are equal to the value where one dimension suffices.

    Returns
    -------
    Dataset
        Kind ``interventions`` with the mover ``"exact"``: ``phi``, ``kernel``, ``eigenvalue``, and the bracket
        ``entropy_least`` and ``entropy_most`` around the conditional entropy.

    Raises
    ------
    SpecentError
        If an argument is of another kind or out of range, or does not fit the others.

    Examples
    --------
    >>> from specent.schedules import VE
    >>> turned = u_turns(GaussianMixture([[-8.0], [8.0]]), VE(), [8.0])
    >>> round(float(turned.phi.squeeze()), 4)
    0.7727
    """
    arguments.instance(mix, GaussianMixture, "mix", "give a specent.exact.GaussianMixture")
    grid = turning_times(schedule, time)
    split = one_partition(partition, mix.labels)
    samples = arguments.whole(samples, "samples", least=2, most=10**9)
    seed = arguments.whole(seed, "seed")
    confidence = arguments.number(confidence, "confidence", above=0, below=1)
    weights = component_weights(mix, split)
    tau = np.exp(-schedule.log_snr(grid))
    if expectation.on_a_line(mix, weights):
        kernels = _by_quadrature(mix, tau, weights)[None]
    else:
        kernels = np.stack(list(_by_points(mix, tau, weights, samples, seed)))
    prior = weights.sum(axis=1)
    return finish(
        _exact_dataset(kernels, prior, confidence).assign_coords(
            {**coordinates.of_schedule(schedule, grid), **coordinates.of_sides(split, prior), "mover": ["exact"]}
        ),
        "interventions",
        title="Exact U-turns of a Gaussian mixture",
        settings={
            "function": "specent.exact.u_turns", "model": mix.identity, "partition": split.to_json(),
            "schedule": schedule.to_json(), "time": grid.tolist(), "samples": samples, "seed": seed,
            "confidence": confidence,
        },
        schedule=schedule.to_json(), partition=split.to_json(), start="data", continuation="chain",
        classifier="exact posterior", confidence=confidence,
    )  # fmt: skip


def turning_times(schedule: Schedule, time: ArrayLike) -> Array:
    """The times at which trajectories turn; a single one will do.

    Examples
    --------
    >>> from specent.schedules import VE
    >>> turning_times(VE(), [8.0]).tolist()
    [8.0]
    """
    times = np.atleast_1d(arguments.array(time, "time"))
    if times.shape != (1,):
        return check_grid(schedule, times)
    arguments.instance(schedule, Schedule, "schedule", "use specent.schedules.VE() or another")  # type: ignore[type-abstract]
    arguments.number(float(times[0]), "time[0]")
    schedule.log_snr(times)
    return times


def one_partition(partition: Partition | str, labels: tuple[str, ...]) -> Partition:
    """The one partition whose sides are counted, without the null condition.

    Examples
    --------
    >>> one_partition("a|b", ("a", "b", "c")).side_names
    ('a', 'b')
    """
    found = parse_all(partition, labels, "partition")
    if len(found) != 1:
        raise PartitionError(f"partition names {len(found)} partitions; the sides of one are counted, give one")
    if NULL in found[0].labels:
        raise PartitionError(
            f"partition {found[0].name!r} holds {NULL!r}: no datum is of the null condition; name labels on all sides"
        )
    found[0].check(labels)
    return found[0]


def _exact_dataset(kernels: Array, prior: Array, confidence: float) -> xr.Dataset:
    """Kernel, phi, spectrum and bracket, from one kernel or from one for every randomisation."""
    count = len(kernels)
    quantile = float(stdtrit(count - 1, 0.5 + confidence / 2)) if count > 1 else 0.0
    mean = kernels.mean(axis=0)

    def numbers(kernel: Array) -> tuple[Array, Array]:
        return np.einsum("...zz,z->...", kernel, prior), eigenvalues(kernel, prior)

    dims = ("mover", "time", "side", "end_side")
    spread = kernels.std(axis=0, ddof=1) / np.sqrt(count) if count > 1 else np.zeros_like(mean)
    variables: dict[str, tuple[tuple[str, ...], Array]] = {
        "kernel": (dims, mean[None]), "kernel_standard_error": (dims, spread[None]),
    }  # fmt: skip
    errors = []
    rows = zip(("phi", "eigenvalue"), numbers(mean), numbers(kernels), ((), ("rank",)), strict=True)
    for name, value, each, more in rows:
        error = each.std(axis=0, ddof=1) / np.sqrt(count) if count > 1 else np.zeros_like(value)
        errors.append(error)
        for suffix, bound in (("", value), ("_lower", value - quantile * error), ("_upper", value + quantile * error)):
            variables[name + suffix] = (("mover", "time", *more), bound[None])
    phi = variables["phi"][1]
    variables["phi_standard_error"] = (("mover", "time"), errors[0][None])
    variables["entropy_least"] = (("mover", "time"), bracket(phi, len(prior))[0])
    variables["entropy_most"] = (("mover", "time"), bracket(phi, len(prior))[1])
    return xr.Dataset(variables)


def _by_quadrature(mix: GaussianMixture, tau: Array, weights: Array) -> Array:
    """The kernel of components on a line, shape (time, sides, sides), to 1e-10."""
    covered = np.flatnonzero(weights.any(axis=0))
    centres = mix.means[covered] if mix.dimension == 1 else expectation.span(mix.means[covered])
    line = centres if centres.shape[1] else np.zeros((len(covered), 1))
    views = [View(line - line[j], mix.variances[covered], j, 1) for j in range(len(covered))]
    part = weights[:, covered]
    with np.errstate(over="ignore", invalid="ignore"):
        result = _on_nodes(views, tau, part, 0)
        for level in range(1, _FINEST):
            finer = _on_nodes(views, tau, part, level)
            if np.max(np.abs(finer - result)) < _TOLERANCE:
                return finer
            result = finer
    raise SpecentError(
        f"means, variance: quadrature over {len(covered)} components did not settle to {_TOLERANCE:g}; bring variances "
        "and distances closer together"
    )


def _on_nodes(views: list[View], tau: Array, weights: Array, level: int) -> Array:
    joint = np.zeros((len(tau), len(weights), len(weights)))
    for view in views:
        for part in expectation.time_blocks(len(tau), 2**level * 4096 * len(view.variances)):
            nodes, node_weights = expectation.line_nodes(view, tau[part], level)
            points = Points(nodes[..., None], nodes**2 - 1)
            posterior = _posterior(view, points, tau[part], weights)
            means = np.sum(posterior * node_weights[..., None], axis=1)
            joint[part] += weights[:, view.own, None] * means[:, None]
    return np.asarray(joint / weights.sum(axis=1)[:, None])


def _by_points(mix: GaussianMixture, tau: Array, weights: Array, samples: int, seed: int) -> Iterator[Array]:
    """The kernel from each randomisation of points in the span of the means."""
    centres = expectation.principal_axes(expectation.span(mix.means), mix.weights)
    count = 2 ** int(np.ceil(np.log2(max(samples / RANDOMISATIONS, 1))))
    sequences = expectation.scrambled_sequences(mix, centres.shape[1], seed)
    joint = np.zeros((RANDOMISATIONS, len(tau), len(weights), len(weights)))
    for own in np.flatnonzero(weights.any(axis=0)):
        view = View(centres - centres[own], mix.variances, int(own), mix.dimension)
        total, whole = np.zeros((RANDOMISATIONS, len(tau), len(weights))), np.zeros(RANDOMISATIONS)
        for points, importance in expectation.state_points(view, count, sequences, seed):
            shares = importance.reshape(RANDOMISATIONS, -1)
            whole += shares.sum(axis=1)
            for part in expectation.time_blocks(len(tau), points.xi.shape[1] * max(view.delta.shape)):
                posterior = _posterior(view, points, tau[part], weights)
                split = posterior.reshape(len(posterior), *shares.shape, len(weights))
                total[:, part] += np.einsum("trnz,rn->rtz", split, shares)
        joint += weights[:, own, None] * (total / whole[:, None, None])[:, :, None]
    yield from joint / weights.sum(axis=1)[:, None]


def _posterior(view: View, points: Points, tau: Array, weights: Array) -> Array:
    """Posterior of the sides, shape (time, N, sides)."""
    part = np.exp(log_ratio(view, points, tau)) @ weights.T
    return np.asarray(part / part.sum(axis=-1, keepdims=True))
