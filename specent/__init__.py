"""When does a diffusion model decide? Conditional entropy of class labels along the reverse process, in bits.

The public names are loaded on first use, so ``import specent`` brings in neither torch nor holoviews.

Examples
--------
>>> import specent as sp
>>> sp.Partition.pair("cat", "dog").side_names
('cat', 'dog')
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from specent import _retired

if TYPE_CHECKING:
    from specent import analysis as analysis
    from specent import archive as archive
    from specent import arguments as arguments
    from specent import axes as axes
    from specent import command as command
    from specent import designs as designs
    from specent import diagnostics as diagnostics
    from specent import errors as errors
    from specent import evidence as evidence
    from specent import exact as exact
    from specent import explorer as explorer
    from specent import files as files
    from specent import guidance as guidance
    from specent import images as images
    from specent import interventions as interventions
    from specent import memory as memory
    from specent import models as models
    from specent import partitions as partitions
    from specent import plotting as plot  # noqa: F401
    from specent import plotting as plotting
    from specent import quality as quality
    from specent import runs as runs
    from specent import sampling as sampling
    from specent import schedules as schedules
    from specent import schema as schema
    from specent import studies as studies
    from specent import training as training
    from specent import transitions as transitions
    from specent import unpickling as unpickling
    from specent import untrusted as untrusted
    from specent.analysis import calibration_gap as calibration_gap
    from specent.analysis import fit_scaling as fit_scaling
    from specent.analysis import grids as grids
    from specent.analysis import guidance_price as guidance_price
    from specent.analysis import on_schedule as on_schedule
    from specent.analysis.chain import chain as chain
    from specent.analysis.combine import combine as combine
    from specent.analysis.compare import compare as compare
    from specent.analysis.entropy import entropy as entropy
    from specent.analysis.hierarchy import tree as tree
    from specent.analysis.null_error import null_error as null_error
    from specent.analysis.speciation import speciation as speciation
    from specent.archive import describe as describe
    from specent.archive import open as open
    from specent.archive import validate as validate
    from specent.archive import write as write
    from specent.diagnostics import check as check
    from specent.diagnostics import denoising_error as denoising_error
    from specent.errors import SpecentError as SpecentError
    from specent.errors import SpecentWarning as SpecentWarning
    from specent.explorer import explore as explore
    from specent.guidance import FeedbackGuidance as FeedbackGuidance
    from specent.guidance import Guidance as Guidance
    from specent.interventions.u_turn import u_turn as u_turn
    from specent.partitions import Partition as Partition
    from specent.runs import Plan as Plan
    from specent.runs import run as run
    from specent.sampling import Record as Record
    from specent.sampling import Scoring as Scoring
    from specent.sampling import Statistics as Statistics
    from specent.sampling import sample as sample

_HOMES = {
    "analysis": "specent.analysis",
    "archive": "specent.archive",
    "arguments": "specent.arguments",
    "axes": "specent.axes",
    "command": "specent.command",
    "designs": "specent.designs",
    "diagnostics": "specent.diagnostics",
    "errors": "specent.errors",
    "evidence": "specent.evidence",
    "exact": "specent.exact",
    "explorer": "specent.explorer",
    "files": "specent.files",
    "guidance": "specent.guidance",
    "images": "specent.images",
    "interventions": "specent.interventions",
    "memory": "specent.memory",
    "models": "specent.models",
    "partitions": "specent.partitions",
    "plot": "specent.plotting",
    "plotting": "specent.plotting",
    "quality": "specent.quality",
    "runs": "specent.runs",
    "sampling": "specent.sampling",
    "schedules": "specent.schedules",
    "schema": "specent.schema",
    "studies": "specent.studies",
    "training": "specent.training",
    "transitions": "specent.transitions",
    "unpickling": "specent.unpickling",
    "untrusted": "specent.untrusted",
    "calibration_gap": "specent.analysis:calibration_gap",
    "chain": "specent.analysis.chain:chain",
    "combine": "specent.analysis.combine:combine",
    "compare": "specent.analysis.compare:compare",
    "check": "specent.diagnostics:check",
    "denoising_error": "specent.diagnostics:denoising_error",
    "describe": "specent.archive:describe",
    "entropy": "specent.analysis.entropy:entropy",
    "explore": "specent.explorer:explore",
    "grids": "specent.analysis.grids",
    "fit_scaling": "specent.analysis:fit_scaling",
    "guidance_price": "specent.analysis:guidance_price",
    "null_error": "specent.analysis.null_error:null_error",
    "on_schedule": "specent.analysis:on_schedule",
    "open": "specent.archive:open",
    "run": "specent.runs:run",
    "sample": "specent.sampling:sample",
    "speciation": "specent.analysis.speciation:speciation",
    "tree": "specent.analysis.hierarchy:tree",
    "u_turn": "specent.interventions.u_turn:u_turn",
    "validate": "specent.archive:validate",
    "write": "specent.archive:write",
    "FeedbackGuidance": "specent.guidance:FeedbackGuidance",
    "Guidance": "specent.guidance:Guidance",
    "Partition": "specent.partitions:Partition",
    "Plan": "specent.runs:Plan",
    "Record": "specent.sampling:Record",
    "Scoring": "specent.sampling:Scoring",
    "Statistics": "specent.sampling:Statistics",
    "SpecentError": "specent.errors:SpecentError",
    "SpecentWarning": "specent.errors:SpecentWarning",
}

__all__ = sorted(_HOMES)

_retired.install()


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("specent")
    if name not in _HOMES:
        return _retired.attribute(__name__, name)
    module, _, attribute = _HOMES[name].partition(":")
    loaded = import_module(module)
    value = getattr(loaded, attribute) if attribute else loaded
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
