"""A reader at the explorer: with the pointer, with the keyboard alone, at 200 % zoom, and beside a run that goes on."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr
from playwright.sync_api import Page, expect

import specent as sp

Visit = Callable[..., Page]
Guard = Callable[..., AbstractContextManager[Visit]]

PATIENCE = 60_000
"""Milliseconds until a page that is drawn on a busy machine shows something."""

# what is in a figure, and where its values are on the page
_FIGURE = """([name, x, y]) => {
  const within = (view) => [view, ...(view.child_views ?? []).flatMap(within)]
  const inside = (element) => {
    for (let at = element; at; at = at.parentNode ?? at.host) { if (at.classList?.contains(name)) { return true } }
    return false
  }
  const view = [...Bokeh.index.roots].flatMap(within).find((one) => one.model.type === 'Figure' && inside(one.el))
  if (!view) { return null }
  const box = view.el.getBoundingClientRect()
  const columns = (source) => source.data instanceof Map ? Object.fromEntries(source.data) : source.data
  return {
    x: box.x + view.frame.x_scale.compute(x), y: box.y + view.frame.y_scale.compute(y),
    glyphs: view.model.renderers.map((one) => {
      const data = columns(one.data_source)
      const plain = Object.entries(data).map(([key, values]) => [key, Array.from(values, (value) =>
        typeof value === 'object' && value !== null ? Array.from(value) : value)])
      return { type: one.glyph.type, ...Object.fromEntries(plain) }
    }),
  }
}"""
_FOCUSED = """() => {
  let at = document.activeElement
  while (at.shadowRoot?.activeElement) { at = at.shadowRoot.activeElement }
  const style = getComputedStyle(at)
  return [at.tagName, at.getAttribute('aria-label') ?? at.labels?.[0]?.textContent ?? at.textContent,
    style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) > 0]
}"""


@contextmanager
def served(path: Path) -> Iterator[str]:
    """Where an explorer of an archive or run folder is served, by the command."""
    program = "from specent.command import main; raise SystemExit(main())"
    process = subprocess.Popen([sys.executable, "-c", program, "explore", str(path)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        match = re.search(r"http://127\.0\.0\.1:\d+/", process.stdout.readline())
        assert match
        yield match[0]
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=600)


def figure(page: Page, name: str, x: float = 0.0, y: float = 0.0) -> Any:
    return page.evaluate(_FIGURE, [name, x, y])


def draws(page: Page, name: str, column: str, values: Any) -> None:
    """Wait until a glyph of a figure has these values."""
    wanted = np.asarray(values, dtype=float)
    for _ in range(PATIENCE // 250):
        there = figure(page, name)
        curves = [np.asarray(one[column]) for one in there["glyphs"] if column in one] if there else []
        if any(len(one) == len(wanted) and np.allclose(one, wanted) for one in curves):
            return
        page.wait_for_timeout(250)
    raise AssertionError(f"no glyph of {name} has these values")


@pytest.fixture(scope="module")
def runs() -> xr.Dataset:
    """Trajectories to six pictures of three classes, with every prediction."""
    images = np.random.default_rng(0).uniform(-1, 1, (6, 1, 4, 4))
    model, grid = sp.models.finite(images, ["a", "a", "b", "b", "c", "c"]), sp.schedules.edm_grid(12, 0.05, 20.0)
    return sp.sample(
        model, schedule=sp.schedules.VE(), time=grid, samples=6, partitions=["a | b"], seed=1, progress=False,
        record=sp.Record(predictions=grid),
    )  # fmt: skip


@pytest.fixture(scope="module")
def address(runs: xr.Dataset, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with served(sp.write(runs, tmp_path_factory.mktemp("exploring") / "runs.nc")) as where:
        yield where


def lonely(runs: xr.Dataset) -> tuple[str, int, float, float]:
    """The trajectory that passes farthest from all others at a noise level: class, sample, log-SNR and posterior."""
    evidence = runs["log_likelihood"].isel(guidance=0)
    names, posteriors = [], []
    for label, other in (("a", "b"), ("b", "a")):
        own = evidence.sel(class_label=label)
        # the posterior of two classes that are equally likely
        posteriors.append((1 / (1 + np.exp(own.sel(candidate=other) - own.sel(candidate=label)))).values)
        names += [(label, int(sample)) for sample in runs["sample"].values]
    every = np.concatenate(posteriors)
    gaps = np.abs(every[:, None] - every) + np.where(np.eye(len(every)), np.inf, 0)[..., None]
    # the first trajectory is shown before anything is clicked
    nearest = np.where(np.arange(len(every))[:, None] > 0, gaps.min(axis=1), -np.inf)
    which, at = np.unravel_index(nearest.argmax(), nearest.shape)
    assert nearest[which, at] > 0.05
    return (*names[which], float(runs["log_snr"].values[at]), float(every[which, at]))


def drawn_strip(page: Page) -> tuple[list[float], list[np.ndarray]]:
    """Log-SNR and shades of every picture of the strip, the first row on top."""
    there = figure(page, "predictions")
    pictures = [one for one in there["glyphs"] if one["type"] == "ImageRGBA"] if there else []
    centres = [one["x"][0] + one["dw"][0] / 2 for one in pictures]
    # rows of a picture of Bokeh go upwards; it has a frame; of a grey one red is the shade
    framed = [np.asarray(one["image"][0]).reshape(6, 6)[::-1] for one in pictures]
    return centres, [(one[1:-1, 1:-1] & 255).astype(float) for one in framed]


def test_a_click_on_a_trajectory_shows_its_own_predictions(visit: Visit, address: str, runs: xr.Dataset) -> None:
    page = visit(address)
    label, sample, level, posterior = lonely(runs)
    expect(page.locator(".predictions canvas").first).to_be_visible(timeout=PATIENCE)
    expect(page.locator(".trajectory_posteriors canvas").first).to_be_visible(timeout=PATIENCE)
    # nothing moves any more once the last figure is there
    expect(page.locator(".pair_matrix canvas").first).to_be_visible(timeout=PATIENCE)
    page.locator(".trajectory_posteriors canvas").first.scroll_into_view_if_needed()
    where = figure(page, "trajectory_posteriors", level, posterior)
    page.mouse.click(where["x"], where["y"])
    expect(page.get_by_label("Sample")).to_have_value(str(sample), timeout=PATIENCE)
    expect(page.get_by_label("Trajectory of class")).to_have_value(label, timeout=PATIENCE)
    expect(page.locator(".predictions").get_by_text(f"sample {sample}")).to_be_visible(timeout=PATIENCE)
    centres, shades = drawn_strip(page)
    assert len(shades) > 5
    # shades are values in proportion, but for the few brightest and darkest, which are cut off
    stored = runs["prediction"].isel(guidance=0, channel=0)
    at = [int(np.abs(runs["log_snr"].values - centre).argmin()) for centre in centres]
    alike = {
        (name, i): np.corrcoef(stored.sel(class_label=name, sample=i)[at].values.ravel(), np.ravel(shades))[0, 1]
        for name in "abc" for i in range(runs.sizes["sample"])
    }  # fmt: skip
    assert max(alike, key=lambda one: alike[one]) == (label, sample)
    assert alike[label, sample] > 0.97


def test_the_keyboard_alone_changes_the_partition_and_shows_where_it_is(
    visit: Visit, address: str, runs: xr.Dataset
) -> None:
    page = visit(address)
    expect(page.locator(".entropy canvas").first).to_be_visible(timeout=PATIENCE)
    stops = []
    while not stops or "Partition, such as" not in stops[-1][1]:
        page.keyboard.press("Tab")
        stops.append(page.evaluate(_FOCUSED))
        assert len(stops) < 4
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.type("a | c")
    page.keyboard.press("Enter")
    draws(page, "entropy", "entropy", sp.entropy(runs, "a | c", "path")["entropy"].values.ravel())
    for _ in range(12):
        page.keyboard.press("Tab")
        stops.append(page.evaluate(_FOCUSED))
    assert [(tag, words) for tag, words, seen in stops if not seen] == []
    assert len({(tag, words) for tag, words, _ in stops}) > 8


def test_at_twice_the_size_nothing_overlaps_or_is_cut(guard: Guard, address: str) -> None:
    # 200 % of a window of 1400 times 900 pixels
    with guard(viewport={"width": 700, "height": 450}, device_scale_factor=2) as visit:
        page = visit(address)
        for name in ("entropy", "rate", "windows", "predictions", "pair_matrix"):
            expect(page.locator(f".{name} canvas").first).to_be_visible(timeout=PATIENCE)
        assert page.evaluate("document.documentElement.scrollWidth") <= 700
        widths = page.evaluate("[...document.querySelectorAll('section')].map((one) => one.scrollWidth)")
        assert len(widths) == 4
        assert max(widths) <= 700
        boxes = page.evaluate("""() => {
          const widgets = [...document.querySelector('aside > * > *').shadowRoot.children]
          const parts = [...document.querySelectorAll('header, section > * > *'), ...widgets]
          return parts.map((one) => one.getBoundingClientRect()).filter((box) => box.width && box.height)
            .map((box) => [box.left, box.top + scrollY, box.right, box.bottom + scrollY])
        }""")
        # heading, ten figures and what is saved, and the choices
        assert len(boxes) > 20
        assert all(left >= 0 and right <= 700 for left, _, right, _ in boxes)
        for i, (left, top, right, bottom) in enumerate(boxes):
            for others in boxes[:i]:
                across, down = (
                    min(right, others[2]) - max(left, others[0]),
                    min(bottom, others[3]) - max(top, others[1]),
                )
                # an edge may be rounded to the pixel of the next
                assert min(across, down) <= 1
        for field in ("Partition, such as", "Noise axis", "Sample"):
            box = page.get_by_label(field).first.bounding_box()
            assert box is not None
            assert box["x"] >= 0
            assert box["x"] + box["width"] <= 700


class Halting(sp.models.Model):
    """A model of two classes that stops, once the folder of the run has two shards, until it may go on."""

    def __init__(self, folder: Path, may_go_on: threading.Event) -> None:
        mixture = sp.exact.GaussianMixture([[-4.0], [4.0]], labels=["left", "right"])
        super().__init__(["left", "right"], (1,))
        self.folder, self.may_go_on, self.exact_model = folder, may_go_on, sp.models.mixture(mixture)

    @property
    def identity(self) -> dict[str, Any]:
        return {"name": "halting"}

    def to(self, device: torch.device) -> Halting:
        return self

    def denoise(self, x: torch.Tensor, sigma: float, condition: torch.Tensor) -> torch.Tensor:
        if len(list(self.folder.glob("shard-*.nc"))) >= 2:
            assert self.may_go_on.wait(PATIENCE / 100)
        return self.exact_model.denoise(x, sigma, condition)


def test_a_run_is_watched_while_it_goes_on(visit: Visit, tmp_path: Path) -> None:
    folder, may_go_on = tmp_path / "run", threading.Event()
    plan = sp.Plan(
        Halting(folder, may_go_on), sp.schedules.VE(), sp.schedules.edm_grid(8), 30, partitions=["full"], seed=3
    )
    thread = threading.Thread(target=lambda: sp.run(plan, folder, shard=10, progress=False, check=False))
    thread.start()
    try:
        for _ in range(PATIENCE // 100):
            if len(list(folder.glob("shard-*.nc"))) >= 2:
                break
            time.sleep(0.1)
        with served(folder) as address:
            page = visit(address)
            expect(page.get_by_text("all 10 trajectories of each class")).to_be_visible(timeout=PATIENCE)
            expect(page.get_by_text("2 of 6 shards, following the run")).to_be_visible()
            with pytest.warns(sp.SpecentWarning, match="2 of 6 shards"):
                first = sp.entropy(sp.open(folder), estimator="path")["entropy"].values.ravel()
            draws(page, "entropy", "entropy", first)
            may_go_on.set()
            expect(page.get_by_text("6 of 6 shards; all 30 trajectories of each class")).to_be_visible(timeout=PATIENCE)
            thread.join()
            draws(page, "entropy", "entropy", sp.entropy(sp.open(folder), estimator="path")["entropy"].values.ravel())
    finally:
        may_go_on.set()
        thread.join()
