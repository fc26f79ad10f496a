"""Models: anything that denoises, ``D(x, sigma, condition) = E[x_0 | x, condition]``, with torch."""

from __future__ import annotations

from specent.models.base import Model as Model
from specent.models.digits import digits as digits
from specent.models.digits import digits_data as digits_data
from specent.models.finite import FiniteModel as FiniteModel
from specent.models.finite import finite as finite
from specent.models.mixture import MixtureModel as MixtureModel
from specent.models.mixture import mixture as mixture
from specent.models.network import EDMNetwork as EDMNetwork
from specent.models.network import NetworkModel as NetworkModel
from specent.models.network import network as network
from specent.models.reference import exact_profiles as exact_profiles

__all__ = [
    "EDMNetwork",
    "FiniteModel",
    "MixtureModel",
    "Model",
    "NetworkModel",
    "digits",
    "digits_data",
    "exact_profiles",
    "finite",
    "mixture",
    "network",
]
