"""Reliability and quantiles of the posterior, against plain loops over trajectories, and where it is too sure."""

import itertools

import numpy as np
import pytest
import xarray as xr

import specent as sp
from specent.analysis.blocks import each_block
from specent.errors import SpecentError

BINS = 5


@pytest.fixture(scope="module")
def runs() -> xr.Dataset:
    return sp.archive.example().load()


@pytest.fixture(scope="module")
def many() -> xr.Dataset:
    """Three components with priors of their own, 400 trajectories each."""
    mix = sp.exact.GaussianMixture([[-3.0], [0.0], [4.0]], weights=[0.5, 0.2, 0.3], labels=["a", "b", "c"])
    return sp.sample(
        sp.models.mixture(mix), schedule=sp.schedules.VE(), time=sp.schedules.edm_grid(32, 0.05, 40.0), samples=400,
        partitions="full", seed=4, progress=False,
    )  # fmt: skip


def judgements(runs: xr.Dataset, guidance: int, time: list[int]) -> np.ndarray:
    """Rows (trajectory, stated, outcome) of cat against dog, worked out one by one."""
    rows = []
    scores = runs["log_likelihood"].isel(guidance=guidance).transpose("class_label", "sample", "time", "candidate")
    for label in ("cat", "dog"):
        cat, dog = (scores.sel(class_label=label, candidate=name).values.astype(float) for name in ("cat", "dog"))
        for sample, t in itertools.product(range(runs.sizes["sample"]), time):
            stated = 1 / (1 + np.exp(dog[sample, t] - cat[sample, t]))
            rows.append((f"{label}{sample}", stated, float(label == "cat")))
    return np.array(rows, dtype=[("name", "U9"), ("stated", float), ("outcome", float)])


@pytest.mark.parametrize("pooled", [True, False])
def test_bins_hold_the_means_and_the_scatter_between_trajectories(runs: xr.Dataset, pooled: bool) -> None:
    times = list(range(runs.sizes["time"])) if pooled else [12]
    level = None if pooled else [float(runs.log_snr[12]) + 0.01]
    table = sp.analysis.reliability(runs, "cat | dog", log_snr=level, bins=BINS, confidence=0.6826894921)
    table = table.sel(partition="cat | dog", guidance="unguided").squeeze()
    rows = judgements(runs, 0, times)
    for b in range(BINS):
        some = rows[np.minimum((rows["stated"] * BINS).astype(int), BINS - 1) == b]
        one = table.isel(bin=b)
        assert int(one.judgements) == len(some)
        stated, observed = some["stated"].mean(), some["outcome"].mean()
        np.testing.assert_allclose([one.stated, one.observed], [stated, observed], atol=1e-12)
        # one standard error: the residuals of one trajectory are summed before they are squared
        names = np.unique(some["name"])
        groups = [some[some["name"] == name] for name in names]
        scatter = sum((part["outcome"] - part["stated"] - (observed - stated)).sum() ** 2 for part in groups)
        chance = sum(len(part) * (part["stated"] * (1 - part["stated"])).sum() for part in groups)
        error = np.sqrt(max(scatter, chance)) / len(some)
        np.testing.assert_allclose(one.observed_lower, max(observed - error, 0), atol=1e-9)
        np.testing.assert_allclose(one.observed_upper, min(observed + error, 1), atol=1e-9)


def test_every_side_of_several_is_judged_and_a_calibrated_posterior_keeps_to_the_diagonal(many: xr.Dataset) -> None:
    table = sp.analysis.reliability(many, log_snr=[-2.0, 0.0, 1.0], bins=6).squeeze(["guidance", "partition"])
    assert table.judgements.sum("bin").values.tolist() == [3 * 1200] * 3
    filled = table.where(table.judgements > 0)
    z = abs(filled.observed - filled.stated) / ((filled.observed_upper - filled.observed_lower) / 3.92)
    inside = (filled.observed_lower > 0) & (filled.observed_upper < 1)
    # the interval is that of a normal: of 18 bins none should be 4 standard errors away
    assert float(z.where(inside).max()) < 4


def test_a_posterior_that_is_too_sure_leaves_the_diagonal(many: xr.Dataset) -> None:
    sure = many.assign(log_likelihood=3 * many["log_likelihood"])
    table = sp.analysis.reliability(sure, log_snr=[-1.0], bins=4).squeeze()
    assert float(table.observed_lower[0]) > float(table.stated[0])
    assert float(table.observed_upper[-1]) < float(table.stated[-1])


def test_blocks_of_a_file_give_the_same_numbers(many: xr.Dataset) -> None:
    cut = many.chunk(sample=37, time=5)
    assert len(list(each_block(cut, ["log_likelihood"], 3))) >= 1
    for function in (sp.analysis.reliability, sp.analysis.posterior_quantiles):
        xr.testing.assert_allclose(function(cut), function(many), rtol=1e-12)


@pytest.mark.parametrize("side", [None, "b"])
def test_quantiles_are_those_of_the_weighted_trajectories(many: xr.Dataset, side: str | None) -> None:
    levels = [0.1, 0.5, 0.9]
    table = sp.analysis.posterior_quantiles(many, "full", levels, side=side).squeeze(["guidance", "partition"])
    prior = dict(zip("abc", [0.5, 0.2, 0.3], strict=True))
    joint = np.exp(many["log_likelihood"].squeeze("guidance")) * many["candidate_prior"]
    posterior = joint / joint.sum("candidate")
    values, weights = [], []
    for label, weight in prior.items():
        own = posterior.sel(class_label=label, candidate=side or label).transpose("time", "sample").values
        values.append(own)
        weights.append(np.full(own.shape[1], weight / own.shape[1]))
    value, weight = np.concatenate(values, axis=1), np.concatenate(weights)
    np.testing.assert_allclose(table.posterior_mean, value @ weight, atol=1e-6)
    for t, row in enumerate(value):
        for level in levels:
            found = float(table.posterior_quantile.isel(time=t).sel(quantile=level))
            # a bin of the histogram, and the rounding of weights, to either side
            assert weight[row < found - 1 / 4000].sum() <= level + 1e-9
            assert weight[row <= found + 1 / 4000].sum() >= level - 1e-9


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"log_snr": [99.0]}, r"log_snr=\[99.0\] must be numbers from"),
        ({"bins": 1}, "bins=1"),
        ({"confidence": 1.0}, "confidence=1.0"),
        ({"partitions": "cat | cow"}, "cow"),
    ],
)
def test_what_cannot_be_judged_is_refused(runs: xr.Dataset, arguments: dict, message: str) -> None:
    with pytest.raises(SpecentError, match=message):
        sp.analysis.reliability(runs, **arguments)


def test_an_unknown_side_or_level_is_refused(runs: xr.Dataset) -> None:
    with pytest.raises(SpecentError, match=r"side='cow' is no side of 'cat \| dog'"):
        sp.analysis.posterior_quantiles(runs, "cat | dog", side="cow")
    with pytest.raises(SpecentError, match="from 0 to 1"):
        sp.analysis.posterior_quantiles(runs, "cat | dog", [1.5])


def test_damaged_trajectories_are_named(runs: xr.Dataset) -> None:
    bad = runs["log_likelihood"].copy()
    bad[{"guidance": 0, "class_label": 0, "sample": 3, "time": 2, "candidate": 1}] = np.nan
    with pytest.raises(SpecentError, match=r"not finite at .*sample=3"):
        sp.analysis.reliability(runs.assign(log_likelihood=bad), "cat | dog")
