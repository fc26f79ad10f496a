r"""The tree of classes: which of them part at which noise, how sure that is, and whether it is a hierarchy.

Two groups of classes merge at the mean of :math:`\ln\sigma_{1/2}` over all pairs of a class here and a class there
(average linkage), where :math:`\sigma_{1/2}` is the noise level at which half of the entropy of the pair is left. Every
node is then looked at as a split of its own: the one branch against the other, with the prior of the classes.

Linkage finds a tree in anything. Classes form a *hierarchy* if a split is still open when the one above it is decided.
So the **hierarchy index** is the part of the entropy of a split that is left where half of that of its parent is,
averaged over all nodes but the root: 1 for a clean hierarchy. A *violation* is a split at more noise than its parent.
The index of random trees over the same classes tells how large it is without any hierarchy.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from specent import arguments, exact
from specent.analysis.bootstrap import FEWEST, skewed_interval
from specent.analysis.crossings import crossings
from specent.analysis.entropy import entropy
from specent.analysis.inputs import as_dataset, checked_runs
from specent.arguments import brief
from specent.errors import SpecentError
from specent.partitions import NULL, Partition
from specent.schedules import Schedule
from specent.schema.coordinates import guidance_settings

Array = NDArray[np.float64]
Profiles = Callable[[Sequence[Partition]], xr.Dataset]

MOST = 100
"""Classes of a tree at most: it takes every pair of them."""


@dataclass(frozen=True)
class Node:
    """A node of a tree of classes.

    Attributes
    ----------
    first, second : tuple of str
        The labels of both branches.
    parent : int
        Position of the node above, -1 for the root.
    """

    first: tuple[str, ...]
    second: tuple[str, ...]
    parent: int

    @property
    def labels(self) -> frozenset[str]:
        """All labels below the node."""
        return frozenset((*self.first, *self.second))

    @property
    def name(self) -> str:
        """The node in words."""
        return f"{'+'.join(self.first)} | {'+'.join(self.second)}"

    @property
    def split(self) -> Partition:
        """The one branch against the other, by the prior of the labels."""
        return Partition(self.name, (("+".join(self.first), self.first), ("+".join(self.second), self.second)))


def average_linkage(levels: Array) -> Array:
    """Merges of the labels by the mean of their pairwise positions: two groups merge at the mean over all their pairs.

    Parameters
    ----------
    levels : ndarray, shape (pair,)
        Positions on an axis that grows with the noise, in the order of condensed distances: labels that part at lower
        noise are more alike. Those of pairs that never part are the lowest one.

    Returns
    -------
    ndarray, shape (label - 1, 4)
        As scipy's linkage, its third column the position of a merge.

    Examples
    --------
    >>> average_linkage(np.array([-1.0, 2.0, 3.0]))[:, 2]
    array([-1. ,  2.5])
    """
    # distances may not be negative: logarithms are
    shift = levels.min()
    # only who asks for a tree waits for this import
    from scipy.cluster.hierarchy import linkage

    merges: Array = linkage(levels - shift, method="average")
    merges[:, 2] += shift
    return merges


def nodes_of(merges: Array, labels: Sequence[str]) -> list[Node]:
    """The nodes of a table of merges, from the first merge to the root.

    Examples
    --------
    >>> nodes_of(average_linkage(np.array([-1.0, 2.0, 3.0])), ["a", "b", "c"])[1]
    Node(first=('c',), second=('a', 'b'), parent=-1)
    """
    count = len(labels)
    below = [(label,) for label in labels]
    parents = np.full(len(merges), -1)
    for i, (left, right) in enumerate(merges[:, :2].astype(int)):
        for child in (left, right):
            if child >= count:
                parents[child - count] = i
        below.append((*below[left], *below[right]))
    return [
        Node(below[left], below[right], int(parent))
        for (left, right), parent in zip(merges[:, :2].astype(int).tolist(), parents, strict=True)
    ]


def random_merges(count: int, rng: np.random.Generator) -> Array:
    """A tree over so many labels in which any two groups are as likely to merge next as any other two."""
    alive = list(range(count))
    table = np.zeros((count - 1, 4))
    for i in range(count - 1):
        pair = sorted(rng.choice(len(alive), 2, replace=False).tolist(), reverse=True)
        table[i, :2] = sorted(alive.pop(at) for at in pair)
        alive.append(count + i)
    return table


def tree(
    source: Any,
    labels: Sequence[str] | None = None,
    *,
    schedule: Schedule | None = None,
    time: Any = None,
    estimator: str = "path",
    random_trees: int = 20,
    replicates: int = 200,
    seed: int = 0,
    confidence: float = 0.95,
    **options: Any,
) -> xr.Dataset:
    """The tree of classes with the support of its nodes, and the index of its hierarchy beside that of random trees.

    Parameters
    ----------
    source : Dataset, path, GaussianMixture or exact model
        Kind ``trajectories``, the first unguided setting of which is used; or what `specent.exact.profiles` takes, with
        `schedule` and `time`.
    labels : sequence of str, optional
        From 3 to 100 classes; all by default.
    schedule : Schedule, optional
        Of an exact source.
    time : array_like, optional
        Of an exact source.
    estimator : str
        Estimator of the entropies of trajectories.
    random_trees : int
        How many random trees the index is compared with; 0 for none.
    replicates, seed : int
        Of the bootstrap over trajectories, and of the random trees.
    confidence : float
        Nominal coverage of intervals.
    **options
        Of `specent.exact.profiles`, for an exact source: ``samples``.

    Returns
    -------
    Dataset
        Not a kind of the data contract. Over (node), from the first merge to the root: ``merge``, the log noise level
        at which the branches merge, with ``_lower`` and ``_upper``, and ``at_most``, whether a pair between them never
        falls to half; ``support``, the share of the replicates with a node of the same labels; ``split``, ln sigma
        where half of the entropy of the split is left, and ``left``, the part of the entropy of the split that is left
        where that of the parent is half gone. ``hierarchy_index`` with bounds, ``violations``, and ``random_index``
        (tree). Support and bounds are NaN without trajectories.
        ``first``, ``second`` and ``parent`` (node) describe the tree.

    Raises
    ------
    SpecentError
        If there are fewer than three classes or more than a hundred, a name is unknown, or an argument cannot be used.

    Examples
    --------
    >>> import specent as sp
    >>> mix = sp.exact.GaussianMixture([[-9.0], [7.0], [11.0]], labels=["far", "left", "right"])
    >>> made = tree(mix, schedule=sp.schedules.VE(), time=sp.schedules.edm_grid(64), random_trees=0)
    >>> made.node.values.tolist(), round(float(made.hierarchy_index), 2)
    (['left | right', 'far | left+right'], 0.96)
    """
    random_trees = arguments.whole(random_trees, "random_trees", least=0, most=1000)
    confidence = arguments.number(confidence, "confidence", above=0, below=1)
    seed = arguments.whole(seed, "seed")
    known, profiles_of = _source(source, schedule, time, estimator, replicates, seed, options)
    names = known if labels is None else arguments.names(labels, "labels")
    unknown = next((name for name in names if name not in known), None)
    if unknown is not None:
        raise SpecentError(f"labels: {unknown!r} is none of the classes {brief(known)}")
    if not 3 <= len(names) <= MOST:
        raise SpecentError(f"labels: a tree needs from 3 to {MOST} classes, and these are {len(names)}; choose others")
    pairs = profiles_of([Partition.pair(a, b) for a, b in combinations(names, 2)])
    levels = _half(pairs)
    merges = [average_linkage(row) for row in levels.T]
    nodes = nodes_of(merges[0], names)
    curves = profiles_of([node.split for node in nodes])
    split, left = _splits(curves, nodes)
    rng = np.random.default_rng([seed, 1])
    others = [nodes_of(random_merges(len(names), rng), names) for _ in range(random_trees)]
    result = _dataset(names, nodes, merges, split, left, _random_indices(profiles_of, others), confidence)
    never = levels[:, 0] <= -0.5 * float(pairs["log_snr"].max())
    at_most = xr.Variable(
        "node", _any_between(nodes, names, never), {"long_name": "whether the merge is an upper bound"}
    )
    return result.assign(at_most=at_most)


def _any_between(nodes: Sequence[Node], labels: Sequence[str], pairs: NDArray[np.bool_]) -> list[bool]:
    """Whether something holds of any pair of a label in one branch and a label in the other, node by node."""
    held = dict(zip(combinations(labels, 2), pairs.tolist(), strict=True))
    return [any(held.get((a, b), held.get((b, a))) for a in node.first for b in node.second) for node in nodes]


def _source(
    source: Any, schedule: Schedule | None, time: Any, estimator: str, replicates: int, seed: int,
    options: dict[str, Any],
) -> tuple[list[str], Profiles]:  # fmt: skip
    """The classes, and what makes the profiles of partitions of them."""
    source = as_dataset(source, "trajectories", "source")
    if not isinstance(source, xr.Dataset):
        if not hasattr(source, "labels"):
            raise SpecentError(
                f"source={brief(source)} is a {type(source).__name__}; give trajectories, a mixture or an exact model"
            )
        if schedule is None or time is None:
            raise SpecentError("source is exact, and its curves are taken where you say: give schedule= and time=")
        return list(source.labels), lambda parts: exact.profiles(source, schedule, time, parts, seed=seed, **options)
    if options or schedule is not None or time is not None:
        name = next(iter(options), "schedule" if schedule is not None else "time")
        raise SpecentError(f"{name}= is for exact sources; trajectories have their own noise")
    runs = checked_runs(source)
    plain = [g for g, one in enumerate(guidance_settings(runs)) if not one.guided]
    if not plain:
        raise SpecentError(
            f"source: none of the settings {runs['guidance'].values.tolist()} is unguided, and guided samples decide "
            "elsewhere; give unguided runs"
        )
    runs = runs.isel(guidance=plain[:1])
    prior = dict(zip(runs["candidate"].values.tolist(), runs["candidate_prior"].values.tolist(), strict=True))
    drove = [name for name in runs["class_label"].values.tolist() if name != NULL and prior[name] > 0]
    return drove, lambda parts: entropy(
        runs, parts, estimator, rate="differences", replicates=replicates, seed=seed, progress=False
    )


@dataclass(frozen=True, eq=False)
class _Curves:
    """Entropies of partitions as parts of their start, from noise to data.

    Attributes
    ----------
    log_snr : ndarray, shape (time,)
        Ascending.
    parts : ndarray, shape (partition, 1 + replicates, time)
        The estimate first.
    """

    log_snr: Array
    parts: Array

    @classmethod
    def of(cls, profiles: xr.Dataset) -> _Curves:
        profiles = profiles.isel(guidance=0, estimator=0).compute()
        estimate = profiles["entropy"].transpose("partition", "time").values
        start = estimate[:, -1] + profiles["mutual_information"].transpose("partition", "time").values[:, -1]
        rows = [estimate[:, None]]
        if "entropy_replicate" in profiles:
            rows.append(profiles["entropy_replicate"].transpose("partition", "replicate", "time").values)
        parts = np.concatenate(rows, axis=1).astype(np.float64) / start[:, None, None]
        return cls(profiles["log_snr"].values[::-1].copy(), parts[..., ::-1])

    def half(self) -> Array:
        """Ln sigma where half is left, shape (partition, 1 + replicates); the lowest noise where that is never."""
        # partition by partition: the splines of all pairs and replicates at once would take gigabytes
        found = np.stack([crossings(self.log_snr, curves, np.array([0.5]))[:, 0] for curves in self.parts])
        return -0.5 * np.where(np.isnan(found), self.log_snr[-1], found)

    def at(self, partition: int, log_sigma: Array) -> Array:
        """The part of one partition that is left at a noise level for each replicate, shape (1 + replicates,)."""
        from scipy.interpolate import CubicSpline

        position = np.clip(-2 * log_sigma, self.log_snr[0], self.log_snr[-1])
        curves = CubicSpline(self.log_snr, self.parts[partition], axis=1)
        return np.array([float(curves(where)[i]) for i, where in enumerate(position)])


def _half(profiles: xr.Dataset) -> Array:
    return _Curves.of(profiles).half()


def _splits(profiles: xr.Dataset, nodes: Sequence[Node]) -> tuple[Array, Array]:
    """Of every node ln sigma of its split, and what is left of it at that of its parent, (node, 1 + replicates)."""
    curves = _Curves.of(profiles)
    half = curves.half()
    left = np.full(half.shape, np.nan)
    for i, node in enumerate(nodes):
        if node.parent >= 0:
            left[i] = curves.at(i, half[node.parent])
    return half, left


def _random_indices(profiles_of: Profiles, trees: Sequence[Sequence[Node]]) -> Array:
    """The index of every tree; splits that several have are measured once."""
    wanted = {_sides(node): node.split for nodes in trees for node in nodes}
    if not wanted:
        return np.zeros(0)
    position = {sides: i for i, sides in enumerate(wanted)}
    # nodes of different trees may have one name
    parts = [Partition(f"split {i}", part.sides) for i, part in enumerate(wanted.values())]
    whole = profiles_of(parts)
    return np.array(
        [
            np.nanmean(_splits(whole.isel(partition=[position[_sides(node)] for node in nodes]), nodes)[1][:, 0])
            for nodes in trees
        ]
    )


def _sides(node: Node) -> frozenset[frozenset[str]]:
    return frozenset((frozenset(node.first), frozenset(node.second)))


def _dataset(
    labels: Sequence[str], nodes: Sequence[Node], merges: Sequence[Array], split: Array, left: Array, others: Array,
    confidence: float,
) -> xr.Dataset:  # fmt: skip
    clades = [[node.labels for node in nodes_of(table, labels)] for table in merges]
    found = [set(own) for own in clades[1:]]
    support = [np.mean([node.labels in own for own in found]) if found else np.nan for node in nodes]
    height = np.array([
        [_height(table, own, node.labels) for table, own in zip(merges, clades, strict=True)] for node in nodes
    ])  # fmt: skip
    index = np.nanmean(left, axis=0)[None]
    variables: dict[str, Any] = {"support": ("node", support)}
    texts = {
        "merge": "log noise level at which the branches merge",
        "split": "log noise level where half of the entropy of the split is left",
        "left": "part of the entropy of the split that is left where that of the parent is half gone",
        "hierarchy_index": "mean over the splits of what is left of them where that of the parent is half gone",
        "support": "share of the replicates with a node of the same labels",
        "violations": "splits at more noise than their parent",
        "random_index": "hierarchy index of a random tree",
    }
    for name, values in (("merge", height), ("split", split), ("left", left)):
        for end, column in _bounded(name, values, confidence).items():
            variables[end] = ("node", column)
    for end, column in _bounded("hierarchy_index", index, confidence).items():
        variables[end] = ((), column[0])
    above = [node.parent >= 0 and split[i, 0] > split[node.parent, 0] for i, node in enumerate(nodes)]
    variables["violations"] = ((), int(np.sum(above)))
    variables["random_index"] = ("tree", others)
    coords = {
        "node": [node.name for node in nodes], "parent": ("node", [node.parent for node in nodes]),
        "first": ("node", ["+".join(node.first) for node in nodes]),
        "second": ("node", ["+".join(node.second) for node in nodes]),
    }  # fmt: skip
    result = xr.Dataset(variables, coords, {"title": f"Tree of {len(labels)} classes", "confidence": confidence})
    for name in map(str, result.data_vars):
        base = name.removesuffix("_lower").removesuffix("_upper")
        words = texts[base] if base == name else f"{name.rsplit('_', 1)[1]} bound of the {texts[base]}"
        result[name].attrs = {"units": "1", "long_name": words}
    return result


def _height(table: Array, clades: Sequence[frozenset[str]], labels: frozenset[str]) -> float:
    """The lowest merge of a tree below which all of some labels are."""
    return next(float(row[2]) for row, clade in zip(table, clades, strict=True) if clade >= labels)


def _bounded(name: str, values: Array, confidence: float) -> dict[str, Array]:
    """Estimates with bounds, from (..., 1 + replicates); NaN without replicates or where there is no number."""
    ends = np.full((len(values), 2), np.nan)
    known = np.isfinite(values).all(axis=1)
    if values.shape[1] > FEWEST:
        ends[known] = skewed_interval(values[known], confidence)
    return {name: values[:, 0], f"{name}_lower": ends[:, 0], f"{name}_upper": ends[:, 1]}
