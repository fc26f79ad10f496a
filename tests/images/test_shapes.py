"""Drawn shapes against brute force: coverage of pixels, areas, balance, and what each attribute changes."""

from __future__ import annotations

import importlib
import itertools
from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

import specent as sp
from specent.errors import SpecentError

module = importlib.import_module("specent.images.shapes")
NAMES = tuple(module.ATTRIBUTES)

Array = NDArray[np.float64]
AREA = 0.25


def inside_disc(x: Array, y: Array) -> Array:
    return x**2 + y**2 < AREA / np.pi


def inside_square(x: Array, y: Array) -> Array:
    return (abs(x) < 0.25) & (abs(y) < 0.25)


def inside_triangle(x: Array, y: Array) -> Array:
    side = np.sqrt(4 * AREA / np.sqrt(3))
    height = side * np.sqrt(3) / 2
    return (abs(y) < height / 2) & (abs(x) < side / 2 * (y + height / 2) / height)


def inside_cross(x: Array, y: Array) -> Array:
    width = np.sqrt(AREA / 5)
    upright = (abs(x) < width / 2) & (abs(y) < 1.5 * width)
    return upright | ((abs(y) < width / 2) & (abs(x) < 1.5 * width))


INSIDE = (inside_disc, inside_square, inside_triangle, inside_cross)


@pytest.mark.parametrize("size", [16, 32])
@pytest.mark.parametrize(("kind", "inside"), list(enumerate(INSIDE)))
def test_pixels_are_covered_as_by_fine_sampling(kind: int, inside: Callable[[Array, Array], Array], size: int) -> None:
    centre, scale, fine = np.array([0.013, -0.031]), 1.04, 32
    points = (np.arange(size * fine) + 0.5) / (size * fine) - 0.5
    x, y = np.meshgrid(points, points)
    hit = inside((x - centre[0]) / scale, (y - centre[1]) / scale).astype(float)
    expected = hit.reshape(size, fine, size, fine).mean(axis=(1, 3))
    picture = module._draw(np.array([[1, kind, 0, 0]]), centre[None], np.array([scale]), size)[0]
    cover = 1 - picture / module._TONE
    # a slanted edge through a pixel is taken for a straight one: wrong by up to 1/4 at corners, evenly on both sides
    assert abs(cover - expected).max() < 0.27
    assert abs(cover - expected).mean() < 0.01
    assert cover.sum() == pytest.approx(AREA * scale**2 * size**2, rel=0.02)


def test_every_combination_is_equally_frequent() -> None:
    _, attributes = sp.images.shapes(48 * 7, seed=3)
    counts = Counter(zip(*(attributes[name].tolist() for name in NAMES), strict=True))
    assert set(counts) == set(itertools.product(*module.ATTRIBUTES.values()))
    assert set(counts.values()) == {7}


def test_a_number_that_does_not_divide_leaves_counts_one_apart() -> None:
    _, attributes = sp.images.shapes(48 * 3 + 17)
    counts = Counter(zip(*(attributes[name].tolist() for name in NAMES), strict=True))
    assert sorted(counts.values()) == [3] * 31 + [4] * 17


def test_no_two_values_are_spelt_alike() -> None:
    values = [value for each in module.ATTRIBUTES.values() for value in each]
    assert len(set(values)) == len(values)
    assert not any(" " in value for value in values)


@pytest.mark.parametrize("size", [16, 32])
def test_each_attribute_changes_what_it_should(size: int) -> None:
    centre, scale = np.array([[0.02, 0.01]]), np.array([0.98])

    def draw(*combination: int) -> Array:
        return np.asarray(module._draw(np.array([combination]), centre, scale, size)[0])

    plain = draw(0, 1, 0, 0)
    # the background changes sign, the mid-grey shape stays
    np.testing.assert_allclose(draw(1, 1, 0, 0), -plain, atol=1e-12)
    for texture in (1, 2):
        relief = draw(0, 1, texture, 0) - plain
        outside = plain == plain.min()
        np.testing.assert_allclose(abs(relief[outside]), module._RELIEF)
        assert abs(relief[plain == 0]).max() == 0
    dot = draw(0, 1, 0, 1) - plain
    touched = np.argwhere(abs(dot) > 0)
    assert touched.max() < size // 4
    # a dot of radius 0.08, brighter than a dark background; its edge is not straight at this scale of 1.3 pixels
    assert dot.sum() == pytest.approx(module._DOT * np.pi * (0.08 * size) ** 2, rel=0.1)


def test_places_and_scales_are_evenly_spread() -> None:
    images, attributes = sp.images.shapes(4800, seed=5)
    some = (attributes["texture"] == "plain") & (attributes["glyph"] == "bare") & (attributes["shape"] == "disc")
    cover = 1 - abs(images[some, 0]) / module._TONE
    centre = (np.arange(16) + 0.5) / 16 - 0.5
    area = cover.sum(axis=(1, 2))
    x = (cover.sum(axis=1) @ centre) / area
    # 200 uniform centres within 0.05: standard deviation 0.0289, standard error of the mean 0.0020, of itself 0.0009
    assert abs(x.mean()) < 4 * 0.0020
    assert x.std() == pytest.approx(0.05 / np.sqrt(3), abs=4 * 0.0009)
    # area goes with the square of the scale, uniform within 5 %: relative standard deviation 2 * 0.0289
    assert area.std() / area.mean() == pytest.approx(0.1 / np.sqrt(3), abs=4 * 0.0018)


def test_the_same_seed_draws_the_same_and_another_one_does_not() -> None:
    first, second, other = (sp.images.shapes(2000, 16, seed) for seed in (1, 1, 2))
    assert np.array_equal(first[0], second[0])
    assert all(np.array_equal(first[1][name], second[1][name]) for name in NAMES)
    assert not np.array_equal(first[0], other[0])
    assert first[0].dtype == np.float64
    assert abs(first[0]).max() <= 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"count": 47}, "count=47"),
        ({"count": 48.0}, "count=48.0"),
        ({"count": 10**9}, "count=1000000000"),
        ({"size": 24}, "size=24 must be one of 16, 32"),
        ({"size": "16"}, "size='16'"),
        ({"seed": -1}, "seed=-1"),
    ],
    ids=str,
)
def test_arguments_that_cannot_be_used_are_named(change: dict[str, object], message: str) -> None:
    with pytest.raises(SpecentError, match=message):
        sp.images.shapes(**{"count": 48, **change})  # type: ignore[arg-type]
