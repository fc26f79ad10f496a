"""CIFAR-10 (A. Krizhevsky, 2009), from the parquet files of the hub or the original Python batches.

The batches are pickles; they are read as records, so that no function they name ever runs. What comes out of either
form is the same, up to the order of the pictures.
"""

from __future__ import annotations

import json
import math
import os
import re
import tarfile
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from tqdm.auto import tqdm

from specent import arguments
from specent.arguments import brief
from specent.errors import ArchiveError, SpecentError, visible
from specent.files import as_path
from specent.images.imageset import ImageSet, check_memory, to_unit_range
from specent.images.pictures import PictureError, decode, need_pillow
from specent.unpickling import InertRecord, unpickle

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
COUNTS = {"train": 50_000, "test": 10_000}
SIDE = 32

_BATCHES = {"train": tuple(f"data_batch_{i}" for i in range(1, 6)), "test": ("test_batch",)}
# a batch of the original has 31 MB
_MOST_BYTES = 2**27
# what a pickled array of NumPy, of any version, names
_ARRAY = {"numpy.core.multiarray._reconstruct", "numpy._core.multiarray._reconstruct"}
_BYTES = {"_codecs.encode"}
_NAMES = _ARRAY | _BYTES | {"numpy.ndarray", "numpy.dtype"}

Rows = tuple[NDArray[np.uint8], list[int]]


def cifar10(
    path: str | os.PathLike[str], *, split: Literal["train", "test"] = "train", progress: bool = True
) -> ImageSet:
    """Read CIFAR-10 from local files.

    Parameters
    ----------
    path : str or path-like
        The hub's data set (``uoft-cs/cifar10``): a folder with ``train-*.parquet``, at any depth, or one such file. Or
        the original Python version: a folder with ``data_batch_1`` .. ``data_batch_5`` and ``batches.meta``, the folder
        above it, or ``cifar-10-python.tar.gz``.
    split : {"train", "test"}
        The 50000 training pictures or the 10000 test pictures.
    progress : bool
        Whether to show a progress bar.

    Returns
    -------
    ImageSet
        Pictures of shape (3, 32, 32) in the ten classes.

    Raises
    ------
    SpecentError
        If the files are missing, damaged or hold something else, or a pickle asks for anything but arrays.

    Examples
    --------
    >>> cifar10("no such folder")
    Traceback (most recent call last):
    specent.errors.SpecentError: path='no such folder' does not exist; check the name
    """
    if split not in COUNTS:
        raise SpecentError(f"split={brief(split)} must be 'train' or 'test'")
    source = as_path(path)
    arguments.flag(progress, "progress")
    if not source.exists():
        raise SpecentError(f"path={str(path)!r} does not exist; check the name")
    parquet = _parquet_files(source, split)
    if parquet:
        pixels, labels, classes = _from_parquet(parquet, progress)
    else:
        pixels, labels, classes = _from_batches(_batches(source, split), progress)
    if min(labels) < 0 or max(labels) >= len(classes):
        raise SpecentError(
            f"path={str(path)!r}: labels run from {min(labels)} to {max(labels)}; there are {len(classes)}"
        )
    partly = f"{len(pixels)} pictures; the whole {split} split has {COUNTS[split]}"
    notes = () if len(pixels) == COUNTS[split] else (partly,)
    name = "cifar10" if split == "train" else "cifar10-test"
    try:
        return ImageSet(to_unit_range(pixels), np.asarray(labels, dtype=np.int64), classes, name, notes)
    except SpecentError as error:
        raise SpecentError(f"path={str(path)!r}: {error}") from error


def _parquet_files(source: Path, split: str) -> list[Path]:
    if source.is_file():
        return [source] if source.suffix == ".parquet" else []
    files = sorted(source.rglob(f"{split}-*.parquet"))
    numbers = [re.fullmatch(rf"{split}-(\d+)-of-(\d+)(-\w+)?\.parquet", file.name) for file in files]
    parts = {(int(match[1]), int(match[2])) for match in numbers if match}
    missing = sorted({(i, total) for _, total in parts for i in range(total)} - parts)
    if missing:
        number, total = missing[0]
        raise SpecentError(f"path={str(source)!r} lacks {split}-{number:05d}-of-{total:05d}.parquet; fetch it too")
    if len(files) > max(1, len(parts)):
        raise SpecentError(
            f"path={str(source)!r} holds several sets of files, {files[0].name} and {files[-1].name} among them; name "
            "the folder of one"
        )
    return files


