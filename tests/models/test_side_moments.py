"""Entropies of the sides and variances of their denoisers: both forms against a plain computation."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax

import specent as sp
from specent.models import side_moments
from specent.models.digits import digits_data

CPU = torch.device("cpu")


def plainly(density: np.ndarray, mean: np.ndarray, sides: list[tuple[np.ndarray, np.ndarray]]) -> tuple[float, float]:
    """Entropy of the sides and variance of their denoisers of one state, side by side."""
    joint = np.concatenate([density[own] + np.log(weight) for own, weight in sides])
    posterior = np.split(softmax(joint), np.cumsum([len(own) for own, _ in sides])[:-1])
    chance = np.array([part.sum() for part in posterior])
    denoised = np.array([part @ mean[own] / part.sum() for part, (own, _) in zip(posterior, sides, strict=True)])
    middle = chance @ denoised
    return float(-(chance * np.log(chance)).sum()), float(chance @ ((denoised - middle) ** 2).sum(axis=1))


@settings(deadline=None)
@given(st.integers(0, 10**6), st.integers(3, 9), st.booleans())
def test_both_forms_agree_with_a_plain_computation(seed: int, labels: int, shared: bool) -> None:
    rng = np.random.default_rng(seed)
    names = [f"l{i}" for i in range(labels)]
    groups = {"some": names[1 : labels // 2 + 1], "others": names[labels // 2 + 1 :]}
    partitions = [sp.Partition.full(names), sp.Partition.groups(groups), sp.Partition.pair(names[0], names[2])]
    members = [partition.members(names, rng.uniform(0.5, 1.5, labels)) for partition in partitions]
    density = 3 * rng.normal(size=(4, labels))
    mean = np.broadcast_to(rng.normal(size=(1 if shared else 4, labels, 5)), (4, labels, 5))
    tensor = torch.tensor(mean[0])[None].expand(4, -1, -1) if shared else torch.tensor(mean)
    centred = side_moments.centred(tensor)
    dense = side_moments.groups(members, labels, 5, 4, CPU)
    linear = [side_moments.linear_group(row, sides, CPU) for row, sides in enumerate(members)]
    assert all(isinstance(group, side_moments.Alike) for group in dense)
    for group in [*dense, *linear]:
        entropy, variance = group.statistics(torch.as_tensor(density), centred, None)
        for column, row in enumerate(group.rows):
            for i in range(4):
                expected = plainly(density[i], mean[i], members[row])
                # sums of at most nine terms of order one
                assert float(entropy[i, column]) == pytest.approx(expected[0], abs=1e-12)
                assert float(variance[i, column]) == pytest.approx(expected[1], abs=1e-11)


def test_what_costs_less_is_taken() -> None:
    labels = [f"{i}" for i in range(200)]
    full = sp.Partition.full(labels).members(labels)
    halves = [sp.Partition.groups({"a": labels[:i], "b": labels[i:]}).members(labels) for i in range(1, 200)]
    (alone,) = side_moments.groups([full], 200, 3072, 16, CPU)
    assert isinstance(alone, side_moments.SummedSides)
    # each of many partitions of all labels would sum all features anew
    together = side_moments.groups([*halves, *halves], 200, 3072, 16, CPU)
    assert all(isinstance(group, side_moments.Alike) for group in together)
    assert sorted(row for group in together for row in group.rows) == list(range(398))


def test_which_image_of_the_digits() -> None:
    images, labels = digits_data()
    names = [f"{label} {i}" for i, label in enumerate(labels)]
    digits: dict[str, list[str]] = {}
    for name, label in zip(names, labels, strict=True):
        digits.setdefault(str(label), []).append(name)
    partitions = [sp.Partition.groups(digits, name="class"), sp.Partition.full(names)]
    wanted = [*partitions, *(split.partition for split in sp.analysis.splits(partitions)[1:])]
    time = np.geomspace(0.9, 2.2, 6)
    profiles = sp.exact.profiles(
        sp.models.finite(images, names), sp.schedules.VE(), time, wanted, samples=2, seed=1, progress=False
    )
    half = sp.speciation(profiles.isel(partition=[0, 1]), axis="sigma").half_entropy.squeeze().values
    # from an independent computation, to three decimals; 3594 draws leave about .005
    assert half[:2] == pytest.approx([1.612, 1.300], abs=0.02)
    budget = sp.chain(profiles, partitions).squeeze()
    total = profiles.entropy.squeeze().isel(partition=1).values
    # drawn from all images and from each class alone, the same bits: within 1 %
    assert abs(budget.gap.isel(level=1).values / total).max() < 0.01
    given_class = budget.contribution.where(budget.split_level == "full").sum("split").values
    assert np.interp(0.5 * 7.490, given_class, time) == pytest.approx(1.162, abs=0.02)
    prior = (profiles.entropy + profiles.mutual_information).squeeze().isel(time=0).values
    assert prior[:2] == pytest.approx([3.322, 10.811], abs=1e-3)
