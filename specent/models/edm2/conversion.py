"""Networks in files: both forms are read, and the published one is converted to safetensors.

A converted file has the same numbers under the same names, in half precision as published. The card beside it has the
sizes of the network, its source, and the SHA-256 of both files.
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
from specent.models.edm2.pickles import StoredNetwork, check_state, read_pickle
from specent.models.edm2.presets import preset_name
from specent.untrusted import read_regular

LICENCE = "the weights keep the licence under which they were published; see where the source was fetched"


def read_network(path: Path, argument: str = "source") -> StoredNetwork:
    """The network in a file of either form.

    Parameters
    ----------
    path : Path
        A published ``.pkl``, or a ``.safetensors`` that `convert` wrote.
    argument : str
        Name of the argument in messages.

    Returns
    -------
    StoredNetwork

    Raises
    ------
    ModelError
        If the file is damaged, has no EDM2 network in it, or is not the one that its card describes.
    """
    return read_pickle(path, argument) if path.suffix == ".pkl" else _read_converted(path, argument)


def convert(source: str | Path, output: str | Path, *, overwrite: bool = False) -> tuple[Path, Path]:
    """Convert a published pickle to safetensors, without running anything in it.

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
        If the source is no EDM2 network, or the output cannot be written. No partial file remains.
    """
    try:
        path = Path(source).expanduser()
        is_pickle = path.is_file() and path.suffix == ".pkl"
    except (OSError, RuntimeError, TypeError, ValueError):
        is_pickle = False
    if not is_pickle:
        raise ModelError(f"source={str(source)!r} is no file ending in .pkl; pass a published EDM2 network")
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


def _read_converted(path: Path, argument: str) -> StoredNetwork:
    what = f"{argument}={path.name!r}"
    card = read_card(path)
    try:
        data = read_regular(path)
    except OSError as error:
        raise ModelError(f"{what} cannot be read: {error.strerror}") from error
    compare_digest(data, card["sha256"], what, "convert it again", error=ModelError)
    config = _config(card, what)
    try:
        state = load(data)
    except (SafetensorError, ValueError, KeyError) as error:
        raise ModelError(f"{what} is not a whole safetensors file: {error}") from error
    check_state(state, config, what)
    return StoredNetwork(state, config, card["sha256"])


def _config(card: dict[str, Any], what: str) -> Config:
    fields = card.get("config")
    try:
        if card.get("name") != "edm2" or not isinstance(fields, dict):
            raise ModelError("it does not describe an EDM2 network")
        return Config(**fields)
    except (ModelError, TypeError) as error:
        raise ModelError(f"the card of {what}: {error}; convert the published file again") from error
