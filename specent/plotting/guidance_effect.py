"""Guided minus unguided profiles: medians over the classes with their quartiles (arXiv 2602.09651, Fig. 3)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import holoviews as hv
import numpy as np
import xarray as xr

from specent.arguments import brief
from specent.errors import SpecentError
from specent.plotting import style
from specent.plotting.curves import curve, in_view, stretch
from specent.plotting.select import Names, Series, label, select, series, varying
from specent.schema import need

QUANTITIES = ("entropy_rate", "entropy")


def guidance_effect(
    diff: xr.Dataset,
    quantity: str = "entropy_rate",
    axis: str | None = None,
    *,
    partition: Names = None,
    estimator: Names = None,
    guidance: Names = None,
    title: str | None = None,
) -> Any:
    """What guidance settings change: the median over all partitions, or single partitions, against a noise axis.

    Parameters
    ----------
    diff : Dataset
        Of kind ``differences``, see `specent.analysis.differences`.
    quantity : {"entropy_rate", "entropy"}
        What is drawn, in bits.
    axis : {"log_snr", "sigma", "log_sigma", "time"}, optional
        Horizontal axis; the axis of the rate by default.
    partition : str or sequence, optional
        Partitions to draw one by one, with their intervals; by default their median is drawn, as curve with its
        interval (dark), between the quartiles (pale).
    estimator, guidance : str or sequence, optional
        Names of what is drawn; all by default.
    title : str, optional
        Title of the figure.

    Returns
    -------
    holoviews.Overlay
        Curves and bands, a line at zero, and bars at the foot over the noise levels at which each setting guides.

    Raises
    ------
    SpecentError
        If the dataset is of another kind, the quantity or a name is unknown, or there are too many curves.

    Examples
    --------
    >>> import specent as sp
    >>> mix = sp.exact.GaussianMixture([[-4.0], [4.0]], labels=["left", "right"])
    >>> runs = sp.sample(sp.models.mixture(mix), schedule=sp.schedules.VE(), time=sp.schedules.edm_grid(16),
    ...                  samples=20, guidance=[sp.Guidance(), sp.Guidance(2.0)], progress=False)
    >>> diff = sp.analysis.differences(sp.entropy(runs, "left|right", "path"))
    >>> [type(part).__name__ for part in guidance_effect(diff)]
    ['Area', 'HLine', 'Curve', 'Segments']
    """
    if quantity not in QUANTITIES:
        raise SpecentError(f"quantity={brief(quantity)} is not one of {', '.join(QUANTITIES)}")
    diff = need(diff, "differences", "diff")
    style.heading(title)
    axis = axis or str(diff.attrs["rate_axis"])
    part = select(diff, partition=partition, estimator=estimator, guidance=guidance)
    single = partition is not None or part.sizes["partition"] == 1
    name = f"{quantity}_difference"
    curves = series(part, name if single else f"median_{name}", axis)
    if len(curves) > style.MOST_CURVES:
        raise SpecentError(f"{len(curves)} curves are too many; select fewer with partition=, estimator= or guidance=")
    quartiles = [] if single else _quartiles(part, name, axis)
    lines = _lines(curves)
    dims = [style.axis_dimension(axis), _height(diff, quantity)]
    elements = [_band(one, line, dims, 0.15) for one, line in zip(quartiles, lines, strict=not single)]
    elements += [_band(one, line, dims, 0.3) for one, line in zip(curves, lines, strict=True)]
    elements.append(hv.HLine(0.0).opts(color="#888888", line_width=1))
    differing = varying([one.names for one in curves])
    for one, line in zip(curves, lines, strict=True):
        elements.append(curve(one, label(one.names, differing), dims[0], dims[1], line))
    hue = {one.names["guidance"]: line.colour for one, line in zip(reversed(curves), reversed(lines), strict=True)}
    elements += _bars(part, axis, _foot([*curves, *quartiles]), hue, dims)
    note = f"median of {part.sizes['partition']} partitions, its interval (dark), quartiles (pale)"
    log = style.logarithmic(diff, axis)
    return hv.Overlay(elements).opts(
        **style.frame(**in_view(stretch(curves, log), log)),
        **style.legend(len(curves)),
        title="; ".join(text for text in (title, "" if single else note) if text),
    )


def _height(diff: xr.Dataset, quantity: str) -> Any:
    """Dimension of the values, named by what was subtracted from what."""
    per = f" per unit of {diff.attrs['rate_axis']}" if quantity == "entropy_rate" else ""
    what = quantity.replace("_", " ")
    return hv.Dimension(quantity, label=f"{what} less {diff.attrs['reference']}", unit=f"bit{per}")


def _lines(curves: Sequence[Series]) -> list[style.Stroke]:
    """Colour by guidance setting and partition, dash by estimator."""
    keys = [(one.names["guidance"], one.names.get("partition")) for one in curves]
    hue = dict(zip(dict.fromkeys(keys), style.colours(len(set(keys))), strict=True))
    estimators = list(dict.fromkeys(one.names["estimator"] for one in curves))
    return [
        style.Stroke(hue[key], style.DASHES[estimators.index(one.names["estimator"]) % len(style.DASHES)])
        for key, one in zip(keys, curves, strict=True)
    ]


def _quartiles(part: xr.Dataset, name: str, axis: str) -> list[Series]:
    """The stretch between the quartiles over the partitions, as the bounds of a series."""
    low, high = (series(part, f"{which}_quartile_{name}", axis) for which in ("lower", "upper"))
    return [
        Series(one.names, "", one.x, 0.5 * (one.y + other.y), one.y, other.y, one.impossible)
        for one, other in zip(low, high, strict=True)
    ]


def _band(one: Series, line: style.Stroke, dims: list[Any], alpha: float) -> Any:
    band = hv.Area((one.x, one.lower, one.upper), dims[0], [dims[1], hv.Dimension("upper")])
    return band.opts(color=line.colour, fill_alpha=alpha, line_alpha=0.0)


def _foot(curves: Sequence[Series]) -> tuple[float, float]:
    """Height of the lowest bound, and of a row of bars beneath it."""
    low, high = min(float(one.lower.min()) for one in curves), max(float(one.upper.max()) for one in curves)
    return low, 0.04 * ((high - low) or 1.0)


def _bars(part: xr.Dataset, axis: str, foot: tuple[float, float], hue: dict[str, str], dims: list[Any]) -> list[Any]:
    """A row per guidance setting, over the noise levels at which it guides."""
    level = np.exp(-0.5 * part["log_snr"].values)
    limits = np.clip([part["sigma_lo"].values, part["sigma_hi"].values], level.min(), level.max())
    # only the times of the grid are known by their levels
    grid = (np.log(level), style.positions(part, axis))
    first, last = np.interp(np.log(limits), *grid) if axis == "time" else style.to_axis(limits, "sigma", axis)
    ends = [dims[0], dims[1], hv.Dimension("end"), hv.Dimension("foot")]
    bars = []
    for row, setting in enumerate(str(name) for name in part["guidance"].values):
        y = foot[0] - (row + 1) * foot[1]
        bar = hv.Segments([(first[row], y, last[row], y, setting)], ends, hv.Dimension("guidance"))
        bars.append(
            bar.opts(color=hue[setting], line_width=5, tools=["hover"], hover_tooltips=[("guides", "@guidance")])
        )
    return bars
