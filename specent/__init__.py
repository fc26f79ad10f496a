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

if TYPE_CHECKING:
    from specent import analysis as analysis
    from specent import archive as archive
    from specent import exact as exact
    from specent import images as images
    from specent import models as models
    from specent import plotting as plot  # noqa: F401
    from specent import quality as quality
    from specent import sampling as sampling
    from specent import schedules as schedules
    from specent import schema as schema
    from specent.analysis import calibration_gap as calibration_gap
    from specent.analysis import fit_scaling as fit_scaling
    from specent.analysis import on_schedule as on_schedule
    from specent.analysis.entropy import entropy as entropy
    from specent.analysis.speciation import speciation as speciation
    from specent.archive import describe as describe
    from specent.archive import open as open
    from specent.archive import validate as validate
    from specent.archive import write as write
    from specent.errors import SpecentError as SpecentError
    from specent.errors import SpecentWarning as SpecentWarning
    from specent.guidance import FeedbackGuidance as FeedbackGuidance
    from specent.guidance import Guidance as Guidance
    from specent.partitions import Partition as Partition
    from specent.sampling import sample as sample

_HOMES = {
    "analysis": "specent.analysis",
    "archive": "specent.archive",
    "exact": "specent.exact",
    "images": "specent.images",
    "models": "specent.models",
    "plot": "specent.plotting",
    "quality": "specent.quality",
    "sampling": "specent.sampling",
    "schedules": "specent.schedules",
    "schema": "specent.schema",
    "calibration_gap": "specent.analysis:calibration_gap",
    "entropy": "specent.analysis:entropy",
    "fit_scaling": "specent.analysis:fit_scaling",
    "on_schedule": "specent.analysis:on_schedule",
    "speciation": "specent.analysis:speciation",
    "describe": "specent.archive:describe",
    "open": "specent.archive:open",
    "validate": "specent.archive:validate",
    "write": "specent.archive:write",
    "SpecentError": "specent.errors:SpecentError",
    "SpecentWarning": "specent.errors:SpecentWarning",
    "FeedbackGuidance": "specent.guidance:FeedbackGuidance",
    "Guidance": "specent.guidance:Guidance",
    "Partition": "specent.partitions:Partition",
    "sample": "specent.sampling:sample",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("specent")
    if name not in _HOMES:
        raise AttributeError(f"module 'specent' has no attribute {name!r}")
    module, _, attribute = _HOMES[name].partition(":")
    loaded = import_module(module)
    value = getattr(loaded, attribute) if attribute else loaded
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
