r"""Training of a DDPM (arXiv 2006.11239): a U-Net learns the noise in :math:`x_t = \alpha_t x_0 + \sigma_t\varepsilon`.

The loss is :math:`E|\hat\varepsilon(x_t, t, c) - \varepsilon|^2` over uniform whole times t. Labels are dropped at
random in favour of a null condition, the last embedding (arXiv 2207.12598), or a second network is trained without any
(arXiv 2506.10433). The result is an exponential moving average of the weights.

All that is random in a step comes from a generator seeded by (seed, step), so a run that was killed needs nothing
replayed: it goes on from its last whole checkpoint, and the losses are those of a run that was not.
"""

from __future__ import annotations

import copy
import hashlib
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm.auto import tqdm

from specent import arguments
from specent.arguments import brief
from specent.errors import ModelError
from specent.models import ddpm_network
from specent.schedules import DDPM
from specent.training import checkpoints

_MOST = {"layers": 64}
_REPORT_STEPS = 100  # steps between two reports of the loss: each waits for the GPU


@dataclass(frozen=True)
class DDPMSettings:
    """Everything but the data that determines a training run.

    Parameters
    ----------
    steps : int
        Optimiser steps.
    batch : int
        Pictures per step.
    learning_rate : float
        Peak learning rate; it rises for `warmup` steps and falls as a cosine.
    warmup : int
        Steps of the rise.
    label_dropout : float
        Share of pictures trained under the null condition. Must be 0 for networks without one.
    average : float
        Decay of the moving average of the weights, per step.
    clip : float
        Largest norm of the gradient; a longer one is shortened to it.
    channels : tuple of int
        Width of each level of the U-Net.
    layers : int
        Residual blocks per level.
    attention : tuple of int
        Heights at which there is attention.
    dropout : float
        Dropout inside residual blocks.
    flip : bool
        Whether pictures are mirrored at random.
    precision : {"float32", "bfloat16"}
        Type of the network's arithmetic on a GPU; weights and loss stay in single precision.
    seed : int
        Seed of weights, batches and noise.
    """

    steps: int = 10_000
    batch: int = 128
    learning_rate: float = 1e-3
    warmup: int = 200
    label_dropout: float = 0.1
    average: float = 0.999
    clip: float = 1.0
    channels: tuple[int, ...] = (32, 64)
    layers: int = 1
    attention: tuple[int, ...] = ()
    dropout: float = 0.0
    flip: bool = False
    precision: Literal["float32", "bfloat16"] = "float32"
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in (("steps", 1), ("batch", 1), ("warmup", 0), ("layers", 1), ("seed", 0)):
            arguments.whole(getattr(self, name), name, least=least, most=_MOST.get(name, 10**9), error=ModelError)
        arguments.number(self.learning_rate, "learning_rate", above=0, most=10, error=ModelError)
        arguments.number(self.clip, "clip", above=0, error=ModelError)
        for name in ("label_dropout", "average", "dropout"):
            arguments.number(getattr(self, name), name, least=0, below=1, error=ModelError)
        for name in ("channels", "attention"):
            values = arguments.listed(getattr(self, name), name, "give a list of whole numbers", error=ModelError)
            sizes = (arguments.whole(value, name, least=1, most=65536, error=ModelError) for value in values)
            object.__setattr__(self, name, tuple(sizes))
        if not self.channels:
            raise ModelError("channels=() is empty; give the width of each level, for example (32, 64)")
        arguments.flag(self.flip, "flip", error=ModelError)
        if self.precision not in ("float32", "bfloat16"):
            raise ModelError(f"precision={brief(self.precision)} must be 'float32' or 'bfloat16'")


@dataclass(frozen=True, eq=False)
class Examples:
    """What a network is trained on: pictures (n, channels, height, width), and the condition of each.

    `embeddings` is the number of conditions of the network, None for one without labels; `null` the one that dropped
    labels become, None if labels are never dropped. `sha256` tells the data from any other.
    """

    images: Tensor
    conditions: Tensor
    embeddings: int | None
    null: int | None
    sha256: str = ""


