"""Pictures in arrays: NumPy's ``.npz``, read without its pickles, and the digits that scikit-learn carries."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from specent.errors import SpecentError
from specent.files import as_path
from specent.images.imageset import ImageSet, to_unit_range
from specent.images.stored import array_names, opened_npz, read_array


def npz(path: str | os.PathLike[str]) -> ImageSet:
    """Read pictures from an ``.npz`` file.

    Parameters
    ----------
    path : str or path-like
        A file of ``numpy.savez`` with ``images``, whole numbers 0 .. 255 (uint8) or floats -1 .. 1, of shape (n,
        height, width), (n, channels, height, width) or (n, height, width, channels), and ``labels`` of shape (n,),
        text or whole numbers; optionally ``classes``, the names to which whole numbers point. Others are not read.

    Returns
    -------
    ImageSet
        Named after the file. Without ``classes``, these are the labels themselves, sorted.

    Raises
    ------
    SpecentError
        If the file is missing, damaged or no ``.npz``, holds Python objects, or its arrays do not fit together.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as root:
    ...     np.savez(f"{root}/few.npz", images=np.zeros((3, 4, 4), dtype=np.uint8), labels=["a", "b", "b"])
    ...     npz(f"{root}/few.npz").counts
    {'a': 1, 'b': 2}
    """
    file = as_path(path)
    if not file.is_file():
        raise SpecentError(f"path={str(path)!r} is no file; check the name")
    what = f"path={str(path)!r}"
    with opened_npz(file, what) as archive:
        stored = array_names(archive)
        missing = [name for name in ("images", "labels") if name not in stored]
        if missing:
            raise SpecentError(f"{what} holds {stored[:8]}, not {missing[0]!r}; need 'images' and 'labels'")
        names = [name for name in ("images", "labels", "classes") if name in stored]
        arrays = {name: read_array(archive, name, what) for name in names}
    try:
        images = _images(arrays["images"], what)
        labels, classes = _labels(arrays["labels"], arrays.get("classes"), what)
    except MemoryError as error:
        raise SpecentError(f"{what}: memory ran out; take smaller or fewer pictures") from error
    try:
        return ImageSet(images, labels, classes, file.stem)
    except MemoryError as error:
        raise SpecentError(f"{what}: memory ran out; take smaller or fewer pictures") from error
    except SpecentError as error:
        raise SpecentError(f"{what}: {error}") from error


def _images(images: NDArray[Any], what: str) -> NDArray[np.float32]:
    shape = images.shape
    if images.ndim == 3:
        images = images[:, None]
    elif images.ndim == 4 and shape[1] not in (1, 3) and shape[3] in (1, 3):
        images = images.transpose(0, 3, 1, 2)
    if images.ndim != 4 or images.shape[1] not in (1, 3):
        raise SpecentError(
            f"{what}: images have shape {shape}; need (n, height, width), (n, channels, height, width) or (n, height, "
            "width, channels), with 1 or 3 channels"
        )
    if images.dtype == np.uint8:
        return to_unit_range(images)
    if images.dtype.kind != "f":
        raise SpecentError(f"{what}: images hold {images.dtype}; need uint8 from 0 to 255, or floats from -1 to 1")
    if images.size and images.min() >= 0:
        raise SpecentError(
            f"{what}: images are floats from {images.min():g} to {images.max():g}; -1 is black and 1 is white, so save "
            "2 * images - 1 of pictures from 0 to 1"
        )
    return images.astype(np.float32)


def _labels(labels: NDArray[Any], classes: NDArray[Any] | None, what: str) -> tuple[NDArray[Any], tuple[str, ...]]:
    if labels.ndim != 1 or labels.dtype.kind not in "iuU":
        raise SpecentError(f"{what}: labels of shape {labels.shape} hold {labels.dtype}; need one text or integer each")
    if classes is None:
        names, indices = np.unique(labels, return_inverse=True)
        return indices.astype(np.int64), tuple(str(name) for name in names.tolist())
    if classes.ndim != 1 or classes.dtype.kind != "U":
        raise SpecentError(f"{what}: classes of shape {classes.shape} hold {classes.dtype}; need a list of texts")
    class_names = [str(name) for name in classes.tolist()]
    if labels.dtype.kind == "U":
        unknown = sorted(set(labels.tolist()) - set(class_names))
        if unknown:
            raise SpecentError(f"{what}: label {unknown[0]!r} is not among the classes {class_names[:12]}")
        return np.array([class_names.index(label) for label in labels.tolist()]), tuple(class_names)
    return labels, tuple(class_names)


def digits() -> ImageSet:
    """The 8 x 8 handwritten digits of scikit-learn (E. Alpaydin and C. Kaynak, UCI repository, 1998).

    Returns
    -------
    ImageSet
        1797 grey pictures of ten classes; pixel values 0 .. 16 mapped to -1 .. 1.

    Raises
    ------
    SpecentError
        If scikit-learn is not installed.

    Examples
    --------
    >>> digits()
    ImageSet('digits': 1797 pictures of 1 x 8 x 8 in 10 classes)
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise SpecentError("the digits come with scikit-learn: pip install scikit-learn") from error
    data = load_digits()
    images = (np.asarray(data.images)[:, None] / 8.0 - 1.0).astype(np.float32)
    return ImageSet(images, np.asarray(data.target, dtype=np.int64), tuple("0123456789"), "digits")
