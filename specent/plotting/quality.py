"""Quality of samples under each guidance setting: dots with whiskers, one panel a measure."""

from __future__ import annotations

from typing import Any

import holoviews as hv
import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from specent import arguments
from specent.errors import SpecentError
from specent.plotting import colouring, style
from specent.plotting.marks import setting_text
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
# height of a row, and of one whose name has more letters than this, so that it has room for two lines in print
_ROW, _HIGH_ROW, _LONG = 26, 36, 22
_HOLLOW = "diamond: Fréchet distance of these samples, which the dot extrapolates to many"
_NEGATIVE = "Below 0: the extrapolated distance has no bias, so that of a good model scatters to either side of 0"


def quality(
    table: xr.Dataset, *, guidance: Names = None, run: Names = None, title: str | None = None, data: bool = False
) -> Any:
    """Frechet distance, precision, recall and accuracy of the samples, a row per guidance setting (and run).

    Parameters
    ----------
    table : Dataset
        Of kind ``quality``.
    guidance, run : str or sequence, optional
        Names of what is drawn; all by default.
    title : str, optional
        Title of the figure.
    data : bool
        Return the numbers behind the figure instead of the figure.

    Returns
    -------
    holoviews.Layout, or pandas.DataFrame
        One panel per measure: dots with whiskers over the interval in the colour of the setting (of the run, if there
        is one setting), a line at the unguided value of every run; the title says what the marks stand for. The
        Frechet distance is the one extrapolated to many samples; a diamond marks that of the samples as they are. Where
        it is negative the title says why: an estimate without bias scatters to either side of a distance near 0. As
        data a row for each setting.

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
    measures = [name for name in _PANELS if name in part]
    if not measures:
        raise SpecentError(f"table holds none of {', '.join(_PANELS)}; they were dropped")
    need(table, "quality", "table", [f"{name}{end}" for name in measures for end in ("_lower", "_upper")])
    if "frechet_limit" in measures:
        need(table, "quality", "table", ["frechet_distance"])
    if arguments.flag(data, "data"):
        return _table(part.transpose(*dims), rows, measures)
    # that nothing is guided is not said of every run
    alone = part.sizes.get("run", 1) > 1 and "guidance" in part.dims and bool(_plain(part).all())
    differing = [dim for dim in dims if part.sizes[dim] > 1 or (dim == "guidance" and not alone)]
    names = [label(row, differing) for row in rows]
    colours = _colours(rows, part)
    # and a line at every one of them would compare nothing
    plain = table.isel(guidance=_plain(table) & (not alone))
    panels = [
        _panel(part.transpose(*dims), plain, name, (names, colours), first=name == measures[0]) for name in measures
    ]
    layout = hv.Layout(panels).cols(len(panels)).opts(shared_axes=False, toolbar=None)
    limit = [part[name].values for name in ("frechet_limit", "frechet_limit_lower") if name in part]
    unguided = "dashed: unguided" if plain.sizes["guidance"] else ""
    lines = [
        title or "How good are the samples?",
        "; ".join(text for text in ("dot with interval: value", _HOLLOW if limit else "", unguided) if text),
        _NEGATIVE if limit and min(float(one.min()) for one in limit) < 0 else "",
    ]
    return layout.opts(title=style.heading_of_panels("\n".join(line for line in lines if line)))


def _plain(table: xr.Dataset) -> NDArray[np.bool_]:
    """Which settings are known to be unguided."""
    if "guidance_scale" not in table.coords:
        return np.zeros(table.sizes["guidance"], dtype=bool)
    return np.asarray(table["guidance_scale"].values == 1.0)


def _colours(rows: list[dict[str, str]], part: xr.Dataset) -> list[str]:
    """The colour of every row: of its guidance setting, or of its run where there is one setting only."""
    by = "guidance" if part.sizes.get("guidance", 1) > 1 or "run" not in part.dims else "run"
    hues = colouring.hues(list(dict.fromkeys(row.get(by, "") for row in rows)))
    return [hues[row.get(by, "")] for row in rows]


def _table(part: xr.Dataset, rows: list[dict[str, str]], measures: list[str]) -> pd.DataFrame:
    """A row for each setting, a column for each measure and bound."""
    names = [f"{name}{end}" for name in measures for end in ("", "_lower", "_upper")]
    if "frechet_limit" in measures:
        names.append("frechet_distance")
    return pd.concat([pd.DataFrame(rows), pd.DataFrame({name: part[name].values.ravel() for name in names})], axis=1)


def _panel(part: xr.Dataset, plain: xr.Dataset, name: str, named: tuple[list[str], list[str]], *, first: bool) -> Any:
    """One measure, a row for each setting, with their names and colours, and lines at what is plain."""
    names, colours = named
    x, row = hv.Dimension(name, label=_PANELS[name]), hv.Dimension("row", label=" ")
    y = -np.arange(len(names), dtype=float)
    value, lower, upper = (part[f"{name}{bound}"].values.ravel() for bound in ("", "_lower", "_upper"))
    ends = [hv.Dimension(key) for key in ("lower", "y0", "upper", "y1")]
    extra = [row, hv.Dimension("who"), hv.Dimension("lower"), hv.Dimension("upper")]
    extra = [*extra, hv.Dimension("colour")]
    dots = hv.Scatter((value, y, np.array(names), lower, upper, np.array(colours)), x, extra).opts(
        color="colour", size=9, line_color="white", tools=["hover"],
        hover_tooltips=[("", "@who"), (name, f"@{{{name}}}{{0.0000}} [@lower{{0.0000}}, @upper{{0.0000}}]")],
    )  # fmt: skip
    whiskers = hv.Segments((lower, y, upper, y, np.array(colours)), ends, hv.Dimension("colour"))
    elements: list[Any] = [whiskers.opts(color="colour", line_width=2.5)]
    positions = [lower, upper]
    if name == "frechet_limit":
        finite = part["frechet_distance"].values.ravel()
        elements.append(
            hv.Scatter((finite, y, np.array(colours)), x, [row, hv.Dimension("colour")]).opts(
                color="white", line_color="colour", marker="diamond", size=9, alpha=0.9
            )
        )
        positions.append(finite)
    unguided = plain[name].values.ravel()
    for reference in unguided:
        elements.insert(0, hv.VLine(float(reference)).opts(color="gray", line_width=1, line_dash="dashed"))
    low, high = np.nanmin(np.concatenate([*positions, unguided])), np.nanmax(np.concatenate([*positions, unguided]))
    margin = 0.06 * max(high - low, 1e-3)
    return hv.Overlay([*elements, dots]).opts(
        **style.frame(
            height=30 + (_ROW if max(map(len, names)) <= _LONG else _HIGH_ROW) * len(y),
            frame_width=_WIDTH,
            toolbar=None,
            backend_opts={"plot.min_border_left": 30},
        ),
        xlim=(low - margin, high + margin),
        ylim=(float(y[-1]) - 0.6, 0.6),
        yticks=[(at, setting_text(name)) for at, name in zip(y.tolist(), names, strict=True)] if first else [],
        xlabel=_PANELS[name],
        xticks=4,
        ylabel="",
        show_legend=False,
        # the names stand once, on the left
        yaxis="left" if first else "bare",
    )
