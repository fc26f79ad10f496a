import numpy as np
import pytest
import xarray as xr

import specent as sp
from specent import schema
from specent.errors import ArchiveError, SpecentError, SpecentWarning
from specent.schedules import VE, VP, log_snr_grid

_NAMES = ("half_entropy", "window_start", "window_end", "peak", "peak_rate")


@pytest.fixture(scope="module")
def exact():
    """Exact two-component profiles at three dimensions, on 1001 points."""
    return sp.exact.scaling_profiles([16, 256, 16384], VE(), log_snr_grid(VE(), 1001, -16.0, 4.0))


def test_widths_of_the_window_are_the_known_ones(exact):
    spec = sp.speciation(exact, axis="sigma")
    width = (spec.window_start - spec.window_end).squeeze()
    assert np.allclose(width, [1.261, 4.888, 39.026], atol=5e-4)
    vp = sp.speciation(sp.on_schedule(exact, VP()), axis="time")
    assert np.allclose(vp.window_start - vp.window_end, 0.3083, atol=5e-5)
    logarithmic = sp.speciation(exact, axis="log_sigma")
    # in ln(sigma) the width tends to ln(1.184471/0.870218), the ratio of K at 0.4 and 0.6 bit
    assert np.isclose(
        (logarithmic.window_start - logarithmic.window_end)[-1].item(), np.log(1.184471 / 0.870218), atol=1e-4
    )


def test_half_entropy_is_where_the_closed_form_says(exact):
    # K = 1.021770 to 5e-7, so sigma^2 to 1e-6 of d
    spec = sp.speciation(exact, axis="sigma")
    expected = np.sqrt(np.array([16, 256, 16384]) / 1.02177046**2 - 1)
    assert np.allclose(spec.half_entropy.squeeze(), expected, rtol=1e-6)
    same = sp.speciation(exact, axis="log_snr")
    assert np.allclose(np.exp(-0.5 * same.half_entropy), spec.half_entropy, rtol=1e-12)


def test_peak_depends_on_the_axis_as_known(exact):
    per_sigma, per_log = (sp.speciation(exact, axis=axis).isel(dimension=2) for axis in ("sigma", "log_sigma"))
    # the known numbers are for high dimension, to three digits; d = 16384
    assert np.isclose(per_sigma.peak.item() / 128, 0.644, atol=6e-4)
    assert np.isclose(np.exp(per_log.peak.item()) / 128, 0.814, atol=6e-4)
    # d/dlnK at its largest, up to corrections of order 1/d
    assert np.isclose(per_log.peak_rate.item(), 0.691795, atol=1e-4)
    vp = sp.speciation(sp.on_schedule(exact, VP()), axis="time")
    assert np.allclose(vp.peak - 0.5 * np.log(vp.dimension), -0.205501, atol=1e-5)


def test_stored_axis_of_the_rate_does_not_matter():
    grid = log_snr_grid(VE(), 301, -8.0, 4.0)
    mix = sp.exact.GaussianMixture([[-4.0], [4.0]])
    made = [
        sp.speciation(
            sp.exact.profiles(mix, VE(), grid, [sp.Partition.full(mix.labels)], rate_axis=rate_axis), axis="sigma"
        )
        for rate_axis in ("log_snr", "log_sigma", "sigma", "time")
    ]
    for other in made[1:]:
        assert np.allclose(made[0].peak, other.peak, rtol=1e-6)
        assert np.allclose(made[0].peak_rate, other.peak_rate, rtol=1e-6)


def test_exact_profiles_have_intervals_of_no_width(exact):
    spec = sp.speciation(exact, axis="log_sigma")
    for name in _NAMES:
        assert np.array_equal(spec[name], spec[f"{name}_lower"])
        assert np.array_equal(spec[name], spec[f"{name}_upper"])


