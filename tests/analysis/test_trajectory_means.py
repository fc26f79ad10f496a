"""Means over the drivers of a partition against the same written as loops over single trajectories."""

import pickle

import cloudpickle
import dask
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.special import logsumexp

import specent as sp
from specent.analysis import blocks
from specent.analysis.blocks import each_block
from specent.analysis.bootstrap import draw_weights
from specent.analysis.calibration import STATISTICS
from specent.analysis.job import Job
from specent.analysis.posterior import rest_of
from specent.analysis.production import production_sources
from specent.analysis.scored import scored_partitions
from specent.analysis.trajectory_means import trajectory_means
from specent.errors import SpecentError

_SOURCES = ["log_likelihood", "denoiser_distance"]
_REPLICATES = 50
_ASKED = [
    sp.Partition.pair("a", "b"),
    sp.Partition.pair("c", "a", prior=[0.2, 0.8]),
    sp.Partition.one_vs_rest("b", ["a", "b", "c"]),
    sp.Partition.one_vs_rest("c", ["a", "b", "c"], prior=[0.9, 0.1]),
    sp.Partition.groups({"x": ["a", "c"], "y": ["b"]}, name="groups"),
    sp.Partition.full(["a", "b", "c"]),
    sp.Partition.pair("a", "null"),
]


@pytest.fixture(scope="module")
def null_driven(gaussian_runs):
    """Three labels and the null condition, all of them drivers and candidates, unguided and guided."""
    means = [[-3.0, 0.0], [3.0, 0.0], [0.0, 4.0], [0.0, 5.0]]
    settings_ = [sp.Guidance(), sp.Guidance(2.0), sp.Guidance(3.0, (0.5, 8.0))]
    runs = gaussian_runs(means, samples=5, grid=np.geomspace(0.3, 40, 6), guidance=settings_)
    # what drove the fourth is of no account to an average: it is taken for a trajectory of the null condition
    some = runs.isel(candidate=[0, 1, 2, 4], other_candidate=[0, 1, 2, 4])
    prior = some["candidate_prior"].copy(data=[0.5, 0.2, 0.3, 0.0])
    return some.assign_coords(class_label=["a", "b", "c", "null"], candidate_prior=prior)


@pytest.fixture(scope="module")
def by_hand(null_driven):
    """What `_by_hand` has for every partition."""
    return [_by_hand(null_driven, partition) for partition in _ASKED]


def _by_hand(runs, partition):
    """Entropy, surprisal, its variance, and both productions in bits, and shares; by loops over single trajectories."""
    names = runs.candidate.values.tolist()
    sides = [[names.index(label) for label in labels] for _, labels in partition.sides]
    prior = np.where(np.array(names) == "null", 1.0, runs.candidate_prior.values)
    mass = np.array([prior[side].sum() for side in sides])
    side_prior = mass / mass.sum() if partition.prior is None else np.array(partition.prior)
    shape = tuple(runs.sizes[dim] for dim in ("guidance", "class_label", "sample", "time"))
    out = np.zeros((5, *shape))
    order = ("guidance", "class_label", "sample", "time")
    likelihoods = runs.log_likelihood.transpose(*order, ...).values
    distances = runs.denoiser_distance.transpose(*order, ...).values
    levels, gammas = (runs.sigma / runs.alpha).values, np.exp(runs.log_snr.values)
    scales, lows, highs = (runs[name].values for name in ("guidance_scale", "sigma_lo", "sigma_hi"))
    for g, c, n, t in np.ndindex(shape):
        held = [z for z, side in enumerate(sides) if c in side]
        if not held:
            continue
        likelihood, distance = likelihoods[g, c, n, t], distances[g, c, n, t]
        joint = np.array(
            [
                logsumexp(likelihood[side] + np.log(prior[side] / mass[z])) + np.log(side_prior[z])
                for z, side in enumerate(sides)
            ]
        )
        log_posterior = joint - logsumexp(joint)
        P = np.exp(log_posterior)
        H = -np.sum(P * log_posterior)
        denoiser = np.zeros((len(sides), len(names)))
        for z, side in enumerate(sides):
            within = likelihood[side] + np.log(prior[side])
            denoiser[z, side] = np.exp(within - logsumexp(within))
        scale = scales[g] if lows[g] < levels[t] <= highs[g] else 1.0
        mover = scale * np.eye(len(names))[c] + (1 - scale) * np.eye(len(names))[names.index("null")]
        mixed = P @ denoiser
        inner = [[-0.5 * u @ distance @ v for v in (*(denoiser - mixed), mover - mixed)] for u in denoiser - mixed]
        inner = np.array(inner)
        spread, towards = np.diag(inner), inner[:, -1]
        produced = 0.5 * P @ spread
        if scales[g] != 1:
            produced += np.sum(P * (log_posterior + H) * towards)
        (z,) = held
        bits = 1 / np.log(2)
        out[:, g, c, n, t] = (
            H * bits, -log_posterior[z] * bits, np.sum(P * (log_posterior + H) ** 2) * bits**2,
            gammas[t] * produced * bits, gammas[t] * (towards[z] - 0.5 * spread[z]) * bits,
        )  # fmt: skip
    share = np.zeros(shape[1])
    for z, side in enumerate(sides):
        share[side] = side_prior[z] * prior[side] / mass[z]
    return out, share


