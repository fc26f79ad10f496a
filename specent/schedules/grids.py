"""Time grids of any schedule, and what a grid must fulfil."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from specent import arguments
from specent.errors import ScheduleError
from specent.schedules.base import Schedule
from specent.schedules.levels import HIGHEST_LEVEL, LOWEST_LEVEL, Array, spaced_levels, whole_steps
from specent.schedules.ve import VE


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
        The schedule whose times are returned; `VE` by default, where time is sigma.

    Returns
    -------
    ndarray, shape (steps,)
        Ascending times.

    Raises
    ------
    ScheduleError
        If there are fewer than 2 steps, or the levels are not ordered, out of range or too close to tell apart.

    Examples
    --------
    >>> edm_grid(64)[::-1][[0, 1, 16, 32, 48]].round(4).tolist()
    [80.0, 73.3195, 17.0615, 2.3419, 0.1449]
    """
    steps = whole_steps(steps)
    low, high = _ends(LOWEST_LEVEL, HIGHEST_LEVEL, sigma_min=sigma_min, sigma_max=sigma_max)
    rho = arguments.number(rho, "rho", above=0, error=ScheduleError)
    schedule = _instance(VE() if schedule is None else schedule)
    time = schedule.time_at_level(spaced_levels(steps, low, high, rho))
    return _grid(schedule, time, "use fewer steps, or levels further apart")


def time_grid(schedule: Schedule, steps: int, start: float, end: float) -> Array:
    """Times evenly spaced from `start` to `end` (ascending), checked against the schedule's range.

    Raises
    ------
    ScheduleError
        If there are fewer than 2 steps, the ends are not ordered, or one is outside the schedule's range.

    Examples
    --------
    >>> from specent.schedules import VP
    >>> time_grid(VP(), 3, 0.5, 1.5).tolist()
    [0.5, 1.0, 1.5]
    """
    steps = whole_steps(steps)
    low, high = _ends(-1e300, 1e300, start=start, end=end)
    return _grid(_instance(schedule), np.linspace(low, high, steps), "use fewer steps, or move start and end apart")


def log_snr_grid(schedule: Schedule, steps: int, log_snr_min: float, log_snr_max: float) -> Array:
    """Times (ascending) evenly spaced in log-SNR between the two values.

    Raises
    ------
    ScheduleError
        If there are fewer than 2 steps, or the ends are not ordered or outside -55.26 .. 55.26 (level 1e-12).

    Examples
    --------
    >>> from specent.schedules import VP
    >>> VP().log_snr(log_snr_grid(VP(), 3, -4.0, 4.0)).round(12).tolist()
    [4.0, 0.0, -4.0]
    """
    steps = whole_steps(steps)
    low, high = _ends(-55.26, 55.26, log_snr_min=log_snr_min, log_snr_max=log_snr_max)
    time = _instance(schedule).time(np.linspace(high, low, steps))
    return _grid(schedule, time, "use fewer steps, or move log_snr_min and log_snr_max apart")


def check_grid(schedule: Schedule, time: ArrayLike) -> Array:
    """Return `time` as an array after checking that it is a usable grid of `schedule`.

    Raises
    ------
    ScheduleError
        If the grid is not one-dimensional, has fewer than 2 times, does not ascend, leaves the schedule's range, or
        reaches a noise level below 1e-12 or above 1e12. The message ends with a line that makes a grid that fits.

    Examples
    --------
    >>> check_grid(VE(), [0.1, 1.0, 10.0]).tolist()
    [0.1, 1.0, 10.0]
    """
    schedule = _instance(schedule)
    try:
        return _grid(schedule, time, "reverse, sort or thin the grid")
    except ScheduleError as error:
        raise ScheduleError(f"{error}; {schedule.grid_hint}") from error


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


def _ends(least: float, most: float, **ends: object) -> tuple[float, float]:
    """The two ends of a grid, by their names: numbers within the limits, the first below the second."""
    (low_name, low), (high_name, high) = (
        (name, arguments.number(value, name, least=least, most=most, error=ScheduleError))
        for name, value in ends.items()
    )
    if low >= high:
        raise ScheduleError(f"{low_name}={low!r} must lie below {high_name}={high!r}")
    return low, high


def _instance(schedule: Schedule) -> Schedule:
    hint = "give a schedule, for example specent.schedules.VE()"
    return arguments.instance(schedule, Schedule, "schedule", hint, error=ScheduleError)  # type: ignore[type-abstract]
