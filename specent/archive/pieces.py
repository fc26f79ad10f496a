"""The values of a dataset, piece by piece: how they are chunked in a file, and how they are computed."""

from __future__ import annotations

from collections.abc import Iterator

import dask.base
import numpy as np
import xarray as xr

from specent.errors import ArchiveError, SpecentError

Region = tuple[slice, ...]
Piece = tuple[str, Region, np.ndarray]

_CHUNK_BYTES = 4 << 20
_BATCH_BYTES = 64 << 20


def storage_chunks(shape: tuple[int, ...], itemsize: int) -> tuple[int, ...]:
    """Chunk shape of 1 to 4 MB (the whole variable where it is smaller) that keeps the last dimensions together.

    Examples
    --------
    >>> storage_chunks((2, 10, 1000, 64, 11), 8)
    (1, 1, 500, 64, 11)
    """
    room = max(_CHUNK_BYTES // itemsize, 1)
    chunks: list[int] = []
    for size in reversed(shape):
        parts = -(-size // room)
        chunks.append(-(-size // parts))
        # once a dimension is split, the ones before it go one by one
        room = 1 if parts > 1 else max(room // size, 1)
    return tuple(reversed(chunks))


def layout(variable: xr.Variable) -> tuple[int, ...]:
    """Storage chunks of a variable; within the blocks of a dask array, so that no chunk is written twice."""
    shape = variable.shape
    if variable.chunks is not None:
        block = tuple(max(sizes) for sizes in variable.chunks)
        if np.prod(block) * variable.dtype.itemsize >= 1 << 20:
            shape = block
    return storage_chunks(shape, variable.dtype.itemsize)


def regions(variable: xr.Variable) -> Iterator[Region]:
    """Cut a variable into the blocks of its dask array, or into its storage chunks."""
    blocks = variable.chunks
    if blocks is None:
        blocks = tuple(
            tuple(min(step, size - start) for start in range(0, size, step))
            for size, step in zip(variable.shape, layout(variable), strict=True)
        )
    ends = [np.cumsum(sizes) for sizes in blocks]
    for index in np.ndindex(*[len(sizes) for sizes in blocks]):
        stops = [int(end[i]) for end, i in zip(ends, index, strict=True)]
        yield tuple(slice(stop - sizes[i], stop) for stop, sizes, i in zip(stops, blocks, index, strict=True))


def in_pieces(dataset: xr.Dataset) -> Iterator[Piece]:
    """All values of a dataset, piece by piece, never more than a batch of pieces in memory.

    Pieces of one batch are computed together, so that small variables share the work they have in common.
    """
    batch: list[tuple[str, Region]] = []
    size = 0
    tasks = [(str(name), region) for name, variable in dataset.variables.items() for region in regions(variable)]
    for i, (name, region) in enumerate(tasks):
        batch.append((name, region))
        size += int(np.prod([part.stop - part.start for part in region])) * dataset[name].dtype.itemsize
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
