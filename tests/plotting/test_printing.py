"""Figures for print: numbers, colours and dashes of the screen, nothing cut off, the same bytes every time."""

from __future__ import annotations

import itertools
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import holoviews as hv
import matplotlib
import numpy as np
import pytest
import xarray as xr
from matplotlib.colors import to_hex, to_rgba
from matplotlib.text import Text
from PIL import Image

import specent as sp
from specent.errors import SpecentError
from specent.plotting.appearance import POINTS, dashes, font_size, options
from specent.plotting.contents import PAGE_FIGURES, Section
from specent.plotting.labels import DirectLabels
from specent.plotting.lettering import in_lines, length, thinned
from specent.plotting.printing import millimetres, printed, save
from specent.plotting.sheets import print_settings, sheet

Summary = Callable[..., xr.Dataset]
SINGLE = 85 / 25.4 * 72


@pytest.fixture(scope="module")
def figures(
    pair_profiles: xr.Dataset, digit_profiles: xr.Dataset, ve_profiles: xr.Dataset, vp_profiles: xr.Dataset,
    vp_fit: tuple[xr.Dataset, xr.Dataset], picture_runs: xr.Dataset, guided_differences: xr.Dataset, summary: Summary,
    make_dataset: Callable[..., xr.Dataset],
) -> dict[str, Any]:  # fmt: skip
    """A figure of every function, and all that pages show of datasets of every kind."""
    few = pair_profiles.sel(estimator=["path", "exact"], guidance=["unguided"])
    three = digit_profiles.sel(partition=["full", "0 | 1", "0 | 2", "1 | 2"], estimator=["path"])
    figures = {
        "entropy": sp.plot.entropy(few, "sigma"),
        "entropy by setting": sp.plot.entropy(pair_profiles),
        "mutual_information": sp.plot.mutual_information(ve_profiles.isel(dimension=slice(0, 3))),
        "rate": sp.plot.rate(digit_profiles, estimator="path"),
        "windows": sp.plot.windows(summary(pair_profiles), estimator="path"),
        "predictions": sp.plot.predictions(picture_runs, few),
    }
    whole = [three, summary(three), vp_profiles.isel(dimension=slice(0, 3)), *vp_fit, picture_runs]
    whole += [guided_differences.sel(estimator=["path"]), make_dataset("quality"), make_dataset("interventions")]
    runs = sp.archive.example().load()
    sections = [Section.of(whole, None), Section.of([runs, sp.entropy(runs)], None)]
    for name in set(sp.plot.FIGURES) - set(figures):
        drawn = (figure for section in sections for figure in PAGE_FIGURES[name].draw(section))
        for number, figure in enumerate(itertools.islice(drawn, 2)):
            figures[f"{name} {number}"] = figure
    return figures


@pytest.fixture(scope="module")
def sheets(figures: dict[str, Any]) -> dict[str, Any]:
    """All of them on sheets of one column."""
    with print_settings():
        return {name: sheet(figure, SINGLE) for name, figure in figures.items()}


def elements(figure: Any) -> list[Any]:
    """The visible elements of a figure, at any depth."""
    if isinstance(figure, hv.Overlay | hv.Layout | hv.NdOverlay | hv.NdLayout):
        return [part for one in figure for part in elements(one)]
    return [figure] if options(figure, "style").get("visible") is not False else []


def lines(figure: Any) -> list[Any]:
    return [line for axes in figure.axes for line in axes.get_lines()]


def unreadable(figure: Any) -> list[str]:
    """Texts of a sheet that do not lie inside it."""
    with print_settings():
        figure.draw_without_rendering()
        renderer = figure.canvas.get_renderer()
        # marks of an axis beyond its limits have a text but are not drawn
        beyond = {
            id(label)
            for axes in [*figure.axes, *(child for axes in figure.axes for child in axes.child_axes)]
            for axis in (axes.xaxis, axes.yaxis)
            for tick in axis.get_major_ticks()
            for label in (tick.label1, tick.label2)
            if not min(axis.get_view_interval()) <= tick.get_loc() <= max(axis.get_view_interval())
        }
        texts = [one for one in figure.findobj(Text) if one.get_visible() and one.get_text().strip()]
        boxes = [(one.get_text(), one.get_window_extent(renderer)) for one in texts if id(one) not in beyond]
    (width, height), pixel = figure.bbox.size, figure.dpi / 72
    return [
        text for text, box in boxes if min(box.x0, box.y0) < -pixel or box.x1 > width + pixel or box.y1 > height + pixel
    ]


