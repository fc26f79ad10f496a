"""Entanglement of attributes against exact mixtures whose numbers were computed elsewhere."""

import numpy as np
import pytest

import specent as sp
from specent.designs import factorial, joint
from specent.errors import SpecentError

LABELS, (TONE, SIZE) = factorial({"tone": ["dark", "light"], "size": ["small", "large"]})
XOR = sp.Partition.groups({"like": ["dark small", "light large"], "unlike": ["dark large", "light small"]}, name="xor")
SIGMA = 4.0


def mixture(degrees: float) -> sp.exact.GaussianMixture:
    """Means +-4u +-4v with u and v at an angle, unit variance."""
    u, v = np.array([1.0, 0.0]), np.array([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))])
    means = [4 * a * u + 4 * b * v for a in (-1, 1) for b in (-1, 1)]
    return sp.exact.GaussianMixture(means, labels=list(LABELS))


# entropy of an attribute, entanglement and entropy of the exclusive or at sigma 4, from an independent computation
NUMBERS = {90: (0.533535, 0.0, 0.768161), 60: (0.570709, 0.037174, 0.751791), 30: (0.659277, 0.125742, 0.716256)}


@pytest.mark.parametrize("degrees", NUMBERS)
def test_exact_numbers(degrees: int) -> None:
    wanted = [TONE, SIZE, joint(TONE, SIZE), XOR]
    profiles = sp.exact.profiles(
        mixture(degrees), sp.schedules.VE(), [SIGMA, 100.0], wanted, samples=2**16, seed=degrees
    )
    found = sp.analysis.entanglement(profiles, TONE, SIZE)
    entropy, shared, exclusive = NUMBERS[degrees]
    at = profiles.squeeze(("guidance", "estimator")).isel(time=0)
    error = {name: float(at.entropy_upper[i] - at.entropy[i]) for i, name in enumerate(("tone", "size", "both", "xor"))}
    assert float(at.entropy[0]) == pytest.approx(entropy, abs=error["tone"] + 1e-6)
    assert float(at.entropy[3]) == pytest.approx(exclusive, abs=error["xor"] + 1e-6)
    # the bounds are Student's with three degrees of freedom, 3.2 standard errors; their sum is ample for the difference
    within = error["tone"] + error["size"] + error["both"] + 1e-6
    assert float(found.entanglement.isel(time=0).squeeze()) == pytest.approx(shared, abs=within)
    assert within < 0.004


def test_sampled_paths_find_it_within_their_intervals() -> None:
    time = sp.schedules.edm_grid(96, SIGMA, 200.0)
    runs = sp.sample(
        sp.models.mixture(mixture(30)), schedule=sp.schedules.VE(), time=time, samples=400, partitions=["full"],
        seed=4, progress=False,
    )  # fmt: skip
    found = sp.analysis.entanglement(runs, TONE, SIZE).squeeze(("guidance", "estimator"))
    end = found.isel(time=0)
    error = float(end.entanglement_upper - end.entanglement_lower) / 3.92
    assert float(end.entanglement) == pytest.approx(NUMBERS[30][1], abs=4 * error)
    assert error < 0.01
    assert float(found.entanglement.isel(time=-1)) == pytest.approx(0.0, abs=1e-9)


def test_the_order_does_not_matter() -> None:
    profiles = sp.exact.profiles(
        mixture(60), sp.schedules.VE(), [SIGMA, 100.0], [TONE, SIZE, joint(TONE, SIZE), joint(SIZE, TONE)], samples=64
    )
    there = sp.analysis.entanglement(profiles, TONE, SIZE).entanglement
    back = sp.analysis.entanglement(profiles, SIZE, TONE).entanglement
    assert np.allclose(there, back, atol=1e-12)


def test_bad_input() -> None:
    profiles = sp.exact.profiles(mixture(60), sp.schedules.VE(), [SIGMA, 100.0], [TONE, SIZE], samples=64)
    with pytest.raises(SpecentError, match="no profile of 'tone and size'"):
        sp.analysis.entanglement(profiles, TONE, SIZE)
    with pytest.raises(SpecentError, match="cover different labels"):
        sp.analysis.entanglement(profiles, TONE, sp.Partition.pair("dark small", "light small"))
    uneven = sp.Partition(TONE.name, TONE.sides, (0.7, 0.3))
    with pytest.raises(SpecentError, match="leave out prior="):
        sp.analysis.entanglement(profiles, uneven, SIZE)
    with pytest.raises(SpecentError, match="estimator= is for trajectories"):
        sp.analysis.entanglement(profiles, TONE, SIZE, estimator="path")
    everything = sp.exact.profiles(
        mixture(60), sp.schedules.VE(), [SIGMA, 100.0], [TONE, SIZE, joint(TONE, SIZE)], samples=64
    )
    other = dict(zip(LABELS, (0.7, 0.1, 0.1, 0.1), strict=True))
    with pytest.raises(SpecentError, match="label_prior"):
        sp.analysis.entanglement(everything, TONE, SIZE, label_prior=other)
