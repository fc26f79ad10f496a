"""Speciation in one picture: transition windows as bars."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import holoviews as hv
import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from specent import arguments
from specent.errors import SpecentError
from specent.plotting import colouring, noise_axis, style
from specent.plotting.comparison import ESTIMATOR_NAMES
from specent.plotting.marks import MARKS, natural_axis, on_axis
from specent.plotting.select import SERIES_DIMS, Names, indices, label, names_at, select, varying
from specent.schema import need

Array = NDArray[np.float64]
Row = tuple[dict[str, str], dict[str, float]]

_DRAWN = (*MARKS, "half_entropy_lower", "half_entropy_upper")


_MARKERS = {
    "path": "circle", "exact": "star", "denoiser_gap": "square", "cross_entropy": "triangle",
    "rao_blackwell": "inverted_triangle",
}  # fmt: skip


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
    data: bool = False,
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
    data : bool
        Return the numbers behind the figure instead of the figure.

    Returns
    -------
    holoviews.Overlay, or pandas.DataFrame
        Bars (`holoviews.Segments`), whiskers over the interval of the half-entropy, dots and diamonds. Runs and
        guidance settings share a lane in different colours, estimators with dots of different shapes. A mark that is
        NaN is left out; its lane stays. A peak depends on the axis of the rate: it is drawn only on an axis that the
        summary was taken on. As data a row for each bar.

    Raises
    ------
    SpecentError
        If the dataset is of another kind, a name is unknown, or the axis cannot be reached.
    """
    spec = need(spec, "speciation", "spec", MARKS)
    style.heading(title)
    part = select(spec, partition=partition, estimator=estimator, guidance=guidance, dimension=dimension, run=run)
    axis = style.axis_or(axis, natural_axis(spec))
    marks = on_axis(part.compute(), axis)
    peaks = marks.attrs["peak_axis"] == axis
    rows = _rows(marks if peaks else marks.assign(peak=marks["peak"] * np.nan))
    if arguments.flag(data, "data"):
        return pd.DataFrame(
            [{**names, "axis": axis, **numbers} for names, numbers in rows if _visible((names, numbers))]
        )
    dims = varying([names for names, _ in rows])
    by = [dim for dim in dims if dim in ("run", "guidance", "estimator")]
    down = [dim for dim in dims if dim not in by] or ["partition"]
    lanes = list(dict.fromkeys(label(names, down) for names, _ in rows))
    visible = [row for row in rows if _visible(row)]
    groups = list(dict.fromkeys(label(names, by) for names, _ in visible))
    elements: list[Any] = []
    # colour is what is compared, the shape of the dot the estimator
    compared = [dim for dim in by if dim != "estimator"]
    keys = list(dict.fromkeys(label(names, compared) for names, _ in visible))
    hues = colouring.hues(keys)
    for number, group in enumerate(groups):
        members = [row for row in visible if label(row[0], by) == group]
        colour = hues[label(members[0][0], compared)]
        lane = np.array([lanes.index(label(names, down)) for names, _ in members], dtype=float)
        # the first lane stands on top; the groups share the height of a lane
        y = -lane + 0.35 - 0.7 * (number + 0.5) / len(groups)
        elements += _bars(members, y, _entry(members[0][0], by), colour, axis, len(groups))
    finite = np.array([list(numbers.values()) for _, numbers in visible])
    elements += _legend_marks(axis, finite, peaks, {_marker(names) for names, _ in visible})
    height = int(max(160, 60 + max(20 * len(lanes) * len(groups), 26 * len(lanes))))
    ends = _ends(finite, style.logarithmic(spec, axis))
    options = noise_axis.view(spec, axis, ends, positions=("lower", "upper"))
    note = "" if peaks else f"peaks are not drawn: the summary was not taken along {style.AXIS_NAMES[axis]}"
    return hv.Overlay(elements).opts(
        **style.frame(height=height) | options,
        xlabel=style.AXIS_LABELS[axis],
        **style.legend(len(groups) + 2),
        yticks=[(-i, name) for i, name in enumerate(lanes)],
        ylim=(-len(lanes) + 0.4, 0.6),
        ylabel="",
        title=style.TitleText("\n".join(text for text in (title or "When is each side decided?", note) if text)),
    )


def _entry(names: Mapping[str, str], by: Sequence[str]) -> str:
    """What the legend calls a group of bars: what tells it from others, or its estimator, in words."""
    words = {**names, "estimator": ESTIMATOR_NAMES.get(names.get("estimator", ""), names.get("estimator", ""))}
    return label(words, by) or words["estimator"]


def _ends(positions: Array, log: bool) -> tuple[float, float]:
    """Limits of the axis that hold every mark, with room at either end."""
    finite = positions[np.isfinite(positions)]
    if log:
        low, high = float(finite[finite > 0].min()), float(finite.max())
        room = max(high / low, 1.5) ** 0.06
        return low / room, high * room
    low, high = float(finite.min()), float(finite.max())
    room = 0.06 * ((high - low) or 1.0)
    return low - room, high + room


def _marker(names: dict[str, str]) -> str:
    """The shape of the dots of an estimator."""
    return _MARKERS.get(names.get("estimator", "path"), "hex")


def _starred(look: dict[str, Any], colour: str) -> dict[str, Any]:
    """A star is drawn larger than a dot and without the outline, which would leave nothing of it."""
    return {"line_color": colour, "size": 13} if look.get("marker") == "star" else {}


def _legend_marks(axis: str, positions: Array, peaks: bool, markers: set[str]) -> list[Any]:
    """What the marks stand for, as entries of the legend: drawn out of view, in no colour of a row."""
    x, height = style.axis_dimension(axis), hv.Dimension("row")
    there = float(positions[np.isfinite(positions) & (positions > 0)].min()) if (positions > 0).any() else 1.0
    plain = {"color": style.NEUTRAL, "size": 9, "line_color": "white"}
    hollow = {"fill_alpha": 0.0, "line_color": style.NEUTRAL, "marker": "diamond", "size": 15}
    shape = {"marker": next(iter(markers))} if len(markers) == 1 else {}
    entries: list[tuple[str, dict[str, Any]]] = [
        ("half of the entropy", plain | shape | _starred(shape, style.NEUTRAL))
    ]
    if peaks:
        entries.append((f"peak of the rate per unit of {style.AXIS_NAMES[axis]}", plain | hollow))
    return [hv.Scatter([(there, 1e3)], x, height, label=text).opts(**look) for text, look in entries]


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
    marker = _marker(rows[0][0])
    half = hv.Scatter((at["half_entropy"], y, who, *bounds), x, extra, label=name)
    peak = hv.Scatter((at["peak"], y, who), x, extra[:2], label=name)
    size = 9 if groups < 4 else 6
    tips = [("", "@who"), (axis, f"@{{{axis}}}")]
    dot = {"color": colour, "size": size, "line_color": "white", "tools": ["hover"]}
    diamond = dot | {"fill_alpha": 0.0, "size": size + 8, "line_color": colour, "line_width": 2, "marker": "diamond"}
    return [
        bar.opts(color=colour, alpha=0.35, line_width=size + 3),
        whisker.opts(color=colour, line_width=2.5),
        half.opts(
            **dot | {"marker": marker} | _starred({"marker": marker}, colour),
            hover_tooltips=[*tips, ("interval", "[@lower, @upper]")],
        ),
        peak.opts(**diamond, hover_tooltips=tips),
    ]
