"""Guidance settings: w = 1 is unguided, and the interval is open below and closed above."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
import pytest

import specent as sp
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


def test_settings_that_differ_have_names_that_differ() -> None:
    near = [
        Guidance(2.0000001),
        Guidance(2.0000002),
        Guidance(2.5),
        Guidance(1e6),
        Guidance(2.0, (0.5, 5.0000001)),
        Guidance(2.0, (0.5, 5.0000002)),
        Guidance(2.0, (0.50000001, 5.0)),
    ]
    assert [str(setting) for setting in near] == [
        "w=2.0000001",
        "w=2.0000002",
        "w=2.5",
        "w=1000000",
        "w=2 for 0.5<sigma<=5.0000001",
        "w=2 for 0.5<sigma<=5.0000002",
        "w=2 for 0.50000001<sigma<=5",
    ]
    assert str(Guidance(-0.0)) == "w=0"


@pytest.mark.parametrize(
    "scale", [-0.1, math.nan, math.inf, 1e300, "2", b"2", None, 2j, True, [2.0], {"w": 2}, np.datetime64("2020-01-01")]
)
def test_scales_that_are_no_number_in_range_are_refused(scale: Any) -> None:
    with pytest.raises(SpecentError, match=re.escape(f"scale={scale!r}")):
        Guidance(scale)


@pytest.mark.parametrize(
    "interval",
    [
        (5.0, 0.5),
        (1.0, 1.0),
        (-1.0, 2.0),
        (math.nan, 1.0),
        (0.0, math.nan),
        (1.0,),
        None,
        b"ab",
        "ab",
        5.0,
        ("0", "1"),
        (0.0, None),
        (0.0, 1j),
        {0.0: 1, 1.0: 2},
        np.ones((2, 2)),
    ],
    ids=repr,
)
def test_intervals_that_are_none_are_refused_in_one_line(interval: Any) -> None:
    with pytest.raises(SpecentError, match="guidance interval=") as caught:
        Guidance(2.0, interval)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("level", [None, "1", math.nan, -1.0, np.ones(2)], ids=repr)
def test_the_noise_level_must_be_one_number(level: Any) -> None:
    with pytest.raises(SpecentError, match="noise_level="):
        Guidance(2.0).scale_at(level)


def test_an_interval_may_be_an_array() -> None:
    assert Guidance(np.float32(2), np.array([1, 5])) == Guidance(2.0, (1.0, 5.0))  # type: ignore[arg-type]


def _two_components(**options: Any) -> Any:
    mix = sp.exact.GaussianMixture([[-8.0], [8.0]], labels=["a", "b"])
    return sp.exact.profiles(mix, sp.schedules.VE(), np.geomspace(0.1, 100, 400), "full", **options)


@pytest.mark.parametrize("left", [0.05, 0.1, 0.5])
def test_below_ends_where_that_part_of_the_entropy_is_left(left: float) -> None:
    setting = Guidance.below(_two_components(), left, scale=2.0)
    # K = 8 / sqrt(sigma^2 + 1) at that entropy; levels are 1.7 % apart, and lines run between them
    ratio = float(sp.exact.two_component_entropy_inverse(left))
    assert setting.scale == 2.0
    assert setting.interval[0] == 0.0
    assert np.isclose(setting.interval[1], np.sqrt((8 / ratio) ** 2 - 1), rtol=1e-3)


def test_below_does_not_depend_on_the_schedule() -> None:
    profile = _two_components()
    flow = sp.on_schedule(profile, sp.schedules.FlowMatching())
    assert np.isclose(Guidance.below(flow).interval[1], Guidance.below(profile).interval[1])


def test_the_name_of_below_has_four_digits() -> None:
    assert re.fullmatch(r"w=3 for 0<sigma<=\d\.\d{1,3}", str(Guidance.below(_two_components())))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda profile: profile.isel(partition=[0, 0]), "select one partition"),
        (lambda profile: profile.assign_coords(guidance_scale=("guidance", [2.0])), "none of the guidance settings"),
        (lambda profile: profile.isel(time=slice(380, None)), "is not among its entropies"),
        (lambda profile: profile.entropy, "not profiles"),
        (lambda profile: "curve.nc", "is a str"),
        (lambda profile: profile.assign(entropy=profile.entropy * np.nan), "not finite"),
        (lambda profile: profile.drop_vars("log_snr"), "'log_snr' is missing"),
        (lambda profile: profile.drop_vars("guidance_scale"), "'guidance_scale' is missing"),
        (lambda profile: profile.assign(mutual_information=profile.mutual_information.astype(str)), "real numbers"),
        (lambda profile: profile.isel(time=slice(None, None, -1)), "log_snr does not fall"),
        (lambda profile: profile.assign(mutual_information=profile.mutual_information[..., 0]), "two times"),
        (lambda profile: profile.isel(time=[]), "two times"),
    ],
)
def test_below_refuses_what_is_no_unguided_curve(change: Any, message: str) -> None:
    with pytest.raises(SpecentError, match=message):
        Guidance.below(change(_two_components()))


def test_below_refuses_shares_that_are_none() -> None:
    with pytest.raises(SpecentError, match="left"):
        Guidance.below(_two_components(), 1.5)
