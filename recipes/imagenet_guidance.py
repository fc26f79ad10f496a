"""What guidance changes on ImageNet-512 with EDM2, class by class (arXiv 2602.09651, Fig. 3).

The study of imagenet_edm2 under three guidance settings and without: scale 2.9 for noise levels from 0.48 to 6.8, scale
2.8 from 0.15 to 1.6, scale 2.1 everywhere. All settings share their noise, so that differences are paired. Written are
the profiles of all classes (OUTPUT) and guided minus unguided entropy, cross-entropy and their production, with median
and quartiles over the classes (..._differences.nc). Expected: guidance moves commitment to higher noise, production is
up above the unguided peak and down below it.

The unconditional chain, the other side of every partition, is the same under any guidance: it is sampled once, and what
is shown is half of what happens to the trajectories of the class. Networks, classes and the folder OUT
are as in imagenet_edm2; all thousand classes take 192 million evaluations.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

import specent as sp
from specent.models import EDM2Model
from specent.schema import NULL
from specent.studies import (
    limited_threads,
    output_paths,
    print_lines,
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


@dataclass(frozen=True)
class Settings(ImageNetSettings):
    """Settings of the study of guidance.

    Parameters
    ----------
    output : Path
        Archive of profiles to write; the differences are written beside it.
    scales : tuple of float
        Guidance scale of each setting; 1 is unguided, which comes first by itself.
    sigma_lo : tuple of float
        Noise level above which each setting guides.
    sigma_hi : tuple of float
        Noise level up to which each setting guides.
    """

    output: Path = Path("imagenet_guidance.nc")
    scales: tuple[float, ...] = (2.9, 2.8, 2.1)
    sigma_lo: tuple[float, ...] = (0.48, 0.15, 0.0)
    sigma_hi: tuple[float, ...] = (6.8, 1.6, np.inf)
    replicates: int = 50

    def __post_init__(self) -> None:
        guidance_settings(self)
        super().__post_init__()


def main(settings: Settings) -> tuple[Path, Path]:
    """Sample class by class, and write the profiles and what guidance changes in them."""
    if settings.tiny:
        settings = tiny_settings(settings, samples=6, steps=8)
    first, second = output_paths(settings.output, "differences", overwrite=settings.overwrite)
    with ExitStack() as stack:
        stack.enter_context(without_meaning(settings.tiny_network))
        stack.enter_context(limited_threads(settings.threads))
        model = open_networks(settings, stack)
        labels = labels_of("classes", settings.classes, model.labels)
        prices: list[xr.DataArray] = []
        profiles = study(settings, model, labels, class_folder(settings.out, first), prices)
    differences = sp.analysis.differences(profiles)
    for dataset, path in ((profiles, first), (differences, second)):
        write_results(dataset, path, "imagenet_guidance", settings, tiny_network=settings.tiny_network)
    print_lines(lambda: [*table(differences), *price_lines(prices)])
    return first, second


def guidance_settings(settings: Settings) -> list[sp.Guidance]:
    """The guidance settings beside the unguided one."""
    counts = {len(settings.scales), len(settings.sigma_lo), len(settings.sigma_hi)}
    if len(counts) > 1 or counts == {0}:
        raise sp.SpecentError(
            f"scales={settings.scales}, sigma_lo={settings.sigma_lo} and sigma_hi={settings.sigma_hi} must hold one "
            "number each per guidance setting, and one setting at least"
        )
    rules = [
        sp.Guidance(scale, (low, high))
        for scale, low, high in zip(settings.scales, settings.sigma_lo, settings.sigma_hi, strict=True)
    ]
    if not all(one.guided for one in rules) or len({str(one) for one in rules}) < len(rules):
        raise sp.SpecentError(f"scales={settings.scales}: the unguided setting comes by itself, and none comes twice")
    return rules


def study(
    settings: Settings, model: EDM2Model, labels: tuple[str, ...], folder: Path, prices: list[xr.DataArray]
) -> xr.Dataset:
    """Profiles of all classes under all settings: those in the folder, and new ones, whose prices are added."""

    def plans(label: str) -> dict[str, sp.Plan]:
        return {"unguided": planned(settings, model, label, False), "guided": planned(settings, model, label, True)}

    def analyse(runs: Mapping[str, xr.Dataset]) -> xr.Dataset:
        both = with_one_null(runs["unguided"], runs["guided"])
        prices.append(sp.guidance_price(both, replicates=settings.replicates).price)
        partition = sp.Partition.pair(both["class_label"].values[0], NULL)
        return sp.entropy(both, partition, ("path", "cross_entropy"), replicates=settings.replicates)

    classes = ClassStudy(settings, folder, plans, analyse)
    return join_classes(classes.profiles({label: model.labels.index(label) for label in labels}))


def planned(settings: Settings, model: EDM2Model, label: str, guided: bool) -> sp.Plan:
    """A class under every guidance setting, or unguided beside the null condition; both scored along all of them."""
    return settings.plan(
        model,
        classes=(label,) if guided else (label, NULL),
        candidates=(label, NULL),
        guidance=guidance_settings(settings) if guided else sp.Guidance(),
        record=sp.Record(distances=True),
    )


def with_one_null(plain: xr.Dataset, steered: xr.Dataset) -> xr.Dataset:
    """Trajectories under every setting and none, with those of the null condition for all of them."""
    # guidance moves the null condition from itself to itself: its trajectories stand for those of every setting
    free = plain.sel(class_label=[NULL]).isel(guidance=np.zeros(steered.sizes["guidance"], int))
    free = free.assign_coords({name: steered[name] for name in ("guidance", "guidance_scale", "sigma_lo", "sigma_hi")})
    how: dict[str, Any] = {"coords": "minimal", "compat": "override", "join": "exact", "combine_attrs": "override"}
    whole = xr.concat([steered, free], "class_label", data_vars="all", **how)
    return xr.concat([plain, whole], "guidance", data_vars="all", **how)


def table(differences: xr.Dataset) -> Iterator[str]:
    """Lines of text: where guidance raises and lowers the median production most."""
    count = differences.sizes["partition"]
    yield f"\nGuided less unguided production, median of {count} classes, in bit per log-SNR (95 % interval)"
    name = "median_entropy_rate_difference"
    for setting in differences.guidance.values.tolist():
        for estimator, what in (("path", "entropy"), ("cross_entropy", "cross-entropy")):
            one = differences.sel(guidance=setting, estimator=estimator)
            extremes = []
            for index in (int(np.argmax(one[name].values)), int(np.argmin(one[name].values))):
                value, low, high = (one[f"{name}{end}"].values[index] for end in ("", "_lower", "_upper"))
                extremes.append(f"{value:+.3f} ({low:+.3f} to {high:+.3f}) at noise level {one.time.values[index]:.3g}")
            yield f"{setting:>24}  {what:>13}  most {extremes[0]}, least {extremes[1]}"


def price_lines(prices: list[xr.DataArray]) -> Iterator[str]:
    """Lines of text: the price of guidance of the classes that were sampled now, each along its own paths."""
    if not prices:
        return
    whole = xr.concat(prices, "class")
    yield f"\nPrice of guidance, (w - 1)^2 times the path divergence in the interval; {len(prices)} classes sampled now"
    for setting in whole.guidance.values.tolist():
        least, median, most = np.quantile(whole.sel(guidance=setting).values, [0.0, 0.5, 1.0])
        yield f"{setting:>24}  median {median:.3g} bit (least {least:.3g}, most {most:.3g})"
