"""Grids from densities: the errors of Gaussian chains that they give, against numbers worked out elsewhere."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import specent as sp
from specent.analysis.grids import nodes_of_density
from specent.errors import SpecentError

SCALE, LOW, HIGH = 0.5, 0.002, 80.0
FINE = np.geomspace(LOW, HIGH, 4000)

# nodes 9, Gaussian data of standard deviation 0.5: divergence of the paths, of the samples with noise and without
ERRORS = {
    "edm": (100.239, 0.482542, 0.165218),
    "log-SNR": (18.6002, 0.393809, 0.137387),
    "entropic": (6.38392, 0.797817, 0.914880),
    "arctan": (1218.74, 0.063899, 0.026056),
    "sine": (513.239, 0.055090, 0.053031),
}


@pytest.fixture(scope="module")
def gaussian():
    return sp.exact.denoising_error(sp.exact.GaussianMixture([[0.0]], SCALE**2), FINE)


@pytest.fixture(scope="module")
def two():
    mix = sp.exact.GaussianMixture([[-8.0], [8.0]], labels=["a", "b"])
    levels = np.geomspace(0.05, 100, 800)
    return sp.exact.denoising_error(mix, levels), sp.exact.profiles(mix, sp.schedules.VE(), levels, "full")


def _grids(gaussian):
    return {
        "edm": sp.schedules.edm_grid(9),
        "log-SNR": np.geomspace(LOW, HIGH, 9),
        "entropic": sp.grids.entropic(gaussian.assign_attrs(denoiser="finite data"), 9),
        "arctan": sp.grids.arctan(9),
        "sine": sp.grids.sine(9),
    }


def _path_divergence(levels):
    """Left Riemann sum of half the error over the signal-to-noise ratio, less its integral."""
    signal = levels**-2.0
    error = SCALE**2 * levels**2 / (SCALE**2 + levels**2)
    exact = np.log1p(SCALE**2 * signal[-1]) - np.log1p(SCALE**2 * signal[0])
    return 0.5 * np.sum(error[:-1] * np.diff(signal)) - 0.5 * exact


def _sample_divergence(levels, noise):
    """Of the exact marginal from that of the chain, which stays Gaussian."""
    variance = SCALE**2 + levels[0] ** 2
    for before, after in itertools.pairwise(levels):
        pull = SCALE**2 / (SCALE**2 + before**2)
        keep = (after / before) ** (2 if noise else 1)
        variance *= (keep + (1 - keep) * pull) ** 2
        if noise:
            variance += after**2 * (1 - keep)
    ratio = (SCALE**2 + levels[-1] ** 2) / variance
    return 0.5 * (ratio - 1 - np.log(ratio))


@pytest.mark.parametrize("kind", ERRORS)
def test_errors_of_gaussian_chains_are_those_that_are_known(gaussian, kind):
    levels = _grids(gaussian)[kind][::-1]
    path, stochastic, deterministic = ERRORS[kind]
    assert np.isclose(_path_divergence(levels), path, rtol=5e-5)
    assert np.isclose(_sample_divergence(levels, noise=True), stochastic, rtol=5e-5)
    # where the chain starts from pure noise or from noised data shows in the fifth digit
    assert np.isclose(_sample_divergence(levels, noise=False), deterministic, rtol=5e-5)


def test_nodes_of_closed_grids():
    arctan = [80, 2.44999, 1.19463, 0.74442, 0.49888, 0.33420, 0.20795, 0.10087, 0.002]
    sine = [80, 0.90583, 0.56865, 0.40189, 0.29021, 0.20383, 0.13075, 0.06479, 0.002]
    assert np.allclose(sp.grids.arctan(9)[::-1], arctan, atol=6e-6)
    assert np.allclose(sp.grids.sine(9)[::-1], sine, atol=6e-6)


def test_rescaled_is_arctan_on_gaussian_data(gaussian):
    # error / sigma^2 = s^2 / (s^2 + sigma^2), whose integral is an arctan
    assert np.allclose(sp.grids.rescaled(gaussian, 33), sp.grids.arctan(33), rtol=1e-4)


def test_a_share_of_the_class_lies_between_both_densities(two):
    error, profiles = two
    none, half, whole = (sp.grids.class_share(error, profiles, 40, share) for share in (0.0, 0.5, 1.0))
    assert np.allclose(none, sp.grids.rescaled(error, 40))
    # of all steps, the share that lies where half of the entropy is lost
    entropy = profiles.entropy.squeeze().values
    low, high = (float(np.interp(level, entropy, profiles.time.values)) for level in (0.25, 0.75))
    count = [np.count_nonzero((grid > low) & (grid < high)) for grid in (none, half, whole)]
    # equal shares of the entropy: half of 39 intervals, up to the two that stick out
    assert abs(count[2] - 19.5) <= 1.5
    assert count[0] < count[1] < count[2]


@given(st.integers(0, 2**32 - 1), st.integers(2, 40))
def test_every_interval_has_the_same_share(seed, steps):
    rng = np.random.default_rng(seed)
    levels = np.sort(rng.uniform(0.01, 50, 12))
    density = rng.exponential(size=12)
    nodes = nodes_of_density(levels, density, steps)
    assert (np.diff(nodes) > 0).all()
    # a fine sum of the same power laws, by the trapezoidal rule
    fine = np.unique(np.concatenate([np.geomspace(levels[0], levels[-1], 200_001), levels, nodes]))
    values = np.exp(np.interp(np.log(fine), np.log(levels), np.log(density)))
    area = np.concatenate([[0.0], np.cumsum(0.5 * (values[1:] + values[:-1]) * np.diff(np.log(fine)))])
    shares = np.diff(np.interp(nodes, fine, area)) / area[-1]
    assert np.allclose(shares, 1 / (steps - 1), atol=1e-6)


def test_times_are_those_of_the_schedule(gaussian):
    flow = sp.schedules.FlowMatching()
    for made, levels in (
        (sp.grids.arctan(7, schedule=flow), sp.grids.arctan(7)),
        (sp.grids.rescaled(gaussian, 7, 0.01, 40, flow), sp.grids.rescaled(gaussian, 7, 0.01, 40)),
    ):
        assert np.allclose(flow.noise_level(made), levels)
    runs = sp.sample(
        sp.models.mixture(sp.exact.GaussianMixture([[-1.0], [1.0]])), schedule=flow, samples=2, progress=False,
        time=sp.grids.sine(6, 0.5, 0.05, 60, schedule=flow),
    )  # fmt: skip
    assert runs.sizes["time"] == 6


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda error, _: sp.grids.arctan(1), "steps"),
        (lambda error, _: sp.grids.sine(4, scale=0), "scale"),
        (lambda error, _: sp.grids.arctan(4, sigma_min=3, sigma_max=2), "must lie below"),
        (lambda error, _: sp.grids.rescaled(error, 4, sigma_max=500), "leave the noise levels"),
        (lambda error, _: sp.grids.entropic(error, 4), "finite data only"),
        (lambda error, _: sp.grids.rescaled({"denoising_error": 1}, 4), "error is a dict"),
        (lambda error, _: sp.grids.rescaled(-error, 4), "negative or not finite"),
        (lambda error, prof: sp.grids.class_share(error, prof, 4, share=2), "share"),
        (lambda error, prof: sp.grids.class_share(error, prof.drop_vars("entropy_rate"), 4), "no entropy_rate"),
        (lambda error, prof: sp.grids.class_share(error, xr_pair(prof), 4), "select one partition"),
        (lambda error, _: sp.grids.rescaled(0 * error, 4), "nowhere positive"),
        (lambda error, _: sp.grids.rescaled(error.isel(time=slice(None, None, -1)), 4), "does not fall"),
        (lambda error, _: sp.grids.arctan(4, schedule="ve"), "schedule"),
        (lambda error, _: sp.grids.rescaled(error, 4, schedule=3), "schedule"),
        (lambda error, _: sp.grids.rescaled(error.astype(str), 4), "real numbers"),
        (lambda error, prof: sp.grids.class_share(error, prof.drop_vars("log_snr"), 4), "log_snr"),
        (lambda error, prof: sp.grids.class_share(error, prof.drop_attrs(), 4), "profiles: "),
        (lambda error, prof: sp.grids.class_share(error, prof.isel(time=[]), 4), "no entries"),
        (
            lambda error, prof: sp.grids.class_share(error, prof.assign(entropy_rate=np.nan * prof.entropy_rate), 4),
            "entropy_rate that is not finite",
        ),
    ],
)
def test_bad_grids_are_refused(two, make, message):
    with pytest.raises(SpecentError, match=message):
        make(*two)


def xr_pair(profiles):
    """The same curve under two names."""
    return profiles.isel(partition=[0, 0])
