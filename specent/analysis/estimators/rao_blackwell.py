r"""Conditional (Rao-Blackwell) estimator: how the entropy falls on average is worked out, what is left is sampled.

Between two sides of one candidate each, the log-odds L of an unguided path gain :math:`|D_0 - D_1|^2\,d\gamma` of
quadratic variation, with a drift that is half of it towards the side that drives. If that variation were the same for
all paths, L would be a Gaussian variable given the side, and the entropy at any time a number without an error. So let
:math:`x = \gamma|D_0 - D_1|^2` be the variation per unit of log-SNR, :math:`m` its mean over paths, :math:`V` the
integral of m over the log-SNR, and

.. math:: \Psi(L, w) = P\,E\,h(L + \tfrac w2 + \sqrt w\,\xi) + (1 - P)\,E\,h(L - \tfrac w2 + \sqrt w\,\xi)

the entropy that log-odds L are expected to leave after w more of variation; P is their posterior and h its entropy. By
Ito's lemma the entropy at time T is the mean over paths of

.. math:: \Psi(L_0, V_T) + \int^T \partial_w\Psi(L_s, V_T - V_s)\,(x_s - m_s)\,d\ln\gamma_s ,

whatever m is, as long as it does not know of the path: here it is the mean over the other half of the trajectories. The
first term is no random number, and the second is small: that is the Rao-Blackwell theorem at work (C. R. Rao, 1945; D.
Blackwell, *Ann. Math. Statist.* 18, 105, 1947). Integrals are taken by the trapezoidal rule on the grid, so the gain of
a whole step is never taken for that at its noisy end, which is what makes the entropy of the path posterior too small.

Everything follows from one Fourier integral: :math:`-\partial_w\Psi` is the mean of :math:`P(1 - P)/2` after w, and

.. math:: E\,\mathrm{sech}\frac{L + \sqrt w\,\xi}2
          = \int \mathrm{sech}(\pi\omega)\cos(\omega L)\,e^{-\omega^2 w/2}\,d\omega ,

so that

.. math:: \Psi(L, w) = \tfrac18\,\mathrm{sech}\frac L2\int
          \mathrm{sech}(\pi\omega)\cos(\omega L)\,\frac{e^{-\lambda w}}{\lambda}\,d\omega ,
          \qquad \lambda = \tfrac{\omega^2}2 + \tfrac18 \quad\text{nats.}

A sum over all earlier times is carried along, one number per frequency, so a path costs what it is long.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from specent.analysis.estimators.base import Estimator, Means
from specent.analysis.inputs import check_start
from specent.analysis.posterior import Further, PathEvidence, Statistic
from specent.analysis.scored import ScoredPartition, pair_columns
from specent.errors import SpecentError
from specent.evidence import BITS_PER_NAT

Array = NDArray[np.float64]

# the trapezoidal rule in the frequency repeats a curve with this period in the log-odds, and ends at this frequency:
# together they leave an error of 1e-7 bit
_PERIOD = 40.0
_HIGHEST = 6.0
_SPACING = 2 * np.pi / _PERIOD
_FREQUENCY = _SPACING * np.arange(int(_HIGHEST / _SPACING) + 1)
_DECAY = _FREQUENCY**2 / 2 + 1 / 8
# of every frequency and its negative, in bits
_WEIGHT = BITS_PER_NAT / 8 * _SPACING / np.cosh(np.pi * _FREQUENCY) * np.where(_FREQUENCY > 0, 2, 1)
# sums over frequencies for the entropy and for its rate
_SUMS = np.stack([_WEIGHT, _WEIGHT * _DECAY])
# states of trajectories, times frequencies, worked on together
_NUMBERS = 2**18


def expected_entropy(log_odds: ArrayLike, variation: ArrayLike) -> Array:
    """Entropy in bits that log-odds are expected to leave after a further quadratic variation of theirs.

    Parameters
    ----------
    log_odds, variation : array_like
        In nats; the variation is not negative.

    Examples
    --------
    >>> expected_entropy(0.0, [0.0, 4.0, 100.0]).round(6).tolist()
    [1.0, 0.514056, 1e-06]
    """
    wait = np.asarray(variation, dtype=np.float64)[..., None]
    modes = np.moveaxis(_modes(np.asarray(log_odds, dtype=np.float64)), 0, -1)
    return np.asarray((modes * _WEIGHT / _DECAY * np.exp(-_DECAY * wait)).sum(axis=-1))


def conditional_curves(
    log_odds: Array, variation: Array, mean: Array, log_snr: Array, prior: float
) -> tuple[Array, Array]:
    """Entropy and its rate as each trajectory has it, given the mean variation of others.

    Parameters
    ----------
    log_odds : ndarray, shape (..., times)
        Of the posterior, in nats; times from data to noise.
    variation : ndarray, shape (..., times)
        Quadratic variation of the log-odds per unit of log_snr.
    mean : ndarray, shape (times,)
        Its mean over trajectories that are not among these.
    log_snr : ndarray, shape (times,)
        Descending.
    prior : float
        The log-odds before anything is seen.

    Returns
    -------
    entropy, rate : ndarray, shape (..., times)
        In bits, and bits per unit of log_snr.
    """
    # times first, then all trajectories, whose states of a few times are worked on together
    odds, deviation = (np.moveaxis(array, -1, 0).reshape(len(log_snr), -1) for array in (log_odds, variation))
    deviation = deviation - mean[:, None]
    entropy, rate = np.empty(odds.shape), BITS_PER_NAT / 8 * _sech(odds) ** 2 * deviation
    # what the prior and what deviations from the mean contribute, by frequency
    expected = _modes(np.asarray(prior)) * _WEIGHT
    carried, last = np.zeros((2, len(_FREQUENCY), odds.shape[1]))
    step = max(1, _NUMBERS // max(1, last.size))
    for high in range(len(log_snr), 0, -step):
        low = max(0, high - step)
        modes = _modes(odds[low:high]) * deviation[low:high]
        for i in reversed(range(low, high)):
            if i < len(log_snr) - 1:
                half = 0.5 * (log_snr[i] - log_snr[i + 1])
                fading = np.exp(-_DECAY * half * (mean[i] + mean[i + 1]))
                expected = expected * fading
                carried = (carried + half * last) * fading[:, None] + half * modes[:, i - low]
            last = modes[:, i - low]
            left, falling = _SUMS @ carried
            entropy[i] = (expected / _DECAY).sum() - left
            rate[i] += mean[i] * (expected.sum() - falling)
    shape = log_odds.shape[-1:] + log_odds.shape[:-1]
    return np.moveaxis(entropy.reshape(shape), 0, -1), np.moveaxis(rate.reshape(shape), 0, -1)


def _sech(log_odds: Array) -> Array:
    """Hyperbolic secant of half the log-odds, without overflow."""
    size = np.exp(-0.5 * np.abs(log_odds))
    return np.asarray(2 * size / (1 + size**2))


def _modes(log_odds: Array) -> Array:
    """The cosine of every frequency times the log-odds, in proportion to the hyperbolic secant, frequencies first."""
    modes = np.empty((len(_FREQUENCY), *log_odds.shape))
    step = np.cos(_SPACING * log_odds)
    modes[0] = _sech(log_odds)
    modes[1] = modes[0] * step
    # frequencies are equally spaced, so the cosines follow from each other as Chebyshev's polynomials do
    for n in range(2, len(modes)):
        modes[n] = 2 * step * modes[n - 1] - modes[n - 2]
    return modes


def _further(path: PathEvidence) -> tuple[Further, Array]:
    """What is needed beside the evidence, and the quadratic variation of the log-odds per unit of log_snr."""
    further = path.further
    if further is None or further.distance is None:
        raise SpecentError("estimator 'rao_blackwell' needs denoiser_distance of two candidates")
    return further, np.exp(further.log_snr) * further.distance


def _of_half(half: int) -> Statistic:
    """The mean variation over one half of the trajectories."""

    def of(path: PathEvidence) -> Array:
        further, variation = _further(path)
        return np.asarray(variation * (further.half == half) / further.shares[half])

    return Statistic(f"variation_of_half_{half}", of, reads=("denoiser_distance",))


_HALVES = (_of_half(0), _of_half(1))
_NAMES = tuple(one.name for one in _HALVES)


def _both(path: PathEvidence) -> tuple[Array, Array]:
    """Entropy and rate as each trajectory has them, shape (drivers, samples, guidance, time)."""
    further, variation = _further(path)
    log_odds = path.log_side[..., 0] - path.log_side[..., 1]
    variation = np.broadcast_to(variation, log_odds.shape)
    chances = path.scored.weights.sum(axis=1)
    prior = float(np.log(chances[0] / chances[1]))
    entropy, rate = np.empty(log_odds.shape), np.empty(log_odds.shape)
    for half, name in enumerate(reversed(_NAMES)):
        own = np.flatnonzero(further.half.reshape(-1) == half)
        for g, mean in enumerate(further.means[name]):
            entropy[:, own, g], rate[:, own, g] = conditional_curves(
                log_odds[:, own, g], variation[:, own, g], mean, further.log_snr, prior
            )
    return entropy, rate


def _entropy(path: PathEvidence) -> Array:
    both: tuple[Array, Array] = path.once(_both)
    return both[0]


def _rate(path: PathEvidence) -> Array:
    both: tuple[Array, Array] = path.once(_both)
    return both[1]


def unsteadiness(mean: Array, log_snr: Array, prior: Array) -> tuple[Array, Array]:
    r"""What replicates of the mean variation change in the entropy and the rate.

    Only in the limit of small steps does no mean change anything. A chain of finite steps takes the gain of a whole
    step for that at its noisy end: its log-odds have had the variation U where the mean integrates to V, and to first
    order the entropy follows with :math:`\partial_w^2\Psi\,\sum c_k (V_k - U_k)\,\delta m_k`.

    Parameters
    ----------
    mean : ndarray, shape (..., times, 1 + replicates)
        The mean variation per unit of log_snr, the estimate first; times from data to noise.
    log_snr : ndarray, shape (times,)
        Descending.
    prior : ndarray, shape (...)
        Log-odds before anything is seen.

    Returns
    -------
    entropy, rate : ndarray, shape (..., times, 1 + replicates)
        To be added to the replicates; 0 for the estimate.
    """
    # from noise to data from here on, which is the order of the sums
    mean, width = np.flip(mean, axis=-2), np.diff(log_snr[::-1])
    estimate = mean[..., 0]
    weight = 0.5 * (np.append(0.0, width) + np.append(width, 0.0))
    area = np.cumsum(0.5 * width * (estimate[..., 1:] + estimate[..., :-1]), axis=-1)
    ahead = np.zeros(estimate.shape)
    ahead[..., 1:] = np.cumsum(np.expm1(width) * estimate[..., :-1], axis=-1) - area
    total = np.zeros(estimate.shape)
    total[..., 1:] = area
    change = mean - mean[..., :1]
    moved = np.cumsum(-(weight * ahead)[..., None] * change, axis=-2)
    # the last weight of a sum is half of what it is within one
    moved += (0.5 * np.append(width, 0.0) * ahead)[..., None] * change
    modes = np.moveaxis(_modes(np.asarray(prior)), 0, -1)[..., None, :] * _WEIGHT * np.exp(-_DECAY * total[..., None])
    second, third = ((modes * _DECAY**power).sum(axis=-1)[..., None] for power in (1, 2))
    rate = second * ahead[..., None] * change + estimate[..., None] * third * moved
    return np.flip(second * moved, axis=-2), np.flip(rate, axis=-2)


_ENTROPY = Statistic("rao_blackwell_entropy", _entropy, after=_NAMES, reads=("denoiser_distance",))
_RATE = Statistic("rao_blackwell_rate", _rate, after=_NAMES, reads=("denoiser_distance",))


def _changes(means: Means) -> tuple[xr.DataArray, xr.DataArray]:
    """What replicates of the means of both halves change in the entropy and in the rate."""
    chances = [scored.weights.sum(axis=1) for scored in means.partitions]
    prior = xr.DataArray([np.log(first / second) for first, second in chances], dims="partition")
    core = ["time", "replicate"]
    # each of the halves makes the curves of the other, which are half of all
    both = xr.concat([means[name] for name in _NAMES], "half", join="exact")
    changes = xr.apply_ufunc(
        unsteadiness, both, means.log_snr, prior, input_core_dims=[core, ["time"], []], output_core_dims=[core, core],
        dask="parallelized", output_dtypes=[np.float64, np.float64], dask_gufunc_kwargs={"allow_rechunk": True},
    )  # fmt: skip
    entropy, rate = (change.mean("half") for change in changes)
    return entropy, rate


class RaoBlackwell(Estimator):
    """Entropy expected at the mean rate of gain, and the mean of what trajectories differ from that."""

    name = "rao_blackwell"
    statistics = (*_HALVES, _ENTROPY, _RATE)

    def curve(self, means: Means) -> xr.DataArray:
        return means[_ENTROPY.name] + _changes(means)[0]

    def rate(self, means: Means) -> xr.DataArray:
        return means[_RATE.name] + _changes(means)[1]

    def refuse(self, runs: xr.Dataset, partitions: Sequence[ScoredPartition]) -> None:
        guided = [str(name) for name in runs["guidance"].values[runs["guidance_scale"].values != 1.0]]
        if guided:
            raise SpecentError(
                f"estimator 'rao_blackwell': trajectories under guidance {guided[0]!r} are not those that the "
                "posterior expects; select the unguided setting, runs.sel(guidance=[...]), or leave this estimator out"
            )
        many = next((scored.name for scored in partitions if pair_columns(scored) is None), None)
        if many is not None:
            raise SpecentError(
                f"estimator 'rao_blackwell': partition {many!r} is not one of two sides of one candidate each; use "
                "the estimator 'path', or pairs"
            )
        if "denoiser_distance" not in runs:
            raise SpecentError(
                "estimator 'rao_blackwell' needs denoiser_distance, which runs lacks: sample again with "
                "record=specent.Record(distances=True), or leave this estimator out"
            )
        check_start(runs, partitions, "estimator 'rao_blackwell' would lack what was gained there")
