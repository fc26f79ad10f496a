"""Models: anything that denoises, ``D(x, sigma, condition) = E[x_0 | x, condition]``, with torch."""

from __future__ import annotations

from specent import _retired
from specent.models.base import Model as Model
from specent.models.ddpm_model import ddpm as ddpm
from specent.models.diffusers import PipelineModel as PipelineModel
from specent.models.diffusers import pipeline as pipeline
from specent.models.digits import digits as digits
from specent.models.digits import digits_data as digits_data
from specent.models.edm2.edm2_model import EDM2Model as EDM2Model
from specent.models.edm2.edm2_model import edm2 as edm2
from specent.models.exact_profiles import exact_profiles as exact_profiles
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

__all__ = [
    "Denoiser",
    "EDM2Model",
    "EDMNetwork",
    "FiniteModel",
    "MixtureModel",
    "Model",
    "NetworkModel",
    "PipelineModel",
    "as_model",
    "ddpm",
    "digits",
    "digits_data",
    "edm2",
    "exact_profiles",
    "finite",
    "foreign",
    "mixture",
    "network",
    "pipeline",
    "previews",
]


def __getattr__(name: str) -> object:
    return _retired.attribute(__name__, name)
