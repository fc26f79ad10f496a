"""What figures of curves are called: questions in words, which name the partition where there is a single one."""

from __future__ import annotations

from collections.abc import Sequence

from specent.partitions import NULL
from specent.plotting.select import Series

_WORDS = {
    "full set": "is the class decided",
    "one against the rest": "is each class decided",
    "pairs": "do two classes part",
    "groups": "are the groups decided",
    "against the null condition": "does a class part from the null condition",
}
# longer names of a single partition are left to the caption
_LONGEST_NAME = 40
_TITLES = {
    "entropy": "When {}?",
    "entropy_rate": "How fast {}?",
    "mutual_information": "When {}?",
}


def in_words(curves: Sequence[Series], name: str) -> str:
    """What a figure shows, as a question in words, which names a single partition.

    Examples
    --------
    >>> import numpy as np
    >>> numbers = [np.zeros(2)] * 4 + [np.zeros(2, dtype=bool)]
    >>> in_words([Series({"partition": "cat | dog"}, "pairs", *numbers)], "entropy_rate")
    'How fast do cat and dog part?'
    >>> in_words([Series({"partition": f"cat | {name}"}, "pairs", *numbers) for name in ("dog", "car")], "entropy")
    'When do two classes part?'
    >>> in_words([Series({"partition": "3 | rest"}, "one against the rest", *numbers)], "entropy")
    'When is 3 decided?'
    >>> in_words([Series({"partition": "full"}, "full set", *numbers)], "mutual_information")
    'When is the class decided?'
    """
    families = {one.family for one in curves}
    family = families.pop() if len(families) == 1 else ""
    partitions = {one.names["partition"] for one in curves if "partition" in one.names}
    single = " ".join(partitions.pop().split()) if len(partitions) == 1 else ""
    if single and family != "full set" and len(single) <= _LONGEST_NAME:
        return _TITLES[name].format(_named(single, family))
    return _TITLES[name].format(_WORDS.get(family, "is it decided"))


def _named(partition: str, family: str) -> str:
    first, _, second = partition.partition(" | ")
    if family == "pairs" and second:
        return f"do {first} and {second} part"
    if family == "against the null condition" and second == NULL:
        return f"does {first} part from the null condition"
    return f"is {short_name(partition, family)} decided"


def short_name(name: str, family: str) -> str:
    """Name of a curve for its label: the rest of one against the rest goes without saying."""
    return name.removesuffix(" | rest") if family == "one against the rest" else name
