"""The sums over a finite data set in both precisions, against sums written out in double precision."""

import contextlib
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pytest
import torch
from torch import Tensor

import specent as sp
from specent.models.weighted_sums import WeightedSums

FEATURES = 768
LABELS = np.repeat(["a", "b", "c"], [700, 500, 300])
LEVELS = [0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 80.0]
UNIT = 2.0**-24


def smooth(count: int, seed: int) -> np.ndarray:
    """Pictures of 3 x 16 x 16 whose neighbouring pixels are alike, from -1 to 1, with more digits than 24 bits."""
    spectrum = 1 / np.hypot(np.fft.fftfreq(16)[:, None], np.fft.rfftfreq(16) + 1 / 32)
    rng = np.random.default_rng(seed)
    waves = spectrum * (rng.normal(size=(count, 3, 16, 9)) + 1j * rng.normal(size=(count, 3, 16, 9)))
    fields = np.fft.irfft2(waves, s=(16, 16))
    return np.clip(0.5 * fields / fields.std(), -1, 1)


def near(count: int, seed: int) -> np.ndarray:
    """Smooth pictures, each with neighbours at distances of about 0.014, which noise of 0.01 does not tell apart."""
    rng = np.random.default_rng(seed)
    repeated = np.repeat(smooth(count // 5, seed), 5, axis=0)
    return 0.999 * repeated + rng.normal(size=repeated.shape) * 0.01 / np.sqrt(FEATURES)


def brute_force(images: np.ndarray, x: np.ndarray, sigma: float) -> tuple[np.ndarray, np.ndarray]:
    """Log of the average weight and weighted mean of every label, from distances, shape (states, labels, ...)."""
    data = images.reshape(len(images), -1)
    log_density = np.empty((len(x), 3))
    mean = np.empty((len(x), 3, FEATURES))
    for row, state in enumerate(x):
        score = -((state - data) ** 2).sum(1) / (2 * sigma**2)
        for column, label in enumerate("abc"):
            mine = score[label == LABELS]
            weight = np.exp(mine - mine.max())
            log_density[row, column] = mine.max() + np.log(weight.mean())
            mean[row, column] = weight @ data[label == LABELS] / weight.sum()
    return log_density, mean


def shared(values: np.ndarray) -> np.ndarray:
    """Without the constant that the labels share."""
    return values - values[:, :1]


def states(images: np.ndarray, sigma: float) -> np.ndarray:
    """Forty noisy images, of all labels."""
    rng = np.random.default_rng(7)
    data = images.reshape(len(images), -1)[::37][:40]
    return data + sigma * rng.normal(size=data.shape)


@contextlib.contextmanager
def counted() -> Iterator[list[int]]:
    """Within it, how many images of every block are left out is taken down."""
    left_out: list[int] = []
    sieve = WeightedSums._sieve

    def counting(
        self: WeightedSums, images: Tensor, half_squares: Tensor, pieces: Sequence[tuple[int, int, int]]
    ) -> tuple[Tensor, list[tuple[int, int, int]]]:
        kept, rest = sieve(self, images, half_squares, pieces)
        left_out.append(len(images) - len(kept))
        return kept, rest

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(WeightedSums, "_sieve", counting)
        yield left_out


@pytest.mark.parametrize("kind", [smooth, near])
@pytest.mark.parametrize("sigma", LEVELS)
def test_both_precisions_equal_brute_force_at_any_noise(kind: Callable[[int, int], np.ndarray], sigma: float) -> None:
    images = kind(1500, 3)
    x = states(images, sigma)
    log_density, mean = brute_force(images, x, sigma)
    reach = np.linalg.norm(x, axis=1).max() + np.linalg.norm(images.reshape(1500, -1), axis=1).max()
    # what rounding does to scores in double precision: each is a sum of FEATURES terms of at most reach^2 together
    double = FEATURES * 2.0**-53 * reach**2 / sigma**2
    # single precision rounds images by UNIT times half the range of 2, so it moves them by this at most; a score of a
    # state at the distance r moves by r times that over sigma^2, and log-densities hold images at distances of reach
    moved = np.sqrt(FEATURES) * UNIT * reach / sigma**2
    for precision, tolerance, nats in (("float64", 1e-9, 2 * double + 1e-12), ("float32", 2e-5, 2 * moved + 2e-5)):
        model = sp.models.finite(images, LABELS, precision=precision)
        got_density, got_mean = model.moments(torch.as_tensor(x).reshape(-1, 3, 16, 16), sigma)
        # 1e-5 of the range of the data, which is 2
        np.testing.assert_allclose(got_mean, mean, rtol=0, atol=tolerance)
        np.testing.assert_allclose(shared(got_density.numpy()), shared(log_density), rtol=0, atol=nats)


@pytest.mark.parametrize("sigma", [1.0, 80.0, 1000.0, 10_000.0])
@pytest.mark.parametrize("count", [40, 3])
def test_numbers_that_single_precision_holds_are_not_rounded(sigma: float, count: int) -> None:
    """Then log-densities are those of double precision; of few states, for which no images are left out, too."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, size=(1500, FEATURES), dtype=np.uint8)
    state = torch.as_tensor(states(images.astype(float), sigma))[:count]
    (log_density, _), (single, _) = (
        sp.models.finite(images, LABELS, precision=precision).moments(state, sigma)
        for precision in ("float64", "float32")
    )
    reach = 256 * np.sqrt(FEATURES) + float(state.norm(dim=1).max())
    rounding = FEATURES * 2.0**-53 * reach**2 / sigma**2
    np.testing.assert_allclose(shared(single.numpy()), shared(log_density.numpy()), rtol=0, atol=2 * rounding + 1e-5)


def test_images_that_single_precision_confuses_are_not_left_out() -> None:
    """A tenth lies so close together that scores in single precision are noise, nine tenths lie far away."""
    rng = np.random.default_rng(1)
    centre = 100 + rng.normal(size=FEATURES)
    spread = np.where(np.arange(1500) % 10 == 0, 0.002, 20.0)[:, None]
    images, sigma = centre + spread * rng.normal(size=(1500, FEATURES)), 0.001
    close = np.abs(images - centre).max(axis=1) < 0.1
    x = images[close][:40] + sigma * rng.normal(size=(40, FEATURES))
    log_density, mean = brute_force(images, x, sigma)
    state = torch.as_tensor(x)
    model = sp.models.finite(images, LABELS)
    sums = WeightedSums(model.images, model.half_squares, state, sigma, model.parts[:-1])
    # the errors of single precision are many times what images differ by, and images are left out all the same
    score = state @ model.images.T - model.half_squares
    rough = torch.addmm(model.half_squares.float(), state.float(), model.images.float().T, beta=-1)
    wrong = (rough - score).abs().max(dim=1).values
    assert bool((wrong > 100 * sigma**2).all())
    assert bool((wrong < sums.error).all())
    with counted() as left_out:
        got_density, got_mean = model.moments(state, sigma)
    assert sum(left_out) > 1000
    np.testing.assert_allclose(got_mean, mean, rtol=0, atol=1e-5)
    rounding = FEATURES * 2.0**-53 * (200**2 * FEATURES) / sigma**2
    np.testing.assert_allclose(shared(got_density.numpy()), shared(log_density), rtol=0, atol=rounding)


@pytest.mark.parametrize("precision", ["float64", "float32"])
def test_at_low_noise_most_images_are_left_out_and_at_high_noise_none(precision: str) -> None:
    images = smooth(1500, 3)
    model = sp.models.finite(images, LABELS, precision=precision)
    with counted() as left_out:
        model.moments(torch.as_tensor(states(images, 0.01)), 0.01)
    # every state needs the nearest image of each of three labels, so that at least 1500 - 3 * 40 matter to none
    assert sum(left_out) >= 1300
    with counted() as left_out:
        model.moments(torch.as_tensor(states(images, 80.0)), 80.0)
    assert left_out == []


@pytest.mark.parametrize("sigma", [0.01, 1.0, 30.0])
def test_reduced_precision_of_networks_does_not_reach_the_sums(sigma: float) -> None:
    images = smooth(1500, 3)
    model = sp.models.finite(images, LABELS, precision="float32")
    state = torch.as_tensor(states(images, sigma))
    expected = model.moments(state, sigma)
    units = (torch.backends.cuda.matmul, torch.backends.mkldnn.matmul)
    before = [unit.fp32_precision for unit in units]
    try:
        for unit, reduced in zip(units, ("tf32", "bf16"), strict=True):
            unit.fp32_precision = reduced
        with torch.autocast("cpu", dtype=torch.bfloat16):
            got = model.moments(state, sigma)
        assert [unit.fp32_precision for unit in units] == ["tf32", "bf16"]
    finally:
        for unit, value in zip(units, before, strict=True):
            unit.fp32_precision = value
    for one, other in zip(got, expected, strict=True):
        np.testing.assert_array_equal(one, other)


def test_states_that_are_not_numbers_have_no_denoised_data() -> None:
    images = smooth(1500, 3)
    state = torch.as_tensor(states(images, 0.1))
    state[3, 5] = torch.nan
    log_density, mean = sp.models.finite(images, LABELS).moments(state, 0.1)
    bad = torch.arange(40) == 3
    assert bool(torch.isnan(log_density[bad]).all())
    assert bool(torch.isnan(mean[bad]).all())
    assert bool(torch.isfinite(mean[~bad]).all())
