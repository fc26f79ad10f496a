"""Everything once, in a few minutes: exact mixtures, scaling with dimension, and a trained model of digits.

What `make demo` runs. Writes the archives of the other recipes and one page of figures, index.html, into a folder,
and prints when each digit is decided (half-entropy noise level, with interval, beside the exact value of the data)
and the two scaling laws.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import xarray as xr

import specent as sp
from specent.studies import (
    SampledSettings,
    existing_folder,
    fit_both_laws,
    half_entropy_text,
    print_lines,
    recipe,
    tiny_settings,
)

HEADINGS = {
    "gmm_1d": "one-dimensional mixture: the rate beside the bifurcation",
    "gmm_partition": "Gaussian mixture: all labels, and one pair",
    "gmm_scaling": "two components over dimensions 2 .. 2^20: how the transition scales with the dimension d",
    "digits": "handwritten digits",
}
# of a tiny run
TINY: dict[str, dict[str, Any]] = {
    "gmm_1d": {"steps": 24, "samples": 10, "means": (-1.0, 1.0)},
    "gmm_partition": {"steps": 16, "samples": 10, "components": 3, "dimension": 4},
    "digits": {"exact_samples": 30, "predictions": 4},
}
TINY_FIGURES = ("entropy", "predictions", "scaling")
ARCHIVES = ("gmm_1d", "gmm_partition", "gmm_scaling", "digits", "digits_profiles", "digits_exact")


@dataclass(frozen=True)
class Settings(SampledSettings):
    """Settings of the demonstration.

    Parameters
    ----------
    folder : Path
        Folder for the archives and the page; it is created if it is missing.
    tiny : bool
        Run in seconds on sizes that show nothing but that it works, with fewer figures.
    samples : int
        Trajectories of the digits per class and guidance setting.
    steps : int
        Noise levels of the digits' chain.
    """

    folder: Path = Path("demo")
    tiny: bool = False
    samples: int = 100
    steps: int = 64
    threads: int | None = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        # the recipes refuse what they cannot run with
        settings_of_recipes(self, Path())


def main(settings: Settings) -> tuple[Path, ...]:
    """Run the recipes, write the page, and print the tables."""
    if settings.tiny:
        settings = tiny_settings(settings, samples=6, steps=12)
    folder = existing_folder(settings.folder)
    page = folder / "index.html"
    chosen = settings_of_recipes(settings, folder)
    for path in (page, *(folder / f"{name}.nc" for name in ARCHIVES)):
        if path.exists() and not settings.overwrite:
            raise sp.SpecentError(f"{path} exists; pass overwrite=True to replace it, or choose another folder")
    written: list[Path] = []
    for number, (name, one) in enumerate(chosen.items(), 1):
        print(f"\n{number}/{len(chosen)} {HEADINGS[name]}")
        paths = recipe(name).main(one)
        written += paths if isinstance(paths, tuple) else (paths,)
    datasets = [sp.open(path) for path in written]
    fits = fit_both_laws(datasets[2], 2 ** chosen["gmm_scaling"].fit_from)
    title = "specent: when a diffusion model decides"
    figures = TINY_FIGURES if settings.tiny else None
    shown = sections(datasets, fits)
    written.append(sp.plot.page(shown, page, title=title, figures=figures, overwrite=settings.overwrite))
    print_lines(lambda: report(datasets[4], datasets[5]))
    print(f"\nOpen {page} in a browser.")
    return tuple(written)


def settings_of_recipes(settings: Settings, folder: Path) -> dict[str, Any]:
    """Settings of every recipe that is run."""
    common = {"overwrite": settings.overwrite, "threads": settings.threads}
    sampled = common | {"seed": settings.seed, "device": settings.device}
    options: dict[str, dict[str, Any]] = {
        "gmm_1d": sampled,
        "gmm_partition": sampled,
        "gmm_scaling": common,
        "digits": sampled | {"samples": settings.samples, "steps": settings.steps},
    }
    if settings.tiny:
        options = {name: values | TINY.get(name, {}) for name, values in options.items()}
    return {name: recipe(name).Settings(output=folder / f"{name}.nc", **values) for name, values in options.items()}


def report(profiles: xr.Dataset, exact: xr.Dataset) -> Iterator[str]:
    """Lines of text: the half-entropy noise level of every class against the rest, and of the full set."""
    chosen = [name for name in profiles.partition.values if name == "full" or name.endswith("| rest")]
    measured = sp.speciation(profiles.sel(partition=chosen, estimator=["path"]), axis="sigma").squeeze(
        ("estimator", "axis")
    )
    truth = sp.speciation(exact.sel(partition=chosen), axis="sigma").squeeze(("estimator", "guidance", "axis"))
    yield "\nHalf-entropy noise level sigma (95 % interval), handwritten digits"
    settings = [str(name) for name in measured.guidance.values]
    yield f"{'partition':>12} {'exact (data)':>24}" + "".join(f" {name:>24}" for name in settings)
    for name in chosen:
        cells = [half_entropy_text(truth.sel(partition=name))]
        cells += [half_entropy_text(measured.sel(partition=name, guidance=setting)) for setting in settings]
        yield f"{name:>12}" + "".join(f" {cell:>24}" for cell in cells)


def sections(datasets: list[xr.Dataset], fits: tuple[xr.Dataset, ...]) -> dict[str, list[xr.Dataset]]:
    """What the page shows, section by section."""
    one, two, sweep, runs, profiles, exact = datasets
    summary = sp.speciation(profiles.sel(estimator=["path"]), axis="sigma")
    return {
        "Handwritten digits: a trained model beside the exact posterior of its data": [profiles, exact, summary, runs],
        "One-dimensional mixture of two groups of two (2506.10433, Fig. 1)": [one],
        "Mixture of six components: all labels, and a near pair (2602.09651, Fig. 1a)": [two],
        "Two components over dimensions (2602.09651, Figs. 2 and 5)": [sweep, *fits],
    }
