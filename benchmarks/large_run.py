"""What the analysis of a large run costs: memory, its rate beside that of reading, workers, and how it grows.

Usage: python benchmarks/large_run.py [GB ...]; 0.5 and 1.5 GB of values by default, as `make bench` does. 20 GB take
9 GB of disk and some minutes. One shard of ten classes is sampled, and its values are used for all samples: copies with
other numbers, sealed again. The baseline is the rate at which the variables that the analysis uses are read from the
same shards and unpacked, in the same run; memory is the largest that the process of the analysis had. Every process
computes with one thread, as workers do. What two workers gain is that of what the largest size takes beyond the
smallest, so that their start does not count.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import dask
import netCDF4
import numpy as np

import specent as sp
from specent import files
from specent.archive import sealing
from specent.archive.run_folder import RECORD, RunFolder
from specent.archive.shards import ShardGrid

CLASSES = 10
SAMPLES = 50
STEPS = 64
USED = ("log_likelihood", "production", "cross_production")


def main() -> None:
    """Print a line for each size, and what two workers gain on the largest."""
    sizes = [float(text) for text in sys.argv[1:]] or [0.5, 1.5]
    titles = ("GB", "shards", "read, s", "analysed, s", "of the rate", "s per GB", "peak, GB")
    print(" ".join(f"{title:>11}" for title in titles))
    with tempfile.TemporaryDirectory() as scratch:
        for size in sorted(sizes):
            folder = large_run(Path(scratch, f"{size:g}"), size)
            read, analysed, alone = (measured(what, folder) for what in ("read", "analyse", "start"))
            ratio = (read[0] - alone[0]) / (analysed[0] - alone[0])
            shards = len(RunFolder.read(folder).grid.shards)
            seconds = analysed[0] - alone[0]
            numbers = (size, shards, read[0] - alone[0], seconds, ratio, seconds / size, analysed[2])
            print(" ".join(f"{number:11.4g}" for number in numbers))
        if len(sizes) > 1:
            one, two = (beyond(count, Path(scratch, f"{min(sizes):g}"), folder) for count in (1, 2))
            cores = len(os.sched_getaffinity(0))
            print(f"two workers are {one / two:.2f} times as fast as one, in time that passes ({cores} cores)")


def beyond(count: int, small: Path, large: Path) -> float:
    """Seconds that pass while so many workers analyse a large run, less those of a small one."""
    return measured(f"workers {count}", large)[1] - measured(f"workers {count}", small)[1]


def large_run(folder: Path, size: float) -> Path:
    """A run folder of so many GB of values, of which one block of samples was sampled."""
    labels = [f"class {i}" for i in range(CLASSES)]
    means = 3 * np.random.default_rng(0).normal(size=(CLASSES, 8))
    model = sp.models.mixture(sp.exact.GaussianMixture(means, labels=labels))
    pairs = [sp.Partition.pair(a, b) for i, a in enumerate(labels) for b in labels[i + 1 :]]
    partitions = [sp.Partition.full(labels), *(sp.Partition.one_vs_rest(label, labels) for label in labels), *pairs]
    plan = sp.Plan(
        model, sp.schedules.VE(), sp.schedules.edm_grid(STEPS, 0.05, 80), SAMPLES, partitions=partitions,
        record=sp.Record(distances=True),
    )  # fmt: skip
    there = RunFolder.read(sp.run(plan, folder, progress=False))
    with sp.open(folder) as runs:
        blocks = max(round(size * 1e9 / runs.nbytes), 1)
    grid = ShardGrid(CLASSES, (blocks * SAMPLES,), there.grid.block)
    large = RunFolder(folder, there.plan, grid, there.attributes)
    files.write_whole(large.text(), folder / RECORD, overwrite=True)
    for shard in grid.shards[len(there.grid.shards) :]:
        source = next(one for one in there.grid.shards if one.class_start == shard.class_start)
        content = there.file(source).read_bytes()[: -sealing.LENGTH]
        large.file(shard).write_bytes(content)
        with netCDF4.Dataset(large.file(shard), "r+") as file:
            file["sample"][:] = np.arange(shard.sample_start, shard.sample_stop)
        sealing.seal(large.file(shard))
    return folder


def measured(what: str, folder: Path) -> tuple[float, float, float]:
    """Seconds of processor time, seconds that passed, and GB at most, of a new process that does it."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(
        [sys.executable, __file__, "--only", what, folder],
        check=True, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return seconds, time.perf_counter() - start, float(done.stdout)


def carry_out(what: str, folder: str) -> None:
    """The work of a process of its own; prints the GB that it had in memory at most."""
    work: dict[str, Any] = {"read": read, "analyse": analyse, "start": len}
    if what.startswith("workers"):
        with dask.config.set(scheduler="processes", num_workers=int(what.split()[1])):
            analyse(folder)
    else:
        work[what](folder)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9)


def read(folder: str) -> None:
    """Check every shard's seal, and read and unpack what the analysis uses."""
    for path in sorted(Path(folder).glob("shard-*.nc")):
        sealing.check_seal(path)
        with netCDF4.Dataset(path) as file:
            for name in USED:
                file[name].set_auto_maskandscale(False)
                file[name][...]


def analyse(folder: str) -> None:
    """Entropies, rates and intervals of all partitions."""
    with dask.config.set(scheduler=dask.config.get("scheduler", "synchronous")), sp.open(folder) as runs:
        sp.entropy(runs, estimator=("path", "cross_entropy"), progress=False)


if __name__ == "__main__":
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", sp.SpecentWarning)
        if sys.argv[1:2] == ["--only"]:
            carry_out(*sys.argv[2:])
        else:
            main()