def test_bounds_without_replicates_are_inverted(exact):
    shift = 0.01
    band = exact.isel(dimension=[1]).copy(deep=True)
    for name in ("entropy", "entropy_rate"):
        band[f"{name}_lower"] = band[name] - shift * band[name]
        band[f"{name}_upper"] = band[name] + shift * band[name]
        for bound in ("lower", "upper"):
            band[f"{name}_{bound}"].attrs = exact[f"{name}_{bound}"].attrs
    spec = sp.speciation(band, axis="log_snr")
    # H (1 -+ 0.01) crosses 0.5 where H crosses 0.5 / (1 -+ 0.01)
    below, above = (
        sp.speciation(exact.isel(dimension=[1]), level=0.5 / factor, axis="log_snr").half_entropy.item()
        for factor in (0.99, 1.01)
    )
    assert np.allclose([spec.half_entropy_lower.item(), spec.half_entropy_upper.item()], [below, above], atol=1e-6)
    assert np.allclose(spec.peak_rate_upper, 1.01 * spec.peak_rate)
    assert np.allclose(spec.peak_rate_lower, 0.99 * spec.peak_rate)
    # as high as the lower bound of the peak: a parabola of this curvature is 2 % below its top there
    rate = exact.entropy_rate.isel(dimension=1).squeeze()
    high = exact.log_snr[rate >= 0.98 * rate.max() / 0.9999]
    assert np.allclose([spec.peak_lower.item(), spec.peak_upper.item()], [high.min(), high.max()], atol=0.05)


def test_intervals_cover_the_values_of_a_large_run(gaussian_runs, repeated_runs):
    # 80 repetitions: a coverage of 95 % has a standard error of 2.4 %, and peaks of noisy curves are a little less sure
    settings = {"means": [[-3.0], [3.0]], "grid": np.geomspace(0.3, 40, 24), "distances": False}
    large = sp.entropy(gaussian_runs(**settings, samples=20_000, seed=999), estimator="path")
    truth = sp.speciation(large, axis="log_snr")
    rows = {name: [] for name in _NAMES}
    for block in range(4):
        runs = repeated_runs(range(20 * block, 20 * block + 20), **settings, samples=100)
        spec = sp.speciation(sp.entropy(runs, estimator="path", seed=block), axis="log_snr")
        for name, row in rows.items():
            value = truth[name].item()
            row += ((spec[f"{name}_lower"] <= value) & (value <= spec[f"{name}_upper"])).values.ravel().tolist()
    for name, row in rows.items():
        assert np.mean(row) >= (0.85 if name.startswith("peak") else 0.875), (name, np.mean(row))
    assert np.mean([row for name, row in rows.items() if name != "peak_rate"]) <= 0.99


def test_guidance_commits_at_higher_noise(gaussian_runs):
    settings = [sp.Guidance(), sp.Guidance(3.0)]
    runs = gaussian_runs([[-4.0], [4.0]], samples=400, grid=np.geomspace(0.3, 60, 60), guidance=settings)
    spec = sp.speciation(sp.entropy(runs, estimator="path"), axis="sigma")
    assert spec.half_entropy_lower.isel(guidance=1).item() > spec.half_entropy_upper.isel(guidance=0).item()


def test_dask_and_transposed_profiles_give_the_same(pair_runs):
    prof = sp.entropy(pair_runs, replicates=50)
    whole = sp.speciation(prof)
    lazy = sp.speciation(sp.entropy(pair_runs.chunk(sample=50), replicates=50, compute=False))
    for other in (sp.speciation(prof.transpose("time", "partition", ...)), lazy):
        for name in whole.data_vars:
            assert np.allclose(whole[name], other[name], rtol=0, atol=1e-6), name


