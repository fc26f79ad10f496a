r"""Collapse: the noise level at which it is decided *which datum* of a finite data set a trajectory ends at.

The exact denoiser of n data memorises them, and which of them is the finest partition that the set has (arXiv
2402.18491 calls its speciation the collapse, or condensation). Before it the noisy data look like those of the
distribution that they were drawn from. If that is Gaussian with variances :math:`\lambda_i` along its axes, the state
then knows :math:`\tfrac12\sum_i\ln(1+\lambda_i/\sigma^2)` nats of its datum, and no more than :math:`\ln n` are to be
known. Where this is half of :math:`\ln n`, about half the entropy of the datum is left; where it is all of it, a single
datum outweighs the others together.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from specent import arguments
from specent.arguments import brief
from specent.errors import SpecentError

Array = NDArray[np.float64]


def collapse_sigma(count: int, *, variances: ArrayLike | None = None, data: ArrayLike | None = None,
                   share: float = 0.5) -> float:  # fmt: skip
    r"""Predicted noise level at which a part of the entropy of "which datum" is gone.

    Parameters
    ----------
    count : int
        How many data there are, at least 2.
    variances : array_like, shape (features,), optional
        Variances of the data along their principal axes.
    data : array_like, shape (n, \*shape), optional
        Data to take the variances from, instead.
    share : float
        The part that is gone, above 0: 0.5 is the half-entropy noise level, 1 the condensation.

    Returns
    -------
    float
        The noise level sigma / alpha, in the units of the data.

    Raises
    ------
    SpecentError
        If an argument is out of range, not exactly one of `variances` and `data` is given, or nothing varies.

    References
    ----------
    arXiv 2402.18491 for condensation; half of it follows in the same way.

    Examples
    --------
    >>> [round(collapse_sigma(2000, variances=[1.0] * 64, share=share), 3) for share in (0.5, 1.0)]
    [2.816, 1.931]
    """
    from scipy.optimize import brentq  # takes longer to import than all of this package

    count = arguments.whole(count, "count", least=2)
    share = arguments.number(share, "share", above=0, most=1)
    spread = _variances(variances, data)
    wanted = share * np.log(count)
    largest = float(spread.max())

    def excess(log_level: float) -> float:
        return float(0.5 * np.log1p(spread / largest * np.exp(-2 * log_level)).sum() - wanted)

    # one variance alone makes it at the lower end, all of them as large as the largest at the upper one
    low = -0.5 * np.log(np.expm1(2 * wanted))
    high = -0.5 * np.log(np.expm1(2 * wanted / len(spread)))
    level = low if len(spread) == 1 else brentq(excess, low - 1e-9, high + 1e-9, xtol=1e-13)
    return float(np.sqrt(largest) * np.exp(level))


def _variances(variances: ArrayLike | None, data: ArrayLike | None) -> Array:
    """The variances that are above rounding."""
    if (variances is None) == (data is None):
        raise SpecentError("give either variances= along the principal axes, or data= to take them from")
    if variances is not None:
        spread = arguments.array(variances, "variances")
        if spread.ndim != 1 or not spread.size or not ((spread >= 0) & (spread <= 1e100)).all():
            raise SpecentError(f"variances={brief(variances)} must be numbers along one dimension, 0 to 1e100")
    else:
        rows = arguments.array(data, "data")
        if rows.ndim < 2 or len(rows) < 2:
            raise SpecentError(f"data has the shape {rows.shape}; give at least two of them, along the first dimension")
        flat = rows.reshape(len(rows), -1)
        if not (np.abs(flat) <= 1e50).all():
            raise SpecentError("data holds numbers that are not finite or beyond 1e50; rescale them")
        flat = flat - flat.mean(axis=0)
        # of fewer data than features the other way round has the same eigenvalues
        product = flat.T @ flat if flat.shape[1] <= len(flat) else flat @ flat.T
        spread = np.linalg.eigvalsh(product) / len(flat)
    held = spread[spread > 1e-13 * spread.max()]
    if not held.size:
        raise SpecentError(f"{'variances' if data is None else 'data'}: nothing varies, so no datum can be told apart")
    return np.asarray(held)
