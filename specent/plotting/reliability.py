"""Reliability of the posterior: how often what it states comes true, bin by bin."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import holoviews as hv
import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import ArrayLike

from specent import analysis, arguments
from specent.analysis.scored import Partitions
from specent.errors import SpecentError
from specent.plotting import colouring, labels, style
from specent.plotting.select import Names, select

_UNIT = (-0.02, 1.02)
_SIDE, _COUNTS = 300, 90
_COLUMNS = ("stated", "observed", "observed_lower", "observed_upper", "judgements")


def reliability(
    runs: xr.Dataset,
    partition: Partitions = None,
    *,
    guidance: Names = None,
    log_snr: ArrayLike | None = None,
    bins: int = 10,
    title: str | None = None,
    data: bool = False,
) -> Any:
    """Share of the judgements that come true, against the posterior that was stated, with the number of judgements.

    Parameters
    ----------
    runs : Dataset or path
        Of kind ``trajectories``, or what `specent.analysis.reliability` makes of them; then the options are its own.
    partition : Partition, str, or sequence of these, optional
        Partitions, told apart by colour; by default the first of those that `runs` was sampled with.
    guidance : str or sequence, optional
        Guidance settings; unguided ones by default, since guidance moves a sample towards its class and away from what
        the posterior expects.
    log_snr : array_like, optional
        Log-SNR at which the posterior is judged, with a panel each; all times are pooled by default.
    bins : int
        Bins from 0 to 1.
    title : str, optional
        Title of the figure.
    data : bool
        Return the numbers behind the figure instead of the figure.

    Returns
    -------
    holoviews.Layout, or pandas.DataFrame
        A column of two panels for each setting and log-SNR: points with intervals beside the diagonal of a calibrated
        posterior, and beneath them the number of judgements in each bin. As data a row for each bin that has any.

    Raises
    ------
    SpecentError
        If the dataset is of another kind or an argument cannot be used.

    Examples
    --------
    >>> import specent as sp
    >>> table = reliability(sp.archive.example(), "cat | dog", bins=4, data=True)
    >>> bool(((table.lower <= table.stated) & (table.stated <= table.upper)).all())
    True
    """
    style.heading(title)
    arguments.flag(data, "data")
    judged = runs if isinstance(runs, xr.Dataset) and "judgements" in runs else _judged(runs, partition, log_snr, bins)
    judged = _selected(judged, guidance)
    table = _table(judged)
    if data:
        return table
    columns = list(_columns(table))
    if len(columns) > 6:
        raise SpecentError(f"{len(columns)} columns of panels are too many; select fewer with guidance= or log_snr=")
    names = list(dict.fromkeys(table["partition"]))
    hues = colouring.hues(names)
    tops = [_points(part, hues).opts(title=style.TitleText(text)) for text, part in columns]
    bottoms = [_counts(part, hues) for _, part in columns]
    layout = hv.Layout([*tops, *bottoms]).cols(len(columns)).opts(shared_axes=False)
    return layout.opts(title=style.heading_of_panels(title or "Does what the posterior states come true?"))


def _judged(runs: Any, partition: Partitions, log_snr: ArrayLike | None, bins: int) -> xr.Dataset:
    if partition is None and isinstance(runs, xr.Dataset) and "partition" in runs.coords and runs["partition"].size:
        partition = str(runs["partition"].values.flat[0])
    return analysis.reliability(runs, partition, log_snr=log_snr, bins=bins)


def _selected(judged: xr.Dataset, guidance: Names) -> xr.Dataset:
    if guidance is not None:
        return select(judged, guidance=guidance)
    scale = judged["guidance_scale"].values if "guidance_scale" in judged.coords else np.ones(1)
    plain = np.flatnonzero(scale == 1.0)
    return judged.isel(guidance=plain if len(plain) else [0])


def _table(judged: xr.Dataset) -> pd.DataFrame:
    """A row for each bin that holds a judgement."""
    dims = ["guidance", *(["time"] if "time" in judged.dims else []), "partition", "bin"]
    columns = {name: judged[name].transpose(*dims).values.ravel() for name in _COLUMNS}
    names = np.stack(np.meshgrid(*(np.arange(judged.sizes[dim]) for dim in dims), indexing="ij"), -1).reshape(
        -1, len(dims)
    )
    labelled: dict[str, Any] = {}
    for dim, index in zip(dims, names.T, strict=True):
        if dim == "time":
            labelled["log_snr"] = judged["log_snr"].values[index]
        elif dim != "bin":
            labelled[dim] = judged[dim].values.astype(str)[index]
    edges = {name: judged[name].values[names[:, -1]] for name in ("edge_lower", "edge_upper")}
    renamed = {"observed_lower": "lower", "observed_upper": "upper"}
    table = pd.DataFrame({**labelled, **edges, **columns}).rename(columns=renamed)
    return table[table["judgements"] > 0].reset_index(drop=True)


def _columns(table: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """The rows of every column of panels, with its title."""
    by = ["guidance", *(["log_snr"] if "log_snr" in table else [])]
    for key, part in table.groupby(by, sort=False):
        level = f"log-SNR {key[1]:.2f}" if len(key) > 1 else "all noise levels"
        yield f"{key[0]}, {level}", part


def _points(part: pd.DataFrame, hues: dict[str, str]) -> Any:
    x = hv.Dimension("stated", label="stated posterior")
    y = hv.Dimension("observed", label="share that comes true")
    ends = [hv.Dimension(name) for name in ("x0", "y0", "x1", "y1")]
    elements: list[Any] = [
        hv.Curve([(0, 0), (1, 1)], x, y).opts(color=style.NEUTRAL, line_width=1.2, line_dash="dashed"),
    ]
    tips = [
        ("", "@partition"), ("stated", "@stated{0.000}"),
        ("comes true", "@observed{0.000} [@lower{0.000}, @upper{0.000}]"), ("judgements", "@judgements"),
    ]  # fmt: skip
    for name, rows in part.groupby("partition", sort=False):
        colour = hues[str(name)]
        line = rows["stated"].values, rows["observed"].values
        reach = hv.Segments((line[0], rows["lower"].values, line[0], rows["upper"].values), ends)
        elements.append(reach.opts(color=colour, line_width=2.2, alpha=0.6))
        elements.append(hv.Curve(line, x, y, label=str(name)).opts(color=colour, line_width=1.2))
        extra = [y, "partition", "lower", "upper", "judgements"]
        dots = hv.Scatter(rows, x, extra).opts(color=colour, size=7, line_color="white", tools=["hover"])
        elements.append(dots.opts(hover_tooltips=tips))
    hooks = [_named(part, hues)] if len(hues) > 1 else []
    whole = style.frame(height=_SIDE) | {"frame_width": _SIDE, "hooks": hooks}
    return hv.Overlay(elements).opts(**whole, xlim=_UNIT, ylim=_UNIT, show_legend=False)


def _named(part: pd.DataFrame, hues: dict[str, str]) -> labels.DirectLabels:
    groups = list(part.groupby("partition", sort=False))
    paths = [(rows["stated"].to_numpy(), rows["observed"].to_numpy()) for _, rows in groups]
    texts = [str(name) for name, _ in groups]
    return labels.direct_labels(paths, texts, [hues[text] for text in texts], (_UNIT, _UNIT, (_SIDE, _SIDE)))


def _counts(part: pd.DataFrame, hues: dict[str, str]) -> Any:
    """The number of judgements per bin, as bars beside each other, from 1 on a logarithmic scale."""
    x, y = hv.Dimension("stated", label="stated posterior"), hv.Dimension("judgements", label="judgements")
    most = float(part["judgements"].max())
    bars = []
    for number, (name, colour) in enumerate(hues.items()):
        rows = part[part["partition"] == name]
        width = (rows["edge_upper"] - rows["edge_lower"]).to_numpy() / len(hues)
        left = rows["edge_lower"].to_numpy() + number * width
        corners = (left, np.full(len(rows), 0.8), left + 0.9 * width, rows["judgements"].to_numpy(float))
        boxes = hv.Rectangles((*corners, rows["judgements"].to_numpy()), vdims=["number"])
        tips = [("judgements", "@number")]
        bars.append(boxes.opts(color=colour, line_color=colour, alpha=0.7, tools=["hover"], hover_tooltips=tips))
    whole = style.frame(height=_COUNTS) | {"frame_width": _SIDE}
    return hv.Overlay(bars).opts(
        **whole, xlim=_UNIT, ylim=(0.8, 2 * most), logy=True, xlabel=x.label, ylabel=y.label, show_legend=False,
        yticks=[(10.0**power, f"{10**power:,}".replace(",", " ")) for power in range(int(np.log10(most)) + 1)][::2],
        title="",
    )  # fmt: skip
