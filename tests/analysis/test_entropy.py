import warnings

import numpy as np
import pytest
import xarray as xr

import specent as sp
from specent import schema
from specent.errors import SpecentError

_FOUR = ["full", "a|rest", "a,b|c,d", "c|d", "a|b|c"]


@pytest.fixture(scope="module")
def fine_runs(gaussian_runs):
    """Two components at +-3 on 800 steps, 500 trajectories a class."""
    grid = np.geomspace(0.3, 80, 800)
    return gaussian_runs([[-3.0], [3.0]], samples=500, grid=grid, distances=False)


def test_all_estimators_agree_with_quadrature(fine_runs, pair_quadrature):
    places = np.arange(0, 800, 40)
    made = sp.entropy(fine_runs).isel(guidance=0, partition=0, time=places)
    exact = pair_quadrature(3.0, made.time.values)
    error = made.entropy_replicate.std("replicate")
    # 20 times x 3 estimators within 4 standard errors, and 0.01 bit for the finite step (0.004 bit at 1000 EDM steps)
    assert (np.abs(made.entropy - exact) <= 4 * error + 0.01).all()
    assert error.max() < 0.03


def test_production_is_the_exact_rate(fine_runs, pair_quadrature):
    # from H = 0.04 bit on: below, fewer than 40 bits in the sum over 1000 trajectories are carried by a few of them
    places = np.arange(160, 800, 40)
    made = sp.entropy(fine_runs, estimator=("path", "cross_entropy")).isel(guidance=0, partition=0, time=places)
    step = 1e-4
    above, below = (pair_quadrature(3.0, made.time.values * np.exp(sign * step)) for sign in (1, -1))
    exact = (above - below) / (4 * step)
    error = made.entropy_rate_replicate.std("replicate")
    # 32 numbers within 4 standard errors, and 1 % for steps of 0.7 % in sigma
    assert (np.abs(made.entropy_rate - exact) <= 4 * error + 0.01 * exact + 1e-4).all()


def test_information_is_the_prior_entropy_less_the_conditional(four_runs):
    made = sp.entropy(four_runs, _FOUR, ("path", "cross_entropy"), replicates=50)
    start = xr.DataArray([2, 1, 1, 1, np.log2(3)], dims="partition")
    assert np.allclose(made.entropy + made.mutual_information - start, 0, atol=1e-12)
    assert np.allclose(made.entropy_lower + made.mutual_information_upper - start, 0, atol=1e-12)
    # nothing is known at the noisiest time
    assert np.allclose(made.entropy.isel(time=-1) - start, 0, atol=1e-12)
    assert np.allclose(made.entropy_lower.isel(time=-1) - start, 0, atol=1e-12)


def test_bounds_hold_the_estimate_and_stay_in_range(four_runs):
    made = sp.entropy(four_runs, _FOUR)
    for name in ("entropy", "entropy_rate", "mutual_information"):
        assert (made[f"{name}_lower"] <= made[name]).all()
        assert (made[name] <= made[f"{name}_upper"]).all()
    path = made.sel(estimator="path")
    assert (path.entropy_lower >= 0).all()
    most = xr.DataArray([2, 1, 1, 1, np.log2(3)], dims="partition")
    assert (path.entropy_upper <= most + 1e-12).all()


def test_several_sides_agree_with_plain_averages(four_runs):
    made = sp.entropy(four_runs, ["full", "a,b|c,d", "a|b|c"], ("path", "cross_entropy"), replicates=50)
    likelihood = np.exp(four_runs.log_likelihood.values[..., :4])
    full = likelihood / likelihood.sum(axis=-1, keepdims=True)
    entropy = -np.sum(full * np.log2(np.maximum(full, 1e-300)), axis=-1).mean(axis=(1, 2))
    assert np.allclose(made.entropy[0, :, 0], entropy)
    side = full[..., 0] + full[..., 1]
    coin = -side * np.log2(side) - (1 - side) * np.log2(np.maximum(1 - side, 1e-300))
    assert np.allclose(made.entropy[0, :, 1], coin.mean(axis=(1, 2)))
    surprise = np.concatenate([-np.log2(side[:, :2]), -np.log2((full[..., 2] + full[..., 3])[:, 2:])], axis=1)
    assert np.allclose(made.entropy[1, :, 1], surprise.mean(axis=(1, 2)))
    # a partition of three labels: trajectories of the fourth count for nothing
    three = likelihood[:, :3, ..., :3] / likelihood[:, :3, ..., :3].sum(axis=-1, keepdims=True)
    entropy = -np.sum(three * np.log2(np.maximum(three, 1e-300)), axis=-1).mean(axis=(1, 2))
    assert np.allclose(made.entropy[0, :, 2], entropy)


