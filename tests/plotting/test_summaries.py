"""Windows, matrices, fits and strips as data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import holoviews as hv
import numpy as np
import pytest
import xarray as xr

import specent as sp
from specent.errors import SpecentError

Summary = Callable[..., xr.Dataset]


def style_of(element: Any) -> dict[str, Any]:
    return dict(hv.Store.lookup_options("bokeh", element, "style").kwargs)


def plot_options(element: Any) -> dict[str, Any]:
    return dict(hv.Store.lookup_options("bokeh", element, "plot").kwargs)


def test_window_bars_marks_and_whiskers_stand_where_the_dataset_says(
    pair_profiles: xr.Dataset, summary: Summary
) -> None:
    spec = summary(pair_profiles)
    figure = sp.plot.windows(spec, "log_snr", estimator="path", guidance="w=2")
    bar, whisker = (part for part in figure if isinstance(part, hv.Segments))
    half, peak, *entries = (part for part in figure if isinstance(part, hv.Scatter))
    assert [part.label for part in entries] == ["half of the entropy", "peak of the rate per unit of log-SNR"]
    one = spec.sel(axis="log_snr", estimator="path", guidance="w=2")
    np.testing.assert_allclose(bar.dimension_values("window_start"), one["window_start"].values)
    np.testing.assert_allclose(bar.dimension_values("window_end"), one["window_end"].values)
    np.testing.assert_allclose(whisker.dimension_values("lower"), one["half_entropy_lower"].values)
    np.testing.assert_allclose(whisker.dimension_values("upper"), one["half_entropy_upper"].values)
    np.testing.assert_allclose(half.dimension_values("log_snr"), one["half_entropy"].values)
    np.testing.assert_allclose(peak.dimension_values("log_snr"), one["peak"].values)
    options = plot_options(figure)
    assert [text for _, text in options["yticks"]] == ["cat | dog", "cat | car"]
    assert options["title"] == "When is each side decided?"


def test_a_peak_is_drawn_on_the_axis_it_was_computed_on_only(pair_profiles: xr.Dataset, summary: Summary) -> None:
    spec = summary(pair_profiles)
    own, other = (sp.plot.windows(spec, axis, estimator="path", data=True) for axis in ("log_snr", "sigma"))
    np.testing.assert_allclose(own.peak, spec.peak.sel(axis="log_snr", estimator="path").values.T.ravel())
    assert other.peak.isna().all()
    np.testing.assert_allclose(other.half_entropy, np.exp(-own.half_entropy / 2))
    assert "peaks are not drawn" in plot_options(sp.plot.windows(spec, "sigma", estimator="path"))["title"]
    # generation to the right
    assert plot_options(sp.plot.windows(spec, "sigma"))["invert_xaxis"]


def test_colour_is_the_setting_and_the_shape_of_the_dot_the_estimator(
    pair_profiles: xr.Dataset, summary: Summary
) -> None:
    figure = sp.plot.windows(summary(pair_profiles), "log_snr", estimator=["path", "denoiser_gap"])
    dots = [part for part in figure if isinstance(part, hv.Scatter) and len(part.vdims) == 4]
    looks = [hv.Store.lookup_options("bokeh", part, "style").kwargs for part in dots]
    assert len({(look["color"], look["marker"]) for look in looks}) == 4
    assert len({look["color"] for look in looks}) == len({look["marker"] for look in looks}) == 2


def test_marks_have_the_colour_of_their_row(pair_profiles: xr.Dataset, summary: Summary) -> None:
    figure = sp.plot.windows(summary(pair_profiles), "log_snr", estimator="path")
    diamonds = [part for part in figure if isinstance(part, hv.Scatter) and len(part.vdims) == 2]
    looks = [hv.Store.lookup_options("bokeh", part, "style").kwargs for part in diamonds]
    assert [look["line_color"] for look in looks] == [look["color"] for look in looks]
    assert len({look["color"] for look in looks}) == 2


def test_an_exact_star_has_no_outline_that_would_hide_it_and_the_legend_shows_its_shape(
    pair_profiles: xr.Dataset, summary: Summary
) -> None:
    figure = sp.plot.windows(summary(pair_profiles), estimator="exact", guidance="unguided")
    stars = [part for part in figure if isinstance(part, hv.Scatter) and style_of(part).get("marker") == "star"]
    assert [part.label for part in stars] == ["exact", "half of the entropy"]
    for star in stars:
        assert style_of(star)["line_color"] == style_of(star)["color"]


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
    title = plot_options(top)["title"]
    # exact curves have no sampling error
    assert f"slope {fit['slope'].item():.4f}\n" in title
    assert "±" not in title
    assert "fitted from d = 4 to d = 2^12" in title
    prediction = [part for part in top if isinstance(part, hv.Curve)][-1]
    np.testing.assert_allclose(prediction.dimension_values("half_entropy"), x)
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


def test_a_fit_of_random_points_has_its_standard_error_and_its_table_the_local_exponent(
    ve_profiles: xr.Dataset,
) -> None:
    spec = sp.speciation(ve_profiles, axis="sigma")
    loose = spec.assign(half_entropy_lower=0.9 * spec["half_entropy"], half_entropy_upper=1.1 * spec["half_entropy"])
    fit = sp.fit_scaling(spec, law="sqrt")
    top, _ = sp.plot.scaling(loose, fit)
    assert f"± {fit['exponent_standard_error'].item():.1g}" in plot_options(top)["title"]
    table = sp.plot.scaling(spec, fit, data=True)
    half = spec["half_entropy"].values.ravel()
    np.testing.assert_allclose(table.half_entropy, half)
    # half-entropy sigma^2 = d / 1.04401 - 1, so the exponent between neighbours follows
    level = np.log(np.array([4.0, 16.0, 64.0, 256.0, 1024.0, 4096.0]) / 1.04401 - 1) / 2
    np.testing.assert_allclose(table.local[1:], np.diff(level) / np.log(4), atol=2e-3)
    np.testing.assert_allclose(table.residual, np.log(half / table.fit), atol=1e-9)


def test_rescaled_curves_cross_at_the_predicted_speciation(vp_profiles: xr.Dataset) -> None:
    table = sp.plot.rescaled(vp_profiles, data=True)
    for _, rows in table.groupby("dimension"):
        # F(1) = 0.514056 bit in every dimension, read between times 0.06 apart
        assert np.interp(1.0, rows.u, rows.entropy) == pytest.approx(0.514056, abs=2e-3)
    raw, scaled = sp.plot.rescaled(vp_profiles)
    for panel, name in ((raw, "time"), (scaled, "u")):
        (dots,) = [part for part in panel if isinstance(part, hv.Scatter)]
        np.testing.assert_allclose(dots.dimension_values("entropy"), 0.514056, atol=2e-3)
        half = np.log(vp_profiles["dimension"].values) / 2
        np.testing.assert_allclose(dots.dimension_values(name), half if name == "time" else 1.0)
        assert plot_options(panel)["invert_xaxis"]
        assert [hook.texts[0] for hook in plot_options(panel)["hooks"]] == ["4"]


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
