"""What guidance changes on ImageNet-512 with EDM2, class by class (arXiv 2602.09651, Fig. 3).

The study of imagenet_edm2 under three guidance settings and without: scale 2.9 for noise levels from 0.48 to 6.8, scale
2.8 from 0.15 to 1.6, scale 2.1 everywhere. All settings share their noise, so that differences are paired. Written are
the profiles of all classes (OUTPUT) and guided minus unguided entropy, cross-entropy and their production, with median
and quartiles over the classes (..._differences.nc). Expected: guidance moves commitment to higher noise, production is
up above the unguided peak and down below it.

The unconditional chain, the other side of every question, is the same under any guidance: it is sampled once, and what
is shown is half of what happens to the trajectories of the class. Networks, classes and the folder of finished classes
are as in imagenet_edm2; all thousand classes take 192 million evaluations.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import xarray as xr
from tqdm.auto import tqdm

import specent as sp
from specent import arguments
from specent.models import EDM2Model
from specent.models.base import resolve_device
from specent.schema import NULL
from specent.studies.shipped import meaningless, recipe, recorded, tell, tiny, titled

_FEW = 12


@dataclass(frozen=True)
class Settings:
    """Settings of the study of guidance.

    Parameters
    ----------
    network : Path, optional
        The conditional network: a published .pkl, a converted .safetensors, or a folder.
    null_network : Path, optional
        The unconditional network; that beside the conditional one if both are in a folder.
    label_names : Path, optional
        Text file with the name of a class on every line; they are numbers if not given.
    output : Path
        Archive of profiles to write; the differences are written beside it.
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
    scales : tuple of float
        Guidance scale of each setting; 1 is unguided, which comes first by itself.
    sigma_lo : tuple of float
        Noise level above which each setting guides.
    sigma_hi : tuple of float
        Noise level up to which each setting guides.
    samples : int
        Trajectories of a class and setting, and of the null condition.
    steps : int
        Noise levels of the chain.
    sigma_min : float
        Smallest noise level.
    sigma_max : float
        Largest noise level.
    rho : float
        How strongly levels crowd at low noise.
    replicates : int
        Bootstrap replicates; they make up most of the archive.
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
    output: Path = Path("imagenet_guidance.nc")
    folder: Path | None = None
    overwrite: bool = False
    tiny: bool = False
    seed: int = 0
    classes: tuple[str, ...] = ("all",)
    scales: tuple[float, ...] = (2.9, 2.8, 2.1)
    sigma_lo: tuple[float, ...] = (0.48, 0.15, 0.0)
    sigma_hi: tuple[float, ...] = (6.8, 1.6, np.inf)
    samples: int = 300
    steps: int = 64
    sigma_min: float = 0.002
    sigma_max: float = 80.0
    rho: float = 7.0
    replicates: int = 50
    precision: Literal["float32", "tf32", "bfloat16", "float16"] = "float32"
    compiled: bool = False
    batch_size: int | None = None
    device: str = "cpu"

    def __post_init__(self) -> None:
        arguments.whole(self.seed, "seed")
        arguments.whole(self.samples, "samples", least=2, most=1_000_000)
        arguments.whole(self.steps, "steps", least=4, most=100_000)
        arguments.number(self.sigma_min, "sigma_min", least=1e-6)
        arguments.number(self.sigma_max, "sigma_max", above=self.sigma_min, most=1e6)
        arguments.number(self.rho, "rho", least=1, most=100)
        arguments.whole(self.replicates, "replicates", least=50, most=100_000)
        if self.batch_size is not None:
            arguments.whole(self.batch_size, "batch_size", least=1)
        guided(self)
        recipe("imagenet_edm2").check_network(self.network, self.tiny)
        resolve_device(self.device)


def main(settings: Settings) -> tuple[Path, Path]:
    """Sample class by class, and write the profiles and what guidance changes in them."""
    if settings.tiny:
        settings = tiny(settings, samples=12, steps=24)
    edm2 = recipe("imagenet_edm2")
    first = sp.archive.check_output(settings.output, overwrite=settings.overwrite)
    second = sp.archive.check_output(first.with_name(f"{first.stem}_differences.nc"), overwrite=settings.overwrite)
    with ExitStack() as stack:
        stack.enter_context(meaningless(settings.network is None))
        model = edm2.opened(settings.network, settings.null_network, settings.label_names, None, stack)
        labels = edm2.chosen("classes", settings.classes, model.labels)
        profiles = study(settings, model, labels, edm2.class_folder(settings.folder, first))
    found = sp.analysis.differences(profiles)
    for made, path in ((profiles, first), (found, second)):
        made = sp.schema.with_settings(made, recipe="imagenet_guidance", recipe_settings=recorded(settings))
        sp.write(titled(made, settings.network is None), path, overwrite=settings.overwrite)
    tell(lambda: table(found))
    return first, second


