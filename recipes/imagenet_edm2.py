"""When EDM2 decides on each class of ImageNet-512 (arXiv 2602.09651, Fig. 1b).

The stochastic chain of EDM2-XS on ImageNet-512 latents, 64 noise levels, every class held against the unconditional
network with prior one half each: two evaluations a step instead of a thousand. The null condition contains the class,
so each entropy ends at a floor of 0.0057 bit, not at 0. Noise levels are those of the latents, of standard deviation
one half: they are no noise levels of pixels.

NETWORK and NULL_NETWORK are files of the published networks or converted ones, which docs/edm2.md says how to get. Each
class is sampled by itself and kept in FOLDER, so that a run that was stopped goes on where it was: run it again with
the same settings. OUTPUT holds the profiles of all classes; beside it are a few trajectories of the shown classes with
what was predicted along them (..._pictures.nc), decoded if VAE is given. All thousand classes take 82 million
evaluations, which is work for a GPU.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from tqdm.auto import tqdm

import specent as sp
from specent import arguments
from specent.arguments import brief
from specent.models import EDM2Model
from specent.models.base import resolve_device
from specent.models.edm2.tiny_networks import write_tiny
from specent.schema import NULL
from specent.studies.shipped import meaningless, recorded, tell, tiny, titled

# goldfish, macaw, golden retriever, monarch butterfly, balloon, sports car, volcano, daisy
SHOWN = ("1", "88", "207", "323", "417", "817", "980", "985")
_FEW = 12


@dataclass(frozen=True)
class Settings:
    """Settings of the ImageNet study.

    Parameters
    ----------
    network : Path, optional
        The conditional network: a published .pkl, a converted .safetensors, or a folder.
    null_network : Path, optional
        The unconditional network; that beside the conditional one if both are in a folder.
    label_names : Path, optional
        Text file with the name of a class on every line; they are numbers if not given.
    vae : str, optional
        Autoencoder for the pictures: a folder, or stabilityai/sd-vae-ft-mse to fetch it from the hub.
    output : Path
        Archive of profiles to write; pictures are written beside it.
    folder : Path, optional
        Where the profiles of every class are kept; beside the output if not given.
    overwrite : bool
        Replace existing archives, and classes in the folder that have other settings.
    tiny : bool
        Run in seconds on sizes that show nothing but that it works, with random networks.
    seed : int
        Seed of the random streams.
    classes : tuple of str
        Classes to sample, by name or number; "all".
    shown : tuple of str
        Classes with more trajectories, and with pictures; "none".
    samples : int
        Trajectories of a class, and as many of the null condition.
    shown_samples : int
        The same for the shown classes.
    steps : int
        Noise levels of the chain.
    sigma_min : float
        Smallest noise level.
    sigma_max : float
        Largest noise level.
    rho : float
        How strongly levels crowd at low noise.
    pictures : int
        Trajectories of each shown class with predictions.
    predictions : int
        How many predictions of the data are kept along each of those.
    replicates : int
        Bootstrap replicates; they make up most of the archive.
    keep_trajectories : bool
        Keep the trajectories of every class in the folder, 40 MB each.
    precision : {"float32", "tf32", "bfloat16", "float16"}
        Arithmetic of the networks.
    compiled : bool
        Run the networks through torch.compile.
    batch_size : int, optional
        Trajectories at a time; the numbers do not depend on it.
    device : {"cpu", "cuda"}
        Where the networks run.
    """

    network: Path | None = None
    null_network: Path | None = None
    label_names: Path | None = None
    vae: str | None = None
    output: Path = Path("imagenet_edm2.nc")
    folder: Path | None = None
    overwrite: bool = False
    tiny: bool = False
    seed: int = 0
    classes: tuple[str, ...] = ("all",)
    shown: tuple[str, ...] = SHOWN
    samples: int = 300
    shown_samples: int = 3000
    steps: int = 64
    sigma_min: float = 0.002
    sigma_max: float = 80.0
    rho: float = 7.0
    pictures: int = 2
    predictions: int = 12
    replicates: int = 100
    keep_trajectories: bool = False
    precision: Literal["float32", "tf32", "bfloat16", "float16"] = "float32"
    compiled: bool = False
    batch_size: int | None = None
    device: str = "cpu"

    def __post_init__(self) -> None:
        arguments.whole(self.seed, "seed")
        for name in ("samples", "shown_samples", "pictures"):
            arguments.whole(getattr(self, name), name, least=2, most=1_000_000)
        arguments.whole(self.steps, "steps", least=4, most=100_000)
        arguments.number(self.sigma_min, "sigma_min", least=1e-6)
        arguments.number(self.sigma_max, "sigma_max", above=self.sigma_min, most=1e6)
        arguments.number(self.rho, "rho", least=1, most=100)
        arguments.whole(self.predictions, "predictions", least=1, most=1000)
        arguments.whole(self.replicates, "replicates", least=50, most=100_000)
        if self.batch_size is not None:
            arguments.whole(self.batch_size, "batch_size", least=1)
        check_network(self.network, self.tiny)
        resolve_device(self.device)


def main(settings: Settings) -> tuple[Path, ...]:
    """Sample class by class, write the profiles of all, and pictures of those shown."""
    if settings.tiny:
        settings = tiny(settings, samples=12, shown_samples=24, steps=24, replicates=50, shown=("0", "2"))
    first = sp.archive.check_output(settings.output, overwrite=settings.overwrite)
    beside = sp.archive.check_output(first.with_name(f"{first.stem}_pictures.nc"), overwrite=settings.overwrite)
    with ExitStack() as stack:
        stack.enter_context(meaningless(settings.network is None))
        model = opened(settings.network, settings.null_network, settings.label_names, settings.vae, stack)
        labels = chosen("classes", settings.classes, model.labels)
        shown = chosen("shown", settings.shown, model.labels)
        counts = {label: settings.shown_samples if label in shown else settings.samples for label in labels}
        joined = study(settings, model, counts, class_folder(settings.folder, first))
        put(joined, first, settings)
        if shown:
            put(strips(settings, model, shown), beside, settings)
    questions = [f"{label} | {NULL}" for label in shown]
    tell(lambda: table(joined, len(model.labels), questions, ordered=settings.network is not None))
    return (first, beside) if shown else (first,)


def check_network(network: Path | None, may_lack: bool) -> None:
    """Refuse to start without a network."""
    if network is None and not may_lack:
        raise sp.SpecentError(
            "network=None: give the conditional network, and null_network= the unconditional one; docs/edm2.md says "
            "where they are. With tiny=True (--tiny) random ones are made"
        )


def opened(network: Path | None, null: Path | None, names: Path | None, vae: str | None, stack: ExitStack) -> EDM2Model:
    """The two networks as a model, random ones if none are given."""
    if network is None:
        network, null = write_tiny(Path(stack.enter_context(tempfile.TemporaryDirectory())))
    model = sp.models.edm2(network, null=null, labels=None if names is None else lines(names), vae=vae)
    if not model.null:
        raise sp.SpecentError(
            f"null_network=None: classes are held against the unconditional network, which {str(network)!r} does not "
            "bring; give the '-uncond' network of the same data"
        )
    return model


def lines(path: Path) -> list[str]:
    """Names out of a text file."""
    try:
        return [line.strip() for line in Path(path).expanduser().read_text(encoding="utf-8").splitlines()]
    except (OSError, RuntimeError, ValueError) as error:
        raise sp.SpecentError(f"label_names={str(path)!r} cannot be read ({error}); give a text file") from error


def chosen(argument: str, names: tuple[str, ...], labels: tuple[str, ...]) -> tuple[str, ...]:
    """Labels of the model, by name or number."""
    if names in (("all",), ("none",)):
        return labels if names == ("all",) else ()
    place = {str(i): label for i, label in enumerate(labels)} | {label: label for label in labels}
    found = tuple(dict.fromkeys(place.get(name, "") for name in names))
    if "" in found or len(found) < len(names) or not found:
        raise sp.SpecentError(
            f"{argument}={brief(list(names))} must be distinct classes of the network, by name or number; it "
            f"has {len(labels)} of them, {brief(list(labels[:3]))} first"
        )
    return found


def class_folder(folder: Path | None, output: Path) -> Path:
    """The folder of the classes, made if it is not there."""
    place = output.with_name(f"{output.stem}_classes") if folder is None else Path(folder)
    try:
        place = place.expanduser()
        place.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError, ValueError) as error:
        raise sp.SpecentError(f"folder={str(place)!r} cannot be made ({error}); choose another") from error
    return place


def study(settings: Settings, model: EDM2Model, counts: dict[str, int], folder: Path) -> xr.Dataset:
    """Profiles of all classes against the null condition: those in the folder, and new ones."""
    names = ("seed", "steps", "sigma_min", "sigma_max", "rho", "replicates", "precision", "compiled")
    shared = {"model": model.identity, **{name: getattr(settings, name) for name in names}}
    files = {label: folder / f"{model.labels.index(label):04d}.nc" for label in counts}
    keys = {label: {"class": label, "samples": count, **shared} for label, count in counts.items()}
    # what is in the way is said before any work
    done = {label: kept(file, keys[label], settings.overwrite) for label, file in files.items()}
    few = len(counts) <= _FEW
    for label in tqdm(counts, desc="classes", unit="class", disable=few):
        if done[label] is None:
            runs = against_null(settings, model, label, counts[label], progress=few)
            if settings.keep_trajectories:
                put(runs, folder / f"{files[label].stem}_trajectories.nc", settings, overwrite=True)
            made = sp.schema.with_settings(sp.entropy(runs, replicates=settings.replicates), class_key=keys[label])
            made = titled(made, settings.network is None)
            sp.write(made, files[label], overwrite=settings.overwrite)
            done[label] = made
    return joined([made for made in done.values() if made is not None])


def kept(file: Path, key: dict[str, Any], overwrite: bool) -> xr.Dataset | None:
    """The archive of a class, if it is there and was made with the same settings."""
    if not file.exists():
        return None
    plain = json.loads(json.dumps(key))
    with sp.open(file) as found:
        before = json.loads(found.attrs["settings"]).get("class_key", {})
        if before == plain:
            return found.load()
    if overwrite:
        return None
    differs = sorted(name for name in {*before, *plain} if before.get(name) != plain.get(name))
    raise sp.SpecentError(
        f"folder={str(file.parent)!r} holds {file.name} of other settings ({', '.join(differs)}); choose another "
        "folder, or pass overwrite=True to sample such classes again"
    )


def against_null(settings: Settings, model: EDM2Model, label: str, samples: int, progress: bool) -> xr.Dataset:
    """Trajectories of a class and of the null condition, both scored along all of them."""
    question = sp.Partition.pair(label, NULL)
    return sp.sample(
        model,
        schedule=sp.schedules.VE(),
        time=grid(settings),
        samples=samples,
        classes=question.labels,
        candidates=question.labels,
        partitions=[question],
        record=sp.Record(distances=False),
        seed=settings.seed,
        device=settings.device,
        batch_size=settings.batch_size,
        precision=settings.precision,
        compiled=settings.compiled,
        progress=progress,
    )


def grid(settings: Settings) -> NDArray[np.float64]:
    """Noise levels of the chain."""
    return sp.schedules.edm_grid(settings.steps, settings.sigma_min, settings.sigma_max, settings.rho)


def joined(profiles: list[xr.Dataset]) -> xr.Dataset:
    """The profiles of all classes in one dataset."""
    if len(profiles) == 1:
        return profiles[0]
    # of a thousand settings that differ in the class alone one will do
    parts = [json.loads(profiles[0].attrs["settings"])]
    return sp.schema.with_settings(sp.analysis.combine(*profiles, along="partition"), parts=parts)


def strips(settings: Settings, model: EDM2Model, shown: tuple[str, ...]) -> xr.Dataset:
    """The first trajectories of the shown classes once more, with predictions along them."""
    time = grid(settings)
    runs = sp.sample(
        model,
        schedule=sp.schedules.VE(),
        time=time,
        samples=settings.pictures,
        classes=shown,
        candidates=(*shown, NULL),
        record=sp.Record(np.geomspace(time[0], time[-1], settings.predictions).clip(time[0], time[-1])),
        seed=settings.seed,
        device=settings.device,
        batch_size=settings.batch_size,
        precision=settings.precision,
    )
    return runs if settings.vae is None else sp.models.previews(model, runs, device=settings.device)


def put(made: xr.Dataset, path: Path, settings: Settings, overwrite: bool | None = None) -> None:
    """Write an archive with the settings of this run."""
    made = sp.schema.with_settings(made, recipe="imagenet_edm2", recipe_settings=recorded(settings))
    made = titled(made, settings.network is None)
    sp.write(made, path, overwrite=settings.overwrite if overwrite is None else overwrite)


def table(profiles: xr.Dataset, classes: int, shown: list[str], ordered: bool = True) -> Iterator[str]:
    """Lines of text: where the shown classes are half decided, and how all of them are spread."""
    floor = sp.exact.null_floor(1 / classes).item()
    path = profiles.sel(estimator="path", guidance="unguided")
    yield f"\nClass against the null condition, half decided at noise level (95 % interval); floor {floor:.4f} bit"
    half = {}
    for name in path.partition.values.tolist():
        place = sp.speciation(profiles.sel(estimator=["path"], partition=[name]), axis="sigma").squeeze()
        if np.isnan(place.half_entropy):
            yield f"{name:>20}  never falls to half"
            continue
        half[name] = place.half_entropy.item()
        if name in shown:
            low, high = place.half_entropy_lower.item(), place.half_entropy_upper.item()
            end = path.entropy.sel(partition=name).isel(time=0).item()
            yield f"{name:>20}  {half[name]:.3g} ({low:.3g} to {high:.3g}); at the clean end {end:.4f} bit are left"
    if len(half) > 3:
        order = sorted(half, key=lambda name: half[name], reverse=True)
        quartiles = np.quantile(list(half.values()), [0.25, 0.5, 0.75])
        yield f"{len(half)} classes: median {quartiles[1]:.3g}, quartiles {quartiles[0]:.3g} and {quartiles[2]:.3g}"
        if ordered:
            yield f"decided first in generation: {', '.join(order[:5])}; last: {', '.join(order[-5:])}"
