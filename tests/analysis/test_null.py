import warnings

import numpy as np
import pytest
import xarray as xr
from scipy.special import logsumexp

import specent as sp
from specent.errors import CalibrationWarning, SpecentError


@pytest.fixture(scope="module")
def mixed_runs(four_runs):
    """Trajectories whose null condition is the mixture of all classes along the path, priors unequal."""
    prior = np.array([0.4, 0.3, 0.2, 0.1])
    likelihood = four_runs.log_likelihood.copy(deep=True)
    likelihood[..., 4] = logsumexp(likelihood.values[..., :4] + np.log(prior), axis=-1)
    coords = {"label_prior": ("class_label", prior), "candidate_prior": ("candidate", [*prior, 0.0])}
    made = four_runs.assign(log_likelihood=likelihood).assign_coords(coords)
    for name in coords:
        made[name].attrs = four_runs[name].attrs
    return made.drop_vars(["denoiser_distance", "other_candidate"])


_TWO = [
    sp.Partition.one_vs_rest("a", list("abcd")),
    sp.Partition.groups({"ab": ["a", "b"], "cd": ["c", "d"]}),
    sp.Partition.groups({"abd": ["a", "b", "d"], "c": ["c"]}, prior=[0.9, 0.1]),
]
_MANY = [sp.Partition.full(list("abcd")), sp.Partition.groups({"a": ["a"], "bd": ["b", "d"], "c": ["c"]})]


def test_complement_of_a_side_is_exact_if_the_null_is_the_mixture(mixed_runs):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        made = sp.entropy(mixed_runs, _TWO, ("path", "null"), rate="differences", replicates=50)
    path, null = made.sel(estimator="path"), made.sel(estimator="null")
    # a difference 1 - pi r of numbers up to 1 loses digits where the complement is unlikely, not the entropy
    assert np.allclose(path.entropy, null.entropy, rtol=0, atol=1e-9)
    assert np.allclose(path.entropy_upper, null.entropy_upper, rtol=0, atol=1e-8)
    assert made.clipped_ratios.sel(estimator="path").sum() == 0


def test_many_sides_give_the_cross_entropy_if_the_null_is_the_mixture(mixed_runs):
    made = sp.entropy(mixed_runs, _MANY, ("cross_entropy", "null"), rate="differences", replicates=50)
    assert np.allclose(made.entropy[0], made.entropy[1], rtol=0, atol=1e-10)
    assert made.clipped_ratios.sum() == 0


def test_null_that_is_not_the_mixture_is_clipped_counted_and_warned_about(four_runs):
    # the null chain follows the mixture's denoiser at the state: at 20 steps its likelihood is not the mixture's
    with pytest.warns(CalibrationWarning, match=r"null minus path .* likelihood ratios exceeded their bound") as caught:
        made = sp.entropy(four_runs, ["a|rest", "full"], ("path", "null"), replicates=50)
    # here the null condition is the mixture, and the steps are to blame
    assert "the steps are too coarse" in str(caught[0].message)
    assert f"; {int(made.clipped_ratios.sum())} likelihood ratios" in str(caught[0].message)
    likelihood = four_runs.log_likelihood
    ratio = np.exp(likelihood - likelihood.sel(candidate="null"))
    counted = (ratio.sel(candidate="a") / 4 >= 1).sum(("class_label", "sample"))
    found = made.clipped_ratios.sel(estimator="null")
    assert np.array_equal(found.isel(partition=0), counted)
    assert counted.sum() > 0
    own = [ratio.isel(class_label=k).sel(candidate=name) for k, name in enumerate("abcd")]
    own = xr.concat(own, "class_label", coords="minimal", compat="override")
    assert np.array_equal(found.isel(partition=1), (own / 4 > 1 + 1e-12).sum(("class_label", "sample")))
    surprise = -np.log2(own / 4).mean(("class_label", "sample"))
    assert np.allclose(made.entropy.sel(estimator="null", partition="full"), surprise)
    assert (found.isel(time=-1) == 0).all()


def test_entropy_against_the_null_runs_below_zero_with_many_sides(gaussian_runs):
    runs = gaussian_runs([[-6.0], [0.0], [6.0]], samples=100, grid=np.geomspace(0.3, 60, 20), distances=False)
    with pytest.warns(CalibrationWarning):
        made = sp.entropy(runs, "full", "null", replicates=50)
    assert made.entropy.min() < -0.1
    assert (made.entropy_lower <= made.entropy).all()


def test_settings_say_which_evaluations_are_compared(mixed_runs):
    made = sp.entropy(mixed_runs, [*_TWO, *_MANY], "null", replicates=50)
    for text in ('"abd | c": "c against null"', '"a | rest": "a against null"', '"full": "driving side against null"'):
        assert text in made.attrs["settings"]


@pytest.mark.parametrize(
    ("partition", "message"),
    [
        (sp.Partition.pair("a", "b"), r"'a \| b' does not cover all labels"),
        (sp.Partition.full(list("abcd"), prior=[0.7, 0.1, 0.1, 0.1]), "4 sides and a prior of its own"),
    ],
)
def test_partitions_the_null_cannot_answer_are_named(four_runs, partition, message):
    with pytest.raises(SpecentError, match=message):
        sp.entropy(four_runs, partition, "null")


def test_null_must_be_among_the_candidates(four_runs):
    some = four_runs.isel(candidate=slice(0, 4), other_candidate=slice(0, 4))
    with pytest.raises(SpecentError, match="the null condition is not among the candidates"):
        sp.entropy(some, "full", "null")


def test_labels_that_are_only_some_of_the_model_are_not_its_mixture(four_runs):
    some = four_runs.isel(candidate=[0, 1, 2, 4], other_candidate=[0, 1, 2, 4], class_label=[0, 1, 2])
    with pytest.raises(SpecentError, match="does not cover all labels of the model"):
        sp.entropy(some, "full", "null")
