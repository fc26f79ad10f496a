"""Strips of decoded pictures, where an archive holds them."""

from __future__ import annotations

import holoviews as hv
import numpy as np
import pytest
import xarray as xr

import specent as sp
from specent import schema


@pytest.fixture
def decoded_runs(picture_runs: xr.Dataset) -> xr.Dataset:
    """The runs with previews of twice the size in colour: the prediction in red, its opposite in green, row in blue."""
    value = (255 * picture_runs["prediction"].clip(0, 1)).values.astype(np.uint8)
    large = value.repeat(2, axis=-1).repeat(2, axis=-2)
    row = np.broadcast_to(np.arange(16, dtype=np.uint8)[:, None], large.shape)
    dims = (*picture_runs["prediction"].dims[:4], "preview_channel", "preview_y", "preview_x")
    runs = picture_runs.assign(preview=(dims, np.concatenate([large, 255 - large, row], axis=-3)))
    runs = runs.assign_coords({dim: np.arange(runs.sizes[dim]) for dim in dims[4:]})
    for name in dims[4:]:
        runs[name].attrs = schema.COORDINATES[name].attributes({})
    runs["preview"].attrs = schema.KINDS["trajectories"]["preview"].attributes({})
    return runs


def left(tile: hv.Element) -> float:
    return float(tile.bounds.lbrt()[0])


def test_decoded_pictures_replace_the_predictions_with_the_shades_they_have(
    decoded_runs: xr.Dataset, picture_runs: xr.Dataset
) -> None:
    tiles = sorted(sp.plot.predictions(decoded_runs, class_label="0", sample=1, most=30), key=left)
    assert all(isinstance(tile, hv.RGB) for tile in tiles)
    one = decoded_runs["preview"].sel(class_label="0", sample=1).isel(guidance=0, prediction_time=0)
    for colour, channel in zip("RGB", one.values, strict=True):
        # the cleanest picture stands at the right, where there is least noise
        np.testing.assert_allclose(tiles[-1].dimension_values(colour, flat=False)[::-1], channel / 255, atol=1e-12)
    plain = sorted(sp.plot.predictions(picture_runs, class_label="0", sample=1, most=30), key=left)
    assert [tile.bounds.lbrt() for tile in tiles] == [tile.bounds.lbrt() for tile in plain]


def test_a_grey_decoded_picture_runs_from_black_to_white(decoded_runs: xr.Dataset) -> None:
    tiles = list(sp.plot.predictions(decoded_runs.isel(preview_channel=[0])))
    limits = {hv.Store.lookup_options("bokeh", tile, "style").kwargs.get("clim") or
              hv.Store.lookup_options("bokeh", tile, "plot").kwargs.get("clim") for tile in tiles}  # fmt: skip
    assert limits == {(0.0, 255.0)}


def test_latents_with_previews_need_not_be_pictures_themselves(decoded_runs: xr.Dataset) -> None:
    latents = decoded_runs.isel(channel=[0, 0, 0, 0]).drop_vars("channel")
    latents = latents.assign_coords(channel=("channel", np.arange(4), decoded_runs["channel"].attrs))
    pictures, expected = (list(sp.plot.predictions(runs)) for runs in (latents, decoded_runs))
    assert len(pictures) == len(expected)
    for one, other in zip(pictures, expected, strict=True):
        np.testing.assert_array_equal(one.dimension_values("R"), other.dimension_values("R"))
