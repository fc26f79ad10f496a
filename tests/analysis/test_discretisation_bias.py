"""The bias by finite steps that a run estimates of itself, against that of exact profiles."""

import numpy as np
import pytest
import xarray as xr

import specent as sp
from specent.errors import ArchiveError

pytest.importorskip("torch")

VE = sp.schedules.VE()
NAME = "discretisation_bias"


@pytest.fixture(scope="module")
def runs() -> xr.Dataset:
    """Two classes of one dimension that overlap at all noise levels, the hard case."""
    mix = sp.exact.GaussianMixture([[-1.0], [1.0]], labels=["a", "b"])
    return _sampled(mix, 1000)


def _sampled(mix: sp.exact.GaussianMixture, samples: int) -> xr.Dataset:
    grid = sp.schedules.edm_grid(64)
    return sp.sample(sp.models.mixture(mix), schedule=VE, time=grid, samples=samples, partitions="full", progress=False)


@pytest.mark.parametrize(
    ("means", "variance"),
    [([[-1.0], [1.0]], 1.0), ([[-1.0, 0.0], [1.0, 0.0]], [0.25, 2.0]), ([[-2.0], [0.0], [2.0]], [1.0, 0.5, 1.0])],
)
def test_it_is_of_the_size_of_the_largest_error(means, variance):
    mix = sp.exact.GaussianMixture(means, variance)
    runs = _sampled(mix, 3000 // len(means))
    profile = sp.entropy(runs, estimator=("path", "denoiser_gap"), keep_replicates=False)
    exact = sp.exact.profiles(mix, VE, runs.time.values, "full").entropy.isel(estimator=0)
    worst = abs(profile.entropy - exact).max(("estimator", "time")).item()
    # the error of both together is 0.04 bit or more, the noise of sampling less than 0.01
    assert worst > 0.035
    assert 0.75 * worst < profile[NAME].max().item() < 4 * worst


def test_it_is_the_distance_of_the_two_and_one_for_all_estimators(runs):
    profile = sp.entropy(runs, estimator=("path", "denoiser_gap", "rao_blackwell"), replicates=50)
    distance = abs(profile.entropy.sel(estimator="path") - profile.entropy.sel(estimator="denoiser_gap"))
    for name in profile.estimator.values:
        np.testing.assert_allclose(profile[NAME].sel(estimator=name).values, distance.values, atol=1e-12)
    assert profile[NAME].attrs["units"] == "bit"
    assert "finite steps" in profile[NAME].attrs["long_name"]
    # whichever estimators are chosen
    alone = sp.entropy(runs, estimator="path", replicates=50)
    np.testing.assert_allclose(alone[NAME].values, profile[NAME].isel(estimator=[0]).values, atol=1e-12)


def test_it_falls_with_the_step():
    mix = sp.exact.GaussianMixture([[-1.0], [1.0]], labels=["a", "b"])
    largest = []
    for steps in (16, 64, 256):
        fine = sp.sample(
            sp.models.mixture(mix), schedule=VE, time=sp.schedules.edm_grid(steps), samples=1000, partitions="full",
            progress=False,
        )  # fmt: skip
        largest.append(sp.entropy(fine, estimator="path", keep_replicates=False)[NAME].max().item())
    # of first order in the step; sampling adds 0.01 bit
    assert largest[0] > 2.5 * largest[1] > 5 * largest[2]


def test_it_is_left_out_where_it_cannot_be_had(runs):
    assert NAME not in sp.entropy(runs, estimator="path", rate="differences", replicates=50)
    assert NAME not in sp.entropy(runs.isel(time=slice(0, -8)), estimator="path", replicates=50)


def test_it_is_kept_in_archives(runs, tmp_path):
    profile = sp.entropy(runs, replicates=50)
    again = sp.open(sp.write(profile, tmp_path / "profile.nc"))
    xr.testing.assert_equal(again[NAME].load(), profile[NAME])
    profile[NAME][..., 3] = -0.1
    with pytest.raises(ArchiveError, match=r"discretisation_bias=-0.1 at .* is negative"):
        sp.validate(profile)
    lazy = sp.entropy(runs.chunk(sample=200), replicates=50, compute=False)
    assert lazy[NAME].chunks
    xr.testing.assert_allclose(lazy[NAME].compute(), again[NAME], atol=1e-12)
