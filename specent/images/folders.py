"""A folder of pictures by class: one folder per class, its name the name of the class."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray
from tqdm.auto import tqdm

from specent import arguments
from specent.arguments import brief
from specent.errors import SpecentError
from specent.files import as_path
from specent.images.imageset import ImageSet, check_memory, tally, to_unit_range
from specent.images.pictures import MOST_BYTES, PictureError, Resize, decode, fit, need_pillow

_REMEDIES = {
    "of another size": "resize='crop' or resize='stretch' with a size",
    "grey": "convert=True, or channels=1",
    "in colour": "convert=True, or channels=3",
    "transparent": "convert=True",
    "with several frames": "convert=True for the first frame",
}


# bytes a number: as read, stacked, and in single precision
_EACH = 6


def folder(
    path: str | os.PathLike[str],
    size: int | tuple[int, int] | None = None,
    channels: int = 3,
    *,
    resize: Resize = "refuse",
    convert: bool = False,
    skip: bool = False,
    progress: bool = True,
) -> ImageSet:
    """Read a folder that holds a folder of pictures for every class.

    Nothing is changed or left out unless an option says so; the notes of the result count what was.

    Parameters
    ----------
    path : str or path-like
        The folder. Names of its folders are the classes, sorted. Files whose names begin with a dot are passed over.
    size : int or (int, int), optional
        Side, or height and width, of the pictures; by default that of most of them, if none is resized.
    channels : {1, 3}
        Grey or colour.
    resize : {"refuse", "crop", "stretch"}
        What is done with a picture of another size: it is refused, its middle is scaled, or the whole.
    convert : bool
        Whether grey pictures become coloured and coloured ones grey, transparent ones are laid on black, and only the
        first of several frames is read.
    skip : bool
        Whether pictures that cannot be used are left out and noted, instead of refused.
    progress : bool
        Whether to show a progress bar.

    Returns
    -------
    ImageSet
        Named after the folder.

    Raises
    ------
    SpecentError
        If the folder is missing or without classes, a class has no picture, or a picture is unreadable, cut short, too
        large, of another size, grey or coloured, transparent or with several frames: all of them are named and counted.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as root:
    ...     for label in ("cat", "dog"):
    ...         (Path(root) / label).mkdir()
    ...         _ = (Path(root) / label / "one.ppm").write_bytes(b"P6 2 2 255 " + bytes(12))
    ...     pictures = folder(root)
    >>> pictures.counts, pictures.shape
    ({'cat': 1, 'dog': 1}, (3, 2, 2))
    """
    need_pillow()
    root = as_folder(path)
    channels, target = check_picture_form(size, channels)
    if resize not in get_args(Resize):
        raise SpecentError(f"resize={brief(resize)} must be 'refuse', 'crop' or 'stretch'")
    if resize != "refuse" and target is None:
        raise SpecentError(f"resize={resize!r} needs a size, for example size=32")
    convert, skip = arguments.flag(convert, "convert"), arguments.flag(skip, "skip")
    try:
        files, hidden = _files(root)
    except OSError as error:
        raise SpecentError(f"path={str(root)!r} cannot be looked into ({error}); check its permissions") from error
    if target is not None:
        check_memory(len(files), (channels, *target), f"path={str(root)!r}", _EACH)
    reader = _Reader(root, channels, convert, target, resize)
    for label, file in tqdm(files, desc="reading pictures", disable=not arguments.flag(progress, "progress"), delay=1):
        reader.take(label, file)
    reader.compare_sizes()
    if reader.bad and not skip:
        raise SpecentError(f"path={str(root)!r} holds {reader.problems()}; {reader.remedies()}")
    return reader.image_set(hidden)


def as_folder(path: Any, argument: str = "path") -> Path:
    """The argument as an existing folder.

    Examples
    --------
    >>> as_folder("no such folder")
    Traceback (most recent call last):
    specent.errors.SpecentError: path='no such folder' is no folder; check the name
    """
    root = as_path(path, argument)
    if not root.is_dir():
        raise SpecentError(f"{argument}={str(path)!r} is no folder; check the name")
    return root


def check_picture_form(size: object, channels: object) -> tuple[int, tuple[int, int] | None]:
    """Channels, and height and width if given, of the pictures to read."""
    number = arguments.whole(channels, "channels", least=1, most=3)
    if number == 2:
        raise SpecentError("channels=2 must be 1 (grey) or 3 (colour)")
    return number, _height_and_width(size)


def _height_and_width(size: object) -> tuple[int, int] | None:
    if size is None:
        return None
    sides = size if isinstance(size, (tuple, list)) else (size, size)
    if len(sides) != 2:
        raise SpecentError(f"size={brief(size)} must be one side, or height and width")
    return arguments.whole(sides[0], "size", least=1, most=8192), arguments.whole(sides[1], "size", least=1, most=8192)


def _files(root: Path) -> tuple[list[tuple[str, Path]], int]:
    """Class and file of every picture, sorted, and how many hidden files were passed over."""
    entries = sorted(root.iterdir(), key=lambda entry: entry.name)
    classes = [entry for entry in entries if entry.is_dir() and not entry.name.startswith(".")]
    loose = [entry.name for entry in entries if not entry.is_dir() and not entry.name.startswith(".")]
    if not classes:
        raise SpecentError(f"path={str(root)!r} holds no folders; put the pictures of each class into one")
    if loose:
        raise SpecentError(
            f"path={str(root)!r} holds {tally(loose, 'file', 'files')} beside the folders of classes; move them into "
            "one or away"
        )
    files: list[tuple[str, Path]] = []
    hidden = sum(entry.name.startswith(".") for entry in entries)
    for class_folder in classes:
        inside = sorted(class_folder.iterdir(), key=lambda entry: entry.name)
        shown = [entry for entry in inside if not entry.name.startswith(".")]
        hidden += len(inside) - len(shown)
        nested = [f"{class_folder.name}/{entry.name}" for entry in shown if entry.is_dir()]
        if nested:
            raise SpecentError(
                f"path={str(root)!r}: classes hold {tally(nested, 'folder', 'folders')}; one level of folders is read"
            )
        files += [(class_folder.name, entry) for entry in shown]
    _check_classes(root, [class_folder.name for class_folder in classes], {label for label, _ in files}, "")
    return files, hidden


def _check_classes(root: Path, classes: Sequence[str], filled: set[str], why: str) -> None:
    empty = [name for name in classes if name not in filled]
    if empty:
        raise SpecentError(
            f"path={str(root)!r} has {tally(empty, 'class', 'classes')} without pictures{why}; fill them or remove "
            "their folders"
        )


class _Picture(NamedTuple):
    label: str
    name: str
    pixels: NDArray[np.uint8]


@dataclass
class _Reader:
    """The pictures read so far, those that cannot be used, and the changes to the others."""

    root: Path
    channels: int
    convert: bool
    size: tuple[int, int] | None
    resize: Resize
    pictures: list[_Picture] = field(default_factory=list)
    bad: dict[str, list[str]] = field(default_factory=dict)
    changed: Counter[str] = field(default_factory=Counter)
    bytes_read: int = 0

    def take(self, label: str, file: Path) -> None:
        """Read one picture, or note why it cannot be used."""
        name = f"{label}/{file.name}"
        try:
            pixels = self._pixels(file)
        except PictureError as error:
            self._refuse(error, name)
            return
        self.bytes_read += pixels.nbytes
        check_memory(1, (self.bytes_read,), f"path={str(self.root)!r}", _EACH)
        self.pictures.append(_Picture(label, name, pixels))

    def _refuse(self, error: PictureError, name: str) -> None:
        self.bad.setdefault(error.kind, []).append(f"{name}: {error.detail}" if error.detail else name)

    def _pixels(self, file: Path) -> NDArray[np.uint8]:
        data = _file_bytes(file)
        try:
            pixels = decode(data, self.channels, convert=False)
        except PictureError as error:
            if not self.convert or error.kind not in _REMEDIES:
                raise
            pixels = decode(data, self.channels, convert=True)
            self.changed[f"{error.kind}, converted"] += 1
        if self.size is None or pixels.shape[:2] == self.size:
            return pixels
        pixels = fit(pixels, self.size, self.resize)
        self.changed["cropped and scaled" if self.resize == "crop" else "stretched"] += 1
        return pixels

    def compare_sizes(self) -> None:
        """Without a target size, use only the pictures of the commonest one."""
        if self.size is None and self.pictures:
            self.size = Counter(picture.pixels.shape[:2] for picture in self.pictures).most_common(1)[0][0]
            candidates, self.pictures = self.pictures, []
            for picture in candidates:
                if picture.pixels.shape[:2] == self.size:
                    self.pictures.append(picture)
                else:
                    detail = " x ".join(str(side) for side in picture.pixels.shape[:2])
                    self._refuse(PictureError("of another size", detail), picture.name)

    def problems(self) -> str:
        """The pictures that cannot be used, by kind."""
        kinds = sorted(self.bad.items())
        size = " x ".join(str(side) for side in self.size or ())
        return "; ".join(
            f"{kind if kind != 'of another size' else f'{kind} than {size}'}: {tally(names, 'picture', 'pictures')}"
            for kind, names in kinds
        )

    def remedies(self) -> str:
        """What to do about them."""
        remedies = [f"{remedy} for those {kind}" for kind, remedy in _REMEDIES.items() if kind in self.bad]
        return ", ".join(["repair or remove them", *remedies, "or skip=True to leave them out"])

    def image_set(self, hidden: int) -> ImageSet:
        """All pictures as one set."""
        classes = sorted(
            {
                class_folder.name
                for class_folder in self.root.iterdir()
                if class_folder.is_dir() and class_folder.name[0] != "."
            }
        )
        _check_classes(self.root, classes, {picture.label for picture in self.pictures}, " that can be used")
        # in the final order of axes, or every later step would copy four bytes a number
        pixels = np.stack([picture.pixels.transpose(2, 0, 1) for picture in self.pictures])
        pixels = np.ascontiguousarray(pixels)
        labels = np.array([classes.index(picture.label) for picture in self.pictures])
        notes = [
            *(
                f"{count} {'picture' if count == 1 else 'pictures'} {what}"
                for what, count in sorted(self.changed.items())
            ),
            *(f"left out as {kind}: {tally(names, 'picture', 'pictures')}" for kind, names in sorted(self.bad.items())),
            *([f"{hidden} hidden files passed over"] if hidden else []),
        ]
        return ImageSet(
            to_unit_range(pixels), labels, tuple(classes), self.root.resolve().name or "pictures", tuple(notes)
        )


def _file_bytes(file: Path) -> bytes:
    try:
        size = file.stat().st_size
        if not file.is_file():
            raise PictureError("unreadable", "not a regular file")
        if size > MOST_BYTES:
            raise PictureError("too large", f"{size} bytes")
        return file.read_bytes()
    except OSError as error:
        raise PictureError("unreadable", error.strerror or "cannot be opened") from error
