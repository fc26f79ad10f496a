"""The arrays of a run as a labelled dataset."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from specent import schema
from specent.guidance import formula
from specent.sampling.setup import Setup
from specent.sampling.streams import SEED_RULE, SHARED_RULE
from specent.schema import coordinates

_RUN = ("guidance", "class_label", "sample")


def trajectories_dataset(arrays: dict[str, NDArray[Any]], setup: Setup, settings: dict[str, Any]) -> xr.Dataset:
    """A dataset of kind ``trajectories``.

    Parameters
    ----------
    arrays : dict of ndarray
        Shape (guidance, class, sample, ...), see `Setup.whole_layout`.
    setup : Setup
        The run.
    settings : dict
        What decided the numbers, for the attribute ``settings``.

    Returns
    -------
    Dataset
    """
    shape = setup.model.shape
    axes = ("feature",) if len(shape) == 1 else ("channel", "y", "x")
    dims = {
        "log_likelihood": (*_RUN, "time", "candidate"),
        "production": (*_RUN, "time", "partition"),
        "cross_production": (*_RUN, "time", "partition"),
        "denoiser_distance": (*_RUN, "time", "candidate", "other_candidate"),
        "scale": (*_RUN, "time"),
        "evaluations": (*_RUN, "time"),
        "dropped_mass": (*_RUN, "time"),
        "prediction": (*_RUN, "prediction_time", *axes),
        "final": (*_RUN, *axes),
    }
    variables = {
        name: (dims[name], array.reshape(*array.shape[:-1], *shape) if name in ("prediction", "final") else array)
        for name, array in arrays.items()
    }
    attributes: dict[str, Any] = {} if setup.scoring is None else {"scoring": json.dumps(scoring_definition(setup))}
    counts = {axis: np.arange(size) for axis, size in zip(axes, shape, strict=True)}
    return schema.finish(
        xr.Dataset(variables, {**_coordinates(setup), **counts}),
        "trajectories",
        title=f"Trajectories of {setup.model.identity['name']} with the evidence of {len(setup.candidates)} candidates",
        settings=settings,
        schedule=setup.schedule.to_json(),
        model=json.dumps(setup.model.identity, sort_keys=True),
        guidance_formula=formula(setup.guidance),
        seed=setup.seed,
        seed_rule=SHARED_RULE if setup.shared_noise else SEED_RULE,
        **attributes,
    )


def _coordinates(setup: Setup) -> dict[str, Any]:
    coords = {
        **coordinates.of_schedule(setup.schedule, setup.time),
        **coordinates.of_guidance(setup.guidance),
        "class_label": list(setup.drivers),
        "label_prior": ("class_label", [setup.candidate_prior[setup.index[label]] for label in setup.drivers]),
        "sample": np.arange(setup.first, setup.first + setup.samples),
        "candidate": list(setup.candidates),
        "candidate_prior": ("candidate", setup.candidate_prior),
    }
    if setup.partitions:
        coords |= setup.partition_coordinates
    if setup.record.keeps_distances(len(setup.candidates)):
        coords["other_candidate"] = list(setup.candidates)
    if setup.prediction_indices:
        coords["prediction_time"] = setup.time[list(setup.prediction_indices)]
    return coords


def run_settings(setup: Setup) -> dict[str, Any]:
    """What decided the numbers of a run, as far as its setup knows."""
    return {
        "function": "sample",
        "model": setup.model.identity,
        "schedule": setup.schedule.to_json(),
        "steps": len(setup.time),
        "samples": setup.samples,
        "classes": list(setup.drivers),
        "candidates": list(setup.candidates),
        "guidance": [str(setting) for setting in setup.guidance],
        "partitions": [partition.name for partition in setup.partitions],
        "seed": setup.seed,
        "shared_noise": setup.shared_noise,
        "device": setup.device.type,
        **({} if setup.scoring is None else {"scoring": scoring_definition(setup)}),
    }


def scoring_definition(setup: Setup) -> dict[str, Any]:
    """The numbers of `setup.scoring`, and the bound on what dropping does to the entropy of all labels."""
    labels = int(np.count_nonzero(setup.candidate_prior))
    return {} if setup.scoring is None else setup.scoring.definition(labels)
