"""Is the network told the right time? Every other time must make it denoise worse (arXiv 2206.00364).

A step of a discrete schedule is a large part of the noise where there is little of it, so that is where a time off by
one shows. On a schedule without steps the best offset of the noise level is found by a parabola through three of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from specent.diagnostics.fitting import MOST, Fits, needed, read, scales
from specent.diagnostics.labelled_data import Examples
from specent.diagnostics.network_probe import Array, SchedulePoint
from specent.diagnostics.paired_differences import difference, mostly_smaller, z_text
from specent.diagnostics.report import Line
from specent.diagnostics.subject import Subject
from specent.errors import SpecentError

_STEPS = (1, 2, 3, 4, 6, 8, 12, 16)
_SHIFT = 0.1
# offsets of the noise level, in logarithms: up to the first all is well, beyond the second it is not
_OFFSETS = (0.1, 0.3)
# standard errors by which a parabola must be bent, and noise levels at which it must be
_CURVED = 6.0
_FEWEST = 3
# standard errors by which another time is better, and the share of the error it leaves, that no poor network explains
_FAR = (20.0, 0.7)


def time_cost(trial: Subject) -> int:
    """How many states `time` denoises at most."""
    return 3 * len(needed(trial)) * (len(_steps(trial)) if trial.probe.has_steps else len(trial.error_levels()))


def time(trial: Subject, examples: Examples, fit: Fits) -> Line:
    """Whether the network is told the right time: a shift must make it worse, in the reading that fits best."""
    if fit.useless:
        return Line("time", "skip", "the network does not denoise", hint="fix the line 'denoising' first")
    told = _Told(trial, examples, fit.best)
    return _whole_time(told) if trial.probe.has_steps else _real_time(told)


def _steps(trial: Subject) -> list[int]:
    """Early times, where one step changes the noise most, with neighbours on both sides."""
    low, high = trial.probe.schedule.time_range
    return [step for step in _STEPS if low <= step - 1 and step + 1 <= high]


@dataclass(frozen=True)
class _Told:
    """Examples that are denoised with the network told other times."""

    trial: Subject
    examples: Examples
    reading: tuple[str, str]

    def errors(self, place: SchedulePoint, times: Sequence[float], stream: int) -> list[Array]:
        """Errors at one noise level with each of the times handed over, in units, each of shape (n,)."""
        x, size, variance = self.examples.noisy(place.level, stream), self.examples.size, self.examples.variance
        unit = size * place.level**2 * variance / (place.level**2 + variance)
        scale, prediction = self.reading
        alpha = scales(place).get(scale, place.alpha)
        made = []
        for moment in times:
            output = self.trial.probe.output(alpha * x, moment, self.examples.classes)
            data = read(prediction, output, alpha * x, alpha, alpha * place.level)
            made.append(np.minimum(np.nan_to_num(self.examples.errors(data), nan=np.inf) / unit, MOST))
        return made


def _whole_time(told: _Told) -> Line:
    """Shift the time by one step: at little noise that is a large part of the noise."""
    trial = told.trial
    steps = _steps(trial)
    if not steps:
        return Line("time", "skip", "the schedule has too few steps to shift one")
    rows = []
    for number, step in enumerate(steps):
        level = float(trial.probe.schedule.noise_level(float(step)))
        place = trial.probe.point(level)
        rows.append(told.errors(place, [step - 1, step, step + 1], 200 + number))
    errors = np.array(rows)  # steps, shifts, examples
    early, right, late = (errors[:, i].mean(axis=0) for i in range(3))
    gaps = {"earlier": difference(early, right), "later": difference(late, right)}
    figure = (
        f"error {right.mean():.4g} as declared, {early.mean():.4g} one step earlier, {late.mean():.4g} one step later"
    )
    if all(gap.significant for gap in gaps.values()):
        return Line("time", "pass", f"{figure}: more by {z_text(min(gap.z for gap in gaps.values()))}")
    side = min(gaps, key=lambda name: gaps[name].mean)
    if not difference(right, early if side == "earlier" else late).significant:
        return Line(
            "time", "skip", f"{figure}: no significant difference, these images do not resolve one step",
            hint="give more or sharper images if you want this settled",
        )  # fmt: skip
    figure = f"{figure}: less by {z_text(-gaps[side].z)}"
    moved = errors[:, 0 if side == "earlier" else 2]
    if mostly_smaller(errors[:, 1], moved) and mostly_smaller(
        _beyond(told, steps, -2 if side == "earlier" else 2), moved
    ):
        return Line(
            "time", "fail", figure, f"the network was trained with times one step {side} than those it is handed",
            f"hand it time {'- 1' if side == 'earlier' else '+ 1'}: its first time is "
            f"{'one less' if side == 'earlier' else 'one more'} than that of the schedule",
        )  # fmt: skip
    if -gaps[side].z > _FAR[0] and moved.mean() < _FAR[1] * right.mean():
        return Line(
            "time", "fail", figure, "the clock of the network is not the declared one",
            "give the schedule that it was trained on: schedule=specent.schedules.DDPM(betas) with its own betas",
        )  # fmt: skip
    return Line(
        "time", "warn", figure,
        "the network is poorly fitted at little noise: another time is better at some noise levels only, or one two "
        "steps away better still",
        "do not read anything into the smallest noise levels",
    )  # fmt: skip


def _beyond(told: _Told, steps: Sequence[int], shift: int) -> Array:
    """Errors with times further off, shape (steps, n): if they were off by one, these are as bad as no shift."""
    rows = []
    low, high = told.trial.probe.schedule.time_range
    for number, step in enumerate(steps):
        place = told.trial.probe.point(float(told.trial.probe.schedule.noise_level(float(step))))
        moment = min(max(step + shift, low), high)
        rows.append(told.errors(place, [moment], 200 + number)[0])
    return np.array(rows)


def _real_time(told: _Told) -> Line:
    """The offset of the noise level, told to the network, at which it would be best: a parabola through three."""
    trial = told.trial
    offsets, errors = [], []
    for number, level in enumerate(trial.error_levels()):
        place = trial.probe.point(float(level))
        try:
            near = [float(trial.probe.schedule.time(-2 * (np.log(level) + shift))) for shift in (-_SHIFT, _SHIFT)]
            low, middle, high = told.errors(place, [near[0], place.time, near[1]], 200 + number)
        except SpecentError:
            continue  # at the end of what the network knows
        slope, bend = (high - low) / (2 * _SHIFT), (high + low - 2 * middle) / _SHIFT**2
        # a parabola whose curvature is not known well has its lowest point anywhere
        if difference(bend, np.zeros_like(bend)).z < _CURVED:
            continue
        offset = -slope.mean() / bend.mean()
        error = (slope + offset * bend).std(ddof=1) / len(slope) ** 0.5 / bend.mean()
        if error < _SHIFT:
            offsets.append(float(offset))
            errors.append(float(error))
    if len(offsets) < _FEWEST:
        return Line(
            "time", "skip", "these images do not resolve a shift of the noise level by a tenth",
            hint="give more images if you want this settled",
        )  # fmt: skip
    middle_offset, error = float(np.median(offsets)), float(np.median(errors))
    figure = (
        f"the noise level at which it denoises best lies {100 * (np.exp(middle_offset) - 1):+.1f} ± "
        f"{100 * error:.1f} % from the declared one, median of {len(offsets)} noise levels"
    )
    if abs(middle_offset) <= _OFFSETS[0] + 3 * error:
        return Line(
            "time", "pass", f"the clock agrees within {100 * (_OFFSETS[0] + 3 * error):.0f} %, as it should: {figure}"
        )
    return Line(
        "time", "fail" if abs(middle_offset) - 4 * error > _OFFSETS[1] else "warn", figure,
        "the time that is handed over is not that of the noise level, or the network is poorly fitted",
        "compare the clock of the network with the schedule: sigma, ln(sigma), index or 1 - t",
    )  # fmt: skip
