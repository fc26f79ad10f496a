"""What the label tells, in bits: a verdict where there is one, and none where it is drowned."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from specent.diagnostics.conditions import Payment, errors, information, payment, pays
from specent.diagnostics.labelled_data import labelled_examples
from specent.diagnostics.network_probe import Probe
from specent.diagnostics.subject import Subject


@pytest.fixture
def trial(digits: Any) -> Subject:
    """The exact model of five digits, on 100 of its images."""
    import torch

    model, images, labels = digits
    device = torch.device("cpu")
    examples = labelled_examples(model, images, labels, 100, 0, device)
    return Subject(model, Probe(model, lambda _: None), examples, tuple(range(5)), 0.002, 80.0, True, 0, device)


def paid(trial: Subject, bits: float, scatter: float) -> Payment:
    """Errors whose information has that mean and that standard error, exactly."""
    held = payment(trial)
    wanted = np.linspace(-1, 1, held.own.shape[1])
    wanted = bits + scatter * len(wanted) ** 0.5 * wanted / wanted.std(ddof=1)
    width = np.log(held.levels[-1] / held.levels[0])
    return replace(held, null=held.own + wanted * np.log(2) / width * held.levels[:, None] ** 2)


@pytest.mark.parametrize(
    ("bits", "error", "verdict"),
    [(2.3, 0.1, "pass"), (15.0, 0.4, "pass"), (-2.0, 0.1, "fail"), (-21.8, 21.8, "skip"), (-0.3, 0.1, "pass"),
     (-200.0, 20.0, "fail"), (3.0, 3.0, "skip")],
)  # fmt: skip
def test_the_verdict_on_bits(trial: Subject, bits: float, error: float, verdict: str) -> None:
    made = paid(trial, bits, error)
    found = information(made)
    assert (found.mean, found.error) == (pytest.approx(bits), pytest.approx(error))
    line = pays(trial, errors(trial), made)
    assert line.verdict == verdict
    assert f"from noise level {made.levels[0]:.3g} to {made.levels[-1]:.3g}" in line.figure


def test_the_levels_reach_from_where_labels_are_known_to_where_they_are_not(trial: Subject) -> None:
    made = payment(trial)
    gain = (made.null - made.own).mean(axis=1) / made.levels**2
    # what the integral leaves out at either end is a small part of the largest term
    assert max(gain[0], gain[-1]) < 0.02 * gain.max()
    assert np.ptp(np.diff(np.log(made.levels))) < 1e-9
