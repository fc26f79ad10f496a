"""A last step that is much longer than the others is warned about; grids that suit are not."""

import re
import warnings
from collections.abc import Iterator

import numpy as np
import pytest

import specent as sp
from specent.sampling.grid import warn_of_coarse_end
from specent.sampling.preparation import make_setup
from specent.schedules import DDPM, VE, VP, FlowMatching, Schedule, edm_grid

MIX = sp.exact.GaussianMixture([[-1.0], [1.0]], labels=["a", "b"])
SCHEDULES = [VE(), VP(), FlowMatching(), DDPM("linear"), DDPM("scaled_linear"), DDPM("cosine")]
NAMES = ["VE", "VP", "FlowMatching", "DDPM linear", "DDPM scaled_linear", "DDPM cosine"]


def examined(schedule: Schedule, time: np.ndarray) -> None:
    """What a run does about its grid before it begins; nothing is sampled."""
    warn_of_coarse_end(
        make_setup(sp.models.mixture(MIX), schedule, time, 2, (), 1.0, 0, "cpu", None, None, sp.Record(), False)
    )


def sampled(schedule: Schedule, time: np.ndarray) -> None:
    sp.sample(sp.models.mixture(MIX), schedule=schedule, time=time, samples=2, progress=False)


@pytest.fixture
def _strict() -> Iterator[None]:
    """Every warning about the last step is an error; those about the start are another matter."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "time ends at")
        warnings.filterwarnings("error", "the last step")
        yield


@pytest.mark.usefixtures("_strict")
@pytest.mark.parametrize("steps", [64, 100, 250, 1000])
@pytest.mark.parametrize("schedule", SCHEDULES, ids=NAMES)
def test_the_grid_of_a_schedule_is_fine(schedule: Schedule, steps: int) -> None:
    examined(schedule, schedule.grid(steps))


@pytest.mark.usefixtures("_strict")
@pytest.mark.parametrize("steps", [3, 4, 6, 8, 12, 18, 32])
@pytest.mark.parametrize("ends", [(0.002, 80.0), (0.02, 100.0), (1e-4, 80.0)])
def test_noise_levels_that_follow_a_power_law_are_fine(steps: int, ends: tuple[float, float]) -> None:
    for schedule in (VE(), VP(), FlowMatching()):
        examined(schedule, edm_grid(steps, *ends, schedule=schedule))


@pytest.mark.filterwarnings("ignore:time ends at:specent.errors.SpecentWarning")
@pytest.mark.parametrize("steps", [5, 10, 20])
@pytest.mark.parametrize("schedule", SCHEDULES[3:], ids=NAMES[3:])
def test_few_whole_times_evenly_spaced_are_warned_about_and_the_advice_is_fine(schedule: DDPM, steps: int) -> None:
    time = np.unique(np.linspace(*schedule.time_range, steps).round())
    time = time[schedule.noise_level(time) < 1e4]
    with pytest.warns(sp.SpecentWarning, match="the last step of the grid") as caught:
        sampled(schedule, time)
    assert caught[0].filename == __file__
    text = str(caught[0].message)
    before, low, gain = (float(part) for part in re.findall(r"level (\S+) to (\S+), gains (\S+) in", text)[0])
    assert gain == pytest.approx(2 * np.log(before / low), rel=0.02)
    # the advice can be pasted
    better = eval(re.search(r"time = (.*)$", text).group(1), {"np": np, "edm_grid": edm_grid, "schedule": schedule})
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "time ends at")
        warnings.filterwarnings("error", "the last step")
        sampled(schedule, better)


def test_evenly_spaced_times_of_flow_matching_are_warned_about() -> None:
    with pytest.warns(sp.SpecentWarning, match="the last step of the grid"):
        sampled(FlowMatching(), np.linspace(0.001, 0.999, 20))
