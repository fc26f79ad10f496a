"""Quality of samples under each guidance setting: dots with whiskers, one panel a measure."""

from __future__ import annotations

from typing import Any

import holoviews as hv
import numpy as np
import xarray as xr

from specent.plotting import style
from specent.plotting.select import Names, select
from specent.schema import need

# what each panel shows, its label, and whether less is better
_PANELS = {
    "frechet_limit": "Fréchet distance  (less is better)",
    "precision": "precision  (more is better)",
    "recall": "recall  (more is better)",
    "accuracy": "accuracy  (more is better)",
}
_WIDTH = 200


def quality(table: xr.Dataset, *, guidance: Names = None, title: str | None = None) -> Any:
    """Frechet distance, precision, recall and accuracy of the samples, a row per guidance setting.

    Parameters
    ----------
    table : Dataset
        Of kind ``quality``.
    guidance : str or sequence, optional
        Names of the settings that are drawn; all by default.
    title : str, optional
        Title of the figure.

    Returns
    -------
    holoviews.Layout
        One panel per measure: dots with whiskers over the interval, a line at the unguided value. The Frechet distance
        is the one extrapolated to many samples; a diamond marks that of the samples as they are.

    Raises
    ------
    SpecentError
        If the dataset is of another kind, or a name is unknown.
    """
    need(table, "quality", "table")
    style.heading(title)
    chosen = (table if guidance is None else select(table, guidance=guidance)).compute()
    names = [str(name) for name in chosen["guidance"].values]
    panels = [
        _panel(chosen, table, name, label, names if place == 0 else [])
        for place, (name, label) in enumerate((key, text) for key, text in _PANELS.items() if key in chosen)
    ]
    made = hv.Layout(panels).cols(len(panels)).opts(shared_axes=False, toolbar=None)
    return made.opts(title=title) if title else made


def _panel(chosen: xr.Dataset, table: xr.Dataset, name: str, label: str, names: list[str]) -> Any:
    x, row = hv.Dimension(name, label=label), hv.Dimension("row", label=" ")
    y = -np.arange(chosen.sizes["guidance"], dtype=float)
    value, lower, upper = (chosen[f"{name}{part}"].values for part in ("", "_lower", "_upper"))
    who = chosen["guidance"].values.astype(str)
    ends = [hv.Dimension(key) for key in ("lower", "y0", "upper", "y1")]
    extra = [row, hv.Dimension("who"), hv.Dimension("lower"), hv.Dimension("upper")]
    colour = style.PALETTE[list(_PANELS).index(name)]
    dots = hv.Scatter((value, y, who, lower, upper), x, extra).opts(
        color=colour, size=9, line_color="white", tools=["hover"],
        hover_tooltips=[("", "@who"), (name, f"@{{{name}}} [@lower, @upper]")],
    )  # fmt: skip
    parts: list[Any] = [hv.Segments((lower, y, upper, y), ends).opts(color=colour, line_width=2.5)]
    reached = [lower, upper]
    if name == "frechet_limit":
        plain = chosen["frechet_distance"].values
        parts.append(
            hv.Scatter((plain, y), x, row).opts(color="white", line_color=colour, marker="diamond", size=9, alpha=0.9)
        )
        reached.append(plain)
    unguided = table[name].values[table["guidance_scale"].values == 1.0]
    if unguided.size:
        parts.insert(0, hv.VLine(float(unguided[0])).opts(color="gray", line_width=1, line_dash="dashed"))
        reached.append(unguided[:1])
    low, high = np.min(np.concatenate(reached)), np.max(np.concatenate(reached))
    margin = 0.06 * max(high - low, 1e-3)
    return hv.Overlay([*parts, dots]).opts(
        **style.frame(
            height=30 + 26 * len(y), frame_width=_WIDTH, toolbar=None, backend_opts={"plot.min_border_left": 30}
        ),
        xlim=(low - margin, high + margin),
        ylim=(float(y[-1]) - 0.6, 0.6),
        yticks=[(float(place), text) for place, text in zip(y, names, strict=False)] if names else [],
        xlabel=label,
        xticks=4,
        ylabel="",
        show_legend=False,
        # the names stand once, on the left
        yaxis="left" if names else "bare",
    )
