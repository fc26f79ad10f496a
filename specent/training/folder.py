"""The folder of a training run: which files a training wrote, by their contents, and which must never be replaced.

A name alone says nothing: a pipeline of diffusers has the same ones. A folder is that of a training if its card says
so, or its checkpoints have cards. Links are never followed.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

from specent.errors import ModelError
from specent.files import as_path
from specent.models.ddpm_model import CARD as CARD
from specent.models.ddpm_model import UNCONDITIONAL as UNCONDITIONAL
from specent.models.ddpm_model import WEIGHTS as WEIGHTS
from specent.untrusted import json_of_file

CHECKPOINTS, LOSSES, PROFILES = "checkpoints", "loss.csv", "profiles.nc"
PARTS = ("unet", "scheduler", "model_index.json")
MADE_BY = "specent run train_ddpm"

_INSIDE = {
    "unet": re.compile(r"config\.json|diffusion_pytorch_model\.safetensors"),
    "scheduler": re.compile(r"scheduler_config\.json"),
    CHECKPOINTS: re.compile(r"step_\d{8}\.(json|safetensors)|\..*\.tmp"),
}
_FILES = re.compile(r"specent\.json|loss\.csv|profiles\.nc|model_index\.json|samples_\d{7,}\.png|\..*\.tmp")
_MOST_CARD = 2**24


def check_folder(path: str | Path, *, overwrite: bool = False) -> Path:
    """Check that a run can live in a folder: a new one, an empty one, or one of an earlier run.

    Raises
    ------
    ModelError
        If it cannot be created or written to, is a file, or holds files of something else that would be lost.
    """
    folder = as_path(path, "folder", error=ModelError).absolute()
    try:
        if folder.exists() and not folder.is_dir():
            raise ModelError(f"folder={str(path)!r} is a file; give the name of a folder")
        if not folder.parent.is_dir():
            raise ModelError(f"folder={str(path)!r}: the folder {str(folder.parent)!r} does not exist; make it first")
        if folder.is_dir():
            _check_contents(folder, overwrite)
            with tempfile.TemporaryFile(dir=folder):
                pass
        else:
            folder.mkdir()
            folder.rmdir()
    except (OSError, RuntimeError, ValueError) as error:
        raise ModelError(f"folder={str(path)!r} cannot be used ({error}); choose another") from error
    return folder


def _check_contents(folder: Path, overwrite: bool) -> None:
    entries = sorted(entry.name for entry in folder.iterdir())
    strange = foreign_files(folder)
    if not entries:
        return
    if not _is_training(folder) and not _is_unfinished(folder):
        first = (strange or entries)[0]
        raise ModelError(
            f"folder={str(folder)!r} is not empty and no training of specent: it holds other files, {first!r} for one; "
            "choose a new folder"
        )
    # other files may lie beside a training, but not under the names that it will write
    lost = strange if overwrite else [name for name in strange if _own_name(name.partition("/")[0])]
    if lost:
        raise ModelError(
            f"folder={str(folder)!r} holds other files, {lost[0]!r} for one, which would be lost; move them away, or "
            "choose a new folder"
        )


def _own_name(name: str) -> bool:
    return name in (*_INSIDE, UNCONDITIONAL) or _FILES.fullmatch(name) is not None


def foreign_files(folder: Path) -> list[str]:
    """What in a folder is nothing that a training writes: relative names, sorted."""
    names: list[str] = []
    for entry in sorted(folder.iterdir()):
        name = entry.name
        if entry.is_symlink():
            names.append(name)
        elif entry.is_dir():
            names += [f"{name}/{inside}" if inside else name for inside in _foreign_inside(entry)]
        elif not entry.is_file() or not _FILES.fullmatch(name) or (name == CARD and not _is_card(entry)):
            names.append(name)
    return names


def _foreign_inside(inner: Path) -> list[str]:
    """The same of a folder within, where the empty name stands for the folder itself."""
    if inner.name == UNCONDITIONAL or re.fullmatch(r"\..*\.tmp", inner.name):
        return [""] if (inner / UNCONDITIONAL).exists() else foreign_files(inner)
    if inner.name not in _INSIDE:
        return [""]
    allowed = _INSIDE[inner.name]
    return [
        entry.name
        for entry in sorted(inner.iterdir())
        if entry.is_symlink() or not entry.is_file() or not allowed.fullmatch(entry.name)
    ]


def _is_training(folder: Path) -> bool:
    """Whether a card of a network or of a checkpoint says that this is a training."""
    if _is_card(folder / CARD):
        return True
    checkpoints = folder / CHECKPOINTS
    steps = checkpoints.is_dir() and not checkpoints.is_symlink()
    cards = sorted(checkpoints.glob("step_*.json")) if steps else []
    if any({"step", "sha256", "settings"} <= set(_object(card)) for card in cards):
        return True
    free = folder / UNCONDITIONAL
    return free.is_dir() and not free.is_symlink() and not (free / UNCONDITIONAL).exists() and _is_training(free)


def _is_unfinished(folder: Path) -> bool:
    """Whether the folder holds only what a run killed before its first whole checkpoint has written."""
    folders = (folder, folder / UNCONDITIONAL)
    started = any((part / CHECKPOINTS).is_dir() for part in folders)
    later = any((part / name).exists() for part in folders for name in (*PARTS, LOSSES, PROFILES))
    cards = any(any((part / CHECKPOINTS).glob("step_*.json")) for part in folders)
    return started and not later and not cards and not foreign_files(folder)


def _is_card(path: Path) -> bool:
    return _object(path).get("made_by") == MADE_BY


def _object(path: Path) -> dict[str, Any]:
    """The JSON object in a file, empty if there is none."""
    try:
        if path.is_symlink() or not path.is_file() or path.stat().st_size > _MOST_CARD:
            return {}
        content = json_of_file(path)
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def clear(folder: Path) -> None:
    """Remove the files of an earlier run from its folder, and nothing else."""
    others = {name.partition("/")[0] for name in foreign_files(folder)}
    # the card first: without it the other files do not pass for a finished network
    for entry in sorted(folder.iterdir(), key=lambda entry: (entry.name != CARD, entry.name)):
        if entry.name not in others:
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()


def clear_stale(folder: Path) -> None:
    """Remove the temporary files of a process that was killed while it wrote."""
    others = {name.partition("/")[0] for name in foreign_files(folder)}
    for entry in folder.glob(".*.tmp"):
        if entry.name not in others:
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
    for entry in (folder / CHECKPOINTS).glob(".*.tmp"):
        if entry.is_file() and not entry.is_symlink():
            entry.unlink()
