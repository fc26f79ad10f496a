"""Scaling of the speciation time with the ambient dimension: points, fitted law, residuals (arXiv 2602.09651)."""

from __future__ import annotations

from typing import Any

import holoviews as hv
import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from specent import arguments
from specent.errors import SpecentError
from specent.plotting import style
from specent.plotting.marks import MARKS, on_axis
from specent.plotting.select import Names, indices, label, names_at, select, varying
from specent.schema import need

Array = NDArray[np.float64]

_FIT_DIMS = ("run", "partition", "guidance", "estimator")


def scaling(
    spec: xr.Dataset,
    fit: xr.Dataset,
    *,
    partition: Names = None,
    estimator: Names = None,
    guidance: Names = None,
    run: Names = None,
    data: bool = False,
) -> Any:
    """Half-entropy times or noise levels over the ambient dimension with the fitted law, and its residuals beneath.

    Parameters
    ----------
    spec : Dataset
        Of kind ``speciation``, with the dimension ``dimension``.
    fit : Dataset
        Of kind ``scaling``, fitted to `spec`.
    partition, estimator, guidance, run : str or sequence, optional
        Names of what is drawn; all by default.
    data : bool
        Return the numbers behind the figure instead of the figure.

    Returns
    -------
    holoviews.Layout, or pandas.DataFrame
        The law ("log": half time against ln(d)/2; "sqrt": noise level against d, both logarithmic), the predicted
        speciation as a thin dashed line, and the residuals. Slope or exponent stand in the title, or in the legend
        where there are several, with the range that was fitted, the local slope or exponent at its ends and the largest
        residual; with a standard error only where the half-entropies have intervals: exact curves have no sampling
        error, and what is left of the law is systematic. As data a row for each dimension.

    Raises
    ------
    SpecentError
        If a dataset is of another kind, has no dimension to scale with, or a name is unknown.
    """
    spec = need(spec, "speciation", "spec", MARKS)
    fit = need(fit, "scaling", "fit", ("intercept", "residual"))
    if "dimension" not in spec.dims:
        raise SpecentError("spec has no dimension 'dimension'; a scaling needs speciation at several d")
    if not (spec["dimension"].values > 0).all():
        raise SpecentError("spec has an ambient dimension that is not positive, of which there is no logarithm")
    selection = {"partition": partition, "estimator": estimator, "guidance": guidance, "run": run}
    logarithmic = fit.attrs["law"] == "log"
    name = "slope" if logarithmic else "exponent"
    need(fit, "scaling", "fit", (name, f"{name}_standard_error"))
    fits = _fits(select(spec, **selection).compute(), select(fit, **selection).compute(), logarithmic)
    if arguments.flag(data, "data"):
        return pd.concat([_table(names, one, spec["dimension"].values) for names, one in fits], ignore_index=True)
    dims = varying([names for names, _ in fits])
    texts = [f"{label(names, dims)}: {one['text']}" if len(fits) > 1 else label(names, dims) for names, one in fits]
    x, y = _axes(logarithmic)
    upper: list[Any] = []
    lower: list[Any] = []
    for (_, one), text, colour in zip(fits, texts, style.colours(len(fits)), strict=True):
        upper += _law(one, text, x, y, colour)
        rest = hv.Scatter((one["x"], one["residual"]), x, hv.Dimension("residual", label="residual"))
        lower.append(rest.opts(color=colour, size=6))
    upper.append(_prediction(fits[0][1]["x"], logarithmic, x, y))
    lower.append(hv.HLine(0.0).opts(color="gray", line_width=1))
    one = fits[0][1]
    title = f"{one['text']}\n{one['details']}" if len(fits) == 1 else "How the half-entropy grows with the dimension"
    shared = _shared(np.concatenate([one["x"] for _, one in fits]), logarithmic)
    names: dict[str, Any] = {"xlabel": x.label, "ylabel": y.label}
    if not logarithmic:
        names |= {"logy": True, "yticks": style.ticks(np.concatenate([one["y"] for _, one in fits]))}
    top = hv.Overlay(upper).opts(
        **style.frame(**shared, **names), **style.legend(len(fits) + 1), title=style.TitleText(title)
    )
    what = "half-entropy time minus fit" if logarithmic else "ln(half-entropy noise level) minus fit"
    bottom = hv.Overlay(lower).opts(
        **style.frame(height=130, **shared, yformatter="%.2g"), show_legend=False, title=f"Residuals: {what}"
    )
    return hv.Layout([top, bottom]).cols(1).opts(shared_axes=False)


def _shared(sizes: Array, logarithmic: bool) -> dict[str, Any]:
    """Options of the horizontal axis, the same for both panels."""
    low, high = float(sizes.min()), float(sizes.max())
    if logarithmic:
        margin = 0.05 * (high - low)
        return {"xlim": (low - margin, high + margin)}
    margin = (high / low) ** 0.05
    return {"xlim": (low / margin, high * margin), **style.noise_axis(sizes, True)}


