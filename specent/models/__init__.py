"""Models: anything that denoises, ``D(x, sigma, condition) = E[x_0 | x, condition]``, with torch.

The imports below are the only table of public names: type checkers read them as they stand, and at run time each is
carried out when its name is first used, so that ``import specent.models`` loads neither torch nor any model.
"""

from __future__ import annotations

import ast
import inspect
import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

from specent import _retired

if TYPE_CHECKING:
    from specent.models.base import Model as Model
    from specent.models.ddpm_model import ddpm as ddpm
    from specent.models.diffusers.loading import pipeline as pipeline
    from specent.models.diffusers.pipeline_model import PipelineModel as PipelineModel
    from specent.models.digits import digits as digits
    from specent.models.digits import digits_data as digits_data
    from specent.models.edm2.edm2_model import EDM2Model as EDM2Model
    from specent.models.edm2.edm2_model import edm2 as edm2
    from specent.models.finite import FiniteModel as FiniteModel
    from specent.models.finite import finite as finite
    from specent.models.foreign import foreign as foreign
    from specent.models.mixture import MixtureModel as MixtureModel
    from specent.models.mixture import mixture as mixture
    from specent.models.network import EDMNetwork as EDMNetwork
    from specent.models.network import NetworkModel as NetworkModel
    from specent.models.network import network as network
    from specent.models.previews import previews as previews
    from specent.models.protocol import Denoiser as Denoiser
    from specent.models.protocol import as_model as as_model


def _homes() -> dict[str, str]:
    """The module of every public name, as the table above says."""
    source = inspect.getsource(sys.modules[__name__])
    table = next(node for node in ast.parse(source).body if isinstance(node, ast.If))
    lines = [node for node in table.body if isinstance(node, ast.ImportFrom)]
    return {alias.name: str(line.module) for line in lines for alias in line.names}


_HOMES = _homes()

__all__ = sorted(_HOMES)


class _Models(ModuleType):
    """The type of this package, in which a function is not hidden by the module of its name."""

    def __setattr__(self, name: str, value: object) -> None:
        # the import system sets every module that it loads as an attribute of its package
        if not (name in _HOMES and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Models


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        return _retired.attribute(__name__, name)
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return list(__all__)
