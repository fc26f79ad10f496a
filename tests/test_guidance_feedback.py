"""Guidance that feeds back: its scale undoes the mixture it assumes, and its two places mean what they say."""

from __future__ import annotations

import json
import math
import re
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from specent.errors import SpecentError
from specent.guidance import FEEDBACK_FORMULA, FORMULA, FeedbackGuidance, Guidance, formula, from_json

LEVELS = np.geomspace(0.02, 80.0, 65)


@pytest.mark.parametrize("pi", [0.05, 0.5, 0.9, 0.999])
def test_if_the_learned_density_is_the_assumed_mixture_the_guided_score_is_that_of_the_true_one(pi: float) -> None:
    x = torch.linspace(-6, 6, 101, dtype=torch.float64, requires_grad=True)
    true = torch.distributions.Normal(1.5, 0.8)
    other = torch.distributions.Normal(torch.tensor(-2.0, dtype=torch.float64), 1.3)
    marginal = torch.logaddexp(true.log_prob(x) + math.log(0.3), other.log_prob(x) + math.log(0.7))
    learned = torch.logaddexp(true.log_prob(x) + math.log(pi), marginal + math.log1p(-pi))

    def score(log_density: torch.Tensor) -> torch.Tensor:
        return torch.autograd.grad(log_density.sum(), x, retain_graph=True)[0]

    weight = FeedbackGuidance(pi, largest=1e6).scales(1.0, (learned - marginal).detach())
    guided = score(marginal) + weight * (score(learned) - score(marginal))
    exact = -(x.detach() - 1.5) / 0.8**2
    # where the mixture is (1 - pi) p(x) to the last digits, r - (1 - pi) has lost what it should hold
    known = weight < 1e4
    assert known.sum() > 40
    torch.testing.assert_close(guided[known], exact[known], rtol=1e-6, atol=1e-6)


def test_the_scale_is_that_of_the_formula_and_bounded_on_both_sides() -> None:
    setting = FeedbackGuidance(0.9, largest=5.0)
    ratio = np.array([1e-9, 0.09, 0.125, 0.2, 1.0, 7.0, 1e30])
    expected = [5.0, 5.0, 5.0, 0.2 / 0.1, 1 / 0.9, 7 / 6.9, 1.0]
    for log_ratio in (np.log(ratio), torch.as_tensor(np.log(ratio))):
        np.testing.assert_allclose(np.asarray(setting.scales(1.0, log_ratio)), expected, rtol=1e-12)


@given(st.floats(0.001, 0.999), st.lists(st.floats(-300, 300), min_size=1, max_size=5))
def test_the_scale_falls_with_the_evidence_from_its_bound_to_one(pi: float, values: list[float]) -> None:
    setting = FeedbackGuidance(pi, largest=2 / pi)
    scales = setting.scales(1.0, np.sort(values))
    assert (np.diff(scales) <= 0).all()
    assert (scales >= 1).all()
    assert (scales <= 2 / pi).all()


def test_a_learned_density_that_is_the_true_one_needs_no_guidance() -> None:
    # without an offset; w - 1 is 1 - pi at the start
    setting = FeedbackGuidance(1 - 1e-12)
    np.testing.assert_allclose(setting.scales(1.0, np.log([0.1, 1.0, 10.0])), 1.0, atol=2e-11)


@pytest.mark.parametrize("t_0", [0.0, 0.25, 0.5, 0.75])
def test_the_offset_alone_brings_the_scale_to_its_reference_at_the_first_place(t_0: float) -> None:
    setting = FeedbackGuidance(0.99, t_0, reference=3.0)
    tuning = setting.tuning(LEVELS[:64])
    log_ratio = np.zeros(1)
    for n in range(64):
        # evaluation n of 64 stands at 1 - n / 64 on the clock
        if 1 - n / 64 > t_0:
            assert setting.scales(1.0, log_ratio)[0] < 3.0 * (1 - 1e-9)
        elif 1 - n / 64 == t_0:
            assert setting.scales(1.0, log_ratio)[0] == pytest.approx(3.0, rel=1e-12)
        log_ratio = setting.updated(log_ratio, np.zeros(1), tuning)
    assert setting.scales(1.0, log_ratio)[0] >= 3.0 * (1 - 1e-9)


@pytest.mark.parametrize(("t_1", "n"), [(1.0, 0), (0.5, 32), (0.0, 62)])
def test_predictions_the_gap_apart_balance_the_offset_at_the_second_place(t_1: float, n: int) -> None:
    setting = FeedbackGuidance(0.99, 0.4, t_1, gap=0.7)
    levels = LEVELS[:64]
    before, after = levels[63 - n], levels[62 - n]
    # the textbook transition, in one dimension: the two means lie sqrt(gap) apart, and x' falls on the first of them
    spread = np.sqrt(after**2 * (1 - (after / before) ** 2))
    evidence = norm.logpdf(0.0, 0.0, spread) - norm.logpdf(0.0, np.sqrt(0.7), spread)
    made = setting.updated(np.array([0.3]), np.array([evidence]), setting.tuning(levels))
    np.testing.assert_allclose(made, 0.3, rtol=1e-12)


