"""When EDM2 decides on each class of ImageNet-512 (arXiv 2602.09651, Fig. 1b).

The stochastic chain of EDM2-XS on ImageNet-512 latents, 64 noise levels, every class against the unconditional
network with prior one half each: two evaluations a step instead of a thousand. The null condition contains the class,
so each entropy ends at a floor of 0.0057 bit, not at 0. Noise levels are those of the latents, of standard deviation
one half: they are no noise levels of pixels.

NETWORK and NULL_NETWORK are files of the published networks or converted ones, which docs/edm2.md says how to get. Each
class is sampled by itself, in shards, in the folder OUT, so that a run that was stopped continues: run it again with
the same settings. OUTPUT holds the profiles of all classes; beside it are a few trajectories of the shown classes with
what was predicted along them (..._pictures.nc), decoded if VAE is given. All thousand classes take 82 million
evaluations, which is work for a GPU.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr

import specent as sp
from specent import arguments
from specent.models import EDM2Model
from specent.schema import NULL
from specent.studies import (
    limited_threads,
    output_paths,
    print_lines,
    remove_run,
    sampled,
    tiny_settings,
    without_meaning,
    write_results,
)
from specent.studies.imagenet import (
    ClassStudy,
    ImageNetSettings,
    class_folder,
    join_classes,
    labels_of,
    open_networks,
)

# goldfish, macaw, golden retriever, monarch butterfly, balloon, sports car, volcano, daisy
SHOWN = ("1", "88", "207", "323", "417", "817", "980", "985")


@dataclass(frozen=True)
class Settings(ImageNetSettings):
    """Settings of the ImageNet study.

    Parameters
    ----------
    output : Path
        Archive of profiles to write; pictures are written beside it.
    vae : str, optional
        Autoencoder for the pictures: a folder, or stabilityai/sd-vae-ft-mse to fetch it from the hub.
    shown : tuple of str
        Classes with more trajectories, and with pictures; "none".
    shown_samples : int
        Trajectories of each shown class, and as many of the null condition.
    pictures : int
        Trajectories of each shown class with predictions.
    predictions : int
        How many predictions of the data are kept along each of those.
    keep_trajectories : bool
        Keep the trajectories of every class, each in a run folder of up to 40 MB.
    """

    output: Path = Path("imagenet_edm2.nc")
    vae: str | None = None
    shown: tuple[str, ...] = SHOWN
    shown_samples: int = 3000
    pictures: int = 2
    predictions: int = 12
    keep_trajectories: bool = False

    def __post_init__(self) -> None:
        for name in ("shown_samples", "pictures"):
            arguments.whole(getattr(self, name), name, least=2, most=1_000_000)
        arguments.whole(self.predictions, "predictions", least=1, most=1000)
        super().__post_init__()


def main(settings: Settings) -> tuple[Path, ...]:
    """Sample class by class, write the profiles of all, and pictures of those shown."""
    if settings.tiny:
        settings = tiny_settings(
            settings, samples=6, shown_samples=8, steps=8, predictions=4, replicates=50, shown=("0", "2")
        )
    first, beside = output_paths(settings.output, "pictures", overwrite=settings.overwrite)
    with ExitStack() as stack:
        stack.enter_context(without_meaning(settings.tiny_network))
        stack.enter_context(limited_threads(settings.threads))
        model = open_networks(settings, stack, settings.vae)
        labels = labels_of("classes", settings.classes, model.labels)
        shown = labels_of("shown", settings.shown, model.labels)
        counts = {label: settings.shown_samples if label in shown else settings.samples for label in labels}
        folder = class_folder(settings.out, first)
        profiles = study(settings, model, counts, folder)
        write(profiles, first, settings)
        if shown:
            strips(settings, model, shown, folder / "pictures", beside)
    names = [f"{label} | {NULL}" for label in shown]
    print_lines(lambda: table(profiles, len(model.labels), names, ordered=settings.network is not None))
    return (first, beside) if shown else (first,)


def study(settings: Settings, model: EDM2Model, counts: dict[str, int], folder: Path) -> xr.Dataset:
    """Profiles of all classes against the null condition: those in the folder, and new ones."""

    def plans(label: str) -> dict[str, sp.Plan]:
        return {"run": against_null(settings, model, label, counts[label])}

    def analyse(runs: Mapping[str, xr.Dataset]) -> xr.Dataset:
        return sp.entropy(runs["run"], replicates=settings.replicates)

    classes = ClassStudy(settings, folder, plans, analyse, settings.keep_trajectories)
    return join_classes(classes.profiles({label: model.labels.index(label) for label in counts}))


def against_null(settings: Settings, model: EDM2Model, label: str, samples: int) -> sp.Plan:
    """Trajectories of a class and of the null condition, both scored along all of them."""
    partition = sp.Partition.pair(label, NULL)
    return settings.plan(
        model,
        samples=samples,
        classes=partition.labels,
        candidates=partition.labels,
        partitions=[partition],
        record=sp.Record(distances=False),
    )


def strips(settings: Settings, model: EDM2Model, shown: tuple[str, ...], folder: Path, path: Path) -> None:
    """The first trajectories of the shown classes once more, with predictions along them."""
    time = settings.grid()
    plan = settings.plan(
        model,
        # the first of the same trajectories
        samples=settings.pictures,
        classes=shown,
        candidates=(*shown, NULL),
        record=sp.Record(np.geomspace(time[0], time[-1], settings.predictions).clip(time[0], time[-1])),
    )
    # a compiled network would have to be compiled again for them
    runs = sampled(folder, plan, settings, batch_size=settings.batch_size)
    if settings.vae is not None:
        runs = sp.models.previews(model, runs, device=settings.device)
    write(runs, path, settings)
    remove_run(folder)


def write(dataset: xr.Dataset, path: Path, settings: Settings) -> None:
    """Write an archive with the settings of this run."""
    write_results(dataset, path, "imagenet_edm2", settings, tiny_network=settings.tiny_network)


def table(profiles: xr.Dataset, classes: int, shown: list[str], ordered: bool = True) -> Iterator[str]:
    """Lines of text: where the shown classes are half decided, and how all of them are spread."""
    floor = sp.exact.null_floor(1 / classes).item()
    path = profiles.sel(estimator="path", guidance="unguided")
    yield f"\nClass against the null condition, half decided at noise level (95 % interval); floor {floor:.4f} bit"
    half = {}
    for name in path.partition.values.tolist():
        summary = sp.speciation(profiles.sel(estimator=["path"], partition=[name]), axis="sigma").squeeze()
        if np.isnan(summary.half_entropy):
            yield f"{name:>20}  never falls to half"
            continue
        half[name] = summary.half_entropy.item()
        if name in shown:
            low, high = summary.half_entropy_lower.item(), summary.half_entropy_upper.item()
            end = path.entropy.sel(partition=name).isel(time=0).item()
            yield f"{name:>20}  {half[name]:.3g} ({low:.3g} to {high:.3g}); at the clean end {end:.4f} bit are left"
    if len(half) > 3:
        order = sorted(half, key=lambda name: half[name], reverse=True)
        quartiles = np.quantile(list(half.values()), [0.25, 0.5, 0.75])
        yield f"{len(half)} classes: median {quartiles[1]:.3g}, quartiles {quartiles[0]:.3g} and {quartiles[2]:.3g}"
        if ordered:
            yield f"decided first in generation: {', '.join(order[:5])}; last: {', '.join(order[-5:])}"
