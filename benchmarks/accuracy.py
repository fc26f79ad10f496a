"""How accurate the estimators are where the exact answer is known. Prints the tables of docs/accuracy.md.

Usage: python benchmarks/accuracy.py [steps | guidance | coverage | digits | mixtures] ...; all of them by default, in
about six minutes on one core.
"""

from __future__ import annotations

import sys
import warnings

import numpy as np
import xarray as xr
from scipy.special import stdtrit

import specent as sp
from specent.exact.expectation import monte_carlo
from specent.exact.mixture import component_weights

VE = sp.schedules.VE()
FULL = [sp.Partition.full(("a", "b"))]


def components(mean: float, dimension: int = 1) -> sp.exact.GaussianMixture:
    """Two classes of unit variance at plus and minus `mean` in every coordinate."""
    return sp.exact.GaussianMixture(np.full((2, dimension), mean) * [[-1.0], [1.0]], labels=["a", "b"])


def steps() -> None:
    """Largest error of each estimator against the exact profile, for several numbers of steps."""
    print("largest |error| of H (bit) and of the rate (bit per log_snr), means -1 and 1 per coordinate, 4000 samples")
    print(f"{'d':>4} {'steps':>6} {'path':>8} {'cross_entropy':>14} {'denoiser_gap':>13} {'rate':>8}")
    for dimension, count in ((1, 64), (1, 256), (1, 1000), (64, 64)):
        mix, time = components(1.0, dimension), sp.schedules.edm_grid(count)
        runs = sp.sample(
            sp.models.mixture(mix), schedule=VE, time=time, samples=2000, partitions=FULL,
            record=sp.Record(distances=False), progress=False,
        )  # fmt: skip
        error = abs(sp.entropy(runs, keep_replicates=False) - sp.exact.profiles(mix, VE, time, FULL).isel(estimator=0))
        worst = [f"{error.entropy.sel(estimator=name).max().item():.4f}" for name in error.estimator.values]
        rate = error.entropy_rate.sel(estimator="path").max().item()
        print(f"{dimension:4} {count:6} {worst[0]:>8} {worst[1]:>14} {worst[2]:>13} {rate:8.4f}")


def guidance() -> None:
    """The rate under guidance by Ito's lemma, by differences, and by the identity of unguided runs."""
    mix, time = components(8.0), sp.schedules.edm_grid(1000, 0.5, 80.0)
    settings = [sp.Guidance(), sp.Guidance(2.0), sp.Guidance(3.0), sp.Guidance(2.0, (4.0, 40.0))]
    runs = sp.sample(
        sp.models.mixture(mix), schedule=VE, time=time, samples=4000, partitions=FULL, guidance=settings,
        record=sp.Record(distances=False), progress=False,
    )  # fmt: skip
    profile = sp.entropy(runs, estimator=("path", "cross_entropy"), keep_replicates=False)
    # the identity that holds on unguided runs only: D_a - D_b = (m_a - m_b) / (1 + 1/sigma^2) for unit variance
    odds = runs.log_likelihood.sel(candidate="a") - runs.log_likelihood.sel(candidate="b")
    chance, gap = 1 / (1 + np.exp(-odds)), 16.0 / (1 + 1 / runs.sigma**2)
    naive = (0.5 * chance * (1 - chance) * (gap / runs.sigma) ** 2).mean(("class_label", "sample"))
    at = int(np.argmin(abs(time - 12.0)))
    near = slice(at - 20, at + 21)
    print(f"\nrate at sigma = {time[at]:.2f}, bit per log_snr, means -8 and 8, 1000 steps, 8000 samples a setting")
    print(f"{'guidance':>22} {'Ito':>8} {'interval':>18} {'slope of H':>11} {'unguided form':>14} {'H':>7} {'C':>7}")
    for name in profile.guidance.values:
        path, cross = (profile.sel(guidance=name, partition="full", estimator=e) for e in ("path", "cross_entropy"))
        rate, low, high = (path[f"entropy_rate{bound}"].isel(time=at).item() for bound in ("", "_lower", "_upper"))
        slope = -np.polyfit(path.log_snr[near], path.entropy[near], 1)[0]
        print(
            f"{name:>22} {rate:8.4f} {low:9.4f}{high:9.4f} {slope:11.4f} "
            f"{naive.sel(guidance=name).isel(time=at).item() / np.log(2):14.4f} "
            f"{path.entropy.isel(time=at).item():7.3f} {cross.entropy.isel(time=at).item():7.3f}"
        )
    print(f"exact, unguided: {sp.exact.profiles(mix, VE, time, FULL).entropy_rate.isel(time=at).item():.4f}")


