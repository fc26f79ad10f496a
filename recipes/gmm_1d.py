"""One-dimensional Gaussian mixtures: the entropy rate beside the bifurcation points (arXiv 2506.10433, Fig. 1).

A hierarchy of four narrow components: two far groups, each of two near members. The exact profile of every question
(which component, which group, which member) stands beside the estimates from a sampled chain. The printed table shows
where each rate peaks on several axes: the place depends on the axis, and does not coincide with the bifurcation of
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
from specent.studies.shipped import recorded, tell


@dataclass(frozen=True)
class Settings:
    """Settings of the one-dimensional study.

    Parameters
    ----------
    output : Path
        Archive of profiles to write.
    overwrite : bool
        Replace an existing archive.
    seed : int
        Seed of the random streams.
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
    overwrite: bool = False
    seed: int = 0
    means: tuple[float, ...] = (-1.2, -0.8, 0.8, 1.2)
    deviation: float = 0.05
    steps: int = 256
    log_snr_min: float = -8.0
    log_snr_max: float = 8.0
    samples: int = 500

    def __post_init__(self) -> None:
        arguments.whole(self.seed, "seed")
        # beyond these the squares, and what is divided by them, leave the range of numbers
        for mean in self.means:
            arguments.number(mean, "means", least=-1e6, most=1e6)
        if len(self.means) < 2 or len(set(named(self.means))) < len(self.means):
            raise sp.SpecentError(f"means={self.means}: at least two components are needed, all at different places")
        arguments.number(self.deviation, "deviation", least=1e-6, most=1e6)
        arguments.whole(self.steps, "steps", least=2, most=100_000)
        arguments.number(self.log_snr_min, "log_snr_min", least=-50)
        arguments.number(self.log_snr_max, "log_snr_max", above=self.log_snr_min, most=50)
        arguments.whole(self.samples, "samples", least=2, most=1_000_000)


def main(settings: Settings) -> Path:
    """Compute the exact and the sampled profiles, write them to one archive, and print where the rates peak."""
    path = sp.archive.check_output(settings.output, overwrite=settings.overwrite)
    labels = named(settings.means)
    mix = sp.exact.GaussianMixture(np.array(settings.means)[:, None], settings.deviation**2, labels=labels)
    partitions = [sp.Partition.full(labels)]
    if len(labels) >= 4:
        half = len(labels) // 2
        partitions.append(sp.Partition.groups({"left": labels[:half], "right": labels[half:]}))
        partitions.append(sp.Partition.pair(labels[0], labels[1]))
    schedule = sp.schedules.VP()
    time = sp.schedules.log_snr_grid(schedule, settings.steps, settings.log_snr_min, settings.log_snr_max)
    runs = sp.sample(
        sp.models.mixture(mix),
        schedule=schedule,
        time=time,
        samples=settings.samples,
        partitions=partitions,
        seed=settings.seed,
    )
    exact = sp.exact.profiles(mix, schedule, time, partitions)
    made = sp.analysis.combine(exact, sp.entropy(runs, keep_replicates=False))
    made = sp.schema.with_settings(made, recipe="gmm_1d", recipe_settings=recorded(settings))
    sp.write(made, path, overwrite=settings.overwrite)
    tell(lambda: peaks(exact))
    return path


def named(means: tuple[float, ...]) -> list[str]:
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
        yield f"{name:>16} {float(first.peak):12.4f} {level:24.4f} {float(first.half_entropy):16.4f}"
    yield f"bifurcation of the drift of two points at +-1: t = {float(sp.exact.symmetry_breaking_time()):.4f}"
