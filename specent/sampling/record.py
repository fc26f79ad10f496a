"""What is kept of a run beside the evidence of its candidates: a value that is passed to `specent.sample`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from specent import arguments
from specent.arguments import brief
from specent.errors import SpecentError

FEW_CANDIDATES = 16
"""Up to so many candidates their distances are kept by default."""


@dataclass(frozen=True)
class Statistics:
    """Sums over trajectories are kept of a run, and not the trajectories: for the record of a `specent.Plan`.

    They hold all that `specent.entropy` needs for the partitions of the plan, and for no others. Their size depends on
    the partitions, times, guidance settings and replicates, and not on the number of samples.

    Parameters
    ----------
    replicates : int
        Bootstrap replicates, at least 50. Each takes 32 bytes per guidance setting, partition and time,
        and 8 more if the null condition is scored.
    seed : int
        Seed of the resampling.

    Raises
    ------
    SpecentError
        If one of them cannot be used.

    Examples
    --------
    >>> Statistics(replicates=100)
    Statistics(replicates=100, seed=0)
    """

    replicates: int = 200
    seed: int = 0

    def __post_init__(self) -> None:
        replicates = arguments.whole(self.replicates, "record: replicates", least=50, most=100_000)
        object.__setattr__(self, "replicates", replicates)
        object.__setattr__(self, "seed", arguments.whole(self.seed, "record: seed", most=2**63 - 1))


@dataclass(frozen=True)
class Record:
    """What is kept of a run beside the evidence of its candidates.

    Parameters
    ----------
    predictions : array_like
        Times at which predictions of the data are kept; the nearest times of the grid are taken.
    distances : bool, optional
        Whether squared distances between the candidates' denoised data are kept, from which the production of any
        partition follows afterwards. By default they are if there are at most 16 candidates: their number grows with
        the square of the candidates.

    Raises
    ------
    SpecentError
        If the predictions are not numbers, or `distances` is none of True, False and None.

    Examples
    --------
    >>> Record(predictions=[0.1, 1.0])
    Record(predictions=(0.1, 1.0), distances=None)
    """

    predictions: ArrayLike = ()
    distances: bool | None = None

    def __post_init__(self) -> None:
        times = np.atleast_1d(arguments.array(self.predictions, "record: predictions"))
        if times.ndim > 1 or not np.isfinite(times).all():
            raise SpecentError(f"record: predictions={brief(times.tolist())} must be a list of finite times")
        # arrays and lists become a tuple, so that a record can be hashed and compared
        object.__setattr__(self, "predictions", tuple(times.tolist()))
        if self.distances is not None:
            object.__setattr__(self, "distances", arguments.flag(self.distances, "record: distances"))

    def prediction_indices(self, time: NDArray[np.float64]) -> tuple[int, ...]:
        """Indices in the grid that are nearest to the times of the predictions, ascending.

        Raises
        ------
        SpecentError
            If a time is outside the grid.
        """
        times = np.asarray(self.predictions)
        outside = times[~((times >= time[0]) & (times <= time[-1]))]
        if outside.size:
            raise SpecentError(
                f"record: predictions={brief(times.tolist())} must be times within the grid, {time[0]:g} to "
                f"{time[-1]:g}; {outside[0]:g} is not"
            )
        return tuple(sorted({int(np.argmin(np.abs(time - value))) for value in times}))

    def keeps_distances(self, candidates: int) -> bool:
        """Whether distances between so many candidates are kept."""
        return candidates <= FEW_CANDIDATES if self.distances is None else self.distances
