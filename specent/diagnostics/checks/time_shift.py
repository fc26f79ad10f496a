"""Is the network handed the right time? Every other time must make it denoise worse (arXiv 2206.00364).

A step of a discrete schedule is a large part of the noise where there is little of it, so that is where a time off by
one shows. On a schedule without steps the best offset of the noise level is found by a parabola through three of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from specent.diagnostics.checks.contract import FINITE, IMAGES, OWN_SCHEDULE, READINGS, Check
from specent.diagnostics.findings import Findings
from specent.diagnostics.labelled_data import Array
from specent.diagnostics.network_probe import SchedulePoint
from specent.diagnostics.paired_differences import PairedDifference, mostly_smaller, paired_difference, z_text
from specent.diagnostics.readings import MOST, input_scales, read_output
from specent.diagnostics.report import Line
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


@dataclass(frozen=True)
class _Steps:
    """Errors in units with the time one step early, as declared and one step late, each of shape (steps, n).

    `beyond` holds those with a time two steps to the better side, where one step to it is better at most noise levels.
    """

    early: Array
    declared: Array
    late: Array
    beyond: Array | None = None

    @cached_property
    def gaps(self) -> dict[str, PairedDifference]:
        """By how much either shift makes the error larger."""
        declared = self.declared.mean(axis=0)
        return {
            "earlier": paired_difference(self.early.mean(axis=0), declared),
            "later": paired_difference(self.late.mean(axis=0), declared),
        }

    @property
    def side(self) -> str:
        """The side on which the error is smaller."""
        return min(self.gaps, key=lambda name: self.gaps[name].mean)

    @property
    def better_side(self) -> Array:
        """Errors with the time one step to that side."""
        return self.early if self.side == "earlier" else self.late

    @property
    def right(self) -> bool:
        """Whether either shift makes the error larger beyond noise."""
        return all(gap.significant for gap in self.gaps.values())

    @property
    def wrong(self) -> bool:
        """Whether one of them makes it smaller beyond noise."""
        return (
            not self.right and paired_difference(self.declared.mean(axis=0), self.better_side.mean(axis=0)).significant
        )


@dataclass(frozen=True)
class _Offsets:
    """Offsets of the noise level, in logarithms, at which the network would denoise best, with standard errors."""

    offsets: tuple[float, ...]
    errors: tuple[float, ...]


def _measure(findings: Findings) -> _Steps | _Offsets | None:
    """Errors with the time shifted, in the reading that fits best; None if it does not denoise."""
    if findings.readings.value.useless:
        return None
    return _step_errors(findings) if findings.probe.has_steps else _level_offsets(findings)


def _errors(findings: Findings, point: SchedulePoint, times: Sequence[float], stream: int) -> list[Array]:
    """Errors at one noise level with each of the times handed over, in units, each of shape (n,)."""
    examples = findings.clean_states
    x, unit = examples.noisy(point.level, stream), examples.linear_error(point.level)
    scale, prediction = findings.readings.value.best
    alpha = input_scales(point).get(scale, point.alpha)
    rows = []
    for time in times:
        output = findings.probe.output(alpha * x, time, examples.classes)
        data = read_output(prediction, output, alpha * x, alpha, alpha * point.level)
        rows.append(np.minimum(np.nan_to_num(examples.errors(data), nan=np.inf) / unit, MOST))
    return rows


def _step_errors(findings: Findings) -> _Steps:
    """Shift the time by one step, at the early times where one step changes the noise most."""
    schedule = findings.probe.schedule
    low, high = schedule.time_range
    steps = [step for step in _STEPS if low <= step - 1 and step + 1 <= high]
    points = [findings.probe.point(float(schedule.noise_level(float(step)))) for step in steps]
    rows = [
        _errors(findings, point, [step - 1, step, step + 1], 200 + number)
        for number, (step, point) in enumerate(zip(steps, points, strict=True))
    ]
    early, declared, late = np.array(rows).reshape(len(steps), 3, len(findings.clean_states)).swapaxes(0, 1)
    errors = _Steps(early, declared, late)
    if not (steps and errors.wrong and mostly_smaller(errors.declared, errors.better_side)):
        return errors
    # if the time is off by one, two steps are as bad as none
    shift = -2 if errors.side == "earlier" else 2
    beyond = [
        _errors(findings, point, [min(max(step + shift, low), high)], 200 + number)[0]
        for number, (step, point) in enumerate(zip(steps, points, strict=True))
    ]
    return replace(errors, beyond=np.array(beyond))


def _level_offsets(findings: Findings) -> _Offsets:
    """The offset of the noise level handed to the network at which it would be best: a parabola through three."""
    schedule = findings.probe.schedule
    offsets, errors = [], []
    for number, level in enumerate(findings.error_levels()):
        point = findings.probe.point(float(level))
        try:
            near = [float(schedule.time(-2 * (np.log(level) + shift))) for shift in (-_SHIFT, _SHIFT)]
            low, middle, high = _errors(findings, point, [near[0], point.time, near[1]], 200 + number)
        except SpecentError:
            continue  # at the end of what the network knows
        slope, bend = (high - low) / (2 * _SHIFT), (high + low - 2 * middle) / _SHIFT**2
        # a parabola whose curvature is not known well has its lowest point anywhere
        if paired_difference(bend, np.zeros_like(bend)).z < _CURVED:
            continue
        offset = -slope.mean() / bend.mean()
        error = (slope + offset * bend).std(ddof=1) / len(slope) ** 0.5 / bend.mean()
        if error < _SHIFT:
            offsets.append(float(offset))
            errors.append(float(error))
    return _Offsets(tuple(offsets), tuple(errors))


def _judge(findings: Findings, errors: _Steps | _Offsets | None) -> Line:
    """Whether the network is handed the right time: a shift must make it worse."""
    if errors is None:
        return Line("time", "skip", "the network does not denoise", hint="fix the line 'denoising' first")
    return _judge_steps(errors) if isinstance(errors, _Steps) else _judge_offsets(errors)


def _judge_steps(errors: _Steps) -> Line:
    if not errors.declared.size:
        return Line("time", "skip", "the schedule has too few steps to shift one")
    early, declared, late = (rows.mean(axis=0).mean() for rows in (errors.early, errors.declared, errors.late))
    figure = f"error {declared:.4g} as declared, {early:.4g} one step earlier, {late:.4g} one step later"
    gaps, side = errors.gaps, errors.side
    if errors.right:
        return Line("time", "pass", f"{figure}: more by {z_text(min(gap.z for gap in gaps.values()))}")
    if not errors.wrong:
        return Line(
            "time", "skip", f"{figure}: no significant difference, these images do not resolve one step",
            hint="give more or sharper images if you want this settled",
        )  # fmt: skip
    figure = f"{figure}: less by {z_text(-gaps[side].z)}"
    if errors.beyond is not None and mostly_smaller(errors.beyond, errors.better_side):
        return Line(
            "time", "fail", figure, f"the network was trained with times one step {side} than those it is handed",
            f"hand it time {'- 1' if side == 'earlier' else '+ 1'}: its first time is "
            f"{'one less' if side == 'earlier' else 'one more'} than that of the schedule",
        )  # fmt: skip
    if -gaps[side].z > _FAR[0] and errors.better_side.mean() < _FAR[1] * declared:
        return Line(
            "time", "fail", figure, "the times of the network are not those of the declared schedule",
            "give the schedule that it was trained on: schedule=specent.schedules.DDPM(betas) with its own betas",
        )  # fmt: skip
    return Line(
        "time", "warn", figure,
        "the network is poorly fitted at little noise: another time is better at some noise levels only, or one two "
        "steps away better still",
        "do not read anything into the smallest noise levels",
    )  # fmt: skip


def _judge_offsets(levels: _Offsets) -> Line:
    if len(levels.offsets) < _FEWEST:
        return Line(
            "time", "skip", "these images do not resolve a shift of the noise level by a tenth",
            hint="give more images if you want this settled",
        )  # fmt: skip
    offset, error = float(np.median(levels.offsets)), float(np.median(levels.errors))
    figure = (
        f"the noise level at which it denoises best lies {100 * (np.exp(offset) - 1):+.1f} ± "
        f"{100 * error:.1f} % from the declared one, median of {len(levels.offsets)} noise levels"
    )
    if abs(offset) <= _OFFSETS[0] + 3 * error:
        agreement = f"the times agree within {100 * (_OFFSETS[0] + 3 * error):.0f} %, as they should"
        return Line("time", "pass", f"{agreement}: {figure}")
    return Line(
        "time", "fail" if abs(offset) - 4 * error > _OFFSETS[1] else "warn", figure,
        "the time that is handed over is not that of the noise level, or the network is poorly fitted",
        "compare the time of the network with the schedule: sigma, ln(sigma), index or 1 - t",
    )  # fmt: skip


TIME = Check("time", _measure, _judge, needs=(FINITE, IMAGES, READINGS, OWN_SCHEDULE))
