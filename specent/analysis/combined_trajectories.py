"""Trajectories that were sampled apart, in one dataset."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from specent import schema
from specent.arguments import brief
from specent.errors import SpecentError
from specent.guidance import formula
from specent.schema import coordinates
from specent.untrusted import parse_json

_SHARED = (
    "log_snr", "class_label", "label_prior", "candidate", "candidate_prior", "sample", "partition", "definition",
    "guidance", "guidance_scale", "sigma_lo", "sigma_hi", "guidance_definition", "prediction_time",
)  # fmt: skip
# what goes with a dimension
_OWN = {
    "sample": ("sample",),
    "class_label": ("class_label", "label_prior"),
    "guidance": ("guidance", "guidance_scale", "sigma_lo", "sigma_hi", "guidance_definition"),
}


def combined_trajectories(datasets: Sequence[xr.Dataset], along: str) -> xr.Dataset:
    """Trajectories joined along ``sample``, ``class_label`` or ``guidance``; see `specent.combine`."""
    parts = [schema.need(part, "trajectories", f"datasets[{i}]") for i, part in enumerate(datasets)]
    for i, part in enumerate(parts):
        _refuse_incomplete(part, i)
    first = parts[0]
    parts = [first, *(_aligned(part, first, i) for i, part in enumerate(parts[1:], start=1))]
    for i, part in enumerate(parts[1:], start=1):
        _refuse_misfit(part, first, i, along)
    _refuse_twice(parts, along)
    settings = [setting for part in parts for setting in coordinates.guidance_settings(part)]
    own = _OWN[along]
    bare = [part.drop_vars([name for name in own if name in part.coords and name != along]) for part in parts]
    try:
        joined = xr.concat(bare, along, join="override", compat="override", coords="minimal", combine_attrs="drop")
    except (TypeError, ValueError) as error:  # sizes of a dimension that none of the checks above looks at
        raise SpecentError(f"datasets do not fit together ({error}); select the same entries of all of them") from error
    if along == "guidance":
        joined = joined.assign_coords(coordinates.of_guidance(settings))
    elif along == "sample":
        joined = joined.assign_coords(sample=np.arange(joined.sizes["sample"]))
    else:
        prior = np.concatenate([part["label_prior"].values for part in parts])
        joined = joined.assign_coords(label_prior=("class_label", prior))
    seeds = list(dict.fromkeys(seed for part in parts for seed in _seeds(part)))
    same = [name for name in ("schedule", "model", "seed_rule", "scoring") if name in first.attrs]
    return schema.finish(
        joined,
        "trajectories",
        title=f"{first.attrs.get('title', 'Trajectories')}, {len(parts)} runs combined along {along}",
        settings={
            "function": "combine", "along": along, "parts": [json.loads(part.attrs["settings"]) for part in parts],
        },
        parents=parts,
        guidance_formula=formula(settings if along == "guidance" else coordinates.guidance_settings(first)),
        seed=seeds[0] if len(seeds) == 1 else json.dumps(seeds),
        **{name: str(first.attrs[name]) for name in same},
    )  # fmt: skip


def _refuse_incomplete(part: xr.Dataset, i: int) -> None:
    """Refuse trajectories without the coordinates and the seed by which they are known."""
    for dim, names in _OWN.items():
        for name in names:
            if name not in part.coords and name != "guidance_definition":
                raise SpecentError(
                    f"datasets[{i}] has lost the coordinate {name!r} of {dim!r}; restore it, .assign_coords({name}=...)"
                )
    try:
        seeds = _seeds(part)
        readable = bool(seeds) and all(isinstance(seed, (int, np.integer)) for seed in seeds)
    except (ValueError, TypeError):
        readable = False
    if not readable:
        raise SpecentError(
            f"datasets[{i}] has seed={brief(part.attrs['seed'])}, which is neither a whole number nor the "
            "JSON text of a list of them; restore the attribute"
        )


def _seeds(runs: xr.Dataset) -> list[Any]:
    """The seeds of trajectories, of which a combination has several."""
    seed = runs.attrs["seed"]
    return list(parse_json(seed)) if isinstance(seed, str) else [seed]


def _aligned(part: xr.Dataset, first: xr.Dataset, i: int) -> xr.Dataset:
    """Candidates in the order of the first part."""
    candidates, own = first["candidate"].values.tolist(), part["candidate"].values.tolist()
    if set(candidates) != set(own):
        raise SpecentError(
            f"datasets[{i}] has the candidates {brief(own)}, datasets[0] {brief(candidates)}; take those that both "
            "have, .sel(candidate=[...], other_candidate=[...])"
        )
    order = {"candidate": candidates, **({"other_candidate": candidates} if "other_candidate" in part.dims else {})}
    return part if own == candidates else part.sel(order)


def _refuse_misfit(part: xr.Dataset, first: xr.Dataset, i: int, along: str) -> None:
    for name, hint in (
        ("model", "trajectories of different models cannot be one; compare their profiles, specent.compare"),
        ("schedule", "put them on one schedule, specent.on_schedule"),
        ("seed_rule", "sample both with the same shared_noise"),
        ("scoring", "sample both with the same scoring"),
    ):
        if str(part.attrs.get(name)) != str(first.attrs.get(name)):
            raise SpecentError(
                f"datasets[{i}] has {name}={brief(part.attrs.get(name))}, datasets[0] {brief(first.attrs.get(name))}; "
                f"{hint}"
            )
    lost = sorted(set(map(str, first.data_vars)) ^ set(map(str, part.data_vars)))
    if lost:
        raise SpecentError(
            f"the variable {lost[0]!r} is in only one of datasets[0] and datasets[{i}]; drop it there, "
            f".drop_vars({lost[0]!r})"
        )
    for name in (name for name in _SHARED if name not in _OWN[along]):
        a, b = (other[name].values if name in other.coords else np.array([]) for other in (first, part))
        numeric = a.dtype.kind == b.dtype.kind == "f"
        if not (a.shape == b.shape and (np.allclose(a, b, rtol=1e-9, atol=1e-8) if numeric else (a == b).all())):
            raise SpecentError(
                f"datasets[{i}] differs from datasets[0] in the coordinate {name!r}; they are joined along {along!r} "
                "alone: select what both have, or sample again with the same settings"
            )


def _refuse_twice(parts: Sequence[xr.Dataset], along: str) -> None:
    """Refuse what would be there twice: a trajectory is known by its seed, class and number."""
    if along == "guidance" and len({tuple(_seeds(part)) for part in parts}) > 1:
        raise SpecentError(
            f"the seeds {brief([part.attrs['seed'] for part in parts])} differ; guidance settings share their noise: "
            "sample them with one seed"
        )
    if along == "sample":
        seen: set[tuple[Any, int]] = set()
        for i, part in enumerate(parts):
            keys = {(seed, int(number)) for seed in _seeds(part) for number in part["sample"].values}
            if keys & seen:
                seed, number = sorted(keys & seen, key=str)[0]
                raise SpecentError(
                    f"datasets[{i}] holds the trajectories of seed {seed!r}, sample {number} once more; sample with "
                    "another seed"
                )
            seen |= keys
        return
    labels = [str(label) for part in parts for label in part[along].values]
    if len(set(labels)) < len(labels):
        twice = next(label for label in labels if labels.count(label) > 1)
        raise SpecentError(f"{along} {twice!r} is in more than one of the datasets; select it out of one of them")
