"""The result of `specent.tree` as a figure draws it: its merges and leaves, the support of its nodes, and its index.

The merges are those of the result, of which nothing is computed anew: both it and a tree drawn of a summary of pairs
come from `specent.analysis.hierarchy.average_linkage`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import holoviews as hv
import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from specent.errors import SpecentError, visible
from specent.plotting import style
from specent.plotting.merges import Leaf, Merge, laid_out
from specent.plotting.outside import need_result

Array = NDArray[np.float64]

_NUMBERS = ("merge", "merge_lower", "merge_upper", "support", "split", "left")
_INDEX = ("hierarchy_index", "hierarchy_index_lower", "hierarchy_index_upper")
VIOLATION = style.PALETTE[1]
"""Colour of nodes that split at more noise than the node above them."""


def is_tree(dataset: object) -> bool:
    """Whether something is the result of `specent.tree`, or what is left of one."""
    return isinstance(dataset, xr.Dataset) and "specent_kind" not in dataset.attrs and "merge" in dataset.data_vars


def checked_tree(dataset: xr.Dataset) -> xr.Dataset:
    """The result of `specent.tree`, if it describes one tree.

    Raises
    ------
    SpecentError
        If a variable is missing, or nodes are.
    """
    variables = (*_NUMBERS, *_INDEX, "random_index", "at_most")
    whole = need_result(dataset, "profiles_or_speciation", "specent.tree", variables, ("first", "second", "parent"))
    if any(whole[name].dims != ("node",) for name in (*_NUMBERS, "at_most", "first", "second", "parent")):
        raise SpecentError("profiles_or_speciation has lost the dimension 'node' of its tree; give all nodes")
    if any(whole[name].ndim for name in _INDEX):
        raise SpecentError("profiles_or_speciation holds several trees; select one")
    parents = whole["parent"].values
    count = len(parents)
    whole_numbers = parents.dtype.kind in "iu" and bool((parents[:-1] > np.arange(count - 1)).all())
    if count < 2 or not whole_numbers or parents[-1] != -1 or parents.max() >= count:
        raise SpecentError(
            "profiles_or_speciation describes no tree: 'parent' must name a later node, and the last none"
        )
    if not np.isfinite(whole["merge"].values).all():
        raise SpecentError("nothing to draw: 'merge' holds no finite number for a node of the tree")
    return whole


def merges_and_leaves(tree: xr.Dataset, most: int) -> tuple[list[Merge], list[Leaf], float]:
    """The merges, the leaves from top to bottom, and the lowest log noise level of a tree."""
    table, labels = _table(tree)
    levels = tree["merge"].values.astype(np.float64)
    lowest = float(levels.min())
    intervals = list(zip(tree["merge_lower"].values.tolist(), tree["merge_upper"].values.tolist(), strict=True))
    at_most = tree["at_most"].values.astype(bool).tolist()
    merges, leaves = laid_out(table, labels, _cophenetic(table), (lowest, most), at_most, intervals)
    return merges, leaves, lowest


def _table(tree: xr.Dataset) -> tuple[Array, list[str]]:
    """The merges as a table of linkage, and the labels: of numbers by value, otherwise from one end of the tree."""
    parents, count = tree["parent"].values.tolist(), tree.sizes["node"] + 1
    branches = [[visible(str(text)) for text in tree[name].values] for name in ("first", "second")]
    texts = [f"{first}+{second}" for first, second in zip(*branches, strict=True)]
    inside: list[list[str | int]] = []
    for i, own in enumerate(zip(*branches, strict=True)):
        below = {texts[j]: j for j in range(i) if parents[j] == i}
        inside.append([below.pop(text, text) for text in own])
        if below:
            raise SpecentError(
                f"profiles_or_speciation describes no tree: {texts[i]!r} is not made of its two branches"
            )
    labels = [branch for two in inside for branch in two if isinstance(branch, str)]
    if len(set(labels)) != count:
        raise SpecentError(
            f"profiles_or_speciation describes no tree: {len(set(labels))} labels have {count - 1} nodes"
        )
    if all(label.isdecimal() for label in labels):
        labels.sort(key=float)
    numbers: dict[str | int, int] = {label: i for i, label in enumerate(labels)} | {j: count + j for j in range(count)}
    table = np.zeros((count - 1, 4))
    for i, two in enumerate(inside):
        table[i, :2] = sorted(numbers[branch] for branch in two)
    table[:, 2] = tree["merge"].values
    return table, labels


def _cophenetic(table: Array) -> Array:
    """For every two labels the height above the lowest at which they merge, shape (label, label)."""
    count = len(table) + 1
    members, distances = [[i] for i in range(count)], np.zeros((count, count))
    for left, right, level, _ in table:
        one, other = members[int(left)], members[int(right)]
        distances[np.ix_(one, other)] = level - table[:, 2].min()
        distances[np.ix_(other, one)] = level - table[:, 2].min()
        members.append([*one, *other])
    return distances


def drawn_nodes(tree: xr.Dataset, merges: Sequence[Merge]) -> xr.Dataset:
    """The nodes of the merges that are drawn, with ``violation``: whether one splits at more noise than its parent."""
    parents, split = tree["parent"].values, tree["split"].values
    above = np.where(parents >= 0, split[parents], np.inf)
    return tree.assign(violation=("node", split > above)).isel(node=slice(-len(merges), None))


def columns(nodes: xr.Dataset, convert: Any) -> dict[str, Array]:
    """What the table of a figure says of the nodes: their support, where they split, and what is left of them."""
    return {
        "support": nodes["support"].values,
        "split": np.asarray(convert(nodes["split"].values)),
        "left": nodes["left"].values,
        "violation": nodes["violation"].values,
    }


def support_labels(nodes: xr.Dataset, merges: Sequence[Merge], at: Array, dims: Sequence[Any], row: float) -> list[Any]:
    """The support of every node but the root, which has all, in per cent beside its branch.

    Parameters
    ----------
    nodes : Dataset
        Of `drawn_nodes`.
    merges : sequence of Merge
        The same.
    at : ndarray, shape (merge,)
        Positions on the horizontal axis, at which the numbers end.
    dims : sequence of Dimension
        Of the figure.
    row : float
        Pixels of a row.
    """
    shares = nodes["support"].values[:-1]
    known = np.isfinite(shares)
    if not known.any():
        return []
    heights = np.array([-merge.row - 0.5 for merge in merges])[:-1] + 2.0 / row
    texts = [f"{100 * share:.0f}" for share in shares[known]]
    names = hv.Labels((at[:-1][known], heights[known], texts), [*dims], hv.Dimension("support in %"))
    return [names.opts(text_font_size="10px", text_align="right", text_baseline="bottom", text_color=style.NEUTRAL)]


def notes_on(nodes: xr.Dataset, tree: xr.Dataset) -> list[str]:
    """The index beside that of random trees, what the numbers are, and how many nodes violate the hierarchy."""
    index, lower, upper = (float(tree[name]) for name in _INDEX)
    others = _random(tree)
    line = f"hierarchy index {index:.2f}" + (f" [{lower:.2f}, {upper:.2f}]" if upper > lower else "")
    line += f", of random trees {others.min():.2f} to {others.max():.2f}" if others.size else ""
    notes = [line]
    if np.isfinite(nodes["support"].values[:-1]).any():
        notes.append("numbers: support in % of the replicates")
    count = int(nodes["violation"].values.sum())
    if count:
        notes.append(f"orange: {count} split{'s' if count > 1 else ''} at more noise than the one above")
    return notes


def _random(tree: xr.Dataset) -> Array:
    values = np.atleast_1d(tree["random_index"].values).astype(np.float64).ravel()
    return np.asarray(values[np.isfinite(values)])


def index_panel(tree: xr.Dataset) -> Any:
    """The index of the tree with its interval, over those of random trees; nothing where there are none of these."""
    others = _random(tree)
    index, lower, upper = (float(tree[name]) for name in _INDEX)
    if not others.size or not np.isfinite(index):
        return None
    x, row = hv.Dimension("hierarchy_index", label="hierarchy index (1: a clean hierarchy)"), hv.Dimension("row")
    known = np.array([value for value in (index, lower, upper) if np.isfinite(value)])
    low, high = min(0.0, *others, *known), max(1.0, *others, *known)
    dots = hv.Scatter((others, np.zeros(others.size)), x, row)
    elements = [dots.opts(color=style.NEUTRAL, alpha=0.5, size=8)]
    if upper > lower:
        ends = [x, row, hv.Dimension("to"), hv.Dimension("row_to")]
        elements.append(hv.Segments([(lower, 1.0, upper, 1.0)], ends).opts(color=style.PALETTE[0], line_width=2.5))
    own = pd.DataFrame({x.name: [index], row.name: [1.0], "lower": [lower], "upper": [upper]})
    tips = [("hierarchy index", "@hierarchy_index{0.000} [@lower{0.000}, @upper{0.000}]")]
    point = hv.Scatter(own, x, [row, "lower", "upper"])
    elements.append(
        point.opts(color=style.PALETTE[0], size=10, line_color="white", tools=["hover"], hover_tooltips=tips)
    )
    room = 0.03 * (high - low)
    return hv.Overlay(elements).opts(
        **style.frame(height=64, toolbar=None), xlim=(low - room, high + room), ylim=(-0.6, 1.6), yaxis="right",
        yticks=[(1.0, "this tree"), (0.0, "random trees")], xlabel=x.label, ylabel="", show_legend=False,
    )  # fmt: skip
