"""Exact denoisers of a finite data set against plain matrix products and distances, and the memory of a set on disk.

Usage: python benchmarks/finite.py [cpu | cuda] [images]; 10 000 images by default, two or three minutes on one
core. The table of docs/performance.md is of 60 000, a quarter of an hour.
Pictures are random fields with the power spectrum of photographs, 3 x 32 x 32, with 10 labels; 256 states at a time.
`moments`, which takes two products of states and images, is compared with two products in the same precision, and with
distances by `torch.cdist`, a softmax of each label, and its averages. All are timed in turn, and medians are of ratios
within a turn; on a processor it is the time of the processor, which others on the machine change little. Memory is what
the process holds beside the pages of the file.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

import specent as sp

SIDE, BATCH, TURNS = 32, 256, 3
LEVELS = (0.01, 0.5, 2.0, 20.0)
# images of the smaller of the two sets on disk
ON_DISK = 5000


def pictures(count: int) -> NDArray[np.float32]:
    """Random fields, from -1 to 1."""
    spectrum = 1 / np.hypot(np.fft.fftfreq(SIDE)[:, None], np.fft.rfftfreq(SIDE) + 1 / SIDE)
    rng = np.random.default_rng(0)
    made = np.empty((count, 3, SIDE, SIDE), dtype=np.float32)
    for low in range(0, count, 1000):
        shape = (min(1000, count - low), 3, *spectrum.shape)
        fields = np.fft.irfft2(spectrum * (rng.normal(size=shape) + 1j * rng.normal(size=shape)), s=(SIDE, SIDE))
        made[low : low + 1000] = np.clip(0.5 * fields / fields.std(), -1, 1)
    return made


def labels(count: int) -> NDArray[np.int64]:
    """Ten labels in any order."""
    return np.random.default_rng(1).integers(0, 10, count)


def products(images: Tensor, state: Tensor, rows: int = 1000) -> Tensor:
    """The scores of all images and an average of as many, block by block."""
    average = torch.zeros_like(state)
    for low in range(0, len(images), rows):
        score = state @ images[low : low + rows].T
        average.addmm_(score, images[low : low + rows])
    return average


def distances(images: Tensor, parts: list[tuple[int, int]], state: Tensor, sigma: float) -> Tensor:
    """The denoised data of every label in the plain way, with distances to all images at once."""
    score = -(torch.cdist(state, images) ** 2) / (2 * sigma**2)
    return torch.stack([torch.softmax(score[:, slice(*part)], dim=1) @ images[slice(*part)] for part in parts], dim=1)


def seconds(work: Callable[[], Any], device: str) -> tuple[float, Any]:
    """How long something takes, and what comes out."""
    start = _now(device)
    out = work()
    return _now(device) - start, out


def speed(device: str, count: int) -> None:
    """The table of ratios."""
    images, names = pictures(count), labels(count)
    models = {
        "float64": sp.models.finite(images, names).to(torch.device(device)),
        "float32": sp.models.finite(images, names, precision="float32").to(torch.device(device)),
    }
    double = models["float64"].images
    assert isinstance(double, Tensor)
    data = {"float64": double, "float32": double.float()}
    print(f"{device}, {torch.get_num_threads()} threads, {count} images, {BATCH} states")
    print(f"{'sigma':>6} {'precision':>9} {'of the rate':>11} {'x cdist':>8} {'x cdist in float64':>18} {'error':>8}")
    for sigma in LEVELS:
        noise = torch.randn(BATCH, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        state = (torch.as_tensor(images[:BATCH]).double() + sigma * noise).to(device)
        # the first turn of all is to warm up
        turns = [turn(models, data, state, sigma, device) for _ in range(TURNS + (sigma == LEVELS[0]))][-TURNS:]
        for name in models:
            times = np.array([[one[name][0], one[name][1], one["float64"][1]] for one, _ in turns])
            own = np.array([one[name][2] for one, _ in turns])
            rate, alike, precise = np.median(times / own[:, None], axis=0)
            error = max(errors[name] for _, errors in turns)
            print(f"{sigma:6g} {name:>9} {rate:11.2f} {alike:8.2f} {precise:18.2f} {error:8.0e}", flush=True)


def turn(
    models: dict[str, sp.models.FiniteModel], data: dict[str, Tensor], state: Tensor, sigma: float, device: str
) -> tuple[dict[str, tuple[float, float, float]], dict[str, float]]:
    """Seconds of products, distances and `moments` by precision, and errors of denoised data in parts of the range."""
    flat = state.reshape(len(state), -1)
    parts = models["float64"].parts[:-1]
    exact = torch.empty(0)
    times, errors = {}, {}
    for name, model in models.items():
        numbers, given = data[name], flat.to(data[name].dtype)
        plain, _ = seconds(partial(products, numbers, given), device)
        naive, found = seconds(partial(distances, numbers, parts, given, sigma), device)
        own, (_, mean) = seconds(partial(model.moments, state, sigma), device)
        exact = found if name == "float64" else exact
        times[name] = (plain, naive, own)
        errors[name] = float((mean - exact).abs().max()) / 2
    return times, errors


def memory() -> None:
    """Memory of both precisions with sets on disk, one four times as large as the other."""
    for precision in ("float64", "float32"):
        used = []
        for count in (ON_DISK, 4 * ON_DISK):
            command = [sys.executable, __file__, "memory", str(count), precision]
            used.append(int(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
        print(
            f"on disk, {precision}: {used[0]} MiB with {ON_DISK} images of {3 * SIDE**2} numbers, {used[1]} MiB with "
            f"{4 * ON_DISK}; as numbers in memory these would be {4 * ON_DISK * 3 * SIDE**2 * 8 // 2**20} MiB"
        )


def measure(count: int, precision: Any) -> None:
    """Print the most MiB beyond those at the start that a model of a file and a call of it take."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "images.npy"
        file = np.lib.format.open_memmap(path, "w+", dtype=np.uint8, shape=(count, 3, SIDE, SIDE))
        for low in range(0, count, 1000):
            part = np.random.default_rng(low).integers(0, 256, size=(1000, 3, SIDE, SIDE), dtype=np.uint8)
            file[low : low + 1000] = part
        del file, part
        most = before = _held()
        done = threading.Event()

        def watch() -> None:
            nonlocal most
            while not done.wait(0.002):
                most = max(most, _held())

        watcher = threading.Thread(target=watch)
        watcher.start()
        source = np.load(path, mmap_mode="r")
        model = sp.models.finite(source, labels(count), precision=precision)
        model.moments(torch.as_tensor(source[:BATCH].astype(float)), 30.0)
        done.set()
        watcher.join()
        print((most - before) // 2**10)


def _held() -> int:
    """KiB that this process holds beside the pages of files."""
    found = re.search(r"RssAnon:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(found[1]) if found else 0


def _now(device: str) -> float:
    if device == "cpu":
        return time.process_time()
    torch.cuda.synchronize()
    return time.perf_counter()


def main() -> None:
    """Print both tables, or what one process of the second one measures."""
    if sys.argv[1:2] == ["memory"]:
        measure(int(sys.argv[2]), sys.argv[3])
        return
    speed(sys.argv[1] if len(sys.argv) > 1 else "cpu", int(sys.argv[2]) if len(sys.argv) > 2 else 10_000)
    memory()


if __name__ == "__main__":
    main()
