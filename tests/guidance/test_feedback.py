"""Guidance that feeds back: its scale undoes the mixture it assumes, and its two times mean what they say."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from specent.errors import SpecentError
from specent.guidance import FeedbackGuidance
from specent.guidance.feedback import Feedback

LEVELS = np.geomspace(0.02, 80.0, 65)


def scale_of(setting: FeedbackGuidance, log_ratio: Any) -> Any:
    """The scale where the running logarithm of r has some values, at a noise level inside every interval used here."""
    return setting.scale_at(1.0, Feedback(log_ratio))


@pytest.mark.parametrize("pi", [0.05, 0.5, 0.9, 0.999])
def test_if_the_learned_density_is_the_assumed_mixture_the_guided_score_is_that_of_the_true_one(pi: float) -> None:
    x = torch.linspace(-6, 6, 101, dtype=torch.float64, requires_grad=True)
    true = torch.distributions.Normal(1.5, 0.8)
    other = torch.distributions.Normal(torch.tensor(-2.0, dtype=torch.float64), 1.3)
    marginal = torch.logaddexp(true.log_prob(x) + math.log(0.3), other.log_prob(x) + math.log(0.7))
    learned = torch.logaddexp(true.log_prob(x) + math.log(pi), marginal + math.log1p(-pi))

    def score(log_density: torch.Tensor) -> torch.Tensor:
        return torch.autograd.grad(log_density.sum(), x, retain_graph=True)[0]

    weight = scale_of(FeedbackGuidance(pi, largest=1e6), (learned - marginal).detach())
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
        np.testing.assert_allclose(np.asarray(scale_of(setting, log_ratio)), expected, rtol=1e-12)


@given(st.floats(0.001, 0.999), st.lists(st.floats(-300, 300), min_size=1, max_size=5))
def test_the_scale_falls_with_the_evidence_from_its_bound_to_one(pi: float, values: list[float]) -> None:
    setting = FeedbackGuidance(pi, largest=2 / pi)
    scales = scale_of(setting, np.sort(values))
    assert (np.diff(scales) <= 0).all()
    assert (scales >= 1).all()
    assert (scales <= 2 / pi).all()


def test_a_learned_density_that_is_the_true_one_needs_no_guidance() -> None:
    # without an offset; w - 1 is 1 - pi at the start
    setting = FeedbackGuidance(1 - 1e-12)
    np.testing.assert_allclose(scale_of(setting, np.log([0.1, 1.0, 10.0])), 1.0, atol=2e-11)


@pytest.mark.parametrize("t_0", [0.0, 0.25, 0.5, 0.75])
def test_the_offset_alone_brings_the_scale_to_its_reference_at_t_0(t_0: float) -> None:
    setting = FeedbackGuidance(0.99, t_0, reference=3.0)
    state = setting.start(LEVELS[:64], 1, like=LEVELS)
    for n in range(64):
        # evaluation n of 64 stands at 1 - n / 64
        if 1 - n / 64 > t_0:
            assert setting.scale_at(1.0, state)[0] < 3.0 * (1 - 1e-9)
        elif 1 - n / 64 == t_0:
            assert setting.scale_at(1.0, state)[0] == pytest.approx(3.0, rel=1e-12)
        state = setting.update(state, np.zeros(1))
    assert setting.scale_at(1.0, state)[0] >= 3.0 * (1 - 1e-9)


@pytest.mark.parametrize(("t_1", "n"), [(1.0, 0), (0.5, 32), (0.0, 62)])
def test_predictions_the_gap_apart_balance_the_offset_at_t_1(t_1: float, n: int) -> None:
    setting = FeedbackGuidance(0.99, 0.4, t_1, gap=0.7)
    levels = LEVELS[:64]
    before, after = levels[63 - n], levels[62 - n]
    # the textbook transition, in one dimension: the two means lie sqrt(gap) apart, and x' falls on the first of them
    spread = np.sqrt(after**2 * (1 - (after / before) ** 2))
    evidence = norm.logpdf(0.0, 0.0, spread) - norm.logpdf(0.0, np.sqrt(0.7), spread)
    state = setting.start(levels, 1, like=levels)._replace(log_ratio=np.array([0.3]))
    np.testing.assert_allclose(setting.update(state, np.array([evidence])).log_ratio, 0.3, rtol=1e-12)


def test_guidance_ends_at_once_when_evidence_comes_after_a_long_wait() -> None:
    setting = FeedbackGuidance(0.9, 0.5, largest=8.0)
    state = setting.start(LEVELS, 1, like=LEVELS)
    for _ in range(500):
        state = setting.update(state, np.array([-1.0]))
    assert setting.scale_at(1.0, state) == pytest.approx(8.0)
    assert setting.scale_at(1.0, setting.update(state, np.array([5.0]))) < 1.1


def test_outside_its_interval_it_does_not_guide() -> None:
    setting = FeedbackGuidance(0.5, interval=(0.5, 5.0))
    scales = [setting.scale_at(level, Feedback(np.zeros(1))) for level in (0.5, 0.6, 5.0, 5.1)]
    assert [float(np.squeeze(scale)) for scale in scales] == [1.0, 2.0, 2.0, 1.0]


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
