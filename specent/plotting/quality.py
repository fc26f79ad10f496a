"""Quality of samples under each guidance setting: dots with whiskers, one panel a measure."""

from __future__ import annotations

from typing import Any

import holoviews as hv
import numpy as np
import xarray as xr

from specent.plotting import style
from specent.plotting.select import Names, indices, label, names_at, select
from specent.schema import need

# the label of the panel of every measure, which says whether less is better
_PANELS = {
    "frechet_limit": "Fréchet distance  (less is better)",
    "precision": "precision  (more is better)",
    "recall": "recall  (more is better)",
    "accuracy": "accuracy  (more is better)",
}
_WIDTH = 200


def quality(table: xr.Dataset, *, guidance: Names = None, run: Names = None, title: str | None = None) -> Any:
    """Frechet distance, precision, recall and accuracy of the samples, a row per guidance setting (and run).

    Parameters
    ----------
    table : Dataset
        Of kind ``quality``.
    guidance, run : str or sequence, optional
        Names of what is drawn; all by default.
    title : str, optional
        Title of the figure.

    Returns
    -------
    holoviews.Layout
        One panel per measure: dots with whiskers over the interval, a line at the unguided value of every
        run. The Frechet distance
        is the one extrapolated to many samples; a diamond marks that of the samples as they are.

    Raises
    ------
    SpecentError
        If the dataset is of another kind, or a name is unknown.
    """
    table = need(table, "quality", "table")
    style.heading(title)
    part = select(table, guidance=guidance, run=run).compute()
    dims = [dim for dim in ("run", "guidance") if dim in part.dims]
    rows = [names_at(part, at) for at in indices(part, dims)]
    differing = [dim for dim in dims if dim == "guidance" or part.sizes[dim] > 1]
    names = [label(row, differing) for row in rows]
    measures = [name for name in _PANELS if name in part]
    panels = [_panel(part.transpose(*dims), table, name, names, first=name == measures[0]) for name in measures]
    layout = hv.Layout(panels).cols(len(panels)).opts(shared_axes=False, toolbar=None)
    return layout.opts(title=title) if title else layout


def _panel(part: xr.Dataset, table: xr.Dataset, name: str, names: list[str], *, first: bool) -> Any:
    x, row = hv.Dimension(name, label=_PANELS[name]), hv.Dimension("row", label=" ")
    y = -np.arange(len(names), dtype=float)
    value, lower, upper = (part[f"{name}{bound}"].values.ravel() for bound in ("", "_lower", "_upper"))
    ends = [hv.Dimension(key) for key in ("lower", "y0", "upper", "y1")]
    extra = [row, hv.Dimension("who"), hv.Dimension("lower"), hv.Dimension("upper")]
    colour = style.PALETTE[list(_PANELS).index(name)]
    dots = hv.Scatter((value, y, np.array(names), lower, upper), x, extra).opts(
        color=colour, size=9, line_color="white", tools=["hover"],
        hover_tooltips=[("", "@who"), (name, f"@{{{name}}} [@lower, @upper]")],
    )  # fmt: skip
    elements: list[Any] = [hv.Segments((lower, y, upper, y), ends).opts(color=colour, line_width=2.5)]
    positions = [lower, upper]
    if name == "frechet_limit":
        plain = part["frechet_distance"].values.ravel()
        elements.append(
            hv.Scatter((plain, y), x, row).opts(color="white", line_color=colour, marker="diamond", size=9, alpha=0.9)
        )
        positions.append(plain)
    unguided = table[name].isel(guidance=table["guidance_scale"].values == 1.0).values.ravel()
    for reference in unguided:
        elements.insert(0, hv.VLine(float(reference)).opts(color="gray", line_width=1, line_dash="dashed"))
    low, high = np.nanmin(np.concatenate([*positions, unguided])), np.nanmax(np.concatenate([*positions, unguided]))
    margin = 0.06 * max(high - low, 1e-3)
    return hv.Overlay([*elements, dots]).opts(
        **style.frame(
            height=30 + 26 * len(y), frame_width=_WIDTH, toolbar=None, backend_opts={"plot.min_border_left": 30}
        ),
        xlim=(low - margin, high + margin),
        ylim=(float(y[-1]) - 0.6, 0.6),
        yticks=list(zip(y.tolist(), names, strict=True)) if first else [],
        xlabel=_PANELS[name],
        xticks=4,
        ylabel="",
        show_legend=False,
        # the names stand once, on the left
        yaxis="left" if first else "bare",
    )
