r"""Errors on data under every reading of a network's outputs: prediction types, and scales of its states.

The right reading minimises :math:`E|D - x_0|^2`, so every other one must be worse (arXiv 2206.00364). Errors are
counted in units of :math:`\sigma^2 v/(\sigma^2 + v)`, those of a linear denoiser of data with variance v, so that all
noise levels count alike; comparisons are paired, over the same states.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
from torch import Tensor

from specent.diagnostics.labelled_data import Array, LabelledExamples
from specent.diagnostics.network_probe import SchedulePoint
from specent.diagnostics.paired_differences import PairedDifference, mostly_smaller, paired_difference
from specent.diagnostics.subject import Subject
from specent.models.predictions import PREDICTIONS, to_data

MOST = 100.0
"""No single state counts for more than this many linear denoisers' errors."""

SIGNED_PREDICTIONS = (*PREDICTIONS, "-noise", "-v", "-score", "-velocity")
"""Prediction types that are tried; an output may be of the opposite sign, a flow from noise to data for instance."""

USELESS = 1.1
"""Beyond this share of the error of a linear denoiser, a reading does not denoise."""

OWN_SCALE = "the network's own schedule"
EDM_SCALE = "x_0 + sigma noise (EDM, VE)"
PRESERVING_SCALE = "variance-preserving (DDPM, VP)"
FLOW_SCALE = "flow matching"

_SCALES: dict[str, Callable[[float], float]] = {
    EDM_SCALE: lambda level: 1.0,
    PRESERVING_SCALE: lambda level: (1 + level**2) ** -0.5,
    FLOW_SCALE: lambda level: 1 / (1 + level),
}
# by how much, relatively, another reading must be better before the declared one is called wrong
_BETTER = 0.1
# how often an unsettled comparison is tried with other noise, at most, and with how many numbers in all
_ROUNDS, _NUMBERS = 8, 2**18


class Reading(NamedTuple):
    """How the states of a network are scaled, and what its outputs are taken for."""

    scale: str
    prediction: str


