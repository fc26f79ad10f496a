"""The data contract: one registry of kinds, dimensions, coordinates, variables and attributes, and its rules.

It feeds validation, the attributes of every output, the axis labels of the figures, ``specent describe`` and the
documentation of the file format. Files follow CF-1.11; units are read by UDUNITS, where ``bit`` is known and
``nat`` is not: quantities in natural logarithms have the unit ``1`` and say so in their ``long_name``.
"""

from __future__ import annotations

import hashlib
import json
import math
import platform
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
import xarray as xr

from specent.arguments import brief, instance, listed
from specent.errors import ArchiveError, SpecentError
from specent.schema.registry import (
    ATTRIBUTES,
    CONVENTIONS,
    COORDINATES,
    COUNTED,
    DIMENSIONS,
    KIND_ATTRIBUTES,
    KINDS,
    MAKERS,
    NULL,
    SAMPLE_DIMS,
    SCHEMA,
    Variable,
)
from specent.schema.rules import (
    all_text,
    check_coordinates,
    check_kind,
    check_labels,
    check_provenance,
    check_variable,
    known_kind,
)

__all__ = [
    "ATTRIBUTES",
    "CONVENTIONS",
    "COORDINATES",
    "DIMENSIONS",
    "KINDS",
    "KIND_ATTRIBUTES",
    "NULL",
    "SCHEMA",
    "Variable",
    "as_markdown",
    "check",
    "finish",
    "need",
    "ordered",
    "plain_attributes",
    "versions",
    "with_settings",
]


def finish(
    dataset: xr.Dataset,
    kind: str,
    *,
    title: str,
    settings: Mapping[str, Any],
    parents: Iterable[xr.Dataset] = (),
    **attributes: str | int | float,
) -> xr.Dataset:
    """Give a new dataset its units, names and provenance, and check it against the contract.

    Parameters
    ----------
    dataset : Dataset
        Variables and coordinates by the names of the registry. Running numbers (``sample``, ``feature``, ...) may be
        left out; integers and single-precision variables may come in any width.
    kind : str
        One of `KINDS`.
    title : str
        What the dataset holds.
    settings : mapping
        Everything that decided the numbers; JSON serialisable, infinities are written as text.
    parents : iterable of Dataset
        The datasets it was derived from, whose history it carries on.
    **attributes : str, int or float
        Further attributes, those of `KIND_ATTRIBUTES` among them.

    Returns
    -------
    Dataset
        Dimensions in the order of the contract, attributes set on every variable.

    Raises
    ------
    SpecentError
        If an argument is of another type, or the result breaks the contract.
    """
    instance(dataset, xr.Dataset, "dataset", "pass a Dataset with the variables of the kind")
    known_kind(kind)
    instance(title, str, "title", "say in one line what the dataset holds")
    if not isinstance(settings, Mapping):
        raise SpecentError(f"settings={brief(settings)} is a {type(settings).__name__}; pass a mapping")
    parents = _datasets(parents)
    text = json.dumps(_plain(settings, "settings"), sort_keys=True, allow_nan=False)
    now = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} {title}"
    past = [line for parent in parents for line in str(parent.attrs.get("history", "")).splitlines()]
    made = _arranged(dataset, kind)
    made.attrs = plain_attributes(
        {
            "Conventions": CONVENTIONS,
            "title": title,
            "history": "\n".join(dict.fromkeys([*past, now])),
            "specent_schema": SCHEMA,
            "specent_kind": kind,
            "settings": text,
            "settings_sha256": hashlib.sha256(text.encode()).hexdigest(),
            "versions": json.dumps(versions()),
            **attributes,
        }
    )
    known = {**COORDINATES, **KINDS[kind]}
    for name, variable in made.variables.items():
        expected = known.get(str(name))
        if expected is not None:
            variable.attrs = expected.attributes(made.attrs)
    check(made)
    return made


def with_settings(dataset: xr.Dataset, **more: Any) -> xr.Dataset:
    """The dataset with further entries in its settings, for example the recipe that made it.

    Parameters
    ----------
    dataset : Dataset
        Of the contract.
    **more : JSON serialisable
        Entries to add; one of the same name is replaced.

    Returns
    -------
    Dataset
        A shallow copy whose ``settings_sha256`` is that of the new settings.

    Raises
    ------
    SpecentError
        If the dataset is not of the contract, or an entry cannot be written as JSON.
    """
    check(dataset)
    text = json.dumps(_plain({**json.loads(dataset.attrs["settings"]), **more}, "settings"), sort_keys=True)
    return dataset.assign_attrs(settings=text, settings_sha256=hashlib.sha256(text.encode()).hexdigest())


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


