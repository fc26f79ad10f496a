r"""What the finite steps of the stochastic chain do to its samples, without any sampling.

In the coordinates :math:`Y = \gamma x` with :math:`\gamma = 1/\sigma^2` the chain is the Euler scheme of :math:`dY =
D\,d\gamma + dW` (arXiv 2206.00364). For a mixture whose means lie on a line, of components of one variance, the
coordinates separate: along the line the density is carried from noise level to noise level by the map :math:`x \mapsto
(\gamma_t x + D(x)\,\Delta\gamma)/\gamma_s`, which ascends, and a convolution; across the line everything stays
Gaussian.

Three errors are told apart. The divergence of *samples* is that of the last state from the data at that noise level.
The divergence of *paths* from the continuous process is the left sum of half the denoising error over
:math:`\gamma` less its integral, which is the information gained (math/0412108); it bounds the first from above, by
far. The *class error* is the total variation between the classes of the samples and their prior.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from specent import arguments
from specent.errors import SpecentError
from specent.evidence import BITS_PER_NAT
from specent.exact.mixture import GaussianMixture
from specent.schedules import VE, Schedule, check_grid

Array = NDArray[np.float64]

# points along the line, and how many standard deviations it reaches beyond the outermost mean
_POINTS, _REACH = 2**14, 12.0
_FLAT, _ROUNDING = 1e-9, 1e-18


def sampling_error(mix: GaussianMixture, time: ArrayLike, schedule: Schedule | None = None) -> xr.Dataset:
    """Errors of the samples of the stochastic chain with the exact denoiser, which its steps alone make.

    Parameters
    ----------
    mix : GaussianMixture
        The distribution of the data: components of one variance, whose means lie on a line.
    time : array_like, shape (time,)
        Ascending times of the chain, at least 2; it starts from pure noise at the last.
    schedule : Schedule, optional
        Their schedule; `VE` by default, where time is sigma.

    Returns
    -------
    Dataset
        Not a kind of the data contract. ``sample_divergence`` in bit, of the law of the data with the noise of the
        first time from that of the chain there; ``path_divergence`` in bit, of the continuous process from the chain;
        ``class_error`` without unit.

    Raises
    ------
    SpecentError
        If the means do not lie on a line, the variances differ, or the grid cannot be used.

    Examples
    --------
    >>> from specent.schedules import edm_grid
    >>> mix = GaussianMixture([[-4.0], [4.0]], weights=[0.7, 0.3], dimension=64)
    >>> coarse, fine = (sampling_error(mix, edm_grid(steps, 0.02)) for steps in (17, 65))
    >>> bool(coarse.class_error > 2 * fine.class_error > 0)
    True
    """
    arguments.instance(mix, GaussianMixture, "mix", "give a specent.exact.GaussianMixture")
    schedule = VE() if schedule is None else schedule
    grid = check_grid(schedule, time)
    levels = np.exp(-0.5 * schedule.log_snr(grid))[::-1]
    line, across = _line(mix)
    variance, outside = float(mix.variances[0]), mix.dimension - 1
    density = _Line(line, mix.weights, variance)
    at, law = density.carried(levels)
    final = density.log_density(at, levels[-1])
    width, truth = at[1] - at[0], np.exp(final)
    # where rounding is all that is left of the law, there is nothing of the data either
    along = float(np.sum(truth * (final - np.log(np.maximum(law, _ROUNDING)))) * width)
    posterior = _class_posterior(mix, density, at, levels[-1])
    shares = posterior @ law * width
    values = {
        "sample_divergence": BITS_PER_NAT * (along + _across(levels, variance, across, outside)),
        "path_divergence": BITS_PER_NAT * (density.path_divergence(levels) + outside * _path(levels, variance)),
        "class_error": 0.5 * float(np.abs(shares - mix.label_prior).sum()),
    }
    words = {
        "sample_divergence": ("bit", "Kullback-Leibler divergence of noised data from the last states of the chain"),
        "path_divergence": ("bit", "Kullback-Leibler divergence of the continuous process from the chain"),
        "class_error": ("1", "total variation between the classes of samples and their prior"),
    }
    variables = {
        name: xr.Variable((), value, {"units": words[name][0], "long_name": words[name][1]})
        for name, value in values.items()
    }
    return xr.Dataset(variables, attrs={"title": "Errors of the stochastic chain of a Gaussian mixture"})


def _line(mix: GaussianMixture) -> tuple[Array, float]:
    """Places of the means on the line through them, and how far the line is from the origin."""
    if np.ptp(mix.variances) > _FLAT * mix.variances[0]:
        raise SpecentError("mix has components of different variances; the law of its chain is known for one only")
    centre = mix.weights @ mix.means
    _, size, directions = np.linalg.svd(mix.means - centre, full_matrices=False)
    if np.any(size[1:] > _FLAT * max(size[0], 1e-300)):
        raise SpecentError("mix has means that do not lie on a line; the law of its chain is known on a line only")
    direction = directions[0] if size[0] > 0 else np.eye(mix.means.shape[1])[0]
    return mix.means @ direction, float(np.linalg.norm(centre - (centre @ direction) * direction))


class _Line:
    """A mixture on a line, its noised density, its denoiser, and the law of its chain."""

    def __init__(self, means: Array, weights: Array, variance: float) -> None:
        self.means, self.weights, self.variance = means, weights, variance

    def component_logs(self, x: Array, level: float) -> Array:
        """Weighted log-densities of the components, shape (components, points)."""
        spread = self.variance + level**2
        logs = -0.5 * (x - self.means[:, None]) ** 2 / spread - 0.5 * np.log(2 * np.pi * spread)
        return np.asarray(logs + np.log(self.weights)[:, None])

    def log_density(self, x: Array, level: float) -> Array:
        return np.asarray(np.logaddexp.reduce(self.component_logs(x, level), axis=0))

    def moments(self, x: Array, level: float) -> tuple[Array, Array]:
        """Denoised data, and its derivative: what is left of the variance, over that of the noise."""
        logs = self.component_logs(x, level)
        share = np.exp(logs - np.logaddexp.reduce(logs, axis=0))
        kept = self.variance / (self.variance + level**2)
        towards = self.means @ share
        apart = (self.means**2) @ share - towards**2
        left = kept * level**2 + (1 - kept) ** 2 * np.maximum(apart, 0.0)
        return kept * x + (1 - kept) * towards, left / level**2

    def points(self, level: float) -> Array:
        """Evenly spaced points that reach beyond every state at a noise level."""
        reach = np.abs(self.means).max() + _REACH * np.sqrt(self.variance + level**2)
        return np.linspace(-reach, reach, _POINTS)

    def carried(self, levels: Array) -> tuple[Array, Array]:
        """Points and density of the chain at the last of descending levels, from pure noise at the first."""
        from scipy.interpolate import CubicSpline  # takes longer to import than all of this package

        at = self.points(levels[0])
        law = np.exp(-0.5 * (at / levels[0]) ** 2) / (np.sqrt(2 * np.pi) * levels[0])
        for before, after in pairwise(levels):
            denoised, slope = self.moments(at, before)
            # what stays of the state, and the deviation of the fresh noise
            stays = (after / before) ** 2
            fresh = after * np.sqrt(1 - stays)
            moved = stays * at + (1 - stays) * denoised
            density = CubicSpline(moved, law / (stays + (1 - stays) * slope), extrapolate=False)
            at = self.points(after)
            law = _blurred(np.nan_to_num(density(at)), fresh / (at[1] - at[0]))
        return at, law

    def error(self, level: float) -> float:
        """Mean squared error of the denoiser."""
        at = self.points(level)
        slope = self.moments(at, level)[1]
        return float(np.sum(np.exp(self.log_density(at, level)) * slope) * (at[1] - at[0])) * level**2

    def differential_entropy(self, level: float) -> float:
        at = self.points(level)
        logs = self.log_density(at, level)
        return float(-np.sum(np.exp(logs) * logs) * (at[1] - at[0]))

    def path_divergence(self, levels: Array) -> float:
        """In nats; the integral of half the error is the information that is gained."""
        gamma = levels**-2.0
        left = 0.5 * sum(
            self.error(level) * step for level, step in zip(levels[:-1].tolist(), np.diff(gamma), strict=True)
        )
        first, last = (self.differential_entropy(level) - np.log(level) for level in levels[[0, -1]].tolist())
        return float(left - (last - first))


def _blurred(density: Array, width: float) -> Array:
    """Convolution with a Gaussian whose standard deviation is given in points."""
    padded = 2 * len(density)
    frequency = 2 * np.pi * np.fft.rfftfreq(padded)
    spectrum = np.fft.rfft(density, padded) * np.exp(-0.5 * (frequency * width) ** 2)
    return np.asarray(np.fft.irfft(spectrum, padded)[: len(density)])


def _across(levels: Array, variance: float, offset: float, count: int) -> float:
    """Divergence in nats over so many Gaussian coordinates, one of which has the offset as its mean."""
    mean, spread = 0.0, float(levels[0]) ** 2
    for before, after in pairwise(levels.tolist()):
        stays, kept = (after / before) ** 2, variance / (variance + before**2)
        factor = stays + (1 - stays) * kept
        mean = factor * mean + (1 - stays) * (1 - kept) * offset
        spread = factor**2 * spread + after**2 * (1 - stays)
    truth = variance + float(levels[-1]) ** 2
    shift = (offset - mean) ** 2 / spread if count else 0.0
    return float(0.5 * (count * (truth / spread - 1 - np.log(truth / spread)) + shift))


def _path(levels: Array, variance: float) -> float:
    """Divergence of paths in nats of one Gaussian coordinate."""
    error = variance * levels**2 / (variance + levels**2)
    gained = 0.5 * np.log((1 + variance / levels[-1] ** 2) / (1 + variance / levels[0] ** 2))
    return float(0.5 * np.sum(error[:-1] * np.diff(levels**-2.0)) - gained)


def _class_posterior(mix: GaussianMixture, density: _Line, x: Array, level: float) -> Array:
    """Posterior of every label at points on the line, shape (labels, points)."""
    logs = density.component_logs(x, level)
    share = np.exp(logs - np.logaddexp.reduce(logs, axis=0))
    index = {label: row for row, label in enumerate(mix.labels)}
    posterior = np.zeros((len(mix.labels), len(x)))
    np.add.at(posterior, [index[label] for label in mix.component_labels], share)
    return posterior
