"""When a trained model of real images decides: the 8 x 8 handwritten digits, unguided and guided.

Ten classes; the questions are the full label set, each class against the rest, and all 45 pairs. The trajectories go
to OUTPUT; beside it the profiles of every estimator (..._profiles.nc) and the exact profiles of the data set itself
(..._exact.nc), a mixture of point masses whose posterior is known. Takes about a minute on two cores with the
default settings.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray

import specent as sp
from specent import arguments
from specent.models import Model
from specent.models.base import resolve_device
from specent.models.digits import digits_data
from specent.studies.shipped import recorded

Clock = tuple[sp.schedules.Schedule, NDArray[np.float64]]


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
        How many predictions of the data are kept along each trajectory, evenly over the logarithm of the noise level.
    device : {"cpu", "cuda"}
        Where the network runs.
    checkpoint : Path, optional
        A checkpoint of train_digits; the shipped one if not given.
    threads : int
        Processor threads of the network, which is so small that more of them wait for each other; 0 leaves the choice
        to torch.
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
    predictions: int = 16
    device: str = "cpu"
    checkpoint: Path | None = None
    threads: int = 1

    def __post_init__(self) -> None:
        arguments.whole(self.seed, "seed")
        arguments.whole(self.samples, "samples", least=2, most=1_000_000)
        arguments.whole(self.steps, "steps", least=2, most=100_000)
        arguments.number(self.sigma_min, "sigma_min", least=1e-6)
        arguments.number(self.sigma_max, "sigma_max", above=self.sigma_min, most=1e6)
        arguments.number(self.guidance_scale, "guidance_scale", least=0, most=1e3)
        sp.Guidance(self.guidance_scale, self.guidance_interval)
        arguments.whole(self.exact_samples, "exact_samples", least=2, most=1_000_000)
        arguments.whole(self.predictions, "predictions", most=1000)
        arguments.whole(self.threads, "threads", most=1024)
        resolve_device(self.device)


def main(settings: Settings) -> tuple[Path, ...]:
    """Sample, analyse, and write the trajectories, their profiles and the exact ones."""
    first = sp.archive.check_output(settings.output, overwrite=settings.overwrite)
    beside = [first.with_name(f"{first.stem}_{what}.nc") for what in ("profiles", "exact")]
    paths = [first, *(sp.archive.check_output(path, overwrite=settings.overwrite) for path in beside)]
    model = sp.models.digits(checkpoint(settings))
    partitions = questions(model.labels)
    clock = sp.schedules.VE(), sp.schedules.edm_grid(settings.steps, settings.sigma_min, settings.sigma_max)

    def put(made: xr.Dataset, path: Path) -> Path:
        made = sp.schema.with_settings(made, recipe="digits", recipe_settings=recorded(settings))
        return sp.write(made, path, overwrite=settings.overwrite)

    with limited(settings.threads):
        # each is written as soon as it is there, so that a later failure costs no samples
        runs = sampled(settings, model, clock, partitions)
        put(runs, paths[0])
        put(sp.entropy(runs), paths[1])
        put(exact(settings, clock, partitions), paths[2])
    return tuple(paths)


def sampled(settings: Settings, model: Model, clock: Clock, partitions: list[sp.Partition]) -> xr.Dataset:
    """Trajectories, unguided and guided."""
    schedule, time = clock
    guidance = [sp.Guidance()]
    if settings.guidance_scale != 1:
        guidance.append(sp.Guidance(settings.guidance_scale, settings.guidance_interval))
    shown = np.geomspace(settings.sigma_min, settings.sigma_max, settings.predictions).clip(time[0], time[-1])
    return sp.sample(
        model,
        schedule=schedule,
        time=time,
        samples=settings.samples,
        partitions=partitions,
        guidance=guidance,
        seed=settings.seed,
        device=settings.device,
        record=sp.Record(shown),
    )


def exact(settings: Settings, clock: Clock, partitions: list[sp.Partition]) -> xr.Dataset:
    """Profiles of the data set itself, a mixture of point masses."""
    return sp.models.exact_profiles(
        sp.models.finite(*digits_data(), name="digits"),
        *clock,
        partitions,
        samples=settings.exact_samples,
        seed=settings.seed,
        device=settings.device,
    )


def checkpoint(settings: Settings) -> Path | None:
    """File of the checkpoint, which is checked to be one."""
    if settings.checkpoint is None:
        return None
    try:
        file = Path(settings.checkpoint).expanduser()
        found = file.is_file() and file.suffix == ".safetensors"
    except (OSError, RuntimeError, ValueError):
        found = False
    if not found:
        raise sp.SpecentError(
            f"checkpoint={str(settings.checkpoint)!r} is no file ending in .safetensors; give one of train_digits"
        )
    return file


@contextmanager
def limited(threads: int) -> Iterator[None]:
    """Within it, torch uses so many threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def questions(labels: tuple[str, ...]) -> list[sp.Partition]:
    """The full label set, every class against the rest, and every pair."""
    pairs = [sp.Partition.pair(a, b) for i, a in enumerate(labels) for b in labels[i + 1 :]]
    return [sp.Partition.full(labels), *(sp.Partition.one_vs_rest(label, labels) for label in labels), *pairs]
