"""The tree of classes: which of them part at which noise, with samples at its leaves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import holoviews as hv
import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from specent import arguments
from specent.analysis import speciation
from specent.axes import check_axis
from specent.errors import SpecentError
from specent.plotting import style, tree_nodes
from specent.plotting.marks import MARKS, axes_of, on_axis
from specent.plotting.merges import Leaf, Merge, merges_of
from specent.plotting.noise_axis import view
from specent.plotting.pair_levels import Pairs
from specent.plotting.pairs import Panel, panels_of
from specent.plotting.raster import Shades, mosaic, need_pictures, ordinary, pixels, wrapped
from specent.plotting.select import Names, names_of, select
from specent.schedules import Schedule
from specent.schema import need

MOST_PANELS = 4
"""More trees than this are no figure."""

_BARS = "bars: intervals"
_NEVER = "dashed: at most, a pair there never falls to half"


@dataclass(frozen=True)
class _Tree:
    """The merges and leaves of one panel on an axis, where its noise ends, and what more is known of its nodes."""

    panel: Panel
    merges: list[Merge]
    leaves: list[Leaf]
    lowest: float
    nodes: xr.Dataset | None = None


def tree(
    profiles_or_speciation: xr.Dataset,
    runs: xr.Dataset | None = None,
    axis: str = "sigma",
    *,
    estimator: Names = None,
    guidance: Names = None,
    run: Names = None,
    class_label: Names = None,
    most: int = 30,
    thumbnails: int = 3,
    title: str | None = None,
    data: bool = False,
) -> Any:
    r"""When classes part: their tree over the noise axis, from one trunk at the noise to the classes at the data.

    Two groups of classes merge at the mean, over all pairs of a class here and a class there, of the log half-entropy
    noise level of the pair (average linkage). Read from left to right, in the direction of generation, a branch splits
    where its classes are told apart.

    Parameters
    ----------
    profiles_or_speciation : Dataset
        Of kind ``speciation`` or ``profiles``, with every pair of at least three labels among its partitions; or the
        result of `specent.tree`, whose merges, support and index are then drawn.
    runs : Dataset, optional
        Of kind ``trajectories`` that end in pictures, some of which stand at the leaves.
    axis : {"sigma", "log_snr", "log_sigma", "time"}
        Horizontal axis.
    estimator, guidance, run : str or sequence, optional
        A tree each. By default the first estimator that has a pair, a measured one before the exact one, and the first
        setting and run.
    class_label : str or sequence, optional
        Labels; all by default.
    most : int
        Largest number of leaves. Of more labels the last merges are drawn; every leaf is then a group, named after the
        label that is closest to the others in it, and the title says so.
    thumbnails : int
        Samples at a leaf.
    title : str, optional
        Title of the figure.
    data : bool
        Whether to return the numbers behind the figure instead.

    Returns
    -------
    holoviews.Overlay, or holoviews.Layout of trees, or pandas.DataFrame
        The tree with hover, and a bar over the interval of every merge. Of the result of `specent.tree` numbers say the
        support of the nodes in per cent, nodes that split at more noise than the one above are orange, and a strip
        beneath has the hierarchy index over those of random trees. A pair that never falls to half enters with the
        lowest noise level that is known; merges into which such a pair enters are dashed, as upper bounds. As data a
        row for each merge that is drawn: its names, its position on the axis, the mean of its pairs' bounds (``lower``,
        ``upper``: at least as wide as the interval of their mean), whether the position is an upper bound of the noise
        (``at_most``), and the labels of its two branches (``first``, ``second``); of the result of `specent.tree` with
        ``support``, ``split``, ``left`` and ``violation`` as well.

    Raises
    ------
    SpecentError
        If there are fewer than three labels, a pair is missing, a name is unknown, or the axis cannot be reached.

    Examples
    --------
    >>> import specent as sp
    >>> mix = sp.exact.GaussianMixture([[-9.0], [-2.0], [2.0]], labels=["far", "left", "right"])
    >>> pairs = [sp.Partition.pair(*two) for two in (("far", "left"), ("far", "right"), ("left", "right"))]
    >>> truth = sp.exact.profiles(mix, sp.schedules.VE(), sp.schedules.edm_grid(32), pairs)
    >>> tree(truth, data=True)[["sigma", "first", "second"]].round(1).values.tolist()
    [[1.7, ('left',), ('right',)], [4.2, ('far',), ('left', 'right')]]
    """
    style.heading(title)
    arguments.flag(data, "data")
    count, pictures = arguments.whole(most, "most", least=3), arguments.whole(thumbnails, "thumbnails", least=0)
    labels = None if class_label is None else [str(name) for name in names_of(class_label)]
    selection = {"estimator": estimator, "guidance": guidance, "run": run}
    if tree_nodes.is_tree(profiles_or_speciation):
        spec, trees = _of_nodes(profiles_or_speciation, count, {**selection, "class_label": class_label})
    else:
        spec, floor = _summary(profiles_or_speciation)
        trees = _trees(spec, floor, labels, count, **selection)
    convert = _conversion(spec, check_axis(axis))
    if data:
        return pd.concat([_table(one, axis, convert) for one in trees], ignore_index=True)
    images = None if runs is None or not pictures else _Thumbnails.of(runs, pictures)
    varying = [dim for dim in ("run", "guidance", "estimator") if len({one.panel.names.get(dim) for one in trees}) > 1]
    figures = []
    for one in trees:
        names = one.panel.title(varying) if varying else "" if title else ", ".join(one.panel.names.values())
        lines = [title or "When do classes part?", names, *_notes(one, spec)]
        figures.append(_figure(one, spec, axis, convert, images, lines))
    index = None if trees[0].nodes is None else tree_nodes.index_panel(spec)
    if index is not None:
        return hv.Layout([figures[0], index]).cols(1).opts(shared_axes=False)
    return figures[0] if len(figures) == 1 else hv.Layout(figures).cols(2).opts(shared_axes=False)


def _of_nodes(dataset: xr.Dataset, most: int, selection: dict[str, Names]) -> tuple[xr.Dataset, list[_Tree]]:
    """The tree that `specent.tree` made."""
    chosen = next((name for name, value in selection.items() if value is not None), None)
    if chosen is not None:
        raise SpecentError(
            f"{chosen}= selects from profiles; this tree is made already, make it of what you want drawn"
        )
    whole = tree_nodes.checked_tree(dataset)
    merges, leaves, lowest = tree_nodes.merges_and_leaves(whole, most)
    panel = Panel({}, np.zeros((3, 0)))
    return whole, [_Tree(panel, merges, leaves, lowest, tree_nodes.drawn_nodes(whole, merges))]


def _summary(dataset: xr.Dataset) -> tuple[xr.Dataset, float | None]:
    """The summary of pairs, and the lowest log noise level of the curves if they are known."""
    kind = str(dataset.attrs.get("specent_kind")) if isinstance(dataset, xr.Dataset) else None
    if kind != "profiles":
        return need(dataset, "speciation", "profiles_or_speciation", MARKS), None
    profiles = need(dataset, "profiles", "profiles_or_speciation", ("entropy",))
    part = profiles.isel(partition=Pairs.of(profiles).partitions)
    return speciation(part, axis="log_snr", progress=False), float(-0.5 * profiles["log_snr"].max())


def _trees(
    spec: xr.Dataset, floor: float | None, labels: Sequence[str] | None, most: int, **selection: Names
) -> list[_Tree]:
    part = select(spec, **selection)
    if part.sizes.get("dimension", 1) > 1:
        raise SpecentError("tree draws one model: select one dimension first, .isel(dimension=0)")
    pairs = Pairs.of(part, labels)
    if len(pairs.labels) < 3:
        raise SpecentError(f"a tree needs at least three labels, and there are pairs of {len(pairs.labels)} only")
    whole = part.isel(partition=pairs.partitions, dimension=0, missing_dims="ignore").compute()
    panels = panels_of(_log_noise(whole), one_estimator=selection["estimator"] is None)
    for dim in ("guidance", "run"):
        if selection[dim] is None:
            panels = [panel for panel in panels if panel.names.get(dim) == panels[0].names.get(dim)]
    if len(panels) > MOST_PANELS:
        raise SpecentError(f"{len(panels)} trees are too many for a figure; select up to {MOST_PANELS}")
    trees = []
    for panel in panels:
        levels, *bounds = (pairs.condensed(numbers) for numbers in panel.numbers)
        lowest = float(np.nanmin(levels)) if floor is None else floor
        trees.append(_Tree(panel, *merges_of(levels, pairs.labels, lowest, most, np.array(bounds)), lowest))
    return trees


def _log_noise(spec: xr.Dataset) -> xr.Dataset:
    """The marks of a summary as logarithms of noise levels, those in time by the schedule."""
    if axes_of(spec) != ["time"]:
        return on_axis(spec, "log_sigma")
    schedule = _schedule(spec, "a summary in time")
    marks = on_axis(spec, "time")
    return marks.map(lambda one: one.copy(data=-0.5 * schedule.log_snr(one.values)))


def _schedule(spec: xr.Dataset, what: str) -> Schedule:
    schedule = style.schedule_of(spec)
    if schedule is None:
        raise SpecentError(f"{what} has no noise levels without the schedule, which the dataset does not name")
    return schedule


def _conversion(spec: xr.Dataset, axis: str) -> Any:
    """Log noise levels as positions on the axis."""
    if axis != "time":
        return lambda log_sigma: style.to_axis(np.asarray(log_sigma, dtype=float), "log_sigma", axis)
    schedule = _schedule(spec, "axis='time'")
    return lambda log_sigma: np.asarray(schedule.time(-2 * np.asarray(log_sigma, dtype=float)))


def _table(one: _Tree, axis: str, convert: Any) -> pd.DataFrame:
    """A row for each merge that is drawn, from the data to the noise."""
    rows = [
        {
            **one.panel.names,
            axis: float(convert(merge.level)),
            "lower": ends[0],
            "upper": ends[1],
            "at_most": merge.at_most,
            "first": merge.first,
            "second": merge.second,
        }
        for merge, ends in zip(one.merges, _intervals(one, convert), strict=True)
    ]
    more = {} if one.nodes is None else tree_nodes.columns(one.nodes, convert)
    return pd.DataFrame(rows).assign(**more)


def _intervals(one: _Tree, convert: Any) -> NDArray[np.float64]:
    """Ends of the interval of every merge on the axis, the smaller one first, shape (merge, 2)."""
    # NaN stays NaN
    return np.sort(np.asarray(convert(np.array([merge.bounds for merge in one.merges])), dtype=np.float64), axis=1)


def _notes(one: _Tree, spec: xr.Dataset) -> list[str]:
    """What is to be said of a tree."""
    labels = sum(len(leaf.members) for leaf in one.leaves)
    notes = [] if one.nodes is None else tree_nodes.notes_on(one.nodes, spec)
    if labels > len(one.leaves):
        notes.append(f"{labels} labels in {len(one.leaves)} leaves, thick ones are groups")
    if any(merge.at_most for merge in one.merges):
        notes.append(_NEVER)
    if any(merge.bounds[1] > merge.bounds[0] for merge in one.merges):
        notes.append(_BARS)
    # of a tree with its nodes there is more to say
    return notes if one.nodes is None else [notes[0], "; ".join(notes[1:])]


@dataclass(frozen=True)
class _Thumbnails:
    """The final pictures of some samples of every class, shape (class_label, sample, y, x, 3)."""

    names: list[str]
    drawn: NDArray[np.uint8]

    @classmethod
    def of(cls, runs: xr.Dataset, most: int) -> _Thumbnails:
        """The first samples of the first setting."""
        every, words = need_pictures(need(runs, "trajectories", "runs"))
        some = every.isel(guidance=0, sample=slice(0, most)).transpose("class_label", "sample", ...)
        values = pixels(some)
        return cls(
            [str(name) for name in some["class_label"].values], Shades.of(values, words != "final samples")(values)
        )

    def beside(self, leaves: list[Leaf]) -> NDArray[np.uint8]:
        """Those of the leaves on one raster, rows from top to bottom; empty where a class has none."""
        raster = np.zeros((len(leaves), *self.drawn.shape[1:]), dtype=np.uint8)
        there = np.array([leaf.name in self.names for leaf in leaves])
        raster[there] = self.drawn[[self.names.index(leaf.name) for leaf in leaves if leaf.name in self.names]]
        gap = max(1, raster.shape[3] // 12)
        whole = mosaic(raster, gap)
        whole[np.repeat(~there, raster.shape[2] + 2 * gap)] = 0
        return whole


def _figure(one: _Tree, spec: xr.Dataset, axis: str, convert: Any, images: _Thumbnails | None, lines: list[str]) -> Any:
    rows = len(one.leaves)
    row = float(np.clip(480 / rows, 15, 44))
    top = max(merge.level for merge in one.merges)
    # a trunk of an eighth of the height stands on the noise
    span = max(top - one.lowest, 1e-3)
    ends = (one.lowest - 0.1 * span, top + 0.12 * span)
    raster = None if images is None else images.beside(one.leaves)
    wide = 0.0 if raster is None else row * rows * raster.shape[1] / raster.shape[0]
    # pictures stand beyond the data end, where the axis has no marks
    beyond = (ends[1] - ends[0]) * wide / (style.FRAME_WIDTH - wide)
    positions = [float(value) for value in convert(np.array([ends[0] - beyond, *ends]))]
    elements = _branches(one, axis, convert, ends)
    if one.nodes is not None:
        # the numbers end a few pixels on the noise side of their node
        shift = 6.0 * (ends[1] - ends[0]) / (style.FRAME_WIDTH - wide)
        at = np.asarray(convert(np.array([merge.level for merge in one.merges]) + shift))
        dims = (style.axis_dimension(axis), hv.Dimension("row"))
        elements += tree_nodes.support_labels(one.nodes, one.merges, at, dims, row)
    if raster is not None:
        elements.append(_pictures(raster, axis, sorted(positions[:2]), rows))
    options = view(spec, axis, (positions[1], positions[2]), positions=("lower", "upper"))
    options["xticks"] = _marks(options.get("xticks"), *sorted(positions[1:]))
    limits = sorted((positions[0], positions[2]))
    names = ordinary(
        leaf.name if len(leaf.members) == 1 else f"{leaf.name} +{len(leaf.members) - 1}" for leaf in one.leaves
    )
    return hv.Overlay(elements).opts(
        **style.frame(height=round(row * rows), show_grid=False) | {**options, "xlim": tuple(limits)},
        ylim=(-float(rows), 0.0),
        yaxis="right",
        yticks=[(-i - 0.5, name) for i, name in enumerate(names)],
        ylabel="class",
        title=wrapped((line for line in lines if line), style.FRAME_WIDTH),
        show_legend=False,
    )


def _marks(marks: list[tuple[float, str]] | None, low: float, high: float) -> list[tuple[float, str]]:
    """Marks of the noise axis within the tree; beyond its data end, under the pictures, there is no noise level."""
    if marks is None:
        step = 10.0 ** np.floor(np.log10((high - low) / 3))
        step *= max(factor for factor in (1, 2, 5) if 3 * factor * step <= high - low)
        values = np.arange(np.ceil(low / step), np.floor(high / step) + 1) * step
        marks = [(float(value), f"{value:.6g}") for value in values]
    return [(position, text) for position, text in marks if low <= position <= high]


def _branches(one: _Tree, axis: str, convert: Any, ends: tuple[float, float]) -> list[Any]:
    """The branches as lines, and the merges as points with hover."""
    x, y = style.axis_dimension(axis), hv.Dimension("row")
    segments: dict[str, list[tuple[float, float, float, float]]] = {"solid": [], "dashed": [], "group": []}
    segments["group"] = [
        (leaf.level, -i - 0.5, ends[0], -i - 0.5) for i, leaf in enumerate(one.leaves) if len(leaf.members) > 1
    ]
    for merge in one.merges:
        kind = "dashed" if merge.at_most else "solid"
        low, high = merge.rows
        segments[kind].append((merge.level, -low - 0.5, merge.level, -high - 0.5))
        for level, height in zip(merge.starts, merge.rows, strict=True):
            segments[kind].append((ends[0] if level is None else level, -height - 0.5, merge.level, -height - 0.5))
    last = one.merges[-1]
    segments["solid"].append((last.level, -last.row - 0.5, ends[1], -last.row - 0.5))
    elements = []
    for kind, width, dash in (("solid", 1.6, "solid"), ("dashed", 1.6, "dashed"), ("group", 5.0, "solid")):
        if segments[kind]:
            table = np.array(segments[kind])
            columns = (convert(table[:, 0]), table[:, 1], convert(table[:, 2]), table[:, 3])
            lines = hv.Segments(columns, [x, y, "to", "row_to"])
            elements.append(lines.opts(color=style.PALETTE[0], line_width=width, line_dash=dash))
    return [*elements, *_bars(one, x, y, convert), _points(one, x, y, convert)]


def _bars(one: _Tree, x: Any, y: Any, convert: Any) -> list[Any]:
    """The intervals of the merges, as bars along the noise axis."""
    ends = _intervals(one, convert)
    rows = np.array([-merge.row - 0.5 for merge in one.merges])
    wide = ends[:, 1] > ends[:, 0]
    if not wide.any():
        return []
    bars = hv.Segments((ends[wide, 0], rows[wide], ends[wide, 1], rows[wide]), [x, y, "to", "row_to"])
    return [bars.opts(color=style.PALETTE[0], line_width=7, alpha=0.35)]


def _points(one: _Tree, x: Any, y: Any, convert: Any) -> Any:
    """A point per merge, whose hover names what parts there."""
    low, high = _intervals(one, convert).T
    table = pd.DataFrame(
        {
            x.name: convert(np.array([merge.level for merge in one.merges])),
            y.name: [-merge.row - 0.5 for merge in one.merges],
            "first": [_listed(merge.first) for merge in one.merges],
            "second": [_listed(merge.second) for merge in one.merges],
            "lower": low,
            "upper": high,
            "colour": style.PALETTE[0],
        }
    )
    tips = [("parts", "@first"), ("from", "@second"), (x.name, f"@{{{x.name}}} [@lower, @upper]")]
    if one.nodes is not None:
        table["support"], table["left"] = one.nodes["support"].values, one.nodes["left"].values
        table.loc[one.nodes["violation"].values, "colour"] = tree_nodes.VIOLATION
        tips += [("support", "@support{0.00}"), ("left where the one above is half decided", "@left{0.00}")]
    points = hv.Scatter(table, x, [y, *table.columns[2:]])
    return points.opts(color="colour", size=6 if one.nodes is None else 8, tools=["hover"], hover_tooltips=tips)


def _listed(names: Sequence[str], most: int = 8) -> str:
    return ", ".join(names[:most]) + (f", … ({len(names)} in all)" if len(names) > most else "")


def _pictures(raster: NDArray[np.uint8], axis: str, ends: Sequence[float], rows: int) -> Any:
    """The pictures of all leaves, beyond the data end of the axis."""
    # where the axis runs downwards images are drawn from right to left
    pixels_right = raster if axis == "log_snr" else raster[:, ::-1]
    return hv.RGB(
        pixels_right, [style.axis_dimension(axis), hv.Dimension("row")], ["R", "G", "B", "A"],
        bounds=(ends[0], -float(rows), ends[1], 0.0),
    )  # fmt: skip