def _from_parquet(files: list[Path], progress: bool) -> tuple[NDArray[np.uint8], list[int], tuple[str, ...]]:
    need_pillow()
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise SpecentError("parquet files are read by pyarrow: pip install pyarrow") from error
    pixels: list[NDArray[np.uint8]] = []
    labels: list[int] = []
    classes: tuple[str, ...] = CLASSES
    for path in files:
        try:
            with pq.ParquetFile(path) as file:
                classes = _check_columns(file, path)
                check_memory(len(labels) + file.metadata.num_rows, (3, SIDE, SIDE), f"path={str(path)!r}")
                what = f"reading {visible(path.name)}"
                bar = tqdm(total=file.metadata.num_rows, desc=what, disable=not progress, delay=1)
                for batch in file.iter_batches(batch_size=1000, columns=["img", "label"]):
                    for row in batch.to_pylist():
                        pixels.append(_picture(row, len(labels), path))
                        labels.append(_label(row, len(labels), path))
                    bar.update(len(batch))
                bar.close()
        except (pa.ArrowException, OSError) as error:
            raise SpecentError(f"{path} cannot be read as parquet ({' '.join(str(error).split())[:200]})") from error
    if not labels:
        raise SpecentError(f"{files[0]} holds no pictures; fetch it again")
    return np.stack(pixels).transpose(0, 3, 1, 2), labels, classes


def _check_columns(file: Any, path: Path) -> tuple[str, ...]:
    """That the table is that of CIFAR-10, and the names of its classes, which the hub keeps with the schema."""
    columns = set(file.schema_arrow.names)
    if not {"img", "label"} <= columns:
        raise SpecentError(f"{path} has the columns {sorted(columns)[:8]}; those of CIFAR-10 are 'img' and 'label'")
    try:
        features = json.loads((file.schema_arrow.metadata or {})[b"huggingface"])["info"]["features"]
        names = arguments.names(features["label"]["names"], "names")
    except (KeyError, TypeError, ValueError):
        return CLASSES
    if len(names) != len(CLASSES):
        raise SpecentError(f"{path} names {len(names)} classes; CIFAR-10 has {len(CLASSES)}")
    return names


def _picture(row: dict[str, Any], index: int, path: Path) -> NDArray[np.uint8]:
    image = row["img"]
    data = image.get("bytes") if isinstance(image, dict) else None
    if not isinstance(data, bytes):
        raise SpecentError(f"{path}: row {index} holds no bytes of a picture; fetch the data set again")
    try:
        pixels = decode(data, 3, convert=False)
    except PictureError as error:
        raise SpecentError(f"{path}: the picture in row {index} is {error}; fetch the data set again") from error
    if pixels.shape != (SIDE, SIDE, 3):
        raise SpecentError(f"{path}: the picture in row {index} has shape {pixels.shape}; CIFAR-10 has {SIDE} x {SIDE}")
    return pixels


def _label(row: dict[str, Any], index: int, path: Path) -> int:
    label = row["label"]
    if not isinstance(label, int) or isinstance(label, bool):
        raise SpecentError(f"{path}: row {index} has the label {brief(label)}; a whole number is needed")
    return label


def _batches(source: Path, split: str) -> dict[str, bytes]:
    """The files of the original version that are needed, by name."""
    names = (*_BATCHES[split], "batches.meta")
    try:
        batches = _from_tar(source, names) if source.is_file() else _from_folder(source, names)
    except (tarfile.TarError, OSError, EOFError) as error:
        raise SpecentError(f"path={str(source)!r} cannot be read ({type(error).__name__}: {error})") from error
    missing = [name for name in names[:-1] if name not in batches]
    if missing:
        raise SpecentError(
            f"path={str(source)!r} holds neither {split}-*.parquet nor {missing[0]!r}; give the folder of CIFAR-10 "
            "from the hub (uoft-cs/cifar10), or the original Python version, unpacked or as .tar.gz"
        )
    return batches


def _from_folder(source: Path, names: tuple[str, ...]) -> dict[str, bytes]:
    inner = source / "cifar-10-batches-py"
    folder = inner if inner.is_dir() else source
    batches = {}
    for name in names:
        file = folder / name
        if file.is_file():
            _check_bytes(name, file.stat().st_size)
            batches[name] = file.read_bytes()
    return batches


def _from_tar(source: Path, names: tuple[str, ...]) -> dict[str, bytes]:
    """Read from the archive in memory; nothing is unpacked to disk, so no name in it can lead anywhere."""
    batches = {}
    with tarfile.open(source, "r:*") as archive:
        for member in archive:
            name = member.name.rpartition("/")[2]
            if member.isfile() and name in names:
                _check_bytes(name, member.size)
                stream = archive.extractfile(member)
                batches[name] = b"" if stream is None else stream.read()
            if len(batches) == len(names):
                break
    return batches