@dataclass
class Trainer:
    """A training run: its networks, its optimiser, the steps done and their losses.

    Parameters
    ----------
    settings : DDPMSettings
        Size of the network and of the run.
    examples : Examples
        The data.
    device : device
        Where it is trained.

    Attributes
    ----------
    step : int
        Steps done.
    net, average : UNet2DModel
        The network that is trained and the moving average of its weights, which is the result.
    """

    settings: DDPMSettings
    examples: Examples
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    def __post_init__(self) -> None:
        settings, examples = self.settings, self.examples
        _check_examples(examples)
        if examples.null is None and settings.label_dropout:
            raise ModelError(f"label_dropout={settings.label_dropout} needs a null condition to drop labels for")
        if settings.precision != "float32" and self.device.type != "cuda":
            raise ModelError(
                f"precision={settings.precision!r} pays on a GPU only; use 'float32' on {self.device.type}"
            )
        ddpm_network.check_sizes(
            tuple(examples.images.shape[1:]), settings.batch, channels=settings.channels, layers=settings.layers,
            activations=self.device.type == "cpu",
        )  # fmt: skip
        self.net = ddpm_network.unet(
            tuple(examples.images.shape[1:]), examples.embeddings, channels=settings.channels, layers=settings.layers,
            attention=settings.attention, dropout=settings.dropout, seed=settings.seed,
        ).to(self.device)  # fmt: skip
        if self.device.type == "cuda":
            self.net.to(memory_format=torch.channels_last)
        self.average = copy.deepcopy(self.net).requires_grad_(False).eval()
        self.optimiser = torch.optim.Adam(self.net.parameters(), lr=settings.learning_rate, betas=(0.9, 0.99))
        schedule, times = DDPM("linear", ddpm_network.TIMES), np.arange(ddpm_network.TIMES)
        self.alpha, self.sigma = (
            torch.as_tensor(values, dtype=torch.float32).view(-1, 1, 1, 1)
            for values in (schedule.alpha(times), schedule.sigma(times))
        )
        self.step = 0
        self._losses = torch.full((settings.steps,), torch.nan, device=self.device)

    @property
    def losses(self) -> NDArray[np.float32]:
        """Loss of every step that was done, shape (step,)."""
        return self._finite_losses().copy()

    def resume(self, folder: Path) -> int:
        """Go on from the newest whole checkpoint of a folder, if it holds any.

        Returns
        -------
        int
            Steps done, 0 if there was no checkpoint.

        Raises
        ------
        ModelError
            If there is a checkpoint of other settings or other data, or none is whole.

        Warns
        -----
        SpecentWarning
            If a damaged one was passed over.
        """
        checkpoint = checkpoints.newest(folder)
        if checkpoint is None:
            return 0
        self._check_same(checkpoint, folder)
        if checkpoint.step > self.settings.steps:
            raise ModelError(f"the checkpoint in {folder} is of step {checkpoint.step} of {self.settings.steps}")
        checkpoints.restore(checkpoint, self.net, self.average, self.optimiser)
        self._losses[: checkpoint.step] = checkpoint.tensors["losses"].to(self.device)
        self.step = checkpoint.step
        return self.step

    def _check_same(self, checkpoint: checkpoints.Checkpoint, folder: Path) -> None:
        mine = self.card()
        for name in ("settings", "data_sha256", "embeddings", "null"):
            theirs = checkpoint.card.get(name)
            if theirs == mine[name]:
                continue
            what = f"{name}={brief(theirs)}, now {brief(mine[name])}"
            if name == "settings" and isinstance(theirs, dict):
                fields = [key for key in mine[name] if theirs.get(key) != mine[name][key]]
                what = ", ".join(f"{key}={brief(theirs.get(key))}, now {mine[name][key]!r}" for key in fields)
            raise ModelError(
                f"{folder} holds a training with {what}; use the same to go on, another folder, or overwrite=True to "
                "start again"
            )

    def card(self) -> dict[str, Any]:
        """What determines the numbers, for the cards of checkpoints."""
        settings = asdict(self.settings) | {key: list(getattr(self.settings, key)) for key in ("channels", "attention")}
        examples = self.examples
        return {
            "settings": settings,
            "data_sha256": examples.sha256,
            "embeddings": examples.embeddings,
            "null": examples.null,
        }

    def save(self, folder: Path) -> Path:
        """Write a checkpoint of the run as it is now."""
        tensors = {
            **{f"net.{key}": value for key, value in self.net.state_dict().items()},
            **{f"average.{key}": value for key, value in self.average.state_dict().items()},
            **checkpoints.optimiser_tensors(self.optimiser),
            "losses": torch.from_numpy(self.losses),
        }
        checkpoints.refuse_infinite(tensors)
        return checkpoints.write_step(folder, self.step, tensors, self.card())

    def run(
        self, after: Callable[[int], None] = lambda step: None, progress: bool = True, name: str = "training"
    ) -> None:
        """Train from the steps done to the last one.

        Parameters
        ----------
        after : callable
            Called after every step with the number of steps done; `step` and `losses` are up to date.
        progress : bool
            Whether to show a progress bar with the loss.
        name : str
            Title of the bar.

        Raises
        ------
        ModelError
            If the loss stops being finite, or memory runs out.
        """
        steps = self.settings.steps
        self.net.train()
        # the global generators serve dropout alone, and are restored afterwards
        devices = [self.device] if self.device.type == "cuda" else []
        bar = tqdm(total=steps, initial=self.step, desc=name, unit="step", disable=not progress, mininterval=1.0)
        with torch.random.fork_rng(devices=devices), bar:
            while self.step < steps:
                self._losses[self.step] = self._advance(self.step)
                self.step += 1
                if self.step % _REPORT_STEPS == 0 or self.step == steps:
                    bar.set_postfix(loss=f"{self._finite_losses()[-_REPORT_STEPS:].mean():.4f}")
                after(self.step)
                bar.update()

    def _advance(self, step: int) -> Tensor:
        """One step of the optimiser; its loss."""
        settings = self.settings
        for group in self.optimiser.param_groups:
            group["lr"] = settings.learning_rate * _rate(step, settings)
        noisy, times, condition, noise = self._batch(step)
        try:
            with torch.autocast(self.device.type, torch.bfloat16, enabled=settings.precision == "bfloat16"):
                labels = None if self.examples.embeddings is None else condition
                predicted = self.net(noisy, times, labels).sample
            loss: Tensor = (predicted.float() - noise).square().mean()
            self.optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
        except torch.OutOfMemoryError as error:
            raise ModelError(
                f"batch={settings.batch}: the memory of {self.device} ran out; take a smaller one"
            ) from error
        torch.nn.utils.clip_grad_norm_(self.net.parameters(), settings.clip)
        self.optimiser.step()
        # a short memory early on, so that the initial weights are forgotten
        decay = min(settings.average, (1 + step) / (10 + step))
        with torch.no_grad():
            for mean, new in zip(self.average.parameters(), self.net.parameters(), strict=True):
                mean.lerp_(new, 1 - decay)
        return loss.detach()

    def _batch(self, step: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Noisy pictures, their times and conditions, and the noise in them: a function of seed and step alone."""
        settings, examples = self.settings, self.examples
        generator = torch.Generator().manual_seed(_key(settings.seed, step))
        count = settings.batch
        pick = torch.randint(len(examples.images), (count,), generator=generator)
        times = torch.randint(ddpm_network.TIMES, (count,), generator=generator)
        noise = torch.randn((count, *examples.images.shape[1:]), generator=generator)
        dropped = torch.rand(count, generator=generator) < settings.label_dropout
        clean, condition = examples.images[pick], examples.conditions[pick]
        if settings.flip:
            mirrored = torch.rand(count, generator=generator) < 0.5
            clean = torch.where(mirrored.view(-1, 1, 1, 1), clean.flip(-1), clean)
        if settings.dropout:
            torch.manual_seed(_key(settings.seed, step))
        if examples.null is not None:
            condition = torch.where(dropped, examples.null, condition)
        noisy = self.alpha[times] * clean + self.sigma[times] * noise
        batch = (noisy, times, condition, noise)
        return tuple(value.to(self.device, non_blocking=True) for value in batch)  # type: ignore[return-value]

    def _finite_losses(self) -> NDArray[np.float32]:
        """The losses so far, all of which must be finite."""
        losses = self._losses[: self.step].cpu().numpy()
        if not np.isfinite(losses).all():
            first = int(np.argmin(np.isfinite(losses)))
            raise ModelError(f"the training loss is {losses[first]} at step {first + 1}; lower learning_rate")
        return losses


def _check_examples(examples: Examples) -> None:
    images, conditions = examples.images, examples.conditions
    if images.ndim != 4 or images.dtype != torch.float32 or len(images) < 1:
        raise ModelError(
            f"images of shape {tuple(images.shape)} and type {images.dtype}: need float32, one per picture"
        )
    if conditions.shape != images.shape[:1] or conditions.dtype != torch.int64:
        raise ModelError(f"conditions of shape {tuple(conditions.shape)} and type {conditions.dtype}: need int64, (n,)")
    if not torch.isfinite(images).all():
        raise ModelError("images hold a NaN or an infinity; clean the data before training")
    known = examples.embeddings
    if known is not None and not 0 <= int(conditions.min()) <= int(conditions.max()) < known:
        raise ModelError(f"conditions run from {int(conditions.min())} to {int(conditions.max())}; {known} are known")


def _rate(step: int, settings: DDPMSettings) -> float:
    rise = min(1.0, (step + 1) / max(1, settings.warmup))
    return rise * 0.5 * (1 + math.cos(math.pi * step / settings.steps))


def _key(seed: int, step: int) -> int:
    """Seed of the generator of one step."""
    return int.from_bytes(hashlib.sha256(f"{seed} {step}".encode()).digest()[:8], "big") >> 1
