"""What is compared, in one dataset: profiles or summaries of several models, checkpoints or seeds."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from specent import schema
from specent.analysis.behaviour import name_disagreements
from specent.arguments import brief, name
from specent.errors import SpecentError, SpecentWarning

_KINDS = ("profiles", "speciation", "scaling", "quality", "interventions")
_LABELS = ("axis", "estimator", "guidance", "partition", "dimension", "mover", "steps")
# the values whose absence is counted
_COUNTED = {
    "speciation": ("half_entropy", "peak", "peak_rate", "window_start", "window_end"),
    "scaling": ("slope", "exponent"),
}
_MEANINGS = {"partition": ("definition",), "guidance": ("guidance_scale", "sigma_lo", "sigma_hi")}


def compare(datasets: Mapping[str, xr.Dataset]) -> xr.Dataset:
    """Put profiles, summaries, fits, tables or U-turns of several runs side by side along the dimension ``run``.

    Parameters
    ----------
    datasets : mapping of str to Dataset
        At least two of one kind out of ``profiles``, ``speciation``, ``scaling``, ``quality`` and ``interventions``, by
        the names of their runs. Profiles and U-turns need the same times on the same schedule; summaries may be of
        different schedules and then lose the axis "time".

    Returns
    -------
    Dataset
        The same kind with the leading dimension ``run``, which speciation, fits, figures and tables understand. The
        settings of every run are kept in the settings.

    Raises
    ------
    SpecentError
        If the datasets are of different kinds, do not fit, or have nothing in common; of summaries, also if they were
        taken at different levels, of fits, if they follow different laws.

    Warns
    -----
    SpecentWarning
        If a run has axes, estimators, partitions, guidance settings, dimensions or movers that another lacks; they are
        left out.
    CalibrationWarning
        Of U-turns, if those of a run come back to their sides more or less often than its posterior predicts, by more
        than four standard errors beyond what its steps explain. The run is named.

    Examples
    --------
    >>> import specent as sp
    >>> grid, pair = sp.schedules.edm_grid(16), sp.Partition.pair("a", "b")
    >>> near, far = (
    ...     sp.exact.profiles(sp.exact.GaussianMixture([[-m], [m]], labels=["a", "b"]), sp.schedules.VE(), grid, pair)
    ...     for m in (2.0, 8.0))
    >>> both = sp.compare({"near": near, "far": far})
    >>> sp.speciation(both, axis="sigma").half_entropy.squeeze().round(1).to_series().to_dict()
    {'near': 1.7, 'far': 7.8}
    """
    # a Dataset is a mapping too, of its variables
    if not isinstance(datasets, Mapping) or hasattr(datasets, "data_vars"):
        raise SpecentError(
            f"datasets={brief(datasets)} is a {type(datasets).__name__}; pass a mapping from the name of each run to "
            'its dataset, {"step 10k": a, "step 100k": b}'
        )
    if len(datasets) < 2:
        raise SpecentError(f"compare got {len(datasets)} run(s); it compares at least two")
    names = [name(key, "the name of a run") for key in datasets]
    kind = _kind(datasets)
    parts = [schema.need(part, kind, f"datasets[{run!r}]") for run, part in zip(names, datasets.values(), strict=True)]
    for run, part in zip(names, parts, strict=True):
        if "run" in part.dims:
            raise SpecentError(f"datasets[{run!r}] compares runs already; compare single ones, .sel(run=...)")
    parts = _without_some_steps(parts)
    _refuse_other_meaning(parts, names)
    schedules = {str(part.attrs["schedule"]) for part in parts if "schedule" in part.attrs}
    parts = _in_common(parts, names, len(schedules) > 1)
    if kind in ("profiles", "interventions"):
        _refuse_other_times(parts, names)
    shared = _shared_variables(parts)
    joined = xr.concat(
        [part[shared] for part in parts], "run", join="override", compat="override", coords="minimal",
        combine_attrs="drop",
    ).assign_coords(run=names)  # fmt: skip
    attributes: dict[str, Any] = {}
    for key in dict.fromkeys(str(key) for part in parts for key in part.attrs):
        values = {str(part.attrs.get(key)) for part in parts}
        if len(values) == 1 and key not in schema.ATTRIBUTES:
            attributes[key] = parts[0].attrs[key]
    if kind == "interventions":
        for key in ("start", "classifier"):
            attributes[key] = ", ".join(dict.fromkeys(str(part.attrs[key]) for part in parts))
        name_disagreements(parts, names)
    if kind in _COUNTED:
        # of what is compared, which may be less than all
        attributes["missing"] = int(sum(joined[key].isnull().sum() for key in _COUNTED[kind] if key in joined))
    return schema.finish(
        joined,
        kind,
        title=f"{kind.capitalize()} of {len(names)} runs compared: {', '.join(names[:6])}"
        + (", ..." if len(names) > 6 else ""),
        settings={
            "function": "compare",
            "runs": {run: json.loads(part.attrs["settings"]) for run, part in zip(names, parts, strict=True)},
        },
        parents=parts,
        **attributes,
    )


def _kind(datasets: Mapping[str, Any]) -> str:
    kinds = {}
    for run, part in datasets.items():
        kind = part.attrs.get("specent_kind") if isinstance(part, xr.Dataset) else None
        if kind not in _KINDS:
            what = f"of kind {kind!r}" if isinstance(part, xr.Dataset) else f"a {type(part).__name__}"
            raise SpecentError(
                f"datasets[{run!r}] is {what}; compare profiles or summaries, for trajectories "
                "{name: specent.entropy(runs), ...}"
            )
        kinds[str(kind)] = run
    if len(kinds) > 1:
        (first, a), (second, b) = list(kinds.items())[:2]
        raise SpecentError(
            f"datasets[{a!r}] is of kind {first!r}, datasets[{b!r}] of {second!r}; compare like with like"
        )
    return next(iter(kinds))


def _in_common(parts: list[xr.Dataset], names: list[str], no_time: bool) -> list[xr.Dataset]:
    """The labels that all parts have, in the order of the first; what is left out is said."""
    left: list[str] = []
    for dim in _LABELS:
        present = [dim in part.dims for part in parts]
        if not any(present):
            continue
        if not all(present):
            raise SpecentError(
                f"datasets[{names[present.index(False)]!r}] has no dimension {dim!r}, "
                f"datasets[{names[present.index(True)]!r}] has; compare like with like"
            )
        common = set.intersection(*(set(part[dim].values.tolist()) for part in parts))
        if dim == "axis" and no_time:
            common -= {"time"}
        labels = [label for label in parts[0][dim].values.tolist() if label in common]
        if not labels:
            raise SpecentError(f"the runs have no {dim} in common; rename or select them before comparing")
        lost = {str(label) for part in parts for label in part[dim].values.tolist()} - {str(label) for label in labels}
        left += [f"{dim} {label!r}" for label in sorted(lost) if not (no_time and (dim, label) == ("axis", "time"))]
        parts = [part.sel({dim: labels}) for part in parts]
        for key in _MEANINGS.get(dim, ()):
            for run, part in zip(names, parts, strict=True):
                if key in part.coords and key in parts[0].coords and not (part[key] == parts[0][key]).all():
                    raise SpecentError(
                        f"datasets[{run!r}] has another {key} for the same {dim}; rename one of them before comparing"
                    )
    if left:
        warnings.warn(
            f"only what all runs have is compared; left out: {', '.join(left[:6])}{', ...' if len(left) > 6 else ''}",
            SpecentWarning,
            stacklevel=3,
        )
    return parts


def _refuse_other_meaning(parts: list[xr.Dataset], names: list[str]) -> None:
    """Refuse numbers of one name that mean different things."""
    meanings = [
        {key: part.attrs.get(key) for key in ("level", "law", "partition", "continuation")}
        | {"window": _window(part.attrs["settings"])}
        for part in parts
    ]
    for run, meaning in zip(names[1:], meanings[1:], strict=True):
        for key, value in meaning.items():
            if value != meanings[0][key] and None not in (value, meanings[0][key]):
                raise SpecentError(
                    f"datasets[{run!r}] has {key}={brief(value)}, datasets[{names[0]!r}] {brief(meanings[0][key])}, so "
                    "their numbers mean different things; make both with the same settings"
                )


def _window(settings: str) -> Any:
    """The fractions of the transition window, where a summary says them itself."""
    return json.loads(settings).get("window")


def _refuse_other_times(parts: list[xr.Dataset], names: list[str]) -> None:
    first = parts[0]
    for run, part in zip(names[1:], parts[1:], strict=True):
        for key in ("schedule", "rate_axis"):
            if part.attrs.get(key) != first.attrs.get(key):
                raise SpecentError(
                    f"datasets[{run!r}] has {key}={brief(part.attrs.get(key))}, datasets[{names[0]!r}] "
                    f"{brief(first.attrs.get(key))}; put both on one schedule, specent.on_schedule, or compare their "
                    "summaries, specent.speciation"
                )
        a, b = first["log_snr"].values, part["log_snr"].values
        if not (a.shape == b.shape and np.allclose(a, b, rtol=1e-9, atol=1e-8)):
            raise SpecentError(
                f"datasets[{run!r}] has other times than datasets[{names[0]!r}]; compare their summaries, "
                "specent.speciation, or sample both on one grid"
            )


def _without_some_steps(parts: list[xr.Dataset]) -> list[xr.Dataset]:
    """Single numbers of steps have no dimension, and what others have of it is not compared."""
    if all("steps" in part.dims for part in parts):
        return parts
    return [part.drop_dims("steps", errors="ignore") for part in parts]


def _shared_variables(parts: list[xr.Dataset]) -> list[str]:
    shared = set.intersection(*(set(map(str, part.data_vars)) for part in parts))
    if len({part.sizes.get("replicate") for part in parts}) > 1:
        shared = {key for key in shared if not key.endswith("_replicate")}
    return [str(key) for key in parts[0].data_vars if str(key) in shared]
