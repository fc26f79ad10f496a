"""The mixture: what it holds, its posterior against Bayes' rule written out, and what it refuses."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from specent.errors import PartitionError, SpecentError
from specent.exact import GaussianMixture
from specent.partitions import Partition

MEANS = [[0.0, 1.0], [2.0, -1.0], [0.5, 0.5], [-1.0, 0.0]]
VARIANCES = [1.0, 0.5, 2.0, 0.1]
WEIGHTS = [0.1, 0.2, 0.3, 0.4]
LABELS = ["b", "a", "b", "c"]


@pytest.fixture
def mix() -> GaussianMixture:
    return GaussianMixture(MEANS, VARIANCES, WEIGHTS, LABELS)


def test_defaults_are_equal_weights_unit_variance_and_numbered_labels() -> None:
    plain = GaussianMixture(MEANS)
    np.testing.assert_array_equal(plain.weights, [0.25] * 4)
    np.testing.assert_array_equal(plain.variances, [1.0] * 4)
    assert plain.labels == plain.component_labels == ("0", "1", "2", "3")
    assert plain.dimension == 2
    assert GaussianMixture([[1.0]], labels=["only"]).labels == ("only",)


def test_components_of_one_label_add_their_weights(mix: GaussianMixture) -> None:
    assert mix.labels == ("b", "a", "c")
    assert mix.component_labels == tuple(LABELS)
    np.testing.assert_allclose(mix.label_prior, [0.4, 0.2, 0.4])


def test_log_density_is_that_of_the_noisy_components(mix: GaussianMixture) -> None:
    x = np.random.default_rng(0).normal(size=(3, 5, 2))
    alpha, sigma = 0.7, 0.4
    density = mix.log_density(x, alpha, sigma)
    for k in range(4):
        spread = (alpha**2 * VARIANCES[k] + sigma**2) * np.eye(2)
        np.testing.assert_allclose(density[..., k], multivariate_normal(alpha * np.array(MEANS[k]), spread).logpdf(x))


def test_posterior_is_bayes_rule_conditioned_on_what_the_partition_covers(mix: GaussianMixture) -> None:
    x = np.random.default_rng(1).normal(size=(6, 2))
    density = np.array([multivariate_normal(MEANS[k], (VARIANCES[k] + 0.25) * np.eye(2)).pdf(x) for k in range(4)]).T
    # label b: components 0 and 2 with 1/4 and 3/4 of its prior; sides 1/2 each; label a is left out
    b = 0.5 * (0.25 * density[:, 0] + 0.75 * density[:, 2])
    c = 0.5 * density[:, 3]
    posterior = mix.posterior(x, 1.0, 0.5, Partition.pair("b", "c"))
    np.testing.assert_allclose(posterior, np.stack([b, c], axis=1) / (b + c)[:, None], rtol=1e-10)


def test_coordinates_beyond_the_means_count_as_zero_means() -> None:
    padded = GaussianMixture(np.hstack([MEANS, np.zeros((4, 3))]), VARIANCES, WEIGHTS, LABELS)
    short = GaussianMixture(MEANS, VARIANCES, WEIGHTS, LABELS, dimension=5)
    x = np.random.default_rng(2).normal(size=(7, 5))
    np.testing.assert_allclose(short.log_density(x, 0.5, 0.5), padded.log_density(x, 0.5, 0.5), rtol=1e-12)


def test_a_mixture_cannot_be_changed(mix: GaussianMixture) -> None:
    with pytest.raises(ValueError, match="read-only"):
        mix.means[0, 0] = 3.0
    with pytest.raises(dataclasses.FrozenInstanceError):
        mix.dimension = 3  # type: ignore[misc]


def test_input_arrays_stay_the_callers_own() -> None:
    means, weights = np.array(MEANS), np.array(WEIGHTS)
    mix = GaussianMixture(means, weights=weights)
    means[0, 0], weights[0] = 9.0, 0.9
    assert mix.means[0, 0] == 0.0
    assert mix.weights[0] == 0.1


def test_equal_mixtures_are_equal_and_hash_alike(mix: GaussianMixture) -> None:
    again = GaussianMixture(MEANS, VARIANCES, WEIGHTS, LABELS)
    assert mix == again
    assert hash(mix) == hash(again)
    assert mix != GaussianMixture(MEANS, VARIANCES, WEIGHTS, LABELS, dimension=3)
    assert mix != GaussianMixture(MEANS, VARIANCES, WEIGHTS)
    assert mix != "mixture"


def test_identity_is_json_short_and_tells_mixtures_apart(mix: GaussianMixture) -> None:
    assert json.loads(json.dumps(mix.identity))["means"] == MEANS
    rng = np.random.default_rng(0)
    large = [GaussianMixture(rng.normal(size=(10, 500))) for _ in range(2)]
    texts = [json.dumps(each.identity) for each in large]
    assert max(map(len, texts)) < 2000
    assert texts[0] != texts[1]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"means": [1.0, 2.0]}, r"means has shape \(2,\)"),
        ({"means": np.zeros((0, 2))}, r"means has shape \(0, 2\)"),
        ({"means": [[0.0], [np.nan]]}, r"means\[1\]"),
        ({"means": [[np.inf], [0.0]]}, r"means\[0\]"),
        ({"variance": 0.0}, "variance=0.0"),
        ({"variance": [1.0, -1.0]}, "variance="),
        ({"variance": np.nan}, "variance=nan"),
        ({"variance": [1.0, 1.0, 1.0]}, r"variance has shape \(3,\)"),
        ({"weights": [0.5, 0.6]}, "sum to 1.1"),
        ({"weights": [1.5, -0.5]}, "weights="),
        ({"weights": [0.5, np.nan]}, "weights="),
        ({"weights": [1.0]}, r"weights has shape \(1,\)"),
        ({"labels": ["a"]}, "labels has 1 entries"),
        ({"labels": "ab"}, "list of names, not one str"),
        ({"labels": ["a", "null"]}, "'null'"),
        ({"dimension": 0}, "dimension=0"),
        ({"dimension": 2.5}, "dimension=2.5"),
    ],
)
def test_bad_input_is_named(arguments: dict[str, object], named: str) -> None:
    with pytest.raises(SpecentError, match=named):
        GaussianMixture(**{"means": [[0.0], [1.0]], **arguments})  # type: ignore[arg-type]


def test_states_and_noise_that_do_not_fit_are_refused(mix: GaussianMixture) -> None:
    with pytest.raises(SpecentError, match=r"x has shape \(3,\)"):
        mix.log_density([0.0, 0.0, 0.0], 1.0, 1.0)
    for alpha, sigma, named in ((0.0, 1.0, "alpha=0.0"), (1.0, -1.0, "sigma=-1.0"), (1.0, np.nan, "sigma=nan")):
        with pytest.raises(SpecentError, match=named):
            mix.log_density([0.0, 0.0], alpha, sigma)
    with pytest.raises(SpecentError, match="x holds NaN"):
        mix.log_density([0.0, np.nan], 1.0, 1.0)
    with pytest.raises(PartitionError, match="'d'"):
        mix.posterior([0.0, 0.0], 1.0, 1.0, Partition.pair("a", "d"))


def test_a_label_without_weight_cannot_stand_alone_on_a_side() -> None:
    empty = GaussianMixture([[0.0], [1.0], [2.0]], weights=[0.5, 0.5, 0.0])
    np.testing.assert_allclose(empty.posterior([0.5], 1.0, 1.0, Partition.pair("0", "1")), [0.5, 0.5])
    with pytest.raises(PartitionError, match="side '2'"):
        empty.posterior([0.5], 1.0, 1.0, Partition.pair("0", "2"))
