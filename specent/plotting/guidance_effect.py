"""Guided minus unguided profiles: medians over the classes with their quartiles (arXiv 2602.09651, Fig. 3)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import holoviews as hv
import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from specent import arguments
from specent.errors import SpecentError
from specent.plotting import colouring, labels, noise_axis, style
from specent.plotting.comparison import ESTIMATOR_NAMES
from specent.plotting.curves import curve
from specent.plotting.marks import setting_text
from specent.plotting.select import Names, Series, label, names_at, select, series, varying
from specent.plotting.views import stretch
from specent.schema import need

QUANTITIES = ("entropy_rate", "entropy")
# height of a row of bars at the foot, as a share of that of the curves
_ROW = 0.04


def guidance_effect(
    diff: xr.Dataset,
    quantity: str = "entropy_rate",
    axis: str | None = None,
    *,
    partition: Names = None,
    estimator: Names = None,
    guidance: Names = None,
    title: str | None = None,
    data: bool = False,
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
    data : bool
        Return the numbers behind the figure instead of the figure.

    Returns
    -------
    holoviews.Overlay, or pandas.DataFrame
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
    quantity = arguments.choice(quantity, "quantity", QUANTITIES)
    diff = need(diff, "differences", "diff")
    style.heading(title)
    axis = style.axis_or(axis, str(diff.attrs["rate_axis"]))
    part = select(diff, partition=partition, estimator=estimator, guidance=guidance)
    single = partition is not None or part.sizes["partition"] == 1
    name = f"{quantity}_difference"
    curves = series(part, name if single else f"median_{name}", axis)
    if len(curves) > style.MOST_CURVES:
        raise SpecentError(f"{len(curves)} curves are too many; select fewer with partition=, estimator= or guidance=")
    quartiles = [] if single else _quartiles(part, name, axis)
    if arguments.flag(data, "data"):
        return _table(curves, quartiles, axis, quantity)
    lines = _lines(curves)
    dims = [style.axis_dimension(axis), _height(diff, quantity)]
    elements = [_band(one, line, dims, 0.15) for one, line in zip(quartiles, lines, strict=not single)]
    elements += [_band(one, line, dims, 0.3) for one, line in zip(curves, lines, strict=True)]
    elements.append(hv.HLine(0.0).opts(color=style.NEUTRAL, line_width=1))
    differing = varying([one.names for one in curves])
    for one, line in zip(curves, lines, strict=True):
        elements.append(curve(one, label(one.names, differing), dims[0], dims[1], line))
    hue = {one.names["guidance"]: line.colour for one, line in zip(reversed(curves), reversed(lines), strict=True)}
    foot = foot_of([*curves, *quartiles])
    elements += guiding_bars(part, axis, foot, hue, dims)
    note = "" if single else f"median of {part.sizes['partition']} partitions, its interval (dark), quartiles (pale)"
    note = f"{note}{bars_note(part)}".removeprefix("; ")
    words = title or f"What does guidance change in the {quantity.replace('_', ' ')}?"
    ends = stretch(curves, style.logarithmic(diff, axis))
    highest = foot[0] + foot[1] / _ROW
    ylim = foot[0] - (part.sizes["guidance"] + 1.5) * foot[1], highest + 2 * foot[1]
    options = noise_axis.view(diff, axis, ends)
    named = _names(curves, lines, differing, (ends, ylim, (style.FRAME_WIDTH, style.FRAME_HEIGHT)))
    return hv.Overlay(elements).opts(
        **style.frame() | options | {"hooks": [*options["hooks"], *named]},
        xlabel=dims[0].label, ylabel=dims[1].pprint_label, ylim=ylim, show_legend=False,
        title=style.TitleText("\n".join(text for text in (words, note) if text)),
    )  # fmt: skip


def _names(curves: Sequence[Series], lines: Sequence[style.Stroke], differing: Sequence[str], frame: Any) -> list[Any]:
    """A name beside the first curve of every colour, and the line styles of the estimators."""
    first = {line.colour: one for one, line in zip(reversed(curves), reversed(lines), strict=True)}
    dims = [dim for dim in differing if dim != "estimator"]
    texts = [", ".join(setting_text(one.names[dim]) for dim in dims if dim in one.names) for one in first.values()]
    paths = [(one.x, one.y) for one in first.values()]
    hooks: list[Any] = [labels.direct_labels(paths, texts, list(first), frame)] if len(first) > 1 else []
    styles = {one.names["estimator"]: line for one, line in zip(curves, lines, strict=True)}
    entries = tuple(
        (ESTIMATOR_NAMES.get(name, name), line.dash if isinstance(line.dash, str) else tuple(line.dash), line.width)
        for name, line in styles.items()
    )
    return [*hooks, *([labels.StyleLegend(entries)] if len(entries) > 1 else [])]


def _table(curves: Sequence[Series], quartiles: Sequence[Series], axis: str, quantity: str) -> pd.DataFrame:
    """A row for each point of each curve, with the quartiles over the partitions where medians are drawn."""
    parts = []
    for i, one in enumerate(curves):
        columns = {**one.names, axis: one.x, quantity: one.y, "lower": one.lower, "upper": one.upper}
        if quartiles:
            columns |= {"lower_quartile": quartiles[i].lower, "upper_quartile": quartiles[i].upper}
        parts.append(pd.DataFrame(columns))
    return pd.concat(parts, ignore_index=True)


def _height(diff: xr.Dataset, quantity: str) -> Any:
    """Dimension of the values, named by what was subtracted from what."""
    per = f" per unit of {style.AXIS_NAMES[str(diff.attrs['rate_axis'])]}" if quantity == "entropy_rate" else ""
    what = quantity.replace("_", " ")
    return hv.Dimension(quantity, label=f"{what} less {diff.attrs['reference']}", unit=f"bit{per}")


def _lines(curves: Sequence[Series]) -> list[style.Stroke]:
    """Colour by guidance setting and partition, dash by estimator."""
    several = [dim for dim in ("guidance", "partition") if len({one.names.get(dim) for one in curves}) > 1]
    compared = several or ["guidance"]
    keys = [label(one.names, compared) for one in curves]
    hue = colouring.hues(list(dict.fromkeys(keys)))
    return [style.Stroke(hue[key], style.dash(one.names["estimator"])) for key, one in zip(keys, curves, strict=True)]


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


def foot_of(curves: Sequence[Series]) -> tuple[float, float]:
    """Height of the lowest bound, and of a row of bars beneath it."""
    ends = np.concatenate([end for one in curves for end in (one.y, one.lower, one.upper)])
    finite = ends[np.isfinite(ends)]
    low, high = float(finite.min()), float(finite.max())
    return low, _ROW * ((high - low) or 1.0)


def bars_note(part: xr.Dataset) -> str:
    """What the bars at the foot stand for; nothing where there are none."""
    return "; bars: noise levels at which a setting guides" if _guiding(part).any() else ""


def _guiding(part: xr.Dataset) -> NDArray[np.bool_]:
    """Which settings are known to guide; of those that were averaged over nothing is known."""
    if not {"guidance_scale", "sigma_lo", "sigma_hi"} <= set(part.coords):
        return np.zeros(part.sizes["guidance"], dtype=bool)
    return np.asarray(part["guidance_scale"].values != 1.0)


def guiding_bars(
    part: xr.Dataset, axis: str, foot: tuple[float, float], hue: dict[str, str], dims: list[Any]
) -> list[Any]:
    """A row per guidance setting, over the noise levels at which it guides."""
    guiding = _guiding(part)
    if not guiding.any():
        return []
    level = np.exp(-0.5 * part["log_snr"].values)
    limits = np.clip([part["sigma_lo"].values, part["sigma_hi"].values], level.min(), level.max())
    # only the times of the grid are known by their levels
    grid = (np.log(level), style.positions(part, axis))
    first, last = np.interp(np.log(limits), *grid) if axis == "time" else style.to_axis(limits, "sigma", axis)
    ends = [dims[0], dims[1], hv.Dimension("end"), hv.Dimension("foot")]
    bars = []
    for row in range(part.sizes["guidance"]):
        setting = names_at(part, {"guidance": row})["guidance"]
        if not guiding[row]:
            continue
        y = foot[0] - (row + 1) * foot[1]
        bar = hv.Segments([(first[row], y, last[row], y, setting)], ends, hv.Dimension("guidance"))
        bars.append(
            bar.opts(color=hue[setting], line_width=5, tools=["hover"], hover_tooltips=[("guides", "@guidance")])
        )
    return bars
