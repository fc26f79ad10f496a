"""Which noise levels to guide: a rule from the entropy, a sweep, and two rules that harm, on the handwritten digits.

The rule guides below the noise level at which a tenth of the entropy of the label is left (`Guidance.below`). Beside it
stand the interval in which the entropy falls from nine tenths to one, all noise, and the best interval of a sweep
(arXiv 2404.07724), which is chosen by a seed of its own and judged by the others. The same on the exact denoiser of the
images, whose null condition is the mixture of its labels: guidance has nothing to correct there. Changes of the Frechet
distance go to OUTPUT, a run for every seed, with an interval over the seeds. Takes about ten minutes with the default
settings.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
import xarray as xr
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


@dataclass(frozen=True)
class Settings(SampledSettings):
    """Settings of the study of guidance intervals. The seed chooses the sweep's winner; the seeds after it judge.

    Parameters
    ----------
    output : Path
        Table of quality to write.
    tiny : bool
        Run in seconds on sizes that show nothing but that it works.
    samples : int
        Samples per class, setting and seed, at least 10.
    steps : int
        Noise levels of the chain.
    seeds : int
        How many seeds judge; at least 2.
    sigma_min : float
        Smallest noise level.
    sigma_max : float
        Largest noise level.
    scale : float
        Guidance scale of the rule and of the sweep.
    produced_scale : float
        Guidance scale where the entropy falls, and in all noise.
    left : float
        Part of the entropy that is left where the rule begins to guide.
    exact_samples : int
        Draws per class and noise level for the exact entropy that the rule reads.
    edges : tuple of float
        Noise levels, ascending: the sweep takes every interval between two of them. No sweep if there are fewer.
    """

    output: Path = Path("intervals.nc")
    tiny: bool = False
    samples: int = 180
    steps: int = 64
    seeds: int = 4
    sigma_min: float = 0.02
    sigma_max: float = 80.0
    scale: float = 3.0
    produced_scale: float = 2.0
    left: float = 0.1
    exact_samples: int = 300
    edges: tuple[float, ...] = (0.0, 0.12, 0.25, 0.5, 0.75, 1.0, 1.5, 2.5, 5.0)
    threads: int | None = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        arguments.whole(self.samples, "samples", least=10, most=1_000_000)
        arguments.whole(self.steps, "steps", least=2, most=100_000)
        arguments.whole(self.seeds, "seeds", least=2, most=1000)
        arguments.whole(self.exact_samples, "exact_samples", least=2, most=10**7)
        arguments.number(self.sigma_min, "sigma_min", least=1e-6)
        arguments.number(self.sigma_max, "sigma_max", above=self.sigma_min, most=1e6)
        arguments.number(self.left, "left", above=0, below=0.5)
        for pair in combinations(self.edges, 2):
            sp.Guidance(self.scale, pair)


def main(settings: Settings) -> Path:
    """Find the rule's interval and the sweep's, judge them by fresh seeds, and write the table."""
    if settings.tiny:
        settings = tiny_settings(settings, samples=10, steps=12, seeds=2, exact_samples=40, edges=(0.0, 1.0))
    (path,) = output_paths(settings.output, overwrite=settings.overwrite)
    images, labels = digits_data()
    data = sp.models.finite(images, labels)
    with limited_threads(settings.threads):
        rules = named_rules(data, settings)
        winner = swept(sp.models.digits(), settings)
        if winner is not None:
            rules["the sweep's best"] = winner
        chosen = list(dict.fromkeys(rules.values()))
        tables = {}
        for name, model in (("network", sp.models.digits()), ("images", data)):
            seeds = range(settings.seed + 1, settings.seed + 1 + settings.seeds)
            for seed in tqdm(seeds, desc=f"seeds of the {name}"):
                tables[f"{name}, seed {seed}"] = quality(model, chosen, seed, settings)
        table = sp.compare(tables)
        write_results(table, path, "intervals", settings)
    print_lines(lambda: lines(table, rules))
    return path


def named_rules(data: sp.models.FiniteModel, settings: Settings) -> dict[str, sp.Guidance]:
    """No guidance, the rule, and those that harm, from the exact entropy of the label of the images."""
    levels = np.geomspace(settings.sigma_min, settings.sigma_max, 100)
    profile = sp.exact.profiles(
        data, sp.schedules.VE(), levels, "full", samples=300, seed=settings.seed, progress=False
    )
    # three digits are what the profile is known to, and what names can be read with
    low, top = (round(sp.Guidance.below(profile, left).interval[1], 3) for left in (settings.left, 1 - settings.left))
    return {
        "unguided": sp.Guidance(),
        f"below the level where {settings.left:.0%} is left": sp.Guidance(settings.scale, (0.0, low)),
        "where the entropy falls": sp.Guidance(settings.produced_scale, (low, top)),
        "in all noise": sp.Guidance(settings.produced_scale),
    }


def swept(model: sp.models.Model, settings: Settings) -> sp.Guidance | None:
    """The interval of the sweep whose samples are best at the seed of the sweep."""
    tried = [sp.Guidance(settings.scale, pair) for pair in combinations(settings.edges, 2)]
    if not tried:
        return None
    table = quality(model, tried, settings.seed, settings)
    return tried[int(np.argmin(table["frechet_distance"].values))]


def quality(model: sp.models.Model, rules: list[sp.Guidance], seed: int, settings: Settings) -> xr.Dataset:
    """Quality of the samples under guidance settings that share their noise."""
    time = sp.schedules.edm_grid(settings.steps, settings.sigma_min, settings.sigma_max)
    runs = samples_by_class(model, time, settings.samples, rules, seed, device=settings.device)
    extractor = sp.quality.digits_classifier()
    return sp.quality.measure(runs, digits_data()[0], extractor, seed=settings.seed, progress=len(rules) > 8)


def lines(table: xr.Dataset, rules: dict[str, sp.Guidance]) -> Iterator[str]:
    """Frechet distance of every rule, and its change by guidance."""
    names = [str(name) for name in table["run"].values]
    for model in dict.fromkeys(name.partition(",")[0] for name in names):
        one = table["frechet_distance"].sel(run=[name for name in names if name.startswith(f"{model},")])
        yield f"Frechet distance of the {model}, mean and 95 % interval over {one.sizes['run']} seeds"
        for rule, setting in rules.items():
            value = np.asarray(one.sel(guidance=str(setting)).values)
            change = value - np.asarray(one.sel(guidance="unguided").values)
            less = "" if rule == "unguided" else over_seeds_text(change)
            yield f"  {rule:<34}{setting!s:<24}{over_seeds_text(value):>18}{less:>20}"
