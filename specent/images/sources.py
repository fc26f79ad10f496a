"""One line of text that names a data set, as the command line takes it."""

from __future__ import annotations

from specent import checks
from specent.errors import SpecentError
from specent.images.arrays import digits, npz
from specent.images.cifar import cifar10
from specent.images.folders import folder
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
    text = checks.instance(source, str, "data", f"give {FORMS}")
    kind, colon, path = text.partition(":")
    if text == "digits":
        return digits()
    if kind == "cifar10" and path:
        return cifar10(path, progress=progress)
    if kind == "folder" and path:
        options = {"resize": resize, "convert": convert, "skip": skip, "progress": progress}
        return folder(path, size, channels, **options)  # type: ignore[arg-type]
    if text.endswith(".npz"):
        return npz(text)
    hint = f"; write {kind}:PATH" if text in ("cifar10", "folder") or (colon and not path) else ""
    raise SpecentError(f"data={checks.shown(text)} is none of {FORMS}{hint}")
