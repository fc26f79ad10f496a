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
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.special import entr

Array = NDArray[np.float64]
# some of the components: all of them are not copied
_Some = slice | NDArray[np.intp]

# a posterior of all others below this is rounding
_LEAST = 1e-14


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

    @cached_property
    def squares(self) -> Array:
        """Squared lengths of `delta`, shape (K,)."""
        return _dot(self.delta, self.delta)

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
    fixed = -0.5 * view.squares / spread
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
    square = _Squares.of(view, points, tau, covered)
    counts = np.count_nonzero(weight, axis=1)
    single = np.argmax(weight[counts == 1] > 0, axis=1)
    lone = slice(None) if single.size == covered.size else np.sort(single)
    # no product with a matrix of sides and components, which are as many sides as components for the full set
    entropy = _total(entr(part[..., lone]))
    spread = _dot(part[..., lone], square.each(lone)) - square.combined(part, slice(None))
    for row in weight[counts > 1]:
        mask = np.flatnonzero(row)
        side, value = _total(part[..., mask]), square.combined(part[..., mask], mask)
        entropy += entr(side)
        spread += np.divide(value, side, out=np.zeros_like(value), where=side > 0)
    return entropy, 0.5 * tau[:, None] * spread


def rest_statistics(
    view: View, points: Points, tau: Array, ratio: Array, prior: Array, single: NDArray[np.intp], chance: Array
) -> tuple[Array, Array]:
    r"""Like `statistics`, for many partitions of one component each against all the others, by sums that they share.

    With :math:`\bar D` the denoiser of the whole mixture and q the posterior of component k in it, that of the others
    is :math:`(\bar D - q D_k)/(1 - q)`, so :math:`|D_k - D_{rest}| = |D_k - \bar D|/(1 - q)`.

    Parameters
    ----------
    view, points : View and Points
        The driver and its states, which have its density, so that no other component outweighs it by much.
    tau : ndarray, shape (time,)
        Noise variances :math:`1/\mathrm{SNR}`.
    ratio : ndarray, shape (time, N, K)
        Exponential of `log_ratio`.
    prior : ndarray, shape (K,)
        Weights of the components, those of the others among themselves included.
    single : ndarray of int, shape (partitions,)
        The components.
    chance : ndarray, shape (partitions,)
        Probability of their sides.

    Returns
    -------
    entropy, production : ndarray, shape (time, N, partitions)
        In nats.
    """
    part = ratio * prior
    part /= _total(part)[..., None]
    square = _Squares.of(view, points, tau, np.arange(len(prior)))
    gap = square.gap(part)[..., single]
    own = part[..., single]
    others = np.maximum(1 - own, 0.0)
    # joint probability of the two sides; where there is nothing but the component, nothing is produced
    first, second = own * (chance / prior[single]), others * ((1 - chance) / (1 - prior[single]))
    total = first + second
    P, Q = first / total, second / total
    apart = np.divide(gap, others**2, out=np.zeros_like(gap), where=others > _LEAST)
    return entr(P) + entr(Q), 0.5 * tau[:, None, None] * P * Q * apart


@dataclass(frozen=True)
class _Squares:
    """Squared lengths of combinations of the denoisers ``delta_k / scale_k + along_k xi``, in the whole space.

    With time they are (time, K); `delta` is not divided for every time, which would be many numbers.
    """

    points: Points
    delta: Array
    squares: Array
    scale: Array
    along: Array
    dimension: int

    @classmethod
    def of(cls, view: View, points: Points, tau: Array, covered: NDArray[np.intp]) -> _Squares:
        """Those of the components in `covered`, an ascending list."""
        some: _Some = slice(None) if len(covered) == len(view.delta) else covered
        along = view.excess(tau)[:, some] / np.sqrt(tau + view.variances[view.own])[:, None]
        scale = view.spreads(tau)[:, some]
        return cls(points, view.delta[some], view.squares[some], scale, along, view.dimension)

    def each(self, mask: _Some) -> Array:
        """Squared length of each denoiser in the mask, shape (time, N, masked)."""
        scale, along = self.scale[:, None, mask], self.along[:, None, mask]
        value: Array = self.squares[mask] / scale**2
        if not along.any():
            return value
        inner = self.points.xi @ self.delta[mask].T / scale
        return np.asarray(value + 2 * along * inner + along**2 * self._length[..., None])

    def combined(self, part: Array, mask: _Some) -> Array:
        """Squared length of the denoisers in the mask summed with weights `part` (time, N, masked), shape (time, N)."""
        vector, along = self._sum(part, mask)
        return np.asarray(_dot(vector, vector) + along * (2 * _dot(vector, self.points.xi) + along * self._length))

    def gap(self, part: Array) -> Array:
        """Squared distance of each denoiser from their sum with weights `part` (time, N, K), of the same shape."""
        vector, along = self._sum(part, slice(None))
        scale, slope = self.scale[:, None], self.along[:, None]
        mixed = vector @ self.delta.T / scale
        if self.along.any():
            inner = self.points.xi @ self.delta.T / scale
            mean = along[..., None]
            mixed += mean * inner + slope * (_dot(vector, self.points.xi)[..., None] + mean * self._length[..., None])
        whole = self.combined(part, slice(None))[..., None]
        return np.maximum(self.each(slice(None)) - 2 * mixed + whole, 0.0)

    def _sum(self, part: Array, mask: _Some) -> tuple[Array, Array]:
        """The two parts of a combination: in the span, shape (time, N, r), and along the state, shape (time, N)."""
        vector = (part / self.scale[:, None, mask]) @ self.delta[mask]
        return vector, _dot(part, self.along[:, None, mask])

    @property
    def _length(self) -> Array:
        return self.points.surplus + self.dimension


def _dot(left: Array, right: Array) -> Array:
    """Inner product over the last axis; several times faster than a product and a sum when that axis is short."""
    return np.asarray(np.einsum("...k,...k->...", left, right))


def _total(values: Array) -> Array:
    return np.asarray(values @ np.ones(values.shape[-1]))
