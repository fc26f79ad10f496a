r"""How far the null condition is from the mixture of the classes, in bits.

Along paths of the conditional chains, driven by the labels with their prior, the likelihood ratio of a class against
the null condition splits in two:

.. math:: E\ln\frac{p(\text{path}|c)}{p(\text{path}|\text{null})} =
          E\ln\frac{p(\text{path}|c)}{\sum_c \pi_c\,p(\text{path}|c)} +
          E\ln\frac{\sum_c \pi_c\,p(\text{path}|c)}{p(\text{path}|\text{null})} .

On the left stands the *path divergence*, first on the right the *information* of the path about the class, which is
never more than the entropy of the labels. What is left is a Kullback-Leibler divergence of the mixture from the null
condition: the **error of the null condition**. It is 0 for a null condition that is the mixture, and has no bound for
a trained network. In terms of the denoised data the divergence gains :math:`\tfrac12 E|D_c - D_\text{null}|^2` per unit
of signal-to-noise ratio :math:`\gamma`, and with the mean :math:`\bar D = \sum_c P(c|\text{path}) D_c`

.. math:: E|D_c - D_\text{null}|^2 = E|D_c - \bar D|^2 + E|\bar D - D_\text{null}|^2 ,

because the class is distributed as its posterior says: the cross term vanishes, and what is found for it is a test. The
pointwise information of arXiv 2310.07972 is the sum of both parts, and not the information of the prompt.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from specent import arguments, evidence
from specent.analysis.blocks import each_block
from specent.analysis.bootstrap import check_resampling, draw_weights
from specent.analysis.calibration import ENTROPY
from specent.analysis.inputs import check_start, checked_runs, refuse_not_finite
from specent.analysis.job import Job
from specent.analysis.posterior import PathEvidence, Statistic, side_log_posterior
from specent.analysis.scored import ScoredPartition, scored_partitions
from specent.analysis.several_partitions import with_bounds
from specent.analysis.trajectory_means import trajectory_means
from specent.errors import SpecentError
from specent.evidence import BITS_PER_NAT
from specent.partitions import NULL, Partition
from specent.schema.coordinates import guidance_settings

Array = NDArray[np.float64]

PARTS = ("path_divergence", "class_information", "null_error", "cross_term")
"""What the path divergence is made of, after itself."""

_MEANINGS = {
    "path_divergence": "divergence of the paths of a class from those of the null condition",
    "class_information": "information of the path about the class",
    "null_error": "divergence of the mixture of the classes from the null condition",
    "cross_term": "path divergence less its two parts, 0 up to sampling noise",
}
_COPIED = ("time", "sigma", "alpha", "log_snr")


def _divergence(path: PathEvidence) -> Array:
    """Log-likelihood ratio of the driver against the null condition, in bits; every label is a side by itself."""
    driver = np.argmax(path.scored.weights > 0, axis=1)[path.side]
    driver = np.broadcast_to(driver, path.shape)[..., None]
    own = np.take_along_axis(path.log_likelihood, driver, axis=-1)[..., 0]
    return np.asarray((own - path.log_likelihood[..., path.null]) * BITS_PER_NAT)


def _null_error(path: PathEvidence) -> Array:
    """Log-likelihood ratio of the mixture of the classes against the null condition, in bits."""
    prior = path.scored.weights.sum(axis=0)
    member = np.flatnonzero(prior)
    mixture = evidence.log_sum_exp(path.log_likelihood[..., member] + np.log(prior[member]))
    return np.asarray((mixture - path.log_likelihood[..., path.null]) * BITS_PER_NAT)


_DIVERGENCE = Statistic("path_divergence", _divergence)
_NULL_ERROR = Statistic("null_error", _null_error)


def null_error(runs: xr.Dataset, *, confidence: float = 0.95, replicates: int = 200, seed: int = 0) -> xr.Dataset:
    """Path divergence from the null condition, and its split into information of the class and error of the null.

    Parameters
    ----------
    runs : Dataset or path
        Kind ``trajectories``, with an unguided setting and the null condition among its candidates; every label must
        have driven trajectories.
    confidence : float
        Nominal coverage of the intervals.
    replicates, seed : int
        Of the bootstrap over trajectories; at least 50 replicates.

    Returns
    -------
    Dataset
        Not a kind of the data contract. Over (estimator, time) in bits, gained from the noisy end on:
        ``path_divergence``, ``class_information``, ``null_error``, and ``cross_term``, what the first is more than the
        other two. Estimator "path" takes likelihoods of paths and is exact for the chain that was sampled. Where
        distances were recorded, "denoiser_gap" sums over the steps of the chain, and "integral" integrates the same
        rates by trapezoids: of a chain with few steps the null error that it gives is the nearest to that of many.
        These rates, in bit per unit of log_snr, are ``path_divergence_rate`` and so on, over time. All with ``_lower``
        and ``_upper``.

    Raises
    ------
    SpecentError
        If the null condition was not scored, there is no unguided setting, a label drove no trajectory or was dropped,
        the noisy end was cut off, or a number is not finite.

    References
    ----------
    arXiv 2310.07972 calls the path divergence pointwise information.

    Examples
    --------
    >>> import specent as sp
    >>> mix = sp.exact.GaussianMixture([[-4.0], [4.0]], labels=["left", "right"])
    >>> runs = sp.sample(sp.models.mixture(mix), schedule=sp.schedules.VE(), time=sp.schedules.edm_grid(64),
    ...                  samples=200, progress=False)
    >>> table = null_error(runs).sel(estimator="path").isel(time=0)
    >>> table.class_information.round(3).item(), abs(table.null_error.item()) < 0.2
    (1.0, True)
    """
    confidence = arguments.number(confidence, "confidence", above=0, below=1)
    replicates, seed = check_resampling(replicates, seed)
    runs = _unguided(checked_runs(runs))
    scored = _all_labels(runs)
    check_start(runs, [scored], "what was gained there would be missing")
    job = Job(runs, ["log_likelihood"], [scored], (ENTROPY, _DIVERGENCE, _NULL_ERROR), replicates, seed)
    numbers = trajectory_means(job).isel(guidance=0, partition=0)
    refuse_not_finite(runs, job.sources, numbers)
    information = scored.prior_entropy - numbers[ENTROPY.name]
    curves = {"path": _with_cross_term(numbers[_DIVERGENCE.name], information, numbers[_NULL_ERROR.name])}
    variables: dict[str, xr.DataArray] = {}
    if "denoiser_distance" in runs:
        gains = _denoiser_gains(runs, scored, replicates, seed)
        refuse_not_finite(runs, ["log_likelihood", "denoiser_distance"], gains)
        signal_to_noise = np.exp(runs["log_snr"].values)
        curves["denoiser_gap"] = gains.map(lambda gain: _summed(gain, signal_to_noise))
        curves["integral"] = gains.map(lambda gain: _integrated(gain, runs["log_snr"].values))
        for name in PARTS:
            rate = gains[name] * xr.DataArray(signal_to_noise, dims="time")
            variables |= with_bounds(rate, f"{name}_rate", _MEANINGS[name], "bit per unit of log_snr", confidence)
    whole = xr.concat([*curves.values()], xr.DataArray([*curves], dims="estimator", name="estimator"))
    for name in PARTS:
        variables |= with_bounds(whole[name], name, _MEANINGS[name], "bit", confidence)
    result = xr.Dataset(variables, runs[[name for name in _COPIED if name in runs.coords]].coords)
    result.attrs = {
        "title": "Error of the null condition", "confidence": confidence, "prior_entropy": scored.prior_entropy,
    }  # fmt: skip
    return result


def _unguided(runs: xr.Dataset) -> xr.Dataset:
    """The first unguided setting alone."""
    plain = [g for g, one in enumerate(guidance_settings(runs)) if not one.guided]
    if not plain:
        names = runs["guidance"].values.tolist()
        raise SpecentError(
            f"runs: of the guidance settings {names} none is unguided, and the split holds along unguided paths only; "
            "sample guidance=[1, ...]"
        )
    return runs.isel(guidance=plain[:1])


def check_null_scored(runs: xr.Dataset, what: str) -> None:
    """Raise unless the likelihood of the null condition is known along all paths.

    Raises
    ------
    SpecentError
        If it is no candidate, or labels were dropped.
    """
    if NULL not in runs["candidate"].values:
        raise SpecentError(
            f"runs: the null condition is not among the candidates, and {what} is measured against it; sample a model "
            "that has one"
        )
    if "dropped_mass" in runs:
        raise SpecentError(
            f"runs: labels were dropped by their posterior among all labels, and what they weigh against the null "
            f"condition is not known, as {what} needs it; sample with scoring=specent.Scoring(drop=0)"
        )


def _all_labels(runs: xr.Dataset) -> ScoredPartition:
    """Every label by itself, with its prior.

    Raises
    ------
    SpecentError
        If the null condition was not scored, or labels are missing or were dropped.
    """
    what = "the error of the null condition"
    check_null_scored(runs, what)
    candidates = [str(name) for name in runs["candidate"].values]
    prior = runs["candidate_prior"].values
    if abs(float(prior.sum()) - 1) > 1e-6:
        raise SpecentError(
            f"runs: the candidates hold {float(prior.sum()):.3g} of the prior, and {what} needs all labels of the "
            "model; score every label"
        )
    labels = [name for name, share in zip(candidates, prior, strict=True) if share > 0]
    if len(labels) < 2:
        raise SpecentError(f"runs: {what} needs two labels at least; the candidates are {candidates}")
    return scored_partitions(runs, Partition.full(labels))[0]


def _with_cross_term(divergence: xr.DataArray, information: xr.DataArray, error: xr.DataArray) -> xr.Dataset:
    return xr.Dataset(dict(zip(PARTS, (divergence, information, error, divergence - information - error), strict=True)))


def _denoiser_gains(runs: xr.Dataset, scored: ScoredPartition, replicates: int, seed: int) -> xr.Dataset:
    """Gain of every part per unit of signal-to-noise ratio, in bits, dims (time, replicate)."""
    candidates = runs["candidate"].values.tolist()
    labels, null = np.flatnonzero(scored.weights.any(axis=0)), candidates.index(NULL)
    own = [candidates.index(label) for label in runs["class_label"].values.tolist()]
    names, numbers = runs["class_label"].values, runs["sample"].values
    total = np.zeros((3, runs.sizes["time"], 1 + replicates))
    for block in each_block(runs, ["log_likelihood", "denoiser_distance"], 2 * len(candidates) ** 2):
        drawn = draw_weights(names[block.classes].tolist(), numbers, block.samples, replicates, seed)
        for row, driver in enumerate(range(block.classes.start, block.classes.stop)):
            if scored.share[driver] == 0:
                continue
            values, distance = (
                block.arrays[name][row, :, 0].astype(np.float64, copy=False)
                for name in ("log_likelihood", "denoiser_distance")
            )
            posterior = np.exp(side_log_posterior(values, scored.weights))
            parts = split_distances(posterior, distance, labels, null, own[driver])
            weighted = np.tensordot(np.stack(parts), drawn[:, row], axes=(1, 1))
            total[:, block.times] += scored.share[driver] * weighted
    gains = [xr.DataArray(0.5 * BITS_PER_NAT * part, dims=("time", "replicate")) for part in total]
    return _with_cross_term(*gains)


def split_distances(
    posterior: Array, distance: Array, labels: Sequence[int] | NDArray[np.intp], null: int, driver: int
) -> tuple[Array, Array, Array]:
    r"""The squared distance of a driver from the null condition, and the parts that it is made of in the mean.

    Parameters
    ----------
    posterior : ndarray, shape (..., labels)
        Of the labels.
    distance : ndarray, shape (..., candidates, candidates)
        Squared distances between the denoised data of the candidates.
    labels : sequence of int
        Which candidates the labels are.
    null, driver : int
        Which candidates the null condition and the driver are.

    Returns
    -------
    tuple of ndarray, shape (...)
        :math:`|D_c - D_\text{null}|^2`, the variance :math:`\sum_z P_z|D_z - \bar D|^2`, which is
        :math:`E|D_c - \bar D|^2` given the path, and :math:`|\bar D - D_\text{null}|^2`.

    Examples
    --------
    >>> apart = np.array([[0.0, 4.0, 1.0], [4.0, 0.0, 1.0], [1.0, 1.0, 0.0]])
    >>> [float(part) for part in split_distances(np.array([0.5, 0.5]), apart, [0, 1], 2, 0)]
    [1.0, 1.0, 0.0]
    """
    columns = np.asarray(labels)
    between = distance[..., columns[:, None], columns]
    variance = 0.5 * np.einsum("...i,...ij,...j->...", posterior, between, posterior, optimize=True)
    from_null = np.einsum("...i,...i->...", posterior, distance[..., columns, null])
    return distance[..., driver, null], variance, from_null - variance


def _summed(gain: xr.DataArray, signal_to_noise: Array) -> xr.DataArray:
    """What the steps of the chain have gained at every time, from the gain per unit of the signal-to-noise ratio."""
    values = gain.transpose("time", "replicate").values
    return _gathered(values[1:] * (signal_to_noise[:-1] - signal_to_noise[1:])[:, None])


def _integrated(gain: xr.DataArray, log_snr: Array) -> xr.DataArray:
    """What was gained down to every time, by the trapezoidal rule over log_snr."""
    rate = gain.transpose("time", "replicate").values * np.exp(log_snr)[:, None]
    return _gathered(0.5 * (rate[1:] + rate[:-1]) * (log_snr[:-1] - log_snr[1:])[:, None])


def _gathered(steps: Array) -> xr.DataArray:
    """Sums of the steps from the noisy end down to every time, dims (time, replicate)."""
    out = np.concatenate([np.cumsum(steps[::-1], axis=0)[::-1], np.zeros_like(steps[:1])])
    return xr.DataArray(out, dims=("time", "replicate"))
