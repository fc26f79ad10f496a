"""The conditional estimator against exact profiles, quadrature and the path posterior."""

import json

import numpy as np
import pytest
import xarray as xr
from scipy.special import expit, xlogy
from scipy.stats import binom

import specent as sp
from specent.analysis import bootstrap
from specent.analysis.estimators import ESTIMATORS, Means
from specent.analysis.estimators.rao_blackwell import conditional_curves, expected_entropy, unsteadiness
from specent.analysis.job import Job
from specent.analysis.scored import scored_partitions
from specent.analysis.trajectory_means import trajectory_means
from specent.errors import SpecentError

pytest.importorskip("torch")

VE = sp.schedules.VE()
_ONE = "rao_blackwell"


def _mixture(mean: float, dimension: int, variance: object = 1.0, weights: object = None) -> sp.exact.GaussianMixture:
    means = mean * np.ones((2, dimension)) * [[-1.0], [1.0]]
    return sp.exact.GaussianMixture(means, variance, weights, labels=["a", "b"])


def _sampled(
    mix: sp.exact.GaussianMixture, samples: int, grid: object = None, partitions: object = "full", **options: object
) -> xr.Dataset:
    grid = sp.schedules.edm_grid(64) if grid is None else grid
    return sp.sample(
        sp.models.mixture(mix),
        schedule=VE,
        time=grid,
        samples=samples,
        partitions=partitions,
        progress=False,
        **options,
    )


@pytest.fixture(scope="module")
def unequal() -> xr.Dataset:
    """Two classes of different width in eight dimensions, whose log-odds do not gain alike on all paths."""
    return _sampled(_mixture(0.5, 8, [0.5, 1.0]), 1000)


def _h2(log_odds: np.ndarray) -> np.ndarray:
    chance = expit(log_odds)
    return -(xlogy(chance, chance) + xlogy(1 - chance, 1 - chance)) / np.log(2)


@pytest.mark.parametrize("log_odds", [0.0, -0.7, 3.0, 9.0])
@pytest.mark.parametrize("variation", [0.0, 0.05, 1.0, 7.0, 60.0])
def test_the_expected_entropy_is_that_of_a_gaussian_gain(log_odds, variation):
    # the mean over Gaussian gains of either side, by a sum over a fine grid
    noise = np.linspace(-10, 10, 8001)
    density = np.exp(-0.5 * noise**2) / np.exp(-0.5 * noise**2).sum()
    gains = [density @ _h2(log_odds + sign * variation / 2 + variation**0.5 * noise) for sign in (1, -1)]
    chance = expit(log_odds)
    expected = chance * gains[0] + (1 - chance) * gains[1]
    assert expected_entropy(log_odds, variation) == pytest.approx(expected, abs=2e-7)


@pytest.mark.parametrize(
    ("mean", "dimension", "weights", "most"),
    [(1.0, 1, None, 6e-4), (0.1, 64, None, 5e-4), (1.0, 4, [0.1, 0.9], 5e-4)],
)
def test_classes_of_equal_width_come_out_exactly(mean, dimension, weights, most):
    # the log-odds gain alike on all paths, so nothing is left to chance, from four trajectories
    mix = _mixture(mean, dimension, 1.0, weights)
    runs = _sampled(mix, 2)
    measured = sp.entropy(runs, None, _ONE).squeeze()
    exact = sp.exact.profiles(mix, VE, runs.time.values, "full").squeeze()
    assert abs(measured.entropy - exact.entropy).max() < most
    assert abs(measured.entropy_rate - exact.entropy_rate).max() < most / 2
    assert (measured.entropy_upper - measured.entropy_lower).max() < 1e-9
    assert "impossible" not in measured


def test_the_bias_of_the_path_posterior_is_gone():
    mix = _mixture(1.0, 1)
    runs = _sampled(mix, 2000)
    measured = sp.entropy(runs, None, ("path", _ONE), keep_replicates=False).squeeze()
    exact = sp.exact.profiles(mix, VE, runs.time.values, "full").squeeze()
    error = abs(measured.entropy - exact.entropy).max("time")
    assert error.sel(estimator="path") > 0.04
    assert error.sel(estimator=_ONE) < 0.001


def test_variance_falls_where_paths_differ(unequal):
    measured = sp.entropy(unequal, None, ("path", _ONE), replicates=400).squeeze()
    exact = sp.exact.profiles(_mixture(0.5, 8, [0.5, 1.0]), VE, unequal.time.values, "full").squeeze()
    for name in ("entropy", "entropy_rate"):
        variance = measured[f"{name}_replicate"].var("replicate").max("time")
        assert 0 < variance.sel(estimator=_ONE) < 0.04 * variance.sel(estimator="path")
    error = abs(measured.entropy - exact.entropy).max("time")
    assert error.sel(estimator="path") > 0.03
    # a standard error is 0.0007 bit
    assert error.sel(estimator=_ONE) < 0.005
    assert abs(measured.entropy_rate - exact.entropy_rate).sel(estimator=_ONE).max() < 0.005


