"""The prediction of the collapse against closed forms, and what it says of data sets against their exact entropies."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import specent as sp
from specent.errors import SpecentError
from specent.exact import collapse_sigma


@given(count=st.integers(2, 10**9), variance=st.floats(1e-6, 1e6), features=st.integers(1, 500))
def test_equal_variances_have_a_closed_form(count: int, variance: float, features: int) -> None:
    for share in (0.5, 1.0):
        found = collapse_sigma(count, variances=[variance] * features, share=share)
        # d/2 ln(1 + v / s^2) = share ln n
        assert found == pytest.approx(np.sqrt(variance / np.expm1(2 * share * np.log(count) / features)), rel=1e-9)


@given(st.lists(st.floats(1e-9, 1e9), min_size=2, max_size=30), st.integers(2, 10**6))
def test_the_state_then_knows_that_share_of_the_entropy(variances: list[float], count: int) -> None:
    level = collapse_sigma(count, variances=variances, share=0.7)
    known = sum(np.log1p(variance / level**2) for variance in variances) / 2
    assert known == pytest.approx(0.7 * np.log(count), rel=1e-6)


def test_more_data_collapse_later() -> None:
    levels = [collapse_sigma(count, variances=[4.0, 1.0, 0.25]) for count in (10, 1000, 100_000)]
    assert levels[0] > levels[1] > levels[2]


def test_data_have_their_own_variances_whichever_way_round() -> None:
    rng = np.random.default_rng(1)
    wide = rng.normal(size=(20, 3, 4, 5))
    flat = wide.reshape(20, -1)
    spread = np.linalg.svd(flat - flat.mean(axis=0), compute_uv=False) ** 2 / 20
    assert collapse_sigma(20, data=wide) == pytest.approx(collapse_sigma(20, variances=spread), rel=1e-9)
    tall = flat.T
    spread = np.var(tall @ np.linalg.svd(tall - tall.mean(axis=0))[2].T, axis=0)
    assert collapse_sigma(60, data=tall) == pytest.approx(collapse_sigma(60, variances=spread), rel=1e-9)


def test_gaussian_data_are_half_told_apart_near_the_prediction() -> None:
    data = np.random.default_rng(7).normal(size=(500, 32))
    model = sp.models.finite(data, [f"{i}" for i in range(500)])
    time = np.geomspace(0.5, 20.0, 24)
    profile = sp.exact.profiles(model, sp.schedules.VE(), time, "full", samples=2, seed=3, progress=False)
    level = float(sp.speciation(profile, axis="sigma").half_entropy.squeeze())
    # a random code loses entropy faster than the prediction, which takes its average: 2 % in 64 dimensions, more below
    assert level == pytest.approx(collapse_sigma(500, variances=np.ones(32)), rel=0.06)
    assert level < collapse_sigma(500, variances=np.ones(32))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"count": 1, "variances": [1.0]}, "count"),
        ({"count": 9}, "either variances="),
        ({"count": 9, "variances": [1.0], "data": np.eye(2)}, "either variances="),
        ({"count": 9, "variances": [-1.0]}, "0 to 1e100"),
        ({"count": 9, "variances": [np.nan]}, "0 to 1e100"),
        ({"count": 9, "variances": []}, "along one dimension"),
        ({"count": 9, "variances": [0.0]}, "nothing varies"),
        ({"count": 9, "data": np.ones((4, 3))}, "nothing varies"),
        ({"count": 9, "data": [1.0, 2.0]}, "shape"),
        ({"count": 9, "data": [[np.inf], [1.0]]}, "not finite"),
        ({"count": 9, "variances": [1.0], "share": 0.0}, "share"),
    ],
)
def test_bad_input(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(SpecentError, match=message):
        collapse_sigma(**arguments)
