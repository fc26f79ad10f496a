"""The noise levels at which trajectories turn, and the grids on which they go on."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

from specent import arguments
from specent.arguments import brief
from specent.errors import ScheduleError, SpecentError
from specent.schedules import Schedule

Array = NDArray[np.float64]

# what rounding does to a level on its way through log-SNR
_ROUNDING = 1e-9


def turns_of_levels(schedule: Schedule, grid: Array, levels: Any) -> Array:
    """Ascending times at which the noise level has the given values, whole ones where the schedule has steps.

    Parameters
    ----------
    schedule : Schedule
        The schedule.
    grid : ndarray, shape (time,)
        The times within which all happens.
    levels : float or array_like
        Noise levels ``sigma / alpha``, above that of the first time of the grid and not above that of the last.

    Returns
    -------
    ndarray, shape (levels,)

    Raises
    ------
    SpecentError
        If a level is no such number, or two are the same.

    Examples
    --------
    >>> from specent.schedules import VE
    >>> turns_of_levels(VE(), np.array([0.1, 1.0, 10.0]), [8.0, 2.0]).round(9).tolist()
    [2.0, 8.0]
    """
    values = np.atleast_1d(arguments.array(levels, "levels"))
    if values.ndim != 1 or not values.size:
        raise SpecentError(f"levels={brief(levels)} must be one noise level or a list of them")
    low, high = schedule.noise_level(grid[[0, -1]])
    bad = ~((values > low * (1 + _ROUNDING)) & (values <= high * (1 + _ROUNDING)))
    if bad.any():
        raise SpecentError(
            f"levels: {float(values[bad][0])!r} is outside the grid, whose noise levels run from {low:.4g} to "
            f"{high:.4g}; turn above its lowest level and not above its highest"
        )
    inside = np.minimum(np.sort(values), high)
    times = np.where(inside >= high * (1 - _ROUNDING), grid[-1], schedule.time_at_level(inside))
    # of a level that the grid has, rounding must not make a second time
    near = grid[
        np.abs(np.log(schedule.noise_level(times))[:, None] - np.log(schedule.noise_level(grid))).argmin(axis=1)
    ]
    same = np.abs(np.log(schedule.noise_level(near)) - np.log(schedule.noise_level(times))) < _ROUNDING
    times = np.where(same, near, times)
    if schedule.whole_times is not None:
        times = np.maximum(times.round(), grid[0] + 1)
    if len(np.unique(times)) < len(times):
        raise SpecentError(f"levels={brief(values.tolist())} are not at different times of the schedule; drop some")
    return times


def continuation_grid(schedule: Schedule, grid: Array, turn: float, steps: int) -> Array:
    """So many times from the first of a grid to the turn, spaced as the grid is.

    Parameters
    ----------
    schedule : Schedule
        The schedule.
    grid : ndarray, shape (time,)
        Ascending times; ln of their noise levels, as a smooth function of their number, sets the spacing.
    turn : float
        Time within the grid, above its first.
    steps : int
        Number of times, both ends included.

    Returns
    -------
    ndarray, shape (steps,)

    Raises
    ------
    ScheduleError
        If a schedule of whole times has not as many.

    Examples
    --------
    >>> from specent.schedules import VE, edm_grid
    >>> continuation_grid(VE(), edm_grid(65, 0.01, 80), 80.0, 33).round(4).tolist() == edm_grid(33, 0.01, 80).round(
    ...     4).tolist()
    True
    """
    position, height = np.arange(len(grid)), np.log(schedule.noise_level(grid))
    top = float(np.log(schedule.noise_level(turn)))
    last = float(np.clip(PchipInterpolator(height, position)(top), 1e-3, position[-1]))
    some = np.linspace(0.0, last, steps)
    spacing = PchipInterpolator(position, height)(some)
    # the two interpolations are not quite each other's inverse
    heights = height[0] + (spacing - spacing[0]) * (top - height[0]) / (spacing[-1] - spacing[0])
    times = schedule.time_at_level(np.exp(heights[1:-1]))
    times = times.round() if schedule.whole_times is not None else times
    whole = np.concatenate([grid[:1], times, [turn]])
    if not (np.diff(whole) > 0).all():
        raise ScheduleError(
            f"steps={steps} is more than the times of the {schedule.name} schedule between {float(grid[0]):g} and "
            f"{turn:g}; take fewer steps, or turn at more noise"
        )
    return np.asarray(whole, dtype=np.float64)
