import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import specent as sp
from specent.analysis import posterior
from specent.analysis.posterior import questions, side_log_posterior, trajectory_entropies
from specent.errors import ArchiveError, PartitionError, SpecentError

_LIKELIHOODS = hnp.arrays(float, (5, 4), elements=st.floats(-300, 300))
_WEIGHTS = np.array([[0.2, 0.1, 0, 0], [0, 0, 0.3, 0], [0, 0, 0, 0.4]])


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
    side = np.array([[0], [1], [2], [0], [-1]])
    made = trajectory_entropies(log_likelihood, side, [_WEIGHTS])
    moved = trajectory_entropies(log_likelihood + constant, side, [_WEIGHTS])
    # a shift by 1e3 costs 1e-13 of the log-likelihood, and the surprise is up to 600 / ln 2
    assert np.allclose(made, moved, rtol=1e-10, atol=1e-9)
    assert (made[..., 0] >= 0).all()
    assert (made[..., 0] <= np.log2(3) + 1e-12).all()
    assert made[4, 0, 1] == 0  # no side holds that driver


@settings(deadline=None, max_examples=30)
@given(_LIKELIHOODS)
def test_entropy_and_variance_are_moments_of_the_surprise(log_likelihood):
    surprise = np.stack(
        [trajectory_entropies(log_likelihood, np.full((5, 1), z), [_WEIGHTS])[:, 0, 1] for z in range(3)], axis=-1
    )
    chance = np.exp2(-surprise)
    made = trajectory_entropies(log_likelihood, np.zeros((5, 1), int), [_WEIGHTS])[:, 0]
    mean = np.sum(chance * surprise, axis=-1)
    assert np.allclose(made[:, 0], mean, rtol=1e-10, atol=1e-12)
    assert np.allclose(made[:, 2], np.sum(chance * (surprise - mean[:, None]) ** 2, axis=-1), rtol=1e-8, atol=1e-9)


def test_question_of_the_stored_partition_by_default(pair_runs):
    (question,) = questions(pair_runs, None)
    assert question.partition == sp.Partition.pair("a", "b")
    assert question.share.tolist() == [0.5, 0.5]
    assert question.side.tolist() == [0, 1]
    assert question.prior_entropy == pytest.approx(1.0, abs=1e-12)


def test_question_by_text_weighs_the_drivers_of_a_side(four_runs):
    group, rest, pair = questions(four_runs, ["a,b|c", "a|rest", sp.Partition.pair("c", "a")])
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
def test_questions_that_cannot_be_asked_are_named(four_runs, partitions, message):
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
def test_a_number_that_is_not_finite_is_named_with_its_place(pair_runs, name):
    bad = pair_runs.copy(deep=True)
    bad[name][1, 0, 7, 3] = np.inf if name == "production" else np.nan
    asked = ["a|b"] if name != "denoiser_distance" else [sp.Partition.groups({"x": ["b"], "y": ["a"]})]
    with pytest.raises(SpecentError, match=rf"{name} is not finite at guidance=w=2, class_label=a, sample=7, time=0\."):
        sp.entropy(bad, asked)


def test_numbers_do_not_depend_on_blocks(four_runs, monkeypatch):
    partitions = ["full", "a|rest", "a,b|c,d"]
    whole = sp.entropy(four_runs, partitions)
    monkeypatch.setattr(posterior, "_BLOCK", 60_000)
    pieces = sp.entropy(four_runs, partitions)
    for name in whole.data_vars:
        assert np.allclose(whole[name], pieces[name], rtol=0, atol=1e-6 if "replicate" in str(name) else 1e-12), name
