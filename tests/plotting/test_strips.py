"""Strips of predictions: where the pictures stand, in which shades, and which of them are chosen."""

from __future__ import annotations

import itertools
from typing import Any

import holoviews as hv
import numpy as np
import pytest
import xarray as xr

import specent as sp
from specent import schema
from specent.errors import SpecentError
from specent.plotting.strips import chosen_evenly


def plot_options(element: Any) -> dict[str, Any]:
    return dict(hv.Store.lookup_options("bokeh", element, "plot").kwargs)


def bounds(column: Any) -> tuple[float, float]:
    left, _, right, _ = column.bounds.lbrt()
    return float(left), float(right)


def middle(column: Any) -> float:
    return sum(bounds(column)) / 2


def raster(column: Any, mirrored: bool = False) -> np.ndarray:
    """The pixels of a column, (y, x, 4), the first row on top, as they are seen."""
    channels = [column.dimension_values(name, flat=False)[::-1] for name in "RGBA"]
    pixels = np.stack(channels, axis=-1).astype(float)
    return pixels[:, ::-1] if mirrored else pixels


def tile(column: Any, row: int, size: int = 8, mirrored: bool = False) -> np.ndarray:
    """One picture of a column, without the pixel of space around it."""
    return raster(column, mirrored)[row * (size + 2) + 1 :][:size, 1 : size + 1, :3]


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


def test_pictures_stand_at_their_noise_on_the_axis_of_the_profile(
    picture_runs: xr.Dataset, pair_profiles: xr.Dataset
) -> None:
    above, strip = sp.plot.predictions(
        picture_runs, pair_profiles, partition="cat | dog", estimator="path", guidance="unguided"
    )
    when = -2 * np.log(picture_runs["prediction_time"].values)
    centres = [middle(column) for column in strip]
    assert all(np.isclose(when, centre).any() for centre in centres)
    assert plot_options(above)["xlim"] == plot_options(strip)["xlim"]
    assert above.get_dimension("log_snr") == strip.get_dimension("log_snr")
    # within the stretch on which the entropy changes
    alone = sp.plot.entropy(pair_profiles, partition="cat | dog", estimator="path", guidance="unguided")
    low, high = plot_options(alone)["xlim"]
    assert all(low <= centre <= high for centre in centres)
    # no picture covers another, nor is cut off
    ends = sorted(bounds(column) for column in strip)
    assert all(left[1] <= right[0] + 1e-9 for left, right in itertools.pairwise(ends))
    first, last = plot_options(strip)["xlim"]
    assert first <= ends[0][0] + 1e-9
    assert ends[-1][1] <= last + 1e-9


@pytest.mark.parametrize("axis", ["log_snr", "sigma", "log_sigma", "time"])
def test_generation_runs_to_the_right_and_pictures_stand_upright(axis: str, picture_runs: xr.Dataset) -> None:
    strip = sp.plot.predictions(picture_runs, axis=axis, class_label="0", sample=1, most=30)
    down = plot_options(strip).get("invert_xaxis", False)
    assert down == (axis != "log_snr")
    columns = sorted(strip, key=middle, reverse=down)
    data = picture_runs["prediction"].sel(class_label="0", sample=1).isel(guidance=0, channel=0)
    # from the noise on the left to the data on the right
    order = picture_runs["prediction_time"].argsort().values[::-1]
    kept = [i for i in order if any(np.isclose(middle_of(axis, picture_runs, i), geometric(axis, c)) for c in columns)]
    assert len(kept) == len(columns) >= 5
    # the shades run from the darkest to the lightest pixel of the cleanest picture; both backends mirror what stands on
    # an axis that runs downwards
    clean = data.values[order[-1]]
    for i, column in zip(kept, columns, strict=True):
        shade = 255 * np.clip((data.values[i] - clean.min()) / (clean.max() - clean.min()), 0, 1)
        np.testing.assert_allclose(tile(column, 0, mirrored=down)[..., 0], shade, atol=0.51)


