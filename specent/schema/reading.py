"""Tolerant reading: any selection or reduction that xarray makes of a dataset of the contract is understood.

A file is strict, what a user passes on need not be: a scalar coordinate stands for its dimension, a dimension that was
averaged away comes back with one entry, an unknown dimension tells runs apart, and variables that are not of the
contract are left out. What is written to a file goes through `specent.schema.validate` instead.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Any

import numpy as np
import xarray as xr

from specent.arguments import brief
from specent.axes import AXES
from specent.errors import ArchiveError, SpecentError
from specent.schema.migration import migrate
from specent.schema.registry import COORDINATES, KIND_ATTRIBUTES, KINDS, MAKERS, Variable
from specent.schema.rules import kind_of, validate_coordinates, validate_distinct, validate_readable
from specent.schema.validation import dimension_order, ordered

REDUCED = "reduced"
"""Label of a dimension that was averaged away."""

# evidence is of single trajectories, and sums are over given ones: nothing can be averaged beforehand
_SINGLE = ("trajectories", "statistics")


def need(dataset: Any, kind: str, argument: str, variables: Iterable[str] = ()) -> xr.Dataset:
    """The dataset passed as `argument`, with the dimensions of its kind, in their order.

    Parameters
    ----------
    dataset : Dataset
        Of `kind`, or a selection or reduction of one, in any version of the contract.
    kind : str
        The kind that is needed.
    argument : str
        Name of the argument, for messages.
    variables : iterable of str
        Variables that must be there.

    Returns
    -------
    Dataset
        Without what is not of the contract. Dimensions that were selected away have one entry again.

    Raises
    ------
    SpecentError
        Naming the argument and what it should have been.

    Examples
    --------
    >>> import specent as sp
    >>> one = sp.archive.example().isel(guidance=0, sample=slice(0, 3))
    >>> dict(need(one, "trajectories", "runs").sizes)["guidance"]
    1
    """
    if not isinstance(dataset, xr.Dataset):
        raise SpecentError(f"{argument} is a {type(dataset).__name__}; a {kind} dataset is needed ({MAKERS[kind]})")
    dataset = migrate(dataset)
    try:
        kind_of(dataset, kind)
        _validate_attributes(dataset, kind)
        whole = ordered(_restored(dataset, kind), kind)
        _validate_dimensions(whole)
        validate_coordinates(whole)
        for name in variables:
            if name not in whole:
                raise ArchiveError(f"the variable {name!r} is missing; it was dropped from this {kind} dataset")
    except ArchiveError as error:
        raise ArchiveError(f"{argument}: {error}") from error
    return whole


def _validate_attributes(dataset: xr.Dataset, kind: str) -> None:
    """The attributes that are read again are there; a summary can do without the count of its missing values."""
    for name in ("settings", *KIND_ATTRIBUTES[kind]):
        if name not in dataset.attrs and name != "missing":
            raise ArchiveError(
                f"the attribute {name!r} is missing; restore the attributes, dataset.assign_attrs(original.attrs)"
            )
    validate_readable(dataset.attrs)


def _validate_dimensions(whole: xr.Dataset) -> None:
    """Every dimension has entries, distinct where they are names, and times have their log-SNR."""
    for dim, size in whole.sizes.items():
        if not size:
            raise ArchiveError(f"the dimension {dim!r} has no entries; select one at least")
        if dim in whole.coords and COORDINATES[str(dim)].dtype == "str":
            validate_distinct(str(dim), whole.variables[dim].values.tolist())
    for name, dim in (("time", "time"), ("log_snr", "time"), ("dimension", "dimension")):
        if dim in whole.dims and name not in whole.coords:
            raise ArchiveError(f"the coordinate {name!r} is missing; restore it, dataset.assign_coords({name}=...)")
    sizes = whole["dimension"].values.tolist() if "dimension" in whole.dims else []
    if len(set(sizes)) < len(sizes):
        raise ArchiveError(f"the coordinate 'dimension' is {brief(sizes)}; every ambient dimension must be there once")
    # a position without its axis, or averaged over several, is none
    for name in whole["axis"].values.tolist() if "axis" in whole.dims else ():
        if name not in AXES:
            raise ArchiveError(
                f"the coordinate 'axis' holds {brief(name)}, which is not one of {', '.join(AXES)}; keep it where an "
                "entry is selected, without drop=True, and do not average over it"
            )


def _restored(dataset: xr.Dataset, kind: str) -> xr.Dataset:
    """The variables of the contract, every one with all its dimensions."""
    for index in dataset.xindexes.values():
        if isinstance(index, xr.indexes.PandasMultiIndex):
            raise ArchiveError(f"the dimension {index.dim!r} stacks several; undo it, .unstack({str(index.dim)!r})")
    dataset = _runs_named(dataset, kind)
    known = {name: variable for name, variable in KINDS[kind].items() if name in dataset.variables}
    if not known:
        raise ArchiveError(f"it has none of the variables of a {kind} dataset: {', '.join(KINDS[kind])}")
    data = {name: _complete(dataset.variables[name], row, dataset, kind) for name, row in known.items()}
    used = {dim for variable in data.values() for dim in variable.dims}
    coords: dict[Hashable, xr.Variable] = {}
    for name, row in COORDINATES.items():
        dim = row.dims[0]
        if dim not in used:
            continue
        if name in dataset.variables:
            coords[name] = _coordinate(dataset, row)
        elif name == dim and row.dtype == "str" and dim not in dataset.dims:
            coords[name] = xr.Variable(dim, np.array([REDUCED]), row.attributes({}))
    restored = xr.Dataset(data, coords, dataset.attrs)
    restored.set_close(dataset.close)
    return restored


def _coordinate(dataset: xr.Dataset, row: Variable) -> xr.Variable:
    """The coordinate along its dimension, which it has lost where one entry was selected."""
    (dim,), variable = row.dims, dataset.variables[row.name]
    if row.dtype != "str" and variable.dtype.kind not in "fiub":
        raise ArchiveError(f"the coordinate {row.name!r} has type {variable.dtype}; convert it, .astype(float)")
    if not variable.ndim and dim not in dataset.dims:
        return xr.Variable(dim, variable.values[None], variable.attrs)
    if variable.dims != row.dims:
        raise ArchiveError(
            f"the coordinate {row.name!r} has the dimensions {variable.dims}, not {row.dims}; keep apart what differs "
            "in it, specent.compare joins what fits"
        )
    return variable


def _runs_named(dataset: xr.Dataset, kind: str) -> xr.Dataset:
    """An unknown dimension, of which there may be one, becomes the dimension ``run``."""
    order = dimension_order(kind)
    present = dict.fromkeys(dim for name in KINDS[kind] if name in dataset for dim in dataset.variables[name].dims)
    unknown = [dim for dim in present if dim not in order]
    if not unknown:
        return dataset
    if len(unknown) > 1 or "run" in present or "run" not in order or kind in _SINGLE:
        raise ArchiveError(
            f"the dimension {unknown[0]!r} is not one of a {kind} dataset; select an entry of it, "
            f".isel({unknown[0]}=0), or reduce it"
        )
    dim = unknown[0]
    if not any(
        dim in dataset.variables[name].dims for name, row in KINDS[kind].items() if row.essential and name in dataset
    ):
        raise ArchiveError(f"the dimension {dim!r} is not one of a {kind} dataset; undo its renaming, or drop it")
    labels = dataset[dim].values if dim in dataset.coords else np.arange(dataset.sizes[dim])
    return dataset.drop_vars([dim], errors="ignore").rename({dim: "run"}).assign_coords(run=labels.astype(str))


def _complete(variable: xr.Variable, row: Variable, dataset: xr.Dataset, kind: str) -> xr.Variable:
    """The variable with a dimension of one entry for each that was selected or averaged away."""
    if row.dtype != "str" and variable.dtype.kind not in "fiub":
        raise ArchiveError(f"the variable {row.name!r} has type {variable.dtype}; convert it, .astype(float)")
    expected = [dim for dim in row.dims if dim != "..." and dim not in row.optional]
    lost = [dim for dim in expected if dim not in variable.dims]
    for dim in lost:
        if dim == "time" or (kind in _SINGLE and dim not in dataset.coords):
            raise ArchiveError(
                f"the dimension {dim!r} of {row.name!r} is gone; keep it: select with a list, .isel({dim}=[0]), and "
                "average what comes out of the analysis, not what goes in"
            )
        if dataset.sizes.get(dim, 1) != 1:
            raise ArchiveError(
                f"the variable {row.name!r} has lost the dimension {dim!r}, which others have; reduce all of them, or "
                f"drop it, .drop_vars({row.name!r})"
            )
    return xr.DataArray(variable).expand_dims(lost).variable if lost else variable
