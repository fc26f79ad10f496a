"""How fast the explorer answers: from the command to the first curve on the page, and from a choice to its curve.

Usage: python benchmarks/explorer.py [GB ...]; 1 GB of files by default. A run of ten classes is made by
`large_run.large_run`, of which 4 GB of values take 1 GB of disk. The command starts in a fresh process, imports
included, while Chromium, which a reader has open already, waits for its address. A curve is there when coloured pixels
are on the canvas of the figure of the entropy. Twenty partitions of the classes are typed, none twice and none that
the archive holds, each two seconds after the curve of the one before; the median counts. Wanted are 5 s and 1 s; the
exit status says whether both hold for 1 GB. Modules are compiled beforehand, as an installation does, and the load is
that of the machine before the command, without which seconds say little.
"""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from large_run import CLASSES, large_run
from playwright.sync_api import Browser, Page, sync_playwright

OPENED, CHANGED = 5.0, 1.0
"""Seconds that are wanted."""

CHANGES = 20
IMPORTED = "import specent; specent.explorer, specent.plotting, specent.command"
VALUES_PER_BYTE = 4.0
_MILLISECONDS = 120_000
_PAUSE = 2_000

_PICTURE = """() => {
  const within = (root) => [...root.querySelectorAll('*')].flatMap(
    (one) => [...(one.tagName === 'CANVAS' ? [one] : []), ...(one.shadowRoot ? within(one.shadowRoot) : [])])
  const figures = []
  const find = (root) => {
    for (const one of root.querySelectorAll('*')) {
      if (one.classList.contains('entropy')) { figures.push(one) }
      if (one.shadowRoot) { find(one.shadowRoot) }
    }
  }
  find(document)
  let sum = 0, coloured = 0
  for (const canvas of figures.flatMap((one) => within(one.shadowRoot ?? one))) {
    if (!canvas.width || !canvas.height) { continue }
    const pixels = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data
    for (let i = 0; i < pixels.length; i += 16) {
      const most = Math.max(pixels[i], pixels[i + 1], pixels[i + 2])
      const least = Math.min(pixels[i], pixels[i + 1], pixels[i + 2])
      if (pixels[i + 3] > 128 && most - least > 60) { coloured += 1; sum = (31 * sum + i) % 1000003 }
    }
  }
  return coloured > 50 ? sum : -1
}"""
_CHANGED = f"(before) => {{ const now = ({_PICTURE})(); return now >= 0 && now !== before }}"


def main() -> int:
    """Print a line for each size."""
    sizes = [float(text) for text in sys.argv[1:]] or [1.0]
    wanted = True
    titles = ("GB", "served, s", "curve, s", "change, s", "slowest, s", "peak, GB", "load")
    print(" ".join(f"{title:>11}" for title in titles))
    with tempfile.TemporaryDirectory() as scratch, sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        for size in sizes:
            folder = large_run(Path(scratch, f"{size:g}"), VALUES_PER_BYTE * size)
            files = sum(path.stat().st_size for path in folder.iterdir()) / 1e9
            load = os.getloadavg()[0]
            served, seen, changes, peak = explored(chromium, folder)
            change = statistics.median(changes)
            numbers = (files, served, seen, change, max(changes), peak, load)
            print(" ".join(f"{number:11.3g}" for number in numbers), flush=True)
            wanted = wanted and (size > 1 or (seen < OPENED and change < CHANGED))
            shutil.rmtree(folder)
        chromium.close()
    return 0 if wanted else 1


def explored(chromium: Browser, folder: Path) -> tuple[float, float, list[float], float]:
    """Seconds until the address is printed, until a curve is seen, and of every change; GB of memory at most."""
    context = chromium.new_context(viewport={"width": 1400, "height": 900})
    page = context.new_page()
    page.set_default_timeout(_MILLISECONDS)
    program = "from specent.command import main; raise SystemExit(main())"
    command = [sys.executable, "-c", program, "explore", str(folder)]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment.setdefault("PYTHONPYCACHEPREFIX", str(folder.parent / "compiled"))
    subprocess.run([sys.executable, "-c", IMPORTED], env=environment, check=True)
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        served = time.perf_counter() - start
        page.goto(next(word for word in line.split() if word.startswith("http")), wait_until="commit")
        page.wait_for_function(_CHANGED, arg=-1, polling=50)
        seen = time.perf_counter() - start
        page.get_by_text("all of them").or_(page.get_by_text(": all ")).first.wait_for()
        changes = [changed(page, text) for text in partitions()]
        status = Path(f"/proc/{process.pid}/status").read_text()
        peak = next(float(row.split()[1]) for row in status.splitlines() if row.startswith("VmHWM")) * 1024 / 1e9
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)
        context.close()
    return served, seen, changes, peak


def partitions() -> list[str]:
    """Partitions into two classes and one other class."""
    labels = [f"class {i}" for i in range(CLASSES)]
    some = itertools.combinations(labels, 3)
    return [f"{a}, {b} | {c}" for a, b, c in itertools.islice(some, 0, 5 * CHANGES, 5)]


def changed(page: Page, text: str) -> float:
    """Seconds from the key that ends a typed partition to its curve."""
    field = page.get_by_label("Partition, such as")
    page.wait_for_timeout(_PAUSE)
    field.fill(text)
    before = page.evaluate(_PICTURE)
    start = time.perf_counter()
    field.press("Enter")
    page.wait_for_function(_CHANGED, arg=before, polling=50)
    return time.perf_counter() - start


if __name__ == "__main__":
    sys.exit(main())
