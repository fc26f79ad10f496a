"""Definitions of the noise level of speciation against their constants."""

import numpy as np
import pytest

import specent as sp
from specent.errors import SpecentError

VE = sp.schedules.VE()
# two components of unit variance in the limit of a large distance 2 m: sigma = m / K. Half entropy, half of the returns
# and peaks are properties of one curve of K, written down from the definitions of arXiv 2506.10433 and 2402.16991
TWO = {
    "half entropy": 1.02177, "half phi": 0.92241, "spectral": 1.0, "peak along log_sigma": 1.22814,
    "peak along sigma": 1.553,
}  # fmt: skip


def levels(table):
    return table.noise_level.to_series()


def test_two_components_have_their_constants():
    mix = sp.exact.GaussianMixture([[-1000.0], [1000.0]])
    time = np.geomspace(200, 8000, 300)
    made = levels(
        sp.analysis.definitions(sp.exact.profiles(mix, VE, time, "full"), sp.exact.u_turns(mix, VE, time, "full"))
    )
    for name, constant in TWO.items():
        digits = 1e-3 if name == "peak along sigma" else 1e-5
        assert np.isclose(1000 / made[name], constant, atol=digits), name
    # the time of this schedule is sigma, and log-SNR is -2 ln sigma
    assert np.isclose(made["peak along time"], made["peak along sigma"], rtol=1e-6)
    assert np.isclose(made["peak along log_snr"], made["peak along log_sigma"], rtol=1e-6)


def test_the_drift_splits_at_its_constant():
    mix = sp.exact.GaussianMixture([[-40.0], [40.0]])
    profile = sp.exact.profiles(mix, VE, np.geomspace(5, 400, 100), "full")
    # large distances: K = 1 / sqrt(2), where the entropy is .709520 bit
    made = levels(sp.analysis.definitions(profile))
    assert np.isclose(40 / made["bifurcation"], 1 / np.sqrt(2), rtol=2e-3)
    assert np.isnan(made["half phi"])
    entropy = np.interp(np.log(made["bifurcation"]), np.log(profile.time), profile.entropy.squeeze())
    assert abs(entropy - 0.709520) < 2e-3


# more classes: tests/exact/test_orthogonal.py
@pytest.mark.parametrize(("count", "half", "returns", "peak"), [(10, 1.795, 1.992, 2.15)])
def test_many_classes_lose_their_entropy_before_they_are_bound(count, half, returns, peak):
    mix = sp.exact.GaussianMixture(1000 * np.eye(count))
    time = np.geomspace(1000 / 6, 1000, 40)
    profile = sp.exact.profiles(mix, VE, time, "full", samples=256)
    made = levels(sp.analysis.definitions(profile, sp.exact.u_turns(mix, VE, time, "full", samples=256)))
    # at the levels found, plain draws of the posterior give the halves: given its class, the logit of that class is
    # kappa ** 2 + kappa * z, of any other kappa * z, with kappa the radius over the whole noise
    rng = np.random.default_rng(count)
    for name, half_of in (("half entropy", 0.5 * np.log2(count)), ("half phi", 0.5 * (1 + 1 / count))):
        kappa = 1000 / np.hypot(1.0, made[name])
        logits = kappa * rng.standard_normal((40_000, count))
        logits[:, 0] += kappa**2
        share = np.exp(logits - np.logaddexp.reduce(logits, axis=1)[:, None])
        drawn = (
            -np.sum(share * np.log2(np.maximum(share, 1e-300)), 1) if name == "half entropy" else np.sum(share**2, 1)
        )
        assert abs(drawn.mean() - half_of) < 4 * drawn.std() / np.sqrt(len(drawn))
    # the constants of large distances, of which half a percent is known
    assert np.allclose([1000 / made["half entropy"], 1000 / made["half phi"]], [half, returns], rtol=5e-3)
    assert np.isclose(1000 / made["peak along log_sigma"], peak, rtol=0.02)
    assert made["half entropy"] > made["half phi"]


def test_a_sampled_profile_has_intervals_that_hold_the_exact_levels():
    mix = sp.exact.GaussianMixture([[-6.0], [6.0]])
    time = sp.schedules.edm_grid(100, 0.2, 200.0)
    runs = sp.sample(sp.models.mixture(mix), schedule=VE, time=time, samples=400, progress=False, seed=5)
    profile = sp.entropy(runs, "full", "path", confidence=0.99)
    table = sp.analysis.definitions(profile)
    exact = levels(sp.analysis.definitions(sp.exact.profiles(mix, VE, time, "full")))
    for name in ("half entropy", "window start", "window end"):
        one = table.sel(definition=name)
        assert one.noise_level_lower < one.noise_level < one.noise_level_upper
        # the steps of the chain shift the level by a few percent
        assert one.noise_level_lower * 0.95 < exact[name] < one.noise_level_upper * 1.05
    assert np.isclose(levels(table)["spectral"], np.sqrt(37.0))


def test_what_does_not_belong_together_is_refused():
    mix = sp.exact.GaussianMixture([[-6.0], [6.0], [0.0]])
    time = sp.schedules.edm_grid(20)
    pair = sp.exact.profiles(mix, VE, time, ["full", "0 | 1"])
    with pytest.raises(SpecentError, match=r"several curves \(partition \['full', '0 \| 1'\]\); .*partition='full'"):
        sp.analysis.definitions(pair)
    with pytest.raises(SpecentError, match="give one partition"):
        sp.analysis.definitions(pair.isel(partition=[0]), sp.exact.u_turns(mix, VE, time, "0 | 1"))
    turns, full = sp.exact.u_turns(mix, VE, time, "full"), pair.isel(partition=[0])
    with pytest.raises(SpecentError, match="side_prior"):
        sp.analysis.definitions(full, turns.drop_vars("side_prior"))
    with pytest.raises(SpecentError, match="not finite"):
        sp.analysis.definitions(full, turns.assign(phi=turns.phi.where(turns.time != time[3])))
    with pytest.raises(SpecentError, match="4 noise levels"):
        sp.analysis.definitions(pair.isel(partition=[0]), sp.exact.u_turns(mix, VE, time[:2], "full"))
