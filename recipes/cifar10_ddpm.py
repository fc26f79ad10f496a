"""When a DDPM of CIFAR-10 decides between classes, and from the null condition (arXiv 2506.10433, sec. 4).

A conditional and an unconditional network, the ancestral chain through all 1000 times, 1000 trajectories a side. The
partitions are pairs of classes (deer or automobile, deer or cat) and every class against the null condition. Expected:
production peaks at intermediate times and vanishes at both ends, unlike pairs decide earlier in generation than like
ones, profiles differ by class.

Networks come from specent run train_ddpm --data cifar10:PATH --networks two, or are pipelines of diffusers. Each
partition is sampled by itself, with its own two candidates; its trajectories are written beside OUTPUT, which holds the
profiles of all. A partition takes 4 million evaluations of a network, which is work for a GPU.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray

import specent as sp
from specent import arguments
from specent.files import name_part
from specent.models import Model
from specent.models.ddpm_model import is_ddpm
from specent.models.ddpm_network import TIMES, need_diffusers
from specent.schema import NULL
from specent.studies import (
    ShardedSettings,
    limited_threads,
    output_paths,
    print_lines,
    run_folder,
    sampled,
    tiny_settings,
    without_meaning,
    write_results,
)
from specent.training.ddpm import DDPMSettings, Examples, Trainer
from specent.training.run import Intervals, train_in_folder

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
_WHERE = "the folder of specent run train_ddpm --data cifar10:PATH --networks two, or a pipeline of diffusers"


@dataclass(frozen=True)
class Settings(ShardedSettings):
    """Settings of the CIFAR-10 study.

    Parameters
    ----------
    network : str
        Folder of train_ddpm, or a pipeline of diffusers with class labels: a folder, or a name on the hub.
    unconditional : str, optional
        Pipeline of the unconditional network, if it is not part of the first.
    labels : tuple of str
        Names of the classes, if the network is no folder of train_ddpm.
    output : Path
        Archive of profiles to write; the trajectories of each partition are written beside it.
    tiny : bool
        Run in seconds on sizes that show nothing but that it works, without any network given.
    samples : int
        Trajectories per side.
    steps : int
        Times of the chain: all 1000 of the network, or so many spread evenly over them, rounded.
    pairs : tuple of str
        Pairs of classes, each as "one|other"; the unlike one first, for the comparison that is printed.
    against_null : tuple of str
        Classes against the null condition; "all", or "none".
    batch_size : int, optional
        Trajectories at a time; the numbers do not depend on it.
    """

    network: str = ""
    unconditional: str | None = None
    labels: tuple[str, ...] = CLASSES
    output: Path = Path("cifar10_ddpm.nc")
    tiny: bool = False
    samples: int = 1000
    steps: int = TIMES
    pairs: tuple[str, ...] = ("deer|automobile", "deer|cat")
    against_null: tuple[str, ...] = ("all",)
    batch_size: int | None = None

    def __post_init__(self) -> None:
        arguments.whole(self.samples, "samples", least=2, most=1_000_000)
        arguments.whole(self.steps, "steps", least=4, most=TIMES)
        if self.batch_size is not None:
            arguments.whole(self.batch_size, "batch_size", least=1)
        if not self.network and not self.tiny:
            raise sp.SpecentError(f"network='' names no network; give {_WHERE}")
        if self.network and not is_ddpm(self.network):
            partitions_of(self, self.labels, null=True)
        super().__post_init__()


def main(settings: Settings) -> tuple[Path, ...]:
    """Sample every partition, write its trajectories, and the profiles of all."""
    if settings.tiny:
        settings = tiny_settings(settings, samples=4, steps=16, against_null=("deer", "cat"))
    need_diffusers()
    tiny_network = None if settings.network else "random"
    with ExitStack() as stack:
        stack.enter_context(without_meaning(tiny_network))
        stack.enter_context(limited_threads(settings.threads))
        network = settings.network or untrained(Path(stack.enter_context(tempfile.TemporaryDirectory())), settings.seed)
        model = open_networks(settings, network)
        partitions = partitions_of(settings, model.labels, model.null)
        names = ["_".join(partition.labels) for partition in partitions]
        first, *paths = output_paths(settings.output, *names, overwrite=settings.overwrite)
        folder = stack.enter_context(run_folder(settings, first))
        parts = [
            study(settings, model, partition, folder / name_part(name), path)
            for partition, name, path in zip(partitions, names, paths, strict=True)
        ]
        profiles = write_results(side_by_side(parts), first, "cifar10_ddpm", settings, tiny_network=tiny_network)
    print_lines(lambda: table(profiles, compared=bool(settings.network)))
    return (first, *paths)


def open_networks(settings: Settings, network: str) -> Model:
    """The networks as one model, whose last condition is the unconditional one."""
    if is_ddpm(network):
        if settings.unconditional is not None:
            raise sp.SpecentError(
                f"unconditional={settings.unconditional!r}: {network!r} brings its own null condition"
            )
        return sp.models.ddpm(network)
    return sp.models.pipeline(
        network, labels=settings.labels, unconditional=settings.unconditional, device=settings.device
    )


def partitions_of(settings: Settings, labels: tuple[str, ...], null: bool) -> list[sp.Partition]:
    """The pairs of classes, and the classes against the null condition."""
    against = settings.against_null
    classes = labels if against == ("all",) else () if against == ("none",) else against
    if classes and not null:
        raise sp.SpecentError(
            f"against_null={list(against)}: the network has no null condition; give unconditional=, or "
            "against_null=none"
        )
    partitions = [sp.Partition.parse(text, labels) for text in settings.pairs]
    for partition in partitions:
        if len(partition.sides) != 2 or len(partition.labels) != 2:
            raise sp.SpecentError(f"pairs: {partition.name!r} is no pair of two classes, such as 'deer|cat'")
    partitions += [sp.Partition.pair(label, NULL) for label in classes]
    for partition in partitions[len(settings.pairs) :]:
        partition.check([*labels, NULL])
    if len({partition.name for partition in partitions}) < len(partitions) or not partitions:
        raise sp.SpecentError(
            f"pairs={settings.pairs} and against_null={against} name a partition twice, or none at all; name each once"
        )
    return partitions


def study(settings: Settings, model: Model, partition: sp.Partition, folder: Path, path: Path) -> xr.Dataset:
    """Sample one partition into its run folder, write its trajectories, and return their profiles."""
    # the two conditions drive the trajectories, and are scored along them
    names = partition.labels
    plan = sp.Plan(
        model,
        sp.schedules.DDPM("linear"),
        chain(settings.steps),
        settings.samples,
        [partition],
        seed=settings.seed,
        classes=names,
        candidates=names,
        record=sp.Record(distances=False),
    )
    runs = sampled(folder, plan, settings, batch_size=settings.batch_size)
    # each is written as soon as it is there, so that a later failure costs none
    tiny_network = None if settings.network else "random"
    return sp.entropy(write_results(runs, path, "cifar10_ddpm", settings, tiny_network=tiny_network))


def chain(steps: int) -> NDArray[np.float64]:
    """Times of the ancestral chain, first and last of the network's own included."""
    return np.unique(np.linspace(0, TIMES - 1, steps).round())


