"""Is the error on data smallest on the declared schedule?"""

from __future__ import annotations

from specent.diagnostics.checks.contract import FINITE, IMAGES, READINGS, Check
from specent.diagnostics.findings import Findings
from specent.diagnostics.paired_differences import paired_difference, z_text
from specent.diagnostics.report import Line
from specent.diagnostics.schedule_fit import ScheduleFit, better_schedule

_Fits = tuple[ScheduleFit, ...]


def _measure(findings: Findings) -> _Fits:
    return findings.schedules.value


def _judge(findings: Findings, fits: _Fits) -> Line:
    if not fits:
        return Line("schedule", "skip", "no other schedule shares noise levels at which the network can be called")
    better = better_schedule(fits)
    fit = fits[0] if better is None else better
    own, other = findings.probe.schedule.code, fit.schedule.code
    figure = f"error {fit.declared_errors.mean():.3g} as declared ({own}), {fit.errors.mean():.3g} on {other}"
    if better is not None:
        cause, hint = _explanation(findings.probe.prediction, fit)
        figure = f"{figure} read as {fit.prediction}: less by {z_text(fit.gap.z)}"
        return Line("schedule", "fail", figure, cause, hint)
    if findings.readings.value.useless:
        text = "read in any way, on any usual schedule, the network does not denoise"
        return Line("schedule", "skip", text, hint="fix the line 'denoising' first")
    if (-fit.gap.mean > 0) and paired_difference(fit.errors.mean(axis=0), fit.declared_errors.mean(axis=0)).significant:
        return Line("schedule", "pass", f"{figure}: more by {z_text(-fit.gap.z)}")
    return Line(
        "schedule", "skip", f"{figure}: no clear difference, these images cannot distinguish them",
        hint="give more images if you want this settled",
    )  # fmt: skip


def _explanation(declared: str, fit: ScheduleFit) -> tuple[str, str]:
    """Cause and hint of a schedule that fits better, which may go with another prediction type."""
    plain = fit.prediction.removeprefix("-")
    cause, hint = "the network was trained on another schedule", f"say schedule={fit.schedule.code}"
    if fit.prediction != declared:
        cause += f", and predicts {fit.prediction!r}, not {declared!r}"
        hint += f" and prediction={plain!r}" if plain != declared else ""
        hint += " and return the output with its sign turned" if plain != fit.prediction else ""
    return cause, hint


SCHEDULE = Check("schedule", _measure, _judge, needs=(FINITE, IMAGES, READINGS))
