"""Make the small archive of trajectories that ships with the package: cat, dog and car as a mixture in the plane.

Two near classes and a far one, so that the coarse partition (animal or vehicle) is decided before the fine one (cat or
dog). The archive is read by specent.archive.example(), by the documentation and by the tests. Takes a few seconds.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import specent as sp
from specent import arguments
from specent.files import output_path, sha256, write_whole
from specent.studies import SampledSettings, limited_threads, output_paths, stored_settings, write_results


@dataclass(frozen=True)
class Settings(SampledSettings):
    """Settings of the shipped archive.

    Parameters
    ----------
    output : Path
        Archive of trajectories to write; a card of the same name ending in .json is written beside it.
    samples : int
        Trajectories per class and guidance setting.
    steps : int
        Noise levels.
    guidance_scale : float
        Guidance scale of the second setting.
    """

    output: Path = Path("mixture_runs.nc")
    samples: int = 60
    steps: int = 32
    guidance_scale: float = 2.0
    threads: int | None = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        arguments.whole(self.samples, "samples", least=2, most=1_000_000)
        arguments.whole(self.steps, "steps", least=2, most=100_000)
        arguments.number(self.guidance_scale, "guidance_scale", least=0, most=1e3)
        if self.guidance_scale == 1:
            raise sp.SpecentError("guidance_scale=1.0 is the first setting already; give another one")


def main(settings: Settings) -> tuple[Path, ...]:
    """Sample and write the archive and its card."""
    (path,) = output_paths(settings.output, overwrite=settings.overwrite)
    beside = output_path(path.with_suffix(".json"), ".json", overwrite=settings.overwrite, argument="output")
    mix = mixture()
    groups = {"animal": ["cat", "dog"], "vehicle": ["car"]}
    with limited_threads(settings.threads):
        runs = sp.sample(
            sp.models.mixture(mix),
            schedule=sp.schedules.VE(),
            time=sp.schedules.edm_grid(settings.steps, 0.05, 80.0),
            samples=settings.samples,
            partitions=[sp.Partition.full(mix.labels), sp.Partition.groups(groups), sp.Partition.pair("cat", "dog")],
            guidance=[sp.Guidance(), sp.Guidance(settings.guidance_scale)],
            seed=settings.seed,
            device=settings.device,
        )
    write_results(runs, path, "mixture_runs", settings)
    card = {
        "title": "Trajectories of a Gaussian mixture of three classes in the plane, unguided and guided",
        "origin": "synthetic",
        "made_by": "specent run mixture_runs",
        "licence": "BSD-3-Clause",
        "settings": stored_settings(settings, "output"),
        "seed": settings.seed,
        "sha256": sha256(path),
    }
    return path, write_whole(json.dumps(card, indent=2) + "\n", beside, overwrite=settings.overwrite)


def mixture() -> sp.exact.GaussianMixture:
    """Cat and dog two units apart, the car far from both."""
    return sp.exact.GaussianMixture(
        np.array([[-6.0, 2.0], [-6.0, -2.0], [8.0, 0.0]]), weights=[0.3, 0.3, 0.4], labels=["cat", "dog", "car"]
    )