def middle_of(axis: str, runs: xr.Dataset, number: int) -> float:
    """Where a prediction stands: sigma and time are one, on a logarithmic axis."""
    log_sigma = float(np.log(runs["prediction_time"].values[number]))
    return -2 * log_sigma if axis == "log_snr" else log_sigma


def geometric(axis: str, column: Any) -> float:
    """The middle of a picture as it is seen."""
    ends = np.array(bounds(column))
    return float(np.log(ends).mean() if axis in ("sigma", "time") else ends.mean())


def test_the_table_holds_what_is_drawn(picture_runs: xr.Dataset) -> None:
    strip = sp.plot.predictions(picture_runs, axis="sigma", class_label=["0", "1"], sample=1)
    table = sp.plot.predictions(picture_runs, axis="sigma", class_label=["0", "1"], sample=1, data=True)
    assert len(table) == 2 * len(strip) * 64
    assert list(table.columns) == [
        "guidance", "class_label", "sample", "sigma", "channel", "y", "x", "value", "shade",
    ]  # fmt: skip
    for level, part in table[table["class_label"] == "1"].groupby("sigma"):
        number = int(np.abs(picture_runs["prediction_time"].values - level).argmin())
        one = picture_runs["prediction"].sel(class_label="1", sample=1).isel(guidance=0, channel=0)
        np.testing.assert_array_equal(part["value"], one.values[number].ravel())
        column = next(c for c in strip if np.isclose(geometric("sigma", c), np.log(level)))
        np.testing.assert_array_equal(part["shade"], tile(column, 1, mirrored=True)[..., 0].ravel())


def test_every_class_has_a_row_with_its_name(picture_runs: xr.Dataset) -> None:
    strip = sp.plot.predictions(picture_runs, class_label=["0", "1"])
    assert plot_options(strip)["yticks"] == [(-0.5, "0"), (-1.5, "1")]
    assert plot_options(strip)["ylim"] == (-2.0, 0.0)
    cleanest = max(strip, key=middle)
    for row, name in enumerate("01"):
        one = picture_runs["final"].sel(class_label=name).isel(guidance=0, sample=0, channel=0)
        # the cleanest prediction is the sample with a fiftieth of noise
        np.testing.assert_allclose(tile(cleanest, row)[..., 0] / 255, one, atol=0.15)


def test_rows_that_are_left_out_are_said(picture_runs: xr.Dataset) -> None:
    runs = picture_runs.isel(class_label=[0, 1, 0, 1, 0, 1, 0]).drop_vars(["class_label", "label_prior"])
    runs = runs.assign_coords(class_label=[*"abcdefg"], label_prior=("class_label", np.full(7, 1 / 7)))
    assert "5 of 7 classes" in plot_options(sp.plot.predictions(runs))["title"].replace("\n", " ")
    assert "classes" not in plot_options(sp.plot.predictions(picture_runs))["title"]


def test_predictions_at_many_noise_levels_are_drawn_evenly() -> None:
    places = np.sort(np.random.default_rng(0).uniform(-6, 6, 400))
    chosen = chosen_evenly(places, 14, 12 / 14)
    assert 10 <= len(chosen) <= 14
    distances = np.diff(places[chosen])
    assert distances.max() <= 1.3 * distances.min()
    # the last one is the cleanest
    assert chosen[-1] == 399


def test_predictions_that_are_nowhere_even_are_drawn_where_they_are() -> None:
    # twice as far each time
    places = 2.0 ** np.arange(8)
    chosen = chosen_evenly(places, 14, 1.5)
    assert np.diff(places[chosen]).min() >= 1.5
    assert chosen == [1, 2, 3, 4, 5, 6, 7]
    assert chosen_evenly(places[:1], 14) == [0]
    assert chosen_evenly(places, 1) == [7]


@pytest.mark.parametrize("most", [1, 2, 3, 5, 30])
def test_no_more_than_most_are_drawn(most: int, picture_runs: xr.Dataset) -> None:
    assert 1 <= len(sp.plot.predictions(picture_runs, most=most)) <= most


