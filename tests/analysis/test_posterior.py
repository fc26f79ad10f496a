import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.special import entr, expit

import specent as sp
from specent import evidence
from specent.analysis import blocks
from specent.analysis.calibration import STATISTICS
from specent.analysis.posterior import PathEvidence, side_log_posterior, surprisal_of_two
from specent.analysis.scored import ScoredPartition, scored_partitions
from specent.errors import ArchiveError, PartitionError, SpecentError

_LIKELIHOODS = hnp.arrays(float, (5, 4), elements=st.floats(-300, 300))
_WEIGHTS = np.array([[0.2, 0.1, 0, 0], [0, 0, 0.3, 0], [0, 0, 0, 0.4]])
_PARTITION = sp.Partition.groups({"ab": ["a", "b"], "c": ["c"], "d": ["d"]})


def numbers(log_likelihood: np.ndarray, side: np.ndarray) -> np.ndarray:
    """Entropy, surprisal of the driving side and its variance, shape (trajectories, 3)."""
    scored = ScoredPartition(_PARTITION, _WEIGHTS, np.array([0, 0, 1, 2]), _WEIGHTS.sum(axis=0))
    path = PathEvidence(log_likelihood, side, scored, _WEIGHTS.sum(axis=0), None)
    return np.stack([statistic.of(path) for statistic in STATISTICS], axis=-1)


@settings(deadline=None, max_examples=30)
@given(_LIKELIHOODS)
def test_posterior_is_bayes_rule(log_likelihood):
    shifted = np.exp(log_likelihood - log_likelihood.max(axis=-1, keepdims=True))
    joint = shifted @ _WEIGHTS.T
    expected = joint / joint.sum(axis=-1, keepdims=True)
    assert np.allclose(np.exp(side_log_posterior(log_likelihood, _WEIGHTS)), expected, rtol=1e-12, atol=1e-300)


@settings(deadline=None, max_examples=30)
@given(_LIKELIHOODS, st.floats(-1e3, 1e3))
def test_entropies_ignore_a_shared_constant_and_stay_in_range(log_likelihood, constant):
    side = np.array([0, 1, 2, 0, -1])
    here, moved = numbers(log_likelihood, side), numbers(log_likelihood + constant, side)
    # a shift by 1e3 costs 1e-13 of the log-likelihood, and the surprisal is up to 600 / ln 2
    assert np.allclose(here, moved, rtol=1e-10, atol=1e-9)
    assert (here[:, 0] >= 0).all()
    assert (here[:, 0] <= np.log2(3) + 1e-12).all()
    assert here[4, 1] == 0  # no side holds that driver


@settings(deadline=None, max_examples=30)
@given(_LIKELIHOODS)
def test_entropy_and_variance_are_moments_of_the_surprisal(log_likelihood):
    surprisal = np.stack([numbers(log_likelihood, np.full(5, z))[:, 1] for z in range(3)], axis=-1)
    chance = np.exp2(-surprisal)
    here = numbers(log_likelihood, np.zeros(5, int))
    mean = np.sum(chance * surprisal, axis=-1)
    assert np.allclose(here[:, 0], mean, rtol=1e-10, atol=1e-12)
    assert np.allclose(here[:, 2], np.sum(chance * (surprisal - mean[:, None]) ** 2, axis=-1), rtol=1e-8, atol=1e-9)


@settings(deadline=None, max_examples=50)
@given(hnp.arrays(float, 7, elements=st.floats(-9e3, 9e3)))
def test_surprisals_of_two_sides_are_those_of_the_logistic_function(odds):
    driver, mean, variance = surprisal_of_two(odds)
    assert np.allclose(driver * np.log(2), np.logaddexp(0, -odds), rtol=1e-14, atol=1e-15)
    assert np.allclose(mean * np.log(2), entr(expit(odds)) + entr(expit(-odds)), rtol=1e-13, atol=1e-15)
    assert np.allclose(variance * np.log(2) ** 2, expit(odds) * expit(-odds) * odds**2, rtol=1e-13, atol=1e-15)


