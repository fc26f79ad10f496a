"""Validation of a dataset against the contract; data values are not read."""

from __future__ import annotations

import xarray as xr

from specent.arguments import instance
from specent.errors import ArchiveError, SpecentError
from specent.schema.registry import COORDINATES, KINDS, MAKERS, SAMPLE_DIMS
from specent.schema.rules import (
    check_coordinates,
    check_kind,
    check_labels,
    check_provenance,
    check_variable,
)


def check(dataset: xr.Dataset, kind: str | None = None) -> None:
    """Check a dataset against the contract: names, dimensions, types, attributes, and whether its coordinates agree.

    Data values are not read.

    Parameters
    ----------
    dataset : Dataset
        What is to be checked.
    kind : str, optional
        The kind that is needed; any known kind by default.

    Raises
    ------
    SpecentError
        Naming the variable or attribute, what it is and what it should be.
    """
    instance(dataset, xr.Dataset, "dataset", "pass a Dataset of the contract")
    found = check_kind(dataset, kind)
    check_provenance(dataset, found)
    for key, variable in dataset.variables.items():
        name = str(key)
        registry = COORDINATES if name in dataset.coords else KINDS[found]
        if name not in registry:
            hint = f"; drop it: dataset.drop_vars({name!r})" if name not in COORDINATES else "; use set_coords"
            raise ArchiveError(f"variable {name!r} is not part of the kind {found!r}{hint}")
        check_variable(variable, registry[name])
    for expected in KINDS[found].values():
        if expected.essential and expected.name not in dataset:
            raise ArchiveError(f"variable {expected.name!r} is missing from the {found} dataset")
    check_labels(dataset)
    check_coordinates(dataset)


def need(dataset: xr.Dataset, kind: str, argument: str) -> None:
    """Raise unless `dataset`, passed as `argument`, is a dataset of `kind`.

    Raises
    ------
    SpecentError
        Naming the argument and what it should have been.
    """
    if not isinstance(dataset, xr.Dataset):
        raise SpecentError(f"{argument} is a {type(dataset).__name__}; a {kind} dataset is needed ({MAKERS[kind]})")
    try:
        check(dataset, kind)
    except ArchiveError as error:
        raise ArchiveError(f"{argument}: {error}") from error


def ordered(dataset: xr.Dataset, kind: str) -> xr.Dataset:
    """The dataset with its dimensions in the order of the contract, however it was transposed."""
    return dataset.transpose(*[dim for dim in _order(kind) if dim in dataset.dims], ...)


def _order(kind: str) -> list[str]:
    """Dimensions in the order in which every variable of the kind has them."""
    order: list[str] = []
    for variable in KINDS[kind].values():
        order += [dim for dim in variable.dims if dim not in (*order, "...")]
    if "replicate" in order:
        order.remove("replicate")
        order.insert(0, "replicate")
    return [*order, *(dim for dims in SAMPLE_DIMS for dim in dims)]
