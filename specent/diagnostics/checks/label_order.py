"""Are the data of every class denoised best under their own label?"""

from __future__ import annotations

from specent.diagnostics.checks.contract import FINITE, IMAGES, RIGHT_READING, Check
from specent.diagnostics.findings import Findings
from specent.diagnostics.label_errors import LabelErrors, misfits
from specent.diagnostics.paired_differences import paired_difference, z_text
from specent.diagnostics.report import Line


def _measure(findings: Findings) -> LabelErrors:
    return findings.label_errors.value


def _judge(findings: Findings, errors: LabelErrors) -> Line:
    if errors.count < 2:
        return Line("labels", "skip", "there is one label only")
    if errors.spread < 1e-6:
        return Line(
            "labels", "fail", f"outputs under different labels differ by {errors.spread:.1g} of their size at most",
            "the condition is not handed to the network",
            "use the third argument, condition, in net(x, time, condition)",
        )  # fmt: skip
    scores, own = errors.candidate_scores, errors.own_scores
    figure = f"under the average label the error is {scores.mean():.3g}, under the own one {own.mean():.3g}"
    wrong = misfits(errors)
    if wrong:
        cause, hint = _explanation(findings, wrong)
        return Line("labels", "fail", f"{_misfit_text(findings, wrong)}; {figure}", cause, hint)
    gap = paired_difference(scores.mean(axis=1), own)
    if gap.significant:
        return Line("labels", "pass", f"{figure}: less by {z_text(gap.z)}; no class prefers another label")
    return Line(
        "labels", "warn", f"{figure}: no significant difference ({z_text(gap.z)})",
        "the labels hardly matter to the network, or the images are too few", "give more images",
    )  # fmt: skip


def _misfit_text(findings: Findings, wrong: dict[int, int]) -> str:
    """The first few misfits."""
    names = [f"data labelled {findings.name(a)} fit condition {findings.name(b)}" for a, b in list(wrong.items())[:4]]
    return "; ".join(names) + (f" and {len(wrong) - 4} more" if len(wrong) > 4 else "")


def _explanation(findings: Findings, wrong: dict[int, int]) -> tuple[str, str]:
    """Cause and hint: what the misfits have in common."""
    count = len(findings.model.labels)
    shifts = {(b - a) % count for a, b in wrong.items()}
    if len(wrong) > 2 and len(shifts) == 1:
        shift = shifts.pop()
        shift = shift if shift <= count // 2 else shift - count
        sign, opposite = ("plus", "+") if shift > 0 else ("minus", "-")
        return (
            f"conditions are shifted by {shift}: the network's index is the label's {sign} {abs(shift)}",
            f"hand it condition {opposite} {abs(shift)}, or start counting labels where it does",
        )
    order = "give labels in the order in which the network was trained"
    if all(wrong.get(b) == a for a, b in wrong.items()):
        pairs = {tuple(sorted(pair)) for pair in wrong.items()}
        text = ", ".join(f"{findings.name(a)} and {findings.name(b)}" for a, b in sorted(pairs))
        return f"the conditions {text} are swapped", order
    return "labels and conditions are in another order", order


LABELS = Check("labels", _measure, _judge, needs=(FINITE, IMAGES), presumes=(RIGHT_READING,))
