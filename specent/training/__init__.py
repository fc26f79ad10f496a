"""Training of networks: the loops, their checkpoints, and folders of runs.

``edm`` fits the small network of the shipped digits, ``ddpm`` a U-Net on pictures, and ``run`` trains one in a folder
(``folder``), from its last whole checkpoint (``checkpoints``), with pictures of what it has learnt (``samples``). The
names are loaded on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from specent.training.ddpm import DDPMSettings as DDPMSettings
    from specent.training.ddpm import Examples as Examples
    from specent.training.ddpm import Trainer as Trainer
    from specent.training.edm import TrainingSettings as TrainingSettings
    from specent.training.edm import train as train
    from specent.training.folder import check_folder as check_folder
    from specent.training.folder import clear as clear
    from specent.training.run import Intervals as Intervals
    from specent.training.run import train_in_folder as train_in_folder

_HOMES = {
    "DDPMSettings": "ddpm",
    "Examples": "ddpm",
    "Intervals": "run",
    "Trainer": "ddpm",
    "TrainingSettings": "edm",
    "check_folder": "folder",
    "clear": "folder",
    "train": "edm",
    "train_in_folder": "run",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'specent.training' has no attribute {name!r}")
    return getattr(import_module(f"specent.training.{_HOMES[name]}"), name)
