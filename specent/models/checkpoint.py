"""Checkpoints: a safetensors file beside a card that says where it comes from and what its SHA-256 is.

Nothing in either file is ever executed: safetensors holds numbers only, the card is JSON.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import nn

from specent.errors import ModelError
from specent.files import compare_digest, output_path, sha256, whole_file
from specent.untrusted import json_of_file, read_regular


def card_path(path: Path) -> Path:
    """The card that belongs to a checkpoint: same name, ending in ``.json``."""
    return path.with_suffix(".json")


def checkpoint_path(path: str | Path, *, overwrite: bool = False) -> Path:
    """Check that a checkpoint and its card can be written to `path`, before the network is trained.

    Parameters
    ----------
    path : str or path-like
        The safetensors file.
    overwrite : bool
        Whether existing files may be replaced.

    Returns
    -------
    Path
        The absolute path.

    Raises
    ------
    ModelError
        If the name does not end in ``.safetensors`` or cannot be that of a file, the folder is missing or read-only,
        or the file or its card exists.
    """
    target = output_path(path, ".safetensors", overwrite=overwrite, argument="output", error=ModelError)
    output_path(card_path(target), ".json", overwrite=overwrite, argument="output", error=ModelError)
    return target


def save_checkpoint(net: nn.Module, path: Path, card: dict[str, Any], *, overwrite: bool = False) -> tuple[Path, Path]:
    """Write the weights of `net` and the card (to which the SHA-256 is added), each whole or not at all."""
    data = save({key: value.detach().cpu().contiguous() for key, value in net.state_dict().items()})
    return write_checkpoint(data, path, card, overwrite=overwrite)


def write_checkpoint(data: bytes, path: Path, card: dict[str, Any], *, overwrite: bool = False) -> tuple[Path, Path]:
    """Write a safetensors file and its card (to which the SHA-256 is added), each whole or not at all.

    Both are on the disk before either gets its name, the card last.
    """
    text = json.dumps({**card, "sha256": sha256(data)}, indent=2) + "\n"
    beside = card_path(path)
    how: dict[str, Any] = {"overwrite": overwrite, "argument": "output", "error": ModelError}
    with whole_file(beside, **how) as card_file, whole_file(path, **how) as weights_file:
        card_file.write_text(text, encoding="utf-8")
        weights_file.write_bytes(data)
    return path, beside


def read_card(path: Path) -> dict[str, Any]:
    """The card of the checkpoint at `path`.

    Raises
    ------
    ModelError
        If there is no card or it is not a JSON object with a SHA-256.
    """
    card_file = card_path(path)
    try:
        card = json_of_file(card_file)
    except OSError as error:
        raise ModelError(
            f"no card {card_file} beside the checkpoint ({error.strerror}); it names the settings and the SHA-256"
        ) from error
    except ValueError as error:
        raise ModelError(f"{card_file} is not JSON: {error}") from error
    if not isinstance(card, dict) or not isinstance(card.get("sha256"), str):
        raise ModelError(f"{card_file} is not a card: it must be a JSON object with a 'sha256'")
    return card


def load_checkpoint(net: nn.Module, path: Path, digest: str) -> None:
    """Fill `net` with the weights of a safetensors file, strictly.

    Parameters
    ----------
    net : Module
        The network; names and shapes of its state decide what the file must hold.
    path : Path
        A safetensors file.
    digest : str
        What the file's SHA-256 must be.

    Raises
    ------
    ModelError
        If the file is missing, is not the one named by the digest, is truncated, or has a missing, extra, wrongly
        shaped, non-finite or other than single-precision tensor.
    """
    try:
        data = read_regular(path)
    except OSError as error:
        raise ModelError(f"checkpoint {path} cannot be read: {error.strerror}") from error
    compare_digest(data, digest, f"checkpoint {path}", "fetch or train it again", error=ModelError)
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
