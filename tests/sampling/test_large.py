"""Many classes and many partitions: working out a run takes time in proportion to what it works out."""

import time

import numpy as np
import pytest
import torch
from torch import Tensor
from tqdm.auto import tqdm

import specent as sp
from specent.sampling.preparation import make_setup
from specent.sampling.running import run_batches

VE, GRID = sp.schedules.VE(), sp.schedules.edm_grid(3)


def worked_out(count: int) -> float:
    """Seconds it takes to work out a run of `count` classes and as many partitions, the best of three."""
    labels = [f"class {i}" for i in range(count)]
    model = sp.models.network(lambda x, t, c: x, labels, (1,), prediction="data")
    parts = [sp.Partition.one_vs_rest(label, labels) for label in labels]
    seconds = []
    for _ in range(3):
        start = time.process_time()
        setup = make_setup(model, VE, GRID, 2, parts, 1.0, 0, "cpu", None, None, sp.Record(), False)
        assert len(setup.conditions) == count + 1
        assert [len(group.rows) for group in setup.sides.groups] == [count]
        seconds.append(time.process_time() - start)
    return min(seconds)


def test_a_plan_of_many_classes_and_partitions_takes_time_in_proportion() -> None:
    small, large = worked_out(150), worked_out(600)
    # 16 times as many pairs of partition and label; searching a list for every label would take 64 times as long
    assert large < 40 * small


@pytest.mark.parametrize("partitions", [["full"], [f"class {i} | rest" for i in range(0, 300, 7)]])
def test_texts_of_partitions_are_read_with_many_labels(partitions: list[str]) -> None:
    labels = [f"class {i}" for i in range(300)]
    model = sp.models.network(lambda x, t, c: x, labels, (1,), prediction="data")
    setup = make_setup(model, VE, GRID, 2, partitions, 1.0, 0, "cpu", None, None, sp.Record(), False)
    assert [partition.name for partition in setup.partitions] == partitions


def test_a_run_with_many_drivers_finds_each_of_them() -> None:
    labels = [f"class {i}" for i in range(200)]

    def net(x: Tensor, sigma: Tensor, condition: Tensor) -> Tensor:
        # the data of a class are a point, its number over 256
        return condition[:, None].to(x.dtype).expand_as(x) / 256

    model = sp.models.network(net, labels, (1,), prediction="data", null=False, dtype=torch.float64)
    setup = make_setup(
        model, VE, GRID, 2, (), 1.0, 0, "cpu", labels[::-1], labels[::2] + labels[1::2], sp.Record(), False
    )
    with tqdm(disable=True) as bar:
        arrays, _ = run_batches(setup, 100, bar)
    np.testing.assert_array_equal(
        256 * arrays["final"][0, :, :, 0], np.arange(199, -1, -1.0)[:, None] * np.ones((1, 2))
    )
