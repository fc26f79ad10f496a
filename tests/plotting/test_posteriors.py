"""The raster, the quantiles and the single curves of posteriors, against plain counts over trajectories."""

from __future__ import annotations

from pathlib import Path

import holoviews as hv
import numpy as np
import pytest
import xarray as xr

import specent as sp
from specent.errors import SpecentError
from specent.plotting.posteriors import PIXELS, posteriors


@pytest.fixture(scope="module")
def runs() -> xr.Dataset:
    return sp.archive.example().load()


@pytest.fixture(scope="module")
def of_cat(runs: xr.Dataset) -> xr.DataArray:
    """Posterior of cat against dog along the unguided trajectories of both."""
    scores = runs["log_likelihood"].isel(guidance=0).sel(class_label=["cat", "dog"])
    return 1 / (1 + np.exp(scores.sel(candidate="dog") - scores.sel(candidate="cat")))


@pytest.mark.parametrize("axis", ["log_snr", "sigma"])
def test_every_column_of_pixels_shows_every_trajectory(runs: xr.Dataset, of_cat: xr.DataArray, axis: str) -> None:
    view = (-6.0, 0.0) if axis == "log_snr" else (1.0, 20.0)
    table = posteriors(runs, "cat | dog", axis, side="cat", view=view, data=True)
    shares = table[table.mark == "share"]
    per_column = shares.groupby(axis).share.sum()
    assert len(per_column) == PIXELS[0]
    # every path crosses every column, through one pixel at least
    assert per_column.min() >= 1 - 1e-9
    # between two times a path is straight: in the column of a time the pixels are those of the posteriors
    position = runs["log_snr"].values if axis == "log_snr" else np.exp(-0.5 * runs["log_snr"].values)
    at = 15
    column = per_column.index[np.abs(per_column.index - position[at]).argmin()]
    own = shares[shares[axis] == column]
    values = of_cat.isel(time=at).values.ravel()
    nearest = np.abs(own.posterior.values[:, None] - values).min(axis=0)
    # half a pixel up and the way that the steepest path goes within a column
    slope = np.abs(np.diff(of_cat.values, axis=2)).max()
    assert nearest.max() < 0.5 * 1.06 / PIXELS[1] + slope * 0.1


def test_quantiles_and_single_curves_are_those_of_the_dataset(runs: xr.Dataset, of_cat: xr.DataArray) -> None:
    table = posteriors(runs, "cat | dog", side="cat", curves=3, quantiles=[0.25, 0.5], data=True)
    values = of_cat.transpose(..., "time").values.reshape(-1, runs.sizes["time"])
    exact = np.quantile(values, [0.25, 0.5], axis=0, method="inverted_cdf")
    for level, row in zip([0.25, 0.5], exact, strict=True):
        drawn = table[(table.mark == "quantile") & (table["quantile"] == level)]
        np.testing.assert_allclose(drawn.posterior, row, atol=1 / 2000)
    single = table[table.mark == "trajectory"]
    assert single.groupby(["class_label", "sample"]).ngroups == 3
    first = single[(single.class_label == "dog") & (single["sample"] == 0)]
    np.testing.assert_allclose(first.posterior, of_cat.sel(class_label="dog", sample=0), atol=1e-9)
    np.testing.assert_allclose(first.log_snr, runs.log_snr)


def test_blocks_of_a_file_add_up_to_the_same_picture(runs: xr.Dataset) -> None:
    options = {"partition": "full", "view": (-6.0, 0.0), "curves": 0, "data": True}
    whole, cut = posteriors(runs, **options), posteriors(runs.chunk(sample=7, class_label=1), **options)
    np.testing.assert_allclose(cut.share, whole.share, atol=1e-12, equal_nan=True)


def test_the_figure_holds_a_raster_that_states_its_range(runs: xr.Dataset) -> None:
    figure = posteriors(runs, "full", curves=2)
    image = next(part for part in figure if isinstance(part, hv.Image))
    options = hv.Store.lookup_options("bokeh", image, "plot").kwargs
    assert options["colorbar"]
    assert options["clim"][1] == 1.0
    assert sum(isinstance(part, hv.Curve) for part in figure) == 5
    assert "180 trajectories" in hv.Store.lookup_options("bokeh", figure, "plot").kwargs["title"]
    several = posteriors(runs, "full", guidance=["unguided", "w=2"], curves=0)
    assert len(several) == 2


@pytest.mark.parametrize("axis", ["log_snr", "sigma"])
def test_both_backends_draw_it_without_a_warning(runs: xr.Dataset, tmp_path: Path, axis: str) -> None:
    figure = posteriors(runs, "full", axis, curves=2)
    hv.renderer("bokeh").get_plot(figure)
    assert sp.plot.save(figure, tmp_path / "posteriors.png").stat().st_size > 10_000


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"side": "cow"}, "side='cow' is no side"),
        ({"curves": 31}, "curves=31"),
        ({"guidance": "w=9"}, "w=9"),
        ({"quantiles": [2.0]}, "from 0 to 1"),
        ({"axis": "noise"}, "axis='noise'"),
        ({"title": 3}, "title=3"),
    ],
)
def test_what_cannot_be_drawn_is_refused(runs: xr.Dataset, arguments: dict, message: str) -> None:
    with pytest.raises(SpecentError, match=message):
        posteriors(runs, "cat | dog", **arguments)
