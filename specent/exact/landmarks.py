r"""Where a mixture is predicted to decide: bifurcations of the drift, and the spectral prediction of speciation.

The drift of the reverse chain on the variance-preserving schedule is :math:`x + 2\nabla\ln p_t(x)`. While noise turns
into data its stable fixed points split (arXiv 2305.19693). The spectral prediction is the noise level
:math:`\sigma_s = \sqrt\Lambda` with the largest eigenvalue of the covariance (arXiv 2402.18491). Neither is where the
entropy is half its start, nor where its rate peaks, but both are near.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray
from scipy.special import logsumexp

from specent import arguments
from specent.errors import SpecentError
from specent.exact.analytic import spectral_sigma
from specent.exact.mixture import GaussianMixture
from specent.untrusted import parse_json

Array = NDArray[np.float64]

# states at which the sign of the drift is taken: even, so that a symmetric mixture has none at its middle, and at least
# so many per standard deviation of the narrowest component
_STATES, _MOST_STATES, _PER_DEVIATION = 800, 20_000, 8
_LEVELS = np.linspace(-14.0, 14.0, 141)
_HALVINGS = 16


def bifurcations(mix: GaussianMixture) -> Array:
    """Log-SNR at which stable fixed points of the drift appear, of a mixture in one dimension, ascending.

    Parameters
    ----------
    mix : GaussianMixture
        In one dimension.

    Returns
    -------
    ndarray, shape (bifurcations,)
        To about 1e-4. Points that split at one level count once. Empty if the drift keeps one fixed point.

    Raises
    ------
    SpecentError
        If the mixture has more dimensions.

    References
    ----------
    arXiv 2305.19693.

    Examples
    --------
    >>> bifurcations(GaussianMixture([[-1.0], [1.0]], variance=0.01)).round(2).tolist()
    [-0.34]
    """
    if mix.dimension != 1:
        raise SpecentError(f"mix has {mix.dimension} dimensions; the bifurcations are found in one")
    counts = [_stable_points(mix, level) for level in _LEVELS]
    found = []
    for i in np.flatnonzero(np.diff(counts) > 0):
        low, high = _LEVELS[i], _LEVELS[i + 1]
        for _ in range(_HALVINGS):
            middle = 0.5 * (low + high)
            low, high = (low, middle) if _stable_points(mix, middle) > counts[i] else (middle, high)
        found.append(0.5 * (low + high))
    return np.array(found)


def _stable_points(mix: GaussianMixture, log_snr: float) -> int:
    """Number of stable fixed points of the drift: where it turns from upwards to downwards."""
    alpha = float(np.sqrt(1 / (1 + np.exp(-log_snr))))
    sigma = float(np.sqrt(1 / (1 + np.exp(log_snr))))
    spread = alpha**2 * mix.variances + sigma**2
    centres, reach = alpha * mix.means[:, 0], 6 * float(np.sqrt(spread.max()))
    ends = centres.min() - reach, centres.max() + reach
    deviations = (ends[1] - ends[0]) / float(np.sqrt(spread.min()))
    x = np.linspace(*ends, 2 * int(np.clip(_PER_DEVIATION * deviations, _STATES, _MOST_STATES) / 2))
    weighted = np.log(np.maximum(mix.weights, 1e-300)) + mix.log_density(x[:, None], alpha, sigma)
    share = np.exp(weighted - logsumexp(weighted, axis=-1, keepdims=True))
    drift = x + 2 * np.sum(share * (centres - x[:, None]) / spread, axis=-1)
    return int(np.count_nonzero((drift[:-1] > 0) & (drift[1:] <= 0)))


def spectral_log_snr(mix: GaussianMixture) -> float:
    r"""Log-SNR at the spectral prediction :math:`\sigma_s = \sqrt\Lambda` of the noise level of speciation.

    Parameters
    ----------
    mix : GaussianMixture
        The mixture, whose covariance is known.

    Examples
    --------
    >>> bool(np.isclose(spectral_log_snr(GaussianMixture([[-4.0, 0.0], [4.0, 0.0]])), -np.log(17.0)))
    True
    """
    centred = mix.means - mix.weights @ mix.means
    covariance = (mix.weights[:, None] * centred).T @ centred + float(mix.weights @ mix.variances) * np.eye(
        centred.shape[1]
    )
    return -2 * float(np.log(spectral_sigma(covariance=covariance)))


def state_of_prediction(
    mix: GaussianMixture, label: str, prediction: ArrayLike, alpha: ArrayLike, sigma: ArrayLike
) -> Array:
    r"""The noisy state behind a prediction of the data by the exact denoiser of a label of one component.

    The denoiser of a Gaussian is linear, :math:`D(x) = m + \frac{\alpha v}{\alpha^2 v + \sigma^2}(x - \alpha m)`, so it
    can be inverted.

    Parameters
    ----------
    mix : GaussianMixture
        The mixture.
    label : str
        A label of one component.
    prediction : array_like, shape (..., d)
        Predictions of the data.
    alpha, sigma : array_like, of a shape that broadcasts to (...)
        Scale of the signal and standard deviation of the noise, positive.

    Returns
    -------
    ndarray, shape (..., d)

    Raises
    ------
    SpecentError
        If the label has several components, or none, or the predictions do not fit the mixture.

    Examples
    --------
    >>> mix = GaussianMixture([[-1.0], [3.0]], labels=["a", "b"])
    >>> state_of_prediction(mix, "b", [2.0], alpha=1.0, sigma=1.0).tolist()
    [1.0]
    """
    owned = [i for i, name in enumerate(mix.component_labels) if name == label]
    if len(owned) != 1:
        raise SpecentError(f"label={label!r} has {len(owned)} components of mix; states are known of one")
    values = arguments.array(prediction, "prediction")
    if values.ndim == 0 or values.shape[-1] != mix.dimension:
        raise SpecentError(f"prediction has shape {values.shape}; its last axis must be the dimension {mix.dimension}")
    mean = np.zeros(mix.dimension)
    mean[: mix.means.shape[1]] = mix.means[owned[0]]
    variance = float(mix.variances[owned[0]])
    scale, noise = (np.asarray(one, dtype=np.float64)[..., None] for one in (alpha, sigma))
    return np.asarray(scale * mean + (values - mean) * (scale**2 * variance + noise**2) / (scale * variance))


def recorded_mixture(dataset: xr.Dataset) -> GaussianMixture | None:
    """The Gaussian mixture that trajectories or profiles were made of, as far as they record it.

    Parameters
    ----------
    dataset : Dataset
        With the attributes ``model`` or ``settings``, JSON texts.

    Returns
    -------
    GaussianMixture or None
        None if they are of another model, of several, or of a mixture too large to be written out.

    Examples
    --------
    >>> import specent as sp
    >>> recorded_mixture(sp.archive.example()).labels
    ('cat', 'dog', 'car')
    """
    found = []
    for name in ("model", "settings"):
        try:
            found += _mixtures(parse_json(str(dataset.attrs.get(name, "null"))))
        except SpecentError:
            continue
    return found[0] if found and all(one == found[0] for one in found) else None


def _mixtures(value: Any) -> list[GaussianMixture]:
    """Every mixture described in the plain values of a JSON text."""
    if isinstance(value, Mapping):
        if {"means", "variances", "weights", "component_labels", "dimension"} <= set(value):
            return _described(value)
        # of a comparison, runs may be of different models
        return [one for part in value.values() for one in _mixtures(part)]
    return [one for part in value for one in _mixtures(part)] if isinstance(value, list) else []


def _described(value: Mapping[str, Any]) -> list[GaussianMixture]:
    if isinstance(value["means"], str):
        return []
    return [
        GaussianMixture(
            value["means"], value["variances"], value["weights"], value["component_labels"], value["dimension"]
        )
    ]
