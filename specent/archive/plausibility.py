"""Whether a file can hold what it states, judged from its declarations and its length before any value is read.

A variable that was never written, or a block of zeros, takes next to nothing on disk, so a small file may declare any
size and fill the memory of whoever loads it. `specent.write` writes every chunk, and zlib makes nothing smaller than a
thousandth. A file that declares more is damaged, or made to do harm.
"""

from __future__ import annotations

import math
from typing import Any

import netCDF4
import numpy as np

from specent.errors import ArchiveError

# deflate stores 258 bytes in two bits at best: 1032 to 1
_MOST_PER_BYTE = 1100
# coordinates are loaded at once, as text of four bytes a letter and more; those of honest files are a fraction of them
_MOST_COORDINATES_PER_BYTE = 8
_ANY_COORDINATES = 1 << 25
# one chunk is unpacked as a whole; those of `specent.write` have 4 MB, those of dask 128 MiB
_LARGEST_CHUNK = 1 << 27
_ONE_READING = 1 << 26


def refuse_implausible_sizes(file: netCDF4.Dataset, size: int, *, sealed: bool) -> None:
    """Raise `ArchiveError` unless a file of `size` bytes can hold the variables that it declares.

    Parameters
    ----------
    file : netCDF4.Dataset
        Open; nothing but the texts of variable length of its coordinates is read.
    size : int
        Its length.
    sealed : bool
        Whether it carries the seal of `specent.write`, which keeps every variable in chunks within the file.
    """
    coordinates = _loaded_at_once(file)
    total = loaded = 0
    for name, variable in file.variables.items():
        if variable.dtype is not str and not isinstance(variable.datatype, np.dtype):
            raise ArchiveError(f"variable {name!r} has the type {variable.datatype!s}, which no archive has")
        if sealed and variable.ndim and not isinstance(variable.chunking(), list):
            raise ArchiveError(f"variable {name!r} is not stored in chunks, as specent.write stores all")
        needed = _bytes(variable, variable.shape)
        total += needed
        if name in coordinates:
            loaded += needed
        chunk = variable.chunking() if variable.ndim else None
        if isinstance(chunk, list) and _bytes(variable, chunk) > _LARGEST_CHUNK:
            raise ArchiveError(f"variable {name!r} has chunks of {_bytes(variable, chunk)} bytes, too many to unpack")
    if total > _MOST_PER_BYTE * size:
        raise _refusal("its variables", total, size)
    if loaded > max(_MOST_COORDINATES_PER_BYTE * size, _ANY_COORDINATES):
        raise _refusal("its coordinates", loaded, size)
    for name in coordinates & file.variables.keys():
        if file.variables[name].dtype is str:
            _check_texts(file.variables[name], size)


def _refusal(what: str, needed: int, size: int) -> ArchiveError:
    return ArchiveError(
        f"{what} would take {needed} bytes, more than a file of {size} bytes can hold: it is damaged, or made to fill "
        "the memory; nothing was read"
    )


def _bytes(variable: Any, shape: Any) -> int:
    # of a text of variable length: where it is, how long it is, and which it is
    return math.prod(map(int, shape)) * (16 if variable.dtype is str else variable.dtype.itemsize)


def _loaded_at_once(file: netCDF4.Dataset) -> set[str]:
    """Names of coordinates: of dimensions, and those that an attribute calls so."""
    named: list[Any] = [file, *file.variables.values()]
    texts = [one.getncattr("coordinates") for one in named if "coordinates" in one.ncattrs()]
    return {*file.dimensions, *(name for text in texts if isinstance(text, str) for name in text.split())}


def _check_texts(variable: Any, size: int) -> None:
    """Refuse texts of variable length that the file has once and names many times."""
    step, total = max(_ONE_READING // size, 1), 0
    if variable.ndim != 1:
        raise ArchiveError(f"variable {variable.name!r} is text in {variable.ndim} dimensions, which no archive has")
    for start in range(0, variable.shape[0], step):
        total += sum(len(text.encode("utf-8", "replace")) for text in variable[start : start + step])
        if total > size:
            raise _refusal(f"the texts of {variable.name!r}", total, size)
