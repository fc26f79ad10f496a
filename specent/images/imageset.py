"""What every reader of pictures returns: numbers from -1 to 1, the class of each picture, and where they are from."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from specent import arguments, memory
from specent.arguments import brief
from specent.errors import SpecentError


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Pictures by class.

    Parameters
    ----------
    images : ndarray of float32, shape (n, channels, height, width)
        From -1 (black) to 1 (white).
    labels : ndarray of int64, shape (n,)
        Place of each picture's class among `classes`.
    classes : tuple of str
        Names of the classes, none of them empty of pictures.
    name : str
        Name of the data set.
    notes : tuple of str
        Changes to the pictures and those left out, for the card of a model that is trained on them.

    Attributes
    ----------
    sha256 : str
        SHA-256 of the pictures as 32-bit little-endian floats, the labels as 64-bit little-endian whole numbers and
        the names of the classes, one per line. It does not depend on the format of the file.

    Raises
    ------
    SpecentError
        If shapes do not fit, a number is not finite or outside -1 .. 1, or a class has no picture or is named null.

    Examples
    --------
    >>> pair = ImageSet(np.zeros((2, 1, 4, 4)), np.array([0, 1]), ("cat", "dog"), "two")
    >>> pair.label_names.tolist(), pair.counts
    (['cat', 'dog'], {'cat': 1, 'dog': 1})
    """

    images: NDArray[np.float32]
    labels: NDArray[np.int64]
    classes: tuple[str, ...]
    name: str
    notes: tuple[str, ...] = ()
    sha256: str = field(init=False)

    def __post_init__(self) -> None:
        try:
            images, labels = np.asarray(self.images), np.asarray(self.labels)
        except ValueError as error:
            raise SpecentError("images and labels must be arrays; these lists have parts of unequal length") from error
        classes = arguments.names(self.classes, "classes")
        if images.ndim != 4 or images.shape[1] not in (1, 3) or 0 in images.shape or images.dtype.kind not in "fiu":
            raise SpecentError(
                f"images of shape {images.shape} and type {images.dtype}: need numbers of shape (n, channels, height, "
                "width) with 1 or 3 channels"
            )
        if labels.shape != images.shape[:1] or labels.dtype.kind not in "iu":
            raise SpecentError(f"labels of shape {labels.shape} and type {labels.dtype}: need {len(images)} integers")
        _check_range(images)
        if len(set(classes)) < len(classes):
            raise SpecentError(f"classes={brief(list(classes))} must be distinct")
        if "null" in classes:
            raise SpecentError("a class is named 'null', which stands for no condition; give it another name")
        if labels.min() < 0 or labels.max() >= len(classes):
            raise SpecentError(f"labels run from {labels.min()} to {labels.max()}; there are {len(classes)} classes")
        empty = [
            name for name, count in zip(classes, np.bincount(labels, minlength=len(classes)), strict=True) if not count
        ]
        if empty:
            raise SpecentError(f"{tally(empty, 'class', 'classes')} without pictures; leave them out or fill them")
        object.__setattr__(self, "images", np.ascontiguousarray(images, dtype="<f4"))
        object.__setattr__(self, "labels", np.ascontiguousarray(labels, dtype="<i8"))
        object.__setattr__(self, "classes", classes)
        object.__setattr__(self, "name", arguments.name(self.name, "name"))
        object.__setattr__(self, "notes", tuple(str(note) for note in self.notes))
        digest = hashlib.sha256(self.images.data)
        digest.update(self.labels.data)
        digest.update("\n".join(classes).encode())
        object.__setattr__(self, "sha256", digest.hexdigest())

    @property
    def label_names(self) -> NDArray[np.str_]:
        """Name of the class of each picture, shape (n,), as `specent.models.finite` takes it."""
        return np.asarray(self.classes)[self.labels]

    @property
    def counts(self) -> dict[str, int]:
        """How many pictures each class has."""
        numbers = np.bincount(self.labels, minlength=len(self.classes)).tolist()
        return dict(zip(self.classes, numbers, strict=True))

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of a picture."""
        _, channels, height, width = self.images.shape
        return channels, height, width

    def __len__(self) -> int:
        return len(self.images)

    def __repr__(self) -> str:
        size = " x ".join(str(length) for length in self.shape)
        return f"ImageSet({self.name!r}: {len(self)} pictures of {size} in {len(self.classes)} classes)"


def _check_range(images: NDArray[np.generic]) -> None:
    flat = images.reshape(len(images), -1)
    low, high = flat.min(axis=1), flat.max(axis=1)
    bad = ~((low >= -1) & (high <= 1))  # a NaN is neither
    if bad.any():
        first = int(np.argmax(bad))
        raise SpecentError(
            f"images[{first}] runs from {float(low[first]):g} to {float(high[first]):g}; pictures run from -1 (black) "
            "to 1 (white), without NaN"
        )


def to_unit_range(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Pixels 0 .. 255 as numbers from -1 to 1.

    Examples
    --------
    >>> to_unit_range(np.array([0, 51, 255], dtype=np.uint8)).round(6).tolist()
    [-1.0, -0.6000000238418579, 1.0]
    """
    out = pixels.astype(np.float32)
    out *= np.float32(2 / 255)
    out -= 1
    # 255 x 2 / 255 in single precision must not pass 1
    return np.asarray(np.clip(out, -1, 1, out=out))


def tally(names: Sequence[object], one: str, many: str, most: int = 8) -> str:
    """A count, what it counts, and the first few of it.

    Examples
    --------
    >>> tally(["a.png", "b.png"], "picture", "pictures")
    "2 pictures ('a.png', 'b.png')"
    """
    first = ", ".join(repr(str(name)) for name in names[:most]) + (", ..." if len(names) > most else "")
    return f"{len(names)} {one if len(names) == 1 else many} ({first})"


def check_memory(count: int, shape: Sequence[int], what: str, each: int = 4) -> None:
    """Refuse a set that would not fit into memory, before it is read, at so many bytes a number."""
    pictures = f"{what}: {count} pictures of {' x '.join(str(length) for length in shape)}"
    needed = each * count * math.prod(int(length) for length in shape)
    memory.check_fits(needed, pictures, "take smaller or fewer pictures")
