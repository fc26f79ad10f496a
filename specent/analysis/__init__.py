"""Posterior, entropy, rates, speciation and scaling from labelled datasets: xarray and Dask, never torch."""

from specent.analysis.calibration import calibration_gap as calibration_gap
from specent.analysis.combine import combine as combine
from specent.analysis.compare import compare as compare
from specent.analysis.differences import differences as differences
from specent.analysis.entropy import entropy as entropy
from specent.analysis.rescheduling import on_schedule as on_schedule
from specent.analysis.scaling import fit_scaling as fit_scaling
from specent.analysis.speciation import speciation as speciation
from specent.analysis.summaries import summarise as summarise

__all__ = [
    "calibration_gap",
    "combine",
    "compare",
    "differences",
    "entropy",
    "fit_scaling",
    "on_schedule",
    "speciation",
    "summarise",
]
