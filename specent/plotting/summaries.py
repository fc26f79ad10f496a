"""Speciation in one picture: transition windows as bars, half-entropy places of all pairs as a matrix."""

from __future__ import annotations

import itertools
from typing import Any

import holoviews as hv
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from specent.errors import SpecentError
from specent.plotting import style
from specent.plotting.select import SERIES_DIMS, Names, definitions, label, names_at, select, varying
from specent.schema import need

Array = NDArray[np.float64]


def windows(
    spec: xr.Dataset,
    axis: str | None = None,
    *,
    partition: Names = None,
    estimator: Names = None,
    guidance: Names = None,
    dimension: Names = None,
    title: str | None = None,
) -> Any:
    """Transition windows as bars, a row per partition, with half time (dot) and peak of the rate (diamond).

    Parameters
    ----------
    spec : Dataset
        Of kind ``speciation``.
    axis : {"log_snr", "sigma", "log_sigma", "time"}, optional
        Where the places are drawn; the noise level "sigma" by default, or "time" for places given in time.
    partition, estimator, guidance, dimension : str or sequence, optional
        Names of what is drawn; all by default.
    title : str, optional
        Title of the figure.

    Returns
    -------
    holoviews.Overlay
        Bars (`holoviews.Segments`), whiskers over the interval of the half time, dots and diamonds.

    Raises
    ------
    SpecentError
        If the dataset is of another kind, a name is unknown, or the axis cannot be reached.
    """
    spec = on_axis(need(spec, "speciation", "spec"), axis)
    style.heading(title)
    wanted = {"partition": partition, "estimator": estimator, "guidance": guidance, "dimension": dimension}
    chosen = select(spec, **{dim: names for dim, names in wanted.items() if names is not None}).compute()
    axis = axis or natural_axis(spec)
    rows = _window_rows(chosen, axis)
    dims = varying([names for names, _ in rows])
    by = [dim for dim in dims if dim in ("guidance", "estimator")]
    groups = list(dict.fromkeys(label(names, by) for names, _ in rows))
    lanes = list(
        dict.fromkeys(label(names, [dim for dim in dims if dim not in by] or ["partition"]) for names, _ in rows)
    )
    parts: list[Any] = []
    for place, (group, colour) in enumerate(zip(groups, style.colours(len(groups)), strict=True)):
        at = [i for i, (names, _) in enumerate(rows) if label(names, by) == group]
        lane_of = [lanes.index(label(rows[i][0], [d for d in dims if d not in by] or ["partition"])) for i in at]
        # the first lane stands on top; the groups share the height of a lane
        y = -np.array(lane_of, dtype=float) + 0.35 - 0.7 * (place + 0.5) / len(groups)
        parts += _bars([rows[i] for i in at], y, group or "transition window", colour, axis, len(groups))
    drawn = np.array([list(marks.values()) for _, marks in rows])
    height = int(max(160, 60 + max(20 * len(lanes) * len(groups), 26 * len(lanes))))
    return hv.Overlay(parts).opts(
        **style.frame(height=height, **style.noise_axis(drawn, style.logarithmic(spec, axis))),
        xlabel=style.AXIS_LABELS[axis],
        **style.legend(len(groups)),
        yticks=[(-i, name) for i, name in enumerate(lanes)],
        ylim=(-len(lanes) + 0.4, 0.6),
        ylabel="",
        title="; ".join(part for part in (title, f"diamond: peak of rate per {spec.attrs['time_axis']}") if part),
    )


def on_axis(spec: xr.Dataset, axis: str | None = None) -> xr.Dataset:
    """The summary on one axis: the one that is given if the summary has it, otherwise its natural one."""
    axes = [str(name) for name in spec["axis"].values]
    usual = "time" if axes == ["time"] else "sigma" if "sigma" in axes else axes[0]
    name = axis if axis in axes else usual
    return spec.sel(axis=name, drop=True).assign_attrs(time_axis=name)


def natural_axis(spec: xr.Dataset) -> str:
    """The axis on which places are best compared: the noise level, unless they are given in time."""
    return "time" if spec.attrs["time_axis"] == "time" else "sigma"


