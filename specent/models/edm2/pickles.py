"""The published pickles, read without running anything in them.

A file is a pickle of a mapping whose entry ``ema`` is the network. Its modules are stored as calls of one function on
one mapping, with the attributes of the module and, as text, source code that a normal load would execute. Here the
whole file becomes inert records (`specent.unpickling`). The weights are read from them by name, the source code is
never used, and the sizes of the network follow from the recorded fields and from the shapes.
"""

from __future__ import annotations

import hashlib
import math
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from specent import memory
from specent.arguments import brief
from specent.errors import ArchiveError, ModelError
from specent.models.edm2.architecture import Config, Precond
from specent.models.edm2.block_settings import check_settings
from specent.models.edm2.storages import storage
from specent.unpickling import InertRecord, unpickle
from specent.untrusted import read_regular

OBJECT = "torch_utils.persistence._reconstruct_persistent_obj"
MODULES = "torch.nn.modules.container.ModuleDict"
PARAMETER = "torch._utils._rebuild_parameter"
TENSOR = "torch._utils._rebuild_tensor_v2"
STORAGE = "torch.storage._load_from_bytes"

# classes of the standard library for plain data; only a malicious file refers to anything else of that library
_PLAIN = {
    "builtins": ("set", "frozenset", "slice", "range", "complex", "bytearray", "list", "dict", "tuple", "object"),
    "_codecs": ("encode",),
    "copyreg": ("_reconstructor", "__newobj__"),
    "functools": ("partial",),
    "collections": ("OrderedDict", "defaultdict", "deque"),
    "datetime": ("datetime", "date", "timedelta"),
    "pathlib": ("PosixPath", "WindowsPath", "PurePosixPath", "PureWindowsPath"),
}
_RENAMED = {"__builtin__": "builtins", "copy_reg": "copyreg"}
_DEEPEST = 32
# at most so many entries in a module and modules in a network, and letters in a name
_MOST, _LONGEST = 4096, 200
_MOST_DIMENSIONS, _LARGEST = 8, 2**40
_LAYER = re.compile(r"unet\.enc\.(\d+)x\1_block(\d+)\.conv_res1\.weight")


@dataclass(frozen=True)
class StoredNetwork:
    """A network in a file: its weights by name, its sizes, and the SHA-256 of the file."""

    state: dict[str, Tensor]
    config: Config
    sha256: str


def read_pickle(path: Path, argument: str = "source") -> StoredNetwork:
    """The network in a published file.

    Parameters
    ----------
    path : Path
        The file.
    argument : str
        Name of the argument in messages.

    Returns
    -------
    StoredNetwork
        Weights have the precision of the file, mostly half precision.

    Raises
    ------
    ModelError
        If the file cannot be read, is no whole pickle, refers to something that no network needs, or is anything but an
        EDM2 network with the settings of this package. Nothing in it is ever run.
    """
    what = f"{argument}={path.name!r}"
    try:
        size = path.stat().st_size
        memory.check_fits(3 * size, what, "convert it on a machine with more memory")
        data = read_regular(path)
    except OSError as error:
        raise ModelError(f"{what} cannot be read: {error.strerror}") from error
    try:
        content = _mapping(unpickle(data, allowed=_allowed, what=what))
    except ArchiveError as error:
        raise ModelError(str(error)) from error
    network = None if content is None else content.get("ema")
    if not isinstance(network, InertRecord) or network.name != OBJECT:
        raise ModelError(f"{what} is no EDM2 network: a published file is a mapping whose entry 'ema' is the network")
    top = _attributes(network, what)
    modules = list(_modules(network, "", what, set()))
    state = _tensors(modules, what, Storages(size))
    config = _config(top, state, what)
    check_state(state, config, what)
    check_settings([(name, _settings(attributes)) for name, attributes in modules], config, what)
    return StoredNetwork(state, config, hashlib.sha256(data).hexdigest())


def check_state(state: Mapping[str, Tensor], config: Config, what: str) -> None:
    """Refuse weights whose names, shapes or types are not those of a network of these sizes, or that are not finite.

    Raises
    ------
    ModelError
        Naming the first tensor that does not fit.
    """
    with torch.device("meta"):
        expected = Precond(config).state_dict()
    missing, extra = sorted(set(expected) - set(state)), sorted(set(state) - set(expected))
    if missing or extra:
        raise ModelError(
            f"{what} is of another architecture than the EDM2 networks: it lacks {missing[:3]}, and has {extra[:3]} "
            "more; use a published EDM2 network"
        )
    for key, value in state.items():
        if value.shape != expected[key].shape:
            raise ModelError(
                f"{what} is of another architecture than the EDM2 networks: {key} has shape {tuple(value.shape)}, not "
                f"{tuple(expected[key].shape)}"
            )
        if value.dtype not in (torch.float16, torch.bfloat16, torch.float32):
            raise ModelError(f"{what}: {key} has type {value.dtype}; half or single precision is needed")
        if not torch.isfinite(value).all():
            raise ModelError(f"{what}: {key} contains a NaN or an infinity; fetch the file again")


