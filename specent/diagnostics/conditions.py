r"""Questions about conditions on data: does every label denoise its own data best, and what does the null add?

The condition must pay: :math:`E|D_\varnothing - x_0|^2 - E|D_c - x_0|^2 \ge 0`, and half of its integral over the
signal-to-noise ratio is the information that the condition carries about the data, at most the entropy of the labels
(arXiv cs/0412108, 2302.03792). A null condition that was not trained is recognised by what it does where the state
already tells the label: an exact one is there as good as the label, one that knows nothing of the state no better than
the plain average over the labels.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from specent.diagnostics.labelled_data import Examples
from specent.diagnostics.network_probe import Array
from specent.diagnostics.paired_differences import Difference, difference, z_text
from specent.diagnostics.report import Line
from specent.diagnostics.subject import FEW, Subject
from specent.errors import SpecentError

_LEVELS = 5
# noise levels over which information is integrated, and how far they go, in largest deviations of the data
_FINE, _WIDE = 24, 20.0
# standard errors below zero that information cannot have, and bits that rounding makes
_NEGATIVE, _ROUNDED = 4.0, 0.01
# a label must be better than the own one by this share of what labels differ by
_SHARE = 0.25
# excess of the null condition over that of the plain average over labels
NULL_GOOD, NULL_BAD = 0.5, 0.6


@dataclass(frozen=True)
class Errors:
    """Squared errors of every example under several conditions, shape (levels, n, candidates).

    `count` is how many labels the model has; `candidates` (n, candidates) says which were tried, `own` (levels, n)
    holds the errors of the own label, `average` (levels, n) those of the mean over the candidates' denoisers, `null`
    those of the null condition if there is one; `spread` is the largest difference between outputs under two labels,
    relative to their size.
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
    def scores(self) -> tuple[Array, Array]:
        """Errors in units, over all levels: of every candidate (n, candidates), and of the own label (n,)."""
        every = (self.errors / self.units[:, None, None]).mean(axis=0)
        return every, np.asarray((self.own / self.units[:, None]).mean(axis=0))


