"""The data contract: one registry of kinds, dimensions, coordinates, variables and attributes.

It feeds validation, the attributes of every output, the axis labels of the figures, ``specent describe`` and the
documentation of the file format. Files follow CF-1.11; units are read by UDUNITS, where ``bit`` is known and
``nat`` is not: quantities in natural logarithms have the unit ``1`` and say so in their ``long_name``.
"""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
import xarray as xr

from specent.errors import ArchiveError, SpecentError

SCHEMA = "1"
CONVENTIONS = "CF-1.11"
NULL = "null"
"""Name of the null condition among the candidates; no class label may be called so."""

DIMENSIONS: Mapping[str, str] = {
    "time": "diffusion time (not clock time), ascending from data to noise",
    "class_label": "class label of the driver, whose conditional chain moves the sample",
    "candidate": "condition whose likelihood is scored along the trajectory",
    "other_candidate": "second candidate of a pair of candidates",
    "sample": "index of the trajectory within its class",
    "partition": "split of the class labels into named sides",
    "guidance": "guidance setting",
    "dimension": "ambient dimension of a synthetic model",
    "estimator": "how the number was estimated",
    "replicate": "bootstrap replicate",
    "prediction_time": "diffusion time at which a prediction of the data was kept",
    "feature": "component of a sample that is a plain vector",
    "channel": "colour or latent channel",
    "y": "pixel row",
    "x": "pixel column",
}


@dataclass(frozen=True)
class Variable:
    """What one variable of an archive must look like.

    `dims` are required, in this order; those in `optional` may be absent. ``...`` stands for the dimensions of one
    sample, (feature) or (channel, y, x). An `essential` variable must be there.
    """

    name: str
    dims: tuple[str, ...]
    dtype: str
    units: str
    long_name: str
    essential: bool = True
    optional: tuple[str, ...] = ()


def _coordinates() -> dict[str, Variable]:
    rows = [
        Variable("time", ("time",), "float64", "1", DIMENSIONS["time"]),
        Variable("sigma", ("time",), "float64", "1", "standard deviation of the noise"),
        Variable("alpha", ("time",), "float64", "1", "scale of the signal"),
        Variable("log_snr", ("time",), "float64", "1", "natural logarithm of the SNR alpha^2/sigma^2"),
        Variable("class_label", ("class_label",), "str", "1", DIMENSIONS["class_label"]),
        Variable("label_prior", ("class_label",), "float64", "1", "prior probability of the class label in the model"),
        Variable("candidate", ("candidate",), "str", "1", DIMENSIONS["candidate"]),
        Variable("candidate_prior", ("candidate",), "float64", "1", "prior probability of the candidate, 0 if null"),
        Variable("other_candidate", ("other_candidate",), "str", "1", DIMENSIONS["other_candidate"]),
        Variable("sample", ("sample",), "int64", "1", DIMENSIONS["sample"]),
        Variable("partition", ("partition",), "str", "1", DIMENSIONS["partition"]),
        Variable("definition", ("partition",), "str", "1", "definition of the partition as JSON"),
        Variable("guidance", ("guidance",), "str", "1", DIMENSIONS["guidance"]),
        Variable("guidance_scale", ("guidance",), "float64", "1", "guidance scale w; 1 is unguided"),
        Variable("sigma_lo", ("guidance",), "float64", "1", "noise level sigma/alpha above which guidance applies"),
        Variable("sigma_hi", ("guidance",), "float64", "1", "noise level sigma/alpha up to which guidance applies"),
        Variable("dimension", ("dimension",), "float64", "1", DIMENSIONS["dimension"]),
        Variable("estimator", ("estimator",), "str", "1", DIMENSIONS["estimator"]),
        Variable("replicate", ("replicate",), "int64", "1", DIMENSIONS["replicate"]),
        Variable("prediction_time", ("prediction_time",), "float64", "1", DIMENSIONS["prediction_time"]),
        Variable("feature", ("feature",), "int64", "1", DIMENSIONS["feature"]),
        Variable("channel", ("channel",), "int64", "1", DIMENSIONS["channel"]),
        Variable("y", ("y",), "int64", "1", DIMENSIONS["y"]),
        Variable("x", ("x",), "int64", "1", DIMENSIONS["x"]),
    ]
    return {row.name: row for row in rows}


