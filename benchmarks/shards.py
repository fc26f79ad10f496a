"""What shards cost beside their sampling: those of a thousand classes and partitions, and those of a run of many.

Usage: python benchmarks/shards.py [steps [shards]]; 64 steps and 2000 shards by default. The first line has as its
baseline the time in the chain, of the same shard; opening 2000 shards is set beside their number, and looking through
them, which includes their seals, beside opening and validating each. Processor time.
"""

from __future__ import annotations

import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import torch

import specent as sp
from specent.archive import reading, sealing
from specent.archive.run_folder import RECORD, RunFolder
from specent.archive.shards import ShardGrid
from specent.runs import shards as sampled_shards
from specent.sampling import sampler as samplers

CLASSES = 1000
FEATURES = 64
SAMPLES = 50
VALIDATED = 100


def main() -> None:
    """Print the three ratios."""
    steps, count = (int(text) for text in (*sys.argv[1:], "64", "2000")[:2])
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as scratch:
        one_class_of_many(Path(scratch, "classes"), steps)
        many_shards(Path(scratch, "shards"), count)


def one_class_of_many(folder: Path, steps: int) -> None:
    """A shard of one class, of a run of a thousand classes and as many partitions and one."""
    means = 3 * np.random.default_rng(0).normal(size=(CLASSES, FEATURES))
    model = sp.models.mixture(sp.exact.GaussianMixture(means))
    labels = list(model.labels)
    partitions = [sp.Partition.full(labels), *(sp.Partition.one_vs_rest(label, labels) for label in labels)]
    grid = sp.schedules.edm_grid(steps)
    plan = sp.Plan(model, sp.schedules.VE(), grid, SAMPLES, partitions=partitions, classes=labels[:3])
    chain: list[float] = []
    whole: list[float] = []
    for module, name, durations in ((samplers, "run_batches", chain), (sampled_shards, "sample_shard", whole)):
        setattr(module, name, timed(getattr(module, name), durations))
    sp.run(plan, folder, shard=SAMPLES, progress=False)
    # the first does what is done once in a run
    inside, outside = sum(chain[-2:]), sum(whole[-2:]) - sum(chain[-2:])
    print(
        f"a shard of {SAMPLES} samples of 1 of {CLASSES} classes, {len(partitions)} partitions, {steps} steps: "
        f"{inside / 2:.2f} s in the chain, {outside / 2:.2f} s beside it, {100 * outside / inside:.1f} %"
    )


def many_shards(folder: Path, count: int) -> None:
    """A run of small shards, which is opened, and looked through as by a run that goes on."""
    mix = sp.exact.GaussianMixture([[-4.0], [0.0], [4.0]])
    plan = sp.Plan(sp.models.mixture(mix), sp.schedules.VE(), sp.schedules.edm_grid(16), SAMPLES, partitions="full")
    there = RunFolder.read(sp.run(plan, folder, shard=SAMPLES, progress=False))
    blocks = -(-count // len(there.grid.shards))
    large = RunFolder(folder, there.plan, ShardGrid(3, (blocks * SAMPLES,), there.grid.block), there.attributes)
    Path(folder, RECORD).write_text(large.text())
    for shard in large.grid.shards[len(there.grid.shards) :]:
        copy(large, there, shard)
    shards = large.grid.shards
    opening, looking = seconds(lambda: sp.open(folder)), seconds(lambda: [large.fault(shard) for shard in shards])
    some = [large.file(shard) for shard in shards[:VALIDATED]]
    each = seconds(lambda: [reading.open_file(path) for path in some]) / VALIDATED
    print(f"{len(shards)} shards are opened as one in {opening:.2f} s")
    print(
        f"looking through them takes {looking:.1f} s, {1e3 * looking / len(shards):.1f} ms each; "
        f"validating each {1e3 * each:.1f} ms: ratio {each * len(shards) / looking:.1f}"
    )


def copy(large: RunFolder, there: RunFolder, shard: Any) -> None:
    """The shard of the same class that was sampled, with other numbers, and sealed again."""
    source = next(one for one in there.grid.shards if one.class_start == shard.class_start)
    large.file(shard).write_bytes(there.file(source).read_bytes()[: -sealing.LENGTH])
    with netCDF4.Dataset(large.file(shard), "r+") as file:
        file["sample"][:] = np.arange(shard.sample_start, shard.sample_stop)
    sealing.seal(large.file(shard))


def timed(function: Callable[..., Any], durations: list[float]) -> Callable[..., Any]:
    """The function, whose calls are timed."""

    def call(*args: Any, **options: Any) -> Any:
        start = time.process_time()
        try:
            return function(*args, **options)
        finally:
            durations.append(time.process_time() - start)

    return call


def seconds(work: Callable[[], object]) -> float:
    """Processor time of a call."""
    start = time.process_time()
    work()
    return time.process_time() - start


if __name__ == "__main__":
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", sp.SpecentWarning)
        main()