def side_by_side(profiles: list[xr.Dataset]) -> xr.Dataset:
    """The profiles of all partitions along one dimension."""
    # only some of them may mark impossible numbers; what all have is kept
    parts = [part.drop_vars("impossible", errors="ignore") for part in profiles]
    joined = xr.concat(parts, "partition", coords="minimal", compat="override", join="exact", combine_attrs="drop")
    first = profiles[0].attrs
    return sp.schema.finish(
        joined,
        "profiles",
        title="Entropy profiles of a DDPM, each partition from trajectories of its own",
        settings={"function": "concat", "parts": [json.loads(part.attrs["settings"]) for part in profiles]},
        parents=profiles,
        rate_axis=first["rate_axis"],
        schedule=first["schedule"],
    )


def table(profiles: xr.Dataset, compared: bool = True) -> Iterator[str]:
    """Lines of text: where every partition peaks and is half decided, and which of two pairs is decided earlier."""
    ends = profiles.log_snr.values[[0, -1]]
    path = profiles.sel(estimator=["path"])
    yield "\nPeak of the entropy production per log-SNR, and half-entropy time, both as log-SNR, with 95 % intervals"
    halves = {}
    for name in path.partition.values:
        summary = sp.speciation(path.sel(partition=[name]), axis="log_snr").squeeze()
        if np.isnan(summary.half_entropy):
            # half of the one bit may stay where networks tell two conditions apart badly
            yield f"{name:>22}  peak {interval(summary, 'peak', ends)}  never falls to half"
            continue
        halves[str(name)] = summary
        yield f"{name:>22}  peak {interval(summary, 'peak', ends)}  half {interval(summary, 'half_entropy', ends)}"
    pairs = [name for name in halves if NULL not in name]
    if compared and len(pairs) >= 2:
        first, second = sorted(pairs[:2], key=lambda name: float(halves[name].half_entropy))
        gap = float(halves[second].half_entropy - halves[first].half_entropy)
        apart = float(halves[first].half_entropy_upper) < float(halves[second].half_entropy_lower)
        yield (
            f"In generation {first!r} is half decided {gap:.2f} of log-SNR before {second!r}; their intervals "
            f"{'do not overlap' if apart else 'overlap'}"
        )


def interval(summary: xr.Dataset, name: str, ends: NDArray[np.float64]) -> str:
    """A log-SNR with its interval, or with the reason why it has none."""
    value, low, high = (float(summary[f"{name}{end}"]) for end in ("", "_lower", "_upper"))
    if np.isclose(value, ends, rtol=0, atol=1e-6).any():
        return f"{value:6.2f} (at the end of the grid)"
    if f"{low:.2f}" == f"{high:.2f}":
        return f"{value:6.2f} (no interval: all replicates agree)"
    return f"{value:6.2f} ({low:.2f} to {high:.2f})"


def untrained(folder: Path, seed: int) -> str:
    """Two networks that saw a handful of random pictures, for a tiny run."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(len(CLASSES))
    images = torch.rand((len(CLASSES), 3, 8, 8), generator=generator) * 2 - 1
    options = DDPMSettings(steps=4, batch=8, channels=(8, 16), label_dropout=0.0, seed=seed)
    for target, count, null in ((folder / "unconditional", None, "itself"), (folder, len(CLASSES), "network")):
        card = {
            "name": "untrained", "data": {"name": "noise"}, "null": null, "labels": list(CLASSES),
            "label_prior": [1 / len(CLASSES)] * len(CLASSES),
        }  # fmt: skip
        train_in_folder(
            target, Trainer(options, Examples(images, labels, count, None)), Intervals(4, 0), card, progress=False
        )
    return str(folder)
