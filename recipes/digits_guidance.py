"""What guidance does to the decision and to the samples of the digits: scales, limited intervals, feedback.

The set-up of arXiv 2602.09651, Fig. 3, on the 8 x 8 handwritten digits: the same noise under several guidance settings.
When is "which digit?" decided, in entropy and in cross-entropy under guidance, what changes class by class, and what
does it do to the samples (Frechet distance, precision, recall, accuracy in the features of a small classifier)? Limited
intervals cut the noise levels into ranges, of which each is guided alone. The trajectories go to OUTPUT; beside it
their profiles (..._profiles.nc), the paired differences to the unguided runs (..._differences.nc) and the quality of
the samples (..._quality.nc). Takes about five minutes with the default settings.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr

import specent as sp
from specent import arguments
from specent.guidance import Setting
from specent.models.digits import digits_data
from specent.studies import (
    ShardedSettings,
    limited_threads,
    output_paths,
    print_lines,
    run_folder,
    sampled,
    tiny_settings,
    write_results,
)


@dataclass(frozen=True)
class Settings(ShardedSettings):
    """Settings of the guidance study.

    Parameters
    ----------
    output : Path
        Archive of trajectories to write; profiles, differences and quality are written beside it.
    tiny : bool
        Run in seconds on sizes that show nothing but that it works.
    samples : int
        Trajectories per class and guidance setting, at least 10.
    steps : int
        Noise levels of the chain.
    sigma_min : float
        Smallest noise level.
    sigma_max : float
        Largest noise level.
    scales : tuple of float
        Guidance scales in all noise, beside the unguided runs.
    limited_scale : float
        Guidance scale in the limited intervals.
    edges : tuple of float
        Noise levels, ascending, that cut the limited intervals: each is guided alone. None if empty.
    feedback : bool
        Whether to add a setting that feeds back, with the five numbers below.
    pi : float
        Share of the true conditional density in the learned one that it assumes.
    t_0 : float
        Time at which its offset alone would reach the scale 3, from 1 (noise) to 0 (data).
    t_1 : float
        Time at which a typical gap between predictions balances its offset.
    gap : float
        That gap, squared.
    largest : float
        Bound on its scale.
    """

    output: Path = Path("digits_guidance.nc")
    tiny: bool = False
    samples: int = 180
    steps: int = 64
    sigma_min: float = 0.02
    sigma_max: float = 80.0
    scales: tuple[float, ...] = (1.5, 2.0, 3.0, 5.0)
    limited_scale: float = 3.0
    edges: tuple[float, ...] = (0.0, 0.5, 3.0, np.inf)
    feedback: bool = True
    pi: float = 0.99
    t_0: float = 0.5
    t_1: float = 0.4
    gap: float = 0.5
    largest: float = 10.0
    threads: int | None = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        arguments.whole(self.samples, "samples", least=10, most=1_000_000)
        arguments.whole(self.steps, "steps", least=2, most=100_000)
        arguments.number(self.sigma_min, "sigma_min", least=1e-6)
        arguments.number(self.sigma_max, "sigma_max", above=self.sigma_min, most=1e6)
        if len(guidance(self)) < 2:
            raise sp.SpecentError(
                "scales and edges are empty and feedback is off: there is nothing to compare; set one"
            )


def main(settings: Settings) -> tuple[Path, ...]:
    """Sample under every setting, analyse, and write trajectories, profiles, differences and quality."""
    if settings.tiny:
        settings = tiny_settings(settings, samples=10, steps=12, scales=(3.0,), edges=(0.0, 0.5))
    paths = output_paths(settings.output, "profiles", "differences", "quality", overwrite=settings.overwrite)
    model = sp.models.digits()
    classes = [sp.Partition.one_vs_rest(label, model.labels) for label in model.labels]

    def write(dataset: xr.Dataset, path: Path) -> xr.Dataset:
        return write_results(dataset, path, "digits_guidance", settings)

    plan = planned(settings, model, [sp.Partition.full(model.labels), *classes])
    with limited_threads(settings.threads), run_folder(settings, paths[0]) as folder:
        runs = write(sampled(folder, plan, settings), paths[0])
        profiles = write(sp.entropy(runs), paths[1])
        names = [partition.name for partition in classes]
        write(sp.analysis.differences(profiles.sel(partition=names)), paths[2])
        table = sp.quality.measure(runs, digits_data()[0], sp.quality.digits_classifier(), seed=settings.seed)
        write(table, paths[3])
    print_lines(lambda: [*lines(profiles, table), "", sp.analysis.guidance_price_text(sp.open(paths[0]))])
    return tuple(paths)


def guidance(settings: Settings) -> list[Setting]:
    """The settings that are compared, unguided first."""
    rules: list[Setting] = [sp.Guidance(), *(sp.Guidance(scale) for scale in settings.scales)]
    rules += [
        sp.Guidance(settings.limited_scale, pair) for pair in zip(settings.edges, settings.edges[1:], strict=False)
    ]
    if settings.feedback:
        rules.append(
            sp.FeedbackGuidance(settings.pi, settings.t_0, settings.t_1, largest=settings.largest, gap=settings.gap)
        )
    return rules


def planned(settings: Settings, model: sp.models.Model, partitions: list[sp.Partition]) -> sp.Plan:
    """Trajectories under every setting, from the same noise."""
    return sp.Plan(
        model,
        sp.schedules.VE(),
        sp.schedules.edm_grid(settings.steps, settings.sigma_min, settings.sigma_max),
        settings.samples,
        partitions,
        guidance(settings),
        seed=settings.seed,
        # the partitions are known; distances between eleven candidates would be most of the archive
        record=sp.Record(distances=False),
    )


def lines(profiles: xr.Dataset, table: xr.Dataset) -> Iterator[str]:
    """The table: when the class is decided, and how good the samples are."""
    selection = {"partition": ["full"], "estimator": ["path", "cross_entropy"]}
    summary = sp.speciation(profiles.sel(selection), axis="sigma").squeeze("axis").sel(partition="full")
    measures = [name for name in ("frechet_limit", "precision", "recall", "accuracy") if name in table]
    heads = ["entropy half at sigma", "cross-entropy half at", "Frechet, limit", "less unguided", *measures[1:]]
    wide = max(len(str(name)) for name in table["guidance"].values)
    yield "Which digit? " + f"{len(profiles['guidance'])} guidance settings, 95 % intervals"
    yield "  ".join([" " * wide, *(f"{head:>22}" for head in heads)])
    for name in table["guidance"].values:
        halves = [summary.sel(guidance=name, estimator=one) for one in ("path", "cross_entropy")]
        row = table.sel(guidance=name)
        cells = [_cell(one, "half_entropy") for one in halves]
        cells += [_cell(row, key) for key in ("frechet_limit", "frechet_limit_difference", *measures[1:])]
        yield "  ".join([f"{name:<{wide}}", *(f"{cell:>22}" for cell in cells)])


def _cell(row: xr.Dataset, name: str) -> str:
    value, lower, upper = (float(row[f"{name}{part}"]) for part in ("", "_lower", "_upper"))
    return f"{value:.3g} [{lower:.3g}, {upper:.3g}]"
