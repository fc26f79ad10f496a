r"""Is the null denoiser the mixture of the labels' denoisers?

It must be :math:`D_Z = \sum_c P(c|x) D_c`; half the integral of :math:`E|D_\varnothing - D_Z|^2` over the signal-to-
noise ratio is its error (arXiv 2302.03792), measured along a short run of the model. Here it is compared with that of
the plain average over labels, which knows nothing of the state; `null_bits` has it in bits. Where labels are too many
for a run, errors on data are compared in the same way: where the state already tells the label an exact null denoiser
is as good as the label's, one that knows nothing of the state no better than the plain average.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import softmax

from specent.analysis.null_error import split_distances
from specent.diagnostics.checks.contract import COMPLETE, FINITE, HAS_NULL, RIGHT_READING, Check
from specent.diagnostics.findings import Findings
from specent.diagnostics.label_errors import LabelErrors
from specent.diagnostics.labelled_data import Array
from specent.diagnostics.paired_differences import paired_difference
from specent.diagnostics.report import Line
from specent.diagnostics.short_run import ShortRun, final_samples

# error of the null condition relative to that of the plain average over labels
_GOOD, _BAD = 0.5, 0.6
# noise levels below this share of the data's deviation are left out of the comparison along a run
_CLEAN = 0.03
_NO_DIFFERENCE = "along the model's own run the labels hardly differ"
# what labels must differ by along the run, in nats
_LEAST = 0.03


@dataclass(frozen=True)
class _NullError:
    """Error of the null condition relative to that of the average over labels, and whether it is too large."""

    share: float
    worse: bool
    figure: str


def _measure(findings: Findings) -> _NullError | str:
    """The relative error along a run, or else on data; or why there is none."""
    if findings.run.known and not findings.run.value.without_posterior(findings.null):
        return _along_run(findings, findings.run.value)
    if findings.examples is not None and findings.label_errors.known and len(findings.model.labels) > 1:
        return _on_images(findings.label_errors.value)
    return "too many labels to be mixed, one only, or a run that starts too late"


def _along_run(findings: Findings, run: ShortRun) -> _NullError | str:
    """Distance of the null denoiser to the posterior mixture of the conditional ones, relative to the average's."""
    distance = run.dataset["denoiser_distance"].isel(guidance=0).values.astype(np.float64)
    prior, log_snr = np.asarray(findings.model.label_prior), run.dataset["log_snr"].values
    likelihood = run.dataset["log_likelihood"].isel(guidance=0).values[..., :-1]
    posterior = softmax(likelihood + np.log(prior), axis=-1)
    least = max(_CLEAN * final_samples(findings, run).variance ** 0.5, 1e-100)
    null, average = _excess(distance, posterior, prior, log_snr, least)
    ratio, error = _ratio(null, average)
    undecided, undecided_error = _ratio(*_excess(distance, posterior, prior, log_snr, least, undecided=True))
    if not (np.isfinite(ratio) and average.mean() > _LEAST):
        return _NO_DIFFERENCE
    if np.isfinite(undecided) and undecided > ratio:
        ratio, error = undecided, undecided_error
    figure = (
        f"it differs from the mixture of the labels by {ratio:.2f} ± {error:.2f} of what their plain average does, in "
        "a run of the model itself"
    )
    return _NullError(ratio, ratio - 4 * error > _BAD, figure)


def _excess(
    distance: Array, posterior: Array, prior: Array, log_snr: Array, least: float, undecided: bool = False
) -> tuple[Array, Array]:
    """Half the integral of the squared distance to the mixture, of the null and of the average, per trajectory."""
    labels, null = distance[..., :-1, :-1], distance.shape[-1] - 1
    of_null = split_distances(posterior, distance, range(null), null, driver=0)[2]
    away = posterior - prior
    of_average = -0.5 * np.einsum("...i,...ij,...j", away, labels, away)
    snr = np.exp(log_snr)
    # below, what labels differ by is the error of the network
    weight = (snr < least**-2) * 1.0
    if undecided:
        # where the label is mostly open or hardly closed, up to where it is settled
        doubt = 1 - (posterior**2).sum(-1).mean(axis=(0, 1))
        weight = weight * (doubt > 0.01)
    integrals = (0.5 * np.trapezoid(part * snr * weight, -log_snr, axis=-1) for part in (of_null, of_average))
    first, second = (np.asarray(integral).ravel() for integral in integrals)
    return first, second


def _ratio(first: Array, second: Array) -> tuple[float, float]:
    """Ratio of the means over trajectories, with its standard error."""
    if not second.mean() > 0:
        return np.nan, np.nan
    ratio = float(first.mean() / second.mean())
    error = float((first - ratio * second).std(ddof=1) / len(first) ** 0.5 / second.mean())
    return ratio, error


def _on_images(errors: LabelErrors) -> _NullError:
    """Whether the null condition is any better than the plain average over labels."""
    assert errors.null is not None
    weight = errors.levels[:, None] ** -2
    null, average = (((part - errors.own) * weight).mean(axis=0) for part in (errors.null, errors.average))
    share = float(null.mean() / average.mean()) if average.mean() > 0 else np.nan
    figure = f"its excess over the right label is {share:.2f} of that of the plain average over labels, on images"
    return _NullError(share, paired_difference(null, average).significant, figure)


def _judge(findings: Findings, error: _NullError | str) -> Line:
    if isinstance(error, str):
        first = error == _NO_DIFFERENCE
        hint = "fix other lines first" if first else "give data: images= and labels=, or --data"
        return Line("null", "skip", error, hint=hint)
    if error.worse:
        return Line(
            "null", "fail", error.figure,
            "the null condition was not trained: index K leads to an embedding that was never used, or to zeros",
            "say null=False; or use the network that was trained without labels under index K",
        )  # fmt: skip
    if not error.share <= _GOOD:
        return Line(
            "null", "warn", error.figure, "the null condition is poorly trained, or these labels are few of many",
            "do not use the estimator 'null', and take guided runs with care",
        )  # fmt: skip
    return Line("null", "pass", error.figure)


NULL_CONDITION = Check("null", _measure, _judge, needs=(FINITE, HAS_NULL, COMPLETE), presumes=(RIGHT_READING,))
