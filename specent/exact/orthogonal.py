r"""Many equally likely classes at right angles: entropy and returns of any number of them, by a single integral.

Classes whose means lie at distance r from their centre, at right angles to each other, with the variance :math:`s_0^2`,
depend on the noise through :math:`\kappa = r/\sqrt{s_0^2 + \sigma^2/\alpha^2}` alone. Given the class, its logit is
:math:`\kappa^2 + \kappa z` and those of the K - 1 others :math:`\kappa z`, with independent standard normal z, and
:math:`\phi = E\,P(\text{own class}|x)`. With :math:`L(s) = E\exp(-e^{s + \kappa z})` and 1 / x as the integral of
:math:`e^{-xt}`,

.. math:: \phi = -\int L(s)^{K-1}\, \frac{d}{ds} L(s + \kappa^2)\, ds .

The posterior variance of the denoisers is :math:`r^2(1 - \phi)`, so that the entropy falls with
:math:`dH/d(\kappa^2) = -(1-\phi)/2` nats (arXiv math/0412108): what returns and what is known are one function. Half of
the entropy is gone at :math:`\kappa\to\sqrt{\ln K}`, half of the returns are certain only at :math:`\sqrt{2\ln K}`.
"""

from __future__ import annotations

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from specent import arguments
from specent.arguments import brief
from specent.axes import check_axis, rate_factor
from specent.errors import SpecentError
from specent.evidence import BITS_PER_NAT
from specent.exact.profile import curve_in_bits, exact_dataset
from specent.partitions import Partition
from specent.schedules import Schedule, check_grid

Array = NDArray[np.float64]

# one of K - 1 others is likelier than the own class with less than K exp(-kappa^2 / 4), here 1e-15
_SPARE = 140.0
_MOST = 10**30
# normal tails beyond this many standard deviations are below 1e-16
_TAIL = 8.3
# between these, ln t of an exponentially distributed t has all but 1e-12 of its probability
_LOG_TIMES = -28.0, 3.4
# trapezoid rules of functions that are analytic up to i pi / 2 from the axis: their error is exp(-pi^2 / spacing)
_SPACING = 0.36
# of splines of the returns along kappa
_KNOTS = 1 / 16


def orthogonal_phi(classes: int, ratio: ArrayLike) -> Array:
    r"""Probability phi to return to one of many classes at right angles, to 1e-9.

    Parameters
    ----------
    classes : int
        Number of classes K, from 2 to 1e30.
    ratio : array_like
        ``kappa = r / sqrt(variance + (sigma / alpha) ** 2)``, not negative, with r the distance of the means from
        their centre at the origin; any shape. Two classes are ``r sqrt(2)`` apart, which is 2 K of
        `specent.exact.cloning_probability`.

    Returns
    -------
    ndarray
        Same shape, from 1 / K to 1.

    Raises
    ------
    SpecentError
        If an argument is out of range.

    Examples
    --------
    >>> orthogonal_phi(2, [0.0, 2**0.5]).round(6).tolist()
    [0.5, 0.7752]
    """
    count, kappa = _checked(classes, ratio)
    values = np.array([1 - _lost(count, float(one)) for one in kappa.ravel()])
    # an integral to 1e-9 is of no use below 1 / K
    return np.asarray(np.clip(values, 1 / float(count), 1.0).reshape(kappa.shape))


def orthogonal_entropy(classes: int, ratio: ArrayLike) -> Array:
    """Conditional entropy of many classes at right angles, in bit, to 1e-7.

    Parameters
    ----------
    classes, ratio : int and array_like
        As `orthogonal_phi` takes them.

    Returns
    -------
    ndarray
        Same shape as `ratio`, from log2 K to 0.

    Raises
    ------
    SpecentError
        If an argument is out of range.

    Examples
    --------
    >>> orthogonal_entropy(2, [0.0, 2**0.5]).round(6).tolist()
    [1.0, 0.514056]
    """
    count, kappa = _checked(classes, ratio)
    return _entropy_and_lost(count, kappa)[0] * BITS_PER_NAT


