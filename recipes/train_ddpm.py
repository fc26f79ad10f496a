"""Train a DDPM (arXiv 2006.11239) on the digits, CIFAR-10, a folder of pictures by class, or an .npz file.

A U-Net of diffusers with linear betas learns the noise, with the classes and a null condition (--networks one), or with
a second network without labels as in arXiv 2506.10433 (--networks two). The folder that is written is a pipeline of
diffusers; specent.models.ddpm(FOLDER) opens it with labels and null condition. Checkpoints, losses and samples lie
there too: the same command goes on from the last whole checkpoint after a crash.

The sizes of network and run follow from the height of the pictures unless given. The digits take less than ten minutes
on two cores, and their profile is put beside the exact one (profiles.nc); CIFAR-10 takes a GPU.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import xarray as xr

import specent as sp
from specent import arguments
from specent.errors import visible
from specent.models.base import resolve_device
from specent.models.ddpm_network import need_diffusers
from specent.studies import (
    ShardedSettings,
    limited_threads,
    mark_tiny,
    print_lines,
    run_folder,
    sampled,
    stored_settings,
    tiny_settings,
    without_meaning,
)
from specent.training.ddpm import DDPMSettings, Examples, Trainer
from specent.training.run import CARD, PROFILES, UNCONDITIONAL, Intervals, check_folder, clear, train_in_folder

SMALL = DDPMSettings(
    steps=8000, batch=64, learning_rate=1e-3, warmup=200, average=0.999, channels=(32, 64), layers=1, attention=(4,)
)
MEDIUM = DDPMSettings(
    steps=400_000, batch=128, learning_rate=2e-4, warmup=5000, average=0.9999, channels=(128, 256, 256, 256), layers=2,
    attention=(16,), dropout=0.1,
)  # fmt: skip
LARGE = replace(MEDIUM, learning_rate=1e-4, channels=(128, 128, 256, 256, 512), dropout=0.0)
# the network of a tiny run
_HARDLY = "hardly trained"


@dataclass(frozen=True)
class Settings(ShardedSettings):
    """Settings of the training. What is left open follows from the height of the pictures.

    Parameters
    ----------
    data : str
        What to train on: digits, cifar10:PATH, folder:PATH, or a file ending in .npz. For CIFAR-10, PATH is the hub's
        data set or the original Python version; a folder holds a folder of pictures for every class.
    output : Path
        Folder of the run; a tiny one goes to ddpm_tiny. One that holds checkpoints of the same settings is gone on
        with.
    tiny : bool
        Run in seconds on sizes that show nothing but that it works.
    networks : {"one", "two"}
        One network that knows a null condition by label dropout, or a conditional and an unconditional one.
    steps : int, optional
        Optimiser steps, of each network.
    batch : int, optional
        Pictures per step.
    learning_rate : float, optional
        Peak learning rate; it rises at first and falls as a cosine.
    warmup : int, optional
        Steps of the rise.
    label_dropout : float, optional
        Share of pictures trained under the null condition, by one network.
    average : float, optional
        Decay of the moving average of the weights, per step.
    channels : tuple of int
        Width of each level of the U-Net.
    layers : int, optional
        Residual blocks per level.
    attention : tuple of int
        Heights at which there is attention, 0 for none.
    dropout : float, optional
        Dropout inside residual blocks.
    flip : bool, optional
        Mirror pictures at random; by default for CIFAR-10 only.
    precision : {"auto", "float32", "bfloat16"}
        Arithmetic of the network in training; auto is bfloat16 on a GPU that has it.
    checkpoints : int
        Steps between checkpoints.
    pictures : int
        Steps between grids of samples, 0 for none.
    check : int, optional
        Trajectories per class whose profile is put beside the exact one of the data after training, 0 for none; by
        default 30 for pictures of up to 16 x 16.
    levels : int
        Noise levels of the check, at most; rounded to times that the network knows.
    size : int, optional
        Height and width to which the pictures of a folder are brought, see resize.
    grey : bool
        Whether the pictures of a folder are grey.
    resize : {"refuse", "crop", "stretch"}
        What is done with pictures of another size.
    convert : bool
        Convert grey pictures to colour or colour to grey, lay transparent ones on black.
    skip : bool
        Leave out pictures that cannot be used, and note which.
    """

    data: str = "digits"
    output: Path = Path("ddpm")
    tiny: bool = False
    networks: Literal["one", "two"] = "one"
    steps: int | None = None
    batch: int | None = None
    learning_rate: float | None = None
    warmup: int | None = None
    label_dropout: float | None = None
    average: float | None = None
    channels: tuple[int, ...] = ()
    layers: int | None = None
    attention: tuple[int, ...] = ()
    dropout: float | None = None
    flip: bool | None = None
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    checkpoints: int = 1000
    pictures: int = 2000
    check: int | None = None
    levels: int = 120
    size: int | None = None
    grey: bool = False
    resize: Literal["refuse", "crop", "stretch"] = "refuse"
    convert: bool = False
    skip: bool = False
    threads: int | None = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        arguments.whole(self.checkpoints, "checkpoints", least=1)
        arguments.whole(self.pictures, "pictures")
        arguments.whole(self.levels, "levels", least=8, most=1000)
        if self.check is not None and self.check != 0:
            arguments.whole(self.check, "check", least=2, most=100_000)
        if self.networks == "two" and self.label_dropout:
            raise sp.SpecentError(f"label_dropout={self.label_dropout} is for one network; two need none")
        # what is set must serve whatever the data are
        training(self, 8)


def main(settings: Settings) -> tuple[Path, ...]:
    """Train, or go on with a training, and leave the networks in their folder."""
    if settings.tiny:
        settings = tiny_settings(
            settings, steps=24, batch=8, channels=(8, 16), layers=1, checkpoints=10, pictures=24, check=2, warmup=4,
            levels=16, threads=1, output=Path("ddpm_tiny"),
        )  # fmt: skip
    need_diffusers()
    folder = check_folder(settings.output, overwrite=settings.overwrite)
    data = sp.images.read(
        settings.data, size=settings.size, channels=1 if settings.grey else 3, resize=settings.resize,
        convert=settings.convert, skip=settings.skip,
    )  # fmt: skip
    options = training(settings, data.shape[1], mirrored=data.name == "cifar10")
    trajectories = settings.check if settings.check is not None else 30 if data.shape[1] <= 16 else 0
    with without_meaning(_HARDLY if settings.tiny else None), limited_threads(settings.threads):
        print("\n".join(map(visible, described(data))))
        train(settings, data, options, folder)
        return (folder / CARD, *([compare(settings, data, folder, trajectories)] if trajectories else []))


def training(settings: Settings, height: int, mirrored: bool = False) -> DDPMSettings:
    """Settings of the network and its training: those given, the others by the height of the pictures."""
    preset = SMALL if height <= 16 else MEDIUM if height <= 48 else LARGE
    names = {field.name for field in fields(DDPMSettings)} - {"clip", "precision", "flip", "label_dropout"}
    chosen = {name: getattr(settings, name) for name in names if getattr(settings, name) not in (None, ())}
    if chosen.get("attention") == (0,) or (settings.tiny and "attention" not in chosen):
        chosen["attention"] = ()
    half = settings.device.startswith("cuda") and torch.cuda.is_available() and torch.cuda.is_bf16_supported()
    precision = ("bfloat16" if half else "float32") if settings.precision == "auto" else settings.precision
    dropout = 0.0 if settings.networks == "two" else settings.label_dropout
    return replace(
        preset,
        **chosen,
        precision=precision,
        flip=mirrored if settings.flip is None else settings.flip,
        label_dropout=preset.label_dropout if dropout is None else dropout,
    )


def train(settings: Settings, data: sp.images.ImageSet, options: DDPMSettings, folder: Path) -> None:
    """Train one network or two, each in a folder of its own."""
    count, one = len(data.classes), settings.networks == "one"
    images, labels = torch.from_numpy(data.images), torch.from_numpy(data.labels)
    keeping = Intervals(settings.checkpoints, settings.pictures)
    conditional = Examples(images, labels, count + one, count if one else None, data.sha256)
    runs = {folder: (conditional, "embedding" if one else "network")}
    if not one:
        # the network that stands for the null condition comes first, so that the card of the pair vouches for both
        free = Examples(images, labels, None, None, data.sha256)
        runs = {folder / UNCONDITIONAL: (free, "itself"), **runs}
    # before anything of an earlier run is removed, because sizes that do not fit are refused here
    device = resolve_device(settings.device)
    trainers = {target: Trainer(options, examples, device) for target, (examples, _) in runs.items()}
    if settings.overwrite and folder.is_dir():
        clear(folder)
    for target, (_, null) in runs.items():
        train_in_folder(target, trainers[target], keeping, {**about(data, settings), "null": null})


def about(data: sp.images.ImageSet, settings: Settings) -> dict[str, Any]:
    """What the card of a network says of its data and its making."""
    return {
        "name": f"ddpm-{data.name}",
        "title": f"Class-conditional DDPM of {data.name}",
        "made_by": "specent run train_ddpm",
        "labels": list(data.classes),
        "label_prior": (np.array(list(data.counts.values())) / len(data)).tolist(),
        "data": {"name": data.name, "pictures": len(data), "sha256": data.sha256, "notes": list(data.notes)},
        "recipe_settings": stored_settings(settings, "output", "overwrite"),
        "versions": sp.schema.versions(),
    }


def described(data: sp.images.ImageSet) -> Iterator[str]:
    """Lines of text: what is trained on."""
    yield f"{data}: " + ", ".join(f"{name} {count}" for name, count in list(data.counts.items())[:12])
    yield from (f"  {note}" for note in data.notes)


def compare(settings: Settings, data: sp.images.ImageSet, folder: Path, trajectories: int) -> Path:
    """Write the profile of the full label set beside the exact one of the data, and print where both fall to half."""
    model = sp.models.ddpm(folder)
    schedule = sp.schedules.DDPM("linear")
    # the times the network knows, thinned where they are denser than an ancestral chain needs
    time = np.unique(sp.schedules.edm_grid(settings.levels, 0.0101, 157.0, schedule=schedule).round())
    partitions = [sp.Partition.full(model.labels)]
    plan = sp.Plan(
        model, schedule, time, trajectories, partitions, seed=settings.seed, candidates=model.labels,
        record=sp.Record(distances=False),
    )  # fmt: skip
    exact = sp.exact.profiles(
        sp.models.finite(data.images, data.label_names, name=data.name), schedule, time, partitions,
        samples=4 * trajectories, seed=settings.seed, device=settings.device,
    )  # fmt: skip
    with run_folder(settings, folder) as run:
        paths = sp.entropy(sampled(run, plan, settings), keep_replicates=False)
        both = sp.analysis.combine(exact, paths)
        both = sp.schema.with_settings(both, recipe="train_ddpm", recipe_settings=stored_settings(settings))
        path = sp.write(mark_tiny(both, _HARDLY if settings.tiny else None), folder / PROFILES, overwrite=True)
    print_lines(lambda: half_entropy_table(both))
    return path


def half_entropy_table(profiles: xr.Dataset) -> Iterator[str]:
    """Lines of text: the half-entropy noise level of every estimator."""
    exact = np.nan
    yield "\nHalf-entropy sigma of the full label set, with its 95 % interval, and against the exact one"
    # the exact one comes first
    for name in profiles.estimator.values:
        summary = sp.speciation(profiles.sel(estimator=[name]), axis="sigma").squeeze()
        if np.isnan(summary.half_entropy):
            left = float(profiles.entropy.sel(estimator=name).isel(time=0).squeeze())
            yield f"{name:>14}    never: {left:.3f} bit are open at the end"
            continue
        half, low, high = (float(summary[f"half_entropy{end}"]) for end in ("", "_lower", "_upper"))
        exact = half if name == "exact" else exact
        yield f"{name:>14} {half:8.3f} ({low:.3f} to {high:.3f}) {100 * (half / exact - 1):+6.1f} %"