_MARKS = ("half_entropy", "half_entropy_lower", "half_entropy_upper", "peak", "window_start", "window_end")


def _window_rows(spec: xr.Dataset, axis: str) -> list[tuple[dict[str, str], dict[str, float]]]:
    """Names and places of every summary that has a half time or a peak."""
    origin = str(spec.attrs["time_axis"])
    dims = [dim for dim in SERIES_DIMS if dim in spec["half_entropy"].dims]
    rows = []
    for index in itertools.product(*(range(spec.sizes[dim]) for dim in dims)):
        at = dict(zip(dims, index, strict=True))
        one = spec.isel(at)
        marks = {name: float(style.moved(np.asarray(one[name].values, dtype=float), origin, axis)) for name in _MARKS}
        if np.isfinite(marks["half_entropy"]) or np.isfinite(marks["peak"]):
            rows.append((names_at(spec, at), marks))
    if not rows:
        raise SpecentError("nothing to draw: no half time or peak is finite in this selection")
    return rows


def _bars(rows: list[Any], y: Array, name: str, colour: str, axis: str, lanes: int) -> list[Any]:
    x, height = style.axis_dimension(axis), hv.Dimension("row")
    place = {mark: np.array([marks[mark] for _, marks in rows]) for mark in _MARKS}
    who = np.array([", ".join(names.values()) for names, _ in rows])
    ends = [hv.Dimension("window_start"), hv.Dimension("y0"), hv.Dimension("window_end"), hv.Dimension("y1")]
    bar = hv.Segments((place["window_start"], y, place["window_end"], y), ends, label=name)
    reach = [hv.Dimension("lower"), hv.Dimension("y0"), hv.Dimension("upper"), hv.Dimension("y1")]
    whisker = hv.Segments((place["half_entropy_lower"], y, place["half_entropy_upper"], y), reach, label=name)
    extra = [height, hv.Dimension("who"), hv.Dimension("lower"), hv.Dimension("upper")]
    bounds = (place["half_entropy_lower"], place["half_entropy_upper"])
    half = hv.Scatter((place["half_entropy"], y, who, *bounds), x, extra, label=name)
    peak = hv.Scatter((place["peak"], y, who), x, extra[:2], label=name)
    size = 9 if lanes < 4 else 6
    tips = [("", "@who"), (axis, f"@{{{axis}}}")]
    dot = {"color": colour, "size": size, "line_color": "white", "tools": ["hover"]}
    diamond = dot | {"fill_alpha": 0.0, "size": size + 8, "line_color": "black", "marker": "diamond"}
    return [
        bar.opts(color=colour, alpha=0.35, line_width=size + 3),
        whisker.opts(color=style.EXACT, line_width=1.5),
        half.opts(**dot, hover_tooltips=[*tips, ("interval", "[@lower, @upper]")]),
        peak.opts(**diamond, hover_tooltips=tips),
    ]


