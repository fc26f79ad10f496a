"""The reverse transition is the textbook posterior of the forward process, on every schedule."""

import numpy as np
import pytest

from specent.schedules import DDPM, VE, VP, FlowMatching, Schedule, edm_grid
from specent.transitions import transitions

SCHEDULES = [VE(), VP(), DDPM("linear"), DDPM("cosine"), FlowMatching()]


def test_neighbouring_ddpm_steps_are_ancestral_sampling() -> None:
    schedule = DDPM("linear")
    betas = np.linspace(1e-4, 2e-2, 1000)
    bar = np.cumprod(1 - betas)
    steps = transitions(schedule, np.arange(1000.0))
    for t in (1, 10, 500, 999):
        step = steps[t - 1]
        # arXiv 2006.11239, equation 7
        pull = np.sqrt(bar[t - 1]) * betas[t] / (1 - bar[t])
        keep = np.sqrt(1 - betas[t]) * (1 - bar[t - 1]) / (1 - bar[t])
        variance = betas[t] * (1 - bar[t - 1]) / (1 - bar[t])
        np.testing.assert_allclose([step.keep, step.pull, step.spread**2], [keep, pull, variance], rtol=1e-9)


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda s: s.to_json())
def test_the_marginal_of_the_forward_process_is_kept(schedule: Schedule) -> None:
    # if x = alpha x0 + sigma eps, then x' must be alpha' x0 + sigma' eps'
    time = schedule.time(np.array([5.0, 2.0, 0.5, -3.0, -7.0]))
    alpha, sigma = schedule.alpha(time), schedule.sigma(time)
    for i, step in enumerate(transitions(schedule, time)):
        np.testing.assert_allclose(step.keep * alpha[i + 1] + step.pull, alpha[i], rtol=1e-12)
        np.testing.assert_allclose((step.keep * sigma[i + 1]) ** 2 + step.spread**2, sigma[i] ** 2, rtol=1e-12)


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda s: s.to_json())
def test_distinguishability_of_two_means_is_the_gain_in_signal_to_noise(schedule: Schedule) -> None:
    time = edm_grid(20, 0.05, 50.0, schedule=schedule)
    gamma = np.exp(schedule.log_snr(time))
    steps = transitions(schedule, time)
    ratio = [(step.pull / step.spread) ** 2 for step in steps]
    np.testing.assert_allclose(ratio, gamma[:-1] - gamma[1:], rtol=1e-9)
    np.testing.assert_allclose([step.gain for step in steps], gamma[:-1] - gamma[1:], rtol=1e-9)
