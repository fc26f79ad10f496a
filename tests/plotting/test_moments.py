"""What is drawn of trajectories at one noise level, against the posterior by its formula."""

from __future__ import annotations

from pathlib import Path

import holoviews as hv
import numpy as np
import pytest
import xarray as xr
from bokeh.models import GlyphRenderer
from PIL import Image

import specent as sp
from specent.analysis.trajectory_posteriors import side_posterior


@pytest.fixture(scope="module")
def runs() -> xr.Dataset:
    with sp.archive.example() as archive:
        return archive.load()


def softmax_posterior(runs: xr.Dataset, groups: list[list[str]]) -> xr.DataArray:
    """Posterior of groups of candidates by Bayes' rule, dims (..., side); two single candidates are equally likely."""
    likelihood = np.exp(runs["log_likelihood"].astype(float))
    if max(map(len, groups)) > 1:
        likelihood = likelihood * runs["candidate_prior"]
    sides = [likelihood.sel(candidate=group).sum("candidate") for group in groups]
    joint = xr.concat(sides, "side")
    return joint / joint.sum("side")


def test_the_posterior_of_sides_is_that_of_bayes(runs: xr.Dataset) -> None:
    table = side_posterior(runs, "cat, dog | car")
    exact = softmax_posterior(runs, [["cat", "dog"], ["car"]])
    np.testing.assert_allclose(table["posterior"], exact.transpose(*table["posterior"].dims), rtol=1e-5, atol=1e-9)
    assert table["driver_side"].values.tolist() == ["cat+dog", "cat+dog", "car"]
    # a driver on no side is left out
    assert side_posterior(runs, "cat | dog")["class_label"].values.tolist() == ["cat", "dog"]


def test_the_histogram_counts_trajectories(runs: xr.Dataset) -> None:
    level = float(runs["log_snr"].values[10])
    table = sp.plot.posterior_histogram(runs, level + 1e-3, "cat | dog", guidance="w=2", bins=8, data=True)
    exact = softmax_posterior(runs, [["cat"], ["dog"]]).isel(time=10).sel(guidance="w=2")
    for side, label in enumerate(("cat", "dog")):
        own = exact.isel(side=side).sel(class_label=label).values
        counts = np.array([np.sum((own >= low) & (own < low + 0.125)) for low in np.arange(8) / 8])
        counts[-1] += np.sum(own == 1.0)
        np.testing.assert_allclose(table.loc[table["side"] == label, "share"], counts / own.size)


def test_single_trajectories_are_drawn_with_the_chosen_one(runs: xr.Dataset) -> None:
    table = sp.plot.trajectory_posteriors(runs, "cat | dog", "sigma", class_label="dog", sample=41, most=4, data=True)
    drawn = table[["class_label", "sample"]].drop_duplicates().values.tolist()
    assert drawn == [["cat", 0], ["cat", 1], ["dog", 0], ["dog", 1], ["dog", 41]]
    one = table[table["sample"] == 41]
    exact = softmax_posterior(runs, [["cat"], ["dog"]]).isel(side=1, guidance=0).sel(class_label="dog", sample=41)
    np.testing.assert_allclose(one["posterior"], exact, rtol=1e-5)
    np.testing.assert_allclose(one["sigma"], np.exp(-runs["log_snr"].values / 2))
    with pytest.raises(sp.SpecentError, match="sample=99 is not among the 60"):
        sp.plot.trajectory_posteriors(runs, "cat | dog", class_label="dog", sample=99)


def test_predictions_at_a_level_are_those_of_the_nearest_time(picture_runs: xr.Dataset) -> None:
    when = picture_runs["prediction_time"].values
    level = float(np.interp(when[4], picture_runs["time"].values, picture_runs["log_snr"].values))
    table = sp.plot.predictions_at(picture_runs, level + 0.01, class_label="0", most=1, data=True)
    values = picture_runs["prediction"].isel(guidance=0, prediction_time=4).sel(class_label="0", sample=0).values
    np.testing.assert_array_equal(table["value"], values.ravel())
    with pytest.raises(sp.SpecentError, match="no predictions of pictures"):
        sp.plot.predictions_at(picture_runs.drop_vars("prediction"), 0.0)


@pytest.mark.parametrize("backend", ["bokeh", "matplotlib"])
def test_both_backends_render_them(runs: xr.Dataset, picture_runs: xr.Dataset, backend: str, tmp_path: Path) -> None:
    few = runs.isel(sample=slice(0, 3))
    figures = [
        sp.plot.posterior_histogram(few, 0.0, "cat | dog"),
        sp.plot.trajectory_posteriors(few, "cat | dog", class_label="cat", sample=1),
        sp.plot.predictions_at(picture_runs, 0.0),
    ]
    for number, figure in enumerate(figures):
        if backend == "bokeh":
            assert len(list(hv.renderer("bokeh").get_plot(figure).state.select({"type": GlyphRenderer}))) > 0
        else:
            printed = sp.plot.save(figure, tmp_path / f"{number}.png", dpi=60)
            with Image.open(printed) as picture:
                shades = np.unique(np.asarray(picture.convert("RGB")).reshape(-1, 3), axis=0)
            # paper, ink, and what is drawn
            assert len(shades) > 10
