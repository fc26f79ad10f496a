"""Are outputs finite over the whole range of noise levels, under every condition that is tried?"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from specent.diagnostics.checks.contract import Check
from specent.diagnostics.findings import Findings
from specent.diagnostics.labelled_data import Array
from specent.diagnostics.report import Line

_LEVELS = 16
_STATES = 4


@dataclass(frozen=True)
class _Sweep:
    """Noise levels, how many outputs were looked at, and what the first that is not finite holds, and where."""

    levels: Array
    count: int
    failure: str = ""


def _measure(findings: Findings) -> _Sweep:
    levels = findings.probe.levels(findings.low, findings.high, _LEVELS)
    count = 0
    for stream, level in enumerate(levels):
        x = _states(findings, float(level), stream)
        # all conditions at once: a few states each fill no batch
        conditions = torch.cat([findings.batch_of(condition, len(x)) for condition in findings.conditions])
        states = x.repeat(len(findings.conditions), *[1] * (x.ndim - 1))
        denoised = findings.probe.denoise(states, float(level), conditions)
        count += len(states)
        for condition, output in zip(findings.conditions, denoised.reshape(-1, *x.shape), strict=True):
            if not torch.isfinite(output).all():
                what = "a NaN" if output.isnan().any() else "an infinity"
                where = f"at noise level {level:.5g} under the condition {findings.name(condition)}"
                return _Sweep(levels, count, f"{what} {where}")
    return _Sweep(levels, count)


def _states(findings: Findings, level: float, stream: int) -> Tensor:
    """A few noisy examples, or noise alone."""
    if findings.examples is not None:
        return findings.examples.first(_STATES).noisy(level, stream)
    generator = torch.Generator().manual_seed(1_000_003 * findings.seed + stream)
    noise = torch.randn(_STATES, *findings.model.shape, generator=generator, dtype=torch.float64)
    return level * noise.to(findings.device)


def _judge(findings: Findings, sweep: _Sweep) -> Line:
    if sweep.failure:
        return Line(
            "finite", "fail", sweep.failure,
            "numbers that leave the range of half precision (beyond 65504), a division by zero, or a time outside of "
            "what the network knows",
            "run the network in single precision or bfloat16; compare the range of noise levels with its own",
        )  # fmt: skip
    first, last = sweep.levels[0], sweep.levels[-1]
    return Line("finite", "pass", f"{sweep.count} outputs from noise level {first:.3g} to {last:.3g} are finite")


FINITE_OUTPUTS = Check("finite", _measure, _judge)
