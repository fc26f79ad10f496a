r"""Noise schedules and time grids.

Every Gaussian diffusion is the channel :math:`x_t = \alpha_t x_0 + \sigma_t \varepsilon` with another clock.
What can be known about :math:`x_0` depends on the signal-to-noise ratio :math:`\gamma = \alpha^2/\sigma^2` alone
(arXiv 2107.00630), so every schedule maps its time to ``log_snr`` :math:`= \ln\gamma` and back. Time ascends from
data to noise; generation runs from its end to its start. ``noise_level`` is :math:`\sigma/\alpha`, the sigma of
arXiv 2206.00364, in which all schedules coincide.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from specent import arguments
from specent.arguments import brief
from specent.errors import ScheduleError

Array = NDArray[np.float64]

# noise levels beyond these decide nothing, and their powers leave double precision
LOWEST_LEVEL, HIGHEST_LEVEL = 1e-12, 1e12


class Schedule(ABC):
    """A clock for the Gaussian channel: time to (alpha, sigma), to log-SNR, and back.

    Subclasses say ``log_snr``, its inverse ``time`` and either accept or override the variance-preserving ``alpha``
    and ``sigma``. All methods are vectorised and raise `ScheduleError` outside the schedule's range of time.
    """

    name: ClassVar[str]
    noise_free_start: ClassVar[bool] = True
    signal_free_end: ClassVar[bool] = True

    @property
    def time_range(self) -> tuple[float, float]:
        """Smallest and largest time; an end without noise or without signal is not itself usable."""
        return (0.0, np.inf)

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

    def to_json(self) -> str:
        """The schedule as JSON text, for the attribute ``schedule`` of an archive."""
        return json.dumps({"name": self.name})

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


@dataclass(frozen=True)
class VP(Schedule):
    """Variance-preserving (Ornstein-Uhlenbeck) schedule, ``alpha = exp(-t)``, ``sigma**2 = 1 - exp(-2 t)``.

    Examples
    --------
    >>> VP().time(VP().log_snr(0.5)).item()
    0.5
    """

    name: ClassVar[str] = "vp"

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
        return 0.5 * np.logaddexp(0.0, -_finite_log_snr(log_snr))


@dataclass(frozen=True)
class VE(Schedule):
    """Variance-exploding schedule of arXiv 2206.00364, ``alpha = 1``, ``sigma = t``.

    Examples
    --------
    >>> VE().sigma([0.002, 80.0]).tolist()
    [0.002, 80.0]
    """

    name: ClassVar[str] = "ve"

    def alpha(self, time: ArrayLike) -> Array:
        return np.ones_like(self._checked(time))

    def sigma(self, time: ArrayLike) -> Array:
        return self._checked(time)

    def log_snr(self, time: ArrayLike) -> Array:
        return -2.0 * np.log(self._checked(time))

    def time(self, log_snr: ArrayLike) -> Array:
        return np.exp(-0.5 * _finite_log_snr(log_snr, most=1400.0))


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
        return _sigmoid(-0.5 * _finite_log_snr(log_snr))


@dataclass(frozen=True)
class DDPM(Schedule):
    """Discrete schedule of arXiv 2006.11239, ``alpha**2 = cumprod(1 - beta)``, at integer times 0 .. T-1.

    Between the integers the log-SNR is interpolated linearly, so any real time in range can be used.

    Parameters
    ----------
    betas : {"linear", "scaled_linear", "cosine"} or sequence of float
        The named schedules are 1e-4 .. 2e-2 (arXiv 2006.11239), the squares of sqrt(0.00085) .. sqrt(0.012) used by
        Stable Diffusion 1.5, and the cosine of arXiv 2102.09672. A sequence gives the betas themselves.
    steps : int
        Number of betas of a named schedule. Ignored for a sequence.

    Examples
    --------
    >>> DDPM("linear").noise_level(500).round(3).item()
    3.443
    """

    betas: Literal["linear", "scaled_linear", "cosine"] | tuple[float, ...] = "linear"
    steps: int = 1000
    name: ClassVar[str] = "ddpm"
    noise_free_start: ClassVar[bool] = False
    signal_free_end: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if isinstance(self.betas, str):
            steps = _whole_steps(self.steps)
        else:
            values = arguments.array(self.betas, "betas", error=ScheduleError)
            if values.ndim != 1 or values.size < 2:
                raise ScheduleError(f"betas={brief(self.betas)} must be a list of at least 2 numbers")
            steps = values.size
            object.__setattr__(self, "betas", tuple(values.tolist()))
        object.__setattr__(self, "steps", steps)
        betas = self._betas()
        bad = np.flatnonzero(~((betas > 0) & (betas < 1)))
        if bad.size:
            raise ScheduleError(f"betas[{bad[0]}]={betas[bad[0]]:g} must lie strictly between 0 and 1")
        table = _ddpm_log_snr(betas)
        # beyond 700, alpha or sigma is 0 in double precision
        lost = np.flatnonzero(~(np.diff(table, prepend=np.inf) < 0) | ~(np.abs(table) < 700))
        if lost.size:
            raise ScheduleError(
                f"betas[{lost[0]}]={betas[lost[0]]:g} leaves no signal, or adds no noise, in double precision; use "
                "fewer steps, or betas nearer to those of betas='linear'"
            )
        object.__setattr__(self, "_table", table)

    def _betas(self) -> Array:
        if not isinstance(self.betas, str):
            return np.asarray(self.betas, dtype=np.float64)
        if self.betas == "linear":
            return np.linspace(1e-4, 2e-2, self.steps)
        if self.betas == "scaled_linear":
            return np.linspace(0.00085**0.5, 0.012**0.5, self.steps) ** 2
        if self.betas == "cosine":
            angle = (np.arange(self.steps + 1) / self.steps + 0.008) / 1.008 * np.pi / 2
            bar = np.cos(angle) ** 2
            return np.asarray(np.minimum(1.0 - bar[1:] / bar[:-1], 0.999))
        raise ScheduleError(
            f"betas={self.betas[:40]!r} is not a known schedule; use 'linear', 'scaled_linear', 'cosine' or numbers"
        )

    @property
    def time_range(self) -> tuple[float, float]:
        return (0.0, float(self.steps - 1))

    @property
    def _log_snr_table(self) -> Array:
        table: Array = self.__dict__["_table"]
        return table

    def alpha(self, time: ArrayLike) -> Array:
        return np.sqrt(_sigmoid(self.log_snr(time)))

    def sigma(self, time: ArrayLike) -> Array:
        return np.sqrt(_sigmoid(-self.log_snr(time)))

    def log_snr(self, time: ArrayLike) -> Array:
        return np.interp(self._checked(time), np.arange(self.steps), self._log_snr_table)

    def time(self, log_snr: ArrayLike) -> Array:
        values = _finite_log_snr(log_snr)
        table = self._log_snr_table
        slack = 1e-9  # a log-SNR that went through a file or an exponential comes back off by rounding
        outside = (values > table[0] + slack) | (values < table[-1] - slack)
        if outside.any():
            raise ScheduleError(
                f"log_snr={values[outside].flat[0]:g} is outside [{table[-1]:g}, {table[0]:g}], the "
                "range of this ddpm schedule; choose a grid inside it"
            )
        return np.interp(-values, -table, np.arange(self.steps, dtype=np.float64))

    def to_json(self) -> str:
        return json.dumps({"name": self.name, "betas": self.betas, "steps": self.steps})


def from_json(text: str) -> Schedule:
    """Rebuild a schedule from the text of `Schedule.to_json`.

    Raises
    ------
    ScheduleError
        If the text names no known schedule.

    Examples
    --------
    >>> from_json(VP().to_json())
    VP()
    """
    try:
        fields: dict[str, Any] = json.loads(text)
        name = fields.pop("name")
        kinds: dict[str, type[Schedule]] = {kind.name: kind for kind in (VP, VE, DDPM, FlowMatching)}
        return kinds[name](**fields)
    except ScheduleError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ScheduleError(f"schedule={brief(text)} is not the JSON text of a known schedule") from error


def edm_grid(
    steps: int,
    sigma_min: float = 0.002,
    sigma_max: float = 80.0,
    rho: float = 7.0,
    schedule: Schedule | None = None,
) -> Array:
    """Time grid of arXiv 2206.00364 (equation 5): noise levels evenly spaced in ``sigma**(1/rho)``.

    Parameters
    ----------
    steps : int
        Number of noise levels, at least 2.
    sigma_min, sigma_max : float
        Smallest and largest noise level ``sigma / alpha``, from 1e-12 to 1e12.
    rho : float
        Exponent, positive; larger values put more levels at low noise.
    schedule : Schedule, optional
        The clock in which the times are returned; `VE` by default, where time is sigma.

    Returns
    -------
    ndarray, shape (steps,)
        Ascending times.

    Raises
    ------
    ScheduleError
        If fewer than 2 steps are asked for, or the levels are not ordered, out of range or too close to tell apart.

    Examples
    --------
    >>> edm_grid(64)[::-1][[0, 1, 16, 32, 48]].round(4).tolist()
    [80.0, 73.3195, 17.0615, 2.3419, 0.1449]
    """
    steps = _whole_steps(steps)
    low, high = _ends(LOWEST_LEVEL, HIGHEST_LEVEL, sigma_min=sigma_min, sigma_max=sigma_max)
    rho = arguments.number(rho, "rho", above=0, error=ScheduleError)
    clock = _clock(VE() if schedule is None else schedule)
    with np.errstate(all="ignore"):  # what a far rho does to the powers is caught below
        level = np.linspace(np.float64(low) ** (1 / rho), np.float64(high) ** (1 / rho), steps) ** rho
    level[0], level[-1] = low, high
    if not (np.isfinite(level).all() and (np.diff(level) > 0).all()):
        raise ScheduleError(
            f"rho={rho:g}, steps={steps}: the noise levels from sigma_min={low!r} to sigma_max={high!r} cannot be told "
            "apart in double precision; use a rho from 1 to 100, fewer steps, or move the ends apart"
        )
    time = clock.sigma(level) if schedule is None else clock.time(-2.0 * np.log(level))
    return _grid(clock, time, "use fewer steps, or levels further apart")


def time_grid(schedule: Schedule, steps: int, start: float, end: float) -> Array:
    """Times evenly spaced from `start` to `end` (ascending), checked against the schedule's range.

    Raises
    ------
    ScheduleError
        If fewer than 2 steps are asked for, the ends are not ordered, or one is outside the schedule's range.

    Examples
    --------
    >>> time_grid(VP(), 3, 0.5, 1.5).tolist()
    [0.5, 1.0, 1.5]
    """
    steps = _whole_steps(steps)
    low, high = _ends(-1e300, 1e300, start=start, end=end)
    return _grid(_clock(schedule), np.linspace(low, high, steps), "use fewer steps, or move start and end apart")


def log_snr_grid(schedule: Schedule, steps: int, log_snr_min: float, log_snr_max: float) -> Array:
    """Times (ascending) evenly spaced in log-SNR between the two values.

    Raises
    ------
    ScheduleError
        If fewer than 2 steps are asked for, or the ends are not ordered or outside -55.26 .. 55.26 (level 1e-12).

    Examples
    --------
    >>> VP().log_snr(log_snr_grid(VP(), 3, -4.0, 4.0)).round(12).tolist()
    [4.0, 0.0, -4.0]
    """
    steps = _whole_steps(steps)
    low, high = _ends(-55.26, 55.26, log_snr_min=log_snr_min, log_snr_max=log_snr_max)
    time = _clock(schedule).time(np.linspace(high, low, steps))
    return _grid(schedule, time, "use fewer steps, or move log_snr_min and log_snr_max apart")


def check_grid(schedule: Schedule, time: ArrayLike) -> Array:
    """Return `time` as an array after checking that it is a usable grid of `schedule`.

    Raises
    ------
    ScheduleError
        If the grid is not one-dimensional, has fewer than 2 times, does not ascend, leaves the schedule's range, or
        reaches a noise level below 1e-12 or above 1e12.
    """
    return _grid(_clock(schedule), time, "reverse, sort or thin the grid")


def _grid(schedule: Schedule, time: ArrayLike, hint: str) -> Array:
    """As `check_grid`; `hint` says what to do about times that do not ascend or cannot be told apart."""
    grid = arguments.array(time, "time", error=ScheduleError)
    if grid.ndim != 1 or grid.size < 2:
        raise ScheduleError(f"time has shape {grid.shape}; a grid is one-dimensional, with at least 2 steps")
    log_snr, level = schedule.log_snr(grid), schedule.noise_level(grid)
    # the ends of a grid made from the extreme levels come back through alpha and sigma off by rounding
    far = np.flatnonzero((level < 0.999 * LOWEST_LEVEL) | (level > 1.001 * HIGHEST_LEVEL))
    if far.size:
        raise ScheduleError(
            f"time[{far[0]}]={grid[far[0]]:g} has noise level sigma/alpha={level[far[0]]:.3g}; keep the grid between "
            f"{LOWEST_LEVEL:g} and {HIGHEST_LEVEL:g}"
        )
    stuck = np.flatnonzero(~((np.diff(grid) > 0) & (np.diff(log_snr) < 0)))
    if stuck.size:
        i = stuck[0]
        raise ScheduleError(
            f"time must ascend from data to noise, but time[{i + 1}]={grid[i + 1]:g} does not exceed time[{i}]="
            f"{grid[i]:g}; {hint}"
        )
    return grid


def _whole_steps(steps: int) -> int:
    return arguments.whole(steps, "steps", least=2, most=10**7, error=ScheduleError)


def _ends(least: float, most: float, **given: object) -> tuple[float, float]:
    """The two ends of a grid, by their names: numbers within the limits, the first below the second."""
    (low_name, low), (high_name, high) = (
        (name, arguments.number(value, name, least=least, most=most, error=ScheduleError))
        for name, value in given.items()
    )
    if low >= high:
        raise ScheduleError(f"{low_name}={low!r} must lie below {high_name}={high!r}")
    return low, high


def _clock(schedule: Schedule) -> Schedule:
    hint = "give a schedule, for example specent.schedules.VE()"
    return arguments.instance(schedule, Schedule, "schedule", hint, error=ScheduleError)  # type: ignore[type-abstract]


def _finite_log_snr(log_snr: ArrayLike, most: float = np.finfo(np.float64).max) -> Array:
    values = arguments.array(log_snr, "log_snr", error=ScheduleError)
    bad = ~(np.abs(values) <= most)
    if bad.any():
        raise ScheduleError(f"log_snr={float(values[bad].flat[0])!r} is not finite, or its time is not; choose another")
    return values


def _sigmoid(value: Array) -> Array:
    return np.exp(-np.logaddexp(0.0, -value))


def _ddpm_log_snr(betas: Array) -> Array:
    log_alpha_squared = np.cumsum(np.log1p(-betas))
    return np.asarray(log_alpha_squared - np.log(-np.expm1(log_alpha_squared)))
