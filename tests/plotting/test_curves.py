"""Curves as data: what is drawn equals the dataset, and says so."""

from __future__ import annotations

from typing import Any

import holoviews as hv
import numpy as np
import pytest
import xarray as xr

import specent as sp
from specent.errors import SpecentError
from specent.plotting import labels, style
from specent.plotting.bands import BAND, BandUnderPointer


def panels(figure: Any) -> list[Any]:
    return list(figure) if isinstance(figure, hv.Layout) else [figure]


def curves(figure: Any) -> list[Any]:
    return [part for panel in panels(figure) for part in panel if type(part) is hv.Curve]


def bands(figure: Any) -> list[Any]:
    return [part for panel in panels(figure) for part in panel if isinstance(part, hv.Area)]


def hook(figure: Any, kind: type) -> Any:
    return next((one for one in options(figure, "plot")["hooks"] if isinstance(one, kind)), None)


def options(element: Any, group: str = "style") -> dict[str, Any]:
    return dict(hv.Store.lookup_options("bokeh", element, group).kwargs)


def test_a_curve_and_its_band_hold_the_numbers_of_the_dataset(pair_profiles: xr.Dataset) -> None:
    figure = sp.plot.entropy(pair_profiles, partition="cat | car", estimator="path", guidance="w=2")
    (curve,), (band,) = curves(figure), bands(figure)
    one = pair_profiles.sel(partition="cat | car", estimator="path", guidance="w=2")
    order = np.argsort(one["log_snr"].values)
    np.testing.assert_array_equal(np.sort(curve.dimension_values("log_snr")), one["log_snr"].values[order])
    for name, element, column in (
        ("entropy", curve, "entropy"),
        ("entropy_lower", curve, "lower"),
        ("entropy_upper", curve, "upper"),
        ("entropy_lower", band, "entropy"),
        ("entropy_upper", band, "upper"),
    ):
        order_of = np.argsort(element.dimension_values("log_snr"))
        np.testing.assert_array_equal(element.dimension_values(column)[order_of], one[name].values[order])


@pytest.mark.parametrize(
    ("axis", "positions"),
    [
        ("log_snr", lambda prof: prof["log_snr"]),
        ("time", lambda prof: prof["time"]),
        # on a variance-exploding schedule the noise level is the time
        ("sigma", lambda prof: prof["time"]),
        ("log_sigma", lambda prof: np.log(prof["time"])),
    ],
)
def test_every_axis_has_its_positions_and_generation_runs_to_the_right(
    axis: str, positions: Any, pair_profiles: xr.Dataset
) -> None:
    figure = sp.plot.entropy(pair_profiles, axis, partition="cat | dog", estimator="path", guidance="unguided")
    (curve,) = curves(figure)
    np.testing.assert_allclose(
        np.sort(curve.dimension_values(axis)), np.sort(positions(pair_profiles).values), rtol=1e-12
    )
    assert "noise ⟶ data" in curve.kdims[0].label
    # generation runs to the right: what falls towards the data is drawn from large to small
    assert options(figure, "plot").get("invert_xaxis", False) == (axis != "log_snr")
    assert options(figure, "plot").get("logx", False) == (axis in ("sigma", "time"))


def test_labels_are_typeset_with_their_unit(pair_profiles: xr.Dataset) -> None:
    assert curves(sp.plot.entropy(pair_profiles))[0].vdims[0].pprint_label == "conditional entropy H[Z | Xₜ] (bit)"
    text = curves(sp.plot.rate(pair_profiles))[0].vdims[0].pprint_label
    assert text == "entropy rate (bit per unit of log-SNR)"
    assert curves(sp.plot.mutual_information(pair_profiles))[0].vdims[0].unit == "bit"


def test_a_rate_is_drawn_over_its_own_axis_unless_another_is_given(vp_profiles: xr.Dataset) -> None:
    assert curves(sp.plot.rate(vp_profiles))[0].kdims[0].name == "time"
    assert curves(sp.plot.rate(vp_profiles, "log_snr"))[0].kdims[0].name == "log_snr"


