"""Everything once, in a few minutes: exact mixtures, scaling with dimension, and a trained model of digits.

What `make demo` runs. Writes the archives of the other recipes and one page of figures, index.html, into a folder,
and prints when each digit is decided (half-entropy noise level, with interval, beside the exact value of the data)
and the two scaling laws.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import xarray as xr

import specent as sp
from specent._shipped import recipe


@dataclass(frozen=True)
class Settings:
    """Settings of the demonstration.

    Parameters
    ----------
    folder : Path
        Folder for the archives and the page; made if it is missing.
    overwrite : bool
        Replace what an earlier run left there.
    seed : int
        Seed of the random streams.
    samples : int
        Trajectories of the digits per class and guidance setting.
    steps : int
        Noise levels of the digits' chain.
    device : {"cpu", "cuda"}
        Where the network runs.
    """

    folder: Path = Path("demo")
    overwrite: bool = False
    seed: int = 0
    samples: int = 100
    steps: int = 64
    device: str = "cpu"


def main(settings: Settings) -> tuple[Path, ...]:
    """Run the recipes, print the tables and write the page."""
    try:
        settings.folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise sp.SpecentError(f"folder={str(settings.folder)!r} cannot be made: {error.strerror}") from error
    page = settings.folder / "index.html"
    if page.exists() and not settings.overwrite:
        raise sp.SpecentError(f"{page} exists; pass --overwrite to replace it, or another --folder")
    common = {"overwrite": settings.overwrite, "seed": settings.seed}
    written: list[Path] = []
    print("1/4 one-dimensional mixture: the rate beside the bifurcation")
    one, two, scale, digits = (recipe(name) for name in ("gmm_1d", "gmm_partition", "gmm_scaling", "digits"))
    written.append(one.main(one.Settings(output=settings.folder / "gmm_1d.nc", **common)))
    print("\n2/4 Gaussian mixture: all labels, and one pair")
    written.append(two.main(two.Settings(output=settings.folder / "gmm_partition.nc", **common)))
    print("\n3/4 two components over dimensions 2 .. 2^20")
    sweep = scale.Settings(output=settings.folder / "gmm_scaling.nc", overwrite=settings.overwrite)
    written.append(scale.main(sweep))
    print("\n4/4 handwritten digits")
    options = {"samples": settings.samples, "steps": settings.steps, "device": settings.device}
    written += digits.main(digits.Settings(output=settings.folder / "digits.nc", **options, **common))
    opened = [sp.open(path) for path in written]
    report(opened[4], opened[5])
    for line in scale.report(opened[2], sweep.fit_from):
        print(line)
    made = figures(opened, scale.fits(opened[2], sweep.fit_from))
    written.append(sp.plot.page(made, page, title="specent: when a diffusion model decides", overwrite=True))
    print(f"\nOpen {page} in a browser.")
    return tuple(written)


def report(profiles: xr.Dataset, exact: xr.Dataset) -> None:
    """Print the half-entropy noise level of every class against the rest, and of the full set."""
    chosen = [name for name in profiles.partition.values if name == "full" or name.endswith("| rest")]
    measured = sp.speciation(profiles.sel(partition=chosen, estimator=["path"]), axis="sigma").squeeze("estimator")
    truth = sp.speciation(exact.sel(partition=chosen), axis="sigma").squeeze(("estimator", "guidance"))
    print("\nHalf-entropy noise level sigma (95 % interval), handwritten digits")
    settings = [str(name) for name in measured.guidance.values]
    print(f"{'partition':>12} {'exact (data)':>24}" + "".join(f" {name:>24}" for name in settings))
    for name in chosen:
        cells = [interval(truth.sel(partition=name))]
        cells += [interval(measured.sel(partition=name, guidance=setting)) for setting in settings]
        print(f"{name:>12}" + "".join(f" {cell:>24}" for cell in cells))
    print()


def interval(spec: xr.Dataset) -> str:
    """Half-entropy place with its bounds."""
    lower, upper = sorted((float(spec.half_time_lower), float(spec.half_time_upper)))
    return f"{float(spec.half_time):.3f} ({lower:.3f} .. {upper:.3f})"


def figures(opened: list[xr.Dataset], fits: tuple[xr.Dataset, ...]) -> dict[str, list[xr.Dataset]]:
    """What the page shows, section by section."""
    one, two, sweep, runs, profiles, exact = opened
    places = sp.speciation(profiles.sel(estimator=["path"]), axis="sigma")
    return {
        "Handwritten digits: a trained model beside the exact posterior of its data": [profiles, exact, places, runs],
        "One-dimensional mixture of two groups of two (2506.10433, Fig. 1)": [one],
        "Mixture of six components: all labels, and a near pair (2602.09651, Fig. 1a)": [two],
        "Two components over dimensions (2602.09651, Figs. 2 and 5)": [sweep, *fits],
    }
