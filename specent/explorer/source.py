"""What an archive or a run folder offers to an explorer, and how a run that is still going is followed."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from specent import archive, schema
from specent.analysis.estimators import ESTIMATORS
from specent.archive.run_folder import RunFolder
from specent.errors import ArchiveError, SpecentError
from specent.explorer.naming import read_partition
from specent.explorer.remarks import collected
from specent.files import as_path
from specent.partitions import NULL, Partition
from specent.schema.coordinates import stored_partitions

KINDS = ("trajectories", "statistics", "profiles")
"""Kinds of datasets that can be explored."""

# larger files are not read as a whole before they are shown: their chunks are checked as they are read
_VERIFIED = 2_000_000_000


@dataclass(frozen=True, eq=False)
class Explored:
    """A dataset that is explored.

    Attributes
    ----------
    dataset : Dataset
        Kind ``trajectories``, ``statistics`` or ``profiles``; lazy where it comes from a file.
    path : Path or None
        The file or run folder that it comes from.
    files : tuple of str
        Names and sizes of the shards of a run folder that were there.
    done, shards : int
        How many shards of a run folder are there, and how many it is to have.
    generation : int
        Grows by one whenever a run has gone on.
    """

    dataset: xr.Dataset
    path: Path | None = None
    files: tuple[str, ...] = ()
    done: int = 0
    shards: int = 0
    generation: int = 0

    @property
    def kind(self) -> str:
        """Kind of the dataset."""
        return str(self.dataset.attrs["specent_kind"])

    @property
    def title(self) -> str:
        """Title of the dataset."""
        return str(self.dataset.attrs.get("title", "")) or self.kind

    @property
    def grows(self) -> bool:
        """Whether shards of a run are missing."""
        return self.done < self.shards

    @cached_property
    def stored(self) -> list[Partition]:
        """Partitions that the dataset names."""
        return stored_partitions(self.dataset)

    @cached_property
    def partition_names(self) -> list[str]:
        """Names of the partitions of the dataset, those without a definition too."""
        return [str(name) for name in self.dataset["partition"].values] if "partition" in self.dataset.coords else []

    @cached_property
    def labels(self) -> list[str]:
        """Class labels that may be on a side."""
        if "class_label" in self.dataset.coords:
            return [str(name) for name in self.dataset["class_label"].values if name != NULL]
        return [name for name in dict.fromkeys(name for one in self.stored for name in one.labels) if name != NULL]

    @property
    def analyses(self) -> bool:
        """Whether partitions that the dataset does not name can be analysed."""
        return self.kind == "trajectories"

    def names(self, dim: str) -> list[str]:
        """Names along a dimension; none without it."""
        return [str(name) for name in self.dataset[dim].values] if dim in self.dataset.dims else []

    @cached_property
    def estimators(self) -> list[str]:
        """Estimators that can be chosen."""
        if self.kind == "profiles":
            return self.names("estimator")
        scored = self.names("candidate") or self.labels
        return [name for name in ESTIMATORS if name != "null" or NULL in scored or "null_entropy" in self.dataset]

    @cached_property
    def log_snr(self) -> NDArray[np.float64]:
        """Log-SNR of every time, from noise to data."""
        return np.sort(np.asarray(self.dataset["log_snr"].values, dtype=np.float64))

    def partition(self, text: str) -> Partition | str:
        """The partition that a text names, the first of the dataset for an empty one.

        Raises
        ------
        PartitionError
            Saying what is wrong with the text.
        """
        if not text:
            return self.stored[0] if self.stored else self._first()
        if not self.stored and text in self.partition_names:
            return text
        return read_partition(text, self.stored, self.labels, new=self.analyses)

    def _first(self) -> Partition | str:
        return Partition.full(self.labels) if self.analyses else self.partition_names[0]

    def followed(self) -> Explored | None:
        """The source as it is now, if shards came or went; None if nothing is new, or nothing can be opened just now.

        Raises
        ------
        ArchiveError
            If the folder is no longer there.
        """
        if self.path is None or not self.grows:
            return None
        if not self.path.is_dir():
            raise ArchiveError(f"path={str(self.path)!r} is no longer there; what is shown was read before")
        try:
            now = _files(RunFolder.read(self.path))
            if now == self.files:
                return None
            return replace(open_source(self.path), generation=self.generation + 1)
        except (SpecentError, OSError):
            # a shard is being put in its place, or moved away
            return None


def open_source(what: xr.Dataset | str | os.PathLike[str]) -> Explored:
    """What can be explored of a dataset, an archive or a run folder.

    Parameters
    ----------
    what : Dataset or path
        Of one of `KINDS`.

    Raises
    ------
    SpecentError
        If there is no such file, it is damaged, of another kind, or holds nothing to show.

    Examples
    --------
    >>> open_source(archive.example()).labels
    ['cat', 'dog', 'car']
    """
    if isinstance(what, xr.Dataset):
        return Explored(_checked(what, "dataset"))
    path = as_path(what, error=ArchiveError)
    if not path.is_dir():
        verify = path.is_file() and path.stat().st_size <= _VERIFIED
        return Explored(
            _checked(archive.open(path, chunks="auto", verify=verify), f"path={str(path)!r}"), path.absolute()
        )
    folder = RunFolder.read(path)
    files, missing = _files(folder), len(folder.missing())
    with collected():
        dataset = _checked(folder.open(), f"path={str(path)!r}")
    count = len(folder.grid.shards)
    return Explored(dataset, folder.path, files, count - missing, count)


def _files(folder: RunFolder) -> tuple[str, ...]:
    return tuple(shard.name for shard in folder.files() if folder.is_whole(shard))


def _checked(dataset: xr.Dataset, argument: str) -> xr.Dataset:
    kind = dataset.attrs.get("specent_kind")
    if kind not in KINDS:
        raise SpecentError(
            f"{argument} is of kind {kind!r}; explore shows {', '.join(KINDS)}. Figures of others: specent plot"
        )
    # the posterior of trajectories is worked out of their evidence
    dataset = schema.need(dataset, str(kind), argument, ("log_likelihood",) if kind == "trajectories" else ())
    if not dataset.sizes.get("time"):
        raise SpecentError(f"{argument} holds no times; there is nothing to explore")
    return dataset
