r"""Array kernels: from path log-likelihoods and denoiser geometry to posteriors, entropies and their production.

Shared by the sampling half (torch tensors on any device) and the analysis half (NumPy and Dask arrays): every function
takes the array namespace from its arguments. Candidates are on the last axis; partitions of equal number of sides are
worked on together.

Let :math:`P_z` be the posterior of side z given the path so far, :math:`D_z` the denoiser of the side (its classes
mixed by their posterior), :math:`\bar D = \sum_z P_z D_z`, :math:`D_g` the denoiser that moved the sample and
:math:`\gamma` the signal-to-noise ratio. For any reference r the path log-likelihoods follow

.. math::  d\ell_z = (D_z - D_r)\cdot(D_g - D_r)\,d\gamma - \tfrac12|D_z - D_r|^2 d\gamma
           + \sqrt{d\gamma}\,(D_z-D_r)\cdot\xi

and Ito's lemma gives for the entropy :math:`H` of :math:`P`

.. math::  -\frac{dH}{d\gamma} = \tfrac12 \sum_z P_z |D_z - \bar D|^2
           + \sum_z P_z (\ln P_z + H)\,(D_z - \bar D)\cdot(D_g - \bar D)

and for the cross-entropy :math:`-\ln P_z` of the side z that holds the driver

.. math::  -\frac{dC}{d\gamma} = (D_z - \bar D)\cdot(D_g - \bar D) - \tfrac12 |D_z - \bar D|^2 .

On unguided trajectories the driver is distributed as the posterior says, the second term of the first line averages to
zero, and what is left is the relation between mutual information and denoising error (arXiv math/0412108, 2302.03792).
"""

from __future__ import annotations

from typing import Any

import numpy as np

# numpy.ndarray or torch.Tensor; dask arrays reach these kernels block by block
Array = Any

BITS_PER_NAT = float(1 / np.log(2))
"""One nat in bits."""


def namespace(array: Array) -> Any:
    """The module whose functions work on `array`: torch for a tensor, numpy otherwise."""
    if type(array).__module__.partition(".")[0] == "torch":
        import torch

        return torch
    return np


def log_weights(weights: Array) -> Array:
    """Natural logarithm of probabilities, with minus infinity for zero and no warning."""
    with np.errstate(divide="ignore"):
        return np.log(np.asarray(weights, dtype=np.float64))


def log_sum_exp(values: Array) -> Array:
    """Logarithm of the sum of exponentials over the last axis, safe against overflow (not all of them -inf)."""
    xp = namespace(values)
    top = xp.amax(values, axis=-1, keepdims=True)
    return xp.log(xp.sum(xp.exp(values - top), axis=-1)) + top[..., 0]


def log_sum_exp_of_others(values: Array) -> Array:
    """For every entry of the last axis the logarithm of the sum of the exponentials of all others, by two sums in all.

    Examples
    --------
    >>> log_sum_exp_of_others(np.array([0.0, -1e4, -2e4, -2e4])).round(3).tolist()
    [-10000.0, 0.0, 0.0, 0.0]
    """
    xp = namespace(values)
    positions = xp.arange(values.shape[-1])
    positions = positions.to(values.device) if xp is not np else positions
    largest = positions == xp.argmax(values, -1)[..., None]
    top = xp.amax(values, axis=-1, keepdims=True)
    share = xp.exp(values - top)
    # the largest is in the sum of all others, so that what is left after a subtraction is no smaller than what is
    # taken away; only what is left after the largest itself has to be summed again
    left = xp.where(largest, 1.0, xp.sum(share, axis=-1, keepdims=True) - share)
    again = log_sum_exp(xp.where(largest, -np.inf, values))[..., None]
    return xp.where(largest, again, xp.log(left) + top)


def posterior(log_likelihood: Array, log_prior: Array) -> tuple[Array, Array]:
    """Posterior of the sides of several partitions, and of the candidates within each side.

    Parameters
    ----------
    log_likelihood : array, shape (..., candidates)
        Path log-likelihoods, in nats, up to a constant shared by the candidates.
    log_prior : array, shape (partitions, sides, candidates)
        Logarithm of the joint prior of side and candidate, minus infinity where a candidate is not on a side.

    Returns
    -------
    log_side : array, shape (..., partitions, sides)
        Normalised log-posterior of the sides.
    within : array, shape (..., partitions, sides, candidates)
        Posterior of the candidates given the side, summing to 1 over the last axis.
    """
    xp = namespace(log_likelihood)
    terms = log_likelihood[..., None, None, :] + log_prior
    log_side = log_sum_exp(terms)
    within = xp.exp(terms - log_side[..., None])
    return log_side - log_sum_exp(log_side)[..., None], within


