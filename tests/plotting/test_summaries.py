"""Windows, matrices, fits and strips as data."""

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

Summary = Callable[..., xr.Dataset]


def plot_options(element: Any) -> dict[str, Any]:
    return dict(hv.Store.lookup_options("bokeh", element, "plot").kwargs)


def test_window_bars_marks_and_whiskers_stand_where_the_dataset_says(
    pair_profiles: xr.Dataset, summary: Summary
) -> None:
    spec = summary(pair_profiles)
    figure = sp.plot.windows(spec, "log_snr", estimator="path", guidance="w=2")
    bar, whisker = (part for part in figure if isinstance(part, hv.Segments))
    half, peak = (part for part in figure if isinstance(part, hv.Scatter))
    one = spec.sel(axis="log_snr", estimator="path", guidance="w=2")
    np.testing.assert_allclose(bar.dimension_values("window_start"), one["window_start"].values)
    np.testing.assert_allclose(bar.dimension_values("window_end"), one["window_end"].values)
    np.testing.assert_allclose(whisker.dimension_values("lower"), one["half_entropy_lower"].values)
    np.testing.assert_allclose(whisker.dimension_values("upper"), one["half_entropy_upper"].values)
    np.testing.assert_allclose(half.dimension_values("log_snr"), one["half_entropy"].values)
    np.testing.assert_allclose(peak.dimension_values("log_snr"), one["peak"].values)
    options = plot_options(figure)
    assert [text for _, text in options["yticks"]] == ["cat | dog", "cat | car"]
    assert "peak of rate per log_snr" in options["title"]


def test_windows_are_drawn_over_the_noise_level_by_default(pair_profiles: xr.Dataset, summary: Summary) -> None:
    spec = summary(pair_profiles)
    figure = sp.plot.windows(spec, estimator="exact", guidance="unguided")
    half = next(part for part in figure if isinstance(part, hv.Scatter))
    log_snr = spec["half_entropy"].sel(axis="log_snr", estimator="exact", guidance="unguided")
    np.testing.assert_allclose(half.dimension_values("sigma"), np.exp(-log_snr / 2))
    # the exact half noise levels put into the profiles, read off a grid of 48 levels: 2 % is a tenth of a step
    np.testing.assert_allclose(half.dimension_values("sigma"), [1.0, 6.0], rtol=0.02)
    assert plot_options(figure)["logx"]


def test_every_setting_has_a_row_of_its_own(pair_profiles: xr.Dataset, summary: Summary) -> None:
    figure = sp.plot.windows(summary(pair_profiles))
    rows = [y for part in figure if isinstance(part, hv.Segments) for y in part.dimension_values("y0")]
    # two partitions in path and denoiser gap at two settings, and exact at one: each a bar and a whisker
    assert len(rows) == 20
    assert len(set(rows)) == 10


def test_a_summary_in_time_stays_in_time(vp_profiles: xr.Dataset, summary: Summary) -> None:
    spec = summary(vp_profiles, "time")
    half = next(part for part in sp.plot.windows(spec) if isinstance(part, hv.Scatter))
    np.testing.assert_allclose(half.dimension_values("time"), spec["half_entropy"].values.ravel())
    with pytest.raises(SpecentError, match="cannot be reached from \\['time'\\]"):
        sp.plot.windows(spec, "sigma")


def test_windows_without_any_number_are_refused(pair_profiles: xr.Dataset, summary: Summary) -> None:
    with pytest.raises(SpecentError, match="nothing to draw"):
        sp.plot.windows(summary(pair_profiles), estimator="exact", guidance="w=2")


def test_pair_matrix_is_symmetric_and_holds_the_noise_levels(digit_profiles: xr.Dataset, summary: Summary) -> None:
    spec = summary(digit_profiles)
    figure = sp.plot.pair_matrix(spec, estimator="path", guidance="w=2")
    heat = next(part for part in figure if isinstance(part, hv.HeatMap))
    cells = {
        (a, b): value for a, b, value in zip(*(heat.dimension_values(i, flat=True) for i in range(3)), strict=True)
    }
    half = spec["half_entropy"]
    for a, b in itertools.combinations("0123456789", 2):
        log_snr = half.sel(axis="log_snr", partition=f"{a} | {b}", estimator="path", guidance="w=2")
        level = np.exp(-float(log_snr) / 2)
        assert cells[a, b] == cells[b, a] == pytest.approx(level, rel=1e-12)
    assert not any(np.isfinite(cells.get((a, a), np.nan)) for a in "0123456789")
    assert plot_options(heat)["colorbar"]
    low, high = heat.dimension_values("lower"), heat.dimension_values("upper")
    inside = np.isfinite(low)
    assert (low[inside] < high[inside]).all()
    texts = [text for part in figure if isinstance(part, hv.Labels) for text in part.dimension_values("text")]
    assert len(texts) == 90


