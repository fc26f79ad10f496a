"""The tree of classes: where its branches split, what stands at its leaves, and what it says of bounds and groups."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import holoviews as hv
import numpy as np
import pytest
import xarray as xr

import specent as sp
from specent.errors import SpecentError
from specent.plotting.merges import merges_of

Summary = Callable[..., xr.Dataset]
DIGITS = tuple("0123456789")


def options(figure: Any) -> dict[str, Any]:
    return dict(hv.Store.lookup_options("bokeh", figure, "plot").kwargs)


def parts(figure: Any, kind: type) -> list[Any]:
    return [part for part in figure if type(part) is kind]


@pytest.fixture(scope="module")
def points() -> xr.Dataset:
    """Three classes that are points on a line, almost: pairs part at a noise level in proportion to their distance."""
    mix = sp.exact.GaussianMixture([[0.0], [1.0], [8.0]], variance=1e-6, labels=["zero", "one", "eight"])
    pairs = [sp.Partition.pair(*two) for two in itertools.combinations(["zero", "one", "eight"], 2)]
    return sp.exact.profiles(mix, sp.schedules.VE(), np.geomspace(0.05, 50.0, 80), pairs)


def test_groups_merge_at_the_geometric_mean_of_the_noise_levels_of_their_pairs(points: xr.Dataset) -> None:
    table = sp.plot.tree(points, data=True)
    assert table["first"].tolist() == [("zero",), ("zero", "one")]
    assert table["second"].tolist() == [("one",), ("eight",)]
    # distances 1, and 8 and 7, of which the tree takes the mean of the logarithms; a grid of 11 levels per factor of e
    assert table["sigma"][1] / table["sigma"][0] == pytest.approx(np.sqrt(56), rel=1e-3)
    assert not table["at_most"].any()


def test_every_axis_shows_the_same_noise(points: xr.Dataset) -> None:
    level = sp.plot.tree(points, data=True)["sigma"]
    log_snr = sp.plot.tree(points, axis="log_snr", data=True)["log_snr"]
    np.testing.assert_allclose(log_snr, -2 * np.log(level), rtol=1e-12)
    # the time of this schedule is the noise level
    np.testing.assert_allclose(sp.plot.tree(points, axis="time", data=True)["time"], level, rtol=1e-12)
    spec = sp.speciation(points, axis="time")
    np.testing.assert_allclose(sp.plot.tree(spec, data=True)["sigma"], level, rtol=1e-2)
    with pytest.raises(SpecentError, match="schedule, which the dataset does not name"):
        sp.plot.tree(spec.drop_attrs(deep=False).assign_attrs({k: v for k, v in spec.attrs.items() if k != "schedule"}))


def test_a_tree_by_hand() -> None:
    # a b | c d merge at 1 and 2; between the groups the pairs part at 3, 4, 5, 8: at 5 on average
    levels = np.array([1.0, 3.0, 4.0, 5.0, 8.0, 2.0])
    merges, leaves = merges_of(levels, "abcd", 0.0, 9)
    assert [(one.first, one.second, one.level) for one in merges] == [
        (("a",), ("b",), 1.0), (("c",), ("d",), 2.0), (("a", "b"), ("c", "d"), 5.0),
    ]  # fmt: skip
    assert [leaf.name for leaf in leaves] == ["a", "b", "c", "d"]
    assert [one.rows for one in merges] == [(0, 1), (2, 3), (0.5, 2.5)]
    assert merges[2].starts == (1.0, 2.0)


def test_the_interval_of_a_merge_is_the_mean_of_those_of_its_pairs() -> None:
    # a and b merge at 1; c joins them at the mean of 3 and 5, and the bounds of these two pairs are averaged alike
    levels, bounds = np.array([1.0, 3.0, 5.0]), np.array([[0.5, 2.0, np.nan], [1.5, 3.5, 6.0]])
    merges, _ = merges_of(levels, "abc", 0.0, 9, bounds)
    assert merges[0].bounds == (0.5, 1.5)
    # what has no lower bound may lie as low as the figure goes
    assert merges[1].bounds == (1.0, 4.75)
    merges, _ = merges_of(levels, "abc", 0.0, 9)
    assert np.isnan(merges[0].bounds).all()


def test_intervals_are_bars_and_stand_in_the_table(points: xr.Dataset) -> None:
    spec = sp.speciation(points, axis="sigma")
    for bound, factor in (("_lower", 0.8), ("_upper", 1.5)):
        spec[f"half_entropy{bound}"] = (spec.half_entropy * factor).assign_attrs(spec[f"half_entropy{bound}"].attrs)
    table = sp.plot.tree(spec, data=True)
    # factors of the levels are differences of their logarithms, which means keep
    np.testing.assert_allclose(table.lower / table.sigma, 0.8, rtol=1e-12)
    np.testing.assert_allclose(table.upper / table.sigma, 1.5, rtol=1e-12)
    figure = sp.plot.tree(spec)
    bars = parts(figure, hv.Segments)[-1]
    np.testing.assert_allclose(bars.dimension_values(0), table.lower)
    np.testing.assert_allclose(bars.dimension_values(2), table.upper)
    assert "bars: intervals" in options(figure)["title"]
    assert "intervals" not in options(sp.plot.tree(points))["title"]


def by_definition(levels: np.ndarray, count: int) -> list[tuple[frozenset[int], float]]:
    """Average linkage as it is defined: join the two groups with the lowest mean over all their pairs."""
    pair = {frozenset(two): level for two, level in zip(itertools.combinations(range(count), 2), levels, strict=True)}
    groups, merged = [frozenset([i]) for i in range(count)], []
    while len(groups) > 1:
        means = {
            (a, b): np.mean([pair[frozenset((i, j))] for i in a for j in b])
            for a, b in itertools.combinations(groups, 2)
        }
        a, b = min(means, key=means.__getitem__)
        groups = [one for one in groups if one not in (a, b)] + [a | b]
        merged.append((a | b, float(means[a, b])))
    return merged


def test_the_merges_are_those_of_the_definition() -> None:
    levels = np.random.default_rng(4).normal(size=66)
    labels = [str(i) for i in range(12)]
    merges, _ = merges_of(levels, labels, -9.0, 12)
    expected = by_definition(levels, 12)
    drawn = [(frozenset(int(name) for name in (*one.first, *one.second)), one.level) for one in merges]
    assert [group for group, _ in drawn] == [group for group, _ in expected]
    np.testing.assert_allclose([level for _, level in drawn], [level for _, level in expected], rtol=1e-12)


def test_a_pair_that_never_falls_makes_its_merge_an_upper_bound() -> None:
    # b and c never part: at most at the lowest level, -1; then a is at the mean of 2 and 4 from both
    merges, _ = merges_of(np.array([2.0, 4.0, np.nan]), "abc", -1.0, 9)
    assert [(one.level, one.at_most) for one in merges] == [(-1.0, True), (3.0, False)]
    # a and c never part, and a and b do: that of the three holds a bound
    merges, _ = merges_of(np.array([0.0, np.nan, 5.0]), "abc", -1.0, 9)
    assert [(one.level, one.at_most) for one in merges] == [(-1.0, True), (2.5, False)]
    merges, _ = merges_of(np.array([-3.0, np.nan, 5.0]), "abc", -3.0, 9)
    assert merges[-1].level == pytest.approx(1.0)
    assert [one.at_most for one in merges].count(True) == 1


def test_bounds_are_dashed_and_the_title_says_so(digit_profiles: xr.Dataset, summary: Summary) -> None:
    spec = summary(digit_profiles.sel(estimator=["path"], guidance=["unguided"])).copy(deep=True)
    for bound in ("", "_lower", "_upper"):
        spec[f"half_entropy{bound}"].loc[{"partition": "3 | 8"}] = np.nan
    figure = sp.plot.tree(spec)
    styles = [hv.Store.lookup_options("bokeh", one, "style").kwargs for one in parts(figure, hv.Segments)]
    # the bars of the intervals come after the branches
    assert [one.get("line_dash") for one in styles] == ["solid", "dashed", None]
    assert "never falls to half" in options(figure)["title"]
    assert "never falls to half" not in options(sp.plot.tree(summary(digit_profiles)))["title"]
    table = sp.plot.tree(spec, data=True)
    assert table[table["at_most"]][["first", "second"]].values.tolist() == [[("3",), ("8",)]]


def test_the_branches_stand_where_the_table_says(digit_profiles: xr.Dataset, summary: Summary) -> None:
    spec = summary(digit_profiles)
    figure = sp.plot.tree(spec, guidance="w=2")
    table = sp.plot.tree(spec, guidance="w=2", data=True)
    (lines, _), (points,) = parts(figure, hv.Segments), parts(figure, hv.Scatter)
    np.testing.assert_allclose(points.dimension_values("sigma"), table["sigma"], rtol=1e-12)
    # nine merges of two branches and a crossbar each, and the trunk
    start, end = lines.dimension_values("sigma"), lines.dimension_values("to")
    assert len(start) == 9 * 3 + 1
    crossbars = start == end
    np.testing.assert_allclose(start[crossbars], table["sigma"], rtol=1e-12)
    # generation runs to the right, and the trunk stands on the noise
    assert options(figure)["invert_xaxis"]
    assert end[-1] == pytest.approx(options(figure)["xlim"][1])
    assert max(start[:-1].max(), end[:-1].max()) < end[-1]
    names = [name for _, name in options(figure)["yticks"]]
    assert sorted(names) == [*DIGITS]
    # no branch crosses another: the labels of every merge stand in neighbouring rows
    for row in table.itertuples():
        rows = sorted(names.index(name) for name in (*row.first, *row.second))
        assert rows == [*range(rows[0], rows[-1] + 1)]


def test_classes_on_the_wrong_side_of_a_hundred_are_groups() -> None:
    # a hundred labels in twenty clusters of five on a line
    place = np.repeat(np.arange(20.0) ** 2, 5) + np.tile(np.linspace(0, 0.1, 5), 20)
    rows, columns = np.triu_indices(100, 1)
    labels = [f"c{i}" for i in range(100)]
    merges, leaves = merges_of(np.log(np.abs(place[rows] - place[columns])), labels, -9.0, 20)
    assert len(leaves) == 20
    assert len(merges) == 19
    groups = sorted((leaf.members for leaf in leaves), key=lambda group: int(group[0][1:]))
    assert groups == [tuple(labels[5 * i : 5 * i + 5]) for i in range(20)]
    # the middle one of five stands for them
    assert {leaf.name for leaf in leaves} == {f"c{5 * i + 2}" for i in range(20)}
    # all five by the last of their merges
    assert all(leaf.level < np.log(0.1) for leaf in leaves)


def test_a_thousand_labels_are_merged_in_a_moment() -> None:
    place = np.random.default_rng(3).normal(size=1000)
    rows, columns = np.triu_indices(1000, 1)
    merges, leaves = merges_of(np.log(np.abs(place[rows] - place[columns])), [str(i) for i in range(1000)], -20.0, 30)
    assert len(leaves) == 30
    assert sum(len(leaf.members) for leaf in leaves) == 1000
    assert sorted((*merges[-1].first, *merges[-1].second), key=int) == [str(i) for i in range(1000)]


def test_thinned_leaves_are_said(digit_profiles: xr.Dataset, summary: Summary) -> None:
    figure = sp.plot.tree(summary(digit_profiles), most=4)
    assert "10 labels in 4 leaves" in options(figure)["title"]
    names = [name for _, name in options(figure)["yticks"]]
    assert sum(int(name.partition(" +")[2] or 0) + 1 for name in names) == 10


@pytest.mark.parametrize("axis", ["sigma", "log_snr"])
def test_samples_stand_upright_at_their_leaves(
    axis: str, picture_runs: xr.Dataset, digit_profiles: xr.Dataset, summary: Summary
) -> None:
    figure = sp.plot.tree(summary(digit_profiles), picture_runs, axis, class_label=["0", "1", "7"])
    (images,) = parts(figure, hv.RGB)
    names = [name for _, name in options(figure)["yticks"]]
    raster = np.stack([images.dimension_values(one, flat=False)[::-1] for one in "RA"], axis=-1)
    # where the axis runs downwards the browser draws images from right to left
    raster = raster[:, ::-1] if axis == "sigma" else raster
    tile = raster[10 * names.index("1") :][:10, :10]
    expected = picture_runs["final"].sel(class_label="1").isel(guidance=0, sample=0, channel=0).values
    np.testing.assert_array_equal(tile[1:9, 1:9, 0], 255 * expected)
    # no trajectory of this class
    assert (raster[10 * names.index("7") :][:10, :, 1] == 0).all()
    # beyond the data end, where the axis has no marks
    left, _, right, _ = images.bounds.lbrt()
    marks = [position for position, _ in options(figure)["xticks"]]
    assert not any(left < mark < right for mark in marks)
    low, high = options(figure)["xlim"]
    assert low == pytest.approx(left) if axis == "sigma" else high == pytest.approx(right)
    hv.render(figure, backend="bokeh")


def test_settings_that_are_named_have_a_tree_each(digit_profiles: xr.Dataset, summary: Summary) -> None:
    spec = summary(digit_profiles)
    both = sp.plot.tree(spec, guidance=["unguided", "w=2"], data=True)
    assert both["guidance"].value_counts().to_dict() == {"unguided": 9, "w=2": 9}
    assert len(sp.plot.tree(spec, guidance=["unguided", "w=2"])) == 2
    # the whole second tree lies at higher noise
    assert both["sigma"][17] > both["sigma"][8]


def test_what_makes_no_tree_is_refused(
    pair_profiles: xr.Dataset, digit_profiles: xr.Dataset, ve_profiles: xr.Dataset, summary: Summary
) -> None:
    with pytest.raises(SpecentError, match="2 of the 3 pairs of 3 labels, and not 'dog' against 'car'"):
        sp.plot.tree(summary(pair_profiles))
    spec = summary(digit_profiles)
    with pytest.raises(SpecentError, match="at least three labels"):
        sp.plot.tree(spec, class_label=["1", "2"])
    with pytest.raises(SpecentError, match="no pair of labels"):
        sp.plot.tree(spec, class_label="1")
    with pytest.raises(SpecentError, match="axis"):
        sp.plot.tree(spec, axis="noise")
    with pytest.raises(SpecentError, match="most=2"):
        sp.plot.tree(spec, most=2)
    with pytest.raises(SpecentError, match="guidance: 'w=9'"):
        sp.plot.tree(spec, guidance="w=9")
    with pytest.raises(SpecentError, match="select one dimension"):
        sp.plot.tree(summary(ve_profiles))
    with pytest.raises(SpecentError, match="a speciation dataset is needed"):
        sp.plot.tree("digits.nc")