def orthogonal_profiles(
    classes: int,
    schedule: Schedule,
    time: ArrayLike,
    *,
    radius: float = 1.0,
    variance: float = 0.0,
    rate_axis: str = "log_snr",
) -> xr.Dataset:
    """Profile of the full set of many classes at right angles.

    Parameters
    ----------
    classes : int
        Number of classes K, from 2 to 100 000.
    schedule : Schedule
        The noise schedule.
    time : array_like, shape (time,)
        Ascending times in the schedule's range.
    radius : float
        Distance of the means from the origin, positive.
    variance : float
        Variance of each class in every direction, not negative.
    rate_axis : {"log_snr", "log_sigma", "sigma", "time"}
        Axis of the entropy rate; "sigma" is the noise level ``sigma / alpha``, not the coordinate ``sigma``.

    Returns
    -------
    Dataset
        Kind ``profiles`` of the partition ``full``, its sides named 0, 1, ..., estimator ``"exact"``.

    Raises
    ------
    SpecentError
        If an argument is out of range, or the grid does not fit the schedule.

    Examples
    --------
    >>> from specent.schedules import VE
    >>> curves = orthogonal_profiles(1000, VE(), [0.2, 0.35, 0.6, 20.0])
    >>> curves.entropy.squeeze().round(3).values.tolist()
    [0.257, 4.449, 7.972, 9.964]
    """
    count = arguments.whole(classes, "classes", least=2, most=100_000)
    radius = arguments.number(radius, "radius", above=0, most=1e30)
    variance = arguments.number(variance, "variance", least=0, most=1e30)
    check_axis(rate_axis, "rate_axis")
    grid = check_grid(schedule, time)
    log_snr = schedule.log_snr(grid)
    tau = np.exp(-log_snr)
    kappa = radius / np.sqrt(variance + tau)
    entropy, lost = _entropy_and_lost(count, kappa)
    # d(kappa^2) / d(log-SNR) = kappa^2 tau / (s0^2 + tau)
    rate = 0.5 * lost * kappa**2 * tau / (variance + tau) * rate_factor(rate_axis, log_snr, schedule)
    settings = {
        "function": "specent.exact.orthogonal_profiles",
        "model": {"name": "orthogonal_classes", "classes": count, "radius": radius, "variance": variance},
    }
    return exact_dataset(
        curve_in_bits(entropy[None]), curve_in_bits(rate[None]), [float(np.log(count))],
        [Partition.full([str(i) for i in range(count)])], schedule, grid, rate_axis, settings,
        f"Exact profile of {count} classes at right angles",
    )  # fmt: skip


def _checked(classes: int, ratio: ArrayLike) -> tuple[int, Array]:
    count = arguments.whole(classes, "classes", least=2, most=_MOST)
    kappa = arguments.array(ratio, "ratio")
    if not ((kappa >= 0) & (kappa < np.inf)).all():
        raise SpecentError(f"ratio={brief(ratio)} must hold numbers that are not negative")
    return count, kappa


def _largest(count: int) -> float:
    """A ratio beyond which every state tells its class."""
    return float(np.sqrt(4 * np.log(float(count)) + _SPARE))


def _lost(count: int, kappa: float) -> float:
    """1 - phi."""
    if kappa == 0:
        return 1 - 1 / float(count)
    if kappa > _largest(count):
        return 0.0
    # the tail of any of the others counts
    tail = np.sqrt(_TAIL**2 + 2 * np.log(float(count)))
    s = np.arange(_LOG_TIMES[0] - kappa**2 - tail * kappa, _LOG_TIMES[1] - kappa**2 + tail * kappa, _SPACING)
    spacing = min(0.25, _SPACING / kappa)
    normal = np.arange(-tail, tail + spacing, spacing)
    weight = np.exp(-0.5 * normal**2) * spacing / np.sqrt(2 * np.pi)
    exponents = s[:, None] + kappa * normal
    # L(s), less 1, which it is for nearly all s of interest
    less = np.expm1(-np.exp(np.minimum(exponents, 700.0))) @ weight
    log_laplace = np.log1p(np.maximum(less, -1 + 1e-15))
    exponents += kappa**2
    density = np.exp(exponents - np.exp(np.minimum(exponents, 700.0))) @ weight
    return float(-np.expm1(float(count - 1) * log_laplace) @ density * _SPACING)


def _entropy_and_lost(count: int, kappa: Array) -> tuple[Array, Array]:
    """Entropy in nats and 1 - phi, any number of ratios from one spline."""
    from scipy.interpolate import CubicSpline  # takes longer to import than all of this package

    top = _largest(count)
    knots = np.linspace(0.0, top, 1 + int(np.ceil(top / _KNOTS)))
    lost = np.array([_lost(count, float(one)) for one in knots])
    # the integral from the clean end on: there is no difference of large numbers where little is left
    left = CubicSpline(knots, knots * lost).antiderivative()
    inside = np.minimum(kappa, top)
    entropy = np.maximum(left(top) - left(inside), 0.0)
    return entropy, np.maximum(CubicSpline(knots, lost)(inside), 0.0)
