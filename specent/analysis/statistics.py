"""Statistics of trajectories: sums that add up over any parts of a run, in place of the trajectories themselves.

Every estimator that takes one number of a trajectory at a time needs no more than sums over trajectories. Bootstrap
replicates are such sums too, because the weight of a trajectory in them follows from its own class and number, within a
group of 25 (`specent.analysis.bootstrap`). So parts of a run that are cut at multiples of 25 samples add up to the
whole, in any order and grouping, intervals included, and their size does not depend on the number of samples.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, TypeGuard

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from specent import arguments, schema
from specent.analysis.bootstrap import FEWEST, Resampling
from specent.analysis.estimators import ESTIMATORS, Estimator, Means
from specent.analysis.job import Job
from specent.analysis.posterior import PathEvidence, Statistic
from specent.analysis.production import PRODUCTION
from specent.analysis.scored import Partitions, ScoredPartition, scored_partitions, stored_positions
from specent.analysis.summation import Summation
from specent.arguments import brief
from specent.errors import PartitionError, SpecentError
from specent.partitions import NULL

Array = NDArray[np.float64]

KIND = "statistics"
"""Name of the kind of dataset."""

_SUMS = schema.KINDS[KIND]
_COORDINATES = (
    "time", "sigma", "alpha", "log_snr", "guidance", "guidance_scale", "sigma_lo", "sigma_hi", "guidance_definition",
    "partition", "definition", "class_label", "label_prior",
)  # fmt: skip
_STATISTICS = {one.name: one for estimator in ESTIMATORS.values() for one in estimator.statistics}
_DIMS = ("guidance", "partition", "time")
_ATTRIBUTES = ("schedule", "model", "guidance_formula", "seed", "seed_rule")


def statistics_job(template: xr.Dataset, replicates: int, seed: int) -> Job:
    """What is summed over the trajectories of a run: all that estimators need of one trajectory at a time.

    Parameters
    ----------
    template : Dataset
        Kind ``trajectories``, with the classes and samples of the whole run. Values are not read.
    replicates, seed : int
        Of the resampling.

    Returns
    -------
    Job
        For `Summation`.
    """
    partitions = scored_partitions(template, None)
    statistics: dict[str, Statistic] = {}
    for estimator in ESTIMATORS.values():
        if estimator.statistics and all(one.name in _SUMS for one in estimator.statistics):
            served = frozenset(one for one in partitions if _serves(estimator, template, one))
            whole = len(served) == len(partitions)
            for one in estimator.statistics if served else ():
                statistics[one.name] = one if whole else replace(one, of=partial(_of_some, one, served))
    sources = ["log_likelihood", *PRODUCTION]
    return Job(template, sources, partitions, list(statistics.values()), replicates, seed)


def _serves(estimator: Estimator, template: xr.Dataset, partition: ScoredPartition) -> bool:
    try:
        estimator.refuse(template, [partition])
    except SpecentError:
        return False
    return True


def _of_some(statistic: Statistic, served: frozenset[ScoredPartition], path: PathEvidence) -> Array:
    """A statistic of the partitions of which there is one, NaN of the others."""
    return statistic.of(path) if path.scored in served else np.full(path.shape, np.nan)


def statistics_dataset(
    summation: Summation, classes: slice, samples: int, spent: Mapping[str, NDArray[Any]], title: str,
    settings: dict[str, Any],
) -> xr.Dataset:  # fmt: skip
    """What was summed, as a labelled dataset.

    Parameters
    ----------
    summation : Summation
        Of a `statistics_job`.
    classes : slice
        The classes whose trajectories were added.
    samples : int
        How many of each.
    spent : mapping of ndarray, shape (guidance, times)
        Of a run that does not evaluate all candidates, the sums over trajectories of what it keeps of that, by name.
    title, settings : str, dict
        What the dataset holds, and what decided its numbers.

    Returns
    -------
    Dataset
        Kind ``statistics``.
    """
    job, template = summation.job, summation.job.runs
    count = template.sizes["sample"]
    variables: dict[str, Any] = {name: (("guidance", "time"), total) for name, total in spent.items()}
    # the job averages over all samples of the run, which may grow: sums know nothing of their number
    for name, values in zip(job.means, summation.means, strict=True):
        variables[name] = _DIMS, values[..., 0] * count
        variables[f"{name}_replicate"] = ("replicate", *_DIMS), np.moveaxis(values[..., 1:] * count, -1, 0)
    for one, total in zip(job.totals, summation.totals, strict=True):
        variables[one.name] = _DIMS, total if one.over == "count" else total * count**2
    coords = template[[name for name in _COORDINATES if name in template.coords]].coords
    dataset = xr.Dataset(variables, coords).isel(class_label=classes)
    dataset["trajectories"] = "class_label", np.full(dataset.sizes["class_label"], samples)
    attributes = {name: template.attrs[name] for name in (*_ATTRIBUTES, "scoring") if name in template.attrs}
    return schema.finish(dataset, KIND, title=title, settings=settings, resampling_seed=job.seed, **attributes)


def is_statistics(dataset: Any) -> TypeGuard[xr.Dataset]:
    """Whether it is a dataset of this kind."""
    return isinstance(dataset, xr.Dataset) and dataset.attrs.get("specent_kind") == KIND


def kept_partitions(statistics: xr.Dataset, partitions: Partitions) -> tuple[xr.Dataset, list[ScoredPartition]]:
    """The statistics of some partitions, with candidates as trajectories have them.

    Parameters
    ----------
    statistics : Dataset
        Kind ``statistics``.
    partitions : Partition, str, sequence of these, or None
        Some of those that were named at sampling; None stands for all.

    Raises
    ------
    SpecentError
        If a partition was not named then, classes have different numbers of trajectories, or a coordinate is missing.
    """
    runs = schema.need(statistics, KIND, "runs", ["trajectories"])
    for name in ("class_label", "label_prior"):
        if name not in runs.coords:
            raise SpecentError(f"runs: the coordinate {name!r} is missing; restore it, runs.assign_coords({name}=...)")
    # chunking a dataset chunks its coordinates too
    runs = runs.assign_coords({name: coord.compute() for name, coord in runs.coords.items() if coord.chunks})
    counts = runs["trajectories"].values
    if not (counts >= 1).all():
        raise SpecentError(f"runs: trajectories={brief(counts.tolist())} must be numbers of trajectories, at least 1")
    if (counts != counts[0]).any():
        raise SpecentError(
            f"runs: the classes have different numbers of trajectories, {counts.min()} to {counts.max()}; carry the "
            "run out to its end"
        )
    # all that partitions need to know of candidates is known of the classes, and the null condition was scored or not
    null = [NULL] if "null_entropy" in runs and NULL not in runs["class_label"].values else []
    runs = runs.assign_coords(
        candidate=("candidate", [*runs["class_label"].values, *null]),
        candidate_prior=("candidate", [*runs["label_prior"].values, *(0.0 for _ in null)]),
    )
    scored = scored_partitions(runs, partitions)
    return runs.isel(partition=_positions(runs, scored)), scored


def _positions(runs: xr.Dataset, scored: Sequence[ScoredPartition]) -> list[int]:
    """Where the partitions are among those of the statistics."""
    positions: list[int] = []
    for one, position in zip(scored, stored_positions(runs, scored), strict=True):
        if position is None:
            raise PartitionError(
                f"partition {one.name!r} is not among the {runs.sizes['partition']} of which statistics were kept; "
                "choose one of runs.partition, or sample again with this partition named"
            )
        positions.append(position)
    return positions


def kept_resampling(runs: xr.Dataset, replicates: int | None, seed: int | None) -> Resampling:
    """How statistics were resampled.

    Raises
    ------
    SpecentError
        If another number of replicates or another seed is wanted, or a selection left too few replicates.
    """
    there, number = runs.sizes.get("replicate", 0), runs.attrs["resampling_seed"]
    if there < FEWEST:
        raise SpecentError(
            f"runs: {there} replicates are too few for intervals; keep all of them, at least {FEWEST}, and all "
            "variables named *_replicate"
        )
    own = Resampling(there, arguments.whole(number, "runs: the attribute resampling_seed"))
    for (name, kept), wanted in zip(own._asdict().items(), (replicates, seed), strict=True):
        if wanted is not None and wanted != kept:
            raise SpecentError(
                f"{name}={brief(wanted)}: statistics were resampled when they were sampled, with {name}={kept}; leave "
                "the argument out"
            )
    return own


def means_of_sums(runs: xr.Dataset, scored: list[ScoredPartition], checked: Sequence[Estimator]) -> Means:
    """What `specent.analysis.trajectory_means` makes of trajectories, from their statistics.

    Parameters
    ----------
    runs : Dataset
        The statistics of the partitions, see `kept_partitions`.
    scored : list of ScoredPartition
        The partitions.
    checked : sequence of Estimator
        What the means are wanted for.

    Raises
    ------
    SpecentError
        If an estimator needs more than was kept, or a sum is not finite.
    """
    needed = [one.name for estimator in checked for one in estimator.statistics]
    needed += [estimator.production for estimator in checked if estimator.production]
    for name in dict.fromkeys(needed):
        if name not in runs:
            raise SpecentError(
                f"runs: statistics keep no {name}, which an estimator in {[one.name for one in checked]} needs; use "
                'the estimators "path", "cross_entropy" and "denoiser_gap", or sample trajectories'
            )
    values = _values(runs, dict.fromkeys(needed), int(runs["trajectories"][0]))
    for label, mean in values.items():
        if not np.isfinite(mean.values).all():
            raise SpecentError(f"runs: {label} is not finite; open the statistics again, or sample them again")
    return Means(runs, scored, values)


def _values(runs: xr.Dataset, names: Iterable[str], samples: int) -> xr.Dataset:
    """Means over trajectories with their replicates, counts, and variances of means."""
    values: dict[str, Any] = {}
    for name in names:
        if f"{name}_replicate" in runs:
            both = [runs[name].values[None], runs[f"{name}_replicate"].values]
            values[name] = (*_DIMS, "replicate"), np.moveaxis(np.concatenate(both), 0, -1) / samples
        else:
            values[name] = _DIMS, runs[name].values / (1 if _STATISTICS[name].over == "count" else samples**2)
    return xr.Dataset(values)
