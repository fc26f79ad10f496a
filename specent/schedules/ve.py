"""The variance-exploding schedule, whose time is the noise level."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import ArrayLike

from specent.schedules.base import Schedule, finite_log_snr
from specent.schedules.levels import Array


@dataclass(frozen=True)
class VE(Schedule):
    """Variance-exploding schedule of arXiv 2206.00364, ``alpha = 1``, ``sigma = t``.

    Examples
    --------
    >>> VE().sigma([0.002, 80.0]).tolist()
    [0.002, 80.0]
    """

    name: ClassVar[str] = "ve"
    natural_axis: ClassVar[Literal["log_snr", "sigma", "time"]] = "sigma"
    scaling_law: ClassVar[Literal["log", "sqrt"] | None] = "sqrt"
    time_is_noise_level: ClassVar[bool] = True

    def alpha(self, time: ArrayLike) -> Array:
        return np.ones_like(self._checked(time))

    def sigma(self, time: ArrayLike) -> Array:
        return self._checked(time)

    def log_snr(self, time: ArrayLike) -> Array:
        return -2.0 * np.log(self._checked(time))

    def time(self, log_snr: ArrayLike) -> Array:
        return np.exp(-0.5 * finite_log_snr(log_snr, most=1400.0))

    def time_at_level(self, noise_level: ArrayLike) -> Array:
        # not through a logarithm and back, which would cost the last digits
        return self._checked(noise_level)
