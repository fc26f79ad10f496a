"""Trajectories block by block: what is in memory at a time does not grow with their number.

A block holds all guidance settings and candidates of some drivers, samples and times. The blocks of a Dask array are
kept together, because to cut through those of a file costs time: several small ones make a block here, a large one is
read in parts.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from specent.archive.handles import kept_open

# numbers of a block at most: 32 MB
_NUMBERS = 2**22
# small blocks of a Dask array are joined until they have so many: more would neither stay in the cache nor cost less
_ENOUGH = 2**19
# blocks of a Dask array are left whole if they are not larger by more than this
_LARGER = 4
_CUT = ("class_label", "sample", "time")
_ORDER = ("class_label", "sample", "guidance", "time")


@dataclass(frozen=True, eq=False)
class TrajectoryBlock:
    """Some drivers, samples and times of a set of trajectories.

    Attributes
    ----------
    classes, samples, times : slice
        Where the block lies.
    arrays : mapping of ndarray
        By name, dims (class_label, sample, guidance, time, ...), in the precision they are stored in.
    """

    classes: slice
    samples: slice
    times: slice
    arrays: Mapping[str, NDArray[Any]]


Extent = tuple[slice, slice, slice]
"""Classes, samples and times of a block."""


def block_extents(runs: xr.Dataset, names: Sequence[str], inner: int, whole_paths: bool = False) -> list[Extent]:
    """Where to cut trajectories into blocks, those of different times of one trajectory one after the other.

    Parameters
    ----------
    runs : Dataset
        Kind ``trajectories``, in NumPy or Dask arrays.
    names : sequence of str
        Variables that are used.
    inner : int
        Numbers that work takes per guidance setting, class, sample and time.
    whole_paths : bool
        Whether a block has all times of its trajectories.
    """
    used = [runs[name].variable for name in names]
    classes, samples, times = _ranges(runs, used, inner * runs.sizes["guidance"], whole_paths)
    return list(itertools.product(classes, samples, times))


def read_block(runs: xr.Dataset, names: Sequence[str], extent: Extent) -> TrajectoryBlock:
    """The variables `names` of a block; a dimension that one of them lacks stays in it, of size 1."""
    where = dict(zip(_CUT, extent, strict=True))
    used = {name: runs[name].variable.isel(where, missing_dims="ignore") for name in names}
    # where blocks are worked on side by side, each is read by the thread that works on it
    with kept_open():
        parts = xr.Dataset(used).compute(scheduler="synchronous")
    return TrajectoryBlock(*extent, {str(name): _in_order(part.variable) for name, part in parts.data_vars.items()})


def each_block(runs: xr.Dataset, names: Sequence[str], inner: int) -> Iterator[TrajectoryBlock]:
    """All blocks, one after the other; see `block_extents`."""
    for extent in block_extents(runs, names, inner):
        yield read_block(runs, names, extent)


def _in_order(variable: xr.Variable) -> NDArray[Any]:
    missing = [dim for dim in _ORDER if dim not in variable.dims]
    return np.asarray(xr.DataArray(variable).expand_dims(missing).transpose(*_ORDER, ...).values)


def _ranges(runs: xr.Dataset, used: Sequence[xr.Variable], inner: int, whole_paths: bool) -> list[list[slice]]:
    """Where to cut classes, samples and times: all times together if they fit, then as many samples as do."""
    chunks = {dim: _chunks(used, dim, runs.sizes[dim]) for dim in _CUT}
    is_joined = any(len(sizes) > 1 for sizes in chunks.values())
    if whole_paths:
        chunks["time"] = (runs.sizes["time"],)
    if np.prod([float(max(sizes)) for sizes in chunks.values()]) * inner <= _LARGER * _NUMBERS:
        least = {dim: max(sizes) for dim, sizes in chunks.items()}
    else:
        least = dict.fromkeys(_CUT, 1) | ({"time": runs.sizes["time"]} if whole_paths else {})
        is_joined = False
    room = max((min(_ENOUGH, _NUMBERS) if is_joined else _NUMBERS) // inner, 1)
    most = {}
    for dim in reversed(_CUT):
        others = np.prod([least[other] for other in _CUT if other != dim and other not in most], dtype=int)
        most[dim] = max(least[dim], min(runs.sizes[dim], room // int(others)))
        room = max(room // most[dim], 1)
    return [_cut(chunks[dim], most[dim]) for dim in _CUT]


def _chunks(used: Sequence[xr.Variable], dim: str, size: int) -> tuple[int, ...]:
    """The blocks along a dimension of the variable that has most of them; all of it if it is in memory."""
    found = [variable.chunksizes[dim] for variable in used if variable.chunks and dim in variable.dims]
    return max(found, key=len, default=(size,))


def _cut(chunks: tuple[int, ...], most: int) -> list[slice]:
    """Slices of at most so many, small chunks together and large ones in parts.

    Examples
    --------
    >>> _cut((2, 2, 2, 5), 4)
    [slice(0, 4, None), slice(4, 6, None), slice(6, 10, None), slice(10, 11, None)]
    """
    slices: list[slice] = []
    start = stop = 0
    for size in chunks:
        if stop + size - start > most and stop > start:
            slices.append(slice(start, stop))
            start = stop
        stop += size
        while stop - start > most:
            slices.append(slice(start, start + most))
            start += most
    return [*slices, slice(start, stop)] if stop > start else slices
