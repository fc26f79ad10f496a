"""Which noise levels to guide: a rule from the entropy, a sweep, and two rules that harm, on small pictures.

The rule guides below the noise level at which a tenth of the entropy of the label is left (`Guidance.below`). Beside it
stand the interval in which the entropy falls from nine tenths to one, all noise, and the best interval of a sweep
(arXiv 2404.07724), which is chosen by a seed of its own and judged by the others. The handwritten digits are sampled,
or drawn shapes (--data shapes), by a network and by the exact denoiser of the images, whose null condition is the
mixture of its labels: guidance has nothing to correct there. Changes of the Frechet distance go to OUTPUT, a run for
every seed, with an interval over the seeds, on which the last lines say what pays, what ties and what harms. Takes
about ten minutes with the default settings.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
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
    output_paths,
    over_seeds_text,
    print_lines,
    samples_by_class,
    studied_pictures,
    tiny_settings,
    verdict_lines,
    write_results,
)

Which = Literal["network", "images"]
NETWORK: Which = "network"
IMAGES: Which = "images"
UNGUIDED, SWEPT = "unguided", "the sweep's best"


@dataclass(frozen=True)
class Settings(PictureSettings):
    """Settings of the study of guidance intervals. The seed chooses the sweep's winner; the seeds after it judge.

    Parameters
    ----------
    output : Path
        Table of quality to write.
    tiny : bool
        Run in seconds on sizes that show nothing but that it works.
    models : tuple of {"network", "images"}
        What is sampled: the network, and the exact denoiser of the images.
    samples : int
        Samples of every setting and seed, at least 96; all classes have as many.
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
        Noisy images per noise level, as many of every class, for the exact entropy that the rule reads.
    edges : tuple of float
        Noise levels, ascending: the sweep takes every interval between two of them. No sweep if there are fewer.
    """

    output: Path = Path("intervals.nc")
    tiny: bool = False
    models: tuple[Which, ...] = (NETWORK, IMAGES)
    samples: int = 1800
    steps: int = 64
    seeds: int = 4
    sigma_min: float = 0.02
    sigma_max: float = 80.0
    scale: float = 3.0
    produced_scale: float = 2.0
    left: float = 0.1
    exact_samples: int = 3000
    edges: tuple[float, ...] = (0.0, 0.12, 0.25, 0.5, 0.75, 1.0, 1.5, 2.5, 5.0)
    threads: int | None = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        arguments.whole(self.samples, "samples", least=96, most=10_000_000)
        arguments.whole(self.steps, "steps", least=2, most=100_000)
        arguments.whole(self.seeds, "seeds", least=2, most=1000)
        arguments.whole(self.exact_samples, "exact_samples", least=2, most=10**7)
        arguments.number(self.sigma_min, "sigma_min", least=1e-6)
        arguments.number(self.sigma_max, "sigma_max", above=self.sigma_min, most=1e6)
        arguments.number(self.left, "left", above=0, below=0.5)
        if not self.models:
            raise sp.SpecentError("models is empty; give network, images or both")
        for pair in combinations(self.edges, 2):
            sp.Guidance(self.scale, pair)


def main(settings: Settings) -> Path:
    """Find the rule's interval and the sweep's, judge them by fresh seeds, and write the table."""
    if settings.tiny:
        settings = tiny_settings(
            settings, samples=96, steps=12, seeds=2, exact_samples=400, edges=(0.0, 1.0), pictures=480, train_steps=20
        )
    (path,) = output_paths(settings.output, overwrite=settings.overwrite)
    shown = studied_pictures(settings)
    with limited_threads(settings.threads):
        rules = named_rules(shown, settings)
        winner = swept(shown, settings)
        if winner is not None:
            rules[SWEPT] = winner
        chosen = list(dict.fromkeys(rules.values()))
        tables = {}
        for name in settings.models:
            for seed in tqdm(seeds_of(settings), desc=f"seeds of the {name}"):
                tables[run_name(name, seed)] = quality(shown, name, chosen, seed, settings)
        table = sp.compare(tables)
        write_results(table, path, "intervals", settings)
    print_lines(lambda: lines(table, rules, settings))
    return path


def seeds_of(settings: Settings) -> range:
    """The seeds that judge: those after the seed of the sweep."""
    return range(settings.seed + 1, settings.seed + 1 + settings.seeds)


def run_name(model: str, seed: int) -> str:
    """The name of the samples of a seed in the table."""
    return f"{model}, seed {seed}"


def named_rules(shown: StudiedPictures, settings: Settings) -> dict[str, sp.Guidance]:
    """No guidance, the rule, and those that harm, from the exact entropy of the label of the images."""
    levels, draws = np.geomspace(settings.sigma_min, settings.sigma_max, 100), shown.per_class(settings.exact_samples)
    profile = sp.exact.profiles(
        shown.exact, sp.schedules.VE(), levels, "full", samples=draws, seed=settings.seed, progress=False
    )
    # three digits are what the profile is known to, and what names can be read with
    low, top = (round(sp.Guidance.below(profile, left).interval[1], 3) for left in (settings.left, 1 - settings.left))
    return {
        UNGUIDED: sp.Guidance(),
        f"below the level where {settings.left:.0%} is left": sp.Guidance(settings.scale, (0.0, low)),
        "where the entropy falls": sp.Guidance(settings.produced_scale, (low, top)),
        "in all noise": sp.Guidance(settings.produced_scale),
    }


def swept(shown: StudiedPictures, settings: Settings) -> sp.Guidance | None:
    """The interval of the sweep whose samples are best at the seed of the sweep, by the first of the models."""
    tried = [sp.Guidance(settings.scale, pair) for pair in combinations(settings.edges, 2)]
    if not tried:
        return None
    table = quality(shown, settings.models[0], tried, settings.seed, settings)
    return tried[int(np.argmin(table["frechet_distance"].values))]


def quality(shown: StudiedPictures, name: str, rules: list[sp.Guidance], seed: int, settings: Settings) -> xr.Dataset:
    """Quality of the samples of a model under guidance settings that share their noise."""
    model = shown.network if name == NETWORK else shown.exact
    time = sp.schedules.edm_grid(settings.steps, settings.sigma_min, settings.sigma_max)
    runs = samples_by_class(model, time, shown.per_class(settings.samples), rules, seed, device=settings.device)
    return sp.quality.measure(runs, shown.images, shown.extractor, seed=settings.seed, progress=len(rules) > 8)


def lines(table: xr.Dataset, rules: dict[str, sp.Guidance], settings: Settings) -> Iterator[str]:
    """Frechet distance of every rule, its change by guidance, and what follows from the intervals."""
    found: dict[str, dict[str, NDArray[np.float64]]] = {}
    for model in settings.models:
        one = table["frechet_distance"].sel(run=[run_name(model, seed) for seed in seeds_of(settings)])
        found[model] = {name: np.asarray(one.sel(guidance=str(rule)), dtype=np.float64) for name, rule in rules.items()}
        yield (
            f"Frechet distance of {settings.samples} samples of {settings.data} by the {model}, mean and 95 % interval "
            f"over {settings.seeds} seeds"
        )
        width = 2 + max(len(str(rule)) for rule in rules.values())
        for name, rule in rules.items():
            value = found[model][name]
            less = "" if name == UNGUIDED else over_seeds_text(value - found[model][UNGUIDED])
            yield f"  {name:<34}{rule!s:<{width}}{over_seeds_text(value):>18}{less:>20}"
    yield from conclusions(found)


def conclusions(found: dict[str, dict[str, NDArray[np.float64]]]) -> Iterator[str]:
    """What the intervals say of every rule beside no guidance, and beside the best of the sweep."""
    for model, values in found.items():
        for other in (UNGUIDED, SWEPT):
            if other not in values:
                continue
            yield f"\n{model.capitalize()}, beside {other}"
            yield from verdict_lines(
                {name: value - values[other] for name, value in values.items() if name not in (UNGUIDED, other)}
            )
