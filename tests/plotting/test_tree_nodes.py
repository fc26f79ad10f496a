"""The result of `sp.tree` as a figure: its own merges, the support of its nodes, and its index beside random trees."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import holoviews as hv
import numpy as np
import pytest
import xarray as xr

import specent as sp
from specent.errors import SpecentError
from specent.plotting import style, tree_nodes


def options(figure: Any) -> dict[str, Any]:
    return dict(hv.Store.lookup_options("bokeh", figure, "plot").kwargs)


def parts(figure: Any, kind: type) -> list[Any]:
    return [part for part in figure if type(part) is kind]


def panel(layout: Any, number: int) -> Any:
    """The tree, or the strip beneath it."""
    return [*layout][number]


@pytest.fixture(scope="module")
def runs() -> xr.Dataset:
    return sp.archive.example().isel(guidance=[0]).load()


@pytest.fixture(scope="module")
def measured(runs: xr.Dataset) -> xr.Dataset:
    return sp.tree(runs, replicates=50)


@pytest.fixture(scope="module")
def by_hand() -> xr.Dataset:
    """Merges at 0, 1 and 2 with supports and splits that were chosen; the names of two classes hold a plus sign."""
    numbers = {
        "merge": [0.0, 1.0, 2.0],
        "split": [0.1, 2.5, 1.5],
        "left": [0.9, 0.3, np.nan],
        "support": [0.6, 0.95, 1.0],
    }
    bounds = {"merge_lower": [-0.5, 0.5, 1.5], "merge_upper": [0.5, 1.5, 2.5]}
    variables: dict[str, Any] = {name: ("node", values) for name, values in (numbers | bounds).items()}
    variables |= {"hierarchy_index": 0.6, "hierarchy_index_lower": 0.5, "hierarchy_index_upper": 0.7}
    variables |= {"random_index": ("tree", [0.1, 0.4, 0.2]), "at_most": ("node", [True, False, False])}
    coords = {"parent": ("node", [1, 2, -1]), "first": ("node", ["a", "a+b+c", "a+b+c+d"])}
    coords |= {"second": ("node", ["b+c", "d", "e+"]), "node": ["one", "two", "three"]}
    return xr.Dataset(variables, coords)


def test_the_merges_are_those_of_the_pairs(runs: xr.Dataset, measured: xr.Dataset) -> None:
    own = sp.plot.tree(measured, data=True)
    pairs = [sp.Partition.pair(*two) for two in itertools.combinations(["cat", "dog", "car"], 2)]
    profiles = sp.entropy(runs, pairs, "path", progress=False)
    other = sp.plot.tree(profiles, data=True)
    # the crossing of one spline with a level, found in two ways
    np.testing.assert_allclose(own["sigma"], other["sigma"], rtol=1e-6)
    for one, two in zip(own.itertuples(), other.itertuples(), strict=True):
        assert {frozenset(one.first), frozenset(one.second)} == {frozenset(two.first), frozenset(two.second)}


def test_the_table_says_what_the_result_says(by_hand: xr.Dataset) -> None:
    table = sp.plot.tree(by_hand, data=True)
    np.testing.assert_allclose(table["sigma"], np.exp([0.0, 1.0, 2.0]))
    np.testing.assert_allclose(table["lower"], np.exp([-0.5, 0.5, 1.5]))
    np.testing.assert_allclose(table["split"], np.exp([0.1, 2.5, 1.5]))
    assert table["support"].tolist() == [0.6, 0.95, 1.0]
    assert table["at_most"].tolist() == [True, False, False]
    # only the second splits at more noise than the node above it
    assert table["violation"].tolist() == [False, True, False]
    # names with a plus sign stay whole
    assert [{one, two} for one, two in zip(table["first"], table["second"], strict=True)] == [
        {("a",), ("b+c",)}, {("a", "b+c"), ("d",)}, {("a", "b+c", "d"), ("e+",)},
    ]  # fmt: skip


@pytest.mark.parametrize("axis", ["sigma", "log_snr"])
def test_support_stands_beside_every_node_but_the_root(axis: str, by_hand: xr.Dataset) -> None:
    figure = panel(sp.plot.tree(by_hand, axis=axis), 0)
    (numbers,) = parts(figure, hv.Labels)
    assert numbers.dimension_values(2).tolist() == ["60", "95"]
    (points,) = parts(figure, hv.Scatter)
    at, nodes = numbers.dimension_values(0), points.dimension_values(0)[:2]
    # on the noise side, which is on the left
    assert (at < nodes).all() if axis == "log_snr" else (at > nodes).all()
    # a little above the branch
    above = numbers.dimension_values(1) - points.dimension_values(1)[:2]
    assert ((above > 0) & (above < 0.3)).all()
    colours = points.dimension_values("colour").tolist()
    assert colours == [style.PALETTE[0], tree_nodes.VIOLATION, style.PALETTE[0]]
    title = options(figure)["title"]
    assert "hierarchy index 0.60 [0.50, 0.70], of random trees 0.10 to 0.40" in title
    assert "1 split at more noise" in " ".join(title.split())


def test_the_index_stands_over_those_of_random_trees(by_hand: xr.Dataset) -> None:
    strip = panel(sp.plot.tree(by_hand), 1)
    random, own = parts(strip, hv.Scatter)
    assert sorted(random.dimension_values(0)) == [0.1, 0.2, 0.4]
    assert own.dimension_values(0).tolist() == [0.6]
    (interval,) = parts(strip, hv.Segments)
    assert (interval.dimension_values(0)[0], interval.dimension_values(2)[0]) == (0.5, 0.7)
    # without random trees the title alone says it
    alone = sp.plot.tree(by_hand.isel(tree=slice(0)).drop_vars("random_index").assign(random_index=("tree", [np.nan])))
    assert isinstance(alone, hv.Overlay)
    assert "hierarchy index 0.60 [0.50, 0.70]" in options(alone)["title"]


def test_leaves_can_be_groups_and_have_samples(picture_runs: xr.Dataset) -> None:
    made = sp.tree(
        sp.exact.GaussianMixture([[0.0], [2.0], [8.0], [20.0]], labels=["0", "1", "2", "3"]),
        schedule=sp.schedules.VE(), time=sp.schedules.edm_grid(40, 0.1, 80.0), random_trees=2,
    )  # fmt: skip
    figure = panel(sp.plot.tree(made, picture_runs, most=3), 0)
    assert len(sp.plot.tree(made, most=3, data=True)) == 2
    assert len(parts(figure, hv.RGB)) == 1
    assert "4 labels in 3 leaves" in " ".join(options(figure)["title"].split())
    # an exact tree has no support to show
    assert not parts(figure, hv.Labels)


def test_both_backends_draw_it(by_hand: xr.Dataset, measured: xr.Dataset, tmp_path: Path) -> None:
    for number, made in enumerate((by_hand, measured)):
        figure = sp.plot.tree(made)
        hv.render(figure, backend="bokeh")
        assert sp.plot.save(figure, tmp_path / f"{number}.pdf").read_bytes()[:5] == b"%PDF-"


def test_what_describes_no_tree_is_refused(by_hand: xr.Dataset, one_curve: xr.Dataset) -> None:
    for changed, text in (
        (by_hand.isel(node=[0, 2]), "not made of its two branches"),
        (by_hand.isel(node=[0, 1]), "'parent' must name a later node"),
        (by_hand.isel(node=0), "lost the dimension 'node'"),
        (by_hand.drop_vars("support"), r"no variable 'support'; give the result of specent\.tree"),
        (by_hand.drop_vars("parent"), "no coordinate 'parent'"),
        (by_hand.assign_coords(parent=("node", [2, 2, -1])), "not made of its two branches"),
        (by_hand.assign(merge=by_hand["merge"] * np.nan), "nothing to draw"),
    ):
        with pytest.raises(SpecentError, match=text):
            sp.plot.tree(changed)
    with pytest.raises(SpecentError, match="class_label= selects from profiles"):
        sp.plot.tree(by_hand, class_label=["a", "d"])
    with pytest.raises(SpecentError, match="axis='time'"):
        sp.plot.tree(by_hand, axis="time")
    with pytest.raises(SpecentError):
        sp.plot.tree(one_curve)
