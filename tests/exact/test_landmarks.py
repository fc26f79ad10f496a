"""Where mixtures are predicted to decide, against closed forms; states behind predictions, against the denoisers."""

import json

import numpy as np
import pytest
import xarray as xr

import specent as sp
from specent.errors import SpecentError
from specent.exact.landmarks import bifurcations, recorded_mixture, spectral_log_snr, state_of_prediction


@pytest.mark.parametrize(("mean", "variance"), [(1.0, 0.0025), (1.0, 0.5), (3.0, 1.0)])
def test_two_components_split_where_the_closed_form_says(mean: float, variance: float) -> None:
    mix = sp.exact.GaussianMixture([[-mean], [mean]], variance)
    time = sp.exact.symmetry_breaking_time(mean, variance)
    (level,) = bifurcations(mix)
    # the new points are told apart once they are a thousandth of the range apart, the square of which is in the time
    assert level == pytest.approx(float(sp.schedules.VP().log_snr(np.array([time]))[0]), abs=1e-4)


def test_two_groups_of_two_split_twice() -> None:
    near = sp.exact.GaussianMixture([[-1.2], [-0.8], [0.8], [1.2]], 0.0025)
    first, second = bifurcations(near)
    (groups,) = bifurcations(sp.exact.GaussianMixture([[-1.0], [1.0]], 0.0025 + 0.04))
    # from afar each group is one component of its mean and variance
    assert first == pytest.approx(groups, abs=0.02)
    assert second > first + 1


def test_one_component_never_splits() -> None:
    assert bifurcations(sp.exact.GaussianMixture([[1.0]])).size == 0
    with pytest.raises(SpecentError, match="2 dimensions"):
        bifurcations(sp.exact.GaussianMixture([[1.0, 0.0]]))


def test_the_spectral_prediction_is_that_of_many_data() -> None:
    mix = sp.exact.GaussianMixture([[-3.0, 1.0], [5.0, 0.0], [0.0, -2.0]], [0.5, 1.0, 2.0], [0.2, 0.5, 0.3])
    rng = np.random.default_rng(0)
    pick = rng.choice(3, 200_000, p=mix.weights)
    data = mix.means[pick] + np.sqrt(mix.variances[pick])[:, None] * rng.standard_normal((200_000, 2))
    # the largest eigenvalue of a covariance of 200 000 data: standard error 0.3 %
    assert spectral_log_snr(mix) == pytest.approx(-2 * np.log(sp.exact.spectral_sigma(data=data)), abs=0.013)


@pytest.mark.parametrize("schedule", [sp.schedules.VP(), sp.schedules.VE()])
def test_states_are_those_that_the_denoiser_was_handed(schedule: sp.schedules.Schedule) -> None:
    torch = pytest.importorskip("torch")
    mix = sp.exact.GaussianMixture([[-6.0, 2.0], [8.0, 0.0]], [1.0, 0.25], labels=["a", "b"])
    model = sp.models.mixture(mix)
    time = np.array([0.3, 1.5])
    alpha, sigma = schedule.alpha(time), schedule.sigma(time)
    state = np.random.default_rng(1).normal(size=(2, 5, 2))
    for label, index in (("a", 0), ("b", 1)):
        # models take states in the scale of the data, and the noise level with them
        denoised = np.stack([
            model.denoise(torch.tensor(x / a), float(s / a), torch.full((5,), index)).numpy()
            for x, a, s in zip(state, alpha, sigma, strict=True)
        ])  # fmt: skip
        found = state_of_prediction(mix, label, denoised, alpha[:, None], sigma[:, None])
        np.testing.assert_allclose(found, state, atol=1e-9)


def test_states_of_a_label_of_several_components_are_refused() -> None:
    mix = sp.exact.GaussianMixture([[0.0], [1.0]], labels=["a", "a"])
    with pytest.raises(SpecentError, match="'a' has 2 components"):
        state_of_prediction(mix, "a", [0.0], 1.0, 1.0)
    with pytest.raises(SpecentError, match=r"shape \(2,\)"):
        state_of_prediction(sp.exact.GaussianMixture([[0.0]], labels=["a"]), "a", [0.0, 1.0], 1.0, 1.0)


def test_the_mixture_is_read_back_from_what_was_made_of_it() -> None:
    mix = sp.exact.GaussianMixture([[-1.0], [1.0]], 0.3, [0.25, 0.75], ["a", "b"])
    grid = sp.schedules.edm_grid(8)
    exact = sp.exact.profiles(mix, sp.schedules.VE(), grid, [sp.Partition.full(mix.labels)])
    assert recorded_mixture(exact) == mix
    other = sp.exact.profiles(sp.exact.GaussianMixture([[0.0], [1.0]], labels=["a", "b"]), sp.schedules.VE(), grid,
                              [sp.Partition.full(mix.labels)])  # fmt: skip
    assert recorded_mixture(sp.compare({"one": exact, "other": other})) is None
    large = sp.exact.GaussianMixture(np.arange(200.0)[:, None])
    assert recorded_mixture(xr.Dataset(attrs={"model": json.dumps(large.identity)})) is None
    assert recorded_mixture(xr.Dataset(attrs={"model": "{", "settings": "[1]"})) is None
