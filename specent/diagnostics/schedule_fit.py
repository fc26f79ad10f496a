r"""Errors on data on every usual schedule: was the network trained on another one than it is declared to be?

A schedule couples a noise level :math:`\sigma/\alpha` with a scale of the state and with a time. At the same noise
level the network is handed the state and the time of every usual schedule (arXiv 2006.11239, 2102.09672, 2206.00364,
2210.02747) in turn, and its output is read as every prediction type: the pair it was trained with denoises best.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from specent.diagnostics.labelled_data import Array, LabelledExamples
from specent.diagnostics.paired_differences import PairedDifference, mostly_smaller, paired_difference
from specent.diagnostics.readings import MOST, SIGNED_PREDICTIONS, USELESS, ReadingErrors, input_scales, read_output
from specent.diagnostics.subject import Subject
from specent.errors import SpecentError
from specent.schedules import DDPM, VE, VP, FlowMatching, Schedule

_LEVELS = 6
_MOST_EXAMPLES = 256
# how far from each other, in logarithms, two neighbouring noise levels may be moved to meet whole times of both
_WINDOW = 0.15
# by how much, relatively, another schedule must be better before the declared one is called wrong
_BETTER = 0.03
_STEPS = 1000


@dataclass(frozen=True)
class ScheduleFit:
    """Errors in units on one schedule, and those on the declared one beside it.

    Parameters
    ----------
    schedule : Schedule
        The schedule that was tried.
    prediction : str
        The prediction type that fits best on it.
    by_prediction : dict of str to ndarray, shape (levels, n)
        Errors under every prediction type.
    declared_errors : ndarray, shape (levels, n)
        Errors under the best reading on the declared schedule.
    """

    schedule: Schedule
    prediction: str
    by_prediction: dict[str, Array]
    declared_errors: Array

    @property
    def errors(self) -> Array:
        """Errors of the prediction type that fits best, shape (levels, n)."""
        return self.by_prediction[self.prediction]

    @property
    def gap(self) -> PairedDifference:
        """By how much the declared schedule is worse, at its best reading."""
        return paired_difference(self.declared_errors.mean(axis=0), self.errors.mean(axis=0))

    @property
    def ratio(self) -> float:
        """The error relative to that on the declared schedule."""
        return float(self.errors.mean() / max(self.declared_errors.mean(), 1e-300))

    @property
    def better(self) -> bool:
        """Whether the network was trained on this schedule rather than on the declared one."""
        clear = self.ratio < 1 - _BETTER and self.errors.mean() < USELESS
        return clear and self.gap.significant and mostly_smaller(self.declared_errors, self.errors)


def schedule_fits(subject: Subject, examples: LabelledExamples, readings: ReadingErrors) -> tuple[ScheduleFit, ...]:
    """The network on every usual schedule that it can be called on, the best first.

    As a wrong schedule may have chosen the labels that fit best, the given ones are tried too.
    """
    trials = [_fits(subject, examples, readings)]
    if subject.examples is not None and not examples.classes.equal(subject.examples.classes):
        trials.append(_fits(subject, subject.examples, readings))
    return min(trials, key=_least_error)


def better_schedule(fits: Sequence[ScheduleFit]) -> ScheduleFit | None:
    """The schedule that the network was trained on, if that is not the declared one."""
    return next((fit for fit in fits if fit.better), None)


def usual_schedules(declared: Schedule) -> list[Schedule]:
    """The schedules that networks are trained on, without the declared one.

    Examples
    --------
    >>> [schedule.name for schedule in usual_schedules(VE())]
    ['ddpm', 'ddpm', 'ddpm', 'vp', 'flow_matching']
    """
    steps = _STEPS if declared.whole_times is None else len(declared.whole_times)
    known: list[Schedule] = [VE(), VP(), FlowMatching()]
    for betas in ("cosine", "scaled_linear", "linear"):
        try:
            known.insert(0, DDPM(betas, steps))
        except SpecentError:
            continue  # so many steps leave no signal
    return [schedule for schedule in known if schedule != declared]


def _fits(subject: Subject, examples: LabelledExamples, readings: ReadingErrors) -> tuple[ScheduleFit, ...]:
    few = examples.first(_MOST_EXAMPLES)
    fits = [_fit(subject, few, readings, schedule) for schedule in usual_schedules(subject.probe.schedule)]
    return tuple(sorted((fit for fit in fits if fit is not None), key=lambda fit: fit.ratio))


def _fit(
    subject: Subject, examples: LabelledExamples, readings: ReadingErrors, schedule: Schedule
) -> ScheduleFit | None:
    """One schedule beside the declared one; None if the network cannot be called at its times."""
    probe = subject.probe
    if probe.integer_times and schedule.whole_times is None:
        return None
    errors: dict[str, list[Array]] = {prediction: [] for prediction in SIGNED_PREDICTIONS}
    declared = []
    for stream, (time, level, near) in enumerate(_neighbours(subject, schedule)):
        x = examples.noisy(level, 400 + stream)
        alpha = float(schedule.alpha(time))
        try:
            output = probe.output(alpha * x, time, examples.classes)
        except SpecentError:
            return None  # the network knows no such time
        for prediction in SIGNED_PREDICTIONS:
            errors[prediction].append(_errors_in_units(examples, level, prediction, output, alpha * x, alpha))
        x, point = examples.noisy(near, 400 + stream), probe.point(near)
        scale, prediction = readings.best
        alpha = input_scales(point).get(scale, point.alpha)
        output = probe.output(alpha * x, point.time, examples.classes)
        declared.append(_errors_in_units(examples, near, prediction, output, alpha * x, alpha))
    if len(declared) < 2:
        return None
    by_prediction = {prediction: np.stack(rows) for prediction, rows in errors.items()}
    return ScheduleFit(
        schedule, _best_prediction(by_prediction, probe.prediction), by_prediction, np.stack(declared)
    )  # fmt: skip


def _neighbours(subject: Subject, schedule: Schedule) -> list[tuple[float, float, float]]:
    """Times of a schedule with their noise levels, and those of the declared schedule that are nearest to them."""
    own, probe = subject.probe.schedule, subject.probe
    ends = subject.error_levels()
    targets = np.geomspace(ends[0], ends[-1], _LEVELS)
    known = probe.known_levels if own.whole_times is None else own.noise_level(own.whole_times)
    times = schedule.whole_times
    if times is None:
        times = np.asarray(schedule.time(-2 * np.log(targets if known is None else known)))
    levels = schedule.noise_level(times)
    least, most = probe.range
    usable = (levels >= least) & (levels <= most)
    if subject.device.type != "cpu":
        # an index out of range on a GPU is the end of the process
        usable &= (times >= own.time_range[0]) & (times <= own.time_range[1])
    times, levels = times[usable], levels[usable]
    if not len(times):
        return []
    near = levels if known is None else known[np.abs(np.log(levels[:, None] / known)).argmin(axis=1)]
    return [(float(times[i]), float(levels[i]), float(near[i])) for i in _closest(levels, near, targets)]


def _closest(levels: Array, near: Array, targets: Array) -> list[int]:
    """The index about every target where the noise levels of both schedules are closest."""
    apart, off = np.abs(np.log(levels / near)), np.abs(np.log(levels / targets[:, None]))
    rows = [row for row in off if row.min() <= _WINDOW]
    return sorted({int(np.argmin(np.where(row <= _WINDOW, apart + 1e-6 * row, np.inf))) for row in rows})


def _errors_in_units(
    examples: LabelledExamples, level: float, prediction: str, output: Tensor, state: Tensor, alpha: float
) -> Array:
    """Errors in units of a linear denoiser's, shape (n,)."""
    data = torch.nan_to_num(read_output(prediction, output, state, alpha, alpha * level), nan=float("inf"))
    shares = examples.errors(data) / examples.linear_error(level)
    return np.asarray(np.minimum(np.nan_to_num(shares, nan=MOST), MOST))


def _best_prediction(errors: dict[str, Array], declared: str) -> str:
    """The prediction type that fits best, the declared one unless another is better beyond noise."""
    smallest = min(errors, key=lambda prediction: float(errors[prediction].mean()))
    gap = paired_difference(errors[declared].mean(axis=0), errors[smallest].mean(axis=0))
    return smallest if gap.significant else declared


def _least_error(fits: Sequence[ScheduleFit]) -> float:
    """The smallest error on any schedule, the declared one among them."""
    return min((float(min(fit.declared_errors.mean(), fit.errors.mean())) for fit in fits), default=np.inf)
