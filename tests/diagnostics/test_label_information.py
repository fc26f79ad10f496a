"""What the label tells, in bits: a verdict where there is one, and none where its own error is larger."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from specent.diagnostics.checks.label_information import CONDITION, OwnAndNullErrors, own_and_null_errors
from specent.diagnostics.findings import Findings
from specent.diagnostics.labelled_data import labelled_examples
from specent.diagnostics.network_probe import Probe


@pytest.fixture(scope="module")
def findings(digits: Any) -> Findings:
    """The exact model of five digits, on 100 of its images."""
    model, images, labels = digits
    device = torch.device("cpu")
    examples = labelled_examples(model, images, labels, 100, 0, device)
    return Findings(model, Probe(model, lambda _: None), examples, tuple(range(5)), 0.002, 80.0, True, 0, device)


@pytest.fixture(scope="module")
def errors(findings: Findings) -> OwnAndNullErrors:
    """Its errors with the label and without."""
    return own_and_null_errors(findings)


def with_information(wide: OwnAndNullErrors, bits: float, scatter: float) -> OwnAndNullErrors:
    """Errors whose information has that mean and that standard error, exactly."""
    each = np.linspace(-1, 1, wide.own.shape[1])
    each = bits + scatter * len(each) ** 0.5 * each / each.std(ddof=1)
    width = np.log(wide.levels[-1] / wide.levels[0])
    return replace(wide, null=wide.own + each * np.log(2) / width * wide.levels[:, None] ** 2)


@pytest.mark.parametrize(
    ("bits", "error", "verdict"),
    [(2.3, 0.1, "pass"), (15.0, 0.4, "pass"), (-2.0, 0.1, "fail"), (-21.8, 21.8, "skip"), (-0.3, 0.1, "pass"),
     (-200.0, 20.0, "fail"), (3.0, 3.0, "skip")],
)  # fmt: skip
def test_the_verdict_on_bits(
    findings: Findings, errors: OwnAndNullErrors, bits: float, error: float, verdict: str
) -> None:
    wide = with_information(errors, bits, error)
    assert (wide.information.mean, wide.information.error) == (pytest.approx(bits), pytest.approx(error))
    line = CONDITION.judge(findings, wide)
    assert line.verdict == verdict
    assert f"from noise level {wide.levels[0]:.3g} to {wide.levels[-1]:.3g}" in line.figure


def test_the_levels_reach_from_where_labels_are_known_to_where_they_are_not(errors: OwnAndNullErrors) -> None:
    wide = errors
    gain = (wide.null - wide.own).mean(axis=1) / wide.levels**2
    # what the integral leaves out at either end is a small part of the largest term
    assert max(gain[0], gain[-1]) < 0.02 * gain.max()
    assert np.ptp(np.diff(np.log(wide.levels))) < 1e-9
