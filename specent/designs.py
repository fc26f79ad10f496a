"""Factorial designs: labels that combine the values of several attributes, and the partitions by each of them.

Where every value of one attribute comes with every value of another, the partitions by attribute and by combination
tell when an attribute is decided, and how far two of them are entangled on the way
(`specent.analysis.entanglement`). Prompts of a text-to-image model are made so, one for each combination.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import product

from specent import arguments
from specent.arguments import brief
from specent.errors import PartitionError
from specent.partitions import Partition, refuse_other_labels

MOST = 100_000
"""Combinations at most."""


def factorial(attributes: Mapping[str, Sequence[str]]) -> tuple[dict[str, dict[str, str]], list[Partition]]:
    """Every combination of the values of attributes as a label, and a partition by each attribute.

    Parameters
    ----------
    attributes : mapping of str to sequence of str
        Values of each attribute, two at least, such as ``{"colour": ["red", "blue"], "shape": ["cube", "ball"]}``.

    Returns
    -------
    labels : dict of str to dict of str to str
        For each combination its values by attribute; its label is the values with spaces between them.
    partitions : list of Partition
        One for each attribute, named after it.

    Raises
    ------
    PartitionError
        If there are fewer than two attributes, an attribute has fewer than two values, or two combinations read alike.

    Examples
    --------
    >>> labels, (colour, shape) = factorial({"colour": ["red", "blue"], "shape": ["cube", "ball"]})
    >>> prompts = {label: "a photo of a {colour} {shape}".format(**values) for label, values in labels.items()}
    >>> prompts["blue cube"]
    'a photo of a blue cube'
    >>> shape.sides
    (('cube', ('red cube', 'blue cube')), ('ball', ('red ball', 'blue ball')))
    """
    hint = "give a mapping from the name of each attribute to its values"
    arguments.instance(attributes, Mapping, "attributes", hint, error=PartitionError)  # type: ignore[type-abstract]
    if len(attributes) < 2:
        raise PartitionError(f"attributes={brief(dict(attributes))}: a design combines at least two attributes")
    count = 1
    for name, values in attributes.items():
        texts = isinstance(values, Collection) and all(isinstance(value, str) for value in values)
        if isinstance(values, str) or not texts or len(values) < 2:
            raise PartitionError(f"attributes[{name!r}]={brief(values)} must be a list of at least two texts")
        count *= len(values)
    if count > MOST:
        raise PartitionError(f"attributes have {count} combinations, more than {MOST}; leave out values")
    labels: dict[str, dict[str, str]] = {}
    for values in product(*attributes.values()):
        label = " ".join(values)
        if label in labels:
            raise PartitionError(f"attributes: two combinations read {label!r}; give their values other names")
        labels[label] = dict(zip(attributes, values, strict=True))
    partitions = []
    for name, values in attributes.items():
        sides: dict[str, list[str]] = {value: [] for value in values}
        for label, own in labels.items():
            sides[own[name]].append(label)
        partitions.append(Partition.groups(sides, name=name))
    return labels, partitions


def joint(first: Partition, second: Partition) -> Partition:
    """The partition by both of two partitions: a side for each pair of their sides that share a label.

    Parameters
    ----------
    first, second : Partition
        Of the same labels.

    Returns
    -------
    Partition
        Named after both, its sides weighed by the priors of the labels.

    Raises
    ------
    PartitionError
        If they cover different labels, or the null condition, or two pairs of sides read alike.

    Examples
    --------
    >>> _, (colour, shape) = factorial({"colour": ["red", "blue"], "shape": ["cube", "ball"]})
    >>> joint(colour, shape).side_names
    ('red, cube', 'red, ball', 'blue, cube', 'blue, ball')
    """
    for argument, value in (("first", first), ("second", second)):
        arguments.instance(value, Partition, argument, "give a partition", error=PartitionError)
    refuse_other_labels(second, first)
    home = {label: name for name, labels in second.sides for label in labels}
    sides: dict[str, list[str]] = {}
    for outer, labels in first.sides:
        for inner, _ in second.sides:
            shared = [label for label in labels if home[label] == inner]
            name = f"{outer}, {inner}"
            if shared and name in sides:
                raise PartitionError(f"first, second: two pairs of sides read {name!r}; give their sides other names")
            if shared:
                sides[name] = shared
    return Partition.groups(sides, name=f"{first.name} and {second.name}")
