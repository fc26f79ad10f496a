"""Runs that are compared are told apart, in every figure and table."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import holoviews as hv
import numpy as np
import pytest
import xarray as xr

import specent as sp
from specent.plotting.tables import half_entropy_table

NAMES = ["step 10k", "step 100k"]


def along_run(first: xr.Dataset, second: xr.Dataset) -> xr.Dataset:
    """Two datasets of one kind over the dimension ``run``."""
    return xr.concat([first, second], xr.DataArray(NAMES, dims="run", name="run"), combine_attrs="override")


@pytest.fixture(scope="module")
def two_runs(pair_profiles: xr.Dataset) -> xr.Dataset:
    """The measured profiles, and others with nine tenths of their entropy."""
    measured = pair_profiles.sel(estimator=["path", "denoiser_gap"])
    later = measured.copy(deep=True)
    for name in ("entropy", "entropy_lower", "entropy_upper"):
        later[name] = (0.9 * later[name]).assign_attrs(later[name].attrs)
    return along_run(measured, later)


def panels(figure: Any) -> list[Any]:
    return list(figure) if isinstance(figure, hv.Layout) else [figure]


def lines(figure: Any) -> list[Any]:
    return [part for panel in panels(figure) for part in panel if type(part) is hv.Curve]


def style(element: Any) -> tuple[str, str, float]:
    options = hv.Store.lookup_options("bokeh", element, "style").kwargs
    return options["color"], str(options["line_dash"]), options["line_width"]


def test_runs_differ_in_colour_where_nothing_else_does(two_runs: xr.Dataset) -> None:
    figure = sp.plot.entropy(two_runs, partition="cat | dog", guidance="unguided")
    curves = lines(figure)
    assert len(curves) == len({style(curve) for curve in curves}) == 4
    by_run = [{style(curve)[0] for curve in curves if curve.label.startswith(name)} for name in NAMES]
    assert by_run[0].isdisjoint(by_run[1])
    first = two_runs["entropy"].sel(run="step 100k", partition="cat | dog", estimator="path", guidance="unguided")
    labelled = next(curve for curve in curves if curve.label == "step 100k, path")
    np.testing.assert_array_equal(labelled.dimension_values("entropy"), first)


@pytest.mark.parametrize(("selection", "count"), [({"guidance": "unguided"}, 2), ({}, 4)])
def test_runs_have_panels_where_partitions_have_colours(
    selection: dict[str, str], count: int, two_runs: xr.Dataset
) -> None:
    figures = panels(sp.plot.entropy(two_runs, estimator="path", **selection))
    titles = [hv.Store.lookup_options("bokeh", figure, "plot").kwargs["title"] for figure in figures]
    assert len(set(titles)) == len(figures) == count
    for title, figure in zip(titles, figures, strict=True):
        (name,) = [name for name in NAMES if title.endswith(name)]
        for curve, partition in zip(lines(figure), ("cat | dog", "cat | car"), strict=True):
            setting = selection.get("guidance", title.partition(",")[0])
            one = two_runs["entropy"].sel(run=name, partition=partition, estimator="path", guidance=setting)
            np.testing.assert_array_equal(curve.dimension_values("entropy"), one)


def test_runs_can_be_selected(two_runs: xr.Dataset) -> None:
    assert len(lines(sp.plot.entropy(two_runs, run="step 10k", estimator="path", guidance="w=2"))) == 2


@pytest.mark.parametrize("titles", [("Ten thousand steps", "A hundred thousand steps"), ("Same", "Same")])
def test_two_datasets_of_the_same_partitions_are_labelled_by_title_or_number(
    titles: tuple[str, str], two_runs: xr.Dataset
) -> None:
    datasets = [
        two_runs.isel(run=i, drop=True).assign_attrs(title=title).sel(estimator=["path"])
        for i, title in enumerate(titles)
    ]
    curves = lines(sp.plot.entropy(datasets, partition="cat | dog", guidance="unguided"))
    expected = list(titles) if titles[0] != titles[1] else ["dataset 1", "dataset 2"]
    assert [curve.label for curve in curves] == expected
    assert len({style(curve)[0] for curve in curves}) == 2
    assert not np.array_equal(*(curve.dimension_values("entropy") for curve in curves))


def test_a_measured_and_an_exact_dataset_need_no_names(pair_profiles: xr.Dataset) -> None:
    parts = [pair_profiles.sel(estimator=[name], guidance=["unguided"]) for name in ("path", "exact")]
    labels = [curve.label for curve in lines(sp.plot.entropy(parts))]
    assert labels == ["cat | dog, path", "cat | car, path", "cat | dog, exact", "cat | car, exact"]


def test_many_curves_have_a_median_for_every_run(digit_profiles: xr.Dataset) -> None:
    measured = digit_profiles.sel(estimator=["path"], guidance=["unguided"])
    curves = lines(sp.plot.entropy(along_run(measured, measured), partition=measured["partition"][11:]))
    # a panel for each
    assert [curve.label for curve in curves] == ["pairs (45)", "pairs (45)"]


def test_every_run_has_its_windows_its_matrix_and_its_column(digit_profiles: xr.Dataset, summary: Any) -> None:
    spec = summary(digit_profiles.sel(estimator=["path"], guidance=["unguided"]))
    # at half the noise level
    later = spec.map(lambda one: one + 2 * np.log(2), keep_attrs=True)
    both = along_run(spec, later)
    level = {
        name: np.exp(-float(both["half_entropy"].sel(run=name, partition="3 | 8").squeeze()) / 2) for name in NAMES
    }
    assert level["step 10k"] == pytest.approx(2 * level["step 100k"], rel=1e-12)
    halves = [
        part for part in sp.plot.windows(both, partition="3 | 8") if isinstance(part, hv.Scatter) and "lower" in part
    ]
    assert {part.label: part.dimension_values("sigma")[0] for part in halves} == pytest.approx(level, rel=1e-12)
    assert len({hv.Store.lookup_options("bokeh", part, "style").kwargs["color"] for part in halves}) == 2
    *matrices, _ = sp.plot.pair_matrix(both)
    heats = [next(iter(matrix)) for matrix in matrices]
    for name, matrix, heat in zip(NAMES, matrices, heats, strict=True):
        assert name in hv.Store.lookup_options("bokeh", matrix, "plot").kwargs["title"]
        cells = {(a, b): value for a, b, value in zip(*(heat.dimension_values(i) for i in range(3)), strict=True)}
        assert cells["3", "8"] == pytest.approx(level[name], rel=1e-12)
    # one scale of colours, or the two could not be compared
    assert len({hv.Store.lookup_options("bokeh", heat, "plot").kwargs["clim"] for heat in heats}) == 1
    table = half_entropy_table(both.sel(partition=["3 | 8"]))
    assert [table.index(name) for name in NAMES] == sorted(table.index(name) for name in NAMES)
    assert table.count("<th ") == 3
    cells = [float(text) for text in re.findall(r'<td data-value="([^"]*)">', table)]
    assert cells == pytest.approx([level[name] for name in NAMES], rel=1e-12)


def test_fits_of_runs_stand_in_one_figure(vp_fit: tuple[xr.Dataset, xr.Dataset]) -> None:
    spec, fit = (along_run(one, one) for one in vp_fit)
    top, _ = sp.plot.scaling(spec, fit)
    points = [part for part in top if isinstance(part, hv.Scatter)]
    assert [part.label.partition(":")[0] for part in points] == NAMES


def test_a_page_of_a_comparison(two_runs: xr.Dataset, tmp_path: Path) -> None:
    profiles = two_runs.sel(partition=["cat | dog"], guidance=["unguided"], estimator=["path"])
    text = sp.plot.page(profiles, tmp_path / "page.html", figures=["entropy"]).read_text(encoding="utf-8")
    assert all(f'"{name}"' in text for name in NAMES)
