"""Speciation of all pairs of labels as a matrix."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import holoviews as hv
import numpy as np
import xarray as xr

from specent.errors import SpecentError
from specent.partitions import Partition
from specent.plotting import style
from specent.plotting.marks import MARKS, natural_axis, on_axis
from specent.plotting.select import Names, definitions, names_at, select
from specent.schema import need

Cell = tuple[str, str, float, float, float]


def pair_matrix(
    spec: xr.Dataset,
    axis: str | None = None,
    *,
    estimator: Names = None,
    guidance: Names = None,
    run: Names = None,
    title: str | None = None,
) -> Any:
    """Half-entropy noise level of every pair of labels as a matrix: bright pairs part at higher noise.

    Parameters
    ----------
    spec : Dataset
        Of kind ``speciation``, with pairs among its partitions.
    axis : {"sigma", "log_snr", "log_sigma", "time"}, optional
        The axis of the numbers; the noise level "sigma" by default, or "time" for summaries in time only.
    estimator, guidance : str, optional
        Which ones; by default the first that has a pair.
    run : str or sequence, optional
        Runs of a comparison, a matrix each; all by default.
    title : str, optional
        Title of the figure.

    Returns
    -------
    holoviews.Overlay or holoviews.Layout
        Heat map with colour bar and hover, and the numbers in the cells of up to 12 labels; of several runs a layout
        of such maps with one scale of colours. The cell of a pair that never falls to half is grey.

    Raises
    ------
    SpecentError
        If the dataset is of another kind, holds no pair, or a name is unknown.
    """
    spec = need(spec, "speciation", "spec", MARKS)
    style.heading(title)
    part = select(spec, estimator=estimator, guidance=guidance, run=run).compute()
    if part.sizes.get("dimension", 1) > 1:
        raise SpecentError("pair_matrix draws one model: select one dimension of spec first, spec.isel(dimension=0)")
    pairs = {i: p for i, p in enumerate(definitions(part)) if p is not None and [len(s) for _, s in p.sides] == [1, 1]}
    axis = axis or natural_axis(spec)
    marks = on_axis(part.isel({dim: 0 for dim in ("dimension",) if dim in part.dims}), axis)
    at = _first_with_pairs(marks, list(pairs))
    runs = [{"run": i} for i in range(marks.sizes["run"])] if "run" in marks.dims else [{}]
    tables = [_cells(marks.isel({**at, **one}), pairs) for one in runs]
    finite = np.array([value for table in tables for _, _, value, _, _ in table if np.isfinite(value)])
    labels = list(dict.fromkeys(name for pair in pairs.values() for name in pair.labels))
    matrices = []
    for one, table in zip(runs, tables, strict=True):
        who = names_at(marks, {**one, **at}) if len(runs) > 1 else names_at(marks, at)
        # the colour bar names the quantity; a small matrix has no room for a longer title
        words = f"{', '.join(who.values())}: pairs"
        text = words if title is None else f"{title}: {who['run']}" if len(runs) > 1 else title
        matrices.append(_matrix(table, _sorted_numbers(labels), axis, text, finite))
    return matrices[0] if len(matrices) == 1 else hv.Layout(matrices).cols(2).opts(shared_axes=False)


def _first_with_pairs(marks: xr.Dataset, pairs: list[int]) -> dict[str, int]:
    if not pairs:
        raise SpecentError("spec holds no pair of labels; analyse pairs, for instance Partition.pair(a, b)")
    half = marks["half_entropy"].isel(partition=pairs).transpose("guidance", "estimator", ...)
    finite = np.isfinite(half.values).any(axis=tuple(range(2, half.ndim)))
    if not finite.any():
        raise SpecentError("nothing to draw: no pair has a finite half-entropy in this selection")
    names = [str(name) for name in marks["estimator"].values]
    # a measured matrix before the exact one
    order = sorted(range(len(names)), key=lambda e: names[e] == "exact")
    guidance, estimator = next((g, e) for g in range(finite.shape[0]) for e in order if bool(finite[g, e]))
    return {"estimator": estimator, "guidance": guidance}


def _cells(marks: xr.Dataset, pairs: dict[int, Partition]) -> list[Cell]:
    """Both labels, the number and its bounds, above and below the diagonal."""
    columns = [marks[f"half_entropy{bound}"].values.tolist() for bound in ("", "_lower", "_upper")]
    cells: list[Cell] = []
    for i, pair in pairs.items():
        value, lower, upper = (column[i] for column in columns)
        a, b = pair.labels
        cells += [(a, b, value, lower, upper), (b, a, value, lower, upper)]
    return cells


def _sorted_numbers(labels: list[str]) -> list[str]:
    """Labels in the order in which the pairs name them; numbers by value."""
    return sorted(labels, key=float) if all(name.isdecimal() for name in labels) else labels


def _matrix(cells: Sequence[Cell], labels: list[str], axis: str, title: str, finite: Any) -> Any:
    """The heat map of one run, on the scale of colours of all its runs."""
    a, b = hv.Dimension("label", values=labels), hv.Dimension("other label", values=labels[::-1])
    name = style.AXIS_LABELS[axis].partition("  (")[0]
    value = hv.Dimension("half", label=f"half-entropy {name}")
    heat = hv.HeatMap(cells, [a, b], [value, hv.Dimension("lower"), hv.Dimension("upper")])
    size = int(min(560, max(260, 46 * len(labels))))
    low, high = float(finite.min()), float(finite.max())
    elements = [
        heat.opts(
            cmap="cividis", colorbar=True, tools=["hover"], clipping_colors={"NaN": "#dddddd"}, clim=(low, high),
            hover_tooltips=[("pair", "@label | @{other label}"), ("half-entropy", "@half [@lower, @upper]")],
            logz=axis == "sigma" and high > 4 * low > 0,
        )
    ]  # fmt: skip
    if len(labels) <= 12:
        middle = (low * high) ** 0.5 if axis == "sigma" else (low + high) / 2
        texts = [(x, y, f"{cell:.3g}" if np.isfinite(cell) else "–", cell) for x, y, cell, _, _ in cells]
        for bright in (True, False):
            some = [(x, y, text) for x, y, text, cell in texts if (not cell <= middle) == bright]
            colour = "black" if bright else "white"
            elements.append(
                hv.Labels(some, [a, b], hv.Dimension("text")).opts(text_color=colour, text_font_size="11px")
            )
    whole = style.frame(height=size) | {"frame_width": size, "show_grid": False}
    return hv.Overlay(elements).opts(**whole, title=title, xrotation=0 if len(labels) <= 12 else 90, show_legend=False)