def test_rates_along_different_axes_are_not_mixed(vp_profiles: xr.Dataset, ve_profiles: xr.Dataset) -> None:
    with pytest.raises(SpecentError, match="log_snr, time"):
        sp.plot.rate([vp_profiles, ve_profiles])


def test_exact_references_are_thin_dashed_on_top_and_of_the_colour_of_their_partition(
    pair_profiles: xr.Dataset,
) -> None:
    lines = curves(sp.plot.entropy(pair_profiles, estimator=["exact", "path"], guidance="unguided"))
    assert [curve.label for curve in lines] == [
        "cat | dog, path", "cat | car, path", "cat | dog, exact", "cat | car, exact"
    ]  # fmt: skip
    strokes = [options(curve) for curve in lines]
    assert [one["color"] for one in strokes[2:]] == [one["color"] for one in strokes[:2]] == list(style.PALETTE[:2])
    assert [one["line_dash"] for one in strokes] == ["solid", "solid", "dashed", "dashed"]
    assert strokes[2]["line_width"] < strokes[0]["line_width"]


def test_an_exact_profile_by_itself_is_no_reference(pair_profiles: xr.Dataset) -> None:
    lines = curves(sp.plot.entropy(pair_profiles, estimator="exact"))
    assert [options(curve)["color"] for curve in lines] == list(style.PALETTE[:2])


def test_colour_is_the_partition_the_line_style_the_estimator_and_settings_have_panels(
    pair_profiles: xr.Dataset,
) -> None:
    figure = sp.plot.entropy(pair_profiles, estimator=["path", "denoiser_gap"])
    assert [options(panel, "plot")["title"] for panel in panels(figure)] == ["unguided", "w=2"]
    of = {curve.label: options(curve) for curve in curves(figure)}
    assert len(of) == 8
    for name, colour in zip(("cat | dog", "cat | car"), style.PALETTE, strict=False):
        assert {one["color"] for label, one in of.items() if label.startswith(name)} == {colour}
    for estimator in ("path", "denoiser_gap"):
        dashes = {str(one["line_dash"]) for label, one in of.items() if label.endswith(estimator)}
        assert dashes == {str(style.ESTIMATOR_DASHES[estimator])}


@pytest.mark.parametrize(
    "selection", [{"partition": "cat | dog"}, {"estimator": "denoiser_gap", "guidance": "w=2"}, {}]
)
def test_an_estimator_has_the_same_line_style_in_every_figure(
    selection: dict[str, str], pair_profiles: xr.Dataset
) -> None:
    for figure in (sp.plot.entropy(pair_profiles, **selection), sp.plot.rate(pair_profiles, **selection)):
        for curve in curves(figure):
            (estimator,) = [name for name in style.ESTIMATOR_DASHES if f" {name}" in f" {curve.label}"] or [
                "denoiser_gap"
            ]
            assert options(curve)["line_dash"] == style.ESTIMATOR_DASHES[estimator]


def test_the_ends_of_the_panels_agree(pair_profiles: xr.Dataset) -> None:
    first, second = (options(panel, "plot") for panel in panels(sp.plot.entropy(pair_profiles)))
    assert (first["xlim"], first["ylim"]) == (second["xlim"], second["ylim"])
    assert first["ylim"][0] == 0


def test_too_many_panels_are_refused_with_the_remedy(pair_profiles: xr.Dataset) -> None:
    many = xr.concat([pair_profiles] * 5, xr.DataArray(list("abcde"), dims="run", name="run"), combine_attrs="override")
    with pytest.raises(
        SpecentError, match=r"10 panels \(guidance x run\) are too many; select fewer with guidance=, run="
    ):
        sp.plot.entropy(many)