def versions() -> dict[str, str]:
    """Versions of specent, Python and the libraries that decide numbers or files, as far as installed."""
    found = {"python": platform.python_version()}
    for name in ("specent", "numpy", "scipy", "xarray", "dask", "netCDF4", "torch"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def plain_attributes(attributes: Mapping[Any, Any]) -> dict[str, Any]:
    """Attributes with NumPy numbers turned into Python ones, as which they compare and print alike."""
    return {str(key): value.item() if isinstance(value, np.generic) else value for key, value in attributes.items()}


def as_markdown() -> str:
    """The registry as tables in Markdown, for the page of the documentation that describes the format.

    Examples
    --------
    >>> print(as_markdown().splitlines()[0])
    Schema version 1, conventions CF-1.11.
    """

    def table(head: str, rows: Iterable[tuple[str, ...]]) -> str:
        cells = [tuple(head.split(",")), tuple("---" for _ in head.split(",")), *rows]
        return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in cells)

    def rows(variables: Iterable[Variable]) -> list[tuple[str, ...]]:
        return [
            (
                f"`{v.name}`",
                ", ".join(f"[{dim}]" if dim in v.optional else dim for dim in v.dims),
                v.dtype,
                v.units,
                v.long_name + (f" (axis: attribute `{v.axis}`)" if v.axis else ""),
                "yes" if v.essential else "no",
            )
            for v in variables
        ]

    def attributes(meanings: Mapping[str, str]) -> str:
        return table("attribute,meaning", [(f"`{name}`", text) for name, text in meanings.items()])

    head = "name,dimensions,type,units,meaning,required"
    parts = [
        f"Schema version {SCHEMA}, conventions {CONVENTIONS}.",
        "Dimensions in brackets may be absent; `...` stands for (feature) or (channel, y, x).",
        "## Dimensions",
        table("dimension,meaning", [(f"`{name}`", text) for name, text in DIMENSIONS.items()]),
        "## Coordinates",
        "Those required are so wherever their dimension is.",
        table(head, rows(COORDINATES.values())),
        "## Attributes of every file",
        attributes(ATTRIBUTES),
    ]
    for kind, variables in KINDS.items():
        parts += [f"## Kind `{kind}`", f"{MAKERS[kind].capitalize()}.", table(head, rows(variables.values()))]
        parts += ["Further attributes:", attributes(KIND_ATTRIBUTES[kind])]
    return "\n\n".join(parts) + "\n"


def _datasets(parents: Any) -> list[xr.Dataset]:
    mend = "pass a list of the Datasets this one is made from"
    return [instance(parent, xr.Dataset, "parents", mend) for parent in listed(parents, "parents", mend)]


def _arranged(dataset: xr.Dataset, kind: str) -> xr.Dataset:
    """Names, order of dimensions, running numbers and widths of types as the contract has them."""
    made = dataset.set_coords([name for name in dataset.data_vars if name in COORDINATES])
    made = ordered(made, kind)
    counted = {dim: np.arange(made.sizes[dim]) for dim in COUNTED if dim in made.dims and dim not in made.coords}
    made = made.assign_coords(counted)
    known = {**COORDINATES, **KINDS[kind]}
    casts: dict[Any, xr.Variable] = {}
    for name, variable in made.variables.items():
        cast = _cast(variable, known[str(name)]) if name in known else variable.dtype
        if np.dtype(cast) != variable.dtype:
            casts[name] = variable.astype(cast, copy=False)
    coords = {name: cast for name, cast in casts.items() if name in made.coords}
    return made.assign_coords(coords).assign({name: cast for name, cast in casts.items() if name not in coords})


def _cast(variable: xr.Variable, expected: Variable) -> Any:
    """The type to cast to: never one that invents precision for data, nor one that truncates."""
    kind = variable.dtype.kind
    if expected.dtype == "str":
        return str if kind == "T" or (kind == "O" and all_text(variable)) else variable.dtype
    widened = expected.dtype == "float64" and (kind == "i" or expected.name in COORDINATES)
    if (kind in "iu" and expected.dtype == "int64") or (kind in "iuf" and (widened or expected.dtype == "float32")):
        return expected.dtype
    return variable.dtype


def _plain(value: Any, where: str) -> Any:
    """`value` as JSON can hold it: NumPy numbers as Python ones, infinities as text."""
    if isinstance(value, (np.generic, np.ndarray)):
        value = value.tolist()
    if isinstance(value, Mapping):
        return {str(key): _plain(item, f"{where}[{key!r}]") for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item, f"{where}[{i}]") for i, item in enumerate(value)]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    raise ArchiveError(
        f"{where}={brief(value)} is a {type(value).__name__}; settings hold text, numbers, lists and mappings"
    )


def _order(kind: str) -> list[str]:
    """Dimensions in the order in which every variable of the kind has them."""
    order: list[str] = []
    for variable in KINDS[kind].values():
        order += [dim for dim in variable.dims if dim not in (*order, "...")]
    if "replicate" in order:
        order.remove("replicate")
        order.insert(0, "replicate")
    return [*order, *(dim for dims in SAMPLE_DIMS for dim in dims)]
