"""Which of the statistical figures a page draws of which datasets."""

from __future__ import annotations

from pathlib import Path

import holoviews as hv
import pytest
import xarray as xr

import specent as sp
from specent.plotting import page_statistics as pages

SIDES = ["full", "cat | rest", "dog | rest"]


@pytest.fixture(scope="module")
def runs() -> xr.Dataset:
    return sp.archive.example().load()


@pytest.fixture(scope="module")
def profiles(runs: xr.Dataset) -> xr.Dataset:
    return sp.entropy(runs, SIDES)


def title(figure: object) -> str:
    return str(hv.Store.lookup_options("bokeh", figure, "plot").kwargs["title"])


def test_trajectories_of_a_plane_have_posteriors_reliability_and_paths(runs: xr.Dataset) -> None:
    datasets = {"trajectories": [runs]}
    (posterior,) = pages.posterior_figures(datasets, "sigma", {"partition": "cat | dog"})
    assert "cat | dog: 120 trajectories" in title(posterior)
    (reliability,) = pages.reliability_figures(datasets, None, {})
    # the three partitions that the runs were sampled with, and the diagonal
    assert sum(isinstance(part, hv.Curve) for part in next(iter(reliability))) == 4
    (paths,) = pages.path_figures(datasets, None, {})
    assert "final samples" in title(paths)


def test_pictures_and_guided_runs_have_none_of_these(runs: xr.Dataset, picture_runs: xr.Dataset) -> None:
    datasets = {"trajectories": [picture_runs]}
    for function in (pages.posterior_figures, pages.reliability_figures, pages.path_figures):
        assert list(function(datasets, None, {})) == []
    assert list(pages.reliability_figures({"trajectories": [runs.isel(guidance=[1])]}, None, {})) == []


def test_several_estimators_are_compared_and_exact_ones_are_the_reference(profiles: xr.Dataset) -> None:
    (figure,) = pages.disagreement_figures([[profiles]], None)
    assert len(figure) == len(SIDES)
    mix = sp.exact.recorded_mixture(sp.archive.example())
    assert mix is not None
    exact = sp.exact.profiles(mix, sp.schedules.VE(), profiles.time.values, [sp.Partition.full(mix.labels)])
    (figure,) = pages.disagreement_figures([[profiles.sel(estimator=["path"]), exact]], None)
    assert "less exact" in str(hv.Store.lookup_options("bokeh", figure, "plot").kwargs["ylabel"])
    assert list(pages.disagreement_figures([[exact]], None)) == []


def test_classes_are_summarised_where_there_are_several_settings(profiles: xr.Dataset) -> None:
    (figure,) = pages.class_figures({"profiles": [profiles]}, None)
    assert "over 2 classes" in title(figure)
    for some in (profiles.isel(guidance=[0]), profiles.sel(partition=["full", "cat | rest"])):
        assert list(pages.class_figures({"profiles": [some]}, None)) == []


def test_both_backends_draw_what_tells_of_estimators_and_classes(
    runs: xr.Dataset, profiles: xr.Dataset, tmp_path: Path
) -> None:
    figures = [sp.plot.reliability(runs, SIDES), sp.plot.disagreement(profiles), sp.plot.class_production(profiles)]
    for number, figure in enumerate(figures):
        hv.renderer("bokeh").get_plot(figure)
        assert sp.plot.save(figure, tmp_path / f"{number}.svg").stat().st_size > 10_000
