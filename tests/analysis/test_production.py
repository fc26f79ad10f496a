import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit

import specent as sp
from specent.analysis.curves import integrated, rate_by_differences
from specent.errors import SpecentError

_SWAPPED = sp.Partition.groups({"y": ["b"], "x": ["a"]}, prior=[0.5, 0.5], name="swapped")


@settings(deadline=None, max_examples=30)
@given(st.lists(st.floats(0.05, 2.0), min_size=4, max_size=12), st.tuples(*[st.floats(-3, 3)] * 3))
def test_differences_are_exact_for_parabolas_on_any_grid(steps, coefficients):
    log_snr = xr.DataArray(-np.cumsum(steps), dims="time")
    curve = np.polynomial.Polynomial(coefficients)
    found = rate_by_differences(curve(log_snr), log_snr)
    assert np.allclose(found, -curve.deriv()(log_snr), atol=1e-9)


@settings(deadline=None, max_examples=30)
@given(st.lists(st.floats(0.05, 2.0), min_size=2, max_size=12), st.floats(-3, 3), st.floats(-3, 3))
def test_integral_from_the_noisy_end_is_exact_for_lines(steps, slope, intercept):
    log_snr = xr.DataArray(-np.cumsum(steps), dims="time")
    end = log_snr[-1]
    expected = slope / 2 * (log_snr**2 - end**2) + intercept * (log_snr - end)
    assert np.allclose(integrated(slope * log_snr + intercept, log_snr), expected, atol=1e-9)


def test_production_from_distances_is_the_stored_one(pair_runs):
    # the stored one was worked out by Ito's lemma in the log-odds, by the fixture and not by the package
    stored = sp.entropy(pair_runs, sp.Partition.pair("a", "b"))
    after = sp.entropy(pair_runs, _SWAPPED)
    for name in stored.data_vars:
        if "replicate" not in str(name):
            assert np.allclose(stored[name], after[name], rtol=1e-9, atol=1e-11), name


def test_production_after_the_fact_keeps_the_order_of_the_partitions(pair_runs):
    both = sp.entropy(pair_runs, [_SWAPPED, sp.Partition.pair("a", "b"), sp.Partition.full(["b", "a"])])
    assert both.partition.values.tolist() == ["swapped", "a | b", "full"]
    for place in (0, 2):
        assert np.allclose(both.entropy_rate[:, :, place], both.entropy_rate[:, :, 1], rtol=1e-9, atol=1e-11)


def test_production_of_many_sides_integrates_to_the_entropy(gaussian_runs):
    # 300 steps: the trapezoid and the finite step of the chain cost about 0.01 bit of 2
    means = [[-3.0, 0.0], [3.0, 0.0], [0.0, 4.0], [0.0, 5.0]]
    settings_ = [sp.Guidance(), sp.Guidance(2.0)]
    runs = gaussian_runs(means, samples=150, grid=np.geomspace(0.3, 80, 300), guidance=settings_)
    made = sp.entropy(runs, ["full", "a,b|c,d", "a|rest"], ("path", "denoiser_gap"), replicates=100)
    paired = made.entropy_replicate.sel(estimator="path") - made.entropy_replicate.sel(estimator="denoiser_gap")
    gap = made.entropy.sel(estimator="path") - made.entropy.sel(estimator="denoiser_gap")
    # 300 times and 6 curves, strongly correlated
    assert (np.abs(gap) <= 5 * paired.std("replicate") + 0.02).all()


def test_rate_needs_production_or_says_so(gaussian_runs):
    bare = gaussian_runs([[-1.0], [1.0]], samples=10, grid=[0.5, 1.0, 2.0], distances=False, named=False)
    with pytest.raises(SpecentError, match=r"production of partition 'a \| b' is not in runs.*rate='differences'"):
        sp.entropy(bare, "a|b")
    with pytest.raises(SpecentError, match="production of partition"):
        sp.entropy(bare, "a|b", "denoiser_gap", rate="differences")
    made = sp.entropy(bare, "a|b", ("path", "cross_entropy"), rate="differences", replicates=50)
    assert np.isfinite(made.entropy_rate).all()


def test_distances_under_guidance_need_the_null_condition(pair_runs):
    some = pair_runs.isel(candidate=[0, 1], other_candidate=[0, 1])
    with pytest.raises(SpecentError, match="guidance 'w=2' needs the distances to the null condition"):
        sp.entropy(some, _SWAPPED)
    unguided = sp.entropy(some.isel(guidance=[0]), _SWAPPED, replicates=50)
    assert np.allclose(unguided.entropy_rate[0, 0, 0], sp.entropy(pair_runs, replicates=50).entropy_rate[0, 0, 0])