def _allowed(module: str, name: str) -> bool:
    """Whether a file may refer to a name, inert as it is: of a library of networks, or of plain standard types."""
    module = _RENAMED.get(module, module)
    if module.partition(".")[0] in sys.stdlib_module_names:
        return name in _PLAIN.get(module, ())
    # a dotted name would lead out of the module where it starts
    return "." not in name


def _mapping(value: Any) -> dict[Any, Any] | None:
    """A mapping, or a record of one, as a plain mapping; None if it is none."""
    if isinstance(value, dict):
        return value
    if not isinstance(value, InertRecord):
        return None
    pairs = [item for item in value.items if isinstance(item, tuple) and len(item) == 2 and isinstance(item[0], str)]
    return dict(pairs) if len(pairs) == len(value.items) else None


def _attributes(record: InertRecord, what: str) -> dict[Any, Any]:
    """Attributes of a stored module."""
    state: Any = record.state
    if record.name == OBJECT:
        described = _mapping(record.arguments[0]) if len(record.arguments) == 1 else None
        state = None if described is None else described.get("state")
    if not isinstance(state, dict):
        raise ModelError(f"{what} is no EDM2 network: {brief(record)} does not have the attributes of a module")
    return state


def _class(record: object) -> str:
    """Name of the class of a stored module, empty if it is none."""
    if not isinstance(record, InertRecord) or record.name != OBJECT or len(record.arguments) != 1:
        return ""
    name = (_mapping(record.arguments[0]) or {}).get("class_name")
    return name if isinstance(name, str) else ""


def _entries(value: Any, what: str) -> dict[str, Any]:
    """Parts, parameters or buffers of a module. Names are bounded, because the names of all weights repeat them."""
    entries = _mapping(value) or {}
    wrong = [name for name in entries if not isinstance(name, str) or len(name) > _LONGEST]
    if wrong or len(entries) > _MOST:
        raise ModelError(
            f"{what} is no EDM2 network: a module has {len(entries)} entries, and one is named "
            f"{brief(wrong[0] if wrong else next(iter(entries)))}"
        )
    return entries


def _modules(record: InertRecord, name: str, what: str, seen: set[int]) -> Iterator[tuple[str, dict[Any, Any]]]:
    """Name and attributes of a module and of all those inside it."""
    if name.count(".") >= _DEEPEST or id(record) in seen or len(seen) > _MOST:
        raise ModelError(f"{what} is no EDM2 network: its modules contain each other, or one of them twice")
    seen.add(id(record))
    attributes = _attributes(record, what)
    yield name, attributes
    for part, value in _entries(attributes.get("_modules"), what).items():
        if value is None:
            continue
        if not isinstance(value, InertRecord) or value.name not in (OBJECT, MODULES):
            raise ModelError(
                f"{what} is of another architecture than the EDM2 networks: one of its modules is {brief(value)}"
            )
        # the network inside its preconditioning is known by its class
        own = "unet" if not name and _class(value) == "UNet" else part
        yield from _modules(value, f"{name}.{own}" if name else own, what, seen)


def _tensors(modules: Iterable[tuple[str, dict[Any, Any]]], what: str, storages: Storages) -> dict[str, Tensor]:
    """Parameters and buffers of the modules, by name."""
    tensors = {}
    for name, attributes in modules:
        for kind in ("_parameters", "_buffers"):
            for own, value in _entries(attributes.get(kind), what).items():
                key = f"{name}.{own}" if name else own
                if value is not None:
                    tensors[key] = _tensor(value, f"{what}: {key}", storages)
    return tensors


def _settings(attributes: Mapping[Any, Any]) -> Iterator[tuple[Any, Any]]:
    """Recorded settings of a module: its own fields, and the arguments of its class."""
    yield from attributes.items()
    yield from (_mapping(attributes.get("_init_kwargs")) or {}).items()


