"""Schedules are the Gaussian channel at another speed, and their grids refuse what cannot be used."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from specent.errors import ScheduleError
from specent.schedules import (
    DDPM,
    VE,
    VP,
    FlowMatching,
    Schedule,
    check_grid,
    edm_grid,
    from_json,
    log_snr_grid,
    time_grid,
)

SCHEDULES = [VP(), VE(), FlowMatching(), DDPM("linear"), DDPM("scaled_linear"), DDPM("cosine"), DDPM((0.1, 0.2, 0.5))]


def _inside(schedule: Schedule, share: float) -> float:
    """A time that many shares of the way through a range of log-SNR that every schedule but the shortest has."""
    low, high = (-9.0, 4.0) if not isinstance(schedule, DDPM) else schedule.log_snr(schedule.time_range)[::-1]
    return float(schedule.time(low + share * (high - low)))


@pytest.mark.parametrize("schedule", SCHEDULES, ids=str)
@given(share=st.floats(0.001, 0.999))
@settings(deadline=None, max_examples=40)
def test_time_and_log_snr_are_inverse_to_each_other(schedule: Schedule, share: float) -> None:
    time = _inside(schedule, share)
    log_snr = schedule.log_snr(time)
    assert schedule.time(log_snr) == pytest.approx(time, rel=1e-10, abs=1e-10)
    assert schedule.log_snr(schedule.time(log_snr)) == pytest.approx(float(log_snr), rel=1e-10, abs=1e-10)


@pytest.mark.parametrize("schedule", SCHEDULES, ids=str)
def test_log_snr_is_that_of_alpha_and_sigma_and_falls_with_time(schedule: Schedule) -> None:
    time = np.array([_inside(schedule, share) for share in np.linspace(0.98, 0.02, 25)])
    assert (np.diff(time) > 0).all()
    expected = 2 * np.log(schedule.alpha(time) / schedule.sigma(time))
    np.testing.assert_allclose(schedule.log_snr(time), expected, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(schedule.noise_level(time), schedule.sigma(time) / schedule.alpha(time), rtol=1e-10)
    assert (np.diff(schedule.log_snr(time)) < 0).all()


@pytest.mark.parametrize("schedule", [VP(), *SCHEDULES[3:]], ids=str)
def test_variance_preserving_schedules_keep_the_sum_of_squares(schedule: Schedule) -> None:
    time = np.array([_inside(schedule, share) for share in (0.05, 0.5, 0.95)])
    np.testing.assert_allclose(schedule.alpha(time) ** 2 + schedule.sigma(time) ** 2, 1, rtol=1e-12)


def test_alpha_and_sigma_are_those_of_their_papers() -> None:
    assert VP().alpha(0.7) == pytest.approx(np.exp(-0.7))
    assert VP().sigma(0.7) == pytest.approx(np.sqrt(1 - np.exp(-1.4)))
    assert (VE().alpha(3.0), VE().sigma(3.0)) == (1.0, 3.0)
    assert (FlowMatching().alpha(0.25), FlowMatching().sigma(0.25)) == (0.75, 0.25)


def test_far_ends_neither_overflow_nor_warn() -> None:
    assert VP().log_snr(400.0) == pytest.approx(-800.0)
    assert VP().time(-800.0) == pytest.approx(400.0)
    assert FlowMatching().time(2000.0) == 0.0
    assert FlowMatching().time(-2000.0) == 1.0


def test_linear_ddpm_has_the_reference_noise_levels() -> None:
    level = DDPM("linear").noise_level([0, 250, 500, 999])
    # four significant digits are known
    np.testing.assert_allclose(level, [0.0100, 0.958, 3.443, 157.4], rtol=5e-4)


@pytest.mark.parametrize(
    ("kind", "betas"),
    [
        ("linear", np.linspace(1e-4, 2e-2, 1000)),
        ("scaled_linear", np.linspace(np.sqrt(0.00085), np.sqrt(0.012), 1000) ** 2),
    ],
)
def test_named_ddpm_schedules_are_the_products_of_their_betas(kind: str, betas: np.ndarray) -> None:
    bar = np.cumprod(1 - betas)
    time = [0, 10, 400, 999]
    np.testing.assert_allclose(DDPM(kind).alpha(time) ** 2, bar[time], rtol=1e-9)  # type: ignore[arg-type]
    given_betas = DDPM(tuple(betas))
    np.testing.assert_allclose(given_betas.log_snr(time), DDPM(kind).log_snr(time), rtol=1e-12)  # type: ignore[arg-type]


def test_cosine_ddpm_follows_the_squared_cosine_until_the_betas_are_capped() -> None:
    step = np.array([0, 300, 900])
    cosine = np.cos(((step + 1) / 1000 + 0.008) / 1.008 * np.pi / 2) ** 2 / np.cos(0.008 / 1.008 * np.pi / 2) ** 2
    np.testing.assert_allclose(DDPM("cosine").alpha(step) ** 2, cosine, rtol=1e-9)
    assert np.isfinite(DDPM("cosine").log_snr(999))


def test_edm_grid_has_the_reference_noise_levels() -> None:
    level = edm_grid(64)[::-1]
    np.testing.assert_allclose(level[[0, 1, 16, 32, 48, 63]], [80, 73.3195, 17.0615, 2.3419, 0.1449, 0.002], atol=5e-5)
    ramp = np.linspace(80 ** (1 / 7), 0.002 ** (1 / 7), 64) ** 7
    np.testing.assert_allclose(level, ramp, rtol=1e-12)


def test_edm_grid_gives_every_schedule_the_same_noise_levels() -> None:
    for schedule in (VP(), FlowMatching(), DDPM("linear")):
        level = schedule.noise_level(edm_grid(16, 0.02, 80.0, schedule=schedule))
        np.testing.assert_allclose(level, edm_grid(16, 0.02, 80.0), rtol=1e-9)


def test_uniform_grids_are_uniform_in_their_own_variable() -> None:
    np.testing.assert_allclose(np.diff(time_grid(VE(), 5, 1.0, 3.0)), 0.5, rtol=1e-12)
    spaced = FlowMatching().log_snr(log_snr_grid(FlowMatching(), 9, -4.0, 4.0))
    np.testing.assert_allclose(np.diff(spaced), -1.0, rtol=1e-9)


@pytest.mark.parametrize("schedule", SCHEDULES, ids=str)
def test_json_round_trip_keeps_the_schedule(schedule: Schedule) -> None:
    again = from_json(schedule.to_json())
    assert again == schedule
    assert hash(again) == hash(schedule)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no json",
        "[]",
        "3",
        '{"name": "vq"}',
        '{"betas": "linear"}',
        '{"name": "vp", "speed": 2}',
        '{"name": ["ve"]}',
    ],
)
def test_json_of_no_known_schedule_is_refused(text: str) -> None:
    with pytest.raises(ScheduleError, match="not the JSON text of a known schedule"):
        from_json(text)


@pytest.mark.parametrize("bad", [0.0, -1.0, np.nan, np.inf])
@pytest.mark.parametrize("schedule", [VP(), VE(), FlowMatching()], ids=str)
def test_times_outside_the_range_are_refused(schedule: Schedule, bad: float) -> None:
    for method in (schedule.alpha, schedule.sigma, schedule.log_snr, schedule.noise_level):
        with pytest.raises(ScheduleError, match=re.escape(f"time={bad!r}")):
            method([0.5, bad])


def test_ends_of_bounded_schedules_are_closed_or_open_as_they_can_be() -> None:
    with pytest.raises(ScheduleError, match=r"time=1\.0 is outside \(0, 1\)"):
        FlowMatching().alpha(1.0)
    assert DDPM("linear").alpha([0, 999]).shape == (2,)
    with pytest.raises(ScheduleError, match=r"outside \[0, 999\]"):
        DDPM("linear").alpha(999.5)


def test_log_snr_out_of_reach_is_named() -> None:
    with pytest.raises(ScheduleError, match=r"log_snr=-30 is outside"):
        DDPM("linear").time([9.0, 0.0, -30.0])
    for schedule in SCHEDULES:
        with pytest.raises(ScheduleError, match="is not finite"):
            schedule.time([0.0, np.nan])


@pytest.mark.parametrize(
    ("betas", "named"),
    [
        ((0.1,), "at least 2"),
        ((), "at least 2"),
        (0.1, "at least 2"),
        ([[0.1, 0.2]], "at least 2"),
        ((0.1, 0.0), r"betas\[1\]=0 must"),
        ((0.1, 1.0), r"betas\[1\]=1 must"),
        ((np.nan, 0.1), r"betas\[0\]=nan must"),
        ((0.1, -0.1), r"betas\[1\]=-0.1 must"),
        ((0.5, 1e-20), r"betas\[1\]=1e-20 .* adds no noise"),
        ((0.999,) * 200, r"betas\[\d+\]=0.999 leaves no signal"),
        ([1, "b"], "betas="),
        (None, "betas=None"),
        (b"linear", "betas=b'linear'"),
    ],
)
def test_betas_must_be_probabilities_that_keep_signal_and_add_noise(betas: Any, named: str) -> None:
    with pytest.raises(ScheduleError, match=named):
        DDPM(betas)


def test_messages_stay_short_however_long_the_betas() -> None:
    for betas in (np.full(1000, 2.0), ["b"] * 1000, "b" * 1000):
        with pytest.raises(ScheduleError) as caught:
            DDPM(betas)  # type: ignore[arg-type]
        assert len(str(caught.value)) < 200
        assert "\n" not in str(caught.value)


def test_unknown_names_and_numbers_of_betas_are_refused() -> None:
    with pytest.raises(ScheduleError, match="betas='square' is not a known schedule"):
        DDPM("square")  # type: ignore[arg-type]
    for steps in (1, -3, 2.5, np.nan, 20.0, "20", None, True, 2**40):
        with pytest.raises(ScheduleError, match="steps="):
            DDPM("linear", steps)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ((1,), "steps=1"),
        ((8, 0.0), "sigma_min=0.0"),
        ((8, 2.0, 1.0), "sigma_min=2.0"),
        ((8, 0.1, np.inf), "sigma_max=inf"),
        ((8, 0.1, 1.0, 0.0), "rho=0.0"),
        ((8, 0.1, 1.0, np.nan), "rho=nan"),
    ],
)
def test_edm_grid_refuses_levels_that_do_not_ascend(arguments: tuple[float, ...], named: str) -> None:
    with pytest.raises(ScheduleError, match=named):
        edm_grid(*arguments)  # type: ignore[arg-type]


def test_uniform_grids_refuse_ends_that_do_not_ascend() -> None:
    for start, end, named in (
        (2.0, 1.0, "must lie below"),
        (1.0, 1.0, "must lie below"),
        (np.nan, 1.0, "nan must be a finite number"),
        (1.0, np.inf, "inf must be a finite number"),
    ):
        with pytest.raises(ScheduleError, match=named):
            time_grid(VE(), 4, start, end)
        with pytest.raises(ScheduleError, match=named):
            log_snr_grid(VE(), 4, start, end)
    with pytest.raises(ScheduleError, match="is outside"):
        time_grid(VP(), 4, 0.0, 1.0)


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        ([[1.0, 2.0]], "one-dimensional"),
        ([1.0], "at least 2 steps"),
        ([1.0, 3.0, 2.0], r"time\[2\]=2 does not exceed time\[1\]=3"),
        ([1.0, 1.0], "must ascend"),
        ([0.0, 1.0], "is outside"),
        ([1.0, np.nan], "time=nan is outside"),
    ],
)
def test_grids_must_ascend_inside_the_range(grid: list[float], message: str) -> None:
    with pytest.raises(ScheduleError, match=message):
        check_grid(VE(), grid)


# ---- input of another kind

NOT_NUMBERS = [
    None,
    "1",
    b"1",
    1j,
    {"time": 1.0},
    True,
    np.datetime64("2020-01-01"),
    np.timedelta64(1, "s"),
    np.complex64(1),
    np.array([1.0, None]),
    np.array(["a", "b"]),
    np.array([1.0 + 1j, 2.0]),
    np.ma.masked_invalid([1.0, np.nan]),
    [[1.0], [1.0, 2.0]],
]


def _one_line(call: Callable[[], object], named: str) -> None:
    """The call ends in one short line that begins with what was wrong."""
    with pytest.raises(ScheduleError, match=re.escape(named)) as caught:
        call()
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("bad", NOT_NUMBERS, ids=repr)
@pytest.mark.parametrize("schedule", [VP(), VE(), FlowMatching(), DDPM("linear")], ids=str)
def test_times_that_are_no_numbers_are_refused_not_converted(schedule: Schedule, bad: Any) -> None:
    for method in (schedule.alpha, schedule.sigma, schedule.log_snr, schedule.noise_level):
        _one_line(lambda method=method: method(bad), "time")  # type: ignore[misc]
    _one_line(lambda: schedule.time(bad), "log_snr")
    _one_line(lambda: check_grid(schedule, bad), "time")


@pytest.mark.parametrize("bad", [*NOT_NUMBERS, [1.0]], ids=repr)
def test_settings_of_grids_that_are_no_numbers_are_refused(bad: Any) -> None:
    for argument in ("steps", "sigma_min", "sigma_max", "rho"):
        _one_line(lambda argument=argument: edm_grid(**{"steps": 8, argument: bad}), f"{argument}=")  # type: ignore[misc]
    _one_line(lambda: time_grid(VE(), bad, 1.0, 2.0), "steps=")
    _one_line(lambda: time_grid(VE(), 4, bad, 2.0), "start=")
    _one_line(lambda: log_snr_grid(VE(), 4, -1.0, bad), "log_snr_max=")


@pytest.mark.parametrize("bad", ["ve", None, VE, VE().to_json(), 3], ids=repr)
def test_what_is_no_schedule_is_refused(bad: Any) -> None:
    calls = [
        lambda: time_grid(bad, 4, 1.0, 2.0),
        lambda: log_snr_grid(bad, 4, -1.0, 1.0),
        lambda: check_grid(bad, [1.0, 2.0]),
        *([lambda: edm_grid(8, schedule=bad)] if bad is not None else []),
    ]
    for call in calls:
        _one_line(call, "give a schedule, for example specent.schedules.VE()")


def test_tensors_are_numbers_even_if_they_require_a_gradient() -> None:
    torch = pytest.importorskip("torch")
    grid = torch.tensor([0.5, 2.0], dtype=torch.float64, requires_grad=True)
    np.testing.assert_array_equal(check_grid(VE(), grid), [0.5, 2.0])
    np.testing.assert_array_equal(VP().log_snr(grid), VP().log_snr([0.5, 2.0]))
    _one_line(lambda: VE().alpha(torch.ones(2, dtype=torch.bfloat16)), "time=")
    _one_line(lambda: VE().alpha(torch.float32), "time=")


def test_whole_numbers_beyond_64_bits_are_numbers() -> None:
    assert VE().sigma(2**70) == 2.0**70
    _one_line(lambda: VE().sigma([1, 2**2000]), "time=")


@pytest.mark.parametrize("text", [None, 3, b"\xff", "[" * 100_000, '{"name": "ddpm", "betas": [1, "b"]}'], ids=str)
def test_json_of_another_kind_is_refused_in_one_line(text: Any) -> None:
    _one_line(lambda: from_json(text), "betas=" if isinstance(text, str) and "ddpm" in text else "schedule=")


# ---- grids that are none


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: edm_grid(8, rho=2.0**70), "rho=1.18059e+21, steps=8: the noise levels"),
        (lambda: edm_grid(8, rho=1e300), "use a rho from 1 to 100"),
        (lambda: edm_grid(8, rho=1e-3), "rho=0.001"),
        (lambda: edm_grid(8, rho=1e-310), "rho=1e-310"),
        (lambda: edm_grid(64, 1.0, 1.0 + 1e-15), "fewer steps, or move the ends apart"),
        (lambda: edm_grid(8, 1e-3, 1e20, schedule=FlowMatching()), "sigma_max=1e+20 must be"),
        (lambda: edm_grid(8, 1e-20), "sigma_min=1e-20 must be"),
        (lambda: edm_grid(2**40), "steps=1099511627776 must be"),
        (
            lambda: edm_grid(1000, 1e11, 1.0000001e11, schedule=FlowMatching()),
            "use fewer steps, or levels further apart",
        ),
        (lambda: log_snr_grid(VP(), 5, -4, 4000), "log_snr_max=4000 must be"),
        (lambda: log_snr_grid(VE(), 5, -4000, 4000), "log_snr_min=-4000 must be"),
        (lambda: log_snr_grid(VE(), 5, 1.0, 1.0 + 4e-16), "move log_snr_min and log_snr_max apart"),
        (lambda: time_grid(VE(), 64, 1.0, 1.0 + 1e-15), "move start and end apart"),
        (lambda: check_grid(VE(), [1.0, 1e200]), "time[1]=1e+200 has noise level sigma/alpha=1e+200; keep the grid"),
        (lambda: check_grid(VE(), [1e-13, 1.0]), "time[0]=1e-13 has noise level"),
        (lambda: check_grid(VP(), [1.0, 500.0]), "time[1]=500 has noise level sigma/alpha=1.4e+217"),
        (lambda: check_grid(VP(), [0.1, 800.0]), "time=800.0 is outside (0, 709)"),
        (lambda: VE().time(-4000.0), "log_snr=-4000.0"),
    ],
)
def test_grids_whose_times_cannot_be_distinguished_or_reached_are_refused(make: Callable[[], Any], named: str) -> None:
    _one_line(make, named)


@pytest.mark.parametrize("schedule", [VP(), VE(), FlowMatching()], ids=str)
def test_grids_reach_as_far_as_they_say(schedule: Schedule) -> None:
    for grid in (edm_grid(16, 1e-12, 1e12, schedule=schedule), log_snr_grid(schedule, 16, -55.26, 55.26)):
        # a time of flow matching near 1 is known to 1e-16, and 1 - time is 1e-12 there
        np.testing.assert_allclose(schedule.noise_level(grid)[[0, -1]], [1e-12, 1e12], rtol=5e-3)
        assert (np.diff(schedule.log_snr(grid)) < 0).all()
