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
from specent.models.base import resolve_device
from specent.studies.shipped import meaningless, recorded, tell, tiny, titled

Times = NDArray[np.float64]

# noise levels of a flow, which knows all of them
_FLOW_LEVELS = (0.02, 50.0)


@dataclass(frozen=True)
class Settings:
    """Settings of the study of attributes.

    Parameters
    ----------
    model : str
        Folder of a text to image pipeline, or its name on the hub.
    variant : str, optional
        Variant of its weights, for example fp16; they are held in single precision all the same.
    local_files_only : bool
        Fetch nothing: use what was fetched before.
    output : Path
        Archive of trajectories to write; profiles and pictures are written beside it.
    overwrite : bool
        Replace existing archives.
    tiny : bool
        Run in seconds on sizes that show nothing but that it works, with a random network.
    seed : int
        Seed of the random streams.
    base : str
        The prompt.
    attributes : tuple of str
        What is added to the prompt, one pair each.
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
    device : {"cpu", "cuda"}
        Where the network runs.
    """

    model: str = "stable-diffusion-v1-5/stable-diffusion-v1-5"
    variant: str | None = None
    local_files_only: bool = False
    output: Path = Path("sd15_attributes.nc")
    overwrite: bool = False
    tiny: bool = False
    seed: int = 0
    base: str = "A wooden chair"
    attributes: tuple[str, ...] = (
        "in front of a red wall", "in front of a blue wall", "with a cat on it", "with a book on it",
    )  # fmt: skip
    samples: int = 400
    steps: int = 100
    grid: Literal["edm", "log_snr", "time"] = "edm"
    size: int | None = None
    pictures: int = 4
    predictions: int = 12
    precision: Literal["float32", "tf32", "bfloat16", "float16"] = "float32"
    batch_size: int | None = None
    device: str = "cpu"

    def __post_init__(self) -> None:
        arguments.name(self.model, "model")
        arguments.whole(self.seed, "seed")
        every = (self.base, *arguments.names(self.attributes, "attributes"))
        arguments.name(self.base, "base")
        if len(every) < 2 or len(set(every)) < len(every):
            raise sp.SpecentError(f"attributes={self.attributes} must be one or more, all different, and not the base")
        arguments.whole(self.samples, "samples", least=2, most=1_000_000)
        arguments.whole(self.steps, "steps", least=4, most=100_000)
        arguments.whole(self.pictures, "pictures", least=2, most=10_000)
        arguments.whole(self.predictions, "predictions", least=1, most=1000)
        for name, value in (("size", self.size), ("batch_size", self.batch_size)):
            if value is not None:
                arguments.whole(value, name, least=1)
        resolve_device(self.device)


def main(settings: Settings) -> tuple[Path, ...]:
    """Sample the prompts, write trajectories, profiles and pictures, and print where attributes are decided."""
    if settings.tiny:
        settings = tiny(settings, samples=16, steps=16, pictures=2, predictions=6)
    first = sp.archive.check_output(settings.output, overwrite=settings.overwrite)
    beside = [first.with_name(f"{first.stem}_{what}.nc") for what in ("profiles", "pictures")]
    paths = [first, *(sp.archive.check_output(path, overwrite=settings.overwrite) for path in beside)]
    with ExitStack() as stack:
        random = settings.tiny and settings.model == Settings.model
        stack.enter_context(meaningless(random))
        if random:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "tiny_random_pipeline"
            settings = replace(settings, model=str(random_pipeline(folder)))
        model = opened(settings)
        time = times(settings, model.schedule)
        # archives know the pipeline, not this machine
        kept = recorded(replace(settings, model=model.identity["name"]))

        def put(made: xr.Dataset, path: Path) -> None:
            made = sp.schema.with_settings(made, recipe="sd15_attributes", recipe_settings=kept)
            # each is written as soon as it is there, so that a later failure costs no samples
            sp.write(titled(made, random), path, overwrite=settings.overwrite)

        runs = sampled(settings, model, time)
        put(runs, paths[0])
        profiles = sp.entropy(runs)
        put(profiles, paths[1])
        put(pictures(settings, model, time), paths[2])
    tell(lambda: table(profiles, ordered=not random))
    return tuple(paths)


