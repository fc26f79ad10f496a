"""What compact trajectories cost on disk, and how far the numbers move: the study of digits, by its own settings.

Usage: python benchmarks/archives.py [samples]; 100 of each digit by default, in about a minute. The baseline of bytes
and time is the same dataset in double precision, written in the same run.
"""

from __future__ import annotations

import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np

import specent as sp
from specent.studies import recipe

TURNS = 3


def main() -> None:
    """Print bytes, seconds of processor time, and the largest change of entropies and rates."""
    module = recipe("digits")
    settings = module.Settings(samples=int(sys.argv[1]) if len(sys.argv) > 1 else 100)
    model = sp.models.digits()
    channel = sp.schedules.VE(), sp.schedules.edm_grid(settings.steps, settings.sigma_min, settings.sigma_max)
    plan = module.planned(settings, model, channel, module.partitions_of(model.labels))
    names = ("schedule", "time", "samples", "partitions", "guidance", "seed", "record")
    runs = sp.sample(plan.model, progress=False, **{name: getattr(plan, name) for name in names})
    small = sp.schema.compact(runs)
    seconds: dict[str, list[float]] = {"double precision": [], "compact": []}
    sizes = {}
    with tempfile.TemporaryDirectory() as folder:
        for turn in range(TURNS):
            for name, dataset in zip(seconds, (runs, small), strict=True):
                start = time.process_time()
                path = sp.write(dataset, Path(folder, f"{name} {turn}.nc"))
                seconds[name].append(time.process_time() - start)
                sizes[name] = path.stat().st_size / 1e6
    medians = {name: float(np.median(values)) for name, values in seconds.items()}
    for name, size in sizes.items():
        print(f"{name:>16}: {size:8.2f} MB, {medians[name]:6.2f} s")
    print(f"bytes {sizes['compact'] / sizes['double precision']:.2f} of those of double precision")
    print(f"written {medians['double precision'] / medians['compact']:.1f} times as fast")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", sp.SpecentWarning)
        before, after = (sp.entropy(dataset, progress=False) for dataset in (runs, small))
    for name in ("entropy", "entropy_rate"):
        print(f"largest change of {name}: {float(np.abs(after[name] - before[name]).max()):.1e} bit")


if __name__ == "__main__":
    main()
