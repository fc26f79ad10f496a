"""The arrays of a run as a labelled dataset."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from specent import schema
from specent.guidance import formula
from specent.sampling.plan import Plan
from specent.sampling.streams import SEED_RULE, SHARED_RULE
from specent.schema import coordinates

_RUN = ("guidance", "class_label", "sample")


def trajectories_dataset(arrays: dict[str, NDArray[Any]], plan: Plan, settings: dict[str, Any]) -> xr.Dataset:
    """A dataset of kind ``trajectories``.

    Parameters
    ----------
    arrays : dict of ndarray
        Shape (guidance, class, sample, ...), see `Plan.whole_layout`.
    plan : Plan
        The run.
    settings : dict
        What decided the numbers, for the attribute ``settings``.

    Returns
    -------
    Dataset
    """
    shape = plan.model.shape
    axes = ("feature",) if len(shape) == 1 else ("channel", "y", "x")
    dims = {
        "log_likelihood": (*_RUN, "time", "candidate"),
        "production": (*_RUN, "time", "partition"),
        "cross_production": (*_RUN, "time", "partition"),
        "denoiser_distance": (*_RUN, "time", "candidate", "other_candidate"),
        "scale": (*_RUN, "time"),
        "prediction": (*_RUN, "prediction_time", *axes),
        "final": (*_RUN, *axes),
    }
    variables = {
        name: (dims[name], array.reshape(*array.shape[:-1], *shape) if name in ("prediction", "final") else array)
        for name, array in arrays.items()
    }
    counts = {axis: np.arange(size) for axis, size in zip(axes, shape, strict=True)}
    return schema.finish(
        xr.Dataset(variables, {**_coordinates(plan), **counts}),
        "trajectories",
        title=f"Trajectories of {plan.model.identity['name']} with the evidence of {len(plan.candidates)} candidates",
        settings=settings,
        schedule=plan.schedule.to_json(),
        model=json.dumps(plan.model.identity, sort_keys=True),
        guidance_formula=formula(plan.guidance),
        seed=plan.seed,
        seed_rule=SHARED_RULE if plan.shared_noise else SEED_RULE,
    )


def _coordinates(plan: Plan) -> dict[str, Any]:
    coords = {
        **coordinates.of_schedule(plan.schedule, plan.time),
        **coordinates.of_guidance(plan.guidance),
        "class_label": list(plan.drivers),
        "label_prior": ("class_label", [plan.candidate_prior[plan.index[label]] for label in plan.drivers]),
        "sample": np.arange(plan.samples),
        "candidate": list(plan.candidates),
        "candidate_prior": ("candidate", plan.candidate_prior),
    }
    if plan.partitions:
        coords |= coordinates.of_partitions(plan.partitions)
    if plan.record.keeps_distances(len(plan.candidates)):
        coords["other_candidate"] = list(plan.candidates)
    if plan.prediction_indices:
        coords["prediction_time"] = plan.time[list(plan.prediction_indices)]
    return coords


def run_settings(plan: Plan) -> dict[str, Any]:
    """What decided the numbers of a run, as far as its plan knows."""
    return {
        "function": "sample",
        "model": plan.model.identity,
        "schedule": plan.schedule.to_json(),
        "steps": len(plan.time),
        "samples": plan.samples,
        "classes": list(plan.drivers),
        "candidates": list(plan.candidates),
        "guidance": [str(setting) for setting in plan.guidance],
        "partitions": [partition.name for partition in plan.partitions],
        "seed": plan.seed,
        "shared_noise": plan.shared_noise,
        "device": plan.device.type,
    }
