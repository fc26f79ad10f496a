"""The two-component mixture over dimensions against the general machinery and the reference numbers."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from numpy.typing import NDArray

from specent import exact
from specent.errors import SpecentError
from specent.partitions import Partition
from specent.schedules import VE, VP, edm_grid, time_grid

Array = NDArray[np.float64]


def _two(d: int) -> exact.GaussianMixture:
    """Two components along the first axis, with |m|^2 = d."""
    return exact.GaussianMixture([[-np.sqrt(d)], [np.sqrt(d)]], labels=["-", "+"], dimension=d)


def _place(d: int, fraction: float) -> float:
    return exact.half_entropy(_two(d), Partition.pair("-", "+"), fraction)


@pytest.mark.parametrize("axis", ["log_snr", "log_sigma", "sigma", "time"])
def test_closed_form_equals_the_general_quadrature(axis: str) -> None:
    time = time_grid(VP(), 9, 0.3, 4.0)
    sizes = [2, 16, 1024]
    closed = exact.scaling_profiles(sizes, VP(), time, rate_axis=axis)
    for d in sizes:
        general = exact.profiles(_two(d), VP(), time, [Partition.pair("-", "+")], rate_axis=axis)
        for name in ("entropy", "entropy_rate", "mutual_information"):
            scale = float(np.abs(general[name]).max())
            np.testing.assert_allclose(closed[name].sel(dimension=d), general[name], atol=1e-9 * max(1.0, scale))


def test_entropy_at_the_vp_speciation_time_is_the_same_in_every_dimension() -> None:
    sizes = 2.0 ** np.arange(1, 21)
    profile = exact.scaling_profiles(sizes, VP(), exact.speciation_time(sizes))
    values = np.diagonal(profile.entropy.squeeze().values)
    np.testing.assert_allclose(values, 0.514056, atol=1e-6)


def test_vp_half_entropy_time_has_slope_one_against_half_the_log_dimension() -> None:
    power = np.arange(1, 21)
    time = [float(VP().time(_place(2**k, 0.5))) for k in power]
    slope = np.polyfit(power * np.log(2) / 2, time, 1)[0]
    assert slope == pytest.approx(1, abs=1e-6)


def test_ve_half_entropy_level_has_the_closed_form_and_exponent_one_half() -> None:
    power = np.arange(8, 21)
    sigma = np.array([np.exp(-0.5 * _place(2**k, 0.5)) for k in power])
    # the reference K at half a bit is 1.021770, known to 5e-7; K^2 = 1.04401
    np.testing.assert_allclose(sigma**2 + 1, 2.0**power / 1.021770**2, rtol=2e-6)
    exponent = np.polyfit(power * np.log(2), np.log(sigma), 1)[0]
    assert exponent == pytest.approx(0.5, abs=0.002)


@pytest.mark.parametrize("d", [16, 256, 16384])
def test_vp_transition_has_the_reference_width_in_every_dimension(d: int) -> None:
    start, end = VP().time([_place(d, 0.4), _place(d, 0.6)])
    assert end - start == pytest.approx(0.3083, abs=5e-5)


@pytest.mark.parametrize(("d", "width"), [(16, 1.261), (256, 4.888), (16384, 39.026)])
def test_ve_transition_broadens_in_sigma_only(d: int, width: float) -> None:
    low, high = (np.exp(-0.5 * _place(d, fraction)) for fraction in (0.4, 0.6))
    assert high - low == pytest.approx(width, abs=5e-4)
    if d > 1000:
        assert np.log(high / low) == pytest.approx(0.3083, abs=2e-4)


def _peak(profile: xr.Dataset, position: Array) -> float:
    """Place of the largest rate, by a parabola through the three highest points."""
    rate = profile.entropy_rate.squeeze().values
    top = int(rate.argmax())
    a, b, _ = np.polyfit(position[top - 1 : top + 2] - position[top], rate[top - 1 : top + 2], 2)
    return float(position[top] - b / (2 * a))


@pytest.mark.parametrize("d", [2, 64, 2**20])
def test_vp_rate_peaks_at_the_reference_distance_from_the_speciation_time(d: int) -> None:
    speciation = float(exact.speciation_time(d))
    time = speciation - 0.205501 + np.linspace(-0.01, 0.01, 41)
    peak = _peak(exact.scaling_profiles([d], VP(), time, rate_axis="time"), time)
    # three points 5e-4 apart miss the peak of a smooth curve by less than 1e-6
    assert peak == pytest.approx(speciation - 0.205501, abs=2e-6)


@pytest.mark.parametrize(("axis", "share"), [("sigma", 0.644), ("log_sigma", 0.814)])
def test_the_position_of_the_ve_peak_depends_on_the_axis(axis: str, share: float) -> None:
    d = 2**20
    sigma = np.sqrt(d) * np.linspace(0.4, 1.2, 801)
    profile = exact.scaling_profiles([d], VE(), sigma, rate_axis=axis)
    peak = _peak(profile, sigma if axis == "sigma" else np.log(sigma))
    assert (peak if axis == "sigma" else np.exp(peak)) / np.sqrt(d) == pytest.approx(share, abs=5e-4)


def test_the_variance_only_rescales_the_noise() -> None:
    wide = exact.scaling_profiles([16], VE(), [2.0, 6.0], variance=4.0)
    plain = exact.GaussianMixture([[-4.0], [4.0]], 4.0, labels=["-", "+"])
    expected = exact.profiles(plain, VE(), [2.0, 6.0], [Partition.pair("-", "+")])
    np.testing.assert_allclose(wide.entropy.squeeze(), expected.entropy.squeeze(), atol=1e-9)
    np.testing.assert_allclose(wide.entropy_rate.squeeze(), expected.entropy_rate.squeeze(), atol=1e-9)


def test_bounds_equal_the_value_and_information_is_what_is_left_of_one_bit() -> None:
    profile = exact.scaling_profiles([2, 4], VE(), edm_grid(5))
    for name in ("entropy", "entropy_rate", "mutual_information"):
        np.testing.assert_array_equal(profile[name], profile[f"{name}_lower"])
        np.testing.assert_array_equal(profile[name], profile[f"{name}_upper"])
    np.testing.assert_allclose(profile.entropy + profile.mutual_information, 1, atol=1e-12)


@pytest.mark.parametrize("sizes", [[], [0.5], [4, 2], [2, 2], [1, np.inf], [np.nan], 4])
def test_dimensions_must_ascend_from_one(sizes: object) -> None:
    with pytest.raises(SpecentError, match="dimensions="):
        exact.scaling_profiles(sizes, VE(), [1.0, 2.0])  # type: ignore[arg-type]


def test_variance_and_axis_are_checked() -> None:
    with pytest.raises(SpecentError, match=r"variance=0\.0"):
        exact.scaling_profiles([2], VE(), [1.0, 2.0], variance=0.0)
    with pytest.raises(SpecentError, match="rate_axis='snr'"):
        exact.scaling_profiles([2], VE(), [1.0, 2.0], rate_axis="snr")
