import numpy as np
import pytest
import xarray as xr

import specent as sp
from specent import schema
from specent.errors import SpecentError
from specent.schedules import DDPM, VE, VP, FlowMatching, from_json, log_snr_grid


@pytest.mark.parametrize("schedule", [VP(), FlowMatching(), DDPM("linear")])
@pytest.mark.parametrize("rate_axis", ["log_snr", "time"])
def test_relabelled_profile_is_that_of_the_other_schedule(schedule, rate_axis):
    mix = sp.exact.GaussianMixture([[-4.0], [4.0]])
    asked, grid = [sp.Partition.full(mix.labels)], log_snr_grid(VE(), 41, -6.0, 6.0)
    moved = sp.on_schedule(sp.exact.profiles(mix, VE(), grid, asked, rate_axis=rate_axis), schedule)
    made = sp.exact.profiles(mix, schedule, schedule.time(VE().log_snr(grid)), asked, rate_axis=rate_axis)
    assert from_json(moved.attrs["schedule"]) == schedule
    for name in ("time", "sigma", "alpha", "log_snr"):
        assert np.allclose(moved[name], made[name], rtol=1e-9), name
    for name in made.data_vars:
        assert np.allclose(moved[name], made[name].values, rtol=1e-6, atol=1e-9), name
    schema.validate(moved, "profiles")


def test_there_and_back_is_the_same(pair_runs):
    prof = sp.entropy(pair_runs, rate_axis="time", replicates=50)
    back = sp.on_schedule(sp.on_schedule(prof, VP()), VE())
    assert np.allclose(back.time, prof.time, rtol=1e-10)
    assert np.array_equal(back.log_snr, prof.log_snr)
    for name in prof.data_vars:
        assert np.allclose(back[name].values, prof[name].values, rtol=1e-6), name
        assert back[name].dtype == prof[name].dtype


def test_relabelled_trajectories_give_the_same_entropies(pair_runs):
    moved = sp.on_schedule(pair_runs, VP())
    schema.validate(moved, "trajectories")
    first, second = sp.entropy(pair_runs, replicates=50), sp.entropy(moved, replicates=50)
    for name in first.data_vars:
        assert np.allclose(first[name].values, second[name].values, rtol=1e-9, atol=1e-12), name
    swapped = sp.Partition.groups({"y": ["b"], "x": ["a"]}, prior=[0.5, 0.5])
    # guidance intervals are noise levels sigma / alpha, the same on every clock
    assert np.allclose(sp.entropy(moved, swapped).entropy_rate, sp.entropy(pair_runs).entropy_rate, atol=1e-9)
    assert moved.attrs["seed_rule"] == pair_runs.attrs["seed_rule"]


def test_times_of_predictions_move_along(make_dataset):
    runs = make_dataset("trajectories")
    moved = sp.on_schedule(runs, VP())
    expected = VP().time(VE().log_snr(runs.prediction_time.values))
    assert np.allclose(moved.prediction_time, expected)
    assert np.array_equal(moved.prediction, runs.prediction)


def test_bad_input_is_named(pair_runs):
    prof = sp.entropy(pair_runs, estimator="path", replicates=50)
    with pytest.raises(SpecentError, match="of kind 'speciation'; on_schedule takes trajectories or profiles"):
        sp.on_schedule(sp.speciation(prof), VP())
    with pytest.raises(SpecentError, match="dataset is a int"):
        sp.on_schedule(3, VP())
    with pytest.raises(SpecentError, match="of kind None"):
        sp.on_schedule(xr.Dataset(), VP())
    with pytest.raises(SpecentError, match=r"of kind \[1\]"):
        sp.on_schedule(prof.assign_attrs(specent_kind=[1]), VP())
    with pytest.raises(SpecentError, match="schedule is a str; use one of"):
        sp.on_schedule(prof, "vp")
    with pytest.raises(SpecentError, match=r"outside .* the range of this ddpm schedule"):
        sp.on_schedule(prof, DDPM(tuple(np.linspace(0.001, 0.01, 20))))
