"""Noise levels of a grid, and the limits within which numbers can be told apart."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from specent import arguments
from specent.errors import ScheduleError

Array = NDArray[np.float64]

# noise levels beyond these decide nothing, and their powers leave double precision
LOWEST_LEVEL, HIGHEST_LEVEL = 1e-12, 1e12

GRID_LEVELS = (0.002, 80.0)
"""Noise levels between which images are generated in arXiv 2206.00364."""


def spaced_levels(steps: int, low: float, high: float, rho: float = 7.0) -> Array:
    """Noise levels from `low` to `high`, evenly spaced in their power ``1 / rho`` (arXiv 2206.00364, equation 5).

    Examples
    --------
    >>> spaced_levels(3, 1.0, 9.0, rho=1.0).tolist()
    [1.0, 5.0, 9.0]
    """
    with np.errstate(all="ignore"):  # what a far rho does to the powers is caught below
        levels = np.linspace(np.float64(low) ** (1 / rho), np.float64(high) ** (1 / rho), steps) ** rho
    levels[0], levels[-1] = low, high
    if not (np.isfinite(levels).all() and (np.diff(levels) > 0).all()):
        raise ScheduleError(
            f"rho={rho:g}, steps={steps}: the noise levels from sigma_min={low!r} to sigma_max={high!r} cannot be told "
            "apart in double precision; use a rho from 1 to 100, fewer steps, or move the ends apart"
        )
    return levels


def whole_steps(steps: int) -> int:
    """A number of times, from 2 to ten million."""
    return arguments.whole(steps, "steps", least=2, most=10**7, error=ScheduleError)
