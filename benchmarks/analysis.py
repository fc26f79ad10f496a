"""What the analysis of many partitions costs. Prints ratios, which do not depend on the machine so much as times do.

Usage: python benchmarks/analysis.py [CLASSES [SAMPLES]]; 30 classes of 20 samples by default, in about a minute. Pairs
are analysed that were not named at sampling, with rates by differences and from the distances between denoisers.
"""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import xarray as xr

import specent as sp

STEPS = 64
DIMENSION = 8


def main() -> None:
    """Print a table with and without distances."""
    classes, samples = (int(text) for text in (*sys.argv[1:], "30", "20")[:2])
    print(f"{classes} classes, {samples} samples each, {STEPS} times; CPU time")
    print(f"{'rates':>12} {'pairs':>6} {'seconds':>8} {'pairs per reading':>18} {'per pair, to that of a quarter':>31}")
    for distances in (False, True):
        report(trajectories(classes, samples, distances), distances)


def report(runs: xr.Dataset, distances: bool) -> None:
    """How many pairs are analysed in the time that log_likelihood is read once, and how the time grows with them."""
    options: dict[str, Any] = {} if distances else {"estimator": ("path", "cross_entropy"), "rate": "differences"}
    labels = [str(label) for label in runs["class_label"].values]
    pairs = [sp.Partition.pair(a, b) for i, a in enumerate(labels) for b in labels[i + 1 :]]
    reading = seconds(runs.log_likelihood.sum)
    few, many = (seconds(partial(sp.entropy, runs, some, **options)) for some in (pairs[::4], pairs))
    ratio = many / len(pairs) / (few / len(pairs[::4]))
    name = "production" if distances else "differences"
    print(f"{name:>12} {len(pairs):6} {many:8.1f} {len(pairs) * reading / many:18.3f} {ratio:31.2f}")


def trajectories(classes: int, samples: int, distances: bool) -> xr.Dataset:
    """Trajectories of a mixture whose means lie at random."""
    means = 3 * np.random.default_rng(0).normal(size=(classes, DIMENSION))
    return sp.sample(
        sp.models.mixture(sp.exact.GaussianMixture(means)), schedule=sp.schedules.VE(),
        time=sp.schedules.edm_grid(STEPS, 0.05, 80), samples=samples, record=sp.Record(distances=distances),
        progress=False,
    )  # fmt: skip


def seconds(work: Callable[[], object]) -> float:
    """CPU time of the faster of two calls."""
    times = []
    for _ in range(2):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return min(times)


if __name__ == "__main__":
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", sp.SpecentWarning)
        main()
