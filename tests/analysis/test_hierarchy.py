"""The tree of classes: linkage, support, and the hierarchy index of mixtures whose numbers are known."""

import itertools

import numpy as np
import pytest
from scipy.spatial.distance import squareform

import specent as sp
from specent.analysis.hierarchy import Node, average_linkage, nodes_of, random_merges, tree
from specent.errors import SpecentError

CLEAN = sp.exact.GaussianMixture([[-8, 2, 0], [-8, -2, 0], [8, 0, 2], [8, 0, -2]], labels=["a", "b", "c", "d"])
VE, TIME = sp.schedules.VE(), np.geomspace(0.2, 60, 80)


def test_a_clean_tree_has_the_index_that_is_known():
    made = tree(CLEAN, schedule=VE, time=TIME, samples=2**14, random_trees=8, seed=3)
    assert made.node.values.tolist()[-1] == "a+b | c+d"
    assert made.parent.values.tolist() == [2, 2, -1]
    # quasi-Monte Carlo and curves between 80 levels
    assert abs(float(made.hierarchy_index) - 0.954515) < 3e-4
    assert int(made.violations) == 0
    # the splits of the branches are two components at +-2 of variance 1
    half = 2 / float(sp.exact.two_component_entropy_inverse(0.5))
    assert np.allclose(made.split.values[:2], 0.5 * np.log(half**2 - 1), atol=1e-4)
    assert np.isnan(made.left.values[-1])
    assert np.isnan(made.support).all()
    # of the 15 trees over four classes one is the clean one; the others know less
    assert (made.random_index < 0.9546).all()
    assert float(made.random_index.min()) < 0.5


def test_classes_on_a_line_are_less_of_a_hierarchy():
    mix = sp.exact.GaussianMixture([[0.0], [3.0], [6.0], [9.0], [12.0]])
    made = tree(mix, schedule=VE, time=TIME, random_trees=0)
    clean = tree(CLEAN, schedule=VE, time=TIME, random_trees=0)
    assert float(made.hierarchy_index) < float(clean.hierarchy_index) - 0.2


def test_merges_are_means_over_all_pairs():
    rng = np.random.default_rng(5)
    levels = rng.normal(size=15)
    table = average_linkage(levels)
    matrix, labels = squareform(levels), list("abcdef")
    for row, node in zip(table, nodes_of(table, labels), strict=True):
        pairs = [(labels.index(a), labels.index(b)) for a, b in itertools.product(node.first, node.second)]
        assert np.isclose(row[2], np.mean([matrix[pair] for pair in pairs]))
    assert [node.parent for node in nodes_of(table, labels)][-1] == -1


def test_random_trees_merge_any_two_groups():
    rng = np.random.default_rng(0)
    seen = [nodes_of(random_merges(3, rng), list("abc"))[0].labels for _ in range(3000)]
    # each of three pairs merges first with a chance of 1/3; four standard errors
    for pair in itertools.combinations("abc", 2):
        assert abs(seen.count(frozenset(pair)) / 3000 - 1 / 3) < 4 * np.sqrt(2 / 9 / 3000)


def test_trajectories_give_support_and_intervals(gaussian_runs):
    means = [[-8.0, 2.0], [-8.0, -2.0], [8.0, 0.0]]
    runs = gaussian_runs(means, samples=300, grid=np.geomspace(0.2, 100, 60))
    made = tree(runs, replicates=100, random_trees=0)
    assert made.node.values.tolist() == ["a | b", "c | a+b"]
    assert (made.support == 1.0).all()
    exact = tree(
        sp.exact.GaussianMixture(means, labels=["a", "b", "c"]), schedule=VE, time=runs.time.values, random_trees=0,
        samples=2**13,
    )  # fmt: skip
    for name in ("merge", "split"):
        half = 0.5 * (made[f"{name}_upper"] - made[f"{name}_lower"])
        # twice an interval of 95 %, and the steps of the chain
        assert (abs(made[name] - exact[name]) <= 2 * half + 0.04).all(), name
        assert (half > 0).all()
    gap = abs(float(made.hierarchy_index) - float(exact.hierarchy_index))
    assert gap < 2 * float(made.hierarchy_index_upper - made.hierarchy_index_lower)


def test_classes_that_cannot_be_told_apart_have_little_support(gaussian_runs):
    corners = [[4.0, 0.0], [-2.0, 3.4641], [-2.0, -3.4641]]
    made = tree(gaussian_runs(corners, samples=60, grid=np.geomspace(0.5, 60, 24)), replicates=100, random_trees=0)
    assert float(made.support[0]) < 0.9
    assert float(made.support[-1]) == 1.0


def test_nodes_are_splits():
    node = Node(("a",), ("b", "c"), -1)
    assert node.name == "a | b+c"
    assert node.split.sides == (("a", ("a",)), ("b+c", ("b", "c")))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"labels": ["a", "b"]}, "from 3 to 100 classes"),
        ({"labels": ["a", "b", "x"]}, "none of the classes"),
        ({"time": None}, "give schedule= and time="),
        ({"random_trees": -1}, "random_trees"),
        ({"confidence": 2}, "confidence"),
        ({"seed": None}, "seed"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(SpecentError, match=message):
        tree(CLEAN, **({"schedule": VE, "time": TIME} | arguments))


@pytest.mark.parametrize("source", [None, 3, [1.0], {}])
def test_a_tree_is_of_runs_or_of_something_exact(source):
    with pytest.raises(SpecentError, match="source"):
        tree(source, schedule=VE, time=TIME)


def test_trajectories_bring_their_own_noise(four_runs):
    with pytest.raises(SpecentError, match="schedule= is for exact sources"):
        tree(four_runs, schedule=VE)
    with pytest.raises(SpecentError, match="is unguided"):
        tree(four_runs.assign_coords(guidance_scale=("guidance", np.full(four_runs.sizes["guidance"], 2.0))))


def test_a_pair_that_never_parts_makes_its_merges_upper_bounds():
    # two classes closer than the lowest noise and their own width never part, the third does from both
    mix = sp.exact.GaussianMixture([[0.0], [0.01], [9.0]], labels=["a", "b", "c"])
    made = tree(mix, schedule=VE, time=TIME, random_trees=0)
    assert made.node.values.tolist() == ["a | b", "c | a+b"]
    assert made.at_most.values.tolist() == [True, False]
    # that merge stands at the lowest noise level
    assert np.isclose(float(made["merge"][0]), np.log(0.2))
