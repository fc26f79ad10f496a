"""Chunks of a variable as HDF5 stores them, made here and handed to the library ready-made.

A chunk goes through the filters that its variable declares: Fletcher's checksum is appended, bytes of the same
significance are brought together, and all is deflated. The HDF5 library does the last with zlib, which takes three
quarters of the time of writing. ISA-L deflates ten times as fast and as small. What it gives is deflate like any other,
so every program that reads netCDF reads the file, and nothing in it says which of the two wrote a chunk.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import cast

import h5py
import numpy as np
from isal import isal_zlib
from numpy.typing import NDArray

from specent.archive.locking import LIBRARY
from specent.archive.pieces import Region

_Bytes = NDArray[np.uint8]

_LEVEL = 1
# its stubs take this class for an instance
_INVALID = cast("type[Exception]", isal_zlib.error)
# words of 16 bits that are added at a time
_ROW = 4096
_MODULUS = 65535


class StoredVariable:
    """A variable of an open file, and how it is stored; whole chunks of it go past the filters of the library.

    Parameters
    ----------
    dataset : h5py.Dataset
        Of a file that is open, and stays so.
    """

    def __init__(self, dataset: h5py.Dataset) -> None:
        with LIBRARY:
            self._dataset = dataset
            self.shape: tuple[int, ...] = dataset.shape
            self._dtype: np.dtype = dataset.dtype
            self._chunks: tuple[int, ...] | None = dataset.chunks
            plist = dataset.id.get_create_plist()
            self._filters = [plist.get_filter(i)[0] for i in range(plist.get_nfilters())]

    def parts(self, region: Region) -> Iterator[Region]:
        """Cut a region of whole chunks into these; a variable without dimensions has none, and is one part."""
        steps = self._chunks or ()
        starts = (range(part.start, part.stop, step) for part, step in zip(region, steps, strict=True))
        for corner in itertools.product(*starts):
            yield tuple(
                slice(start, min(start + step, part.stop))
                for start, step, part in zip(corner, steps, region, strict=True)
            )

    def write(self, part: Region, values: np.ndarray) -> None:
        """Store the values of one of the `parts`."""
        if self._chunks is None:
            with LIBRARY:
                self._dataset[part] = values
            return
        stored = self._packed(values, self._chunks)
        with LIBRARY:
            self._dataset.id.write_direct_chunk(self._corner(part), stored)

    def read(self, part: Region) -> np.ndarray:
        """The values of one of the `parts`, as they are on the disk.

        Raises
        ------
        OSError, RuntimeError, ValueError
            If there is no such chunk, or it is damaged.
        """
        if self._chunks is None:
            with LIBRARY:
                return np.asarray(self._dataset[part])
        with LIBRARY:
            skipped, stored = self._dataset.id.read_direct_chunk(self._corner(part))
        values = self._unpacked(stored, skipped).reshape(self._chunks)
        return values[tuple(slice(0, one.stop - one.start) for one in part)]

    @staticmethod
    def _corner(part: Region) -> tuple[int, ...]:
        return tuple(one.start for one in part)

    def _packed(self, values: np.ndarray, chunk: tuple[int, ...]) -> bytes:
        """A chunk as it is stored; one that ends with the variable has its full size all the same."""
        if values.shape != chunk:
            whole = np.zeros(chunk, self._dtype)
            whole[tuple(slice(0, size) for size in values.shape)] = values
            values = whole
        data = np.ascontiguousarray(values, self._dtype).reshape(-1).view(np.uint8)
        for code in self._filters:
            data = _FILTERS[code][0](data, self._dtype.itemsize)
        return data.tobytes()

    def _unpacked(self, stored: bytes, skipped: int) -> np.ndarray:
        """The values of a chunk; `skipped` has a bit for every filter that it did not go through."""
        data = np.frombuffer(stored, np.uint8)
        for i, code in reversed(list(enumerate(self._filters))):
            if not skipped >> i & 1:
                data = _FILTERS[code][1](data, self._dtype.itemsize)
        return data.view(self._dtype)


def fletcher32(data: bytes | _Bytes) -> int:
    """Fletcher's checksum as HDF5 has it: of words of 16 bits, the first byte first, an odd last byte with a zero.

    Both sums are those of one's complement, so they are zero for zeros only. There the order of the two bytes of a word
    only changes the order of those of the sums, so words are read as the processor has them.

    Examples
    --------
    >>> hex(fletcher32(b"abcde"))
    '0x4ff029c7'
    """
    octets = np.frombuffer(data, np.uint8)
    end = octets.size - octets.size % (2 * _ROW)
    rows, last = octets[:end].view("<u2").reshape(-1, _ROW), np.zeros(2 * _ROW, np.uint8)
    last[: octets.size - end] = octets[end:]
    tail = last.view("<u2")
    # sums of columns fit into 32 bits too, which is twice as fast, unless there are very many rows
    wide = np.uint32 if len(rows) < _MODULUS else np.uint64
    along = np.append(rows.sum(axis=1, dtype=np.uint32), tail.sum(dtype=np.uint32)).astype(np.int64)
    across = (rows.sum(axis=0, dtype=wide) + tail).astype(np.int64) % _MODULUS
    if not along.any():
        return 0
    along %= _MODULUS
    # word i of n counts once in the first sum and n - i times in the second
    after = (-(-octets.size // 2) - _ROW * np.arange(along.size)) % _MODULUS
    sums = int(along.sum()), int((after * along).sum()) - int((np.arange(_ROW) * across).sum())
    first, second = (256 * total % _MODULUS or _MODULUS for total in sums)
    return second << 16 | first


def _checked(data: _Bytes, _: int) -> _Bytes:
    """Bytes with their checksum, the last byte first."""
    return np.concatenate([data, np.array([fletcher32(data)], "<u4").view(np.uint8)])


def _without_checksum(data: _Bytes, _: int) -> _Bytes:
    data, checksum = data[:-4], data[-4:]
    if fletcher32(data) != int.from_bytes(checksum.tobytes(), "little"):
        raise ValueError("the checksum of a chunk is not that of its values")
    return data


def _shuffled(data: _Bytes, width: int) -> _Bytes:
    """The first bytes of all numbers, then the second ones, and so on; what is left over stays at the end."""
    if width == 1:
        return data
    whole = data.size - data.size % width
    together = np.empty_like(data)
    together[:whole].reshape(width, -1)[:] = data[:whole].reshape(-1, width).T
    together[whole:] = data[whole:]
    return together


def _unshuffled(data: _Bytes, width: int) -> _Bytes:
    if width == 1:
        return data
    whole = data.size - data.size % width
    numbers = np.empty_like(data)
    # byte by byte is four times as fast as a transposed copy
    for k, column in enumerate(data[:whole].reshape(width, -1)):
        numbers[:whole].reshape(-1, width)[:, k] = column
    numbers[whole:] = data[whole:]
    return numbers


def _deflated(data: _Bytes, _: int) -> _Bytes:
    return np.frombuffer(isal_zlib.compress(data.data, _LEVEL), np.uint8)


def _inflated(data: _Bytes, _: int) -> _Bytes:
    try:
        return np.frombuffer(isal_zlib.decompress(data.data), np.uint8)
    except _INVALID as error:
        raise ValueError(f"a chunk cannot be inflated: {error}") from error


_FILTERS = {
    h5py.h5z.FILTER_FLETCHER32: (_checked, _without_checksum),
    h5py.h5z.FILTER_SHUFFLE: (_shuffled, _unshuffled),
    h5py.h5z.FILTER_DEFLATE: (_deflated, _inflated),
}
