"""Statistics of neighbouring shards, added up in one file: what a run takes on disk does not grow with its shards."""

from __future__ import annotations

from collections.abc import Sequence

from specent import schema
from specent.archive.run_folder import RunFolder
from specent.archive.shards import Shard
from specent.archive.sums import summed
from specent.archive.writing import write

# of files that are not added up yet
_BYTES = 96 << 20


def fold(folder: RunFolder, *, everything: bool = False) -> None:
    """Add up the statistics of neighbouring shards, and remove the files that went into a sum.

    A sum is there whole before what went into it is removed, so whoever is killed in between loses nothing: a file that
    lies within another one counts no more.

    Parameters
    ----------
    folder : RunFolder
        Of a run that keeps statistics.
    everything : bool
        Also if the files are small.
    """
    files = folder.files()
    _remove_superfluous(folder)
    size = sum(folder.file(file).stat().st_size for file in files)
    if not everything and size <= _BYTES:
        return
    for joined, parts in _neighbours(files, len(folder.classes)):
        if len(parts) > 1:
            total = schema.with_settings(summed(folder.read_sums(parts)), shard=joined.name)
            write(total, folder.file(joined), overwrite=True)
        for part in parts:
            if part != joined:
                folder.file(part).unlink(missing_ok=True)
    _remove_superfluous(folder)


def _remove_superfluous(folder: RunFolder) -> None:
    for superfluous in folder.superfluous():
        folder.file(superfluous).unlink(missing_ok=True)


def _neighbours(files: Sequence[Shard], classes: int) -> list[tuple[Shard, list[Shard]]]:
    """What can be joined into one shard: classes of the same samples, and samples of all classes.

    Examples
    --------
    >>> files = [Shard(0, 1, 0, 50), Shard(1, 2, 0, 50), Shard(0, 2, 50, 150), Shard(0, 1, 150, 200)]
    >>> [joined.name for joined, _ in _neighbours(files, 2)]
    ['shard-c00000-00002-s0000000-0000150.nc', 'shard-c00000-00001-s0000150-0000200.nc']
    """
    groups: list[tuple[Shard, list[Shard]]] = []
    for file in files:
        before = groups[-1][0] if groups else None
        if before is not None and _beside(before, file):
            joined = Shard(before.class_start, file.class_stop, file.sample_start, file.sample_stop)
            groups[-1] = joined, [*groups[-1][1], file]
        else:
            groups.append((file, [file]))
    return _along_samples(groups, classes)


def _beside(one: Shard, other: Shard) -> bool:
    same = (one.sample_start, one.sample_stop) == (other.sample_start, other.sample_stop)
    return same and one.class_stop == other.class_start


def _along_samples(groups: Sequence[tuple[Shard, list[Shard]]], classes: int) -> list[tuple[Shard, list[Shard]]]:
    joined: list[tuple[Shard, list[Shard]]] = []
    for shard, parts in groups:
        before = joined[-1][0] if joined else None
        complete = before is not None and all(
            (one.class_start, one.class_stop) == (0, classes) for one in (before, shard)
        )
        if before is not None and complete and before.sample_stop == shard.sample_start:
            joined[-1] = Shard(0, classes, before.sample_start, shard.sample_stop), [*joined[-1][1], *parts]
        else:
            joined.append((shard, parts))
    return joined