def test_no_two_curves_of_one_figure_look_alike(digit_profiles: xr.Dataset) -> None:
    names = [f"{digit} | rest" for digit in range(10)]
    lines = curves(sp.plot.entropy(digit_profiles, partition=names, estimator=["path", "denoiser_gap"], guidance="w=2"))
    assert len(lines) == 20
    assert len({(options(curve)["color"], str(options(curve)["line_dash"])) for curve in lines}) == 20


def test_dimensions_are_shades_of_one_scale(ve_profiles: xr.Dataset) -> None:
    lines = curves(sp.plot.entropy(ve_profiles))
    assert [curve.label for curve in lines] == ["d = 4", "d = 16", "d = 64", "d = 256", "d = 2^10", "d = 2^12"]
    shades = [int(options(curve)["color"][1:], 16) for curve in lines]
    assert len(set(shades)) == 6
    # the green of Viridis rises all along the scale
    green = [(shade >> 8) & 255 for shade in shades]
    assert green == sorted(green)


def test_a_sweep_over_dimension_has_a_scale_of_colours(ve_profiles: xr.Dataset) -> None:
    figure = sp.plot.entropy(ve_profiles)
    scale = hook(figure, labels.ColourScale)
    assert scale.texts == ("4", "16", "64", "256", "2^10", "2^12")
    assert list(scale.colours) == [options(curve)["color"] for curve in curves(figure)]
    (bar,) = hv.renderer("bokeh").get_plot(figure).state.select(name="colour scale")
    assert bar.color_mapper.palette == list(scale.colours)


def test_every_curve_is_named_beside_it_and_every_estimator_beneath(digit_profiles: xr.Dataset) -> None:
    names = [f"{digit} | rest" for digit in range(10)]
    figure = sp.plot.entropy(digit_profiles, partition=names, estimator=["exact", "path"], guidance="unguided")
    beside = hook(figure, labels.DirectLabels)
    # the rest goes without saying
    assert sorted(beside.texts) == [str(digit) for digit in range(10)]
    of = {curve.label: options(curve)["color"] for curve in curves(figure)}
    assert [of[f"{name} | rest, path"] for name in beside.texts] == list(beside.colours)
    (low, high), (bottom, top) = (options(figure, "plot")[name] for name in ("xlim", "ylim"))
    assert all(low < x < high and bottom < y < top for x, y in zip(beside.x, beside.y, strict=True))
    assert [text for text, _, _ in hook(figure, labels.StyleLegend).entries] == ["path", "exact"]
    rendered = hv.renderer("bokeh").get_plot(figure).state
    (legend,) = rendered.select(name="line styles")
    assert [item.label["value"] for item in legend.items] == ["path", "exact"]
    (written,) = rendered.select(name="direct labels")
    assert sorted(written.data_source.data["text"]) == sorted(beside.texts)


def test_one_curve_needs_no_label(one_curve: xr.Dataset) -> None:
    figure = sp.plot.entropy(one_curve)
    assert hook(figure, labels.DirectLabels).texts == ()
    assert hook(figure, labels.StyleLegend) is None


def test_of_many_curves_the_band_of_the_one_under_the_pointer_shows(digit_profiles: xr.Dataset) -> None:
    few = sp.plot.entropy(digit_profiles, partition=["0 | 1", "0 | 2"], estimator="path", guidance="w=2")
    assert [options(band).get("visible", True) for band in bands(few)] == [True, True]
    assert hook(few, BandUnderPointer) is None
    names = [f"{digit} | rest" for digit in range(10)]
    many = sp.plot.entropy(digit_profiles, partition=names, estimator="path", guidance="w=2")
    # no band is drawn but the one that is filled by the curve under the pointer, as tests in a browser try
    assert bands(many) == []
    state = hv.renderer("bokeh").get_plot(many).state
    (tool,) = state.select(name="band of a curve")
    (band,) = state.select(name=BAND)
    assert tool.callback.args["band"] is band
    assert [line.data_source.column_names.count("lower") for line in tool.callback.args["lines"]] == [1] * 10


