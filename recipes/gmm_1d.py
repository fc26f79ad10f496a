"""One-dimensional Gaussian mixtures: the entropy rate beside the bifurcation points (arXiv 2506.10433, Fig. 1).

A hierarchy of four narrow components: two far groups, each of two near members. The exact profile of every partition
(which component, which group, which member) stands beside the estimates from a sampled chain. The printed table shows
where each rate peaks on several axes: the peak depends on the axis, and does not coincide with the bifurcation of
the drift. Takes a few seconds.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr

import specent as sp
from specent import arguments
from specent.studies import (
    ShardedSettings,
    limited_threads,
    output_paths,
    print_lines,
    run_folder,
    sampled,
    write_results,
)


@dataclass(frozen=True)
class Settings(ShardedSettings):
    """Settings of the one-dimensional study.

    Parameters
    ----------
    output : Path
        Archive of profiles to write.
    means : tuple of float
        Means of the components, the two halves of the list being the two groups.
    deviation : float
        Standard deviation of every component.
    steps : int
        Number of noise levels.
    log_snr_min : float
        Log-SNR at the noisy end.
    log_snr_max : float
        Log-SNR at the clean end.
    samples : int
        Trajectories per component.
    """

    output: Path = Path("gmm_1d.nc")
    means: tuple[float, ...] = (-1.2, -0.8, 0.8, 1.2)
    deviation: float = 0.05
    steps: int = 256
    log_snr_min: float = -8.0
    log_snr_max: float = 8.0
    samples: int = 500
    threads: int | None = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        # beyond these the squares, and what is divided by them, leave the range of numbers
        for mean in self.means:
            arguments.number(mean, "means", least=-1e6, most=1e6)
        if len(self.means) < 2 or len(set(component_labels(self.means))) < len(self.means):
            raise sp.SpecentError(f"means={self.means}: at least two components are needed, all different")
        arguments.number(self.deviation, "deviation", least=1e-6, most=1e6)
        arguments.whole(self.steps, "steps", least=2, most=100_000)
        arguments.number(self.log_snr_min, "log_snr_min", least=-50)
        arguments.number(self.log_snr_max, "log_snr_max", above=self.log_snr_min, most=50)
        arguments.whole(self.samples, "samples", least=2, most=1_000_000)


def main(settings: Settings) -> Path:
    """Compute the exact and the sampled profiles, write them to one archive, and print where the rates peak."""
    (path,) = output_paths(settings.output, overwrite=settings.overwrite)
    labels = component_labels(settings.means)
    mix = sp.exact.GaussianMixture(np.array(settings.means)[:, None], settings.deviation**2, labels=labels)
    partitions = [sp.Partition.full(labels)]
    if len(labels) >= 4:
        half = len(labels) // 2
        partitions.append(sp.Partition.groups({"left": labels[:half], "right": labels[half:]}))
        partitions.append(sp.Partition.pair(labels[0], labels[1]))
    schedule = sp.schedules.VP()
    time = sp.schedules.log_snr_grid(schedule, settings.steps, settings.log_snr_min, settings.log_snr_max)
    plan = sp.Plan(sp.models.mixture(mix), schedule, time, settings.samples, partitions, seed=settings.seed)
    with limited_threads(settings.threads), run_folder(settings, path) as folder:
        runs = sampled(folder, plan, settings)
        exact = sp.exact.profiles(mix, schedule, time, partitions)
        profiles = sp.analysis.combine(exact, sp.entropy(runs, keep_replicates=False))
        write_results(profiles, path, "gmm_1d", settings)
    print_lines(lambda: peaks(exact))
    return path


def component_labels(means: tuple[float, ...]) -> list[str]:
    """A label for every component: where it stands."""
    return [f"{mean:+.12g}" for mean in means]


def peaks(exact: xr.Dataset) -> Iterator[str]:
    """Lines of text: where the exact rate of every partition peaks on each axis."""
    by_time, by_level = (sp.speciation(exact, axis=axis) for axis in ("time", "log_sigma"))
    yield "\nPeak of the exact entropy rate, in the units of each axis"
    yield f"{'partition':>16} {'dH/dt at t':>12} {'dH/dln sigma at sigma':>24} {'half-entropy t':>16}"
    for name in by_time.partition.values:
        first, second = (spec.sel(partition=name).squeeze() for spec in (by_time, by_level))
        level = np.exp(float(second.peak))
        half = f"{float(first.half_entropy):.4f}" if np.isfinite(first.half_entropy) else "never"
        yield f"{name:>16} {float(first.peak):12.4f} {level:24.4f} {half:>16}"
    yield f"bifurcation of the drift of two points at +-1: t = {float(sp.exact.symmetry_breaking_time()):.4f}"
