"""Networks saved as the published files are, by Python's own pickling of objects of the classes that they name."""

from __future__ import annotations

import copy
import importlib.util
import pickle
import sys
import types
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import mock

import pytest
from torch import nn

from specent.models.edm2.architecture import Precond
from specent.models.edm2.layers import Block
from specent.models.edm2.tiny_networks import tiny_pair

Save = Callable[..., Path]


@pytest.fixture(scope="session")
def reference() -> ModuleType:
    """The second implementation."""
    spec = importlib.util.spec_from_file_location("edm2_reference", Path(__file__).with_name("reference.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _reconstruct_persistent_obj(_meta: Any) -> None:
    raise AssertionError("a file of weights was loaded by running it")


class EasyDict(dict):
    """Stands for the class of mappings in the published files."""


class Persistent(nn.Module):
    """Stands for a module of the published files: pickled as a call on a description with its source code."""

    def __init__(self, module: nn.Module, source: str, fields: dict[str, Any]) -> None:
        super().__init__()
        self.__dict__ |= {name: value for name, value in vars(module).items() if name in ("_parameters", "_buffers")}
        self._buffers.pop("frozen", None)
        own = fields if isinstance(module, Precond) else block_fields(module) if isinstance(module, Block) else {}
        for name, part in module.named_children():
            self._modules[name] = persistent(part, source, fields)
        described = {"type": "class", "version": 6, "module_src": source, "class_name": type(module).__name__}
        self.__dict__["described"] = described
        self.__dict__ |= own

    def __reduce__(self) -> tuple[Any, ...]:
        state = {name: value for name, value in vars(self).items() if name != "described"}
        return _reconstruct_persistent_obj, ({**self.described, "state": state},)

    def __reduce_ex__(self, _protocol: Any) -> tuple[Any, ...]:
        return self.__reduce__()


def block_fields(block: Block) -> dict[str, Any]:
    """What stands in every block of the published files beside its weights."""
    heads = block.conv_res1.weight.shape[0] // 64 if hasattr(block.attn_qkv, "weight") else 0
    return {
        "resample_filter": [1, 1], "num_heads": heads, "dropout": 0, "res_balance": 0.3, "attn_balance": 0.3,
        "clip_act": 256, "_init_args": (), "_init_kwargs": {"channels_per_head": 64},
    }  # fmt: skip


def persistent(module: nn.Module, source: str, fields: dict[str, Any]) -> nn.Module:
    """A module and all inside it, as instances of the stand-in; mappings of modules stay what they are."""
    if isinstance(module, nn.ModuleDict):
        return nn.ModuleDict({name: persistent(part, source, fields) for name, part in module.items()})
    return Persistent(module, source, fields)


def pickled(content: Any, protocol: int = 4) -> bytes:
    """A pickle that names modules which are nowhere to be imported."""
    library = {"torch_utils": types.ModuleType("torch_utils"), "dnnlib": types.ModuleType("dnnlib")}
    library["torch_utils.persistence"] = types.ModuleType("torch_utils.persistence")
    library["dnnlib.util"] = types.ModuleType("dnnlib.util")
    originals = ((_reconstruct_persistent_obj, "torch_utils.persistence"), (EasyDict, "dnnlib.util"))
    before = [thing.__module__ for thing, _ in originals]
    try:
        for thing, module in originals:
            setattr(library[module], thing.__name__, thing)
            thing.__module__ = module
        with mock.patch.dict(sys.modules, library):
            return pickle.dumps(content, protocol)
    finally:
        for (thing, _), module in zip(originals, before, strict=True):
            thing.__module__ = module


def file_content(net: Precond, source: str = "", **changes: Any) -> EasyDict:
    """The content of a published file."""
    half = copy.deepcopy(net)
    for value in half.parameters():
        value.data = value.data.half()
    config = net.config
    fields = {
        "img_resolution": config.resolution, "img_channels": config.channels, "label_dim": config.label_dim,
        "use_fp16": True, "sigma_data": 0.5, "_init_args": (), "_init_kwargs": EasyDict(model_channels=16), **changes,
    }  # fmt: skip
    return EasyDict(ema=persistent(half, source, fields), encoder=None, dataset_kwargs=EasyDict(path="images"))


@pytest.fixture
def save(tmp_path: Path) -> Save:
    """Save a network like a published file: ``save(net, "a.pkl", source="code", label_dim=5)``."""

    def saved(net: Precond, name: str = "net.pkl", source: str = "", protocol: int = 4, **changes: Any) -> Path:
        path = tmp_path / name
        path.write_bytes(pickled(file_content(net, source, **changes), protocol))
        return path

    return saved


@pytest.fixture(scope="session")
def networks() -> tuple[Precond, Precond]:
    """A conditional network and its unconditional one, whose weights are exact in half precision."""
    pair = tiny_pair(seed=3)
    for net in pair:
        for value in net.parameters():
            value.data = value.data.half().float()
    return pair
