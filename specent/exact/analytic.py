r"""Analytic side: the two-component entropy and the predictions of the speciation time.

For two equally likely components at :math:`\pm m` of variance :math:`s_0^2` everything is a function of
:math:`K = \alpha|m|/\sqrt{\sigma^2 + \alpha^2 s_0^2}`. The entropy is :math:`F(K) = E\ln(1 + e^{-2K^2 - 2K\xi})` with a
standard normal :math:`\xi`. The speciation time is predicted from the dimension (arXiv 2602.09651), from the largest
eigenvalue of the data covariance (arXiv 2402.18491), and from the fixed points of the drift (arXiv 2305.19693).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import entr, expit

from specent import arguments
from specent.arguments import brief
from specent.errors import SpecentError

Array = NDArray[np.float64]

# Gauss-Legendre over panels of a quarter of a standard deviation: the integrands step over 1/(2K) around -K, which for
# K > 8 lies where the normal density is below 1e-14
_PANEL, _PANEL_WEIGHT = np.polynomial.legendre.leggauss(12)
_STARTS = np.arange(-10.5, 10.5, 0.25)
_XI = (_STARTS[:, None] + 0.125 * (1 + _PANEL)).ravel()
_DENSITY = np.tile(0.125 * _PANEL_WEIGHT, len(_STARTS)) * np.exp(-0.5 * _XI**2) / np.sqrt(2 * np.pi)
_ROWS = 1024
# far beyond, the entropy is 0 in double precision and the square of K overflows
_LARGEST_RATIO = 1e6
# squares of larger numbers may overflow
_LARGEST = 1e100


def two_component_entropy(K: ArrayLike) -> Array:
    """Conditional entropy of two equally likely components, in bit, to 1e-10 (arXiv 2602.09651).

    Parameters
    ----------
    K : array_like
        ``alpha |m| / sqrt(sigma**2 + alpha**2 variance)``, not negative; any shape.

    Returns
    -------
    ndarray
        Same shape, from 1 at K = 0 to 0.

    Raises
    ------
    SpecentError
        If a value is negative or not finite.

    Examples
    --------
    >>> two_component_entropy([0.5, 1.0, 2.0]).round(6).tolist()
    [0.839253, 0.514056, 0.087178]
    """
    ratio = _checked_ratio(K)
    return np.asarray(_average(ratio, lambda k: np.logaddexp(0.0, -2 * k * (k + _XI))) / np.log(2))


def two_component_entropy_slope(K: ArrayLike) -> Array:
    """Derivative of `two_component_entropy` with respect to K, in bit, not positive.

    Twice the entropy's derivative with respect to ``K**2`` is minus the mean squared error of the sign of the component
    (arXiv math/0412108), which is what is integrated.

    Parameters
    ----------
    K : array_like
        As for `two_component_entropy`.

    Returns
    -------
    ndarray
        Same shape.

    Raises
    ------
    SpecentError
        If a value is negative or not finite.

    Examples
    --------
    >>> (-1.228141 * two_component_entropy_slope(1.228141)).round(6).item()
    0.691795
    """
    ratio = _checked_ratio(K)
    return np.asarray(-2 * ratio * _average(ratio, lambda k: expit(-2 * k * (k + _XI))) / np.log(2))


def two_component_entropy_inverse(entropy: ArrayLike) -> Array:
    """The K at which the two-component entropy has the given values.

    Parameters
    ----------
    entropy : array_like
        Bit, strictly between 0.000001 and 1; any shape.

    Returns
    -------
    ndarray
        Same shape.

    Raises
    ------
    SpecentError
        If a value is out of range.

    Examples
    --------
    >>> two_component_entropy_inverse([0.4, 0.5, 0.6]).round(6).tolist()
    [1.184471, 1.02177, 0.870218]
    """
    values = arguments.array(entropy, "entropy")
    if not ((values > 1e-6) & (values < 1)).all():
        raise SpecentError(f"entropy={brief(entropy)} must lie strictly between 0.000001 and 1 bit")
    from scipy.optimize import brentq  # takes longer to import than all of this package

    roots = [
        brentq(lambda k, level=level: float(two_component_entropy(k)) - level, 0.0, 8.0, xtol=1e-13)
        for level in values.ravel()
    ]
    return np.array(roots).reshape(values.shape)


def null_floor(mass: ArrayLike, prior: ArrayLike = 0.5, null_prior: ArrayLike | None = None) -> Array:
    r"""Entropy that is left at the clean end when a class is compared with the null condition, in bit.

    The null condition is the mixture of all classes, the class itself among them. A sample of the class is one of the
    null condition with probability :math:`\pi`, its mass there, so with the prior 1/2 for each

    .. math:: \tfrac12 (1 + \pi)\, h_2\!\left(\frac{\pi}{1 + \pi}\right)

    is left, where :math:`h_2` is the binary entropy, even if the classes are far apart.

    Parameters
    ----------
    mass : array_like
        Prior probability of the class in the model, 1/K for one of K equally likely classes; any shape.
    prior : array_like
        Prior probability of the class against the null condition.
    null_prior : array_like, optional
        That of the null condition, one minus `prior` if not given. With several classes, on sides of their own, the
        floor is the sum over them.

    Returns
    -------
    ndarray
        Same shape.

    Raises
    ------
    SpecentError
        If a number is no probability.

    Examples
    --------
    >>> null_floor([1 / 10, 1 / 1000]).round(4).tolist()
    [0.2417, 0.0057]
    """
    share, own = _probability("mass", mass), _probability("prior", prior)
    other = 1 - own if null_prior is None else _probability("null_prior", null_prior)
    inside = other * share
    total = own + inside
    return np.asarray((entr(own) + entr(inside) - entr(total)) / np.log(2))


def cloning_probability(K: ArrayLike) -> Array:
    """Probability that two continuations of one noisy state end in the same of two equally likely components.

    Parameters
    ----------
    K : array_like
        As for `two_component_entropy`.

    Returns
    -------
    ndarray
        ``E sum_z P(z|x)**2``, from 1/2 at K = 0 to 1; same shape (arXiv 2402.18491).

    Raises
    ------
    SpecentError
        If a value is negative or not finite.

    Examples
    --------
    >>> cloning_probability(1.0).round(4).item()
    0.7752
    """
    ratio = _checked_ratio(K)
    # the mean of P over states of its own component equals the mean of the sum of squares
    return 1 - _average(ratio, lambda k: expit(-2 * k * (k + _XI)))


def speciation_time(dimension: ArrayLike) -> Array:
    """Speciation time ``ln(d) / 2`` of two components with ``|m|**2 = d`` under `specent.schedules.VP`.

    There the entropy is 0.514056 bit in every dimension (arXiv 2602.09651, 2402.18491).

    Parameters
    ----------
    dimension : array_like
        Ambient dimension d, positive; any shape.

    Returns
    -------
    ndarray
        Time; same shape.

    Raises
    ------
    SpecentError
        If a value is not positive and finite.

    Examples
    --------
    >>> speciation_time(np.exp(4)).item()
    2.0
    """
    return 0.5 * np.log(_positive("dimension", dimension))


def speciation_sigma(dimension: ArrayLike) -> Array:
    """Speciation noise level ``sqrt(d)`` of two components with ``|m|**2 = d`` under `specent.schedules.VE`.

    The large-dimension form of the noise level at `speciation_time` (arXiv 2602.09651).

    Parameters
    ----------
    dimension : array_like
        Ambient dimension d, positive; any shape.

    Returns
    -------
    ndarray
        Noise level sigma; same shape.

    Raises
    ------
    SpecentError
        If a value is not positive and finite.

    Examples
    --------
    >>> speciation_sigma([16, 256]).tolist()
    [4.0, 16.0]
    """
    return np.sqrt(_positive("dimension", dimension))


def spectral_time(*, covariance: ArrayLike | None = None, data: ArrayLike | None = None) -> float:
    """Spectral prediction ``ln(L) / 2`` of the speciation time under VP (arXiv 2402.18491).

    L is the largest eigenvalue of the data covariance. Below 1 it gives a negative time: no speciation is predicted.

    Parameters
    ----------
    covariance : array_like, shape (features, features), optional
        Covariance of the data.
    data : array_like, shape (n, ...), optional
        The data themselves, in place of the covariance; trailing axes are flattened.

    Returns
    -------
    float

    Raises
    ------
    SpecentError
        If not exactly one of the two is given, it is not finite, has no variance, or is no covariance.

    Examples
    --------
    >>> spectral_time(covariance=np.diag([1.0, np.exp(3.0)]))
    1.5
    """
    return 0.5 * float(np.log(_largest_variance(covariance, data)))


def spectral_sigma(*, covariance: ArrayLike | None = None, data: ArrayLike | None = None) -> float:
    """Spectral prediction ``sqrt(L)`` of the noise level of speciation; see `spectral_time`.

    Raises
    ------
    SpecentError
        As `spectral_time`.

    Examples
    --------
    >>> round(spectral_sigma(data=[[3.0, 0.0], [-3.0, 0.0]]), 4)
    4.2426
    """
    return float(np.sqrt(_largest_variance(covariance, data)))


def symmetry_breaking_time(mean: float = 1.0, variance: float = 0.0) -> float:
    r"""Time at which the drift's fixed point splits in one dimension, under `specent.schedules.VP` (arXiv 2305.19693).

    For two equally likely components at +-m of variance :math:`s_0^2` the reverse drift at the origin has slope
    :math:`1 - 2/S + 2\alpha^2 m^2/S^2` with :math:`S = 1 - \alpha^2(1 - s_0^2)`. It vanishes at
    :math:`1/\alpha^2 = m^2 + \sqrt{m^4 + (1 - s_0^2)^2}`.

    Parameters
    ----------
    mean : float
        Distance m of the components from the origin, positive.
    variance : float
        Their variance, not negative; 0 for two points.

    Returns
    -------
    float

    Raises
    ------
    SpecentError
        If an argument is out of range, or the components are too close or too wide to split at a positive time.

    Examples
    --------
    >>> round(symmetry_breaking_time(), 4)
    0.4407
    """
    mean = arguments.number(mean, "mean", above=0, most=_LARGEST)
    variance = arguments.number(variance, "variance", least=0, most=_LARGEST)
    inverse = mean**2 + float(np.hypot(mean**2, 1 - variance))
    if inverse <= 1:
        raise SpecentError(
            f"mean={mean!r}, variance={variance!r}: the drift keeps one fixed point at all times; move the components "
            "apart or make them narrower"
        )
    return 0.5 * float(np.log(inverse))


def _average(ratio: Array, function: Callable[[Array], Array]) -> Array:
    """Mean of ``function(K[:, None])`` over the standard normal, in blocks of bounded memory."""
    flat = np.minimum(ratio, _LARGEST_RATIO).reshape(-1, 1)
    blocks = [function(flat[low : low + _ROWS]) @ _DENSITY for low in range(0, len(flat), _ROWS)]
    return np.concatenate(blocks or [np.zeros(0)]).reshape(ratio.shape)


def _probability(name: str, value: ArrayLike) -> Array:
    values = arguments.array(value, name)
    if not ((values >= 0) & (values <= 1)).all():
        raise SpecentError(f"{name}={brief(value)} must be probabilities, from 0 to 1")
    return values


def _checked_ratio(K: ArrayLike) -> Array:
    values = arguments.array(K, "K")
    if not (np.isfinite(values) & (values >= 0)).all():
        raise SpecentError(f"K={brief(K)} must be finite and not negative")
    return values


def _positive(name: str, value: ArrayLike) -> Array:
    values = arguments.array(value, name)
    if not (np.isfinite(values) & (values > 0)).all():
        raise SpecentError(f"{name}={brief(value)} must be positive and finite")
    return values


def _largest_variance(covariance: ArrayLike | None, data: ArrayLike | None) -> float:
    if (covariance is None) == (data is None):
        raise SpecentError("give either covariance= or data=, not both and not neither")
    if data is not None:
        rows = _finite("data", data)
        if rows.ndim < 2 or len(rows) < 2 or not rows.size:
            raise SpecentError(f"data has shape {rows.shape}; at least 2 rows of features are needed")
        flat = rows.reshape(len(rows), -1)
        # the largest singular value of the centred data: the covariance itself may be far larger than the data
        value = float(np.linalg.norm(flat - flat.mean(axis=0), ord=2) ** 2 / (len(flat) - 1))
    else:
        matrix = _finite("covariance", covariance)
        if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or not matrix.size:
            raise SpecentError(f"covariance has shape {matrix.shape}; it must be a symmetric square matrix")
        if not np.allclose(matrix, matrix.T):
            raise SpecentError("covariance is not symmetric; give numpy.cov(data, rowvar=False), or data= itself")
        lowest, value = (float(end) for end in np.linalg.eigvalsh(matrix)[[0, -1]])
        # a covariance of few samples, or in single precision, has eigenvalues that are 0 up to rounding
        if lowest < -1e-6 * max(abs(value), -lowest):
            raise SpecentError(
                f"covariance has the eigenvalue {lowest:g}, but no covariance has a negative one; give "
                "numpy.cov(data, rowvar=False), or data= itself"
            )
    if value <= 0:
        raise SpecentError(f"{'data' if covariance is None else 'covariance'} has no variance; nothing can speciate")
    return value


def _finite(name: str, value: ArrayLike | None) -> Array:
    values = arguments.array(value, name)
    if not np.isfinite(values).all():
        raise SpecentError(f"{name} holds NaN or infinity; drop or repair those entries")
    if values.size and np.abs(values).max() > _LARGEST:
        raise SpecentError(f"{name} holds {np.abs(values).max():g}, whose square overflows; divide by a common scale")
    return values
