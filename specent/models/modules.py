"""The torch modules and tensors that a model holds: how they are run, and how they get to another device.

What a function holds in its closure cannot be seen from outside; everything here is about attributes.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from specent.errors import ModelError
from specent.models.outputs import reason

_Thing = TypeVar("_Thing")

_DEPTH = 5
_OPAQUE = (type, FunctionType, BuiltinFunctionType, MethodType, ModuleType)


def visible_modules(thing: object) -> list[nn.Module]:
    """Every torch module that is the thing itself or within its attributes, parents before their children.

    Examples
    --------
    >>> [type(module).__name__ for module in visible_modules({"net": nn.Sequential(nn.ReLU())})]
    ['Sequential', 'ReLU']
    """
    modules = [module for part in _parts(thing) if isinstance(part, nn.Module) for module in part.modules()]
    return list({id(module): module for module in modules}.values())


def visible_tensors(thing: object) -> list[Tensor]:
    """Every tensor among the attributes of a thing, once, the weights and buffers of its modules among them."""
    tensors: list[Tensor] = []
    for part in _parts(thing):
        tensors += [part] if isinstance(part, Tensor) else [*part.parameters(), *part.buffers()]
    return list({id(tensor): tensor for tensor in tensors}.values())


def weights_sha256(thing: object) -> str:
    """SHA-256 of the weights and stored buffers of every module of a thing, with their names, types and shapes.

    Returns
    -------
    str
        64 hexadecimal digits, whatever the device; empty if there are no weights, or they cannot be read.

    Examples
    --------
    >>> one, other = nn.Linear(1, 1), nn.Linear(1, 1)
    >>> weights_sha256(one) == weights_sha256(other), len(weights_sha256([one])), weights_sha256(abs)
    (False, 64, '')
    """
    digest, count = hashlib.sha256(), 0
    for module in visible_modules(thing):
        passing = module._non_persistent_buffers_set
        buffers = (named for named in module.named_buffers(recurse=False) if named[0] not in passing)
        for name, tensor in (*module.named_parameters(recurse=False), *buffers):
            try:
                values = tensor.detach().reshape(-1).cpu().contiguous()
                data = values.view(torch.uint8).numpy().tobytes() if len(values) else b""
            except (RuntimeError, TypeError, ValueError):  # quantised, sparse, or without values
                return ""
            digest.update(f"{name} {tensor.dtype} {list(tensor.shape)} ".encode())
            digest.update(data)
            count += 1
    return digest.hexdigest() if count else ""


@contextmanager
def evaluation_mode(modules: Sequence[nn.Module]) -> Iterator[None]:
    """Within it the modules are in evaluation mode; afterwards each is in the mode it was in.

    In training mode dropout draws new numbers at every call and normalisation mixes the states of a batch, so that
    differences of two outputs are noise.

    Parameters
    ----------
    modules : sequence of Module
        Parents before their children, as from `visible_modules`.
    """
    modes = [module.training for module in modules]
    try:
        for module in modules:
            if module.training:
                module.eval()
        yield
    finally:
        # a parent sets the mode of its children, which come after it
        for module, mode in zip(modules, modes, strict=True):
            if module.training != mode:
                module.train(mode)


def copied_to(thing: _Thing, device: torch.device, what: str) -> _Thing:
    """A copy of a thing with its tensors on another device, or the thing itself if they are all there already.

    Weights are copied once, straight to the device; the thing is not changed.

    Parameters
    ----------
    thing : object
        A torch module, or an object that holds some.
    device : torch.device
        Where the tensors should be.
    what : str
        What to call the thing in messages.

    Raises
    ------
    ModelError
        If it cannot be copied.

    Examples
    --------
    >>> net = nn.Linear(1, 1)
    >>> copied_to(net, torch.device("meta"), "net").weight.device, net.weight.device
    (device(type='meta'), device(type='cpu'))
    """
    tensors = visible_tensors(thing)
    if all(_is_on(tensor, device) for tensor in tensors):
        return thing
    try:
        # what a deep copy finds in its memory it takes from there
        return copy.deepcopy(thing, {id(tensor): _moved(tensor, device) for tensor in tensors})
    except Exception as error:
        raise ModelError(
            f"{what} cannot be copied to {str(device)!r} ({reason(error)}); move it there before it is made a model: "
            "what is on the device already is used as it is"
        ) from error


def _is_on(tensor: Tensor, device: torch.device) -> bool:
    return tensor.device.type == device.type and device.index in (None, tensor.device.index)


def _moved(tensor: Tensor, device: torch.device) -> Tensor:
    copied = tensor.detach().to(device, copy=True)
    return nn.Parameter(copied, tensor.requires_grad) if isinstance(tensor, nn.Parameter) else copied


def _parts(thing: object) -> list[nn.Module | Tensor]:
    """Modules and tensors among the attributes of a thing, at a few levels of depth, each once."""
    parts: list[nn.Module | Tensor] = []
    seen: set[int] = set()

    def visit(part: object, depth: int) -> None:
        if id(part) in seen or isinstance(part, _OPAQUE):
            return
        seen.add(id(part))
        if isinstance(part, (nn.Module, Tensor)):
            parts.append(part)
        elif depth:
            for inner in _attributes(part):
                visit(inner, depth - 1)

    visit(thing, _DEPTH)
    return parts


def _attributes(thing: object) -> list[Any]:
    if isinstance(thing, dict):
        return list(thing.values())
    if isinstance(thing, (list, tuple)):
        return list(thing)
    return list(getattr(thing, "__dict__", {}).values())


def check_weights(net: object) -> None:
    """Refuse a torch module with weights that are not finite."""
    if not isinstance(net, nn.Module):
        return
    for key, value in net.state_dict().items():
        if isinstance(value, Tensor) and value.is_floating_point() and not torch.isfinite(value).all():
            raise ModelError(f"weight {key!r} of the network holds a NaN or an infinity")
