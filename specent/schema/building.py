"""From variables to a dataset of the contract: names, units, order of dimensions, provenance."""

from __future__ import annotations

import hashlib
import json
import math
import platform
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
import xarray as xr

from specent.arguments import brief, instance, listed
from specent.errors import ArchiveError, SpecentError
from specent.schema import definitions
from specent.schema.registry import CONVENTIONS, COORDINATES, COUNTED, KINDS, SCHEMA, Variable
from specent.schema.rules import all_text, known_kind
from specent.schema.validation import ordered, validate


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
    result = _arranged(dataset, kind)
    result.attrs = plain_attributes(
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
    for name, variable in result.variables.items():
        expected = known.get(str(name))
        if expected is not None:
            variable.attrs = expected.attributes(result.attrs)
    if "definition" in result.coords:
        result["definition"].attrs |= _labels(dataset, parents)
    validate(result, complete=False)
    return result


def with_settings(dataset: xr.Dataset, **more: Any) -> xr.Dataset:
    """The dataset with further entries in its settings, for example the recipe that wrote it.

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
    validate(dataset)
    text = json.dumps(_plain({**json.loads(dataset.attrs["settings"]), **more}, "settings"), sort_keys=True)
    return dataset.assign_attrs(settings=text, settings_sha256=hashlib.sha256(text.encode()).hexdigest())


@cache  # every dataset holds them, and finding them takes longer than the rest of one
def versions() -> dict[str, str]:
    """Versions of specent, Python and the libraries that decide numbers or files, as far as installed."""
    numbers = {"python": platform.python_version()}
    for name in ("specent", "numpy", "scipy", "xarray", "dask", "netCDF4", "h5py", "isal", "torch"):
        try:
            numbers[name] = version(name)
        except PackageNotFoundError:
            continue
    return numbers


def plain_attributes(attributes: Mapping[Any, Any]) -> dict[str, Any]:
    """Attributes with NumPy numbers turned into Python ones, as which they compare and print alike."""
    return {str(key): value.item() if isinstance(value, np.generic) else value for key, value in attributes.items()}


def _datasets(parents: Any) -> list[xr.Dataset]:
    hint = "pass a list of the Datasets this one is made from"
    return [instance(parent, xr.Dataset, "parents", hint) for parent in listed(parents, "parents", hint)]


def _labels(dataset: xr.Dataset, parents: Iterable[xr.Dataset]) -> dict[str, str]:
    """The labels to which definitions of partitions refer; what was joined of several may have lost them."""
    beside = [one.variables["definition"] for one in (dataset, *parents) if "definition" in one.variables]
    texts = map(str, np.ravel(dataset.variables["definition"].values))
    labels = definitions.joined(map(definitions.labels_beside, beside), texts)
    return {definitions.LABELS: labels} if labels else {}


def _arranged(dataset: xr.Dataset, kind: str) -> xr.Dataset:
    """A copy with names, order of dimensions, running numbers and widths of types as the contract has them."""
    arranged = dataset.set_coords([name for name in dataset.data_vars if name in COORDINATES])
    arranged = ordered(arranged, kind)
    counted = {
        dim: np.arange(arranged.sizes[dim]) for dim in COUNTED if dim in arranged.dims and dim not in arranged.coords
    }
    arranged = arranged.assign_coords(counted) if counted else arranged
    known = {**COORDINATES, **KINDS[kind]}
    casts: dict[Any, xr.Variable] = {}
    for name, variable in arranged.variables.items():
        cast = _cast(variable, known[str(name)]) if name in known else variable.dtype
        if np.dtype(cast) != variable.dtype:
            casts[name] = variable.astype(cast, copy=False)
    if not casts:
        return arranged
    coords = {name: cast for name, cast in casts.items() if name in arranged.coords}
    return arranged.assign_coords(coords).assign({name: cast for name, cast in casts.items() if name not in coords})


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
