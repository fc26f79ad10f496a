r"""What is asked of a set of trajectories: partitions, their weights, and the statistics of every single trajectory.

Along a path the log-likelihoods of the candidates give the posterior of the sides of a partition, exactly and for any
network (arXiv 2506.10433). Three numbers per trajectory and time follow from it: the entropy h of the posterior, the
surprise :math:`-\log P(z)` of the side z that drove the path, and the variance of that surprise under the posterior,
which says how far the two may differ if all is well.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from specent import evidence, schema
from specent.arguments import brief, listed
from specent.errors import PartitionError, SpecentError
from specent.partitions import Partition
from specent.schema import NULL

Array = NDArray[np.float64]

NAT = float(1 / np.log(2))
"""One nat in bits."""

# numbers per block of a streamed statistic: 32 MB
_BLOCK = 2**22
# nats at the start that are none
_ROUNDING = 1e-6
_RUN = ("guidance", "class_label", "sample", "time")


@dataclass(frozen=True, eq=False)
class Question:
    """A partition, set against the candidates and drivers of a set of trajectories.

    Attributes
    ----------
    partition : Partition
    weights : ndarray, shape (sides, candidates)
        Joint prior of side and candidate.
    side : ndarray of int, shape (classes,)
        The side that holds the driver, -1 if none does.
    share : ndarray, shape (classes,)
        Weight of the driver in expectations over the partition, summing to 1.
    """

    partition: Partition
    weights: Array
    side: NDArray[np.int64]
    share: Array

    @property
    def prior_entropy(self) -> float:
        """Entropy of the sides before anything is seen, in bits."""
        return NAT * float(evidence.entropy(evidence.log_weights(self.weights.sum(axis=1))))


def questions(runs: xr.Dataset, partitions: Partition | str | Sequence[Partition | str] | None) -> list[Question]:
    """The partitions asked of `runs`, checked against its labels.

    Parameters
    ----------
    runs : Dataset
        Kind ``trajectories``.
    partitions : Partition, str, sequence of these, or None
        Text is the name of a stored partition, or is read by `Partition.parse`. None stands for all stored ones.

    Raises
    ------
    SpecentError
        If nothing is asked, a label is unknown or drove no trajectory, or two partitions have one name.
    """
    candidates = [str(name) for name in runs["candidate"].values]
    drivers = [str(name) for name in runs["class_label"].values]
    labels = [name for name in candidates if name != NULL]
    prior = runs["candidate_prior"].values
    made = [_question(part, candidates, drivers, prior) for part in _resolved(stored(runs), partitions, labels)]
    names = [question.partition.name for question in made]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise PartitionError(f"partitions: the name {twice!r} stands for two of them; give each a name of its own")
    return made


def stored(runs: xr.Dataset) -> list[Partition]:
    """The partitions that were named when `runs` was sampled."""
    if "definition" not in runs.coords:
        return []
    return [Partition.from_json(str(text)) for text in runs["definition"].values]


def checked_runs(runs: xr.Dataset) -> xr.Dataset:
    """The trajectories with their dimensions in order, their candidates aligned and their coordinates in memory.

    After a selection of candidates, the pairs follow it, and drivers that are scored no longer are left out.

    Raises
    ------
    SpecentError
        Unless `runs` is a trajectories dataset with two samples and two times at least, and a driver that is scored.
    """
    runs = schema.need(runs, "trajectories", "runs", ["log_likelihood"])
    for dim in ("sample", "time"):
        if runs.sizes[dim] < 2:
            raise SpecentError(f"runs has {runs.sizes[dim]} {dim}(s); at least 2 are needed")
    # chunking a dataset chunks its coordinates too
    return _aligned(runs.assign_coords({name: coord.compute() for name, coord in runs.coords.items() if coord.chunks}))


def _aligned(runs: xr.Dataset) -> xr.Dataset:
    """Second candidates in the order of the candidates, and drivers among these."""
    candidates = runs["candidate"].values.tolist()
    if "other_candidate" in runs.dims and runs["other_candidate"].values.tolist() != candidates:
        others = runs["other_candidate"].values.tolist()
        missing = [name for name in candidates if name not in others]
        if missing:
            raise SpecentError(
                f"runs: candidate {missing[0]!r} is not among other_candidate={brief(others)}; select both alike, or "
                "drop denoiser_distance and other_candidate"
            )
        runs = runs.sel(other_candidate=candidates)
    drivers = runs["class_label"].values.tolist()
    scored = [name for name in drivers if name in candidates]
    if not scored:
        raise SpecentError(
            f"runs: of the drivers {brief(drivers)} none is among the candidates {brief(candidates)}; select both alike"
        )
    return runs if scored == drivers else runs.sel(class_label=scored)


def check_start(runs: xr.Dataset, why: str) -> None:
    """Raise unless the evidence starts within `runs`: the first sample of every driver tells.

    Raises
    ------
    SpecentError
        Naming the largest evidence at the last time, if that is beyond rounding.
    """
    last = runs["log_likelihood"].isel(time=-1, sample=0)
    most = float(abs(last).max())
    if most > _ROUNDING:
        raise SpecentError(
            f"runs: log_likelihood is {most:.3g} at the last time, not 0: the noisy end was cut off, and {why}; keep "
            "all noisy times in runs and cut the profiles instead, or leave this estimator out"
        )


def check_finite(runs: xr.Dataset, sources: Sequence[str], found: xr.Dataset) -> None:
    """If a number in `found` is not finite, raise `SpecentError` naming the first place in the variables it is from."""
    if all(np.isfinite(variable.values).all() for variable in found.variables.values()):
        return
    for name in sources:
        bad: xr.DataArray = xr.apply_ufunc(np.isfinite, runs[name], dask="allowed") == 0
        if bool(bad.any()):
            place = []
            for dim in bad.dims:
                first = int(np.argmax(bad.any([other for other in bad.dims if other != dim]).values))
                value = runs[dim].values[first] if dim in runs.coords else first
                place.append(f"{dim}={value:.6g}" if isinstance(value, float) else f"{dim}={value!s}")
                bad = bad.isel({dim: [first]})
            raise SpecentError(f"runs: {name} is not finite at {', '.join(place)}; sample these trajectories again")


def _resolved(
    known: list[Partition], partitions: Partition | str | Sequence[Partition | str] | None, labels: Sequence[str]
) -> list[Partition]:
    if partitions is None:
        if not known:
            raise PartitionError("partitions=None, but none were named when runs was sampled; pass partitions=[...]")
        lost = [label for partition in known for label in partition.labels if label not in (*labels, NULL)]
        if lost:
            raise PartitionError(
                f"partitions=None, but those named when runs was sampled ask for {lost[0]!r}, which is no candidate of "
                "this selection; pass partitions=[...] of the candidates that are left"
            )
        return known
    mend = "use a specent.Partition, text like 'a|b', or a list of these"
    single = isinstance(partitions, (Partition, str))
    asked = [partitions] if single else listed(partitions, "partitions", mend, error=PartitionError)
    if not asked:
        raise PartitionError("partitions is empty; pass one at least, or None for those named in runs")
    names = {partition.name: partition for partition in known}
    found = []
    for part in asked:
        if not isinstance(part, (Partition, str)):
            raise PartitionError(f"partitions holds a {type(part).__name__}; use specent.Partition, or text like 'a|b'")
        if isinstance(part, str):
            part = names[part] if part in names else Partition.parse(part, labels)
        found.append(part)
    return found


def _question(partition: Partition, candidates: list[str], drivers: list[str], prior: Array) -> Question:
    partition.check(candidates)
    idle = [label for label in partition.labels if label not in drivers]
    if idle:
        raise PartitionError(
            f"partition {partition.name!r}: the label {idle[0]!r} drove no trajectory of runs; sample it too, or leave "
            "it out of the partition"
        )
    weights = partition.weights(candidates, prior)
    column = np.array([candidates.index(label) for label in drivers])
    share = weights.sum(axis=0)[column]
    side = np.where(share > 0, np.argmax(weights[:, column] > 0, axis=0), -1)
    return Question(partition, weights, side.astype(np.int64), share)


def side_log_posterior(log_likelihood: Array, weights: Array) -> Array:
    """Logarithm of the posterior of the sides of one partition.

    Parameters
    ----------
    log_likelihood : ndarray, shape (..., candidates)
        In nats.
    weights : ndarray, shape (sides, candidates)
        Joint prior of side and candidate.

    Returns
    -------
    ndarray, shape (..., sides)
        Normalised.

    Examples
    --------
    >>> np.exp(side_log_posterior(np.log([1.0, 3.0, 9.0]), np.array([[0.5, 0, 0], [0, 0.5, 0]]))).round(3).tolist()
    [0.25, 0.75]
    """
    log_weights = evidence.log_weights(weights)
    # a side sees its own few candidates only: for all pairs of many classes this is far less work than all of them
    places = [np.flatnonzero(row > 0) for row in weights]
    if all(len(place) == 1 for place in places):
        column = np.concatenate(places)
        joint = log_likelihood[..., column] + log_weights[np.arange(len(column)), column]
    else:
        joint = np.stack(
            [evidence.log_sum_exp(log_likelihood[..., p] + row[p]) for p, row in zip(places, log_weights, strict=True)],
            axis=-1,
        )
    return np.asarray(joint - evidence.log_sum_exp(joint)[..., None])


def trajectory_entropies(log_likelihood: Array, side: NDArray[np.int64], weights: Sequence[Array]) -> Array:
    """Entropy, surprise of the driving side and variance of the surprise, for several partitions.

    Parameters
    ----------
    log_likelihood : ndarray, shape (..., candidates)
        In nats.
    side : ndarray of int, shape (..., partitions)
        The side that holds the driver, -1 if none does: the surprise is 0 there.
    weights : sequence of ndarray, shape (sides, candidates)
        Joint prior of each partition.

    Returns
    -------
    ndarray, shape (..., partitions, 3)
        In bits, bits and bits squared.
    """
    values = np.asarray(log_likelihood, dtype=np.float64)
    out = np.empty((*values.shape[:-1], len(weights), 3))
    for p, joint in enumerate(weights):
        log_side = np.clip(side_log_posterior(values, joint), -1e4, 0.0)
        held = np.arange(len(joint)) == side[..., p, None]
        chance = np.exp(log_side)
        entropy = evidence.entropy(log_side)
        out[..., p, 0] = entropy * NAT
        out[..., p, 1] = -np.sum(np.where(held, log_side, 0.0), axis=-1) * NAT
        out[..., p, 2] = np.maximum(np.sum(chance * log_side**2, axis=-1) - entropy**2, 0.0) * NAT**2
    # also where the candidate takes no part in a partition: the run is damaged
    out[~np.isfinite(values).all(axis=-1)] = np.nan
    return out


def streamed(runs: xr.Dataset, names: Sequence[str], inner: int) -> xr.Dataset:
    """The variables `names` of `runs`, in blocks small enough to stream; left in NumPy if all of it is small.

    Parameters
    ----------
    runs : Dataset
        Kind ``trajectories``.
    names : sequence of str
        Variables that are used.
    inner : int
        Numbers that work takes per guidance setting, class, sample and time.
    """
    taken = runs[list(names)]
    guidance, classes, samples, times = (runs.sizes[dim] for dim in _RUN)
    lazy = any(variable.chunks for variable in taken.variables.values())
    if not lazy and guidance * classes * samples * times * inner <= _BLOCK:
        return taken
    time = max(1, min(times, _BLOCK // (guidance * inner)))
    sample = max(1, min(samples, _BLOCK // (guidance * inner * time)))
    label = max(1, min(classes, _BLOCK // (guidance * inner * time * sample)))
    most = {"time": time, "sample": sample, "class_label": label}
    return taken.assign({name: _cut(taken[name], most) for name in names})


def _cut(variable: xr.DataArray, most: Mapping[str, int]) -> xr.DataArray:
    """Blocks of the given sizes. Given ones are kept if they are not much larger: to recut costs memory."""
    sizes = {dim: most.get(str(dim), -1) for dim in variable.dims}
    if variable.chunks is not None:
        large = {dim: max(variable.chunksizes[dim]) for dim in most}
        if np.prod(list(large.values())) <= 4 * np.prod(list(most.values())):
            sizes = {dim: size for dim, size in sizes.items() if dim not in most}
    return variable.chunk(sizes)


def along_candidates(kernel: Any, runs: xr.Dataset, asked: Sequence[Question], outputs: int, **options: Any) -> Any:
    """Apply ``kernel(log_likelihood, side, **options)`` block by block; dims (..., partition, statistic)."""
    sides = xr.DataArray(np.stack([question.side for question in asked], axis=-1), dims=("class_label", "partition"))
    return xr.apply_ufunc(
        kernel,
        runs["log_likelihood"].variable,
        sides.variable,
        input_core_dims=[["candidate"], ["partition"]],
        output_core_dims=[["partition", "statistic"]],
        kwargs=options,
        dask="parallelized",
        output_dtypes=[np.float64],
        dask_gufunc_kwargs={"output_sizes": {"statistic": outputs}},
    )
