r"""Was the network trained on another schedule? Then its states and its times are those of that one.

A schedule couples a noise level :math:`\sigma/\alpha` with a scale of the state and with a time. At the same noise
level the network is handed the state and the time of every usual schedule (arXiv 2006.11239, 2102.09672, 2206.00364,
2210.02747) in turn, and what it returns is read as every prediction type: the pair it was trained with denoises best.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from specent.diagnostics.fitting import MOST, READINGS, USELESS, Fits, needed, read, scales
from specent.diagnostics.labelled_data import Examples
from specent.diagnostics.network_probe import Array
from specent.diagnostics.paired_differences import Difference, difference, mostly_smaller, z_text
from specent.diagnostics.report import Line
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
class Clock:
    """Errors in units on one schedule, by reading, and of the best reading of the declared one, both (levels, n)."""

    schedule: Schedule
    prediction: str
    errors: dict[str, Array]
    declared: Array

    @property
    def found(self) -> Array:
        """Errors of the prediction type that fits best."""
        return self.errors[self.prediction]

    @property
    def gap(self) -> Difference:
        """By how much the declared schedule is worse, at its best reading."""
        return difference(self.declared.mean(axis=0), self.found.mean(axis=0))

    @property
    def ratio(self) -> float:
        """The error relative to that on the declared schedule."""
        return float(self.found.mean() / max(self.declared.mean(), 1e-300))

    @property
    def better(self) -> bool:
        """Whether the network was trained on this schedule rather than on the declared one."""
        clear = self.ratio < 1 - _BETTER and self.found.mean() < USELESS
        return clear and self.gap.significant and mostly_smaller(self.declared, self.found)


def usual(declared: Schedule) -> list[Schedule]:
    """The schedules that networks are trained on, without the declared one.

    Examples
    --------
    >>> [schedule.name for schedule in usual(VE())]
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


def clocks_cost(trial: Subject) -> int:
    """How many states `clocks` denoises at most."""
    return 2 * _LEVELS * len(usual(trial.probe.schedule)) * min(len(needed(trial)), _MOST_EXAMPLES)


def clocks(trial: Subject, examples: Examples, fit: Fits) -> list[Clock]:
    """The network on every usual schedule that it can be called on, the best first."""
    few = examples.first(_MOST_EXAMPLES)
    found = [_clock(trial, few, fit, schedule) for schedule in usual(trial.probe.schedule)]
    return sorted((clock for clock in found if clock is not None), key=lambda clock: clock.ratio)


def _clock(trial: Subject, examples: Examples, fit: Fits, schedule: Schedule) -> Clock | None:
    if trial.probe.integer_times and schedule.whole_times is None:
        return None
    errors: dict[str, list[Array]] = {prediction: [] for prediction in READINGS}
    declared = []
    for stream, (time, level, near) in enumerate(_pairs(trial, schedule)):
        x = examples.noisy(level, 400 + stream)
        alpha = float(schedule.alpha(time))
        try:
            output = trial.probe.output(alpha * x, time, examples.classes)
        except SpecentError:
            return None  # the network knows no such time
        for prediction in READINGS:
            errors[prediction].append(_error(examples, level, prediction, output, alpha * x, alpha))
        x, place = examples.noisy(near, 400 + stream), trial.probe.point(near)
        scale, prediction = fit.best
        alpha = scales(place).get(scale, place.alpha)
        output = trial.probe.output(alpha * x, place.time, examples.classes)
        declared.append(_error(examples, near, prediction, output, alpha * x, alpha))
    if len(declared) < 2:
        return None
    made = {prediction: np.stack(rows) for prediction, rows in errors.items()}
    return Clock(schedule, _best(made, trial.probe.prediction), made, np.stack(declared))


