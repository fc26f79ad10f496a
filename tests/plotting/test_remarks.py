"""What a figure says of its numbers: NaN is blank, disagreement is noted, impossible values are marked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import holoviews as hv
import numpy as np
import pytest
import xarray as xr

import specent as sp
from specent.plotting.labels import StyleLegend
from specent.plotting.tables import half_entropy_table

FULL_TEXT = "partition 'cat | dog', guidance 'unguided': path and denoiser_gap differ by 0.62 bit <at> log_snr=-1"


@pytest.fixture
def spotted(digit_profiles: xr.Dataset, summary: Any) -> xr.Dataset:
    """A summary in which the pair 3 | 8 never falls to half, and the full set has no lower end of its window."""
    spec = summary(digit_profiles.sel(estimator=["path"], guidance=["unguided"])).copy(deep=True)
    for name in ("half_entropy", "peak", "window_start", "window_end"):
        for bound in ("", "_lower", "_upper"):
            spec[name + bound].loc[{"partition": "3 | 8"}] = np.nan
    for bound in ("", "_lower", "_upper"):
        spec["window_end" + bound].loc[{"partition": "full"}] = np.nan
    return spec


def test_a_lane_without_marks_stays(spotted: xr.Dataset) -> None:
    figure = sp.plot.windows(spotted, partition=["full", "3 | 8", "0 | 1"])
    ticks = hv.Store.lookup_options("bokeh", figure, "plot").kwargs["yticks"]
    assert [text for _, text in ticks] == ["full", "3 | 8", "0 | 1"]
    halves = next(part for part in figure if isinstance(part, hv.Scatter) and "lower" in part)
    assert halves.dimension_values("row").round().tolist() == [0, -2]
    bars = next(part for part in figure if isinstance(part, hv.Segments))
    assert np.isnan(bars.dimension_values("window_end")).tolist() == [True, False]
    assert np.isfinite(bars.dimension_values("window_start")).all()


def test_a_table_has_a_dash_and_all_its_rows(spotted: xr.Dataset) -> None:
    table = half_entropy_table(spotted)
    assert table.count("<tr><td ") == 56
    assert ">3 | 8</td><td>–</td>" in table
    assert table.count("–") == 1
    # a page whose numbers are all missing still shows its rows
    assert half_entropy_table(spotted.sel(partition=["3 | 8"])).count("–") == 1


def test_points_without_a_number_leave_the_scaling_whole(ve_profiles: xr.Dataset) -> None:
    spec = sp.speciation(ve_profiles, axis="sigma")
    fit = sp.fit_scaling(spec, law="sqrt")
    spotted = spec.copy(deep=True)
    for bound in ("", "_lower", "_upper"):
        spotted["half_entropy" + bound].loc[{"dimension": 64.0}] = np.nan
    top, _ = sp.plot.scaling(spotted, fit)
    points = next(part for part in top if isinstance(part, hv.Scatter))
    assert np.isnan(points.dimension_values("half_entropy")).sum() == 1
    assert hv.renderer("bokeh").get_plot(top).state is not None


@pytest.fixture
def disagreeing(pair_profiles: xr.Dataset) -> xr.Dataset:
    entry = {"partition": "cat | dog", "guidance": "unguided", "estimators": ["path", "denoiser_gap"]}
    return pair_profiles.assign_attrs(disagreements=json.dumps([{**entry, "text": FULL_TEXT, "gap": 0.62}]))


def heading(figure: Any) -> str:
    return str(hv.Store.lookup_options("bokeh", figure, "plot").kwargs["title"])


def test_a_disagreement_stands_under_the_title_of_its_curves_only(disagreeing: xr.Dataset) -> None:
    note = "Estimators disagree: path and denoiser_gap (cat | dog, unguided)"
    assert heading(sp.plot.entropy(disagreeing, title="Mine")) == f"Mine\n{note}"
    assert heading(sp.plot.entropy(disagreeing, partition="cat | dog")) == f"When do cat and dog part?\n{note}"
    assert heading(sp.plot.entropy(disagreeing, partition="cat | car")) == "When do cat and car part?"
    for other in ({"guidance": "w=2"}, {"estimator": ["path", "exact"]}):
        assert heading(sp.plot.entropy(disagreeing, **other)) == "When do two classes part?"
    assert heading(sp.plot.rate(disagreeing)) == "How fast do two classes part?"


def test_a_page_tells_a_disagreement_in_full(disagreeing: xr.Dataset, tmp_path: Path) -> None:
    figures = {"figures": ["entropy", "rate"], "guidance": "unguided", "estimator": ["path", "denoiser_gap"]}
    text = sp.plot.page(disagreeing, tmp_path / "page.html", **figures).read_text(encoding="utf-8")
    remark = FULL_TEXT.replace("'", "&#x27;").replace("<", "&lt;").replace(">", "&gt;")
    assert text.count(f'<ul class="remarks"><li>{remark}</li></ul>') == 1
    plain = sp.plot.page(disagreeing, tmp_path / "other.html", partition="cat | car", **figures)
    assert '<ul class="remarks">' not in plain.read_text(encoding="utf-8")


def test_impossible_values_are_crosses_within_the_view(pair_profiles: xr.Dataset) -> None:
    profiles = pair_profiles.sel(estimator=["path"], guidance=["unguided"]).copy(deep=True)
    profiles["entropy"][0, 0, 1, 5] = -3e25
    profiles["entropy"][0, 0, 0, 7] = 1.4
    impossible = xr.zeros_like(profiles["entropy"], dtype=np.int64)
    impossible[0, 0, 1, 5] = impossible[0, 0, 0, 7] = 1
    figure = sp.plot.entropy(profiles.assign(impossible=impossible))
    (crosses,) = [part for part in figure if isinstance(part, hv.Scatter)]
    assert sorted(crosses.dimension_values("value")) == [-3e25, 1.4]
    assert sorted(crosses.dimension_values("log_snr")) == sorted(profiles["log_snr"].values[[5, 7]])
    low, high = hv.Store.lookup_options("bokeh", figure, "plot").kwargs["ylim"]
    assert -0.2 < low < min(crosses.dimension_values("entropy")) < max(crosses.dimension_values("entropy")) < high < 1.2
    style = hv.Store.lookup_options("bokeh", crosses, "style").kwargs
    assert (style["marker"], style["color"]) == ("x", "#666666")
    assert heading(figure) == "When do two classes part?\nGrey crosses: 2 values that no entropy can have"
    # the view is still that of the curves that change
    first, last = hv.Store.lookup_options("bokeh", figure, "plot").kwargs["xlim"]
    assert last - first < np.ptp(profiles["log_snr"].values)


def test_possible_values_have_no_crosses(pair_profiles: xr.Dataset) -> None:
    impossible = xr.zeros_like(pair_profiles["entropy"], dtype=np.int64)
    figure = sp.plot.entropy(pair_profiles.assign(impossible=impossible))
    assert [part for part in figure if isinstance(part, hv.Scatter)] == []
    assert heading(figure) == "When do two classes part?"


def test_estimators_that_agree_everywhere_are_drawn_once(pair_profiles: xr.Dataset) -> None:
    profiles = pair_profiles.sel(partition=["cat | dog"], estimator=["path", "denoiser_gap"]).copy(deep=True)
    rate = profiles["entropy_rate"]
    assert sum(type(part) is hv.Curve for part in sp.plot.rate(profiles)) == 4
    rate.loc[{"estimator": "denoiser_gap"}] = rate.sel(estimator="path", drop=True)
    figure = sp.plot.rate(profiles)
    assert sum(type(part) is hv.Curve for part in figure) == 2
    # one style of line needs no legend
    assert StyleLegend not in {type(hook) for hook in hv.Store.lookup_options("bokeh", figure, "plot").kwargs["hooks"]}
    exact = pair_profiles.sel(partition=["cat | dog"], estimator=["path", "exact"], guidance=["unguided"]).copy(
        deep=True
    )
    for name in ("entropy_rate", "entropy"):
        exact[name].loc[{"estimator": "exact"}] = exact[name].sel(estimator="path", drop=True)
    # an exact reference is shown wherever it lies
    assert sum(type(part) is hv.Curve for part in sp.plot.rate(exact)) == 2


def test_the_legend_names_the_estimators_that_share_a_line(pair_profiles: xr.Dataset) -> None:
    profiles = pair_profiles.sel(partition=["cat | dog"], guidance=["unguided"]).copy(deep=True)
    rate = profiles["entropy_rate"]
    rate.loc[{"estimator": "denoiser_gap"}] = rate.sel(estimator="path", drop=True)
    figure = sp.plot.rate(profiles)
    hooks = hv.Store.lookup_options("bokeh", figure, "plot").kwargs["hooks"]
    (legend,) = [hook for hook in hooks if isinstance(hook, StyleLegend)]
    assert {entry[0] for entry in legend.entries} == {"exact", "path, denoiser gap"}
