"""The marks of a speciation summary (half-entropy, peak, transition window) read on one axis."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import holoviews as hv
import numpy as np
import xarray as xr

from specent import exact
from specent.axes import check_axis
from specent.errors import SpecentError
from specent.plotting import style
from specent.plotting.labels import MARK_LOOK, DirectLabels, MarkLegend

_BIFURCATION, _SPECIATION = "bifurcation", "predicted speciation"
_SHAPES = {_BIFURCATION: "triangle", _SPECIATION: "inverted_triangle"}

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


def setting_text(name: str) -> str:
    """Short name of a guidance setting, for a label in a figure; the details belong into the hover.

    Examples
    --------
    >>> setting_text("w=2.9 for 0.48<sigma<=6.8"), setting_text("w=2 for 0.5<sigma"), setting_text("w=2")
    ('w=2.9, σ 0.48–6.8', 'w=2, σ > 0.5', 'w=2')
    """
    short = re.sub(r" for ([^<]+)<sigma<=(\S+)$", r", σ \1–\2", name)
    return re.sub(r" for ([^<]+)<sigma$", r", σ > \1", short)


@dataclass(frozen=True)
class Landmark:
    """A position on a noise axis at which something is predicted of a mixture."""

    text: str
    position: float
    dash: str


def landmarks(dataset: xr.Dataset, axis: str) -> list[Landmark]:
    """Where the mixture behind a dataset is predicted to decide: bifurcations of the drift, and speciation.

    Parameters
    ----------
    dataset : Dataset
        Profiles or trajectories that record their mixture; of others nothing is predicted.
    axis : {"log_snr", "sigma", "log_sigma", "time"}
        The axis of the positions.

    Returns
    -------
    list of Landmark
        Bifurcations of a mixture in one dimension (arXiv 2305.19693), and the spectral prediction of speciation
        (arXiv 2402.18491); on the axis "time" as far as they lie within the times of the dataset.
    """
    mix = exact.recorded_mixture(dataset)
    if mix is None:
        return []
    levels = [(_BIFURCATION, level, "dotted") for level in (exact.bifurcations(mix) if mix.dimension == 1 else ())]
    if len(mix.weights) > 1:
        levels.append((_SPECIATION, exact.spectral_log_snr(mix), "dashdot"))
    found = []
    for text, level, dash in levels:
        if axis == "time":
            log_snr = dataset["log_snr"].values
            if not log_snr.min() <= level <= log_snr.max():
                continue
            order = np.argsort(log_snr)
            position = float(np.interp(level, log_snr[order], dataset["time"].values[order]))
        else:
            position = float(style.to_axis(np.array([level]), "log_snr", axis)[0])
        found.append(Landmark(text, position, dash))
    return found


def landmark_elements(
    marks: Sequence[Landmark], ends: tuple[float, float], ylim: tuple[float, float], x: Any, y: Any
) -> tuple[list[Any], DirectLabels]:
    """Vertical lines at landmarks that are in view, and their names at the foot of the figure, one above the other.

    Parameters
    ----------
    marks : sequence of Landmark
        The landmarks.
    ends, ylim : tuple of float
        Limits of both axes.
    x, y : Dimension
        Dimensions of the figure.
    """
    inside = [one for one in marks if ends[0] <= one.position <= ends[1]]
    lines = [
        hv.Curve([(one.position, ylim[0]), (one.position, ylim[1])], x, y, label=one.text).opts(
            color=style.NEUTRAL, line_width=1.4, line_dash=one.dash
        )
        for one in inside
    ]
    heights = [ylim[0] + (0.05 + 0.07 * i) * (ylim[1] - ylim[0]) for i in range(len(inside))]
    positions, texts = tuple(one.position for one in inside), tuple(one.text for one in inside)
    return lines, DirectLabels(positions, tuple(heights), texts, (style.NEUTRAL,) * len(inside))


def marks_on_curves(
    datasets: Sequence[xr.Dataset], axis: str, ends: tuple[float, float], ylim: tuple[float, float], x: Any, y: Any
) -> tuple[list[Any], list[MarkLegend]]:
    """Lines with a mark at their foot at the landmarks of the mixture behind some profiles, and their legend.

    Parameters
    ----------
    datasets : sequence of Dataset
        Profiles; the first that record a mixture say where its landmarks are.
    axis : {"log_snr", "sigma", "log_sigma", "time"}
        The axis of the curves.
    ends, ylim : tuple of float
        Limits of both axes, which are not widened for a landmark beyond them.
    x, y : Dimension
        Dimensions of the figure.
    """
    known = next((marks for marks in (landmarks(one, axis) for one in datasets) if marks), [])
    groups: dict[str, list[float]] = {}
    for one in known:
        if ends[0] <= one.position <= ends[1]:
            groups.setdefault(one.text, []).append(one.position)
    elements: list[Any] = []
    for text, positions in groups.items():
        at, count = np.array(positions), len(positions)
        top = hv.Dimension("to"), hv.Dimension("top")
        lines = hv.Segments((at, np.full(count, ylim[0]), at, np.full(count, ylim[1])), [x, y, *top])
        elements.append(lines.opts(color=style.NEUTRAL, line_width=1.0, alpha=0.5))
        foot = hv.Scatter((at, np.full(count, ylim[0] + 0.03 * (ylim[1] - ylim[0])), [text] * count), x, [y, "what"])
        tips = [("", "@what"), (x.name, f"@{{{x.name}}}")]
        elements.append(foot.opts(marker=_SHAPES[text], tools=["hover"], hover_tooltips=tips, **MARK_LOOK))
    entries = tuple((text, _SHAPES[text]) for text in groups)
    return elements, [MarkLegend(entries)] if entries else []


def together(*names: DirectLabels) -> DirectLabels:
    """Several sets of labels as one, since a figure has one."""
    x, y, texts, hues = (
        tuple(part for one in names for part in getattr(one, field)) for field in ("x", "y", "texts", "colours")
    )
    return DirectLabels(x, y, texts, hues)


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