@dataclass(frozen=True)
class ReadingErrors:
    """Squared errors under every reading of a network.

    Parameters
    ----------
    levels : ndarray, shape (levels,)
        Noise levels.
    units : ndarray, shape (levels,)
        Error of a linear denoiser at each.
    size : int
        How many numbers one image has.
    errors : dict of Reading to ndarray, shape (levels, n)
        Error of every image.
    declared : Reading
        The reading that the adapter declares.
    rounds : int
        Over how many draws of noise the errors are averaged.
    """

    levels: Array
    units: Array
    size: int
    errors: dict[Reading, Array]
    declared: Reading
    rounds: int = 1

    def in_units(self, reading: Reading) -> Array:
        """Errors in units, none larger than `MOST`, shape (levels, n)."""
        return np.asarray(np.minimum(self.errors[reading] / self.units[:, None], MOST))

    def mean(self, reading: Reading) -> Array:
        """Error of every image in units, averaged over the noise levels, shape (n,)."""
        return np.asarray(self.in_units(reading).mean(axis=0))

    def total(self, reading: Reading) -> float:
        """The mean over all images and noise levels, in units."""
        return float(self.mean(reading).mean())

    @property
    def useless(self) -> bool:
        """Whether no reading denoises as well as a linear filter."""
        return self.total(self.best) > USELESS

    @cached_property
    def best(self) -> Reading:
        """The reading with the smallest error, the declared one if none is significantly better."""
        smallest = min(self.errors, key=self.total)
        # of two things that may be wrong, neither is called so if the other explains it all
        for rival in (
            self.declared,
            smallest._replace(scale=self.declared.scale),
            smallest._replace(prediction=self.declared.prediction),
        ):
            if not self._better(smallest, rival):
                return rival
        return smallest

    def _better(self, reading: Reading, than: Reading) -> bool:
        """Whether a reading is significantly better than another, and not by little at few noise levels only."""
        if not paired_difference(self.mean(than), self.mean(reading)).significant:
            return False
        # at some noise levels a poor network may be better when it is misread
        clear = self.total(reading) < (1 - _BETTER) * self.total(than)
        return clear or mostly_smaller(self.in_units(than), self.in_units(reading))

    def comparison(self, part: int) -> tuple[Reading, Reading, PairedDifference]:
        """The declared scale (part 0) or prediction type (1), the rival nearest to it, and the difference.

        The other part is at its best.
        """
        pairs = (self.best._replace(scale=self.declared.scale), self.best._replace(prediction=self.declared.prediction))
        declared = pairs[part]
        rivals = [
            reading for reading in self.errors if reading[1 - part] == self.best[1 - part] and reading != declared
        ]
        nearest = min(rivals, key=self.total, default=declared) if self.best[part] == declared[part] else self.best
        return declared, nearest, paired_difference(self.mean(nearest), self.mean(declared))

    @property
    def settled(self) -> bool:
        """Whether more noise would change nothing."""
        numbers = len(self.mean(self.declared)) * self.size
        if self.rounds >= min(_ROUNDS, max(1, _NUMBERS // numbers)) or self.best != self.declared:
            return True
        return all(gap.significant or nearest == declared for declared, nearest, gap in map(self.comparison, (0, 1)))

    def averaged_with(self, other: ReadingErrors) -> ReadingErrors:
        """The mean over the noise of both."""
        total = self.rounds + other.rounds
        errors = {
            reading: (self.rounds * value + other.rounds * other.errors[reading]) / total
            for reading, value in self.errors.items()
        }
        return replace(self, errors=errors, rounds=total)


def reading_errors(subject: Subject, examples: LabelledExamples) -> ReadingErrors:
    """Errors under every reading, as often, with other noise, as it takes to distinguish them, within limits.

    As a wrong reading may have chosen the labels that fit best, the given ones are tried too.
    """
    errors = _settled_errors(subject, examples)
    if errors.best == errors.declared or subject.examples is None or examples.classes.equal(subject.examples.classes):
        return errors
    return min(errors, _settled_errors(subject, subject.examples), key=lambda each: each.total(each.best))


def _settled_errors(subject: Subject, examples: LabelledExamples) -> ReadingErrors:
    errors = _one_round(subject, examples, 0)
    while not errors.settled:
        errors = errors.averaged_with(_one_round(subject, examples, errors.rounds))
    return errors


def _one_round(subject: Subject, examples: LabelledExamples, number: int) -> ReadingErrors:
    """Denoise every example at every level, with the state in every scale, and read the output in every way."""
    levels = subject.error_levels()
    points = [subject.probe.point(float(level)) for level in levels]
    names = {name for point in points for name in input_scales(point)}
    readings = [
        Reading(scale, prediction)
        for scale in (OWN_SCALE, *_SCALES)
        if scale in names
        for prediction in SIGNED_PREDICTIONS
    ]
    errors: dict[Reading, list[Array]] = {reading: [] for reading in readings}
    for stream, point in enumerate(points):
        x = examples.noisy(point.level, 1000 * number + stream)
        alphas = input_scales(point)
        outputs = {
            name: subject.probe.output(alpha * x, point.time, examples.classes) for name, alpha in alphas.items()
        }
        for reading in readings:
            # where two scales are the same, so are their outputs
            name = reading.scale if reading.scale in outputs else OWN_SCALE
            alpha = alphas[name]
            data = read_output(reading.prediction, outputs[name], alpha * x, alpha, alpha * point.level)
            errors[reading].append(examples.errors(data))
    units = np.array([examples.linear_error(point.level) for point in points])
    finite = {reading: np.nan_to_num(np.stack(rows), nan=np.inf) for reading, rows in errors.items()}
    return ReadingErrors(levels, units, examples.size, finite, Reading(OWN_SCALE, subject.probe.prediction))


def read_output(prediction: str, output: Tensor, state: Tensor, alpha: float, sigma: float) -> Tensor:
    """The denoised data of an output, which may be of the opposite sign."""
    signed = -output if prediction.startswith("-") else output
    return to_data(prediction.removeprefix("-"), signed, state, alpha, sigma)


def input_scales(point: SchedulePoint) -> dict[str, float]:
    """What the state ``x_0 + level * noise`` may be multiplied by, the declared scale first, each once."""
    factors = {OWN_SCALE: point.alpha}
    for name, scale in _SCALES.items():
        if abs(scale(point.level) / point.alpha - 1) > 0.01:
            factors[name] = scale(point.level)
    return factors
