"""Is the error on data smallest as the declared prediction type, and for states in the declared scale?"""

from __future__ import annotations

from specent.diagnostics.checks.contract import FINITE, IMAGES, OWN_SCHEDULE, READINGS, Check
from specent.diagnostics.findings import Findings
from specent.diagnostics.paired_differences import z_text
from specent.diagnostics.readings import EDM_SCALE, FLOW_SCALE, PRESERVING_SCALE, ReadingErrors
from specent.diagnostics.report import Line

_SCALE_HINTS = {
    EDM_SCALE: "schedule=specent.schedules.VE(), or hand the state divided by alpha",
    PRESERVING_SCALE: "schedule=specent.schedules.DDPM(...) or VP(), or hand the state divided by sqrt(1 + sigma^2)",
    FLOW_SCALE: "schedule=specent.schedules.FlowMatching(), or hand the state divided by 1 + sigma",
}


def _measure(findings: Findings) -> ReadingErrors:
    return findings.readings.value


def _judge_prediction(findings: Findings, readings: ReadingErrors) -> Line:
    best, declared = readings.best.prediction, readings.declared.prediction
    plain = best.removeprefix("-")
    hint = f"say prediction={plain!r}" + (" and return the output with its sign turned" if best != plain else "")
    return _comparison_line("prediction", readings, 1, f"the network predicts {best!r}, not {declared!r}", hint)


def _judge_scale(findings: Findings, readings: ReadingErrors) -> Line:
    best = readings.best.scale
    cause = f"the network was trained on states in another scale: {best}"
    return _comparison_line("input scale", readings, 0, cause, f"say {_SCALE_HINTS.get(best, '')}")


def _comparison_line(name: str, readings: ReadingErrors, part: int, cause: str, hint: str) -> Line:
    """The verdict on one of the two parts of a reading: 0 is the scale, 1 the prediction type."""
    if readings.useless:
        text = "read in any way the network does not denoise"
        return Line(name, "skip", text, hint="fix the line 'denoising' first")
    declared, nearest, gap = readings.comparison(part)
    if nearest == declared:
        return Line(name, "skip", "all scales of the states are the same at these noise levels")
    figure = (
        f"error {readings.total(declared):.3g} as declared ({declared[part]}), {readings.total(nearest):.3g} as "
        f"{nearest[part]}"
    )
    if nearest == readings.best:
        return Line(name, "fail", f"{figure}: less by {z_text(-gap.z)}", cause, hint)
    if gap.significant:
        return Line(name, "pass", f"{figure}: more by {z_text(gap.z)}")
    return Line(
        name, "skip", f"{figure}: no significant difference ({z_text(gap.z)}), these images cannot distinguish them",
        hint="give more images, and samples= as many, if you want this settled",
    )  # fmt: skip


_NEEDS = (FINITE, IMAGES, READINGS, OWN_SCHEDULE)
PREDICTION = Check("prediction", _measure, _judge_prediction, needs=_NEEDS)
INPUT_SCALE = Check("input scale", _measure, _judge_scale, needs=_NEEDS)
