"""The chain rule over nested partitions, against mixtures whose numbers were worked out elsewhere."""

import numpy as np
import pytest

import specent as sp
from specent.analysis import entanglement
from specent.analysis.chain import Split, chain, splits
from specent.errors import SpecentError
from specent.partitions import Partition

TREE = sp.exact.GaussianMixture([[-8, 2, 0], [-8, -2, 0], [8, 0, 2], [8, 0, -2]], labels=["a", "b", "c", "d"])
LINE = sp.exact.GaussianMixture([[-8.0], [-4.0], [6.0], [8.0]], 0.25, labels=["a", "b", "c", "d"])
COARSE = Partition.groups({"left": ["a", "b"], "right": ["c", "d"]})
LEVELS = [COARSE, Partition.full(["a", "b", "c", "d"])]


def _exact(mix, sigma):
    wanted = [*LEVELS, *(one.partition for one in splits(LEVELS))]
    return sp.exact.profiles(mix, sp.schedules.VE(), [sigma, 2 * sigma], list(dict.fromkeys(wanted)), samples=2**16)


def test_the_budget_of_a_line_is_the_one_that_is_known():
    budget = chain(_exact(LINE, 3.0), LEVELS).isel(time=0, guidance=0, estimator=0)
    assert budget.split.values.tolist() == ["left | right", "left: a | b", "right: c | d"]
    assert np.allclose(budget.contribution.values, [0.104956, 0.742049 / 2, 0.925962 / 2], atol=1e-6)
    assert np.isclose(budget.budget.sel(level="full"), 0.938962, atol=1e-6)
    assert np.allclose(budget.gap, 0, atol=1e-8)
    assert np.allclose(budget.gap_rate, 0, atol=1e-8)


def test_the_budget_of_a_tree_is_the_one_that_is_known():
    budget = chain(_exact(TREE, 4.0), LEVELS).isel(time=0, guidance=0, estimator=0)
    # quasi-Monte Carlo in three dimensions, to about 1e-4
    assert np.isclose(budget.contribution.sel(split="left | right"), 0.099018, atol=1e-5)
    assert np.isclose(budget.budget.sel(level="full"), 0.946767, atol=2e-4)
    inner = float(budget.contribution.isel(split=slice(1, None)).sum())
    # two components at +-2 under noise 4 and variance 1
    assert np.isclose(inner, float(sp.exact.two_component_entropy(2 / np.sqrt(17.0))), atol=1e-6)
    assert np.isclose(inner, 0.847749, atol=1e-6)
    assert abs(float(budget.gap.sel(level="full"))) < 2e-4


def test_both_estimates_of_trajectories_agree(gaussian_runs):
    runs = gaussian_runs([[-8.0], [-4.0], [6.0], [8.0]], samples=400, grid=np.geomspace(0.3, 100, 80), variance=0.25)
    budget = chain(runs, LEVELS, estimator=("path", "denoiser_gap"), replicates=200).isel(guidance=0)
    gap = budget.gap.sel(level="full")
    # intervals of 95 %, doubled: four standard errors, of 160 correlated numbers
    half = 0.5 * (budget.gap_upper - budget.gap_lower).sel(level="full")
    assert (abs(gap) <= 2 * half + 1e-6).all()
    # the gap is not 0 by construction
    assert float(abs(gap.sel(estimator="path")).max()) > 1e-4
    start = budget.contribution.isel(time=-1).sel(estimator="path")
    assert np.allclose(start, [1.0, 0.5, 0.5])
    assert np.allclose(budget.budget.isel(time=-1).sel(estimator="path"), [1.0, 2.0])


def test_priors_weigh_the_splits():
    prior = {"a": 0.5, "b": 0.25, "c": 0.125, "d": 0.125}
    made = splits(LEVELS, prior)
    assert [round(one.share, 6) for one in made] == [1.0, 0.75, 0.25]
    assert np.allclose(made[1].partition.prior, [2 / 3, 1 / 3])
    mix = sp.exact.GaussianMixture(LINE.means, 0.25, [0.5, 0.25, 0.125, 0.125], LINE.component_labels)
    wanted = list(dict.fromkeys([*LEVELS, *(one.partition for one in made)]))
    profiles = sp.exact.profiles(mix, sp.schedules.VE(), [2.0, 5.0], wanted)
    assert np.allclose(chain(profiles, LEVELS, label_prior=prior).gap, 0, atol=1e-8)
    with pytest.raises(SpecentError, match="label_prior: partition"):
        chain(profiles, LEVELS)


