"""Final samples as pictures: which are shown, where, and in which shades."""

from __future__ import annotations

from typing import Any

import holoviews as hv
import numpy as np
import pytest
import xarray as xr

import specent as sp
from specent.errors import SpecentError
from specent.guidance import Guidance
from specent.plotting.samples import MOST_CLASSES
from specent.schema import coordinates


def raster(figure: Any) -> np.ndarray:
    """The pixels of a figure, (y, x, 4), the first row on top."""
    (grid,) = figure
    channels = [grid.dimension_values(name, flat=False)[::-1] for name in "RGBA"]
    return np.stack(channels, axis=-1).astype(float)


def options(figure: Any) -> dict[str, Any]:
    return dict(hv.Store.lookup_options("bokeh", figure, "plot").kwargs)


def tile(pixels: np.ndarray, row: int, column: int, size: int = 8, gap: int = 1) -> np.ndarray:
    step = size + 2 * gap
    return pixels[row * step + gap : row * step + gap + size, column * step + gap : column * step + gap + size]


@pytest.fixture
def numbered_runs(picture_runs: xr.Dataset) -> xr.Dataset:
    """Two settings; every picture of one shade, in twentieths: the class in hundreds, the sample in units."""
    two = xr.concat([picture_runs, picture_runs], "guidance", data_vars="minimal")
    two = two.drop_vars(["guidance", "guidance_scale", "sigma_lo", "sigma_hi"])
    two = two.assign_coords(coordinates.of_guidance([Guidance(), Guidance(2.0)]))
    shade = np.array([[[0.0, 0.1], [0.4, 0.5]], [[0.2, 0.3], [0.6, 9.0]]])
    return two.assign(final=(two["final"].dims, np.broadcast_to(shade[..., None, None, None], two["final"].shape)))


def test_every_picture_stands_in_the_row_of_its_class_with_the_shades_of_the_dataset(picture_runs: xr.Dataset) -> None:
    pixels = raster(sp.plot.samples(picture_runs))
    for row, column in np.ndindex(2, 2):
        expected = picture_runs["final"].isel(guidance=0, class_label=row, sample=column, channel=0).values
        drawn = tile(pixels, row, column)
        # the pictures run from 0 to 1, which are drawn black and white
        np.testing.assert_array_equal(drawn[..., :3], 255 * np.repeat(expected[..., None], 3, axis=-1))
        assert (drawn[..., 3] == 255).all()
    # between the pictures one sees the page
    assert (pixels[0, :, 3] == 0).all()
    assert (pixels[:, -1, 3] == 0).all()
    assert [text for _, text in options(sp.plot.samples(picture_runs))["yticks"]] == ["1", "0"]


def test_settings_stand_side_by_side_and_are_shaded_like_the_first(numbered_runs: xr.Dataset) -> None:
    figure = sp.plot.samples(numbered_runs)
    pixels = raster(figure)[1::10, :, 0]
    # two columns of ten pixels, half a column between the settings, two columns
    assert pixels.shape == (2, 45)
    # the first setting runs from 0 to 0.5; what is brighter in the second is white
    np.testing.assert_array_equal(pixels[:, [1, 11]], [[0, 51], [204, 255]])
    np.testing.assert_array_equal(pixels[:, [26, 36]], [[102, 153], [255, 255]])
    assert options(figure)["xticks"] == [(1.0, "unguided"), (3.5, "w=2")]
    left, bottom, right, top = next(iter(figure)).bounds.lbrt()
    assert (left, bottom, right, top) == (0.0, -2.0, 4.5, 0.0)


def test_the_table_holds_the_pixels_that_are_drawn(numbered_runs: xr.Dataset) -> None:
    table = sp.plot.samples(numbered_runs, class_label="0", guidance="w=2", most=1, data=True)
    assert list(table.columns) == ["guidance", "class_label", "sample", "channel", "y", "x", "value", "shade"]
    assert len(table) == 64
    np.testing.assert_array_equal(table["value"], 0.6)
    assert set(table["guidance"]) == {"w=2"}
    both = sp.plot.samples(numbered_runs, data=True)
    assert len(both) == 2 * 2 * 2 * 64
    chosen = both[(both["guidance"] == "w=2") & (both["class_label"] == "1") & (both["sample"] == 1)]
    np.testing.assert_array_equal(chosen["shade"], 153)
    np.testing.assert_array_equal(chosen["value"], 0.3)