def test_unequal_side_priors_weigh_posterior_and_trajectories(four_runs):
    asked = sp.Partition.pair("a", "c", prior=[0.9, 0.1])
    made = sp.entropy(four_runs, asked, "path", rate="differences", replicates=50)
    likelihood = np.exp(four_runs.log_likelihood.values)
    chance = 0.9 * likelihood[..., 0] / (0.9 * likelihood[..., 0] + 0.1 * likelihood[..., 2])
    coin = -chance * np.log2(chance) - (1 - chance) * np.log2(np.maximum(1 - chance, 1e-300))
    assert np.allclose(made.entropy[0, :, 0], 0.9 * coin[:, 0].mean(axis=1) + 0.1 * coin[:, 2].mean(axis=1))


def test_merging_sides_leaves_less_to_know(four_runs):
    made = sp.entropy(four_runs, ["full", "a,b|c,d"], ("path", "cross_entropy"), replicates=50)
    assert (made.entropy.isel(partition=1) <= made.entropy.isel(partition=0) + 1e-12).all()


@pytest.mark.parametrize("rate", ["production", "differences"])
def test_dask_arrays_give_the_same_numbers(four_runs, rate):
    options = {"partitions": _FOUR, "estimator": ("path", "cross_entropy", "denoiser_gap"), "rate": rate}
    whole = sp.entropy(four_runs, **options, replicates=50)
    made = sp.entropy(
        four_runs.chunk(sample=33, time=7, class_label=3, candidate=2, guidance=1), **options, replicates=50
    )
    _assert_same(whole, made, "chunked")


def test_order_of_dimensions_in_memory_does_not_matter(four_runs):
    turned = four_runs.copy()
    for name in four_runs.data_vars:
        dims = four_runs[name].dims
        data = np.asfortranarray(four_runs[name].values)
        turned[name] = (dims, data, four_runs[name].attrs)
    _assert_same(sp.entropy(four_runs, _FOUR, replicates=50), sp.entropy(turned, _FOUR, replicates=50), "Fortran order")


def test_dataset_with_transposed_variables_gives_the_same_numbers(four_runs):
    turned = four_runs.transpose("time", "candidate", "sample", ...)
    _assert_same(sp.entropy(four_runs, _FOUR, replicates=50), sp.entropy(turned, _FOUR, replicates=50), "transposed")


def test_order_of_candidates_does_not_matter(four_runs):
    order = [4, 2, 0, 3, 1]
    turned = four_runs.isel(candidate=order, other_candidate=order)
    _assert_same(sp.entropy(four_runs, _FOUR, replicates=50), sp.entropy(turned, _FOUR, replicates=50), "candidates")


@pytest.mark.parametrize("chunks", [None, {"sample": 30, "time": 5}])
def test_pairs_of_candidates_follow_the_order_of_the_candidates(four_runs, chunks):
    turned = four_runs.isel(candidate=[4, 2, 0, 3, 1])
    turned = turned if chunks is None else turned.chunk(chunks)
    _assert_same(sp.entropy(four_runs, _FOUR, replicates=50), sp.entropy(turned, _FOUR, replicates=50), "candidates")


def test_a_selection_of_candidates_answers_what_is_asked_of_them(four_runs):
    asked = ["a|b", "b|a"]
    whole = sp.entropy(four_runs.sel(guidance=["unguided"]), asked, replicates=50)
    some = four_runs.sel(candidate=["b", "a"], guidance=["unguided"])
    _assert_same(whole, sp.entropy(some, asked, replicates=50), "two candidates")
    _assert_same(whole, sp.entropy(some.chunk(sample=30), asked, replicates=50), "two candidates, lazily")
    gap = sp.calibration_gap(some, "a|b").gap
    assert np.allclose(gap, sp.calibration_gap(four_runs, "a|b").gap.sel(guidance=["unguided"]), atol=1e-12)
    with pytest.raises(SpecentError, match="unknown label 'c'"):
        sp.entropy(some, "a|c")


