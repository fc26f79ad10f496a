import itertools
import warnings

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtri
from scipy.stats import gamma

import specent as sp
from specent.analysis.bootstrap import draw_weights, resampled, skewed_interval
from specent.errors import SpecentError


def weights(labels, samples, replicates, seed, part=None):
    return draw_weights(labels, np.arange(samples), part or slice(0, samples), replicates, seed)


@pytest.mark.parametrize("samples", [2, 7, 50, 51, 130])
def test_weights_are_resampled_counts_of_the_right_spread(samples):
    drawn = weights(["a", "b", "c"], samples, 4000, seed=1)
    assert np.allclose(drawn.sum(axis=-1), 1)
    assert np.array_equal(drawn[0], np.full((3, samples), 1 / samples))
    value = np.random.default_rng(0).normal(size=samples)
    means = np.einsum("rkn,n->rk", drawn[1:], value)
    # what differs within groups of 25, of which each has its own mean; one left over belongs to the group before it
    cuts = [*range(0, max(samples - 1, 1), 25), samples]
    parts = [value[a:b] for a, b in itertools.pairwise(cuts)]
    variance = sum(len(part) * part.var(ddof=1) for part in parts) / samples**2
    # 4000 replicates: the standard deviation has a relative error of 1/sqrt(8000) = 1.1 % if they are normal, and at
    # most 1.6 % for the two Poisson numbers of two samples
    assert np.allclose(means.std(axis=0), np.sqrt(variance), rtol=0.065)
    assert np.allclose(np.corrcoef(means.T), np.eye(3), atol=0.08)


def test_the_spread_is_right_on_average_over_samples():
    """Independent values, whatever their groups: the variance of a mean is that of a value over their number."""
    values = np.random.default_rng(0).gamma(0.5, size=(400, 60))
    drawn = weights(["a"], 60, 400, seed=2)[1:, 0]
    found = (values @ drawn.T).var(axis=1).mean()
    # gamma numbers of shape 1/2: variance 1/2, fourth central moment 15/4; 400 sets of 60 and 400 replicates
    error = np.sqrt((15 / 4 / 0.25 - 1) / 60 / 400 + 2 / 400)
    assert found == pytest.approx(0.5 / 60, rel=4 * error)


def test_weights_do_not_depend_on_the_part_they_are_in_nor_on_the_other_classes():
    whole = weights(["a", "b", "c"], 700, 20, 3)
    assert np.array_equal(whole[:, 1:, 110:600], weights(["b", "c"], 700, 20, 3, slice(110, 600)))
    assert np.array_equal(whole[:, :1, 512:], weights(["a"], 700, 20, 3, slice(512, 700)))


def test_a_part_of_whole_groups_is_resampled_as_it_is_in_the_whole():
    """The weights of a part by itself, times its size: so sums over parts are those over the whole."""
    whole, numbers = weights(["a"], 110, 20, 3), np.arange(110)
    for part in (slice(0, 50), slice(50, 75), slice(75, 110)):
        alone = draw_weights(["a"], numbers[part], slice(0, part.stop - part.start), 20, 3)
        np.testing.assert_allclose(alone * (part.stop - part.start), whole[:, :, part] * 110, rtol=1e-12, atol=1e-12)


def test_weights_follow_the_numbers_of_the_samples_and_the_names_of_the_classes():
    numbers = np.array([3, 70, 71, 900])
    drawn = draw_weights(["a", "b"], numbers, slice(0, 4), 3000, 5)
    again = draw_weights(["b"], numbers[::-1], slice(0, 4), 3000, 5)
    np.testing.assert_allclose(drawn[:, 1], again[:, 0, ::-1], atol=1e-12)
    chance = np.corrcoef(drawn[1:].reshape(3000, 8).T)
    # within a class the weights sum to 1, so they go against each other; between classes they have nothing in common
    assert np.abs(chance[:4, 4:]).max() < 4 / np.sqrt(3000)
    assert np.allclose(chance[:4, :4][~np.eye(4, dtype=bool)], -1 / 3, atol=4 / np.sqrt(3000))


