"""Checkpoints of a training run: one safetensors file with all its tensors, and a card that vouches for it.

The card is written last. A file without a card, or with another SHA-256 than the card says, was not finished or is
damaged, and the one before is used: the newest two stay. Nothing in either is ever executed.
"""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from specent.errors import ModelError, SpecentWarning
from specent.files import compare_digest, sha256, write_whole
from specent.untrusted import json_of_file, read_regular

NEWEST = 2
_NAME = re.compile(r"step_(\d{8})\.json")


class Checkpoint(NamedTuple):
    """A whole checkpoint: after how many steps, its tensors, and what its card says."""

    step: int
    tensors: dict[str, Tensor]
    card: dict[str, Any]


def write_step(folder: Path, step: int, tensors: Mapping[str, Tensor], card: Mapping[str, Any]) -> Path:
    """Write a checkpoint, whole or not at all, and remove all but the newest two.

    Parameters
    ----------
    folder : Path
        Existing folder of the checkpoints.
    step : int
        Steps done.
    tensors : mapping of str to Tensor
        Whatever is needed to go on.
    card : mapping
        What else is to be known, JSON serialisable.

    Returns
    -------
    Path
        The safetensors file.
    """
    path = folder / f"step_{step:08d}.safetensors"
    data = save({key: value.detach().cpu().contiguous() for key, value in tensors.items()})
    text = json.dumps({**card, "step": step, "sha256": sha256(data)}, indent=2) + "\n"
    write_whole(data, path, overwrite=True, error=ModelError)
    write_whole(text, path.with_suffix(".json"), overwrite=True, error=ModelError)
    newest_cards = [card for number, card in _cards(folder) if number <= step][:NEWEST]
    # those of a later step were damaged, or the training would have gone on from there
    for _, old in _cards(folder):
        if old not in newest_cards:
            # the card first: weights without a card do not count
            old.unlink(missing_ok=True)
            old.with_suffix(".safetensors").unlink(missing_ok=True)
    return path


def newest(folder: Path) -> Checkpoint | None:
    """The newest whole checkpoint of a folder, None if there is none at all.

    Raises
    ------
    ModelError
        If there are checkpoints, but none of them is whole.

    Warns
    -----
    SpecentWarning
        If a newer one was passed over because it is damaged.
    """
    cards = _cards(folder)
    problems = []
    for step, card in cards:
        try:
            checkpoint = _read(step, card)
        except ModelError as error:
            problems.append(str(error))
            continue
        if problems:
            text = f"{'; '.join(problems)}; the training goes on from step {step}, which is whole"
            warnings.warn(text, SpecentWarning, stacklevel=2)
        return checkpoint
    if problems:
        raise ModelError(f"no checkpoint is whole: {'; '.join(problems)}; start again with overwrite=True")
    return None


def _cards(folder: Path) -> list[tuple[int, Path]]:
    """Steps and cards of a folder, the newest first."""
    if not folder.is_dir():
        return []
    matches = [(match, entry) for entry in folder.iterdir() if (match := _NAME.fullmatch(entry.name))]
    return sorted(((int(match[1]), entry) for match, entry in matches), reverse=True)


def _read(step: int, path: Path) -> Checkpoint:
    file = path.with_suffix(".safetensors")
    try:
        card = json_of_file(path)
        data = read_regular(file)
    except OSError as error:
        raise ModelError(f"{path.with_suffix('')} cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise ModelError(f"{path} is not JSON ({error})") from error
    if not isinstance(card, dict) or card.get("step") != step:
        raise ModelError(f"{path} is not the card of step {step}")
    compare_digest(data, card.get("sha256"), str(file), "an older checkpoint may serve", error=ModelError)
    try:
        return Checkpoint(step, load(data), card)
    except (SafetensorError, ValueError, KeyError) as error:
        raise ModelError(f"{file} is not a whole safetensors file ({error})") from error


def optimiser_tensors(optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """State of an optimiser as tensors, by index of the parameter and name."""
    state = optimiser.state_dict()["state"]
    return {f"optimiser.{index}.{key}": value for index, entry in state.items() for key, value in entry.items()}


def restore(checkpoint: Checkpoint, net: nn.Module, average: nn.Module, optimiser: torch.optim.Optimizer) -> None:
    """Fill networks and optimiser from a checkpoint, strictly.

    Raises
    ------
    ModelError
        If a tensor is missing, left over, of another shape or type, or holds a NaN or an infinity.
    """
    parameters = list(net.parameters())
    expected = {
        **{f"net.{key}": value for key, value in net.state_dict().items()},
        **{f"average.{key}": value for key, value in average.state_dict().items()},
        "losses": torch.empty(checkpoint.step),
    }
    for index, parameter in enumerate(parameters):
        expected[f"optimiser.{index}.step"] = torch.zeros(())
        expected |= {f"optimiser.{index}.{name}": parameter for name in ("exp_avg", "exp_avg_sq")}
    tensors = checkpoint.tensors
    problem = f"the checkpoint of step {checkpoint.step} does not fit"
    for key in sorted(set(expected) ^ set(tensors)):
        raise ModelError(f"{problem}: {key!r} is {'missing' if key in expected else 'unknown'}")
    for key, like in expected.items():
        tensor = tensors[key]
        if tensor.shape != like.shape or tensor.dtype != like.dtype:
            raise ModelError(
                f"{problem}: {key!r} has shape {tuple(tensor.shape)} and type {tensor.dtype}, not "
                f"{tuple(like.shape)} and {like.dtype}"
            )
    refuse_infinite(tensors)
    for key, value in tensors.items():
        if key.endswith(".exp_avg_sq") and bool((value < 0).any()):
            raise ModelError(f"{problem}: {key!r} is a mean of squares, but holds a negative number")
        if key.startswith("optimiser.") and key.endswith(".step") and float(value) != checkpoint.step:
            raise ModelError(f"{problem}: {key!r} is {float(value):g}, not {checkpoint.step}")
    net.load_state_dict({key: tensors[f"net.{key}"] for key in net.state_dict()}, strict=True)
    average.load_state_dict({key: tensors[f"average.{key}"] for key in average.state_dict()}, strict=True)
    state = {
        index: {name: tensors[f"optimiser.{index}.{name}"] for name in ("step", "exp_avg", "exp_avg_sq")}
        for index in range(len(parameters))
    }
    optimiser.load_state_dict({**optimiser.state_dict(), "state": state})


def refuse_infinite(tensors: Mapping[str, Tensor]) -> None:
    """Refuse tensors that hold a NaN or an infinity, by name."""
    for key, value in tensors.items():
        if not torch.isfinite(value).all():
            raise ModelError(
                f"the tensor {key!r} holds a NaN or an infinity; start again with overwrite=True, or lower "
                "learning_rate"
            )
