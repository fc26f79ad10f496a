"""Validation of a dataset against the contract, as strict as a file must be; data values are not read."""

from __future__ import annotations

import xarray as xr

from specent.arguments import instance
from specent.errors import ArchiveError
from specent.schema.registry import COORDINATES, KINDS, SAMPLE_DIMS
from specent.schema.rules import kind_of, validate_coordinates, validate_labels, validate_provenance, validate_variable


def validate(dataset: xr.Dataset, kind: str | None = None, *, complete: bool = True) -> None:
    """Validate a dataset: names, dimensions, types, attributes, and whether its coordinates agree.

    Data values are not read; `specent.validate` reads them too.

    Parameters
    ----------
    dataset : Dataset
        The dataset.
    kind : str, optional
        The kind that is needed; any known kind by default.
    complete : bool
        Whether all coordinates must be there, as in a file. What is computed from a reduction may lack some.

    Raises
    ------
    SpecentError
        Naming the variable or attribute, what it is and what it should be.

    Examples
    --------
    >>> validate(xr.Dataset())
    Traceback (most recent call last):
    specent.errors.ArchiveError: specent_kind=None is not one of ...
    """
    instance(dataset, xr.Dataset, "dataset", "pass a Dataset of the contract")
    own = kind_of(dataset, kind)
    validate_provenance(dataset, own)
    for key, variable in dataset.variables.items():
        name = str(key)
        registry = COORDINATES if name in dataset.coords else KINDS[own]
        if name not in registry:
            hint = f"; drop it: dataset.drop_vars({name!r})" if name not in COORDINATES else "; use set_coords"
            raise ArchiveError(f"variable {name!r} is not part of the kind {own!r}{hint}")
        validate_variable(variable, registry[name])
    for expected in KINDS[own].values():
        if expected.essential and expected.name not in dataset:
            raise ArchiveError(f"variable {expected.name!r} is missing from the {own} dataset")
    validate_labels(dataset, complete)
    validate_coordinates(dataset)


def ordered(dataset: xr.Dataset, kind: str) -> xr.Dataset:
    """The dataset with its dimensions in the order of the contract, however it was transposed."""
    order = [dim for dim in dimension_order(kind) if dim in dataset.dims]
    rank = {dim: i for i, dim in enumerate(order)}
    positions = ([rank.get(str(dim), len(order)) for dim in one.dims] for one in dataset.variables.values())
    return dataset if all(position == sorted(position) for position in positions) else dataset.transpose(*order, ...)


def dimension_order(kind: str) -> list[str]:
    """Dimensions in the order in which every variable of the kind has them."""
    order: list[str] = []
    for variable in KINDS[kind].values():
        order += [dim for dim in variable.dims if dim not in (*order, "...")]
    if "replicate" in order:
        order.remove("replicate")
        order.insert(0, "replicate")
    return [*order, *(dim for dims in SAMPLE_DIMS for dim in dims)]