def test_a_selection_that_leaves_nothing_to_ask_is_named(four_runs, pair_runs):
    with pytest.raises(SpecentError, match=r"partitions=None, .* ask for 'b', which is no candidate of this selection"):
        sp.entropy(pair_runs.sel(candidate=["a"]))
    with pytest.raises(SpecentError, match=r"of the drivers \['c', 'd'\] none is among the candidates \['a', 'b'\]"):
        sp.entropy(four_runs.sel(candidate=["a", "b"], class_label=["c", "d"]), "a|b")
    some = four_runs.sel(other_candidate=["a", "b"])
    with pytest.raises(
        SpecentError, match=r"candidate 'c' is not among other_candidate=\['a', 'b'\]; select both alike"
    ):
        sp.entropy(some, "a|b")


@pytest.mark.parametrize("compute", [True, False])
def test_the_gap_of_the_denoisers_needs_the_noisy_end(pair_runs, compute):
    cut = pair_runs.isel(time=slice(0, 16))
    cut = cut if compute else cut.chunk(sample=50)
    message = r"log_likelihood is .* at the last time, not 0: the noisy end was cut off, and estimator 'denoiser_gap'"
    with pytest.raises(SpecentError, match=message):
        sp.entropy(cut, compute=compute)
    # the evidence of what was cut is in that of what is left: the other estimators know it all
    names = ("path", "cross_entropy")
    made, whole = (sp.entropy(runs, estimator=names, replicates=50, compute=compute) for runs in (cut, pair_runs))
    # but for what finite steps have done, which takes the denoiser gap to estimate
    assert "discretisation_bias" not in made
    _assert_same(whole.drop_vars("discretisation_bias").isel(time=slice(0, 16)), made, "cut")
    # the mend
    assert sp.entropy(pair_runs, replicates=50).isel(time=slice(0, 16)).sizes["time"] == 16
    assert np.isfinite(sp.entropy(pair_runs.isel(time=slice(8, None)), replicates=50).entropy).all()


def test_coordinates_that_contradict_each_other_are_named(pair_runs):
    def with_coordinate(name, values):
        return pair_runs.assign_coords({name: pair_runs[name].copy(data=np.asarray(values))})

    log_snr = pair_runs.log_snr.values
    for bad, message in (
        (with_coordinate("log_snr", log_snr * np.nan), "runs: log_snr=nan at time="),
        (with_coordinate("log_snr", log_snr * 2), "runs: log_snr is not ln"),
        (with_coordinate("log_snr", log_snr[::-1]), "runs: log_snr is not ln"),
        (
            with_coordinate("candidate_prior", [0.4, 0.5, 0.0]),
            "candidate_prior=0.4 at candidate=a, but label_prior is 0.5",
        ),
    ):
        for function in (sp.entropy, sp.calibration_gap, lambda runs: sp.on_schedule(runs, sp.schedules.VP())):
            with pytest.raises(SpecentError, match=message.replace("runs: ", "")):
                function(bad)


def test_lazy_result_computes_to_the_same(four_runs):
    chunked = four_runs.chunk(sample=40, time=6)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        lazy = sp.entropy(chunked, _FOUR, replicates=50, compute=False)
        null = sp.entropy(chunked, "a|rest", "null", replicates=50, compute=False)
    assert lazy.entropy.chunks is not None
    assert lazy.entropy_rate_lower.chunks is not None
    _assert_same(sp.entropy(four_runs, _FOUR, replicates=50), lazy.compute(), "lazy")
    with pytest.warns(sp.SpecentWarning, match="null"):
        _assert_same(sp.entropy(four_runs, "a|rest", "null", replicates=50), null.compute(), "lazy null")


def test_order_of_drivers_changes_the_resampling_only(four_runs):
    turned = sp.entropy(four_runs.isel(class_label=[2, 0, 3, 1]), _FOUR, replicates=50, keep_replicates=False)
    made = sp.entropy(four_runs, _FOUR, replicates=50, keep_replicates=False)
    assert np.allclose(made.entropy, turned.entropy, rtol=0, atol=1e-12)
    assert np.allclose(made.entropy_rate, turned.entropy_rate, rtol=0, atol=1e-12)


