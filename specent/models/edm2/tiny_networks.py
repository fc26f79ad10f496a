"""Networks of random weights, small enough for any machine, in files like the published ones.

With them the reader of the published files can be tried from end to end without a download. Where those files have
source code, these have a statement that raises, so a loader that runs it fails.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from specent.errors import ModelError
from specent.files import write_whole
from specent.models.edm2.architecture import Config, Precond, UNet
from specent.models.edm2.layers import CLIP, FILTER, RESIDUAL_BALANCE, Block
from specent.models.edm2.pickles import MODULES, OBJECT, PARAMETER, STORAGE, TENSOR

TINY = Config(
    resolution=8, channels=4, label_dim=3, blocks=(16, 64), noise_channels=16, embedding_channels=32, per_level=1,
    attention=(4,),
)  # fmt: skip
"""Latents of 8 x 8, three labels, two levels."""

SOURCE = "raise RuntimeError('source code in a file of weights was run')"


@dataclass(frozen=True)
class Call:
    """A call in a pickle: of a name, with arguments, and with the entries and the state of the object it returns."""

    name: str
    arguments: tuple[Any, ...] = ()
    items: tuple[tuple[Any, Any], ...] = ()
    state: Any = None
    # the instruction: another one calls functions than creates plain objects
    opcode: bytes = pickle.REDUCE


def write_tiny(folder: Path, config: Config = TINY, seed: int = 0) -> tuple[Path, Path]:
    """A conditional network and its unconditional one, of random weights.

    Parameters
    ----------
    folder : Path
        Where the files are written.
    config : Config
        Sizes of the conditional network.
    seed : int
        Seed of the weights.

    Returns
    -------
    tuple of Path
        The two files.
    """
    conditional, null = tiny_pair(config, seed)
    paths = folder / "edm2-tiny.pkl", folder / "edm2-tiny-uncond.pkl"
    for net, path in zip((conditional, null), paths, strict=True):
        write_whole(pickle_bytes(net), path, overwrite=True, error=ModelError)
    return paths


def tiny_pair(config: Config = TINY, seed: int = 0) -> tuple[Precond, Precond]:
    """A conditional network of random weights, and one that shares all of them but those of the labels."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        conditional = Precond(config)
        null = Precond(replace(config, label_dim=0))
    with torch.no_grad():
        for name, value in conditional.named_parameters():
            if name.endswith("_gain"):
                value.fill_(0.5)
    shared = {name: value for name, value in conditional.state_dict().items() if "emb_label" not in name}
    null.load_state_dict(shared)
    return conditional.eval(), null.eval()


def pickle_bytes(net: Precond) -> bytes:
    """The bytes of a file with a network, laid out like a published one, in half precision."""
    content: dict[str, Any] = {"ema": _module(net), "encoder": None, "dataset_kwargs": {}, "loss_fn": None}
    return pickle.PROTO + b"\x03" + instructions(content) + pickle.STOP


def instructions(value: Any) -> bytes:
    """Instructions of a pickle for a value, whose calls are represented by `Call`.

    Examples
    --------
    >>> pickle.loads(instructions([1, Call("collections.OrderedDict", items=(("b", 2),))]) + b".") == [1, {"b": 2}]
    True
    """
    if isinstance(value, Call):
        module, _, name = value.name.rpartition(".")
        code = pickle.GLOBAL + f"{module}\n{name}\n".encode() + instructions(value.arguments) + value.opcode
        code += pickle.MARK + _each(value.items) + pickle.SETITEMS if value.items else b""
        return code + (instructions(value.state) + pickle.BUILD if value.state is not None else b"")
    if isinstance(value, tuple):
        return pickle.MARK + b"".join(map(instructions, value)) + pickle.TUPLE
    if isinstance(value, list):
        return pickle.EMPTY_LIST + pickle.MARK + b"".join(map(instructions, value)) + pickle.APPENDS
    if isinstance(value, dict):
        return pickle.EMPTY_DICT + pickle.MARK + _each(value.items()) + pickle.SETITEMS
    # without the two bytes of the protocol at the beginning, and without the end mark
    return pickle.dumps(value, 3)[2:-1]


def _each(items: Any) -> bytes:
    return b"".join(instructions(key) + instructions(value) for key, value in items)


def _ordered(values: Mapping[str, Any]) -> Call:
    return Call("collections.OrderedDict", items=tuple(values.items()))


def _module(module: nn.Module) -> Call:
    """A module with all modules inside it, as the files store it."""
    own = {name: value for name, value in module.named_buffers(recurse=False) if name != "frozen"}
    weights = {name: Call(PARAMETER, (_tensor(value), True, _ordered({})))
               for name, value in module.named_parameters(recurse=False)}  # fmt: skip
    state = {
        "training": False,
        "_parameters": _ordered(weights),
        "_buffers": _ordered({name: _tensor(value) for name, value in own.items()}),
        "_modules": _ordered({name: _module(part) for name, part in module.named_children()}),
        **_fields(module),
    }
    if isinstance(module, nn.ModuleDict):
        return Call(MODULES, state=state, opcode=pickle.NEWOBJ)
    described = {"type": "class", "version": 6, "module_src": SOURCE, "class_name": type(module).__name__}
    return Call(OBJECT, ({**described, "state": state},))


def _fields(module: nn.Module) -> dict[str, Any]:
    """The settings that a module records beside its weights."""
    if isinstance(module, Block):
        return {
            "resample_filter": list(FILTER), "num_heads": module.heads, "dropout": 0, "res_balance": RESIDUAL_BALANCE,
            "attn_balance": RESIDUAL_BALANCE, "clip_act": int(CLIP),
        }  # fmt: skip
    if isinstance(module, UNet):
        return {name: getattr(module.config, name) for name in ("label_balance", "concat_balance")}
    if isinstance(module, Precond):
        config = module.config
        sizes = {"img_resolution": config.resolution, "img_channels": config.channels, "label_dim": config.label_dim}
        return {**sizes, "sigma_data": config.sigma_data, "use_fp16": True, "_init_args": (), "_init_kwargs": sizes}
    return {}


def _tensor(value: Tensor) -> Call:
    """Numbers in half precision, as torch stores a tensor inside a pickle of something else."""
    half = value.detach().half().contiguous()
    stream = io.BytesIO()
    storage = half._typed_storage()  # type: ignore[no-untyped-call]
    # not the older form of the published files, which has addresses in memory, so that no two files would be equal
    torch.save(storage, stream)
    return Call(TENSOR, (Call(STORAGE, (stream.getvalue(),)), 0, tuple(half.shape), half.stride(), False, _ordered({})))
