r"""The chain rule over nested partitions: which split of a hierarchy is open at which noise, in bits.

If every side of a fine partition C lies within one side of a coarse one Z,

.. math:: H[C|X_t] = H[Z|X_t] + \sum_z P(z)\; E_{p_z} h\bigl(P(\cdot\,|\,x_t, z)\bigr) ,

and the same holds for the rates. The terms of the sum are the entropies of incomplete partitions, of the sides of C
within z alone. Their trajectories are driven from z, while the two entropies whose difference they are take all
trajectories and weigh them by :math:`P(z|\text{path})`. So both sides of the equation are estimates of one number from
different data, and their gap is a test that costs nothing. Over a whole hierarchy the terms of all splits add up to the
entropy of the finest partition: its information budget.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import xarray as xr

from specent import arguments
from specent.analysis.several_partitions import (
    QUANTITIES,
    EntropySource,
    check_label_prior,
    prior_of,
    with_bounds,
    with_replicates,
)
from specent.arguments import brief
from specent.errors import PartitionError
from specent.partitions import Partition, parse_all, refuse_other_labels

# priors and sums of priors may have gone through texts
_ROUNDING = 1e-6
# more sides than this are counted, not listed, in the name of a split
_LISTED = 12


@dataclass(frozen=True)
class Split:
    """One split of a hierarchy.

    Attributes
    ----------
    partition : Partition
        The sides of the finer partition within one side of the coarser one, with their own prior there.
    level : str
        Name of the finer partition.
    share : float
        Prior probability of what is split.
    """

    partition: Partition
    level: str
    share: float


def splits(partitions: Sequence[Partition], label_prior: Mapping[str, float] | None = None) -> list[Split]:
    """The splits of nested partitions, from the coarsest to the finest.

    Parameters
    ----------
    partitions : sequence of Partition
        From coarse to fine; they cover the same labels, and every side lies within one side of the partition before.
    label_prior : mapping of str to float, optional
        Prior of the labels, uniform by default.

    Returns
    -------
    list of Split
        The first is the coarsest partition itself. Sides that are not split again are left out.

    Raises
    ------
    SpecentError
        If the partitions are not nested, cover different labels, or weigh them differently.

    Examples
    --------
    >>> coarse = Partition.groups({"animal": ["cat", "dog"], "vehicle": ["car"]})
    >>> [(one.partition.name, round(one.share, 3)) for one in splits([coarse, Partition.full(["cat", "dog", "car"])])]
    [('animal | vehicle', 1.0), ('animal: cat | dog', 0.667)]
    """
    hint = "give a list of partitions, from coarse to fine"
    partitions = arguments.listed(partitions, "partitions", hint, error=PartitionError)
    if not partitions:
        raise PartitionError("partitions is empty; give them from coarse to fine")
    for i, one in enumerate(partitions):
        arguments.instance(one, Partition, f"partitions[{i}]", "give a partition", error=PartitionError)
    check_label_prior(label_prior)
    labels = sorted(partitions[0].labels)
    prior = np.array([1.0 if label_prior is None else prior_of(label_prior, label, positive=True) for label in labels])
    for partition in partitions:
        refuse_other_labels(partition, partitions[0])
    weights = [partition.weights(labels, prior) for partition in partitions]
    result = [Split(partitions[0], partitions[0].name, 1.0)]
    for (coarse, coarse_weights), (fine, fine_weights) in pairwise(zip(partitions, weights, strict=True)):
        differs = np.flatnonzero(abs(coarse_weights.sum(axis=0) - fine_weights.sum(axis=0)) > _ROUNDING)
        if differs.size:
            raise PartitionError(
                f"partitions {coarse.name!r} and {fine.name!r} give the label {labels[differs[0]]!r} different "
                "probabilities; leave out prior=, or give priors that agree"
            )
        result += _within(coarse, fine, fine_weights.sum(axis=1))
    return result


def _within(coarse: Partition, fine: Partition, share: np.ndarray) -> list[Split]:
    """The splits of the sides of a coarse partition; `share` is the prior of the sides of the fine one."""
    home = {label: name for name, labels in coarse.sides for label in labels}
    inside: dict[str, list[int]] = {}
    for i, (name, labels) in enumerate(fine.sides):
        homes = {home[label] for label in labels}
        if len(homes) > 1:
            first, second = sorted(homes)[:2]
            raise PartitionError(
                f"partitions are not nested: side {name!r} of {fine.name!r} has labels on the sides {first!r} and "
                f"{second!r} of {coarse.name!r}; give partitions from coarse to fine"
            )
        inside.setdefault(homes.pop(), []).append(i)
    found = []
    for name, members in inside.items():
        if len(members) < 2:
            continue
        total = float(share[members].sum())
        sides = tuple(fine.sides[i] for i in members)
        listed = " | ".join(side for side, _ in sides)
        text = f"{name}: {listed if len(sides) <= _LISTED else f'{len(sides)} sides of {fine.name}'}"
        found.append(Split(Partition(text, sides, tuple(share[members] / total)), fine.name, total))
    return found


def chain(
    source: xr.Dataset,
    partitions: Sequence[Partition | str],
    *,
    label_prior: Mapping[str, float] | None = None,
    confidence: float | None = None,
    **options: Any,
) -> xr.Dataset:
    """Information budget over nested partitions: what each split contributes to the entropy of the finest.

    Parameters
    ----------
    source : Dataset or path
        Kind ``trajectories``, of which the entropies are taken; or kind ``profiles`` that hold all partitions and
        `splits`, such as exact ones.
    partitions : sequence of Partition or str
        From coarse to fine, at least two.
    label_prior : mapping of str to float, optional
        Prior of the labels of profiles, uniform by default; trajectories bring their own.
    confidence : float, optional
        Nominal coverage of the intervals, that of the profiles by default.
    **options
        Of `specent.entropy`, for trajectories: ``estimator``, ``rate``, ``replicates``, ``seed``.

    Returns
    -------
    Dataset
        Not a kind of the data contract. ``contribution`` (..., split, time): prior of what is split times the entropy
        of the split, in bits; ``budget`` (..., level, time): what has been contributed down to a partition;
        ``gap``: the entropy of that partition less its budget. ``contribution_rate`` and so on, per unit of the rate
        axis. With ``_lower`` and ``_upper``, NaN where the profiles have no replicates. Other dimensions are those of
        the profiles; ``share`` and ``split_level`` (split) say of what probability and in which partition a split is.

    Raises
    ------
    SpecentError
        If the partitions are not nested, or the source does not hold what is needed.

    Examples
    --------
    >>> import specent as sp
    >>> coarse = sp.Partition.groups({"animal": ["cat", "dog"], "vehicle": ["car"]})
    >>> budget = chain(sp.archive.example(), [coarse, "full"], estimator="path")
    >>> budget.split.values.tolist()
    ['animal | vehicle', 'animal: cat | dog']
    >>> budget.contribution.isel(guidance=0, estimator=0, time=-1).values.round(3).tolist()
    [0.971, 0.6]
    """
    found = EntropySource.of(source, label_prior, options)
    levels = parse_all(partitions, found.labels)
    if len(levels) < 2:
        raise PartitionError(f"partitions={brief(partitions)}: the chain rule needs two at least, from coarse to fine")
    nodes = splits(levels, found.label_prior)
    profiles = found.profiles([*levels, *(node.partition for node in nodes)], levels, **options)
    share = profiles.attrs.get("confidence", 0.95) if confidence is None else confidence
    share = arguments.number(share, "confidence", above=0, below=1)
    variables: dict[str, xr.DataArray] = {}
    for quantity in QUANTITIES:
        variables |= _budget(with_replicates(profiles, quantity), quantity, levels, nodes, share)
    kept = [name for name in profiles.coords if name != "replicate"]
    coords = {**profiles[kept].coords, "split": [node.partition.name for node in nodes], "level": _names(levels)}
    result = xr.Dataset(variables).assign_coords(coords).assign_coords(
        share=("split", [node.share for node in nodes]), split_level=("split", [node.level for node in nodes])
    )  # fmt: skip
    return result.assign_attrs(
        title="Information budget of nested partitions", rate_axis=profiles.attrs["rate_axis"], confidence=share
    )


def _names(partitions: Sequence[Partition]) -> list[str]:
    return [partition.name for partition in partitions]


def _budget(
    whole: xr.DataArray, quantity: str, levels: Sequence[Partition], nodes: Sequence[Split], confidence: float
) -> dict[str, xr.DataArray]:
    """What splits contribute, what that makes, and what is missing; of the levels first and the splits after them."""
    count = len(levels)
    share = xr.DataArray([node.share for node in nodes], dims="split")
    contribution = whole.isel(partition=slice(count, None)).rename(partition="split") * share
    names = _names(levels)
    rank = np.array([names.index(node.level) for node in nodes])
    down_to = xr.DataArray((rank <= np.arange(count)[:, None]).astype(np.float64), dims=("level", "split"))
    budget = (contribution * down_to).sum("split")
    gap = whole.isel(partition=slice(0, count)).rename(partition="level") - budget
    suffix, units = ("", "bit") if quantity == "entropy" else ("_rate", "bit per unit of the rate axis")
    texts = {
        "contribution": f"{quantity.replace('_', ' ')} of the split, times its prior",
        "budget": "sum of the contributions down to the level",
        "gap": f"{quantity.replace('_', ' ')} of the level less its budget",
    }
    variables: dict[str, xr.DataArray] = {}
    for name, values in zip(texts, (contribution, budget, gap), strict=True):
        variables |= dict(with_bounds(values, f"{name}{suffix}", texts[name], units, confidence))
    return variables
