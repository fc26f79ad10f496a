"""Speciation of all pairs of labels as matrices, and the difference of two of them."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import holoviews as hv
import numpy as np
import pandas as pd
import xarray as xr

from specent import arguments
from specent.analysis.hierarchy import average_linkage
from specent.errors import SpecentError
from specent.plotting import heat, style
from specent.plotting.marks import MARKS, natural_axis, on_axis
from specent.plotting.pair_levels import Array, Pairs, leaf_order
from specent.plotting.raster import wrapped
from specent.plotting.select import Names, names_at, names_of, select
from specent.schema import need

MOST_PANELS = 9
"""More matrices than this are no figure."""

_BOUNDS = ("", "_lower", "_upper")


@dataclass(frozen=True)
class Panel:
    """The numbers of one matrix, a value and two bounds per pair, shape (3, pair), under the names they go by."""

    names: dict[str, str]
    numbers: Array
    difference: bool = False

    def title(self, varying: list[str]) -> str:
        """What the panel shows, by the names in which it differs from the others."""
        return ", ".join(self.names[dim] for dim in varying if dim in self.names)


def pair_matrix(
    spec: xr.Dataset,
    axis: str | None = None,
    *,
    estimator: Names = None,
    guidance: Names = None,
    run: Names = None,
    class_label: Names = None,
    order: str = "labels",
    title: str | None = None,
    data: bool = False,
) -> Any:
    """Half-entropy noise level of every pair of labels as a matrix: bright pairs part at higher noise.

    Parameters
    ----------
    spec : Dataset
        Of kind ``speciation``, with pairs among its partitions.
    axis : {"sigma", "log_snr", "log_sigma", "time"}, optional
        The axis of the numbers; the noise level "sigma" by default, or "time" for summaries in time only.
    estimator : str or sequence, optional
        A matrix each; by default the first estimator that has a pair, a measured one before the exact one.
    guidance, run : str or sequence, optional
        Guidance settings and runs of a comparison, a matrix each; all that have a pair by default.
    class_label : str or sequence, optional
        Labels; all by default.
    order : {"labels", "tree"}
        Order of the labels: as the pairs name them (numbers by value), or as the leaves of their tree, which puts like
        labels side by side and needs every pair.
    title : str, optional
        Title of the figure.
    data : bool
        Whether to return the numbers behind the figure instead.

    Returns
    -------
    holoviews.Overlay, or holoviews.Layout of matrices, or pandas.DataFrame
        Heat maps with hover on one scale of colours, with a single colour bar; of two a third matrix shows the
        second less the first. Up to 15 labels have their numbers in the cells; of more than 40 the hover names the
        labels, and more than 500 are drawn as medians over blocks of neighbours, which the title says. Pairs that never
        fall to half are grey, pairs that were not analysed are left out. As data a row for each pair of each matrix:
        its names, both labels, the position on the axis, ``lower`` and ``upper``.

    Raises
    ------
    SpecentError
        If the dataset is of another kind, holds no pair, a name is unknown, or there are too many matrices.

    Examples
    --------
    >>> import specent as sp
    >>> mix = sp.exact.GaussianMixture([[-9.0], [-2.0], [2.0]], labels=["far", "left", "right"])
    >>> pairs = [sp.Partition.pair(*two) for two in (("far", "left"), ("far", "right"), ("left", "right"))]
    >>> truth = sp.exact.profiles(mix, sp.schedules.VE(), sp.schedules.edm_grid(32, 0.02), pairs)
    >>> table = pair_matrix(sp.speciation(truth), data=True)
    >>> table[["label", "other_label", "sigma"]].round(1).values.tolist()
    [['far', 'left', 3.3], ['far', 'right', 5.3], ['left', 'right', 1.7]]
    """
    spec = need(spec, "speciation", "spec", MARKS)
    style.heading(title)
    arguments.flag(data, "data")
    arguments.choice(order, "order", ("labels", "tree"))
    part = select(spec, estimator=estimator, guidance=guidance, run=run)
    if part.sizes.get("dimension", 1) > 1:
        raise SpecentError("pair_matrix draws one model: select one dimension of spec first, spec.isel(dimension=0)")
    axis = style.axis_or(axis, natural_axis(spec))
    pairs = Pairs.of(part, None if class_label is None else names_of(class_label))
    whole = part.isel(partition=pairs.partitions, dimension=0, missing_dims="ignore").compute()
    panels = panels_of(on_axis(whole, axis), one_estimator=estimator is None)
    varying = [dim for dim in ("run", "guidance", "estimator") if len({panel.names.get(dim) for panel in panels}) > 1]
    if len(panels) == 2:
        panels.append(_difference(*panels))
    if data:
        return _table(panels, pairs, axis)
    labels = _in_tree_order(pairs, panels[0].numbers[0], axis) if order == "tree" else [*range(len(pairs.labels))]
    return _figure(panels, varying, pairs, labels, axis, title)


def panels_of(marks: xr.Dataset, *, one_estimator: bool) -> list[Panel]:
    """Every selected matrix that holds a number."""
    dims = [dim for dim in ("run", "guidance", "estimator") if dim in marks["half_entropy"].dims]
    panels = []
    for index in itertools.product(*(range(marks.sizes[dim]) for dim in dims)):
        at: dict[str, int] = dict(zip(dims, index, strict=True))
        one = marks.isel(at)
        numbers = np.stack([np.asarray(one[f"half_entropy{bound}"].values, dtype=float).ravel() for bound in _BOUNDS])
        if np.isfinite(numbers[0]).any():
            panels.append(Panel(names_at(marks, at), numbers))
    if not panels:
        raise SpecentError("nothing to draw: no pair has a finite half-entropy in this selection")
    if one_estimator:
        # a measured matrix before the exact one
        first = min(panels, key=lambda panel: panel.names.get("estimator") == "exact")
        panels = [panel for panel in panels if panel.names.get("estimator") == first.names.get("estimator")]
    if len(panels) > MOST_PANELS:
        raise SpecentError(
            f"{len(panels)} matrices are too many for a figure; select up to {MOST_PANELS} with guidance=, run= or "
            "estimator="
        )
    return panels


def _difference(first: Panel, second: Panel) -> Panel:
    """The second matrix less the first one. Both share their trajectories, so that no interval follows from theirs."""
    names = {
        dim: name if name == second.names[dim] else f"{second.names[dim]} − {name}" for dim, name in first.names.items()
    }
    change = second.numbers[0] - first.numbers[0]
    return Panel(names, np.stack([change, np.full_like(change, np.nan), np.full_like(change, np.nan)]), difference=True)


def _in_tree_order(pairs: Pairs, values: Array, axis: str) -> list[int]:
    """The labels as the leaves of the tree of the first matrix."""
    levels = np.log(values) if axis == "sigma" else -values if axis == "log_snr" else values
    # what never falls parts at lower noise than everything else
    levels = pairs.condensed(np.where(np.isfinite(levels), levels, np.nanmin(levels)))
    return leaf_order(average_linkage(levels)) if len(levels) > 1 else [0, 1]


def _table(panels: list[Panel], pairs: Pairs, axis: str) -> pd.DataFrame:
    """A row for each pair of each matrix."""
    names = np.array(pairs.labels, dtype=object)
    parts = []
    for panel in panels:
        value, lower, upper = panel.numbers
        columns = {"label": names[pairs.first], "other_label": names[pairs.second]}
        parts.append(pd.DataFrame({**panel.names, **columns, axis: value, "lower": lower, "upper": upper}))
    return pd.concat(parts, ignore_index=True)


def _figure(
    panels: list[Panel], varying: list[str], pairs: Pairs, labels: list[int], axis: str, title: str | None
) -> Any:
    """The matrices side by side; the last of those that share a scale has the colour bar."""
    levels = [panel for panel in panels if not panel.difference]
    finite = np.concatenate([panel.numbers[0] for panel in levels])
    scale = heat.Scale.of_levels(finite[np.isfinite(finite)], axis)
    names = [pairs.labels[i] for i in labels]
    figures = []
    for panel in panels:
        number = heat.Scale.of_differences(panel.numbers[0], axis) if panel.difference else scale
        cells = heat.Cells(names, *(pairs.matrix(one)[np.ix_(labels, labels)] for one in panel.numbers))
        analysed = pairs.matrix(np.ones(len(pairs)))[np.ix_(labels, labels)] == 1
        text = panel.title(varying) if varying else ", ".join(panel.names.values())
        bar = panel.difference or panel is levels[-1]
        figures.append(heat.matrix(cells, analysed, number, text, bar=bar, width=560 if len(panels) == 1 else 320))
    words = title or "At which noise is each pair of classes told apart?"
    note = heat.note(len(labels))
    if len(figures) == 1:
        alone = "" if title else ", ".join(panels[0].names.values())
        heading = wrapped((words, note, alone), figures[0].opts.get("plot").kwargs["frame_width"])
        return figures[0].opts(title=heading, xlabel="class", ylabel="other class")
    # the heading of a layout is HTML
    heading = style.heading_of_panels("\n".join(line for line in (words, note) if line))
    return hv.Layout(figures).cols(3).opts(shared_axes=False, title=heading)
