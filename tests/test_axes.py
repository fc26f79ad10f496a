"""Places and rates move between axes as the chain rule says."""

from __future__ import annotations

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
    ids=str,
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
