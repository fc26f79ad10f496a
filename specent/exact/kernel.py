r"""Array kernel of the exact profiles: posterior entropy and its production, seen from one component.

In the coordinates :math:`y = x/\alpha = x_0 + \sqrt\tau\varepsilon`, :math:`\tau = 1/\mathrm{SNR}`, component k is
:math:`N(m_k, s_k I)` with :math:`s_k = v_k + \tau`. A state of component j is :math:`y = m_j + \sqrt{s_j}\,\xi`, and
everything follows from the projections of :math:`\xi` on :math:`\delta_k = m_k - m_j` and from :math:`|\xi|^2`:

.. math::  \ln\frac{p_k(y)}{p_j(y)} = -\frac d2\Big(\ln\frac{s_k}{s_j} - e_k\Big) - \frac{|\delta_k|^2}{2 s_k}
           + \frac{\sqrt{s_j}}{s_k}\,\xi\cdot\delta_k + \frac{e_k}{2}\,(|\xi|^2 - d),
           \qquad e_k = \frac{v_k - v_j}{s_k}

.. math::  \frac{D_k(y) - D_j(y)}{\tau} = \frac{\delta_k}{s_k} + \frac{e_k}{\sqrt{s_j}}\,\xi .

The dimension enters as a number only. In this form no two large numbers cancel, at any dimension. The rate is half the
posterior variance of the denoisers, :math:`-dH/d\gamma = \frac12 E|D_z - \bar D|^2` (arXiv 2302.03792).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import entr

Array = NDArray[np.float64]


@dataclass(frozen=True)
class View:
    """The mixture as seen from its component `own`, in an orthonormal basis of the span of the means.

    Parameters
    ----------
    delta : ndarray, shape (K, r)
        Means of the components relative to that of `own`.
    variances : ndarray, shape (K,)
        Variances of the components.
    own : int
        The component the states are drawn from.
    dimension : int
        Ambient dimension d.
    """

    delta: Array
    variances: Array
    own: int
    dimension: int

    def spreads(self, tau: Array) -> Array:
        """Variances of the noisy components, shape (time, K)."""
        return np.asarray(self.variances + tau[:, None])

    def excess(self, tau: Array) -> Array:
        """The symbol e_k of the module, shape (time, K); zero for components of the driver's variance."""
        return np.asarray((self.variances - self.variances[self.own]) / self.spreads(tau))


@dataclass(frozen=True)
class Points:
    r"""Standardised states :math:`\xi` of one component: random draws, or nodes of a quadrature.

    Parameters
    ----------
    xi : ndarray, shape (time or 1, N, r)
        Components in the span of the means.
    surplus : ndarray, shape (time or 1, N)
        Squared length in the whole space less its mean, :math:`|\xi|^2 - d`.
    """

    xi: Array
    surplus: Array


def log_ratio(view: View, points: Points, tau: Array) -> Array:
    """Log-density of every component relative to the driver's, nats, shape (time, N, K)."""
    spread = view.spreads(tau)
    own = spread[:, [view.own]]
    tilt = view.excess(tau)
    fixed = -0.5 * np.sum(view.delta**2, axis=1) / spread
    slope = np.sqrt(own) / spread
    value: Array = fixed[:, None] + slope[:, None] * (points.xi @ view.delta.T)
    if tilt.any():
        growth = (view.variances - view.variances[view.own]) / own
        # 1 + growth rounds to 0 where a component is narrower by more than double precision holds
        logarithm = np.where(growth > -0.9, np.log1p(np.maximum(growth, -0.9)), np.log(spread / own))
        volume = logarithm - tilt
        value += -0.5 * view.dimension * volume[:, None] + 0.5 * tilt[:, None] * points.surplus[..., None]
    return value


def statistics(view: View, points: Points, tau: Array, ratio: Array, weights: Array) -> tuple[Array, Array]:
    r"""Entropy of the posterior of the sides, and its production per unit log-SNR, at every state.

    Parameters
    ----------
    view, points : View and Points
        The driver and its states.
    tau : ndarray, shape (time,)
        Noise variances :math:`1/\mathrm{SNR}`.
    ratio : ndarray, shape (time, N, K)
        Exponential of `log_ratio`.
    weights : ndarray, shape (sides, K)
        Joint probability of side and component; positive for the driver.

    Returns
    -------
    entropy, production : ndarray, shape (time, N)
        In nats.
    """
    covered = np.flatnonzero(weights.any(axis=0))
    weight = weights[:, covered]
    part = (ratio if covered.size == ratio.shape[-1] else ratio[..., covered]) * weight.sum(axis=0)
    # the driver is covered and has ratio 1, so the sum cannot vanish
    part /= _total(part)[..., None]
    member = (weight > 0).astype(np.float64)
    side = part @ member.T
    spread = _side_squares(view, points, tau, part, side, covered, member)
    return _total(entr(side)), 0.5 * tau[:, None] * spread


def _side_squares(
    view: View, points: Points, tau: Array, part: Array, side: Array, covered: NDArray[np.intp], member: Array
) -> Array:
    """Sum over the sides of P_z |D_z - D|^2 / tau^2, shape (time, N), from the posterior `part` of the components."""
    scale = view.spreads(tau)[:, covered]
    vector = view.delta[covered] / scale[..., None]
    along = view.excess(tau)[:, covered] / np.sqrt(tau + view.variances[view.own])[:, None]
    square = _Squares(points, vector, along, view.dimension)
    lone = (member.sum(axis=1) == 1) @ member > 0
    total = _dot(part[..., lone], square.each(lone)) - square.combined(part, np.ones_like(lone))
    for z in np.flatnonzero(member.sum(axis=1) > 1):
        mask = member[z] > 0
        value = square.combined(part[..., mask], mask)
        total += np.divide(value, side[..., z], out=np.zeros_like(value), where=side[..., z] > 0)
    return np.asarray(total)


@dataclass(frozen=True)
class _Squares:
    """Squared lengths of combinations of the denoisers ``vector_k + along_k xi``, in the whole space."""

    points: Points
    vector: Array
    along: Array
    dimension: int

    def each(self, mask: NDArray[np.bool_]) -> Array:
        """Squared length of each denoiser in the mask, shape (time, N, masked)."""
        vector, along = self.vector[:, mask], self.along[:, None, mask]
        value: Array = _dot(vector, vector)[:, None]
        if not along.any():
            return value
        inner = self.points.xi @ np.swapaxes(vector, -1, -2)
        return np.asarray(value + 2 * along * inner + along**2 * self._length[..., None])

    def combined(self, part: Array, mask: NDArray[np.bool_]) -> Array:
        """Squared length of the denoisers in the mask summed with weights `part` (time, N, masked), shape (time, N)."""
        vector = part @ self.vector[:, mask]
        value = _dot(vector, vector)
        if self.along.any():
            along = _dot(part, self.along[:, None, mask])
            value += 2 * along * _dot(vector, self.points.xi) + along**2 * self._length
        return np.asarray(value)

    @property
    def _length(self) -> Array:
        return self.points.surplus + self.dimension


def _dot(left: Array, right: Array) -> Array:
    """Inner product over the last axis; several times faster than a product and a sum when that axis is short."""
    return np.asarray(np.einsum("...k,...k->...", left, right))


def _total(values: Array) -> Array:
    return np.asarray(values @ np.ones(values.shape[-1]))
