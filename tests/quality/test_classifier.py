"""The classifier of the digits: it is right on images it has not seen, and its features tell classes apart."""

from __future__ import annotations

import functools
import re

import numpy as np
import pytest
import torch

import specent as sp
from specent.errors import SpecentError
from specent.models.digits import digits_data
from specent.quality import (
    classifier,
    digits_classifier,
    frechet_distance,
    picture_classifier,
    precision_recall,
)


@pytest.fixture(scope="module")
def pictures() -> torch.Tensor:
    return torch.as_tensor((digits_data()[0] + 1) / 2)


def test_it_is_nearly_always_right_on_images_it_was_not_trained_on() -> None:
    digits = digits_classifier()
    # a plain perceptron reaches 0.97
    assert digits.held_out.value > 0.97
    assert digits.held_out.lower < digits.held_out.value
    assert digits.identity["held_out_accuracy"] == digits.held_out.value


def test_it_tells_the_shipped_images_and_their_inverses_apart(pictures: torch.Tensor) -> None:
    digits = digits_classifier()
    names = digits_data()[1]
    assert (digits.classify(pictures) == names).mean() > 0.98
    assert (digits.classify(1 - pictures) == names).mean() < 0.5
    known, inverse = digits(pictures), digits(1 - pictures)
    assert known.shape == (1797, 32)
    halves = known[::2], known[1::2]
    assert float(frechet_distance(*halves)) < 0.05 * float(frechet_distance(halves[0], inverse))
    assert precision_recall(*halves)[0].value > 0.9
    assert precision_recall(halves[0], inverse)[0].value < 0.1


@pytest.fixture
def few_epochs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Classifiers trained for a tenth of the usual time, and forgotten afterwards."""
    monkeypatch.setattr(classifier, "_EPOCHS", 4)
    remembered = functools.lru_cache(maxsize=4)(classifier._classifier_of_seed.__wrapped__)
    monkeypatch.setattr(classifier, "_classifier_of_seed", remembered)


@pytest.mark.usefixtures("few_epochs")
def test_a_seed_makes_one_classifier_whatever_was_drawn_before() -> None:
    torch.manual_seed(123)
    expected = torch.rand(3)
    first = digits_classifier(1)
    torch.manual_seed(123)
    assert digits_classifier(1) is first
    classifier._classifier_of_seed.cache_clear()
    again = digits_classifier(1)
    assert torch.equal(torch.rand(3), expected)
    assert again is not first
    assert again.identity == first.identity
    assert digits_classifier(0).identity["weights_sha256"] != first.identity["weights_sha256"]


@pytest.mark.usefixtures("few_epochs")
def test_it_is_trained_even_where_gradients_are_off() -> None:
    with torch.no_grad():
        # one in ten is right by chance
        assert digits_classifier().held_out.lower > 0.5


def test_what_is_no_digit_is_refused(pictures: torch.Tensor) -> None:
    digits = digits_classifier()
    for bad, message in (
        (pictures[:, 0], "pictures of shape (1797, 8, 8)"),
        (np.zeros((2, 1, 8, 8)), "a tensor of shape"),
        (2 * pictures, "pictures run from 0 to 2"),
        (torch.full((1, 1, 8, 8), torch.nan), "pictures run from nan to nan"),
    ):
        with pytest.raises(SpecentError, match=re.escape(message)):
            digits(bad)  # type: ignore[arg-type]
    with pytest.raises(SpecentError, match="seed=-1"):
        digits_classifier(-1)
    with pytest.raises(SpecentError, match=r"seed=\[1\] must be a whole number"):
        digits_classifier([1])  # type: ignore[arg-type]
    assert sp.quality.digits_classifier is digits_classifier


def test_a_classifier_of_shapes_knows_shapes_it_has_not_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(classifier, "_EPOCHS", 12)
    images, attributes = sp.images.shapes(480, seed=1)
    shapes = picture_classifier(images, attributes["background"], name="tones")
    fresh, others = sp.images.shapes(96, seed=2)
    # a background differs from the other by two thirds of the grey values of most of a picture
    assert (shapes.classify(torch.as_tensor((fresh + 1) / 2)) == others["background"]).all()
    assert shapes.held_out.value == 1.0
    assert shapes.labels == ("bright", "dark")
    assert shapes.identity["name"] == "tones"
    with pytest.raises(SpecentError, match=r"pictures of shape \(2, 1, 8, 8\).*\(batch, 1, 16, 16\) is needed"):
        shapes(torch.zeros(2, 1, 8, 8))


@pytest.mark.parametrize(
    ("shape", "names", "message"),
    [
        ((200, 1, 6, 8), ["a", "b"] * 100, r"images has shape \(200, 1, 6, 8\).*multiples of 4"),
        ((200, 3, 8, 8), ["a", "b"] * 100, r"images has shape \(200, 3, 8, 8\)"),
        ((200, 1, 8, 8), ["a", "b"] * 99, r"labels has shape \(198,\)"),
        ((200, 1, 8, 8), ["a"] * 200, "1 classes"),
        ((200, 1, 8, 8), ["a"] * 196 + ["b"] * 4, "of 4 images at least"),
        ((100, 1, 8, 8), ["a", "b"] * 50, "128 in all"),
    ],
)
def test_what_cannot_be_learned_from_is_refused(shape: tuple[int, ...], names: list[str], message: str) -> None:
    with pytest.raises(SpecentError, match=message):
        picture_classifier(np.zeros(shape), names)


def test_greys_out_of_range_are_refused_before_training() -> None:
    with pytest.raises(SpecentError, match=r"images run from 0 to 2; -1 \(black\)"):
        picture_classifier(np.full((200, 1, 4, 4), 2.0) * (np.arange(200) % 2)[:, None, None, None], ["a", "b"] * 100)
