"""The denoising error along kept paths: its size against the exact one, its interval against repeated runs."""

from collections.abc import Callable

import numpy as np
import pytest
import xarray as xr

import specent as sp
from specent.analysis import path_error
from specent.errors import SpecentError

MIX = sp.exact.GaussianMixture([[-4.0], [4.0]], weights=[0.3, 0.7])
LEVELS = [0.3, 1.0, 3.0, 9.0]


def sampled(seed: int, samples: int = 25, steps: int = 60) -> xr.Dataset:
    grid = np.unique(np.append(np.geomspace(0.05, 80.0, steps), LEVELS))
    return sp.sample(
        sp.models.mixture(MIX), schedule=sp.schedules.VE(), time=grid, samples=samples, seed=seed, check=False,
        record=sp.Record(predictions=LEVELS), progress=False,
    )  # fmt: skip


def test_intervals_cover_what_runs_find_on_average() -> None:
    runs = [path_error(sampled(seed, steps=30), seed=seed).sel(time=LEVELS) for seed in range(150)]
    whole = xr.concat(runs, "run")
    mean = whole.denoising_error.mean("run")
    covered = ((whole.denoising_error_lower <= mean) & (mean <= whole.denoising_error_upper)).mean("run")
    # of 150 runs a coverage is found to 2 %, four of which count, and 25 trajectories of a class cost another 2 %
    assert (covered.values > 0.95 - 0.02 - 4 * 0.02).all()
    width = (whole.denoising_error_upper - whole.denoising_error_lower).mean("run") / (2 * 1.96)
    # 150 runs know a standard deviation to 6 %
    np.testing.assert_allclose(width, whole.denoising_error.std("run", ddof=1), rtol=4 * 0.06)


def test_with_many_steps_the_interval_holds_the_exact_error() -> None:
    found = path_error(sampled(1, samples=400, steps=400)).sel(time=LEVELS)
    exact = sp.exact.denoising_error(MIX, LEVELS, conditional=True).denoising_error.values
    error = (found.denoising_error_upper - found.denoising_error_lower).values / (2 * 1.96)
    # steps make samples too narrow in proportion to their length, at 30 of them by two fifths
    assert (abs(found.denoising_error.values - exact) < 4 * error + 0.05 * exact).all()
    assert (error < 0.06 * exact).all()


def test_more_trajectories_make_it_narrower_and_one_has_no_interval() -> None:
    runs = sampled(0, samples=200, steps=20)
    few, many = (path_error(one) for one in (runs.isel(sample=slice(50)), runs))
    widths = [float((one.denoising_error_upper - one.denoising_error_lower).sel(time=3.0)) for one in (few, many)]
    assert 1.4 < widths[0] / widths[1] < 2.8
    alone = path_error(runs.isel(sample=[0]))
    assert np.isnan(alone.denoising_error_lower).all()
    assert np.isfinite(alone.denoising_error).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda runs: runs.drop_vars("sigma"), "'sigma' is missing"),
        (lambda runs: runs.drop_vars("guidance_scale"), "'guidance_scale' is missing"),
        (lambda runs: runs.drop_vars("prediction_time"), "'prediction_time' is missing"),
        (lambda runs: runs.isel(time=slice(30)), "none of runs"),
        (lambda runs: runs.isel(prediction_time=slice(None, None, -1)), "does not ascend"),
        (lambda runs: runs.assign(final=runs.final.where(runs["sample"] != 3)), "final is not finite at .*sample=3"),
        (lambda runs: runs.assign(prediction=runs.prediction / 0), "prediction is not finite"),
        (lambda runs: runs.assign(final=runs.final.isel(feature=0, drop=True)), "other dimensions"),
    ],
)
def test_runs_that_were_altered_are_refused(change: Callable[[xr.Dataset], xr.Dataset], message: str) -> None:
    runs = sampled(0, samples=4)
    with np.errstate(divide="ignore"):
        altered = change(runs)
    with pytest.raises(SpecentError, match=message):
        path_error(altered)