def test_pair_matrix_takes_a_measured_estimator_first(digit_profiles: xr.Dataset, summary: Summary) -> None:
    assert plot_options(sp.plot.pair_matrix(summary(digit_profiles)))["title"].startswith("path, unguided")


def test_pair_matrix_needs_pairs_and_one_model(
    digit_profiles: xr.Dataset, ve_profiles: xr.Dataset, summary: Summary
) -> None:
    with pytest.raises(SpecentError, match="no pair of labels"):
        sp.plot.pair_matrix(summary(digit_profiles).sel(partition=["full", "0 | rest"]))
    with pytest.raises(SpecentError, match="one dimension"):
        sp.plot.pair_matrix(summary(ve_profiles))
    with pytest.raises(SpecentError, match="no pair has a finite"):
        sp.plot.pair_matrix(summary(digit_profiles), estimator="exact", guidance="w=2")


def test_log_law_shows_points_line_residuals_and_slope(vp_fit: tuple[xr.Dataset, xr.Dataset]) -> None:
    spec, fit = vp_fit
    top, bottom = sp.plot.scaling(spec, fit)
    points = next(part for part in top if isinstance(part, hv.Scatter))
    line = next(part for part in top if isinstance(part, hv.Curve))
    x = np.log(spec["dimension"].values) / 2
    np.testing.assert_allclose(points.array(), np.stack([x, spec["half_entropy"].values.ravel()], axis=1))
    np.testing.assert_allclose(line.dimension_values("half_entropy"), fit["slope"].item() * x + fit["intercept"].item())
    rest = next(part for part in bottom if isinstance(part, hv.Scatter))
    np.testing.assert_allclose(rest.dimension_values("residual"), points.array()[:, 1] - line.array()[:, 1], atol=1e-12)
    assert f"slope {fit['slope'].item():.4f} ± {fit['slope_standard_error'].item():.1g}" in plot_options(top)["title"]
    assert plot_options(top)["xlim"] == plot_options(bottom)["xlim"]


def test_sqrt_law_is_drawn_on_two_logarithmic_axes(ve_profiles: xr.Dataset) -> None:
    spec = sp.speciation(ve_profiles, axis="sigma")
    fit = sp.fit_scaling(spec, law="sqrt")
    top, bottom = sp.plot.scaling(spec, fit)
    points = next(part for part in top if isinstance(part, hv.Scatter))
    line = next(part for part in top if isinstance(part, hv.Curve))
    np.testing.assert_allclose(points.dimension_values("half_entropy"), spec["half_entropy"].values.ravel())
    rest = next(part for part in bottom if isinstance(part, hv.Scatter))
    np.testing.assert_allclose(
        rest.dimension_values("residual"), np.log(points.array()[:, 1] / line.array()[:, 1]), atol=1e-9
    )
    assert plot_options(top)["logx"]
    assert plot_options(top)["logy"]
    assert plot_options(top)["title"].startswith("exponent 0.5")


def test_a_scaling_needs_dimensions(
    pair_profiles: xr.Dataset, vp_fit: tuple[xr.Dataset, xr.Dataset], summary: Summary
) -> None:
    with pytest.raises(SpecentError, match="no dimension 'dimension'"):
        sp.plot.scaling(summary(pair_profiles), vp_fit[1])
    with pytest.raises(SpecentError, match=r"fit: .*kind 'scaling' is needed"):
        sp.plot.scaling(vp_fit[0], vp_fit[0])


