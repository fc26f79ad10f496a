"""Datasets of earlier versions of the contract, brought to the present one in memory.

Version 1 gave a summary of speciation on one axis, which an attribute named; version 2 has a dimension ``axis``. All
else is the same, so files of version 1 open as before. Files of either may spell out definitions of partitions that are
stored in fewer words now, see `specent.schema.definitions`.
"""

from __future__ import annotations

import numpy as np
import xarray as xr

from specent.schema import definitions
from specent.schema.registry import COORDINATES, KINDS, SCHEMA

_RENAMED = {"half_time": "half_entropy", "peak_time": "peak"}
_BOUNDS = ("", "_lower", "_upper")


def migrate(dataset: xr.Dataset) -> xr.Dataset:
    """Bring a dataset of version 1 of the contract to the present version.

    Parameters
    ----------
    dataset : Dataset
        Of any kind and version.

    Returns
    -------
    Dataset
        The dataset itself, unless it is of version 1 or has long definitions.

    Examples
    --------
    >>> migrate(xr.Dataset(attrs={"specent_schema": "1", "specent_kind": "profiles"})).attrs["specent_schema"]
    '2'
    """
    close = dataset.close
    if definitions.are_spelled_out(dataset):
        dataset = dataset.assign_coords(definition=definitions.shortened(dataset.variables["definition"]))
        dataset.set_close(close)
    if str(dataset.attrs.get("specent_schema")) != "1":
        return dataset
    if dataset.attrs.get("specent_kind") == "speciation" and "time_axis" in dataset.attrs:
        dataset = _with_axis(dataset)
    dataset = dataset.assign_attrs(specent_schema=SCHEMA)
    dataset.set_close(close)
    return dataset


def _with_axis(summary: xr.Dataset) -> xr.Dataset:
    """A summary along one axis as one over the dimension ``axis``, with the names of version 2."""
    names = {old + bound: new + bound for old, new in _RENAMED.items() for bound in _BOUNDS}
    renamed = summary.rename({old: new for old, new in names.items() if old in summary})
    axis = xr.Variable("axis", np.array([str(summary.attrs["time_axis"])]))
    dataset = renamed.assign_coords(axis=axis)
    for name, variable in KINDS["speciation"].items():
        if name in dataset and "axis" not in dataset[name].dims:
            dims = [dim for dim in variable.dims if dim in dataset[name].dims or dim == "axis"]
            dataset[name] = dataset[name].expand_dims("axis").transpose(*dims, ...)
            dataset[name].attrs = variable.attributes({})
    dataset["axis"].attrs = COORDINATES["axis"].attributes({})
    dropped = ("time_axis", "rate_axis")
    dataset.attrs = {name: value for name, value in summary.attrs.items() if name not in dropped} | {"missing": 0}
    return dataset
