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
from specent.images.imageset import ImageSet, check_size, listed, scaled
from specent.images.pictures import MOST_BYTES, PictureError, Resize, decode, fit, need_pillow

_MENDS = {
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

    Nothing is changed or left out unless that was asked for, and what was is counted in the notes of the result.

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
        Whether grey pictures are made coloured and coloured ones grey, transparent ones laid on black, and of several
        frames the first is taken.
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
    ...     made = folder(root)
    >>> made.counts, made.shape
    ({'cat': 1, 'dog': 1}, (3, 2, 2))
    """
    need_pillow()
    root = as_folder(path)
    channels, wanted = check_form(size, channels)
    if resize not in get_args(Resize):
        raise SpecentError(f"resize={brief(resize)} must be 'refuse', 'crop' or 'stretch'")
    if resize != "refuse" and wanted is None:
        raise SpecentError(f"resize={resize!r} needs a size, for example size=32")
    convert, skip = arguments.flag(convert, "convert"), arguments.flag(skip, "skip")
    try:
        files, hidden = _files(root)
    except OSError as error:
        raise SpecentError(f"path={str(root)!r} cannot be looked into ({error}); check its permissions") from error
    if wanted is not None:
        check_size(len(files), (channels, *wanted), f"path={str(root)!r}", _EACH)
    reader = _Reader(root, channels, convert, wanted, resize)
    for label, file in tqdm(files, desc="reading pictures", disable=not arguments.flag(progress, "progress"), delay=1):
        reader.take(label, file)
    reader.compare_sizes()
    if reader.bad and not skip:
        raise SpecentError(f"path={str(root)!r} holds {reader.told()}; {reader.mend()}")
    return reader.gathered(hidden)


def as_folder(path: Any, argument: str = "path") -> Path:
    """The argument as an existing folder.

    Examples
    --------
    >>> as_folder("no such folder")
    Traceback (most recent call last):
    specent.errors.SpecentError: path='no such folder' is no folder; check the name
    """
    found = as_path(path, argument)
    if not found.is_dir():
        raise SpecentError(f"{argument}={str(path)!r} is no folder; check the name")
    return found


def as_path(path: Any, argument: str = "path") -> Path:
    """The argument as a path that the operating system can be asked about, ``~`` expanded."""
    if not isinstance(path, (str, os.PathLike)) or not isinstance(text := os.fspath(path), str):
        raise SpecentError(f"{argument}={brief(path)} is a {type(path).__name__}; give a path as text")
    try:
        found = Path(text).expanduser()
        found.exists()
    except (OSError, RuntimeError, ValueError) as error:
        raise SpecentError(f"{argument}={brief(text)} cannot be the name of a file; check it") from error
    if not text:
        raise SpecentError(f"{argument}='' is empty; give a path")
    return found


def check_form(size: object, channels: object) -> tuple[int, tuple[int, int] | None]:
    """Channels, and height and width if given, of the pictures that are asked for."""
    found = arguments.whole(channels, "channels", least=1, most=3)
    if found == 2:
        raise SpecentError("channels=2 must be 1 (grey) or 3 (colour)")
    return found, _size(size)


def _size(size: object) -> tuple[int, int] | None:
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
            f"path={str(root)!r} holds {listed(loose, 'file', 'files')} beside the folders of classes; move them into "
            "one or away"
        )
    files: list[tuple[str, Path]] = []
    hidden = sum(entry.name.startswith(".") for entry in entries)
    for place in classes:
        inside = sorted(place.iterdir(), key=lambda entry: entry.name)
        shown = [entry for entry in inside if not entry.name.startswith(".")]
        hidden += len(inside) - len(shown)
        nested = [f"{place.name}/{entry.name}" for entry in shown if entry.is_dir()]
        if nested:
            raise SpecentError(
                f"path={str(root)!r}: classes hold {listed(nested, 'folder', 'folders')}; one level of folders is read"
            )
        files += [(place.name, entry) for entry in shown]
    _check_classes(root, [place.name for place in classes], {label for label, _ in files}, "")
    return files, hidden


def _check_classes(root: Path, classes: Sequence[str], filled: set[str], why: str) -> None:
    empty = [name for name in classes if name not in filled]
    if empty:
        raise SpecentError(
            f"path={str(root)!r} has {listed(empty, 'class', 'classes')} without pictures{why}; fill them or remove "
            "their folders"
        )


class _Picture(NamedTuple):
    label: str
    name: str
    pixels: NDArray[np.uint8]


@dataclass
class _Reader:
    """The pictures read so far, and what was found and done on the way."""

    root: Path
    channels: int
    convert: bool
    size: tuple[int, int] | None
    resize: Resize
    found: list[_Picture] = field(default_factory=list)
    bad: dict[str, list[str]] = field(default_factory=dict)
    changed: Counter[str] = field(default_factory=Counter)
    bytes_held: int = 0

    def take(self, label: str, file: Path) -> None:
        """Read one picture, or note why it cannot be used."""
        name = f"{label}/{file.name}"
        try:
            pixels = self._pixels(file)
        except PictureError as error:
            self._refuse(error, name)
            return
        self.bytes_held += pixels.nbytes
        check_size(1, (self.bytes_held,), f"path={str(self.root)!r}", _EACH)
        self.found.append(_Picture(label, name, pixels))

    def _refuse(self, error: PictureError, name: str) -> None:
        self.bad.setdefault(error.kind, []).append(f"{name}: {error.detail}" if error.detail else name)

    def _pixels(self, file: Path) -> NDArray[np.uint8]:
        data = _bytes(file)
        try:
            pixels = decode(data, self.channels, convert=False)
        except PictureError as error:
            if not self.convert or error.kind not in _MENDS:
                raise
            pixels = decode(data, self.channels, convert=True)
            self.changed[f"{error.kind}, converted"] += 1
        if self.size is None or pixels.shape[:2] == self.size:
            return pixels
        pixels = fit(pixels, self.size, self.resize)
        self.changed["cropped and scaled" if self.resize == "crop" else "stretched"] += 1
        return pixels

    def compare_sizes(self) -> None:
        """Where no size was asked for, keep the pictures of the commonest one."""
        if self.size is None and self.found:
            self.size = Counter(picture.pixels.shape[:2] for picture in self.found).most_common(1)[0][0]
            kept, self.found = self.found, []
            for picture in kept:
                if picture.pixels.shape[:2] == self.size:
                    self.found.append(picture)
                else:
                    detail = " x ".join(str(side) for side in picture.pixels.shape[:2])
                    self._refuse(PictureError("of another size", detail), picture.name)

    def told(self) -> str:
        """The pictures that cannot be used, by kind."""
        kinds = sorted(self.bad.items())
        size = " x ".join(str(side) for side in self.size or ())
        return "; ".join(
            f"{kind if kind != 'of another size' else f'{kind} than {size}'}: {listed(names, 'picture', 'pictures')}"
            for kind, names in kinds
        )

    def mend(self) -> str:
        """What to do about them."""
        mends = [f"{mend} for those {kind}" for kind, mend in _MENDS.items() if kind in self.bad]
        return ", ".join(["mend or remove them", *mends, "or skip=True to leave them out"])

    def gathered(self, hidden: int) -> ImageSet:
        """All pictures as one set."""
        classes = sorted({place.name for place in self.root.iterdir() if place.is_dir() and place.name[0] != "."})
        _check_classes(self.root, classes, {picture.label for picture in self.found}, " that can be used")
        # in the order in which it will lie, or every later step made a copy of four bytes a number
        pixels = np.stack([picture.pixels.transpose(2, 0, 1) for picture in self.found])
        pixels = np.ascontiguousarray(pixels)
        labels = np.array([classes.index(picture.label) for picture in self.found])
        notes = [
            *(
                f"{count} {'picture' if count == 1 else 'pictures'} {what}"
                for what, count in sorted(self.changed.items())
            ),
            *(
                f"left out as {kind}: {listed(names, 'picture', 'pictures')}"
                for kind, names in sorted(self.bad.items())
            ),
            *([f"{hidden} hidden files passed over"] if hidden else []),
        ]
        return ImageSet(scaled(pixels), labels, tuple(classes), self.root.resolve().name or "pictures", tuple(notes))


def _bytes(file: Path) -> bytes:
    try:
        size = file.stat().st_size
        if not file.is_file():
            raise PictureError("unreadable", "not a regular file")
        if size > MOST_BYTES:
            raise PictureError("too large", f"{size} bytes")
        return file.read_bytes()
    except OSError as error:
        raise PictureError("unreadable", error.strerror or "cannot be opened") from error
