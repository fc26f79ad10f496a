r"""How much does the label lower the error, and how many bits is that?

The condition must help: :math:`E|D_\varnothing - x_0|^2 - E|D_c - x_0|^2 \ge 0`, and half of its integral over the
signal-to-noise ratio is the information that the condition carries about the data, at most the entropy of the labels
(arXiv cs/0412108, 2302.03792).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from specent.diagnostics.checks.contract import FINITE, IMAGES, LABEL_ERRORS, RIGHT_LABELS, RIGHT_READING, Check, Need
from specent.diagnostics.findings import Findings
from specent.diagnostics.labelled_data import Array
from specent.diagnostics.paired_differences import PairedDifference, paired_difference, z_text
from specent.diagnostics.report import Line
from specent.diagnostics.subject import Subject

# noise levels over which information is integrated, and how far they go, in largest deviations of the data
_LEVELS, _WIDE = 24, 20.0
# standard errors below zero that information cannot have, and bits that rounding makes
_NEGATIVE, _ROUNDING = 4.0, 0.01


@dataclass(frozen=True)
class OwnAndNullErrors:
    """Squared errors under the own label and under the null condition, at ascending noise levels, (levels, n)."""

    levels: Array
    own: Array
    null: Array

    @property
    def information(self) -> PairedDifference:
        """Half the integral over the signal-to-noise ratio of what the label lowers the error by, in bits."""
        # in the logarithm of the noise level, twice which is that of the ratio
        gain = (self.null - self.own) * self.levels[:, None] ** -2
        bits = np.trapezoid(gain, np.log(self.levels), axis=0) / np.log(2)
        return paired_difference(bits, np.zeros_like(bits))


def own_and_null_errors(subject: Subject) -> OwnAndNullErrors:
    """Denoise every example with its label and without, from where every label is known to where none is."""
    examples = subject.data
    low, top = float(subject.error_levels()[0]), float(examples.spectrum[0]) ** 0.5
    levels = subject.probe.levels(low, min(subject.high, max(_WIDE * top, 4 * low)), _LEVELS)
    own, null = [], []
    for stream, level in enumerate(levels):
        x = examples.noisy(float(level), 500 + stream)
        own.append(examples.errors(subject.probe.denoise(x, float(level), examples.classes)))
        unconditional = subject.batch_of(subject.null, len(x))
        null.append(examples.errors(subject.probe.denoise(x, float(level), unconditional)))
    return OwnAndNullErrors(levels, np.stack(own), np.stack(null))


def _judge(findings: Findings, wide: OwnAndNullErrors) -> Line:
    """Whether the condition lowers the error, and what it tells, in bits."""
    errors = findings.label_errors.value
    assert errors.null_scores is not None
    gap = paired_difference(errors.null_scores, errors.own_scores)
    bits = wide.information
    prior = np.asarray(findings.model.label_prior)[list(findings.labels)]
    most = float(-(prior / prior.sum() * np.log2(prior / prior.sum())).sum())
    figure = (
        f"the label lowers the error by {gap.mean:.3g} ({z_text(gap.z)}); from noise level {wide.levels[0]:.3g} to "
        f"{wide.levels[-1]:.3g} that is {bits.mean:.2f} ± {bits.error:.2f} bit, of {most:.2f} bit in the labels"
    )
    opposite = paired_difference(errors.own_scores, errors.null_scores)
    better = (gap.mean < 0 and opposite.significant) or errors.spread < 1e-6
    if better or (bits.mean < -_ROUNDING and bits.below(_NEGATIVE)):
        return Line(
            "condition", "fail", figure, "the null condition is better than the right label: conditions are mixed up",
            "fix the line 'labels'; check that index K is the null condition and not a label",
        )  # fmt: skip
    if bits.error > max(0.5 * most, _ROUNDING) and not abs(bits.z) > _NEGATIVE:
        return Line(
            "condition", "skip", f"{figure}: its own error is larger than that",
            hint="give more images if you want this settled; or keep levels= to those that the network is good at",
        )  # fmt: skip
    if bits.mean > most + 4 * bits.error:
        figure += ". What exceeds it is error of the null condition: the estimator 'null' will fall below zero"
    return Line("condition", "pass", figure)


_NULL = Need(lambda findings, lines: findings.model.null, "the model has no null condition to compare with")

CONDITION = Check(
    "condition",
    own_and_null_errors,
    _judge,
    needs=(FINITE, IMAGES, RIGHT_READING, LABEL_ERRORS, _NULL),
    presumes=(RIGHT_LABELS,),
)
