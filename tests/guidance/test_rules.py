"""Every rule of guidance in the table: definitions, names, scales, and what files of version 0.1 hold."""

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

from specent.errors import SpecentError
from specent.guidance import FORMULA, RULES, FeedbackGuidance, Guidance, Setting, formula, from_json

LEVELS = np.geomspace(0.02, 80.0, 24)
INTERVALS = st.tuples(st.floats(0, 10), st.one_of(st.floats(11, 100), st.just(math.inf)))
# how hypothesis makes settings of a rule; a rule that is missing here fails the first test
DRAWN: dict[str, st.SearchStrategy[Setting]] = {
    "constant": st.builds(Guidance, st.floats(0, 1e6), INTERVALS),
    "feedback": st.builds(
        FeedbackGuidance,
        st.floats(0.5, 0.999),
        st.one_of(st.none(), st.floats(0, 0.9)),
        largest=st.floats(5, 1e6),
        gap=st.floats(0.01, 100),
        interval=INTERVALS,
    ),
}
EVERY = st.one_of(*DRAWN.values())


def test_every_rule_of_the_table_is_drawn_and_known_by_its_kind() -> None:
    assert set(DRAWN) == set(RULES)
    assert all(rule.kind == kind for kind, rule in RULES.items())


@given(EVERY)
def test_a_setting_goes_to_plain_json_and_back(setting: Setting) -> None:
    text = setting.to_json()
    # which knows no infinity
    json.loads(text, parse_constant=pytest.fail)
    again = from_json(text)
    assert again == setting
    assert hash(again) == hash(setting)
    assert str(again) == str(setting)


@given(EVERY, st.lists(st.floats(-50, 50), min_size=2, max_size=24), st.booleans())
def test_the_scale_is_finite_within_its_interval_and_one_outside(
    setting: Setting, evidence: list[float], of_torch: bool
) -> None:
    like: Any = torch.zeros(1, 2, dtype=torch.float64) if of_torch else np.zeros((1, 2))
    state = setting.start(LEVELS, 3, like)
    bound, low, high = setting.numbers
    for level, gain in zip(LEVELS[::-1], evidence, strict=False):
        scale = setting.scale_at(float(level), state)
        assert np.shape(scale) in ((), (3,) if setting.per_trajectory else ())
        assert np.isfinite(np.asarray(scale)).all()
        assert (np.asarray(scale) <= max(bound, 1.0)).all()
        if not low < level <= high:
            assert (np.asarray(scale) == 1.0).all()
        state = setting.update(state, torch.full((3,), gain, dtype=torch.float64) if of_torch else np.full(3, gain))


@given(EVERY)
def test_only_a_setting_of_bound_one_is_unguided_and_only_guided_ones_need_the_null_condition(setting: Setting) -> None:
    assert setting.guided == (setting.numbers[0] != 1.0)
    assert setting.needs_null == setting.guided


@given(EVERY, EVERY)
def test_settings_that_differ_have_names_that_differ_if_they_guide(first: Setting, second: Setting) -> None:
    assert (str(first) == str(second)) == (first == second or not (first.guided or second.guided))


@given(EVERY)
def test_a_setting_whose_numbers_define_it_can_be_rebuilt_from_them(setting: Setting) -> None:
    if setting.defined_by_numbers:
        scale, low, high = setting.numbers
        assert Guidance(scale, (low, high)) == setting


@pytest.mark.parametrize(
    ("text", "setting"),
    [
        ('{"kind": "constant", "scale": 2.0, "interval": [0.5, "inf"]}', Guidance(2.0, (0.5, math.inf))),
        (
            '{"kind": "feedback", "pi": 0.999, "t_0": 0.5, "t_1": null, "largest": 20.0, "reference": 2.5, "gap": 0.1, '
            '"interval": [0.1, 9.0]}',
            FeedbackGuidance(0.999, 0.5, largest=20, reference=2.5, gap=0.1, interval=(0.1, 9.0)),
        ),
    ],
    ids=["constant", "feedback"],
)
def test_definitions_in_files_of_version_0_1_are_read(text: str, setting: Setting) -> None:
    assert from_json(text) == setting
    assert setting.to_json() == text


def test_the_formula_speaks_of_feedback_once_and_only_where_there_is_some() -> None:
    assert formula([Guidance(2.0)]) == FORMULA
    several = [FeedbackGuidance(0.8), Guidance(2.0), FeedbackGuidance(0.9)]
    assert formula(several) == FORMULA + FeedbackGuidance.formula


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
