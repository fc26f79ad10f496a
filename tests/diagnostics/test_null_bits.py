"""The bits of error of the null condition in the report: their size, when they are too many, when they are not told."""

import re
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import specent as sp
from specent.models import MixtureModel

LOW, HIGH = 0.01, 100.0


class ShiftedNull:
    """A mixture whose null condition is `shift` noise levels beside the mixture of the classes, in one dimension."""

    schedule, null_condition = sp.schedules.VE(), True

    def __init__(self, exact: MixtureModel, shift: float) -> None:
        self.exact, self.shift = exact, shift
        self.conditions, self.shape, self.label_prior = exact.labels, exact.shape, exact.label_prior

    def __call__(self, x: Tensor, sigma: Tensor, condition: Tensor) -> Tensor:
        level = float(sigma[0])
        denoised = self.exact.denoise(x.double(), level, condition)
        denoised[:, 0] += self.shift * level * (condition == len(self.conditions))
        return denoised.to(x.dtype)


def three_bounds(text: str) -> list[float]:
    """The first estimate with its bounds in a text."""
    found = re.search(r"([\d.]+) \(([\d.]+) to ([\d.]+)\)", text)
    assert found
    return [float(word) for word in found.groups()]


def shift_of(bits: float) -> float:
    """The shift that is so many bits: half its square per unit of log_snr, over the whole range of noise levels."""
    return float(np.sqrt(2 * bits * np.log(2) / (2 * np.log(HIGH / LOW))))


@pytest.mark.parametrize(("bits", "verdict"), [(0.4, "pass"), (4.0, "warn"), (8.0, "warn")])
def test_the_bits_of_a_shifted_null_condition(mixture: Any, bits: float, verdict: str) -> None:
    report = sp.check(ShiftedNull(mixture[0], shift_of(bits)), levels=(LOW, HIGH), progress=False)
    line = report["null error"]
    best, lower, upper = three_bounds(line.figure)
    # 24 trajectories, and what 24 steps make of an exact null condition
    assert abs(best - bits) < upper - lower + 0.05
    assert lower - 0.05 < bits < upper + 0.05
    entropy = float(-(mixture[0].label_prior * np.log2(mixture[0].label_prior)).sum())
    information = three_bounds(line.figure.partition("the class itself is ")[2])
    # at the clean end no label is in doubt
    assert information[0] == pytest.approx(entropy, abs=0.01)
    # 1.49 bit in the labels
    assert line.verdict == verdict
    assert ("estimator 'null'" in line.hint) == (verdict == "warn")


def test_the_line_takes_no_evaluations(mixture: Any) -> None:
    from specent.diagnostics.checks.null_bits import NULL_BITS
    from specent.diagnostics.model_check import _findings

    calls: list[int] = []
    findings = _findings(mixture[0], None, None, (LOW, HIGH), None, None, 0, "cpu", calls.append)
    with torch.no_grad():
        assert findings.run.known
        before = sum(calls)
        NULL_BITS.judge(findings, NULL_BITS.measure(findings))
    assert sum(calls) == before > 0


@pytest.mark.parametrize(
    ("model", "options", "reason"),
    [
        (sp.exact.GaussianMixture([[0.0]]), {}, "one label"),
        (sp.exact.GaussianMixture(np.eye(20)), {}, "6 of 20 labels"),
        (sp.exact.GaussianMixture([[-4.0], [4.0]]), {"levels": (0.01, 1.0)}, "starts too late"),
        (sp.exact.GaussianMixture([[-4.0], [4.0]]), {"complete": False}, "do not cover"),
    ],
)
def test_where_it_cannot_be_told_the_line_says_why(model: Any, options: Any, reason: str) -> None:
    line = sp.check(sp.models.mixture(model), progress=False, **options)["null error"]
    assert line.verdict == "skip"
    assert reason in line.figure
