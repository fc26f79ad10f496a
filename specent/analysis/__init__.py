"""Posterior, entropy, rates, speciation and scaling from labelled datasets: xarray and Dask, never torch."""

from specent.analysis import grids as grids
from specent.analysis.between_estimators import estimator_differences as estimator_differences
from specent.analysis.calibration import calibration_gap as calibration_gap
from specent.analysis.chain import Split as Split
from specent.analysis.chain import chain as chain
from specent.analysis.chain import splits as splits
from specent.analysis.combine import combine as combine
from specent.analysis.compare import compare as compare
from specent.analysis.definitions import definitions as definitions
from specent.analysis.differences import differences as differences
from specent.analysis.entanglement import entanglement as entanglement
from specent.analysis.entropy import entropy as entropy
from specent.analysis.errors_of_paths import path_error as path_error
from specent.analysis.exported_grids import exported_grid as exported_grid
from specent.analysis.hierarchy import Node as Node
from specent.analysis.hierarchy import tree as tree
from specent.analysis.judgements import reliability as reliability
from specent.analysis.null_error import null_error as null_error
from specent.analysis.price import guidance_price as guidance_price
from specent.analysis.price import guidance_price_text as guidance_price_text
from specent.analysis.rescheduling import on_schedule as on_schedule
from specent.analysis.scaling import fit_scaling as fit_scaling
from specent.analysis.speciation import speciation as speciation
from specent.analysis.summaries import summarise as summarise
from specent.analysis.trajectory_posteriors import posterior_quantiles as posterior_quantiles

__all__ = [
    "Node",
    "Split",
    "calibration_gap",
    "chain",
    "combine",
    "compare",
    "definitions",
    "differences",
    "entanglement",
    "entropy",
    "estimator_differences",
    "exported_grid",
    "fit_scaling",
    "grids",
    "guidance_price",
    "guidance_price_text",
    "null_error",
    "on_schedule",
    "path_error",
    "posterior_quantiles",
    "reliability",
    "speciation",
    "splits",
    "summarise",
    "tree",
]
