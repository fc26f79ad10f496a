"""The straight line between data and noise of flow matching."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike

from specent.schedules.base import Schedule, finite_log_snr, sigmoid
from specent.schedules.levels import Array


@dataclass(frozen=True)
class FlowMatching(Schedule):
    """Linear interpolant of flow matching (arXiv 2210.02747), ``alpha = 1 - t``, ``sigma = t``, 0 < t < 1.

    Examples
    --------
    >>> FlowMatching().log_snr(0.5).item()
    0.0
    """

    name: ClassVar[str] = "flow_matching"

    @property
    def time_range(self) -> tuple[float, float]:
        return (0.0, 1.0)

    def alpha(self, time: ArrayLike) -> Array:
        return 1.0 - self._checked(time)

    def sigma(self, time: ArrayLike) -> Array:
        return self._checked(time)

    def log_snr(self, time: ArrayLike) -> Array:
        values = self._checked(time)
        return 2.0 * (np.log1p(-values) - np.log(values))

    def time(self, log_snr: ArrayLike) -> Array:
        return sigmoid(-0.5 * finite_log_snr(log_snr))

    def time_per_log_snr(self, log_snr: ArrayLike) -> Array:
        half = 0.5 * np.asarray(log_snr, dtype=np.float64)
        # t (1 - t) / 2, without the difference of two times near 1 that are the same number
        return np.asarray(0.5 * np.exp(-np.logaddexp(0.0, half) - np.logaddexp(0.0, -half)))
