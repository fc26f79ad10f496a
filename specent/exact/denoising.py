r"""The error of the exact denoiser of a Gaussian mixture, at every noise level.

Which component a datum is of, and where it lies within, add up: with the denoisers :math:`D_k` of the components

.. math:: E|x_0 - \bar D|^2 = \sum_k w_k\,\frac{d\,v_k\,\sigma^2}{v_k + \sigma^2} + E\sum_k P_k\,|D_k - \bar D|^2 ,

and the second term is twice the rate at which the component is decided, per unit of :math:`\gamma = 1/\sigma^2`
(arXiv math/0412108, 2302.03792). Half of the whole is the rate at which the data themselves are.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from specent import arguments
from specent.arguments import brief
from specent.errors import SpecentError
from specent.evidence import BITS_PER_NAT
from specent.exact.mixture import GaussianMixture
from specent.exact.profile import profiles
from specent.schedules import VE, Schedule, check_grid
from specent.schema import coordinates

Array = NDArray[np.float64]

_OPTIONS = ("samples", "seed", "confidence")
_BOUNDS = ("", "_lower", "_upper")
_WORDS = {"": "", "_lower": "lower bound of the ", "_upper": "upper bound of the "}


def denoising_error(
    mix: GaussianMixture,
    time: ArrayLike,
    schedule: Schedule | None = None,
    *,
    conditional: bool = False,
    **options: Any,
) -> xr.Dataset:
    r"""Mean squared error of the exact denoiser of a mixture, for `specent.grids`.

    Parameters
    ----------
    mix : GaussianMixture
        The distribution of the data.
    time : array_like, shape (time,)
        Ascending times.
    schedule : Schedule, optional
        Their schedule; `VE` by default, where time is sigma.
    conditional : bool
        Whether the denoiser knows the label; the mean over the labels by their prior then.
    **options
        ``samples``, ``seed`` and ``confidence`` as of `profiles`, where one dimension does not suffice.

    Returns
    -------
    Dataset
        Not a kind of the data contract. ``denoising_error`` (time), the sum over the features, in squared units of the
        data, with ``_lower`` and ``_upper``. A statement about :math:`x/\alpha`: it depends on the log-SNR alone.

    Raises
    ------
    SpecentError
        If an argument cannot be used.

    Examples
    --------
    >>> denoising_error(GaussianMixture([[0.0]], dimension=4), [0.5, 1.0]).denoising_error.values.round(9).tolist()
    [0.8, 2.0]
    """
    arguments.instance(mix, GaussianMixture, "mix", "give a specent.exact.GaussianMixture")
    conditional = arguments.flag(conditional, "conditional")
    unknown = next((name for name in options if name not in _OPTIONS), None)
    if unknown is not None:
        raise SpecentError(f"{unknown}={brief(options[unknown])} is not an option; there are {', '.join(_OPTIONS)}")
    schedule = VE() if schedule is None else schedule
    grid = check_grid(schedule, time)
    whole = np.zeros((len(_BOUNDS), len(grid)))
    for share, part in _parts(mix) if conditional else [(1.0, mix)]:
        whole += share * _errors(part, schedule, grid, options)
    return error_dataset(schedule, grid, whole, "a Gaussian mixture", "Gaussian mixture")


def error_dataset(schedule: Schedule, grid: Array, curves: Iterable[Array], name: str, denoiser: str) -> xr.Dataset:
    """A denoising error as `specent.grids` read it.

    Parameters
    ----------
    schedule : Schedule
        The schedule of the times.
    grid : ndarray, shape (time,)
        Ascending times.
    curves : iterable of three ndarray, shape (time,)
        The error, its lower and its upper bound.
    name : str
        Of what it is, for the title.
    denoiser : str
        "finite data", "Gaussian mixture" or "network".

    Examples
    --------
    >>> error_dataset(VE(), np.array([1.0, 2.0]), np.ones((3, 2)), "one", "network").attrs["denoiser"]
    'network'
    """
    variables = {}
    for end, values in zip(_BOUNDS, curves, strict=True):
        attrs = {"units": "1", "long_name": f"{_WORDS[end]}mean squared error of denoised data"}
        variables[f"denoising_error{end}"] = xr.Variable("time", values, attrs)
    attributes = {"title": f"Denoising error of {name}", "denoiser": denoiser}
    return xr.Dataset(variables, coordinates.of_schedule(schedule, grid), attributes)


def _parts(mix: GaussianMixture) -> list[tuple[float, GaussianMixture]]:
    """The mixture of every label by itself, with the prior of the label."""
    names = np.array(mix.component_labels)
    parts = []
    for label, share in zip(mix.labels, mix.label_prior.tolist(), strict=True):
        own = names == label
        weights = mix.weights[own] / mix.weights[own].sum()
        parts.append((share, GaussianMixture(mix.means[own], mix.variances[own], weights, dimension=mix.dimension)))
    return parts


def _errors(mix: GaussianMixture, schedule: Schedule, grid: Array, options: dict[str, Any]) -> Array:
    """Error with its bounds, shape (3, time)."""
    square = np.exp(-schedule.log_snr(grid))
    within = mix.dimension * np.sum(
        mix.weights * mix.variances * (square[:, None] / (mix.variances + square[:, None])), axis=1
    )
    if len(mix.weights) == 1:
        return np.tile(within, (len(_BOUNDS), 1))
    # every component a label of its own
    single = GaussianMixture(mix.means, mix.variances, mix.weights, dimension=mix.dimension)
    rates = profiles(single, schedule, grid, "full", **options)
    # in nats per unit of signal-to-noise ratio, whose inverse is sigma squared
    nats = [rates[f"entropy_rate{name}"].squeeze().values / BITS_PER_NAT for name in _BOUNDS]
    return np.stack([within + 2 * square * rate for rate in nats])
