"""Errors of the stochastic chain against published numbers, closed forms, and chains that are drawn."""

import numpy as np
import pytest

import specent as sp
from specent.errors import SpecentError

NAT = np.log(2)
# arXiv 2404.14507 and the recursion of variances: data of deviation .5, levels 80 to .002, 8 steps, in nats
GAUSSIAN = {
    "edm": (sp.schedules.edm_grid(9), 100.239, 0.482542),
    "log-SNR": (np.geomspace(0.002, 80, 9), 18.6002, 0.393809),
    "arctan": (sp.grids.arctan(9), 1218.74, 0.063899),
    "sine": (sp.grids.sine(9), 513.239, 0.055090),
}
SKEW = sp.exact.GaussianMixture([[-8.0], [-4.0], [6.0], [8.0]], 1.0, [0.4, 0.3, 0.2, 0.1], ["a", "b", "c", "b"])


def drawn(mix, levels, count, seed):
    """Last states of a chain on a line, written down once more: noise drawn for Y = gamma x."""
    rng = np.random.default_rng(seed)
    gamma = levels**-2.0
    y = gamma[0] * levels[0] * rng.standard_normal(count)
    for n, sigma in enumerate(levels[:-1]):
        x = y / gamma[n]
        log = np.log(mix.weights) - 0.5 * (x[:, None] - mix.means[:, 0]) ** 2 / (mix.variances + sigma**2)
        share = np.exp(log - log.max(axis=1, keepdims=True))
        share /= share.sum(axis=1, keepdims=True)
        gain = mix.variances / (mix.variances + sigma**2)
        denoised = np.sum(share * (mix.means[:, 0] + gain * (x[:, None] - mix.means[:, 0])), axis=1)
        step = gamma[n + 1] - gamma[n]
        y += denoised * step + np.sqrt(step) * rng.standard_normal(count)
    return y / gamma[-1]


@pytest.mark.parametrize("name", GAUSSIAN)
def test_gaussian_data_have_the_errors_of_the_table(name):
    grid, paths, samples = GAUSSIAN[name]
    made = sp.exact.sampling_error(sp.exact.GaussianMixture([[0.0]], 0.25), grid)
    assert np.isclose(float(made.path_divergence) * NAT, paths, rtol=1e-5)
    assert np.isclose(float(made.sample_divergence) * NAT, samples, rtol=2e-5)
    assert abs(float(made.class_error)) < 1e-10


def test_coordinates_across_the_line_add_their_own():
    grid = sp.schedules.edm_grid(12, 0.05)
    one = sp.exact.sampling_error(sp.exact.GaussianMixture([[0.0]], 0.25), grid)
    more = sp.exact.sampling_error(sp.exact.GaussianMixture([[0.0]], 0.25, dimension=7), grid)
    for name in ("path_divergence", "sample_divergence"):
        assert np.isclose(float(more[name]), 7 * float(one[name]), rtol=1e-5)
    # a line that passes the origin at a distance: the mean has to be found too, whichever direction it lies in
    apart = [
        sp.exact.sampling_error(sp.exact.GaussianMixture(means, 0.25), grid)
        for means in ([[-3.0, 5.0], [3.0, 5.0]], [[5.0, 3.0], [5.0, -3.0]])
    ]
    assert np.isclose(*(float(made.sample_divergence) for made in apart), rtol=1e-9)
    centred = sp.exact.sampling_error(sp.exact.GaussianMixture([[-3.0], [3.0]], 0.25, dimension=2), grid)
    shifted = sp.exact.sampling_error(sp.exact.GaussianMixture([[5.0]], 0.25), grid)
    expected = float(centred.sample_divergence + shifted.sample_divergence - one.sample_divergence)
    assert np.isclose(float(apart[0].sample_divergence), expected, rtol=1e-5)


@pytest.mark.parametrize("steps", [6, 16])
def test_classes_are_those_of_drawn_chains(steps):
    grid, count = sp.schedules.edm_grid(steps, 0.05, 40.0), 400_000
    made = sp.exact.sampling_error(SKEW, grid)
    x = drawn(SKEW, grid[::-1], count, seed=steps)
    # components b and a are 4 apart, where their posteriors overlap: shares by the posterior, not by the nearest mean
    log = np.log(SKEW.weights) - 0.5 * (x[:, None] - SKEW.means[:, 0]) ** 2 / (1 + 0.05**2)
    posterior = np.exp(log - np.logaddexp.reduce(log, axis=1)[:, None])
    posterior = np.stack([posterior[:, 0], posterior[:, 1] + posterior[:, 3], posterior[:, 2]], axis=1)
    less = posterior.mean(axis=0) - SKEW.label_prior
    error = posterior.std(axis=0) / np.sqrt(count)
    assert abs(0.5 * np.abs(less).sum() - float(made.class_error)) < 4 * 0.5 * error.sum()
    assert float(made.class_error) > 5 * error.sum()


