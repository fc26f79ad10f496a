"""Classes at right angles: against two components in closed form, plain draws, mixtures and a sum rule."""

import numpy as np
import pytest
from scipy.special import log_softmax

import specent as sp
from specent.errors import SpecentError
from specent.exact import orthogonal_entropy, orthogonal_phi, orthogonal_profiles

VE = sp.schedules.VE()


def test_two_classes_are_two_components() -> None:
    half_distance = np.array([0.25, 0.5, 1.0, 2.0, 3.0])
    # the closed form of the returns, by an independent computation to six digits
    returns = [0.529473, 0.602027, 0.775200, 0.965701, 0.997924]
    assert np.allclose(orthogonal_phi(2, np.sqrt(2) * half_distance), returns, atol=6e-7)
    expected = sp.exact.two_component_entropy(half_distance)
    assert np.allclose(orthogonal_entropy(2, np.sqrt(2) * half_distance), expected, atol=1e-7)


@pytest.mark.parametrize("classes", [2, 10, 10**9])
def test_all_that_is_lost_is_what_there_was(classes: int) -> None:
    # the returns integrated over all ratios are the entropy of the labels
    assert orthogonal_entropy(classes, 0.0) == pytest.approx(np.log2(float(classes)), abs=1e-7)
    assert orthogonal_phi(classes, 0.0) == pytest.approx(1 / classes)
    assert orthogonal_phi(classes, 1e9) == 1
    assert orthogonal_entropy(classes, 1e9) == 0


@pytest.mark.parametrize(("classes", "kappa"), [(3, 1.0), (10, 2.0), (100, 2.27), (1000, 2.69), (1000, 3.57)])
def test_plain_draws_agree(classes: int, kappa: float) -> None:
    rng = np.random.default_rng(classes)
    logits = kappa * rng.standard_normal((8000, classes))
    logits[:, 0] += kappa**2
    log_posterior = log_softmax(logits, axis=1)
    share = np.exp(log_posterior)
    for drawn, expected in (
        (share[:, 0], orthogonal_phi(classes, kappa)),
        ((share**2).sum(axis=1), orthogonal_phi(classes, kappa)),
        (-(share * log_posterior).sum(axis=1) / np.log(2), orthogonal_entropy(classes, kappa)),
    ):
        assert abs(drawn.mean() - expected) < 4 * drawn.std() / np.sqrt(len(drawn))


@pytest.mark.parametrize("axis", ["log_snr", "sigma"])
def test_profiles_are_those_of_the_mixture(axis: str) -> None:
    time = np.geomspace(0.2, 5.0, 12)
    found = orthogonal_profiles(5, VE, time, radius=2.0, variance=0.3, rate_axis=axis)
    mix = sp.exact.GaussianMixture(2 * np.eye(5), 0.3)
    expected = sp.exact.profiles(mix, VE, time, "full", samples=1024, rate_axis=axis, seed=2)
    for name in ("entropy", "entropy_rate", "mutual_information"):
        # the bounds are Student's with three degrees of freedom, 3.2 standard errors
        reach = 1.5 * (expected[f"{name}_upper"] - expected[name]).values + 1e-6
        assert (abs(found[name].values - expected[name].values) < reach).all(), name
    assert found.entropy_rate.attrs["units"] == expected.entropy_rate.attrs["units"]


def test_of_many_classes_the_entropy_goes_before_the_returns() -> None:
    kappa = np.linspace(1.0, 6.0, 2001)
    for classes, half, returns in ((10, 1.795, 1.992), (100, 2.270, 2.867), (1000, 2.681, 3.538)):
        found = np.interp(-0.5 * np.log2(classes), -orthogonal_entropy(classes, kappa), kappa)
        phi = orthogonal_phi(classes, kappa[::20])
        bound = np.interp(0.5 * (1 + 1 / classes), phi, kappa[::20])
        # numbers of an independent simulation that are good to a percent
        assert found == pytest.approx(half, rel=0.01)
        assert bound == pytest.approx(returns, rel=0.01)


@pytest.mark.parametrize(
    ("classes", "ratio", "message"),
    [(1, 1.0, "classes"), (2.5, 1.0, "classes"), (2, -1.0, "ratio"), (2, np.nan, "ratio"), (2, np.inf, "ratio")],
)
def test_bad_input(classes: int, ratio: float, message: str) -> None:
    for function in (orthogonal_phi, orthogonal_entropy):
        with pytest.raises(SpecentError, match=message):
            function(classes, ratio)


def test_it_is_never_rarer_than_a_guess() -> None:
    # the integral alone may be below 0 by its tolerance
    assert orthogonal_phi(10**30, [0.0, 1e-300, 1e300]).tolist() == pytest.approx([1e-30, 1e-30, 1], rel=1e-12)


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"radius": 0.0}, "radius"), ({"variance": -1.0}, "variance"), ({"rate_axis": "x"}, "axis")],
)
def test_bad_settings(settings: dict[str, object], message: str) -> None:
    with pytest.raises(SpecentError, match=message):
        orthogonal_profiles(3, VE, [1.0, 2.0], **settings)
