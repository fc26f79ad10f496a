"""The folder of a training run: what in it is ours, by its contents, and what must never be replaced or removed.

A name alone says nothing: a pipeline of diffusers has the same ones. A folder is that of a training if its card says
so, or its checkpoints have cards. Links are never followed.
"""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

from specent.errors import ModelError
from specent.models.ddpm_model import CARD as CARD
from specent.models.ddpm_model import UNCONDITIONAL as UNCONDITIONAL
from specent.models.ddpm_model import WEIGHTS as WEIGHTS

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
        If it cannot be made or written to, is a file, or holds files of something else that would be lost.
    """
    try:
        folder = Path(path).expanduser().absolute()
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
    strange = foreign(folder)
    if not entries:
        return
    if not _known(folder) and not _begun(folder):
        first = (strange or entries)[0]
        raise ModelError(
            f"folder={str(folder)!r} is not empty and no training of specent: it holds other files, {first!r} for one; "
            "choose a new folder"
        )
    # beside a training other files may lie, but not where it will write
    lost = strange if overwrite else [name for name in strange if _own_name(name.partition("/")[0])]
    if lost:
        raise ModelError(
            f"folder={str(folder)!r} holds other files, {lost[0]!r} for one, which would be lost; move them away, or "
            "choose a new folder"
        )


def _own_name(name: str) -> bool:
    return name in (*_INSIDE, UNCONDITIONAL) or _FILES.fullmatch(name) is not None


def foreign(folder: Path) -> list[str]:
    """What in a folder is nothing that a training writes: relative names, sorted."""
    found: list[str] = []
    for entry in sorted(folder.iterdir()):
        name = entry.name
        if entry.is_symlink():
            found.append(name)
        elif entry.is_dir():
            found += [f"{name}/{inside}" if inside else name for inside in _foreign_inside(entry)]
        elif not entry.is_file() or not _FILES.fullmatch(name) or (name == CARD and not _is_card(entry)):
            found.append(name)
    return found


def _foreign_inside(place: Path) -> list[str]:
    """The same of a folder within, where the empty name stands for the folder itself."""
    if place.name == UNCONDITIONAL or re.fullmatch(r"\..*\.tmp", place.name):
        return [""] if (place / UNCONDITIONAL).exists() else foreign(place)
    if place.name not in _INSIDE:
        return [""]
    allowed = _INSIDE[place.name]
    return [
        entry.name
        for entry in sorted(place.iterdir())
        if entry.is_symlink() or not entry.is_file() or not allowed.fullmatch(entry.name)
    ]


def _known(folder: Path) -> bool:
    """Whether a card of a network or of a checkpoint says that this is a training."""
    if _is_card(folder / CARD):
        return True
    place = folder / CHECKPOINTS
    cards = sorted(place.glob("step_*.json")) if place.is_dir() and not place.is_symlink() else []
    if any({"step", "sha256", "settings"} <= set(_object(card)) for card in cards):
        return True
    free = folder / UNCONDITIONAL
    return free.is_dir() and not free.is_symlink() and not (free / UNCONDITIONAL).exists() and _known(free)


def _begun(folder: Path) -> bool:
    """Whether this is all that a run leaves that was killed before its first checkpoint was whole."""
    places = (folder, folder / UNCONDITIONAL)
    started = any((place / CHECKPOINTS).is_dir() for place in places)
    later = any((place / name).exists() for place in places for name in (*PARTS, LOSSES, PROFILES))
    cards = any(any((place / CHECKPOINTS).glob("step_*.json")) for place in places)
    return started and not later and not cards and not foreign(folder)


def _is_card(path: Path) -> bool:
    return _object(path).get("made_by") == MADE_BY


def _object(path: Path) -> dict[str, Any]:
    """The JSON object in a file, empty if there is none."""
    try:
        if path.is_symlink() or not path.is_file() or path.stat().st_size > _MOST_CARD:
            return {}
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def clear(folder: Path) -> None:
    """Remove what an earlier run left in its folder, and nothing else."""
    kept = {name.partition("/")[0] for name in foreign(folder)}
    # the card first: without it nothing that is left passes for a finished network
    for entry in sorted(folder.iterdir(), key=lambda entry: (entry.name != CARD, entry.name)):
        if entry.name not in kept:
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()


def clear_stale(folder: Path) -> None:
    """Remove what a process left that was killed while it wrote."""
    kept = {name.partition("/")[0] for name in foreign(folder)}
    for entry in folder.glob(".*.tmp"):
        if entry.name not in kept:
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
    for entry in (folder / CHECKPOINTS).glob(".*.tmp"):
        if entry.is_file() and not entry.is_symlink():
            entry.unlink()
