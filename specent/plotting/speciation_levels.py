"""The noise level of speciation by every definition side by side, a row each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import holoviews as hv
import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from specent import arguments
from specent.arguments import brief
from specent.axes import check_axis
from specent.errors import SpecentError, visible
from specent.plotting import colouring, noise_axis, style
from specent.plotting.outside import need_result
from specent.plotting.raster import wrapped
from specent.plotting.select import Names, select

Array = NDArray[np.float64]

_BOUNDS = ("", "_lower", "_upper")
_MAKER = "specent.analysis.definitions"
_NAMES = {f"peak along {axis}": f"peak along {text}" for axis, text in style.AXIS_NAMES.items()}
_NAMES["half phi"] = "half of the returns φ"
MOST_COMPARED = 10
"""More entries than this are no longer told apart by colour."""


def definitions(
    table: xr.Dataset,
    exact: xr.Dataset | None = None,
    axis: str = "sigma",
    *,
    definition: Names = None,
    title: str | None = None,
    data: bool = False,
) -> Any:
    """Noise level at which the class is decided by every definition, a row each, with intervals.

    Parameters
    ----------
    table : Dataset
        The result of `specent.analysis.definitions`, or several along one more dimension, such as the number of
        classes (``xr.concat``), which have a colour each.
    exact : Dataset, optional
        The same of exact profiles, as thin marks.
    axis : {"sigma", "log_snr", "log_sigma"}
        Horizontal axis, on which generation runs to the right.
    definition : str or sequence, optional
        Names of the definitions; all that apply by default.
    title : str, optional
        Title of the figure.
    data : bool
        Return the numbers behind the figure instead of the figure.

    Returns
    -------
    holoviews.Overlay, or pandas.DataFrame
        Dots with intervals, those at the highest noise on top, and thin marks at what is exact; definitions that do not
        apply are left out. As data a row for each: what is compared, ``definition``, its position with ``lower`` and
        ``upper``, ``exact``, and the ``source``.

    Raises
    ------
    SpecentError
        If a table is not the result of `specent.analysis.definitions`, a name is unknown, or nothing is finite.

    Examples
    --------
    >>> import specent as sp
    >>> mix, time = sp.exact.GaussianMixture([[-8.0], [8.0]]), sp.schedules.edm_grid(100, 0.5, 200.0)
    >>> made = sp.analysis.definitions(sp.exact.profiles(mix, sp.schedules.VE(), time, "full"))
    >>> rows = definitions(made, definition=["half entropy", "spectral"], data=True)
    >>> rows[["definition", "sigma"]].round(2).values.tolist()
    [['spectral', 8.06], ['half entropy', 7.77]]
    """
    style.heading(title)
    arguments.flag(data, "data")
    if check_axis(axis) == "time":
        raise SpecentError("axis='time': the table has noise levels, and no schedule; use sigma, log_snr or log_sigma")
    marks = _Marks.of(table, exact, definition, axis)
    rows = marks.rows
    if data:
        return rows
    lanes = list(dict.fromkeys(rows["definition"]))
    groups = list(dict.fromkeys(rows["group"])) if marks.dim else [""]
    if len(groups) > MOST_COMPARED:
        raise SpecentError(f"{len(groups)} entries of {marks.dim!r} are too many for one figure; select up to 10")
    hues = colouring.hues(groups, ordered=marks.ordered and len(groups) > 1)
    elements: list[Any] = []
    for number, group in enumerate(groups):
        own = rows[rows["group"] == group] if marks.dim else rows
        lane = np.array([lanes.index(name) for name in own["definition"]], dtype=float)
        y = -lane + 0.35 - 0.7 * (number + 0.5) / len(groups)
        elements += _drawn(own, y, axis, hues[group], _entry(marks.dim, group), 0.35 / len(groups))
    values = rows[[axis, "lower", "upper", "exact"]].to_numpy(dtype=float)
    ends = _ends(values, axis == "sigma")
    heading = [title or "At which noise is it decided, by which definition?"]
    if rows["exact"].notna().any():
        heading.append("dots with intervals: measured; thin marks: exact")
    height = int(max(160, 60 + max(26 * len(lanes), 16 * len(lanes) * len(groups))))
    legend = style.legend(len(groups)) if len(groups) > 1 else {"show_legend": False}
    return hv.Overlay(elements).opts(
        **style.frame(height=height) | noise_axis.view(table, axis, ends, positions=("lower", "upper")), **legend,
        xlabel=style.AXIS_LABELS[axis], ylabel="",
        yticks=[(-i, _NAMES.get(name, name)) for i, name in enumerate(lanes)],
        ylim=(-len(lanes) + 0.4, 0.6), title=wrapped(heading, style.FRAME_WIDTH),
    )  # fmt: skip


def _entry(dim: str, group: str) -> str:
    """What the legend calls an entry: numbers with what they count."""
    try:
        float(group)
    except ValueError:
        return group
    return f"{dim} {group}".strip()


@dataclass(frozen=True)
class _Marks:
    """The rows of a figure, the name of the dimension that is compared, and whether its entries are numbers."""

    rows: pd.DataFrame
    dim: str
    ordered: bool

    @classmethod
    def of(cls, table: Any, exact: Any, definition: Names, axis: str) -> _Marks:
        """Those of a table, from the highest noise down, with the exact values beside them."""
        whole, dim = _checked(table, "table")
        reference = None if exact is None else _checked(exact, "exact")
        chosen = select(whole, definition=definition)
        entries = chosen[dim].values.tolist() if dim in chosen.coords else list(range(chosen.sizes.get(dim, 1)))
        parts = []
        for i, entry in enumerate(entries if dim else [""]):
            one = chosen.isel({dim: i}) if dim else chosen
            names = [visible(str(name)) for name in one["definition"].values]
            value, low, high = (_positions(one[f"noise_level{end}"].values, axis) for end in _BOUNDS)
            part = pd.DataFrame({"definition": names, axis: value})
            part["lower"], part["upper"] = np.fmin(low, high), np.fmax(low, high)
            part["exact"] = _beside(reference, dim, entry, one["definition"].values, axis)
            part["source"] = [visible(str(text)) for text in one["source"].values]
            part.insert(0, "group", _text(entry))
            parts.append(part)
        rows = pd.concat(parts, ignore_index=True)
        rows = rows[np.isfinite(rows[axis])]
        if rows.empty:
            raise SpecentError("nothing to draw: no definition has a finite noise level in this selection")
        middle = rows.groupby("definition")[axis].mean()
        order = middle.sort_values(ascending=axis == "log_snr", kind="stable").index.tolist()
        rows = rows.assign(rank=[order.index(name) for name in rows["definition"]])
        rows = rows.sort_values("rank", kind="stable").drop(columns="rank").reset_index(drop=True)
        numbers = all(isinstance(entry, int | float) for entry in entries)
        if not dim:
            return cls(rows.drop(columns="group"), "", False)
        return cls(rows, dim, numbers)


def _text(entry: object) -> str:
    return f"{entry:g}" if isinstance(entry, int | float) else visible(str(entry))


def _checked(table: Any, argument: str) -> tuple[xr.Dataset, str]:
    """A table with the definitions in a row, and the name of its other dimension, if there is one."""
    names = [f"noise_level{end}" for end in _BOUNDS]
    whole = need_result(table, argument, _MAKER, names, ("definition",))
    if "definition" not in whole.dims:
        whole = whole.expand_dims("definition")
    others = [str(dim) for dim in whole["noise_level"].dims if dim != "definition"]
    if len(others) > 1:
        raise SpecentError(f"{argument} has the dimensions {brief(others)}; select an entry of all but one")
    if "source" not in whole or "definition" not in whole["source"].dims:
        whole = whole.assign(source=("definition", [""] * whole.sizes["definition"]))
    source = whole["source"]
    whole["source"] = source.isel({dim: 0 for dim in source.dims if dim != "definition"})
    kept = whole[[*names, "source"]]
    return kept.transpose(*others, "definition"), others[0] if others else ""


def _beside(reference: tuple[xr.Dataset, str] | None, dim: str, entry: object, names: NDArray[Any], axis: str) -> Array:
    """The exact positions of some definitions, NaN where there is none."""
    nothing = np.full(len(names), np.nan)
    if reference is None:
        return nothing
    exact, other = reference
    if other:
        same = [i for i, value in enumerate(exact[other].values.tolist()) if other == dim and value == entry]
        if not same:
            return nothing
        exact = exact.isel({other: same[0]})
    known = dict(zip(exact["definition"].values.tolist(), exact["noise_level"].values.tolist(), strict=True))
    return _positions(np.array([known.get(name, np.nan) for name in names.tolist()], dtype=float), axis)


def _positions(levels: Array, axis: str) -> Array:
    """Noise levels on an axis; NaN for what is none."""
    values = np.asarray(levels, dtype=np.float64)
    with np.errstate(invalid="ignore"):
        return style.to_axis(np.where(np.isfinite(values) & (values > 0), values, np.nan), "sigma", axis)


def _ends(positions: Array, log: bool) -> tuple[float, float]:
    """Limits of the axis that hold every mark, with room at either end."""
    finite = positions[np.isfinite(positions)]
    finite = np.log(finite) if log else finite
    room = max(0.06 * float(np.ptp(finite)), 0.05)
    low, high = float(finite.min()) - room, float(finite.max()) + room
    return (float(np.exp(low)), float(np.exp(high))) if log else (low, high)


def _drawn(rows: pd.DataFrame, y: Array, axis: str, colour: str, text: str, half: float) -> list[Any]:
    """The marks of one entry: intervals, exact values, dots."""
    x, height = style.axis_dimension(axis), hv.Dimension("row")
    value, lower, upper, exact = (rows[name].to_numpy(dtype=float) for name in (axis, "lower", "upper", "exact"))
    ends = [hv.Dimension(name) for name in ("start", "y0", "end", "y1")]
    whiskers = hv.Segments((lower, y, upper, y), ends, label=text)
    elements: list[Any] = [whiskers.opts(color=colour, line_width=2.5)]
    if np.isfinite(exact).any():
        lines = hv.Segments((exact, y - half, exact, y + half), ends)
        elements.append(lines.opts(color=style.EXACT, line_width=1.5))
    columns = (value, y, rows["definition"].to_numpy(), lower, upper, rows["source"].to_numpy())
    shown = [height, *(hv.Dimension(name) for name in ("who", "lower", "upper", "source"))]
    dots = hv.Scatter(columns, x, shown, label=text)
    tips = [("", "@who"), (axis, f"@{{{axis}}}"), ("interval", "[@lower, @upper]"), ("source", "@source")]
    return [*elements, dots.opts(color=colour, size=9, line_color="white", tools=["hover"], hover_tooltips=tips)]
