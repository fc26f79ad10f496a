"""Parts of a pipeline from its folder: configurations as JSON, weights as safetensors, nothing that could run.

Only the classes listed here are created. Pickled weights are refused, and so is a part whose file lacks a tensor, which
the libraries would fill with random numbers.
"""

from __future__ import annotations

import hashlib
import importlib
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from tqdm.auto import tqdm

from specent.arguments import brief
from specent.errors import ModelError
from specent.models.diffusers.hub import Source, read_json
from specent.models.outputs import reason

LIBRARIES = {
    "UNet2DModel": "diffusers",
    "DiTTransformer2DModel": "diffusers",
    # the class that the published DiT name
    "Transformer2DModel": "diffusers",
    "UNet2DConditionModel": "diffusers",
    "SD3Transformer2DModel": "diffusers",
    "AutoencoderKL": "diffusers",
    "CLIPTextModel": "transformers",
    "CLIPTextModelWithProjection": "transformers",
    "T5EncoderModel": "transformers",
    "CLIPTokenizer": "transformers",
    "CLIPTokenizerFast": "transformers",
    "T5Tokenizer": "transformers",
    "T5TokenizerFast": "transformers",
}
"""The classes of parts that are created, and the library of each."""

_RENAMED = {"Transformer2DModel": "DiTTransformer2DModel", "CLIPTokenizerFast": "CLIPTokenizer"}
# files of a tokeniser, one set of which is needed
_VOCABULARIES = (("tokenizer.json",), ("vocab.json", "merges.txt"), ("spiece.model",))
# bytes that take seconds to read
_LARGE = 2**29


@contextmanager
def quiet() -> Iterator[None]:
    """Context in which diffusers and transformers log nothing, because errors are raised, and draw no progress bars."""
    import diffusers
    import transformers

    loggers = [logging.getLogger(library.__name__) for library in (diffusers, transformers)]
    before = [logger.level for logger in loggers]
    kinds = [library.utils.logging for library in (diffusers, transformers)]
    drawing = [kind for kind in kinds if kind.is_progress_bar_enabled()]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    for kind in drawing:
        kind.disable_progress_bar()
    try:
        yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)
        for kind in drawing:
            kind.enable_progress_bar()


def part_class(source: Source, part: str, allowed: tuple[str, ...]) -> str | None:
    """Name of the class of a part, which must be one of those allowed; None if the pipeline has no such part."""
    if part == "":
        return allowed[0]
    entry = source.index.get(part)
    if entry is None or (isinstance(entry, list) and entry[:1] == [None]):
        return None
    name = entry[1] if isinstance(entry, list) and len(entry) == 2 else entry
    if name not in allowed:
        raise ModelError(
            f"{source}: its {part} is {brief(name)}, but only {' and '.join(allowed)} can be used there; wrap "
            "the network with specent.models.network(...), see docs/bring_your_own.md"
        )
    return str(name)


def load_part(source: Source, part: str, *allowed: str) -> Any:
    """A network of a pipeline in single precision, in evaluation mode.

    Parameters
    ----------
    source : Source
        The pipeline.
    part : str
        Name of the part, or ``""`` if the folder is that of the network itself.
    *allowed : str
        Names of the classes it may have, of `LIBRARIES`.

    Returns
    -------
    Module or None
        None if the pipeline has no such part.

    Raises
    ------
    ModelError
        If the part is of another class, its weights are missing, pickled or damaged, or lack a tensor.
    """
    name = part_class(source, part, allowed)
    if name is None:
        return None
    first = weight_files(source, part)[0]
    _check_config(source, part)
    plain = _weights_of("").fullmatch(first.name)
    with quiet():
        kind = getattr(importlib.import_module(LIBRARIES[name]), _RENAMED.get(name, name))
        try:
            net, report = kind.from_pretrained(
                first.parent, use_safetensors=True, variant=None if plain else source.variant, local_files_only=True,
                dtype=torch.float32, output_loading_info=True,
            )  # fmt: skip
        except Exception as error:
            raise ModelError(
                f"{source}: {part or 'the network'} cannot be loaded as {name}: {reason(error)}"
            ) from error
    missing = sorted(report["missing_keys"])
    if missing:
        raise ModelError(
            f"{source}: the weights of {part or 'the network'} lack {len(missing)} tensors of a {name}, "
            f"{brief(missing[0])} among them; fetch or convert the file again"
        )
    return net.eval()


