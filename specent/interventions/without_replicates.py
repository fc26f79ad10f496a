r"""Standard errors of kernels with many sides, and of their eigenvalues, in closed form.

A row of a kernel is a mean over independent trajectories, of which the mean squares are known. To first order an
eigenvalue moves with the kernel by :math:`v^\top \delta S\,v`, where S is the symmetric form of the kernel and v the
eigenvector: for every origin a sum :math:`\sum_w a_w\,\delta M_w` over the ends. Ends that are certain are multinomial,
and it has the variance

.. math:: c\,\Bigl[\sum_w a_w^2 M_w - \bigl(\sum_w a_w M_w\bigr)^2\Bigr]

with c = 1/n. Ends that are not quite certain, and extrapolation, change c: it is taken from the variances of the row.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from specent.exact.cloning import symmetric_form
from specent.interventions.carrying_out import TurnSums, extrapolated
from specent.interventions.plan import Turning

Array = NDArray[np.float64]


def kernel_variances(turning: Turning, sums: TurnSums) -> Array:
    """Sampling variance of the kernels between the sides, shape (movers, turns, sides, sides)."""
    within = turning.weights / turning.weights.sum(axis=1, keepdims=True)
    means = extrapolated(sums.ends[:, :, :, 0], turning.steps)
    if turning.confusion is not None:
        means = turning.confusion.freed(means)
    # of the mean over the trajectories of each label
    variance = np.clip(sums.spread - means**2, 0.0, None) / (turning.setup.samples - 1)
    return np.asarray(np.einsum("zl,mtlw->mtzw", within**2, variance, optimize=True))


def eigenvalue_errors(kernel: Array, variance: Array, prior: Array) -> tuple[Array, Array]:
    """Eigenvalues of a measured kernel, the largest first, and their standard errors to first order.

    Parameters
    ----------
    kernel, variance : ndarray, shape (sides, sides)
        The kernel, and the sampling variance of each of its numbers.
    prior : ndarray, shape (sides,)
        Of the sides.

    Returns
    -------
    values, errors : ndarray, shape (sides,)

    Examples
    --------
    >>> kernel = np.array([[0.8, 0.2], [0.2, 0.8]])
    >>> values, errors = eigenvalue_errors(kernel, kernel * (1 - kernel) / 100, np.array([0.5, 0.5]))
    >>> values.round(6).tolist(), bool(np.allclose(errors, [0, 2 * (0.16 / 200) ** 0.5]))
    ([1.0, 0.6], True)
    """
    values, vectors = np.linalg.eigh(symmetric_form(kernel, prior))
    ends = np.clip(kernel, 0.0, None)
    certain = (ends * (1 - ends)).sum(axis=1)
    share = np.divide(variance.sum(axis=1), certain, out=np.zeros_like(certain), where=certain > 0)
    functions = vectors / np.sqrt(prior)[:, None]
    spread = np.clip(ends @ functions**2 - (ends @ functions) ** 2, 0.0, None)
    errors = np.sqrt((share * prior) @ (vectors**2 * spread))
    return values[::-1], errors[::-1]