def random_pipeline(folder: Path) -> Path:
    """A random pipeline of the real classes, a few kilobytes large."""
    from specent.models.diffusers.tiny_pipelines import write_pipeline

    # v-prediction: a random network of noise would tell the prompts apart in pure noise
    return write_pipeline("sd2", folder)


def opened(settings: Settings) -> PipelineModel:
    """The pipeline with its prompts: the base under its own words, the others under their attribute."""
    prompts = {settings.base: settings.base, **{more: f"{settings.base} {more}" for more in settings.attributes}}
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
    # rounding lets times at low noise fall together: ask for more of them until enough are left
    most = int(schedule.time_range[1]) + 1
    wanted, asked = min(settings.steps, most), settings.steps
    grid: Times = np.unique(spread(asked).round())
    while len(grid) < wanted and asked < 100 * most:
        asked += max(1, (wanted - len(grid)) // 2)
        grid = np.unique(spread(asked).round())
    return grid


def sampled(settings: Settings, model: PipelineModel, time: Times) -> xr.Dataset:
    """Trajectories of every prompt, all prompts scored along them, and the production of every pair."""
    return sp.sample(
        model,
        schedule=model.schedule,
        time=time,
        samples=settings.samples,
        partitions=questions(settings),
        candidates=model.labels,
        # distances between all prompts would outweigh everything else; the production of the pairs is kept
        record=sp.Record(distances=False),
        seed=settings.seed,
        device=settings.device,
        precision=settings.precision,
        batch_size=settings.batch_size,
    )


def questions(settings: Settings) -> list[sp.Partition]:
    """One pair per attribute: the prompt without and with it."""
    return [sp.Partition.pair(settings.base, attribute) for attribute in settings.attributes]


def pictures(settings: Settings, model: PipelineModel, time: Times) -> xr.Dataset:
    """A few trajectories of every prompt with common noise, their predictions decoded."""
    levels = model.schedule.noise_level(time)
    wanted = np.geomspace(levels[0], levels[-1], settings.predictions).clip(levels[0], levels[-1])
    nearest = np.abs(np.log(levels) - np.log(wanted)[:, None]).argmin(axis=1)
    runs = sp.sample(
        model,
        schedule=model.schedule,
        time=time,
        samples=settings.pictures,
        partitions=questions(settings),
        candidates=model.labels,
        record=sp.Record(time[np.unique(nearest)], distances=False),
        seed=settings.seed,
        shared_noise=True,
        device=settings.device,
        precision=settings.precision,
        batch_size=settings.batch_size,
    )
    return sp.models.previews(model, runs, device=settings.device)


def table(profiles: xr.Dataset, ordered: bool = True) -> Iterator[str]:
    """Lines of text: where every attribute is half decided, from high noise to low if their order means anything."""
    found, never = {}, []
    for name in profiles.partition.values:
        attribute = str(name).partition(" | ")[2]
        one = profiles.sel(partition=[name], estimator=["path"])
        both = sp.speciation(one, axis=("sigma", "log_snr")).squeeze(("partition", "estimator", "guidance"))
        if bool(np.isfinite(both.half_entropy).all()):
            found[attribute] = [both.sel(axis=axis) for axis in ("sigma", "log_snr")]
        else:
            left = float(one.entropy.isel(time=0).squeeze())
            never.append(f"{attribute:>28}  never: {left:.3f} bit of it are open at the end")
    order = ", in the order in which they are decided" if ordered else ""
    yield f"\nHalf-entropy place of every attribute (95 % interval){order}"
    yield f"{'attribute':>28} {'sigma/alpha':>24} {'log-SNR':>24}"
    for attribute in sorted(found, key=lambda name: -float(found[name][0].half_entropy)) if ordered else found:
        level, log_snr = found[attribute]
        yield f"{attribute:>28} {interval(level):>24} {interval(log_snr):>24}"
    yield from never


def interval(place: xr.Dataset) -> str:
    """A half-entropy place with its bounds."""
    low, high = sorted((float(place.half_entropy_lower), float(place.half_entropy_upper)))
    return f"{float(place.half_entropy):.3f} ({low:.3f} .. {high:.3f})"
