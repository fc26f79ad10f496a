"""The datasets of a page with what follows from them: profiles of trajectories, speciation of profiles, its scaling."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import xarray as xr

from specent.analysis import entropy, summarise
from specent.analysis.estimators import ESTIMATORS
from specent.errors import SpecentError, SpecentWarning
from specent.partitions import NULL, Partition
from specent.plotting.select import Names, defined_partitions, names_of, partition_name
from specent.plotting.style import name_list
from specent.schema import KINDS, need


def of_any_kind(dataset: object) -> xr.Dataset:
    """A dataset of the contract, whatever its kind.

    Raises
    ------
    SpecentError
        If it is none, with a hint of what it should be.
    """
    kind = dataset.attrs.get("specent_kind") if isinstance(dataset, xr.Dataset) else None
    return need(dataset, kind if isinstance(kind, str) and kind in KINDS else "profiles", "datasets")


def with_profiles(
    datasets: Sequence[xr.Dataset], partition: Names, estimator: Names = None
) -> tuple[list[xr.Dataset], Names]:
    """The datasets, trajectories and statistics followed by their profiles, unless these are among them.

    Parameters
    ----------
    datasets : sequence of Dataset
        Of any kind.
    partition : str, Partition or sequence of them, optional
        Selection of partitions; of trajectories any partition can be selected, sampled with or not.
    estimator : str or sequence of str, optional
        Selection of estimators; of trajectories any can be selected, and no others are computed.

    Returns
    -------
    list of Dataset
        The datasets.
    Names
        The selection with the names of the partitions.

    Raises
    ------
    SpecentError
        If a partition cannot be analysed, or not with an estimator.
    """
    result: list[xr.Dataset] = []
    names = partition
    # others, such as "exact", are of profiles that come from elsewhere
    chosen = () if estimator is None else tuple(str(name) for name in names_of(estimator) if name in ESTIMATORS)
    for one in datasets:
        result.append(one)
        if one.attrs["specent_kind"] not in ("trajectories", "statistics") or _given(one, "profiles", datasets):
            continue
        if _analysed(one, partition, datasets):
            partitions = None if partition is None else [_partition(text, one) for text in names_of(partition)]
            names = partition if partitions is None else [known.name for known in partitions]
            result.append(entropy(one, partitions, chosen) if chosen else entropy(one, partitions))
    return [one for one in result if not _lacks(one, names, result)], names


def _lacks(dataset: xr.Dataset, partition: Names, datasets: Sequence[xr.Dataset]) -> bool:
    """Whether profiles have none of the partitions that others have, which is warned of."""
    if partition is None or dataset.attrs["specent_kind"] != "profiles":
        return False
    wanted = {text for name in names_of(partition) for text in (str(name), partition_name(name))}
    known = [{str(name) for name in one["partition"].values} for one in datasets if "partition" in one.coords]
    own = {str(name) for name in dataset["partition"].values}
    if wanted & own or not any(wanted & others for others in known):
        return False
    warnings.warn(
        f"the profiles {dataset.attrs.get('title', '')!r} have none of the partitions {name_list(sorted(wanted), 8)} "
        "and are left out: only trajectories can be analysed for new ones",
        SpecentWarning,
        stacklevel=4,
    )
    return True


def with_summaries(datasets: Sequence[xr.Dataset], *, progress: bool) -> list[xr.Dataset]:
    """The datasets, all profiles followed by their speciation and scaling, unless a speciation is among them.

    Parameters
    ----------
    datasets : sequence of Dataset
        Of any kind.
    progress : bool
        Whether the analysis may show progress bars.

    Returns
    -------
    list of Dataset
        The datasets.

    Warns
    -----
    SpecentWarning
        If profiles cannot be summarised, for instance because they hold a NaN; they can still be drawn.
    """
    result: list[xr.Dataset] = []
    for one in datasets:
        derived = one.attrs["specent_kind"] == "profiles" and not _given(one, "speciation", datasets)
        result += _summarised(one, progress) if derived else [one]
    return result


def _given(dataset: xr.Dataset, kind: str, datasets: Sequence[xr.Dataset]) -> bool:
    """Whether a dataset of `kind` that was made from `dataset` is there: its history goes on from that of `dataset`."""
    past = set(str(dataset.attrs.get("history", "")).splitlines())
    others = [one for one in datasets if one.attrs["specent_kind"] == kind]
    return any(past <= set(str(one.attrs.get("history", "")).splitlines()) for one in others)


def _analysed(runs: xr.Dataset, partition: Names, datasets: Sequence[xr.Dataset]) -> bool:
    """Whether trajectories are to be analysed; some are there for their pictures alone."""
    if "definition" in runs.coords or not ("prediction" in runs or "preview" in runs):
        return True
    return partition is not None and not any(one.attrs["specent_kind"] == "profiles" for one in datasets)


def _summarised(profiles: xr.Dataset, progress: bool) -> list[xr.Dataset]:
    try:
        return summarise(profiles, progress=progress)
    except SpecentError as error:
        warnings.warn(f"drawn without half-entropy noise levels: {error}", SpecentWarning, stacklevel=2)
        return [profiles]


def _partition(text: str | Partition, runs: xr.Dataset) -> Partition:
    """A partition that the runs were sampled with, by its name, or a new one."""
    if isinstance(text, Partition):
        return text
    sampled = [one for one in defined_partitions(runs) if one is not None]
    for one in sampled:
        if one.name == text:
            return one
    if "|" not in text and text.strip() != "full":
        raise SpecentError(
            f"partition={text!r} is none of those sampled with ({name_list([one.name for one in sampled])}), nor a new "
            "one such as 'full', 'cat | dog' or 'cat | rest'"
        )
    scored = runs["candidate" if "candidate" in runs.coords else "class_label"].values
    return Partition.parse(text, [str(name) for name in scored if name != NULL])