def test_the_numbers_behind_a_figure_are_those_of_the_dataset(pair_profiles: xr.Dataset) -> None:
    selection = {"partition": "cat | car", "estimator": ["path", "denoiser_gap"]}
    numbers = sp.plot.rate(pair_profiles, "sigma", **selection, data=True)
    assert numbers.columns.tolist() == ["partition", "guidance", "estimator", "sigma", "entropy_rate", "lower", "upper"]
    assert len(numbers) == 4 * pair_profiles.sizes["time"]
    for (setting, estimator), rows in numbers.groupby(["guidance", "estimator"]):
        one = pair_profiles.sel(partition="cat | car", guidance=setting, estimator=estimator).sortby("sigma")
        rows = rows.sort_values("sigma")
        np.testing.assert_allclose(rows["sigma"], one["sigma"], rtol=1e-12)
        for column, name in (("entropy_rate", ""), ("lower", "_lower"), ("upper", "_upper")):
            np.testing.assert_array_equal(rows[column], one[f"entropy_rate{name}"])


def test_the_numbers_behind_many_curves_are_their_quantiles(digit_profiles: xr.Dataset) -> None:
    pairs = [name for name in digit_profiles["partition"].values if " | " in name and "rest" not in name]
    numbers = sp.plot.entropy(digit_profiles, partition=pairs, estimator="path", guidance="w=2", data=True)
    values = digit_profiles["entropy"].sel(partition=pairs, estimator="path", guidance="w=2")
    expected = np.sort(values, axis=0)
    np.testing.assert_array_equal(numbers["minimum"], expected[0])
    # of 45 sorted numbers the quartiles are the 12th, 23rd and 34th
    for column, rank in (("lower_quartile", 11), ("median", 22), ("upper_quartile", 33), ("maximum", 44)):
        np.testing.assert_allclose(numbers[column], expected[rank], rtol=1e-12)


def test_values_below_the_axis_are_explained(pair_profiles: xr.Dataset) -> None:
    low = pair_profiles.sel(estimator=["path"], guidance=["unguided"], partition=["cat | dog"]).copy(deep=True)
    low["entropy"][..., 0] = -0.05
    title = options(sp.plot.entropy(low), "plot")["title"]
    assert "unbiased estimates of a number near 0 scatter" in title
    assert options(sp.plot.entropy(low), "plot")["ylim"][0] == 0


def test_a_figure_shows_the_stretch_on_which_its_curves_change(pair_profiles: xr.Dataset) -> None:
    selection = {"partition": "cat | dog", "estimator": "path", "guidance": "unguided"}
    for axis in ("log_snr", "sigma", "time"):
        figure = sp.plot.entropy(pair_profiles, axis, **selection)
        (curve,) = curves(figure)
        x, y = curve.dimension_values(axis), curve.dimension_values("entropy")
        low, high = options(figure, "plot")["xlim"]
        assert x.min() <= low < high < x.max()
        seen = (x >= low) & (x <= high)
        # what lies outside is less than 3 % of the range away from an end of the curve
        ends = np.array([y[np.argmin(x)], y[np.argmax(x)]])
        away = np.abs(y[~seen, None] - ends).min(axis=1)
        assert away.size > 10
        assert away.max() <= 0.03 * np.ptp(y)
        assert np.ptp(y[seen]) > 0.9 * np.ptp(y)


def test_curves_that_do_not_change_are_shown_whole(ve_profiles: xr.Dataset) -> None:
    flat = ve_profiles.isel(time=slice(-3, None), dimension=[0])
    figure = sp.plot.entropy(flat.map(lambda one: one * 0 + 1, keep_attrs=True), axis="log_snr")
    assert options(figure, "plot")["xlim"] == (float(flat["log_snr"].min()), float(flat["log_snr"].max()))


def test_curves_without_uncertainty_have_no_band(ve_profiles: xr.Dataset) -> None:
    assert bands(sp.plot.entropy(ve_profiles)) == []


