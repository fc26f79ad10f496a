r"""A synthetic data set: simple pictures whose attributes are known, independent and balanced.

Each picture shows one shape on a background, with a texture and, in a corner, a glyph or none. The attributes differ
in how many pixels they touch and how strongly, so that a diffusion model decides them at different noise: two classes
whose pictures differ by a shift :math:`\Delta` have the entropy :math:`H = F(|\Delta| / 2\sigma)` of arXiv 2602.09651,
which is half a bit near :math:`\sigma = |\Delta| / 2`.

Edges are anti-aliased: a pixel is covered by a shape in proportion to the signed distance of its centre from the edge.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from specent import arguments
from specent.errors import SpecentError

Array = NDArray[np.float64]

ATTRIBUTES: Mapping[str, tuple[str, ...]] = {
    "background": ("dark", "bright"),
    "shape": ("disc", "square", "triangle", "cross"),
    "texture": ("plain", "stripes", "checks"),
    "glyph": ("bare", "dotted"),
}
"""The attributes, coarse to fine, and their values, no two of which are spelt alike."""

SIZES = (16, 32)

# grey values: of the background either way, of texture and glyph on it; shapes are mid-grey
_TONE, _RELIEF, _DOT = 0.7, 0.1, 0.45
# area of every shape as a share of the picture's; how far its centre may be off, as a share of the side, and its scale
_AREA, _JITTER, _STRETCH = 0.25, 0.05, 0.05


def shapes(count: int, size: int = 16, seed: int = 0) -> tuple[Array, dict[str, NDArray[np.str_]]]:
    """Draw pictures of every combination of the attributes, as evenly as their number allows.

    Parameters
    ----------
    count : int
        Number of pictures, at least 48, of which one shows each combination. In a multiple of 48 all combinations are
        equally frequent; otherwise some, at random, have one more.
    size : {16, 32}
        Pixels along a side.
    seed : int
        Seed of the order, the centres and the scales.

    Returns
    -------
    images : ndarray, shape (count, 1, size, size)
        Grey values from -1 (black) to 1 (white).
    attributes : dict of str to ndarray of str, shape (count,)
        Value of each attribute of each picture: background, shape, texture, glyph.

    Raises
    ------
    SpecentError
        If an argument is out of range.

    Examples
    --------
    >>> images, attributes = shapes(96, seed=1)
    >>> images.shape, sorted(attributes), int((attributes["shape"] == "disc").sum())
    ((96, 1, 16, 16), ['background', 'glyph', 'shape', 'texture'], 24)
    """
    combinations = np.array(list(itertools.product(*(range(len(values)) for values in ATTRIBUTES.values()))))
    count = arguments.whole(count, "count", least=len(combinations), most=10_000_000)
    size = arguments.whole(size, "size")
    if size not in SIZES:
        raise SpecentError(f"size={size} must be one of {', '.join(map(str, SIZES))}")
    stream = np.random.default_rng([arguments.whole(seed, "seed"), size])
    rounds, rest = divmod(count, len(combinations))
    more = combinations[stream.permutation(len(combinations))[:rest]]
    combination = stream.permutation(np.concatenate([np.tile(combinations, (rounds, 1)), more]))
    centre = stream.uniform(-_JITTER, _JITTER, size=(count, 2))
    scale = 1 + stream.uniform(-_STRETCH, _STRETCH, size=count)
    images = np.empty((count, 1, size, size))
    for low in range(0, count, 1024):
        part = slice(low, low + 1024)
        images[part, 0] = _draw(combination[part], centre[part], scale[part], size)
    names = {
        name: np.array(values)[column] for (name, values), column in zip(ATTRIBUTES.items(), combination.T, strict=True)
    }
    return images, names


def _draw(combination: NDArray[np.int64], centre: Array, scale: Array, size: int) -> Array:
    """Pictures of these combinations, shape (pictures, size, size)."""
    background, shape, texture, glyph = combination.T
    tone = np.where(background == 1, _TONE, -_TONE)[:, None, None]
    patterns = _textures(size)
    picture = tone + _RELIEF * patterns[texture]
    # a dot in the upper left corner, nearer to mid-grey than the background
    x, y = _centres(size)
    dot = _cover(np.hypot(x + 0.375, y + 0.375) - 0.08, size)
    picture -= _DOT * np.sign(tone) * (glyph == 1)[:, None, None] * dot
    u = (x - centre[:, 0, None, None]) / scale[:, None, None]
    v = (y - centre[:, 1, None, None]) / scale[:, None, None]
    distance = np.empty_like(u)
    for kind, outline in enumerate((_disc, _square, _triangle, _cross)):
        some = shape == kind
        distance[some] = outline(u[some], v[some])
    cover = _cover(distance * scale[:, None, None], size)
    return np.asarray((1 - cover) * picture)


def _centres(size: int) -> tuple[Array, Array]:
    """Coordinates of the pixels from the middle of the picture, its side being 1; y points down."""
    middle = (np.arange(size) + 0.5) / size - 0.5
    x, y = np.meshgrid(middle, middle)
    return x, y


def _cover(distance: Array, size: int) -> Array:
    """Share of each pixel inside an outline from the signed distance of its centre, negative inside."""
    return np.asarray(np.clip(0.5 - distance * size, 0.0, 1.0))


def _textures(size: int) -> Array:
    """The patterns plain, stripes and checks, of values -1, 0 and 1, shape (3, size, size)."""
    sign = np.where(np.arange(size) // (size // 8) % 2 == 0, 1.0, -1.0)
    return np.stack([np.zeros((size, size)), np.tile(sign[:, None], size), np.outer(sign, sign)])


# outlines of one and the same area: signed distances, up to the rounding of corners


def _disc(x: Array, y: Array) -> Array:
    return np.asarray(np.hypot(x, y) - np.sqrt(_AREA / np.pi))


def _square(x: Array, y: Array) -> Array:
    return np.asarray(np.maximum(abs(x), abs(y)) - 0.5 * np.sqrt(_AREA))


def _triangle(x: Array, y: Array) -> Array:
    # equilateral, on its base, around the middle of its height: area 3 sqrt(3) r^2 for the inner radius r
    inner = np.sqrt(_AREA / (3 * np.sqrt(3)))
    below = y - 0.5 * inner
    return np.asarray(np.maximum(below, 0.5 * (np.sqrt(3) * abs(x) - below)) - inner)


def _cross(x: Array, y: Array) -> Array:
    # two bars three times as long as wide: area 5/9 of the square around them
    half = 0.5 * np.sqrt(_AREA * 9 / 5)
    long, short = np.maximum(abs(x), abs(y)), np.minimum(abs(x), abs(y))
    return np.asarray(np.maximum(long - half, short - half / 3))