def test_replicates_are_means_over_classes_by_share():
    value = xr.DataArray(np.random.default_rng(0).normal(size=(2, 30, 4)), dims=("class_label", "sample", "time"))
    share = xr.DataArray([0.25, 0.75], dims="class_label")
    made = resampled(value, share, 25, seed=0)
    assert made.sizes == {"replicate": 26, "time": 4}
    assert np.allclose(made[0], 0.25 * value[0].mean("sample") + 0.75 * value[1].mean("sample"))
    by_hand = weights(["0", "1"], 30, 25, 0)[7]
    assert np.allclose(made[7], 0.25 * by_hand[0] @ value[0].values + 0.75 * by_hand[1] @ value[1].values)


@settings(deadline=None, max_examples=40)
@given(
    seed=st.integers(0, 10**6),
    scale=st.floats(0.01, 100),
    shift=st.floats(-100, 100),
    confidence=st.floats(0.01, 0.999),
    shape=st.sampled_from([0.3, 3.0]),
)
def test_interval_holds_the_estimate_and_moves_with_it(seed, scale, shift, confidence, shape):
    values = np.random.default_rng(seed).gamma(shape, size=201)
    values[0] = values[1:].mean()
    low, high = skewed_interval(values, confidence)
    assert low <= values[0] <= high
    assert np.allclose(skewed_interval(scale * values + shift, confidence), scale * np.array([low, high]) + shift)
    mirrored = skewed_interval(-values, confidence)
    assert np.allclose(mirrored, [-high, -low])


def test_interval_reaches_further_on_the_side_of_the_tail():
    replicates = np.append(0.0, np.expm1(0.4 * ndtri((np.arange(400) + 0.5) / 400)) * 0.1)
    low, high = skewed_interval(replicates, 0.95)
    assert high > -1.5 * low > 0


@pytest.mark.parametrize("events", [4, 9, 16, 44, 200])
def test_bounds_of_a_mean_of_few_events_are_those_of_the_gamma_distribution(events):
    # a total of `events` exponential sizes has exact bounds for its mean, total over quantile; its replicates are taken
    # from the same distribution, skewness k = 2/sqrt(events), as 4000 quantiles. The map is right to first order in k
    # and leaves k^2: a quarter of it is asked for, and 1 % for the rounding of 4000 quantiles
    replicates = gamma.ppf((np.arange(4000) + 0.5) / 4000, events) / events
    low, high = skewed_interval(np.append(1.0, replicates), 0.95)
    exact_low, exact_high = events / gamma.ppf([0.975, 0.025], events)
    assert np.isclose(1 - low, 1 - exact_low, rtol=1 / events + 0.01)
    assert np.isclose(high - 1, exact_high - 1, rtol=1 / events + 0.01)


def test_bounds_grow_evenly_with_the_skewness():
    ends = []
    for shape in np.geomspace(2, 2000, 100):
        values = gamma.ppf((np.arange(1000) + 0.5) / 1000, shape)
        values = (values - values.mean()) / values.std()
        ends.append(skewed_interval(np.append(0.0, values), 0.95))
    low, high = np.array(ends).T
    # skewness falls from 1.4 to 0.06, by 3.4 % a step; a bound that grew as a power of it below the third falls by 10 %
    # of its distance from the normal one at most
    assert (np.diff(high) < 0).all()
    assert (np.diff(low) < 0).all()
    assert (-np.diff(high) < 0.1 * (high[:-1] - 1.96) + 1e-3).all()
    assert (-np.diff(low) < 0.1 * (low[:-1] + 1.96) + 1e-3).all()


@pytest.mark.parametrize("count", [50, 200])
def test_noise_in_the_skewness_of_few_replicates_hardly_moves_the_bounds(count):
    # normal replicates of spread 1: the bounds should be 1.96. A skewness taken at its word would move them by
    # (2 z^2 + 1)/6 = 1.45 times its standard error; of a number u times its error u^3/(1 + u^2) is used, whose root
    # mean square over normal u is 0.68. 2000 repetitions leave 3 %, and the finite-sample error is 3-6 % smaller still
    drawn = np.random.default_rng(0).standard_normal((2000, count))
    drawn = (drawn - drawn.mean(axis=1, keepdims=True)) / drawn.std(axis=1, keepdims=True)
    ends = skewed_interval(np.concatenate([np.zeros((2000, 1)), drawn], axis=1), 0.95)
    moved = np.sqrt(np.mean((np.abs(ends) - 1.96) ** 2)) / (1.447 * np.sqrt(6 / count))
    assert moved < 0.75


