r"""Entropy rates: from the production recorded along trajectories, from denoiser distances, or by differences.

The production of entropy needs no differentiation (arXiv 2302.03792 unguided, Ito's lemma guided, see
`specent.evidence`). It is either stored for the partitions named at sampling, or follows from the squared distances
between the candidates' denoised data for any other partition.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from specent import evidence
from specent.analysis.blocks import TrajectoryBlock
from specent.analysis.posterior import PathEvidence
from specent.analysis.scored import ScoredPartition, pair_columns, stored_positions
from specent.errors import SpecentError
from specent.partitions import NULL
from specent.schema.coordinates import guidance_settings

Array = NDArray[np.float64]

PRODUCTION = ("production", "cross_production")
"""What is produced: entropy, and cross-entropy."""

# log-odds of which exponentials are taken at most: beyond, the posterior of one side is 0 to all digits
_LARGEST = 700.0
# numbers that the denoisers of partitions worked on together may take
_NUMBERS = 2**22


def production_sources(runs: xr.Dataset, partitions: Sequence[ScoredPartition]) -> list[str]:
    """Names of the variables from which the production of the partitions is taken.

    Raises
    ------
    SpecentError
        If a partition is neither stored nor can be worked out, with what to do about it.
    """
    positions = _stored_positions(runs, partitions)
    names = list(PRODUCTION) if any(position is not None for position in positions) else []
    if None not in positions:
        return names
    if "denoiser_distance" not in runs:
        missing = partitions[positions.index(None)].name
        raise SpecentError(
            f"the production of partition {missing!r} is not in runs, and there is no denoiser_distance to take it "
            "from: use rate='differences' with the estimators 'path' and 'cross_entropy', or sample again with this "
            "partition named or with record=specent.Record(distances=True)"
        )
    guided = [str(name) for name in runs["guidance"].values[runs["guidance_scale"].values != 1.0]]
    if guided and NULL not in runs["candidate"].values:
        raise SpecentError(
            f"the production under guidance {guided[0]!r} needs the distances to the null condition, which is not "
            "among the candidates: use rate='differences', or sample again with the null condition scored"
        )
    if not any(setting.per_trajectory for setting in guidance_settings(runs)):
        return [*names, "denoiser_distance"]
    if "scale" not in runs:
        raise SpecentError(
            "the production of a new partition under guidance with a scale of its own for every trajectory needs the "
            "variable 'scale', which was dropped from runs: use rate='differences', or keep it"
        )
    return [*names, "denoiser_distance", "scale"]


@dataclass(frozen=True, eq=False)
class Producer:
    """Takes the production of partitions from blocks of trajectories, in nats per unit log_snr.

    Attributes
    ----------
    runs : Dataset
        Kind ``trajectories``, for its coordinates.
    partitions : sequence of ScoredPartition
        The partitions, with what `production_sources` wants of them among the arrays of the blocks.
    """

    runs: xr.Dataset
    partitions: Sequence[ScoredPartition]

    @cached_property
    def columns(self) -> list[int | None]:
        """Where the production of each partition is stored, None where it follows from distances."""
        return _stored_positions(self.runs, self.partitions)

    @property
    def widest(self) -> int:
        """Most candidates whose distances a partition needs."""
        counts = [
            int(scored.weights.any(axis=0).sum()) + 1
            for column, scored in zip(self.columns, self.partitions, strict=True)
            if column is None
        ]
        return max(counts, default=0)

    @property
    def groups(self) -> list[list[int]]:
        """Positions of the partitions that are worked on together: of as many sides, over the same candidates."""
        groups: dict[object, list[int]] = {}
        for i, (column, scored) in enumerate(zip(self.columns, self.partitions, strict=True)):
            same = (len(scored.weights), scored.weights.any(axis=0).tobytes())
            alone = column is not None or pair_columns(scored) is not None
            groups.setdefault(i if alone else same, []).append(i)
        return list(groups.values())

    def stored(self, block: TrajectoryBlock, p: int) -> list[NDArray[Any]] | None:
        """Production of entropy and cross-entropy of a partition, as it is stored; None if it is not."""
        column = self.columns[p]
        return None if column is None else [block.arrays[name][..., column] for name in PRODUCTION]

    def of(self, block: TrajectoryBlock, drivers: NDArray[np.intp], group: Sequence[int]) -> Array:
        """Production of entropy and cross-entropy along the trajectories of some drivers, from distances.

        Parameters
        ----------
        block : TrajectoryBlock
            Trajectories.
        drivers : ndarray of int
            Positions of the drivers in the block.
        group : sequence of int
            One of `groups`.

        Returns
        -------
        ndarray, shape (drivers, samples, guidance, time, partitions, 2)
        """
        weights = np.stack([self.partitions[i].weights for i in group])
        column = np.flatnonzero(weights.any(axis=(0, 1)))
        scale = self._scale(block, drivers)
        # candidates on no side take no part, except the null condition that moves guided samples
        if self._null is not None and (scale != 1).any():
            column = np.union1d(column, [self._null])
        values = _taken(block.arrays["log_likelihood"], drivers, column)
        gram = -0.5 * _pairs(block.arrays["denoiser_distance"], drivers, column)
        drove = (column == self._driver[block.classes][drivers, None]).astype(np.float64)[:, None, None, None]
        moved = scale[..., None] * drove + (1 - scale[..., None]) * (column == self._null)
        moved, drove = (np.broadcast_to(part, values.shape) for part in (moved, drove))
        prior = evidence.log_weights(weights[..., column])
        out = np.empty((*values.shape[:-1], len(group), 2))
        step = max(1, _NUMBERS // (values.size * prior.shape[1]))
        for g, plain in enumerate(self._unguided):
            cut = np.s_[:, :, g]
            for low in range(0, len(group), step):
                part = slice(low, low + step)
                pair = evidence.production(values[cut], prior[part], gram[cut], moved[cut], drove[cut], plain)
                out[:, :, g, :, part] = np.stack(pair, axis=-1)
        return np.asarray(out * self._gamma[block.times, None, None])

    def of_pair(self, block: TrajectoryBlock, drivers: NDArray[np.intp], path: PathEvidence) -> Array:
        r"""What `of` gives for a partition of two sides of one candidate each, in closed form.

        Let z be the side of the driver, :math:`\bar P` the posterior of the other side and :math:`\delta` the denoiser
        of z less that of the other. Then :math:`D_z - \bar D = \bar P\delta`, and of the movement only
        :math:`\delta\cdot(D_g - \bar D)` matters.

        Parameters
        ----------
        block : TrajectoryBlock
            Trajectories.
        drivers : ndarray of int
            Positions of the drivers in the block.
        path : PathEvidence
            Their evidence for the partition.

        Returns
        -------
        ndarray, shape (drivers, samples, guidance, time, 2)
        """
        pair = np.flatnonzero(path.scored.weights.any(axis=0))
        odds = np.clip(path.odds, -_LARGEST, _LARGEST)
        growth = np.exp(odds)
        other = 1 / (1 + growth)
        both = growth * other * other
        distances = block.arrays["denoiser_distance"]
        apart = np.stack([distances[driver][..., pair[0], pair[1]] for driver in drivers]).astype(np.float64)
        out = np.empty((2, *odds.shape))
        for g, plain in enumerate(self._unguided):
            cut = np.s_[:, :, g]
            spread, produced = 0.5 * other[cut] ** 2 * apart[cut], 0.5 * both[cut] * apart[cut]
            if plain:
                out[0][cut], out[1][cut] = produced, spread
            else:
                towards = self._towards(block, drivers, pair, g, other, apart)
                out[0][cut] = produced + both[cut] * odds[cut] * towards
                out[1][cut] = other[cut] * towards - spread
        out *= self._gamma[block.times]
        return np.moveaxis(out, 0, -1)

    def _towards(
        self, block: TrajectoryBlock, drivers: NDArray[np.intp], pair: NDArray[np.intp], g: int, other: Array,
        apart: Array,
    ) -> Array:  # fmt: skip
        """Projection of the movement, relative to the mean of a pair, on what leads to the driver; of one setting."""
        scale = self._scale(block, drivers)[:, :, g]
        # of the squared distances to the denoiser that moves the sample, the other's less the driver's
        nearer = scale * apart[:, :, g]
        if self._null is not None:
            distances = block.arrays["denoiser_distance"]
            for row, driver in enumerate(drivers):
                own = self._driver[block.classes][driver]
                (away,) = pair[pair != own]
                to_null = distances[driver][:, g, :, :, self._null].astype(np.float64)
                some = scale[min(row, len(scale) - 1)]
                nearer[row] += (1 - some) * (to_null[..., away] - to_null[..., own])
        # the mean of both sides lies where the posterior says
        return np.asarray(0.5 * (nearer - (1 - 2 * other[:, :, g]) * apart[:, :, g]))

    @cached_property
    def _null(self) -> int | None:
        candidates = self.runs["candidate"].values.tolist()
        return candidates.index(NULL) if NULL in candidates else None

    @cached_property
    def _driver(self) -> NDArray[np.intp]:
        """Position of every driver among the candidates."""
        position = {str(name): i for i, name in enumerate(self.runs["candidate"].values)}
        return np.array([position[str(label)] for label in self.runs["class_label"].values])

    @cached_property
    def _unguided(self) -> list[bool]:
        return [bool(scale == 1.0) for scale in self.runs["guidance_scale"].values]

    @cached_property
    def _gamma(self) -> Array:
        return np.asarray(np.exp(self.runs["log_snr"].values))

    @cached_property
    def _scales(self) -> Array:
        """Guidance scale at every time, shape (guidance, time)."""
        level = np.exp(-0.5 * self.runs["log_snr"].values)
        return np.array([[one.scale_at(float(value)) for value in level] for one in guidance_settings(self.runs)])

    def _scale(self, block: TrajectoryBlock, drivers: NDArray[np.intp]) -> Array:
        """Guidance scale, shape (drivers or 1, samples or 1, guidance, time)."""
        if "scale" in block.arrays:
            return np.asarray(block.arrays["scale"][drivers], dtype=np.float64)
        return self._scales[None, None, :, block.times]


def _taken(array: NDArray[Any], drivers: NDArray[np.intp], column: NDArray[np.intp]) -> Array:
    """Some drivers and candidates of an array (class, ..., candidate)."""
    return np.stack([array[driver][..., column] for driver in drivers]).astype(np.float64, copy=False)


def _pairs(array: NDArray[Any], drivers: NDArray[np.intp], column: NDArray[np.intp]) -> Array:
    """Some drivers and pairs of candidates of an array (class, ..., candidate, other_candidate)."""
    # driver by driver, because all pairs of candidates of a trajectory are far more than those of a few
    some = [array[driver][..., column[:, None], column] for driver in drivers]
    return np.stack(some).astype(np.float64, copy=False)


def _stored_positions(runs: xr.Dataset, partitions: Sequence[ScoredPartition]) -> list[int | None]:
    """For every partition the position of the one whose production is stored."""
    if not all(name in runs for name in PRODUCTION):
        return [None] * len(partitions)
    return stored_positions(runs, partitions)