def test_profile_that_never_falls_is_named(gaussian_runs):
    runs = gaussian_runs([[-0.5], [0.5]], samples=50, grid=np.geomspace(0.3, 40, 12))
    prof = sp.entropy(runs, estimator="path")
    message = r"partition 'a \| b', estimator 'path', guidance 'unguided' misses 0.5 of its start of 1 bit, its lowest"
    with pytest.warns(SpecentWarning, match=message):
        spec = sp.speciation(prof)
    assert np.isnan(spec.half_entropy).all()
    assert np.isfinite(spec.peak_rate).all()
    assert spec.attrs["missing"] == 3 * spec.sizes["axis"]
    higher = sp.speciation(prof, level=0.95, window=(0.98, 0.9))
    assert higher.half_entropy.sel(axis="log_snr").item() < 2
    assert higher.attrs["missing"] == 0


def test_only_the_level_that_is_missed_is_missing(gaussian_runs):
    runs = gaussian_runs([[-0.5], [0.5]], samples=200, grid=np.geomspace(0.3, 40, 12))
    prof = sp.entropy(runs, estimator="path")
    lowest = prof.entropy.min().item()
    between = (lowest + 0.02, lowest - 0.02)
    with pytest.warns(SpecentWarning, match=rf"window_end is missing .* misses {between[1]:g} of its start"):
        spec = sp.speciation(prof, level=lowest + 0.05, window=between)
    assert np.isfinite(spec.half_entropy).all()
    assert np.isfinite(spec.window_start).all()
    assert np.isnan(spec.window_end).all()
    assert np.isnan(spec.window_end_lower).all()


def test_profile_with_a_nan_is_named(exact):
    bad = exact.copy(deep=True)
    bad.entropy[1, 0, 0, 0, 5] = np.nan
    with pytest.raises(
        SpecentError, match=r"estimator 'exact', guidance 'unguided', dimension 256 holds a NaN .*entropy;"
    ):
        sp.speciation(bad)


def test_a_curve_that_is_not_there_is_missing_in_the_summary(pair_runs):
    prof = sp.entropy(pair_runs, replicates=50)
    # two estimators under other settings, of which one has no replicates, as an exact reference beside guided runs
    guided, unguided = prof.isel(guidance=[0, 2], estimator=[0]), prof.isel(guidance=[0], estimator=[1])
    bare = unguided.drop_dims("replicate").drop_vars([key for key in guided.coords if str(key).startswith("guidance_")])
    bare = bare.drop_vars(["sigma_lo", "sigma_hi"])
    joined = xr.concat([guided, bare], "estimator", join="outer", coords="minimal", compat="override")
    assert np.isnan(joined.entropy.isel(estimator=1, guidance=1)).all()
    with pytest.warns(
        SpecentWarning, match=r"1 of 4 profiles hold no number.* estimator 'cross_entropy', guidance"
    ) as w:
        spec = sp.speciation(joined)
    assert len(w) == 1
    assert all(np.isnan(spec[name].isel(estimator=1, guidance=1)).all() for name in spec.data_vars)
    assert spec.attrs["missing"] == sum(int(np.isnan(spec[name]).sum()) for name in ("half_entropy", "peak",
                                        "peak_rate", "window_start", "window_end"))  # fmt: skip
    there, bounded = sp.speciation(guided), sp.speciation(unguided.drop_dims("replicate"))
    for name in spec.data_vars:
        np.testing.assert_array_equal(spec[name].isel(estimator=[0]).transpose(*there[name].dims), there[name])
        alone = spec[name].isel(estimator=[1], guidance=[0]).transpose(*bounded[name].dims)
        np.testing.assert_array_equal(alone, bounded[name])
    with pytest.raises(SpecentError, match="profiles holds no number, only NaN"):
        sp.speciation(joined.isel(estimator=[1], guidance=[1]))