def test_rates_on_other_axes_are_those_per_log_snr_times_the_clock(pair_runs):
    rates = {axis: sp.entropy(pair_runs, rate_axis=axis, replicates=50) for axis in ("log_snr", "log_sigma", "sigma")}
    sigma = pair_runs.time
    assert np.allclose(rates["log_sigma"].entropy_rate, 2 * rates["log_snr"].entropy_rate)
    assert np.allclose(rates["sigma"].entropy_rate_upper * sigma / 2 - rates["log_snr"].entropy_rate_upper, 0)
    assert rates["sigma"].attrs["rate_axis"] == "sigma"
    time = sp.entropy(pair_runs, rate_axis="time", replicates=50)
    assert np.allclose(time.entropy_rate, rates["sigma"].entropy_rate, rtol=1e-6)  # on the VE clock time is sigma


def test_guided_production_is_the_slope_of_the_measured_curves(gaussian_runs):
    # science: means +-8, unit variance, 1000 steps, 20000 samples, at sigma = 12 in bits per unit log_snr
    known = {"w=2": (0.296, 0.189), "w=3": (0.344, 0.156)}
    grid = np.geomspace(4.0, 80.0, 400)
    settings_ = [sp.Guidance(2.0), sp.Guidance(3.0), sp.Guidance(3.0, (6.0, 30.0))]
    runs = gaussian_runs([[-8.0], [8.0]], samples=1500, grid=grid, guidance=settings_, distances=True)
    made = sp.entropy(runs, estimator=("path", "cross_entropy")).isel(partition=0)
    # half the posterior variance of the denoisers, right for unguided trajectories only
    first, second = runs.log_likelihood.sel(candidate="a"), runs.log_likelihood.sel(candidate="b")
    distance = runs.denoiser_distance.sel(candidate="a", other_candidate="b")
    chance = expit(first - second)
    unguided = (0.5 * chance * (1 - chance) * distance).mean(("class_label", "sample")) / grid**2 / np.log(2)

    at = int(np.argmin(np.abs(grid - 12.0)))
    for name, (right, wrong) in known.items():
        point = made.isel(time=at).sel(guidance=name, estimator="path")
        error = float((point.entropy_rate_upper - point.entropy_rate_lower) / 4)
        # the known numbers have an error of their own of 0.002 and are taken at a slightly different sigma
        assert abs(float(point.entropy_rate) - right) < 4 * error + 0.005
        assert abs(float(unguided.isel(time=at).sel(guidance=name)) - wrong) < 0.015

    # slopes over blocks of 25 steps against the mean production in them, with the error of their paired difference
    log_snr = made.log_snr.values
    blocks = [(low, low + 25) for low in range(0, 375, 25)]

    def compared(entropy, rate):
        slope = [(entropy.isel(time=i) - entropy.isel(time=j)) / (log_snr[j] - log_snr[i]) for i, j in blocks]
        mean = [integrated(rate.isel(time=slice(i, j + 1)), made.log_snr.isel(time=slice(i, j + 1))) for i, j in blocks]
        mean = [part.isel(time=0) / (log_snr[i] - log_snr[j]) for part, (i, j) in zip(mean, blocks, strict=True)]
        return xr.concat(slope, "block"), xr.concat(mean, "block")

    drop = ["time", "sigma", "alpha"]
    slope, mean = compared(made.entropy.drop_vars(drop), made.entropy_rate.drop_vars(drop))
    pair = compared(
        made.entropy_replicate.astype(float).drop_vars(drop), made.entropy_rate_replicate.astype(float).drop_vars(drop)
    )
    error = (pair[0] - pair[1]).std("replicate")
    # 15 blocks x 3 settings x 2 estimators within 4 standard errors; steps of 0.75 % in sigma cost 1 % of the rate
    assert (np.abs(slope - mean) <= 4 * error + 0.01 * np.abs(mean) + 1e-4).all()
    _, plain = compared(made.entropy.drop_vars(drop), unguided.drop_vars(drop, errors="ignore"))
    off = np.abs(slope.sel(estimator="path") - plain) / error.sel(estimator="path")
    assert (off.max("block") > 10).all()
