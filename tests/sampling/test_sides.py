"""The production of every shape of partition against the dense kernel of `specent.evidence`."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from specent import evidence
from specent.partitions import NULL, Partition
from specent.sampling.sides import Sides, Step

Array = NDArray[np.float64]

LABELS = ("a", "b", "c", "d", "e", "f")
CANDIDATES = ("b", NULL, "a", "c", "d", "e", "f", "unused")
PRIOR = np.array([0.05, 0.0, 0.1, 0.2, 0.25, 0.25, 0.05, 0.1])
PARTITIONS = (
    Partition.full(LABELS),
    Partition.full(LABELS, prior=[0.3, 0.2, 0.2, 0.1, 0.1, 0.1]),
    Partition.pair("a", "b"),
    Partition.pair("f", "c", prior=(0.9, 0.1)),
    Partition.pair("d", "null", prior=(0.3, 0.7)),
    *(Partition.one_vs_rest(label, LABELS) for label in LABELS),
    Partition.one_vs_rest("c", LABELS, prior=None),
    Partition("rest first", (("rest", ("a", "c")), ("one", ("e",))), (0.8, 0.2)),
    Partition.groups({"one": ["a", "b"], "two": ["c", "d"], "three": ["f"]}),
    Partition.groups({"one": ["a", "b"], "two": ["c", "d", "e"]}, prior=(0.5, 0.5)),
    Partition.groups({"labels": ["a", "b"], "null": ["null"]}, prior=(0.5, 0.5)),
)
SIDES = Sides(PARTITIONS, CANDIDATES, PRIOR, torch.device("cpu"))


def _step(seed: int, size: float, scale: float, unguided: bool) -> tuple[Step, Array]:
    """A step at which every candidate drives one trajectory, and the weights of the candidates in the movement."""
    stream, count = np.random.default_rng(seed), len(CANDIDATES)
    denoised = stream.normal(size=(count, count, 5))
    driver = np.arange(count)
    own = denoised[driver, driver]
    mover = scale * np.eye(count) + (1 - scale) * np.eye(count)[1]
    moved = (mover[:, None] @ denoised)[:, 0] - own
    step = Step(
        torch.as_tensor(size * stream.normal(size=(count, count))),
        torch.as_tensor(denoised - own[:, None]),
        torch.as_tensor(moved),
        torch.as_tensor(driver),
        unguided,
    )
    return step, mover


def _dense(step: Step, mover: Array) -> tuple[Array, Array, Array]:
    """Production, cross-production and entropy by the kernel that takes all inner products of the candidates."""
    delta, likelihood = step.delta.numpy(), step.log_likelihood.numpy()
    rows = []
    for partition in PARTITIONS:
        log_prior = evidence.log_weights(partition.weights(CANDIDATES, PRIOR)[None])
        both = evidence.production(
            likelihood, log_prior, delta @ delta.transpose(0, 2, 1), mover, np.eye(len(mover)), step.unguided
        )
        entropy = evidence.entropy(evidence.posterior(likelihood, log_prior)[0])
        rows.append([part[:, 0] for part in (*both, entropy)])
    produced, cross, entropy = np.array(rows).transpose(1, 2, 0)
    return produced, cross, entropy


@given(
    seed=st.integers(0, 2**32), size=st.floats(0, 15), scale=st.floats(-1, 5), unguided=st.booleans()
)  # fmt: skip
@settings(deadline=None, max_examples=60)
def test_every_shape_of_partition_is_the_dense_kernel(seed: int, size: float, scale: float, unguided: bool) -> None:
    step, mover = _step(seed, size, 1.0 if unguided else scale, unguided)
    produced, cross, entropy = _dense(step, mover)
    ours = SIDES.production(step)
    # squared distances are of order 10 to 100, and surprisals up to twice `size` multiply them
    np.testing.assert_allclose(ours[0].numpy(), produced, rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose(ours[1].numpy(), cross, rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose(SIDES.entropy(step.log_likelihood).numpy(), entropy, atol=1e-12)


@pytest.mark.parametrize("lead", [30.0, 300.0, 5000.0])
def test_the_distance_to_the_rest_has_all_digits_where_a_label_is_certain(lead: float) -> None:
    """A path that is driven by one label and certain of another: of the rest hardly anything is left."""
    step, mover = _step(5, 1.0, 0.0, False)
    step.log_likelihood[:, CANDIDATES.index("a")] += lead
    values, delta = step.log_likelihood.numpy(), step.delta.numpy()
    driver = CANDIDATES.index("c")
    one = CANDIDATES.index("a")
    rest = [CANDIDATES.index(label) for label in LABELS if label != "a"]
    within = PRIOR[rest] * np.exp(values[driver, rest])
    others = within @ delta[driver, rest] / within.sum()
    apart = delta[driver, one] - others
    # the side of the driver has no posterior left: its log-posterior moves as that of the other's denoiser tells
    towards = -apart @ (mover[driver] @ delta[driver] - delta[driver, one])
    expected = towards - 0.5 * apart @ apart
    names = [partition.name for partition in PARTITIONS]
    cross = SIDES.production(step)[1][driver, names.index("a | rest")]
    assert float(cross) == pytest.approx(expected, rel=1e-9)


def test_partitions_of_all_shapes_are_told_apart() -> None:
    """The full set and all of one against the rest are one group, as pairs are: their work does not add up."""
    groups = [sorted(group.rows) for group in SIDES.groups]
    full, ones = [0, *range(5, 12)], [12]
    assert sorted(itertools.chain(*groups)) == list(range(len(PARTITIONS)))
    assert full in groups
    assert ones in groups
    assert [2, 3, 4] in groups
