"""Nothing in a file runs, whatever the file calls and wherever the call is."""

from __future__ import annotations

import copyreg
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from specent.errors import ModelError
from specent.models.edm2 import pickles, tiny_networks
from specent.models.edm2.architecture import Precond
from specent.models.edm2.pickles import read_pickle
from specent.models.edm2.tiny_networks import Call, instructions, pickle_bytes


class Calling:
    """Pickled as a call of a function."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> tuple[Any, ...]:
        return self.call


def touch(sentinel: Path) -> str:
    return f"import pathlib; pathlib.Path({str(sentinel)!r}).write_text('harm')"


HOSTILE: dict[str, Callable[[Path], Any]] = {
    "os.system": lambda sentinel: Calling(os.system, f"touch {sentinel}"),
    "builtins.eval": lambda sentinel: Calling(eval, f"open({str(sentinel)!r}, 'w')"),
    "builtins.exec": lambda sentinel: Calling(exec, touch(sentinel)),
    "subprocess": lambda sentinel: Calling(subprocess.check_call, ["touch", str(sentinel)]),
    "nested": lambda sentinel: Calling(eval, "print", Calling(os.system, f"touch {sentinel}")),
    "getattr": lambda sentinel: Calling(Calling(getattr, os, "system"), f"touch {sentinel}"),
    "open": lambda sentinel: Calling(open, str(sentinel), "w"),
}


@pytest.mark.parametrize("position", ["top", "encoder", "weight", "storage", "field"])
@pytest.mark.parametrize("kind", [name for name in HOSTILE if name != "getattr"])
def test_no_payload_runs_wherever_it_is(
    networks: tuple[Precond, Precond], tmp_path: Path, kind: str, position: str
) -> None:
    sentinel = tmp_path / "ran"
    payload = pickle.dumps(HOSTILE[kind](sentinel), 3)
    # that it would run if it were loaded plainly, or this would show nothing
    subprocess.run(
        [sys.executable, "-c", f"import pickle; pickle.loads({payload!r})"], capture_output=True, check=False
    )
    assert sentinel.exists()
    sentinel.unlink()
    data = pickle_bytes(networks[0])
    inner = payload[2:-1]
    if position == "top":
        data = payload
    elif position == "encoder":
        data = data.replace(instructions("encoder") + instructions(None), instructions("encoder") + inner)
    elif position == "field":
        data = data.replace(instructions("use_fp16") + instructions(True), instructions("use_fp16") + inner)
    elif position == "weight":
        data = data[:2] + instructions({"ema": with_weight(networks[0], b"")}) + b"."
        data = data.replace(instructions("HERE"), inner)
    else:
        data = data[:2] + instructions({"ema": with_weight(networks[0], payload)}) + b"."
    assert sentinel.name.encode() in data
    path = tmp_path / "hostile.pkl"
    path.write_bytes(data)
    with pytest.raises(ModelError, match=r"not to be trusted|numbers cannot be read") as refusal:
        read_pickle(path)
    assert "\n" not in str(refusal.value)
    assert not sentinel.exists()


def with_weight(net: Precond, payload: bytes) -> Call:
    """A network whose first weight is something else: a payload for the storage, or a mark."""
    call = tiny_networks._module(net)
    state = call.arguments[0]["state"]
    storage = Call(pickles.STORAGE, (payload,)) if payload else "HERE"
    weight = Call(pickles.TENSOR, (storage, 0, (1,), (1,), False, {}))
    state["_parameters"] = Call(
        "collections.OrderedDict", items=(("first", Call(pickles.PARAMETER, (weight, True, {}))),)
    )
    return call


RAW: dict[str, Callable[[bytes], bytes]] = {
    # a path of attributes out of an allowed module, as protocol 4 allows
    "dotted": lambda command: b"\x8c\x0ctorch._utils\x8c\x09os.system\x93" + command + b"\x85R",
    "dotted within a name": lambda command: b"ctorch._utils\nos.system\n" + command + b"\x85R",
    "getattr": lambda command: b"cbuiltins\ngetattr\ncos\npath\n\x8c\x06system\x86R" + command + b"\x85R",
    "INST": lambda command: b"(" + command + b"ios\nsystem\n",
    "OBJ": lambda command: b"(cos\nsystem\n" + command + b"o",
    "NEWOBJ": lambda command: b"csubprocess\nPopen\n" + command + b"\x85\x81",
    "NEWOBJ_EX": lambda command: b"csubprocess\nPopen\n" + command + b"\x85}\x92",
    "__setstate__": lambda command: (
        b"ccollections\nOrderedDict\n)R}\x8c\x0c__setstate__cos\nsystem\nsb" + command + b"b"
    ),
    "extension": lambda command: b"\x82\xf0" + command + b"\x85R",
    "persistent": lambda command: command + b"Q",
    "python 2": lambda command: b"c__builtin__\neval\n" + command + b"\x85R",
}  # fmt: skip


@pytest.mark.parametrize("kind", RAW)
def test_no_trick_of_the_instructions_runs(tmp_path: Path, kind: str) -> None:
    sentinel = tmp_path / "ran"
    command = instructions(f"touch {sentinel}")
    copyreg.add_extension("os", "system", 240)
    try:
        # an extension that was used once is handed out without asking for its name
        pickle.loads(b"\x80\x02\x82\xf0.")
        path = tmp_path / "hostile.pkl"
        path.write_bytes(b"\x80\x04" + b"}\x8c\x03ema" + RAW[kind](command) + b"s.")
        with pytest.raises(ModelError, match=r"not to be trusted|damaged") as refusal:
            read_pickle(path)
    finally:
        copyreg.remove_extension("os", "system", 240)
        copyreg._extension_cache.clear()
    assert "\n" not in str(refusal.value)
    assert not sentinel.exists()


def test_what_no_network_needs_is_refused_and_plain_data_are_not() -> None:
    for module, name in (
        ("os", "system"), ("posix", "system"), ("nt", "system"), ("builtins", "eval"), ("__builtin__", "exec"),
        ("importlib", "import_module"), ("builtins", "getattr"), ("operator", "attrgetter"), ("sys", "exit"),
        ("torch._utils", "os.system"), ("numpy", "load.__globals__"), ("pickle", "loads"), ("shutil", "rmtree"),
        ("copy_reg", "add_extension"), ("subprocess", "Popen"),
    ):  # fmt: skip
        assert not pickles._allowed(module, name)
    for module, name in (
        ("collections", "OrderedDict"), ("builtins", "set"), ("__builtin__", "set"), ("torch", "float16"),
        ("dnnlib.util", "EasyDict"), ("training.encoders", "Encoder"),
        ("numpy.core.multiarray", "_reconstruct"), ("_codecs", "encode"),
    ):  # fmt: skip
        assert pickles._allowed(module, name)
