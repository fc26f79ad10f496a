"""Pages and pictures: whole, self-contained, drawn without an error, and never over something that was there."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import holoviews as hv
import numpy as np
import pytest
import xarray as xr
from PIL import Image

import specent as sp
from specent.errors import SpecentError
from specent.files import write_whole
from specent.plotting import FIGURES, browser, colouring, style
from specent.plotting.notes import disagreements

Summary = Callable[..., xr.Dataset]


class Reader(HTMLParser):
    """What a page loads, which figures it holds, and its visible text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.figures: list[str] = []
        self.words: list[str] = []
        self.inside: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        self.loaded += [str(attributes[name]) for name in ("src", "href") if name in attributes]
        if tag == "figure":
            self.figures.append(str(attributes["class"]))
        if tag in ("script", "style"):
            self.inside.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if self.inside and self.inside[-1] == tag:
            self.inside.pop()

    def handle_data(self, data: str) -> None:
        if not self.inside:
            self.words.append(data)


def read(path: Path) -> Reader:
    return Reader(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def whole(
    tmp_path_factory: pytest.TempPathFactory, digit_profiles: xr.Dataset, vp_profiles: xr.Dataset,
    vp_fit: tuple[xr.Dataset, xr.Dataset], picture_runs: xr.Dataset, guided_differences: xr.Dataset, summary: Summary,
    make_dataset: Callable[..., xr.Dataset],
) -> Path:  # fmt: skip
    """A page with every figure there is."""
    path = tmp_path_factory.mktemp("page") / "page.html"
    # two families of partitions, both settings
    measured = digit_profiles.sel(estimator=["path"], partition=["full", "0 | 1", "0 | 2", "1 | 2"])
    datasets = [measured, summary(measured), vp_profiles.isel(dimension=slice(0, 3)), *vp_fit, picture_runs]
    datasets += [guided_differences.sel(estimator=["path"]), make_dataset("quality"), make_dataset("interventions")]
    return sp.plot.page(datasets, path, title="All <figures>")


def test_a_page_holds_every_figure_its_datasets_allow(whole: Path) -> None:
    reader = read(whole)
    # what needs trajectories with partitions, or several estimators, is drawn in test_page_statistics
    assert set(reader.figures) == set(FIGURES) - {"posteriors", "reliability", "paths", "disagreement"}
    # settings are compared in one figure
    assert reader.figures.count("pair_matrix") == 1
    assert reader.figures.count("scaling") == 1


def test_a_page_loads_nothing(whole: Path) -> None:
    assert all(link.startswith("#") for link in read(whole).loaded)
    # Bokeh itself and the numbers: far below what a mail attachment may be
    assert 1e6 < whole.stat().st_size < 5e6


def test_a_page_says_how_to_read_it_and_where_it_comes_from(whole: Path, digit_profiles: xr.Dataset) -> None:
    words = " ".join(read(whole).words)
    assert "All <figures>" in words
    assert "How to read this" in words
    assert '{"name": "logistic <b>"}' in words
    assert str(digit_profiles.attrs["versions"]) in words
    assert str(digit_profiles.attrs["settings_sha256"]) in words
    assert re.search(r"seed\W+3\b", words)


def test_the_table_holds_half_entropy_noise_levels_with_their_intervals(
    tmp_path: Path, pair_profiles: xr.Dataset, summary: Summary
) -> None:
    spec = summary(pair_profiles)
    options = {"figures": ["windows"], "estimator": ["exact", "path"]}
    words = read(sp.plot.page([pair_profiles, spec], tmp_path / "page.html", **options)).words
    one = spec.sel(axis="log_snr", partition="cat | car", estimator="path", guidance="w=2")
    level, a, b = (np.exp(-float(one[f"half_entropy{end}"]) / 2) for end in ("", "_lower", "_upper"))
    assert f"[{min(a, b):.2f}, {max(a, b):.2f}]" in words
    assert f"{level:.2f} " in words
    # an exact number has no interval, and no guided column
    exact = np.exp(
        -float(spec["half_entropy"].sel(axis="log_snr", partition="cat | car", estimator="exact", guidance="unguided"))
        / 2
    )
    assert f"{exact:.2f} " in words
    assert "exact, unguided" in words
    assert "exact, w=2" not in words


def test_a_picture_is_cut_to_its_content_and_shows_colours(tmp_path: Path, pair_profiles: xr.Dataset) -> None:
    path = sp.plot.picture(pair_profiles, tmp_path / "figure.png", figures=["entropy"], estimator="path", scale=1.0)
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB")).astype(int)
    height, width = pixels.shape[:2]
    # one frame of 560 by 330 with its legend, title and margins
    assert 600 < width < 1200
    assert 400 < height < 700
    blue = np.abs(pixels - np.array([0x57, 0x90, 0xFC])).sum(axis=-1) < 40
    assert blue.sum() > 200
    # ink near the right and lower ends of the content, none cut off at the edges
    assert (pixels[-5:] > 250).all()
    assert (pixels[:, -5:] > 250).all()


def test_only_the_chosen_figures_are_drawn(tmp_path: Path, one_curve: xr.Dataset, summary: Summary) -> None:
    path = sp.plot.page([one_curve, summary(one_curve)], tmp_path / "page.html", figures=["windows", "rate"])
    assert sorted(read(path).figures) == ["rate", "windows"]


def test_a_measured_profile_stands_beside_its_exact_reference(tmp_path: Path, pair_profiles: xr.Dataset) -> None:
    measured = pair_profiles.sel(estimator=["path"])
    truth = pair_profiles.sel(estimator=["exact"], guidance=["unguided"], partition=["cat | car"])
    path = sp.plot.page([truth, measured], tmp_path / "both.html", figures=["entropy"])
    assert read(path).figures == ["entropy"]
    text = path.read_text(encoding="utf-8")
    assert "cat | car, unguided, exact" in text
    assert "cat | dog, w=2, path" in text


def test_exact_profiles_of_other_partitions_are_no_reference(tmp_path: Path, pair_profiles: xr.Dataset) -> None:
    measured = pair_profiles.sel(estimator=["path"], partition=["cat | dog"])
    truth = pair_profiles.sel(estimator=["exact"], guidance=["unguided"], partition=["cat | car"])
    path = sp.plot.page([truth, measured], tmp_path / "both.html", figures=["entropy"])
    assert read(path).figures == ["entropy", "entropy"]


def test_a_choice_may_concern_only_some_of_the_datasets(tmp_path: Path, pair_profiles: xr.Dataset) -> None:
    measured = pair_profiles.sel(estimator=["path"])
    truth = pair_profiles.sel(estimator=["exact"])
    path = sp.plot.page([truth, measured], tmp_path / "one.html", figures=["entropy"], estimator="path", plain=True)
    assert "exact" not in path.read_text(encoding="utf-8").partition("</head>")[2].partition("<script>")[0]


def test_plain_pages_hold_figures_only(tmp_path: Path, one_curve: xr.Dataset) -> None:
    path = sp.plot.page(one_curve, tmp_path / "page.html", figures=["entropy"], plain=True)
    assert "versions" not in " ".join(read(path).words)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"figures": ["entropi"]}, "choose from entropy, rate"),
        ({"figures": ["quality"]}, "nothing to draw: datasets of kind profiles"),
        ({"partition": "cat | fish"}, "'cat | fish' is not in the dataset"),
        ({"axis": "gamma"}, "axis='gamma'"),
    ],
)
def test_a_wrong_choice_writes_nothing(
    arguments: dict[str, Any], message: str, tmp_path: Path, pair_profiles: xr.Dataset
) -> None:
    with pytest.raises(SpecentError, match=re.escape(message)):
        sp.plot.page(pair_profiles, tmp_path / "page.html", **arguments)
    assert list(tmp_path.iterdir()) == []


