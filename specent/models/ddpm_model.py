"""The networks that ``specent run train_ddpm`` leaves in a folder, opened with their labels and null condition."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from specent import arguments
from specent.arguments import brief
from specent.errors import ModelError
from specent.files import compare_digest
from specent.models.ddpm_network import need_diffusers
from specent.models.network import NetworkModel
from specent.untrusted import json_of_file

_HINT = "train it again, or fetch the whole folder"

# what a finished training leaves in its folder; `specent.training.folder` writes it
CARD = "specent.json"
WEIGHTS = Path("unet") / "diffusion_pytorch_model.safetensors"
UNCONDITIONAL = "unconditional"


def ddpm(folder: str | os.PathLike[str]) -> NetworkModel:
    """Open a DDPM of ``specent run train_ddpm``.

    Parameters
    ----------
    folder : str or path-like
        The folder of the training, with the card ``specent.json``. Other pipelines of diffusers are opened by
        `specent.models.pipeline`.

    Returns
    -------
    NetworkModel
        With the labels of the data and their frequencies as prior, a trained null condition, and the schedule of
        linear betas with times 0 .. 999. Pixels run from -1 to 1.

    Raises
    ------
    ModelError
        If the training is not finished, the card does not serve, or the weights are not those it names.

    Examples
    --------
    >>> ddpm("no such folder")
    Traceback (most recent call last):
    specent.errors.ModelError: folder='no such folder' is no folder; pass the output of specent run train_ddpm
    """
    # the pipelines are many modules, which only who opens one has to load
    from specent.models.diffusers.hub import find_source
    from specent.models.diffusers.options import Options
    from specent.models.diffusers.pipeline_model import PipelineModel
    from specent.models.diffusers.pixels import open_pixels

    need_diffusers()
    path = _folder(folder)
    card = _card(path)
    try:
        labels = arguments.names(card["labels"], "labels", error=ModelError)
        prior = arguments.array(card["label_prior"], "label_prior", error=ModelError)
        name = arguments.name(card["name"], "name", error=ModelError)
        null, data = (
            card["null"],
            arguments.instance(card["data"], dict, "data", "give a JSON object", error=ModelError),
        )
        facts = {"data": {"name": data.get("name"), "sha256": data.get("sha256")}, "training": card["settings"]}
    except KeyError as error:
        raise ModelError(f"{path / CARD} lacks {error}; {_HINT}") from error
    except ModelError as error:
        raise ModelError(f"{path / CARD} does not serve: {error}; {_HINT}") from error
    if null not in ("embedding", "network"):
        raise ModelError(f"{path / CARD}: null={brief(null)}; open the folder of the network with labels")
    free = path / UNCONDITIONAL if null == "network" else None
    if free is not None:
        _card(free)
    options = Options(
        labels=labels,
        null=True if free is None else None,
        unconditional=None if free is None else find_source(free, "unconditional"),
    )
    opened = open_pixels(find_source(path), options)
    return PipelineModel(replace(opened, facts={**opened.facts, **facts}), name, prior)


def _folder(folder: Any) -> Path:
    if not isinstance(folder, (str, os.PathLike)):
        raise ModelError(f"folder={brief(folder)} is a {type(folder).__name__}; pass the path of a training")
    try:
        path = Path(folder).expanduser()
        exists = path.is_dir()
    except (OSError, RuntimeError, ValueError) as error:
        raise ModelError(f"folder={brief(folder)} cannot be the name of a folder ({error})") from error
    if not exists:
        raise ModelError(f"folder={str(path)!r} is no folder; pass the output of specent run train_ddpm")
    return path


def _card(path: Path) -> dict[str, Any]:
    """The card of a finished network, whose weights it names."""
    file = path / CARD
    try:
        card = json_of_file(file)
    except FileNotFoundError as error:
        hint = "its training is not finished; run it again to go on" if (path / "checkpoints").is_dir() else (
            "it is no output of specent run train_ddpm; other pipelines are opened by specent.models.pipeline"
        )  # fmt: skip
        raise ModelError(f"folder={str(path)!r} has no {CARD}: {hint}") from error
    except (OSError, ValueError) as error:
        raise ModelError(f"{file} cannot be read as JSON ({error}); {_HINT}") from error
    if not isinstance(card, dict):
        raise ModelError(f"{file} is not a card: it must be a JSON object; {_HINT}")
    compare_digest(path / WEIGHTS, card.get("sha256"), str(path / WEIGHTS), _HINT, error=ModelError)
    return card


def is_ddpm(folder: str | os.PathLike[str]) -> bool:
    """Whether a folder holds a card of a training."""
    try:
        return (Path(folder).expanduser() / CARD).is_file()
    except (OSError, RuntimeError, ValueError):
        return False
