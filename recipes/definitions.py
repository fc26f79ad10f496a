"""Definitions of the noise level of speciation, side by side, for 2 to 1000 classes in many dimensions.

Classes at right angles, each at distance sqrt(d) from the centre and of unit variance, depend on the noise through
kappa = sqrt(d / (1 + sigma^2)) alone. So half of the entropy is gone at a kappa that no dimension changes, and peaks
have a limit in many dimensions. Of two classes all definitions lie within a factor of 1.6. With more of them they part:
the entropy is half gone near kappa = sqrt(ln K), but a trajectory that turns comes back to its class half as surely as
it may only near sqrt(2 ln K) (arXiv 2402.16991, 2506.10433, 2602.09651). Profiles and turns of every number of classes
and dimension go to files that are named after OUTPUT (..._K10_d64.nc, ..._K10_d64_turns.nc); exact values are
integrals, and stand beside what is measured along sampled chains. Takes about five minutes with the default settings.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from tqdm.auto import tqdm

import specent as sp
from specent import arguments
from specent.studies import (
    SampledSettings,
    limited_threads,
    output_paths,
    print_lines,
    tiny_settings,
    write_results,
)

SHOWN = ("half entropy", "half phi", "peak along log_sigma", "peak along sigma", "spectral")
# noise levels of a turn, about the transition
TURNS = 8


@dataclass(frozen=True)
class Settings(SampledSettings):
    """Settings of the study of definitions.

    Parameters
    ----------
    output : Path
        Names the archives to write, two for each number of classes and dimension.
    tiny : bool
        Run in seconds on sizes that show nothing but that it works.
    classes : tuple of int
        Numbers of classes, from 2 to 1000.
    dimensions : tuple of int
        Dimensions of the data. Each number of classes is measured in the smallest that has room for it, and has exact
        values in all larger ones.
    trajectories : int
        Trajectories of all classes together, two for each class at least.
    steps : int
        Noise levels of the chain.
    sampled : int
        Of more classes than this no chain is sampled, only turns; their profile is exact alone.
    """

    output: Path = Path("definitions.nc")
    tiny: bool = False
    classes: tuple[int, ...] = (2, 10, 100, 1000)
    dimensions: tuple[int, ...] = (16, 128, 1024)
    trajectories: int = 2000
    steps: int = 64
    sampled: int = 100
    threads: int | None = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("classes", "dimensions"):
            if not getattr(self, name):
                raise sp.SpecentError(f"{name} is empty; give at least one")
        for count in self.classes:
            arguments.whole(count, "classes", least=2, most=1000)
        for dimension in self.dimensions:
            arguments.whole(dimension, "dimensions", least=2, most=100_000)
        if max(self.classes) > max(self.dimensions):
            raise sp.SpecentError(
                f"classes={max(self.classes)} at right angles need as many dimensions; the most are "
                f"{max(self.dimensions)}"
            )
        arguments.whole(self.trajectories, "trajectories", least=4, most=10_000_000)
        arguments.whole(self.steps, "steps", least=8, most=100_000)
        arguments.whole(self.sampled, "sampled", least=0)


@dataclass(frozen=True)
class Case:
    """A number of classes in a dimension.

    Attributes
    ----------
    classes, dimension : int
        How many classes there are, and in how many dimensions.
    """

    classes: int
    dimension: int

    @property
    def name(self) -> str:
        """What the files of the case are called after."""
        return f"K{self.classes}_d{self.dimension}"

    def sigma(self, kappa: float | np.ndarray) -> np.ndarray:
        """Noise levels at values of kappa."""
        return np.asarray(np.sqrt(self.dimension / np.square(kappa) - 1))

    def kappa(self, sigma: float | np.ndarray) -> np.ndarray:
        """Values of kappa at noise levels."""
        return np.asarray(np.sqrt(self.dimension / (1 + np.square(sigma))))

    def grid(self, steps: int) -> np.ndarray:
        """Noise levels from where everything is decided to where nothing is."""
        most = min(2 * np.sqrt(np.log(self.classes)) + 3, 0.9 * np.sqrt(self.dimension))
        return np.geomspace(self.sigma(most), self.sigma(0.05), steps)

    def profiles(self, time: np.ndarray) -> xr.Dataset:
        """The exact profile."""
        return sp.exact.orthogonal_profiles(
            self.classes, sp.schedules.VE(), time, radius=float(np.sqrt(self.dimension)), variance=1.0
        )

    def returns(self) -> float:
        """The kappa at which trajectories return half as surely as they may, exactly."""
        kappa = np.linspace(0.5, np.sqrt(2 * np.log(self.classes)) + 2, 257)
        phi = sp.exact.orthogonal_phi(self.classes, kappa)
        # the posterior is known to 1e-9 and smooth: a cubic through the nearest points is good to 1e-6
        near = np.argsort(abs(phi - self.half))[:4]
        return float(np.polyval(np.polyfit(phi[near] - self.half, kappa[near], 3), 0.0))

    @property
    def half(self) -> float:
        """The phi between that of a guess and 1."""
        return 0.5 * (1 + 1 / self.classes)


def main(settings: Settings) -> tuple[Path, ...]:
    """Measure every case, write its archives, and print the table."""
    if settings.tiny:
        settings = tiny_settings(settings, classes=(2, 3), dimensions=(16, 64), trajectories=60, steps=16)
    cases = [Case(count, min(size for size in settings.dimensions if size >= count)) for count in settings.classes]
    suffixes = [name for case in cases for name in (case.name, f"{case.name}_turns")]
    paths = output_paths(settings.output, *suffixes, overwrite=settings.overwrite)[1:]
    tables = {}
    with limited_threads(settings.threads):
        for i, case in enumerate(tqdm(cases, desc="cases")):
            profiles, turns = measured(case, settings)
            write_results(profiles, paths[2 * i], "definitions", settings)
            write_results(turns, paths[2 * i + 1], "definitions", settings)
            tables[case] = found(profiles, turns)
    every = [Case(count, size) for count in settings.classes for size in settings.dimensions if size >= count]
    print_lines(lambda: lines({case: exactly(case, settings) for case in every}, tables))
    return tuple(paths)


def measured(case: Case, settings: Settings) -> tuple[xr.Dataset, xr.Dataset]:
    """Profiles, exact and along sampled paths, and turns."""
    means = np.sqrt(case.dimension) * np.eye(case.classes)
    mix = sp.exact.GaussianMixture(means, 1.0, labels=[str(i) for i in range(case.classes)], dimension=case.dimension)
    model, time = sp.models.mixture(mix), case.grid(settings.steps)
    each = max(2, settings.trajectories // case.classes)
    common: dict[str, Any] = {
        "schedule": sp.schedules.VE(),
        "time": time,
        "samples": each,
        "seed": settings.seed,
        "progress": False,
    }
    profiles = case.profiles(time)
    if case.classes <= settings.sampled:
        runs = sp.sample(model, partitions="full", device=settings.device, record=sp.Record(distances=False), **common)
        profiles = sp.analysis.combine(profiles, sp.entropy(runs, estimator="path", progress=False))
    about = case.sigma(case.returns() * np.geomspace(1.3, 0.77, TURNS))
    turns = sp.u_turn(
        model, levels=about, partition="full", mover="class", steps=(16,), device=settings.device, **common
    )
    return profiles, turns


def exactly(case: Case, settings: Settings) -> xr.DataArray:
    """Exact kappa of every definition."""
    table = sp.analysis.definitions(case.profiles(case.grid(8 * settings.steps)))
    kappa = case.kappa(table.noise_level)
    exact: xr.DataArray = table.noise_level.copy(data=kappa)
    exact.loc["half phi"] = case.returns()
    # the largest eigenvalue of the covariance of the data, d / K of the means and 1 of each class
    exact.loc["spectral"] = case.kappa(np.sqrt(case.dimension / case.classes + 1))
    return exact


def found(profiles: xr.Dataset, turns: xr.Dataset) -> xr.Dataset:
    """Measured noise levels of every definition, with their intervals."""
    known = "path" if "path" in profiles.estimator else "exact"
    table = sp.analysis.definitions(profiles.sel(estimator=[known]), turns)
    return table if known == "path" else table.sel(definition=["half phi"])


def lines(exact: dict[Case, xr.DataArray], measured: dict[Case, xr.Dataset]) -> Iterator[str]:
    """A row for every definition and case."""
    yield f"\n{'kappa = sqrt(d / (1 + sigma^2))':<42}{'exact':>8}{'measured (95 %)':>26}{'at sigma':>11}"
    for name in SHOWN:
        for case, table in exact.items():
            row = (
                f"{name:<22}{f'K = {case.classes}, d = {case.dimension}':<20}{float(table.sel(definition=name)):>8.3f}"
            )
            yield f"{row}{_cells(case, name, measured[case]) if case in measured else ''}"


def _cells(case: Case, name: str, table: xr.Dataset) -> str:
    """What was measured of a definition, as kappa with its interval and as a noise level; empty if nothing was."""
    if name not in table.definition or name == "spectral":
        return ""
    one = table.sel(definition=name)
    level, *ends = (float(one[f"noise_level{end}"]) for end in ("", "_upper", "_lower"))
    if np.isnan(level):
        return ""
    low, high = ("" if np.isnan(end) else f"{float(case.kappa(end)):.3f}" for end in ends)
    interval = f"({low} .. {high})" if low and high else "(no interval)"
    return f"{f'{float(case.kappa(level)):.3f} {interval}':>26}{level:>11.3f}"
