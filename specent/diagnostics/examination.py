"""The loop over the checks of a model, and a rehearsal of it that counts the network evaluations it takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from specent.diagnostics.checks import CHECKS
from specent.diagnostics.checks.contract import Check, Lines, Need
from specent.diagnostics.findings import Findings
from specent.diagnostics.report import Line
from specent.diagnostics.stand_in import StandInProbe
from specent.errors import SpecentError
from specent.models.outputs import reason


def report_lines(findings: Findings, checks: Sequence[Check[Any]] = CHECKS) -> tuple[Line, ...]:
    """The line of every check, in their order; each sees the lines before it."""
    lines: dict[str, Line] = {}
    with torch.no_grad(), np.errstate(all="ignore"):
        for check in checks:
            line = _skipped_line(check.needs, findings, lines, check.name) or _measured_line(findings, check)
            if line.verdict == "fail":
                line = _skipped_line(check.presumes, findings, lines, check.name) or line
            lines[check.name] = line
    return tuple(lines.values())


def _skipped_line(needs: Sequence[Need], findings: Findings, lines: Lines, name: str) -> Line | None:
    """The line of a check that is skipped for the first need that does not hold; None if all hold."""
    unmet = next((need for need in needs if not need.holds(findings, lines)), None)
    return None if unmet is None else Line(name, "skip", unmet.reason, hint=unmet.hint)


def _measured_line(findings: Findings, check: Check[Any]) -> Line:
    """The line of a check whose needs are met; a network that cannot be called fails it."""
    try:
        return check.judge(findings, check.measure(findings))
    except SpecentError as error:
        return Line(
            check.name, "fail", str(error), "the network cannot be called as the model says",
            "correct the network, its shape, its labels or null=, as the message says",
        )  # fmt: skip
    except Exception as error:
        return Line(check.name, "fail", reason(error), "the model raised", "correct the model")


def expected_evaluations(findings: Findings) -> int:
    """About how many states the checks denoise: they are run on a linear denoiser in place of the network."""
    counts: list[int] = []
    report_lines(replace(findings, probe=StandInProbe(findings.probe, findings.examples, counts.append)))
    return sum(counts)
