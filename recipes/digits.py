"""When a trained model of real images decides: the 8 x 8 handwritten digits, unguided and guided.

Ten classes; the partitions are the full label set, each class against the rest, and all 45 pairs. The trajectories go
to OUTPUT; beside it the profiles of every estimator (..._profiles.nc) and the exact profiles of the data set itself
(..._exact.nc), a mixture of point masses whose posterior is known. Interrupted, the same command goes on where it
stopped. Takes about a minute on two cores with the default settings.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr
from numpy.typing import NDArray

import specent as sp
from specent import arguments
from specent.models import Model
from specent.models.digits import digits_data
from specent.studies import (
    ShardedSettings,
    limited_threads,
    output_paths,
    print_lines,
    run_folder,
    sampled,
    write_results,
)

Channel = tuple[sp.schedules.Schedule, NDArray[np.float64]]


@dataclass(frozen=True)
class Settings(ShardedSettings):
    """Settings of the digits study.

    Parameters
    ----------
    output : Path
        Archive of trajectories to write; the profiles are written beside it.
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
    checkpoint : Path, optional
        A checkpoint of train_digits; the shipped one if not given.
    """

    output: Path = Path("digits.nc")
    samples: int = 100
    steps: int = 64
    sigma_min: float = 0.02
    sigma_max: float = 80.0
    guidance_scale: float = 2.0
    guidance_interval: tuple[float, float] = (0.0, np.inf)
    exact_samples: int = 300
    predictions: int = 16
    checkpoint: Path | None = None
    threads: int | None = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        arguments.whole(self.samples, "samples", least=2, most=1_000_000)
        arguments.whole(self.steps, "steps", least=2, most=100_000)
        arguments.number(self.sigma_min, "sigma_min", least=1e-6)
        arguments.number(self.sigma_max, "sigma_max", above=self.sigma_min, most=1e6)
        arguments.number(self.guidance_scale, "guidance_scale", least=0, most=1e3)
        sp.Guidance(self.guidance_scale, self.guidance_interval)
        arguments.whole(self.exact_samples, "exact_samples", least=2, most=1_000_000)
        arguments.whole(self.predictions, "predictions", most=1000)


def main(settings: Settings) -> tuple[Path, ...]:
    """Sample, analyse, and write the trajectories, their profiles and the exact ones."""
    paths = output_paths(settings.output, "profiles", "exact", overwrite=settings.overwrite)
    model = sp.models.digits(checkpoint(settings))
    partitions = partitions_of(model.labels)
    channel = sp.schedules.VE(), sp.schedules.edm_grid(settings.steps, settings.sigma_min, settings.sigma_max)
    with limited_threads(settings.threads), run_folder(settings, paths[0]) as folder:
        runs = sampled(folder, planned(settings, model, channel, partitions), settings)
        write_results(runs, paths[0], "digits", settings)
        write_results(sp.entropy(paths[0]), paths[1], "digits", settings)
        write_results(exact_profiles(settings, channel, partitions), paths[2], "digits", settings)
    print_lines(lambda: filter(None, [sp.analysis.guidance_price_text(sp.open(paths[0]))]))
    return tuple(paths)


def planned(settings: Settings, model: Model, channel: Channel, partitions: list[sp.Partition]) -> sp.Plan:
    """Trajectories, unguided and guided."""
    schedule, time = channel
    guidance = [sp.Guidance()]
    if settings.guidance_scale != 1:
        guidance.append(sp.Guidance(settings.guidance_scale, settings.guidance_interval))
    shown = np.geomspace(settings.sigma_min, settings.sigma_max, settings.predictions).clip(time[0], time[-1])
    return sp.Plan(
        model, schedule, time, settings.samples, partitions, guidance, seed=settings.seed, record=sp.Record(shown)
    )


def exact_profiles(settings: Settings, channel: Channel, partitions: list[sp.Partition]) -> xr.Dataset:
    """Profiles of the data set itself, a mixture of point masses."""
    return sp.exact.profiles(
        sp.models.finite(*digits_data(), name="digits"),
        *channel,
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
        usable = file.is_file() and file.suffix == ".safetensors"
    except (OSError, RuntimeError, ValueError):
        usable = False
    if not usable:
        raise sp.SpecentError(
            f"checkpoint={str(settings.checkpoint)!r} is no file ending in .safetensors; give one of train_digits"
        )
    return file


def partitions_of(labels: tuple[str, ...]) -> list[sp.Partition]:
    """The full label set, every class against the rest, and every pair."""
    pairs = [sp.Partition.pair(a, b) for i, a in enumerate(labels) for b in labels[i + 1 :]]
    return [sp.Partition.full(labels), *(sp.Partition.one_vs_rest(label, labels) for label in labels), *pairs]
