"""How many trajectories each estimator needs, from the variance that resampling finds in one run of 64 steps.

Usage: python benchmarks/efficiency.py; less than a minute on one core. Prints the table of docs/accuracy.md.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

import specent as sp

VE = sp.schedules.VE()
TIME = sp.schedules.edm_grid(64)
# largest rms error of H in bit, and of the rate as a share of its peak
ENTROPY, RATE = 0.01, 0.05


def mixture(distance: float, variance: float | list[float] = 1.0) -> sp.exact.GaussianMixture:
    """Two classes in 64 dimensions, whose means are so far from the origin."""
    return sp.exact.GaussianMixture(np.full((2, 64), distance / 8) * [[-1.0], [1.0]], variance, labels=["a", "b"])


def needed(variance: xr.DataArray, trajectories: int, error: xr.DataArray | float) -> xr.DataArray:
    """Trajectories for an rms error, at the time where most are needed; no fewer than one per class and half."""
    return (trajectories * variance.max("time") / error**2).clip(min=4.0)


def counts(runs: xr.Dataset, partitions: str | Sequence[sp.Partition]) -> dict[str, list[xr.DataArray]]:
    """Trajectories needed for H, and for its rate, by estimator, of every partition."""
    produced = sp.entropy(runs, partitions, ("path", "denoiser_gap", "rao_blackwell"), replicates=400, progress=False)
    differences = sp.entropy(runs, partitions, "path", rate="differences", replicates=400, progress=False)
    # the trajectories of a pair
    trajectories = 2 * runs.sizes["sample"]
    peak = produced.entropy_rate.sel(estimator="rao_blackwell").max("time")
    rows: dict[str, list[xr.DataArray]] = {}
    for name, profile, estimator in (
        ("path, differences", differences, "path"), ("path, production", produced, "path"),
        ("denoiser_gap", produced, "denoiser_gap"), ("rao_blackwell", produced, "rao_blackwell"),
    ):  # fmt: skip
        one = profile.sel(estimator=estimator)
        rows[name] = [
            needed(one[f"{what}_replicate"].var("replicate"), trajectories, error)
            for what, error in (("entropy", ENTROPY), ("entropy_rate", RATE * peak))
        ]
    return rows


def main() -> None:
    """Print the tables."""
    model = sp.models.digits()
    pairs = [sp.Partition.pair(a, b) for i, a in enumerate(model.labels) for b in model.labels[i + 1 :]]
    cases: dict[str, tuple[sp.models.Model, str | Sequence[sp.Partition], int]] = {
        "|m| = 8, equal widths": (sp.models.mixture(mixture(8.0)), "full", 2000),
        "|m| = 0.8, equal widths": (sp.models.mixture(mixture(0.8)), "full", 2000),
        "|m| = 8, variances 0.5 and 1": (sp.models.mixture(mixture(8.0, [0.5, 1.0])), "full", 2000),
        "|m| = 0.8, variances 0.9 and 1.1": (sp.models.mixture(mixture(0.8, [0.9, 1.1])), "full", 2000),
        "digits, median of 45 pairs": (model, pairs, 50),
    }
    print(
        f"trajectories of both classes for {ENTROPY} bit rms of H, and {RATE:.0%} of the peak of the rate; d = 64, "
        "64 steps"
    )
    print(f"{'':>33} {'':>18} {'H':>7} {'of path':>8} {'rate':>7} {'of differences':>15}")
    for name, (source, partitions, samples) in cases.items():
        runs = sp.sample(source, schedule=VE, time=TIME, samples=samples, partitions=partitions, progress=False)
        rows = counts(runs, partitions)
        entropy, rate = rows["path, differences"]
        for row, (one, other) in rows.items():
            shares = float((one / entropy).median()), float((other / rate).median())
            print(
                f"{name:>33} {row:>18} {float(one.median()):7.0f} {shares[0]:8.3f} {float(other.median()):7.0f} "
                f"{shares[1]:15.3f}"
            )
            name = ""
    worst = [float(b.max() / a.max()) for a, b in zip(rows["path, differences"], rows["rao_blackwell"], strict=True)]
    print(f"{'digits, pair that needs most':>33} {'rao_blackwell':>18} {'':7} {worst[0]:8.3f} {'':7} {worst[1]:15.3f}")


if __name__ == "__main__":
    main()
