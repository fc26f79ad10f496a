"""Settings that studies share, and how settings are kept in files."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from specent import arguments

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


@dataclass(frozen=True)
class StudySettings:
    """Settings of every study.

    Parameters
    ----------
    overwrite : bool
        Replace existing files.
    threads : int, optional
        Threads of the processor. If it is not given, sampling takes as many as the network is worth: for a small one
        a single thread, because threads that wait for each other are slow.
    """

    overwrite: bool = False
    threads: int | None = None

    def __post_init__(self) -> None:
        if self.threads is not None:
            arguments.whole(self.threads, "threads", least=1, most=1024)


@dataclass(frozen=True)
class SampledSettings(StudySettings):
    """Settings of every study that samples.

    Parameters
    ----------
    seed : int
        Seed of the random streams.
    device : {"cpu", "cuda"}
        Where the network runs.
    """

    seed: int = 0
    device: str = "cpu"

    def __post_init__(self) -> None:
        from specent.models.base import resolve_device

        super().__post_init__()
        arguments.whole(self.seed, "seed")
        resolve_device(self.device)


@dataclass(frozen=True)
class ShardedSettings(SampledSettings):
    """Settings of a study that samples in shards.

    Parameters
    ----------
    out : Path, optional
        Folder of the run: trajectories are kept in it shard by shard, an interrupted study goes on with it, and it may
        grow. By default one beside the output, which is removed when the study is done.
    scheduler : str, optional
        Address of a Dask scheduler whose workers sample the shards, or "local" for processes of this machine. By
        default this process samples them, one after the other.
    """

    out: Path | None = None
    scheduler: str | None = None


def stored_settings(settings: DataclassInstance, *without: str) -> dict[str, Any]:
    """Settings of a study as its files keep them, paths as text.

    Parameters
    ----------
    settings : dataclass
        The settings.
    *without : str
        Fields to leave out.

    Returns
    -------
    dict
        Name and value of every other field.

    Examples
    --------
    >>> stored_settings(StudySettings(threads=2), "overwrite")
    {'threads': 2}
    """
    values = {key: value for key, value in asdict(settings).items() if key not in without}
    return {key: str(value) if isinstance(value, Path) else value for key, value in values.items()}


@contextmanager
def limited_threads(threads: int | None) -> Iterator[None]:
    """Compute with so many threads within it, and print how many; None leaves the number to sampling, which shows it.

    Parameters
    ----------
    threads : int, optional
        Number of threads.
    """
    import torch

    from specent.sampling.threads import limited

    if threads is None:
        sys.stdout.write(f"threads: as many as the network is worth, at most {torch.get_num_threads()}\n")
    with limited(threads) as number:
        if threads is not None:
            sys.stdout.write(f"threads: {number}\n")
        yield