def _axes(logarithmic: bool) -> tuple[Any, Any]:
    if logarithmic:
        return hv.Dimension("half_log_dimension", label="ln(d)/2"), hv.Dimension(
            "half_entropy", label="half-entropy time t"
        )
    return hv.Dimension("dimension", label="ambient dimension d"), hv.Dimension(
        "half_entropy", label="half-entropy noise level σ/α"
    )


def _fits(spec: xr.Dataset, fit: xr.Dataset, logarithmic: bool) -> list[tuple[dict[str, str], dict[str, Any]]]:
    """Points, line and residuals of every fit, over the ambient dimensions."""
    name = "slope" if logarithmic else "exponent"
    marks = on_axis(spec, "time" if logarithmic else "sigma")
    size = np.asarray(spec["dimension"].values, dtype=float)
    x = np.log(size) / 2 if logarithmic else size
    fits = []
    for at in indices(fit, [dim for dim in _FIT_DIMS if dim in fit[name].dims]):
        one = fit.isel(at)
        try:
            points = marks.sel({dim: fit[dim].values[i] for dim, i in at.items()})
        except KeyError as error:
            raise SpecentError(f"fit holds {error.args[0]!r}, spec does not: give the spec that was fitted") from error
        slope, intercept = float(one[name]), float(one["intercept"])
        if not np.isfinite(slope):
            continue
        half, lower, upper = (points[f"half_entropy{bound}"].values for bound in ("", "_lower", "_upper"))
        residual = np.asarray(one["residual"].reindex(dimension=spec["dimension"].values).values, dtype=float)
        used = np.isfinite(residual) & np.isfinite(half)
        if not used.any():
            raise SpecentError("fit was made at no dimension at which spec has a number: give the spec that was fitted")
        fits.append((names_at(fit, at), {
            "x": x, "y": half, "lower": lower, "upper": upper,
            "line": intercept + slope * x if logarithmic else np.exp(intercept + slope * np.log(size)),
            "residual": residual, "used": used,
            "text": f"{name} {slope:.4f}",
        }))  # fmt: skip
        fits[-1][1].update(_described(fits[-1][1], name, size, float(one[f"{name}_standard_error"])))
    if not fits:
        raise SpecentError(f"nothing to draw: no {name} is finite in this selection")
    return fits


def _described(one: dict[str, Any], name: str, size: Array, error: float) -> dict[str, Any]:
    """The text of a fit, with its standard error if the points are random, and what is to be said of the fit."""
    used = one["used"]
    x, y = (one["x"], one["y"]) if name == "slope" else (np.log(one["x"]), np.log(one["y"]))
    local = np.full(len(x), np.nan)
    local[np.flatnonzero(used)[1:]] = np.diff(y[used]) / np.diff(x[used])
    known = local[np.isfinite(local)]
    random = bool(np.any(one["upper"][used] > one["lower"][used]))
    details = f"fitted from {style.dimension_text(size[used][0])} to {style.dimension_text(size[used][-1])}"
    if known.size:
        details += (
            f", locally {known[0]:.4f} to {known[-1]:.4f}, residuals up to {np.abs(one['residual'][used]).max():.1g}"
        )
    return {"local": local, "details": details, "text": one["text"] + (f" ± {error:.1g}" if random else "")}


def _table(names: dict[str, str], one: dict[str, Any], size: Array) -> pd.DataFrame:
    columns = {"half_entropy": one["y"], "lower": one["lower"], "upper": one["upper"]}
    fitted = {"fit": np.where(one["used"], one["line"], np.nan), "residual": one["residual"], "local": one["local"]}
    return pd.DataFrame({**names, "dimension": size, **columns, **fitted})


def _prediction(x: Array, logarithmic: bool, across: Any, up: Any) -> Any:
    """The predicted speciation of two components of squared mean d: the time ln(d)/2, or the noise level sqrt(d)."""
    text = "predicted speciation ln(d)/2" if logarithmic else "predicted speciation √d"
    line = hv.Curve((x, x if logarithmic else np.sqrt(x)), across, up, label=text)
    return line.opts(color=style.NEUTRAL, line_width=1.2, line_dash=style.EXACT_DASH)


def _law(one: dict[str, Any], text: str, x: Any, y: Any, colour: str) -> list[Any]:
    reach = [hv.Dimension(name) for name in ("x0", "lower", "x1", "upper")]
    return [
        hv.Segments((one["x"], one["lower"], one["x"], one["upper"]), reach, label=text).opts(
            color=colour, line_width=1.5
        ),
        hv.Curve((one["x"][one["used"]], one["line"][one["used"]]), x, y, label=text).opts(
            color=colour, line_width=1.6
        ),
        hv.Scatter((one["x"], one["y"]), x, y, label=text).opts(color=colour, size=7, tools=["hover"]),
    ]
