"""A Gaussian mixture and two partitions: all its labels, and one pair of them (arXiv 2602.09651, Fig. 1a).

Which of all components, and which of two near ones: the entropy of the second falls later, and its rate peaks
elsewhere. The exact profiles stand beside the estimates from a sampled chain, in a dimension where quadrature would
be hopeless and the span of the means is not. Takes a few seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

import specent as sp
from specent import arguments
from specent.studies import ShardedSettings, limited_threads, output_paths, run_folder, sampled, write_results


@dataclass(frozen=True)
class Settings(ShardedSettings):
    """Settings of the study of two partitions. The seed draws the means too.

    Parameters
    ----------
    output : Path
        Archive of profiles to write.
    components : int
        Number of components, each a class.
    dimension : int
        Ambient dimension.
    radius : float
        Typical distance of a mean from the origin, per root of the dimension.
    near : float
        Distance between the two near components, as a share of the typical distance of two means.
    steps : int
        Number of noise levels.
    samples : int
        Trajectories per component.
    """

    output: Path = Path("gmm_partition.nc")
    components: int = 6
    dimension: int = 32
    radius: float = 4.0
    near: float = 0.3
    steps: int = 128
    samples: int = 300
    threads: int | None = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        # a letter for every component
        arguments.whole(self.components, "components", least=3, most=26)
        arguments.whole(self.dimension, "dimension", least=2, most=100_000)
        arguments.number(self.radius, "radius", least=1e-6, most=1e6)
        arguments.number(self.near, "near", least=1e-6, most=1e3)
        arguments.whole(self.steps, "steps", least=2, most=100_000)
        arguments.whole(self.samples, "samples", least=2, most=1_000_000)


def main(settings: Settings) -> Path:
    """Compute the exact and the sampled profiles and write them to one archive."""
    (path,) = output_paths(settings.output, overwrite=settings.overwrite)
    mix = mixture(settings)
    partitions = [sp.Partition.full(mix.labels), sp.Partition.pair(mix.labels[0], mix.labels[1])]
    schedule, time = sp.schedules.VE(), sp.schedules.edm_grid(settings.steps, sigma_min=0.05, sigma_max=200.0)
    plan = sp.Plan(sp.models.mixture(mix), schedule, time, settings.samples, partitions, seed=settings.seed)
    with limited_threads(settings.threads), run_folder(settings, path) as folder:
        runs = sampled(folder, plan, settings)
        exact = sp.exact.profiles(mix, schedule, time, partitions, seed=settings.seed)
        profiles = sp.analysis.combine(exact, sp.entropy(runs, keep_replicates=False))
        write_results(profiles, path, "gmm_partition", settings)
    return path


def mixture(settings: Settings) -> sp.exact.GaussianMixture:
    """Random means, the second one pulled towards the first."""
    means = settings.radius * np.random.default_rng(settings.seed).normal(
        size=(settings.components, settings.dimension)
    )
    means[1] = means[0] + settings.near * (means[1] - means[0])
    return sp.exact.GaussianMixture(means, labels=[chr(ord("A") + i) for i in range(settings.components)])
