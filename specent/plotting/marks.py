"""The marks of a speciation summary (half-entropy, peak, transition window) read on one axis."""

from __future__ import annotations

import numpy as np
import xarray as xr

from specent.axes import check_axis
from specent.errors import SpecentError
from specent.plotting import style

MARKS = ("half_entropy", "peak", "window_start", "window_end")


def axes_of(spec: xr.Dataset) -> list[str]:
    """The axes on which a summary was taken."""
    return [str(name) for name in spec["axis"].values]


def natural_axis(spec: xr.Dataset) -> str:
    """The axis on which summaries are best compared: the noise level, unless they are in time only."""
    return "time" if axes_of(spec) == ["time"] else "sigma"


def reachable(spec: xr.Dataset, axis: str) -> bool:
    """Whether a summary can be read on `axis`: it is one of its own, or follows without the schedule."""
    return axis in axes_of(spec) or (axis != "time" and axes_of(spec) != ["time"])


def on_axis(spec: xr.Dataset, axis: str) -> xr.Dataset:
    """The marks of a summary with their bounds on one axis.

    Parameters
    ----------
    spec : Dataset
        Of kind ``speciation``.
    axis : {"log_snr", "sigma", "log_sigma", "time"}
        The axis; if the summary was not taken on it, its positions on another axis are converted. The peak of the rate
        is then still that on the other axis.

    Returns
    -------
    Dataset
        The variables of `MARKS` with ``_lower`` and ``_upper``, the lower bound the smaller number. The attribute
        ``peak_axis`` names the axis along which the rate has its peak.

    Raises
    ------
    SpecentError
        If the axis is unknown or cannot be reached without the schedule.
    """
    axes = axes_of(spec)
    if not reachable(spec, check_axis(axis)):
        raise SpecentError(
            f"axis={axis!r} cannot be reached from {axes} without the schedule; use sp.speciation(axis=)"
        )
    origin = axis if axis in axes else next(name for name in axes if name != "time")
    part = spec.sel(axis=origin, drop=True)
    marks: dict[str, xr.DataArray] = {}
    for mark in MARKS:
        value, *ends = (_converted(part, f"{mark}{bound}", origin, axis) for bound in ("", "_lower", "_upper"))
        both = xr.concat(ends, "bound", coords="minimal", compat="override")
        marks |= {mark: value, f"{mark}_lower": both.min("bound", skipna=False)}
        marks[f"{mark}_upper"] = both.max("bound", skipna=False)
    return xr.Dataset(marks, attrs={**spec.attrs, "peak_axis": origin})


def _converted(part: xr.Dataset, name: str, origin: str, axis: str) -> xr.DataArray:
    """A position or a bound; where there are no bounds the position stands for them."""
    values = part[name] if name in part else part[name.removesuffix("_lower").removesuffix("_upper")]
    return values.copy(data=style.to_axis(np.asarray(values.values, dtype=np.float64), origin, axis))
