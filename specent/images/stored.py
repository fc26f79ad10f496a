"""Arrays in NumPy's ``.npz``, of which nothing is unpacked or run before its sizes were looked at."""

from __future__ import annotations

import math
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from specent.arguments import brief
from specent.errors import SpecentError
from specent.images.imageset import check_memory
from specent.untrusted import open_regular

# numbers of a network or pixels are at best a hundredth; zeros are a thousandth, and may be small
_MOST_PER_BYTE = 200
_ANY_SIZE = 1 << 26
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


@contextmanager
def opened_npz(file: Path, what: str) -> Iterator[zipfile.ZipFile]:
    """A ``.npz`` file, to be read within the ``with`` block, in which every failure to read it is a `SpecentError`."""
    try:
        with open_regular(file) as stream, zipfile.ZipFile(stream) as archive:
            yield archive
    except SpecentError:
        raise
    except MemoryError as error:
        raise SpecentError(f"{what}: memory ran out; take smaller or fewer pictures") from error
    except (
        zipfile.BadZipFile, zlib.error, OSError, EOFError, ValueError, TypeError, KeyError, OverflowError, SyntaxError,
        NotImplementedError, RuntimeError,
    ) as error:  # fmt: skip
        raise SpecentError(f"{what} cannot be read as an .npz file ({type(error).__name__}: {error})") from error


def array_names(archive: zipfile.ZipFile) -> list[str]:
    """Names of the arrays in a ``.npz`` file, sorted."""
    return sorted({name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")})


def read_array(archive: zipfile.ZipFile, name: str, what: str) -> NDArray[Any]:
    """One array, after its head was compared with the size of what follows: a lie there would ask for any memory.

    Raises
    ------
    SpecentError
        If it holds Python objects or nothing, is damaged, or is so much larger than what it is packed into that only a
        file made to fill the memory is.
    """
    info = archive.getinfo(f"{name}.npy")
    _check_packing(archive, info, f"{what}: {name!r}")
    with archive.open(info) as stream:
        shape, dtype = _head(stream)
        start = stream.tell()
        if dtype.hasobject:
            raise SpecentError(
                f"{what}: {name!r} holds Python objects, which are not read; save plain arrays of numbers or text, "
                "not objects"
            )
        if any(type(length) is not int or not 0 < length < 2**63 for length in shape) or not dtype.itemsize:
            raise SpecentError(f"{what}: {name!r} of shape {brief(shape)} and type {dtype} holds nothing")
        if start + math.prod(shape) * dtype.itemsize != info.file_size:
            raise SpecentError(
                f"{what}: {name!r} is damaged: {info.file_size} bytes are too few or too many for {brief(shape)}"
            )
    # as in the file, in single precision, and once more while its axes are reordered
    check_memory(1, (math.prod(shape),), what, dtype.itemsize + 8)
    with archive.open(info) as stream:
        array: NDArray[Any] = np.lib.format.read_array(stream, allow_pickle=False)
    return array


def _check_packing(archive: zipfile.ZipFile, info: zipfile.ZipInfo, what: str) -> None:
    if info.compress_type not in _METHODS:
        raise SpecentError(f"{what} is packed in another way than numpy.savez_compressed does; save it with that")
    stream: Any = archive.fp
    position = stream.tell()
    # what the list of contents says of the packed size may be a lie, too
    packed = min(info.compress_size, stream.seek(0, 2))
    stream.seek(position)
    if info.file_size > max(_ANY_SIZE, _MOST_PER_BYTE * packed):
        raise SpecentError(
            f"{what} has {packed} bytes and would unpack to {info.file_size}: it is made to fill the memory; if it is "
            "not, save it with numpy.savez"
        )


def _head(stream: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    version = np.lib.format.read_magic(stream)
    # the later versions have longer heads, for structures of thousands of fields
    if version != (1, 0):
        raise ValueError(f"version {version} of the format is not read")
    shape, _, dtype = np.lib.format.read_array_header_1_0(stream)
    return shape, dtype
