"""The variance-preserving schedule of the Ornstein-Uhlenbeck process."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import ArrayLike

from specent.schedules.base import Schedule, finite_log_snr
from specent.schedules.levels import Array


@dataclass(frozen=True)
class VP(Schedule):
    """Variance-preserving (Ornstein-Uhlenbeck) schedule, ``alpha = exp(-t)``, ``sigma**2 = 1 - exp(-2 t)``.

    Examples
    --------
    >>> VP().time(VP().log_snr(0.5)).item()
    0.5
    """

    name: ClassVar[str] = "vp"
    natural_axis: ClassVar[Literal["log_snr", "sigma", "time"]] = "time"
    scaling_law: ClassVar[Literal["log", "sqrt"] | None] = "log"

    @property
    def time_range(self) -> tuple[float, float]:
        # beyond, 1 / alpha is no longer a double
        return (0.0, 709.0)

    def alpha(self, time: ArrayLike) -> Array:
        return np.exp(-self._checked(time))

    def sigma(self, time: ArrayLike) -> Array:
        return np.sqrt(-np.expm1(-2.0 * self._checked(time)))

    def log_snr(self, time: ArrayLike) -> Array:
        values = self._checked(time)
        # exp(2t) - 1 overflows beyond t = 354; the split form does not
        return -2.0 * values - np.log(-np.expm1(-2.0 * values))

    def time(self, log_snr: ArrayLike) -> Array:
        return 0.5 * np.logaddexp(0.0, -finite_log_snr(log_snr))
