"""Checks of arguments that sampling and the exact profiles share, made before any work."""

from __future__ import annotations

import os
import sys
from typing import Any

from specent import arguments
from specent.arguments import brief
from specent.errors import SpecentError
from specent.partitions import Partition


def check_shape(shape: Any, *, error: type[SpecentError] = SpecentError) -> tuple[int, ...]:
    """The shape of one sample as a tuple.

    Examples
    --------
    >>> check_shape([1, 8, 8])
    (1, 8, 8)
    """
    need = "a sample is (features,) or (channels, height, width)"
    try:
        sizes = None if isinstance(shape, (str, bytes, dict)) else tuple(shape)
    except TypeError:
        sizes = None
    if sizes is None or len(sizes) not in (1, 3):
        raise error(f"shape={brief(shape)}: {need}")
    return tuple(arguments.whole(size, f"shape[{i}]", least=1, error=error) for i, size in enumerate(sizes))


def check_partitions(partitions: Any) -> tuple[Partition, ...]:
    """Partitions of distinct names from any iterable, or from a single one.

    Examples
    --------
    >>> [partition.name for partition in check_partitions(Partition.pair("a", "b"))]
    ['a | b']
    """
    if isinstance(partitions, Partition):
        return (partitions,)
    if isinstance(partitions, str):
        mend = "use specent.Partition, for example specent.Partition.parse(text, model.labels)"
        raise SpecentError(f"partitions={brief(partitions)} is a text; {mend}")
    try:
        found = tuple(partitions)
    except TypeError as problem:
        raise SpecentError(f"partitions={brief(partitions)} must be a list of specent.Partition") from problem
    for i, partition in enumerate(found):
        arguments.instance(partition, Partition, f"partitions[{i}]", "use specent.Partition")
    names = [partition.name for partition in found]
    if len(set(names)) < len(names):
        raise SpecentError(f"two partitions have the same name among {names[:8]}; rename one")
    return found


def check_memory(size: int, what: str, mend: str) -> None:
    """Refuse arrays of `size` bytes if they exceed the memory of this machine."""
    memory = _memory()
    if size > memory:
        raise SpecentError(
            f"{what} would need {size / 2**30:.3g} GiB, but this machine has {memory / 2**30:.3g} GiB of memory; {mend}"
        )


def _memory() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):  # not every system tells
        return sys.maxsize
