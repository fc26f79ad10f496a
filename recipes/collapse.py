"""Which class, and then which image: the whole information budget of a data set, and where its denoiser memorises it.

Every image of the handwritten digits has a label of its own, in groups by the digit. The exact entropies of the class,
of the image, and of the image given the class go to OUTPUT: what the state tells of the image is what it tells of the
class and what it then tells of the image, noise level by noise level. Where half of the entropy of the image is left
stands beside the prediction from the variances of the data alone, and so it does for Gaussian data of several sizes
(..._gaussian.nc holds the largest). Takes about two minutes on one core.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr
from tqdm.auto import tqdm

import specent as sp
from specent import arguments
from specent.models.digits import digits_data
from specent.studies import (
    SampledSettings,
    half_entropy_text,
    limited_threads,
    output_paths,
    print_lines,
    tiny_settings,
    write_results,
)

IMAGE = "image"


@dataclass(frozen=True)
class Settings(SampledSettings):
    """Settings of the study of the collapse.

    Parameters
    ----------
    output : Path
        Archive of the profiles of the digits; that of Gaussian data is written beside it.
    tiny : bool
        Run in seconds on sizes that show nothing but that it works.
    images : int
        How many of the 1797 images of digits are the data set, at least 20.
    samples : int
        Noisy states per image and noise level, at least 2.
    steps : int
        Noise levels.
    sigma_min : float
        Smallest noise level.
    sigma_max : float
        Largest noise level.
    features : int
        Dimension of the Gaussian data.
    sizes : tuple of int
        How many Gaussian data there are, one set for each number.
    """

    output: Path = Path("collapse.nc")
    tiny: bool = False
    images: int = 1797
    samples: int = 2
    steps: int = 48
    sigma_min: float = 0.3
    sigma_max: float = 100.0
    features: int = 64
    sizes: tuple[int, ...] = (125, 500, 2000)
    threads: int | None = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        arguments.whole(self.images, "images", least=20, most=1797)
        arguments.whole(self.samples, "samples", least=2, most=100_000)
        arguments.whole(self.steps, "steps", least=4, most=100_000)
        arguments.number(self.sigma_min, "sigma_min", least=1e-3)
        arguments.number(self.sigma_max, "sigma_max", above=self.sigma_min, most=1e6)
        arguments.whole(self.features, "features", least=1, most=100_000)
        if not self.sizes:
            raise sp.SpecentError("sizes is empty; give at least one number of data")
        for size in self.sizes:
            arguments.whole(size, "sizes", least=2, most=100_000)


def main(settings: Settings) -> tuple[Path, ...]:
    """Compute the profiles, write them, and print the budget and where half of each entropy is left."""
    if settings.tiny:
        settings = tiny_settings(settings, images=100, steps=12, features=8, sizes=(20,))
    paths = output_paths(settings.output, "gaussian", overwrite=settings.overwrite)
    images, labels = digits_data()
    images, labels = images[: settings.images], labels[: settings.images]
    with limited_threads(settings.threads):
        partitions = class_and_image(labels)
        wanted = [*partitions, *(split.partition for split in sp.analysis.splits(partitions)[1:])]
        digits = write_results(profiled(images, wanted, settings), paths[0], "collapse", settings)
        gaussian = {
            size: gaussian_profile(size, settings) for size in tqdm(settings.sizes, desc="Gaussian data", leave=False)
        }
        write_results(gaussian[max(settings.sizes)], paths[1], "collapse", settings)
    print_lines(lambda: lines(digits, partitions, images, gaussian, settings.features))
    return tuple(paths)


def class_and_image(labels: np.ndarray) -> list[sp.Partition]:
    """The digits and the single images, as nested partitions of one label per image."""
    names = [f"{label} {i}" for i, label in enumerate(labels)]
    classes: dict[str, list[str]] = {}
    for label, name in zip(labels, names, strict=True):
        classes.setdefault(str(label), []).append(name)
    return [sp.Partition.groups(classes, name="class"), sp.Partition(IMAGE, tuple((name, (name,)) for name in names))]


def profiled(data: np.ndarray, partitions: list[sp.Partition], settings: Settings, progress: bool = True) -> xr.Dataset:
    """Exact profiles of partitions of single data, each of which is a label of its own."""
    names = next(partition for partition in partitions if partition.name == IMAGE).side_names
    return sp.exact.profiles(
        sp.models.finite(data, list(names)),
        sp.schedules.VE(),
        np.geomspace(settings.sigma_min, settings.sigma_max, settings.steps),
        partitions,
        samples=settings.samples,
        seed=settings.seed,
        device=settings.device,
        progress=progress,
    )


def gaussian_profile(size: int, settings: Settings) -> xr.Dataset:
    """The exact profile of "which datum" of so many draws of a standard normal distribution."""
    data = np.random.default_rng([settings.seed, size]).standard_normal((size, settings.features))
    which = sp.Partition(IMAGE, tuple((str(i), (str(i),)) for i in range(size)))
    return profiled(data, [which], settings, progress=False)


def lines(
    digits: xr.Dataset,
    partitions: list[sp.Partition],
    images: np.ndarray,
    gaussian: dict[int, xr.Dataset],
    features: int,
) -> Iterator[str]:
    """The budget, and where half of each entropy is left beside the predictions."""
    budget = sp.chain(digits, partitions).squeeze(("guidance", "estimator"))
    start = (digits.entropy + digits.mutual_information).isel(time=-1).squeeze(("guidance", "estimator"))
    of_class, of_image = (float(start.sel(partition=name)) for name in ("class", IMAGE))
    within = of_image - of_class
    yield f"\n{len(images)} images: {of_image:.3f} bit = {of_class:.3f} (class) + {within:.3f} (image given class)"
    yield f"this budget closes within {float(abs(budget.gap).max()) / of_image:.2%} at every noise level"
    yield f"\n{'half of it is left at noise level (95 %)':>50}{'predicted':>12}{'condensation':>14}"
    summary = sp.speciation(digits.sel(partition=["class", IMAGE]), axis="sigma").squeeze(
        ("guidance", "estimator", "axis")
    )
    yield _row("class", summary.sel(partition="class"))
    yield _row("image", summary.sel(partition=IMAGE), _predicted(len(images), data=images))
    given = budget.contribution.where(budget.split_level == IMAGE).sum("split")
    yield f"{'image given class':<24}{np.interp(within / 2, given.values, given.sigma.values):>14.3f}"
    for size, profile in gaussian.items():
        of_size = sp.speciation(profile, axis="sigma").squeeze()
        yield _row(f"{size} Gaussian data", of_size, _predicted(size, variances=np.ones(features)))


def _predicted(count: int, **distribution: np.ndarray) -> str:
    """Predicted noise levels of half the entropy and of condensation."""
    half, whole = (sp.exact.collapse_sigma(count, share=share, **distribution) for share in (0.5, 1.0))
    return f"{half:>12.3f}{whole:>14.3f}"


def _row(name: str, summary: xr.Dataset, predicted: str = "") -> str:
    return f"{name:<24}{half_entropy_text(summary):>26}{predicted}"
