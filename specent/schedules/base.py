r"""What every noise schedule is able to do.

Every Gaussian diffusion is the channel :math:`x_t = \alpha_t x_0 + \sigma_t \varepsilon`, run at another speed. What
can be known about :math:`x_0` depends on the signal-to-noise ratio :math:`\gamma = \alpha^2/\sigma^2` alone (arXiv
2107.00630), so every schedule maps its time to ``log_snr`` :math:`= \ln\gamma` and back. Time ascends from data to
noise; generation runs from its end to its start. ``noise_level`` is :math:`\sigma/\alpha`, the sigma of arXiv
2206.00364, in which all schedules coincide.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import ArrayLike

from specent import arguments
from specent.errors import ScheduleError
from specent.schedules.levels import GRID_LEVELS, Array, spaced_levels, whole_steps


class Schedule(ABC):
    """A noise schedule of the Gaussian channel: time to (alpha, sigma), to log-SNR, and back.

    A schedule says `alpha`, `sigma`, `log_snr` and its inverse `time`, and what differs from the defaults below. All
    methods are vectorised and raise `ScheduleError` outside the schedule's range of time.

    Attributes
    ----------
    name : str
        Name of the schedule in files; the key of `specent.schedules.SCHEDULES`.
    noise_free_start, signal_free_end : bool
        Whether the first time is without noise, the last without signal; such an end is not itself usable.
    natural_axis : {"log_snr", "sigma", "time"}
        The axis on which the speciation of a mixture over dimensions follows `scaling_law`; "log_snr" without a law.
    scaling_law : {"log", "sqrt"} or None
        The law of `specent.fit_scaling` that speciation follows on that axis; None if none is known.
    time_is_noise_level : bool
        Whether time is a noise level, which is drawn on a logarithmic axis.
    """

    name: ClassVar[str]
    noise_free_start: ClassVar[bool] = True
    signal_free_end: ClassVar[bool] = True
    natural_axis: ClassVar[Literal["log_snr", "sigma", "time"]] = "log_snr"
    scaling_law: ClassVar[Literal["log", "sqrt"] | None] = None
    time_is_noise_level: ClassVar[bool] = False

    @property
    def time_range(self) -> tuple[float, float]:
        """Smallest and largest time; an end without noise or without signal is not itself usable."""
        return (0.0, np.inf)

    @property
    def level_range(self) -> tuple[float, float]:
        """Smallest and largest noise level; 0 and infinity where there is no end."""
        low, high = self.time_range
        least = 0.0 if self.noise_free_start else float(self.noise_level(low))
        return least, np.inf if self.signal_free_end else float(self.noise_level(high))

    @property
    def whole_times(self) -> Array | None:
        """All times of a schedule of steps, shape (steps,); None where time is continuous."""
        return None

    @abstractmethod
    def alpha(self, time: ArrayLike) -> Array:
        """Scale of the signal at `time` (any shape)."""

    @abstractmethod
    def sigma(self, time: ArrayLike) -> Array:
        """Standard deviation of the noise at `time` (any shape)."""

    @abstractmethod
    def log_snr(self, time: ArrayLike) -> Array:
        """Natural logarithm of ``alpha**2 / sigma**2`` at `time` (any shape)."""

    @abstractmethod
    def time(self, log_snr: ArrayLike) -> Array:
        """Time at which the log-SNR has the given value (any shape); the inverse of `log_snr`."""

    def noise_level(self, time: ArrayLike) -> Array:
        """``sigma / alpha``: the noise level in the coordinates of arXiv 2206.00364."""
        return np.asarray(np.exp(-0.5 * self.log_snr(time)))

    def time_at_level(self, noise_level: ArrayLike) -> Array:
        """Time at which the noise level has the given value (any shape); the inverse of `noise_level`."""
        return self.time(-2.0 * np.log(np.asarray(noise_level, dtype=np.float64)))

    def time_per_log_snr(self, log_snr: ArrayLike) -> Array:
        """Time that passes while the log-SNR falls by one, minus the derivative of `time` (any shape)."""
        values = np.asarray(log_snr, dtype=np.float64)
        # central difference of the closed form: error of order step^2 / 6 = 2e-9, rounding 1e-12
        step = 1e-4
        return np.asarray((self.time(values - step) - self.time(values + step)) / (2 * step))

    def grid(self, steps: int) -> Array:
        """A time grid that suits most purposes, from data to nearly pure noise.

        Noise levels from 0.002 to 80 in the spacing of arXiv 2206.00364, as far as the schedule reaches; for a schedule
        of steps the whole times nearest to them, from its first to its last. See `specent.schedules.edm_grid` and its
        neighbours for grids with other ends.

        Parameters
        ----------
        steps : int
            Number of times, at least 2.

        Returns
        -------
        ndarray, shape (steps,)
            Ascending times.

        Raises
        ------
        ScheduleError
            If the number of times is below 2, or above the number of times that there are.

        Examples
        --------
        >>> from specent.schedules import DDPM, VE
        >>> VE().grid(3).round(3).tolist()
        [0.002, 2.515, 80.0]
        >>> DDPM("linear").grid(4).tolist()
        [0.0, 217.0, 695.0, 999.0]
        """
        count, times = whole_steps(steps), self.whole_times
        if times is not None:
            if count > len(times):
                raise ScheduleError(
                    f"steps={count} is more than the {len(times)} times of this {self.name} schedule; {self.grid_hint}"
                )
            least, most = self.level_range
            levels = spaced_levels(count, least, GRID_LEVELS[1] if least < GRID_LEVELS[1] < most else most)
            levels[-1] = most
            near = np.interp(np.log(levels), np.log(self.noise_level(times)), np.arange(len(times))).round()
            # where levels are closer than whole times, each takes the next one that is free
            order = np.arange(count)
            apart = np.maximum.accumulate(near.astype(np.intp) - order) + order
            return times[np.minimum(apart, len(times) - count + order)]
        least, most = self.level_range
        # a little inside the ends of the schedule, which come back through log-SNR off by rounding
        low, high = max(GRID_LEVELS[0], least * (1 + 1e-9)), min(GRID_LEVELS[1], most * (1 - 1e-9))
        return self.time_at_level(spaced_levels(count, low, high))

    @property
    def grid_hint(self) -> str:
        """How an error about a grid ends: a line that makes a valid one."""
        times = self.whole_times
        return f"a grid that fits: time = schedule.grid({64 if times is None else min(64, len(times))})"

    @property
    def code(self) -> str:
        """The schedule as it is written in Python, for messages.

        Examples
        --------
        >>> from specent.schedules import DDPM, VE
        >>> VE().code, DDPM("cosine", 400).code
        ('specent.schedules.VE()', "specent.schedules.DDPM('cosine', 400)")
        """
        return f"specent.schedules.{type(self).__name__}()"

    @property
    def definition(self) -> dict[str, Any]:
        """The schedule and its numbers, as plain values."""
        return {"name": self.name}

    @classmethod
    def from_definition(cls, fields: Mapping[str, Any]) -> Self:
        """The schedule of a `definition` less its name."""
        return cls(**fields)

    def to_json(self) -> str:
        """The schedule as JSON text, for the attribute ``schedule`` of an archive."""
        return json.dumps(self.definition)

    def _checked(self, time: ArrayLike) -> Array:
        values = arguments.array(time, "time", error=ScheduleError)
        low, high = self.time_range
        above = values > low if self.noise_free_start else values >= low
        below = values < high if self.signal_free_end else values <= high
        bad = ~(above & below)
        if bad.any():
            left, right = "(" if self.noise_free_start else "[", ")" if self.signal_free_end else "]"
            raise ScheduleError(
                f"time={float(values[bad].flat[0])!r} is outside {left}{low:g}, {high:g}{right}, the range of the "
                f"{self.name} schedule in which alpha and sigma are both positive"
            )
        return values


def finite_log_snr(log_snr: ArrayLike, most: float = np.finfo(np.float64).max) -> Array:
    """Log-SNR as an array, refused if its size is above `most`, where its time is no number."""
    values = arguments.array(log_snr, "log_snr", error=ScheduleError)
    bad = ~(np.abs(values) <= most)
    if bad.any():
        raise ScheduleError(f"log_snr={float(values[bad].flat[0])!r} is not finite, or its time is not; choose another")
    return values


def sigmoid(value: Array) -> Array:
    """``1 / (1 + exp(-value))`` without overflow.

    Examples
    --------
    >>> sigmoid(np.array([-1e4, 0.0])).tolist()
    [0.0, 0.5]
    """
    return np.exp(-np.logaddexp(0.0, -value))
