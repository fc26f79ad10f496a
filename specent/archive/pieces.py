"""The values of a dataset, piece by piece: how they are chunked in a file, and how they are computed."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import dask.base
import numpy as np
import xarray as xr

from specent.errors import ArchiveError, SpecentError

Region = tuple[slice, ...]
Piece = tuple[str, Region, np.ndarray]

_CHUNK_BYTES = 4 << 20
_LEAST_BYTES = 1 << 20
_BATCH_BYTES = 64 << 20


def storage_chunks(shape: tuple[int, ...], itemsize: int) -> tuple[int, ...]:
    """Chunk shape of 1 to 4 MB (the whole variable where it is smaller) that keeps the last dimensions together.

    Examples
    --------
    >>> storage_chunks((2, 10, 1000, 64, 11), 8)
    (1, 1, 500, 64, 11)
    """
    chunks: list[int] = []
    width, split = itemsize, False
    for size in reversed(shape):
        # once a dimension is split, the ones before it go one by one
        parts = size if split else -(-size // max(_CHUNK_BYTES // width, 1))
        if parts > 1 and not split:
            parts = _even(size, parts, _LEAST_BYTES // width)
        split = split or parts > 1
        chunks.append(-(-size // parts))
        width *= chunks[-1]
    return tuple(reversed(chunks))


def _even(size: int, parts: int, least: int) -> int:
    """A number of parts, no fewer than `parts`, into which a size can be cut evenly, if they stay large enough."""
    return next((count for count in range(parts, 2 * parts) if size % count == 0 and size // count > least), parts)


def layout(variable: xr.Variable) -> tuple[int, ...]:
    """Storage chunks of a variable; those of a dask array are parts or multiples of its blocks."""
    shape, itemsize = variable.shape, variable.dtype.itemsize
    if variable.chunks is not None:
        shape = _joined(tuple(max(sizes) for sizes in variable.chunks), shape, itemsize)
    return storage_chunks(shape, itemsize)


def _joined(block: tuple[int, ...], shape: tuple[int, ...], itemsize: int) -> tuple[int, ...]:
    """As many blocks as a chunk has room for, along the last dimensions first."""
    room = max(_CHUNK_BYTES // (math.prod(block) * itemsize), 1)
    joined: list[int] = []
    for size, whole in zip(reversed(block), reversed(shape), strict=True):
        count = min(room, -(-whole // size))
        joined.append(min(count * size, whole))
        room //= count
    return tuple(reversed(joined))


def regions(variable: xr.Variable) -> Iterator[Region]:
    """Cut a variable into its storage chunks, or into the blocks of its dask array, each grown to whole chunks.

    Text, of which there is little, is not cut.
    """
    if variable.dtype.kind in "UOT":
        yield tuple(slice(0, size) for size in variable.shape)
        return
    chunks = layout(variable)
    ends = [
        np.unique(np.minimum(-(-np.cumsum(sizes) // step) * step, size))
        for sizes, step, size in zip(
            variable.chunks or _each(chunks, variable.shape), chunks, variable.shape, strict=True
        )
    ]
    for stops in itertools.product(*(zip([0, *end[:-1]], end, strict=True) for end in ends)):
        yield tuple(slice(int(start), int(stop)) for start, stop in stops)


def _each(chunks: tuple[int, ...], shape: tuple[int, ...]) -> list[list[int]]:
    """Sizes of the chunks along every dimension, as dask has them; the last may be counted too large."""
    return [[step] * -(-size // step) for step, size in zip(chunks, shape, strict=True)]


def in_pieces(dataset: xr.Dataset) -> Iterator[Piece]:
    """All values of a dataset, piece by piece, never more than a batch of pieces in memory.

    Pieces of one batch are computed together, so that small variables share the work they have in common.
    """
    batch: list[tuple[str, Region]] = []
    size = 0
    tasks = [(str(name), region) for name, variable in dataset.variables.items() for region in regions(variable)]
    for i, (name, region) in enumerate(tasks):
        batch.append((name, region))
        size += int(np.prod([part.stop - part.start for part in region])) * dataset.variables[name].dtype.itemsize
        if size >= _BATCH_BYTES or i + 1 == len(tasks):
            parts = [dataset.variables[key][where] for key, where in batch]
            for (key, where), values in zip(batch, _computed(parts, batch), strict=True):
                yield key, where, np.asarray(values, dtype=str) if values.dtype.kind in "OT" else values
            batch, size = [], 0


def _computed(parts: list[xr.Variable], batch: list[tuple[str, Region]]) -> list[np.ndarray]:
    """The parts in memory; an error of the computation says so, and is not taken for one of the file."""
    try:
        computed = dask.base.compute(*parts)  # type: ignore[no-untyped-call]
        return [np.asarray(part.values) for part in computed]
    except SpecentError:
        raise
    except Exception as error:  # anything may be raised in there
        name = _failing(parts, batch)
        raise ArchiveError(
            f"dataset: computing the data of {name} failed ({type(error).__name__}: {error}); see "
            f"dataset[{name}].compute()"
        ) from error


def _failing(parts: list[xr.Variable], batch: list[tuple[str, Region]]) -> str:
    """The variable that cannot be computed: each is tried by itself, until one fails."""
    for part, (name, _) in zip(parts, batch, strict=True):
        try:
            part.compute()
        except Exception:  # the first error is the one that is reported
            return repr(name)
    return " or ".join(dict.fromkeys(repr(name) for name, _ in batch))