def entropy(log_side: Array) -> Array:
    """Entropy in nats of normalised log-probabilities on the last axis."""
    xp = namespace(log_side)
    return -xp.sum(xp.exp(log_side) * xp.clip(log_side, -1e4, 0.0), axis=-1)


def posterior_variance(log_side: Array, within: Array, gram: Array) -> Array:
    """Posterior variance of the sides' denoisers, twice the unguided production of entropy.

    Parameters
    ----------
    log_side, within : array
        As `posterior` returns them.
    gram : array, shape (..., candidates, candidates)
        As `production` takes it.

    Returns
    -------
    array, shape (..., partitions)
        Summed over the features.
    """
    xp = namespace(log_side)
    side = xp.exp(log_side)
    _, contrast, image = _contrasts(side, within, gram)
    return xp.sum(side * xp.sum(image * contrast, axis=-1), axis=-1)


def _contrasts(side: Array, within: Array, gram: Array) -> tuple[Array, Array, Array]:
    """Weights of the denoiser averaged over the sides, of each side's less those, and products of these with `gram`."""
    xp = namespace(side)
    mixture = xp.sum(side[..., None] * within, axis=-2)
    contrast = within - mixture[..., None, :]
    rows = contrast.reshape(*contrast.shape[:-3], -1, contrast.shape[-1])
    return mixture, contrast, xp.matmul(rows, gram).reshape(contrast.shape)


def production(
    log_likelihood: Array, log_prior: Array, gram: Array, mover: Array, driver: Array, unguided: bool
) -> tuple[Array, Array]:
    r"""Production of entropy and of cross-entropy per unit of signal-to-noise ratio, trajectory by trajectory.

    Parameters
    ----------
    log_likelihood : array, shape (..., candidates)
        Path log-likelihoods, in nats.
    log_prior : array, shape (partitions, sides, candidates)
        Logarithm of the joint prior of side and candidate.
    gram : array, shape (..., candidates, candidates)
        Inner products of the candidates' denoisers relative to any common vector, or -1/2 of their squared distances:
        only contrasts whose weights sum to zero are taken, and the two agree on those.
    mover : array, shape (..., candidates)
        Weights, summing to 1, with which the candidates' denoisers combine into the one that moved the sample.
    driver : array, shape (..., candidates)
        1 for the driving class, 0 elsewhere.
    unguided : bool
        Whether the whole run was unguided. Then the driver is distributed as the posterior says, and the production is
        replaced by its conditional expectation, half the posterior variance of the denoisers: same mean, less noise.

    Returns
    -------
    production, cross_production : array, shape (..., partitions)
        :math:`-dH/d\gamma` and :math:`-dC/d\gamma` in nats, 0 where no side holds the driver.
    """
    xp = namespace(log_likelihood)
    log_side, within = posterior(log_likelihood, log_prior)
    mixture, contrast, image = _contrasts(xp.exp(log_side), within, gram)
    spread = xp.sum(image * contrast, axis=-1)
    towards = xp.sum(image * (mover[..., None, :] - mixture)[..., None, :], axis=-1)
    holds = xp.amax(xp.where(xp.isfinite(log_prior), 1.0, 0.0) * driver[..., None, None, :], axis=-1)
    return rates(log_side, spread, towards, holds, unguided)


def rates(log_side: Array, spread: Array, towards: Array, holds: Array, unguided: bool) -> tuple[Array, Array]:
    r"""Production of entropy and of cross-entropy from the geometry of the sides' denoisers.

    Parameters
    ----------
    log_side : array, shape (..., sides)
        Normalised log-posterior of the sides.
    spread : array, shape (..., sides)
        Squared distance :math:`|D_z - \bar D|^2` of the denoiser of each side from their mean.
    towards : array, shape (..., sides)
        Its projection :math:`(D_z - \bar D)\cdot(D_g - \bar D)` on the direction of the movement.
    holds : array, shape (..., sides)
        1 for the side that holds the driver, 0 elsewhere.
    unguided : bool
        As `production` has it.

    Returns
    -------
    production, cross_production : array, shape (...)
        In nats, 0 where no side holds the driver.
    """
    xp = namespace(log_side)
    side = xp.exp(log_side)
    produced = 0.5 * xp.sum(side * spread, axis=-1)
    if not unguided:
        surprisal = xp.clip(log_side, -1e4, 0.0) + entropy(log_side)[..., None]
        produced = produced + xp.sum(side * surprisal * towards, axis=-1)
    return produced * xp.sum(holds, axis=-1), xp.sum(holds * (towards - 0.5 * spread), axis=-1)
