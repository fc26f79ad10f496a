"""What all figures share: colours that everybody can tell apart, scales that agree, labels that can be read."""

from __future__ import annotations

import html
import itertools

import holoviews as hv
import numpy as np
import pytest
import xarray as xr
from bokeh.models import Div
from colorspacious import cspace_convert, deltaE
from holoviews.plotting.util import process_cmap
from matplotlib.text import Text

import specent as sp
from specent.axes import position
from specent.plotting import labels, noise_axis, style
from specent.plotting.sheets import sheet
from specent.schedules import VP

KINDS = ("none", "deuteranomaly", "protanomaly", "tritanomaly")


def seen(colours: list[str] | tuple[str, ...], kind: str) -> np.ndarray:
    """Colours as eyes of one kind see them, shape (n, 3), by the model of Machado and others at full severity."""
    rgb = np.array([[int(colour[i : i + 2], 16) for i in (1, 3, 5)] for colour in colours]) / 255
    if kind == "none":
        return rgb
    space = {"name": "sRGB1+CVD", "cvd_type": kind, "severity": 100}
    return np.clip(cspace_convert(rgb, space, "sRGB1"), 0, 1)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("palette", [style.PALETTE, style.LONG_PALETTE], ids=["short", "long"])
def test_any_two_colours_differ_for_every_kind_of_colour_vision(palette: tuple[str, ...], kind: str) -> None:
    colours = seen(palette, kind)
    # a difference of 1 can just be seen between large fields side by side; ten times that also between thin lines apart
    assert min(deltaE(a, b, input_space="sRGB1") for a, b in itertools.combinations(colours, 2)) > 10


@pytest.mark.parametrize("kind", KINDS)
def test_the_scale_of_a_sweep_and_of_matrices_grows_lighter_for_every_kind_of_colour_vision(kind: str) -> None:
    for colours in (style.colours(8, ordered=True), process_cmap(style.SEQUENTIAL, 64)):
        lightness = cspace_convert(seen(colours, kind), "sRGB1", "CAM02-UCS")[:, 0]
        assert (np.diff(lightness) > 0).all()


@pytest.mark.parametrize("kind", KINDS)
def test_the_ends_of_the_scale_of_differences_differ_for_every_kind_of_colour_vision(kind: str) -> None:
    low, middle, high = seen([process_cmap(style.DIVERGING, 65)[i] for i in (0, 32, 64)], kind)
    for one, other in ((low, high), (low, middle), (middle, high)):
        assert deltaE(one, other, input_space="sRGB1") > 20


def contrast(colour: str, ground: str) -> float:
    """Ratio of luminances by the accessibility guidelines of the web (WCAG 2.2)."""
    rgb = seen([colour, ground], "none")
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    one, other = linear @ np.array([0.2126, 0.7152, 0.0722])
    return float((max(one, other) + 0.05) / (min(one, other) + 0.05))


@pytest.mark.parametrize("ground", ["#ffffff", "#181a1f"])
def test_lines_stand_out_from_a_light_and_a_dark_ground(ground: str) -> None:
    assert min(contrast(colour, ground) for colour in style.PALETTE) > 2


@pytest.fixture(scope="module")
def vp() -> xr.Dataset:
    time = np.linspace(0.05, 6.0, 200)
    return xr.Dataset(coords={"time": time, "log_snr": ("time", VP().log_snr(time))})


@pytest.mark.parametrize("axis", ["log_snr", "log_sigma", "sigma", "time"])
def test_the_second_scale_agrees_with_the_first(axis: str, vp: xr.Dataset) -> None:
    schedule = VP()
    ends = position(axis, np.array([-4.0, 2.0]), schedule)
    (scale,) = noise_axis.view(vp, axis, (ends.min(), ends.max()))["hooks"]
    assert scale.axis == axis
    assert 3 <= len(scale.marks) <= 9
    for where, text in scale.marks:
        # with the minus sign of print
        assert "-" not in text
        number = float(text.replace("−", "-"))
        log_snr = number if axis == "sigma" else -2 * np.log(number)
        # the positions in time are read off a grid of 0.03, whose curvature is below 1
        assert where == pytest.approx(float(position(axis, log_snr, schedule)), rel=1e-9, abs=5e-4)
        assert ends.min() <= where <= ends.max()


def test_without_log_snr_there_is_no_second_scale_over_time(vp: xr.Dataset) -> None:
    (scale,) = noise_axis.view(vp.drop_vars("log_snr"), "time", (0.1, 2.0))["hooks"]
    assert scale.marks == ()


FRAME = ((-5.0, 5.0), (0.0, 1.0), (560, 330))


def sigmoids(count: int) -> list[tuple[np.ndarray, np.ndarray]]:
    x = np.linspace(-6, 6, 200)
    return [(x, 1 / (1 + np.exp(2 * (x - centre)))) for centre in np.linspace(-3, 3, count)]


@pytest.mark.parametrize("count", [2, 6, 12])
def test_labels_neither_overlap_nor_leave_the_frame_and_stand_next_to_their_curve(count: int) -> None:
    curves = sigmoids(count)
    texts = [f"class {i}" for i in range(count)]
    beside = labels.direct_labels(curves, texts, ["#000000"] * count, FRAME)
    assert beside.texts == tuple(texts)
    pixels = np.stack([(np.array(beside.x) + 5) * 56, np.array(beside.y) * 330], axis=1)
    half = np.array([3.3 * len(texts[0]) + 2, 7.5])
    assert (pixels >= half - 1e-6).all()
    assert (pixels <= np.array([560, 330]) - half + 1e-6).all()
    for one, other in itertools.combinations(pixels, 2):
        assert (np.abs(one - other) >= 2 * half - 1e-6).any()
    for pixel, (x, y) in zip(pixels, curves, strict=True):
        fine = np.linspace(-5, 5, 3000)
        curve = np.stack([(fine + 5) * 56, np.interp(fine, x, y) * 330], axis=1)
        gap = np.maximum(np.abs(curve - pixel) - half, 0)
        # less than a line of text away
        assert np.hypot(*gap.T).min() < 12


def test_a_curve_out_of_view_has_no_label() -> None:
    x = np.linspace(10, 12, 20)
    beside = labels.direct_labels([*sigmoids(1), (x, 0 * x)], ["seen", "unseen"], ["#000000"] * 2, FRAME)
    assert beside.texts == ("seen",)


@pytest.mark.parametrize("backend", ["browser", "print"])
def test_the_heading_of_several_panels_is_text_wherever_it_is_drawn(backend: str, pair_profiles: xr.Dataset) -> None:
    hostile = "<img src=x onerror=alert(1)> & more"
    figure = sp.plot.entropy(pair_profiles, estimator="path", title=hostile)
    if backend == "print":
        printed = sheet(figure, 170.0)
        assert hostile in " ".join(text.get_text() for text in printed.findobj(Text)).replace("\n", " ")
        return
    divisions = [
        part.text for part in hv.renderer("bokeh").get_plot(figure).state.references() if isinstance(part, Div)
    ]
    assert divisions
    assert not any("<img" in text for text in divisions)
    assert any(hostile in html.unescape(text) for text in divisions)
