"""Grids and guidance intervals on ImageNet-512 with EDM2, beside the published numbers (arXiv 2504.13612, 2506.06085).

What the recipes grids and intervals do on small pictures, at full size. A pilot of a few classes, sampled against the
null condition, gives the denoising error along the paths and the rate at which the class is decided; from these follow
the grids, and the noise level at which a tenth of the entropy is left. Then the stochastic chain makes SAMPLES of every
class on the grids edm, arctan, rescaled and class share of each number of steps, and on the edm grid of most steps with
guidance in all noise, in the published interval of arXiv 2404.07724 and below the level of the rule.

NETWORK and NULL_NETWORK are the published files of EDM2-XS (docs/edm2.md), VAE its autoencoder, FEATURES the space in
which samples are judged, and REFERENCE the mean and covariance of ImageNet in it. Sums of features are kept row by row
in the folder OUT, so that a run that was stopped continues. OUTPUT is a table in JSON. With fifty samples of every
class the default takes 42 million evaluations, which is work for a GPU.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray
from tqdm.auto import tqdm

import specent as sp
from specent import arguments
from specent.files import output_path, sha256, write_whole
from specent.models import EDM2Model
from specent.schema import NULL
from specent.studies import limited_threads, named_grid, print_lines, samples_by_class, tiny_settings, without_meaning
from specent.studies.feature_sums import INCEPTION, Features, FeatureSums, features_of, read_reference
from specent.studies.imagenet import ImageNetSettings, class_folder, labels_of, open_networks

# 2504.13612, FID of the stochastic chain of EDM2-XS on ImageNet-512 by grid and number of steps
PUBLISHED_GRIDS = {
    ("edm", 16): 32.31, ("edm", 32): 10.01, ("edm", 64): 4.98,
    ("rescaled", 16): 13.64, ("rescaled", 32): 4.98, ("rescaled", 64): 3.80,
}  # fmt: skip
# 2506.06085, table 1, of the same: FID and the distance of DINOv2 features
PUBLISHED_GUIDANCE = {
    "constant": (5.00, 100.2), "limited": (3.59, 88.5), "feedback": (3.76, 89.0), "both": (3.62, 87.9),
}  # fmt: skip
GRIDS = ("edm", "arctan", "rescaled", "class share")
USUAL, UNGUIDED, RULE = "edm", "unguided", "below the level of the rule"


@dataclass(frozen=True)
class Settings(ImageNetSettings):
    """Settings of the study of quality; `steps` are those of the pilot, whose archive is not kept.

    Parameters
    ----------
    output : Path
        Table to write, ending in .json.
    vae : str, optional
        Autoencoder: a folder, or stabilityai/sd-vae-ft-mse to fetch it from the hub.
    features : str
        Where samples are judged: inception:FILE, an Inception network in TorchScript, as published FID are; or DINOv2,
        a folder or a name on the hub.
    reference : Path, optional
        An .npz file with mean mu and covariance sigma of the features of ImageNet-512.
    samples : int
        Samples of every class and row; 50 of a thousand classes are the published number.
    grid_steps : tuple of int
        Numbers of noise levels of the grids.
    arctan_scale : float
        Scale of the arctan grid; latents have standard deviation one half.
    share : float
        Part of the steps for the rate of the class.
    scale : float
        Guidance scale of all intervals.
    interval : tuple of float
        Published interval of noise levels (arXiv 2404.07724).
    left : float
        Part of the entropy that is left where the rule begins to guide.
    pilot_classes : tuple of str
        Classes of the pilot, by name or number.
    pilot_samples : int
        Trajectories of each of them, and as many of the null condition.
    """

    output: Path = Path("imagenet_quality.json")
    vae: str | None = None
    features: str = "facebook/dinov2-large"
    reference: Path | None = None
    samples: int = 50
    grid_steps: tuple[int, ...] = (16, 32, 64)
    arctan_scale: float = 0.5
    share: float = 0.5
    scale: float = 2.0
    interval: tuple[float, float] = (0.19, 1.61)
    left: float = 0.1
    pilot_classes: tuple[str, ...] = ("1", "88", "207", "323", "417", "817", "980", "985")
    pilot_samples: int = 64

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.tiny and self.vae is None:
            raise sp.SpecentError(
                "vae=None: samples are latents; give stabilityai/sd-vae-ft-mse, or the folder of a copy"
            )
        if not self.tiny and self.reference is None:
            raise sp.SpecentError(
                "reference=None: give an .npz file with mu and sigma of the features of ImageNet-512, of the network "
                f"features={self.features!r}; docs/edm2.md says what is in it"
            )
        if not self.grid_steps:
            raise sp.SpecentError("grid_steps is empty; give at least one number of noise levels")
        for steps in self.grid_steps:
            arguments.whole(steps, "grid_steps", least=3, most=100_000)
        arguments.whole(self.pilot_samples, "pilot_samples", least=2, most=1_000_000)
        arguments.number(self.left, "left", above=0, below=0.5)
        sp.Guidance(self.scale, self.interval)


@dataclass(frozen=True)
class Row:
    """What is sampled: a grid of so many steps, with guidance or without."""

    grid: str
    steps: int
    rule: str = UNGUIDED
    guidance: sp.Guidance = sp.Guidance()  # noqa: RUF009  (frozen)

    def __str__(self) -> str:
        return f"{self.grid}, {self.steps} steps" + ("" if self.rule == UNGUIDED else f", {self.rule}")


@dataclass(frozen=True)
class Judge:
    """A feature space, the way to it, and the data in it."""

    features: Features
    decode: Any
    name: str
    mean: NDArray[np.float64]
    covariance: NDArray[np.float64]


def main(settings: Settings) -> Path:
    """Measure the pilot, sample every row, and write the table."""
    if settings.tiny:
        settings = tiny_settings(
            settings, samples=4, steps=8, grid_steps=(4, 8), pilot_classes=("0", "2"), pilot_samples=6
        )
    path = output_path(settings.output, ".json", overwrite=settings.overwrite, argument="output")
    with ExitStack() as stack:
        stack.enter_context(without_meaning(settings.tiny_network))
        stack.enter_context(limited_threads(settings.threads))
        model = open_networks(settings, stack, settings.vae)
        labels = labels_of("classes", settings.classes, model.labels)
        pilots = labels_of("pilot_classes", settings.pilot_classes, model.labels)
        judge = judged(settings, model)
        folder = class_folder(settings.out, path)
        error, profile = pilot(settings, model, pilots)
        times, left_out = planned(settings, error, profile)
        found = {}
        for row in tqdm(times, desc="rows"):
            sums = sampled_sums(settings, model, judge, labels, row, times[row], folder)
            found[row] = sp.quality.frechet_gaussians(judge.mean, judge.covariance, *sums.moments())
    table = {
        "recipe": "imagenet_quality", "settings": json.loads(json.dumps(asdict(settings), default=str)),
        "model": model.identity, "features": judge.name, "left_out": left_out,
        "rows": [
            {"grid": row.grid, "steps": row.steps, "rule": row.rule, "guidance": str(row.guidance), "frechet": value,
             "published": published(row, judge.name), "noise_levels": times[row].tolist()}
            for row, value in found.items()
        ],
    }  # fmt: skip
    write_whole(json.dumps(table, indent=1) + "\n", path, overwrite=settings.overwrite, argument="output")
    print_lines(lambda: lines(found, judge.name, left_out))
    return path


def judged(settings: Settings, model: EDM2Model) -> Judge:
    """The feature space and the data in it; in a tiny run without them, a few numbers of each latent."""
    if settings.reference is None:
        return Judge(lambda x: x.flatten(1)[:, :8].double().numpy(), lambda x: x, "numbers", np.zeros(8), np.eye(8) / 4)
    mean, covariance = read_reference(settings.reference)
    features = features_of(settings.features, settings.device)
    decode = model.decode if settings.vae is not None else lambda x: (0.5 * (x[:, :3] + 1)).clamp(0, 1)
    width = np.shape(features(torch.zeros(1, 3, 64, 64)))[1]
    if width != len(mean):
        raise sp.SpecentError(
            f"reference={str(settings.reference)!r} has {len(mean)} features, and features={settings.features!r} gives "
            f"{width}; give the statistics of the same network"
        )
    return Judge(features, decode, settings.features, mean, covariance)


def pilot(settings: Settings, model: EDM2Model, labels: Sequence[str]) -> tuple[xr.Dataset, xr.Dataset]:
    """Denoising error along the paths of a few classes, and their entropy against the null condition, in the mean."""
    time = settings.grid()
    kept = sp.Record(time[1 :: max(1, len(time) // 32)], distances=False)
    errors, profiles = [], []
    for label in tqdm(labels, desc="pilot"):
        pair = sp.Partition.pair(label, NULL)
        runs = sp.sample(
            model, schedule=sp.schedules.VE(), time=time, samples=settings.pilot_samples, classes=pair.labels,
            candidates=pair.labels, partitions=[pair], record=kept, seed=settings.seed, progress=False,
            **computing(settings),
        )  # fmt: skip
        errors.append(sp.analysis.path_error(runs.sel(class_label=[label])))
        profiles.append(sp.entropy(runs, estimator="path", replicates=50, keep_replicates=False, progress=False))
    # the bounds of one class are not those of the mean
    error = errors[0].drop_vars([f"denoising_error_{end}" for end in ("lower", "upper")])
    error = error.assign(denoising_error=sum(one["denoising_error"] for one in errors) / len(errors))
    curves = {
        name: sum(one[name].squeeze("partition", drop=True) for one in profiles) / len(profiles)
        for name in ("entropy", "entropy_rate", "mutual_information")
    }
    return error, profiles[0].drop_dims("partition").assign(curves)


def computing(settings: Settings) -> dict[str, Any]:
    """How the networks are evaluated."""
    names = ("device", "batch_size", "precision", "compiled")
    return {name: getattr(settings, name) for name in names}


def planned(
    settings: Settings, error: xr.Dataset, profile: xr.Dataset
) -> tuple[dict[Row, NDArray[np.float64]], list[str]]:
    """Noise levels of every row, and what is left out because the pilot does not define it."""
    ends, left_out = (settings.sigma_min, settings.sigma_max), []
    times: dict[Row, NDArray[np.float64]] = {}
    for steps in sorted(set(settings.grid_steps)):
        for name in GRIDS:
            try:
                times[Row(name, steps)] = named_grid(
                    name, steps, error, profile, ends, settings.arctan_scale, settings.share
                )
            except sp.SpecentError as reason:
                left_out.append(f"{name}, {steps} steps: {reason}")
    most = max(settings.grid_steps)
    rules = {
        "in all noise": sp.Guidance(settings.scale),
        "published interval": sp.Guidance(settings.scale, settings.interval),
    }
    try:
        low = round(sp.Guidance.below(profile, settings.left).interval[1], 3)
        rules[RULE] = sp.Guidance(settings.scale, (0.0, low))
    except sp.SpecentError as reason:
        left_out.append(f"{RULE}: {reason}")
    return times | {Row(USUAL, most, name, rule): times[Row(USUAL, most)] for name, rule in rules.items()}, left_out


def sampled_sums(
    settings: Settings, model: EDM2Model, judge: Judge, labels: Sequence[str], row: Row, time: NDArray[np.float64],
    folder: Path,
) -> FeatureSums:  # fmt: skip
    """Sums of the features of the samples of a row, out of the folder if they are there."""
    key = {
        "model": model.identity, "classes": list(labels), "samples": settings.samples, "seed": settings.seed,
        "time": time.tolist(), "guidance": str(row.guidance), "features": judge.name, "vae": settings.vae,
        "precision": settings.precision,
    }  # fmt: skip
    file = folder / f"{sha256(json.dumps(key, sort_keys=True).encode())[:16]}.npz"
    if file.exists() and not settings.overwrite:
        return FeatureSums.read(file)
    sums = FeatureSums.none(len(judge.mean))
    for label in tqdm(labels, desc=str(row), leave=False):
        runs = samples_by_class(
            model, time, settings.samples, [row.guidance], settings.seed, labels=[label], **computing(settings)
        )
        final = torch.as_tensor(runs["final"].values.reshape(-1, *model.shape), dtype=torch.float32)
        for part in torch.split(final, settings.batch_size or 16):
            sums.add(judge.features(judge.decode(part.to(settings.device)).cpu()))
    sums.save(file)
    return sums


def published(row: Row, features: str) -> float | None:
    """The published number of the same, if there is one: of unguided grids, in features of Inception."""
    known = row.rule == UNGUIDED and features.startswith(INCEPTION)
    return PUBLISHED_GRIDS.get((row.grid, row.steps)) if known else None


def lines(found: dict[Row, float], features: str, left_out: list[str]) -> Iterator[str]:
    """The table beside the published numbers, and what follows from it."""
    yield f"\nFrechet distance in features of {features}; one set of samples, so no interval"
    yield f"{'':<48}{'':>10}{'less edm':>12}{'published':>12}"
    changes = {row: value - found[Row(USUAL, row.steps)] for row, value in found.items()}
    for row, value in found.items():
        less = f"{changes[row]:+.2f}" if row != Row(USUAL, row.steps) else ""
        known = published(row, features)
        yield f"{row!s:<48}{value:>10.2f}{less:>12}{'' if known is None else f'{known:.2f}':>12}"
    several = "; ".join(f"{name} {fid:g} / {dino:g}" for name, (fid, dino) in PUBLISHED_GUIDANCE.items())
    yield f"published guidance of EDM2-XS, FID / distance of DINOv2 features (arXiv 2506.06085, table 1): {several}"
    if not features.startswith(INCEPTION):
        grids = "; ".join(f"{grid} {steps} steps {value:g}" for (grid, steps), value in PUBLISHED_GRIDS.items())
        yield f"published grids, FID, not to be compared with other features (arXiv 2504.13612): {grids}"
    yield from (f"left out: {reason}" for reason in left_out)
    for row in found:
        if row.grid == "rescaled" and Row("arctan", row.steps) in found:
            yield f"{row} less arctan: {found[row] - found[Row('arctan', row.steps)]:+.2f}"
    worse = [f"{row} ({changes[row]:+.2f})" for row in found if changes[row] > 0]
    yield f"worse than edm of as many steps, unguided: {'; '.join(worse) or 'none'}"