def test_three_channels_are_colours(picture_runs: xr.Dataset) -> None:
    three = picture_runs.isel(channel=[0, 0, 0]).drop_vars("channel")
    three = three.assign(final=three["final"] * xr.DataArray([1.0, 0.5, 0.0], dims="channel"))
    white = picture_runs["final"].isel(guidance=0, class_label=1, sample=0, channel=0).values == 1
    drawn = tile(raster(sp.plot.samples(three)), 1, 0)[white]
    np.testing.assert_array_equal(drawn, np.broadcast_to([255, 128, 0, 255], drawn.shape))


def test_a_thousand_classes_are_a_stated_choice_and_any_of_them_can_be_named(picture_runs: xr.Dataset) -> None:
    final = picture_runs["final"].isel(class_label=np.arange(1000) % 2)
    names = [f"class {i}" for i in range(1000)]
    dims = ("guidance", "class_label", "sample", "time", "candidate")
    coords = {name: value for name, value in picture_runs.coords.items() if "class_label" not in value.dims}
    runs = xr.Dataset({"final": final, "log_likelihood": (dims, np.zeros((1, 1000, 2, 24, 2)))}, coords)
    runs = runs.assign_coords(class_label=names, label_prior=("class_label", np.full(1000, 1e-3)))
    runs.attrs = picture_runs.attrs
    figure = sp.plot.samples(runs)
    ticks = [text for _, text in options(figure)["yticks"]]
    assert len(ticks) == MOST_CLASSES
    assert (ticks[0], ticks[-1]) == ("class 0", "class 999")
    assert "12 of 1000 classes" in options(figure)["title"]
    assert next(iter(figure)).dimension_values("R").nbytes < 1e5
    named = sp.plot.samples(runs, class_label=names[:20])
    assert [text for _, text in options(named)["yticks"]] == names[:20]
    assert "20 classes; 2 samples" in options(named)["title"]


def test_large_pictures_are_averaged_before_they_are_drawn(picture_runs: xr.Dataset) -> None:
    fine = picture_runs.drop_vars(["prediction", "prediction_time", "y", "x"], errors="ignore")
    # every pixel becomes a block of 25 by 25, with a checker board on it whose blocks of 3 by 3 average to 0 or 1/9
    values = np.kron(picture_runs["final"].values, np.ones((25, 25)))
    fine = fine.drop_vars("final").assign(final=(picture_runs["final"].dims, values.astype(np.float32)))
    table = sp.plot.samples(fine, class_label="1", most=1, data=True)
    # 200 pixels in blocks of 3: 66, and a rest of two
    assert table["x"].max() == table["y"].max() == 65
    grey = table["value"].to_numpy().reshape(66, 66)
    assert set(np.round(np.unique(grey) * 3).tolist()) <= {0.0, 1.0, 2.0, 3.0}
    # the bar stands on 2 of 8 columns
    assert grey[33].mean() == pytest.approx(0.25, abs=0.01)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"class_label": "7"}, "class_label: '7'"),
        ({"guidance": "w=9"}, "guidance: 'w=9'"),
        ({"most": 0}, "most=0"),
        ({"title": 5}, "title=5"),
        ({"data": 1}, "data=1"),
    ],
)
def test_wrong_arguments_are_named(arguments: dict[str, Any], message: str, picture_runs: xr.Dataset) -> None:
    with pytest.raises(SpecentError, match=message):
        sp.plot.samples(picture_runs, **arguments)


def test_points_are_no_pictures() -> None:
    with sp.archive.example() as runs, pytest.raises(SpecentError, match=r"no pictures.*\(feature=2\)"):
        sp.plot.samples(runs)
