"""What follows from a dataset without further choices: what the command line and the pages of figures show."""

from __future__ import annotations

from collections.abc import Sequence

import xarray as xr

from specent import schema
from specent.analysis.entropy import entropy
from specent.analysis.scaling import fit_scaling
from specent.analysis.speciation import speciation
from specent.errors import SpecentError
from specent.partitions import Partition
from specent.schedules import from_json

# dimensions, for a line through them
_FEWEST = 3


def summarise(
    dataset: xr.Dataset,
    partitions: Partition | str | Sequence[Partition | str] | None = None,
    *,
    progress: bool = True,
) -> list[xr.Dataset]:
    """A dataset, and what follows from it: profiles of trajectories or statistics, their speciation, and its scaling.

    Parameters
    ----------
    dataset : Dataset
        Of any kind.
    partitions : Partition, str, or sequence of these, optional
        Partitions of trajectories to analyse; those named at sampling by default. Trajectories that keep pictures and
        for which no partition is named are not analysed.
    progress : bool
        Whether to show a progress bar where it takes more than two seconds.

    Returns
    -------
    list of Dataset
        The dataset first.

    Raises
    ------
    SpecentError
        If the dataset is not of the contract, or a partition cannot be analysed.

    Examples
    --------
    >>> import specent as sp
    >>> [one.specent_kind for one in summarise(sp.archive.example())]
    ['trajectories', 'profiles', 'speciation']
    """
    kind = dataset.attrs.get("specent_kind") if isinstance(dataset, xr.Dataset) else None
    if not isinstance(kind, str) or kind not in schema.KINDS:
        raise SpecentError(f"dataset is a {type(dataset).__name__} of no kind that is known; make it with specent")
    datasets = [dataset]
    if kind == "statistics":
        datasets.append(entropy(dataset, partitions))
    if kind == "trajectories" and (partitions is not None or "definition" in dataset.coords or not _pictures(dataset)):
        datasets.append(entropy(dataset, partitions))
    if datasets[-1].attrs["specent_kind"] == "profiles" and datasets[-1].sizes["time"] >= 4:
        datasets += _summaries(datasets[-1], progress)
    return datasets


def _pictures(runs: xr.Dataset) -> bool:
    return "prediction" in runs or "preview" in runs


def _summaries(profiles: xr.Dataset, progress: bool) -> list[xr.Dataset]:
    """Speciation of profiles and, over dimensions on a schedule whose law is known, its scaling."""
    summary = speciation(profiles, progress=progress)
    law = from_json(str(profiles.attrs["schedule"])).scaling_law
    if law is None or profiles.sizes.get("dimension", 0) < _FEWEST:
        return [summary]
    return [summary, fit_scaling(summary, law)]
