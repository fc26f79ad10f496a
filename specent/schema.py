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
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
import xarray as xr

from specent._registry import (
    ATTRIBUTES,
    COORDINATES,
    COUNTED,
    DIMENSIONS,
    KIND_ATTRIBUTES,
    KINDS,
    MAKERS,
    NULL,
    SAMPLE_DIMS,
    Variable,
)
from specent.errors import ArchiveError, SpecentError

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

SCHEMA = "1"
CONVENTIONS = "CF-1.11"

# what netCDF readers take out of the attributes and act upon
_RESERVED = frozenset(
    ("coordinates", "missing_value", "scale_factor", "add_offset", "dtype", "bounds", "grid_mapping", "calendar")
)


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
    ArchiveError
        If the result breaks the contract.
    """
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
    ArchiveError
        If an entry cannot be written as JSON.
    """
    text = json.dumps(_plain({**json.loads(dataset.attrs["settings"]), **more}, "settings"), sort_keys=True)
    return dataset.assign_attrs(settings=text, settings_sha256=hashlib.sha256(text.encode()).hexdigest())


def check(dataset: xr.Dataset, kind: str | None = None) -> None:
    """Check names, dimensions, types and attributes of a dataset against the contract; data values are not read.

    Parameters
    ----------
    dataset : Dataset
        What is to be checked.
    kind : str, optional
        The kind that is needed; any known kind by default.

    Raises
    ------
    ArchiveError
        Naming the variable or attribute, what it is and what it should be.
    """
    found = _check_kind(dataset, kind)
    for name in (*ATTRIBUTES, *KIND_ATTRIBUTES[found]):
        if name not in dataset.attrs:
            raise ArchiveError(f"attribute {name!r} is missing from the {found} dataset")
    _check_attributes(dataset.attrs, "the dataset")
    _check_settings(dataset)
    for key, variable in dataset.variables.items():
        name = str(key)
        registry = COORDINATES if name in dataset.coords else KINDS[found]
        if name not in registry:
            hint = f"; drop it: dataset.drop_vars({name!r})" if name not in COORDINATES else "; use set_coords"
            raise ArchiveError(f"variable {name!r} is not part of the kind {found!r}{hint}")
        _check_variable(variable, registry[name])
    for expected in KINDS[found].values():
        if expected.essential and expected.name not in dataset:
            raise ArchiveError(f"variable {expected.name!r} is missing from the {found} dataset")
    _check_coordinates(dataset)


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
        "Required wherever their dimension is.",
        table(head, rows(COORDINATES.values())),
        "## Attributes of every file",
        attributes(ATTRIBUTES),
    ]
    for kind, variables in KINDS.items():
        parts += [f"## Kind `{kind}`", f"{MAKERS[kind].capitalize()}.", table(head, rows(variables.values()))]
        parts += ["Further attributes:", attributes(KIND_ATTRIBUTES[kind])]
    return "\n\n".join(parts) + "\n"


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
        return str if kind == "T" or (kind == "O" and _all_text(variable)) else variable.dtype
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
        f"{where}={value!r} is a {type(value).__name__}; settings hold text, numbers, lists and mappings"
    )


def _check_kind(dataset: xr.Dataset, kind: str | None) -> str:
    if kind is not None and kind not in KINDS:
        raise ArchiveError(f"kind={kind!r} is not one of {', '.join(KINDS)}")
    found = dataset.attrs.get("specent_kind")
    if not isinstance(found, str) or found not in KINDS:
        raise ArchiveError(
            f"specent_kind={found!r} is not one of {', '.join(KINDS)}: this dataset was not made by specent"
        )
    if str(dataset.attrs.get("specent_schema")) != SCHEMA:
        raise ArchiveError(
            f"specent_schema={dataset.attrs.get('specent_schema')!r}, but this version reads {SCHEMA!r}; "
            "use the version of specent named in the attribute 'versions'"
        )
    if kind is not None and found != kind:
        raise ArchiveError(f"a dataset of kind {kind!r} is needed, this one is of kind {found!r} ({MAKERS[kind]})")
    return found


def _check_attributes(attributes: Mapping[Any, Any], owner: str) -> None:
    for name, value in attributes.items():
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", str(name)) or name in _RESERVED:
            raise ArchiveError(f"attribute {name!r} of {owner}: choose a name of letters, digits and _ not used by CF")
        if isinstance(value, bool) or not isinstance(value, (str, int, float, np.integer, np.floating)):
            raise ArchiveError(
                f"attribute {name!r} of {owner} is a {type(value).__name__}; netCDF keeps text and numbers only"
            )
        if isinstance(value, str):
            _check_text(value, f"attribute {name!r} of {owner}")
        elif not (math.isfinite(value) and -(2**63) <= value < 2**63):
            raise ArchiveError(f"attribute {name!r} of {owner} is {value!r}; it must be finite and fit into 64 bits")


