"""Open a single file after checking it."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import xarray as xr

from specent import schema
from specent.archive import sealing
from specent.archive.locking import LIBRARY
from specent.archive.plausibility import refuse_implausible_sizes
from specent.arguments import brief
from specent.errors import ArchiveError, SpecentError
from specent.files import as_path

QUANTISED = "_QuantizeBitRoundNumberOfSignificantBits"
"""Attribute that netCDF writes of a rounded variable, which says so itself."""

_store: Callable[..., Any] = xr.backends.NetCDF4DataStore.open


def open_file(
    path: str | os.PathLike[str], chunks: Literal["auto"] | Mapping[str, int] | None = None, verify: bool = True
) -> xr.Dataset:
    """Open a single archive lazily; see `specent.open`."""
    source = as_path(path, error=ArchiveError)
    sealing.check_signature(source)
    if verify:
        sealing.check_seal(source)
    with LIBRARY:
        stored = _loaded(source, verify)
        try:
            dataset = schema.migrate(stored)
            schema.validate(dataset)
            _check_chunks(chunks, dataset)
        except SpecentError as error:
            stored.close()
            raise type(error)(f"path={str(source)!r}: {error}") from error
        if chunks is not None:
            dataset = schema.migrate(_chunked(stored, source, verify, chunks))
        # the version in the file, whatever the dataset was brought to
        dataset.encoding["specent_schema"] = stored.attrs["specent_schema"]
        return dataset


def _check_chunks(chunks: Any, dataset: xr.Dataset) -> None:
    if chunks is None or (isinstance(chunks, str) and chunks == "auto"):
        return
    if not isinstance(chunks, Mapping) or set(chunks) - set(dataset.dims):
        raise SpecentError(
            f"chunks={brief(chunks)}: use 'auto' or sizes for some of the dimensions {list(dataset.dims)}"
        )
    sizes = chunks.values()
    if any(isinstance(size, bool) or not isinstance(size, int) or (size < 1 and size != -1) for size in sizes):
        raise SpecentError(f"chunks={brief(chunks)}: sizes are positive, or -1 for the whole dimension")


def _loaded(source: Path, sealed: bool) -> xr.Dataset:
    """The dataset with its coordinates in memory, its text as NumPy has it."""
    dataset = _opened(source, sealed)
    try:
        coordinates = {name: coordinate.variable.load() for name, coordinate in dataset.coords.items()}
    except Exception as error:
        dataset.close()
        raise ArchiveError(f"path={str(source)!r}: its coordinates cannot be read ({error})") from error
    texts = {name: variable.astype(str) for name, variable in coordinates.items() if variable.dtype.kind in "OT"}
    if not texts:
        return dataset
    loaded = dataset.assign_coords(texts)
    loaded.set_close(dataset.close)
    return loaded


def _chunked(dataset: xr.Dataset, source: Path, sealed: bool, chunks: Any) -> xr.Dataset:
    """Data variables as dask arrays; opened anew, because only there are blocks fitted to the chunks of the file."""
    if not isinstance(chunks, str):  # of an older file, a dimension may not be there before it is migrated
        chunks = {dim: size for dim, size in chunks.items() if dim in dataset.dims}
    with warnings.catch_warnings():
        # blocks that cut through the chunks of the file are slower to read, and the caller chose them
        warnings.filterwarnings("ignore", "The specified chunks separate", UserWarning)
        blocks = _opened(source, sealed, chunks=chunks, drop_variables=list(dataset.coords))
    chunked = dataset.assign({name: blocks[name].variable for name in dataset.data_vars})
    dataset.close()
    chunked.set_close(blocks.close)
    return chunked


def _opened(source: Path, sealed: bool, **options: Any) -> xr.Dataset:
    """Decode nothing: there are no fill values, scales or calendar dates in an archive."""
    store = None
    try:
        store = _store(os.path.abspath(source), lock=LIBRARY)
        refuse_implausible_sizes(store.ds, source.stat().st_size, sealed=sealed)
        dataset = xr.open_dataset(store, decode_times=False, mask_and_scale=False, **options)
    except Exception as error:  # netCDF and HDF5 raise many types on a damaged file
        if store is not None:
            store.close()
        if isinstance(error, ArchiveError):
            raise ArchiveError(f"path={str(source)!r}: {error}") from error
        raise ArchiveError(f"path={str(source)!r} cannot be read as netCDF-4 ({error}); it may be damaged") from error
    dataset.attrs = schema.plain_attributes(dataset.attrs)
    for variable in dataset.variables.values():
        attributes = schema.plain_attributes(variable.attrs)
        fill = attributes.get("_FillValue")
        if isinstance(fill, float) and math.isnan(fill):  # xarray's own writer marks every variable of floats so
            del attributes["_FillValue"]
        attributes.pop(QUANTISED, None)
        variable.attrs = attributes
    return dataset