@pytest.mark.parametrize("chunks", [None, {"sample": 2, "time": 4, "class_label": 3}], ids=["memory", "dask"])
@pytest.mark.parametrize("numbers", [2**22, 1000], ids=["one block", "many blocks"])
def test_means_are_those_of_loops_over_single_trajectories(null_driven, by_hand, chunks, numbers, monkeypatch):
    monkeypatch.setattr(blocks, "_NUMBERS", numbers)
    runs = null_driven if chunks is None else null_driven.chunk(chunks)
    scored = scored_partitions(runs, _ASKED)
    made = trajectory_means(Job(runs, production_sources_of(runs, scored), scored, STATISTICS, _REPLICATES, 3))
    samples = runs.sizes["sample"]
    labels, numbers = runs["class_label"].values.tolist(), runs["sample"].values
    drawn = draw_weights(labels, numbers, slice(0, samples), _REPLICATES, 3)
    for p, (partition, (values, share)) in enumerate(zip(_ASKED, by_hand, strict=True)):
        means = np.einsum("rcn,c,vgcnt->vgtr", drawn, share, values)
        for name, row in (("posterior_entropy", 0), ("surprisal", 1), ("production", 3), ("cross_production", 4)):
            # rounding only: the largest are productions of 1e3 in sums of thousands
            assert np.allclose(made[name].isel(partition=p), means[row], rtol=1e-9, atol=1e-9), (partition.name, name)
        variance = np.einsum("c,gcnt->gt", (share / samples) ** 2, values[2])
        assert np.allclose(made.surprisal_variance.isel(partition=p), variance, rtol=1e-9, atol=1e-12)


def production_sources_of(runs, scored):
    sources = ["log_likelihood", *production_sources(runs, scored)]
    assert sources == _SOURCES
    return sources


@settings(deadline=None, max_examples=50)
@given(hnp.arrays(float, (3, 5), elements=st.floats(-5000, 5000)))
def test_what_all_others_amount_to_is_a_sum_over_them(log_likelihood):
    prior = np.array([0.4, 0.1, 0.0, 0.3, 0.2])
    with np.errstate(divide="ignore"):
        joint = log_likelihood + np.log(prior)
    expected = np.stack([logsumexp(np.delete(joint, k, axis=1), axis=1) for k in range(5)], axis=1)
    # 5000 is known to 1e-12
    assert np.allclose(rest_of(log_likelihood, prior).log_sum, expected, rtol=1e-13, atol=1e-11)


@pytest.mark.parametrize(
    "chunks", [{}, {"sample": 7, "time": 5}, {"class_label": 1, "sample": 10, "time": 12}], ids=str
)
@pytest.mark.parametrize("numbers", [40, 1000, 2**22])
def test_blocks_hold_every_number_once_and_no_more_than_fit(four_runs, chunks, numbers, monkeypatch):
    monkeypatch.setattr(blocks, "_NUMBERS", numbers)
    runs = four_runs.isel(sample=slice(0, 20), time=slice(0, 12))
    runs = runs.chunk(chunks) if chunks else runs
    whole = runs.log_likelihood.transpose("class_label", "sample", "guidance", "time", "candidate").values
    found = np.full(whole.shape, np.nan)
    for block in each_block(runs, ["log_likelihood"], runs.sizes["candidate"]):
        part = block.arrays["log_likelihood"]
        at = (block.classes, block.samples, slice(None), block.times)
        assert np.isnan(found[at]).all()
        found[at] = part
        # guidance settings and candidates are never parted, nor a chunk that is not much larger
        assert part.size <= max(4 * numbers, 2 * runs.sizes["candidate"])
    assert np.array_equal(found, whole)


def test_a_damaged_number_that_takes_part_in_nothing_is_still_an_error(four_runs):
    bad = four_runs.copy(deep=True)
    bad["log_likelihood"][1, 3, 7, 3, 2] = np.nan
    for asked, options in (("a|b", {}), (["a|rest", "a|b"], {"estimator": "path", "rate": "differences"})):
        with pytest.raises(SpecentError, match="log_likelihood is not finite at guidance=w=2, class_label=d, sample=7"):
            sp.entropy(bad, asked, replicates=50, **options)
    distant = four_runs.copy(deep=True)
    distant["denoiser_distance"][0, 3, 7, 3, 2, 3] = np.inf
    with pytest.raises(SpecentError, match="denoiser_distance is not finite at guidance=unguided, class_label=d"):
        sp.entropy(distant, "a|b", replicates=50)
    # a lazy result cannot raise: it says where
    lazy = sp.entropy(bad.chunk(sample=50), "a|b", "path", rate="differences", replicates=50, compute=False)
    whole = sp.entropy(four_runs, "a|b", "path", rate="differences", replicates=50)
    gap = np.isnan(lazy.entropy.values)
    assert np.argwhere(gap).tolist() == [[0, 1, 0, 3]]
    assert np.allclose(lazy.entropy.values[~gap], whole.entropy.values[~gap], rtol=0, atol=1e-12)


def test_threads_and_other_processes_give_the_same_bits(null_driven):
    whole = null_driven.assign_coords(label_prior=("class_label", [0.5, 0.2, 0.3, 0.0]))
    runs = whole.chunk(sample=3, class_label=1)
    options = {"partitions": "full", "estimator": ("path", "denoiser_gap"), "replicates": 50, "progress": False}
    with dask.config.set(scheduler="threads", num_workers=2):
        by_threads = sp.entropy(runs, **options)
    in_memory = sp.entropy(whole, **options)
    later = sp.entropy(runs, compute=False, **options)
    assert all(later[name].chunks for name in ("entropy", "entropy_rate_upper"))
    # as the tasks arrive in another process
    elsewhere = pickle.loads(cloudpickle.dumps(later)).compute(scheduler="synchronous")
    for name in ("entropy", "entropy_lower", "entropy_rate", "entropy_rate_upper"):
        # rounding: in memory all trajectories are one block, here they are several
        np.testing.assert_allclose(by_threads[name], in_memory[name], rtol=1e-9, atol=1e-12)
        assert np.array_equal(by_threads[name].values, elsewhere[name].values)
