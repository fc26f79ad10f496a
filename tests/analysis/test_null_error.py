"""Path divergence, its split, and the price of guidance, against quadrature and sums over explicit vectors."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

import specent as sp
from specent.analysis import guidance_price
from specent.analysis.null_error import PARTS, null_error, split_distances
from specent.errors import SpecentError

MEAN, VARIANCE, NULL_VARIANCE, GRID = 2.0, 1.0, 2.0, np.geomspace(0.3, 80, 120)


class GaussianWithWrongNull:
    """Two classes N(+-2, 1), and a null condition that takes the data for N(0, 2) instead of their mixture."""

    schedule, conditions, shape, null_condition = sp.schedules.VE(), ["left", "right"], (1,), True

    def __call__(self, x, t, condition):
        sigma2 = t[:, None].double() ** 2
        mean = torch.tensor([-MEAN, MEAN, 0.0], dtype=torch.float64)[condition][:, None]
        variance = torch.tensor([VARIANCE, VARIANCE, NULL_VARIANCE], dtype=torch.float64)[condition][:, None]
        return (mean + variance / (variance + sigma2) * (x.double() - mean)).to(x.dtype)


@pytest.fixture(scope="module")
def wrong():
    model, settings = GaussianWithWrongNull(), [sp.Guidance(), sp.Guidance(2.0), sp.Guidance(2.0, (1.0, 5.0))]
    settings += [sp.Guidance(2.0, (5.0, np.inf)), sp.Guidance(2.0, (0.0, 1.0)), sp.Guidance(4.0)]
    return sp.sample(
        model, schedule=sp.schedules.VE(), time=GRID, samples=500, guidance=settings, check=False, progress=False
    )


def _divergences(sigma):
    """Of each class, and of their mixture, from the null condition at a noise level, in bits, by a sum over a line."""
    x = np.linspace(-60, 60, 400_001)
    step = x[1] - x[0]
    classes = [norm.pdf(x, mean, np.hypot(1.0, sigma)) for mean in (-MEAN, MEAN)]
    log_null = norm.logpdf(x, 0.0, np.sqrt(NULL_VARIANCE + sigma**2))
    densities = [*classes, 0.5 * (classes[0] + classes[1])]
    return [float(np.sum(p * (np.log2(np.maximum(p, 1e-300)) - log_null / np.log(2))) * step) for p in densities]


def test_a_wrong_null_is_as_far_off_as_the_divergence_of_the_distributions(wrong):
    table = null_error(wrong)
    for level in (0.3, 1.0, 2.0):
        at = table.sel(time=level, method="nearest")
        left, right, mixture = _divergences(float(at.sigma))
        expected = {"path_divergence": (left + right) / 2, "null_error": mixture}
        expected |= {"class_information": expected["path_divergence"] - mixture, "cross_term": 0.0}
        for name, value in expected.items():
            for estimator in ("path", "denoiser_gap", "integral"):
                number = at.sel(estimator=estimator)
                # 24 numbers within two 95 % intervals; 120 steps are off by up to 3 %
                error = float(number[f"{name}_upper"] - number[f"{name}_lower"]) / 2
                assert abs(float(number[name]) - value) < 2 * error + 0.03 * abs(value) + 1e-6, (name, estimator, level)


def test_a_null_that_is_the_mixture_has_no_error(gaussian_runs):
    runs = gaussian_runs([[-3.0, 0.0], [3.0, 0.0], [0.0, 4.0]], samples=600, grid=np.geomspace(0.2, 80, 120))
    at = null_error(runs).isel(time=0)
    for estimator in ("path", "denoiser_gap", "integral"):
        number = at.sel(estimator=estimator)
        assert float(number.null_error_lower) - 0.03 < 0 < float(number.null_error_upper) + 0.03
    # three classes that do not overlap at the clean end
    entropy = sp.entropy(runs, "full", "path").entropy.isel(guidance=0, partition=0, estimator=0, time=0)
    assert abs(float(at.class_information.sel(estimator="path")) - (np.log2(3) - float(entropy))) < 1e-9


class ShiftedNull:
    """Two classes N(+-2, 1), and a null condition `shift` times a power of the noise level beside their mixture."""

    schedule, conditions, shape, null_condition = sp.schedules.VE(), ("left", "right"), (1,), True

    def __init__(self, shift, power):
        self.exact = sp.models.mixture(sp.exact.GaussianMixture([[-MEAN], [MEAN]], labels=self.conditions))
        self.shift, self.power = shift, power

    def __call__(self, x, t, condition):
        beside = self.shift * t[:, None].double() ** self.power * (condition == 2)[:, None]
        return (self.exact.denoise(x.double(), float(t[0]), condition) + beside).to(x.dtype)


@pytest.mark.parametrize(("power", "estimators"), [(0, ("path", "denoiser_gap")), (1, ("integral",))])
def test_a_shifted_null_costs_half_the_square_of_the_shift(power, estimators):
    grid, shift = np.geomspace(0.3, 80, 60), 0.4
    runs = sp.sample(
        ShiftedNull(shift, power), schedule=sp.schedules.VE(), time=grid, samples=800, check=False, progress=False
    )
    table = null_error(runs).isel(time=0)
    # per unit of the signal-to-noise ratio, or of its logarithm: either rule is exact for one of them
    length = 0.3**-2 - 80.0**-2 if power == 0 else 2 * np.log(80 / 0.3)
    expected = 0.5 * shift**2 * length / np.log(2)
    for estimator in estimators:
        found = table.sel(estimator=estimator)
        error = float(found.null_error_upper - found.null_error_lower) / 4
        # and what an exact null condition has over 60 steps, see below
        assert abs(float(found.null_error) - expected) < 4 * error + 0.03, estimator
        assert error < 0.1 * expected


def test_large_steps_move_the_sum_over_steps_and_not_the_integral():
    grid, shift = np.geomspace(0.3, 80, 12), 0.4
    runs = sp.sample(
        ShiftedNull(shift, 1), schedule=sp.schedules.VE(), time=grid, samples=2000, check=False, progress=False
    )
    table = null_error(runs).isel(time=0)
    ratio = (80 / 0.3) ** (2 / 11)
    sums = {"integral": 11 * np.log(ratio), "denoiser_gap": 11 * (ratio - 1)}
    for estimator, length in sums.items():
        found = table.sel(estimator=estimator)
        error = float(found.null_error_upper - found.null_error_lower) / 4
        # 12 steps make up to 0.05 bit of error even of an exact null condition
        assert abs(float(found.null_error) - 0.5 * shift**2 * length / np.log(2)) < 4 * error + 0.05, estimator


def test_rates_add_up_to_what_was_gained(wrong):
    table = null_error(wrong)
    gamma = np.exp(table.log_snr.values)
    for name in PARTS:
        rate = table[f"{name}_rate"].values / gamma
        steps = rate[1:] * (gamma[:-1] - gamma[1:])
        assert np.allclose(table[name].sel(estimator="denoiser_gap").values[0], steps.sum(), rtol=1e-9, atol=1e-12)
        middle = 0.5 * (rate * gamma)[1:] + 0.5 * (rate * gamma)[:-1]
        area = np.sum(middle * -np.diff(table.log_snr.values))
        assert np.allclose(table[name].sel(estimator="integral").values[0], area, rtol=1e-9, atol=1e-12)
        assert table[name].attrs["units"] == "bit"
    assert (abs(table.isel(time=-1)[list(PARTS)].to_array()) < 1e-12).all()


@given(st.integers(0, 2**32 - 1), st.integers(2, 6))
def test_the_split_of_distances_is_that_of_the_vectors(seed, count):
    rng = np.random.default_rng(seed)
    vectors, posterior = rng.standard_normal((4, count + 1, 3)), rng.dirichlet(np.ones(count), 4)
    distance = np.sum((vectors[:, :, None] - vectors[:, None]) ** 2, axis=-1)
    made = split_distances(posterior, distance, range(count), count, 1)
    mean = np.einsum("bi,bif->bf", posterior, vectors[:, :count])
    spread = np.sum((vectors[:, :count] - mean[:, None]) ** 2, axis=-1)
    assert np.allclose(made[0], distance[:, 1, count])
    assert np.allclose(made[1], np.sum(posterior * spread, axis=1), atol=1e-9)
    assert np.allclose(made[2], np.sum((vectors[:, count] - mean) ** 2, axis=-1), atol=1e-9)


def test_the_price_is_the_divergence_within_the_interval(wrong):
    price = guidance_price(wrong)
    whole = float(null_error(wrong).path_divergence.sel(estimator="path").isel(time=0))
    paid = dict(zip(price.guidance.values.tolist(), price.price.values.tolist(), strict=True))
    assert np.isclose(paid["w=2"], whole)
    assert np.isclose(paid["w=4"], 9 * whole)
    parts = [name for name in paid if "sigma" in name]
    assert len(parts) == 3
    assert np.isclose(sum(paid[name] for name in parts), whole)


def test_what_guided_paths_pay_is_the_sum_over_their_steps(wrong):
    price = guidance_price(wrong)
    gamma = np.exp(wrong.log_snr.values)
    for name in price.guidance.values.tolist():
        runs = wrong.sel(guidance=name)
        inside = (float(runs.sigma_lo) < GRID) & (float(runs.sigma_hi) >= GRID)
        excess = np.where(inside, float(runs.guidance_scale) - 1.0, 0.0)
        apart = np.stack(
            [runs.denoiser_distance.sel(class_label=c, candidate=c, other_candidate="null") for c in ("left", "right")]
        )
        paths = 0.5 * np.sum((excess**2 * apart)[..., 1:] * (gamma[:-1] - gamma[1:]), axis=-1) / np.log(2)
        at = price.sel(guidance=name)
        error = float(at.price_paid_upper - at.price_paid_lower) / 4 + paths.std() / np.sqrt(paths.size)
        assert abs(float(at.price_paid) - paths.mean()) < 4 * error, name


def _of(runs, candidates):
    return runs.sel(candidate=candidates, other_candidate=candidates)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda runs: runs.sel(guidance=["w=2"]), "none is unguided"),
        (
            lambda runs: runs.sel(candidate=["left", "right"], other_candidate=["left", "right"]),
            "null condition is not",
        ),
        (lambda runs: runs.sel(candidate=["left", "null"], other_candidate=["left", "null"]), "hold 0.5 of the prior"),
        (lambda runs: runs.isel(time=slice(0, 60)), "noisy end was cut off"),
        (lambda runs: runs.assign(log_likelihood=runs.log_likelihood * np.nan), "not finite"),
        (lambda runs: runs.sel(class_label=["left"]), "drove no trajectory"),
        (lambda runs: runs.drop_vars("guidance_scale"), "'guidance_scale' is missing"),
    ],
)
def test_unusable_runs_are_refused(wrong, change, message):
    with pytest.raises(SpecentError, match=message):
        null_error(change(wrong))


def test_a_price_needs_guidance(wrong):
    with pytest.raises(SpecentError, match="no setting is guided"):
        guidance_price(wrong.sel(guidance=["unguided"]))
    alone = guidance_price(wrong.sel(guidance=["w=2"]))
    assert np.isnan(alone.price).all()
    assert np.isfinite(alone.price_paid).all()
