"""What compact trajectories cost on disk, and how far the numbers move: the study of digits, by its own settings.

Usage: python benchmarks/archives.py [samples]; 100 of each digit by default, in about a minute. The baseline of bytes
and time is what version 1 of the format did with the numbers of the same dataset, in double precision and in the same
run: netCDF and its zlib, a digest of every piece, the seal, and all of it read back. Its texts, attributes and
validation are left out, which favours it. Processor time.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import netCDF4
import numpy as np
import xarray as xr

import specent as sp
from specent.archive import sealing
from specent.studies import recipe

TURNS = 3
BASELINE = "version 1"


def main() -> None:
    """Print bytes, seconds, and the largest change of entropies and rates."""
    module = recipe("digits")
    settings = module.Settings(samples=int(sys.argv[1]) if len(sys.argv) > 1 else 100)
    model = sp.models.digits()
    channel = sp.schedules.VE(), sp.schedules.edm_grid(settings.steps, settings.sigma_min, settings.sigma_max)
    plan = module.planned(settings, model, channel, module.partitions_of(model.labels))
    names = ("schedule", "time", "samples", "partitions", "guidance", "seed", "record")
    runs = sp.sample(plan.model, progress=False, **{name: getattr(plan, name) for name in names})
    small = sp.schema.compact(runs)
    works: dict[str, Callable[[Path], object]] = {
        BASELINE: lambda path: write_version_1(runs, path),
        "double precision": lambda path: sp.write(runs, path),
        "compact": lambda path: sp.write(small, path),
        "rounding": lambda path: sp.schema.compact(runs),
    }
    seconds: dict[str, list[float]] = {name: [] for name in works}
    sizes: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        for turn, (name, work) in itertools.product(range(TURNS), works.items()):
            path = Path(folder, f"{name} {turn}.nc")
            start = time.process_time()
            work(path)
            seconds[name].append(time.process_time() - start)
            sizes[name] = path.stat().st_size / 1e6 if path.exists() else 0.0
            path.unlink(missing_ok=True)
    medians = {name: float(np.median(values)) for name, values in seconds.items()}
    for name, median in medians.items():
        print(f"{name:>16}: {sizes[name]:8.2f} MB, {median:6.2f} s")
    print(f"bytes {sizes['compact'] / sizes[BASELINE]:.2f} of those of version 1")
    print(f"written {medians[BASELINE] / medians['compact']:.1f} times as fast")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", sp.SpecentWarning)
        before, after = (sp.entropy(dataset, progress=False) for dataset in (runs, small))
    for name in ("entropy", "entropy_rate"):
        print(f"largest change of {name}: {float(np.abs(after[name] - before[name]).max()):.1e} bit")


def write_version_1(dataset: xr.Dataset, path: Path) -> None:
    """The numbers of a dataset as version 1 wrote and compared them, piece by piece."""
    numbers = {str(name): one.values for name, one in dataset.variables.items() if one.dtype.kind in "fiu"}
    digests = []
    with netCDF4.Dataset(path, "w") as file:
        for dim, size in dataset.sizes.items():
            file.createDimension(str(dim), size)
        for name, values in numbers.items():
            chunks, dims = chunks_of_version_1(values), [str(dim) for dim in dataset[name].dims]
            file.createVariable(
                name, values.dtype.name, dims, chunksizes=chunks, compression="zlib", complevel=1, shuffle=True,
                fletcher32=True,
            )  # fmt: skip
            for piece in pieces(values.shape, chunks):
                file[name][piece] = values[piece]
                digests.append((name, piece, digest(values[piece])))
    sealing.seal(path)
    with path.open("rb+") as stored:
        os.fsync(stored)
    sealing.check_seal(path)
    with netCDF4.Dataset(path) as file:
        file.set_auto_maskandscale(False)
        if any(digest(file[name][piece]) != before for name, piece, before in digests):
            raise RuntimeError("what was read back differs from what was written")


def chunks_of_version_1(values: np.ndarray) -> tuple[int, ...]:
    """Up to 4 MB, the last dimensions together."""
    room = max((4 << 20) // values.itemsize, 1)
    chunks: list[int] = []
    for size in reversed(values.shape):
        parts = -(-size // room)
        chunks.append(-(-size // parts))
        room = 1 if parts > 1 else max(room // size, 1)
    return tuple(reversed(chunks))


def pieces(shape: tuple[int, ...], chunks: tuple[int, ...]) -> Iterator[tuple[slice, ...]]:
    """The chunks of a variable."""
    for corner in itertools.product(*map(range, [0] * len(shape), shape, chunks)):
        yield tuple(slice(start, start + step) for start, step in zip(corner, chunks, strict=True))


def digest(values: np.ndarray) -> str:
    """SHA-256 of a piece."""
    return hashlib.sha256(np.ascontiguousarray(values).data).hexdigest()


if __name__ == "__main__":
    main()
