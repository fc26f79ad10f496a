"""Which curves of a dataset are drawn: selection by name, and the series that come out of it."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from textwrap import shorten
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from specent.arguments import brief
from specent.errors import SpecentError, visible
from specent.partitions import NULL, Partition
from specent.plotting.style import dimension_text, name_list, positions
from specent.schema.coordinates import stored_partitions
from specent.schema.reading import REDUCED

Array = NDArray[np.float64]
Names = str | Partition | Iterable[Any] | None

SERIES_DIMS = ("run", "dimension", "partition", "guidance", "estimator")


@dataclass(frozen=True)
class Series:
    """One curve: its names by dimension, its family of partitions, and its numbers, all of shape (time,)."""

    names: dict[str, str]
    family: str
    x: Array
    y: Array
    lower: Array
    upper: Array
    impossible: NDArray[np.bool_]

    @property
    def exact(self) -> bool:
        """Whether the curve is an exact reference."""
        return self.names.get("estimator") == "exact"

    @property
    def bounded(self) -> bool:
        """Whether the interval is more than the curve itself."""
        return bool(np.any(np.isfinite(self.upper - self.lower) & (self.upper > self.lower)))


def select(dataset: xr.Dataset, **selection: Names) -> xr.Dataset:
    """The part of `dataset` with the named coordinates, in the order in which they are named.

    Parameters
    ----------
    dataset : Dataset
        With the dimensions named by the keywords.
    **selection : str, Partition, Guidance, number or sequence of them, optional
        Names per dimension; None selects all.

    Returns
    -------
    Dataset
        With all its dimensions.

    Raises
    ------
    SpecentError
        Naming the selection that is not there, and the choices.
    """
    (part,) = select_each([dataset], **selection)
    return part


def select_each(datasets: Sequence[xr.Dataset], **selection: Names) -> list[xr.Dataset]:
    """The named parts of several datasets; a name must be in one of them, and those that have none are left out.

    Raises
    ------
    SpecentError
        Naming the selection that is in none of them, and the choices.
    """
    parts = list(datasets)
    for dim, value in selection.items():
        if value is None:
            continue
        choices = list(dict.fromkeys(text for part in parts for text in _choices(part, dim)))
        names = [_text(name) for name in names_of(value)]
        if dim == "partition":
            names = [name if name in choices else partition_name(name) for name in names]
        if not choices:
            raise SpecentError(f"{dim}={brief(value)} cannot be selected: there is no dimension {dim!r}")
        unknown = [name for name in names if name not in choices]
        if unknown or not names:
            what = brief(unknown[0]) if unknown else "an empty selection"
            raise SpecentError(f"{dim}: {what} is not in the dataset; choose from {name_list(choices, 60)}")
        indices = [[_choices(part, dim).index(name) for name in names if name in _choices(part, dim)] for part in parts]
        parts = [part.isel({dim: index}) for part, index in zip(parts, indices, strict=True) if index]
    return parts


def partition_name(value: Any) -> str:
    """The name of a partition, or its text in the spelling of names.

    Examples
    --------
    >>> partition_name("3|8"), partition_name("cat,dog | car")
    ('3 | 8', 'cat, dog | car')
    """
    text = _text(value)
    if isinstance(value, Partition) or "|" not in text:
        return text
    return " | ".join(", ".join(label.strip() for label in side.split(",")) for side in text.split("|"))


def _choices(dataset: xr.Dataset, dim: str) -> list[str]:
    return [_text(value) for value in dataset[dim].values] if dim in dataset.dims else []


def names_of(names: Any) -> list[Any]:
    """The entries of a selection, which may be a single one."""
    if isinstance(names, (np.ndarray, xr.DataArray)):
        return list(np.atleast_1d(np.asarray(names)).ravel())
    if isinstance(names, (str, Partition)) or not isinstance(names, Iterable):
        return [names]
    return list(names)


def _text(value: Any) -> str:
    if isinstance(value, Partition):
        return value.name
    try:
        if isinstance(value, (int, float, np.integer, np.floating)):
            return f"{float(value):.12g}"
        return str(value)
    except Exception:
        # a whole number beyond all floating ones, or an object whose text cannot be had, is no name of a coordinate
        return brief(value)


def series(dataset: xr.Dataset, name: str, axis: str) -> list[Series]:
    """Every curve of the variable `name` that holds a finite number, the exact ones last so that they lie on top."""
    if name not in dataset:
        raise SpecentError(f"the variable {name!r} is missing from the dataset; it was dropped")
    dims = [dim for dim in SERIES_DIMS if dim in dataset[name].dims]
    bounds = [bound if bound in dataset else name for bound in (f"{name}_lower", f"{name}_upper")]
    values, lower, upper = (
        np.asarray(dataset[key].transpose(*dims, "time").values, dtype=np.float64) for key in (name, *bounds)
    )
    impossible = np.zeros(values.shape, dtype=bool)
    if name == "entropy" and "impossible" in dataset:
        impossible = dataset["impossible"].transpose(*dims, "time").values > 0
    x, family = positions(dataset, axis), families(dataset)
    texts = {dim: [_name(dim, value) for value in dataset[dim].values] for dim in dims}
    curves = []
    for index in np.ndindex(values.shape[:-1]):
        at = dict(zip(dims, index, strict=True))
        if np.isfinite(values[index]).any():
            group = family[at["partition"]] if "partition" in at else ""
            numbers = values[index], lower[index], upper[index]
            names = {dim: texts[dim][number] for dim, number in at.items()}
            curves.append(Series(names, group, x, *numbers, impossible[index]))
    if not curves:
        raise SpecentError(f"nothing to draw: {name!r} holds no finite number in this selection")
    return sorted(curves, key=lambda one: one.exact)


def series_of_all(datasets: Sequence[xr.Dataset], name: str, axis: str) -> list[Series]:
    """Every curve of several datasets, the exact ones last.

    Datasets that hold curves of the same names are told apart like the runs of a comparison: the name of the run is
    the title of the dataset, or its number where titles are alike.
    """
    groups = [series(dataset, name, axis) for dataset in datasets]
    keys = [{tuple(one.names.items()) for one in group} for group in groups]
    counts = Counter(key for group in keys for key in group)
    owners = _dataset_names(datasets)
    curves = []
    for group, own, owner in zip(groups, keys, owners, strict=True):
        shared = any(counts[key] > 1 for key in own)
        curves += [_of_dataset(one, owner) if shared else one for one in group]
    return sorted(curves, key=lambda one: one.exact)


def _of_dataset(one: Series, owner: str) -> Series:
    run = ", ".join(name for name in (owner, one.names.get("run", "")) if name)
    return replace(one, names={**one.names, "run": run})


def _dataset_names(datasets: Sequence[xr.Dataset]) -> list[str]:
    """Titles short enough for a legend where they differ, otherwise numbers."""
    titles = [shorten(str(one.attrs.get("title", "")), 40, placeholder="…") for one in datasets]
    if all(titles) and len(set(titles)) == len(titles):
        return titles
    return [f"dataset {number}" for number in range(1, len(titles) + 1)]


def indices(dataset: xr.Dataset, dims: Sequence[str]) -> list[dict[str, int]]:
    """Every index over some dimensions of a dataset."""
    ranges = (range(dataset.sizes[dim]) for dim in dims)
    return [dict(zip(dims, index, strict=True)) for index in itertools.product(*ranges)]


def names_at(dataset: xr.Dataset, at: Mapping[str, int]) -> dict[str, str]:
    """Names of the coordinates at an index, as they are written in a legend."""
    return {dim: _name(dim, dataset[dim].values[index]) for dim, index in at.items()}


def _name(dim: str, value: Any) -> str:
    """Name of one coordinate, as it is written in a legend."""
    # HoloViews asks for the name of every letter, which line breaks and control characters do not have
    text = dimension_text(float(value)) if dim == "dimension" else visible(str(value))
    return f"over {dim}s" if text == REDUCED else text


def varying(names: Sequence[dict[str, str]]) -> list[str]:
    """The dimensions in which the named things differ; the partition if they differ in none."""
    dims = [dim for dim in SERIES_DIMS if len({one.get(dim) for one in names}) > 1]
    return dims or ["partition"]


def label(names: Mapping[str, str], dims: Sequence[str]) -> str:
    """Text of a legend entry."""
    return ", ".join(names[dim] for dim in dims if dim in names)


def defined_partitions(dataset: xr.Dataset) -> list[Partition | None]:
    """Definition of every partition of `dataset`, None where it does not say."""
    if "definition" not in dataset.coords:
        return [None] * dataset.sizes.get("partition", 0)
    return [*stored_partitions(dataset)]


def families(dataset: xr.Dataset) -> list[str]:
    """The sort of every partition; only curves of one family are summarised together."""
    return [_family(partition) for partition in defined_partitions(dataset)]


def _family(partition: Partition | None) -> str:
    if partition is None:
        return "partitions"
    sizes = [len(labels) for _, labels in partition.sides]
    if partition.name == "full":
        return "full set"
    if NULL in partition.labels:
        return "against the null condition"
    if partition.name.endswith(" | rest"):
        return "one against the rest"
    return "pairs" if sizes == [1, 1] else "groups"