def _mixed_runs(request, kind):
    if kind == "shipped":
        return sp.archive.example()
    angle = 2 * np.pi * np.arange(10) / 10
    means = 5 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    runs = request.getfixturevalue("gaussian_runs")
    return runs(means, samples=60, grid=np.geomspace(0.05, 80, 40), guidance=[sp.Guidance(), sp.Guidance(2.0)])


@pytest.mark.parametrize("kind", ["shipped", "ten classes"])
def test_bands_do_not_spike_between_neighbouring_times(request, kind):
    runs = _mixed_runs(request, kind)
    asked = None if kind == "shipped" else ["full", "a|rest", "a|b"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", sp.SpecentWarning)
        made = sp.entropy(runs, asked)
    for name in ("entropy", "entropy_rate"):
        spread = made[f"{name}_replicate"].astype(float).std("replicate")
        # how many standard deviations the bounds are away; where rounding is all there is, there is no band
        for side in (made[f"{name}_upper"] - made[name], made[name] - made[f"{name}_lower"]):
            times = (side / spread).where(spread > 1e-4 * spread.max("time"))
            # without skewness a bound is 1.96 away; the skewness of a bootstrap mean is 1 at most, if one trajectory
            # carries all, which makes it 4.2 on one side and 0.93 on the other. So from one time to the next a bound
            # moves by a factor of 2.1 beyond what the spread does; replicates are a sample, so 2.5
            assert times.max() < 6
            step = np.log(times.where(times > 0.3)).diff("time")
            assert np.abs(step).max() < np.log(2.5), (name, kind)


def test_interval_of_a_constant_has_no_width():
    assert np.allclose(skewed_interval(np.full(21, 0.3), 0.95), 0.3, atol=1e-15)


def test_intervals_cover_the_value_of_a_run_100_times_larger(gaussian_runs, repeated_runs):
    # 200 repetitions: the coverage of one time has a standard error of 1.5 %, so 90-99 % is 3 of them around 95 %
    settings = {"means": [[-2.0], [2.0]], "grid": np.geomspace(0.3, 40, 24), "distances": False}
    large = gaussian_runs(**settings, samples=10_000, seed=12345)
    truth = sp.entropy(large, estimator="path", replicates=50).isel(guidance=0)
    inside = {"entropy": [], "entropy_rate": []}
    for block in range(8):
        small = repeated_runs(range(25 * block, 25 * block + 25), **settings, samples=100)
        made = sp.entropy(small, estimator="path", keep_replicates=False, seed=block)
        for name, rows in inside.items():
            held = (made[f"{name}_lower"] <= truth[name]) & (truth[name] <= made[f"{name}_upper"])
            rows.append(held.isel(estimator=0, partition=0).transpose("guidance", "time").values)
    # from the nearly decided (H = 0.06 bit, skewed one way) to the nearly undecided (0.998 bit, skewed the other way)
    places = [0, 3, 6, 9, 12, 15, 18, 21]
    low, high = truth.entropy.squeeze()[[places[0], places[-1]]].values
    assert low < 0.07
    assert high > 0.99
    for name, rows in inside.items():
        coverage = np.concatenate(rows).mean(axis=0)[places]
        assert (coverage >= 0.90).all(), (name, coverage)
        assert (coverage <= 0.99).all(), (name, coverage)
        # all eight together have a standard error of about 1 %, as neighbours are correlated
        assert 0.92 <= coverage.mean() <= 0.98, (name, coverage)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"confidence": 1.0}, r"confidence=1\.0 must be a finite number above 0 and below 1"),
        ({"confidence": "x"}, "confidence='x' must be a finite number"),
        ({"confidence": float("nan")}, "confidence=nan"),
        ({"replicates": 49}, "replicates=49 must be a whole number from 50 to 100000"),
        ({"replicates": 60.0}, r"replicates=60\.0"),
        ({"seed": -1}, "seed=-1"),
        ({"seed": True}, "seed=True"),
        ({"replicates": 10**12}, "replicates=1000000000000 must be a whole number of at most 100000"),
        ({"keep_replicates": 1}, "keep_replicates=1 must be True or False"),
        ({"compute": "no"}, "compute='no' must be True or False"),
    ],
)
def test_options_out_of_range_are_named(pair_runs, option, message):
    with pytest.raises(SpecentError, match=message):
        sp.entropy(pair_runs, **option)