def test_every_figure_of_a_page_is_printed_here(figures: dict[str, Any]) -> None:
    assert {name.partition(" ")[0] for name in figures} >= set(sp.plot.FIGURES)


def test_nothing_is_cut_off(sheets: dict[str, Any]) -> None:
    assert {name: unreadable(one) for name, one in sheets.items()} == {name: [] for name in sheets}


def test_a_sheet_that_is_cut_off_is_noticed(sheets: dict[str, Any]) -> None:
    with print_settings():
        figure = sheet(hv.Curve([1, 2, 3]), SINGLE)
        figure.text(0.9, 0.5, "far too long to end before the edge of the sheet")
    assert unreadable(figure) == ["far too long to end before the edge of the sheet"]


def test_printed_lines_hold_the_numbers_colours_and_dashes_of_the_figure(
    figures: dict[str, Any], sheets: dict[str, Any]
) -> None:
    curves = 0
    for name, figure in figures.items():
        drawn = lines(sheets[name])
        for curve in elements(figure):
            if type(curve) is not hv.Curve:
                continue
            look = options(curve, "style")
            same = [
                line for line in drawn
                if np.array_equal(line.get_xdata(), curve.dimension_values(0))
                and np.array_equal(line.get_ydata(), curve.dimension_values(1), equal_nan=True)
            ]  # fmt: skip
            assert to_hex(look["color"]) in [to_hex(line.get_color()) for line in same], name
            assert dashes(look.get("line_dash", "solid")) in [_pattern(line) for line in same], name
            assert look.get("line_width", 2) * POINTS in [line.get_linewidth() for line in same], name
            curves += 1
    assert curves > 12


def _pattern(line: Any) -> Any:
    offset, pattern = line._dash_pattern
    return "solid" if pattern is None else (offset, tuple(pattern))


def test_an_entropy_in_print_is_that_of_the_dataset(pair_profiles: xr.Dataset, sheets: dict[str, Any]) -> None:
    one = pair_profiles["entropy"].sel(estimator="path", guidance="unguided", partition="cat | car")
    finite = np.sort(one.values)
    assert any(np.array_equal(np.sort(line.get_ydata()), finite) for line in lines(sheets["entropy"]))
    at = pair_profiles["sigma"] / pair_profiles["alpha"]
    assert any(np.allclose(np.sort(line.get_xdata()), np.sort(at), rtol=1e-12) for line in lines(sheets["entropy"]))


def test_axes_run_as_on_the_screen(figures: dict[str, Any], sheets: dict[str, Any]) -> None:
    plot = options(figures["entropy"])
    axes = sheets["entropy"].axes[0]
    low, high = plot["xlim"]
    assert axes.get_xscale() == "log"
    assert axes.get_xlim() == ((high, low) if plot.get("invert_xaxis") else (low, high))


def test_a_matrix_in_print_holds_its_numbers_and_its_colour_bar(
    figures: dict[str, Any], sheets: dict[str, Any]
) -> None:
    heat = next(one for one in elements(figures["pair_matrix 0"]) if isinstance(one, hv.HeatMap))
    axes = sheets["pair_matrix 0"].axes[0]
    table = axes.collections[0].get_array().filled(np.nan)
    across, down = ([text.get_text() for text in get()] for get in (axes.get_xticklabels, axes.get_yticklabels))
    finite = 0
    for a, b, value in zip(*(heat.dimension_values(index) for index in range(3)), strict=True):
        np.testing.assert_equal(table[down.index(b), across.index(a)], value)
        finite += int(np.isfinite(value))
    # no pair of a label with itself
    assert np.isfinite(table).sum() == finite == 6
    assert any(axes.child_axes for axes in sheets["pair_matrix 0"].axes)


def numbers(pattern: bytes, data: bytes) -> list[list[float]]:
    return [[float(number) for number in match.split()] for match in re.findall(pattern, data)]


