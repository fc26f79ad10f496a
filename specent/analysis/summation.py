"""Weighted sums over trajectories of what every partition takes from them, block by block.

A trajectory matters to the partitions that hold its driver. So every partition is worked on for its own drivers only,
two of many where it is a pair, and what it needs of a block is added to its sums at once: no number per trajectory and
partition is kept.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from specent.analysis.blocks import TrajectoryBlock
from specent.analysis.bootstrap import draw_weights
from specent.analysis.job import Job
from specent.analysis.posterior import Further, PathEvidence, Rest, is_rest, rest_of
from specent.analysis.production import PRODUCTION
from specent.analysis.scored import pair_columns
from specent.evidence import BITS_PER_NAT
from specent.partitions import NULL

Array = NDArray[np.float64]


class Summation:
    """Weighted sums over the trajectories of the blocks that were added so far.

    Parameters
    ----------
    job : Job
        What is averaged. Of its trajectories only the coordinates are used.

    Attributes
    ----------
    means : ndarray, shape (quantities, guidance, partitions, times, 1 + replicates)
        What these blocks add to the means of the job.
    totals : ndarray, shape (statistics, guidance, partitions, times)
        What they add to its counts and variances.
    damaged : ndarray of bool, shape (guidance, times)
        Where a number that was read is not finite.

    Notes
    -----
    Of a block, the log-likelihoods are in memory as they were read, in double precision, and once more where a side is
    all labels but one; the numbers of one partition come on top. None grows with candidates times partitions.
    """

    def __init__(self, job: Job) -> None:
        self.job = job
        self.groups = [[p] for p in range(len(job.partitions))] if job.producer is None else job.producer.groups
        candidates = job.runs["candidate"].values.tolist()
        self.null = candidates.index(NULL) if NULL in candidates else None
        self.prior = np.asarray(job.runs["candidate_prior"].values, dtype=np.float64)
        self.rests = [any(is_rest(row, self.prior) for row in one.weights) for one in job.partitions]
        self.means = np.zeros((len(job.means), *job.shape, 1 + job.replicates))
        self.totals = np.zeros((len(job.totals), *job.shape))
        self.damaged = np.zeros((job.shape[0], job.shape[2]), dtype=bool)
        self._used = [np.empty(0), np.empty(0)]

    def add(self, block: TrajectoryBlock) -> None:
        """Add what the trajectories of a block have."""
        bad = self._damaged(block)
        self.damaged[:, block.times] |= bad
        with np.errstate(all="ignore" if bad.any() else None):
            self._add_block(block)

    def _add_block(self, block: TrajectoryBlock) -> None:
        labels = self.job.runs["class_label"].values[block.classes].tolist()
        drawn = draw_weights(labels, self.job.numbers, block.samples, self.job.replicates, self.job.seed)
        parts = _Parts(block, self.prior if any(self.rests) else None, drawn)
        producer = self.job.producer
        for group in self.groups:
            drivers = np.flatnonzero(self.job.partitions[group[0]].share[block.classes] > 0)
            if not len(drivers):
                continue
            rows = _as_slice(drivers)
            values, rest, weights = parts.of(rows)
            stored = None if producer is None else producer.stored(block, group[0])
            produced = None
            is_pair = pair_columns(self.job.partitions[group[0]]) is not None
            if producer is not None and stored is None and not is_pair:
                produced = producer.of(block, drivers, group)
            for i, p in enumerate(group):
                scored = self.job.partitions[p]
                side = scored.side[block.classes][drivers, None, None, None]
                own_rest = rest if self.rests[p] else None
                further = self._further(block, drivers, p)
                path = PathEvidence(values, side, scored, self.prior, self.null, own_rest, further)
                numbers = {one.name: one.of(path) for one in self.job.statistics}
                bits = dict.fromkeys(numbers, 1.0) | dict.fromkeys(PRODUCTION, BITS_PER_NAT)
                if stored is not None:
                    numbers |= {name: array[rows] for name, array in zip(PRODUCTION, stored, strict=True)}
                elif producer is not None:
                    own = producer.of_pair(block, drivers, path) if produced is None else produced[..., i, :]
                    numbers |= {name: own[..., k] for k, name in enumerate(PRODUCTION)}
                self._add(p, numbers, bits, weights, scored.share[block.classes][drivers], block.times)

    def _add(
        self, p: int, numbers: dict[str, Array], bits: dict[str, float], weights: Array, share: Array, times: slice
    ) -> None:
        """Add numbers (drivers, samples, guidance, time) to those of partition `p`, times what makes them bits.

        The weights are of shape (drivers * samples, 1 + replicates), and share is that of the drivers.
        """
        for i, one in enumerate(self.job.totals):
            # the variance of a mean over trajectories of weight share / samples has that weight twice
            once = np.ones(len(share)) if one.over == "count" else (share / self.job.runs.sizes["sample"]) ** 2
            self.totals[i, :, p, times] += np.tensordot(once, numbers[one.name].sum(axis=1), 1)
        names = self.job.means
        drivers, samples, *rest = numbers[names[0]].shape
        stacked = self._memory(0, drivers, samples, len(names), *rest)
        for i, name in enumerate(names):
            factor = bits[name] * share[:, None, None, None]
            np.multiply(numbers[name], factor, out=stacked[:, :, i])
        added = self._memory(1, len(names), *rest, weights.shape[1])
        np.matmul(stacked.reshape(len(weights), -1).T, weights, out=added.reshape(-1, weights.shape[1]))
        self.means[:, :, p, times] += added

    def _memory(self, which: int, *shape: int) -> Array:
        """An array whose memory is used again by the next call: to get new memory takes as long as to fill it."""
        size = math.prod(shape)
        if len(self._used[which]) < size:
            self._used[which] = np.empty(size)
        return self._used[which][:size].reshape(shape)

    def _further(self, block: TrajectoryBlock, drivers: NDArray[np.intp], p: int) -> Further | None:
        """What statistics may need beside the evidence, for some drivers of a block and one partition."""
        if not any(one.reads or one.after for one in self.job.statistics):
            return None
        half = self.job.half
        columns = pair_columns(self.job.partitions[p])
        pairs = block.arrays.get("denoiser_distance")
        distance = None
        if pairs is not None and columns is not None:
            distance = np.stack([pairs[driver][..., columns[0], columns[1]] for driver in drivers]).astype(np.float64)
        return Further(
            self.job.runs["log_snr"].values[block.times], half[block.samples, None, None],
            (float(np.mean(half == 0)), float(np.mean(half == 1))), distance,
            {name: array[:, p, block.times] for name, array in self.job.first.items()},
        )  # fmt: skip

    def _damaged(self, block: TrajectoryBlock) -> NDArray[np.bool_]:
        """Guidance settings and times at which a number that is needed is not finite, shape (guidance, time)."""
        bad = np.zeros((self.job.shape[0], block.times.stop - block.times.start), dtype=bool)
        for name, array in block.arrays.items():
            if name in PRODUCTION and self.job.producer is not None:
                columns = [column for column in self.job.producer.columns if column is not None]
                array = array if len(set(columns)) == array.shape[-1] else array[..., columns]
            # a sum tells faster than a look at each of the numbers
            with np.errstate(over="ignore", invalid="ignore"):
                total = array.sum()
            if not np.isfinite(total):
                bad |= ~np.isfinite(array).all(axis=(0, 1, *range(4, array.ndim)))
        return bad


class _Parts:
    """What partitions need of some drivers of a block.

    Candidates come first in memory: a partition sees few of them, and their numbers are next to each other then. The
    weights `drawn` are of shape (1 + replicates, classes, samples).
    """

    def __init__(self, block: TrajectoryBlock, prior: Array | None, drawn: Array) -> None:
        array = block.arrays["log_likelihood"]
        values = np.empty((array.shape[-1], *array.shape[:-1]))
        for driver, own in enumerate(array):
            values[:, driver] = np.moveaxis(own, -1, 0)
        self.values = np.moveaxis(values, 0, -1)
        self.rest = None if prior is None else rest_of(self.values, prior)
        self.weights = np.moveaxis(drawn, 0, -1)

    def of(self, rows: slice | NDArray[np.intp]) -> tuple[Array, Rest | None, Array]:
        """Log-likelihood (drivers, samples, guidance, time, candidates), its rest, and weights (trajectories, ...)."""
        rest = None if self.rest is None else Rest(self.rest.prior, self.rest.log_sum[rows])
        return self.values[rows], rest, self.weights[rows].reshape(-1, self.weights.shape[-1])


def _as_slice(positions: NDArray[np.intp]) -> slice | NDArray[np.intp]:
    """Positions as a slice if they are evenly spaced, as those of one or two are: nothing is copied then.

    Examples
    --------
    >>> _as_slice(np.array([1, 4])), _as_slice(np.array([3]))
    (slice(1, 5, 3), slice(3, 4, 1))
    """
    steps = np.diff(positions)
    if len(steps) and (steps != steps[0]).any():
        return positions
    return slice(int(positions[0]), int(positions[-1]) + 1, int(steps[0]) if len(steps) else 1)
