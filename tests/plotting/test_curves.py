"""Curves as data: what is drawn equals the dataset, and says so."""

from __future__ import annotations

from typing import Any

import holoviews as hv
import numpy as np
import pytest
import xarray as xr

import specent as sp
from specent.errors import SpecentError
from specent.plotting import style


def curves(figure: Any) -> list[Any]:
    return [part for part in figure if type(part) is hv.Curve]


def bands(figure: Any) -> list[Any]:
    return [part for part in figure if isinstance(part, hv.Area)]


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
def test_every_axis_has_its_positions_and_says_where_the_data_are(
    axis: str, positions: Any, pair_profiles: xr.Dataset
) -> None:
    figure = sp.plot.entropy(pair_profiles, axis, partition="cat | dog", estimator="path", guidance="unguided")
    (curve,) = curves(figure)
    np.testing.assert_allclose(
        np.sort(curve.dimension_values(axis)), np.sort(positions(pair_profiles).values), rtol=1e-12
    )
    text = curve.kdims[0].label
    assert ("noise ⟶ data" in text) == (axis == "log_snr")
    assert ("data ⟵ noise" in text) == (axis != "log_snr")
    assert options(figure, "plot").get("logx", False) == (axis in ("sigma", "time"))


def test_labels_carry_name_and_unit_of_the_registry(pair_profiles: xr.Dataset) -> None:
    assert (
        curves(sp.plot.entropy(pair_profiles))[0].vdims[0].pprint_label
        == "conditional entropy H[Z|X_t] of the side (bit)"
    )
    text = curves(sp.plot.rate(pair_profiles))[0].vdims[0].pprint_label
    assert text == "entropy rate (bit per unit of log_snr)"
    assert curves(sp.plot.mutual_information(pair_profiles))[0].vdims[0].unit == "bit"


def test_a_rate_is_drawn_over_its_own_axis_unless_another_is_given(vp_profiles: xr.Dataset) -> None:
    assert curves(sp.plot.rate(vp_profiles))[0].kdims[0].name == "time"
    assert curves(sp.plot.rate(vp_profiles, "log_snr"))[0].kdims[0].name == "log_snr"


def test_rates_along_different_axes_are_not_mixed(vp_profiles: xr.Dataset, ve_profiles: xr.Dataset) -> None:
    with pytest.raises(SpecentError, match="log_snr, time"):
        sp.plot.rate([vp_profiles, ve_profiles])


def test_exact_references_are_black_dashed_and_on_top(pair_profiles: xr.Dataset) -> None:
    lines = curves(sp.plot.entropy(pair_profiles))
    exact = [curve for curve in lines if "exact" in curve.label]
    assert exact == lines[-2:]
    assert {(options(curve)["color"], options(curve)["line_dash"]) for curve in exact} == {("#000000", "dashed")}
    others = lines[:-2]
    assert all(options(curve)["line_dash"] != "dashed" and options(curve)["color"] != "#000000" for curve in others)


def test_an_exact_profile_by_itself_is_no_reference(pair_profiles: xr.Dataset) -> None:
    lines = curves(sp.plot.entropy(pair_profiles, estimator="exact"))
    assert [options(curve)["color"] for curve in lines] == list(style.PALETTE[:2])


def test_colour_tells_partitions_and_settings_apart_and_dash_the_estimators(pair_profiles: xr.Dataset) -> None:
    lines = curves(sp.plot.entropy(pair_profiles, estimator=["path", "denoiser_gap"]))
    assert len(lines) == 8
    of = {curve.label: options(curve) for curve in lines}
    assert of["cat | dog, w=2, path"]["color"] == of["cat | dog, w=2, denoiser_gap"]["color"]
    assert len({one["color"] for one in of.values()}) == 4
    assert of["cat | dog, w=2, path"]["line_dash"] != of["cat | dog, w=2, denoiser_gap"]["line_dash"]
    assert of["cat | dog, w=2, path"]["line_dash"] == of["cat | car, unguided, path"]["line_dash"]


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


def test_the_legend_stands_outside_and_is_never_dropped(digit_profiles: xr.Dataset) -> None:
    names = [f"{digit} | rest" for digit in range(10)]
    figure = sp.plot.entropy(digit_profiles, partition=names, estimator=["exact", "path"])
    assert len(curves(figure)) == 30
    assert options(figure, "plot")["legend_position"] == "right"
    rendered = hv.renderer("bokeh").get_plot(figure).state
    (legend,) = rendered.right
    # one for each of the measured curves; the references, which look alike, share theirs
    assert [item.label["value"] for item in legend.items].count("exact") == 1
    assert len(legend.items) == 21
    assert legend.click_policy == "hide"


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


def test_many_references_are_drawn_faintly(digit_profiles: xr.Dataset) -> None:
    names = [f"{digit} | rest" for digit in range(10)]
    many = curves(sp.plot.entropy(digit_profiles, partition=names, estimator=["exact", "path"], guidance="unguided"))
    few = curves(sp.plot.entropy(digit_profiles, partition=names[0], estimator=["exact", "path"], guidance="unguided"))
    assert options(many[-1])["color"] == options(few[-1])["color"] == style.EXACT
    assert options(many[-1])["line_width"] < options(few[-1])["line_width"] < options(many[0])["line_width"]


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
    assert [options(curve)["color"] for curve in lines] == [style.PALETTE[0], style.EXACT]
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