def test_a_fit_alone_is_answered_with_what_goes_with_it(tmp_path: Path) -> None:
    schedule = sp.schedules.VP()
    grid = sp.schedules.log_snr_grid(schedule, 41, -12.0, 4.0)
    summary = sp.speciation(sp.exact.scaling_profiles([16, 64, 256], schedule, grid))
    with pytest.raises(SpecentError, match=r"nothing to draw: .* give the speciation that was fitted as well"):
        sp.plot.page(sp.fit_scaling(summary), tmp_path / "page.html")


def test_pages_of_nothing_are_refused(tmp_path: Path, one_curve: xr.Dataset) -> None:
    with pytest.raises(SpecentError, match="datasets is empty"):
        sp.plot.page([], tmp_path / "page.html")
    with pytest.raises(SpecentError, match="datasets is a str"):
        sp.plot.page(["page.nc"], tmp_path / "page.html")  # type: ignore[list-item]
    with pytest.raises(SpecentError, match="was not made by specent"):
        sp.plot.page(xr.Dataset(), tmp_path / "page.html")


def test_an_existing_file_stays_unless_it_may_be_replaced(tmp_path: Path, one_curve: xr.Dataset) -> None:
    path = tmp_path / "page.html"
    path.write_text("mine")
    with pytest.raises(SpecentError, match="exists; pass overwrite=True to replace it, or choose another name"):
        sp.plot.page(one_curve, path)
    assert path.read_text() == "mine"
    sp.plot.page(one_curve, path, figures=["entropy"], overwrite=True)
    assert read(path).figures == ["entropy"]
    assert [file.name for file in tmp_path.iterdir()] == ["page.html"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("missing/page.html", "does not exist"),
        ("page.eps", "must end in '.html' or '.pdf' or '.svg' or '.png'"),
        ("folder.html", "is a folder"),
    ],
)
def test_a_name_that_cannot_be_written_is_refused_early(name: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "folder.html").mkdir()
    with pytest.raises(SpecentError, match=message):
        sp.plot.figure_path(tmp_path / name)


