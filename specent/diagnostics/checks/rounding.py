"""What does rounding do to differences of denoisers? A copy of the network in double precision tells."""

from __future__ import annotations

from typing import NamedTuple

from specent.diagnostics.checks.contract import FINITE, STATES, Check
from specent.diagnostics.findings import Findings
from specent.diagnostics.network_probe import Probe
from specent.diagnostics.report import Line, grade

_STATES = 6
# share of the difference of two conditions: beyond the first a warning, beyond the second a failure
_SHARES = (0.01, 0.1)


class _Rounding(NamedTuple):
    """The largest share that rounding has in the difference of two conditions, and the noise level where it is."""

    share: float
    level: float


def _measure(findings: Findings) -> _Rounding | str:
    """The rounding, or why it cannot be measured."""
    twin = findings.probe.in_double_precision()
    if isinstance(twin, str):
        return twin
    if len(findings.conditions) < 2:
        return "one condition has no difference to another"
    try:
        return _largest(findings, twin)
    except Exception as error:
        return f"the copy in double precision raised {type(error).__name__}"


def _largest(findings: Findings, twin: Probe) -> _Rounding:
    examples = findings.clean_states.first(_STATES)
    spread = examples.variance**0.5
    first, second = findings.conditions[:2]
    largest = _Rounding(0.0, 0.0)
    levels = findings.probe.levels(max(findings.low, 0.1 * spread), min(findings.high, 3 * spread), 2)
    for stream, level in enumerate(levels):
        x = examples.noisy(float(level), 103 + stream)
        single, double = (
            probe.denoise(x, float(level), findings.batch_of(first, len(x)))
            - probe.denoise(x, float(level), findings.batch_of(second, len(x)))
            for probe in (findings.probe, twin)
        )
        size = float(double.square().mean().sqrt())
        if size > 0:
            share = float((single - double).square().mean().sqrt()) / size
            largest = max(largest, _Rounding(share, float(level)))
    return largest


def _judge(findings: Findings, rounding: _Rounding | str) -> Line:
    if isinstance(rounding, str):
        return Line("precision", "skip", rounding)
    figure = (
        f"rounding changes differences of conditions by {rounding.share:.2g} of their size at noise level "
        f"{rounding.level:.3g}"
    )
    verdict = grade(rounding.share, *_SHARES)
    if verdict == "pass":
        return Line("precision", verdict, figure)
    return Line(
        "precision", verdict, figure, "the network computes in half precision or TF32 inside",
        "run it in single precision: evidence is the square of these differences, divided by that of the noise",
    )  # fmt: skip


PRECISION = Check("precision", _measure, _judge, needs=(FINITE, STATES))