def test_more_than_thirty_curves_become_medians_with_bands(digit_profiles: xr.Dataset) -> None:
    pairs = [name for name in digit_profiles["partition"].values if " | " in name and "rest" not in name]
    figure = sp.plot.entropy(digit_profiles, partition=pairs, estimator="path", guidance="w=2")
    (curve,), (extremes, quartiles) = curves(figure), bands(figure)
    values = digit_profiles["entropy"].sel(partition=pairs, estimator="path", guidance="w=2")
    order = np.argsort(curve.dimension_values("log_snr"))
    back = slice(None, None, -1)
    np.testing.assert_allclose(curve.dimension_values("entropy")[order], values.median("partition")[back], rtol=1e-12)
    for band, low, high in ((extremes, 0.0, 1.0), (quartiles, 0.25, 0.75)):
        order_of = np.argsort(band.dimension_values("log_snr"))
        np.testing.assert_allclose(band.dimension_values("entropy")[order_of], values.quantile(low, "partition")[back])
        np.testing.assert_allclose(band.dimension_values("upper")[order_of], values.quantile(high, "partition")[back])
    assert "median" in options(figure, "plot")["title"]
    assert "45 curves" in options(figure, "plot")["title"]
    assert curve.label == "pairs (45)"


def test_families_of_partitions_are_summarised_apart(digit_profiles: xr.Dataset) -> None:
    figure = sp.plot.entropy(digit_profiles, estimator="path", guidance="unguided")
    labels = [curve.label for curve in curves(figure)]
    assert labels == ["full set (1)", "one against the rest (10)", "pairs (45)"]


def test_measured_and_exact_datasets_are_drawn_together(pair_profiles: xr.Dataset) -> None:
    measured = pair_profiles.sel(estimator=["path"], guidance=["unguided"], partition=["cat | dog"])
    truth = pair_profiles.sel(estimator=["exact"], guidance=["unguided"], partition=["cat | dog"])
    lines = curves(sp.plot.entropy([truth, measured]))
    assert [options(curve)["color"] for curve in lines] == [style.PALETTE[0]] * 2
    assert [options(curve)["line_dash"] for curve in lines] == ["solid", "dashed"]
    assert [curve.label for curve in lines] == ["path", "exact"]


def test_dask_and_transposed_input_draw_the_same(pair_profiles: xr.Dataset) -> None:
    plain = curves(sp.plot.entropy(pair_profiles))
    other = pair_profiles.chunk({"time": 7})
    for name in ("entropy", "entropy_lower", "entropy_upper"):
        assert other[name].chunks is not None
    for one, two in zip(plain, curves(sp.plot.entropy(other)), strict=True):
        assert one.label == two.label
        np.testing.assert_array_equal(one.array(["log_snr", "entropy"]), two.array(["log_snr", "entropy"]))


@pytest.mark.parametrize(
    ("selection", "message"),
    [
        ({"partition": "cat | fish"}, "partition: 'cat | fish'.*'cat | dog', 'cat | car'"),
        ({"estimator": "psth"}, "estimator: 'psth'.*'exact', 'path', 'denoiser_gap'"),
        ({"guidance": ["w=2", "w=3"]}, "guidance: 'w=3'.*'unguided', 'w=2'"),
        ({"dimension": 4}, "no dimension 'dimension'"),
        ({"partition": []}, "empty selection"),
        ({"estimator": "exact", "guidance": "w=2"}, "nothing to draw"),
        ({"axis": "gamma"}, "axis='gamma' is not an axis"),
        ({"axis": []}, "axis="),
        ({"title": 5}, "title=5 is a int; give text"),
        ({"view": (1.0,)}, r"view=\(1.0,\) must be two different positions on the axis"),
        ({"view": (1.0, 1.0)}, "must be two different positions"),
        ({"view": (np.nan, 1.0)}, "view"),
        ({"view": "ab"}, "view"),
        ({"axis": "sigma", "view": (-1.0, 2.0)}, "two different positive positions"),
        ({"title": "\udc80"}, "cannot be written"),
        ({"partition": np.array("cat | fish")}, "partition: 'cat | fish'"),
        ({"partition": 5}, "partition: '5'"),
    ],
)
def test_an_unknown_choice_is_named_with_the_choices(
    selection: dict[str, Any], message: str, pair_profiles: xr.Dataset
) -> None:
    with pytest.raises(SpecentError, match=message):
        sp.plot.entropy(pair_profiles, **selection)


