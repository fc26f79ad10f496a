"""Array kernels: where curves cross a level, and where they peak, between the points of a grid.

Curves are interpolated by cubic splines, whose error falls with the fourth power of the spacing. A crossing is looked
for within the interval of the grid at whose ends the curve lies on either side of the level, so what the spline does
elsewhere, on noisy or steep curves, has no influence.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_BISECTIONS = 60


def crossings(grid: Array, curves: Array, levels: Array) -> Array:
    """Positions where curves fall through levels, coming from the noisy end.

    Parameters
    ----------
    grid : ndarray, shape (points,)
        Ascending from noise to data (log-SNR).
    curves : ndarray, shape (curves, points)
        One curve a row.
    levels : ndarray, shape (levels,) or (curves, levels)
        The levels, of all curves or of each.

    Returns
    -------
    ndarray, shape (curves, levels)
        Where a curve crosses more than once, as noise can make it, the middle crossing. NaN where a curve never falls
        to the level, or starts below it.

    Examples
    --------
    >>> crossings(np.array([0.0, 1.0, 2.0]), np.array([[3.0, 2.0, 1.0]]), np.array([1.5, 0.5])).tolist()
    [[1.5, nan]]
    """
    coefficients = _cubics(grid, curves)
    levels = np.broadcast_to(levels, (len(curves), np.shape(levels)[-1]))
    out = np.full(levels.shape, np.nan)
    for k, level in enumerate(levels.T):
        above = curves > level[:, None]
        change = above[:, 1:] != above[:, :-1]
        count = change.sum(axis=1)
        row = np.flatnonzero(above[:, 0] & (count > 0))
        # an even number of crossings ends above the level: the last one, upwards, is left out
        wanted = (count[row] + count[row] % 2) // 2
        column = np.argmax(np.cumsum(change[row], axis=1) == wanted[:, None], axis=1)
        local = coefficients[:, column, row].copy()
        local[3] -= level[row]
        width = grid[column + 1] - grid[column]
        out[row, k] = grid[column] + _root(local, width, above[row, column])
    return out


def peaks(grid: Array, curves: Array) -> tuple[Array, Array]:
    """Position and height of the highest point of curves, between the points of the grid.

    Parameters
    ----------
    grid : ndarray, shape (points,)
        Ascending, in the axis in which the peak is meant.
    curves : ndarray, shape (curves, points)
        One curve a row.

    Returns
    -------
    position, height : ndarray, shape (curves,)
        An end of the grid if the curve is highest there.

    Examples
    --------
    >>> grid = np.linspace(-1.0, 2.0, 7)
    >>> [part.round(12).tolist() for part in peaks(grid, 1.0 - (grid[None] - 0.3) ** 2)]
    [[0.3], [1.0]]
    """
    rows = np.arange(len(curves))
    top = np.argmax(curves, axis=1)
    best_position, best = grid[top].astype(np.float64), curves[rows, top].astype(np.float64)
    if len(grid) < 3:
        return best_position, best
    coefficients = _cubics(grid, curves)
    for column in (np.clip(top - 1, 0, None), np.clip(top, None, len(grid) - 2)):
        a, b, c, d = coefficients[:, column, rows]
        for sign in (1.0, -1.0):
            step = _stationary(a, b, c, sign)
            height = ((a * step + b) * step + c) * step + d
            better = (step > 0) & (step < grid[column + 1] - grid[column]) & (height > best)
            best_position = np.where(better, grid[column] + step, best_position)
            best = np.where(better, height, best)
    return best_position, best


def _root(local: Array, width: Array, falling: NDArray[np.bool_]) -> Array:
    """Root of cubics, shape (4, curves), between 0 and `width`, where they change sign."""
    low, high = np.zeros_like(width), width.copy()
    for _ in range(_BISECTIONS):
        middle = 0.5 * (low + high)
        value = ((local[0] * middle + local[1]) * middle + local[2]) * middle + local[3]
        before = (value > 0) == falling
        low, high = np.where(before, middle, low), np.where(before, high, middle)
    return 0.5 * (low + high)


def _stationary(a: Array, b: Array, c: Array, sign: float) -> Array:
    """One of the two positions where ``a s^3 + b s^2 + c s`` is stationary, -1 if there is none."""
    with np.errstate(invalid="ignore", divide="ignore"):
        root = sign * np.sqrt(b**2 - 3 * a * c)
        # the form that does not cancel, for nearly parabolic pieces
        step = np.where(b * sign > 0, -c / (b + root), (-b + root) / (3 * a))
    return np.asarray(np.where(np.isfinite(step), step, -1.0))


def _cubics(grid: Array, curves: Array) -> Array:
    """Coefficients of the cubic splines through curves, shape (4, intervals, curves)."""
    # whoever reads an archive or draws stored curves need not wait for what this imports
    from scipy.interpolate import CubicSpline

    coefficients: Array = CubicSpline(grid, curves, axis=1).c
    return coefficients
