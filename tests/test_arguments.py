"""Arguments come out plain, or are refused in one line that names them."""

import math
from datetime import datetime
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from specent import arguments
from specent.arguments import brief
from specent.errors import ModelError, SpecentError


class Rude:
    def __repr__(self) -> str:
        raise RuntimeError("no")


@pytest.mark.parametrize("value", [1, 1.5, np.float32(2.5), np.int64(3), np.array(4.0), Fraction(1, 2)])
def test_numbers_of_every_kind_become_floats(value: object) -> None:
    plain = arguments.number(value, "scale")
    assert type(plain) is float
    assert plain == float(value)


@pytest.mark.parametrize(
    "value", [None, "1", True, np.bool_(True), 1j, [1.0], math.nan, math.inf, 10**400, datetime(2020, 1, 1), Rude()]
)
def test_what_is_not_a_finite_number_is_refused_by_name(value: object) -> None:
    with pytest.raises(SpecentError, match=r"^scale=.* must be a finite number") as caught:
        arguments.number(value, "scale")
    assert "\n" not in str(caught.value)


@given(st.floats(-10, 10))
def test_limits_are_open_or_closed_as_said(value: float) -> None:
    def accepted(**limits: float) -> bool:
        try:
            arguments.number(value, "x", **limits)
        except SpecentError:
            return False
        return True

    assert accepted(above=0) == (value > 0)
    assert accepted(least=0) == (value >= 0)
    assert accepted(below=1, least=-1) == (-1 <= value < 1)
    assert accepted(most=1) == (value <= 1)


@pytest.mark.parametrize(("value", "plain"), [(3, 3), (np.int32(4), 4), (np.uint8(2), 2)])
def test_whole_numbers_become_ints(value: object, plain: int) -> None:
    assert arguments.whole(value, "samples") == plain
    assert type(arguments.whole(value, "samples")) is int


@pytest.mark.parametrize("value", [None, "3", 2.0, True, np.bool_(False), -1, 2**63, [3]])
def test_what_is_not_a_whole_number_in_range_is_refused(value: object) -> None:
    with pytest.raises(SpecentError, match=r"^samples=.* must be a whole number"):
        arguments.whole(value, "samples")


def test_the_limits_of_whole_numbers_are_named() -> None:
    with pytest.raises(SpecentError, match="from 2 to 9"):
        arguments.whole(1, "steps", least=2, most=9)
    with pytest.raises(ModelError, match="of at least 2"):
        arguments.whole(1, "steps", least=2, error=ModelError)


def test_arrays_of_real_numbers_become_double_precision() -> None:
    leaf = torch.tensor([1.0, 2.0], requires_grad=True)
    for value in ([1, 2], (1.0, 2.0), np.array([1, 2], np.int8), leaf, np.array([1, 2], np.float16)):
        plain = arguments.array(value, "time")
        assert plain.dtype == np.float64
        assert plain.tolist() == [1.0, 2.0]


@pytest.mark.parametrize(
    "value",
    [
        ["1", "2"], None, [True, False], [1j], np.array(["2020-01-01"], "M8[D]"), [[1], [1, 2]], {"a": 1},
        np.ma.masked_array([1.0, 2.0], [False, True]), [None, 1.0],
    ],
    ids=str,
)  # fmt: skip
def test_arrays_of_anything_else_are_refused(value: object) -> None:
    with pytest.raises(SpecentError, match=r"^time"):
        arguments.array(value, "time")


def test_names_are_printable_text_or_whole_numbers() -> None:
    assert arguments.names(["cat", 3, np.int64(4), np.str_("dog")], "labels") == ("cat", "3", "4", "dog")
    assert arguments.names(np.array(["a", "b"]), "labels") == ("a", "b")
    assert arguments.names(range(2), "labels") == ("0", "1")


@pytest.mark.parametrize(
    "value", ["abc", b"abc", {"a": 1}, 5, [None], [math.nan], [""], ["a\0"], ["a\nb"], [True], [1.5]]
)
def test_other_names_are_refused(value: object) -> None:
    with pytest.raises(SpecentError, match=r"^labels"):
        arguments.names(value, "labels")


def test_instances_and_flags() -> None:
    assert arguments.instance("a", str, "title", "give text") == "a"
    with pytest.raises(SpecentError, match="title=5 is a int; give text"):
        arguments.instance(5, str, "title", "give text")
    assert arguments.flag(np.bool_(True), "overwrite") is True
    for value in ("yes", 1, None):
        with pytest.raises(SpecentError, match=r"overwrite=.* must be True or False"):
            arguments.flag(value, "overwrite")


def test_a_value_that_holds_itself_over_and_over_is_shown_in_short() -> None:
    value: tuple[object, ...] = ()
    for _ in range(60):
        value = (value,) * 6
    assert len(brief(value)) < 3000