def _pairs(trial: Subject, schedule: Schedule) -> list[tuple[float, float, float]]:
    """Times of a schedule with their noise levels, and those of the declared schedule that are nearest to them."""
    own, probe = trial.probe.schedule, trial.probe
    ends = trial.error_levels()
    targets = np.geomspace(ends[0], ends[-1], _LEVELS)
    known = probe.known_levels if own.whole_times is None else own.noise_level(own.whole_times)
    times = schedule.whole_times
    if times is None:
        times = np.asarray(schedule.time(-2 * np.log(targets if known is None else known)))
    levels = schedule.noise_level(times)
    least, most = probe.range
    kept = (levels >= least) & (levels <= most)
    if trial.device.type != "cpu":
        # an index out of range on a GPU is the end of the process
        kept &= (times >= own.time_range[0]) & (times <= own.time_range[1])
    times, levels = times[kept], levels[kept]
    if not len(times):
        return []
    near = levels if known is None else known[np.abs(np.log(levels[:, None] / known)).argmin(axis=1)]
    return [(float(times[i]), float(levels[i]), float(near[i])) for i in _met(levels, near, targets)]


def _met(levels: Array, near: Array, targets: Array) -> list[int]:
    """The place about every target where the noise levels of both schedules are closest."""
    apart, off = np.abs(np.log(levels / near)), np.abs(np.log(levels / targets[:, None]))
    rows = [row for row in off if row.min() <= _WINDOW]
    return sorted({int(np.argmin(np.where(row <= _WINDOW, apart + 1e-6 * row, np.inf))) for row in rows})


def _error(examples: Examples, level: float, prediction: str, output: Tensor, state: Tensor, alpha: float) -> Array:
    """Errors in units of a linear denoiser's, shape (n,)."""
    data = torch.nan_to_num(read(prediction, output, state, alpha, alpha * level), nan=float("inf"))
    unit = examples.size * level**2 * examples.variance / (level**2 + examples.variance)
    return np.asarray(np.minimum(np.nan_to_num(examples.errors(data) / unit, nan=MOST), MOST))


def _best(errors: dict[str, Array], declared: str) -> str:
    """The prediction type that fits best, the declared one unless another is better beyond noise."""
    found = min(errors, key=lambda prediction: float(errors[prediction].mean()))
    gap = difference(errors[declared].mean(axis=0), errors[found].mean(axis=0))
    return found if gap.significant else declared


def least(found: Sequence[Clock]) -> float:
    """The smallest error on any schedule, the declared one among them."""
    return min((float(min(clock.declared.mean(), clock.found.mean())) for clock in found), default=np.inf)


def other(found: Sequence[Clock]) -> Clock | None:
    """The schedule that the network was trained on, if that is not the declared one."""
    return next((clock for clock in found if clock.better), None)


def schedule(trial: Subject, fit: Fits, found: Sequence[Clock]) -> Line:
    """Whether the network denoises best on the declared schedule."""
    own = trial.probe.schedule
    if not found:
        return Line("schedule", "skip", "no other schedule shares noise levels that the network can be asked for")
    wrong = other(found)
    clock = found[0] if wrong is None else wrong
    name = clock.schedule.code
    figure = f"error {clock.declared.mean():.3g} as declared ({own.code}), {clock.found.mean():.3g} on {name}"
    if wrong is None:
        if fit.useless:
            text = "read in any way, on any usual schedule, the network does not denoise"
            return Line("schedule", "skip", text, hint="fix the line 'denoising' first")
        if (-clock.gap.mean > 0) and difference(clock.found.mean(axis=0), clock.declared.mean(axis=0)).significant:
            return Line("schedule", "pass", f"{figure}: more by {z_text(-clock.gap.z)}")
        return Line(
            "schedule", "skip", f"{figure}: no clear difference, these images do not tell them apart",
            hint="give more images if you want this settled",
        )  # fmt: skip
    declared = trial.probe.prediction
    plain = clock.prediction.removeprefix("-")
    cause, hint = "the network was trained on another schedule", f"say schedule={name}"
    if clock.prediction != declared:
        cause += f", and predicts {clock.prediction!r}, not {declared!r}"
        hint += f" and prediction={plain!r}" if plain != declared else ""
        hint += " and return the output with its sign turned" if plain != clock.prediction else ""
    return Line(
        "schedule",
        "fail",
        f"{figure} read as {clock.prediction}: less by {z_text(clock.gap.z)}",
        cause,
        hint,
    )
