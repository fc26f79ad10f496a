"""A training run in a folder: resumed if it was cut off, with its losses, samples, and the trained network.

The folder of a finished network is a pipeline of diffusers (``model_index.json``, ``unet/``, ``scheduler/``) with the
card ``specent.json``, which is written last.
"""

from __future__ import annotations

import copy
import json
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from specent.errors import ModelError
from specent.files import sha256, sync_folder, write_whole
from specent.images.pictures import write_grid
from specent.models import ddpm_network
from specent.training.checkpoints import refuse_infinite
from specent.training.ddpm import Examples, Trainer
from specent.training.folder import CARD as CARD
from specent.training.folder import CHECKPOINTS as CHECKPOINTS
from specent.training.folder import LOSSES, PARTS, clear_stale
from specent.training.folder import PROFILES as PROFILES
from specent.training.folder import UNCONDITIONAL as UNCONDITIONAL
from specent.training.folder import WEIGHTS as WEIGHTS
from specent.training.folder import check_folder as check_folder
from specent.training.folder import clear as clear
from specent.training.samples import draw_pictures

_MOST_ROWS = 16
_COLUMNS = 8
_MOST_LINES = 20_000


@dataclass(frozen=True)
class Intervals:
    """Steps between two checkpoints, and between two pictures of samples (0 for none)."""

    checkpoints: int = 1000
    samples: int = 1000


def train_in_folder(
    folder: Path, trainer: Trainer, intervals: Intervals, card: Mapping[str, Any], progress: bool = True
) -> Path:
    """Train in a folder, from its last whole checkpoint if it has one, and leave the trained network there.

    Parameters
    ----------
    folder : Path
        Made if it does not exist.
    trainer : Trainer
        A new run.
    intervals : Intervals
        How often checkpoints and samples are written.
    card : mapping
        Further entries of the card of the network.
    progress : bool
        Whether to show a progress bar.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    ModelError
        If the folder holds a run of other settings or data, or the loss stops being finite.
    """
    steps = trainer.settings.steps
    trainer.resume(folder / CHECKPOINTS)
    try:
        (folder / CHECKPOINTS).mkdir(parents=True, exist_ok=True)
        clear_stale(folder)
    except OSError as error:
        raise ModelError(f"folder={str(folder)!r} cannot be used ({error}); choose another") from error

    def after(step: int) -> None:
        last = step == steps
        if last or step % intervals.checkpoints == 0:
            trainer.save(folder / CHECKPOINTS)
            write_losses(folder / LOSSES, trainer.losses, steps)
        if intervals.samples and (last or step % intervals.samples == 0):
            write_samples(folder / f"samples_{step:07d}.png", trainer)

    trainer.run(after, progress, name=f"training {folder.name}")
    write_losses(folder / LOSSES, trainer.losses, steps)
    return publish(folder, trainer, card)


def write_losses(path: Path, losses: NDArray[np.float32], steps: int) -> Path:
    """The curve of losses as text: of every step, or in long runs the mean over a few of them, ending at `step`."""
    stride = -(-steps // _MOST_LINES)
    ends = np.arange(stride, len(losses) + 1, stride)
    means = losses[: len(ends) * stride].astype(np.float64).reshape(-1, stride).mean(axis=1)
    rows = [f"{end},{mean:.9g}" for end, mean in zip(ends, means, strict=True)]
    return write_whole("\n".join(["step,loss", *rows]) + "\n", path, overwrite=True, error=ModelError)


def write_samples(path: Path, trainer: Trainer) -> Path:
    """Samples of the averaged network as a picture: a row per condition, the null one last."""
    examples, shape = trainer.examples, tuple(trainer.examples.images.shape[1:])
    rows = None if examples.embeddings is None else _rows(examples)
    pictures = draw_pictures(trainer.average, rows, _COLUMNS, shape, trainer.settings.seed, trainer.device)
    # small pictures are enlarged, so that there is something to see
    return write_grid(path, pictures, _COLUMNS, scale=max(1, 32 // shape[-1]))


def _rows(examples: Examples) -> list[int]:
    known = [i for i in range(examples.embeddings or 0) if i != examples.null][:_MOST_ROWS]
    return known if examples.null is None else [*known, examples.null]


def publish(folder: Path, trainer: Trainer, card: Mapping[str, Any]) -> Path:
    """Put the averaged network into the folder as a pipeline of diffusers, the card last."""
    from diffusers import DDPMPipeline

    refuse_infinite({f"average.{key}": value for key, value in trainer.average.state_dict().items()})
    (folder / CARD).unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(prefix=".", suffix=".tmp", dir=folder) as temporary:
        fresh = Path(temporary)
        # a GPU keeps weights in another order, which files of them do not know
        net = copy.deepcopy(trainer.average).cpu().to(memory_format=torch.contiguous_format)
        pipeline = DDPMPipeline(unet=net, scheduler=ddpm_network.scheduler())
        pipeline.save_pretrained(fresh, safe_serialization=True)
        for name in PARTS:
            target = folder / name
            if target.is_dir():
                shutil.rmtree(target)
            (fresh / name).replace(target)
    # the library makes the file readable to its owner only
    (folder / WEIGHTS).chmod((folder / "model_index.json").stat().st_mode)
    sync_folder(folder)
    full = {
        **card,
        "shape": list(trainer.examples.images.shape[1:]),
        "settings": trainer.card()["settings"],
        "seed": trainer.settings.seed,
        "loss": float(trainer.losses[-1000:].mean(dtype=np.float64)),
        "sha256": sha256(folder / WEIGHTS),
    }
    write_whole(json.dumps(full, indent=2) + "\n", folder / CARD, overwrite=True, error=ModelError)
    return folder