def test_three_levels_add_up():
    mix = sp.exact.GaussianMixture([[-20.0], [-12.0], [-10.0], [8.0], [14.0]], labels=list("abcde"))
    top = Partition.groups({"left": list("abc"), "right": list("de")})
    middle = Partition.groups({"a": ["a"], "bc": list("bc"), "right": list("de")})
    levels = [top, middle, Partition.full(list("abcde"))]
    made = splits(levels)
    assert [(one.partition.name, one.level) for one in made] == [
        ("left | right", "left | right"), ("left: a | bc", "a | bc | right"), ("bc: b | c", "full"),
        ("right: d | e", "full"),
    ]  # fmt: skip
    wanted = list(dict.fromkeys([*levels, *(one.partition for one in made)]))
    budget = chain(sp.exact.profiles(mix, sp.schedules.VE(), [1.0, 4.0, 9.0], wanted), levels)
    assert np.allclose(budget.gap, 0, atol=1e-8)
    assert np.allclose(budget.contribution.sum("split"), budget.budget.sel(level="full"))


@pytest.mark.parametrize(
    ("partitions", "message"),
    [
        ([COARSE, Partition.groups({"x": ["a", "c"], "y": ["b", "d"]})], "not nested"),
        ([COARSE, Partition.full(["a", "b", "c"])], "cover different labels"),
        ([COARSE, Partition.full(list("abcd"), [0.4, 0.2, 0.2, 0.2])], "different probabilities"),
        ([COARSE], "two at least"),
        (LEVELS[::-1], "not nested: .*; give partitions from coarse to fine"),
        ("full", "two at least"),
    ],
)
def test_what_is_not_nested_is_refused(partitions, message, four_runs):
    with pytest.raises(SpecentError, match=message):
        chain(four_runs, partitions)


def test_missing_profiles_are_named():
    profiles = _exact(LINE, 3.0)
    with pytest.raises(SpecentError, match=r"no profile of 'left: a \| b'"):
        chain(profiles.isel(partition=[0, 1]), LEVELS)
    with pytest.raises(SpecentError, match="estimator= is for trajectories"):
        chain(profiles, LEVELS, estimator="path")
    assert isinstance(splits(LEVELS)[0], Split)


def test_profiles_may_be_the_path_of_a_file(four_runs, tmp_path):
    wanted = list(dict.fromkeys([*LEVELS, *(one.partition for one in splits(LEVELS))]))
    profiles = sp.entropy(four_runs, wanted, "path", replicates=50, progress=False)
    # chunked arrays are not summed over replicates by themselves
    stored = chain(sp.write(profiles, tmp_path / "profiles.nc"), LEVELS)
    assert np.array_equal(stored.contribution, chain(profiles, LEVELS).contribution)
    assert np.isfinite(stored.contribution_lower).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda profiles: profiles.drop_vars("mutual_information"), "'mutual_information' is missing"),
        (lambda profiles: profiles.assign(entropy=profiles.entropy / 0), "'entropy' that is not finite"),
        (lambda profiles: profiles.assign_attrs(confidence="most"), "confidence='most'"),
    ],
)
def test_profiles_that_were_altered_are_refused(change, message):
    profiles = _exact(LINE, 3.0)
    with np.errstate(divide="ignore"):
        altered = change(profiles)
    with pytest.raises(SpecentError, match=message):
        chain(altered, LEVELS)


@pytest.mark.parametrize(
    "partitions", [None, True, "full", COARSE, ["full"], [None], [COARSE, "full"], {"a": COARSE}, []]
)
def test_splits_are_of_a_list_of_partitions(partitions):
    with pytest.raises(SpecentError, match="partitions"):
        splits(partitions)


@pytest.mark.parametrize(
    "prior", [3, "abcd", [1, 1, 1, 1], {"a": 1}, dict.fromkeys("abcd", "1"), dict.fromkeys("abcd", np.nan), {"a": -1}]
)
def test_priors_are_numbers_by_label(prior):
    with pytest.raises(SpecentError, match="label_prior"):
        splits(LEVELS, prior)
    with pytest.raises(SpecentError, match="label_prior"):
        entanglement(_exact(LINE, 3.0), *LEVELS, label_prior=prior)