def test_wide_and_narrow_classes_of_many_dimensions():
    mix = _mixture(0.1, 64, [0.9, 1.1])
    runs = _sampled(mix, 500)
    measured = sp.entropy(runs, None, ("path", _ONE), replicates=400).squeeze()
    exact = sp.exact.profiles(mix, VE, runs.time.values, "full").squeeze()
    variance = measured.entropy_replicate.var("replicate").max("time")
    assert variance.sel(estimator=_ONE) < 0.05 * variance.sel(estimator="path")
    # that of the path posterior is 0.06
    assert abs(measured.entropy - exact.entropy).sel(estimator=_ONE).max() < 0.015


def test_any_mean_gives_the_same_entropy(unequal):
    # that the mean is a wrong one costs precision, not truth; what is left is the finite step
    log_odds = np.concatenate(
        (unequal.log_likelihood.sel(candidate="a") - unequal.log_likelihood.sel(candidate="b")).values[0]
    )
    gap = unequal.denoiser_distance.sel(candidate="a", other_candidate="b").values[0]
    variation = np.concatenate(gap) / unequal.sigma.values**2
    entropies = {}
    for factor in (0.7, 1.0, 1.3):
        entropy, _ = conditional_curves(
            log_odds, variation, factor * variation.mean(axis=0), unequal.log_snr.values, 0.0
        )
        entropies[factor] = entropy.mean(axis=0), entropy.std(axis=0) / len(entropy) ** 0.5
    for factor in (0.7, 1.3):
        error = np.hypot(entropies[factor][1], entropies[1.0][1])
        assert np.all(abs(entropies[factor][0] - entropies[1.0][0]) < 4 * error + 0.01)
        assert error.max() > entropies[1.0][1].max()


def test_replicates_of_the_mean_move_the_curves_as_another_mean_does():
    # of finite steps no mean is without effect; what it changes is known to first order, and intervals count it
    runs = _sampled(_mixture(1.0, 1), 4000, sp.schedules.edm_grid(24, 0.05, 80.0))
    odds = runs.log_likelihood.sel(candidate="a") - runs.log_likelihood.sel(candidate="b")
    gap = runs.denoiser_distance.sel(candidate="a", other_candidate="b")
    log_odds, variation = np.concatenate(odds.values[0]), np.concatenate(gap.values[0]) / runs.sigma.values**2
    log_snr, mean = runs.log_snr.values, variation.mean(axis=0)
    for change in (0.02 * mean, 0.02 * mean * np.cos(np.arange(24) / 4)):
        both = [conditional_curves(log_odds, variation, one, log_snr, 0.0) for one in (mean, mean + change)]
        predicted = unsteadiness(np.stack([mean, mean + change], axis=-1), log_snr, np.zeros(()))
        for first, second, expected in zip(*both, predicted, strict=True):
            assert np.all(expected[:, 0] == 0)
            difference = second - first
            noise = difference.std(axis=0) / len(difference) ** 0.5
            # what is left is of second order in steps that gain up to 0.7 in log_snr
            room = 5 * noise + 0.25 * abs(expected[:, 1]).max()
            assert np.all(abs(difference.mean(axis=0) - expected[:, 1]) < room)
            assert abs(expected[:, 1]).max() > 3 * noise.max()


def test_intervals_cover():
    grid = sp.schedules.edm_grid(24, 0.05, 80.0)
    repetitions, each = 120, 50
    runs = _sampled(_mixture(0.5, 8, [0.5, 1.0]), repetitions * each, grid)
    estimator = ESTIMATORS[_ONE]

    def curves(part: xr.Dataset, replicates: int, seed: int) -> xr.DataArray:
        scored = scored_partitions(part, None)
        job = Job(part, ["log_likelihood"], scored, estimator.statistics, replicates, seed)
        means = Means(part, scored, trajectory_means(job))
        both = xr.concat([estimator.curve(means), estimator.rate(means)], "quantity")
        return both.squeeze().transpose("quantity", "time", "replicate")

    truth = curves(runs, 1, 0).values[..., 0]
    covered = np.zeros(truth.shape)
    for i in range(repetitions):
        part = curves(runs.isel(sample=slice(i * each, (i + 1) * each)), 200, i)
        lower, upper = bootstrap.bounds(part, 0.95)
        covered += (lower.values <= truth) & (truth <= upper.values)
    covered = covered[:, truth[0] < 0.99]
    assert covered.shape[1] > 12
    # the mean over times, which go together, and the worst of them: plug-in intervals of a hundred skewed numbers
    # lack a point or two
    least, most = binom.interval(0.999, repetitions, [0.95, 0.95])
    assert np.all(covered.mean(axis=1) > least)
    assert np.all(covered.mean(axis=1) < most)
    assert covered.min() > binom.ppf(1e-4, repetitions, 0.935)