def coverage() -> None:
    """Share of 95 % intervals that cover the value of all repetitions together."""
    mix, repetitions, each = components(4.0), 200, 100
    runs = sp.sample(
        sp.models.mixture(mix), schedule=VE, time=sp.schedules.edm_grid(32, 0.05, 80.0), samples=repetitions * each,
        partitions=FULL, record=sp.Record(distances=False), progress=False,
    )  # fmt: skip
    truth = sp.entropy(runs, estimator="path", replicates=50, keep_replicates=False).squeeze()
    hits = {"entropy": np.zeros(32), "entropy_rate": np.zeros(32)}
    for i in range(repetitions):
        part = runs.isel(sample=slice(i * each, (i + 1) * each))
        made = sp.entropy(part, estimator="path", keep_replicates=False, seed=i).squeeze()
        for name in hits:
            inside = (made[f"{name}_lower"] <= truth[name]) & (truth[name] <= made[f"{name}_upper"])
            hits[name] += inside.values
    carried = (truth.entropy.values * 2 * each > 3) & (truth.entropy.values < 0.999)
    print(f"\ncoverage of nominal 95 % intervals, {repetitions} repetitions of 2 x {each} trajectories")
    for name, count in hits.items():
        share = 100 * count[carried] / repetitions
        print(
            f"{name:>13}: {share.min():.1f} .. {share.max():.1f} %, mean {share.mean():.1f} %, at {carried.sum()} times"
        )


def digits() -> None:
    """The shipped model of digits against the exact profiles of the data, and the null estimator."""
    from specent.models.digits import digits_data

    model, data = sp.models.digits(), sp.models.finite(*digits_data(), name="digits")
    time = sp.schedules.edm_grid(64, 0.02, 80.0)
    pairs = [sp.Partition.pair(a, b) for i, a in enumerate(model.labels) for b in model.labels[i + 1 :]]
    partitions = [sp.Partition.full(model.labels), *pairs]
    runs = sp.sample(model, schedule=VE, time=time, samples=100, partitions=partitions, progress=False)
    exact = sp.exact.profiles(data, VE, time, partitions, samples=100, progress=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", sp.SpecentWarning)
        null = sp.entropy(runs, "full", "null", keep_replicates=False)
    measured = sp.entropy(runs)
    print("\ndigits, 64 steps, 100 samples a class, unguided")
    print(f"{'full set':>24} {'largest |H - exact|':>20} {'half-entropy sigma':>28}")
    rows = [(str(name), measured.sel(estimator=[name], partition=["full"])) for name in measured.estimator.values]
    for name, profile in [*rows, ("exact", exact.sel(partition=["full"]))]:
        worst = abs(profile.entropy.squeeze() - exact.entropy.sel(partition="full").squeeze()).max().item()
        print(f"{name:>24} {worst:20.3f} {half_sigma(profile):>28}")
    last = measured.entropy.sel(estimator="path").isel(time=0).drop_sel(partition="full")
    print(f"largest final entropy of the 45 pairs: {last.max().item():.4f} bit")
    print(f"null estimator, full set: ends at {null.entropy.isel(time=0).item():.1f} bit, "
          f"{int(null.clipped_ratios.sum())} of {runs.sizes['time'] * 1000} ratios beyond their bound")  # fmt: skip


def mixtures() -> None:
    """Exact profiles of five unequal components: standard errors, errors, and how often intervals cover."""
    variances, weights, seeds = [0.5, 1.0, 1.5, 2.0, 0.8], [0.1, 0.3, 0.2, 0.25, 0.15], range(20)
    time = np.exp(-0.5 * np.linspace(-5, 4, 12))[::-1]
    print("\nexact profiles of five unequal components, 4096 points each, bit, 12 times, 20 seeds")
    print(
        f"{'d':>4} {'standard error, largest':>24} {'its mean':>9} {'error, root mean square':>24} {'95 % cover':>11}"
    )
    for dimension in (2, 3, 7):
        means = 3 * np.random.default_rng(3).normal(size=(5, dimension))
        mix = sp.exact.GaussianMixture(means, variances, weights)
        joint = [component_weights(mix, sp.Partition.full(mix.labels))]
        truth = monte_carlo(mix, time**2, joint, 64 * 4096, 99).entropy
        runs = [monte_carlo(mix, time**2, joint, 4096, seed) for seed in seeds]
        errors = np.concatenate([run.entropy_error for run in runs]) / np.log(2)
        gaps = np.concatenate([run.entropy - truth for run in runs]) / np.log(2)
        inside = np.abs(gaps) <= stdtrit(np.concatenate([run.entropy_degrees for run in runs]), 0.975) * errors
        typical, off = np.sqrt(np.mean(errors**2, axis=0)).max(), np.sqrt(np.mean(gaps**2, axis=0)).max()
        print(f"{dimension:4} {errors.max():24.5f} {typical:9.5f} {off:24.5f} {100 * inside.mean():9.1f} %")


def half_sigma(profile: xr.Dataset) -> str:
    """Half-entropy noise level with its interval."""
    found = sp.speciation(profile, axis="sigma").squeeze()
    half, low, high = (found[f"half_entropy{end}"].item() for end in ("", "_lower", "_upper"))
    return f"{half:.3f} ({low:.3f}, {high:.3f})"


def main() -> None:
    """Run the parts that are named, or all."""
    parts = {part.__name__: part for part in (steps, guidance, coverage, digits, mixtures)}
    for name in sys.argv[1:] or parts:
        parts[name]()


if __name__ == "__main__":
    main()