def test_a_pdf_has_a_page_for_every_figure_of_the_width_it_should_have(figures: dict[str, Any]) -> None:
    data = printed([figures["entropy"], figures["windows"]], ".pdf", 120.0, 300)[0]
    boxes = numbers(rb"/MediaBox \[ ?([\d. ]+) ?\]", data)
    assert [box[2] - box[0] for box in boxes] == pytest.approx([120 / 25.4 * 72] * 2, abs=0.01)
    # a single column of 85 mm
    boxes = numbers(rb"/MediaBox \[ ?([\d. ]+) ?\]", printed([figures["rate"]], ".pdf", millimetres("single"), 300)[0])
    assert boxes[0][2] == pytest.approx(240.94, abs=0.01)


def test_fonts_of_a_pdf_are_embedded_truetype(figures: dict[str, Any]) -> None:
    data = printed([figures["entropy"]], ".pdf", 85.0, 300)[0]
    fonts = re.findall(rb"/Subtype /(Type\d|TrueType|CIDFontType\d)\b", data)
    assert fonts
    assert set(fonts) <= {b"Type0", b"CIDFontType2", b"TrueType"}
    programs = re.findall(rb"/FontFile2 (\d+) 0 R", data)
    assert len(programs) == len(set(re.findall(rb"/FontName /(\S+)", data)))
    for number in programs:
        body = data.partition(b"\n" + number + b" 0 obj")[2]
        stream = body.partition(b"stream\n")[2]
        # the first bytes of a TrueType font
        assert zlib.decompressobj().decompress(stream)[:4] == b"\x00\x01\x00\x00"


def test_every_figure_is_printed_as_svg_without_a_request(figures: dict[str, Any], sheets: dict[str, Any]) -> None:
    for name, one in sheets.items():
        buffer = BytesIO()
        with print_settings():
            one.savefig(buffer, format="svg", metadata={"Date": None})
        root = ET.fromstring(buffer.getvalue())
        assert root.get("width") == "240.944882pt", name
        links = [value for part in root.iter() for key, value in part.attrib.items() if key.endswith("href")]
        assert all(link.startswith(("#", "data:image/png;base64,")) for link in links), name


def test_a_png_has_the_pixels_that_were_asked_for(tmp_path: Path, figures: dict[str, Any]) -> None:
    path = save(figures["entropy"], tmp_path / "figure.png", "double", dpi=100)
    with Image.open(path) as picture:
        assert picture.width == int(175 / 25.4 * 100)
        assert round(picture.info["dpi"][0]) == 100
        pixels = np.asarray(picture.convert("RGB")).astype(int)
    curve = next(one for one in elements(figures["entropy"]) if type(one) is hv.Curve)
    hue = np.array(to_rgba(options(curve, "style")["color"])[:3]) * 255
    assert (np.abs(pixels - hue).sum(axis=-1) < 60).sum() > 50
    # a white edge all around
    assert all((edge > 250).all() for edge in (pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]))


@pytest.mark.parametrize("suffix", [".pdf", ".svg", ".png"])
def test_the_same_figure_gives_the_same_bytes(
    suffix: str, one_curve: xr.Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = printed([sp.plot.entropy(one_curve)], suffix, 85.0, 100)
    # years later
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "2000000000")
    assert printed([sp.plot.entropy(one_curve)], suffix, 85.0, 100) == first
    assert printed([sp.plot.entropy(one_curve, "sigma")], suffix, 85.0, 100) != first


def test_settings_of_the_user_neither_change_a_print_nor_are_changed(one_curve: xr.Dataset) -> None:
    first = printed([sp.plot.entropy(one_curve)], ".svg", 85.0, 100)
    with matplotlib.rc_context({"font.size": 30.0, "lines.linestyle": ":", "axes.grid": True, "savefig.bbox": "tight"}):
        before = dict(matplotlib.rcParams)
        assert printed([sp.plot.entropy(one_curve)], ".svg", 85.0, 100) == first
        assert dict(matplotlib.rcParams) == before


