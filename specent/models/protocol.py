"""What an object must have to count as a model, without inheriting from anything.

A denoiser is called as ``D(x, t, condition)`` and returns :math:`E[x_0 | x_t, c]`, with states and times of its own
`schedule`. Beside that it says its conditions and the shape of one sample; the rest has defaults.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from specent import arguments
from specent.arguments import brief
from specent.errors import ModelError
from specent.models.base import Model
from specent.models.modules import check_weights, copied_to, visible_tensors
from specent.models.network import NetworkModel
from specent.models.outputs import reason
from specent.schedules import Schedule

_ABSENT = object()


class Denoiser(Protocol):
    """The protocol; nothing needs to be inherited.

    Beside the attributes below an object may have ``null_condition`` (True if it was trained without a label under the
    number of conditions as index; False by default), ``label_prior`` (uniform by default), ``name`` or ``identity``
    (for archives; the name of its class by default), ``integer_times`` (see `network`), ``to(device)``, and
    ``decode(x)`` for pictures. ``labels`` is another name for ``conditions``. An object whose weights are on another
    device is copied there, and its ``to`` is called on the copy.

    Attributes
    ----------
    schedule : Schedule
        The noise schedule and the coordinates of the states.
    conditions : sequence of str
        Class labels or prompts.
    shape : sequence of int
        Shape of one sample: (features,) or (channels, height, width).
    """

    schedule: Schedule
    conditions: Sequence[str]
    shape: Sequence[int]

    def __call__(self, x: Tensor, t: Tensor, condition: Tensor) -> Tensor:
        """Expected data given the noisy state.

        Parameters
        ----------
        x : Tensor, shape ``(batch, *shape)``
            States ``alpha * data + sigma * noise`` of `schedule`, in single precision, or in that of the weights if
            they are double.
        t : Tensor, shape (batch,)
            Time of `schedule`, the same for the whole batch.
        condition : Tensor of int64, shape (batch,)
            Index of the condition, or the number of conditions for the null condition.

        Returns
        -------
        Tensor, shape ``(batch, *shape)``
        """


class ProtocolModel(NetworkModel):
    """An object that follows the protocol, as a model; see `as_model`."""

    def to(self, device: torch.device) -> ProtocolModel:
        return self.with_net(moved_object(self.net, device, "model"))

    def decode(self, x: Tensor) -> Tensor:
        own = _part(self.net, "decode")
        return own(x) if callable(own) else super().decode(x)


def as_model(thing: Any) -> Model:
    """A model, whether it is one already or merely follows the protocol `Denoiser`.

    Parameters
    ----------
    thing : Model or Denoiser
        The object.

    Returns
    -------
    Model
        `thing` itself if it is a `Model`.

    Raises
    ------
    ModelError
        If something is missing; the message lists what, and how else to make a model. Or if an attribute raises.

    Examples
    --------
    >>> from specent.schedules import VE
    >>> class Gaussian:
    ...     schedule, conditions, shape = VE(), ["origin", "two"], (1,)
    ...     def __call__(self, x, t, condition):
    ...         mean = 2.0 * (condition == 1)[:, None]
    ...         return mean + (x - mean) / (1 + t[:, None] ** 2)
    >>> as_model(Gaussian()).denoise(torch.tensor([[4.0]]), 1.0, torch.tensor([1])).item()
    3.0
    """
    if isinstance(thing, Model):
        return thing
    kind = type(thing).__name__
    missing = _missing(thing)
    if missing:
        raise ModelError(f"model={brief(thing)} is {_article(kind)}: {'; '.join(missing)}; {_alternative(thing)}")
    check_weights(thing)
    conditions = _part(thing, "conditions", _ABSENT)
    labels = _part(thing, "labels") if conditions is _ABSENT else conditions
    null = arguments.flag(_part(thing, "null_condition", False), f"{kind}.null_condition", error=ModelError)
    whole = arguments.flag(_part(thing, "integer_times", False), f"{kind}.integer_times", error=ModelError)
    prior, schedule, shape = (_part(thing, name) for name in ("label_prior", "schedule", "shape"))
    return ProtocolModel(
        thing, labels, shape, "data", schedule, prior, null, _identity(thing), state_type(thing), whole
    )


def moved_object(thing: Any, device: torch.device, what: str) -> Any:
    """An object whose tensors are on a device: itself if they are there already, otherwise a copy.

    A method ``to`` of its own is called on the copy, so that it may move what cannot be seen, or keep the device. An
    object without tensors among its attributes is not copied, and its ``to`` must return what is to be used.
    """
    own = None if isinstance(thing, nn.Module) else _part(thing, "to")
    copied = copied_to(thing, device, what)
    if not callable(own) or (copied is thing and visible_tensors(thing)):
        return copied
    returned = copied.to(device)
    return copied if returned is None else returned


def state_type(thing: Any) -> torch.dtype:
    """Type of the states for an object: double if its weights are, single otherwise."""
    modules = [thing] if isinstance(thing, nn.Module) else list(getattr(thing, "__dict__", {}).values())
    weights = [weight for module in modules if isinstance(module, nn.Module) for weight in module.parameters()]
    wide = next((weight.dtype for weight in weights if weight.is_floating_point()), None) == torch.float64
    return torch.float64 if wide else torch.float32


def _part(thing: Any, name: str, absent: Any = None) -> Any:
    """An attribute, or `absent`; it may be a property, whose code may raise anything."""
    try:
        return getattr(thing, name, absent)
    except Exception as error:
        raise ModelError(
            f"model: {type(thing).__name__}.{name} raised {reason(error)}; correct that attribute"
        ) from error


def _missing(thing: Any) -> list[str]:
    """What keeps an object from being a denoiser."""
    if isinstance(thing, type):
        return ["it is a class; pass an instance of it, with its weights"]
    lacks = [] if callable(thing) else ["it cannot be called as D(x, t, condition)"]
    schedule = _part(thing, "schedule")
    if schedule is None:
        lacks.append("it lacks schedule, for example specent.schedules.VE()")
    elif not isinstance(schedule, Schedule):
        lacks.append(f"its schedule={brief(schedule)} is none of specent.schedules")
    if all(_part(thing, name, _ABSENT) is _ABSENT for name in ("conditions", "labels")):
        lacks.append("it lacks conditions, the list of labels or prompts")
    if _part(thing, "shape", _ABSENT) is _ABSENT:
        lacks.append("it lacks shape, that of one sample")
    return lacks


def _alternative(thing: Any) -> str:
    """How else the object becomes a model."""
    if type(thing).__module__.partition(".")[0] == "diffusers":
        return "load its folder or hub name with specent.models.pipeline(...)"
    if callable(thing) and callable(_part(thing, "schedule")):
        return "wrap a denoiser with a schedule(t) -> (alpha, sigma) of its own with specent.models.foreign(...)"
    return "add what is missing, or wrap a network with specent.models.network(...)"


def _article(kind: str) -> str:
    return f"{'an' if kind[:1].lower() in 'aeiou' else 'a'} {kind}, not a model"


def _identity(thing: Any) -> dict[str, Any]:
    """What the object says it is, for archives."""
    kind = type(thing).__name__
    own = _part(thing, "identity", {})
    if not isinstance(own, dict):
        raise ModelError(f"model: {kind}.identity={brief(own)} must be a dictionary with a 'name'")
    name = own["name"] if "name" in own else _part(thing, "name", kind)
    schedule: Schedule = _part(thing, "schedule")
    return {
        **own,
        "name": arguments.name(name, f"model: {kind}.name", error=ModelError),
        "prediction": "data",
        "schedule": schedule.to_json(),
    }