def test_replicates_are_kept_on_request_and_paired(four_runs):
    made = sp.entropy(four_runs, ["full", "a|b"], replicates=50)
    assert made.entropy_replicate.dtype == np.float32
    assert made.sizes["replicate"] == 50
    bare = sp.entropy(four_runs, ["full", "a|b"], replicates=50, keep_replicates=False)
    assert "entropy_replicate" not in bare
    assert np.array_equal(bare.entropy_lower, made.entropy_lower)
    again = sp.entropy(four_runs, "a|b", "path", replicates=50)
    assert np.array_equal(again.entropy_replicate[:, 0, :, 0], made.entropy_replicate[:, 0, :, 1])
    other = sp.entropy(four_runs, "a|b", "path", replicates=50, seed=1)
    assert not np.array_equal(again.entropy_replicate, other.entropy_replicate)


def test_result_is_a_profiles_dataset_with_its_settings(pair_runs):
    made = sp.entropy(pair_runs, estimator="path", rate_axis="sigma")
    schema.validate(made, "profiles")
    assert made.attrs["schedule"] == pair_runs.attrs["schedule"]
    assert '"rate_axis": "sigma"' in made.attrs["settings"]
    assert made.guidance.values.tolist() == ["unguided", "w=2", "w=3 for 0.5<sigma<=8"]
    assert made.entropy.attrs["units"] == "bit"


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (
            {"estimator": "exact"},
            "'exact' is not known; the estimators are path, cross_entropy, denoiser_gap, null, rao_blackwell",
        ),
        ({"estimator": ()}, "name one at least"),
        ({"estimator": 5}, "estimator=5 must be a list of names"),
        ({"estimator": [["path"]]}, r"estimator\[0\]=\['path'\] must be a name"),
        ({"rate": ["production"]}, "rate=.* is not known"),
        ({"estimator": ("path", "path")}, "none twice"),
        ({"rate": "exact"}, "rate='exact' is not known"),
        ({"rate_axis": "gamma"}, "rate_axis='gamma' is not an axis"),
    ],
)
def test_bad_options_are_named(pair_runs, option, message):
    with pytest.raises(SpecentError, match=message):
        sp.entropy(pair_runs, **option)


def test_torch_trajectories_agree_with_the_independent_chain(gaussian_runs):
    pytest.importorskip("torch")
    mix = sp.exact.GaussianMixture([[-3.0, 0.0], [3.0, 0.0], [0.0, 4.0], [0.0, 5.0]], labels=list("abcd"))
    grid = np.geomspace(0.2, 60, 40)
    settings = [sp.Guidance(), sp.Guidance(2.0, (0.5, 8.0))]
    asked = [sp.Partition.full(list("abcd")), sp.Partition.parse("a,b|c,d", list("abcd")), sp.Partition.pair("a", "b")]
    runs = sp.sample(
        sp.models.mixture(mix), schedule=sp.schedules.VE(), time=grid, samples=300, guidance=settings,
        partitions=asked, progress=False,
    )  # fmt: skip
    ours = gaussian_runs(
        [[-3.0, 0.0], [3.0, 0.0], [0.0, 4.0], [0.0, 5.0]], samples=300, grid=grid, guidance=settings, named=False
    )
    first, second = sp.entropy(runs), sp.entropy(ours, asked)
    for name in ("entropy", "entropy_rate"):
        error = np.hypot(first[f"{name}_replicate"].std("replicate"), second[f"{name}_replicate"].std("replicate"))
        # 40 times x 3 partitions x 2 settings x 3 estimators: 5 standard errors, and the floor of unseen rare events
        assert (np.abs(first[name] - second[name]) <= 5 * error + 0.01).all(), name
    # the production stored by the sampler is that of the distances it stored
    renamed = [sp.Partition(part.name + "'", part.sides[::-1], part.prior) for part in asked]
    after = sp.entropy(runs, renamed[1:])
    assert np.allclose(after.entropy_rate, first.entropy_rate.isel(partition=[1, 2]), rtol=1e-6, atol=1e-9)


def _assert_same(expected, actual, title):
    for name in expected.data_vars:
        # replicates are kept in single precision
        tolerance = 1e-6 if "replicate" in str(name) else 1e-12
        assert np.allclose(expected[name], actual[name], rtol=0, atol=tolerance), (title, name)
