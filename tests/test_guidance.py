"""Guidance settings: w = 1 is unguided, and the interval is open below and closed above."""

from __future__ import annotations

import math

import pytest

from specent.errors import SpecentError
from specent.guidance import Guidance


def test_the_scale_applies_above_the_lower_and_up_to_the_upper_level() -> None:
    setting = Guidance(3.0, (0.5, 5.0))
    assert [setting.scale_at(level) for level in (0.4, 0.5, 0.51, 5.0, 5.1)] == [1.0, 1.0, 3.0, 3.0, 1.0]


def test_without_an_interval_the_scale_applies_everywhere() -> None:
    assert [Guidance(2.0).scale_at(level) for level in (1e-9, 1.0, 1e9)] == [2.0, 2.0, 2.0]


def test_only_a_scale_other_than_one_guides() -> None:
    assert not Guidance().guided
    assert not Guidance(1.0, (0.5, 5.0)).guided
    assert Guidance(0.0).guided
    assert Guidance(2.0).guided


def test_names_tell_settings_apart() -> None:
    settings = [
        Guidance(),
        Guidance(2.0),
        Guidance(2.0, (0.5, 5.0)),
        Guidance(2.0, (0.0, 5.0)),
        Guidance(2.0, (0.5, math.inf)),
    ]
    names = [str(setting) for setting in settings]
    assert names == ["unguided", "w=2", "w=2 for 0.5<sigma<=5", "w=2 for 0<sigma<=5", "w=2 for 0.5<sigma"]


def test_settings_read_as_a_list_equal_and_hash_like_those_given_as_a_tuple() -> None:
    read = Guidance(2, [1, 5])  # type: ignore[arg-type]
    assert read == Guidance(2.0, (1.0, 5.0))
    assert hash(read) == hash(Guidance(2.0, (1.0, 5.0)))


@pytest.mark.parametrize("scale", [-0.1, math.nan, math.inf])
def test_negative_or_infinite_scales_are_refused(scale: float) -> None:
    with pytest.raises(SpecentError, match=f"scale={scale!r}"):
        Guidance(scale)


@pytest.mark.parametrize("interval", [(5.0, 0.5), (1.0, 1.0), (-1.0, 2.0), (math.nan, 1.0), (0.0, math.nan), (1.0,)])
def test_intervals_upside_down_are_refused(interval: tuple[float, float]) -> None:
    with pytest.raises(SpecentError, match="interval="):
        Guidance(2.0, interval)
