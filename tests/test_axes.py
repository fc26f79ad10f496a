"""Places and rates move between axes as the chain rule says."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from specent.axes import AXES, check_axis, position, rate_factor
from specent.errors import SpecentError
from specent.schedules import DDPM, VE, VP, FlowMatching, Schedule


@pytest.mark.parametrize("schedule", [VP(), VE(), FlowMatching(), DDPM("linear")], ids=str)
def test_positions_are_those_of_the_schedule(schedule: Schedule) -> None:
    time = schedule.time([4.0, 0.0, -4.0])
    log_snr = schedule.log_snr(time)
    level = schedule.sigma(time) / schedule.alpha(time)
    expected = {"log_snr": log_snr, "log_sigma": np.log(level), "sigma": level, "time": time}
    for axis in AXES:
        np.testing.assert_allclose(position(axis, log_snr, schedule), expected[axis], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    ("schedule", "slope"),
    [
        (VP(), lambda t: 2 / (1 - np.exp(-2 * t))),
        (VE(), lambda t: 2 / t),
        (FlowMatching(), lambda t: 2 / (t * (1 - t))),
    ],
    ids=lambda value: str(value).partition(" at 0x")[0],
)
def test_the_factor_of_time_is_the_slope_of_the_log_snr(schedule: Schedule, slope) -> None:  # type: ignore[no-untyped-def]
    log_snr = np.array([6.0, 1.0, -1.0, -6.0])
    np.testing.assert_allclose(rate_factor("time", log_snr, schedule), slope(schedule.time(log_snr)), rtol=1e-7)


def test_factors_of_noise_level_axes_follow_from_its_definition() -> None:
    level = np.array([0.1, 1.0, 30.0])
    log_snr = -2 * np.log(level)
    np.testing.assert_allclose(rate_factor("log_snr", log_snr), 1)
    np.testing.assert_allclose(rate_factor("log_sigma", log_snr), 2)
    np.testing.assert_allclose(rate_factor("sigma", log_snr), 2 / level)


def test_discrete_times_have_the_slope_of_the_underlying_curve() -> None:
    schedule = DDPM("linear")
    time = np.array([100.0, 500.0, 900.0])
    central = (schedule.log_snr(time - 1) - schedule.log_snr(time + 1)) / 2
    # a half-step and a whole-step difference of a smooth table agree to its third difference
    np.testing.assert_allclose(rate_factor("time", schedule.log_snr(time), schedule), central, rtol=1e-3)
    assert np.isfinite(rate_factor("time", schedule.log_snr([0.0, 999.0]), schedule)).all()


def test_unknown_axes_and_missing_schedules_are_named() -> None:
    for call in (check_axis, lambda axis: position(axis, 0.0), lambda axis: rate_factor(axis, 0.0)):
        with pytest.raises(SpecentError, match="axis='snr' is not an axis"):
            call("snr")
    for function in (position, rate_factor):
        with pytest.raises(SpecentError, match="needs a schedule"):
            function("time", 0.0)
    with pytest.raises(SpecentError, match="rate_axis='snr'"):
        check_axis("snr", "rate_axis")


@pytest.mark.parametrize("axis", [None, 3, ["sigma"], np.array(["sigma", "time"]), b"sigma"], ids=repr)
def test_axes_that_are_no_text_are_named(axis: Any) -> None:
    with pytest.raises(SpecentError, match="is not an axis"):
        check_axis(axis)


@pytest.mark.parametrize("function", [position, rate_factor])
def test_positions_and_schedules_of_another_kind_are_refused(function: Any) -> None:
    for bad in (None, "1", 1j, np.ma.masked_invalid([np.nan]), np.datetime64("2020"), [1.0, None], 5000.0, -5000.0):
        with pytest.raises(SpecentError, match="log_snr"):
            function("sigma", bad)
    for schedule in ("ve", VE):
        with pytest.raises(SpecentError, match="give a schedule, for example"):
            function("time", 0.0, schedule)
    # a position that does not exist stays one
    assert np.isnan(function("sigma", np.nan))


def test_the_factor_of_the_time_of_flow_matching_is_known_up_to_its_ends() -> None:
    log_snr = np.array([-55.0, -40.0, 40.0, 55.0])
    # dt / dlog_snr = t (1 - t) / 2, and t (1 - t) = exp(-|log_snr| / 2) but for exp(-20)
    np.testing.assert_allclose(rate_factor("time", log_snr, FlowMatching()), 2 * np.exp(np.abs(log_snr) / 2), rtol=1e-8)


def test_the_axis_sigma_is_the_coordinate_sigma_under_ve_only() -> None:
    for schedule, alike in ((VE(), True), (VP(), False), (FlowMatching(), False), (DDPM("linear"), False)):
        time = schedule.time([2.0, -2.0])
        axis = position("sigma", schedule.log_snr(time))
        assert np.allclose(axis, schedule.sigma(time)) == alike
        np.testing.assert_allclose(axis, schedule.noise_level(time), rtol=1e-12)