def load_tokeniser(source: Source, part: str, *allowed: str) -> Any:
    """A tokeniser of a pipeline; None if there is none.

    Raises
    ------
    ModelError
        If it is of another class or its files are missing or cannot be read.
    """
    name = part_class(source, part, allowed)
    if name is None:
        return None
    # without its words the library creates a tokeniser that knows none, for which all prompts are equal
    folder = source.folder / part
    if not any(all((folder / file).is_file() for file in files) for files in _VOCABULARIES):
        raise ModelError(
            f"{source} lacks the files of its tokenizer in the folder {part}/ "
            f"({', or '.join(' and '.join(files) for files in _VOCABULARIES)}); fetch it again, whole"
        )
    with quiet():
        kind = getattr(importlib.import_module(LIBRARIES[name]), _RENAMED.get(name, name))
        try:
            return kind.from_pretrained(part_folder(source, part), local_files_only=True)
        except Exception as error:
            raise ModelError(f"{source}: {part} cannot be loaded as {name}: {reason(error)}") from error


def part_folder(source: Source, part: str) -> Path:
    """Folder of a part; in old pipelines of a single network it is the outermost."""
    inside = source.folder / part
    return inside if part and inside.is_dir() else source.folder


def _check_config(source: Source, part: str) -> None:
    """Refuse a part whose configuration is missing or cannot be read."""
    folder = part_folder(source, part)
    file = folder.relative_to(source.folder) / "config.json"
    if not (folder / "config.json").is_file():
        raise ModelError(
            f"{source} has no {file.as_posix()}, which says how the network is built; fetch it again, whole"
        )
    kind = read_json(folder / "config.json", f"{source}: {part or 'the network'}").get("_class_name", "")
    if not isinstance(kind, str):
        raise ModelError(
            f"{source}: {file.as_posix()}: _class_name={brief(kind)} must be the name of a class; fetch it again"
        )


def weight_files(source: Source, part: str) -> list[Path]:
    """The safetensors files of a part: those of the variant, or the plain ones if the part has no such variant.

    Raises
    ------
    ModelError
        If there are none; the message says what to do with pickled weights, or with those of another variant.
    """
    folder = part_folder(source, part)
    # a link whose target was deleted is no file
    names = sorted(path.name for path in folder.iterdir() if path.is_file()) if folder.is_dir() else []
    for variant in (source.variant, None):
        pattern = _weights_of(re.escape(f".{variant}") if variant else "")
        files = [folder / name for name in names if pattern.fullmatch(name)]
        if files:
            return files
    where = f"{source}: {part or 'the network'}"
    others = sorted({name.split(".")[1].split("-")[0] for name in names if _weights_of(r"\.\w+").fullmatch(name)})
    if others:
        raise ModelError(f"{where} has weights of the variant {others[0]!r} only; pass variant={others[0]!r}")
    pickled = [name for name in names if name.endswith((".bin", ".ckpt", ".pt", ".pth"))]
    if pickled:
        raise ModelError(
            f"{where} has pickled weights only ({pickled[0]}), which can run code and are not read; if you trust them, "
            "load the part once with diffusers' or transformers' from_pretrained(folder, use_safetensors=False) and "
            "write it with save_pretrained(folder), which makes a .safetensors file"
        )
    raise ModelError(f"{where} has no weights (*.safetensors) in its folder; fetch it again, whole")


def _weights_of(variant: str) -> re.Pattern[str]:
    """Pattern of the names of weight files, single or one of several; `variant` is a pattern too."""
    return re.compile(rf"(diffusion_pytorch_)?model{variant}(-\d+-of-\d+)?\.safetensors")


def digests(source: Source, *parts: str) -> dict[str, str]:
    """SHA-256 of every weight file of the parts, by its path in the pipeline."""
    files = [(part, path) for part in parts for path in weight_files(source, part)]
    total = sum(path.stat().st_size for _, path in files)
    sums = {}
    with tqdm(total=total, desc="sha256", unit="B", unit_scale=True, disable=total < _LARGE, mininterval=1.0) as bar:
        for part, path in files:
            digest = hashlib.sha256()
            with path.open("rb") as stream:
                while block := stream.read(2**22):
                    digest.update(block)
                    bar.update(len(block))
            sums[f"{part}/{path.name}" if part else path.name] = digest.hexdigest()
    return sums
