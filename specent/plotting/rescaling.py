"""Entropy over ambient dimensions, on raw and on rescaled time (arXiv 2602.09651).

Two equiprobable components with squared mean d and unit variance speciate at the time ln(d)/2 of a variance-preserving
schedule and at the noise level sqrt(d) of a variance-exploding one. Over time in units of the first, curves steepen
with d and cross at 1; over the noise level in units of the second they fall onto one curve.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import holoviews as hv
import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from specent import arguments
from specent.arguments import brief
from specent.axes import position
from specent.errors import SpecentError
from specent.plotting import style
from specent.plotting.curves import curve
from specent.plotting.labels import ColourScale
from specent.plotting.select import Names, Series, select, series
from specent.schedules import VP
from specent.schema import need

Array = NDArray[np.float64]


@dataclass(frozen=True)
class _Law:
    """A scale of time: its axis, its words, and the limits of the rescaled axis."""

    axis: str
    word: str
    text: str
    limits: tuple[float, float]


_LAWS = {
    "log": _Law("time", "time (variance-preserving schedule)", "t / t_s,  t_s = ln(d)/2", (0.0, 2.0)),
    "sqrt": _Law("sigma", "noise level", "σ / σ_s,  σ_s = √d", (0.05, 20.0)),
}


def rescaled(
    prof: xr.Dataset,
    law: str | None = None,
    *,
    partition: Names = None,
    estimator: Names = None,
    guidance: Names = None,
    dimension: Names = None,
    run: Names = None,
    data: bool = False,
) -> Any:
    """Entropy over ambient dimensions, against time and against time over the predicted speciation time.

    Parameters
    ----------
    prof : Dataset
        Of kind ``profiles``, with the dimension ``dimension``.
    law : {"log", "sqrt"}, optional
        "log": time of the variance-preserving schedule over ``ln(d)/2``; "sqrt": noise level over ``sqrt(d)``. By
        default "log" for profiles on that schedule, "sqrt" for others; those of any can be drawn with either.
    partition, estimator, guidance, dimension, run
        As for `entropy`; one of each must remain, but for the dimension.
    data : bool
        Return the numbers behind the figure instead of the figure.

    Returns
    -------
    holoviews.Layout, or pandas.DataFrame
        Two panels, raw and rescaled, with the predicted speciation as a dot on every curve and as a line at 1. As data
        a row for each point of each curve.

    Raises
    ------
    SpecentError
        If there is no dimension to scale with, several curves per dimension remain, or the law is unknown.
    """
    prof = need(prof, "profiles", "prof", ("entropy",))
    schedule = style.schedule_of(prof)
    if law is None:
        law = (schedule and schedule.scaling_law) or "sqrt"
    if not isinstance(law, str) or law not in _LAWS:
        raise SpecentError(f"law={brief(law)} must be 'log' (t_s = ln(d)/2) or 'sqrt' (sigma_s = sqrt(d))")
    if "dimension" not in prof.dims:
        raise SpecentError("prof has no dimension 'dimension' to rescale with; it must hold profiles at several d")
    # ln(1)/2 is no scale
    large = prof.sel(dimension=prof["dimension"].values > 1)
    if not large.sizes["dimension"]:
        raise SpecentError("prof has no ambient dimension above 1, which has no predicted speciation to rescale by")
    part = select(large, partition=partition, estimator=estimator, guidance=guidance, dimension=dimension, run=run)
    curves = _one_per_dimension(part, law)
    if arguments.flag(data, "data"):
        tables = [
            pd.DataFrame({"dimension": size, _LAWS[law].axis: one.x, "u": one.x / scale, "entropy": one.y})
            for size, (one, scale) in zip(part["dimension"].values, curves, strict=True)
        ]
        return pd.concat(tables, ignore_index=True)
    raw, scaled = _panels(curves, law)
    return hv.Layout([raw, scaled]).cols(1).opts(shared_axes=False)


def _one_per_dimension(prof: xr.Dataset, law: str) -> list[tuple[Series, float]]:
    """Curve of every dimension, on the axis of the law, and the scale of its time."""
    log_snr = style.positions(prof, "log_snr")
    x = position("time", log_snr, VP()) if law == "log" else position("sigma", log_snr)
    curves = []
    for size in prof["dimension"].values:
        several = series(prof.sel(dimension=[size]), "entropy", "log_snr")
        if len(several) > 1:
            raise SpecentError(
                "rescaled draws one curve per dimension: choose one partition, estimator, guidance and run"
            )
        curves.append((replace(several[0], x=x), float(np.log(size) / 2 if law == "log" else np.sqrt(size))))
    return curves


def _panels(curves: list[tuple[Series, float]], law: str) -> tuple[Any, Any]:
    kind = _LAWS[law]
    height = hv.Dimension("entropy", label=style.VALUE_LABELS["entropy"], unit="bit")
    x, u = style.axis_dimension(kind.axis), hv.Dimension("u", label=f"{kind.text}  (noise ⟶ data)")
    lines = [style.Stroke(hue) for hue in style.colours(len(curves), ordered=True)]
    pairs = list(zip(curves, lines, strict=True))
    raw = [curve(one, one.names["dimension"], x, height, line) for (one, _), line in pairs]
    scaled = [curve(one, one.names["dimension"], u, height, line, scale) for (one, scale), line in pairs]
    mark = hv.VLine(1.0).opts(color=style.NEUTRAL, line_width=1, line_dash="dotted")
    dots, scaled_dots = _speciation(pairs, (x, u), height)
    texts = tuple(one.names["dimension"].removeprefix("d = ") for one, _ in curves)
    bar = ColourScale("dimension d", tuple(line.colour for line in lines), texts)
    whole = style.frame(height=300) | {"show_legend": False, "invert_xaxis": True, "ylim": (0.0, 1.06), "hooks": [bar]}
    raw_axis, scaled_axis = (
        style.noise_axis(positions, law == "sqrt") for positions in (curves[0][0].x, np.array(kind.limits))
    )
    return (
        hv.Overlay([*raw, dots]).opts(**whole, **raw_axis, title=f"Raw {kind.word}; dots: predicted speciation"),
        hv.Overlay([*scaled, mark, scaled_dots]).opts(
            **whole, **scaled_axis, xlim=kind.limits, title=f"In units of the predicted speciation: {kind.word}"
        ),
    )


def _speciation(pairs: Sequence[Any], axes: tuple[Any, Any], height: Any) -> list[Any]:
    """Dots on every curve at its predicted speciation, over the raw and over the rescaled axis."""
    rows = []
    for (one, scale), line in pairs:
        order = np.argsort(one.x)
        inside = one.x.min() <= scale <= one.x.max()
        value = float(np.interp(scale, one.x[order], one.y[order])) if inside else np.nan
        rows.append((scale, value, line.colour))
    positions, values, hues = (np.array(part) for part in zip(*rows, strict=True))
    dots = [
        hv.Scatter((at, values, hues), axis, [height, hv.Dimension("hue")], label="predicted speciation")
        for at, axis in zip((positions, np.ones(len(positions))), axes, strict=True)
    ]
    return [one.opts(color="hue", size=8, line_color="black") for one in dots]