def test_a_row_is_shaded_by_its_cleanest_picture(picture_runs: xr.Dataset) -> None:
    table = sp.plot.predictions(picture_runs, axis="sigma", data=True)
    for _, row in table.groupby("class_label"):
        clean = row[row["sigma"] == row["sigma"].min()]
        assert clean["shade"].min() == 0
        assert clean["shade"].max() == 255
        black, white = clean["value"].min(), clean["value"].max()
        inside = row[(row["value"] > black) & (row["value"] < white)]
        np.testing.assert_allclose(inside["shade"] / 255, (inside["value"] - black) / (white - black), atol=0.002)


def test_strips_on_a_logarithmic_axis_are_evenly_wide(picture_runs: xr.Dataset) -> None:
    ratios = [right / left for left, right in map(bounds, sp.plot.predictions(picture_runs, axis="sigma"))]
    np.testing.assert_allclose(ratios, ratios[0], rtol=1e-9)


def test_decoded_pictures_replace_the_predictions_with_the_shades_they_have(
    decoded_runs: xr.Dataset, picture_runs: xr.Dataset
) -> None:
    columns = sorted(sp.plot.predictions(decoded_runs, class_label="0", sample=1, most=30), key=middle)
    one = decoded_runs["preview"].sel(class_label="0", sample=1).isel(guidance=0, prediction_time=0)
    # the cleanest picture stands at the right, where there is least noise
    np.testing.assert_array_equal(tile(columns[-1], 0, size=16), np.moveaxis(one.values, 0, -1))
    plain = sorted(sp.plot.predictions(picture_runs, class_label="0", sample=1, most=30), key=middle)
    assert [bounds(column) for column in columns] == [bounds(column) for column in plain]


def test_a_grey_decoded_picture_runs_from_black_to_white(decoded_runs: xr.Dataset) -> None:
    table = sp.plot.predictions(decoded_runs.isel(preview_channel=[0]), data=True)
    np.testing.assert_array_equal(table["shade"], table["value"])


def test_latents_with_previews_need_not_be_pictures_themselves(decoded_runs: xr.Dataset) -> None:
    latents = decoded_runs.isel(channel=[0, 0, 0, 0]).drop_vars("channel")
    latents = latents.assign_coords(channel=("channel", np.arange(4), decoded_runs["channel"].attrs))
    for one, other in zip(sp.plot.predictions(latents), sp.plot.predictions(decoded_runs), strict=True):
        np.testing.assert_array_equal(one.dimension_values("R"), other.dimension_values("R"))


def test_three_channels_are_shown_in_colour(picture_runs: xr.Dataset) -> None:
    channel = xr.DataArray([0, 1, 2], dims="channel", attrs=picture_runs["channel"].attrs)
    three = picture_runs.isel(channel=[0, 0, 0]).assign_coords(channel=channel)
    three = three.assign(prediction=three["prediction"] * xr.DataArray([1.0, 0.5, 0.0], dims="channel"))
    red, green, blue = (sp.plot.predictions(three, data=True).query(f"channel == {i}")["shade"] for i in range(3))
    assert len(red) == len(green) == len(blue) > 0
    assert red.max() == 255
    assert 110 <= green.max() <= 160
    assert blue.max() < green.max() / 2


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
        ({"data": "yes"}, "data='yes'"),
        ({"axis": "noise"}, "axis='noise'"),
    ],
)
def test_an_unknown_trajectory_is_named(selection: dict[str, Any], message: str, picture_runs: xr.Dataset) -> None:
    with pytest.raises(SpecentError, match=message):
        sp.plot.predictions(picture_runs, **selection)


def test_runs_without_pictures_are_refused(picture_runs: xr.Dataset) -> None:
    with pytest.raises(SpecentError, match="no predictions of pictures"):
        sp.plot.predictions(picture_runs.drop_vars("prediction"))
