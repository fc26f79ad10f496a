"""Coarse before fine: when the attributes of drawn shapes are decided, exactly (the study of arXiv 2602.09651, Fig. 4).

A data set is drawn whose pictures have a background tone, a shape, a texture and a glyph in a corner, all
independent. It is its own exact model: the posterior of every attribute given the noisy picture is known, no network
and no download are needed. Three profiles of each attribute go to OUTPUT: the exact entropy of the set, the
cross-entropy of new pictures under the posterior of the set, and the path estimate of a sampled chain. The entropy of
the distribution that the set was drawn from lies between the first two, which tells down to which noise the set stands
for it. The trajectories, those of the null condition among them, go beside it (..._runs.nc), with predictions for
strips of pictures. Takes about three minutes on one core.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray
from scipy.special import entr
from tqdm.auto import tqdm

import specent as sp
from specent import arguments
from specent.analysis import bootstrap
from specent.analysis.custom import custom_profiles
from specent.analysis.posterior import side_log_posterior
from specent.models import FiniteModel
from specent.schema import NULL
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
    write_results,
)

Array = NDArray[np.float64]
Channel = tuple[sp.schedules.Schedule, Array]
Attributes = dict[str, NDArray[np.str_]]

NEW = "new pictures"
# bits by which the cross-entropy of new pictures may exceed the entropy before the set is said to be too small
TELLING = 0.05


@dataclass(frozen=True)
class Settings(ShardedSettings):
    """Settings of the study of attributes. The seed draws the pictures too.

    Parameters
    ----------
    output : Path
        Archive of profiles to write; the trajectories are written beside it.
    tiny : bool
        Run in seconds on sizes that show nothing but that it works.
    images : int
        Pictures in the data set, at least 48, of which one shows each combination of the attributes.
    size : int
        Pixels along a side, 16 or 32.
    draws : int
        Noisy pictures per combination, from the set and new ones alike.
    samples : int
        Trajectories per combination, and of the null condition.
    steps : int
        Noise levels.
    sigma_min : float
        Smallest noise level.
    sigma_max : float
        Largest noise level.
    predictions : int
        How many predictions of the data are kept along each trajectory, evenly over the logarithm of the noise level.
    """

    output: Path = Path("shapes_attributes.nc")
    tiny: bool = False
    images: int = 19200
    size: int = 16
    draws: int = 60
    samples: int = 20
    steps: int = 64
    sigma_min: float = 0.1
    sigma_max: float = 100.0
    predictions: int = 12

    def __post_init__(self) -> None:
        super().__post_init__()
        arguments.whole(self.images, "images", least=48, most=1_000_000)
        if self.size not in (16, 32):
            raise sp.SpecentError(f"size={self.size} must be 16 or 32")
        arguments.whole(self.draws, "draws", least=2, most=100_000)
        arguments.whole(self.samples, "samples", least=2, most=100_000)
        arguments.whole(self.steps, "steps", least=4, most=100_000)
        arguments.number(self.sigma_min, "sigma_min", least=1e-3)
        arguments.number(self.sigma_max, "sigma_max", above=self.sigma_min, most=1e6)
        arguments.whole(self.predictions, "predictions", most=1000)


def main(settings: Settings) -> tuple[Path, ...]:
    """Draw the set, compute the three profiles of every attribute, write them, and print where each is decided."""
    if settings.tiny:
        settings = tiny_settings(settings, images=480, draws=2, samples=2, steps=16, predictions=4)
    paths = output_paths(settings.output, "runs", overwrite=settings.overwrite)
    images, attributes = sp.images.shapes(settings.images, settings.size, settings.seed)
    data = sp.models.finite(images, combinations(attributes), name="shapes")
    partitions = partitions_of(attributes, data.labels)
    schedule = sp.schedules.VE()
    ends = -2 * np.log(settings.sigma_max), -2 * np.log(settings.sigma_min)
    channel = schedule, sp.schedules.log_snr_grid(schedule, settings.steps, *ends)

    with limited_threads(settings.threads), run_folder(settings, paths[0]) as folder:
        runs = sampled(folder, planned(settings, data, channel, partitions), settings)
        if settings.predictions:
            # in the grey values of the set, so that pictures of all noise levels compare
            runs = sp.models.previews(data, runs, progress=False)
        runs = write_results(runs, paths[1], "shapes_attributes", settings)
        exact = sp.exact.profiles(
            data, *channel, partitions, samples=settings.draws, seed=settings.seed, device=settings.device
        )
        new = new_pictures(settings, data, channel, partitions)
        profiles = sp.analysis.combine(exact, new, sp.entropy(runs, estimator="path", keep_replicates=False))
        profiles = write_results(profiles, paths[0], "shapes_attributes", settings)
    print_lines(lambda: [*report(profiles, images, attributes), *entanglement_lines(sp.open(paths[1]), partitions)])
    return tuple(paths)


def combinations(attributes: Attributes) -> list[str]:
    """The combination that each picture shows, as the label of its class."""
    return [" ".join(values) for values in zip(*attributes.values(), strict=True)]


def partitions_of(attributes: Attributes, labels: tuple[str, ...]) -> list[sp.Partition]:
    """One partition per attribute: the classes grouped by its value."""
    values = [dict(zip(attributes, label.split(), strict=True)) for label in labels]
    partitions = []
    for name, column in attributes.items():
        sides = {
            value: [label for label, one in zip(labels, values, strict=True) if one[name] == value]
            for value in dict.fromkeys(column.tolist())
        }
        partitions.append(sp.Partition.groups(sides, name=name))
    return partitions


def planned(settings: Settings, data: FiniteModel, channel: Channel, partitions: list[sp.Partition]) -> sp.Plan:
    """Trajectories of every combination and of the null condition, each scored under all of them."""
    schedule, time = channel
    shown = np.geomspace(settings.sigma_min, settings.sigma_max, settings.predictions).clip(time[0], time[-1])
    return sp.Plan(
        data,
        schedule,
        time,
        settings.samples,
        partitions,
        seed=settings.seed,
        classes=[*data.labels, NULL],
        record=sp.Record(shown, distances=False),
    )


def new_pictures(settings: Settings, data: FiniteModel, channel: Channel, partitions: list[sp.Partition]) -> xr.Dataset:
    """Cross-entropy of every attribute of new pictures, which the set does not hold, under the posterior of the set.

    Conditional entropy is concave in the distribution and the cross-entropy is not below it, so on average over sets
    the entropy of the distribution lies between that of the set and this.
    """
    schedule, time = channel
    labels, count = data.labels, settings.draws
    images, attributes = sp.images.shapes(len(labels) * count, settings.size, settings.seed + 1)
    order = np.argsort(combinations(attributes), kind="stable")
    state = torch.as_tensor(images[order].reshape(len(order), -1))
    noise = torch.as_tensor(np.random.default_rng([settings.seed, 1]).standard_normal(state.shape))
    weights = [partition.weights(labels, data.label_prior) for partition in partitions]
    side = np.stack([np.argmax(weight > 0, axis=0) for weight in weights], axis=-1).repeat(count, axis=0)
    surprisal = np.empty((len(order), len(time), len(partitions)))
    for i, level in enumerate(tqdm(schedule.noise_level(time), desc="new pictures", mininterval=1.0)):
        for low in range(0, len(order), 1024):
            part = slice(low, low + 1024)
            density = data.log_density(state[part] + level * noise[part], float(level)).numpy()
            for p, weight in enumerate(weights):
                own = np.take_along_axis(side_log_posterior(density, weight), side[part, p, None], axis=-1)
                surprisal[part, i, p] = -own[:, 0] / np.log(2)
    dims = ("class_label", "sample", "time", "partition")
    each = xr.DataArray(surprisal.reshape(len(labels), count, len(time), len(partitions)), dims=dims)
    share = xr.DataArray([weight.sum(axis=0) for weight in weights], dims=("partition", "class_label"))
    curve = bootstrap.resampled(each, share, 200, settings.seed).expand_dims(estimator=[NEW])
    start = [float(entr(weight.sum(axis=1)).sum() / np.log(2)) for weight in weights]
    title = "Cross-entropy of new pictures under the posterior of a finite set"
    profiles = custom_profiles(
        curve, start, *channel, partitions, title=title, settings={"function": "fresh", "data": data.identity}
    )
    return profiles.drop_dims("replicate")


def report(profiles: xr.Dataset, images: Array, attributes: Attributes) -> Iterator[str]:
    """Lines of text: where every attribute is decided, and down to which noise the set stands for its distribution."""
    exact = sp.speciation(profiles.sel(estimator=["exact"]), axis="sigma").squeeze()
    order = exact.partition.values[np.argsort(-exact.half_entropy.values)]
    columns = ("exact", NEW, "path")
    all_three = sp.speciation(profiles, axis="sigma").squeeze(("guidance", "axis"))
    yield "\nHalf-entropy noise level sigma (95 % interval), attributes in the order in which they are decided"
    yield f"{'attribute':>12} {'bits':>6}" + "".join(f" {name:>24}" for name in columns) + "  set too small below"
    for name in order:
        start = (profiles.entropy + profiles.mutual_information).sel(partition=name, estimator="exact").isel(time=0)
        cells = [half_entropy_text(all_three.sel(partition=name, estimator=column)) for column in columns]
        row = f"{name:>12} {start.item():6.3f}" + "".join(f" {cell:>24}" for cell in cells)
        yield f"{row} {too_small(profiles, name):>20}"
    lower, upper = (exact[f"half_entropy_{bound}"].sel(partition=order).values for bound in ("lower", "upper"))
    apart = bool((lower[:-1] > upper[1:]).all())
    yield f"order of the exact noise levels: {' > '.join(order)}; {'no' if apart else 'some'} intervals overlap"
    yield f"background, in closed form as a pure shift: {shift(images, attributes['background']):.3f}"


def too_small(profiles: xr.Dataset, name: str) -> str:
    """The largest noise level at which new pictures show that the set is not the distribution, as text."""
    one = profiles.sel(partition=name).squeeze("guidance")
    gap = one.entropy.sel(estimator=NEW) - one.entropy.sel(estimator="exact")
    half = [(one.entropy_upper - one.entropy_lower).sel(estimator=which) / 2 for which in (NEW, "exact")]
    telling = (gap - np.hypot(*half) > TELLING).values
    return f"{float(one.sigma.values[telling].max()):.3f}" if telling.any() else "nowhere"


def shift(images: Array, background: NDArray[np.str_]) -> float:
    """Half-entropy sigma of two Gaussians at the means of the two backgrounds, of the variance between them.

    Two components at +-m of variance v have H = F(K), K = |m| / sqrt(sigma^2 + v) (arXiv 2602.09651).
    """
    flat = images.reshape(len(images), -1)
    bright, dark = (flat[background == tone] for tone in ("bright", "dark"))
    offset = bright.mean(axis=0) - dark.mean(axis=0)
    length = np.linalg.norm(offset)
    variance = np.mean([np.var(part @ offset / length) for part in (bright, dark)])
    ratio = float(sp.exact.two_component_entropy_inverse(0.5))
    return float(np.sqrt((0.5 * length / ratio) ** 2 - variance))
