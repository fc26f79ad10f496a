"""Definitions of partitions as text, in space that grows with the number of labels and not with its square.

A thousand partitions of one label against the rest of a thousand would be a million labels if each spelled out its
rest. Where a side has many labels, its definition refers to the set of all labels that the partition covers, by a
digest: ``{"rest_of": ...}`` are those of them that are on no other side, and ``{"each_of": ...}`` in the place of
the sides stands for every one of them on a side of its own. The labels stand once beside the definitions, in the
attribute `LABELS` of their coordinate. Two partitions are the same if their texts are, whatever stands beside them.
Short definitions are those of `Partition.to_json`.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import xarray as xr

from specent import arguments
from specent.arguments import brief
from specent.errors import PartitionError, SpecentError
from specent.partitions import NULL, Partition
from specent.untrusted import parse_json

LABELS = "labels"
"""Attribute of the coordinate ``definition``: JSON text of the labels that definitions refer to, by their digest."""

_LONG = 33
_MOST_LABELS = 30_000_000
_REFERENCE = re.compile(r'"(?:rest|each)_of": "([0-9a-f]{16})"')


def to_texts(partitions: Sequence[Partition]) -> tuple[list[str], str]:
    """Definitions of partitions, and the text of the labels that they refer to; empty if they refer to none.

    Examples
    --------
    >>> names = [f"c{i}" for i in range(40)]
    >>> texts, labels = to_texts([Partition.one_vs_rest("c0", names), Partition.pair("c0", "c1")])
    >>> json.loads(texts[0])["sides"]
    [['c0', ['c0']], ['not c0', {'rest_of': '16c6fc414d74827f'}]]
    >>> texts[1] == Partition.pair("c0", "c1").to_json()
    True
    >>> sorted(json.loads(labels)["16c6fc414d74827f"]) == sorted(names)
    True
    """
    covered = [frozenset(one.labels) - {NULL} if _is_long(one) else None for one in partitions]
    alike: dict[frozenset[str], list[Partition]] = {}
    for one, labels in zip(partitions, covered, strict=True):
        if labels is not None:
            alike.setdefault(labels, []).append(one)
    orders = {labels: _order(members) for labels, members in alike.items()}
    digests = {labels: _digest(labels) for labels in alike}
    texts = [
        one.to_json() if labels is None else _short(one, orders[labels], digests[labels])
        for one, labels in zip(partitions, covered, strict=True)
    ]
    return texts, json.dumps({digests[labels]: order for labels, order in orders.items()}) if orders else ""


def as_settings(partitions: Sequence[Partition]) -> dict[str, Any]:
    """Entries of the settings of a dataset that say of which partitions it tells.

    Examples
    --------
    >>> as_settings([Partition.pair("a", "b")])["partitions"][0]["name"]
    'a | b'
    """
    texts, labels = to_texts(partitions)
    named = {"partition_labels": json.loads(labels)} if labels else {}
    return {"partitions": [json.loads(text) for text in texts], **named}


def from_texts(texts: Iterable[str], labels: str = "") -> list[Partition]:
    """The partitions of definitions, with the labels that stand beside these.

    Raises
    ------
    PartitionError
        If a text is no definition, or refers to labels that are not there.

    Examples
    --------
    >>> names = [f"c{i}" for i in range(40)]
    >>> partitions = [Partition.full(names), Partition.one_vs_rest("c7", names)]
    >>> from_texts(*to_texts(partitions)) == partitions
    True
    """
    texts, sets, partitions = list(texts), _label_sets(labels), []
    total = sum(len(sets.get(digest, ())) for text in texts for digest in _REFERENCE.findall(text))
    if total > _MOST_LABELS:
        raise PartitionError(f"partitions: their sides have more than {_MOST_LABELS} labels; select some of them")
    for text in texts:
        fields = _fields(text)
        try:
            partitions.append(Partition(fields["name"], _sides(fields, sets), fields["prior"]))  # type: ignore[arg-type]
        except PartitionError:
            raise
        except (KeyError, TypeError, ValueError) as error:
            raise _not_one(text) from error
    return partitions


@lru_cache(maxsize=8192)
def outline(text: str, labels: str = "") -> tuple[str, int]:
    """Name and number of sides of a definition, which is examined without writing out what it refers to.

    Examples
    --------
    >>> outline(Partition.pair("a", "b").to_json())
    ('a | b', 2)
    """
    fields, sets = _fields(text), _label_sets(labels)
    try:
        # of what a side refers to, one label stands for all
        partition = Partition(fields["name"], _sides(fields, sets, outline=True), fields["prior"])  # type: ignore[arg-type]
        each = fields["sides"]["each_of"] if isinstance(fields["sides"], dict) else ""
    except PartitionError:
        raise
    except (KeyError, TypeError, ValueError) as error:
        raise _not_one(text) from error
    return partition.name, len(sets[each]) if each else len(partition.sides)


def outlines(dataset: xr.Dataset) -> list[tuple[str, int]]:
    """Name and number of sides of every definition in a dataset."""
    if "definition" not in dataset.coords:
        return []
    variable = dataset.variables["definition"]
    return [outline(str(text), labels_beside(variable)) for text in variable.values]


def are_spelled_out(dataset: xr.Dataset) -> bool:
    """Whether a dataset has a definition that would be shorter today; no label of it is read."""
    if "definition" not in dataset.coords:
        return False
    texts = np.ravel(dataset.variables["definition"].values)
    # the shortest has four letters and a comma for each of its labels
    if texts.dtype.kind == "U" and texts.dtype.itemsize < 4 * 5 * _LONG:
        return False
    return any(_may_be_shorter(str(text)) for text in texts)


@lru_cache(maxsize=8192)
def _may_be_shorter(text: str) -> bool:
    if text.count('", "') < _LONG - 1 or _REFERENCE.search(text):
        return False
    try:
        return _is_long(Partition.from_json(text))
    except PartitionError:  # validation says so
        return False


def shortened(variable: xr.Variable) -> xr.Variable:
    """The coordinate ``definition`` with every definition as short as it is written today."""
    labels = labels_beside(variable)
    texts = [str(text) for text in np.ravel(variable.values)]
    try:
        short, more = to_texts(from_texts(texts, labels))
    except PartitionError:  # validation says so
        return variable
    values = np.array(short).reshape(variable.shape)
    return xr.Variable(variable.dims, values, {**variable.attrs, LABELS: joined((labels, more), short)})


def labels_beside(variable: xr.Variable) -> str:
    """The text of the labels beside the definitions in a coordinate; empty if there is none."""
    return str(variable.attrs.get(LABELS, ""))


def joined(labels: Iterable[str], used: Iterable[str]) -> str:
    """The label sets of several datasets as one text, those that the definitions `used` refer to."""
    sets: dict[str, tuple[str, ...]] = {}
    for text in dict.fromkeys(labels):
        sets = {**_label_sets(text), **sets}
    referred = {digest for text in used for digest in _REFERENCE.findall(text)} if sets else set()
    return json.dumps({digest: order for digest, order in sets.items() if digest in referred}) if referred else ""


def _is_long(partition: Partition) -> bool:
    return _longest(partition) >= _LONG or (len(partition.sides) >= _LONG and _is_each(partition))


def _longest(partition: Partition) -> int:
    return max(len(labels) for _, labels in partition.sides)


def _is_each(partition: Partition) -> bool:
    """Whether every label stands on a side of its own, which has its name."""
    return partition.prior is None and all(labels == (side,) for side, labels in partition.sides)


def _short(partition: Partition, order: tuple[str, ...], digest: str) -> str:
    sides: Any = [[name, list(labels)] for name, labels in partition.sides]
    if _is_each(partition) and partition.labels == order:
        sides = {"each_of": digest}
    elif _longest(partition) >= _LONG:
        i = [len(labels) for _, labels in partition.sides].index(_longest(partition))
        others = {label for k, (_, labels) in enumerate(partition.sides) if k != i for label in labels}
        if partition.sides[i][1] == _without(order, others):
            sides[i][1] = {"rest_of": digest}
    return json.dumps({"name": partition.name, "sides": sides, "prior": partition.prior})


def _order(partitions: Sequence[Partition]) -> tuple[str, ...]:
    """An order of the labels that partitions of the same labels have in common, if that is easily seen."""
    for one in partitions:
        if _is_each(one):
            return one.labels
    # neighbours leave open which of them comes first
    first, second = (max((labels for _, labels in partitions[i].sides), key=len) for i in (0, len(partitions) // 2))
    merged, own = _merged(first, second), tuple(label for label in partitions[0].labels if label != NULL)
    return merged if len(merged) == len(own) else own


def _merged(first: tuple[str, ...], second: tuple[str, ...]) -> tuple[str, ...]:
    """Two selections of the same labels as one, each in its order; empty if that does not work."""
    order: list[str] = []
    known, other = set(first), set(second)
    i = k = 0
    while i < len(first) or k < len(second):
        if i < len(first) and first[i] not in other:
            order.append(first[i])
            i += 1
        elif k < len(second) and second[k] not in known:
            order.append(second[k])
            k += 1
        elif i < len(first) and k < len(second) and first[i] == second[k]:
            order.append(first[i])
            i, k = i + 1, k + 1
        else:
            return ()
    return tuple(order)


def _without(order: Sequence[str], others: set[str]) -> tuple[str, ...]:
    return tuple(label for label in order if label not in others)


def _sides(fields: Mapping[str, Any], sets: Mapping[str, tuple[str, ...]], outline: bool = False) -> list[list[Any]]:
    """Name and labels of every side; in an outline, one label of those that are referred to, and two sides of many."""
    sides = fields["sides"]
    if isinstance(sides, dict):
        if fields["prior"] is not None:
            raise ValueError("sides that are not named one by one have no prior of their own")
        order = _referred(sides, "each_of", sets, fields)
        return [[label, [label]] for label in (order[:2] if outline else order)]
    others = {label for _, labels in sides if not isinstance(labels, dict) for label in labels} - {NULL}
    written = []
    for name, labels in sides:
        if isinstance(labels, dict):
            order = _referred(labels, "rest_of", sets, fields)
            if not others <= _members(order):
                raise ValueError("a side has a label that is not among all of them")
            rest = next((label for label in order if label not in others), None)
            labels = ([] if rest is None else [rest]) if outline else _without(order, others)
        written.append([name, labels])
    return written


def _referred(
    reference: Mapping[str, Any], kind: str, sets: Mapping[str, tuple[str, ...]], fields: Mapping[str, Any]
) -> tuple[str, ...]:
    digest = reference[kind]
    if not isinstance(digest, str) or digest not in sets:
        raise PartitionError(
            f"partition {brief(fields['name'])}: the labels to which its definition refers are not there; restore the "
            f"attribute {LABELS!r} of the coordinate 'definition'"
        )
    return sets[digest]


@lru_cache(maxsize=64)
def _label_sets(text: str) -> dict[str, tuple[str, ...]]:
    """Sets of labels by their digest, which is that of their labels."""
    if not text:
        return {}
    try:
        sets = {
            digest: arguments.names(order, LABELS, error=PartitionError) for digest, order in parse_json(text).items()
        }
    except (AttributeError, SpecentError) as error:
        raise PartitionError(f"{LABELS}={brief(text)} is not the JSON text of lists of labels") from error
    for digest, order in sets.items():
        if len(order) < 2 or len(set(order)) < len(order) or NULL in order or _digest(order) != digest:
            raise PartitionError(f"{LABELS}: the labels of {brief(digest)} are not those that it stands for")
    return sets


@lru_cache(maxsize=64)
def _members(order: tuple[str, ...]) -> frozenset[str]:
    return frozenset(order)


def _digest(labels: Iterable[str]) -> str:
    return hashlib.sha256(json.dumps(sorted(labels)).encode()).hexdigest()[:16]


def _fields(text: str) -> dict[str, Any]:
    try:
        fields = parse_json(text)
    except SpecentError as error:
        raise _not_one(text) from error
    if not isinstance(fields, dict):
        raise _not_one(text)
    return fields


def _not_one(text: str) -> PartitionError:
    return PartitionError(f"{brief(text)} is not the JSON definition of a partition")
