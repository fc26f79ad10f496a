import numpy as np
import pytest
import xarray as xr

import specent as sp
from specent.errors import ArchiveError, SpecentError, SpecentWarning
from specent.schedules import DDPM, VE, VP, log_snr_grid

_SIZES = 2.0 ** np.arange(8, 21)


@pytest.fixture(scope="module")
def sweep():
    return sp.exact.scaling_profiles(_SIZES, VE(), log_snr_grid(VE(), 1201, -20.0, 0.0))


def test_slope_of_the_vp_time_is_one(sweep):
    fit = sp.fit_scaling(sp.speciation(sp.on_schedule(sweep, VP()), axis="time"), law="log")
    assert np.allclose(fit.slope, 1.0, atol=1e-6)
    # H = 1/2 at K = 1.021770 = exp(t_s - t)
    assert np.allclose(fit.intercept, -np.log(1.021770), atol=2e-6)
    assert np.abs(fit.residual).max() < 1e-6
    assert fit.slope_standard_error < 1e-6
    assert fit.attrs["dimension_min"] == 256
    assert fit.attrs["dimension_max"] == 2**20


def test_exponent_of_the_noise_level_is_one_half(sweep):
    fits = [sp.fit_scaling(sp.speciation(sweep, axis=axis), law="sqrt") for axis in ("sigma", "log_sigma")]
    assert np.allclose(fits[0].exponent, 0.5, atol=0.002)
    # the correction -1 in sigma^2 = d/1.04401 - 1 bends the line: the residuals are there to be seen
    assert 1e-5 < np.abs(fits[0].residual).max() < 2e-3
    assert np.allclose(fits[0].exponent, fits[1].exponent, atol=1e-9)
    assert np.allclose(fits[0].residual.sum("dimension"), 0, atol=1e-9)


def test_fit_agrees_with_numpy_and_the_textbook_standard_error(sweep):
    spec = sp.speciation(sweep, axis="log_sigma")
    fit = sp.fit_scaling(spec, law="sqrt")
    x, y = np.log(_SIZES), spec.half_entropy.squeeze().values
    (slope, intercept), covariance = np.polyfit(x, y, 1, cov=True)
    assert np.allclose([fit.exponent.item(), fit.intercept.item()], [slope, intercept], atol=1e-9)
    errors = [fit.exponent_standard_error.item(), fit.intercept_standard_error.item()]
    assert np.allclose(errors, np.sqrt(np.diag(covariance)), rtol=1e-6)


def test_intervals_weigh_the_points(sweep):
    spec = sp.speciation(sweep, axis="log_sigma").copy(deep=True)
    error = np.geomspace(0.01, 1.0, len(_SIZES))
    spread = xr.DataArray(error, dims="dimension")
    draws = xr.DataArray(np.random.default_rng(0).standard_normal((120, len(_SIZES))), dims=("run", "dimension"))
    z = 1.959963984540054
    noisy = spec.assign(half_entropy=(spec.half_entropy + spread * draws).assign_attrs(spec.half_entropy.attrs))
    for bound, sign in (("lower", -1), ("upper", 1)):
        name = f"half_entropy_{bound}"
        noisy[name] = (noisy.half_entropy + sign * z * spread).assign_attrs(spec[name].attrs)
    fit = sp.fit_scaling(noisy.assign_coords(run=[f"repetition {i}" for i in range(120)]), law="sqrt")
    slopes, stated = fit.exponent.values.ravel(), fit.exponent_standard_error.values.ravel()
    assert len(slopes) == 120
    # 120 repetitions: the mean to 4 standard errors, the standard deviation to 4 x 6.5 %
    assert abs(np.mean(slopes) - 0.5) < 4 * np.std(slopes) / np.sqrt(120) + 0.001
    assert np.isclose(np.std(slopes), stated[0], rtol=0.26)
    assert np.ptp(stated) < 1e-9


def test_too_few_dimensions_are_refused(sweep):
    with pytest.raises(SpecentError, match="spec has 2 dimensions; a fit needs at least 3"):
        sp.fit_scaling(sp.speciation(sweep.isel(dimension=[0, 1]), axis="sigma"), law="sqrt")
    mix = sp.exact.GaussianMixture([[-4.0], [4.0]])
    prof = sp.exact.profiles(mix, VE(), log_snr_grid(VE(), 50, -8.0, 4.0), [sp.Partition.full(mix.labels)])
    spec = sp.speciation(prof)
    with pytest.raises(SpecentError, match=r"spec has no dimension 'dimension'.*profiles that have it"):
        sp.fit_scaling(spec)


def _changed(spec, name, value, place=1):
    made = spec.copy(deep=True)
    made[name].values[place] = value
    return made


@pytest.mark.parametrize("law", ["log", "sqrt"])
@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        (
            "half_entropy",
            np.inf,
            "half_entropy=inf at dimension=512.0, estimator=exact, .* is not a positive finite",
        ),
        ("half_entropy", -2.0, "half_entropy=-2.0 at dimension=512.0"),
        ("half_entropy", 0.0, "half_entropy=0.0 at dimension=512.0"),
        ("half_entropy_lower", np.nan, "half_entropy_lower=nan at dimension=512.0"),
        ("half_entropy_upper", np.nan, "half_entropy_upper=nan at dimension=512.0"),
        ("half_entropy_lower", -1.0, "half_entropy_lower=-1.0 at dimension=512.0"),
        ("half_entropy_lower", 1e5, "half_entropy_lower=100000.0 at .* on its side of half_entropy"),
        ("half_entropy_upper", 1e-5, "half_entropy_upper=1e-05 at .* on its side of half_entropy"),
    ],
)
def test_places_that_cannot_be_are_named(sweep, law, name, value, message):
    prof = sp.on_schedule(sweep, VP()) if law == "log" else sweep
    spec = sp.speciation(prof, axis="time" if law == "log" else "sigma")
    with pytest.raises(SpecentError, match=message):
        sp.fit_scaling(_changed(spec, name, value), law=law)