def test_a_read_only_folder_is_refused_early() -> None:
    # the kernel's own folder cannot be written to by anybody, root included
    with pytest.raises(SpecentError, match="cannot be written to"):
        sp.plot.figure_path("/proc/page.html")


def test_a_failed_write_leaves_nothing_behind(
    tmp_path: Path, one_curve: xr.Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(source: str, target: Path) -> None:
        raise OSError("disk on fire")

    monkeypatch.setattr(os, "replace", broken)
    with pytest.raises(SpecentError, match=r"page.html' could not be written \(disk on fire\)"):
        sp.plot.page(one_curve, tmp_path / "page.html", figures=["entropy"], overwrite=True)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_appears_while_figures_are_drawn_stays(
    tmp_path: Path, one_curve: xr.Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "page.html"

    def slow(data: str, target: Path, **options: Any) -> Path:
        path.write_text("mine")
        return write_whole(data, target, **options)

    monkeypatch.setattr("specent.files.write_whole", slow)
    with pytest.raises(SpecentError, match="exists"):
        sp.plot.page(one_curve, path, figures=["entropy"])
    assert [file.read_text() for file in tmp_path.iterdir()] == ["mine"]
    assert sp.plot.page(one_curve, path, figures="entropy", overwrite=True).stat().st_size > 1e6


@pytest.mark.parametrize(
    "name", ["x" * 300 + ".html", "\0.html", "\udc80.html", "~nobody-of-this-name/p.html", None, 5, b"p.html", ""]
)
def test_what_is_no_name_of_a_file_is_refused(name: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SpecentError, match="path="):
        sp.plot.figure_path(name)


def test_a_name_may_be_as_long_as_names_can_be(tmp_path: Path, one_curve: xr.Dataset) -> None:
    path = tmp_path / ("ö" * 125 + ".html")
    assert sp.plot.page(one_curve, path, figures=["entropy"]).is_file()


@pytest.mark.parametrize(
    ("datasets", "arguments"),
    [
        (None, {}),
        (5, {}),
        ({"here": None}, {}),
        ({}, {}),
        ("profiles", {"title": 5}),
        ("profiles", {"figures": 5}),
        ("profiles", {"figures": "pie"}),
        ("profiles", {"figures": [None]}),
        ("profiles", {"overwrite": "yes"}),
    ],
)
def test_arguments_of_a_wrong_type_are_refused(
    datasets: Any, arguments: dict[str, Any], tmp_path: Path, one_curve: xr.Dataset
) -> None:
    with pytest.raises(SpecentError, match=next(iter(arguments), "datasets")):
        sp.plot.page(one_curve if datasets == "profiles" else datasets, tmp_path / "page.html", **arguments)
    assert list(tmp_path.iterdir()) == []


def test_every_section_has_its_heading_its_captions_and_its_table(
    tmp_path: Path, one_curve: xr.Dataset, summary: Summary
) -> None:
    spec = summary(one_curve)
    sections = {"First <study>": [one_curve, spec], "Second": one_curve}
    text = sp.plot.page(sections, tmp_path / "page.html").read_text(encoding="utf-8").partition("<body")[2]
    first, second = text.split("<h2>Second</h2>")
    assert "<h2>First &lt;study&gt;</h2>" in first
    for part in (first, second.partition("<footer>")[0]):
        assert part.count("<p>Conditional entropy") == part.count("<p>Entropy rate") == 1
        assert part.count('class="half"') == 1
    # the contents and the results point at both
    assert first.count('href="#section-1"') == first.count('href="#section-2"') == 2


def test_figures_of_one_dataset_share_their_axis(tmp_path: Path, digit_profiles: xr.Dataset) -> None:
    families = digit_profiles.sel(estimator=["path"], guidance=["unguided"]).isel(partition=[0, 1, 2, 11, 12])
    path = sp.plot.page(families, tmp_path / "page.html", figures=["entropy"], plain=True)
    ranges = re.findall(
        r'"x_range":\{"type":"object","name":"Range1d".*?"start":([-.\d]+),"end":([-.\d]+)', path.read_text()
    )
    assert len(ranges) >= 3
    assert len(set(ranges)) == 1


def test_a_picture_without_a_browser_says_how_to_get_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(SpecentError, match="install one"):
        sp.plot.figure_path(tmp_path / "figure.png")
    assert sp.plot.figure_path(tmp_path / "page.html").name == "page.html"


def fake_browser(folder: Path, script: str) -> str:
    path = folder / "chromium"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("exit 3", "failed with code 3"),
        ("echo '<html><body></body></html>'", "did not draw the page"),
        ('echo \'<body data-width="9" data-height="9">\'', "made no picture"),
    ],
)
def test_a_browser_that_fails_is_reported(
    script: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, one_curve: xr.Dataset
) -> None:
    (tmp_path / "bin").mkdir()
    name = fake_browser(tmp_path / "bin", script)
    monkeypatch.setattr(browser, "browser", lambda: name)
    with pytest.raises(SpecentError, match=message):
        sp.plot.picture(one_curve, tmp_path / "figure.png", figures=["entropy"])
    assert not (tmp_path / "figure.png").exists()


