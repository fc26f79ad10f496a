"""Differences between guidance settings as data: medians, quartiles, intervals, and where each setting guides."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import holoviews as hv
import numpy as np
import pytest
import xarray as xr

import specent as sp
from specent.errors import SpecentError
from specent.plotting.guidance_effect import guidance_effect


def options(element: Any, group: str = "plot") -> dict[str, Any]:
    return dict(hv.Store.lookup_options("bokeh", element, group).kwargs)


def parts(figure: Any, kind: type) -> list[Any]:
    return [part for part in figure if type(part) is kind]


def test_curves_are_the_medians_and_bands_the_quartiles_and_intervals(guided_differences: xr.Dataset) -> None:
    figure = guidance_effect(guided_differences, estimator="path")
    curves, bands = parts(figure, hv.Curve), parts(figure, hv.Area)
    assert [curve.label for curve in curves] == ["w=2", "w=3 for 0.5<sigma<=5"]
    assert len(bands) == 4
    selection = guided_differences.sel(estimator="path")
    for i, curve in enumerate(curves):
        one = selection.isel(guidance=i)
        np.testing.assert_array_equal(curve.dimension_values("log_snr"), one.log_snr)
        np.testing.assert_array_equal(curve.dimension_values("entropy_rate"), one.median_entropy_rate_difference)
        quartiles, interval = bands[i], bands[2 + i]
        np.testing.assert_array_equal(quartiles.dimension_values(1), one.lower_quartile_entropy_rate_difference)
        np.testing.assert_array_equal(quartiles.dimension_values(2), one.upper_quartile_entropy_rate_difference)
        np.testing.assert_array_equal(interval.dimension_values(1), one.median_entropy_rate_difference_lower)
    assert "median of 5 partitions" in options(figure)["title"]
    assert curves[0].vdims[0].pprint_label == "entropy rate less unguided (bit per unit of log-SNR)"


def test_bars_at_the_foot_span_the_levels_at_which_a_setting_guides(guided_differences: xr.Dataset) -> None:
    figure = guidance_effect(guided_differences, "entropy", "sigma")
    everywhere, limited = parts(figure, hv.Segments)
    level = guided_differences.sigma.values
    np.testing.assert_allclose(everywhere.dimension_values("sigma"), level.min())
    np.testing.assert_allclose(everywhere.dimension_values("end"), level.max())
    np.testing.assert_allclose(limited.dimension_values("sigma"), 0.5)
    np.testing.assert_allclose(limited.dimension_values("end"), 5.0)
    lowest = min(float(band.dimension_values(1).min()) for band in parts(figure, hv.Area))
    assert float(everywhere.dimension_values("entropy")[0]) < lowest
    # a bar has the colour of its curves, and every setting its own
    curves = parts(figure, hv.Curve)
    colours = [options(part, "style")["color"] for part in (everywhere, limited)]
    assert len(set(colours)) == 2
    assert {options(part, "style")["color"] for part in curves if "w=2" in part.label} == {colours[0]}


def test_named_partitions_are_drawn_one_by_one(guided_differences: xr.Dataset) -> None:
    figure = guidance_effect(guided_differences, partition=["1 | rest", "3 | rest"], guidance="w=2", estimator="path")
    first, second = parts(figure, hv.Curve)
    assert [first.label, second.label] == ["1 | rest", "3 | rest"]
    expected = guided_differences.entropy_rate_difference.sel(guidance="w=2", estimator="path", partition="3 | rest")
    np.testing.assert_array_equal(second.dimension_values("entropy_rate"), expected)
    assert len(parts(figure, hv.Area)) == 2
    assert options(figure)["title"] == (
        "What does guidance change in the entropy rate?\nbars: noise levels at which a setting guides"
    )


def test_estimators_differ_by_their_dash(guided_differences: xr.Dataset) -> None:
    curves = parts(guidance_effect(guided_differences), hv.Curve)
    assert len(curves) == 4
    looks = [(curve.label.split(", ")[-1], options(curve, "style")["line_dash"]) for curve in curves]
    dashes = {(name, dash if isinstance(dash, str) else tuple(dash)) for name, dash in looks}
    assert dashes == {("path", "solid"), ("cross_entropy", (9, 3, 2, 3))}


def test_the_table_holds_medians_intervals_and_quartiles(guided_differences: xr.Dataset) -> None:
    table = guidance_effect(guided_differences, "entropy", "sigma", guidance="w=2", estimator="path", data=True)
    one = guided_differences.sel(guidance="w=2", estimator="path")
    np.testing.assert_array_equal(table["entropy"], one.median_entropy_difference)
    np.testing.assert_array_equal(table["lower"], one.median_entropy_difference_lower)
    np.testing.assert_array_equal(table["upper_quartile"], one.upper_quartile_entropy_difference)
    np.testing.assert_allclose(table["sigma"], one.sigma)
    single = guidance_effect(guided_differences, partition="1 | rest", data=True)
    assert "upper_quartile" not in single
    assert len(single) == 4 * one.sizes["time"]


def test_a_page_of_selected_partitions_shows_no_median_of_all(guided_differences: xr.Dataset, tmp_path: Path) -> None:
    one = guided_differences.sel(estimator=["path"], guidance=["w=2"])
    path = sp.plot.page(one, tmp_path / "page.html", partition="1 | rest")
    text = path.read_text(encoding="utf-8")
    assert text.count('<figure class="guidance_effect">') == 2
    assert "median of" not in text
    whole = sp.plot.page(one, tmp_path / "all.html").read_text(encoding="utf-8")
    assert "median of 5 partitions" in whole


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"quantity": "rate"}, "quantity='rate' is not one of entropy_rate, entropy"),
        ({"axis": "noise"}, "axis='noise'"),
        ({"guidance": "w=9"}, "'w=9' is not in the dataset"),
    ],
)
def test_what_cannot_be_drawn_is_refused(
    guided_differences: xr.Dataset, arguments: dict[str, str], message: str
) -> None:
    with pytest.raises(SpecentError, match=message):
        guidance_effect(guided_differences, **arguments)


def test_another_kind_is_refused(pair_profiles: xr.Dataset) -> None:
    with pytest.raises(SpecentError, match="kind 'differences' is needed"):
        guidance_effect(pair_profiles)
