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
from specent import arguments
from specent.arguments import brief
from specent.studies.shipped import recipe, tell

ARCHIVES = ("gmm_1d", "gmm_partition", "gmm_scaling", "digits", "digits_profiles", "digits_exact")


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
    threads : int
        Processor threads of torch, whose work here is so small that more of them wait for each other; 0 leaves the
        choice to torch.
    """

    folder: Path = Path("demo")
    overwrite: bool = False
    seed: int = 0
    samples: int = 100
    steps: int = 64
    device: str = "cpu"
    threads: int = 1

    def __post_init__(self) -> None:
        arguments.whole(self.seed, "seed")
        # those of the digits check the rest
        options(self, Path())


def main(settings: Settings) -> tuple[Path, ...]:
    """Run the recipes, write the page, and print the tables."""
    folder = made_folder(settings.folder)
    page = folder / "index.html"
    chosen = options(settings, folder)
    for path in (page, *(folder / f"{name}.nc" for name in ARCHIVES)):
        if path.exists() and not settings.overwrite:
            raise sp.SpecentError(f"{path} exists; pass overwrite=True to replace it, or choose another folder")
    one, two, scale, digits = (recipe(name) for name in chosen)
    written: list[Path] = []
    with digits.limited(settings.threads):
        print("1/4 one-dimensional mixture: the rate beside the bifurcation")
        written.append(one.main(chosen["gmm_1d"]))
        print("\n2/4 Gaussian mixture: all labels, and one pair")
        written.append(two.main(chosen["gmm_partition"]))
        print("\n3/4 two components over dimensions 2 .. 2^20")
        written.append(scale.made(chosen["gmm_scaling"]))
        print("\n4/4 handwritten digits")
        written += digits.main(chosen["digits"])
    opened = [sp.open(path) for path in written]
    fit_from = chosen["gmm_scaling"].fit_from
    made = figures(opened, scale.fits(opened[2], fit_from))
    title = "specent: when a diffusion model decides"
    written.append(sp.plot.page(made, page, title=title, overwrite=settings.overwrite))
    tell(lambda: report(opened[4], opened[5]))
    print("\nHow the half-entropy place scales with the dimension d, two components")
    tell(lambda: scale.report(opened[2], fit_from))
    print(f"\nOpen {page} in a browser.")
    return tuple(written)


def options(settings: Settings, folder: Path) -> dict[str, Any]:
    """Settings of every recipe that is run, each checked by its own rules."""
    common = {"overwrite": settings.overwrite, "seed": settings.seed}
    drawn = {"samples": settings.samples, "steps": settings.steps, "device": settings.device}
    more: dict[str, dict[str, Any]] = {
        "gmm_1d": common,
        "gmm_partition": common,
        "gmm_scaling": {"overwrite": settings.overwrite},
        "digits": common | drawn | {"threads": settings.threads},
    }
    return {name: recipe(name).Settings(output=folder / f"{name}.nc", **given) for name, given in more.items()}


def made_folder(folder: Path) -> Path:
    """The folder of the demonstration, which is made if it is missing."""
    try:
        path = Path(folder).expanduser()
        path.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError, ValueError) as error:
        raise sp.SpecentError(f"folder={brief(str(folder))} cannot be made: {error}") from error
    return path


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
        cells = [interval(truth.sel(partition=name))]
        cells += [interval(measured.sel(partition=name, guidance=setting)) for setting in settings]
        yield f"{name:>12}" + "".join(f" {cell:>24}" for cell in cells)


def interval(spec: xr.Dataset) -> str:
    """Half-entropy place with its bounds."""
    lower, upper = sorted((float(spec.half_entropy_lower), float(spec.half_entropy_upper)))
    return f"{float(spec.half_entropy):.3f} ({lower:.3f} .. {upper:.3f})"


def figures(opened: list[xr.Dataset], fits: tuple[xr.Dataset, ...]) -> dict[str, list[xr.Dataset]]:
    """What the page shows, section by section."""
    one, two, sweep, runs, profiles, exact = opened
    places = [sp.speciation(profiles.sel(estimator=["path"]), axis="sigma")]
    return {
        "Handwritten digits: a trained model beside the exact posterior of its data": [profiles, exact, *places, runs],
        "One-dimensional mixture of two groups of two (2506.10433, Fig. 1)": [one],
        "Mixture of six components: all labels, and a near pair (2602.09651, Fig. 1a)": [two],
        "Two components over dimensions (2602.09651, Figs. 2 and 5)": [sweep, *fits],
    }