def _check_bytes(name: str, size: int) -> None:
    if size > _MOST_BYTES:
        raise SpecentError(
            f"{name} has {size} bytes; a batch of CIFAR-10 has at most {_MOST_BYTES}: this is another file"
        )


def _from_batches(batches: dict[str, bytes], progress: bool) -> tuple[NDArray[np.uint8], list[int], tuple[str, ...]]:
    meta = batches.pop("batches.meta", None)
    classes = CLASSES if meta is None else _class_names(_table(meta, "batches.meta"))
    rows = [_rows(_table(data, name), name) for name, data in tqdm(batches.items(), disable=not progress, delay=1)]
    pixels = np.concatenate([part for part, _ in rows]).reshape(-1, 3, SIDE, SIDE)
    return pixels, [label for _, part in rows for label in part], classes


def _table(data: bytes, name: str) -> dict[str, Any]:
    """The mapping that a batch holds, its keys as text."""
    table = unpickle(data, allowed=_NAMES, encoding="bytes", what=name)
    if not isinstance(table, dict):
        raise ArchiveError(
            f"{name} holds a {type(table).__name__}; a batch of CIFAR-10 is a mapping with 'data' and 'labels'"
        )
    wrong = [key for key in table if not isinstance(key, (str, bytes))]
    if wrong:
        raise ArchiveError(f"{name} has an entry {brief(wrong[0])}; those of a batch of CIFAR-10 have names")
    return {key.decode("latin-1") if isinstance(key, bytes) else key: value for key, value in table.items()}


def _class_names(table: dict[str, Any]) -> tuple[str, ...]:
    names = table.get("label_names")
    if not isinstance(names, list) or len(names) != len(CLASSES):
        raise ArchiveError("batches.meta names no ten classes under 'label_names'; fetch it again")
    return tuple(map(_class_name, names))


def _class_name(name: Any) -> str:
    plain = _plain(name)
    text = plain.decode("utf-8", "replace") if isinstance(plain, bytes) else plain
    if not isinstance(text, str) or not text.isprintable() or not 0 < len(text) <= 100:
        raise ArchiveError(f"batches.meta names a class {brief(name)}, which is no name; fetch it again")
    return text


def _rows(table: dict[str, Any], name: str) -> Rows:
    labels = table.get("labels")
    if not isinstance(labels, list) or not all(type(label) is int for label in labels) or not labels:
        raise ArchiveError(f"{name} holds no list of whole numbers under 'labels'; it is no batch of CIFAR-10")
    pixels = _array(table.get("data"), name)
    if pixels.shape != (len(labels), 3 * SIDE * SIDE):
        raise ArchiveError(
            f"{name} holds data of shape {pixels.shape} for {len(labels)} labels; a batch of CIFAR-10 has one row of "
            f"{3 * SIDE * SIDE} per label"
        )
    return pixels, labels


def _array(record: Any, name: str) -> NDArray[np.uint8]:
    """An array of bytes from the record of one: version, shape, type, order and data."""
    problem = f"{name} holds no array of bytes under 'data'; it is no batch of CIFAR-10"
    if not isinstance(record, InertRecord) or record.name not in _ARRAY or not isinstance(record.state, tuple):
        raise ArchiveError(problem)
    if len(record.state) != 5:
        raise ArchiveError(problem)
    _, shape, kind, fortran, data = record.state
    data = _plain(data)
    code = _plain(kind.arguments[0]) if isinstance(kind, InertRecord) and kind.arguments else None
    # few and short ones only: a product of many long numbers takes forever
    sizes = isinstance(shape, tuple) and len(shape) <= 4
    sizes = sizes and all(type(side) is int and 0 <= side <= _MOST_BYTES for side in shape)
    if code not in (b"u1", "u1") or not sizes or not isinstance(data, bytes) or math.prod(shape) != len(data):
        raise ArchiveError(problem)
    return np.frombuffer(data, np.uint8).reshape(shape, order="F" if fortran else "C")


def _plain(value: Any) -> Any:
    """Bytes as Python 3 writes them into old pickles: a call that encodes text."""
    if (
        isinstance(value, InertRecord)
        and value.name in _BYTES
        and value.arguments
        and isinstance(value.arguments[0], str)
    ):
        try:
            return value.arguments[0].encode("latin-1")
        except UnicodeEncodeError:
            return None
    return value
