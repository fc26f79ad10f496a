"""Writers of every product of the package, killed; run as a script, apart from the process of the tests.

``killed_writers.py FOLDER`` kills a writer of every product before each step that it takes on the file system, beside
an older file and without one, and writers of a large file at instants spread over the time that one needs. It prints
for every writer the product, whether there was an older file, whether the writer died, how many files are visible then,
and whether all of them are whole.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

import numpy as np
import torch
import xarray as xr
from safetensors.torch import load_file, save

import specent as sp
from specent import files
from specent.images.pictures import write_grid
from specent.models.checkpoint import write_checkpoint
from specent.training import checkpoints

# what the interpreter reports of itself; fsync is not among it
EVENTS = {"open", "os.link", "os.rename", "os.remove"}
SIZE, LARGE = 4000, 1_000_000
RUNS = sp.archive.example().isel(sample=slice(4)).load()


@cache
def profiles() -> xr.Dataset:
    """For pages; the parent computes them when it writes the older page."""
    full = sp.Partition.full(RUNS["class_label"].values)
    return sp.entropy(RUNS.isel(guidance=[0]), full, estimator="path", replicates=50)


def archive(path: Path, overwrite: bool) -> None:
    sp.write(RUNS, path, overwrite=overwrite)


def checkpoint(path: Path, overwrite: bool) -> None:
    write_checkpoint(save({"weights": torch.zeros(SIZE)}), path, {"name": "tiny"}, overwrite=overwrite)


def large(path: Path, overwrite: bool) -> None:
    write_checkpoint(save({"weights": torch.zeros(LARGE)}), path, {"name": "large"}, overwrite=overwrite)


def training(path: Path, overwrite: bool) -> None:
    checkpoints.write_step(path.parent, 7, {"weights": torch.zeros(SIZE)}, {"settings": {}})


def page(path: Path, overwrite: bool) -> None:
    sp.plot.page(profiles(), path, figures="entropy", overwrite=overwrite)


def picture(path: Path, overwrite: bool) -> None:
    write_grid(path, np.zeros((4, 1, 8, 8)), 2)


def card(path: Path, overwrite: bool) -> None:
    files.write_whole(json.dumps({"title": "digits" * SIZE}), path, overwrite=overwrite)


Product = tuple[Callable[[Path, bool], None], str]
SMALL: dict[str, Product] = {
    "archive": (archive, "a.nc"),
    "checkpoint": (checkpoint, "a.safetensors"),
    "training": (training, "step_00000007.safetensors"),
    "page": (page, "a.html"),
    "picture": (picture, "a.png"),
    "card": (card, "a.json"),
}
PRODUCTS = {**SMALL, "large": (large, "large.safetensors")}


def is_whole(path: Path) -> bool:
    """Whether a file is complete, by the rules of its own format."""
    if path.suffix == ".nc":
        sp.open(path).close()  # raises without a matching seal
        return True
    if path.suffix == ".safetensors":
        return load_file(path)["weights"].shape == (LARGE if path.stem == "large" else SIZE,)
    if path.suffix == ".json":
        return isinstance(json.loads(path.read_bytes()), dict)
    return path.read_bytes().rstrip().endswith({".html": b"</html>", ".png": b"IEND\xaeB`\x82"}[path.suffix])


def writer(product: str, folder: Path, older: Path | None, prepare: Callable[[Path], None]) -> int:
    """A child that writes a product into a new folder, beside an older one of its kind or alone."""
    write, name = PRODUCTS[product]
    if older:
        shutil.copytree(older, folder)
    else:
        folder.mkdir()
    child = os.fork()
    if child == 0:
        try:
            prepare(folder)
            write(folder / name, older is not None)
            os._exit(0)
        finally:
            os._exit(1)
    return child


def report(product: str, older: bool, child: int, folder: Path) -> bool:
    """Wait for a child, print what it left, and return whether it was killed."""
    status = os.waitpid(child, 0)[1]
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, status
    hidden, visible = [], []
    for path in folder.iterdir():
        (hidden if path.name.startswith(".") else visible).append(path)
    assert all(path.suffix == ".tmp" for path in hidden), hidden
    assert os.WIFSIGNALED(status) or not hidden, hidden
    died, whole = os.WIFSIGNALED(status), all(map(is_whole, visible))
    sys.stdout.write(f"{product} {int(older)} {int(died)} {len(visible)} {int(whole)}\n")
    return died


def kill_before(step: int, folder: Path) -> None:
    """Let this process kill itself before the step of that number that it takes in the folder."""
    counter = itertools.count(1)
    plain = os.fsync

    def act(event: str, arguments: tuple[object, ...]) -> None:
        if event in EVENTS and str(arguments[0]).startswith(str(folder)) and next(counter) == step:
            os.kill(os.getpid(), signal.SIGKILL)

    def fsync(descriptor: int) -> None:
        act("open", (folder,))
        plain(descriptor)

    os.fsync = fsync
    sys.addaudithook(act)


def older_files(product: str, folder: Path) -> Path:
    write, name = PRODUCTS[product]
    folder.mkdir()
    write(folder / name, True)
    return folder


def at_every_step(product: str, folder: Path) -> None:
    # drawing a page takes long, and its steps are those of a card
    stride = 5 if product == "page" else 1
    first = older_files(product, folder / product)
    for older in (first,) if product == "page" else (first, None):
        for step in itertools.count(1, stride):
            inside = folder / f"{product}{older is not None}{step}"
            if not report(
                product, older is not None, writer(product, inside, older, partial(kill_before, step)), inside
            ):
                break


def at_instants(product: str, folder: Path, times: int = 12) -> None:
    first = older_files(product, folder / product)
    start = time.monotonic()
    os.waitpid(writer(product, folder / "measured", first, lambda _: None), 0)
    duration = time.monotonic() - start
    for i in range(times):
        child = writer(product, folder / f"{i}", first, lambda _: None)
        time.sleep(duration / 2 * (i + 0.5) / times)
        os.kill(child, signal.SIGKILL)
        report(product, True, child, folder / f"{i}")


if __name__ == "__main__":
    # the threads of a parent do not live on in its children, which would wait for them
    torch.set_num_threads(1)
    for product in SMALL:
        at_every_step(product, Path(sys.argv[1]))
    at_instants("large", Path(sys.argv[1]))
