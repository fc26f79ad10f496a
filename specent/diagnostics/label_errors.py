"""Errors on data under several labels and under the null condition: which label fits every class best?"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from specent.diagnostics.labelled_data import Array, LabelledExamples
from specent.diagnostics.paired_differences import paired_difference
from specent.diagnostics.subject import FEW, Subject

_LEVELS = 5
# a label must be better than the own one by this share of what labels differ by
_SHARE = 0.25


@dataclass(frozen=True)
class LabelErrors:
    """Squared errors of every example under several conditions.

    Parameters
    ----------
    count : int
        How many labels the model has.
    levels, units : ndarray, shape (levels,)
        Noise levels, and the error of a linear denoiser at each.
    classes : ndarray of int64, shape (n,)
        Index of the label of each example.
    candidates : ndarray of int64, shape (n, candidates)
        The labels under which each was denoised.
    errors : ndarray, shape (levels, n, candidates)
        Errors under those.
    own, average : ndarray, shape (levels, n)
        Errors under the own label, and of the mean over the candidates' denoisers.
    null : ndarray, shape (levels, n), or None
        Errors under the null condition, if there is one.
    spread : float
        Largest difference between outputs under two labels, relative to their size.
    """

    count: int
    levels: Array
    units: Array
    classes: NDArray[np.int64]
    candidates: NDArray[np.int64]
    errors: Array
    own: Array
    average: Array
    null: Array | None
    spread: float

    @property
    def candidate_scores(self) -> Array:
        """Errors in units under every candidate, averaged over the noise levels, shape (n, candidates)."""
        return np.asarray((self.errors / self.units[:, None, None]).mean(axis=0))

    @property
    def own_scores(self) -> Array:
        """Errors in units under the own label, averaged over the noise levels, shape (n,)."""
        return np.asarray((self.own / self.units[:, None]).mean(axis=0))

    @property
    def null_scores(self) -> Array | None:
        """Errors in units under the null condition, averaged over the noise levels, shape (n,)."""
        return None if self.null is None else np.asarray((self.null / self.units[:, None]).mean(axis=0))


def label_errors(subject: Subject) -> LabelErrors:
    """Denoise every example under every candidate, at the levels where labels matter."""
    examples, levels, candidates = subject.data, _levels(subject), _candidates(subject)
    own = np.asarray(examples.classes.cpu())
    rows, means, nulls, spread = [], [], [], 0.0
    for stream, level in enumerate(levels):
        x = examples.noisy(float(level), 300 + stream)
        total, row = torch.zeros_like(x), []
        first = None
        for column in range(candidates.shape[1]):
            condition = torch.as_tensor(candidates[:, column].copy(), device=subject.device)
            denoised = subject.probe.denoise(x, float(level), condition)
            row.append(examples.errors(denoised))
            total += denoised
            first = denoised if first is None else first
            spread = max(spread, float((denoised - first).abs().max()) / float(denoised.abs().max()))
        rows.append(np.stack(row, axis=-1))
        means.append(examples.errors(total / candidates.shape[1]))
        if subject.model.null:
            null = subject.probe.denoise(x, float(level), subject.batch_of(subject.null, len(x)))
            nulls.append(examples.errors(null))
    errors = np.stack(rows)
    column = np.argmax(candidates == own[:, None], axis=1)
    units = np.array([examples.linear_error(float(level)) for level in levels])
    return LabelErrors(
        len(subject.model.labels), levels, units, own, candidates, errors, errors[:, np.arange(len(own)), column],
        np.stack(means), np.stack(nulls) if nulls else None, spread,
    )  # fmt: skip


def _levels(subject: Subject) -> Array:
    """Noise levels at which labels are distinguished: spread over the upper three quarters of those for errors."""
    levels = subject.error_levels()
    upper = levels[len(levels) // 4 :]
    indices = np.linspace(0, len(upper) - 1, min(_LEVELS, len(upper)))
    return np.asarray(upper[np.unique(indices.round().astype(int))])


def _candidates(subject: Subject) -> NDArray[np.int64]:
    """The labels under which each example is denoised: all of a few, or some and the neighbours of the own one."""
    own = np.asarray(subject.data.classes.cpu())
    count = len(subject.model.labels)
    tried = np.broadcast_to(np.array(subject.labels), (len(own), len(subject.labels)))
    if count <= FEW:
        return tried
    around = [(own + shift)[:, None] % count for shift in (-1, 0, 1)]
    return np.concatenate([tried, *around], axis=1)


def with_best_labels(examples: LabelledExamples, errors: LabelErrors) -> LabelledExamples:
    """The examples under the labels that they fit best."""
    wrong = misfits(errors)
    classes = torch.tensor([wrong.get(int(label), int(label)) for label in examples.classes])
    return replace(examples, classes=classes.to(examples.classes.device))


def misfits(errors: LabelErrors) -> dict[int, int]:
    """Classes whose data fit another label better, and which."""
    labels = np.unique(errors.classes)
    # all classes together first: each of them may have too few examples
    for shift in (-1, 1):
        neighbours = (errors.classes + shift) % errors.count
        if errors.count > 1 and _gain(errors, np.ones(len(neighbours), dtype=bool), neighbours) > 0:
            return {int(label): int(label + shift) % errors.count for label in labels}
    wrong: dict[int, int] = {}
    for label in labels:
        rows = errors.classes == label
        gains = {
            int(candidate): _gain(errors, rows, np.full(rows.sum(), candidate))
            for candidate in np.unique(errors.candidates[rows])
        }
        best = max(gains, key=lambda candidate: gains[candidate])
        if gains[best] > 0:
            wrong[int(label)] = best
    return wrong


def _gain(errors: LabelErrors, rows: NDArray[np.bool_], candidate: NDArray[np.int64]) -> float:
    """By how much those examples fit a label better than their own one; 0 if not significantly, or hardly."""
    scores, own = errors.candidate_scores[rows], errors.own_scores[rows]
    columns = np.argmax(errors.candidates[rows] == candidate[:, None], axis=1)
    other = scores[np.arange(rows.sum()), columns]
    gap = paired_difference(own, other)
    differ = float(scores.mean() - other.mean())
    return gap.mean if gap.significant and gap.mean > _SHARE * differ else 0.0