def test_matplotlib_is_imported_only_to_print_and_pyplot_never() -> None:
    code = """
import sys
import specent as sp
mix = sp.exact.GaussianMixture([[-1.0], [1.0]], labels=["a", "b"])
truth = sp.exact.profiles(mix, sp.schedules.VE(), sp.schedules.edm_grid(8), [sp.Partition.pair("a", "b")])
figure = sp.plot.entropy(truth)
print("matplotlib.figure" in sys.modules)
sp.plot.save(figure, "figure.pdf")
print("matplotlib.figure" in sys.modules, "matplotlib.pyplot" in sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", "import os, tempfile; os.chdir(tempfile.mkdtemp())\n" + code],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.split() == ["False", "True", "False"]


class Mark:
    """A decoration that draws itself on both backends."""

    def __call__(self, plot: Any, element: Any) -> None:
        pass

    def on_axes(self, axes: Any) -> None:
        assert axes.get_xlim() == (0.0, 5.0)
        axes.text(1.0, 1.0, "decorated")


def test_decorations_draw_themselves_once_the_limits_are_there() -> None:
    figure = hv.Overlay([hv.Curve([1, 2, 3])]).opts(hooks=[Mark(), lambda plot, element: None], xlim=(0, 5))
    with print_settings():
        assert [text.get_text() for text in sheet(figure, SINGLE).axes[0].texts] == ["decorated"]


LONG = "a golden retriever that looks to the left, " * 4


@pytest.mark.parametrize("width", ["single", "double"])
def test_long_names_titles_and_legends_stay_inside(width: str) -> None:
    names = [f"{LONG}{number}" for number in range(4)]
    curves = hv.Overlay([hv.Curve([1, 2, 3], LONG + "x", LONG + "y", label=name) for name in names])
    lanes = hv.Scatter([(1, 0), (2, 1)], "x", "y").opts(yticks=[(0, names[0]), (1, "x" * 300)], title=names[1])
    heat = hv.HeatMap([(names[0], names[1], 1.0), (names[1], names[0], 2.0)], ["a", "b"], LONG).opts(colorbar=True)
    layout = hv.Layout([curves.opts(title=LONG), lanes, heat]).cols(2).opts(title=LONG)
    with print_settings():
        figure = sheet(layout, millimetres(width) / 25.4 * 72)
    assert unreadable(figure) == []
    # lines of a name stand clear of those of the next
    frames = [axes.get_position() for axes in figure.axes]
    assert min(frame.height for frame in frames) * figure.get_figheight() > 0.3


class Wide:
    """A decoration that needs more room beside the frame than there is on the sheet."""

    def on_axes(self, axes: Any) -> None:
        axes.text(1.1, 0.5, "x" * 100, transform=axes.transAxes)


def test_a_figure_without_room_for_itself_is_refused() -> None:
    figure = hv.Overlay([hv.Curve([1, 2])]).opts(hooks=[Wide()])
    with print_settings(), pytest.raises(SpecentError, match="30 mm is too narrow for this figure; give a larger one"):
        sheet(figure, 85.0)


def test_panels_without_names_have_those_of_the_first_where_they_begin_a_row() -> None:
    marks = {"yticks": [(1, "one"), (2, "two")]}
    panels = [hv.Curve([1, 2]).opts(**marks), *(hv.Curve([1, 2]).opts(yaxis="bare", yticks=[]) for _ in range(3))]
    with print_settings():
        narrow, wide = (
            sheet(hv.Layout(panels).cols(4).opts(shared_axes=False), width).axes for width in (SINGLE, 2 * SINGLE)
        )
    shown = [
        [[one.get_text() for one in each.get_yticklabels() if one.get_visible()] for each in axes]
        for axes in (narrow, wide)
    ]
    names = ["one", "two"]
    assert shown[0] == [names] * 4
    assert shown[1] == [names, [], [], names]


def test_names_of_data_files_are_neither_formulas_nor_markup(tmp_path: Path) -> None:
    hostile = "$\\frac{1}{0$ <script>alert(1)</script> $x$"
    figure = hv.Overlay([hv.Curve([1, 2], label=hostile), hv.Curve([2, 1], label="b")]).opts(title=hostile)
    text = save(figure, tmp_path / "figure.svg").read_text()
    assert "<script>" not in text
    with print_settings():
        shown = [one.get_text() for one in sheet(figure, SINGLE).axes[0].findobj(Text)]
    assert hostile in " ".join(shown).replace("\n", " ")


@pytest.mark.parametrize("suffix", [".pdf", ".svg", ".png"])
def test_characters_that_the_letters_lack_are_printed_as_their_codes(suffix: str) -> None:
    names = ["猫 | 犬", "🦊 | cat"]
    curves = [hv.Curve([(0, k), (1, 2 * k)], label=name) for k, name in enumerate(names, 1)]
    figure = hv.Overlay([*curves, hv.Text(0.5, 1.0, "点")]).opts(title="何时？ 🦊", xlabel="噪声")
    # matplotlib warns of a glyph that is missing, and a warning fails the test
    printed([figure], suffix, 85.0, 100)
    with print_settings():
        texts = {text.get_text() for text in sheet(figure, SINGLE).findobj(Text)}
    assert {"[U+732B] | [U+72AC]", "[U+1F98A] | cat", "[U+70B9]", "[U+566A U+58F0]"} <= texts


def test_a_logarithmic_axis_with_groups_of_digits_is_no_taller_than_its_frame(tmp_path: Path) -> None:
    bars = hv.Rectangles([(0, 1, 1, 20_000)]).opts(
        logy=True,
        ylim=(0.8, 4e4),
        yticks=[(1, "1"), (100, "100"), (10_000, "10 000")],
        frame_width=300,
        frame_height=90,
    )
    with Image.open(save(bars, tmp_path / "bars.png", dpi=72)) as picture:
        # a frame of 300 x 90 pixels, and room for a scale with its label
        assert picture.height < 0.6 * picture.width


def test_a_name_without_a_curve_is_printed_where_it_stands() -> None:
    names = DirectLabels((0.5,), (0.5,), ("cloud",), ("#123456",))
    figure = hv.Overlay([hv.Points([(0, 0), (1, 1)])]).opts(hooks=[names])
    with print_settings():
        (text,) = sheet(figure, SINGLE).axes[0].texts
    assert (text.get_text(), text.get_position()) == ("cloud", (0.5, 0.5))


def test_a_picture_on_a_logarithmic_axis_lies_between_its_ends() -> None:
    picture = hv.Image(np.eye(2), bounds=(1.0, 0.0, 100.0, 1.0))
    with print_settings():
        axes = sheet(hv.Overlay([picture, hv.Curve([(1, 0), (1000, 1)])]).opts(logx=True, xlim=(1, 1000)), SINGLE).axes[
            0
        ]
        box, frame = (one.get_window_extent() for one in (axes.images[0], axes))
    assert axes.get_xlim() == (1.0, 1000.0)
    # two decades of three
    assert box.width / frame.width == pytest.approx(2 / 3, abs=1e-6)


ELEMENTS = {
    "Area": hv.Area([(0, 1, 2), (1, 2, 3)], "x", ["y", "y2"]),
    "Spread": hv.Spread([(0, 1, 0.5), (1, 2, 0.5)]),
    "ErrorBars": hv.ErrorBars([(0, 1, 0.5), (1, 2, 0.5)]),
    "Scatter": hv.Scatter([(0, 1), (1, 2)]).opts(marker="square", fill_alpha=0.5),
    "Points": hv.Points([(0, 1, 3.0), (1, 2, 4.0)], vdims="z").opts(color="z", cmap="viridis"),
    "Segments": hv.Segments([(0, 0, 1, 1)]),
    "Path": hv.Path([[(0, 1), (1, 2)], [(0, 2), (1, 1)]]),
    "Rectangles": hv.Rectangles([(0, 0, 1, 1)]).opts(line_alpha=0),
    "Polygons": hv.Polygons([[(0, 0), (1, 0), (0, 1)]]),
    "Histogram": hv.Histogram(([0.0, 1.0, 2.0], [3, 4])),
    "Bars": hv.Bars([("a", 1), ("b", 2)]),
    "HSpan": hv.HSpan(0, 1),
    "VLines": hv.VLines([0.5, 1.5]),
    "Text": hv.Text(0.5, 0.5, "word"),
    "Labels": hv.Labels([(0, 0, "a"), (1, 1, "b")]).opts(text_font_size="8pt", text_font_style="bold"),
    "Image": hv.Image(np.eye(3)),
    "RGB": hv.RGB(np.zeros((2, 2, 3), dtype=np.uint8)),
    "QuadMesh": hv.QuadMesh((np.array([0.0, 1.0]), np.array([0.0, 1.0]), np.eye(2))),
}


@pytest.mark.parametrize("name", ELEMENTS)
def test_every_sort_of_element_leaves_ink(name: str) -> None:
    with print_settings():
        axes = sheet(ELEMENTS[name], SINGLE).axes[0]
    assert [*axes.lines, *axes.collections, *axes.patches, *axes.images, *axes.texts]


def test_what_cannot_be_printed_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "figure.pdf"
    with pytest.raises(SpecentError, match="a Sankey cannot be printed; figures are printed of Area, Bars"):
        save(hv.Sankey([("a", "b", 1.0)]), path)
    with pytest.raises(SpecentError, match=r"a DataFrame is no figure; give what a function of sp\.plot returns"):
        save(xr.Dataset({"a": ("x", [1])}).to_dataframe(), path)
    with pytest.raises(SpecentError, match=r"must end in '\.pdf' or '\.svg' or '\.png'"):
        save(hv.Curve([1]), tmp_path / "figure.eps")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("width", [-3, 3, "-3", "wide", None, float("nan"), True, 1e6])
def test_widths_that_are_none_are_refused(width: Any) -> None:
    with pytest.raises(
        SpecentError, match=r"must be 'single' \(85 mm\), 'double' \(175 mm\), or 30 to 1000 millimetres"
    ):
        millimetres(width)


@pytest.mark.parametrize("dpi", [0, -300, 72.5, "300", 10**6])
def test_resolutions_that_are_none_are_refused(dpi: Any, tmp_path: Path) -> None:
    with pytest.raises(SpecentError, match="dpi="):
        save(hv.Curve([1, 2]), tmp_path / "figure.png", dpi=dpi)


def test_panels_side_by_side_stand_above_each_other_where_a_column_is_too_narrow() -> None:
    layout = hv.Layout([hv.Curve([1, 2, 3]).opts(title=str(number)) for number in range(4)]).cols(4)
    with print_settings():
        narrow, wide = (sheet(layout, millimetres(width) / 25.4 * 72) for width in ("single", "double"))
    columns = [len({round(axes.get_position().x0, 3) for axes in one.axes}) for one in (narrow, wide)]
    # four frames of 39 mm and their marks are wider than 175 mm
    assert columns == [1, 3]


def test_panels_that_share_a_dimension_share_its_limits() -> None:
    layout = hv.Layout([hv.Curve([(0, 1), (1, 2)], "x", "y"), hv.Curve([(2, 5), (9, 3)], "x", "y")])
    with print_settings():
        first, second = sheet(layout, SINGLE).axes
        apart = sheet(layout.opts(shared_axes=False), SINGLE).axes
    assert first.get_xlim() == second.get_xlim() == (0.0, 9.0)
    assert [axes.get_xlim() for axes in apart] == [(0.0, 1.0), (2.0, 9.0)]


def test_a_legend_that_is_the_same_in_all_panels_stands_once() -> None:
    panels = [hv.Overlay([hv.Curve([1, 2], label="a"), hv.Curve([2, 1], label="b")]) for _ in range(2)]
    with print_settings():
        figure = sheet(hv.Layout(panels).cols(2), SINGLE)
    entries = [text.get_text() for text in figure.findobj(Text) if text.get_text() in ("a", "b")]
    assert sorted(entries) == ["a", "b"]
    assert unreadable(figure) == []


def test_lengths_on_the_screen_become_points_on_paper() -> None:
    assert dashes("solid") == "solid"
    assert dashes("dashed") == (0, (6 * POINTS, 6 * POINTS))
    assert dashes([12, 3]) == (0, (12 * POINTS, 3 * POINTS))
    assert dashes("4 2") == (0, (4 * POINTS, 2 * POINTS))
    assert font_size("14px") == 8.0
    assert font_size("10.5pt") == 8.0
    assert font_size("1px") == 4.5


def test_text_breaks_into_lines_that_fit() -> None:
    with print_settings():
        text = in_lines("when is each of the digits decided? " + "x" * 60, 80.0, 8.0)
        assert max(length(line, 8.0) for line in text.split("\n")) <= 80.0
    assert text.replace("\n", "").replace(" ", "") == "wheniseachofthedigitsdecided?" + "x" * 60


def test_round_marks_stay_where_there_is_no_room_for_all() -> None:
    assert thinned([0.0, 10.0, 20.0, 30.0], [12.0] * 4, [2, 0, 1, 2]) == [0, 3]
