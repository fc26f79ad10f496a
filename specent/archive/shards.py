"""How a run is cut into shards: blocks of classes and samples, each with a file name that says which it is.

A shard holds some classes, and of each the same samples. Cuts between samples are multiples of the block, and every
number of samples the run once ended with: a run that grows keeps its shards.
"""

from __future__ import annotations

import itertools
import re
from bisect import bisect_left
from dataclasses import dataclass
from functools import cached_property

from specent import arguments
from specent.arguments import brief
from specent.errors import ArchiveError

MOST_SHARDS = 1_000_000
"""Shards that a run may have."""

_SAMPLES = 50
_NAME = re.compile(r"shard-c(\d{5,7})-(\d{5,7})-s(\d{7,10})-(\d{7,10})\.nc")


@dataclass(frozen=True)
class Shard:
    """One shard: classes from `class_start` to the one before `class_stop`, and likewise samples.

    Examples
    --------
    >>> Shard(2, 3, 50, 100).name
    'shard-c00002-00003-s0000050-0000100.nc'
    """

    class_start: int
    class_stop: int
    sample_start: int
    sample_stop: int

    @property
    def name(self) -> str:
        """Name of its file."""
        classes, samples = f"c{self.class_start:05d}-{self.class_stop:05d}", (self.sample_start, self.sample_stop)
        return f"shard-{classes}-s{samples[0]:07d}-{samples[1]:07d}.nc"

    @classmethod
    def of_name(cls, name: str) -> Shard | None:
        """The shard of a file name; None if it is no such name.

        Examples
        --------
        >>> Shard.of_name("shard-c00002-00003-s0000050-0000100.nc")
        Shard(class_start=2, class_stop=3, sample_start=50, sample_stop=100)
        """
        match = _NAME.fullmatch(name)
        shard = None if match is None else cls(*map(int, match.groups()))
        return shard if shard is not None and shard.name == name else None

    def holds(self, other: Shard) -> bool:
        """Whether it holds all trajectories of another one."""
        return (
            self.class_start <= other.class_start
            and other.class_stop <= self.class_stop
            and self.sample_start <= other.sample_start
            and other.sample_stop <= self.sample_stop
        )

    @property
    def trajectories(self) -> int:
        """How many trajectories it holds for every guidance setting."""
        return (self.class_stop - self.class_start) * (self.sample_stop - self.sample_start)


@dataclass(frozen=True)
class ShardGrid:
    """The shards of a run.

    Parameters
    ----------
    classes : int
        Number of driving classes.
    sizes : tuple of int
        Samples per class with which the run was begun, and to which it grew, ascending.
    block : (int, int)
        Classes and samples of a shard.

    Raises
    ------
    ArchiveError
        If the numbers make no grid, or one of more than a million shards.

    Examples
    --------
    >>> [shard.name for shard in ShardGrid(1, (60,), (1, 50)).shards]
    ['shard-c00000-00001-s0000000-0000050.nc', 'shard-c00000-00001-s0000050-0000060.nc']
    """

    classes: int
    sizes: tuple[int, ...]
    block: tuple[int, int]

    def __post_init__(self) -> None:
        sizes = [arguments.whole(size, "sizes", least=1, most=10**9, error=ArchiveError) for size in self.sizes]
        classes = arguments.whole(self.classes, "classes", least=1, most=10**6, error=ArchiveError)
        if not sizes or sorted(set(sizes)) != sizes or len(self.block) != 2:
            raise ArchiveError(f"sizes={brief(list(self.sizes))} must be ascending numbers of samples")
        block = [arguments.whole(size, "block", least=1, error=ArchiveError) for size in self.block]
        if -(-classes // block[0]) * (-(-sizes[-1] // block[1]) + len(sizes)) > MOST_SHARDS:
            raise ArchiveError(
                f"block={brief(list(self.block))} makes more than {MOST_SHARDS} shards; take a larger one"
            )

    @cached_property
    def class_cuts(self) -> tuple[int, ...]:
        """Where classes are cut, both ends among them."""
        return (*range(0, self.classes, self.block[0]), self.classes)

    @cached_property
    def sample_cuts(self) -> tuple[int, ...]:
        """Where samples are cut, both ends among them."""
        return tuple(sorted({*range(0, self.sizes[-1], self.block[1]), *self.sizes}))

    @cached_property
    def shards(self) -> tuple[Shard, ...]:
        """All shards: of the first samples of all classes first, so that a run that is not finished has them all."""
        return tuple(
            Shard(*classes, *samples)
            for samples in itertools.pairwise(self.sample_cuts)
            for classes in itertools.pairwise(self.class_cuts)
        )

    def within(self, joined: Shard) -> list[Shard]:
        """The shards that make up `joined`; none if it is not made of whole ones.

        Examples
        --------
        >>> grid = ShardGrid(3, (100,), (1, 50))
        >>> [shard.name for shard in grid.within(Shard(0, 2, 50, 100))]
        ['shard-c00000-00001-s0000050-0000100.nc', 'shard-c00001-00002-s0000050-0000100.nc']
        >>> grid.within(Shard(0, 2, 50, 99))
        []
        """
        classes = _positions(self.class_cuts, joined.class_start, joined.class_stop)
        samples = _positions(self.sample_cuts, joined.sample_start, joined.sample_stop)
        return [self.shards[i * (len(self.class_cuts) - 1) + k] for i in samples for k in classes]

    def grown(self, samples: int) -> ShardGrid:
        """The grid of the run with more samples of each class."""
        return ShardGrid(self.classes, tuple(sorted({*self.sizes, samples})), self.block)


def _positions(cuts: tuple[int, ...], start: int, stop: int) -> range:
    """Which intervals between cuts lie from start to stop; none if these are no cuts."""
    first, last = bisect_left(cuts, start), bisect_left(cuts, stop)
    exact = first <= last < len(cuts) and (cuts[first], cuts[last]) == (start, stop)
    return range(first, last) if exact else range(0)


def suitable_block(classes: int, samples: int, least: int, most: int, shards: int) -> tuple[int, int]:
    """Classes and samples of a shard, for a new run.

    Parameters
    ----------
    classes, samples : int
        Of the run.
    least, most : int
        Trajectories of a shard that are worth a file, and those that it may hold; the second counts more.
    shards : int
        How many shards there should be at most, if the size of one allows it.

    Returns
    -------
    (int, int)
        Few classes, and 50 samples if that will do: what is wrong with a class costs the others little, and a run that
        grows has the same shards as one that was as large from the start.

    Examples
    --------
    >>> suitable_block(10, 100, 400, 1000, 1000)
    (8, 50)
    >>> suitable_block(1000, 1000, 8, 10_000, 200)
    (4, 1600)
    """
    across, along = 1, _SAMPLES
    while across * along < least and 2 * across * along <= most and across < classes:
        across *= 2
    while across * along < least and 2 * across * along <= most and along < samples:
        along *= 2

    def count() -> int:
        return -(-classes // across) * -(-samples // along)

    while count() > shards and 2 * across * along <= most and along < samples:
        along *= 2
    while count() > shards and 2 * across * along <= most and across < classes:
        across *= 2
    return min(across, classes), along
