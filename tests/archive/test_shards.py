"""How runs are cut into shards, and which of them a part of the whole needs."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from specent.archive.run_folder import _overlapping
from specent.archive.shards import Shard, ShardGrid, suitable_block
from specent.errors import ArchiveError

SIZES = st.lists(st.integers(1, 90), min_size=1, max_size=4, unique=True).map(lambda sizes: tuple(sorted(sizes)))


@given(classes=st.integers(1, 12), sizes=SIZES, block=st.tuples(st.integers(1, 15), st.integers(1, 100)))
def test_every_trajectory_is_in_one_shard(classes: int, sizes: tuple[int, ...], block: tuple[int, int]) -> None:
    grid = ShardGrid(classes, sizes, block)
    count = np.zeros((classes, sizes[-1]), dtype=int)
    for shard in grid.shards:
        part = count[shard.class_start : shard.class_stop, shard.sample_start : shard.sample_stop]
        assert part.size == shard.trajectories > 0
        part += 1
    assert (count == 1).all()
    assert len({shard.name for shard in grid.shards}) == len(grid.shards)


@given(classes=st.integers(1, 12), size=st.integers(1, 90), more=st.integers(1, 90), along=st.integers(1, 100))
def test_a_grid_that_grows_keeps_its_shards(classes: int, size: int, more: int, along: int) -> None:
    small = ShardGrid(classes, (size,), (1, along))
    large = small.grown(size + more)
    assert set(small.shards) < set(large.shards)
    # whole shards are those of a run that was as large from the start
    if size % along == 0:
        assert large.shards == ShardGrid(classes, (size + more,), (1, along)).shards


@given(cuts=st.lists(st.integers(1, 60), min_size=1, unique=True), low=st.integers(0, 59), data=st.data())
def test_the_intervals_that_hold_a_part_of_a_range_are_found(cuts: list[int], low: int, data: st.DataObject) -> None:
    edges = [0, *sorted(cuts)]
    start = min(low, edges[-1] - 1)
    wanted = range(start, data.draw(st.integers(start + 1, edges[-1])))
    every = itertools.pairwise(edges)
    by_hand = [i for i, (a, b) in enumerate(every) if any(a <= value < b for value in wanted)]
    assert list(_overlapping(edges, wanted)) == by_hand


@given(
    classes=st.integers(1, 2000), samples=st.integers(1, 100_000), least=st.integers(0, 10**5),
    most=st.integers(1, 10**6), shards=st.integers(1, 2000),
)  # fmt: skip
def test_a_block_holds_what_it_may_and_no_less_than_fifty_samples(
    classes: int, samples: int, least: int, most: int, shards: int
) -> None:
    across, along = suitable_block(classes, samples, least, most, shards)
    assert 1 <= across <= classes
    assert along >= 50
    assert across * along <= max(most, 50)
    count = -(-classes // across) * -(-samples // along)
    # more only where a larger block would hold more than it may
    assert count <= shards or 2 * across * along > most or (across == classes and along >= samples)


@pytest.mark.parametrize(
    ("classes", "sizes", "block"),
    [
        (0, (5,), (1, 5)), (3, (), (1, 5)), (3, (5, 4), (1, 5)), (3, (5,), (1,)), (3, (5,), (1, 0)), (3, (5,), (0, 5)),
        (3, (5.5,), (1, 5)), (3, ("5",), (1, 5)), (1000, (10**9,), (1, 50)),
    ],
)  # fmt: skip
def test_what_is_no_grid_is_refused(classes: int, sizes: tuple[int, ...], block: tuple[int, int]) -> None:
    with pytest.raises(ArchiveError):
        ShardGrid(classes, sizes, block)


def test_names_sort_as_shards_do() -> None:
    names = [Shard(9, 10, 950, 1000).name, Shard(10, 11, 0, 50).name, Shard(10, 11, 950, 1000).name]
    assert names == sorted(names)
