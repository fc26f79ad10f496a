"""Profiles as curves with interval bands: entropy, its rate, mutual information.

Colour tells partitions, guidance settings and ambient dimensions apart, the dash the estimators; exact references are
black and dashed. Runs that are compared take the first of colour, dash and width of the line that nothing else needs:
the colour where there is one partition, setting and dimension, the dash where there is one estimator, otherwise the
width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import holoviews as hv
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from specent.errors import SpecentError
from specent.plotting import style
from specent.plotting.notes import short_notes
from specent.plotting.select import Names, Series, label, select_each, series_of_all, varying
from specent.schema import need

Array = NDArray[np.float64]
Profiles = xr.Dataset | Sequence[xr.Dataset]


def entropy(
    prof: Profiles,
    axis: str = "log_snr",
    *,
    partition: Names = None,
    estimator: Names = None,
    guidance: Names = None,
    dimension: Names = None,
    run: Names = None,
    title: str | None = None,
) -> Any:
    """Conditional entropy H[Z|X_t] in bits against a noise axis, one curve per partition, estimator and setting.

    Parameters
    ----------
    prof : Dataset or sequence of Dataset
        Of kind ``profiles``. Several are drawn together, for instance a measured and an exact one; where they hold
        curves of the same names, the legend names the dataset of each by its title or number.
    axis : {"log_snr", "sigma", "log_sigma", "time"}
        Horizontal axis; "sigma" is the noise level sigma/alpha on a logarithmic scale.
    partition, estimator, guidance, dimension, run : str or sequence, optional
        Names of what is drawn; all by default.
    title : str, optional
        Title of the figure.

    Returns
    -------
    holoviews.Overlay
        Curves and bands. More than 30 curves are replaced by medians over the partitions, with a dark band between the
        quartiles and a pale one between the extremes; the title says so. What is in view is the stretch on which the
        curves change; the rest can be panned to.

    Raises
    ------
    SpecentError
        If the dataset is of another kind, a name is unknown, or there is nothing to draw.

    Examples
    --------
    >>> import specent as sp
    >>> mix = sp.exact.GaussianMixture([[-1.0], [1.0]], labels=["a", "b"])
    >>> truth = sp.exact.profiles(mix, sp.schedules.VE(), sp.schedules.edm_grid(8), [sp.Partition.pair("a", "b")])
    >>> [type(part).__name__ for part in entropy(truth)]
    ['Curve']
    """
    selection = {
        "partition": partition, "estimator": estimator, "guidance": guidance, "dimension": dimension, "run": run,
    }  # fmt: skip
    return _curves(prof, "entropy", axis, selection, title)


def mutual_information(
    prof: Profiles,
    axis: str = "log_snr",
    *,
    partition: Names = None,
    estimator: Names = None,
    guidance: Names = None,
    dimension: Names = None,
    run: Names = None,
    title: str | None = None,
) -> Any:
    """Mutual information I[Z;X_t] in bits against a noise axis; see `entropy` for the parameters.

    Returns
    -------
    holoviews.Overlay
        Curves and bands.

    Raises
    ------
    SpecentError
        If the dataset is of another kind, a name is unknown, or there is nothing to draw.
    """
    selection = {
        "partition": partition, "estimator": estimator, "guidance": guidance, "dimension": dimension, "run": run,
    }  # fmt: skip
    return _curves(prof, "mutual_information", axis, selection, title)


def rate(
    prof: Profiles,
    axis: str | None = None,
    *,
    partition: Names = None,
    estimator: Names = None,
    guidance: Names = None,
    dimension: Names = None,
    run: Names = None,
    title: str | None = None,
) -> Any:
    """Entropy rate in bits per unit of the axis it was taken along, which the label names.

    Parameters
    ----------
    prof : Dataset or sequence of Dataset
        Of kind ``profiles``, all with the same ``rate_axis``.
    axis : {"log_snr", "sigma", "log_sigma", "time"}, optional
        Horizontal axis; the axis of the rate by default, over which the area under the curve is an entropy.
    partition, estimator, guidance, dimension, run, title
        As for `entropy`.

    Returns
    -------
    holoviews.Overlay
        Curves and bands.

    Raises
    ------
    SpecentError
        If the dataset is of another kind, a name is unknown, or rates along different axes are mixed.
    """
    datasets = _datasets(prof, "entropy_rate")
    axes = sorted({str(one.attrs["rate_axis"]) for one in datasets})
    if len(axes) > 1:
        raise SpecentError(f"prof holds rates along {', '.join(axes)}, which cannot share an axis; take them along one")
    selection = {
        "partition": partition, "estimator": estimator, "guidance": guidance, "dimension": dimension, "run": run,
    }  # fmt: skip
    return _curves(datasets, "entropy_rate", axis or axes[0], selection, title)


def _datasets(prof: Profiles, name: str) -> list[xr.Dataset]:
    datasets = [prof] if isinstance(prof, xr.Dataset) or not isinstance(prof, Sequence) else list(prof)
    if not datasets:
        raise SpecentError("prof is empty; give at least one profiles dataset")
    return [need(one, "profiles", "prof", (name,)) for one in datasets]


def _curves(prof: Profiles, name: str, axis: str, selection: dict[str, Names], title: str | None) -> Any:
    datasets = _datasets(prof, name)
    style.heading(title)
    parts = select_each(datasets, **selection)
    curves = series_of_all(parts, name, axis)
    x, height = style.axis_dimension(axis), style.value_dimension(datasets[0], name)
    note = ""
    if len(curves) <= style.MOST_CURVES:
        elements = _separate(curves, x, height)
    else:
        elements = _bundled(curves, x, height)
        note = f"median, quartiles (dark), extremes (pale) of {len(curves)} curves"
    log = any(style.logarithmic(one, axis) for one in datasets)
    heading = "; ".join(text for text in (title, note) if text)
    lines = [heading, *(short_notes(parts, curves) if name == "entropy" else [])]
    crosses, limits = _crosses(curves, x, height)
    return hv.Overlay([*elements, *crosses]).opts(
        **style.frame(**in_view(stretch(curves, log), log), **limits),
        **style.legend(len({element.label for element in [*elements, *crosses]})),
        title="\n".join(line for line in lines if line),
    )


def _crosses(curves: Sequence[Series], x: Any, height: Any) -> tuple[list[Any], dict[str, Any]]:
    """Marks on impossible values, and limits that keep the others in view; marks beyond stand at the limits."""
    if not any(one.impossible.any() for one in curves):
        return [], {}
    possible = np.concatenate([one.y[~one.impossible & np.isfinite(one.y)] for one in curves])
    values = np.concatenate([one.y[one.impossible] for one in curves])
    positions = np.concatenate([one.x[one.impossible] for one in curves])
    inside, limits = values, {}
    if possible.size:
        margin = 0.08 * (float(np.ptp(possible)) or 1.0)
        low, high = float(possible.min()) - margin, float(possible.max()) + margin
        inside, limits = np.clip(values, low + margin / 2, high - margin / 2), {"ylim": (low, high)}
    crosses = hv.Scatter((positions, inside, values), x, [height, hv.Dimension("value")], label="impossible value")
    tips = [("impossible value", "@value"), (x.name, f"@{{{x.name}}}")]
    crosses.opts(marker="x", color="#666666", size=9, line_width=2, tools=["hover"], hover_tooltips=tips)
    return [crosses], limits


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


def in_view(ends: tuple[float, float], log: bool) -> dict[str, Any]:
    """Options of a figure of which a stretch of the axis is in view."""
    return {"xlim": ends, **style.noise_axis(np.array(ends), log)}


def _separate(curves: list[Series], x: Any, height: Any) -> list[Any]:
    """Every curve for itself: bands first, so that no band hides a curve."""
    lines = _lines(curves)
    # many black references would bury the curves they belong to, and share an entry of the legend
    crowded = len(curves) > style.EASY
    faints = [crowded and line.colour == style.EXACT for line in lines]
    dims = varying([one.names for one, faint in zip(curves, faints, strict=True) if not faint])
    bands, elements = [], []
    for one, line, faint in zip(curves, lines, faints, strict=True):
        text = "exact" if faint else label(one.names, dims)
        if one.bounded and not faint:
            bands.append(_band(one, text, x, height, line.colour))
        elements.append(curve(one, text, x, height, replace(line, width=0.8) if faint else line))
    return bands + elements


def _lines(curves: list[Series]) -> list[style.Stroke]:
    """Colour, dash and width of every curve, by the rule at the top of this module."""
    measured = [one for one in curves if not one.exact]
    keys = _line_keys(measured or curves)
    colours, dashes, widths = (list(dict.fromkeys(key[part] for key in keys)) for part in range(3))
    # ambient dimensions are an ordered scale
    ordered = len({one.names.get("dimension") for one in measured or curves}) == len(colours) > 1
    hues = style.colours(len(colours), ordered)
    thickness = np.linspace(1.2, 3.6, len(widths)) if len(widths) > 1 else [2.2]
    lines = []
    for colour, dash, width in keys:
        # a palette used up starts again with another dash
        turn = 0 if ordered else colours.index(colour) // len(style.PALETTE)
        number = dashes.index(dash) + turn * len(dashes)
        lines.append(
            style.Stroke(
                hues[colours.index(colour)],
                style.DASHES[number % len(style.DASHES)],
                float(thickness[widths.index(width)]),
            )
        )
    line_of = iter(lines)
    return [style.REFERENCE if one.exact and measured else next(line_of) for one in curves]


def _line_keys(curves: Sequence[Series]) -> list[tuple[tuple[str | None, ...], str | None, str | None]]:
    """What decides the colour, the dash and the width of every curve."""
    keys = [tuple(one.names.get(dim) for dim in ("dimension", "partition", "guidance")) for one in curves]
    estimators = [one.names.get("estimator") for one in curves]
    runs = [one.names.get("run") for one in curves]
    alike = [None] * len(curves)
    if len(set(runs)) == 1:
        return list(zip(keys, estimators, alike, strict=True))
    if len(set(keys)) == 1:
        return list(zip([(run,) for run in runs], estimators, alike, strict=True))
    if len(set(estimators)) == 1:
        return list(zip(keys, runs, alike, strict=True))
    return list(zip(keys, estimators, runs, strict=True))


def curve(one: Series, text: str, x: Any, height: Any, line: style.Stroke, scale: float = 1.0) -> Any:
    """One curve, whose hover names it and its interval; `scale` divides its positions on the axis."""
    vdims = [height, hv.Dimension("lower"), hv.Dimension("upper"), hv.Dimension("curve")]
    columns = (one.x / scale, one.y, one.lower, one.upper, np.full(one.x.shape, text))
    return hv.Curve(columns, x, vdims, label=text).opts(
        color=line.colour,
        line_dash=line.dash,
        line_width=line.width,
        tools=["hover"],
        hover_tooltips=[
            ("", "@curve"),
            (x.name, f"@{{{x.name}}}"),
            (height.name, f"@{{{height.name}}} [@lower, @upper]"),
        ],
    )


def _band(one: Series, text: str, x: Any, height: Any, colour: str) -> Any:
    band = hv.Area((one.x, one.lower, one.upper), x, [height, hv.Dimension("upper")], label=text)
    return band.opts(color=colour, fill_alpha=0.2, line_alpha=0.0)


def _bundled(curves: list[Series], x: Any, height: Any) -> list[Any]:
    """Medians over the partitions of one family, with bands between the quartiles and between the extremes."""
    dims = [dim for dim in varying([one.names for one in curves]) if dim != "partition"]
    groups: dict[tuple[str, str, bytes], list[Series]] = {}
    for one in curves:
        groups.setdefault((one.family, label(one.names, dims), one.x.tobytes()), []).append(one)
    if len(groups) > style.MOST_CURVES:
        raise SpecentError(
            f"{len(curves)} curves make {len(groups)} medians, still more than {style.MOST_CURVES}; "
            "select fewer with partition=, estimator=, guidance=, dimension= or run="
        )
    medians = []
    for (family, text, _), members in groups.items():
        levels = np.quantile(np.stack([one.y for one in members]), [0.0, 0.25, 0.5, 0.75, 1.0], axis=0)
        name = ", ".join(part for part in (f"{family} ({len(members)})", text) if part)
        names = {**members[0].names, "partition": family}
        impossible = np.zeros(members[0].x.shape, dtype=bool)
        medians.append((name, Series(names, family, members[0].x, levels[2], levels[1], levels[3], impossible), levels))
    bands, elements = [], []
    for (name, one, levels), line in zip(medians, _lines([one for _, one, _ in medians]), strict=True):
        for low, high, alpha in ((levels[0], levels[4], 0.10), (levels[1], levels[3], 0.25)):
            band = hv.Area((one.x, low, high), x, [height, hv.Dimension("upper")], label=name)
            bands.append(band.opts(color=line.colour, fill_alpha=alpha, line_alpha=0.0))
        elements.append(curve(one, name, x, height, line))
    return bands + elements