@pytest.mark.parametrize("chunks", [{"sample": 300}, {"sample": 120, "time": 20}, {"class_label": 1, "candidate": 1}])
def test_blocks_do_not_matter(unequal, chunks):
    whole = sp.entropy(unequal, None, ("path", _ONE), replicates=50)
    for compute in (True, False):
        parts = sp.entropy(unequal.chunk(chunks), None, ("path", _ONE), replicates=50, compute=compute)
        xr.testing.assert_allclose(parts.compute(), whole, rtol=1e-12, atol=1e-12)


def test_halves_follow_the_numbers_of_the_samples(unequal):
    def half(runs: xr.Dataset) -> list[int]:
        return Job(runs, ["log_likelihood"], scored_partitions(runs, None), (), 50, 0).half.tolist()

    assert half(unequal.isel(sample=slice(0, 6))) == [0, 1] * 3
    # parts of a run agree with the whole, whatever their first sample is
    assert half(unequal.isel(sample=slice(25, 29))) == [1, 0, 1, 0]
    assert half(unequal.isel(sample=slice(0, 12, 4))) == [0, 1, 0]
    # and a selection of one parity has two halves too
    assert np.isfinite(sp.entropy(unequal.isel(sample=slice(1, None, 2)), None, _ONE).entropy).all()


def test_a_class_against_the_null_condition():
    mix = sp.exact.GaussianMixture([[-3.0, 0], [3.0, 0], [0, 3.0]], labels=["a", "b", "c"])
    pair = sp.Partition.pair("a", "null")
    runs = _sampled(mix, 300, sp.schedules.edm_grid(128), pair, classes=["a", "null"], candidates=["a", "null"])
    measured = sp.entropy(runs, pair, ("path", _ONE)).squeeze()
    exact = sp.exact.profiles(mix, VE, runs.time.values, pair).squeeze()
    error = abs(measured.entropy - exact.entropy).max("time")
    half = 0.5 * (measured.entropy_upper - measured.entropy_lower).max("time")
    # the null condition is a mixture, so paths differ much in what they gain
    assert half.sel(estimator=_ONE) < 0.9 * half.sel(estimator="path")
    assert error.sel(estimator=_ONE) < 0.035


def test_speciation_has_the_half_entropy_of_the_exact_profile(unequal):
    mix = _mixture(1.0, 4)
    runs = _sampled(mix, 50)
    exact = sp.speciation(sp.exact.profiles(mix, VE, runs.time.values, "full")).sel(axis="log_snr").squeeze()
    measured = sp.speciation(sp.entropy(runs, None, _ONE)).sel(axis="log_snr").squeeze()
    assert float(measured.half_entropy) == pytest.approx(float(exact.half_entropy), abs=0.005)
    assert float(measured.peak) == pytest.approx(float(exact.peak), abs=0.02)


def test_what_cannot_be_had_is_refused_and_left_out_of_all():
    mix = sp.exact.GaussianMixture(6 * np.eye(3), labels=["a", "b", "c"])
    grid = sp.schedules.edm_grid(16)
    settings = [sp.Guidance(), sp.Guidance(2.0)]
    runs = _sampled(mix, 20, grid, ["a|b", "full"], guidance=settings)
    unguided = runs.isel(guidance=[0])
    refused = [
        (runs, "a|b", r"trajectories under guidance 'w=2' .* select the unguided setting"),
        (unguided, "full", "partition 'full' is not one of two sides of one candidate each"),
        (unguided, "a|b,c", "partition 'a|b,c' is not one of two sides"),
        (unguided.drop_vars("denoiser_distance"), "a|b", r"needs denoiser_distance, .*Record\(distances=True\)"),
        (unguided.isel(time=slice(0, -3)), "a|b", "the noisy end was cut off, and estimator 'rao_blackwell'"),
    ]
    for part, partition, message in refused:
        with pytest.raises(SpecentError, match=message):
            sp.entropy(part, partition, _ONE)
    profiles = sp.entropy(unguided, "a|b", "all", replicates=50)
    assert profiles.estimator.values.tolist() == ["path", "cross_entropy", "denoiser_gap", "rao_blackwell"]
    left_out = json.loads(profiles.attrs["settings"])["left_out"]
    assert list(left_out) == ["null"]
    assert "does not cover all labels" in left_out["null"]
    both = sp.entropy(runs, "full", "all", replicates=50)
    assert both.estimator.values.tolist() == ["path", "cross_entropy", "denoiser_gap", "null"]


def test_a_number_that_is_not_finite_is_named(unequal):
    runs = unequal.isel(sample=slice(0, 10)).copy(deep=True)
    runs.denoiser_distance[0, 1, 3, 30, 0, 1] = np.nan
    with pytest.raises(SpecentError, match=r"denoiser_distance is not finite at .*class_label=b, sample=3, time="):
        sp.entropy(runs, None, _ONE)