def test_guidance_ends_at_once_when_evidence_comes_after_a_long_wait() -> None:
    setting = FeedbackGuidance(0.9, 0.5, largest=8.0)
    tuning = setting.tuning(LEVELS)
    log_ratio = np.zeros(1)
    for _ in range(500):
        log_ratio = setting.updated(log_ratio, np.array([-1.0]), tuning)
    assert setting.scales(1.0, log_ratio) == pytest.approx(8.0)
    assert setting.scales(1.0, setting.updated(log_ratio, np.array([5.0]), tuning)) < 1.1


def test_outside_its_interval_it_does_not_guide() -> None:
    setting = FeedbackGuidance(0.5, interval=(0.5, 5.0))
    assert [setting.scales(level, np.zeros(1))[0] for level in (0.5, 0.6, 5.0, 5.1)] == [1.0, 2.0, 2.0, 1.0]


def test_settings_go_to_json_and_back() -> None:
    settings = [
        Guidance(),
        Guidance(2.0, (0.5, 5.0)),
        FeedbackGuidance(0.9),
        FeedbackGuidance(0.999, 0.5, 0.4, largest=20, reference=2.5, gap=0.1, interval=(0.1, math.inf)),
    ]
    assert [from_json(setting.to_json()) for setting in settings] == settings
    assert hash(from_json(settings[3].to_json())) == hash(settings[3])
    # plain JSON, which knows no infinity
    json.loads(settings[3].to_json(), parse_constant=pytest.fail)


def test_settings_that_differ_have_names_that_differ() -> None:
    near = [
        FeedbackGuidance(0.9),
        FeedbackGuidance(0.9000001),
        FeedbackGuidance(0.9, 0.5),
        FeedbackGuidance(0.9, 0.5, 0.4),
        FeedbackGuidance(0.9, 0.5, 0.4, largest=9.0),
        FeedbackGuidance(0.9, 0.5, 0.4, reference=2.0),
        FeedbackGuidance(0.9, 0.5, 0.4, gap=2.0),
        FeedbackGuidance(0.9, 0.5, 0.4, interval=(0.5, 5.0)),
    ]
    assert len({str(setting) for setting in near}) == len(near)
    assert str(near[-1]) == "feedback pi=0.9 t_0=0.5 t_1=0.4 w<=10 for 0.5<sigma<=5"


def test_the_formula_speaks_of_feedback_where_there_is_some() -> None:
    assert formula([Guidance(2.0)]) == FORMULA
    assert formula([Guidance(2.0), FeedbackGuidance(0.9)]) == FORMULA + FEEDBACK_FORMULA


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pi": 1.0}, "pi=1.0 must be a finite number above 0 and below 1"),
        ({"pi": 0.0}, "pi=0.0"),
        ({"pi": "0.9"}, "pi='0.9'"),
        ({"pi": 0.9, "t_0": 1.0}, "t_0=1.0"),
        ({"pi": 0.9, "t_0": math.nan}, "t_0=nan"),
        ({"pi": 0.9, "t_0": 0.5, "t_1": 1.5}, "t_1=1.5"),
        ({"pi": 0.9, "t_1": 0.5}, "t_1=0.5 balances an offset, and there is none; give t_0 too"),
        ({"pi": 0.9, "largest": 1.0}, "largest=1.0"),
        ({"pi": 0.1}, "largest=10 must be above 1/pi=10"),
        ({"pi": 0.9, "t_0": 0.5, "reference": 1.1}, "reference=1.1 must be above 1/pi=1.11"),
        ({"pi": 0.9, "t_0": 0.5, "reference": 11.0}, "reference=11 .*at most largest=10"),
        ({"pi": 0.9, "gap": 0.0}, "gap=0.0"),
        ({"pi": 0.9, "gap": 1e-320}, "gap=1e-320 must be a finite number at least 1e-12"),
        ({"pi": 0.9, "interval": (5.0, 0.5)}, "guidance interval="),
    ],
    ids=str,
)
def test_parameters_that_do_not_fit_are_refused_by_name(options: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecentError, match=message):
        FeedbackGuidance(**options)


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", "7", '{"kind": "other", "interval": [0, 1]}', '{"kind": "constant", "interval": [0], "scale": 1}',
     '{"kind": "feedback", "pi": 0.9, "interval": [0, 1], "__class__": 1}',
     '{"kind": "feedback", "pi": 9, "interval": [0, 1]}', "[" * 100000],
    ids=lambda text: text[:20],
)  # fmt: skip
def test_a_text_that_defines_no_setting_is_refused(text: str) -> None:
    with pytest.raises(SpecentError, match=re.escape("is of no guidance setting")):
        from_json(text)
