"""Matrices of pairs: their numbers, what they share, their difference, and what is grey."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from typing import Any

import holoviews as hv
import numpy as np
import pytest
import xarray as xr

import specent as sp
from specent.errors import SpecentError
from specent.plotting import heat, pair_levels

Summary = Callable[..., xr.Dataset]
DIGITS = tuple("0123456789")


def plot_options(element: Any) -> dict[str, Any]:
    return dict(hv.Store.lookup_options("bokeh", element, "plot").kwargs)


def heat_map(figure: Any) -> Any:
    return [part for part in figure if isinstance(part, hv.HeatMap)][-1]


def cells(figure: Any) -> dict[tuple[str, str], float]:
    columns = (heat_map(figure).dimension_values(name) for name in ("label", "other_label", "half"))
    return {(a, b): value for a, b, value in zip(*columns, strict=True)}


def texts(figure: Any) -> dict[tuple[str, str], str]:
    written = {}
    for part in figure:
        if isinstance(part, hv.Labels):
            columns = (part.dimension_values(i) for i in range(3))
            written |= {(a, b): text for a, b, text in zip(*columns, strict=True)}
    return written


def level(spec: xr.Dataset, a: str, b: str, **at: str) -> float:
    chosen = spec["half_entropy"].sel(axis="log_snr", partition=f"{a} | {b}", **at)
    return float(np.exp(-float(chosen.squeeze()) / 2))


@pytest.fixture
def spotted(digit_profiles: xr.Dataset, summary: Summary) -> xr.Dataset:
    """A summary in which the pair 3 | 8 never falls to half, and 0 | 1 was not analysed."""
    spec = summary(digit_profiles.sel(estimator=["path"], guidance=["unguided"])).copy(deep=True)
    for name in ("half_entropy", "half_entropy_lower", "half_entropy_upper"):
        spec[name].loc[{"partition": "3 | 8"}] = np.nan
    return spec.isel(partition=[i for i, name in enumerate(spec["partition"].values) if name != "0 | 1"])


def test_a_matrix_is_symmetric_and_holds_the_noise_levels(digit_profiles: xr.Dataset, summary: Summary) -> None:
    spec = summary(digit_profiles)
    figure = sp.plot.pair_matrix(spec, estimator="path", guidance="w=2")
    drawn = cells(figure)
    for a, b in itertools.combinations(DIGITS, 2):
        expected = level(spec, a, b, estimator="path", guidance="w=2")
        assert drawn[a, b] == drawn[b, a] == pytest.approx(expected, rel=1e-12)
    assert not any(np.isfinite(drawn[a, a]) for a in DIGITS)
    assert plot_options(heat_map(figure))["colorbar"]
    low, high = (heat_map(figure).dimension_values(name) for name in ("lower", "upper"))
    assert (low[np.isfinite(low)] < high[np.isfinite(low)]).all()
    written = texts(figure)
    assert len(written) == 90
    # three digits, whatever the number
    assert all(len(text.replace(".", "").lstrip("0")) == 3 for text in written.values())
    assert all(float(written[pair]) == pytest.approx(drawn[pair], rel=5.1e-3) for pair in written)


def test_settings_share_a_scale_and_come_with_their_difference(digit_profiles: xr.Dataset, summary: Summary) -> None:
    spec = summary(digit_profiles)
    first, second, difference = sp.plot.pair_matrix(spec)
    assert [plot_options(one)["title"] for one in (first, second, difference)] == [
        "unguided", "w=2", "w=2 − unguided",
    ]  # fmt: skip
    options = [plot_options(heat_map(one)) for one in (first, second, difference)]
    every = [value for one in (first, second) for value in cells(one).values() if np.isfinite(value)]
    assert options[0]["clim"] == options[1]["clim"] == (min(every), max(every))
    assert [one["colorbar"] for one in options] == [False, True, True]
    # zero is the middle of the diverging scale
    assert options[2]["clim"][0] == -options[2]["clim"][1]
    a, b, c = (cells(one) for one in (first, second, difference))
    for pair, value in c.items():
        np.testing.assert_allclose(value, b[pair] - a[pair], rtol=1e-12, equal_nan=True)
    # the second setting falls at exp(0.4) times the noise of the first, up to the grid of 48 levels: a tenth of a step
    assert b["3", "8"] / a["3", "8"] == pytest.approx(np.exp(0.4), rel=0.02)
    assert all(text[0] in "+-" for text in texts(difference).values())
    assert len({len(text) for text in texts(difference).values()}) == 1


def test_the_table_holds_the_drawn_numbers(digit_profiles: xr.Dataset, summary: Summary) -> None:
    spec = summary(digit_profiles)
    table = sp.plot.pair_matrix(spec, data=True)
    assert len(table) == 3 * 45
    rows = table.set_index(["guidance", "label", "other_label"])
    expected = {name: level(spec, "3", "8", estimator="path", guidance=name) for name in ("unguided", "w=2")}
    for name, value in expected.items():
        assert rows.loc[name, "3", "8"]["sigma"] == pytest.approx(value, rel=1e-12)
        assert rows.loc[name, "3", "8"]["lower"] < value < rows.loc[name, "3", "8"]["upper"]
    change = expected["w=2"] - expected["unguided"]
    assert rows.loc["w=2 − unguided", "3", "8"]["sigma"] == pytest.approx(change, rel=1e-12)
    assert set(table["estimator"]) == {"path"}


def test_estimators_are_compared_if_they_are_named(digit_profiles: xr.Dataset, summary: Summary) -> None:
    figure = sp.plot.pair_matrix(summary(digit_profiles), estimator=["path", "exact"], guidance="unguided")
    assert [plot_options(one)["title"] for one in figure] == ["path", "exact", "exact − path"]


def test_what_never_falls_is_grey_and_named_in_a_legend(spotted: xr.Dataset) -> None:
    figure = sp.plot.pair_matrix(spotted)
    grey = next(part for part in figure if isinstance(part, hv.HeatMap))
    assert grey is not heat_map(figure)
    drawn = zip(grey.dimension_values("label"), grey.dimension_values("other_label"), strict=True)
    assert sorted(drawn) == [("3", "8"), ("8", "3")]
    state = hv.render(figure, backend="bokeh")
    assert [item.label["value"] for one in state.legend for item in one.items] == [heat.NEVER_TEXT]
    words = dict(
        zip(
            zip(*(heat_map(figure).dimension_values(name) for name in ("label", "other_label")), strict=True),
            heat_map(figure).dimension_values("words"),
            strict=True,
        )
    )
    assert words["8", "3"] == heat.NEVER_TEXT
    assert words["0", "1"] == "not analysed"
    assert len(texts(figure)) == 86


def test_numbers_can_be_read_on_the_colour_of_their_cell() -> None:
    for scale in (
        heat.Scale.of_levels(np.array([0.1, 9.0]), "sigma"),
        heat.Scale.of_differences(np.array([2.0]), "sigma"),
    ):
        for colour in scale.colours(np.linspace(scale.low, scale.high, 50)):
            ground, ink = heat.luminance(colour), {"black": 0.0, "white": 1.0}[heat.ink(colour)]
            # 4.5 is what the guidelines for accessible web content ask of text
            assert (max(ground, ink) + 0.05) / (min(ground, ink) + 0.05) >= 4.5


def test_the_colour_of_a_number_is_that_of_the_scale() -> None:
    scale = heat.Scale.of_levels(np.array([0.01, 1.0]), "sigma")
    assert scale.log
    palette = hv.plotting.util.process_cmap("viridis", 256)
    # 0.1 is in the middle of a logarithmic scale
    assert scale.colours(np.array([0.01, 0.1, 1.0])) == [palette[0], palette[128], palette[255]]


def test_leaves_of_the_tree_put_like_labels_side_by_side(digit_profiles: xr.Dataset, summary: Summary) -> None:
    spec = summary(digit_profiles)
    figure = sp.plot.pair_matrix(spec, estimator="path", guidance="unguided", order="tree")
    drawn = [str(name) for name in heat_map(figure).get_dimension("label").values]
    table = sp.plot.tree(spec, estimator="path", guidance="unguided", data=True)
    # the labels of every merge are neighbours
    for row in table.itertuples():
        rows = sorted(drawn.index(name) for name in (*row.first, *row.second))
        assert rows == [*range(rows[0], rows[-1] + 1)]
    assert drawn != [*DIGITS]
    assert drawn[0] == "0"


def test_an_order_by_the_tree_needs_every_pair(spotted: xr.Dataset) -> None:
    with pytest.raises(SpecentError, match=r"44 of the 45 pairs of 10 labels, and not '0' against '1'"):
        sp.plot.pair_matrix(spotted, order="tree")
    some = sp.plot.pair_matrix(spotted, order="tree", class_label=DIGITS[1:])
    assert len(cells(some)) == 81


def many_pairs(template: xr.Dataset, count: int) -> xr.Dataset:
    """A summary of all pairs of `count` labels, at a noise level of 1 and the sum of both their numbers in percent."""
    rows, columns = np.triu_indices(count, 1)
    names = [f"c{i}" for i in range(count)]
    definitions = [
        json.dumps({"name": f"{a} | {b}", "sides": [[a, [a]], [b, [b]]], "prior": [0.5, 0.5]})
        for a, b in ((names[i], names[j]) for i, j in zip(rows, columns, strict=True))
    ]
    spec = template.isel(partition=np.zeros(len(rows), dtype=int)).drop_vars(["partition", "definition"])
    half = -2 * np.log(1 + (rows + columns) / 100)
    for name in ("half_entropy", "half_entropy_lower", "half_entropy_upper"):
        spec[name] = (spec[name].dims, np.broadcast_to(half, spec[name].shape).copy())
    return spec.assign_coords(
        partition=[json.loads(text)["name"] for text in definitions], definition=("partition", definitions)
    )


def test_many_labels_are_an_image_without_numbers(one_curve: xr.Dataset, summary: Summary) -> None:
    spec = many_pairs(summary(one_curve), 60)
    figure = sp.plot.pair_matrix(spec)
    (image,) = figure
    assert isinstance(image, hv.Image)
    # the first label stands at the top
    values = image.dimension_values("half", flat=False)[::-1]
    rows, columns = np.indices((60, 60))
    expected = np.where(rows == columns, np.nan, 1 + (rows + columns) / 100)
    np.testing.assert_allclose(values, expected, rtol=1e-6)
    ticks = plot_options(figure)["yticks"]
    assert ticks[1] == (-3.5, "c3")
    hv.render(figure, backend="bokeh")


def test_a_thousand_labels_are_drawn_as_medians_over_blocks() -> None:
    rows, columns = np.indices((1000, 1000))
    value = np.where(rows == columns, np.nan, 1.0 + rows // 2 + columns // 2)
    whole = heat.Cells([f"c{i}" for i in range(1000)], value, value, value)
    scale = heat.Scale.of_levels(np.array([1.0, 999.0]), "sigma")
    figure = heat.matrix(whole, rows != columns, scale, "", bar=True, width=560)
    (image,) = figure
    drawn = image.dimension_values("half", flat=False)[::-1]
    # pairs of neighbours hold one number each
    np.testing.assert_array_equal(drawn, 1.0 + np.add.outer(np.arange(500), np.arange(500)))
    # a million cells in single precision would be beyond what a page may weigh
    assert drawn.nbytes == 1e6
    assert "2 by 2 of 1000 labels" in heat.note(1000)
    assert not heat.note(500)


def test_members_of_pairs_are_read_from_their_definitions(digit_profiles: xr.Dataset) -> None:
    pairs = pair_levels.Pairs.of(digit_profiles)
    assert pairs.labels == DIGITS
    assert [DIGITS[i] for i in pairs.first[:9]] == ["0"] * 9
    assert [DIGITS[i] for i in pairs.second[:9]] == [*DIGITS[1:]]
    # the full set and ten against the rest come first
    assert pairs.partitions.tolist() == [*range(11, 56)]


def test_a_definition_that_is_none_is_refused(digit_profiles: xr.Dataset) -> None:
    texts = np.array(['{"sides": 1}, {"sides": 2}', *digit_profiles["definition"].values[1:]], dtype=object)
    with pytest.raises(SpecentError, match="definitions"):
        pair_levels.Pairs.of(digit_profiles.assign_coords(definition=("partition", texts)))


def test_wrong_arguments_are_named(digit_profiles: xr.Dataset, ve_profiles: xr.Dataset, summary: Summary) -> None:
    spec = summary(digit_profiles)
    with pytest.raises(SpecentError, match="no pair of labels"):
        sp.plot.pair_matrix(spec.sel(partition=["full", "0 | rest"]))
    with pytest.raises(SpecentError, match="one dimension"):
        sp.plot.pair_matrix(summary(ve_profiles))
    with pytest.raises(SpecentError, match="no pair has a finite"):
        sp.plot.pair_matrix(spec, estimator="exact", guidance="w=2")
    with pytest.raises(SpecentError, match="order='size'"):
        sp.plot.pair_matrix(spec, order="size")


def test_markup_in_a_title_is_text(digit_profiles: xr.Dataset, summary: Summary) -> None:
    figure = sp.plot.pair_matrix(summary(digit_profiles), title="<b>digits</b>")
    assert plot_options(figure)["title"] == "&lt;b&gt;digits&lt;/b&gt;"
