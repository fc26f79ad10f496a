"""The rules of the data contract, a function each; `specent.schema.validate` applies them. Data values are not read."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from specent import guidance
from specent.arguments import brief
from specent.axes import AXES
from specent.errors import ArchiveError, SpecentError
from specent.partitions import Partition
from specent.schedules import from_json
from specent.schema.coordinates import GUIDANCE_NUMBERS
from specent.schema.definitions import labels_beside, outline
from specent.schema.registry import (
    ATTRIBUTES,
    COORDINATES,
    KIND_ATTRIBUTES,
    KINDS,
    MAKERS,
    NULL,
    SAMPLE_DIMS,
    SCHEMA,
    Variable,
)
from specent.untrusted import parse_json

# what netCDF readers take out of the attributes and act upon
_RESERVED = frozenset(
    ("coordinates", "missing_value", "scale_factor", "add_offset", "dtype", "bounds", "grid_mapping", "calendar")
)
_NOT_NEGATIVE = frozenset(("label_prior", "candidate_prior", "side_prior", "guidance_scale", "sigma_lo", "dimension"))
_UNWRITABLE = re.compile("[\0\ud800-\udfff]")
# coordinates may have gone through single precision or another schedule
_ROUNDING = 1e-6


def known_kind(kind: object) -> str:
    """`kind`, if it is one of `KINDS`."""
    if not isinstance(kind, str) or kind not in KINDS:
        raise ArchiveError(f"kind={brief(kind)} is not one of {', '.join(KINDS)}")
    return kind


def kind_of(dataset: xr.Dataset, kind: str | None) -> str:
    """The kind of the dataset, which must be `kind` unless that is None."""
    if kind is not None:
        known_kind(kind)
    own = dataset.attrs.get("specent_kind")
    if not isinstance(own, str) or own not in KINDS:
        raise ArchiveError(
            f"specent_kind={brief(own)} is not one of {', '.join(KINDS)}: this dataset was not made by specent"
        )
    if str(dataset.attrs.get("specent_schema")) != SCHEMA:
        raise ArchiveError(
            f"specent_schema={brief(dataset.attrs.get('specent_schema'))}, but this version reads {SCHEMA!r}, and '1' "
            "through specent.schema.migrate; use the version of specent named in the attribute 'versions'"
        )
    if kind is not None and own != kind:
        raise ArchiveError(
            f"a dataset of kind {kind!r} is needed, this one is of kind {own!r}; what is needed is {MAKERS[kind]}"
        )
    return own


def validate_attributes(attributes: Mapping[Any, Any], owner: str) -> None:
    """Names and values of attributes must survive netCDF."""
    for name, value in attributes.items():
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", str(name)) or name in _RESERVED:
            raise ArchiveError(f"attribute {name!r} of {owner}: choose a name of letters, digits and _ not used by CF")
        if isinstance(value, bool) or not isinstance(value, (str, int, float, np.integer, np.floating)):
            raise ArchiveError(
                f"attribute {name!r} of {owner} is a {type(value).__name__}; netCDF keeps text and numbers only"
            )
        if isinstance(value, str):
            _refuse_unwritable(value, f"attribute {name!r} of {owner}")
        # NaN and infinity are in no range
        elif not -(2**63) <= value < 2**63:
            raise ArchiveError(f"attribute {name!r} of {owner} is {value!r}; it must be finite and fit into 64 bits")


def _refuse_unwritable(text: str, where: str) -> None:
    if _UNWRITABLE.search(text):
        raise ArchiveError(f"{where} is {text!r}, which UTF-8 text in netCDF cannot hold")


def validate_provenance(dataset: xr.Dataset, kind: str) -> None:
    """All attributes of the kind are there; those that are read again can be."""
    for name in (*ATTRIBUTES, *KIND_ATTRIBUTES[kind]):
        if name not in dataset.attrs:
            raise ArchiveError(f"attribute {name!r} is missing from the {kind} dataset")
    validate_attributes(dataset.attrs, "the dataset")
    text = str(dataset.attrs["settings"])
    if hashlib.sha256(text.encode()).hexdigest() != dataset.attrs["settings_sha256"]:
        raise ArchiveError("the attribute 'settings' does not match its settings_sha256; the dataset was altered")
    validate_readable(dataset.attrs)


def validate_readable(attributes: Mapping[Any, Any]) -> None:
    """The attributes that are read again can be: the settings and the axis of rates."""
    axis = attributes.get("rate_axis", AXES[0])
    if not isinstance(axis, str) or axis not in AXES:
        raise ArchiveError(f"attribute 'rate_axis' is {brief(axis)}, which is not one of {', '.join(AXES)}")
    if "law" in attributes and not (isinstance(attributes["law"], str) and attributes["law"] in ("log", "sqrt")):
        raise ArchiveError(f"attribute 'law' is {brief(attributes['law'])}, which is not one of log, sqrt")
    text = str(attributes["settings"])
    reason = ""
    try:
        entries = parse_json(text)
    except SpecentError as error:
        entries, reason = None, f" ({error})"
    if not isinstance(entries, dict):
        raise ArchiveError(
            f"the attribute 'settings' is {brief(text)}, not the JSON text of a mapping; make it with "
            f"specent.schema.finish(..., settings={{...}}){reason}"
        )


def validate_variable(actual: xr.Variable, expected: Variable) -> None:
    """Dimensions, type, units and attributes of a variable are those of the registry."""
    # first, because of what is no text or number nothing else can be said
    validate_attributes(actual.attrs, f"variable {expected.name!r}")
    dims = tuple(str(dim) for dim in actual.dims)
    wanted = _expanded(expected, dims)
    if dims != wanted:
        raise ArchiveError(
            f"variable {expected.name!r} has dimensions {dims}, the contract says {wanted}; select with a list, "
            "not a single label, to keep a dimension"
        )
    if expected.dtype == "str":
        right = actual.dtype.kind in "UT" or (actual.dtype.kind == "O" and all_text(actual))
    else:
        right = actual.dtype.name in (("float32", "float64") if expected.dtype == "float" else (expected.dtype,))
    if not right:
        hint = "; convert it, .astype('float64')" if actual.dtype.kind == "f" and expected.dtype == "float64" else ""
        raise ArchiveError(
            f"variable {expected.name!r} has type {actual.dtype}, the contract says {expected.dtype}{hint}"
        )
    if actual.attrs.get("units") != expected.units or not actual.attrs.get("long_name"):
        raise ArchiveError(
            f"variable {expected.name!r} has units {actual.attrs.get('units')!r} and long_name "
            f"{actual.attrs.get('long_name')!r}, the contract says {expected.units!r} and {expected.long_name!r}"
        )


def validate_labels(dataset: xr.Dataset, complete: bool = True) -> None:
    """Every dimension has its coordinate, and all others too if it is `complete`; labels are distinct, times ascend."""
    for dim, size in dataset.sizes.items():
        if size == 0:
            raise ArchiveError(f"dimension {dim!r} has no entries; there is nothing to keep")
    for name, expected in COORDINATES.items():
        if not (expected.essential and (complete or name in expected.dims)):
            continue
        if expected.dims[0] in dataset.sizes and name not in dataset.coords:
            raise ArchiveError(f"coordinate {name!r} is missing; it goes with the dimension {expected.dims[0]!r}")
    for key in dataset.coords:
        name, values = str(key), dataset.variables[key].values
        if COORDINATES[name].dtype == "str":
            for text in values:
                _refuse_unwritable(str(text), f"coordinate {name!r}")
            if name in dataset.sizes:
                validate_distinct(name, values.tolist())
        elif name in dataset.sizes:
            _validate_order(name, values)


def validate_distinct(name: str, labels: Sequence[object]) -> None:
    """No two entries of a dimension have one name."""
    label, count = Counter(labels).most_common(1)[0]
    if count > 1:
        raise ArchiveError(f"the coordinate {name!r} holds the label {label!r} {count} times; rename or drop it")


def _validate_order(name: str, values: np.ndarray) -> None:
    if not np.isfinite(values).all():
        raise ArchiveError(f"the coordinate {name!r} must be finite, but holds {values[~np.isfinite(values)][0]}")
    step = np.diff(values)
    if not (np.all(step > 0) or (name != "time" and np.all(step < 0))):
        way = "ascend, from data to noise" if name == "time" else "ascend or descend without repeating"
        raise ArchiveError(f"the coordinate {name!r} must {way}; try dataset.sortby({name!r})")


def validate_coordinates(dataset: xr.Dataset) -> None:
    """What the coordinates say of partitions, guidance, priors and the schedule must agree."""
    try:
        names, definitions = _texts(dataset, "partition"), _texts(dataset, "definition")
        if definitions and not names:
            raise ArchiveError("the coordinate 'partition' is missing; restore it, .assign_coords(partition=...)")
        distinct, labels = set(names), labels_beside(dataset.variables["definition"]) if definitions else ""
        for name, text in zip(names, definitions, strict=True) if definitions else ():
            defined, _ = outline(text, labels)
            # a name of its own, for a figure, does no harm
            if defined != name and defined in distinct:
                raise ArchiveError(f"partition {name!r} has the definition of {defined!r}; reorder both together")
        if {"sigma_lo", "sigma_hi"} <= set(dataset.coords) and not (
            dataset.variables["sigma_lo"].values < dataset.variables["sigma_hi"].values
        ).all():
            raise ArchiveError("sigma_lo must lie below sigma_hi in every guidance setting")
        _validate_guidance(dataset)
        for key in dataset.coords:
            if dataset.variables[key].dtype.kind == "f":
                _validate_numbers(str(key), dataset)
        _validate_priors(dataset)
        _validate_turned_sides(dataset)
        _validate_schedule(dataset)
    except ArchiveError:
        raise
    except SpecentError as error:
        raise ArchiveError(f"the dataset cannot be used: {error}") from error


def _validate_guidance(dataset: xr.Dataset) -> None:
    """Definitions of guidance settings, where there are any, say what the numbers beside them say."""
    for i, text in enumerate(_texts(dataset, "guidance_definition")):
        setting = guidance.from_json(text)
        numbers = [float(dataset.variables[name].values[i]) for name in GUIDANCE_NUMBERS]
        if not _close(np.array(setting.numbers), np.array(numbers)):
            raise ArchiveError(
                f"guidance {str(dataset['guidance'].values[i])!r} has guidance_scale, sigma_lo, sigma_hi = "
                f"{brief(numbers)}, but the definition of {str(setting)!r}; reorder all of them together"
            )


def _validate_numbers(name: str, dataset: xr.Dataset) -> None:
    values = dataset.variables[name].values
    if name != "sigma_hi":
        _raise_first(name, dataset, ~np.isfinite(values), "is not a finite number; find out what made it")
    if name in _NOT_NEGATIVE:
        _raise_first(name, dataset, values < 0, "is negative, which it cannot be")
    if name in ("sigma", "alpha"):
        _raise_first(name, dataset, ~(values > 0), "is not positive")


def _validate_priors(dataset: xr.Dataset) -> None:
    """Priors are those of one model: of the same labels they are the same, and the null condition has none."""
    for name in ("label_prior", "candidate_prior"):
        if name in dataset.coords and float(dataset.variables[name].values.sum()) > 1 + _ROUNDING:
            raise ArchiveError(f"{name}={brief(dataset.variables[name].values.tolist())} sums to more than 1")
    if not {"class_label", "label_prior", "candidate", "candidate_prior"} <= set(dataset.coords):
        return
    prior = dict(zip(_texts(dataset, "class_label"), dataset.variables["label_prior"].values, strict=True))
    if prior.get(NULL, 0.0) > 0:
        raise ArchiveError(
            f"class_label {NULL!r} is the name of the null condition, which has no label_prior; set it to 0, or rename "
            "the class"
        )
    prior[NULL] = 0.0
    for name, value in zip(_texts(dataset, "candidate"), dataset.variables["candidate_prior"].values, strict=True):
        if abs(value - prior.get(name, value)) > _ROUNDING:
            other = "the null condition has none" if name == NULL else f"label_prior is {prior[name]:g}"
            raise ArchiveError(f"candidate_prior={value:g} at candidate={name}, but {other}; set both alike")


def _validate_turned_sides(dataset: xr.Dataset) -> None:
    """The sides of origins and ends are those of the partition that the dataset names."""
    if dataset.attrs.get("specent_kind") != "interventions" or "partition" not in dataset.attrs:
        return
    sides = Partition.from_json(str(dataset.attrs["partition"])).side_names
    for name in ("side", "end_side"):
        other = next((text for text in _texts(dataset, name) if text not in sides), None)
        if other is not None:
            raise ArchiveError(
                f"{name}={brief(other)} is no side of the partition of the dataset, which has {brief(list(sides))}"
            )
    if "side_prior" not in dataset.coords:
        return
    prior = dataset.variables["side_prior"].values
    total, every = float(prior.sum()), len(prior) == len(sides)
    if total > 1 + _ROUNDING or (every and total < 1 - _ROUNDING):
        raise ArchiveError(
            f"side_prior={brief(prior.tolist())} of {'all' if every else 'some'} sides sums to {total:g}"
        )


def _validate_schedule(dataset: xr.Dataset) -> None:
    """Scales, log-SNR, time and schedule describe the same noise."""
    schedule = from_json(str(dataset.attrs["schedule"])) if "schedule" in dataset.attrs else None
    if not {"time", "sigma", "alpha", "log_snr"} <= set(dataset.coords):
        return
    time, sigma, alpha, log_snr = (dataset.variables[name].values for name in ("time", "sigma", "alpha", "log_snr"))
    if not ((alpha > 0) & (sigma > 0)).all() or not _close(2.0 * np.log(alpha / sigma), log_snr):
        raise ArchiveError("log_snr is not ln(alpha^2/sigma^2) of the coordinates alpha and sigma; restore all three")
    if not (np.diff(log_snr) < 0).all():
        raise ArchiveError("log_snr must descend with time, from data to noise; restore time, sigma, alpha and log_snr")
    if schedule is not None and not _close(schedule.log_snr(time), log_snr):
        raise ArchiveError(
            f"log_snr is not that of the schedule {schedule.name!r} at the coordinate time; to change the schedule use "
            "specent.on_schedule(dataset, schedule)"
        )


def _close(first: np.ndarray, second: np.ndarray) -> bool:
    return np.allclose(first, second, rtol=_ROUNDING, atol=_ROUNDING)


def _texts(dataset: xr.Dataset, name: str) -> list[str]:
    return [str(text) for text in dataset.variables[name].values] if name in dataset.coords else []


def _raise_first(name: str, dataset: xr.Dataset, bad: np.ndarray, text: str) -> None:
    """Raise, naming the first bad value of a coordinate."""
    if bad.any():
        dim, i = dataset.variables[name].dims[0], int(np.argmax(bad))
        label = f"#{i}" if dim == name else dataset.variables[dim].values[i].item()
        raise ArchiveError(f"{name}={dataset.variables[name].values[i]!s} at {dim}={label} {text}")


def all_text(variable: xr.Variable) -> bool:
    """Whether an array of objects holds nothing but text."""
    return all(isinstance(value, str) for value in variable.values.flat)


def _expanded(expected: Variable, dims: tuple[str, ...]) -> tuple[str, ...]:
    wanted = tuple(dim for dim in expected.dims if dim not in expected.optional or dim in dims)
    if wanted[-1] == "...":
        tail = dims[len(wanted) - 1 :]
        return wanted[:-1] + (tail if tail in SAMPLE_DIMS else SAMPLE_DIMS[0])
    return wanted
