"""Two components over many dimensions: speciation time and width, VP and VE (arXiv 2602.09651, Figs. 2 and 5).

Two equally likely components at +-m with |m|^2 = d, in closed form. Everything depends on the log-SNR alone, so one
sweep serves both schedules: under VP the half-entropy time grows as ln(d)/2 with slope 1, under VE the half-entropy
noise level grows as d^0.5. The transition window keeps its width in t and in ln(sigma); on a linear sigma axis it
broadens as sqrt(d), which is a property of that axis. Takes a second.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr

import specent as sp
from specent import arguments
from specent.studies import (
    StudySettings,
    fit_both_laws,
    limited_threads,
    output_paths,
    print_lines,
    write_results,
)


@dataclass(frozen=True)
class Settings(StudySettings):
    """Settings of the sweep.

    Parameters
    ----------
    output : Path
        Archive of profiles over dimensions to write, on the VE schedule.
    exponent_min : int
        The smallest dimension is 2 to this power.
    exponent_max : int
        The largest dimension is 2 to this power.
    fit_from : int
        The fits use dimensions from 2 to this power on.
    variance : float
        Variance of each component.
    points_per_unit : int
        Grid points per unit of log-SNR.
    """

    output: Path = Path("gmm_scaling.nc")
    exponent_min: int = 1
    exponent_max: int = 20
    fit_from: int = 8
    variance: float = 1.0
    points_per_unit: int = 16
    threads: int | None = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        arguments.whole(self.exponent_min, "exponent_min", least=1, most=58)
        # a fit needs three dimensions
        arguments.whole(self.exponent_max, "exponent_max", least=self.exponent_min + 2, most=60)
        arguments.whole(self.fit_from, "fit_from", most=self.exponent_max - 2)
        arguments.number(self.variance, "variance", least=1e-12, most=1e12)
        arguments.whole(self.points_per_unit, "points_per_unit", least=1, most=1000)


def main(settings: Settings) -> Path:
    """Compute the sweep, write the profiles to one archive, and print the two fits."""
    (path,) = output_paths(settings.output, overwrite=settings.overwrite)
    with limited_threads(settings.threads):
        profiles = write_results(sweep(settings), path, "gmm_scaling", settings)
    print_lines(lambda: report(profiles, settings.fit_from))
    return path


def sweep(settings: Settings) -> xr.Dataset:
    """Exact profiles of every dimension on one grid that spans all transitions."""
    dimensions = 2.0 ** np.arange(settings.exponent_min, settings.exponent_max + 1)
    ends = np.log([1 / (40.0 * dimensions[-1]), 400.0])
    steps = 1 + int(np.ceil((ends[1] - ends[0]) * settings.points_per_unit))
    time = sp.schedules.log_snr_grid(sp.schedules.VE(), steps, *ends)
    return sp.exact.scaling_profiles(dimensions, sp.schedules.VE(), time, variance=settings.variance)


def report(profiles: xr.Dataset, fit_from: int) -> list[str]:
    """Lines of text: the two fits, and the width of the band 0.4 <= H <= 0.6 bit."""
    by_time, slope, by_level, exponent = fit_both_laws(profiles, 2**fit_from)
    last = [spec.isel(dimension=-1).squeeze() for spec in (by_time, by_level)]
    widths = [float(abs(spec.window_end - spec.window_start)) for spec in last]
    largest = float(by_time.dimension[-1])
    width = f"{widths[0]:.4f} in t (VP), {widths[1]:.3f} = {widths[1] / np.sqrt(largest):.4f} sqrt(d) in sigma (VE)"
    return [
        f"VP: half-entropy time against ln(d)/2: {_fit_text(slope, 'slope')} (theory 1)",
        f"VE: half-entropy sigma against d: {_fit_text(exponent, 'exponent')} (theory 1/2 for large d)",
        f"width of 0.4 <= H <= 0.6 bit at d = {largest:.0f}: {'never' if np.isnan(widths).any() else width}",
    ]


def _fit_text(fit: xr.Dataset, name: str) -> str:
    value, error = (float(fit[variable].squeeze()) for variable in (name, f"{name}_standard_error"))
    if np.isnan(value):
        return f"no {name}, since fewer than three dimensions ever fall to half"
    return f"{name} {value:.6f} +- {error:.1e}"
