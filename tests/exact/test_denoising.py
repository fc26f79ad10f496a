"""The denoising error of a mixture against an integral over a line, and against draws of data and noise."""

import numpy as np
import pytest

import specent as sp
from specent.errors import SpecentError

LEVELS = np.geomspace(0.05, 50, 9)


def _posterior_mean(x, mix, sigma):
    """Denoised data of states (n, d) of a mixture, written down once more."""
    spread = mix.variances + sigma**2
    far = np.sum((x[:, None] - mix.means) ** 2, axis=-1)
    log = np.log(mix.weights) - 0.5 * far / spread - 0.5 * x.shape[1] * np.log(spread)
    share = np.exp(log - log.max(axis=1, keepdims=True))
    share /= share.sum(axis=1, keepdims=True)
    towards = mix.means + (mix.variances / spread)[:, None] * (x[:, None] - mix.means)
    return np.einsum("nk,nkd->nd", share, towards)


def test_the_error_is_what_is_left_of_the_variance():
    mix = sp.exact.GaussianMixture([[-3.0], [0.5], [4.0]], [1.0, 0.25, 2.0], [0.5, 0.2, 0.3])
    made = sp.exact.denoising_error(mix, LEVELS)
    x = np.linspace(-400, 400, 800_001)
    second = float(mix.weights @ (mix.variances + mix.means[:, 0] ** 2))
    for sigma, error in zip(LEVELS, made.denoising_error.values, strict=True):
        spread = mix.variances + sigma**2
        density = np.sum(
            mix.weights * np.exp(-0.5 * (x[:, None] - mix.means[:, 0]) ** 2 / spread) / np.sqrt(2 * np.pi * spread), 1
        )
        squared = _posterior_mean(x[:, None], mix, sigma)[:, 0] ** 2
        # E|x_0 - D|^2 = E|x_0|^2 - E|D|^2
        assert np.isclose(error, second - np.sum(density * squared) * (x[1] - x[0]), rtol=1e-6, atol=1e-8)


def test_the_error_in_several_dimensions_is_that_of_draws():
    means = [[4.0, 0.0, 0.0], [-4.0, 0.0, 0.0], [0.0, 3.0, 0.0]]
    mix = sp.exact.GaussianMixture(means, labels=["a", "a", "b"], dimension=3)
    rng = np.random.default_rng(1)
    for conditional in (False, True):
        made = sp.exact.denoising_error(mix, [0.5, 2.0, 6.0], conditional=conditional)
        for sigma in (0.5, 2.0, 6.0):
            component = rng.integers(0, 3, 20_000)
            data = mix.means[component] + rng.standard_normal((20_000, 3))
            x = data + sigma * rng.standard_normal(data.shape)
            denoised = _posterior_mean(x, mix, sigma)
            if conditional:
                both = sp.exact.GaussianMixture(means[:2])
                denoised = np.where(component[:, None] < 2, _posterior_mean(x, both, sigma), 0.0)
                alone = mix.means[2] + (x - mix.means[2]) / (1 + sigma**2)
                denoised = np.where(component[:, None] < 2, denoised, alone)
            squares = np.sum((data - denoised) ** 2, axis=1)
            at = made.sel(time=sigma)
            error = squares.std() / np.sqrt(len(squares)) + float(at.denoising_error_upper - at.denoising_error)
            assert abs(float(at.denoising_error) - squares.mean()) < 4 * error


def test_it_depends_on_the_noise_alone():
    mix = sp.exact.GaussianMixture([[-2.0], [2.0]])
    flow = sp.schedules.FlowMatching()
    levels = flow.noise_level(np.array([0.2, 0.5, 0.9]))
    made = sp.exact.denoising_error(mix, [0.2, 0.5, 0.9], flow)
    assert np.allclose(made.denoising_error, sp.exact.denoising_error(mix, levels).denoising_error, rtol=1e-9)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"mix": "mixture"}, "mix"),
        ({"time": [2.0, 1.0]}, "ascend"),
        ({"conditional": "yes"}, "conditional"),
        ({"schedule": "ve"}, "schedule"),
        ({"rate_axis": "time"}, "rate_axis='time' is not an option"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    given = {"mix": sp.exact.GaussianMixture([[0.0], [1.0]]), "time": [1.0, 2.0]} | arguments
    with pytest.raises(SpecentError, match=message):
        sp.exact.denoising_error(given.pop("mix"), given.pop("time"), **given)
