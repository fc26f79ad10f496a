r"""The null condition as a stand-in for other classes: two evaluations a step instead of one per class.

With :math:`r = p(\text{path}|z)/p(\text{path}|\text{null})` and the prior mass :math:`\pi` of side z, a null network
that is the mixture of all classes makes the complement of z exact (arXiv 2506.10433, 2602.09651):

.. math:: \frac{p(\text{path}|\text{not }z)}{p(\text{path}|\text{null})} = \frac{1 - \pi r}{1 - \pi} .

A trained null network is not that mixture: :math:`\pi r` exceeds 1, is clipped where a complement is formed, and
counted. With more than two sides the null takes the mixture's part, and :math:`-\log \pi_z r_z` may fall below zero.

Another partition is that of a class against the null condition itself, ``Partition.pair("cat", "null")``, which any
estimator can take from trajectories that both of them drove. The null condition contains the class, so the entropy has
a floor, which is recorded with it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from specent import evidence
from specent.analysis import calibration
from specent.analysis.estimators.base import Estimator, Means, log2_sides
from specent.analysis.posterior import PathEvidence, Statistic
from specent.analysis.scored import ScoredPartition
from specent.errors import SpecentError
from specent.evidence import BITS_PER_NAT
from specent.exact.analytic import null_floor
from specent.partitions import NULL

Array = NDArray[np.float64]


def null_entropy(path: PathEvidence) -> Array:
    """Entropy in bits with the null condition in place of the other classes, shape (...)."""
    if len(path.scored.weights) > 2:
        return -path.of_driver(_log_masses(path)) * BITS_PER_NAT
    small = _small_side(path.scored)
    scaled, mass = _small_mass(path)
    clipped = scaled >= 0
    side_prior = path.scored.weights.sum(axis=1)
    rest = np.where(clipped, -np.inf, np.log1p(-np.exp(np.where(clipped, -1.0, scaled))))
    joint = np.stack(
        [scaled + np.log(side_prior[small] / mass), rest + np.log(side_prior[1 - small] / (1 - mass))], axis=-1
    )
    log_side = joint - evidence.log_sum_exp(joint)[..., None]
    return np.asarray(evidence.entropy(log_side) * BITS_PER_NAT)


def null_clipped(path: PathEvidence) -> Array:
    """1 where a likelihood ratio exceeds its bound, shape (...)."""
    if len(path.scored.weights) > 2:
        return np.asarray(path.of_driver(_log_masses(path)) > 1e-12, dtype=np.float64)
    # at the start the ratio is 1 up to rounding; only a single label that is everything could be clipped there
    return np.asarray(_small_mass(path)[0] >= 0, dtype=np.float64)


_ENTROPY = Statistic("null_entropy", null_entropy)
_CLIPPED = Statistic("null_clipped", null_clipped, "count")


class Null(Estimator):
    """Entropy of the posterior with the null condition in place of all other classes."""

    name = "null"
    statistics = (_ENTROPY, _CLIPPED)
    # it has a test of its own against the path posterior
    agrees = False

    def curve(self, means: Means) -> xr.DataArray:
        return means[_ENTROPY.name]

    def limits(self, sides: int) -> tuple[float, float]:
        return (0.0, log2_sides(sides)) if sides == 2 else (-np.inf, np.inf)

    def refuse(self, runs: xr.Dataset, partitions: Sequence[ScoredPartition]) -> None:
        candidates = [str(name) for name in runs["candidate"].values]
        prior = runs["candidate_prior"].values
        if NULL not in candidates:
            raise SpecentError(
                "estimator 'null': the null condition is not among the candidates of runs; sample a model that has "
                "one, or use the estimator 'path'"
            )
        if "dropped_mass" in runs:
            raise SpecentError(
                "estimator 'null': labels were dropped from runs by their posterior among all labels, and what they "
                "weigh against the null condition is not known; use the estimator 'path', or sample with "
                "scoring=specent.Scoring(drop=0)"
            )
        labels = [name for name in candidates if name != NULL]
        for scored in partitions:
            if not (scored.partition.covers(labels) and abs(prior.sum() - 1) < 1e-6):
                raise SpecentError(
                    f"estimator 'null': partition {scored.name!r} does not cover all labels of the model, so the null "
                    "condition is not its mixture; use the estimator 'path', or a partition against all the rest"
                )
            if len(scored.weights) > 2 and not np.allclose(scored.weights.sum(axis=0), prior, rtol=0, atol=1e-9):
                raise SpecentError(
                    f"estimator 'null': partition {scored.name!r} has {len(scored.weights)} sides and a prior of its "
                    "own, but the null condition mixes the labels by theirs; leave out prior=, or use the estimator "
                    "'path'"
                )

    def settings(self, partitions: Sequence[ScoredPartition]) -> dict[str, Any]:
        return {"null_evaluations": {scored.name: _evaluations(scored) for scored in partitions}}

    def variables(self, means: Means) -> dict[str, xr.DataArray]:
        return {"clipped_ratios": means[_CLIPPED.name].astype(np.int64)}

    def self_check(self, means: Means) -> Iterator[str]:
        posterior, surprisal = means[calibration.ENTROPY.name], means[calibration.SURPRISAL.name]
        gap, error = calibration.gap_and_error(self.curve(means) - posterior.where(means.sides == 2, surprisal))
        text = calibration.worst_gap(
            gap, error, means.runs["guidance"].values, [scored.name for scored in means.partitions], means.log_snr,
            "null minus path (cross_entropy if many-sided)",
        )  # fmt: skip
        if text:
            clipped = int(means[_CLIPPED.name].sum())
            yield (
                f"{text}; {clipped} likelihood ratios exceeded their bound: the null condition is not the mixture of "
                "the classes, or the steps are too coarse for its likelihood along the path to be that of the mixture; "
                "prefer the estimator 'path', or sample with more steps"
            )


def null_floors(runs: xr.Dataset, partitions: Sequence[ScoredPartition]) -> dict[str, float]:
    """Least entropy, in bits, of every partition that has the null condition on a side; see `specent.exact.null_floor`.

    It holds where the null condition is the mixture of all labels and these do not overlap at the clean end.
    """
    candidates = [str(name) for name in runs["candidate"].values]
    prior = runs["candidate_prior"].values
    floors = {}
    for scored in partitions:
        if any(NULL in labels for _, labels in scored.partition.sides):
            side_prior = scored.weights.sum(axis=1)
            null = int(np.argmax(scored.weights[:, candidates.index(NULL)]))
            mass = np.delete(((scored.weights > 0) * prior).sum(axis=1), null)
            share = np.delete(side_prior, null)
            floors[scored.name] = float(null_floor(mass, share, side_prior[null]).sum())
    return floors


def _evaluations(scored: ScoredPartition) -> str:
    """Which conditions the estimator compares, in words for the provenance."""
    if len(scored.weights) > 2:
        return f"driving side against {NULL}"
    return f"{scored.partition.side_names[_small_side(scored)]} against {NULL}"


def _small_side(scored: ScoredPartition) -> int:
    return int(np.argmin([len(labels) for _, labels in scored.partition.sides]))


def _log_mass(path: PathEvidence, member: NDArray[np.bool_]) -> Array:
    """Logarithm of prior mass times likelihood ratio of a side against the null condition."""
    ratio = path.log_likelihood[..., member] - path.log_likelihood[..., path.null, None]
    return np.asarray(evidence.log_sum_exp(ratio + evidence.log_weights(path.prior[member])))


def _log_masses(path: PathEvidence) -> Array:
    return np.stack([_log_mass(path, row > 0) for row in path.scored.weights], axis=-1)


def _small_mass(path: PathEvidence) -> tuple[Array, float]:
    """Of the side with fewer labels: the logarithm of mass times ratio, and the mass."""
    member = path.scored.weights[_small_side(path.scored)] > 0
    return _log_mass(path, member), float(path.prior[member].sum())
