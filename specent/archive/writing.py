"""Write a dataset to one netCDF-4 file, whole or not at all."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import netCDF4
import numpy as np
import xarray as xr
from tqdm.auto import tqdm

from specent import schema
from specent.archive import pieces, reading, sealing
from specent.archive.chunks import StoredVariable
from specent.archive.locking import LIBRARY
from specent.archive.values import ValueRules
from specent.errors import ArchiveError, SpecentError
from specent.files import output_path, whole_file

# of what is computed on the way only a digest is kept
_Pieces = list[tuple[str, pieces.Region, np.ndarray | str]]
_Layout = dict[str, tuple[Any, ...]]


def write(dataset: xr.Dataset, path: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
    """Write a dataset of the contract to one file, which is there whole or not at all.

    The values are computed, checked, compressed and hashed piece by piece, so dask-backed data are never in memory as
    a whole. The file is made under a hidden temporary name in the same folder, sealed, read back and compared, and
    then given its name, in one step that fails if another writer took it meanwhile. A writer that is killed leaves at
    most that temporary file. Archives may be written and opened from several threads at once; the netCDF library,
    which is not thread-safe, works for one of them at a time.

    Parameters
    ----------
    dataset : Dataset
        Of any kind of `specent.schema.KINDS`, with finite values (``sigma_hi`` may be infinite).
    path : str or path-like
        Name of the file, ending in ``.nc``, in an existing folder. A symbolic link is followed first: the file that it
        leads to is written, must end in ``.nc`` itself, and the link stays.
    overwrite : bool
        Replace an existing file. Datasets that are open on the old file keep reading it.

    Returns
    -------
    Path
        The path written.

    Raises
    ------
    SpecentError
        If the path cannot be used, the dataset breaks the contract, a value is not finite or outside its bounds
        (its labels are named) or cannot be computed, or the file could not be written; nothing is left behind then.

    Examples
    --------
    >>> write(xr.Dataset(), "empty.nc")
    Traceback (most recent call last):
    specent.errors.ArchiveError: specent_kind=None is not one of ...
    """
    if not isinstance(dataset, xr.Dataset):
        raise SpecentError(f"dataset is a {type(dataset).__name__}; write takes an xarray Dataset of the contract")
    target = check_output(path, overwrite=overwrite)
    schema.validate(dataset)
    rules = ValueRules(dataset)
    rules.check_names()
    try:
        with whole_file(target, overwrite=overwrite, error=ArchiveError) as temporary:
            layout, written = _store(rules, temporary)
            sealing.seal(temporary)
            _compare(dataset, temporary, layout, written)
    except RuntimeError as error:  # what the netCDF library makes of a full disk
        raise ArchiveError(f"path={str(target)!r} could not be written ({error}); is the disk full?") from error
    return target


def check_output(path: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
    """Check that an archive can be written to `path`, before the hours of sampling that it is to hold.

    Parameters
    ----------
    path : str or path-like
        Name of the file, as for `write`.
    overwrite : bool
        Whether an existing file may be replaced.

    Returns
    -------
    Path
        The path, absolute.

    Raises
    ------
    ArchiveError
        If the folder is missing or cannot be written to, the suffix is another, or the file exists.

    Examples
    --------
    >>> check_output("runs.txt")
    Traceback (most recent call last):
    specent.errors.ArchiveError: path='runs.txt' must end in '.nc'
    """
    target = output_path(path, ".nc", overwrite=overwrite, error=ArchiveError)
    sealing.refuse_other_name(target)
    return target


def _store(rules: ValueRules, path: Path) -> tuple[_Layout, _Pieces]:
    dataset = rules.dataset
    written: _Pieces = []
    with LIBRARY:
        with netCDF4.Dataset(path, "w", format="NETCDF4") as declared:
            _declare(dataset, declared)
            layout = _layout(declared)
        # netCDF declares, and HDF5 takes chunks that are compressed already, which netCDF cannot
        file = h5py.File(path, "r+")
    try:
        stores = {name: StoredVariable(file[name]) for name in layout if name}
        # pieces are computed between the calls of the library, in threads that may need the lock themselves
        for name, region, piece in _with_progress(pieces.in_pieces(dataset), dataset.nbytes):
            rules.check_piece(name, region, piece)
            in_memory = isinstance(dataset.variables[name]._data, np.ndarray)
            for part, values in _parts(stores[name], region, piece):
                stores[name].write(part, values)
                written.append((name, part, values if in_memory else _digest(values)))
    finally:
        with LIBRARY:
            file.close()
    return layout, written


def _parts(
    store: StoredVariable, region: pieces.Region, piece: np.ndarray
) -> Iterator[tuple[pieces.Region, np.ndarray]]:
    """The parts in which a piece is stored, and the values of each; of text, its bytes along one more dimension."""
    if piece.dtype.kind == "U":
        width = store.shape[-1]
        region, piece = (*region, slice(0, width)), _characters(piece, width)
    for part in store.parts(region):
        inside = (slice(one.start - all.start, one.stop - all.start) for one, all in zip(part, region, strict=True))
        yield part, piece[tuple(inside)]


def _with_progress(stream: Iterator[pieces.Piece], size: int) -> Iterator[pieces.Piece]:
    """The same pieces with a progress bar: on a terminal only, and only if it takes more than a moment."""
    with tqdm(total=size, unit="B", unit_scale=True, desc="writing", disable=None, leave=False, delay=1) as bar:
        for piece in stream:
            yield piece
            bar.update(piece[2].nbytes)


def _declare(dataset: xr.Dataset, file: netCDF4.Dataset) -> None:
    """Dimensions, variables, encoding and attributes; CF wants auxiliary coordinates named in ``coordinates``."""
    for dim, size in dataset.sizes.items():
        file.createDimension(str(dim), size)
    auxiliary = [str(name) for name in dataset.coords if name not in dataset.dims]
    named: set[str] = set()
    for name, variable in dataset.variables.items():
        stored = _create(str(name), variable, file)
        attributes = schema.plain_attributes(variable.attrs)
        if name in dataset.data_vars:
            beside = [other for other in auxiliary if set(dataset.variables[other].dims) <= set(variable.dims)]
            named.update(beside)
            attributes |= {"coordinates": " ".join(beside)} if beside else {}
        stored.setncatts(attributes)
    rest = [name for name in auxiliary if name not in named]
    file.setncatts(schema.plain_attributes(dataset.attrs) | ({"coordinates": " ".join(rest)} if rest else {}))


def _create(name: str, variable: xr.Variable, file: netCDF4.Dataset) -> netCDF4.Variable[Any]:
    """One variable with its encoding.

    Text is kept as UTF-8 characters and not as strings of variable length: those can be neither compressed nor
    guarded by a checksum, and CF knows no one-dimensional coordinate variable that is not a number.
    """
    dims = [str(dim) for dim in variable.dims]
    dtype = variable.dtype.name
    if variable.dtype.kind in "UOT":
        width = max(len(text) for text in _encoded(variable.values))
        dims, dtype, chunks = [*dims, f"string{width}"], "S1", (*pieces.storage_chunks(variable.shape, width), width)
        if dims[-1] not in file.dimensions:
            file.createDimension(dims[-1], width)
    else:
        chunks = pieces.layout(variable)
    rounded: dict[str, Any] = {}
    if schema.BITS in variable.attrs:
        # the values are rounded already; this makes the file say so, as any netCDF program has it
        rounded = {"quantize_mode": "BitRound", "significant_digits": int(variable.attrs[schema.BITS])}
    stored: netCDF4.Variable[Any] = file.createVariable(
        name, dtype, dims, chunksizes=chunks, compression="zlib", complevel=1, shuffle=True, fletcher32=True, **rounded
    )
    if dtype == "S1":
        stored.setncattr("_Encoding", "utf-8")
        stored.set_auto_chartostring(False)
    return stored


def _characters(texts: np.ndarray, width: int) -> np.ndarray:
    """Text as an array of bytes, one more dimension of the given width."""
    return np.array(_encoded(texts), dtype=f"S{width}").view("S1").reshape(*texts.shape, width)


def _encoded(texts: np.ndarray) -> list[bytes]:
    # a width of zero would mean an unlimited dimension
    return [str(text).encode() or b"\0" for text in texts.flat]


def _compare(dataset: xr.Dataset, path: Path, layout: _Layout, written: _Pieces) -> None:
    """Read the file back: dimensions, attributes and every piece must be those of the dataset, which is validated."""
    try:
        with LIBRARY, netCDF4.Dataset(path) as declared:
            same = _layout(declared) == layout
        same = same and _same_values(path, written)
    except (OSError, RuntimeError, LookupError, ValueError) as error:
        raise ArchiveError(f"the new file cannot be read back ({error}); check the disk") from error
    if not same:
        raise ArchiveError("what was read back from the new file differs from what was written; check the disk")
    if any(str(name).endswith("_lower") for name in dataset.data_vars):
        with reading.open_file(path, verify=False) as stored:
            ValueRules(stored).check_bounds()


def _same_values(path: Path, written: _Pieces) -> bool:
    """Whether every part of a file is what was written."""
    with LIBRARY:
        file = h5py.File(path)
    try:
        stores = {name: StoredVariable(file[name]) for name, _, _ in written}
        return all(_same(stores[name].read(part), values) for name, part, values in written)
    finally:
        with LIBRARY:
            file.close()


def _layout(file: netCDF4.Dataset) -> _Layout:
    """Type, dimensions, shape and attributes of every variable, and the attributes of the file."""
    layout: _Layout = {"": (schema.plain_attributes(file.__dict__),)}
    for name, variable in file.variables.items():
        variable.set_auto_maskandscale(False)
        if variable.dtype == "S1":
            variable.set_auto_chartostring(False)
        attributes = schema.plain_attributes(variable.__dict__)
        attributes.pop(reading.QUANTISED, None)  # netCDF adds it when the first value is written
        layout[name] = (variable.dtype, variable.dimensions, variable.shape, attributes)
    return layout


def _same(piece: np.ndarray, values: np.ndarray | str) -> bool:
    """Whether what was read is what was written, bit by bit."""
    if isinstance(values, str):
        return _digest(piece) == values
    one, other = (np.ascontiguousarray(array, piece.dtype).view(np.uint8) for array in (piece, values))
    return piece.shape == values.shape and bool(np.array_equal(one, other))


def _digest(piece: np.ndarray) -> str:
    """SHA-256 of the values of a piece, in native byte order."""
    native = np.ascontiguousarray(piece, dtype=piece.dtype.newbyteorder("="))
    return hashlib.sha256(native.data).hexdigest()
