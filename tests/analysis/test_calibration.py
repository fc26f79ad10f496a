import warnings

import numpy as np
import pytest

import specent as sp
from specent.errors import CalibrationWarning, SpecentError

_PARTITIONS = ["full", "a|rest", "a,b|c,d", "c|d"]


def test_calibrated_runs_stay_silent(gaussian_runs):
    # 20 runs of 2 x 32 gaps; a false alarm has a chance of 1e-4 a run
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for seed in range(20):
            runs = gaussian_runs([[-2.0], [2.0]], samples=60, grid=np.geomspace(0.05, 60, 32), seed=seed)
            sp.entropy(runs, ["full", "a|b"], "path", replicates=50)


def test_a_wrong_likelihood_is_warned_about_with_its_place(gaussian_runs):
    grid = np.geomspace(0.2, 60, 24)
    runs = gaussian_runs([[-1.5], [1.5]], believed=[[-3.0], [3.0]], samples=400, grid=grid)
    with pytest.warns(CalibrationWarning, match=r"partition 'a \| b', guidance 'unguided', log_snr=.*standard error"):
        sp.entropy(runs, estimator="path")
    gap = sp.calibration_gap(runs).isel(guidance=0, partition=0, time=slice(0, -1))
    # overconfident: surprised more often than its entropy says
    assert (gap.gap / gap.gap_standard_error).min() < -4


def test_guided_runs_are_not_warned_about(gaussian_runs):
    grid = np.geomspace(0.2, 60, 24)
    runs = gaussian_runs([[-2.0], [2.0]], samples=400, grid=grid, guidance=[sp.Guidance(3.0)])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sp.entropy(runs, estimator="path", replicates=50)
    gap = sp.calibration_gap(runs).isel(guidance=0, partition=0)
    # guidance pushes samples to where their class is likelier than the posterior says
    assert (gap.gap / gap.gap_standard_error.clip(min=1e-12)).max() > 5


def test_mean_posterior_is_the_prior_and_entropy_the_mean_surprise(gaussian_runs):
    means = [[-3.0, 0.0], [3.0, 0.0], [0.0, 4.0], [0.0, 5.0]]
    runs = gaussian_runs(means, samples=500, grid=np.geomspace(0.2, 60, 20), distances=False)
    made = sp.calibration_gap(runs, _PARTITIONS)
    # 20 times x 14 correlated numbers within 4 standard errors: a chance of 1 % at most that one is outside
    for name in ("gap", "posterior_gap"):
        excess = np.abs(made[name]) / made[f"{name}_standard_error"].clip(min=1e-9)
        assert np.nanmax(excess) < 4, name
    assert made.posterior_gap_standard_error.sel(partition="full").max() > 1e-3


def test_sides_are_named_and_missing_ones_are_nan(four_runs):
    made = sp.calibration_gap(four_runs, _PARTITIONS, replicates=50)
    assert made.side_name.values.tolist()[0] == ["a", "b", "c", "d"]
    assert made.side_name.values.tolist()[1] == ["a", "not a", "", ""]
    assert np.isnan(made.posterior_gap.isel(partition=1, side=2)).all()
    assert np.isfinite(made.posterior_gap.isel(partition=0)).all()
    assert np.allclose(made.posterior_gap.sum("side"), 0, atol=1e-12)
    for name in made.data_vars:
        assert {"units", "long_name"} <= set(made[name].attrs)


def test_standard_errors_are_those_of_a_repeated_experiment(gaussian_runs):
    rows, errors = [], []
    for seed in range(60):
        runs = gaussian_runs([[-2.0], [2.0]], samples=50, grid=np.geomspace(0.5, 40, 12), seed=seed, distances=False)
        made = sp.calibration_gap(runs, replicates=50).isel(guidance=0, partition=0, time=slice(0, 9))
        rows.append(np.stack([made.gap, made.posterior_gap.isel(side=0)]))
        errors.append(np.stack([made.gap_standard_error, made.posterior_gap_standard_error.isel(side=0)]))
    # a standard deviation of 60 repetitions has a relative error of 9 %; the stated error is the larger of two
    ratio = np.mean(errors, axis=0) / np.std(rows, axis=0)
    assert (ratio > 0.75).all()
    assert (ratio < 2.0).all()


def test_gap_is_that_of_the_estimators(four_runs):
    made = sp.calibration_gap(four_runs, _PARTITIONS, replicates=50)
    prof = sp.entropy(four_runs, _PARTITIONS, ("path", "cross_entropy"), replicates=50)
    difference = prof.entropy.sel(estimator="path") - prof.entropy.sel(estimator="cross_entropy")
    assert np.allclose(made.gap, difference.transpose(*made.gap.dims), atol=1e-12)


def test_gap_of_dask_arrays_is_the_same(four_runs):
    whole = sp.calibration_gap(four_runs, _PARTITIONS, replicates=50)
    pieces = sp.calibration_gap(four_runs.chunk(sample=33, time=7), _PARTITIONS, replicates=50)
    for name in whole.data_vars:
        # variances of 1e-17 instead of 0, where all trajectories are alike, have roots of 3e-9
        tolerance = 1e-8 if str(name).endswith("error") else 1e-12
        assert np.allclose(whole[name], pieces[name], rtol=0, atol=tolerance, equal_nan=True), name


def test_bad_input_is_named(pair_runs):
    with pytest.raises(SpecentError, match="replicates=3"):
        sp.calibration_gap(pair_runs, replicates=3)
    bad = pair_runs.copy(deep=True)
    bad.log_likelihood[0, 1, 2, 3, 0] = np.nan
    with pytest.raises(SpecentError, match="log_likelihood is not finite at guidance=unguided, class_label=b, s"):
        sp.calibration_gap(bad)
