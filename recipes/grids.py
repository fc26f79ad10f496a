"""Where the steps of the chain should be: grids of noise levels compared by the samples that they make.

A trained network of the handwritten digits, or of drawn shapes (--data shapes), under several numbers of steps: the
usual grid (arXiv 2206.00364), arctan (arXiv 2404.14507), sine, rescaled (arXiv 2504.13612) and half a share for the
rate at which the class is decided; the exact denoiser of the same images, which entropic grids are for; and two
Gaussian mixtures, whose errors are computed without sampling. The table of Frechet distances goes to OUTPUT, a run for
every grid, number of steps and seed; differences to the usual grid, with as many steps and with twice as many, have an
interval over the seeds, on which the last lines say what ties with the grid of one parameter and what harms. Takes
about half an hour with the default settings; for the shapes, --samples 1920 is enough.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from tqdm.auto import tqdm

import specent as sp
from specent import arguments
from specent.studies import (
    PictureSettings,
    StudiedPictures,
    limited_threads,
    named_grid,
    output_paths,
    over_seeds_text,
    print_lines,
    samples_by_class,
    studied_pictures,
    tiny_settings,
    verdict_lines,
    write_results,
)

Grid = NDArray[np.float64]
Which = Literal["network", "images"]
NETWORK: Which = "network"
IMAGES: Which = "images"
MIXTURES = {
    "two components": ([[-4.0], [4.0]], [0.7, 0.3]),
    "four components": ([[-8.0], [-4.0], [6.0], [8.0]], [0.4, 0.3, 0.2, 0.1]),
}
USUAL, PARAMETER = "edm", "arctan"
MEASURED = ("rescaled", "class share")
# noisy images per level for the exact rate at which the class is decided
DRAWS = 500


@dataclass(frozen=True)
class Settings(PictureSettings):
    """Settings of the study of grids.

    Parameters
    ----------
    output : Path
        Table of quality to write.
    tiny : bool
        Run in seconds on sizes that show nothing but that it works.
    models : tuple of {"network", "images"}
        What is sampled: the network, and the exact denoiser of the images.
    samples : int
        Samples of every grid and seed, at least 96; all classes have as many. More of them make the interval over seeds
        narrower, as more seeds do.
    steps : tuple of int
        Numbers of noise levels.
    seeds : int
        How many seeds, from the given one on; at least 2.
    sigma_min : float
        Smallest noise level.
    sigma_max : float
        Largest noise level.
    scale : float
        Scale of the arctan and sine grids, in units of the data.
    share : float
        Part of the steps for the rate of the class.
    """

    output: Path = Path("grids.nc")
    tiny: bool = False
    models: tuple[Which, ...] = (NETWORK, IMAGES)
    samples: int = 9000
    steps: tuple[int, ...] = (8, 16, 32)
    seeds: int = 8
    sigma_min: float = 0.02
    sigma_max: float = 80.0
    scale: float = 0.75
    share: float = 0.5
    threads: int | None = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        arguments.whole(self.samples, "samples", least=96, most=10_000_000)
        arguments.whole(self.seeds, "seeds", least=2, most=1000)
        arguments.number(self.sigma_min, "sigma_min", least=1e-6)
        arguments.number(self.sigma_max, "sigma_max", above=self.sigma_min, most=1e6)
        arguments.number(self.scale, "scale", above=0)
        arguments.number(self.share, "share", least=0, most=1)
        if not self.steps or not self.models:
            raise sp.SpecentError("steps or models is empty; give at least one number of noise levels and one model")
        for steps in self.steps:
            arguments.whole(steps, "steps", least=3, most=100_000)


@dataclass(frozen=True)
class Row:
    """What is sampled by every seed: a model on a grid of so many steps."""

    model: str
    grid: str
    steps: int

    def __str__(self) -> str:
        return f"{self.model}: {self.grid}, {self.steps} steps"

    def run(self, seed: int) -> str:
        """The name of the samples of a seed in the table."""
        return f"{self}, seed {seed}"

    def usual(self, times: int = 1) -> Row:
        """The usual grid of so many times as many steps."""
        return replace(self, grid=USUAL, steps=times * self.steps)


def rows_of(models: tuple[str, ...], settings: Settings) -> list[Row]:
    """All rows in the order of the table; entropic grids serve the exact denoiser of finite data alone."""
    return [
        Row(model, grid, steps)
        for model in models
        for steps in sorted(set(settings.steps))
        for grid in (USUAL, PARAMETER, "sine", *MEASURED, *(("entropic",) if model == IMAGES else ()))
    ]


def seeds_of(settings: Settings) -> range:
    """The seeds, which all rows share."""
    return range(settings.seed, settings.seed + settings.seeds)


def main(settings: Settings) -> Path:
    """Measure the samples of every grid, and write the table."""
    if settings.tiny:
        settings = tiny_settings(settings, samples=96, steps=(4,), seeds=2, pictures=480, train_steps=20)
    (path,) = output_paths(settings.output, overwrite=settings.overwrite)
    shown = studied_pictures(settings)
    with limited_threads(settings.threads):
        table = sp.compare(measured(settings, shown))
        write_results(table, path, "grids", settings)
    print_lines(lambda: lines(table, settings))
    return path


def measured(settings: Settings, shown: StudiedPictures) -> dict[str, xr.Dataset]:
    """Quality of the samples of every row and seed, by the name of the run."""
    images, labels, samples = shown.images, shown.labels, shown.per_class(settings.samples)
    models = {name: shown.network if name == NETWORK else shown.exact for name in settings.models}
    levels = np.geomspace(settings.sigma_min, settings.sigma_max, 100)
    draws = shown.per_class(min(DRAWS, settings.samples))
    profile = sp.exact.profiles(
        shown.exact, sp.schedules.VE(), levels, "full", samples=draws, seed=settings.seed, progress=False
    )
    errors: dict[str, xr.Dataset] = {
        name: sp.denoising_error(model, levels, images, labels, conditional=True, progress=False)
        for name, model in models.items()
    }
    rows = rows_of(settings.models, settings)
    times = {row: nodes(row, errors[row.model], profile, settings) for row in rows}
    tables = {}
    for seed in tqdm(seeds_of(settings), desc="seeds"):
        for row in tqdm(rows, desc="grids", leave=False):
            model = models[row.model]
            runs = samples_by_class(model, times[row], samples, [sp.Guidance()], seed, device=settings.device)
            tables[row.run(seed)] = sp.quality.measure(
                runs, images, shown.extractor, seed=settings.seed, progress=False
            )
    return tables


def nodes(row: Row, error: xr.Dataset, profile: xr.Dataset, settings: Settings) -> Grid:
    """The noise levels of a row."""
    ends = settings.sigma_min, settings.sigma_max
    return named_grid(row.grid, row.steps, error, profile, ends, settings.scale, settings.share)


def lines(table: xr.Dataset, settings: Settings) -> Iterator[str]:
    """Frechet distances with their difference to the usual grid, the exact errors of mixtures, and what follows."""
    rows = rows_of(settings.models, settings)
    distance = table["frechet_distance"].squeeze("guidance")
    found = {
        row: np.asarray(distance.sel(run=[row.run(seed) for seed in seeds_of(settings)]), dtype=np.float64)
        for row in rows
    }
    what = f"{settings.samples} samples of {settings.data}"
    yield f"Frechet distance of {what}, mean and 95 % interval over {settings.seeds} seeds"
    yield f"{'':<36}{'':>20}{'less edm':>22}{'less edm at twice the steps':>30}"
    for row in rows:
        cells = [over_seeds_text(found[row])]
        for usual in (row.usual(), row.usual(2)):
            known = usual in found and usual != row
            cells.append(over_seeds_text(found[row] - found[usual]) if known else "")
        yield f"{row!s:<36}{cells[0]:>20}{cells[1]:>22}{cells[2]:>30}"
    mixtures = mixture_errors(settings)
    yield "\nMixtures in 64 dimensions, exact: divergence of the samples in bit, and error of their classes"
    for row, made in mixtures.items():
        yield f"{row!s:<44}{float(made.sample_divergence):>10.3f}{float(made.class_error):>10.4f}"
    yield from conclusions(found)
    yield from mixture_conclusions({row: float(made.class_error) for row, made in mixtures.items()})


def mixture_errors(settings: Settings) -> dict[Row, xr.Dataset]:
    """What the steps alone do to mixtures in 64 dimensions, by `specent.exact.sampling_error`."""
    levels = np.geomspace(settings.sigma_min, settings.sigma_max, 200)
    made = {}
    for name, (means, weights) in MIXTURES.items():
        mix = sp.exact.GaussianMixture(means, 1.0, weights, dimension=64)
        error = sp.exact.denoising_error(mix, levels)
        profile = sp.exact.profiles(mix, sp.schedules.VE(), levels, "full")
        for row in rows_of((name,), settings):
            made[row] = sp.exact.sampling_error(mix, nodes(row, error, profile, settings))
    return made


def conclusions(found: dict[Row, NDArray[np.float64]]) -> Iterator[str]:
    """What the intervals say: half the steps, the grid of one parameter beside those that are measured, what harms."""
    pairs: dict[str, Callable[[Row], Row]] = {
        f"{PARAMETER}, the grid of one parameter and as many steps": lambda row: replace(row, grid=PARAMETER),
        f"{USUAL} of as many steps": Row.usual,
        f"{USUAL} of twice the steps": lambda row: row.usual(2),
    }
    for other, partner in pairs.items():
        changes = {
            str(row): found[row] - found[partner(row)]
            for row in found
            if row.grid not in (USUAL, partner(row).grid) and partner(row) in found
        }
        if changes:
            yield f"\nBeside {other}"
            yield from verdict_lines(changes)


def mixture_conclusions(errors: dict[Row, float]) -> Iterator[str]:
    """On which mixtures a grid gets the proportions of the classes less right than the usual one."""
    worse = [
        f"{row} ({error:.3f}, not {errors[row.usual()]:.3f})" for row, error in errors.items()
        if error > errors[row.usual()]
    ]  # fmt: skip
    yield f"\nWorse proportions of the classes than edm of as many steps, of {len(errors)} on mixtures: " + (
        "; ".join(worse) or "none"
    )