def test_samples_diverge_as_by_plain_quadrature():
    def points(sigma):
        return np.linspace(-1, 1, 2500) * (8 + 10 * np.hypot(1, sigma))

    def mixture(x, sigma):
        return np.exp(-0.5 * (x[:, None] - SKEW.means[:, 0]) ** 2 / (1 + sigma**2)) * SKEW.weights

    levels = sp.schedules.edm_grid(6, 0.3, 40.0)[::-1]
    gamma = levels**-2.0
    x = points(levels[0])
    law = np.exp(-0.5 * (x / levels[0]) ** 2)
    for n, sigma in enumerate(levels[:-1]):
        share = mixture(x, sigma)
        share /= share.sum(axis=1, keepdims=True)
        gain = 1 / (1 + sigma**2)
        denoised = gain * x + (1 - gain) * (share @ SKEW.means[:, 0])
        step = gamma[n + 1] - gamma[n]
        moved, fresh = (gamma[n] * x + denoised * step) / gamma[n + 1], np.sqrt(step) / gamma[n + 1]
        after = points(levels[n + 1])
        law = np.exp(-0.5 * ((after[:, None] - moved) / fresh) ** 2) @ law
        x = after
    law = np.maximum(law / law.sum(), 1e-300)
    truth = mixture(x, levels[-1]).sum(axis=1)
    truth /= truth.sum()
    made = sp.exact.sampling_error(SKEW, levels[::-1])
    assert np.isclose(float(made.sample_divergence) * NAT, np.sum(truth * np.log(truth / law)), rtol=1e-4)


def test_paths_diverge_by_the_steps_of_the_denoising_error():
    grid = sp.schedules.edm_grid(20, 0.1, 40.0)
    made = sp.exact.sampling_error(SKEW, grid)
    gamma = grid[::-1] ** -2.0
    error = sp.exact.denoising_error(SKEW, grid).denoising_error.values[::-1]
    fine = np.geomspace(0.1, 40.0, 4000)
    curve = sp.exact.denoising_error(SKEW, fine).denoising_error.values
    # d gamma = -2 sigma ** -3 d sigma
    integral = np.trapezoid(0.5 * curve * 2 * fine**-2.0, np.log(fine))
    expected = 0.5 * np.sum(error[:-1] * np.diff(gamma)) - integral
    assert np.isclose(float(made.path_divergence) * NAT, expected, rtol=1e-4)
    assert float(made.sample_divergence) < float(made.path_divergence)


def test_half_a_class_share_beats_edm_on_both_errors():
    # control of class proportions, where plain rescaled grids harm: 8, 16 and 32 noise levels of two mixtures
    levels = np.geomspace(0.02, 80, 200)
    for means, weights in (([[-4.0], [4.0]], [0.7, 0.3]), ([[-8.0], [-4.0], [6.0], [8.0]], [0.4, 0.3, 0.2, 0.1])):
        mix = sp.exact.GaussianMixture(means, 1.0, weights, dimension=64)
        error = sp.exact.denoising_error(mix, levels)
        profile = sp.exact.profiles(mix, sp.schedules.VE(), levels, "full")
        for steps in (8, 16, 32):
            usual = sp.exact.sampling_error(mix, sp.schedules.edm_grid(steps, 0.02, 80.0))
            half = sp.exact.sampling_error(mix, sp.grids.class_share(error, profile, steps, 0.5))
            assert half.sample_divergence < usual.sample_divergence
            assert half.class_error < usual.class_error


def test_what_has_no_line_is_refused():
    with pytest.raises(SpecentError, match="on a line"):
        sp.exact.sampling_error(sp.exact.GaussianMixture(np.eye(3)), [0.5, 1.0])
    with pytest.raises(SpecentError, match="different variances"):
        sp.exact.sampling_error(sp.exact.GaussianMixture([[0.0], [1.0]], [1.0, 2.0]), [0.5, 1.0])
    with pytest.raises(SpecentError, match="at least 2 steps"):
        sp.exact.sampling_error(SKEW, [1.0])
