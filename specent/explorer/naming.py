"""Partitions as text that can be typed and stand in an address, and groups of classes as partitions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from specent.errors import PartitionError
from specent.partitions import NULL, Partition

SIDES = ("A", "B")
"""Names of the groups into which classes are clicked."""


def read_partition(text: str, stored: Sequence[Partition], labels: Sequence[str], *, new: bool) -> Partition:
    """The partition that a text names: a stored one by its name, one by its definition, or one that is spelt out.

    Parameters
    ----------
    text : str
        As in `Partition.parse`, a name, or the text of `Partition.to_json`.
    stored : sequence of Partition
        Those of the archive.
    labels : sequence of str
        Labels that may be on a side.
    new : bool
        Whether others than those of the archive can be analysed.

    Raises
    ------
    PartitionError
        Saying what is wrong, and what can be typed.

    Examples
    --------
    >>> read_partition("cat, dog | car", [], ["cat", "dog", "car"], new=True).sides
    (('cat+dog', ('cat', 'dog')), ('car', ('car',)))
    """
    text = text.strip()
    for one in stored:
        if one.name == text:
            return one
    if not new or not text:
        partition = _spelt(text, stored, labels)
    elif text.startswith("{"):
        partition = Partition.from_json(text)
        partition.check([*labels, NULL])
    elif "|" not in text and text != "full":
        raise PartitionError(f"partition {text!r} has one side; write two, such as {_example(labels)!r}, or 'full'")
    else:
        partition = Partition.parse(text, labels)
    # the stored one, whose numbers are there already
    return next((one for one in stored if _alike(one, partition)), partition)


def _alike(one: Partition, other: Partition) -> bool:
    """Whether two partitions have the same sides, whatever these are called."""
    return _covered(one) == _covered(other) and one.prior == other.prior


def _covered(partition: Partition) -> list[tuple[str, ...]]:
    return [labels for _, labels in partition.sides]


def _spelt(text: str, stored: Sequence[Partition], labels: Sequence[str]) -> Partition:
    """A stored partition, in another spelling."""
    hint = "choose one of those that the archive holds"
    try:
        partition = Partition.from_json(text) if text.startswith("{") else Partition.parse(text, labels)
    except PartitionError as error:
        raise PartitionError(f"partition {text!r} is not in the archive; {hint}") from error
    if not any(_alike(one, partition) for one in stored):
        raise PartitionError(f"partition {text!r} is not in the archive, from which no other can be analysed; {hint}")
    return partition


def _example(labels: Sequence[str]) -> str:
    few = list(labels)[:3]
    return f"{', '.join(few[:-1])} | {few[-1]}" if len(few) > 1 else "cat | dog"


def partition_text(partition: Partition, labels: Sequence[str], stored: Sequence[Partition] = ()) -> str:
    """The shortest text that names a partition, from which `read_partition` has it back.

    Examples
    --------
    >>> labels = ["cat", "dog", "car"]
    >>> partition_text(Partition.groups({"A": ["cat", "dog"], "B": ["car"]}), labels)
    'cat, dog | car'
    >>> partition_text(Partition.pair("cat", "dog", prior=(0.9, 0.1)), labels)[:15]
    '{"name": "cat |'
    """
    if any(one == partition for one in stored):
        return partition.name
    texts = ["full", " | ".join(", ".join(covered) for _, covered in partition.sides)]
    if len(partition.sides) == 2 and len(partition.sides[0][1]) == 1:
        texts.append(f"{partition.sides[0][1][0]} | rest")
    for text in texts:
        try:
            one = read_partition(text, stored, labels, new=True)
        except PartitionError:
            continue
        if _alike(one, partition):
            return text
    return partition.to_json()


def of_groups(groups: Mapping[str, str], labels: Sequence[str]) -> Partition | None:
    """The partition of classes that were put into the groups A and B; None while one of them is empty.

    Examples
    --------
    >>> of_groups({"cat": "A", "car": "B"}, ["cat", "dog", "car"]).sides
    (('cat', ('cat',)), ('car', ('car',)))
    """
    sides = [tuple(label for label in labels if groups.get(label) == side) for side in SIDES]
    if not all(sides):
        return None
    if all(len(side) == 1 for side in sides):
        return Partition.pair(sides[0][0], sides[1][0])
    names = ["+".join(side) for side in sides]
    # names of classes may hold a plus
    return Partition.groups(dict(zip(names if names[0] != names[1] else SIDES, sides, strict=True)))


def groups_of(partition: Partition) -> dict[str, str]:
    """The group of every label of a partition of two sides; none of any other.

    Examples
    --------
    >>> groups_of(Partition.pair("cat", "dog"))
    {'cat': 'A', 'dog': 'B'}
    """
    if len(partition.sides) != len(SIDES):
        return {}
    return {label: side for side, (_, covered) in zip(SIDES, partition.sides, strict=True) for label in covered}


def python_partition(partition: Partition | str, labels: Sequence[str], stored: Sequence[Partition]) -> str:
    """A partition as `specent.entropy` takes it, in Python.

    Examples
    --------
    >>> python_partition(Partition.pair("cat", "dog"), ["cat", "dog"], [])
    '"cat | dog"'
    """
    if isinstance(partition, str):
        return python_text(partition)
    text = partition_text(partition, labels, stored)
    return f"sp.Partition.from_json({python_text(text)})" if text.startswith("{") else python_text(text)


def python_text(text: str) -> str:
    """Text as Python writes it, whatever it holds, in double quotes where these need no escape.

    Examples
    --------
    >>> print(python_text("cat"), python_text('a "b"'))
    "cat" 'a "b"'
    """
    quoted = repr(text)
    return f'"{quoted[1:-1]}"' if quoted[0] == "'" and '"' not in quoted and "\\'" not in quoted else quoted
