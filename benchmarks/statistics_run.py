"""A run of a thousand classes that keeps statistics: what it costs, extrapolated from a few of its classes.

Usage: python benchmarks/statistics_run.py [classes] [measured classes] [samples of each]. Of a Gaussian mixture in 64
dimensions, the shards of the first classes are sampled into a run folder with 64 steps, once with every candidate and
once with those that may still matter (`specent.Scoring`), and the entropy of the class given the state is compared with
an independent one: states are drawn from the forward process of the same classes, and their posterior is exact.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import xarray as xr
from numpy.typing import NDArray

import specent as sp
from specent.archive.run_folder import RunFolder
from specent.runs.carrying_out import carry_out, one_after_the_other
from specent.runs.keeping import keeping
from specent.runs.running import _prepared
from specent.runs.shards import Workload
from specent.sampling.sampler import Execution

FEATURES, STEPS, WHOLE = 64, 64, 1000
# typical distance of two means: about 11 times the standard deviation of a class
SCALE = 1.0
REFERENCE = 2000


def main() -> None:
    """Print evaluations, hours of the whole run, memory, bytes, and the distance to the exact posterior."""
    counts = [int(text) for text in sys.argv[1:]]
    classes, measured, samples = (*counts, *(1000, 20, 25)[len(counts) :])
    means = np.random.default_rng(0).normal(size=(classes, FEATURES)) * SCALE
    mixture = sp.exact.GaussianMixture(means, labels=[f"class {i}" for i in range(classes)])
    grid = sp.schedules.edm_grid(STEPS, 0.02, 100.0)
    exact, exact_error = forward_entropy(means, grid, measured)
    for scoring in (None, sp.Scoring()):
        plan = sp.Plan(
            sp.models.mixture(mixture), sp.schedules.VE(), grid, WHOLE, partitions=["full"], record="statistics",
            candidates=mixture.labels, scoring=scoring,
        )  # fmt: skip
        with tempfile.TemporaryDirectory() as name:
            seconds, statistics, size = some_shards(plan, Path(name), measured, samples)
        report(classes, measured * samples, scoring, seconds, statistics, size, exact, exact_error)


def some_shards(plan: sp.Plan, path: Path, measured: int, samples: int) -> tuple[float, xr.Dataset, int]:
    """Processor seconds of the shards of the first classes, their statistics, and the bytes of these."""
    kept = keeping(plan.setup("cpu"), Execution(check=False, threads=1), plan.statistics)
    folder = _prepared(path, plan, kept, "cpu", samples)
    shards = [shard for shard in folder.grid.shards if shard.class_stop <= measured and shard.sample_stop <= samples]
    start = time.process_time()
    carry_out(Workload(kept, folder, shards), one_after_the_other, shows=sys.stderr.isatty())
    seconds = time.process_time() - start
    there = RunFolder.read(path)
    statistics = sp.archive.sums.summed(there.read_sums(there.files())).load()
    return seconds, statistics, max(there.file(file).stat().st_size for file in there.files())


def report(
    classes: int, trajectories: int, scoring: sp.Scoring | None, seconds: float, statistics: xr.Dataset, size: int,
    exact: NDArray[np.float64], exact_error: NDArray[np.float64],
) -> None:  # fmt: skip
    """Print what was measured, and what follows from it for the whole run."""
    # the sums are weighted by the share of a class, 1 / classes
    entropy = statistics["posterior_entropy"].squeeze().values * classes / trajectories
    replicates = statistics["posterior_entropy_replicate"].squeeze().values * classes / trajectories
    # classes differ, and those measured are the same in both: only trajectories are resampled
    error = np.hypot(replicates.std(axis=0), exact_error)
    gap = np.abs(entropy - exact)
    evaluated = 1.0
    if "evaluations" in statistics:
        evaluated = float(statistics["evaluations"].sum()) / (trajectories * classes * STEPS)
    each = seconds / trajectories
    print(f"scoring={scoring}, {classes} classes, {trajectories} trajectories of {STEPS} steps")
    print(f"  network evaluations        {evaluated:9.3f} of classes x steps")
    print(f"  processor time             {1e3 * each / STEPS:9.3f} ms per trajectory and step")
    print(f"  {WHOLE} samples of each class {each * classes * WHOLE / 3600:9.1f} hours of one core, extrapolated")
    print(f"  statistics on disk         {size / 1e6:9.2f} MB, whatever the samples")
    print(f"  peak memory                {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:9.2f} GB so far")
    worst = int(np.argmax(gap / np.maximum(error, 1e-3)))
    print(f"  entropy less the exact one {gap[worst]:9.4f} bit at most, {gap[worst] / error[worst]:.1f} errors")


def forward_entropy(
    means: NDArray[np.float64], grid: NDArray[np.float64], measured: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean entropy of the exact posterior over states of some classes, in bits, and its standard error."""
    stream = np.random.default_rng(1)
    mean, error = [], []
    for level in grid:
        variance = 1 + level**2
        who = np.repeat(np.arange(measured), REFERENCE // measured)
        x = means[who] + np.sqrt(variance) * stream.normal(size=(len(who), FEATURES))
        log_density = (x @ means.T - 0.5 * (means**2).sum(axis=1)) / variance
        log_posterior = log_density - np.logaddexp.reduce(log_density, axis=1, keepdims=True)
        entropy = -(np.exp(log_posterior) * log_posterior).sum(axis=1) / np.log(2)
        mean.append(entropy.mean())
        error.append(entropy.std() / np.sqrt(len(entropy)))
    return np.array(mean), np.array(error)


if __name__ == "__main__":
    main()
