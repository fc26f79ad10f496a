"""Is a state denoised the same again, alone, in another order, and beside other conditions?"""

from __future__ import annotations

import torch
from torch import Tensor

from specent.diagnostics.checks.contract import FINITE, STATES, Check
from specent.diagnostics.findings import Findings
from specent.diagnostics.report import Line, grade
from specent.sampling.preflight import relative_gap

_BATCH = 6
# of differences relative to the output: beyond the first a warning, beyond the second a failure
_ROUNDING = (1e-5, 1e-3)


def _batch(findings: Findings) -> tuple[Tensor, float, Tensor]:
    """Half a dozen states under as many conditions as there are, at a noise level of the data's size."""
    examples = findings.clean_states.first(_BATCH)
    middle = min(max(examples.variance**0.5, findings.low), findings.high)
    level = float(findings.probe.levels(middle, middle, 1)[0])
    conditions = [findings.conditions[index % len(findings.conditions)] for index in range(len(examples))]
    return examples.noisy(level, 102), level, torch.tensor(conditions, device=findings.device)


def _measure_repetition(findings: Findings) -> float:
    x, level, conditions = _batch(findings)
    first, second = (findings.probe.denoise(x, level, conditions) for _ in range(2))
    return relative_gap(first, second)


def _judge_repetition(findings: Findings, gap: float) -> Line:
    """Whether the same call gives the same twice."""
    figure = f"the same call twice differs by {gap:.2g} of the output"
    if gap <= _ROUNDING[0]:
        return Line("repeatable", "pass", figure)
    return Line(
        "repeatable", grade(gap, *_ROUNDING), figure,
        "dropout or another random layer is on", "call .eval() on the network before it is wrapped",
    )  # fmt: skip


def _measure_batches(findings: Findings) -> dict[str, float]:
    """By how much a state is denoised differently in every other way of calling the model."""
    x, level, conditions = _batch(findings)
    probe = findings.probe
    whole = probe.denoise(x, level, conditions)
    single = torch.cat([probe.denoise(x[i : i + 1], level, conditions[i : i + 1]) for i in range(len(x))])
    reversed_order = probe.denoise(x.flip(0), level, conditions.flip(0)).flip(0)
    together = probe.candidates(x[:2], level, torch.tensor(findings.conditions, device=findings.device))
    return {
        "alone": relative_gap(whole, single),
        "in another order": relative_gap(whole, reversed_order),
        "under all conditions at once": max(
            relative_gap(together[i, [findings.conditions.index(int(conditions[i]))]], whole[i : i + 1])
            for i in range(min(2, len(x)))
        ),
    }


def _judge_batches(findings: Findings, gaps: dict[str, float]) -> Line:
    """Whether a state is denoised the same in whatever batch."""
    worst = max(gaps, key=lambda way: gaps[way])
    figure = f"a state denoised {worst} differs by {gaps[worst]:.2g} of the output"
    if gaps[worst] <= 10 * _ROUNDING[0]:
        return Line("batches", "pass", figure)
    return Line(
        "batches", grade(gaps[worst], 10 * _ROUNDING[0], _ROUNDING[1]), figure,
        "the network uses the first condition for all of a batch, or statistics of the batch (normalisation in "
        "training mode), or computes in half precision",
        "hand every state its own condition, and call .eval() on the network",
    )  # fmt: skip


REPEATABLE = Check("repeatable", _measure_repetition, _judge_repetition, needs=(FINITE, STATES))
BATCHES = Check("batches", _measure_batches, _judge_batches, needs=(FINITE, STATES))
