"""What a finite step does to each estimator, at equal evaluations of the denoiser, on ten exact models.

Usage: python benchmarks/discretisation.py; about a minute on one core. Prints the table of docs/accuracy.md.
"""

from __future__ import annotations

import numpy as np

import specent as sp

VE = sp.schedules.VE()
TIME = sp.schedules.edm_grid(64)
SAMPLES = 4000


def pair(
    mean: float, dimension: int, variance: float | list[float] = 1.0, weights: list[float] | None = None
) -> sp.exact.GaussianMixture:
    """Two classes at plus and minus `mean` in every coordinate."""
    return sp.exact.GaussianMixture(
        mean * np.ones((2, dimension)) * [[-1.0], [1.0]], variance, weights, labels=["a", "b"]
    )


MODELS = {
    "d = 1, means -1 and 1": pair(1.0, 1),
    "d = 1, means -4 and 4": pair(4.0, 1),
    "d = 1, variances 0.25 and 2": pair(1.0, 1, [0.25, 2.0]),
    "d = 1, one mean, variances 0.1 and 2": pair(0.0, 1, [0.1, 2.0]),
    "d = 2, variances 0.25 and 2": pair(0.7, 2, [0.25, 2.0]),
    "d = 4, prior 0.1": pair(1.0, 4, 1.0, [0.1, 0.9]),
    "d = 8, variances 0.5 and 1": pair(0.5, 8, [0.5, 1.0]),
    "d = 64, |m| = 8": pair(1.0, 64),
    "d = 64, |m| = 0.8": pair(0.1, 64),
    "d = 64, |m| = 0.8, variances 0.9, 1.1": pair(0.1, 64, [0.9, 1.1]),
}
ESTIMATORS = ("path", "denoiser_gap", "rao_blackwell")


def main() -> None:
    """Print the table."""
    print(
        f"largest |error| of H over all times, bit; {len(TIME)} steps, {SAMPLES} trajectories a class, one run for all"
    )
    print(f"{'':>38} {'path':>7} {'denoiser_gap':>16} {'rao_blackwell':>16} {'estimated bias':>15}")
    ratios = []
    for name, mix in MODELS.items():
        runs = sp.sample(
            sp.models.mixture(mix), schedule=VE, time=TIME, samples=SAMPLES, partitions="full", progress=False
        )
        made = sp.entropy(runs, "full", ESTIMATORS, replicates=50, keep_replicates=False, progress=False)
        exact = sp.exact.profiles(mix, VE, TIME, "full").entropy.isel(estimator=0)
        errors = abs(made.entropy - exact).max(("guidance", "partition", "time")).values
        bias = made.discretisation_bias.max().item()
        ratios.append(errors / errors[0])
        cells = "".join(f" {error:8.4f} ({error / errors[0]:5.3f})" for error in errors[1:])
        print(f"{name:>38} {errors[0]:7.4f}{cells} {bias:15.4f}")
    middle = np.median(ratios, axis=0)
    print(
        f"{'median of the ratios to path':>38} {middle[0]:7.3f}"
        + "".join(f" {'':>8} ({one:5.3f})" for one in middle[1:])
    )


if __name__ == "__main__":
    main()