def _check_text(text: str, where: str) -> None:
    if "\0" in text or any("\ud800" <= letter <= "\udfff" for letter in text):
        raise ArchiveError(f"{where} is {text!r}, which UTF-8 text in netCDF cannot hold")


def _check_settings(dataset: xr.Dataset) -> None:
    text = str(dataset.attrs["settings"])
    if hashlib.sha256(text.encode()).hexdigest() != dataset.attrs["settings_sha256"]:
        raise ArchiveError("the attribute 'settings' does not match its settings_sha256; the dataset was altered")


def _check_variable(actual: xr.Variable, expected: Variable) -> None:
    dims = tuple(str(dim) for dim in actual.dims)
    wanted = _expanded(expected, dims)
    if dims != wanted:
        raise ArchiveError(
            f"variable {expected.name!r} has dimensions {dims}, the contract says {wanted}; select with a list, "
            "not a single label, to keep a dimension"
        )
    if expected.dtype == "str":
        right = actual.dtype.kind in "UT" or (actual.dtype.kind == "O" and _all_text(actual))
    else:
        right = actual.dtype.name in (("float32", "float64") if expected.dtype == "float" else (expected.dtype,))
    if not right:
        raise ArchiveError(f"variable {expected.name!r} has type {actual.dtype}, the contract says {expected.dtype}")
    if actual.attrs.get("units") != expected.units or not actual.attrs.get("long_name"):
        raise ArchiveError(
            f"variable {expected.name!r} has units {actual.attrs.get('units')!r} and long_name "
            f"{actual.attrs.get('long_name')!r}, the contract says {expected.units!r} and {expected.long_name!r}"
        )
    _check_attributes(actual.attrs, f"variable {expected.name!r}")


def _check_coordinates(dataset: xr.Dataset) -> None:
    """Every dimension has all its coordinates; labels are distinct, and places ascend."""
    for dim, size in dataset.sizes.items():
        if size == 0:
            raise ArchiveError(f"dimension {dim!r} has no entries; there is nothing to keep")
    for name, expected in COORDINATES.items():
        if expected.dims[0] in dataset.sizes and name not in dataset.coords:
            raise ArchiveError(f"coordinate {name!r} is missing; it goes with the dimension {expected.dims[0]!r}")
    for key, coordinate in dataset.coords.items():
        name, values = str(key), coordinate.values
        if COORDINATES[name].dtype == "str":
            for text in values:
                _check_text(str(text), f"coordinate {name!r}")
            label, count = Counter(values.tolist()).most_common(1)[0]
            if name in dataset.sizes and count > 1:
                raise ArchiveError(
                    f"the coordinate {name!r} holds the label {label!r} {count} times; rename or drop it"
                )
        elif name in dataset.sizes:
            _check_order(name, values)


def _check_order(name: str, values: np.ndarray) -> None:
    if not np.isfinite(values).all():
        raise ArchiveError(f"the coordinate {name!r} must be finite, but holds {values[~np.isfinite(values)][0]}")
    step = np.diff(values)
    if not (np.all(step > 0) or (name != "time" and np.all(step < 0))):
        way = "ascend, from data to noise" if name == "time" else "ascend or descend without repeating"
        raise ArchiveError(f"the coordinate {name!r} must {way}; try dataset.sortby({name!r})")


def _all_text(variable: xr.Variable) -> bool:
    return all(isinstance(value, str) for value in variable.values.flat)


def _expanded(expected: Variable, dims: tuple[str, ...]) -> tuple[str, ...]:
    wanted = tuple(dim for dim in expected.dims if dim not in expected.optional or dim in dims)
    if wanted[-1] == "...":
        tail = dims[len(wanted) - 1 :]
        return wanted[:-1] + (tail if tail in SAMPLE_DIMS else SAMPLE_DIMS[0])
    return wanted


def _order(kind: str) -> list[str]:
    """Dimensions in the order in which every variable of the kind has them."""
    order: list[str] = []
    for variable in KINDS[kind].values():
        order += [dim for dim in variable.dims if dim not in (*order, "...")]
    if "replicate" in order:
        order.remove("replicate")
        order.insert(0, "replicate")
    return [*order, *(dim for dims in SAMPLE_DIMS for dim in dims)]
