"""What part of a figure of curves is in view."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from specent import arguments
from specent.arguments import brief
from specent.errors import SpecentError
from specent.plotting.select import Series

Array = NDArray[np.float64]


def stretch(curves: Sequence[Series], log: bool) -> tuple[float, float]:
    """The part of the axis on which a curve is more than 3 % of its range away from both its ends.

    A tenth is added on either side, as far as there are values; where nothing changes it is the whole axis.
    """
    whole = np.concatenate([one.x for one in curves])
    busy = [one.x[_changing(np.where(one.impossible, np.nan, one.y))] for one in curves]
    positions = np.concatenate(busy) if any(part.size > 1 for part in busy) else whole
    low, high = (np.log if log else np.asarray)(np.array([positions.min(), positions.max()]))
    ends = np.array([low, high]) + 0.1 * (high - low) * np.array([-1.0, 1.0])
    first, last = np.clip(np.exp(ends) if log else ends, whole.min(), whole.max())
    return float(first), float(last)


def _changing(values: Array) -> NDArray[np.bool_]:
    finite = values[np.isfinite(values)]
    if not finite.size:
        return np.zeros(values.shape, dtype=bool)
    near = 0.03 * np.ptp(finite)
    away: NDArray[np.bool_] = (np.abs(values - finite[0]) > near) & (np.abs(values - finite[-1]) > near)
    return away


def in_order(view: Sequence[float], log: bool) -> tuple[float, float]:
    """The ends of a stretch that a caller chose, the smaller first.

    Raises
    ------
    SpecentError
        If these are not two different positions on the axis.
    """
    ends = arguments.array(view, "view")
    if ends.shape != (2,) or not np.isfinite(ends).all() or ends[0] == ends[1] or (log and ends.min() <= 0):
        kind = "positive " if log else ""
        raise SpecentError(f"view={brief(view)} must be two different {kind}positions on the axis, such as (0.5, 20)")
    return float(ends.min()), float(ends.max())


def heights(curves: Sequence[Series], *, from_zero: bool) -> tuple[float, float]:
    """Limits of the vertical axis that hold every curve with its interval; impossible values do not count.

    Parameters
    ----------
    curves : sequence of Series
        The curves.
    from_zero : bool
        Whether the axis ends at 0, under which the unbiased estimate of a number near 0 may lie.
    """
    values = [np.where(one.impossible, np.nan, ends) for one in curves for ends in (one.y, one.lower, one.upper)]
    finite = np.concatenate([part[np.isfinite(part)] for part in values] or [np.zeros(1)])
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    if from_zero:
        return 0.0, 1.08 * high if high > 0 else 1.0
    low, high = min(low, 0.0), max(high, 0.0)
    margin = 0.06 * ((high - low) or 1.0)
    return (low - margin if low < 0 else 0.0), high + margin
