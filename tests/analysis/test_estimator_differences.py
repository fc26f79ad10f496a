"""Differences between estimators: of known curves, with the interval that pairing leaves."""

import numpy as np
import pytest
import xarray as xr

import specent as sp
from specent.errors import SpecentError


@pytest.fixture(scope="module")
def measured() -> xr.Dataset:
    return sp.entropy(sp.archive.example(), ["cat | dog", "full"])


@pytest.fixture(scope="module")
def exact(measured: xr.Dataset) -> xr.Dataset:
    mix = sp.exact.recorded_mixture(sp.archive.example())
    return sp.exact.profiles(mix, sp.schedules.VE(), measured.time.values, [sp.Partition.pair("cat", "dog")])


def shifted(measured: xr.Dataset, amount: float) -> xr.Dataset:
    """The path posterior, and an estimator that is more by a constant in every replicate."""
    path = measured.sel(estimator=["path"])
    moved = path.copy()
    for name in ("entropy", "entropy_lower", "entropy_upper", "entropy_replicate"):
        moved[name] = path[name] + amount
    both = xr.concat(
        [path, moved.assign_coords(estimator=["shifted"])], "estimator", data_vars="minimal", coords="minimal",
        compat="override", join="exact",
    )  # fmt: skip
    return both.assign_attrs(measured.attrs)


def test_what_estimators_have_in_common_cancels(measured: xr.Dataset) -> None:
    diff = sp.analysis.estimator_differences(shifted(measured, 0.25))
    assert diff.attrs["reference"] == "path"
    width = (measured.entropy_upper - measured.entropy_lower).sel(estimator="path").max()
    assert float(width) > 0.1
    for name in ("entropy_difference", "entropy_difference_lower", "entropy_difference_upper"):
        # replicates are kept in single precision
        np.testing.assert_allclose(diff[name].sel(estimator="shifted"), 0.25, atol=1e-6)


def test_two_estimators_differ_by_their_difference(measured: xr.Dataset) -> None:
    diff = sp.analysis.estimator_differences(measured, "denoiser_gap")
    assert diff.estimator.values.tolist() == ["path", "cross_entropy"]
    gap = measured.entropy_rate.sel(estimator="path") - measured.entropy_rate.sel(estimator="denoiser_gap")
    np.testing.assert_allclose(diff.entropy_rate_difference.sel(estimator="path"), gap, atol=1e-12)
    inside = (diff.entropy_difference_lower <= diff.entropy_difference) & (
        diff.entropy_difference <= diff.entropy_difference_upper
    )
    assert bool(inside.all())


def test_against_exact_profiles_the_common_partitions_are_taken(measured: xr.Dataset, exact: xr.Dataset) -> None:
    diff = sp.analysis.estimator_differences(measured, exact)
    assert diff.partition.values.tolist() == ["cat | dog"]
    assert diff.guidance.values.tolist() == ["unguided"]
    own = measured.sel(partition=["cat | dog"], guidance=["unguided"])
    truth = exact.entropy.isel(estimator=0, drop=True).values
    np.testing.assert_allclose(diff.entropy_difference, own.entropy - truth, atol=1e-12)
    plain = own.drop_vars([name for name in own.data_vars if str(name).endswith("_replicate")])
    bounds = sp.analysis.estimator_differences(plain, exact)
    np.testing.assert_allclose(bounds.entropy_difference_lower, own.entropy_lower - truth, atol=1e-12)
    # intervals of the replicates are centred alike, up to the rounding of replicates
    np.testing.assert_allclose(diff.entropy_difference_upper, bounds.entropy_difference_upper, atol=1e-5)


def test_without_replicates_there_is_no_interval(measured: xr.Dataset) -> None:
    plain = measured.drop_vars([name for name in measured.data_vars if str(name).endswith("_replicate")])
    diff = sp.analysis.estimator_differences(plain)
    assert bool(diff.entropy_difference_lower.isnull().all())


def test_what_cannot_be_subtracted_is_refused(measured: xr.Dataset, exact: xr.Dataset) -> None:
    with pytest.raises(SpecentError, match="reference='magic' is no estimator"):
        sp.analysis.estimator_differences(measured, "magic")
    with pytest.raises(SpecentError, match="'path' alone"):
        sp.analysis.estimator_differences(measured.sel(estimator=["path"]))
    with pytest.raises(SpecentError, match="other times"):
        sp.analysis.estimator_differences(measured, exact.isel(time=slice(5)))
    with pytest.raises(SpecentError, match="no partition and guidance setting in common"):
        sp.analysis.estimator_differences(measured.sel(partition=["full"]), exact)
    with pytest.raises(SpecentError, match="select one"):
        sp.analysis.estimator_differences(measured, measured)
