"""A finite data set as a model, against brute force over all images at once."""

import numpy as np
import pytest
import torch

import specent as sp
from specent.errors import ModelError, SpecentError

RNG = np.random.default_rng(5)
IMAGES = RNG.normal(size=(37, 1, 2, 3))
LABELS = RNG.choice(["x", "y", "z"], size=37)


def brute_force(x: np.ndarray, sigma: float, keep: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    data = IMAGES[keep].reshape(keep.sum(), -1)
    density = np.exp(-((x[:, None] - data) ** 2).sum(-1) / (2 * sigma**2))
    return density.mean(1), (density @ data) / density.sum(1, keepdims=True)


@pytest.mark.parametrize("block", [1, 5, 4096])
@pytest.mark.parametrize("sigma", [0.4, 3.0])
def test_posteriors_and_denoisers_equal_brute_force_whatever_the_block(block: int, sigma: float) -> None:
    model = sp.models.finite(IMAGES, LABELS, block=block)
    x = RNG.normal(size=(8, 6))
    state = torch.as_tensor(x).reshape(8, 1, 2, 3)
    every = model.candidates(state, sigma, torch.arange(4)).reshape(8, 4, 6).numpy()
    density = model.log_density(state, sigma).numpy()
    expected_density = []
    for column, label in enumerate(["x", "y", "z", None]):
        keep = label == LABELS if label else np.full(37, True)
        value, mean = brute_force(x, sigma, keep)
        np.testing.assert_allclose(every[:, column], mean, rtol=1e-9, atol=1e-12)
        expected_density.append(np.log(value))
    shift = density - np.stack(expected_density[:3], axis=1)
    np.testing.assert_allclose(shift, np.broadcast_to(shift[:, :1], shift.shape), atol=1e-9)


def test_label_priors_are_the_frequencies() -> None:
    model = sp.models.finite(IMAGES, LABELS)
    np.testing.assert_allclose(model.label_prior, [(name == LABELS).mean() for name in "xyz"], rtol=1e-12)


def test_at_vanishing_noise_the_denoiser_returns_the_nearest_image_without_overflow() -> None:
    model = sp.models.finite(IMAGES, LABELS)
    state = torch.as_tensor(IMAGES[:4]) + 1e-4
    out = model.denoise(state, 0.002, torch.full((4,), 3))
    np.testing.assert_allclose(out, IMAGES[:4], atol=1e-8)


def test_the_identity_does_not_depend_on_the_order_of_classes_but_on_the_pixels() -> None:
    first = sp.models.finite(IMAGES, LABELS).identity["sha256"]
    other = IMAGES.copy()
    other[3, 0, 0, 0] += 1e-9
    assert sp.models.finite(IMAGES, LABELS).identity["sha256"] == first
    assert sp.models.finite(other, LABELS).identity["sha256"] != first


def test_bad_images_are_refused() -> None:
    broken = IMAGES.copy()
    broken[7, 0, 1, 1] = np.nan
    with pytest.raises(SpecentError, match=r"images\[7\]"):
        sp.models.finite(broken, LABELS)
    with pytest.raises(SpecentError, match="shape"):
        sp.models.finite(IMAGES, LABELS[:-1])
    with pytest.raises(SpecentError, match="block"):
        sp.models.finite(IMAGES, LABELS, block=0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": [np.nan, "b"]}, r"labels\[0\]=nan must be a name"),
        ({"labels": ["a", None]}, r"labels\[1\]=None must be a name"),
        ({"labels": ["a\0", "b"]}, r"labels\[0\]="),
        ({"block": np.nan}, "block=nan must be a whole number"),
        ({"block": 1.5}, "block=1.5 must be a whole number"),
        ({"images": np.ma.masked_array([[1.0], [2.0]], [[True], [False]])}, "masked"),
        ({"images": [[1.0 + 1j], [2.0]]}, "images=.* real numbers, not complex128"),
        ({"images": np.array([["2020-01-01"], ["2021-01-01"]], "datetime64[D]")}, "images=.* real numbers"),
        ({"images": [["1"], ["2"]]}, "images=.* real numbers"),
        ({"images": [[1.0], [2.0, 3.0]]}, "images="),
        ({"images": [[1e200], [0.0]]}, r"up to 1e\+200, too large"),
        ({"images": np.empty((2, 0))}, r"shape \(2, 0\)"),
        ({"name": 1.5}, "name=1.5 must be a name"),
    ],
    ids=str,
)
def test_arguments_that_cannot_be_used_are_named(change: dict[str, object], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        sp.models.finite(**{"images": [[-1.0], [1.0]], "labels": ["a", "b"], **change})


@pytest.mark.parametrize("labels", [[3, 7], np.array([[3], [7]]), torch.tensor([3, 7]), ["3", "7"]], ids=str)
def test_labels_may_be_whole_numbers(labels: object) -> None:
    assert sp.models.finite([[-1.0], [1.0]], labels).labels == ("3", "7")
