r"""The null condition as a stand-in for other classes: two evaluations a step instead of one per class.

With :math:`r = p(\text{path}|z)/p(\text{path}|\text{null})` and the prior mass :math:`\pi` of side z, a null network
that is the mixture of all classes makes the complement of z exact (arXiv 2506.10433, 2602.09651):

.. math:: \frac{p(\text{path}|\text{not }z)}{p(\text{path}|\text{null})} = \frac{1 - \pi r}{1 - \pi} .

A trained null network is not that mixture: :math:`\pi r` exceeds 1, is clipped where a complement is formed, and
counted. With more than two sides the null takes the mixture's place, and :math:`-\log \pi_z r_z` may run below zero.

Another question is that of a class against the null condition itself, ``Partition.pair("cat", "null")``, which any
estimator answers from trajectories that both of them drove. The null condition contains the class, so the answer has a
floor, which is recorded with it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from specent import evidence
from specent.analysis.posterior import NAT, Question
from specent.errors import SpecentError
from specent.exact.analytic import null_floor
from specent.schema import NULL

Array = NDArray[np.float64]


def check_null(runs: xr.Dataset, asked: Sequence[Question]) -> None:
    """Raise `SpecentError` unless the null estimator can be used on every partition."""
    candidates = [str(name) for name in runs["candidate"].values]
    prior = runs["candidate_prior"].values
    if NULL not in candidates:
        raise SpecentError(
            "estimator 'null': the null condition is not among the candidates of runs; sample a model that has one, or "
            "use the estimator 'path'"
        )
    labels = [name for name in candidates if name != NULL]
    for question in asked:
        partition = question.partition
        if not (partition.covers(labels) and abs(prior.sum() - 1) < 1e-6):
            raise SpecentError(
                f"estimator 'null': partition {partition.name!r} does not cover all labels of the model, so the null "
                "condition is not its mixture; use the estimator 'path', or a partition against all the rest"
            )
        if len(partition.sides) > 2 and not np.allclose(question.weights.sum(axis=0), prior, rtol=0, atol=1e-9):
            raise SpecentError(
                f"estimator 'null': partition {partition.name!r} has {len(partition.sides)} sides and a prior of its "
                "own, but the null condition mixes the labels by theirs; leave out prior=, or use the estimator 'path'"
            )


def null_floors(runs: xr.Dataset, asked: Sequence[Question]) -> dict[str, float]:
    """Least entropy, in bits, of every partition that has the null condition on a side; see `specent.exact.null_floor`.

    It holds where the null condition is the mixture of all labels and these do not overlap at the clean end.
    """
    candidates = [str(name) for name in runs["candidate"].values]
    prior = runs["candidate_prior"].values
    floors = {}
    for question in asked:
        if NULL in question.partition.labels:
            side_prior = question.weights.sum(axis=1)
            null = int(np.argmax(question.weights[:, candidates.index(NULL)]))
            mass = np.delete(((question.weights > 0) * prior).sum(axis=1), null)
            share = np.delete(side_prior, null)
            floors[question.partition.name] = float(null_floor(mass, share, side_prior[null]).sum())
    return floors


def evaluations(question: Question) -> str:
    """Which conditions the estimator compares, in words for the provenance."""
    if len(question.partition.sides) > 2:
        return f"driving side against {NULL}"
    return f"{question.partition.side_names[_small_side(question)]} against {NULL}"


def null_entropies(
    log_likelihood: Array, side: NDArray[np.int64], partitions: Sequence[Question], prior: Array, null: int
) -> Array:
    """Entropy by the null estimator, and whether a ratio exceeded its bound.

    Parameters
    ----------
    log_likelihood : ndarray, shape (..., candidates)
        In nats.
    side : ndarray of int, shape (..., partitions)
        The side that holds the driver.
    partitions : sequence of Question
        The partitions.
    prior : ndarray, shape (candidates,)
        Prior of the candidates.
    null : int
        Place of the null condition.

    Returns
    -------
    ndarray, shape (..., partitions, 2)
        Bits; 1 or 0.
    """
    values = np.asarray(log_likelihood, dtype=np.float64)
    values = values - values[..., null, None]
    out = np.empty((*values.shape[:-1], len(partitions), 2))
    for p, question in enumerate(partitions):
        members = question.weights > 0
        if len(members) == 2:
            out[..., p, :] = _two_sides(values, question, prior)
        else:
            joint = np.stack([_log_mass(values, prior, row) for row in members], axis=-1)
            own = np.sum(np.where(np.arange(len(members)) == side[..., p, None], joint, 0.0), axis=-1)
            out[..., p, 0] = -own * NAT
            out[..., p, 1] = own > 1e-12
    return out


def _small_side(question: Question) -> int:
    return int(np.argmin([len(labels) for _, labels in question.partition.sides]))


def _log_mass(values: Array, prior: Array, member: NDArray[np.bool_]) -> Array:
    """Logarithm of prior mass times likelihood ratio of a side against the null condition."""
    return np.asarray(evidence.log_sum_exp(values[..., member] + evidence.log_weights(prior[member])))


def _two_sides(values: Array, question: Question, prior: Array) -> Array:
    small = _small_side(question)
    member = question.weights[small] > 0
    mass = prior[member].sum()
    scaled = _log_mass(values, prior, member)
    # at the start the ratio is 1 up to rounding; only a single label that is everything could clip there
    clipped = scaled >= 0
    side_prior = question.weights.sum(axis=1)
    rest = np.where(clipped, -np.inf, np.log1p(-np.exp(np.where(clipped, -1.0, scaled))))
    joint = np.stack(
        [scaled + np.log(side_prior[small] / mass), rest + np.log(side_prior[1 - small] / (1 - mass))], axis=-1
    )
    log_side = joint - evidence.log_sum_exp(joint)[..., None]
    return np.stack([evidence.entropy(log_side) * NAT, clipped], axis=-1)
