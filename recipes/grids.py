"""Where the steps of the chain should be: grids of noise levels compared by the samples that they make.

The digits network under several numbers of steps: the usual grid (arXiv 2206.00364), arctan (arXiv 2404.14507),
rescaled (arXiv 2504.13612) and half a share for the rate at which the class is decided; the exact denoiser of the same
images, which entropic grids are for; and two Gaussian mixtures, whose errors are computed without sampling. The table
of Frechet distances goes to OUTPUT, a run for every grid, number of steps and seed; differences to the usual grid,
with as many steps and with twice as many, have an interval over the seeds. Takes about five minutes with the default
settings.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from tqdm.auto import tqdm

import specent as sp
from specent import arguments
from specent.models.digits import digits_data
from specent.studies import (
    SampledSettings,
    limited_threads,
    output_paths,
    over_seeds_text,
    print_lines,
    samples_by_class,
    tiny_settings,
    write_results,
)

Grid = NDArray[np.float64]
MIXTURES = {
    "two components": ([[-4.0], [4.0]], [0.7, 0.3]),
    "four components": ([[-8.0], [-4.0], [6.0], [8.0]], [0.4, 0.3, 0.2, 0.1]),
}


@dataclass(frozen=True)
class Settings(SampledSettings):
    """Settings of the study of grids.

    Parameters
    ----------
    output : Path
        Table of quality to write.
    tiny : bool
        Run in seconds on sizes that show nothing but that it works.
    samples : int
        Samples per class, grid and seed, at least 10.
    steps : tuple of int
        Numbers of noise levels.
    seeds : int
        How many seeds, from the given one on; at least 2.
    sigma_min : float
        Smallest noise level.
    sigma_max : float
        Largest noise level.
    scale : float
        Scale of the arctan grid, in units of the data.
    share : float
        Part of the steps for the rate of the class.
    """

    output: Path = Path("grids.nc")
    tiny: bool = False
    samples: int = 180
    steps: tuple[int, ...] = (8, 16, 32)
    seeds: int = 4
    sigma_min: float = 0.02
    sigma_max: float = 80.0
    scale: float = 0.75
    share: float = 0.5
    threads: int | None = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        arguments.whole(self.samples, "samples", least=10, most=1_000_000)
        arguments.whole(self.seeds, "seeds", least=2, most=1000)
        arguments.number(self.sigma_min, "sigma_min", least=1e-6)
        arguments.number(self.sigma_max, "sigma_max", above=self.sigma_min, most=1e6)
        arguments.number(self.scale, "scale", above=0)
        arguments.number(self.share, "share", least=0, most=1)
        if not self.steps:
            raise sp.SpecentError("steps is empty; give at least one number of noise levels")
        for steps in self.steps:
            arguments.whole(steps, "steps", least=3, most=100_000)


def main(settings: Settings) -> Path:
    """Measure the samples of every grid, and write the table."""
    if settings.tiny:
        settings = tiny_settings(settings, samples=10, steps=(4,), seeds=2)
    (path,) = output_paths(settings.output, overwrite=settings.overwrite)
    with limited_threads(settings.threads):
        table = sp.compare(measured(settings))
        write_results(table, path, "grids", settings)
    print_lines(lambda: lines(table, settings))
    return path


def measured(settings: Settings) -> dict[str, xr.Dataset]:
    """Quality of the samples by the names of model, grid, number of steps and seed."""
    images, labels = digits_data()
    extractor = sp.quality.digits_classifier()
    network, data = sp.models.digits(), sp.models.finite(images, labels)
    levels = np.geomspace(settings.sigma_min, settings.sigma_max, 100)
    profile = sp.exact.profiles(data, sp.schedules.VE(), levels, "full", samples=50, seed=settings.seed, progress=False)
    wanted = []
    for name, model in (("network", network), ("images", data)):
        error = sp.denoising_error(model, levels, images, labels, conditional=True, progress=False)
        for steps in settings.steps:
            wanted += [(name, model, *grid) for grid in grids(name, error, profile, steps, settings).items()]
    tables = {}
    for seed in tqdm(range(settings.seed, settings.seed + settings.seeds), desc="seeds"):
        for name, model, grid, time in tqdm(wanted, desc="grids", leave=False):
            runs = samples_by_class(model, time, settings.samples, [sp.Guidance()], seed, device=settings.device)
            one = sp.quality.measure(runs, images, extractor, seed=settings.seed, progress=False)
            tables[run_name(name, grid, len(time), seed)] = one
    return tables


def run_name(model: str, grid: str, steps: int, seed: int) -> str:
    """The name of a run in the table."""
    return f"{model}: {grid}, {steps} steps, seed {seed}"


def grids(name: str, error: xr.Dataset, profile: xr.Dataset, steps: int, settings: Settings) -> dict[str, Grid]:
    """The grids that are compared; entropic ones serve the exact denoiser of finite data alone."""
    ends = settings.sigma_min, settings.sigma_max
    made = {
        "edm": sp.schedules.edm_grid(steps, *ends),
        "arctan": sp.grids.arctan(steps, settings.scale, *ends),
        "rescaled": sp.grids.rescaled(error, steps),
        "class share": sp.grids.class_share(error, profile, steps, settings.share),
    }
    return made | ({"entropic": sp.grids.entropic(error, steps)} if name == "images" else {})


def lines(table: xr.Dataset, settings: Settings) -> Iterator[str]:
    """Frechet distances with their difference to the usual grid, and the exact errors of mixtures."""
    seeds = range(settings.seed, settings.seed + settings.seeds)
    names = [str(name) for name in table["run"].values]
    rows = list(dict.fromkeys(name.rpartition(", seed ")[0] for name in names))

    def distances(row: str) -> NDArray[np.float64]:
        runs = [f"{row}, seed {seed}" for seed in seeds]
        return np.asarray(table["frechet_distance"].squeeze("guidance").sel(run=runs).values)

    yield f"Frechet distance of {10 * settings.samples} samples, mean and 95 % interval over {settings.seeds} seeds"
    yield f"{'':<36}{'':>20}{'less edm':>22}{'less edm at twice the steps':>30}"
    for row in rows:
        model, _, rest = row.partition(": ")
        steps = int(rest.split(", ")[1].split()[0])
        cells = [over_seeds_text(distances(row))]
        for count in (steps, 2 * steps):
            usual = f"{model}: edm, {count} steps"
            known = usual in rows and usual != row
            cells.append(over_seeds_text(distances(row) - distances(usual)) if known else "")
        yield f"{row:<36}{cells[0]:>20}{cells[1]:>22}{cells[2]:>30}"
    yield from mixture_lines(settings)


def mixture_lines(settings: Settings) -> Iterator[str]:
    """What the steps alone do to mixtures in 64 dimensions, by `specent.exact.sampling_error`."""
    levels = np.geomspace(settings.sigma_min, settings.sigma_max, 200)
    yield "\nMixtures in 64 dimensions, exact: divergence of the samples in bit, and error of their classes"
    for name, (means, weights) in MIXTURES.items():
        mix = sp.exact.GaussianMixture(means, 1.0, weights, dimension=64)
        error = sp.exact.denoising_error(mix, levels)
        profile = sp.exact.profiles(mix, sp.schedules.VE(), levels, "full")
        for steps in settings.steps:
            for grid, time in grids("mixture", error, profile, steps, settings).items():
                made = sp.exact.sampling_error(mix, time)
                row = f"{name}: {grid}, {steps} steps"
                yield f"{row:<44}{float(made.sample_divergence):>10.3f}{float(made.class_error):>10.4f}"