def _tensor(value: Any, what: str, storages: Storages) -> Tensor:
    if isinstance(value, InertRecord) and value.name == PARAMETER and value.arguments:
        value = value.arguments[0]
    if not isinstance(value, InertRecord) or value.name != TENSOR or len(value.arguments) < 4:
        raise ModelError(f"{what} is {brief(value)}, not a tensor")
    stored, offset, size, stride = value.arguments[:4]
    integers: list[Any] = [None]
    if isinstance(size, tuple) and isinstance(stride, tuple) and len(size) == len(stride) <= _MOST_DIMENSIONS:
        integers = [offset, *size, *stride]
    if not all(type(number) is int and 0 <= number < _LARGEST for number in integers):
        raise ModelError(f"{what} has shape {brief(size)} and strides {brief(stride)}; fetch the file again")
    numbers, count = storages.numbers(stored, what), math.prod(size)
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    # more numbers than the file has would be repeated ones, in memory that the file does not fill
    if count > len(numbers) or (count and last >= len(numbers)):
        raise ModelError(f"{what} has shape {brief(size)}, but the file has {len(numbers)} numbers for it")
    storages.take("tensors", count * numbers.itemsize, what)
    if not count:
        return torch.empty(size, dtype=numbers.dtype)
    return numbers.as_strided(size, stride, offset).clone(memory_format=torch.contiguous_format)


class Storages:
    """The numbers of a file. No more are read than it has bytes, however often the file refers to them."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.remaining = {"storages": size, "tensors": size}
        self.vectors: dict[int, Tensor] = {}

    def take(self, kind: str, count: int, what: str) -> None:
        """Refuse more bytes than the file has."""
        self.remaining[kind] -= count
        if self.remaining[kind] < 0:
            raise ModelError(f"{what}: the file uses the same numbers many times over; do not trust it")

    def numbers(self, record: Any, what: str) -> Tensor:
        """Numbers of a storage, as a vector."""
        if id(record) not in self.vectors:
            if not isinstance(record, InertRecord) or record.name != STORAGE or len(record.arguments) != 1:
                raise ModelError(f"{what} has no storage, but {brief(record)}")
            data = _bytes(record.arguments[0])
            if not isinstance(data, bytes):
                raise ModelError(f"{what} has a storage of {brief(data)}, not of bytes")
            self.take("storages", len(data), what)
            self.vectors[id(record)] = storage(data, what)
        return self.vectors[id(record)]


def _bytes(value: Any) -> Any:
    """Bytes, which the oldest protocols store as encoded text."""
    if isinstance(value, InertRecord) and value.name == "_codecs.encode" and value.arguments[1:] == ("latin1",):
        text = value.arguments[0]
        return text.encode("latin1", "replace") if isinstance(text, str) else text
    return value


def _config(top: dict[Any, Any], state: Mapping[str, Tensor], what: str) -> Config:
    """Sizes from the fields of the preconditioning and the shapes of the weights."""
    fields = {}
    for name in ("img_resolution", "img_channels", "label_dim"):
        if type(top.get(name)) is not int:
            raise ModelError(f"{what} is no EDM2 network: its {name} is {brief(top.get(name))}, not a whole number")
        fields[name] = top[name]
    layers = [(int(match[1]), int(match[2]), key) for key in state if (match := _LAYER.fullmatch(key))]
    noise = state.get("unet.emb_noise.weight")
    if not layers or noise is None or noise.ndim != 2:
        raise ModelError(f"{what} is of another architecture than the EDM2 networks: it has no U-Net of theirs")
    sizes = sorted({size for size, _, _ in layers}, reverse=True)
    outputs = {size: len(state[key]) for size, number, key in layers if number == 0}
    attends = tuple(size for size in sizes if f"unet.enc.{size}x{size}_block0.attn_qkv.weight" in state)
    unet = next(
        (_attributes(part, what) for part in (_mapping(top.get("_modules")) or {}).values() if _class(part) == "UNet"),
        {},
    )
    try:
        return Config(
            resolution=fields["img_resolution"],
            channels=fields["img_channels"],
            label_dim=fields["label_dim"],
            blocks=tuple(outputs.get(size, 0) for size in sizes),
            noise_channels=noise.shape[1],
            embedding_channels=noise.shape[0],
            per_level=1 + max(number for _, number, _ in layers),
            attention=attends,
            sigma_data=_number(top, "sigma_data", 0.5),
            **{name: _number(unet, name, 0.5) for name in ("label_balance", "concat_balance")},
        )
    except ModelError as error:
        raise ModelError(f"{what}: {error}") from error


def _number(fields: dict[Any, Any], name: str, default: float) -> Any:
    """A recorded setting: a field, an argument of the class, or else the default."""
    arguments = _mapping(fields.get("_init_kwargs")) or {}
    return fields.get(name, arguments.get(name, default))
