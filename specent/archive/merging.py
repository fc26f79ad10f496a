"""All shards of a run in one archive."""

from __future__ import annotations

import os
from pathlib import Path

from specent.archive.run_folder import RunFolder
from specent.archive.writing import check_output, write
from specent.errors import SpecentError


def merge(folder: str | os.PathLike[str], path: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
    """Write all shards of a finished run into one archive, piece by piece: memory does not grow with the run.

    Parameters
    ----------
    folder : str or path-like
        The run folder.
    path : str or path-like
        The archive, ending in ``.nc``.
    overwrite : bool
        Replace an existing file.

    Returns
    -------
    Path
        The archive.

    Raises
    ------
    SpecentError
        If the run is not finished, a shard is damaged, or the archive cannot be written.

    Examples
    --------
    >>> merge("nowhere", "runs.nc")
    Traceback (most recent call last):
    specent.errors.ArchiveError: path='nowhere' does not exist; check the name and the folder
    """
    there = RunFolder.read(folder)
    missing = there.missing()
    if missing:
        raise SpecentError(
            f"folder={str(folder)!r} lacks {len(missing)} of {len(there.grid.shards)} shards, {missing[0].name} first; "
            "run it again to sample them"
        )
    check_output(path, overwrite=overwrite)
    return write(there.open(), path, overwrite=overwrite)
