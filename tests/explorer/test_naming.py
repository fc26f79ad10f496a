"""What is typed or clicked becomes a partition, and every partition has a text that leads back to it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from specent.errors import PartitionError
from specent.explorer.naming import groups_of, of_groups, partition_text, read_partition
from specent.partitions import Partition

LABELS = ["cat", "dog", "car", "bus"]
STORED = [Partition.full(LABELS), Partition.groups({"animal": ["cat", "dog"], "vehicle": ["car", "bus"]})]


@pytest.mark.parametrize(
    ("text", "sides"),
    [
        ("cat, dog | car", [("cat", "dog"), ("car",)]),
        (" cat|dog ", [("cat",), ("dog",)]),
        ("cat | rest", [("cat",), ("dog", "car", "bus")]),
        ("full", [("cat",), ("dog",), ("car",), ("bus",)]),
        ("animal | vehicle", [("cat", "dog"), ("car", "bus")]),
    ],
)
def test_text_becomes_a_partition(text: str, sides: list[tuple[str, ...]]) -> None:
    partition = read_partition(text, STORED, LABELS, new=True)
    assert [covered for _, covered in partition.sides] == sides


def test_another_spelling_of_a_stored_partition_is_the_stored_one() -> None:
    assert read_partition("cat,dog|car,bus", STORED, LABELS, new=True) is STORED[1]
    assert read_partition("cat,dog|car,bus", STORED, LABELS, new=False) is STORED[1]
    assert read_partition(STORED[1].to_json(), STORED, LABELS, new=False) is STORED[1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cat", "one side; write two, such as 'cat, dog | car'"),
        ("cat | cow", "unknown label 'cow'"),
        ("cat | ", "side 1"),
        ("cat, dog | dog", "'dog'.*stands twice"),
        ('{"name": 1}', "is not the JSON definition"),
        ("{", "is not the JSON definition"),
    ],
)
def test_a_wrong_text_is_refused_in_words(text: str, message: str) -> None:
    with pytest.raises(PartitionError, match=message):
        read_partition(text, STORED, LABELS, new=True)


@pytest.mark.parametrize("text", ["cat | dog", "cat | cow", "", Partition.pair("cat", "dog").to_json()])
def test_an_archive_of_profiles_offers_its_own_partitions_only(text: str) -> None:
    with pytest.raises(PartitionError, match=r"not in the archive.*choose one of those"):
        read_partition(text, STORED, LABELS, new=False)


# names that no text can spell are among them
label = st.text('ab,| +{"', min_size=1, max_size=4).filter(str.strip)


@given(st.lists(label, min_size=4, max_size=6, unique=True), st.data())
def test_every_partition_has_a_text_that_names_it(labels: list[str], data: st.DataObject) -> None:
    groups = data.draw(st.dictionaries(st.sampled_from(labels), st.sampled_from(["A", "B"])))
    partition = of_groups(groups, labels)
    if partition is None:
        assert {"A", "B"} - set(groups.values())
        return
    again = read_partition(partition_text(partition, labels), [], labels, new=True)
    assert [set(covered) for _, covered in again.sides] == [set(covered) for _, covered in partition.sides]
    assert again.prior == partition.prior
    assert groups_of(again) == groups


def test_a_prior_of_its_own_is_kept() -> None:
    partition = Partition.pair("cat", "dog", prior=(0.9, 0.1))
    assert read_partition(partition_text(partition, LABELS), [], LABELS, new=True) == partition