@pytest.mark.parametrize("name", ["entropy_lower", "entropy_rate_upper", "mutual_information", "entropy_replicate"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_anything_read_that_is_not_finite_is_named(pair_runs, name, value):
    prof = sp.entropy(pair_runs, replicates=50)
    bad = (prof if "replicate" in name else prof.drop_dims("replicate")).copy(deep=True)
    bad[name][{"estimator": 1, "guidance": 2, "partition": 0, "time": 3}] = value
    message = rf"partition 'a \| b', estimator 'cross_entropy', guidance 'w=3 .*' holds a NaN or an infinity in {name};"
    with pytest.raises(SpecentError, match=message):
        sp.speciation(bad)


def test_profiles_that_miss_a_level_cost_the_others_nothing(gaussian_runs):
    runs = gaussian_runs([[-3.0], [3.0], [3.2], [8.0]], samples=50, grid=np.geomspace(0.4, 60, 16))
    prof = sp.entropy(runs, ["a|b", "b|c", "a|d", "c|b"], ("path", "cross_entropy"))
    with pytest.warns(
        SpecentWarning, match=r"4 of 8 profiles do not cross .* partition 'b \| c', estimator 'path'"
    ) as found:
        spec = sp.speciation(prof)
    assert len(found) == 1
    others = sp.speciation(prof.drop_sel(partition=["b | c", "c | b"]))
    for name in others.data_vars:
        np.testing.assert_array_equal(spec[name].sel(partition=others.partition), others[name])
    assert np.isnan(spec.half_entropy.sel(partition=["b | c", "c | b"])).all()


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"axis": "noise"}, "axis='noise' is not an axis"),
        ({"level": 1.0}, r"level=1\.0 must be a finite number above 0 and below 1"),
        ({"level": "half"}, "level='half' must be a finite number"),
        ({"level": None}, "level=None"),
        ({"window": 0.5}, r"window=0\.5 is a float; pass two fractions"),
        ({"window": "ab"}, "window='ab' is a str; pass two fractions"),
        ({"window": (0.6, "x")}, r"window\[1\]='x' must be a finite number"),
        ({"window": (1.0, 0.4)}, r"window\[0\]=1\.0"),
        ({"confidence": "x"}, "confidence='x'"),
        ({"window": (0.4, 0.6)}, r"window=\(0\.4, 0\.6\): pass two fractions of the start, the higher first"),
        ({"window": (0.6,)}, r"window=\(0\.6,\)"),
        ({"confidence": 0.0}, r"confidence=0\.0"),
    ],
)
def test_bad_options_are_named(exact, option, message):
    with pytest.raises(SpecentError, match=message):
        sp.speciation(exact, **option)


def test_other_input_is_refused(exact, pair_runs):
    with pytest.raises(ArchiveError, match="profiles: a dataset of kind 'profiles' is needed"):
        sp.speciation(pair_runs)
    with pytest.raises(SpecentError, match="profiles is a DataArray"):
        sp.speciation(exact.entropy)
    with pytest.raises(SpecentError, match="profiles has 3 times"):
        sp.speciation(exact.isel(time=[0, 500, 1000]))


def test_profiles_joined_over_dimensions_are_summarised_together(gaussian_runs):
    made = []
    for size in (4.0, 16.0):
        m = np.sqrt(size)
        runs = gaussian_runs([[-m], [m]], samples=50, grid=np.geomspace(0.2, 60, 30), distances=False)
        made.append(sp.entropy(runs, estimator="path", replicates=50))
    joined = xr.concat([prof.expand_dims(dimension=[4.0 + 12 * k]) for k, prof in enumerate(made)], "dimension")
    kept = {name: made[0].attrs[name] for name in ("schedule", "rate_axis")}
    spec = sp.speciation(schema.finish(joined, "profiles", title="joined", settings={}, **kept))
    apart = sp.speciation(made[1])
    assert np.allclose(spec.half_entropy.isel(dimension=1), apart.half_entropy)
    assert np.allclose(spec.half_entropy_upper.isel(dimension=1), apart.half_entropy_upper)


def test_a_curve_that_is_cut_at_its_noisy_end_is_said_to_be(exact):
    low = exact.isel(dimension=[0]).sel(time=slice(None, 1.0))
    with pytest.warns(SpecentWarning, match="value at the noisiest time is .* already. Keep or sample times of higher"):
        assert np.isnan(sp.speciation(low, axis="sigma").half_entropy.item())
