r"""Questions to a short run of the model: is the posterior calibrated, and what is the null condition along it?

The posterior given the path is exact for any network (arXiv 2506.10433), so what fails here is not the network but the
chain. Along the same paths the null denoiser must be the mixture :math:`D_Z = \sum_c P(c|x) D_c`; half the integral
of :math:`E|D_\varnothing - D_Z|^2` over the signal-to-noise ratio is what it errs by, in nats (arXiv 2302.03792). It is
compared with the plain average over labels, which knows nothing of the state.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import torch
import xarray as xr
from scipy.special import softmax

from specent.analysis import calibration_gap
from specent.analysis.calibration import worst_gap
from specent.diagnostics.conditions import NULL_BAD, judged_null
from specent.diagnostics.labelled_data import Examples
from specent.diagnostics.network_probe import Array
from specent.diagnostics.paired_differences import z_text
from specent.diagnostics.report import Line
from specent.diagnostics.subject import FEW, Subject
from specent.errors import SpecentWarning
from specent.partitions import Partition
from specent.sampling import Record, sample
from specent.schedules import VE, edm_grid
from specent.schema import NULL

_LARGE = 1024
# noise levels below this share of the data's deviation are left out of the comparison of the null condition
_CLEAN = 0.03
# what labels must differ by along the run, in nats
_LEAST = 0.03
# noise levels, labels and trajectories per label, of small samples and of large ones
_SMALL_RUN, _LARGE_RUN = (24, FEW, 8), (16, 4, 4)


@dataclass(frozen=True)
class Run:
    """Trajectories of the labels that were tried, and the warnings that came with them."""

    dataset: xr.Dataset
    notes: tuple[str, ...]

    def examples(self, trial: Subject) -> Examples:
        """The final samples as data."""
        final = self.dataset["final"].isel(guidance=0).values
        samples = final.shape[1]
        labels = [trial.model.labels.index(str(name)) for name in self.dataset["class_label"].values]
        # in turn from every class
        images = torch.as_tensor(np.swapaxes(final, 0, 1).reshape(-1, *trial.model.shape), dtype=torch.float64)
        classes = torch.tensor(labels * samples, dtype=torch.int64)
        return Examples(images.to(trial.device), classes.to(trial.device), own=True, seed=trial.seed)


def _sizes(trial: Subject) -> tuple[int, int, int]:
    steps, most, samples = _SMALL_RUN if np.prod(trial.model.shape) <= _LARGE else _LARGE_RUN
    return steps, min(most, len(trial.labels)), samples


def cost(trial: Subject) -> int:
    """How many states `run` denoises at most."""
    steps, labels, samples = _sizes(trial)
    return steps * labels * samples * (labels + int(trial.model.null))


def run(trial: Subject) -> Run:
    """Sample a few trajectories of some labels, with every one of them scored."""
    steps, count, samples = _sizes(trial)
    names = [trial.model.labels[place] for place in trial.labels[:count]]
    levels = trial.probe.nearest_known(edm_grid(steps, trial.low, trial.high))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        dataset = sample(
            trial.probe.counted_model,
            schedule=VE(),
            time=levels,
            samples=samples,
            classes=names,
            candidates=[*names, *([NULL] if trial.model.null else [])],
            partitions=[Partition.full(names)] if count > 1 else [],
            seed=trial.seed,
            device=str(trial.device),
            record=Record(distances=True),
            progress=False,
        )
    notes = tuple(str(note.message) for note in caught if issubclass(note.category, SpecentWarning))
    return Run(dataset, notes)


def calibrated(run: Run) -> Line:
    """Whether the posterior given the path is a martingale whose mean entropy is the mean surprise."""
    if "partition" not in run.dataset.dims:
        return Line("self-test", "skip", "one label has nothing to decide")
    gaps = calibration_gap(run.dataset, replicates=50)
    log_snr = run.dataset["log_snr"]
    text = worst_gap(
        gaps["gap"], gaps["gap_standard_error"], run.dataset["guidance"].values,
        [str(name) for name in run.dataset["partition"].values], log_snr, "mean entropy minus mean surprise",
    )  # fmt: skip
    size, error = abs(gaps["gap"]).values, gaps["gap_standard_error"].values
    worst = np.unravel_index(np.argmax(size / np.maximum(error, 1e-9)), size.shape)
    figure = (
        f"entropy and surprise differ by {z_text(size[worst] / max(error[worst], 1e-9))} at most "
        f"({size[worst]:.2g} bit), over {run.dataset.sizes['time']} noise levels"
    )
    if text:
        return Line(
            "self-test", "fail", text,
            "the chain and its likelihood are not the same: a fault of candidates(), or of this package",
            "if the model overrides candidates(), compare it with denoise(); otherwise report it",
        )  # fmt: skip
    if run.notes:
        return Line("self-test", "warn", figure, run.notes[0], "end the grid at higher noise, if the model knows any")
    return Line("self-test", "pass", figure)


def null_in_run(trial: Subject, run: Run) -> Line | None:
    """Whether the null denoiser is the posterior mixture of the conditional ones; None if that cannot be said."""
    if not (trial.model.null and trial.complete and len(run.dataset["class_label"]) == trial.null > 1):
        return None
    if run.notes:
        # begun where labels are known already, the run does not know them
        return None
    distance = run.dataset["denoiser_distance"].isel(guidance=0).values.astype(np.float64)
    prior, log_snr = np.asarray(trial.model.label_prior), run.dataset["log_snr"].values
    likelihood = run.dataset["log_likelihood"].isel(guidance=0).values[..., :-1]
    posterior = softmax(likelihood + np.log(prior), axis=-1)
    least = max(_CLEAN * run.examples(trial).variance ** 0.5, 1e-100)
    wrong, blind = _excess(distance, posterior, prior, log_snr, least)
    ratio, error = _ratio(wrong, blind)
    middle, middle_error = _ratio(*_excess(distance, posterior, prior, log_snr, least, undecided=True))
    if not (np.isfinite(ratio) and blind.mean() > _LEAST):
        return Line("null", "skip", "along the model's own run the labels hardly differ", hint="fix other lines first")
    if np.isfinite(middle) and middle > ratio:
        ratio, error = middle, middle_error
    bits = float(wrong.mean() / np.log(2))
    figure = (
        f"it differs from the mixture of the labels by {ratio:.2f} ± {error:.2f} of what their plain average does; "
        f"along the chain that makes {bits:.2g} bit"
    )
    return judged_null(ratio, ratio - 4 * error > NULL_BAD, figure, "in a run of the model itself")


def _excess(
    distance: Array, posterior: Array, prior: Array, log_snr: Array, least: float, undecided: bool = False
) -> tuple[Array, Array]:
    """Half the integral of the squared distance to the mixture, of the null and of the average, per trajectory."""
    labels, null = distance[..., :-1, :-1], distance[..., -1, :-1]
    half = 0.5 * np.einsum("...i,...ij,...j", posterior, labels, posterior)
    wrong = np.einsum("...i,...i", posterior, null) - half
    away = posterior - prior
    blind = -0.5 * np.einsum("...i,...ij,...j", away, labels, away)
    gamma = np.exp(log_snr)
    # below, what labels differ by is the error of the network
    weight = (gamma < least**-2) * 1.0
    if undecided:
        # where the label is mostly open or hardly closed, up to where it is settled
        doubt = 1 - (posterior**2).sum(-1).mean(axis=(0, 1))
        weight = weight * (doubt > 0.01)
    parts = [0.5 * np.trapezoid(part * gamma * weight, -log_snr, axis=-1) for part in (wrong, blind)]
    return tuple(np.asarray(part).ravel() for part in parts)  # type: ignore[return-value]


def _ratio(wrong: Array, blind: Array) -> tuple[float, float]:
    """Ratio of the means over trajectories, with its standard error."""
    if not blind.mean() > 0:
        return np.nan, np.nan
    ratio = float(wrong.mean() / blind.mean())
    error = float((wrong - ratio * blind).std(ddof=1) / len(wrong) ** 0.5 / blind.mean())
    return ratio, error
