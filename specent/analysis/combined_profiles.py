"""Profiles side by side in one dataset: several estimators, or several partitions."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import xarray as xr

from specent import schema
from specent.arguments import brief
from specent.errors import SpecentError

_SHARED = (
    "time", "log_snr", "dimension", "run", "estimator", "partition", "definition", "guidance", "guidance_scale",
    "sigma_lo", "sigma_hi",
)  # fmt: skip
# what goes with a dimension
_OWN = {"estimator": ("estimator",), "partition": ("partition", "definition")}


def combined_profiles(datasets: Sequence[xr.Dataset], along: str) -> xr.Dataset:
    """Profiles joined along ``estimator`` or ``partition``; see `specent.combine`."""
    profiles = [schema.need(part, "profiles", f"datasets[{i}]") for i, part in enumerate(datasets)]
    for i, part in enumerate(profiles):
        _check_fit(profiles[0], part, i, along)
    names = [str(name) for part in profiles for name in part[along].values]
    if len(set(names)) < len(names):
        raise SpecentError(f"the {along}s {brief(names)} hold one twice; select or rename before combining")
    shared = set.intersection(*(set(map(str, part.data_vars)) for part in profiles))
    if "replicate" in profiles[0].dims and len({part.sizes.get("replicate") for part in profiles}) > 1:
        shared = {name for name in shared if not name.endswith("_replicate")}
    parts = [part[sorted(shared)] for part in profiles]
    parts = [
        part.drop_vars("replicate") if "replicate" not in _used(part) and "replicate" in part else part
        for part in parts
    ]
    try:
        joined = xr.concat(parts, along, join="exact", compat="override", coords="minimal", combine_attrs="drop")
    except (TypeError, ValueError) as error:  # other replicates, or a dimension without its names
        raise SpecentError(f"datasets do not fit together ({error}); select the same entries of all of them") from error
    listed = ", ".join(names) if len(names) < 9 else f"{len(names)} {along}s"
    same = ("rate_axis", "schedule", *(("model", "guidance_formula") if along == "partition" else ()))
    values = {name: {part.attrs.get(name) for part in profiles} for name in same}
    return schema.finish(
        joined,
        "profiles",
        title=f"Profiles of {listed}",
        settings={"function": "combine", "parts": [json.loads(part.attrs["settings"]) for part in profiles]},
        parents=profiles,
        **{name: str(options.pop()) for name, options in values.items() if len(options) == 1 and None not in options},
    )


def _used(part: xr.Dataset) -> set[str]:
    return {str(dim) for variable in part.data_vars.values() for dim in variable.dims}


def _check_fit(first: xr.Dataset, part: xr.Dataset, i: int, along: str) -> None:
    for name in (name for name in _SHARED if name not in _OWN[along]):
        a, b = (other[name].values if name in other.coords else np.array([]) for other in (first, part))
        # times may have gone through another schedule and back
        numeric = a.dtype.kind == b.dtype.kind == "f"
        if not (a.shape == b.shape and (np.allclose(a, b, rtol=1e-9, atol=1e-8) if numeric else (a == b).all())):
            raise SpecentError(
                f"datasets[{i}] differs from datasets[0] in the coordinate {name!r}; {_hint(name, first, part)}"
            )
    for name in ("rate_axis", "schedule"):
        if first.attrs.get(name) != part.attrs.get(name):
            raise SpecentError(
                f"datasets[{i}] has {name}={part.attrs.get(name)!r}, datasets[0] {first.attrs.get(name)!r}; take one"
            )


def _hint(name: str, first: xr.Dataset, part: xr.Dataset) -> str:
    """What to do about a coordinate that differs: select what both have."""
    if name == "dimension" and ("dimension" in first.dims) != ("dimension" in part.dims):
        return "one of them has no dimension of that name, so they tell of different models; combine like with like"
    if name == "run" and ("run" in first.dims) != ("run" in part.dims):
        return "one of them compares runs, specent.compare, and the other does not; select one, .sel(run=...)"
    if name not in first.dims or name not in part.dims or name == "time":
        return "make both from the same runs, grid and settings"
    both = [label for label in first[name].values.tolist() if label in part[name].values.tolist()]
    return f"take .sel({name}={brief(both)}) of each" if both else "they have none in common"
