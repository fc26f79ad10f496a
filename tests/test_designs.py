"""Factorial designs and joint partitions."""

from math import prod

import pytest
from hypothesis import given
from hypothesis import strategies as st

from specent import Partition
from specent.designs import factorial, joint
from specent.errors import SpecentError


@given(st.lists(st.integers(2, 4), min_size=2, max_size=4))
def test_every_combination_is_on_one_side_of_every_partition(sizes: list[int]) -> None:
    attributes = {f"a{i}": [f"v{i}.{k}" for k in range(size)] for i, size in enumerate(sizes)}
    labels, partitions = factorial(attributes)
    assert len(labels) == prod(sizes)
    for (name, values), partition in zip(attributes.items(), partitions, strict=True):
        assert partition.name == name
        assert partition.side_names == tuple(values)
        assert sorted(partition.labels) == sorted(labels)
        for value, members in partition.sides:
            assert all(labels[label][name] == value for label in members)
    both = joint(*partitions[:2])
    assert len(both.sides) == sizes[0] * sizes[1]
    for name, members in both.sides:
        assert {", ".join((labels[label]["a0"], labels[label]["a1"])) for label in members} == {name}


def test_sides_without_a_common_label_are_left_out() -> None:
    nested = joint(
        Partition.groups({"animal": ["cat", "dog"], "vehicle": ["car"]}), Partition.full(["cat", "dog", "car"])
    )
    assert nested.side_names == ("animal, cat", "animal, dog", "vehicle, car")


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"colour": ["red", "blue"]}, "at least two attributes"),
        ({"colour": ["red", "blue"], "shape": ["cube"]}, r"attributes\['shape'\]"),
        ({"colour": ["red", "blue"], "shape": "cube"}, r"attributes\['shape'\]"),
        ({"colour": ["red", "red"], "shape": ["cube", "ball"]}, "'red cube'"),
        ({"a": ["x", "x y"], "b": ["y z", "z"]}, "two combinations read 'x y z'"),
        ({str(i): [f"{i}a", f"{i}b"] for i in range(20)}, "combinations, more than"),
        (["red", "blue"], "mapping"),
        ({"colour": 3, "shape": ["cube", "ball"]}, r"attributes\['colour'\]=3"),
        ({"colour": ["red", "blue"], "shape": iter(["cube", "ball"])}, r"attributes\['shape'\]"),
    ],
)
def test_bad_designs(attributes: object, message: str) -> None:
    with pytest.raises(SpecentError, match=message):
        factorial(attributes)  # type: ignore[arg-type]


def test_joint_of_other_labels_or_no_partitions() -> None:
    with pytest.raises(SpecentError, match="cover different labels"):
        joint(Partition.full(["a", "b"]), Partition.full(["a", "c"]))
    with pytest.raises(SpecentError, match="second"):
        joint(Partition.full(["a", "b"]), "full")  # type: ignore[arg-type]


def test_pairs_of_sides_that_read_alike_are_refused() -> None:
    first = Partition.groups({"x": ["a"], "x, y": ["b"], "w": ["c"]})
    with pytest.raises(SpecentError, match="two pairs of sides read 'x, y, z'"):
        joint(first, Partition.groups({"y, z": ["a", "c"], "z": ["b"]}))
