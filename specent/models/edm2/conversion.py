"""Networks in files: read from either form, and converted from the published one to safetensors.

A converted file holds the same numbers under the same names, in half precision as published, beside a card with its
sizes, where it came from, and both SHA-256.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load, save

from specent.errors import ModelError
from specent.files import compare_digest
from specent.models.checkpoint import checkpoint_path, read_card, write_checkpoint
from specent.models.edm2.architecture import Config
from specent.models.edm2.pickles import Stored, check_state, read_pickle
from specent.models.edm2.presets import preset_name

LICENCE = "the weights keep the licence under which they were published; see where the source was fetched"


def read(path: Path, argument: str = "source") -> Stored:
    """The network in a file of either form.

    Parameters
    ----------
    path : Path
        A published ``.pkl``, or a ``.safetensors`` that `convert` made.
    argument : str
        What to call it in messages.

    Returns
    -------
    Stored

    Raises
    ------
    ModelError
        If the file is damaged, holds something else, or is not the one that its card names.
    """
    return read_pickle(path, argument) if path.suffix == ".pkl" else _read_converted(path, argument)


def convert(source: str | Path, output: str | Path, *, overwrite: bool = False) -> tuple[Path, Path]:
    """Turn a published pickle into safetensors, without running anything in it.

    Parameters
    ----------
    source : str or Path
        The published file, ending in ``.pkl``.
    output : str or Path
        File to write, ending in ``.safetensors``; its card is written beside it, ending in ``.json``.
    overwrite : bool
        Whether to replace existing files.

    Returns
    -------
    tuple of Path
        The file and its card.

    Raises
    ------
    ModelError
        If the source is no EDM2 network, or the output cannot be written. Nothing half written is left.
    """
    try:
        path = Path(source).expanduser()
        found = path.is_file() and path.suffix == ".pkl"
    except (OSError, RuntimeError, TypeError, ValueError):
        found = False
    if not found:
        raise ModelError(f"source={str(source)!r} is no file ending in .pkl; give a published EDM2 network")
    target = checkpoint_path(output, overwrite=overwrite)
    stored = read_pickle(path)
    data = save({key: value.contiguous() for key, value in stored.state.items()})
    card = {
        "name": "edm2",
        "preset": preset_name(stored.config),
        "config": stored.config.as_dict(),
        "source": {"file": path.name, "sha256": stored.sha256},
        "licence": LICENCE,
    }
    return write_checkpoint(data, target, card, overwrite=overwrite)


def _read_converted(path: Path, argument: str) -> Stored:
    what = f"{argument}={path.name!r}"
    card = read_card(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ModelError(f"{what} cannot be read: {error.strerror}") from error
    compare_digest(data, card["sha256"], what, "convert it again", error=ModelError)
    config = _config(card, what)
    try:
        state = load(data)
    except (SafetensorError, ValueError, KeyError) as error:
        raise ModelError(f"{what} is not a whole safetensors file: {error}") from error
    check_state(state, config, what)
    return Stored(state, config, card["sha256"])


def _config(card: dict[str, Any], what: str) -> Config:
    fields = card.get("config")
    try:
        if card.get("name") != "edm2" or not isinstance(fields, dict):
            raise ModelError("it is not that of an EDM2 network")
        return Config(**fields)
    except (ModelError, TypeError) as error:
        raise ModelError(f"the card of {what}: {error}; convert the published file again") from error
