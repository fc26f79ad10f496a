"""When Stable Diffusion 1.5 decides on an attribute of a picture (arXiv 2602.09651, Fig. 4).

"A wooden chair" against the same prompt and an attribute, one pair per attribute, each with prior one half: coarse
attributes, such as the colour of a wall, should be decided at higher noise than fine ones, such as a cat. All prompts
are scored along every trajectory, and the posterior is that of the two prompts of a pair, a mixture, not of the null
prompt. The trajectories go to OUTPUT; beside it their profiles (..._profiles.nc), and a few trajectories of every
prompt that start from common noise and share it, with their predictions decoded into pictures (..._pictures.nc).

MODEL is a folder that holds the pipeline, or its name on the Hugging Face hub, from which it is fetched. At full size
the network is called a million times: that takes a GPU, and hours.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray

import specent as sp
from specent import arguments
from specent.models import PipelineModel
from specent.studies import (
    ShardedSettings,
    entanglement_lines,
    half_entropy_text,
    limited_threads,
    output_paths,
    print_lines,
    run_folder,
    sampled,
    tiny_settings,
    without_meaning,
    write_results,
)

Times = NDArray[np.float64]

# noise levels of a flow, which knows all of them
_FLOW_LEVELS = (0.02, 50.0)


@dataclass(frozen=True)
class Settings(ShardedSettings):
    """Settings of the study of attributes.

    Parameters
    ----------
    model : str
        Folder of a text to image pipeline, or its name on the hub.
    variant : str, optional
        Variant of its weights, for example fp16; they are read into single precision all the same.
    local_files_only : bool
        Fetch nothing: use what was fetched before.
    output : Path
        Archive of trajectories to write; profiles and pictures are written beside it.
    tiny : bool
        Run in seconds on sizes that show nothing but that it works, with a random network.
    base : str
        The prompt.
    attributes : tuple of str
        What is added to the prompt, one pair each.
    crossed : tuple of str
        Two of the attributes that are also added together: their four combinations are scored, and what each of the two
        tells of the other on the way is printed.
    samples : int
        Trajectories per prompt.
    steps : int
        Noise levels of the chain, at whole times of the network.
    grid : {"edm", "log_snr", "time"}
        How the levels are spread: as in arXiv 2206.00364, evenly in log-SNR, or evenly in the time of the network,
        which is coarse at the end.
    size : int, optional
        Height and width of the pictures in pixels; those of the training if not given.
    pictures : int
        Trajectories per prompt with common noise, for pictures.
    predictions : int
        How many predictions of the data are decoded along each of those.
    precision : {"float32", "tf32", "bfloat16", "float16"}
        Arithmetic of the network.
    batch_size : int, optional
        Trajectories at a time; the numbers do not depend on it.
    """

    model: str = "stable-diffusion-v1-5/stable-diffusion-v1-5"
    variant: str | None = None
    local_files_only: bool = False
    output: Path = Path("sd15_attributes.nc")
    tiny: bool = False
    base: str = "A wooden chair"
    attributes: tuple[str, ...] = (
        "in front of a red wall", "in front of a blue wall", "with a cat on it", "with a book on it",
    )  # fmt: skip
    crossed: tuple[str, ...] = ()
    samples: int = 400
    steps: int = 100
    grid: Literal["edm", "log_snr", "time"] = "edm"
    size: int | None = None
    pictures: int = 4
    predictions: int = 12
    precision: Literal["float32", "tf32", "bfloat16", "float16"] = "float32"
    batch_size: int | None = None

    def __post_init__(self) -> None:
        arguments.name(self.model, "model")
        every = (self.base, *arguments.names(self.attributes, "attributes"))
        arguments.name(self.base, "base")
        if len(every) < 2 or len(set(every)) < len(every):
            raise sp.SpecentError(f"attributes={self.attributes} must be one or more, all different, and not the base")
        if self.crossed and not (len(self.crossed) == 2 == len(set(self.crossed) & set(self.attributes))):
            raise sp.SpecentError(f"crossed={self.crossed} must be none, or two of the attributes")
        arguments.whole(self.samples, "samples", least=2, most=1_000_000)
        arguments.whole(self.steps, "steps", least=4, most=100_000)
        arguments.whole(self.pictures, "pictures", least=2, most=10_000)
        arguments.whole(self.predictions, "predictions", least=1, most=1000)
        for name, value in (("size", self.size), ("batch_size", self.batch_size)):
            if value is not None:
                arguments.whole(value, name, least=1)
        super().__post_init__()


def main(settings: Settings) -> tuple[Path, ...]:
    """Sample the prompts, write trajectories, profiles and pictures, and print where attributes are decided."""
    if settings.tiny:
        settings = tiny_settings(settings, samples=16, steps=16, pictures=2, predictions=6)
    paths = output_paths(settings.output, "profiles", "pictures", overwrite=settings.overwrite)
    with ExitStack() as stack:
        random = settings.tiny and settings.model == Settings.model
        stack.enter_context(without_meaning("random" if random else None))
        stack.enter_context(limited_threads(settings.threads))
        if random:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "tiny_random_pipeline"
            settings = replace(settings, model=str(random_pipeline(folder)))
        model = open_pipeline(settings)
        time = times(settings, model.schedule)
        # archives know the pipeline, not this machine
        public = replace(settings, model=model.identity["name"])

        def write(dataset: xr.Dataset, path: Path) -> xr.Dataset:
            # each is written as soon as it is there, so that a later failure costs no samples
            return write_results(dataset, path, "sd15_attributes", public, tiny_network="random" if random else None)

        folder = stack.enter_context(run_folder(settings, paths[0]))
        size = settings.batch_size
        runs = write(
            sampled(folder / "trajectories", trajectories(settings, model, time), settings, batch_size=size), paths[0]
        )
        profiles = write(sp.entropy(runs), paths[1])
        shown = sampled(folder / "pictures", pictures(settings, model, time), settings, batch_size=size)
        write(sp.models.previews(model, shown, device=settings.device), paths[2])
    print_lines(lambda: table(profiles, ordered=not random))
    if settings.crossed:
        print_lines(lambda: entanglement_lines(sp.open(paths[0]), crossed_partitions(settings)))
    return tuple(paths)


def random_pipeline(folder: Path) -> Path:
    """A random pipeline of the real classes, a few kilobytes large."""
    from specent.models.diffusers.tiny_pipelines import write_pipeline

    # v-prediction: a random network of noise would tell the prompts apart in pure noise
    return write_pipeline("sd2", folder)


def open_pipeline(settings: Settings) -> PipelineModel:
    """The pipeline with its prompts: the base under its own words, the others under their attribute."""
    prompts = {settings.base: settings.base, **{more: f"{settings.base} {more}" for more in settings.attributes}}
    if settings.crossed:
        prompts[both(settings)] = f"{settings.base} {both(settings)}"
    return sp.models.pipeline(
        settings.model,
        prompts=prompts,
        size=settings.size,
        variant=settings.variant,
        local_files_only=settings.local_files_only,
        device=settings.device,
    )


def times(settings: Settings, schedule: sp.schedules.Schedule) -> Times:
    """Times of the chain over all the noise that the network knows; whole ones, if it was trained on whole ones."""
    discrete = schedule.whole_times is not None
    low, high = (float(level) for level in (schedule.noise_level(schedule.time_range) if discrete else _FLOW_LEVELS))

    def spread(steps: int) -> Times:
        if settings.grid == "edm":
            return sp.schedules.edm_grid(steps, low, high, schedule=schedule)
        if settings.grid == "log_snr":
            return sp.schedules.log_snr_grid(schedule, steps, -2 * np.log(high), -2 * np.log(low))
        first, last = schedule.time(-2 * np.log([low, high]))
        return np.linspace(first, last, steps)

    if not discrete:
        return spread(settings.steps)
    # rounding lets times at low noise coincide: spread more of them until enough are left
    most = int(schedule.time_range[1]) + 1
    steps, trial = min(settings.steps, most), settings.steps
    grid: Times = np.unique(spread(trial).round())
    while len(grid) < steps and trial < 100 * most:
        trial += max(1, (steps - len(grid)) // 2)
        grid = np.unique(spread(trial).round())
    return grid


def trajectories(settings: Settings, model: PipelineModel, time: Times) -> sp.Plan:
    """Trajectories of every prompt, all prompts scored along them, and the production of every pair."""
    return sp.Plan(
        model,
        model.schedule,
        time,
        settings.samples,
        partitions_of(settings),
        seed=settings.seed,
        candidates=model.labels,
        # distances between all prompts would outweigh everything else; the production of the pairs is kept
        record=sp.Record(distances=False),
        precision=settings.precision,
    )


def both(settings: Settings) -> str:
    """Name of the prompt with both crossed attributes."""
    return " ".join(settings.crossed)


def partitions_of(settings: Settings) -> list[sp.Partition]:
    """One pair per attribute: the prompt without and with it."""
    return [sp.Partition.pair(settings.base, attribute) for attribute in settings.attributes]


def crossed_partitions(settings: Settings) -> list[sp.Partition]:
    """The four prompts of two attributes, by the one and by the other."""
    alone = [settings.base, *settings.crossed]
    return [
        sp.Partition.groups(
            {"without": [one for one in alone if one != attribute], "with": [attribute, both(settings)]}, name=attribute
        )
        for attribute in settings.crossed
    ]


def pictures(settings: Settings, model: PipelineModel, time: Times) -> sp.Plan:
    """A few trajectories of every prompt with common noise, and their predictions."""
    levels = model.schedule.noise_level(time)
    spread = np.geomspace(levels[0], levels[-1], settings.predictions).clip(levels[0], levels[-1])
    nearest = np.abs(np.log(levels) - np.log(spread)[:, None]).argmin(axis=1)
    return replace(
        trajectories(settings, model, time),
        samples=settings.pictures,
        record=sp.Record(time[np.unique(nearest)], distances=False),
        shared_noise=True,
    )


def table(profiles: xr.Dataset, ordered: bool = True) -> Iterator[str]:
    """Lines of text: where every attribute is half decided, from high noise to low if their order means anything."""
    decided, never = {}, []
    for name in profiles.partition.values:
        attribute = str(name).partition(" | ")[2]
        one = profiles.sel(partition=[name], estimator=["path"])
        both = sp.speciation(one, axis=("sigma", "log_snr")).squeeze(("partition", "estimator", "guidance"))
        if bool(np.isfinite(both.half_entropy).all()):
            decided[attribute] = [both.sel(axis=axis) for axis in ("sigma", "log_snr")]
        else:
            left = float(one.entropy.isel(time=0).squeeze())
            never.append(f"{attribute:>28}  never: {left:.3f} bit of it are open at the end")
    order = ", in the order in which they are decided" if ordered else ""
    yield f"\nHalf-entropy noise level and log-SNR of every attribute (95 % interval){order}"
    yield f"{'attribute':>28} {'sigma/alpha':>24} {'log-SNR':>24}"
    for attribute in sorted(decided, key=lambda name: -float(decided[name][0].half_entropy)) if ordered else decided:
        level, log_snr = decided[attribute]
        yield f"{attribute:>28} {half_entropy_text(level):>24} {half_entropy_text(log_snr):>24}"
    yield from never
