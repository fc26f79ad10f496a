r"""Closed forms and quadrature: Gaussian mixtures, analytic speciation times.

Everything here is exact, or quasi-Monte Carlo with a stated standard error; the rest of the package is measured against
it. NumPy and SciPy only.
"""

from specent.exact.analytic import cloning_probability as cloning_probability
from specent.exact.analytic import null_floor as null_floor
from specent.exact.analytic import speciation_sigma as speciation_sigma
from specent.exact.analytic import speciation_time as speciation_time
from specent.exact.analytic import spectral_sigma as spectral_sigma
from specent.exact.analytic import spectral_time as spectral_time
from specent.exact.analytic import symmetry_breaking_time as symmetry_breaking_time
from specent.exact.analytic import two_component_entropy as two_component_entropy
from specent.exact.analytic import two_component_entropy_inverse as two_component_entropy_inverse
from specent.exact.analytic import two_component_entropy_slope as two_component_entropy_slope
from specent.exact.chain_law import sampling_error as sampling_error
from specent.exact.cloning import entropy_bracket as entropy_bracket
from specent.exact.cloning import spectrum as spectrum
from specent.exact.cloning import u_turns as u_turns
from specent.exact.collapse import collapse_sigma as collapse_sigma
from specent.exact.denoising import denoising_error as denoising_error
from specent.exact.landmarks import bifurcations as bifurcations
from specent.exact.landmarks import recorded_mixture as recorded_mixture
from specent.exact.landmarks import spectral_log_snr as spectral_log_snr
from specent.exact.landmarks import state_of_prediction as state_of_prediction
from specent.exact.mixture import GaussianMixture as GaussianMixture
from specent.exact.orthogonal import orthogonal_entropy as orthogonal_entropy
from specent.exact.orthogonal import orthogonal_phi as orthogonal_phi
from specent.exact.orthogonal import orthogonal_profiles as orthogonal_profiles
from specent.exact.profile import half_entropy as half_entropy
from specent.exact.profile import profiles as profiles
from specent.exact.scaling import scaling_profiles as scaling_profiles

__all__ = [
    "GaussianMixture",
    "bifurcations",
    "cloning_probability",
    "collapse_sigma",
    "denoising_error",
    "entropy_bracket",
    "half_entropy",
    "null_floor",
    "orthogonal_entropy",
    "orthogonal_phi",
    "orthogonal_profiles",
    "profiles",
    "recorded_mixture",
    "sampling_error",
    "scaling_profiles",
    "speciation_sigma",
    "speciation_time",
    "spectral_log_snr",
    "spectral_sigma",
    "spectral_time",
    "spectrum",
    "state_of_prediction",
    "symmetry_breaking_time",
    "two_component_entropy",
    "two_component_entropy_inverse",
    "two_component_entropy_slope",
    "u_turns",
]
