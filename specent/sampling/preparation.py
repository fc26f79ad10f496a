"""The arguments of `specent.sample`, checked and worked out before the network is called."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike

from specent import arguments
from specent.arguments import brief
from specent.errors import ModelError, SpecentError
from specent.guidance import Guidance, Setting
from specent.models.base import Model, resolve_device
from specent.models.outputs import reason
from specent.partitions import NULL, Partition, parse_all
from specent.sampling.record import Record, Statistics
from specent.sampling.scoring import Scoring
from specent.sampling.setup import Setup
from specent.schedules import Schedule, check_grid


class _Parts(Model):
    """A model without a network, for the checks that the base class makes of labels, shape and prior."""

    identity, to, denoise = None, None, None  # type: ignore[assignment]


def check_model(model: Any) -> None:
    """Refuse what is no model, and a model that could not be recorded."""
    hint = "wrap a network with specent.models.network(...)"
    arguments.instance(model, Model, "model", hint)  # type: ignore[type-abstract]
    kind = type(model).__name__
    if any(getattr(model, name, None) is None for name in ("labels", "shape", "null", "label_prior")):
        raise ModelError(f"model: {kind} lacks its labels or shape; call super().__init__(labels, shape) in __init__")
    # a class of one's own may have set them itself, or changed them since
    _Parts(model.labels, model.shape, model.label_prior, model.null)
    if not all(isinstance(label, str) for label in model.labels):
        raise ModelError(f"model: {kind}.labels={brief(model.labels)} must be text")
    try:
        identity = model.identity
        json.dumps(identity)
    except Exception as error:
        raise ModelError(
            f"model: {kind}.identity cannot be written as JSON ({reason(error)}); use plain text and numbers"
        ) from error
    if not isinstance(identity, dict) or "name" not in identity:
        raise ModelError(f"model: {kind}.identity={brief(identity)} must be a dictionary with a 'name'")
    arguments.name(identity["name"], f"model: {kind}.identity['name']", error=ModelError)


def model_on(model: Model, device: torch.device, compiled: bool = False) -> Model:
    """The model on a device, compiled if that is wanted."""
    kind = type(model).__name__
    try:
        result = model.to(device).compiled() if compiled else model.to(device)
    except ModelError:
        raise
    except Exception as error:
        raise ModelError(f"model: {kind}.to({str(device)!r}) raised {reason(error)}") from error
    hint = f"{kind}.to(device) must return the model"
    return arguments.instance(result, Model, f"model: {kind}.to({str(device)!r})", hint, error=ModelError)  # type: ignore[type-abstract]


def check_conditions(argument: str, names: Sequence[str] | None, known: Sequence[str]) -> tuple[str, ...]:
    """Some of the known conditions, all of them for None."""
    if names is None:
        return tuple(known)
    names = arguments.names(names, argument)
    if not names or len(set(names)) < len(names) or not set(names) <= set(known):
        some = ", ".join(map(repr, known[:12]))
        raise SpecentError(f"{argument}={brief(list(names))} must list distinct labels of the model: {some}")
    return names


def check_guidance(guidance: Any, model: Model) -> tuple[Setting, ...]:
    """The guidance settings of a single one or any iterable; a number is the scale of a constant one."""
    hint = "use a scale, specent.Guidance(scale, interval) or specent.FeedbackGuidance(pi, t_0, t_1)"
    if isinstance(guidance, (str, bytes)) or not np.iterable(guidance):
        guidance = (guidance,)
    settings = tuple(
        Guidance(arguments.number(setting, "guidance"))
        if isinstance(setting, (int, float, np.number)) and not isinstance(setting, bool)
        else arguments.instance(setting, Setting, "guidance", hint)  # type: ignore[type-abstract]
        for setting in guidance
    )
    for setting in settings:
        if setting.needs_null and not model.null:
            raise SpecentError(f"guidance {setting} needs a null condition, which this model does not have")
    if not settings or len({str(setting) for setting in settings}) < len(settings):
        raise SpecentError(f"guidance={[str(s) for s in settings]} must hold at least one setting and none twice")
    return settings


def check_candidates(
    candidates: tuple[str, ...],
    drivers: tuple[str, ...],
    partitions: Sequence[Partition],
    settings: Sequence[Setting],
) -> None:
    """Refuse candidates that lack what drivers, partitions or guidance need."""
    among = set(candidates)
    missing = [name for name in drivers if name not in among]
    if missing:
        raise SpecentError(
            f"candidates={brief(list(candidates))} must hold every driving class; {missing[0]!r} is missing"
        )
    if NULL not in among and any(setting.needs_null for setting in settings):
        raise SpecentError(f"candidates={brief(list(candidates))} must hold {NULL!r} for a guided run")
    for partition in partitions:
        partition.check(candidates)


def check_scoring(
    scoring: Scoring | None, record: Record, drivers: Sequence[str], partitions: Sequence[Partition]
) -> tuple[Scoring | None, Record]:
    """Which candidates are evaluated, None for all of them, and what is kept then.

    Distances between candidates are left out, or refused if they were named: of those that are not evaluated there are
    none. The null condition has no posterior, so that nothing is known of what dropping does to it.
    """
    if scoring is None or arguments.instance(scoring, Scoring, "scoring", "use specent.Scoring()").everything:
        return None, record
    if record.distances:
        raise SpecentError(
            f"record.distances=True needs every candidate at every step, but {scoring} leaves some out; name the "
            "partitions= whose production is to be recorded, or leave scoring out"
        )
    named = [partition.name for partition in partitions if NULL in partition.labels]
    if scoring.drop and (named or NULL in drivers):
        where = f"the partition {named[0]!r}" if named else f"classes={brief(list(drivers))}"
        raise SpecentError(
            f"{where} holds the null condition, but {scoring} drops labels by their posterior, of which the null "
            "condition has none; use scoring=specent.Scoring(drop=0), or leave it out"
        )
    return scoring, replace(record, distances=False)


def make_setup(
    model: Model,
    schedule: Schedule,
    time: ArrayLike,
    samples: int,
    partitions: Any,
    guidance: Any,
    seed: int,
    device: str,
    classes: Sequence[str] | None,
    candidates: Sequence[str] | None,
    record: Record,
    shared_noise: bool,
    scoring: Scoring | None = None,
) -> Setup:
    """Work out a run from the arguments of `specent.sample`, each of which is refused if it cannot be used."""
    check_model(model)
    samples = arguments.whole(samples, "samples", least=2)
    seed = arguments.whole(seed, "seed")
    shared = arguments.flag(shared_noise, "shared_noise")
    grid = check_grid(schedule, time)
    model.check_levels(schedule.noise_level(grid))
    settings = check_guidance(guidance, model)
    conditions = (*model.labels, NULL) if model.null else model.labels
    # the null condition drives trajectories only if it is named
    drivers = model.labels if classes is None else check_conditions("classes", classes, conditions)
    scored = check_conditions("candidates", candidates, conditions)
    parts = parse_all(partitions, model.labels)
    check_candidates(scored, drivers, parts, settings)
    _refuse_statistics(record)
    arguments.instance(record, Record, "record", "use specent.Record(predictions=[...], distances=True)")
    record.prediction_indices(grid)
    scoring, record = check_scoring(scoring, record, drivers, parts)
    prior = dict(zip(model.labels, model.label_prior, strict=True))
    return Setup(
        model=model, schedule=schedule, time=grid, drivers=drivers, candidates=scored,
        candidate_prior=np.array([prior.get(name, 0.0) for name in scored]), guidance=settings, partitions=parts,
        record=record, samples=samples, seed=seed, shared_noise=shared, device=resolve_device(device),
        scoring=scoring,
    )  # fmt: skip


def _refuse_statistics(record: object) -> None:
    if isinstance(record, Statistics) or record == "statistics":
        raise SpecentError(
            "record='statistics': sample returns trajectories; statistics are kept by specent.run(specent.Plan(..., "
            "record='statistics'), folder)"
        )
