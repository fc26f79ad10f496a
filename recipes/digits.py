"""When a trained model of real images decides: the 8 x 8 handwritten digits, unguided and guided.

Ten classes; the questions are the full label set, each class against the rest, and all 45 pairs. The trajectories go
to OUTPUT; beside it the profiles of every estimator (..._profiles.nc) and the exact profiles of the data set itself
(..._exact.nc), a mixture of point masses whose posterior is known. Takes about two minutes on two cores with the
default settings.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

import specent as sp
from specent.models.digits import digits_data


@dataclass(frozen=True)
class Settings:
    """Settings of the digits study.

    Parameters
    ----------
    output : Path
        Archive of trajectories to write; the profiles are written beside it.
    overwrite : bool
        Replace existing archives.
    seed : int
        Seed of the random streams.
    samples : int
        Trajectories per class and guidance setting.
    steps : int
        Noise levels of the chain.
    sigma_min : float
        Smallest noise level.
    sigma_max : float
        Largest noise level.
    guidance_scale : float
        Guidance scale of the second setting; 1 leaves it out.
    guidance_interval : tuple of float
        Noise levels between which guidance applies.
    exact_samples : int
        Draws per class for the exact profiles.
    predictions : int
        How many predictions of the data are kept along each trajectory.
    device : {"cpu", "cuda"}
        Where the network runs.
    checkpoint : Path, optional
        A checkpoint of train_digits; the shipped one if not given.
    """

    output: Path = Path("digits.nc")
    overwrite: bool = False
    seed: int = 0
    samples: int = 100
    steps: int = 64
    sigma_min: float = 0.02
    sigma_max: float = 80.0
    guidance_scale: float = 2.0
    guidance_interval: tuple[float, float] = (0.0, np.inf)
    exact_samples: int = 300
    predictions: int = 12
    device: str = "cpu"
    checkpoint: Path | None = None


def main(settings: Settings) -> tuple[Path, ...]:
    """Sample, analyse, and write the trajectories, their profiles and the exact ones."""
    stem = settings.output.with_suffix("")
    paths = [settings.output, Path(f"{stem}_profiles.nc"), Path(f"{stem}_exact.nc")]
    paths = [sp.archive.check_output(path, overwrite=settings.overwrite) for path in paths]
    model = sp.models.digits(settings.checkpoint)
    data = sp.models.finite(*digits_data(), name="digits")
    partitions = questions(model.labels)
    guidance = [sp.Guidance()]
    if settings.guidance_scale != 1:
        guidance.append(sp.Guidance(settings.guidance_scale, settings.guidance_interval))
    schedule = sp.schedules.VE()
    time = sp.schedules.edm_grid(settings.steps, settings.sigma_min, settings.sigma_max)
    runs = sp.sample(
        model,
        schedule=schedule,
        time=time,
        samples=settings.samples,
        partitions=partitions,
        guidance=guidance,
        seed=settings.seed,
        device=settings.device,
        predictions=np.geomspace(settings.sigma_min, settings.sigma_max, settings.predictions).clip(time[0], time[-1]),
    )
    exact = sp.models.exact_profiles(
        data, schedule, time, partitions, samples=settings.exact_samples, seed=settings.seed, device=settings.device
    )
    profiles = sp.entropy(runs)
    recipe = {key: str(value) if isinstance(value, Path) else value for key, value in asdict(settings).items()}
    return tuple(
        sp.write(sp.schema.with_settings(made, recipe="digits", recipe_settings=recipe), path, overwrite=True)
        for made, path in zip((runs, profiles, exact), paths, strict=True)
    )


def questions(labels: tuple[str, ...]) -> list[sp.Partition]:
    """The full label set, every class against the rest, and every pair."""
    pairs = [sp.Partition.pair(a, b) for i, a in enumerate(labels) for b in labels[i + 1 :]]
    return [sp.Partition.full(labels), *(sp.Partition.one_vs_rest(label, labels) for label in labels), *pairs]
