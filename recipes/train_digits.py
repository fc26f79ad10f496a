"""Train the small class-conditional model of the 8 x 8 handwritten digits that ships with the package.

Takes less than ten minutes, even on one core. The checkpoint (safetensors) gets a card beside it, of the same name
ending in .json: data, settings, seed, SHA-256. Use it as specent.models.digits("digits.safetensors").
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

import specent as sp
from specent import arguments
from specent.models.checkpoint import checkpoint_path, save_checkpoint
from specent.models.digits import digits_data
from specent.studies import StudySettings, limited_threads, stored_settings
from specent.training.edm import TrainingSettings, train


@dataclass(frozen=True)
class Settings(StudySettings):
    """Settings of the training.

    Parameters
    ----------
    output : Path
        Checkpoint to write, ending in .safetensors.
    seed : int
        Seed of the weights, the batches and the noise.
    steps : int
        Optimiser steps.
    batch : int
        Images per step.
    learning_rate : float
        Peak learning rate; it rises for 200 steps and falls as a cosine.
    label_dropout : float
        Share of images trained under the null condition.
    log_sigma_mean : float
        Mean of the natural logarithm of the noise levels trained on.
    log_sigma_std : float
        Their standard deviation.
    average : float
        Decay of the moving average of the weights, per step.
    width : int
        Width of the network.
    blocks : int
        Residual blocks.
    embedding : int
        Width of the embedding of noise level and class.
    """

    output: Path = Path("digits.safetensors")
    seed: int = 0
    steps: int = TrainingSettings.steps
    batch: int = TrainingSettings.batch
    learning_rate: float = TrainingSettings.learning_rate
    label_dropout: float = TrainingSettings.label_dropout
    log_sigma_mean: float = TrainingSettings.log_sigma_mean
    log_sigma_std: float = TrainingSettings.log_sigma_std
    average: float = TrainingSettings.average
    width: int = TrainingSettings.width
    blocks: int = TrainingSettings.blocks
    embedding: int = TrainingSettings.embedding
    threads: int | None = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        arguments.whole(self.seed, "seed")
        for name in ("steps", "batch"):
            arguments.whole(getattr(self, name), name, least=1, most=10_000_000)
        for name, least in (("width", 1), ("blocks", 1), ("embedding", 2)):
            arguments.whole(getattr(self, name), name, least=least, most=10_000)
        arguments.number(self.learning_rate, "learning_rate", above=0, most=10)
        arguments.number(self.label_dropout, "label_dropout", least=0, below=1)
        arguments.number(self.average, "average", least=0, below=1)
        arguments.number(self.log_sigma_mean, "log_sigma_mean", least=-10, most=10)
        arguments.number(self.log_sigma_std, "log_sigma_std", least=0, most=10)


def main(settings: Settings) -> tuple[Path, ...]:
    """Train, and write the checkpoint and its card."""
    path = checkpoint_path(settings.output, overwrite=settings.overwrite)
    options = stored_settings(settings, "output", "overwrite", "threads")
    training = TrainingSettings(**options)
    images, labels = digits_data()
    names, classes = np.unique(labels, return_inverse=True)
    flat = torch.as_tensor(images.reshape(len(images), -1), dtype=torch.float32)
    # the last digits of the weights depend on the number
    with limited_threads(settings.threads):
        net = train(flat, torch.as_tensor(classes), training)
        threads = torch.get_num_threads()
    card = {
        "name": "digits",
        "title": "Class-conditional denoiser of 8 x 8 handwritten digits",
        "data": "1797 images of 10 classes, the copy in scikit-learn (sklearn.datasets.load_digits), scaled to -1 .. 1",
        "origin": "E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI repository, 1998",
        "data_licence": "CC BY 4.0",
        "licence": "BSD-3-Clause",
        "made_by": "specent run train_digits",
        "settings": {**options, "threads": threads},
        "seed": settings.seed,
        "labels": [str(name) for name in names],
        "label_prior": (np.bincount(classes) / len(classes)).tolist(),
        "shape": list(images.shape[1:]),
        "sigma_data": net.sigma_data,
        "versions": sp.schema.versions(),
    }
    return save_checkpoint(net, path, card, overwrite=settings.overwrite)
