"""Open, validate: archives and run folders alike."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Literal

import xarray as xr

from specent import schema
from specent.archive.pieces import in_pieces
from specent.archive.reading import open_file
from specent.archive.run_folder import RunFolder
from specent.archive.values import ValueRules
from specent.arguments import brief, flag
from specent.errors import ArchiveError, SpecentError
from specent.files import as_path, shipped_folder


def open(
    path: str | os.PathLike[str],
    *,
    chunks: Literal["auto"] | Mapping[str, int] | None = None,
    verify: bool = True,
) -> xr.Dataset:
    """Open an archive or a run folder lazily, after checking that it is whole, undamaged and of this contract.

    A run folder is opened as one dataset of all its shards, in dask arrays; the seal of a shard is checked when its
    data are first used. It may be opened while it is being written: opened are the samples that all classes have.

    Parameters
    ----------
    path : str or path-like
        The file, or the folder.
    chunks : "auto" or mapping, optional
        Sizes of the blocks, by dimension, of dask arrays; without it values are read when they are first used.
    verify : bool
        Read the whole file once to check its seal. Without it opening takes no time, each chunk is still guarded by
        its checksum when it is read (`OSError` then), and damage to the structure of the file may show as anything.
        Of a run folder, shards are verified always.

    Returns
    -------
    Dataset
        With its coordinates loaded. Close it, or use it in a ``with`` statement.

    Raises
    ------
    SpecentError
        If there is no such file, it is not netCDF-4, cut short, altered, not ours or of another schema version, or
        `chunks` names a dimension it does not have.

    Examples
    --------
    >>> open("nowhere.nc")
    Traceback (most recent call last):
    specent.errors.ArchiveError: path='nowhere.nc' does not exist; check the name and the folder
    """
    verify = flag(verify, "verify")
    if as_path(path, error=ArchiveError).is_dir():
        if chunks is not None and chunks != "auto":
            raise SpecentError(f"chunks={brief(chunks)}: a run folder is opened in blocks that are its shards")
        return RunFolder.read(path).open()
    return open_file(path, chunks, verify)


def example() -> xr.Dataset:
    """The small archive that ships with the package: trajectories of cat, dog and car, a mixture in the plane.

    Three partitions (all labels, animal against vehicle, cat against dog), unguided and with guidance scale 2. It is
    the output of ``specent run mixture_runs``.

    Returns
    -------
    Dataset
        Kind ``trajectories``.

    Examples
    --------
    >>> example().partition.values.tolist()
    ['full', 'animal | vehicle', 'cat | dog']
    """
    return open(shipped_folder("datasets") / "mixture_runs.nc")


def validate(dataset_or_path: xr.Dataset | str | os.PathLike[str], kind: str | None = None) -> str:
    """Validate a dataset or a file against the contract, values included.

    Parameters
    ----------
    dataset_or_path : Dataset or path
        What is to be validated; of a file, the seal is too.
    kind : str, optional
        The kind it must be of; any by default.

    Returns
    -------
    str
        The version of the contract that it follows. A file of version 1 is good, too: `open` brings it to this one.

    Raises
    ------
    SpecentError
        Naming the first thing that is wrong, and where it is.

    Examples
    --------
    >>> validate(xr.Dataset(attrs={"specent_kind": "profiles"}))
    Traceback (most recent call last):
    specent.errors.ArchiveError: specent_schema=None, but this version reads '2', ...
    """
    if isinstance(dataset_or_path, xr.Dataset):
        _validate(dataset_or_path, kind)
        return schema.SCHEMA
    path = as_path(dataset_or_path, "dataset_or_path", error=ArchiveError)
    if path.is_dir():
        _validate_folder(RunFolder.read(path), kind)
        return schema.SCHEMA
    with open_file(path) as dataset:
        try:
            _validate(dataset, kind)
        except ArchiveError as error:
            raise ArchiveError(f"path={str(path)!r}: {error}") from error
        return str(dataset.encoding["specent_schema"])


def _validate_folder(folder: RunFolder, kind: str | None) -> None:
    if missing := folder.missing():
        raise ArchiveError(f"path={str(folder.path)!r} lacks {missing[0].name}; run it again to go on")
    for shard in folder.files():
        if fault := folder.fault(shard):
            raise ArchiveError(fault)
        validate(folder.file(shard), kind)
    # what the record says of the run as a whole
    folder.open().close()


def _validate(dataset: xr.Dataset, kind: str | None) -> None:
    schema.validate(dataset, kind)
    rules = ValueRules(dataset)
    rules.check_names()
    for name, region, values in in_pieces(dataset):
        rules.check_piece(name, region, values)
    rules.check_bounds()