def test_another_kind_of_dataset_is_refused(picture_runs: xr.Dataset) -> None:
    with pytest.raises(SpecentError, match="kind 'profiles' is needed, this one is of kind 'trajectories'"):
        sp.plot.entropy(picture_runs)
    with pytest.raises(SpecentError, match="prof is a int"):
        sp.plot.entropy(3)  # type: ignore[arg-type]
    with pytest.raises(SpecentError, match="prof is empty"):
        sp.plot.entropy([])


def test_partitions_and_guidance_can_be_selection_as_objects(pair_profiles: xr.Dataset) -> None:
    figure = sp.plot.entropy(
        pair_profiles, partition=sp.Partition.pair("cat", "dog"), guidance=sp.Guidance(2.0), estimator="path"
    )
    assert len(curves(figure)) == 1


def test_a_choice_may_be_an_array_or_a_coordinate(pair_profiles: xr.Dataset) -> None:
    for name in (np.array("cat | dog"), np.array(["cat | dog"]), pair_profiles["partition"][0]):
        figure = sp.plot.entropy(pair_profiles, partition=name, estimator="path", guidance="w=2")
        assert len(curves(figure)) == 1


def test_rescaled_curves_cross_at_one(vp_profiles: xr.Dataset) -> None:
    raw, scaled = sp.plot.rescaled(vp_profiles)
    for curve, straight, d in zip(curves(scaled), curves(raw), vp_profiles["dimension"].values, strict=True):
        u, H = curve.dimension_values("u"), curve.dimension_values("entropy")
        np.testing.assert_allclose(u * np.log(d) / 2, straight.dimension_values("time"), rtol=1e-12)
        # F(1); linear interpolation on a grid of 0.06 in time is off by less than 0.06^2 / 8 times a curvature below 1
        assert np.interp(1.0, u, H) == pytest.approx(0.514056, abs=5e-4)
    assert scaled.get_dimension("u").label.startswith("t / t_s")


def test_rescaling_follows_the_schedule_unless_a_law_is_given(ve_profiles: xr.Dataset) -> None:
    _, scaled = sp.plot.rescaled(ve_profiles)
    last = curves(scaled)[-1]
    np.testing.assert_allclose(last.dimension_values("u") * 64.0, ve_profiles["time"].values, rtol=1e-9)
    raw, _ = sp.plot.rescaled(ve_profiles, "log")
    # the same noise level on the variance-preserving schedule: sigma^2/alpha^2 = exp(2t) - 1
    expected = np.log1p(ve_profiles["time"].values ** 2) / 2
    np.testing.assert_allclose(curves(raw)[0].dimension_values("time"), expected, rtol=1e-9)
    for law in ("cubic", [], 0):
        with pytest.raises(SpecentError, match="law="):
            sp.plot.rescaled(ve_profiles, law)  # type: ignore[arg-type]


def test_rescaling_needs_one_curve_per_dimension(ve_profiles: xr.Dataset, pair_profiles: xr.Dataset) -> None:
    with pytest.raises(SpecentError, match="no dimension 'dimension'"):
        sp.plot.rescaled(pair_profiles)
    names = xr.DataArray(["exact", "path"], dims="estimator", attrs=ve_profiles["estimator"].attrs)
    twice = ve_profiles.isel(estimator=[0, 0]).assign_coords(estimator=names)
    with pytest.raises(SpecentError, match="one curve per dimension"):
        sp.plot.rescaled(twice)