COORDINATES: Mapping[str, Variable] = _coordinates()

_RUN = ("guidance", "class_label", "sample", "time")
_CURVE = ("dimension", "estimator", "guidance", "partition", "time")
_SUMMARY = ("dimension", "estimator", "guidance", "partition")
_FIT = ("estimator", "guidance", "partition")


def _trajectories() -> list[Variable]:
    nats = "natural logarithm"
    return [
        Variable(
            "log_likelihood", (*_RUN, "candidate"), "float64", "1",
            f"{nats} of the path likelihood of the candidate relative to the driver",
        ),
        Variable(
            "production", (*_RUN, "partition"), "float64", "1",
            f"production of conditional entropy per unit log_snr ({nats})", essential=False,
        ),
        Variable(
            "cross_production", (*_RUN, "partition"), "float64", "1",
            f"production of the cross-entropy of the driving side per unit log_snr ({nats})", essential=False,
        ),
        Variable(
            "denoiser_distance", (*_RUN, "candidate", "other_candidate"), "float64", "1",
            "squared distance between the denoised data of two candidates", essential=False,
        ),
        Variable(
            "prediction", ("guidance", "class_label", "sample", "prediction_time", "..."), "float32", "1",
            "prediction of the data by the denoiser that moves the sample", essential=False,
        ),
        Variable("final", ("guidance", "class_label", "sample", "..."), "float32", "1", "final sample"),
    ]  # fmt: skip


def _bounded(name: str, dims: tuple[str, ...], units: str, long_name: str, essential: bool = True) -> list[Variable]:
    optional = tuple(dim for dim in ("dimension",) if dim in dims)
    return [
        Variable(name, dims, "float64", units, long_name, essential, optional),
        Variable(f"{name}_lower", dims, "float64", units, f"lower bound of the {long_name}", essential, optional),
        Variable(f"{name}_upper", dims, "float64", units, f"upper bound of the {long_name}", essential, optional),
    ]


def _profiles() -> list[Variable]:
    replicated = ("replicate", *_CURVE)
    return [
        *_bounded("entropy", _CURVE, "bit", "conditional entropy H[Z|X_t] of the side"),
        *_bounded("entropy_rate", _CURVE, "bit", "entropy rate, positive where noise adds uncertainty"),
        *_bounded("mutual_information", _CURVE, "bit", "mutual information I[Z;X_t] of side and state"),
        Variable(
            "entropy_replicate", replicated, "float32", "bit", "bootstrap replicate of the conditional entropy",
            essential=False, optional=("dimension",),
        ),
        Variable(
            "entropy_rate_replicate", replicated, "float32", "bit", "bootstrap replicate of the entropy rate",
            essential=False, optional=("dimension",),
        ),
        Variable(
            "clipped_ratios", _CURVE, "int64", "1", "number of clipped likelihood ratios of the null estimator",
            essential=False, optional=("dimension",),
        ),
    ]  # fmt: skip


def _speciation() -> list[Variable]:
    return [
        *_bounded("half_time", _SUMMARY, "1", "place where the entropy is half its start value"),
        *_bounded("peak_time", _SUMMARY, "1", "place of the peak of the entropy rate"),
        *_bounded("peak_rate", _SUMMARY, "bit", "peak of the entropy rate"),
        *_bounded("window_start", _SUMMARY, "1", "place of the upper level of the transition window"),
        *_bounded("window_end", _SUMMARY, "1", "place of the lower level of the transition window"),
    ]


def _scaling() -> list[Variable]:
    def fitted(name: str, text: str) -> list[Variable]:
        return [
            Variable(name, _FIT, "float64", "1", text, essential=False),
            Variable(f"{name}_standard_error", _FIT, "float64", "1", f"standard error of the {text}", essential=False),
        ]

    return [
        *fitted("slope", "slope of the speciation time against ln(dimension)/2"),
        *fitted("intercept", "intercept of the fit"),
        *fitted("exponent", "exponent of the speciation noise level against the dimension"),
        Variable("residual", (*_FIT, "dimension"), "float64", "1", "residual of the fit"),
    ]