@pytest.mark.parametrize(("height", "times"), [(700, 1), (9000, 2)])
def test_only_a_page_higher_than_the_window_is_rendered_twice(
    height: int, times: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    windows = []

    def browse(_folder: Path, *arguments: str) -> str:
        size = next(one for one in arguments if one.startswith("--window-size=")).partition("=")[2]
        windows.append(tuple(map(int, size.split(","))))
        Image.new("RGB", windows[-1]).save(tmp_path / "page.png")
        return f'<body data-width="900" data-height="{height}">'

    monkeypatch.setattr(browser, "_browse", browse)
    picture = browser.screenshot(tmp_path / "page.html", tmp_path, 1.0)
    assert len(windows) == times
    with Image.open(picture) as shown:
        assert shown.size == (900, height)


def test_estimators_of_ones_own_are_all_drawn_where_the_best_of_ours_is_missing(tmp_path: Path) -> None:
    mix = sp.exact.GaussianMixture([[-9.0], [-3.0], [3.0], [9.0]], labels=list("abcd"))
    partitions = [sp.Partition.one_vs_rest(label, mix.labels) for label in mix.labels]
    exact = sp.exact.profiles(mix, sp.schedules.VE(), sp.schedules.edm_grid(12, 0.1), partitions)
    own = [exact.assign_coords(estimator=[name]) for name in ("mixture", "complement", "shortcut")]
    profiles = xr.concat([exact, *own], "estimator", data_vars="minimal", coords="minimal", compat="override")
    text = sp.plot.page(profiles, tmp_path / "page.html", figures=["entropy"]).read_text()
    assert "estimator path" not in text
    assert "shortcut" in text


def test_a_bar_counts_the_figures_on_a_terminal_only(
    tmp_path: Path, one_curve: xr.Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    bars: list[tuple[dict[str, Any], list[int]]] = []

    class Bar:
        def __init__(self, **options: Any) -> None:
            bars.append((options, []))

        def __enter__(self) -> Bar:
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def update(self, count: int = 1) -> None:
            bars[-1][1].append(count)

    monkeypatch.setattr("specent.plotting.pages.tqdm", Bar)
    monkeypatch.setattr("specent.plotting.export.tqdm", Bar)
    # what the browser does is not counted
    monkeypatch.setattr(browser, "screenshot", lambda page, *_: page)
    figures = {"figures": ["entropy", "rate"], "estimator": "path"}
    sp.plot.picture(one_curve, tmp_path / "page.png", **figures)
    sp.plot.page(one_curve, tmp_path / "page.html", progress=False, **figures)
    # None shows it on a terminal; only what takes more than two seconds
    assert [(options["disable"], options["delay"]) for options, _ in bars] == [(None, 2), (True, 2)]
    assert [options["total"] for options, _ in bars] == [sum(counts) for _, counts in bars] == [2, 2]


def test_hostile_text_of_a_file_stays_text_in_a_page(tmp_path: Path) -> None:
    script, image = "</script><script>alert(1)</script>", '<img src=x onerror="alert(2)">'
    mix = sp.exact.GaussianMixture([[-4.0], [4.0]], labels=[script, image])
    partition = sp.Partition.groups({script: [script], image: [image]})
    curves = sp.exact.profiles(mix, sp.schedules.VE(), sp.schedules.edm_grid(8), [partition])
    curves = sp.schema.with_settings(curves, note=script).assign_attrs(title=script)
    text = sp.plot.page([curves], tmp_path / "page.html", figures=["entropy"]).read_text(encoding="utf-8")
    assert "alert(1)" in text
    assert "<script>alert" not in text
    assert "<img src=x" not in text


@pytest.mark.parametrize("text", ["{", "[1]", '[{"partition": "a"}]', "[" * 5000, "null"])
def test_disagreements_of_a_file_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(sp.SpecentError, match="the attribute 'disagreements' is"):
        disagreements([xr.Dataset(attrs={"disagreements": text})])


def test_a_partition_has_one_colour_in_all_figures_of_a_page(tmp_path: Path, digit_profiles: xr.Dataset) -> None:
    family = digit_profiles.sel(estimator=["path"], guidance=["unguided"]).isel(partition=[1, 2, 3])
    alone = family.isel(partition=[2])
    text = sp.plot.page({"All": family, "One": alone}, tmp_path / "page.html", figures=["entropy"]).read_text()
    items = re.findall(r'<script type="application/json">(.*?)</script>', text, re.DOTALL)
    name = str(alone["partition"].values[0])
    colours = [set(re.findall(r'"line_color":"(#[0-9a-f]{6})"', item)) & set(style.PALETTE) for item in items]
    assert len(colours) == 2
    assert name in items[1]
    # the third colour of the first figure, and not the first one, which a figure of one curve begins with
    assert colours[1] == {style.PALETTE[2]}
    assert colours[0] == set(style.PALETTE[:3])


def test_a_setting_has_one_colour_whatever_else_a_dataset_holds(
    digit_profiles: xr.Dataset, guided_differences: xr.Dataset
) -> None:
    assert guided_differences.guidance.values[0] == digit_profiles.guidance.values[1] == "w=2"
    alone = sp.plot.guidance_effect(guided_differences, estimator="path", guidance="w=2")
    with colouring.agreed(colouring.common_colours([digit_profiles, guided_differences])):
        beside = sp.plot.guidance_effect(guided_differences, estimator="path", guidance="w=2")
    first, second = (
        {
            hv.Store.lookup_options("bokeh", part, "style").kwargs["color"]
            for part in figure
            if isinstance(part, hv.Curve)
        }
        for figure in (alone, beside)
    )
    # unguided runs, of which there are no differences, have the first colour
    assert (first, second) == ({style.PALETTE[0]}, {style.PALETTE[1]})


def test_a_figure_that_is_left_over_has_its_words_beside_it(tmp_path: Path, pair_profiles: xr.Dataset) -> None:
    few = pair_profiles.sel(estimator=["path"], guidance=["unguided"])
    for figures, alone in ((["entropy"], 1), (["entropy", "rate"], 0)):
        path = sp.plot.page(few, tmp_path / "page.html", figures=figures, overwrite=True)
        assert path.read_text(encoding="utf-8").count('class="card alone"') == alone


def test_a_family_of_partitions_is_named_under_the_question(tmp_path: Path, digit_profiles: xr.Dataset) -> None:
    some = digit_profiles.sel(estimator=["path"], guidance=["unguided"]).isel(partition=[0, 1, 2])
    text = sp.plot.page(some, tmp_path / "page.html", figures=["entropy"]).read_text(encoding="utf-8")
    assert "<h3>When is each class decided?</h3>" in text
    assert '<p class="note">One against the rest</p>' in text