def test_a_side_that_is_all_but_impossible_has_a_surprisal_of_ten_thousand_nats():
    for odds in (-1e4, -3e4, -1e300):
        driver, mean, variance = surprisal_of_two(np.array([odds]))
        assert driver.tolist() == [1e4 * evidence.BITS_PER_NAT]
        assert mean.tolist() == variance.tolist() == [0.0]
    many = numbers(np.array([[-3e4, -2e4, -4e4, 0.0]]), np.array([0]))
    assert many.tolist() == [[0.0, 1e4 * evidence.BITS_PER_NAT, 0.0]]


def test_the_stored_partition_is_taken_by_default(pair_runs):
    (scored,) = scored_partitions(pair_runs, None)
    assert scored.partition == sp.Partition.pair("a", "b")
    assert scored.share.tolist() == [0.5, 0.5]
    assert scored.side.tolist() == [0, 1]
    assert scored.prior_entropy == pytest.approx(1.0, abs=1e-12)


def test_a_partition_by_text_weighs_the_drivers_of_a_side(four_runs):
    group, rest, pair = scored_partitions(four_runs, ["a,b|c", "a|rest", sp.Partition.pair("c", "a")])
    assert np.allclose(group.share, [1 / 3, 1 / 3, 1 / 3, 0])
    assert group.side.tolist() == [0, 0, 1, -1]
    assert np.allclose(rest.share, [1 / 2, 1 / 6, 1 / 6, 1 / 6])
    assert pair.side.tolist() == [1, -1, 0, -1]


@pytest.mark.parametrize(
    ("partitions", "message"),
    [
        (None, "none were named"),
        ([], "is empty"),
        ("a|zebra", "unknown label 'zebra'"),
        (sp.Partition.pair("a", "zebra"), "unknown label 'zebra'"),
        ("a|null", "label 'null' drove no trajectory"),
        ([3], "holds a int"),
        (5, "partitions=5 is a int; use a specent.Partition, text like"),
        ({"a": "b"}, "partitions={'a': 'b'} is a dict"),
        (["a|b", sp.Partition.pair("a", "b")], "stands for two"),
    ],
)
def test_partitions_that_cannot_be_scored_are_named(four_runs, partitions, message):
    with pytest.raises(PartitionError, match=message):
        sp.entropy(four_runs, partitions)


def test_label_that_drove_no_trajectory_is_named(four_runs):
    some = four_runs.isel(class_label=[0, 1, 2])
    with pytest.raises(PartitionError, match="label 'd' drove no trajectory"):
        sp.entropy(some, "a|rest")
    assert sp.entropy(some, "a|b", "path").sizes["partition"] == 1


def test_other_kinds_and_too_few_samples_or_times_are_refused(pair_runs):
    with pytest.raises(SpecentError, match=r"runs is a int; a trajectories dataset is needed"):
        sp.entropy(3)
    with pytest.raises(ArchiveError, match="'trajectories' is needed, this one is of kind 'profiles'"):
        sp.entropy(sp.entropy(pair_runs, estimator="path", replicates=50))
    with pytest.raises(SpecentError, match=r"runs has 1 sample\(s\)"):
        sp.entropy(pair_runs.isel(sample=[0]))
    with pytest.raises(SpecentError, match=r"runs has 1 time\(s\)"):
        sp.entropy(pair_runs.isel(time=[0]))


@pytest.mark.parametrize("name", ["log_likelihood", "production", "denoiser_distance"])
def test_a_number_that_is_not_finite_is_named_with_its_coordinates(pair_runs, name):
    bad = pair_runs.copy(deep=True)
    bad[name][1, 0, 7, 3] = np.inf if name == "production" else np.nan
    partitions = ["a|b"] if name != "denoiser_distance" else [sp.Partition.groups({"x": ["b"], "y": ["a"]})]
    with pytest.raises(SpecentError, match=rf"{name} is not finite at guidance=w=2, class_label=a, sample=7, time=0\."):
        sp.entropy(bad, partitions)


def test_numbers_do_not_depend_on_blocks(four_runs, monkeypatch):
    partitions = ["full", "a|rest", "a,b|c,d"]
    whole = sp.entropy(four_runs, partitions)
    monkeypatch.setattr(blocks, "_NUMBERS", 5_000)
    pieces = sp.entropy(four_runs, partitions)
    for name in whole.data_vars:
        assert np.allclose(whole[name], pieces[name], rtol=0, atol=1e-6 if "replicate" in str(name) else 1e-12), name
