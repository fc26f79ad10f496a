"""Statistics of the parts of a run, which add up to those of the whole in any order and grouping."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import xarray as xr

from specent import schema
from specent.errors import ArchiveError


def summed(parts: Iterable[xr.Dataset]) -> xr.Dataset:
    """The statistics of several parts of a run, one part in memory at a time.

    Parameters
    ----------
    parts : iterable of Dataset
        Kind ``statistics``, of different trajectories, with the same partitions, guidance settings, times and
        replicates. One at least.

    Returns
    -------
    Dataset
        Kind ``statistics``, with the attributes of the first part and classes in the order in which they come.

    Raises
    ------
    ArchiveError
        If the parts do not fit together.
    """
    first: xr.Dataset | None = None
    sums: dict[str, np.ndarray] = {}
    counts: dict[str, int] = {}
    priors: dict[str, float] = {}
    for part in parts:
        shared = _shared(part)
        first = shared if first is None else first
        names = [str(name) for name in part.data_vars if name != "trajectories"]
        if not shared.equals(first) or (sums and set(names) != set(sums)):
            raise ArchiveError("statistics of other partitions, guidance settings, times or replicates cannot be added")
        classes = (part[name].values.tolist() for name in ("class_label", "trajectories", "label_prior"))
        for label, count, prior in zip(*classes, strict=True):
            counts[label], priors[label] = counts.get(label, 0) + count, prior
        for name in names:
            # in place: the replicates of a thousand partitions are hundreds of megabytes
            if name in sums:
                sums[name] += part[name].values
            else:
                sums[name] = np.array(part[name].values)
    if first is None:
        raise ArchiveError("there are no statistics to add")
    return _labelled(first, sums, counts, priors)


def _shared(part: xr.Dataset) -> xr.Dataset:
    """The coordinates that all parts of a run have in common, with the attributes of the part."""
    coords = {name: coord.variable for name, coord in part.coords.items() if "class_label" not in coord.dims}
    return xr.Dataset(coords=coords, attrs=part.attrs)


def _labelled(
    first: xr.Dataset, sums: dict[str, np.ndarray], counts: dict[str, int], priors: dict[str, float]
) -> xr.Dataset:
    known = {**schema.COORDINATES, **schema.KINDS["statistics"]}
    variables = {name: (known[name].dims, values) for name, values in sums.items()}
    variables["trajectories"] = ("class_label",), np.array(list(counts.values()))
    coords = {"class_label": list(counts), "label_prior": ("class_label", list(priors.values()))}
    result = xr.Dataset(variables, {**first.coords, **coords}, first.attrs)
    for name in (*variables, *coords):
        result[name].attrs = known[str(name)].attributes(first.attrs)
    schema.validate(result, "statistics")
    return result
