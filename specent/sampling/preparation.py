"""Checks of the arguments of `specent.sample`, made before the network is called."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from specent import arguments
from specent.arguments import brief
from specent.errors import ModelError, SpecentError
from specent.guidance import Guidance, Setting
from specent.models.base import Model
from specent.models.outputs import reason
from specent.partitions import Partition
from specent.schema import NULL


class _Parts(Model):
    """A model that is made only to have its labels, shape and prior checked."""

    identity, to, denoise = None, None, None  # type: ignore[assignment]


def check_model(model: Any) -> None:
    """Refuse what is no model, and a model that could not be recorded."""
    wrap = "wrap a network with specent.models.network(...)"
    arguments.instance(model, Model, "model", wrap)  # type: ignore[type-abstract]
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


def moved(model: Model, device: torch.device, compiled: bool = False) -> Model:
    """The model on its device, compiled if that is asked for."""
    kind = type(model).__name__
    try:
        found = model.to(device).compiled() if compiled else model.to(device)
    except ModelError:
        raise
    except Exception as error:
        raise ModelError(f"model: {kind}.to({str(device)!r}) raised {reason(error)}") from error
    mend = f"{kind}.to(device) must return the model"
    return arguments.instance(found, Model, f"model: {kind}.to({str(device)!r})", mend, error=ModelError)  # type: ignore[type-abstract]


def check_labels(argument: str, chosen: Sequence[str] | None, known: Sequence[str]) -> tuple[str, ...]:
    """The chosen labels, all of them if none are chosen."""
    if chosen is None:
        return tuple(known)
    names = arguments.names(chosen, argument)
    if not names or len(set(names)) < len(names) or not set(names) <= set(known):
        shown = ", ".join(map(repr, known[:12]))
        raise SpecentError(f"{argument}={brief(list(names))} must list distinct labels of the model: {shown}")
    return names


def check_guidance(guidance: Any, model: Model) -> tuple[Setting, ...]:
    """The guidance settings of a single one or any iterable; a number is the scale of a constant one."""
    hint = "use a scale, specent.Guidance(scale, interval) or specent.FeedbackGuidance(pi, t_0, t_1)"
    if isinstance(guidance, str) or not np.iterable(guidance):
        guidance = (guidance,)
    settings = tuple(
        Guidance(float(setting))
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


def check_scored(
    scored: tuple[str, ...], drivers: tuple[str, ...], partitions: Sequence[Partition], settings: Sequence[Setting]
) -> None:
    """Whether the candidates hold all that drivers, partitions and guidance need."""
    missing = [name for name in drivers if name not in scored]
    if missing:
        raise SpecentError(f"candidates={brief(list(scored))} must hold every driving class; {missing[0]!r} is missing")
    if NULL not in scored and any(setting.needs_null for setting in settings):
        raise SpecentError(f"candidates={brief(list(scored))} must hold {NULL!r} for a guided run")
    for partition in partitions:
        partition.check(scored)
