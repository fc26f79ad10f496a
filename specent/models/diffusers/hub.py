"""Pipelines in a folder of this machine, or under a name on the Hugging Face hub.

Only a pipeline that is named is fetched, and only those parts of it that are used: no pickled weights, and no weights
at all before its class is known to be one that can be opened.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from specent import arguments, untrusted
from specent.arguments import brief
from specent.errors import ModelError
from specent.models.outputs import reason

KNOWN = {
    "DDPMPipeline": "pixels",
    "DDIMPipeline": "pixels",
    "UNet2DModel": "pixels",
    "DiTPipeline": "transformer",
    "DiTTransformer2DModel": "transformer",
    "StableDiffusionPipeline": "text",
    "StableDiffusionXLPipeline": "text",
    "StableDiffusion3Pipeline": "text",
}
"""The classes of pipelines and networks that can be opened, and the family of each."""

_INDEX, _CONFIG = "model_index.json", "config.json"
_HUB_NAME, _LONGEST = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*"), 96
# seconds for each address of the hub, of which it has about four
_PATIENCE = 2.5
# parts that no study needs
_LEFT_OUT: dict[str, Any] = {"safety_checker": None, "feature_extractor": None, "image_encoder": None}


@dataclass(frozen=True)
class Source:
    """A pipeline in a folder: its name for archives, its class, and the JSON that lists its parts.

    `argument` is the name of the argument in messages.
    """

    folder: Path
    name: str
    kind: str
    index: Mapping[str, Any]
    variant: str | None = None
    argument: str = "source"

    @property
    def bare(self) -> bool:
        """Whether the folder is that of a network alone."""
        return not self.kind.endswith("Pipeline")

    def __str__(self) -> str:
        return f"{self.argument}={self.name!r} ({self.kind})"


def find_source(
    source: str | Path, argument: str = "source", *, variant: str | None = None, revision: str | None = None,
    local_files_only: bool = False,
) -> Source:  # fmt: skip
    """The pipeline in a local folder or under a name on the hub.

    Parameters
    ----------
    source : str or Path
        A folder, or a name such as ``"google/ddpm-cifar10-32"``. A folder of that name is preferred.
    argument : str
        Name of the argument in messages.
    variant, revision : str, optional
        Variant of the weights; revision on the hub.
    local_files_only : bool
        Whether to use only what was fetched before.

    Returns
    -------
    Source

    Raises
    ------
    ModelError
        If there is neither, the hub cannot be reached, or the class of the pipeline is unknown.
    """
    if not isinstance(source, (str, Path)) or not str(source):
        raise ModelError(f"{argument}={brief(source)} must be a folder or the name of a pipeline on the hub")
    try:
        folder = Path(source).expanduser()
        inside, exists = folder.is_dir(), folder.exists()
    except (OSError, RuntimeError, ValueError):
        folder, inside, exists = Path(), False, False
    if inside:
        name = folder.resolve().name
        kind, index = _described(folder, f"{argument}={brief(name)}")
        return Source(folder, arguments.name(name, argument, error=ModelError), kind, index, variant, argument)
    text = str(source)
    if exists or isinstance(source, Path) or len(text) > _LONGEST or not _HUB_NAME.fullmatch(text):
        what = "is a file" if exists else "is no folder, nor a name of the hub"
        raise ModelError(
            f"{argument}={brief(text)} {what}; give the folder that holds {_INDEX}, or a name such as "
            "'google/ddpm-cifar10-32'"
        )
    folder = _fetched(text, argument, variant, revision, local_files_only)
    kind, index = _described(folder, f"{argument}={text!r}")
    return Source(folder, text, kind, index, variant, argument)


def read_json(path: Path, what: str) -> dict[str, Any]:
    """A JSON object from a file.

    Raises
    ------
    ModelError
        Saying that `what` cannot be read.
    """
    try:
        content = untrusted.json_of_file(path)
    except OSError as error:
        raise ModelError(f"{what}: {path.name} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ModelError(f"{what}: {path.name} is not JSON: {reason(error)}") from error
    if not isinstance(content, dict):
        raise ModelError(f"{what}: {path.name} holds {brief(content)}, not a JSON object")
    return content


def _described(folder: Path, what: str) -> tuple[str, dict[str, Any]]:
    """Class of the pipeline or network in a folder, and the JSON that says so."""
    file = next((folder / name for name in (_INDEX, _CONFIG) if (folder / name).is_file()), None)
    if file is None:
        raise ModelError(
            f"{what} holds neither {_INDEX} nor {_CONFIG}; give the folder that save_pretrained of diffusers wrote"
        )
    index = read_json(file, what)
    return _known(index.get("_class_name"), what), index


def _known(kind: object, what: str) -> str:
    if not isinstance(kind, str) or kind not in KNOWN:
        raise ModelError(
            f"{what} is a {brief(kind)}, which is not known; known are {', '.join(KNOWN)}. Any other network "
            "can be wrapped with specent.models.network(...), see docs/bring_your_own.md"
        )
    return kind


def _fetched(name: str, argument: str, variant: str | None, revision: str | None, local: bool) -> Path:
    """Folder of a pipeline of the hub, which is fetched unless it is on this machine already."""
    from diffusers import DiffusionPipeline
    from huggingface_hub import hf_hub_download, snapshot_download
    from huggingface_hub.errors import EntryNotFoundError

    # the hub's library would try again for a minute
    silent = not local and not _reachable()
    options: dict[str, Any] = {"revision": revision, "local_files_only": local or silent}
    try:
        try:
            file = Path(hf_hub_download(name, _INDEX, **options))
        except EntryNotFoundError:
            file = Path(hf_hub_download(name, _CONFIG, **options))
        # before its weights are
        _described(file.parent, f"{argument}={name!r}")
        if file.name == _CONFIG:
            patterns = ["*.json", "*.safetensors", "scheduler/*.json"]
            return Path(snapshot_download(name, allow_patterns=patterns, **options))
        more = {**options, **_LEFT_OUT, "variant": variant}
        return Path(DiffusionPipeline.download(name, use_safetensors=True, **more))
    except ModelError:
        raise
    except Exception as error:
        cause = "the hub does not answer" if silent else reason(error)
        raise ModelError(
            f"{argument}={name!r} is no folder here, and cannot be "
            f"{'found among what was fetched before' if local else 'fetched from the hub'} ({cause}). Where the "
            f"hub can be reached run `hf download {name} --local-dir FOLDER` (`huggingface-cli download` in older "
            "versions), then pass FOLDER; a gated model wants `hf auth login` first"
        ) from error


def _reachable() -> bool:
    """Whether the hub answers at all."""
    from huggingface_hub import constants, get_session

    try:
        get_session().head(constants.ENDPOINT, timeout=_PATIENCE)
    except Exception:
        # whatever the reason, a copy that was fetched before can still be used
        return False
    return True
