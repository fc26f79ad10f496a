"""The table of checks and the loop over it: what is skipped, what fails, and how many evaluations are expected."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import specent as sp
from specent.diagnostics.checks import CHECKS
from specent.diagnostics.checks.contract import FINITE, IMAGES, Check, Need, no_failure
from specent.diagnostics.examination import expected_evaluations, report_lines
from specent.diagnostics.findings import Findings, Outcome
from specent.diagnostics.labelled_data import labelled_examples
from specent.diagnostics.network_probe import Probe
from specent.diagnostics.report import Line
from specent.diagnostics.subject import noise_range, tried_labels
from specent.errors import ModelError
from specent.models import Model
from specent.schedules import DDPM, VE, FlowMatching

PAGE = Path(__file__).resolve().parents[2] / "docs" / "checking.md"


def findings_of(model: Model, data: Any = None, count: Callable[[int], object] = lambda states: None) -> Findings:
    """A model before it is checked, on 100 images of the data if there are any."""
    device = torch.device("cpu")
    examples = None if data is None else labelled_examples(model, data[1], data[2], 100, 0, device)
    probe = Probe(model, count)
    return Findings(model, probe, examples, tried_labels(model, examples), *noise_range(probe, None), True, 0, device)


def constant(name: str, verdict: Any, **options: Any) -> Check[None]:
    """A check that measures nothing and has always the same verdict."""
    return Check(name, lambda findings: None, lambda findings, nothing: Line(name, verdict, "as ever"), **options)


def raising(name: str, error: Exception, **options: Any) -> Check[None]:
    """A check whose measurement raises."""

    def measure(findings: Findings) -> None:
        raise error

    return Check(name, measure, lambda findings, nothing: Line(name, "pass", "never"), **options)


def test_the_table_is_the_report_and_its_page() -> None:
    names = [check.name for check in CHECKS]
    assert len(set(names)) == len(names)
    mixture = sp.models.mixture(sp.exact.GaussianMixture([[-4.0], [4.0]]))
    assert [line.name for line in sp.check(mixture, progress=False)] == names
    table = PAGE.read_text().partition("## The lines")[2].partition("## What it cannot tell")[0]
    assert re.findall(r"^\| `([^`]+)` \|", table, re.MULTILINE) == names


def test_a_check_of_ones_own_is_one_more_line(mixture: Any) -> None:
    def judge(findings: Findings, largest: float) -> Line:
        return Line("range", "pass" if largest <= 1 else "warn", f"the data reach {largest:.3g}")

    own = Check("range", lambda findings: float(findings.data.images.abs().max()), judge, needs=(FINITE, IMAGES))
    with_data = report_lines(findings_of(mixture[0], mixture), (CHECKS[0], own))
    assert [line.name for line in with_data] == ["finite", "range"]
    assert with_data[1].verdict == "warn"
    without = report_lines(findings_of(mixture[0]), (CHECKS[0], own))
    assert str(without[1]) == str(Line("range", "skip", IMAGES.reason, hint=IMAGES.hint))


def test_the_first_need_that_does_not_hold_is_the_reason(mixture: Any) -> None:
    never, also = (Need(lambda findings, lines: False, reason, "do so") for reason in ("first", "second"))
    always = Need(lambda findings, lines: True, "none")
    error = AssertionError("is not measured")
    checks = (raising("a", error, needs=(always, never, also)), constant("b", "pass", needs=(always,)))
    first, second = report_lines(findings_of(mixture[0]), checks)
    assert first == Line("a", "skip", "first", hint="do so")
    assert second.verdict == "pass"


@pytest.mark.parametrize(("verdict", "expected"), [("fail", "skip"), ("warn", "warn"), ("pass", "pass")])
def test_only_a_failure_is_withdrawn_for_what_it_presumes(mixture: Any, verdict: str, expected: str) -> None:
    presumed = Need(no_failure("before"), "rests on another line")
    checks = (constant("before", "fail"), constant("after", verdict, presumes=(presumed,)))
    assert report_lines(findings_of(mixture[0]), checks)[1].verdict == expected
    # as it stands where nothing else failed
    checks = (constant("before", "warn"), constant("after", verdict, presumes=(presumed,)))
    assert report_lines(findings_of(mixture[0]), checks)[1].verdict == verdict


@pytest.mark.parametrize(
    ("error", "figure", "cause"),
    [
        (ModelError("no such label; say null=False"), "no such label; say null=False", "cannot be called"),
        (ValueError("shapes differ"), "ValueError: shapes differ", "the model raised"),
    ],
    ids=["specent", "other"],
)
def test_what_the_network_raises_fails_the_line_alone(mixture: Any, error: Exception, figure: str, cause: str) -> None:
    first, second = report_lines(findings_of(mixture[0]), (raising("a", error), constant("b", "pass")))
    assert (first.verdict, first.figure) == ("fail", figure)
    assert cause in first.cause
    assert second.verdict == "pass"


def test_a_measurement_is_made_once_and_so_is_its_error(mixture: Any) -> None:
    states: list[int] = []
    findings = findings_of(mixture[0], mixture, states.append)
    assert findings.label_errors.value is findings.label_errors.value
    count = sum(states)
    assert findings.label_errors.known
    assert sum(states) == count

    calls: list[int] = []

    def net(x: Tensor, time: Tensor, condition: Tensor) -> Tensor:
        calls.append(len(x))
        raise ValueError("of the network")

    broken = findings_of(sp.models.network(net, mixture[0].labels, mixture[0].shape, prediction="data"), mixture)
    for _ in range(2):
        assert not broken.label_errors.known
        with pytest.raises(ModelError, match="of the network"):
            _ = broken.label_errors.value
    assert len(calls) == 1


def test_an_outcome_without_a_value_is_known_all_the_same() -> None:
    assert Outcome.of(lambda: None).known
    assert Outcome.of(lambda: None).value is None


@pytest.mark.parametrize("with_data", [True, False])
@pytest.mark.parametrize(
    ("prediction", "schedule"), [("noise", DDPM("linear")), ("data", VE()), ("velocity", FlowMatching())], ids=str
)
def test_the_expected_evaluations_are_counted_without_the_network(
    shop: Any, digits: Any, prediction: str, schedule: Any, with_data: bool
) -> None:
    calls: list[int] = []
    disguise = shop.disguise(digits[0], prediction, schedule)

    def net(x: Tensor, time: Tensor, condition: Tensor) -> Tensor:
        calls.append(len(x))
        return disguise(x, time, condition)

    model = shop.adapted(net, digits[0], prediction, schedule, integer_times=isinstance(schedule, DDPM))
    findings = findings_of(model, digits if with_data else None)
    expected = expected_evaluations(findings)
    assert calls == []
    further = 0.0
    if with_data:
        # how many rounds of noise it takes to distinguish the readings is not known before
        assert len(findings.clean_states) == 100
        before = sum(calls)
        rounds = findings.readings.value.rounds
        further = (sum(calls) - before) * (1 - 1 / rounds)
    report_lines(findings)
    # precision is measured where a network has weights, and a comparison may be given up early
    assert expected == pytest.approx(sum(calls) - further, rel=0.1)


def test_a_rehearsal_leaves_the_findings_as_they_are(shop: Any, digits: Any) -> None:
    model = shop.adapted(shop.disguise(digits[0], "noise", VE()), digits[0], "noise", VE())
    rehearsed, plain = findings_of(model, digits), findings_of(model, digits)
    expected_evaluations(rehearsed)
    assert report_lines(rehearsed) == report_lines(plain)


def test_labels_that_fit_best_are_those_of_the_clean_states(shop: Any, digits: Any) -> None:
    net = shop.disguise(digits[0], "noise", VE()).with_conditions([0, 3, 2, 1, 4, 5])
    findings = findings_of(shop.adapted(net, digits[0], "noise", VE()), digits)
    classes = findings.data.classes.numpy()
    np.testing.assert_array_equal(findings.clean_states.classes.numpy(), np.array([0, 3, 2, 1, 4])[classes])
