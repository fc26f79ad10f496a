"""The explorer in a real browser: one server for all tests, which must not leave the machine or write an error."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from playwright.sync_api import Page, expect

import specent as sp

Visit = Callable[..., Page]
Guard = Callable[..., AbstractContextManager[Visit]]

HOSTILE = "<img src='http://example.org/a' onerror='alert(1)'> $$x^2$$"
PATIENCE = 60_000
"""Milliseconds until a page that is drawn on a busy machine shows something."""


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example, of which one class has a name that would like to be markup."""
    with sp.archive.example() as runs:
        names = {"cat": "cat", "dog": "dog", "car": HOSTILE, "null": "null"}
        renamed = runs.load().drop_vars(["partition", "definition", "production", "cross_production"])
        for dim in ("class_label", "candidate", "other_candidate"):
            labels = [names[str(name)] for name in renamed[dim].values]
            renamed = renamed.assign_coords({dim: (dim, labels, renamed[dim].attrs)})
        renamed.attrs["title"] = "<script>document.title = 'taken'</script>"
        return sp.write(renamed, tmp_path_factory.mktemp("explorer") / "runs.nc")


@pytest.fixture(scope="module")
def address(archive: Path) -> Iterator[str]:
    """Where an explorer of the archive is served, by the command."""
    command = [
        sys.executable,
        "-c",
        "from specent.command import main; raise SystemExit(main())",
        "explore",
        str(archive),
    ]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    line = process.stdout.readline()
    match = re.search(r"http://127\.0\.0\.1:\d+/", line)
    assert match, line
    yield match[0]
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=600)
    assert (process.returncode, output) == (0, "ended\n")
    # the last test asks from elsewhere, and is refused
    assert [line for line in errors.splitlines() if "Refusing websocket connection" not in line] == []


def shown(page: Page) -> Page:
    """The page once its figures are drawn."""
    expect(page.get_by_text("trajectories of each class")).to_be_visible(timeout=PATIENCE)
    expect(page.locator(".entropy canvas").first).to_be_visible(timeout=PATIENCE)
    return page


_CURVES = """() => Bokeh.documents.flatMap((doc) => [...doc._all_models.values()])
  .filter((model) => model.type === 'ColumnDataSource')
  .flatMap((source) => [...(source.data instanceof Map ? source.data.values() : Object.values(source.data))])
  .filter((column) => column.length > 3 && typeof column[0] === 'number').map((column) => Array.from(column))"""


def draws(page: Page, values: Any) -> None:
    """Wait until a curve of the page has these values."""
    wanted = np.asarray(values, dtype=float)
    for _ in range(PATIENCE // 250):
        columns = page.evaluate(_CURVES)
        if any(len(column) == len(wanted) and np.allclose(column, wanted) for column in columns):
            return
        page.wait_for_timeout(250)
    raise AssertionError("no curve of the page has these values")


def direct(archive: Path, partition: str, guidance: str = "unguided") -> xr.Dataset:
    with sp.open(archive) as runs:
        return sp.entropy(runs.sel(guidance=[guidance]).load(), [partition], "path", rate="production")


def test_choosing_a_partition_changes_the_curve_and_the_address(visit: Visit, address: str, archive: Path) -> None:
    page = shown(visit(address))
    assert page.title() == "specent explorer"
    field = page.get_by_label("Partition, such as")
    field.fill("cat | dog")
    field.press("Enter")
    draws(page, direct(archive, "cat | dog")["entropy"].values.ravel())
    page.wait_for_function("location.search.includes('partition=cat')", timeout=PATIENCE // 4)
    # the address restores the view
    again = shown(visit(page.url))
    expect(again.get_by_label("Partition, such as")).to_have_value("cat | dog")
    draws(again, direct(archive, "cat | dog")["entropy"].values.ravel())
    # a wrong partition is said, and the curve stays
    field.fill("cat | cow")
    field.press("Enter")
    expect(page.get_by_role("alert").get_by_text("unknown label 'cow'")).to_be_visible(timeout=PATIENCE)


def test_hostile_names_are_text_and_can_be_clicked(visit: Visit, address: str, archive: Path) -> None:
    page = shown(visit(address))
    expect(page.get_by_role("heading", level=1)).to_have_text("<script>document.title = 'taken'</script>")
    button = page.get_by_role("button", name=HOSTILE)
    expect(button).to_contain_text(HOSTILE)
    button.click()
    cat = page.get_by_role("button", name="cat: in no group")
    # by the keyboard alone
    cat.focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="cat: group B")).to_be_visible()
    pair = sp.Partition.pair(HOSTILE, "cat")
    with sp.open(archive) as runs:
        curve = sp.entropy(runs.sel(guidance=["unguided"]).load(), [pair], "path")["entropy"].values.ravel()
    draws(page, curve)
    assert page.locator("img[src*='example.org']").count() == 0


def test_hovering_and_the_slider_move_the_noise_level(visit: Visit, address: str) -> None:
    page = shown(visit(f"{address}?partition=cat+%7C+dog&level=-2"))
    words = page.get_by_role("heading", name="How sure at this noise level")
    expect(words).to_be_visible(timeout=PATIENCE)
    level = page.get_by_text(re.compile(r"Noise level σ/α = "))
    before = level.first.inner_text()
    box = page.locator(".entropy canvas").first.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 0.7 * box["width"], box["y"] + 0.5 * box["height"])
    page.mouse.move(box["x"] + 0.75 * box["width"], box["y"] + 0.5 * box["height"])
    expect(level.first).not_to_have_text(before, timeout=PATIENCE)
    hovered = level.first.inner_text()
    page.mouse.move(2, 2)
    page.locator(".noUi-handle").first.focus()
    page.keyboard.press("ArrowRight")
    expect(level.first).not_to_have_text(hovered, timeout=PATIENCE)


def test_the_figure_the_profile_and_the_lines_are_saved(
    visit: Visit, address: str, archive: Path, tmp_path: Path
) -> None:
    page = shown(visit(f"{address}?partition=cat+%7C+dog"))
    starts = {"Save as PNG": b"\x89PNG", "Save as SVG": b"<?xml", "Save as PDF": b"%PDF-"}
    for label, start in starts.items():
        assert saved(page, label, tmp_path).read_bytes().startswith(start)
    with sp.open(saved(page, "Save the profile", tmp_path)) as profile:
        np.testing.assert_allclose(profile["entropy"], direct(archive, "cat | dog")["entropy"])
    assert "sp.entropy(" in saved(page, "Save the Python lines", tmp_path).read_text()


def saved(page: Page, label: str, folder: Path) -> Path:
    with page.expect_download(timeout=PATIENCE) as event:
        page.get_by_text(label).first.click()
    path = folder / event.value.suggested_filename
    event.value.save_as(path)
    return path


def test_dark_colours_and_a_narrow_screen(guard: Guard, address: str) -> None:
    with guard(viewport={"width": 390, "height": 844}, color_scheme="dark") as visit:
        page = shown(visit(address))
        assert page.evaluate("document.documentElement.dataset.theme") == "dark"
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        page.get_by_label("Colours").select_option("light")
        page.wait_for_function("document.documentElement.dataset.theme === 'light'", timeout=PATIENCE)


def test_a_page_of_another_origin_gets_nothing(address: str) -> None:
    host = address.removeprefix("http://").rstrip("/")
    upgrade = {
        "Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Origin": "http://example.org", "Host": host,
    }  # fmt: skip
    connection = HTTPConnection(host, timeout=120)
    connection.request("GET", "/ws", headers=upgrade)
    assert connection.getresponse().status == 403
    connection.close()