KINDS: Mapping[str, Mapping[str, Variable]] = {
    kind: {variable.name: variable for variable in variables}
    for kind, variables in {
        "trajectories": _trajectories(),
        "profiles": _profiles(),
        "speciation": _speciation(),
        "scaling": _scaling(),
    }.items()
}

ATTRIBUTES: Mapping[str, str] = {
    "Conventions": "conventions the file follows",
    "title": "what the file holds, in one line",
    "history": "what was done, one line per step",
    "specent_schema": "version of this data contract",
    "specent_kind": "kind of dataset",
    "settings": "all settings as JSON text",
    "settings_sha256": "SHA-256 of the text of settings",
    "versions": "versions of the software, as JSON text",
}

KIND_ATTRIBUTES: Mapping[str, Mapping[str, str]] = {
    "trajectories": {
        "schedule": "noise schedule as JSON text",
        "model": "identity of the model as JSON text, with the SHA-256 of its checkpoint",
        "guidance_formula": "how the guidance scale enters",
        "seed": "seed of the random streams",
        "seed_rule": "how the streams follow from the seed",
    },
    "profiles": {"rate_axis": "axis along which the entropy rate is taken"},
    "speciation": {
        "time_axis": "axis in which places are given",
        "rate_axis": "axis along which the entropy rate is taken",
    },
    "scaling": {"law": "law that was fitted"},
}


def finish(
    dataset: xr.Dataset, kind: str, *, title: str, settings: Mapping[str, Any], **attributes: str | int | float
) -> xr.Dataset:
    """Give a new dataset its units, names and provenance, and check it against the contract.

    Parameters
    ----------
    dataset : Dataset
        Variables and coordinates by the names of the registry.
    kind : str
        One of `KINDS`.
    title : str
        What the dataset holds.
    settings : mapping
        Everything that decided the numbers; JSON serialisable.
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
    known = {**COORDINATES, **KINDS[kind]}
    made = dataset.transpose(*[dim for dim in _order(kind) if dim in dataset.dims], ...)
    for name in made.variables:
        if name in known:
            made[name].attrs = {"units": known[str(name)].units, "long_name": known[str(name)].long_name}
    text = json.dumps(settings, sort_keys=True)
    made.attrs = {
        "Conventions": CONVENTIONS,
        "title": title,
        "history": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} {title}",
        "specent_schema": SCHEMA,
        "specent_kind": kind,
        "settings": text,
        "settings_sha256": hashlib.sha256(text.encode()).hexdigest(),
        "versions": json.dumps(versions()),
        **attributes,
    }
    check(made)
    return made


def check(dataset: xr.Dataset, kind: str | None = None) -> None:
    """Check names, dimensions, types and attributes of a dataset against the contract; values are not read.

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
    found = dataset.attrs.get("specent_kind")
    if found is None or found not in KINDS:
        raise ArchiveError(
            f"specent_kind={found!r} is not one of {', '.join(KINDS)}: this dataset was not made by specent"
        )
    if dataset.attrs.get("specent_schema") != SCHEMA:
        raise ArchiveError(
            f"specent_schema={dataset.attrs.get('specent_schema')!r}, but this version reads {SCHEMA!r}; "
            "use the version of specent named in the attribute 'versions'"
        )
    if kind is not None and found != kind:
        raise ArchiveError(f"a dataset of kind {kind!r} is needed, this one is of kind {found!r} ({_maker(kind)})")
    for name in (*ATTRIBUTES, *KIND_ATTRIBUTES[found]):
        if name not in dataset.attrs:
            raise ArchiveError(f"attribute {name!r} is missing from the {found} dataset")
    for name, value in dataset.attrs.items():
        if isinstance(value, bool) or not isinstance(value, (str, int, float, np.integer, np.floating)):
            raise ArchiveError(f"attribute {name!r} is a {type(value).__name__}; netCDF keeps text and numbers only")
    _check_settings(dataset)
    for variable in KINDS[found].values():
        if variable.name in dataset:
            _check_variable(dataset, variable)
        elif variable.essential:
            raise ArchiveError(f"variable {variable.name!r} is missing from the {found} dataset")
    for name in dataset.variables:
        if name in dataset.coords:
            if name in COORDINATES:
                _check_variable(dataset, COORDINATES[str(name)])
        elif name not in KINDS[found]:
            raise ArchiveError(f"variable {name!r} is not part of the kind {found!r}")
    _check_time(dataset)


