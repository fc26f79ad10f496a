r"""Training of the small EDM network by denoising (arXiv 2206.00364, section 5), with a null condition.

The loss is :math:`E\,\lambda(\sigma)\,|D(x_0 + \sigma\varepsilon, \sigma, c) - x_0|^2` with
:math:`\lambda = (\sigma^2 + \sigma_d^2)/(\sigma\sigma_d)^2` and log-normal noise levels. Labels are dropped at random
in favour of the null condition (arXiv 2207.12598). The result is an exponential moving average of the weights.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass

import torch
from torch import Tensor
from tqdm.auto import tqdm

from specent import arguments
from specent.errors import ModelError
from specent.models.network import EDMNetwork


@dataclass(frozen=True)
class TrainingSettings:
    """What decides a training run, beside the data.

    `log_sigma_mean` and `log_sigma_std` set the noise levels that are trained on; `label_dropout` is the share of
    samples trained under the null condition.
    """

    steps: int = 12000
    batch: int = 512
    learning_rate: float = 2e-3
    label_dropout: float = 0.15
    log_sigma_mean: float = -0.2
    log_sigma_std: float = 1.3
    average: float = 0.999
    width: int = 256
    blocks: int = 4
    embedding: int = 128
    seed: int = 0

    def __post_init__(self) -> None:
        least = {"steps": 1, "batch": 1, "width": 1, "blocks": 1, "embedding": 2, "seed": 0}
        for name, value in least.items():
            arguments.whole(getattr(self, name), name, least=value, error=ModelError)
        if self.embedding % 2:
            raise ModelError(f"embedding={self.embedding} must be even: half of it are sines, half cosines")
        arguments.number(self.learning_rate, "learning_rate", above=0, error=ModelError)
        arguments.number(self.label_dropout, "label_dropout", least=0, below=1, error=ModelError)
        arguments.number(self.average, "average", least=0, below=1, error=ModelError)
        arguments.number(self.log_sigma_mean, "log_sigma_mean", error=ModelError)
        arguments.number(self.log_sigma_std, "log_sigma_std", least=0, error=ModelError)


def train(images: Tensor, classes: Tensor, settings: TrainingSettings, progress: bool = True) -> EDMNetwork:
    """Train a small class-conditional denoiser.

    Parameters
    ----------
    images : Tensor, shape (n, features)
        The data.
    classes : Tensor of int64, shape (n,)
        Index of the label of each image.
    settings : TrainingSettings
        Size of the network and of the run.
    progress : bool
        Whether to show a progress bar.

    Returns
    -------
    EDMNetwork
        With averaged weights, in evaluation mode.

    Raises
    ------
    ModelError
        If the data hold a NaN or the loss stops being finite.
    """
    if not torch.isfinite(images).all():
        raise ModelError("images hold a NaN or an infinity; clean the data before training")
    generator = torch.Generator().manual_seed(settings.seed)
    with torch.random.fork_rng():
        torch.manual_seed(settings.seed)
        count = int(classes.max()) + 1
        deviation = float(images.std())
        net = EDMNetwork(images.shape[1], count, settings.width, settings.blocks, settings.embedding, deviation)
    average = copy.deepcopy(net).requires_grad_(False)
    optimiser = torch.optim.Adam(net.parameters(), lr=settings.learning_rate, betas=(0.9, 0.99))
    bar = tqdm(range(settings.steps), desc="training", disable=not progress, mininterval=1.0)
    for step in bar:
        for group in optimiser.param_groups:
            group["lr"] = settings.learning_rate * _schedule(step, settings.steps)
        loss = _loss(net, images, classes, count, settings, generator)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        # a short memory early on, so that the initial weights are forgotten
        decay = min(settings.average, (1 + step) / (10 + step))
        for mean, new in zip(average.parameters(), net.parameters(), strict=True):
            mean.lerp_(new.detach(), 1 - decay)
        if step % 100 == 0:
            value = loss.item()
            if not math.isfinite(value):
                raise ModelError(f"the training loss is {value} at step {step}; lower learning_rate")
            bar.set_postfix(loss=f"{value:.4f}")
    return average.eval()


def _schedule(step: int, steps: int) -> float:
    warm = min(1.0, (step + 1) / 200)
    return warm * 0.5 * (1 + math.cos(math.pi * step / steps))


def _loss(
    net: EDMNetwork, images: Tensor, classes: Tensor, null: int, settings: TrainingSettings, generator: torch.Generator
) -> Tensor:
    pick = torch.randint(len(images), (settings.batch,), generator=generator)
    level = torch.randn(settings.batch, generator=generator) * settings.log_sigma_std + settings.log_sigma_mean
    sigma = torch.exp(level)
    clean = images[pick]
    noisy = clean + sigma[:, None] * torch.randn(clean.shape, generator=generator)
    dropped = torch.rand(settings.batch, generator=generator) < settings.label_dropout
    condition = torch.where(dropped, null, classes[pick])
    denoised: Tensor = net(noisy, sigma, net.modulation(sigma, condition))
    weight = (sigma**2 + net.sigma_data**2) / (sigma * net.sigma_data) ** 2
    return (weight[:, None] * (denoised - clean) ** 2).mean()