def test_a_fit_of_another_spec_is_refused(
    vp_fit: tuple[xr.Dataset, xr.Dataset], ve_profiles: xr.Dataset, summary: Summary
) -> None:
    spec, fit = vp_fit
    other = spec.assign_coords(partition=xr.DataArray(["c | d"], dims="partition", attrs=spec["partition"].attrs))
    with pytest.raises(SpecentError, match="give the spec that was fitted"):
        sp.plot.scaling(other, fit)


def middle(tile: Any) -> float:
    left, _, right, _ = tile.bounds.lbrt()
    return (left + right) / 2


def test_pictures_stand_at_their_noise_on_the_axis_of_the_profile(
    picture_runs: xr.Dataset, pair_profiles: xr.Dataset
) -> None:
    above, strip = sp.plot.predictions(picture_runs, pair_profiles, partition="cat | dog")
    when = -2 * np.log(picture_runs["prediction_time"].values)
    tiles = list(strip)
    centres = sorted({round(middle(tile), 9) for tile in tiles})
    assert len(tiles) == 2 * len(centres)
    assert all(np.isclose(when, centre).any() for centre in centres)
    assert plot_options(above)["xlim"] == plot_options(strip)["xlim"]
    # every prediction within the stretch on which the entropy changes, and no other
    low, high = plot_options(sp.plot.entropy(pair_profiles, partition="cat | dog", guidance="unguided"))["xlim"]
    assert len(centres) == ((when >= low) & (when <= high)).sum() >= 3
    assert above.get_dimension("log_snr") == strip.get_dimension("log_snr")
    # no picture covers another
    edges = sorted(tile.bounds.lbrt()[::2] for tile in tiles if tile.bounds.lbrt()[1] > -1)
    assert all(left[1] < right[0] for left, right in itertools.pairwise(edges))


def test_a_tile_holds_the_prediction(picture_runs: xr.Dataset) -> None:
    strip = sp.plot.predictions(picture_runs, class_label="0", sample=1, most=30)
    first = max(strip, key=middle)
    one = picture_runs["prediction"].sel(class_label="0", sample=1).isel(guidance=0, prediction_time=0, channel=0)
    # HoloViews keeps images with the first row on top
    np.testing.assert_array_equal(first.dimension_values("grey", flat=False)[::-1], one.values)
    assert len(strip) == picture_runs.sizes["prediction_time"]


def test_a_row_is_shaded_by_its_cleanest_picture(picture_runs: xr.Dataset) -> None:
    strip = sp.plot.predictions(picture_runs, class_label="0")
    clean = picture_runs["prediction"].sel(class_label="0", sample=0).isel(guidance=0, prediction_time=0)
    assert {plot_options(tile)["clim"] for tile in strip} == {(float(clean.min()), float(clean.max()))}


def test_strips_on_a_logarithmic_axis_are_evenly_wide(picture_runs: xr.Dataset) -> None:
    strip = sp.plot.predictions(picture_runs, axis="sigma")
    ratios = [right / left for left, _, right, _ in (tile.bounds.lbrt() for tile in strip)]
    np.testing.assert_allclose(ratios, ratios[0], rtol=1e-9)


def test_three_channels_are_shown_in_colour(picture_runs: xr.Dataset) -> None:
    channel = xr.DataArray([0, 1, 2], dims="channel", attrs=picture_runs["channel"].attrs)
    three = picture_runs.isel(channel=[0, 0, 0]).assign_coords(channel=channel)
    tiles = list(sp.plot.predictions(three))
    assert all(isinstance(tile, hv.RGB) for tile in tiles)


@pytest.mark.parametrize(
    ("selection", "message"),
    [
        ({"sample": 9}, "sample=9"),
        ({"class_label": "7"}, "class_label: '7'"),
        ({"guidance": "w=9"}, "guidance: 'w=9'"),
        ({"most": 0}, "most=0"),
        ({"most": "many"}, "most='many'"),
        ({"sample": []}, "sample="),
        ({"title": 5}, "title=5"),
    ],
)
def test_an_unknown_trajectory_is_named(selection: dict[str, Any], message: str, picture_runs: xr.Dataset) -> None:
    with pytest.raises(SpecentError, match=message):
        sp.plot.predictions(picture_runs, **selection)


def test_runs_without_pictures_are_refused(picture_runs: xr.Dataset) -> None:
    with pytest.raises(SpecentError, match="no predictions of pictures"):
        sp.plot.predictions(picture_runs.drop_vars("prediction"))
