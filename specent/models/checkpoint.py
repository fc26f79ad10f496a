"""Checkpoints: a safetensors file beside a card that says where it comes from and what its SHA-256 is.

Nothing in either file is ever executed: safetensors holds numbers only, the card is JSON.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import nn

from specent.arguments import brief
from specent.errors import ModelError
from specent.models.outputs import reason


def card_path(path: Path) -> Path:
    """The card that belongs to a checkpoint: same name, ending in ``.json``."""
    return path.with_suffix(".json")


def check_output(path: str | Path, *, overwrite: bool = False) -> Path:
    """Check that a checkpoint can be written to `path`, before it is trained.

    Raises
    ------
    ModelError
        If the name does not end in ``.safetensors`` or cannot be that of a file, the folder is missing or read-only,
        or the file exists.
    """
    try:
        target = Path(path).expanduser()
        # the temporary file of `write_checkpoint` has the longest name
        _there(_temporary(target))
        places = [(file, _there(file), file.is_file()) for file in (target, card_path(target))]
    except (OSError, RuntimeError, TypeError, ValueError) as error:
        raise ModelError(f"output={brief(path)} is no name of a file ({reason(error)}); give another") from error
    if target.suffix != ".safetensors":
        raise ModelError(f"output={str(target)!r} must end in '.safetensors'")
    if not target.parent.is_dir() or not os.access(target.parent, os.W_OK):
        raise ModelError(f"output={str(target)!r}: its folder is missing or cannot be written to; make it first")
    for file, exists, regular in places:
        if exists and not regular:
            raise ModelError(f"output={str(file)!r} exists and is no file; give another name, or move it away")
        if exists and not overwrite:
            raise ModelError(f"output={str(file)!r} exists; pass overwrite=True (--overwrite) to replace it")
    return target


def save_checkpoint(net: nn.Module, path: Path, card: dict[str, Any]) -> tuple[Path, Path]:
    """Write the weights of `net` and the card (to which the SHA-256 is added), each whole or not at all."""
    data = save({key: value.detach().cpu().contiguous() for key, value in net.state_dict().items()})
    return write_checkpoint(data, path, card)


def write_checkpoint(data: bytes, path: Path, card: dict[str, Any]) -> tuple[Path, Path]:
    """Write a safetensors file and its card (to which the SHA-256 is added), each whole or not at all."""
    text = json.dumps({**card, "sha256": hashlib.sha256(data).hexdigest()}, indent=2) + "\n"
    targets = (path, card_path(path))
    try:
        # both are whole before either takes its place
        for target, content in zip(targets, (data, text.encode()), strict=True):
            _temporary(target).write_bytes(content)
        for target in targets:
            os.replace(_temporary(target), target)
    except OSError as error:
        raise ModelError(f"output={str(path)!r} cannot be written: {error.strerror}") from error
    finally:
        for target in targets:
            _temporary(target).unlink(missing_ok=True)
    return targets


def _there(file: Path) -> bool:
    try:
        os.lstat(file)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def _temporary(target: Path) -> Path:
    return target.with_name(f".{target.name}.{os.getpid()}.tmp")


def read_card(path: Path) -> dict[str, Any]:
    """The card of the checkpoint at `path`.

    Raises
    ------
    ModelError
        If there is no card or it is not a JSON object with a SHA-256.
    """
    card_file = card_path(path)
    try:
        card = json.loads(card_file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ModelError(f"no card {card_file} beside the checkpoint; it names the settings and the SHA-256") from error
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{card_file} is not JSON: {error}") from error
    if not isinstance(card, dict) or not isinstance(card.get("sha256"), str):
        raise ModelError(f"{card_file} is not a card: it must be a JSON object with a 'sha256'")
    return card


def load_checkpoint(net: nn.Module, path: Path, sha256: str) -> None:
    """Fill `net` with the weights of a safetensors file, strictly.

    Parameters
    ----------
    net : Module
        The network; names and shapes of its state decide what the file must hold.
    path : Path
        A safetensors file.
    sha256 : str
        What the file's SHA-256 must be.

    Raises
    ------
    ModelError
        If the file is missing, is not the one named by the digest, is truncated, or has a missing, extra, wrongly
        shaped, non-finite or other than single-precision tensor.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ModelError(f"checkpoint {path} cannot be read: {error.strerror}") from error
    found = hashlib.sha256(data).hexdigest()
    if found != sha256:
        raise ModelError(
            f"checkpoint {path} has SHA-256 {found[:16]}..., its card says {sha256[:16]}...: the file is damaged or "
            "another one; fetch or train it again"
        )
    try:
        state = load(data)
    except (SafetensorError, ValueError, KeyError) as error:
        raise ModelError(f"checkpoint {path} is not a whole safetensors file: {error}") from error
    _check_state(state, net.state_dict(), path)
    net.load_state_dict(state, strict=True)


def _check_state(state: dict[str, torch.Tensor], expected: dict[str, torch.Tensor], path: Path) -> None:
    missing, extra = sorted(set(expected) - set(state)), sorted(set(state) - set(expected))
    if missing or extra:
        raise ModelError(f"checkpoint {path} does not fit the network: missing {missing[:4]}, unexpected {extra[:4]}")
    for key, value in state.items():
        if value.shape != expected[key].shape:
            raise ModelError(
                f"checkpoint {path}: tensor {key!r} has shape {tuple(value.shape)}, the network needs "
                f"{tuple(expected[key].shape)}"
            )
        if value.dtype != torch.float32:
            raise ModelError(f"checkpoint {path}: tensor {key!r} holds {value.dtype}, it must be torch.float32")
        if not torch.isfinite(value).all():
            raise ModelError(f"checkpoint {path}: tensor {key!r} holds a NaN or an infinity")
