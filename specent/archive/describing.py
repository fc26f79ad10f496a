"""A dataset in words, for the terminal."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from itertools import islice
from typing import Any

import numpy as np
import xarray as xr

from specent import schema
from specent.archive import opening
from specent.errors import ArchiveError, SpecentError, visible
from specent.files import as_path
from specent.schema.coordinates import guidance_settings, stored_partitions
from specent.untrusted import parse_json

_MOST_ITEMS = 6
_MOST_ROWS = 200
_LONGEST = 1000
_WIDTH = 100


def describe(dataset_or_path: xr.Dataset | str | os.PathLike[str]) -> str:
    """Readable summary of a dataset of the contract, or of an archive (which is verified first).

    Parameters
    ----------
    dataset_or_path : Dataset or path
        What to describe; data values are not read.

    Returns
    -------
    str
        Kind, title, dimensions, variables with units and meaning, partitions, guidance settings, estimators, model,
        seed, settings, versions, history and size, on lines, in visible letters (`specent.errors.visible`).

    Raises
    ------
    SpecentError
        If it is not a dataset of the contract.

    Examples
    --------
    >>> describe("nowhere.nc")
    Traceback (most recent call last):
    specent.errors.ArchiveError: path='nowhere.nc' does not exist; check the name and the folder
    """
    if isinstance(dataset_or_path, xr.Dataset):
        schema.validate(dataset_or_path)
        return _text(dataset_or_path, f"{_size_text(dataset_or_path.nbytes)} in memory")
    path = as_path(dataset_or_path, "dataset_or_path", error=ArchiveError)
    with opening.open(path) as dataset:
        files = path.glob("shard-*.nc") if path.is_dir() else [path]
        stored = sum(file.stat().st_size for file in files)
        size = f"{path.name}, {_size_text(stored)} on disk, {_size_text(dataset.nbytes)} in memory"
        return _text(dataset, size)


def _text(dataset: xr.Dataset, size: str) -> str:
    kind = str(dataset.attrs["specent_kind"])
    lines = [f"{kind}: {str(dataset.attrs['title'])[:_LONGEST]}", f"  {size}"]
    for head, section in (
        ("Dimensions", _dimensions(dataset)),
        ("Variables", _variables(dataset)),
        ("Partitions", _partitions(dataset)),
        ("Guidance", _guidance(dataset)),
        ("Attributes", _attributes(dataset, kind)),
        ("Settings", _mapping(str(dataset.attrs["settings"]))),
        ("Versions", _mapping(str(dataset.attrs["versions"]))),
        ("History", (f"  {line[:_LONGEST]}" for line in str(dataset.attrs["history"]).splitlines())),
    ):
        if rows := list(islice(section, _MOST_ROWS + 1)):
            more = ["  ..."] if len(rows) > _MOST_ROWS else []
            lines += ["", head, *rows[:_MOST_ROWS], *more]
    return "\n".join(map(visible, lines))


def _dimensions(dataset: xr.Dataset) -> Iterator[str]:
    for dim, size in dataset.sizes.items():
        values = dataset[dim].values
        if values.dtype.kind in "iuf":
            labels = f"{values[0]:g} .. {values[-1]:g}"
        else:
            labels = _some([str(value) for value in values])
        yield f"  {dim:<16} {size:>8}  {labels}"
        yield f"  {'':<26} {schema.DIMENSIONS[str(dim)]}"


def _variables(dataset: xr.Dataset) -> Iterator[str]:
    for name, array in dataset.data_vars.items():
        yield f"  {name} ({', '.join(map(str, array.dims))}) {array.dtype} [{array.attrs['units']}]"
        yield f"      {array.attrs['long_name']}"


def _partitions(dataset: xr.Dataset) -> Iterator[str]:
    if "definition" not in dataset.coords:
        return
    count = dataset.sizes["partition"]
    for partition in stored_partitions(dataset.isel(partition=slice(_MOST_ITEMS))):
        sides = " | ".join(f"{side}: {_some(list(labels))}" for side, labels in partition.sides)
        prior = "label priors" if partition.prior is None else ", ".join(f"{p:g}" for p in partition.prior)
        yield f"  {_cut(partition.name):<16} {_cut(sides)} (prior: {_cut(prior)})"
    if count > _MOST_ITEMS:
        yield f"  ... ({count} in all)"


def _guidance(dataset: xr.Dataset) -> Iterator[str]:
    if "guidance" not in dataset.coords:
        return
    for name, setting in zip(dataset["guidance"].values, guidance_settings(dataset), strict=True):
        scale, low, high = setting.numbers
        relation = "=" if setting.defined_by_numbers else "<="
        yield f"  {_cut(str(name)):<24} w {relation} {scale:g} for {low:g} < sigma/alpha <= {high:g}"
        if not setting.defined_by_numbers:
            yield f"  {'':<24} {setting.to_json()[:_LONGEST]}"


def _attributes(dataset: xr.Dataset, kind: str) -> Iterator[str]:
    shown = {"Conventions", "specent_schema"}
    meanings = {**schema.ATTRIBUTES, **schema.KIND_ATTRIBUTES[kind]}
    for name, value in dataset.attrs.items():
        if name in schema.ATTRIBUTES and name not in shown:
            continue
        yield f"  {name:<18} {_cut(str(value))}"
        if name in meanings:
            yield f"  {'':<18} {meanings[name]}"
    yield f"  {'settings_sha256':<18} {dataset.attrs['settings_sha256']}"


def _mapping(text: str) -> Iterator[str]:
    try:
        settings: Any = parse_json(text)
    except SpecentError:
        settings = text
    if not isinstance(settings, dict):
        settings = {"": settings}
    for key, value in settings.items():
        yield f"  {_cut(key):<18} {_cut(value if isinstance(value, str) else json.dumps(value))}"


def _some(texts: list[str]) -> str:
    more = f", ... ({len(texts)} in all)" if len(texts) > _MOST_ITEMS else ""
    return _cut(", ".join(texts[:_MOST_ITEMS]) + more)


def _cut(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= _WIDTH else flat[: _WIDTH - 3] + "..."


def _size_text(size: int) -> str:
    power = min(int(np.log10(max(size, 1)) // 3), 4)
    return f"{size / 1000**power:.3g} {('B', 'kB', 'MB', 'GB', 'TB')[power]}"