def pair_matrix(
    spec: xr.Dataset,
    axis: str | None = None,
    *,
    estimator: Names = None,
    guidance: Names = None,
    title: str | None = None,
) -> Any:
    """Half-entropy place of every pair of labels as a matrix: bright pairs are told apart at higher noise.

    Parameters
    ----------
    spec : Dataset
        Of kind ``speciation``, with pairs among its partitions.
    axis : {"sigma", "log_snr", "log_sigma", "time"}, optional
        In which the places are given; the noise level "sigma" by default, or "time" for places given in time.
    estimator, guidance : str, optional
        Which ones; by default the first that has a pair.
    title : str, optional
        Title of the figure.

    Returns
    -------
    holoviews.Overlay
        Heat map with colour bar and hover, and the numbers in the cells of up to 12 labels.

    Raises
    ------
    SpecentError
        If the dataset is of another kind, holds no pair, or a name is unknown.
    """
    spec = on_axis(need(spec, "speciation", "spec"), axis)
    style.heading(title)
    wanted = {"estimator": estimator, "guidance": guidance}
    chosen = select(spec, **{dim: names for dim, names in wanted.items() if names is not None}).compute()
    if "dimension" in chosen.dims:
        raise SpecentError("pair_matrix draws one model: take one dimension out of spec first, spec.isel(dimension=0)")
    pairs = {
        i: p for i, p in enumerate(definitions(chosen)) if p is not None and [len(s) for _, s in p.sides] == [1, 1]
    }
    at = _first_with_pairs(chosen, list(pairs))
    axis = axis or natural_axis(spec)
    origin = str(spec.attrs["time_axis"])
    cells: list[tuple[str, str, float, float, float]] = []
    for i, pair in pairs.items():
        one = chosen.isel({"partition": i, **at})
        place, *ends = (
            float(style.moved(np.asarray(one[f"half_entropy{part}"].values, dtype=float), origin, axis))
            for part in ("", "_lower", "_upper")
        )
        a, b = pair.labels
        cells += [(a, b, place, min(ends), max(ends)), (b, a, place, min(ends), max(ends))]
    who = {dim: str(chosen[dim].values[at[dim]]) for dim in at}
    labels = list(dict.fromkeys(name for pair in pairs.values() for name in pair.labels))
    heading = title or f"{', '.join(who.values())}: half-entropy place of every pair"
    return _matrix(cells, _as_in_data(labels), axis, heading)


def _first_with_pairs(spec: xr.Dataset, pairs: list[int]) -> dict[str, int]:
    if not pairs:
        raise SpecentError("spec holds no pair of labels; analyse pairs, for instance Partition.pair(a, b)")
    place = spec["half_entropy"].isel(partition=pairs).transpose("guidance", "estimator", "partition")
    finite = np.isfinite(place.values).any(axis=-1)
    if not finite.any():
        raise SpecentError("nothing to draw: no pair has a finite half time in this selection")
    names = [str(name) for name in spec["estimator"].values]
    # a measured matrix before the exact one
    order = sorted(range(len(names)), key=lambda e: names[e] == "exact")
    guidance, estimator = next((g, e) for g in range(finite.shape[0]) for e in order if bool(finite[g, e]))
    return {"estimator": estimator, "guidance": guidance}


def _as_in_data(labels: list[str]) -> list[str]:
    """Labels in the order in which the pairs name them; numbers by value."""
    return sorted(labels, key=float) if all(name.isdecimal() for name in labels) else labels


def _matrix(cells: list[tuple[str, str, float, float, float]], labels: list[str], axis: str, title: str) -> Any:
    a, b = hv.Dimension("label", values=labels), hv.Dimension("other label", values=labels[::-1])
    name = style.AXIS_LABELS[axis].partition("  (")[0]
    value = hv.Dimension("half", label=f"half-entropy place: {name}")
    heat = hv.HeatMap(cells, [a, b], [value, hv.Dimension("lower"), hv.Dimension("upper")])
    finite = [place for _, _, place, _, _ in cells if np.isfinite(place)]
    size = int(min(560, max(260, 46 * len(labels))))
    parts = [
        heat.opts(
            cmap="cividis", colorbar=True, tools=["hover"], clipping_colors={"NaN": "#dddddd"},
            hover_tooltips=[("pair", "@label | @{other label}"), ("half-entropy place", "@half [@lower, @upper]")],
            logz=axis == "sigma" and max(finite) > 4 * min(finite) > 0,
        )
    ]  # fmt: skip
    if len(labels) <= 12:
        middle = (min(finite) * max(finite)) ** 0.5 if axis == "sigma" else (min(finite) + max(finite)) / 2
        texts = [(x, y, f"{place:.3g}", place) for x, y, place, _, _ in cells if np.isfinite(place)]
        for dark in (True, False):
            some = [(x, y, text) for x, y, text, place in texts if (place > middle) == dark]
            colour = "black" if dark else "white"
            parts.append(hv.Labels(some, [a, b], hv.Dimension("text")).opts(text_color=colour, text_font_size="11px"))
    whole = style.frame(height=size) | {"frame_width": size, "show_grid": False}
    return hv.Overlay(parts).opts(**whole, title=title, xrotation=0 if len(labels) <= 12 else 90, show_legend=False)