def _levels(trial: Subject) -> Array:
    """Noise levels at which labels are told apart: spread over the upper three quarters of those for errors."""
    levels = trial.error_levels()[len(trial.error_levels()) // 4 :]
    chosen = np.linspace(0, len(levels) - 1, min(_LEVELS, len(levels)))
    return np.asarray(levels[np.unique(chosen.round().astype(int))])


def _candidates(trial: Subject, examples: Examples) -> NDArray[np.int64]:
    """The labels under which each example is denoised: all of a few, or some and the neighbours of the own one."""
    own = np.asarray(examples.classes.cpu())
    count = len(trial.model.labels)
    tried = np.broadcast_to(np.array(trial.labels), (len(own), len(trial.labels)))
    if count <= FEW:
        return tried
    around = [(own + shift)[:, None] % count for shift in (-1, 0, 1)]
    return np.concatenate([tried, *around], axis=1)


def cost(trial: Subject) -> int:
    """How many states `errors` denoises."""
    examples = _needed(trial)
    width = int(_candidates(trial, examples).shape[1]) + int(trial.model.null)
    return len(examples) * len(_levels(trial)) * width


def errors(trial: Subject) -> Errors:
    """Denoise every example under every candidate, at the levels where labels matter."""
    examples, levels = _needed(trial), _levels(trial)
    candidates = _candidates(trial, examples)
    own = np.asarray(examples.classes.cpu())
    rows, means, nulls, spread = [], [], [], 0.0
    for stream, level in enumerate(levels):
        x = examples.noisy(float(level), 300 + stream)
        total, row = torch.zeros_like(x), []
        first = None
        for column in range(candidates.shape[1]):
            condition = torch.as_tensor(candidates[:, column].copy(), device=trial.device)
            denoised = trial.probe.denoise(x, float(level), condition)
            row.append(examples.errors(denoised))
            total += denoised
            first = denoised if first is None else first
            spread = max(spread, float((denoised - first).abs().max()) / float(denoised.abs().max()))
        rows.append(np.stack(row, axis=-1))
        means.append(examples.errors(total / candidates.shape[1]))
        if trial.model.null:
            nulls.append(examples.errors(trial.probe.denoise(x, float(level), trial.repeated(trial.null, len(x)))))
    found = np.stack(rows)
    column = np.argmax(candidates == own[:, None], axis=1)
    units = examples.size * levels**2 * examples.variance / (levels**2 + examples.variance)
    return Errors(
        len(trial.model.labels), levels, units, own, candidates, found, found[:, np.arange(len(own)), column],
        np.stack(means), np.stack(nulls) if nulls else None, spread,
    )  # fmt: skip


def _needed(trial: Subject) -> Examples:
    if trial.examples is None:
        raise SpecentError("errors need images")
    return trial.examples


def labels(trial: Subject, found: Errors) -> Line:
    """Whether the data of every class are denoised best under their own label."""
    if len(trial.model.labels) < 2:
        return Line("labels", "skip", "there is one label only")
    if found.spread < 1e-6:
        return Line(
            "labels", "fail", f"outputs under different labels differ by {found.spread:.1g} of their size at most",
            "the condition is not handed to the network",
            "use the third argument, condition, in net(x, time, condition)",
        )  # fmt: skip
    scores, own = found.scores
    wrong = misfits(found)
    gap = difference(scores.mean(axis=1), own)
    figure = f"under the average label the error is {scores.mean():.3g}, under the own one {own.mean():.3g}"
    if wrong:
        names = [f"data labelled {trial.name(a)} fit condition {trial.name(b)}" for a, b in list(wrong.items())[:4]]
        more = f" and {len(wrong) - 4} more" if len(wrong) > 4 else ""
        cause, hint = _pattern(trial, wrong)
        return Line("labels", "fail", f"{'; '.join(names)}{more}; {figure}", cause, hint)
    if gap.significant:
        return Line("labels", "pass", f"{figure}: less by {z_text(gap.z)}; no class prefers another label")
    return Line(
        "labels", "warn", f"{figure}: no significant difference ({z_text(gap.z)})",
        "the labels hardly matter to the network, or the images are too few", "give more images",
    )  # fmt: skip


def relabelled(examples: Examples, found: Errors) -> Examples:
    """The examples under the labels that they fit best."""
    wrong = misfits(found)
    classes = torch.tensor([wrong.get(int(label), int(label)) for label in examples.classes])
    return replace(examples, classes=classes.to(examples.classes.device))


def misfits(found: Errors) -> dict[int, int]:
    """Classes whose data fit another label better, and which."""
    labels = np.unique(found.classes)
    # all classes together first: each of them may have too few examples
    for shift in (-1, 1):
        moved = (found.classes + shift) % found.count
        if found.count > 1 and _gain(found, np.ones(len(moved), dtype=bool), moved) > 0:
            return {int(label): int(label + shift) % found.count for label in labels}
    wrong: dict[int, int] = {}
    for label in labels:
        rows = found.classes == label
        gains = {
            int(candidate): _gain(found, rows, np.full(rows.sum(), candidate))
            for candidate in np.unique(found.candidates[rows])
        }
        best = max(gains, key=lambda candidate: gains[candidate])
        if gains[best] > 0:
            wrong[int(label)] = best
    return wrong


def _gain(found: Errors, rows: NDArray[np.bool_], candidate: NDArray[np.int64]) -> float:
    """By how much those examples fit a label better than their own one; 0 if not significantly, or hardly."""
    scores, own = found.scores
    columns = np.argmax(found.candidates[rows] == candidate[:, None], axis=1)
    other = scores[rows][np.arange(rows.sum()), columns]
    gap = difference(own[rows], other)
    differ = float(scores[rows].mean() - other.mean())
    return gap.mean if gap.significant and gap.mean > _SHARE * differ else 0.0


def _pattern(trial: Subject, wrong: dict[int, int]) -> tuple[str, str]:
    """What the misfits have in common."""
    count = len(trial.model.labels)
    shifts = {(b - a) % count for a, b in wrong.items()}
    if len(wrong) > 2 and len(shifts) == 1:
        shift = shifts.pop()
        shift = shift if shift <= count // 2 else shift - count
        return (
            f"conditions are shifted by {shift}: the network's index is the label's plus {shift}".replace(
                "plus -", "minus "
            ),
            f"hand it condition {'+' if shift > 0 else '-'} {abs(shift)}, or start counting labels where it does",
        )
    if all(wrong.get(b) == a for a, b in wrong.items()):
        pairs = {tuple(sorted(pair)) for pair in wrong.items()}
        text = ", ".join(f"{trial.name(a)} and {trial.name(b)}" for a, b in sorted(pairs))
        return f"the conditions {text} are swapped", "give labels in the order in which the network was trained"
    return (
        "labels and conditions are in another order", "give labels in the order in which the network was trained"
    )  # fmt: skip


@dataclass(frozen=True)
class Payment:
    """Squared errors under the own label and under the null condition, at ascending noise levels, (levels, n)."""

    levels: Array
    own: Array
    null: Array


def _wide_levels(trial: Subject) -> Array:
    """Noise levels evenly over the logarithm, from where every label is known to where none is."""
    top = float(_needed(trial).spectrum[0]) ** 0.5
    low = float(trial.error_levels()[0])
    return trial.probe.levels(low, min(trial.high, max(_WIDE * top, 4 * low)), _FINE)


def payment_cost(trial: Subject) -> int:
    """How many states `payment` denoises."""
    return 2 * len(_needed(trial)) * len(_wide_levels(trial)) if trial.model.null else 0


def payment(trial: Subject) -> Payment:
    """Denoise every example with its label and without, over the whole range of noise levels."""
    examples, levels = _needed(trial), _wide_levels(trial)
    own, null = [], []
    for stream, level in enumerate(levels):
        x = examples.noisy(float(level), 500 + stream)
        own.append(examples.errors(trial.probe.denoise(x, float(level), examples.classes)))
        null.append(examples.errors(trial.probe.denoise(x, float(level), trial.repeated(trial.null, len(x)))))
    return Payment(levels, np.stack(own), np.stack(null))


def pays(trial: Subject, found: Errors, paid: Payment | None) -> Line:
    """Whether the condition lowers the error, and what it tells, in bits."""
    if found.null is None or paid is None:
        why = "the model has no null condition to compare with" if found.null is None else "not asked"
        return Line("condition", "skip", why)
    gap = difference((found.null / found.units[:, None]).mean(axis=0), (found.own / found.units[:, None]).mean(axis=0))
    bits = information(paid)
    known = np.asarray(trial.model.label_prior)[list(trial.labels)]
    most = float(-(known / known.sum() * np.log2(known / known.sum())).sum())
    figure = (
        f"the label lowers the error by {gap.mean:.3g} ({z_text(gap.z)}); from noise level {paid.levels[0]:.3g} to "
        f"{paid.levels[-1]:.3g} that is {bits.mean:.2f} ± {bits.error:.2f} bit, of {most:.2f} bit in the labels"
    )
    better = (gap.mean < 0 and difference(*_pair(found)).significant) or found.spread < 1e-6
    if better or (bits.mean < -_ROUNDED and bits.below(_NEGATIVE)):
        return Line(
            "condition", "fail", figure, "the null condition is better than the right label: conditions are mixed up",
            "fix the line 'labels'; check that index K is the null condition and not a label",
        )  # fmt: skip
    if bits.error > max(0.5 * most, _ROUNDED) and not abs(bits.z) > _NEGATIVE:
        return Line(
            "condition", "skip", f"{figure}: drowned by its own error",
            hint="give more images if you want this settled; or keep levels= to those that the network is good at",
        )  # fmt: skip
    if bits.mean > most + 4 * bits.error:
        figure += ". What exceeds it is error of the null condition: the estimator 'null' will fall below zero"
    return Line("condition", "pass", figure)


def _pair(found: Errors) -> tuple[Array, Array]:
    assert found.null is not None
    units = found.units[:, None]
    return (found.own / units).mean(axis=0), (found.null / units).mean(axis=0)


def information(paid: Payment) -> Difference:
    """Half the integral over the signal-to-noise ratio of what the label lowers the error by, in bits."""
    # in the logarithm of the noise level, of which twice is that of the ratio
    gain = (paid.null - paid.own) * paid.levels[:, None] ** -2
    each = np.trapezoid(gain, np.log(paid.levels), axis=0) / np.log(2)
    return difference(each, np.zeros_like(each))


def null_on_data(found: Errors) -> Line:
    """Whether the null condition is any better than the plain average over labels."""
    assert found.null is not None
    weight = found.levels[:, None] ** -2
    null, average = (((part - found.own) * weight).mean(axis=0) for part in (found.null, found.average))
    gap = difference(null, average)
    share = float(null.mean() / average.mean()) if average.mean() > 0 else np.nan
    figure = f"its excess over the right label is {share:.2f} of that of the plain average over labels"
    return judged_null(share, gap.significant, figure, "on images")


def judged_null(share: float, worse: bool, figure: str, where: str) -> Line:
    """The verdict on the null condition, by its excess relative to the average over labels."""
    if worse:
        return Line(
            "null", "fail", f"{figure}, {where}",
            "the null condition was not trained: index K leads to an embedding that was never used, or to zeros",
            "say null=False; or use the network that was trained without labels under index K",
        )  # fmt: skip
    if not share <= NULL_GOOD:
        return Line(
            "null", "warn", f"{figure}, {where}",
            "the null condition is poorly trained, or these labels are few of many",
            "do not use the estimator 'null', and take guided runs with care",
        )  # fmt: skip
    return Line("null", "pass", f"{figure}, {where}")
