"""Pages in a real browser: drawn without a complaint, on any noise axis, light and dark, by mouse, touch and keys."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from playwright.sync_api import Download, Page, expect

import specent as sp

Guard = Callable[..., AbstractContextManager[Callable[[Path], Page]]]
LABELS = ("<img src=x onerror=console.error(1)>", "=1+1", "dog")
SCHEDULE = sp.schedules.VP()

# every model that Bokeh has drawn, with the columns of its numbers
LINES = """() => Bokeh.documents.flatMap((one) => one.roots()).flatMap((root) => [...root.references()])
  .filter((model) => model.type === "GlyphRenderer" && model.glyph.type === "Line")
  .map(({ glyph, data_source: source }) => {
    const data = source.data instanceof Map ? Object.fromEntries(source.data) : source.data;
    const [x, y] = [glyph.x.field, glyph.y.field];
    const column = (name) => [...(data[name] ?? [])];
    return { x, y, position: column(x), value: column(y), shown: column(x + " as shown") };
  }).filter((line) => line.x === "log_snr" && line.position.length > 2)"""
AXES = """() => Bokeh.documents.flatMap((one) => one.roots()).flatMap((root) => [...root.references()])
  .filter((model) => model.tags.includes("noise axis") && model.x_range)
  .map((plot) => {
    const scale = (axis) => ({ label: axis.axis_label, ticks: axis.ticker.ticks,
      texts: axis.ticker.ticks.map((tick) => axis.major_label_overrides.get(tick)) });
    return { below: plot.below.filter((one) => /Axis/.test(one.type)).map(scale),
      above: plot.above.filter((one) => one.name === "second scale").map(scale),
      start: plot.x_range.start, end: plot.x_range.end };
  })"""


@pytest.fixture(scope="module")
def study() -> list[xr.Dataset]:
    """Three classes of a mixture, two of them with hostile names: sampled and exact, and when they are decided."""
    mix = sp.exact.GaussianMixture([[-4.0, 0.0], [4.0, 0.0], [4.0, 3.0]], labels=LABELS)
    partitions = [sp.Partition.full(LABELS), *(sp.Partition.one_vs_rest(label, LABELS) for label in LABELS[:2])]
    time = sp.schedules.log_snr_grid(SCHEDULE, 24, -9.0, 5.0)
    runs = sp.sample(
        sp.models.mixture(mix), schedule=SCHEDULE, time=time, samples=20, partitions=partitions, seed=1, progress=False
    )
    measured = sp.entropy(runs, partitions)
    summary = sp.speciation(measured.sel(estimator=["path"]), axis="log_snr")
    return [measured, sp.exact.profiles(mix, SCHEDULE, time, partitions), summary]


@pytest.fixture(scope="module")
def path(study: list[xr.Dataset], tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("page") / "page.html"
    sections = {"Mixture": study, "Again": study[1]}
    return sp.plot.page(sections, target, title="Report of <b>a mixture</b>", figures=("entropy", "rate", "windows"))


def drawn(page: Page) -> Page:
    page.wait_for_selector("body[data-drawn]")
    return page


@pytest.fixture(scope="module")
def report(guard: Guard, path: Path) -> Iterator[Page]:
    """One page for all tests that leave it as they find it, or do not mind."""
    with guard(permissions=["clipboard-read", "clipboard-write"]) as visit:
        yield drawn(visit(path))


def choose(page: Page, scale: str) -> None:
    page.locator(f'.switch input[value="{scale}"]').check(force=True)
    expect(page.locator("body")).to_have_attribute("data-scale", scale)


def until(read: Callable[[], Any], right: Callable[[Any], bool], page: Page) -> Any:
    """What is read once it is right, or after five seconds."""
    for _ in range(100):
        if right(read()):
            break
        page.wait_for_timeout(50)
    return read()


def saved(download: Download) -> list[list[str]]:
    text = Path(download.path()).read_text(encoding="utf-8-sig")
    return list(csv.reader(io.StringIO(text)))


def test_a_page_shows_five_figures_at_first_and_draws_them(report: Page) -> None:
    assert report.locator("body").get_attribute("data-drawn") == "5"
    assert report.locator("figure:visible").count() == 5
    assert report.locator("figure:visible canvas").count() >= 5


def test_the_policy_of_a_page_stops_scripts_and_requests(guard: Guard, path: Path, tmp_path: Path) -> None:
    hostile = tmp_path / "hostile.html"
    more = "<script>document.title = 'ran'</script><img src='https://example.org/x.png'>"
    hostile.write_text(path.read_text(encoding="utf-8").replace("<main", more + "<main", 1), encoding="utf-8")

    def look() -> None:
        with guard() as visit:
            assert drawn(visit(hostile)).title() != "ran"

    # the browser tells of both
    with pytest.raises(AssertionError, match="Executing inline script violates") as complaint:
        look()
    assert "Loading the image 'https://example.org/x.png' violates" in str(complaint.value)


def test_text_of_a_dataset_is_shown_as_text(report: Page) -> None:
    assert report.locator("h1").inner_text() == "Report of <b>a mixture</b>"
    assert report.locator("img").count() == 0
    assert "<img src=x" in report.locator("table.half").first.evaluate("(table) => table.textContent")


def test_the_result_of_a_section_is_that_of_its_dataset(report: Page, study: list[xr.Dataset]) -> None:
    one = study[2].sel(partition="full", estimator="path").squeeze()
    level, *ends = (math.exp(-0.5 * float(one[f"half_entropy{end}"])) for end in ("", "_lower", "_upper"))
    text = report.locator(".results").inner_text()
    assert f"gone at noise level {level:.2f} [{min(ends):.2f}, {max(ends):.2f}]" in text
    # and a click leads there
    report.locator(".results a").first.click()
    assert report.evaluate("() => location.hash") == "#section-1"


@pytest.mark.parametrize("scale", ["sigma", "log_sigma", "time", "step", "log_snr"])
def test_the_switch_moves_curves_to_the_values_of_the_dataset(
    scale: str, report: Page, study: list[xr.Dataset]
) -> None:
    measured = study[0]
    log_snr, time = measured["log_snr"].values, measured["time"].values
    expected = {
        "log_snr": log_snr, "sigma": np.exp(-log_snr / 2), "log_sigma": -log_snr / 2, "time": time,
        "step": np.arange(time.size)[::-1],
    }[scale]  # fmt: skip
    choose(report, scale)
    lines = [line for line in report.evaluate(LINES) if line["y"] == "entropy"]
    assert len(lines) >= 4
    one = measured["entropy"].sel(partition=f"{LABELS[1]} | rest", estimator="path").squeeze().values
    assert any(np.allclose(line["value"], one, rtol=1e-12) for line in lines)
    moved = scale in ("time", "step")
    for line in lines:
        np.testing.assert_allclose(line["position"], expected if moved else log_snr, rtol=1e-9, atol=1e-9)
        # what the pointer shows, to four digits
        np.testing.assert_allclose([float(text) for text in line["shown"]], expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("scale", ["sigma", "time", "step", "log_snr"])
def test_both_scales_of_a_figure_agree_and_run_from_noise_to_data(
    scale: str, report: Page, study: list[xr.Dataset]
) -> None:
    log_snr = np.sort(study[0]["log_snr"].values)
    choose(report, scale)

    def level(position: float) -> float:
        if scale == "time":
            return float(np.exp(-SCHEDULE.log_snr(position) / 2))
        if scale == "step":
            return float(np.exp(-np.interp(position, np.arange(log_snr.size), log_snr) / 2))
        return math.exp(-position / 2)

    axes = report.evaluate(AXES)
    assert axes
    for axis in axes:
        assert level(axis["start"]) > level(axis["end"])
        (below,) = axis["below"]
        words = {"sigma": "noise level", "time": "diffusion time", "step": "step", "log_snr": "log-SNR"}
        assert below["label"].startswith(words[scale])
        # two marks make a scale, of a narrow figure too
        assert len(below["ticks"]) >= 2
        value = level if scale == "sigma" else float
        numbers = [float(text.replace("−", "-")) for text in below["texts"]]
        np.testing.assert_allclose([value(tick) for tick in below["ticks"]], numbers, rtol=1e-6, atol=1e-9)
        for above in axis["above"]:
            numbers = [float(text.replace("−", "-")) for text in above["texts"]]
            exact = [level(tick) if scale != "sigma" else tick for tick in above["ticks"]]
            np.testing.assert_allclose(exact, numbers, rtol=1e-3, atol=1e-9)


def test_a_zoomed_figure_has_ticks_of_its_own(report: Page) -> None:
    choose(report, "sigma")
    before = report.evaluate(AXES)[0]["below"][0]["texts"]
    report.evaluate(
        """() => { const plot = Bokeh.documents[0].roots().flatMap((root) => [...root.references()])
          .find((model) => model.tags.includes("noise axis") && model.x_range);
          plot.x_range.setv({ start: -0.5, end: 0.5 }); }"""
    )
    # drawn with the next picture
    report.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    axis = report.evaluate(AXES)[0]
    assert len(axis["below"][0]["ticks"]) >= 3
    assert all(-0.5 <= tick <= 0.5 for tick in axis["below"][0]["ticks"])
    assert axis["below"][0]["texts"] != before
    choose(report, "log_snr")


def test_the_pointer_shows_values_on_the_chosen_scale(report: Page, study: list[xr.Dataset]) -> None:
    choose(report, "sigma")
    frame = report.locator("figure.entropy .bk-Canvas").first
    frame.scroll_into_view_if_needed()
    place = report.evaluate(
        """() => {
          const view = [...Bokeh.index].find((one) => one.model.tags.includes("noise axis"));
          const { data } = view.model.renderers.find((one) => one.glyph.type === "Line").data_source;
          const [u, entropy] = ["log_snr", "entropy"].map((name) => data instanceof Map ? data.get(name) : data[name]);
          const middle = u.findIndex((value) => Math.abs(value) < 0.4);
          const box = view.canvas_view.el.getBoundingClientRect();
          return { x: box.x + view.frame.x_scale.compute(u[middle]),
                   y: box.y + view.frame.y_scale.compute(entropy[middle]),
                   sigma: Math.exp(-u[middle] / 2) };
        }"""
    )
    report.mouse.move(place["x"] - 3, place["y"])
    report.mouse.move(place["x"], place["y"])
    tip = report.locator(".bk-Tooltip").first
    expect(tip).to_contain_text("σ/α")
    expect(tip).to_contain_text(f"{place['sigma']:.4g}")
    report.mouse.move(2, 2)
    choose(report, "log_snr")


def test_of_more_than_four_curves_the_band_of_the_one_under_the_pointer_shows(guard: Guard, tmp_path: Path) -> None:
    mix = sp.exact.GaussianMixture([[0.0], [1.0], [4.0], [12.0], [40.0], [120.0]], labels=list("abcdef"))
    partitions = [sp.Partition.pair("a", label) for label in "bcdef"]
    exact = sp.exact.profiles(mix, sp.schedules.VE(), np.geomspace(0.05, 500.0, 60), partitions)
    measured = exact.assign_coords(estimator=["path"])
    for bound, shift in (("_lower", -0.05), ("_upper", 0.05)):
        measured[f"entropy{bound}"] = (measured.entropy + shift).assign_attrs(measured[f"entropy{bound}"].attrs)
    page = sp.plot.page(measured, tmp_path / "bands.html", figures=["entropy"])
    look = """() => {
      const view = [...Bokeh.index].find((one) => one.model.tags.includes("noise axis"));
      const columns = (source) => source.data instanceof Map ? Object.fromEntries(source.data) : source.data;
      const line = view.model.renderers.filter((one) => one.glyph.type === "Line")[2];
      const { log_snr, entropy, lower, upper } = columns(line.data_source);
      const half = entropy.findIndex((value) => value > 0.5);
      const box = view.canvas_view.el.getBoundingClientRect();
      const band = columns(view.model.select_one("band under pointer").data_source);
      return { x: box.x + view.frame.x_scale.compute(log_snr[half]),
               y: box.y + view.frame.y_scale.compute(entropy[half]),
               curve: [log_snr, lower, upper].map((one) => [...one]),
               band: [band.x, band.lower, band.upper].map((one) => [...one]) };
    }"""
    nothing: list[list[float]] = [[], [], []]
    with guard() as visit:
        report = drawn(visit(page))
        before = report.evaluate(look)
        assert before["band"] == nothing
        for shift in (-2, 0):
            report.mouse.move(before["x"] + shift, before["y"])
        assert before["curve"] == until(lambda: report.evaluate(look)["band"], lambda band: band != nothing, report)
        report.mouse.move(2, 2)
        assert until(lambda: report.evaluate(look)["band"], lambda band: band == nothing, report) == nothing


def test_the_interval_of_a_window_is_shown_on_the_chosen_scale(
    guard: Guard, path: Path, study: list[xr.Dataset]
) -> None:
    with guard() as visit:
        report = drawn(visit(path))
        choose(report, "sigma")
        shown = report.evaluate(
            """() => Bokeh.documents.flatMap((one) => one.roots()).flatMap((root) => [...root.references()])
              .filter((model) => model.type === "GlyphRenderer" && model.glyph.type === "Scatter")
              .map(({ data_source: { data } }) => data instanceof Map ? Object.fromEntries(data) : data)
              .filter((data) => "lower as shown" in data && "who" in data)
              .map((data) => [[...data.lower], [...data["lower as shown"]]])"""
        )
        assert shown
        for positions, texts in shown:
            np.testing.assert_allclose([float(text) for text in texts], np.exp(-0.5 * np.array(positions)), rtol=1e-3)


def test_dark_and_light_reach_the_figures(report: Page) -> None:
    def grounds() -> list[str]:
        return report.evaluate(
            """() => [getComputedStyle(document.body).backgroundColor, ...Bokeh.documents.flatMap((one) => one.roots())
              .flatMap((root) => [...root.references()]).filter((one) => one.x_range && one.renderers)
              .map((plot) => plot.background_fill_color)]"""
        )

    light = grounds()
    report.get_by_role("button", name="Dark").click()
    dark = grounds()
    assert len(set(dark[1:])) == 1
    assert all(before != after for before, after in zip(light, dark, strict=True))
    report.get_by_role("button", name="Dark").click()
    assert grounds() == light


def test_the_rest_of_the_figures_is_drawn_when_it_is_unfolded(guard: Guard, path: Path) -> None:
    with guard(color_scheme="dark") as visit:
        page = drawn(visit(path))
        assert page.locator("html").get_attribute("data-theme") == "dark"
        hidden = page.locator("details.more .card")
        count = hidden.count()
        assert count > 2
        assert page.locator('details.more .card[data-state="drawn"]').count() == 0
        choose(page, "time")
        page.locator("details.more > summary").first.click()
        expect(page.locator("details.more").first.locator('.card[data-state="drawn"]')).to_have_count(
            page.locator("details.more").first.locator(".card").count(), timeout=30_000
        )
        # they come on the scale and in the light of the page
        assert all(axis["below"][0]["label"].startswith("diffusion time") for axis in page.evaluate(AXES))


def test_a_telephone_has_one_column_and_scrolls_by_touch(guard: Guard, path: Path) -> None:
    with guard(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True) as visit:
        page = drawn(visit(path))
        assert page.evaluate("() => document.documentElement.scrollWidth") == 390
        boxes = [card.bounding_box() for card in page.locator(".card:visible").all()]
        assert {box["x"] for box in boxes if box} == {boxes[0]["x"]}  # type: ignore[index]
        assert page.evaluate(
            """() => Bokeh.documents.flatMap((one) => one.roots()).flatMap((root) => [...root.references()])
              .filter((one) => /(Pan|Zoom)Tool$/.test(one.type)).every((tool) => !tool.active)"""
        )
        # the contents are folded away, and open by a tap
        expect(page.locator(".switch")).to_be_hidden()
        page.locator(".side summary").tap()
        expect(page.locator(".switch")).to_be_visible()


def test_keys_alone_reach_the_switch_and_sort_a_table(guard: Guard, path: Path) -> None:
    with guard() as visit:
        page = drawn(visit(path))
        for _ in range(6):
            page.keyboard.press("Tab")
            if page.evaluate("() => document.activeElement.name") == "scale":
                break
        page.keyboard.press("ArrowRight")
        expect(page.locator("body")).to_have_attribute("data-scale", "sigma")
        assert page.evaluate(AXES)[0]["below"][0]["label"].startswith("noise level")
        page.locator("details.numbers > summary").first.focus()
        page.keyboard.press("Enter")
        table = page.locator("table.half").first
        table.locator("th button").nth(1).focus()
        page.keyboard.press("Enter")
        expect(table.locator("th").nth(1)).to_have_attribute("aria-sort", "ascending")
        column = "(table) => [...table.tBodies[0].rows].map((row) => Number(row.cells[1].dataset.value))"
        values = table.evaluate(column)
        assert values == sorted(values)
        assert len(set(values)) > 2
        page.keyboard.press("Enter")
        assert table.evaluate(column) == sorted(values, reverse=True)


def test_a_table_is_saved_with_the_numbers_of_the_dataset(report: Page, study: list[xr.Dataset]) -> None:
    # exact numbers come first
    numbers = report.locator("details.numbers").nth(1)
    numbers.locator("summary").click()
    with report.expect_download() as download:
        numbers.get_by_role("button", name="Save as CSV").click()
    head, *rows = saved(download.value)
    spec = study[2]
    assert len(rows) == spec.sizes["partition"]
    at = {name: head.index(name) for name in ("partition", "half_entropy_sigma", "lower", "upper")}
    for row, partition in zip(rows, spec["partition"].values, strict=True):
        # a name that a spreadsheet would compute is marked as text
        assert row[at["partition"]] == re.sub("^(?==)", "'", str(partition))
        one = spec.sel(partition=partition).squeeze()
        level, *ends = (math.exp(-0.5 * float(one[f"half_entropy{end}"])) for end in ("", "_lower", "_upper"))
        values = [float(row[at[name]]) for name in ("half_entropy_sigma", "lower", "upper")]
        assert values == pytest.approx([level, min(ends), max(ends)], rel=1e-12)


def test_the_numbers_of_a_figure_are_those_of_the_dataset(report: Page, study: list[xr.Dataset]) -> None:
    # also where the page stands on another scale
    choose(report, "time")
    with report.expect_download() as download:
        report.locator("figure.entropy").first.get_by_role("button", name="CSV").click()
    choose(report, "log_snr")
    head, *rows = saved(download.value)
    points = {(float(row[head.index("log_snr")]), float(row[head.index("entropy")])) for row in rows if row[1]}
    one = study[0]["entropy"].sel(partition=f"{LABELS[1]} | rest", estimator="path").squeeze()
    assert {(float(u), float(h)) for u, h in zip(one["log_snr"].values, one.values, strict=True)} <= points


def test_where_the_numbers_come_from_can_be_copied(report: Page, study: list[xr.Dataset]) -> None:
    report.locator("details.origin > summary").click()
    report.get_by_role("button", name="Copy").click()
    expect(report.locator('button[data-copy="provenance"]')).to_have_text("copied")
    text: Any = report.evaluate("() => navigator.clipboard.readText()")
    for one in study:
        assert f"settings_sha256: {one.attrs['settings_sha256']}" in text


def test_a_page_that_cannot_be_drawn_is_noticed(guard: Guard, study: list[xr.Dataset], tmp_path: Path) -> None:
    path = sp.plot.page(study[1], tmp_path / "page.html", figures=["entropy"], plain=True)
    path.write_text(path.read_text(encoding="utf-8").replace('"name":"Line"', '"name":"Lyne"'), encoding="utf-8")

    def look() -> None:
        with guard() as visit:
            page = visit("about:blank")
            # listening must begin before the page: it may fail before it has been loaded
            with page.expect_event("pageerror"):
                page.goto(path.as_uri())

    with pytest.raises(AssertionError, match="Lyne"):
        look()
