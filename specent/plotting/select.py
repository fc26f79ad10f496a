"""Which curves of a dataset are drawn: selection by name, and the series that come out of it."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from specent.errors import SpecentError
from specent.partitions import Partition
from specent.plotting.style import dimension_text, joined, places
from specent.schema import NULL

Array = NDArray[np.float64]
Names = str | Partition | Iterable[Any] | None

SERIES_DIMS = ("dimension", "partition", "guidance", "estimator")


@dataclass(frozen=True)
class Series:
    """One curve: which one it is by name, and its places, values and bounds, all of shape (time,)."""

    names: dict[str, str]
    family: str
    x: Array
    y: Array
    lower: Array
    upper: Array

    @property
    def exact(self) -> bool:
        """Whether the curve is an exact reference."""
        return self.names.get("estimator") == "exact"

    @property
    def bounded(self) -> bool:
        """Whether the interval is more than the curve itself."""
        return bool(np.any(np.isfinite(self.upper - self.lower) & (self.upper > self.lower)))


def select(dataset: xr.Dataset, **wanted: Names) -> xr.Dataset:
    """The part of `dataset` with the named coordinates, in the order in which they are named.

    Parameters
    ----------
    dataset : Dataset
        With the dimensions named by the keywords.
    **wanted : str, Partition, Guidance, number or sequence of them, optional
        Per dimension, what is kept; None keeps all.

    Returns
    -------
    Dataset
        All dimensions kept.

    Raises
    ------
    SpecentError
        Naming the selection that is not there, and the choices.
    """
    (selected,) = select_each([dataset], **wanted)
    return selected


def select_each(datasets: Sequence[xr.Dataset], **wanted: Names) -> list[xr.Dataset]:
    """The named parts of several datasets; a name must be in one of them, and those that have none are left out.

    Raises
    ------
    SpecentError
        Naming the selection that is in none of them, and the choices.
    """
    left = list(datasets)
    for dim, names in wanted.items():
        if names is None:
            continue
        chosen = [_text(name) for name in _listed(names)]
        choices = list(dict.fromkeys(text for one in left for text in _choices(one, dim)))
        if not choices:
            raise SpecentError(f"{dim}={names!r} cannot be selected: there is no dimension {dim!r}")
        unknown = [name for name in chosen if name not in choices]
        if unknown or not chosen:
            what = repr(unknown[0]) if unknown else "an empty selection"
            raise SpecentError(f"{dim}: {what} is not in the dataset; choose from {joined(choices, 60)}")
        places = [[_choices(one, dim).index(name) for name in chosen if name in _choices(one, dim)] for one in left]
        left = [one.isel({dim: place}) for one, place in zip(left, places, strict=True) if place]
    return left


def _choices(dataset: xr.Dataset, dim: str) -> list[str]:
    return [_text(value) for value in dataset[dim].values] if dim in dataset.dims else []


def _listed(names: Any) -> list[Any]:
    if isinstance(names, (np.ndarray, xr.DataArray)):
        return list(np.atleast_1d(np.asarray(names)).ravel())
    if isinstance(names, (str, Partition)) or not isinstance(names, Iterable):
        return [names]
    return list(names)


def _text(value: Any) -> str:
    if isinstance(value, Partition):
        return value.name
    if isinstance(value, (int, float, np.integer, np.floating)):
        return f"{float(value):.12g}"
    return str(value)


def series(dataset: xr.Dataset, name: str, axis: str) -> list[Series]:
    """Every curve of the variable `name` that holds a finite number, the exact ones last so that they lie on top."""
    bounded = [name, *(bound for bound in (f"{name}_lower", f"{name}_upper") if bound in dataset)]
    data = dataset[bounded].compute()
    x, family = places(dataset, axis), families(dataset)
    dims = [dim for dim in SERIES_DIMS if dim in data.dims]
    found = []
    for index in itertools.product(*(range(data.sizes[dim]) for dim in dims)):
        at = dict(zip(dims, index, strict=True))
        one = data.isel(at).transpose("time", ...)
        y = np.asarray(one[name].values, dtype=np.float64)
        if np.isfinite(y).any():
            lower, upper = (
                np.asarray(one[b].values, float) if b in one else y for b in (f"{name}_lower", f"{name}_upper")
            )
            group = family[at["partition"]] if "partition" in at else ""
            found.append(Series(names_at(dataset, at), group, x, y, lower, upper))
    if not found:
        raise SpecentError(f"nothing to draw: {name!r} holds no finite number in this selection")
    return sorted(found, key=lambda one: one.exact)


def names_at(dataset: xr.Dataset, at: dict[str, int]) -> dict[str, str]:
    """Names of the coordinates at an index, as they are written in a legend."""
    names = {}
    for dim, index in at.items():
        value = dataset[dim].values[index]
        names[dim] = dimension_text(float(value)) if dim == "dimension" else str(value)
    return names


def varying(found: Sequence[dict[str, str]]) -> list[str]:
    """The dimensions in which the named things differ; the partition if they differ in none."""
    dims = [dim for dim in SERIES_DIMS if len({names.get(dim) for names in found}) > 1]
    return dims or ["partition"]


def label(names: dict[str, str], dims: Sequence[str]) -> str:
    """Text of a legend entry."""
    return ", ".join(names[dim] for dim in dims if dim in names)


def definitions(dataset: xr.Dataset) -> list[Partition | None]:
    """Definition of every partition of `dataset`, None where it does not say."""
    if "definition" not in dataset.coords:
        return [None] * dataset.sizes.get("partition", 0)
    return [Partition.from_json(str(text)) for text in np.atleast_1d(dataset["definition"].values)]


def families(dataset: xr.Dataset) -> list[str]:
    """What sort of question each partition asks; only curves of one family are summarised together."""
    return [_family(partition) for partition in definitions(dataset)]


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
