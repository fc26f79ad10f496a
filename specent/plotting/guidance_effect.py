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

Look = tuple[str, str | list[int]]

QUANTITIES = ("entropy_rate", "entropy")


def differences(
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
    >>> [type(part).__name__ for part in differences(diff)]
    ['Area', 'HLine', 'Curve', 'Segments']
    """
    need(diff, "differences", "diff")
    style.heading(title)
    if quantity not in QUANTITIES:
        raise SpecentError(f"quantity={brief(quantity)} is not one of {', '.join(QUANTITIES)}")
    axis = axis or str(diff.attrs["rate_axis"])
    wanted = {"partition": partition, "estimator": estimator, "guidance": guidance}
    chosen = select(diff, **{dim: names for dim, names in wanted.items() if names is not None})
    single = partition is not None or chosen.sizes["partition"] == 1
    name = f"{quantity}_difference"
    found = series(chosen, name if single else f"median_{name}", axis)
    if len(found) > style.MOST_CURVES:
        raise SpecentError(f"{len(found)} curves are too many; select fewer with partition=, estimator= or guidance=")
    quartiles = [] if single else _quartiles(chosen, name, axis)
    looks = _looks(found)
    dims = [style.axis_dimension(axis), _height(diff, quantity)]
    parts = [_band(one, look, dims, 0.15) for one, look in zip(quartiles, looks, strict=not single)]
    parts += [_band(one, look, dims, 0.3) for one, look in zip(found, looks, strict=True)]
    parts.append(hv.HLine(0.0).opts(color="#888888", line_width=1))
    told = varying([one.names for one in found])
    for one, (colour, dash) in zip(found, looks, strict=True):
        parts.append(curve(one, label(one.names, told), dims[0], dims[1], colour, dash=dash))
    hue = {one.names["guidance"]: colour for one, (colour, _) in zip(reversed(found), reversed(looks), strict=True)}
    parts += _bars(chosen, axis, _foot([*found, *quartiles]), hue, dims)
    note = f"median of {chosen.sizes['partition']} partitions, its interval (dark), quartiles (pale)"
    log = style.logarithmic(diff, axis)
    return hv.Overlay(parts).opts(
        **style.frame(**in_view(stretch(found, log), log)),
        **style.legend(len(found)),
        title="; ".join(part for part in (title, "" if single else note) if part),
    )


def _height(diff: xr.Dataset, quantity: str) -> Any:
    """Dimension of the values, named by what was subtracted from what."""
    per = f" per unit of {diff.attrs['rate_axis']}" if quantity == "entropy_rate" else ""
    what = quantity.replace("_", " ")
    return hv.Dimension(quantity, label=f"{what} less {diff.attrs['reference']}", unit=f"bit{per}")


def _looks(found: Sequence[Series]) -> list[Look]:
    """Colour by guidance setting and partition, dash by estimator."""
    keys = [(one.names["guidance"], one.names.get("partition")) for one in found]
    hue = dict(zip(dict.fromkeys(keys), style.colours(len(set(keys))), strict=True))
    estimators = list(dict.fromkeys(one.names["estimator"] for one in found))
    return [
        (hue[key], style.DASHES[estimators.index(one.names["estimator"]) % len(style.DASHES)])
        for key, one in zip(keys, found, strict=True)
    ]


def _quartiles(chosen: xr.Dataset, name: str, axis: str) -> list[Series]:
    """The stretch between the quartiles over the partitions, as the bounds of a series."""
    low, high = (series(chosen, f"{which}_quartile_{name}", axis) for which in ("lower", "upper"))
    return [
        Series(one.names, "", one.x, 0.5 * (one.y + other.y), one.y, other.y)
        for one, other in zip(low, high, strict=True)
    ]


def _band(one: Series, look: Look, dims: list[Any], alpha: float) -> Any:
    band = hv.Area((one.x, one.lower, one.upper), dims[0], [dims[1], hv.Dimension("upper")])
    return band.opts(color=look[0], fill_alpha=alpha, line_alpha=0.0)


def _foot(drawn: Sequence[Series]) -> tuple[float, float]:
    """Height of the lowest thing drawn, and of a row beneath it."""
    low, high = min(float(one.lower.min()) for one in drawn), max(float(one.upper.max()) for one in drawn)
    return low, 0.04 * ((high - low) or 1.0)


def _bars(chosen: xr.Dataset, axis: str, foot: tuple[float, float], hue: dict[str, str], dims: list[Any]) -> list[Any]:
    """A row per guidance setting, over the noise levels at which it guides."""
    level = np.exp(-0.5 * chosen["log_snr"].values)
    limits = np.clip([chosen["sigma_lo"].values, chosen["sigma_hi"].values], level.min(), level.max())
    # only the times of the grid are known by their levels
    clock = (np.log(level), style.places(chosen, axis))
    first, last = np.interp(np.log(limits), *clock) if axis == "time" else style.moved(limits, "sigma", axis)
    ends = [dims[0], dims[1], hv.Dimension("end"), hv.Dimension("foot")]
    bars = []
    for row, setting in enumerate(str(name) for name in chosen["guidance"].values):
        y = foot[0] - (row + 1) * foot[1]
        bar = hv.Segments([(first[row], y, last[row], y, setting)], ends, hv.Dimension("guidance"))
        bars.append(
            bar.opts(color=hue[setting], line_width=5, tools=["hover"], hover_tooltips=[("guides", "@guidance")])
        )
    return bars
