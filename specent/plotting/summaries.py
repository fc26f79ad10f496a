"""Speciation in one picture: transition windows as bars."""

from __future__ import annotations

from typing import Any

import holoviews as hv
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from specent.errors import SpecentError
from specent.plotting import style
from specent.plotting.marks import MARKS, natural_axis, on_axis
from specent.plotting.select import SERIES_DIMS, Names, indices, label, names_at, select, varying
from specent.schema import need

Array = NDArray[np.float64]
Row = tuple[dict[str, str], dict[str, float]]

_DRAWN = (*MARKS, "half_entropy_lower", "half_entropy_upper")


def windows(
    spec: xr.Dataset,
    axis: str | None = None,
    *,
    partition: Names = None,
    estimator: Names = None,
    guidance: Names = None,
    dimension: Names = None,
    run: Names = None,
    title: str | None = None,
) -> Any:
    """Transition windows as bars, a lane per partition, with half-entropy (dot) and peak of the rate (diamond).

    Parameters
    ----------
    spec : Dataset
        Of kind ``speciation``.
    axis : {"log_snr", "sigma", "log_sigma", "time"}, optional
        Horizontal axis; the noise level "sigma" by default, or "time" for summaries in time only.
    partition, estimator, guidance, dimension, run : str or sequence, optional
        Names of what is drawn; all by default.
    title : str, optional
        Title of the figure.

    Returns
    -------
    holoviews.Overlay
        Bars (`holoviews.Segments`), whiskers over the interval of the half-entropy, dots and diamonds. Runs, guidance
        settings and estimators share a lane in different colours. A mark that is NaN is left out; its lane stays.

    Raises
    ------
    SpecentError
        If the dataset is of another kind, a name is unknown, or the axis cannot be reached.
    """
    spec = need(spec, "speciation", "spec", MARKS)
    style.heading(title)
    part = select(spec, partition=partition, estimator=estimator, guidance=guidance, dimension=dimension, run=run)
    axis = axis or natural_axis(spec)
    marks = on_axis(part.compute(), axis)
    rows = _rows(marks)
    dims = varying([names for names, _ in rows])
    by = [dim for dim in dims if dim in ("run", "guidance", "estimator")]
    down = [dim for dim in dims if dim not in by] or ["partition"]
    lanes = list(dict.fromkeys(label(names, down) for names, _ in rows))
    visible = [row for row in rows if _visible(row)]
    groups = list(dict.fromkeys(label(names, by) for names, _ in visible))
    elements: list[Any] = []
    for number, (group, colour) in enumerate(zip(groups, style.colours(len(groups)), strict=True)):
        members = [row for row in visible if label(row[0], by) == group]
        lane = np.array([lanes.index(label(names, down)) for names, _ in members], dtype=float)
        # the first lane stands on top; the groups share the height of a lane
        y = -lane + 0.35 - 0.7 * (number + 0.5) / len(groups)
        elements += _bars(members, y, group or members[0][0].get("estimator", ""), colour, axis, len(groups))
    positions = np.array([list(numbers.values()) for _, numbers in visible])
    height = int(max(160, 60 + max(20 * len(lanes) * len(groups), 26 * len(lanes))))
    return hv.Overlay(elements).opts(
        **style.frame(height=height, **style.noise_axis(positions, style.logarithmic(spec, axis))),
        xlabel=style.AXIS_LABELS[axis],
        **style.legend(len(groups)),
        yticks=[(-i, name) for i, name in enumerate(lanes)],
        ylim=(-len(lanes) + 0.4, 0.6),
        ylabel="",
        title="; ".join(text for text in (title, f"diamond: peak of rate per {marks.attrs['peak_axis']}") if text),
    )


def _rows(marks: xr.Dataset) -> list[Row]:
    """Names and numbers of every summary; at least one must have a half-entropy or a peak."""
    dims = [dim for dim in SERIES_DIMS if dim in marks["half_entropy"].dims]
    values = {name: marks[name].transpose(*dims).values for name in _DRAWN}
    rows = [
        (names_at(marks, at), {name: float(value[tuple(at.values())]) for name, value in values.items()})
        for at in indices(marks, dims)
    ]
    if not any(_visible(row) for row in rows):
        raise SpecentError("nothing to draw: no half-entropy or peak is finite in this selection")
    return rows


def _visible(row: Row) -> bool:
    return bool(np.isfinite(row[1]["half_entropy"]) or np.isfinite(row[1]["peak"]))


def _bars(rows: list[Row], y: Array, name: str, colour: str, axis: str, groups: int) -> list[Any]:
    x, height = style.axis_dimension(axis), hv.Dimension("row")
    at = {mark: np.array([marks[mark] for _, marks in rows]) for mark in _DRAWN}
    who = np.array([", ".join(names.values()) for names, _ in rows])
    bounds = (at["half_entropy_lower"], at["half_entropy_upper"])
    ends = [hv.Dimension("window_start"), hv.Dimension("y0"), hv.Dimension("window_end"), hv.Dimension("y1")]
    bar = hv.Segments((at["window_start"], y, at["window_end"], y), ends, label=name)
    reach = [hv.Dimension("lower"), hv.Dimension("y0"), hv.Dimension("upper"), hv.Dimension("y1")]
    whisker = hv.Segments((bounds[0], y, bounds[1], y), reach, label=name)
    extra = [height, hv.Dimension("who"), hv.Dimension("lower"), hv.Dimension("upper")]
    half = hv.Scatter((at["half_entropy"], y, who, *bounds), x, extra, label=name)
    peak = hv.Scatter((at["peak"], y, who), x, extra[:2], label=name)
    size = 9 if groups < 4 else 6
    tips = [("", "@who"), (axis, f"@{{{axis}}}")]
    dot = {"color": colour, "size": size, "line_color": "white", "tools": ["hover"]}
    diamond = dot | {"fill_alpha": 0.0, "size": size + 8, "line_color": "black", "marker": "diamond"}
    return [
        bar.opts(color=colour, alpha=0.35, line_width=size + 3),
        whisker.opts(color=style.EXACT, line_width=1.5),
        half.opts(**dot, hover_tooltips=[*tips, ("interval", "[@lower, @upper]")]),
        peak.opts(**diamond, hover_tooltips=tips),
    ]
