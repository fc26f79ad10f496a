"""One line of text that names a data set, as the command line takes it."""

from __future__ import annotations

from specent import arguments
from specent.arguments import brief
from specent.errors import SpecentError
from specent.images.arrays import digits, npz
from specent.images.cifar import cifar10
from specent.images.folders import check_picture_form, folder
from specent.images.imageset import ImageSet
from specent.images.pictures import Resize

FORMS = "'digits', 'cifar10:PATH', 'folder:PATH' or a file ending in .npz"


def read(
    source: str,
    *,
    size: int | None = None,
    channels: int = 3,
    resize: Resize = "refuse",
    convert: bool = False,
    skip: bool = False,
    progress: bool = True,
) -> ImageSet:
    """Read a data set by a line of text.

    Parameters
    ----------
    source : str
        ``"digits"``, ``"cifar10:PATH"``, ``"folder:PATH"`` or a file ending in ``.npz``.
    size, channels, resize, convert, skip
        How a folder is read, see `folder`.
    progress : bool
        Whether to show a progress bar.

    Returns
    -------
    ImageSet

    Raises
    ------
    SpecentError
        If the text names no data set, or that cannot be read.

    Examples
    --------
    >>> read("digits").counts["3"]
    183
    """
    text = arguments.instance(source, str, "data", f"give {FORMS}")
    kind, _, path = text.partition(":")
    _, target = check_picture_form(size, channels)
    if kind == "folder" and path:
        options = {"resize": resize, "convert": convert, "skip": skip, "progress": progress}
        return folder(path, size, channels, **options)  # type: ignore[arg-type]
    if text == "digits":
        images = digits()
    elif kind == "cifar10" and path:
        images = cifar10(path, progress=progress)
    elif text.endswith(".npz"):
        images = npz(text)
    else:
        hint = {"cifar10": "; write cifar10:PATH", "folder": "; write folder:PATH", "digits": "; write digits alone"}
        raise SpecentError(f"data={brief(text)} is none of {FORMS}{hint.get(kind, '')}")
    if target is not None and images.shape[1:] != target:
        have = " x ".join(map(str, images.shape[1:]))
        raise SpecentError(f"size={size}: {images.name!r} has pictures of {have}; only those of a folder are resized")
    return images