def _check_settings(dataset: xr.Dataset) -> None:
    text = str(dataset.attrs["settings"])
    if hashlib.sha256(text.encode()).hexdigest() != dataset.attrs["settings_sha256"]:
        raise ArchiveError("the attribute 'settings' does not match its settings_sha256; the dataset was altered")


def _check_variable(dataset: xr.Dataset, expected: Variable) -> None:
    actual = dataset[expected.name]
    dims = tuple(str(dim) for dim in actual.dims)
    wanted = _expanded(expected, dims)
    if dims != wanted:
        raise ArchiveError(f"variable {expected.name!r} has dimensions {dims}, the contract says {wanted}")
    kinds = {"str": "UOST", "int64": "iu", "float64": "f", "float32": "f"}[expected.dtype]
    if actual.dtype.kind not in kinds:
        raise ArchiveError(f"variable {expected.name!r} has type {actual.dtype}, the contract says {expected.dtype}")
    if actual.attrs.get("units") != expected.units or not actual.attrs.get("long_name"):
        raise ArchiveError(
            f"variable {expected.name!r} has units {actual.attrs.get('units')!r} and long_name "
            f"{actual.attrs.get('long_name')!r}, the contract says {expected.units!r} and {expected.long_name!r}"
        )


def _check_time(dataset: xr.Dataset) -> None:
    if "time" in dataset.coords and dataset.sizes["time"] > 1:
        values = dataset["time"].values
        if not (np.isfinite(values).all() and (np.diff(values) > 0).all()):
            raise ArchiveError("the coordinate 'time' must ascend and be finite")


def _expanded(expected: Variable, dims: tuple[str, ...]) -> tuple[str, ...]:
    wanted = tuple(dim for dim in expected.dims if dim not in expected.optional or dim in dims)
    if wanted[-1] == "...":
        tail = dims[len(wanted) - 1 :]
        shapes: tuple[tuple[str, ...], ...] = (("feature",), ("channel", "y", "x"))
        return wanted[:-1] + (tail if tail in shapes else shapes[0])
    return wanted


def _order(kind: str) -> list[str]:
    order: list[str] = []
    for variable in KINDS[kind].values():
        order += [dim for dim in variable.dims if dim not in (*order, "...")]
    if "replicate" in order:
        order.remove("replicate")
        order.insert(0, "replicate")
    return [*order, "feature", "channel", "y", "x"]


def _maker(kind: str) -> str:
    makers = {
        "trajectories": "made by specent.sample",
        "profiles": "made by specent.entropy or specent.exact.profiles",
        "speciation": "made by specent.speciation",
        "scaling": "made by specent.fit_scaling",
    }
    return makers[kind]


def versions() -> dict[str, str]:
    """Versions of specent, Python and the libraries that decide numbers or files, as far as installed."""
    found = {"python": platform.python_version()}
    for name in ("specent", "numpy", "scipy", "xarray", "dask", "netCDF4", "torch"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def need(dataset: xr.Dataset, kind: str, argument: str) -> None:
    """Raise unless `dataset`, passed as `argument`, is a dataset of `kind`.

    Raises
    ------
    SpecentError
        Naming the argument and what it should have been.
    """
    if not isinstance(dataset, xr.Dataset):
        raise SpecentError(f"{argument} is a {type(dataset).__name__}; a {kind} dataset is needed ({_maker(kind)})")
    try:
        check(dataset, kind)
    except ArchiveError as error:
        raise ArchiveError(f"{argument}: {error}") from error