def test_a_missing_value_is_left_out_of_its_line(sweep):
    spec = sp.speciation(sweep, axis="log_sigma")
    gap = spec.copy(deep=True)
    for end in ("", "_lower", "_upper"):
        gap[f"half_entropy{end}"].values[3] = np.nan
    fit, other = (sp.fit_scaling(each, law="sqrt") for each in (gap, spec.drop_isel(dimension=3)))
    assert np.allclose(fit.exponent, other.exponent, rtol=1e-12)
    assert np.isnan(fit.residual.squeeze().values).tolist() == [i == 3 for i in range(len(_SIZES))]


def test_a_line_of_which_too_little_is_known_is_missing(sweep):
    spec = sp.speciation(sweep, axis="log_sigma").isel(dimension=slice(0, 4)).copy(deep=True)
    for end in ("", "_lower", "_upper"):
        spec[f"half_entropy{end}"].values[:2] = np.nan
    with pytest.warns(SpecentWarning, match="1 of 1 fits are missing"):
        fit = sp.fit_scaling(spec, law="sqrt")
    assert np.isnan(fit.exponent).all()
    assert fit.attrs["missing"] == 1


def test_the_logarithm_of_a_noise_level_may_be_negative(sweep):
    spec = sp.speciation(sweep, axis="log_sigma")
    low = spec.copy(deep=True)
    for name in ("half_entropy", "half_entropy_lower", "half_entropy_upper"):
        low[name].values -= 20.0
    fits = [sp.fit_scaling(each, law="sqrt") for each in (spec, low)]
    assert np.allclose(fits[0].exponent, fits[1].exponent, atol=1e-9)
    assert np.allclose(fits[0].intercept - 20.0, fits[1].intercept, atol=1e-9)


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ([0.0, 16.0, 64.0], r"spec: dimension=\[0.0, 16.0, 64.0\] must be positive"),
        ([-4.0, 16.0, 64.0], "dimension=-4.0 at dimension=#0 is negative"),
        ([64.0, 64.0 + 1e-12, 64.0 + 2e-12], "'dimension' must ascend|must be positive numbers that differ"),
        ([64.0, 64.1, 64.2], "must be positive numbers that differ by 1 % at least"),
    ],
)
def test_dimensions_over_which_no_line_can_be_drawn_are_named(sweep, sizes, message):
    spec = sp.speciation(sweep.isel(dimension=[0, 1, 2]), axis="sigma")
    with pytest.raises(SpecentError, match=message):
        sp.fit_scaling(spec.assign_coords(dimension=("dimension", sizes, spec.dimension.attrs)), law="sqrt")


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"confidence": "high"}, "the attribute confidence='high' must be a finite number above 0 and below 1"),
        ({"confidence": 1.0}, r"the attribute confidence=1\.0 must be"),
        ({"confidence": -3}, "the attribute confidence=-3 must be"),
        ({"schedule": "?"}, "schedule='.' is not the JSON text of a known schedule"),
        ({"schedule": "[]"}, "is not the JSON text of a known schedule"),
    ],
)
def test_attributes_that_cannot_be_are_named(sweep, attributes, message):
    spec = sp.speciation(sweep, axis="sigma")
    with pytest.raises(SpecentError, match=message):
        sp.fit_scaling(spec.assign_attrs(attributes), law="sqrt")


@pytest.mark.parametrize(
    ("law", "axis", "schedule", "message"),
    [
        (
            "log",
            "log_snr",
            VE(),
            r"needs the time of a variance-preserving schedule, but spec is on the axes \['log_snr'\]",
        ),
        ("log", "time", VE(), r"of the schedule 've': use specent.speciation\(specent.on_schedule\(profiles, VP"),
        (
            "sqrt",
            "time",
            VP(),
            r"law='sqrt' needs noise levels, but spec is on the axes \['time'\]: use .* axis='sigma'",
        ),
        ("linear", "sigma", VE(), "law='linear' is not known"),
        (["log"], "sigma", VE(), "law=.* is not known"),
    ],
)
def test_wrong_axis_or_law_is_named_with_the_mend(sweep, law, axis, schedule, message):
    spec = sp.speciation(sp.on_schedule(sweep, schedule), axis=axis)
    with pytest.raises(SpecentError, match=message):
        sp.fit_scaling(spec, law=law)


def test_other_kinds_are_refused(sweep):
    with pytest.raises(ArchiveError, match="spec: a dataset of kind 'speciation' is needed"):
        sp.fit_scaling(sweep)
    with pytest.raises(SpecentError, match="spec is a list"):
        sp.fit_scaling([])


def test_one_sweep_serves_every_clock(sweep):
    some = sweep.sel(time=slice(1.2, 120.0)).isel(dimension=slice(0, 4))
    half = {}
    for schedule in (VE(), VP(), DDPM("linear")):
        spec = sp.speciation(sp.on_schedule(some, schedule), axis="time")
        half[schedule.name] = schedule.log_snr(spec.half_entropy.values)
    assert np.allclose(half["ve"], half["vp"], atol=1e-9)
    assert np.allclose(half["ve"], half["ddpm"], atol=1e-9)
