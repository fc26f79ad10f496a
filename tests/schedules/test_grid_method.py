"""`schedule.grid(steps)` on every schedule: valid, within its range, ready to sample; errors about grids name it."""

from __future__ import annotations

import re
import warnings
from typing import Any

import numpy as np
import pytest

import specent as sp
from specent.errors import ScheduleError
from specent.schedules import DDPM, SCHEDULES, VE, VP, FlowMatching, Schedule, check_grid, edm_grid

EVERY = [VP(), VE(), FlowMatching(), DDPM("linear"), DDPM("scaled_linear"), DDPM("cosine"), DDPM("linear", 50)]
SHORT = DDPM((0.1, 0.2, 0.5))
CASES = [(schedule, steps) for schedule in EVERY for steps in (2, 3, 17, 50)] + [(SHORT, 2), (SHORT, 3)]


def test_every_schedule_of_the_table_is_tried() -> None:
    assert {type(schedule) for schedule in EVERY} == set(SCHEDULES.values())
    assert all(kind.name == name for name, kind in SCHEDULES.items())


@pytest.mark.parametrize(("schedule", "steps"), [*CASES, *((schedule, 1000) for schedule in EVERY[:-1])], ids=str)
def test_the_grid_is_accepted_and_has_as_many_times_as_steps(schedule: Schedule, steps: int) -> None:
    grid = schedule.grid(steps)
    assert grid.shape == (steps,)
    np.testing.assert_array_equal(check_grid(schedule, grid), grid)


@pytest.mark.parametrize("schedule", [VP(), VE(), FlowMatching()], ids=str)
def test_continuous_schedules_share_the_noise_levels_of_images(schedule: Schedule) -> None:
    # a time of flow matching near 1 is known to 1e-16, its noise level to 1e-14
    np.testing.assert_allclose(schedule.noise_level(schedule.grid(24)), edm_grid(24, 0.002, 80.0), rtol=1e-11)


@pytest.mark.parametrize(("schedule", "steps"), [case for case in CASES if case[0].name == "ddpm"], ids=str)
def test_schedules_of_steps_give_whole_times_from_the_first_to_the_last(schedule: Schedule, steps: int) -> None:
    grid, last = schedule.grid(steps), schedule.time_range[1]
    assert schedule.whole_times is not None
    assert np.isin(grid, schedule.whole_times).all()
    assert (grid[0], grid[-1]) == (0, last)


@pytest.mark.parametrize("name", ["linear", "scaled_linear", "cosine"])
def test_whole_times_are_those_nearest_to_the_noise_levels_of_images(name: str) -> None:
    schedule = DDPM(name)
    least, most = schedule.level_range
    wanted = edm_grid(64, least * (1 + 1e-9), min(80.0, most * (1 - 1e-9)), schedule=schedule)
    # times that are at least two apart have room to be rounded, but the last, which is that of the schedule
    apart = np.diff(wanted, prepend=-np.inf, append=np.inf)
    free = (np.minimum(apart[:-1], apart[1:]) > 2) & (np.arange(64) > 20) & (np.arange(64) < 63)
    assert free.sum() > 5
    # half a whole time of rounding, and the log-SNR between two of them is a straight line
    assert (np.abs(schedule.grid(64) - wanted)[free] <= 0.6).all()


@pytest.mark.parametrize("name", ["linear", "scaled_linear", "cosine"])
def test_no_step_of_whole_times_is_coarse(name: str) -> None:
    schedule = DDPM(name)
    grid = schedule.grid(64)
    gains = -np.diff(schedule.log_snr(grid))[schedule.noise_level(grid[1:]) < 80]
    # two neighbours of the first time are 0.8 apart already; evenly spread times gain up to 3.8
    assert gains.max() < 0.85


def test_a_schedule_of_steps_beyond_the_noise_of_images_has_a_grid() -> None:
    schedule = DDPM((0.99995, 0.5, 0.5, 0.5))
    assert schedule.level_range[0] > 80
    np.testing.assert_array_equal(schedule.grid(2), [0, 3])


def test_a_schedule_of_steps_has_as_many_times_as_steps() -> None:
    np.testing.assert_array_equal(SHORT.grid(3), SHORT.whole_times)
    with pytest.raises(ScheduleError, match=r"steps=4 is more than the 3 times .*; a grid that fits: time = schedule"):
        SHORT.grid(4)


@pytest.mark.parametrize("bad", [1, 0, 2.5, "8", None, True])
def test_the_steps_must_be_a_number_of_them(bad: Any) -> None:
    for schedule in (VE(), SHORT):
        with pytest.raises(ScheduleError, match="steps="):
            schedule.grid(bad)


@pytest.mark.parametrize(("schedule", "steps"), [*CASES, *((one, 100) for one in EVERY[:-1])], ids=str)
def test_a_small_mixture_is_sampled_on_the_grid_without_a_warning(schedule: Schedule, steps: int) -> None:
    # close enough that the few steps of the shortest schedule end where nothing is known of the label
    mix = sp.exact.GaussianMixture([[-0.2], [0.2]], labels=["left", "right"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        runs = sp.sample(
            sp.models.mixture(mix), schedule=schedule, time=schedule.grid(steps), samples=4, partitions="full",
            progress=False,
        )  # fmt: skip
    assert np.isfinite(runs.log_likelihood).all()


@pytest.mark.parametrize("schedule", [*EVERY, SHORT], ids=str)
@pytest.mark.parametrize(
    "wrong",
    [
        lambda low, high: [high, low],
        lambda low, high: [low],
        lambda low, high: [low, 1e30],
        lambda low, high: "1",
    ],
    ids=["descending", "short", "outside", "text"],
)
def test_an_error_about_a_grid_ends_with_a_line_that_makes_one(schedule: Schedule, wrong: Any) -> None:
    low, high = schedule.grid(2)
    with pytest.raises(ScheduleError, match=r"; a grid that fits: (time = schedule\.grid\(\d+\))$") as caught:
        check_grid(schedule, wrong(low, high))
    (line,) = re.findall(r"(time = .*)$", str(caught.value))
    names: dict[str, Any] = {"schedule": schedule}
    exec(line, names)
    check_grid(schedule, names["time"])


def test_the_smallest_and_largest_noise_levels_are_those_of_the_ends_there_are() -> None:
    assert VP().level_range == VE().level_range == FlowMatching().level_range == (0.0, np.inf)
    # arXiv 2006.11239: the first beta is 1e-4
    low, high = DDPM("linear").level_range
    assert low == pytest.approx(np.sqrt(1e-4 / (1 - 1e-4)), rel=1e-12)
    assert high == DDPM("linear").noise_level(999)
