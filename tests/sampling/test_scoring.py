"""Candidates that can no longer matter are not evaluated: what that saves, what it changes, and what is recorded."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr
from torch import Tensor
from tqdm.auto import tqdm

import specent as sp
from specent.sampling.preparation import make_setup
from specent.sampling.running import run_batches
from specent.sampling.scoring import DROPPED

VE = sp.schedules.VE()
MIX = sp.exact.GaussianMixture(np.random.default_rng(1).normal(size=(150, 16)), variance=1.0)
SMALL = sp.exact.GaussianMixture(np.random.default_rng(2).normal(size=(12, 4)), variance=0.25)
OPTIONS = {"schedule": VE, "samples": 2, "progress": False, "threads": 1}
BARE = sp.Record(distances=False)
PARTITIONS = ["full", "0|rest", "0,1,2|3,4,5", "0|1"]


def entropy(runs: xr.Dataset, partition: str) -> xr.DataArray:
    """The path entropy, whether production was recorded or not."""
    return sp.entropy(runs, partition, "path", rate="differences", progress=False).entropy


class Counted:
    """A mixture as a network that counts the states it is handed, and the largest batch of them."""

    def __init__(self, mix: sp.exact.GaussianMixture) -> None:
        self.model, self.states, self.most = sp.models.mixture(mix), 0, 0

    def __call__(self, x: Tensor, sigma: Tensor, condition: Tensor) -> Tensor:
        self.states += len(x)
        self.most = max(self.most, len(x))
        return self.model.denoise(x, float(sigma[0]), condition)


def as_network(net: Counted) -> sp.models.NetworkModel:
    return sp.models.network(
        net, list(net.model.labels), net.model.shape, prediction="data", dtype=torch.float64, null=True
    )


@pytest.fixture(scope="module")
def pair() -> tuple[xr.Dataset, xr.Dataset]:
    """The same trajectories with every candidate, and with those that may matter."""
    options = {**OPTIONS, "time": sp.schedules.edm_grid(64), "partitions": PARTITIONS}
    model = sp.models.mixture(MIX)
    return sp.sample(model, record=BARE, **options), sp.sample(model, scoring=sp.Scoring(), **options)


def test_most_evaluations_are_saved_and_the_entropy_of_every_partition_stays(pair: tuple[xr.Dataset, xr.Dataset]):
    full, few = pair
    np.testing.assert_allclose(few.final, full.final, rtol=0, atol=1e-6)
    assert few.evaluations.sum() < 0.36 * full.log_likelihood.size
    for name, sides in (("full", 150), ("0|rest", 2), ("0,1,2|3,4,5", 2)):
        one, other = (entropy(runs, name) for runs in pair)
        assert abs(one - other).max() < min(0.01, sp.Scoring().bound(sides) + 0.003)
    # of a partition that was not named before sampling too
    one, other = (entropy(runs, "7|rest") for runs in pair)
    assert abs(one - other).max() < 0.01


def test_rates_come_from_the_differences_that_are_scored(pair: tuple[xr.Dataset, xr.Dataset]) -> None:
    one, other = (sp.entropy(runs, "full", "path", progress=False).entropy_rate for runs in pair)
    assert abs(one - other).max() < 0.01 * one.max()


def test_what_was_dropped_is_recorded_and_never_the_driver_nor_the_null_condition(
    pair: tuple[xr.Dataset, xr.Dataset],
) -> None:
    _, few = pair
    mass = few.dropped_mass.values[0]
    assert (np.diff(mass, axis=-1) <= 0).all()  # time ascends to noise
    assert mass[..., 0].min() > 0
    assert mass.max() <= 4e-4
    values = few.log_likelihood.values[0]
    gone = values == DROPPED
    assert gone[:, :, 0].mean() > 0.7
    assert (gone[:, :, :-1] >= gone[:, :, 1:]).all()  # for good
    drivers = np.arange(150)
    assert not gone[drivers, :, :, drivers].any()
    assert not gone[..., few.candidate.values.tolist().index("null")].any()
    # what is left of the candidates is evaluated at every step once lag has ended
    np.testing.assert_array_equal(few.evaluations.values[0, ..., 0], (~gone[..., 0, :]).sum(-1))
    stated = json.loads(few.attrs["scoring"])
    assert stated == {"drop": 4e-4, "lag": 0.2, "bound_bits": pytest.approx(7.9835e-3, abs=1e-6)}
    assert json.loads(few.attrs["settings"])["scoring"] == stated
    sp.validate(few)


def test_the_mass_of_what_the_rule_drops_stays_small_on_average_and_so_does_the_error() -> None:
    # a rule that drops enough to be seen: the posterior of what it dropped, from the full evaluation, is a martingale
    drop, count = 0.05, 300
    labels = list(SMALL.labels)
    options = {**OPTIONS, "time": sp.schedules.edm_grid(24, 0.05, 40.0), "samples": count}
    model = sp.models.mixture(SMALL)
    full = sp.sample(model, record=BARE, candidates=labels, **options)
    log_mean = np.log(np.mean(np.exp(full.log_likelihood.values[0]), axis=-1, keepdims=True))
    ratio = np.exp(full.log_likelihood.values[0] - log_mean)
    met = np.maximum.accumulate((ratio <= drop)[:, :, ::-1], axis=2)[:, :, ::-1]
    held = (ratio / len(labels) * met).sum(-1)
    error = held.mean((0, 1)).max() / np.sqrt(len(labels) * count)
    assert (held.mean((0, 1)) < drop + 5 * error).all()
    drives = met[np.arange(12), :, 0, np.arange(12)].mean()
    assert 0 < drives < drop + 5 * np.sqrt(drop / met[..., 0].size * 12)
    few = sp.sample(model, scoring=sp.Scoring(drop, lag=0.0), candidates=labels, **options)
    assert ((few.log_likelihood == DROPPED).mean() > 0.2).item()
    for name, sides in (("full", 12), ("3|rest", 2), ("0|1", 2), ("0,1|2,3,4|5", 3)):
        one, other = (entropy(runs, name) for runs in (full, few))
        assert 1e-4 < abs(one - other).max() < sp.Scoring(drop).bound(sides)


def test_the_model_is_evaluated_as_often_as_the_file_says() -> None:
    net = Counted(SMALL)
    options = {**OPTIONS, "time": sp.schedules.edm_grid(16)}
    for guidance in (1.0, 2.0):
        net.states = 0
        few = sp.sample(as_network(net), scoring=sp.Scoring(), guidance=guidance, check=False, **options)
        assert int(few.evaluations.sum()) == net.states < 0.6 * few.log_likelihood.size
        assert few.evaluations.min() == (2 if guidance > 1 else few.evaluations.min())


def test_without_lag_every_candidate_that_is_left_is_evaluated_and_scored_exactly() -> None:
    options = {**OPTIONS, "time": sp.schedules.edm_grid(16)}
    model = sp.models.mixture(SMALL)
    full = sp.sample(model, record=BARE, **options)
    few = sp.sample(model, scoring=sp.Scoring(lag=0.0), **options)
    left = few.log_likelihood.values != DROPPED
    np.testing.assert_array_equal(few.evaluations, left.sum(-1))
    np.testing.assert_allclose(few.log_likelihood.values[left], full.log_likelihood.values[left], rtol=1e-9, atol=1e-9)
    held = sp.sample(model, scoring=sp.Scoring(drop=0.0), **options)
    assert "dropped_mass" not in held
    assert held.evaluations.sum() < full.log_likelihood.size
    assert json.loads(held.attrs["scoring"])["bound_bits"] == 0


def test_a_scoring_that_evaluates_everything_is_none() -> None:
    options = {**OPTIONS, "time": sp.schedules.edm_grid(8), "partitions": "full"}
    model = sp.models.mixture(SMALL)
    plain, same = (sp.sample(model, scoring=scoring, **options) for scoring in (None, sp.Scoring(0, 0)))
    assert "evaluations" not in same
    xr.testing.assert_identical(plain.drop_attrs(), same.drop_attrs())
    assert plain.attrs["settings"] == same.attrs["settings"]
    plan = sp.Plan(model, VE, sp.schedules.edm_grid(8), 2)
    assert "scoring" not in plan.definition


@pytest.mark.parametrize("guidance", [1.0, 2.0, sp.FeedbackGuidance(0.9)], ids=str)
def test_batches_and_shards_do_not_change_the_numbers(guidance: object, tmp_path: Path) -> None:
    options = {
        "guidance": guidance,
        "scoring": sp.Scoring(),
        "partitions": "0,1|2",
        "seed": 3,
        "classes": ["0", "1", "2"],
    }
    model, grid = sp.models.mixture(SMALL), sp.schedules.edm_grid(16)
    whole = sp.sample(model, time=grid, **OPTIONS, **options)
    for part in (
        sp.sample(model, time=grid, batch_size=5, **OPTIONS, **options),
        sp.open(sp.run(sp.Plan(model, VE, grid, 2, **options), tmp_path / "run", shard=1, progress=False)),
    ):
        np.testing.assert_array_equal(part.evaluations, whole.evaluations)
        for name in ("log_likelihood", "production", "final", "dropped_mass"):
            np.testing.assert_allclose(part[name], whole[name], rtol=3e-4, atol=1e-6)


def test_guidance_moves_the_sample_as_it_does_with_every_candidate() -> None:
    options = {**OPTIONS, "time": sp.schedules.edm_grid(16), "guidance": [2.0, sp.FeedbackGuidance(0.9)]}
    model = sp.models.mixture(SMALL)
    full, few = (sp.sample(model, scoring=scoring, **options) for scoring in (None, sp.Scoring()))
    for name in ("final", "scale"):
        np.testing.assert_allclose(few[name], full[name], rtol=1e-9, atol=1e-9)
    null = few.log_likelihood.sel(candidate="null")
    np.testing.assert_allclose(null, full.log_likelihood.sel(candidate="null"), rtol=1e-9, atol=1e-9)


def test_shared_noise_pairs_with_the_full_evaluation() -> None:
    options = {**OPTIONS, "time": sp.schedules.edm_grid(32), "shared_noise": True, "samples": 30}
    model = sp.models.mixture(SMALL)
    full, few = (sp.sample(model, scoring=scoring, **options) for scoring in (None, sp.Scoring()))
    np.testing.assert_allclose(few.final, full.final, rtol=1e-9, atol=1e-9)
    one, other = (entropy(runs, "full") for runs in (full, few))
    assert abs(one - other).max() < 0.01


def test_plans_of_other_scoring_are_told_apart() -> None:
    model, grid = sp.models.mixture(SMALL), sp.schedules.edm_grid(8)
    plans = [sp.Plan(model, VE, grid, 2, scoring=scoring) for scoring in (None, sp.Scoring(), sp.Scoring(lag=0.1))]
    assert len({json.dumps(plan.definition) for plan in plans}) == 3
    assert plans[1].definition["scoring"] == {"drop": 4e-4, "lag": 0.2}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"drop": -0.1}, "scoring: drop=-0.1"),
        ({"drop": 0.5}, "scoring: drop=0.5"),
        ({"lag": np.nan}, "scoring: lag=nan"),
        ({"lag": "long"}, "scoring: lag='long'"),
    ],
    ids=str,
)
def test_numbers_out_of_range_are_refused(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(sp.SpecentError, match=message):
        sp.Scoring(**arguments)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scoring": 1e-3}, "scoring=0.001 .*specent.Scoring"),
        ({"record": sp.Record(distances=True)}, "record.distances=True needs every candidate"),
        ({"classes": ["0", "null"]}, "holds the null condition, but .* drops labels by their posterior"),
        ({"partitions": sp.Partition.pair("0", "null")}, "'0 | null' holds the null condition"),
    ],
    ids=str,
)
def test_what_does_not_go_with_it_is_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(sp.SpecentError, match=message):
        sp.sample(
            sp.models.mixture(SMALL), time=sp.schedules.edm_grid(8), **{"scoring": sp.Scoring(), **OPTIONS, **options}
        )


def test_lag_alone_goes_with_the_null_condition() -> None:
    options = {**OPTIONS, "time": sp.schedules.edm_grid(32), "classes": ["0", "null"], "samples": 20}
    parts = [sp.Partition.pair("0", "null")]
    model = sp.models.mixture(SMALL)
    full, few = (
        sp.sample(model, scoring=scoring, partitions=parts, **options) for scoring in (None, sp.Scoring(drop=0))
    )
    one, other = (sp.entropy(runs, estimator="path", progress=False).entropy for runs in (full, few))
    assert abs(one - other).max() < 0.02


def test_memory_is_stated_before_the_run_and_refused_if_it_is_not_there(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, grid = sp.models.mixture(SMALL), sp.schedules.edm_grid(8)
    options = {**OPTIONS, "time": grid, "scoring": sp.Scoring(), "progress": True, "classes": ["0"]}
    sp.sample(model, **options)
    # 2 trajectories, 13 candidates, 4 features, in double and in half precision
    stated = f"{2 * 13 * 4 * 10 / 2**20:.3g} MiB for the differences of 2 at a time"
    shown = capsys.readouterr().err
    assert stated in shown
    assert "100%" in shown.splitlines()[-1].rpartition("\r")[2]
    monkeypatch.setattr("specent.memory.total", lambda: 15_000)
    with pytest.raises(sp.SpecentError, match=r"the differences of 40 trajectories to 13 candidates.*batch_size="):
        sp.sample(model, **{**options, "classes": ["0"], "samples": 60, "time": grid[[0, 7]], "batch_size": 40})


def test_the_model_is_handed_no_more_pairs_than_with_every_candidate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("specent.sampling.running._NUMBERS", 13 * 4 * 5)  # five trajectories at a time
    options = {**OPTIONS, "time": sp.schedules.edm_grid(16), "check": False}
    plain, few = Counted(SMALL), Counted(SMALL)
    full = sp.sample(as_network(plain), record=BARE, **options)
    runs = sp.sample(as_network(few), scoring=sp.Scoring(), **options)
    assert plain.most == few.most == 5 * 13
    np.testing.assert_allclose(runs.final, full.final, rtol=1e-5, atol=1e-6)


def test_memory_that_runs_out_costs_only_a_batch() -> None:
    class Little(Counted):
        def __call__(self, x: Tensor, sigma: Tensor, condition: Tensor) -> Tensor:
            if len(x) > 40:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return super().__call__(x, sigma, condition)

    options = {**OPTIONS, "time": sp.schedules.edm_grid(16), "check": False, "scoring": sp.Scoring()}
    plenty, little = (sp.sample(as_network(net(SMALL)), **options) for net in (Counted, Little))
    np.testing.assert_allclose(little.log_likelihood, plenty.log_likelihood, rtol=1e-9, atol=1e-9)
    np.testing.assert_array_equal(little.evaluations, plenty.evaluations)


def test_a_plan_file_keeps_it(tmp_path: Path) -> None:
    plan = sp.Plan(sp.models.mixture(SMALL), VE, sp.schedules.edm_grid(8), 2, scoring=sp.Scoring(1e-3, 0.1))
    again = sp.Plan.read(plan.write(tmp_path / "plan.toml"))
    assert again.scoring == sp.Scoring(1e-3, 0.1)
    assert again.definition == plan.definition


@pytest.mark.parametrize("name", ["mixture", "several", "digits", "finite"])
def test_chosen_pairs_are_denoised_as_among_all_candidates(name: str) -> None:
    model = {
        "mixture": lambda: sp.models.mixture(SMALL),
        "several": lambda: sp.models.mixture(
            sp.exact.GaussianMixture([[-2.0, 0], [0, 1], [2, 0]], labels=["a", "b", "a"], variance=[1.0, 2.0, 0.5])
        ),
        "digits": sp.models.digits,
        "finite": lambda: sp.models.finite(np.random.default_rng(0).normal(size=(9, 3)), list("aabbbccdd")),
    }[name]()
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(6, *model.shape, generator=generator, dtype=torch.float64)
    conditions = torch.arange(len(model.labels) + 1)
    rows = torch.randint(6, (25,), generator=generator)
    columns = torch.randint(len(conditions), (25,), generator=generator)
    every = model.candidates(x, 1.3, conditions)
    torch.testing.assert_close(model.pairs(x, 1.3, rows, columns), every[rows, columns], rtol=1e-5, atol=1e-5)


def test_what_dropping_does_to_the_null_condition_is_not_guessed() -> None:
    options = {**OPTIONS, "time": sp.schedules.edm_grid(8)}
    runs = sp.sample(sp.models.mixture(SMALL), partitions="full", scoring=sp.Scoring(), **options)
    with pytest.raises(sp.SpecentError, match=r"estimator 'null': labels were dropped.*scoring=specent\.Scoring"):
        sp.entropy(runs, estimator="null", progress=False)
    with pytest.raises(sp.SpecentError, match="holds the null condition, but labels were dropped"):
        sp.entropy(runs, sp.Partition.pair("0", "null"), progress=False)


def test_runs_of_one_scoring_are_combined_and_those_of_two_are_not() -> None:
    options = {**OPTIONS, "time": sp.schedules.edm_grid(8), "classes": ["0", "1"]}
    model = sp.models.mixture(SMALL)
    one, two, other = (
        sp.sample(model, seed=seed, scoring=scoring, **options)
        for seed, scoring in ((0, sp.Scoring()), (1, sp.Scoring()), (1, sp.Scoring(lag=0.1)))
    )
    both = sp.combine([one, two], along="sample")
    assert both.attrs["scoring"] == one.attrs["scoring"]
    assert both.evaluations.sizes["sample"] == 4
    with pytest.raises(sp.SpecentError, match="sample both with the same scoring"):
        sp.combine([one, other], along="sample")


def test_the_bar_ends_where_the_evaluations_do() -> None:
    model, grid = sp.models.mixture(SMALL), sp.schedules.edm_grid(8)
    setup = make_setup(
        model, VE, grid, 3, (), 2.0, 0, "cpu", ["0", "1"], None, sp.Record(), False, sp.Scoring()
    )  # fmt: skip
    assert setup.evaluations == 2 * 3 * 8 * 13
    with tqdm(total=setup.evaluations, disable=False, file=io.StringIO()) as bar:
        arrays, _ = run_batches(setup, 4, bar)
    assert bar.n == bar.total == arrays["evaluations"].sum() < setup.evaluations