def guided(settings: Settings) -> list[sp.Guidance]:
    """The guidance settings beside the unguided one."""
    counts = {len(settings.scales), len(settings.sigma_lo), len(settings.sigma_hi)}
    if len(counts) > 1 or counts == {0}:
        raise sp.SpecentError(
            f"scales={settings.scales}, sigma_lo={settings.sigma_lo} and sigma_hi={settings.sigma_hi} must hold one "
            "number each per guidance setting, and one setting at least"
        )
    made = [
        sp.Guidance(scale, (low, high))
        for scale, low, high in zip(settings.scales, settings.sigma_lo, settings.sigma_hi, strict=True)
    ]
    if not all(one.guided for one in made) or len({str(one) for one in made}) < len(made):
        raise sp.SpecentError(f"scales={settings.scales}: the unguided setting comes by itself, and none comes twice")
    return made


def study(settings: Settings, model: EDM2Model, labels: tuple[str, ...], folder: Path) -> xr.Dataset:
    """Profiles of all classes under all settings: those in the folder, and new ones."""
    edm2 = recipe("imagenet_edm2")
    names = ("seed", "samples", "steps", "sigma_min", "sigma_max", "rho", "replicates", "precision", "compiled")
    shared = {"model": model.identity, **{name: getattr(settings, name) for name in names}}
    shared["guidance"] = [str(one) for one in guided(settings)]
    files = {label: folder / f"{model.labels.index(label):04d}.nc" for label in labels}
    keys = {label: {"class": label, **shared} for label in labels}
    # what is in the way is said before any work
    done = {label: edm2.kept(file, keys[label], settings.overwrite) for label, file in files.items()}
    few = len(labels) <= _FEW
    for label in tqdm(labels, desc="classes", unit="class", disable=few):
        if done[label] is None:
            runs = sampled(settings, model, label, progress=few)
            question = sp.Partition.pair(label, NULL)
            made = sp.entropy(runs, question, ("path", "cross_entropy"), replicates=settings.replicates)
            made = titled(made, settings.network is None)
            done[label] = sp.schema.with_settings(made, class_key=keys[label])
            sp.write(done[label], files[label], overwrite=settings.overwrite)
    profiles: xr.Dataset = edm2.joined(list(done.values()))
    return profiles


def sampled(settings: Settings, model: EDM2Model, label: str, progress: bool) -> xr.Dataset:
    """Trajectories of a class under every setting, and of the null condition, both scored along all of them."""
    options: dict[str, Any] = {
        "schedule": sp.schedules.VE(),
        "time": recipe("imagenet_edm2").grid(settings),
        "candidates": (label, NULL),
        "record": sp.Record(distances=True),
        "progress": progress,
        **{name: getattr(settings, name) for name in (
            "samples", "seed", "device", "batch_size", "precision", "compiled",
        )},
    }  # fmt: skip
    plain = sp.sample(model, classes=(label, NULL), **options)
    steered = sp.sample(model, classes=(label,), guidance=guided(settings), **options)
    # guidance moves the null condition from itself to itself: its trajectories stand for those of every setting
    free = plain.sel(class_label=[NULL]).isel(guidance=np.zeros(steered.sizes["guidance"], int))
    free = free.assign_coords({name: steered[name] for name in ("guidance", "guidance_scale", "sigma_lo", "sigma_hi")})
    how: dict[str, Any] = {"coords": "minimal", "compat": "override", "join": "exact", "combine_attrs": "override"}
    whole = xr.concat([steered, free], "class_label", data_vars="all", **how)
    return xr.concat([plain, whole], "guidance", data_vars="all", **how)


def table(found: xr.Dataset) -> Iterator[str]:
    """Lines of text: where guidance raises and lowers the median production most."""
    count = found.sizes["partition"]
    yield f"\nGuided less unguided production, median of {count} classes, in bit per log-SNR (95 % interval)"
    name = "median_entropy_rate_difference"
    for setting in found.guidance.values.tolist():
        for estimator, what in (("path", "entropy"), ("cross_entropy", "cross-entropy")):
            one = found.sel(guidance=setting, estimator=estimator)
            told = []
            for place in (int(np.argmax(one[name].values)), int(np.argmin(one[name].values))):
                value, low, high = (one[f"{name}{end}"].values[place] for end in ("", "_lower", "_upper"))
                told.append(f"{value:+.3f} ({low:+.3f} to {high:+.3f}) at noise level {one.time.values[place]:.3g}")
            yield f"{setting:>24}  {what:>13}  most {told[0]}, least {told[1]}"
