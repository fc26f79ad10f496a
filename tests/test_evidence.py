"""The kernels against Ito's lemma by finite differences, the two-sided formulas, and numpy against torch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.special import expit, logsumexp

from specent import evidence

Array = NDArray[np.float64]

# five candidates of which four are on sides, in two partitions of two sides
WEIGHTS = np.array(
    [
        [[0.10, 0.25, 0.0, 0.0, 0.0], [0.0, 0.0, 0.45, 0.20, 0.0]],
        [[0.50, 0.00, 0.0, 0.0, 0.0], [0.0, 0.3, 0.0, 0.20, 0.0]],
    ]
)
# three sides, one partition
THREE = np.array([[[0.1, 0.2, 0.0, 0.0, 0.0], [0.0, 0.0, 0.3, 0.0, 0.0], [0.0, 0.0, 0.0, 0.4, 0.0]]])


@dataclass(frozen=True)
class State:
    """Log-likelihoods and denoisers of five candidates at one state; candidate 4 is the null condition."""

    evidence: Array
    denoisers: Array

    def gram(self) -> Array:
        return self.denoisers @ self.denoisers.T


def _state(seed: int, size: float = 1.0) -> State:
    rng = np.random.default_rng(seed)
    return State(rng.normal(size=5) * size, rng.normal(size=(5, 6)))


def _mover(driver: int, scale: float) -> tuple[Array, Array]:
    who = np.eye(5)[driver]
    return scale * who + (1 - scale) * np.eye(5)[4], who


def _log_side(values: Array, weights: Array) -> Array:
    side = np.array([logsumexp(values[row > 0], b=row[row > 0]) for row in weights])
    return np.asarray(side - logsumexp(side))


def _entropy(values: Array, weights: Array) -> float:
    log_side = _log_side(values, weights)
    return float(-np.sum(np.exp(log_side) * log_side))


def _ito(function, state: State, mover: Array) -> float:  # type: ignore[no-untyped-def]
    """Minus the drift per unit SNR of ``function(log-likelihoods)``, from its finite-difference derivatives.

    Log-likelihoods relative to any reference r move by (D_c - D_r).(D_g - D_r) - |D_c - D_r|^2 / 2 with noise
    (D_c - D_r).dW; the reference here is candidate 0.
    """
    offset = state.denoisers - state.denoisers[0]
    drift = offset @ (mover @ state.denoisers - state.denoisers[0]) - 0.5 * np.sum(offset**2, axis=1)
    step, unit = 1e-3, np.eye(5)
    slope = [_first(function, state.evidence, unit[c], step) for c in range(5)]
    # the noise has as many independent directions as the denoisers have coordinates
    bend = [_second(function, state.evidence, offset[:, k], step) for k in range(offset.shape[1])]
    return -float(np.dot(slope, drift) + 0.5 * np.sum(bend))


def _first(function, at: Array, along: Array, step: float) -> float:  # type: ignore[no-untyped-def]
    value = [function(at + k * step * along) for k in (-2, -1, 1, 2)]
    return float((value[0] - 8 * value[1] + 8 * value[2] - value[3]) / (12 * step))


def _second(function, at: Array, along: Array, step: float) -> float:  # type: ignore[no-untyped-def]
    value = [function(at + k * step * along) for k in (-2, -1, 0, 1, 2)]
    return float((-value[0] + 16 * value[1] - 30 * value[2] + 16 * value[3] - value[4]) / (12 * step**2))


@pytest.mark.parametrize("weights", [WEIGHTS, THREE], ids=["two sides", "three sides"])
@pytest.mark.parametrize("scale", [0.0, 1.0, 3.0])
@pytest.mark.parametrize("driver", [0, 3])
def test_production_is_itos_lemma_for_any_number_of_sides(weights: Array, scale: float, driver: int) -> None:
    state = _state(7)
    mover, who = _mover(driver, scale)
    log_prior = evidence.log_weights(weights)
    produced, cross = evidence.production(state.evidence, log_prior, state.gram(), mover, who, unguided=False)
    for i, partition in enumerate(weights):
        # differences of order 1e-3 ** 4 in the derivatives, times derivatives and squared distances of order 10
        assert produced[i] == pytest.approx(_ito(lambda v, p=partition: _entropy(v, p), state, mover), abs=1e-7)
        side = int(np.flatnonzero(partition[:, driver] > 0)[0])
        expected = _ito(lambda v, p=partition, z=side: -_log_side(v, p)[z], state, mover)
        assert cross[i] == pytest.approx(expected, abs=1e-7)


@given(
    log_odds=st.floats(-6, 6), prior=st.floats(0.05, 0.95), scale=st.floats(0, 4), side=st.integers(0, 1),
    seed=st.integers(0, 10_000),
)  # fmt: skip
@settings(deadline=None, max_examples=60)
def test_two_sides_follow_the_formula_in_the_log_odds(
    log_odds: float, prior: float, scale: float, side: int, seed: int
) -> None:
    D = np.random.default_rng(seed).normal(size=(3, 4))
    who = np.eye(3)[side]
    mover = scale * who + (1 - scale) * np.eye(3)[2]
    values = np.array([log_odds, 0.0, 0.0])
    log_prior = evidence.log_weights(np.array([[[prior, 0, 0], [0, 1 - prior, 0]]]))
    produced, cross = evidence.production(values, log_prior, D @ D.T, mover, who, unguided=False)
    L = log_odds + np.log(prior / (1 - prior))
    P, d = expit(L), D[0] - D[1]
    drift = d @ (mover @ D - D[1]) - d @ d / 2
    slope, bend = -L * P * (1 - P), -P * (1 - P) * (1 + L * (1 - 2 * P))
    assert produced[0] == pytest.approx(-(slope * drift + bend * (d @ d) / 2), abs=1e-9)
    # -ln P has slope -(1 - P), -ln(1 - P) has slope P, both curve by P (1 - P)
    slope = -(1 - P) if side == 0 else P
    assert cross[0] == pytest.approx(-(slope * drift + P * (1 - P) * (d @ d) / 2), abs=1e-9)


@given(seed=st.integers(0, 10_000), size=st.floats(0.1, 5))
@settings(deadline=None, max_examples=40)
def test_unguided_production_is_the_mean_over_drivers_of_the_general_one(seed: int, size: float) -> None:
    state = _state(seed, size)
    for weights in (WEIGHTS[:1], WEIGHTS[1:], THREE):
        log_prior = evidence.log_weights(weights)
        chance = weights[0].sum(axis=0) * np.exp(state.evidence)
        chance /= chance.sum()
        produced = [
            evidence.production(state.evidence, log_prior, state.gram(), *_mover(c, 1.0), unguided=False)
            for c in range(5)
        ]
        short, _ = evidence.production(state.evidence, log_prior, state.gram(), *_mover(3, 1.0), unguided=True)
        assert np.dot(chance, [row[0][0] for row in produced]) == pytest.approx(short[0], abs=1e-10)
        assert np.dot(chance, [row[1][0] for row in produced]) == pytest.approx(short[0], abs=1e-10)
        # half the posterior variance of the denoisers of the sides, written out
        part = weights[0] * np.exp(state.evidence)
        part /= part.sum()
        centre = part.sum(axis=0) @ state.denoisers
        sides = [row @ state.denoisers / row.sum() for row in part]
        spread = sum(row.sum() * np.sum((D - centre) ** 2) for row, D in zip(part, sides, strict=True))
        assert short[0] == pytest.approx(0.5 * spread, abs=1e-10)


def test_squared_distances_serve_as_well_as_inner_products() -> None:
    state = _state(3)
    mover, who = _mover(2, 2.5)
    apart = np.sum((state.denoisers[:, None] - state.denoisers) ** 2, axis=-1)
    log_prior = evidence.log_weights(WEIGHTS)
    one = evidence.production(state.evidence, log_prior, state.gram(), mover, who, unguided=False)
    other = evidence.production(state.evidence, log_prior, -0.5 * apart, mover, who, unguided=False)
    np.testing.assert_allclose(one, other, rtol=1e-10)


def test_a_driver_on_no_side_has_no_cross_production() -> None:
    state = _state(5)
    mover, who = _mover(2, 1.0)
    _, cross = evidence.production(
        state.evidence, evidence.log_weights(WEIGHTS), state.gram(), mover, who, unguided=False
    )
    assert cross[1] == 0
    assert cross[0] != 0


def test_posterior_is_bayes_rule() -> None:
    state = _state(11)
    log_side, within = evidence.posterior(state.evidence, evidence.log_weights(WEIGHTS))
    joint = WEIGHTS * np.exp(state.evidence)
    expected = joint.sum(axis=2) / joint.sum(axis=(1, 2))[:, None]
    np.testing.assert_allclose(np.exp(log_side), expected, rtol=1e-12)
    np.testing.assert_allclose(within, joint / joint.sum(axis=2, keepdims=True), rtol=1e-12)


def test_posterior_survives_evidence_far_beyond_the_range_of_exponentials() -> None:
    values = np.array([-1e5, -1e5 - 1, 1e5, 0.0, -np.inf])
    log_side, within = evidence.posterior(values, evidence.log_weights(WEIGHTS[:1]))
    np.testing.assert_allclose(np.exp(log_side), [[0, 1]])
    np.testing.assert_allclose(within.sum(axis=-1), 1)
    produced, _ = evidence.production(
        values[:4], evidence.log_weights(WEIGHTS[:1, :, :4]), np.eye(4), np.eye(4)[0], np.eye(4)[0], unguided=False
    )
    # to every finite order the surprisal of an impossible side weighs nothing
    np.testing.assert_allclose(produced, 0)


def test_entropy_of_known_distributions() -> None:
    with np.errstate(divide="ignore"):
        rows = np.log([[0.25, 0.25, 0.25, 0.25], [0.5, 0.5, 0, 0], [1, 0, 0, 0]])
    np.testing.assert_allclose(evidence.entropy(rows), [np.log(4), np.log(2), 0], atol=1e-12)


def test_log_weights_of_zero_is_minus_infinity_without_a_warning() -> None:
    assert evidence.log_weights(np.array([0.0, 1.0])).tolist() == [-np.inf, 0.0]


def test_torch_and_numpy_agree_over_leading_axes() -> None:
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(2)
    values = rng.normal(size=(3, 7, 5)) * 3
    denoisers = rng.normal(size=(3, 7, 5, 6))
    gram = denoisers @ np.swapaxes(denoisers, -1, -2)
    who = np.eye(5)[rng.integers(0, 4, size=(3, 7))]
    mover = 2.0 * who - np.eye(5)[4]
    assert evidence.namespace(values) is np
    assert evidence.namespace(torch.zeros(1)) is torch
    for weights in (WEIGHTS, THREE):
        for unguided in (True, False):
            inputs = (values, evidence.log_weights(weights), gram, mover, who)
            plain = evidence.production(*inputs, unguided=unguided)
            tensors = evidence.production(*(torch.as_tensor(array) for array in inputs), unguided=unguided)
            single = evidence.production(values[1, 4], inputs[1], gram[1, 4], mover[1, 4], who[1, 4], unguided=unguided)
            for kind in range(2):
                assert tensors[kind].dtype == torch.float64
                np.testing.assert_allclose(tensors[kind].numpy(), plain[kind], rtol=1e-12, atol=1e-12)
                np.testing.assert_allclose(plain[kind][1, 4], single[kind], rtol=1e-12, atol=1e-12)
