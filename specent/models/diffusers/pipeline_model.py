"""What the families of pipelines have in common: a network with its conditions, and its pictures, as a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn

from specent import arguments
from specent.arguments import brief
from specent.errors import ModelError
from specent.models.diffusers.channel import Channel
from specent.models.diffusers.hub import Source
from specent.models.network import NetworkModel, check_weights
from specent.schedules import Schedule

# bounds on the factors of latents, and on the edge of a picture in pixels
_FACTOR = 1e6
_LARGEST = 2**13


@dataclass(frozen=True)
class Options:
    """What `pipeline` was asked for beside the source; None where the pipeline itself is to say."""

    labels: Sequence[str] | None = None
    prompts: Any = None
    null: bool | int | str | None = None
    unconditional: Source | None = None
    size: tuple[int, int] | None = None
    schedule: Schedule | None = None
    prediction: str | None = None
    device: torch.device = torch.device("cpu")  # noqa: RUF009  (immutable)


@dataclass(frozen=True)
class Opened:
    """A network called as ``net(x, time, condition)``, and all that a model of it needs to know.

    `facts` is what archives are told beside name, prediction and schedule.
    """

    net: nn.Module
    labels: Sequence[str]
    null: bool
    shape: tuple[int, int, int]
    channel: Channel
    decoder: Decoder | None = None
    integer_times: bool = False
    facts: dict[str, Any] = field(default_factory=dict)


class Decoder:
    """Latents to pictures through a variational autoencoder, which stays on the processor until it is used.

    Parameters
    ----------
    vae : AutoencoderKL
        With its own factors in its configuration: latents are ``(z - shift) * scaling``, where some pipelines have a
        mean and a standard deviation for each channel.
    source : Source
        The pipeline, for messages.

    Raises
    ------
    ModelError
        If a factor is no number that latents can be scaled with.
    """

    def __init__(self, vae: Any, source: Source) -> None:
        self.vae = vae
        settings, where = vae.config, f"{source}: vae/config.json: "
        self.scaling = arguments.number(
            settings.scaling_factor, f"{where}scaling_factor", least=1 / _FACTOR, most=_FACTOR, error=ModelError
        )
        shift = settings.get("shift_factor")
        if shift is not None:
            shift = arguments.number(shift, f"{where}shift_factor", least=-_FACTOR, most=_FACTOR, error=ModelError)
        count = settings.latent_channels
        mean = _per_channel(settings.get("latents_mean"), f"{where}latents_mean", count, -_FACTOR)
        std = _per_channel(settings.get("latents_std"), f"{where}latents_std", count, 1 / _FACTOR)
        standard = mean is not None and std is not None
        self.shift = torch.tensor(mean if standard else [shift or 0.0], dtype=torch.float32)[:, None, None]
        self.spread = torch.tensor(std if standard else [1.0], dtype=torch.float32)[:, None, None]

    @property
    def factor(self) -> int:
        """How many pixels a latent pixel is wide."""
        return int(2 ** (len(self.vae.config.block_out_channels) - 1))

    @torch.no_grad()
    def __call__(self, x: Tensor) -> Tensor:
        """Pictures (batch, 3, height, width) from 0 to 1 of latents (batch, channels, height, width)."""
        self.vae.to(x.device)
        latents = x.float() * (self.spread.to(x.device) / self.scaling) + self.shift.to(x.device)
        picture: Tensor = self.vae.decode(latents, return_dict=False)[0]
        return (0.5 * picture + 0.5).clamp(0, 1)


def _per_channel(values: Any, what: str, count: int, least: float) -> list[float] | None:
    """One number for each channel of the latents, or None."""
    if values is None:
        return None
    items = arguments.listed(values, what, "one number for each channel is needed", error=ModelError)
    if len(items) != count:
        raise ModelError(f"{what}={brief(values)} must hold {count} numbers, one for each channel")
    return [
        arguments.number(item, f"{what}[{place}]", least=least, most=_FACTOR, error=ModelError)
        for place, item in enumerate(items)
    ]


class Clocked(nn.Module):
    """A network that is told the time in other units."""

    def __init__(self, net: nn.Module, factor: float) -> None:
        super().__init__()
        self.net, self.factor = net, factor

    def forward(self, x: Tensor, time: Tensor, condition: Tensor) -> Tensor:
        """Call it with ``factor * time``."""
        output: Tensor = self.net(x, self.factor * time, condition)
        return output


class PipelineModel(NetworkModel):
    """A pipeline of diffusers as a model; see `pipeline`."""

    def __init__(self, opened: Opened, name: str, label_prior: ArrayLike | None = None, clipped: bool = False) -> None:
        channel = opened.channel
        net = opened.net.eval()
        check_weights(net)
        self.limit = channel.limit if clipped else np.inf
        self.decoder = opened.decoder
        identity = {
            "name": name,
            **opened.facts,
            "prediction": channel.prediction,
            "schedule": channel.schedule.to_json(),
            "scheduler": dict(channel.scheduler),
            **({"clipped_to": self.limit} if clipped else {}),
        }
        super().__init__(
            net if channel.factor == 1 else Clocked(net, channel.factor), opened.labels, opened.shape,
            channel.prediction, channel.schedule, label_prior, opened.null, identity, torch.float32,
            opened.integer_times,
        )  # fmt: skip
        if clipped and not np.isfinite(self.limit):
            raise ModelError(f"clipped=True: the sampler of {name!r} does not clip its data; leave it out")

    def denoise(self, x: Tensor, sigma: float, condition: Tensor) -> Tensor:
        denoised = super().denoise(x, sigma, condition)
        return denoised.clamp(-self.limit, self.limit) if np.isfinite(self.limit) else denoised

    def decode(self, x: Tensor) -> Tensor:
        return super().decode(x) if self.decoder is None else self.decoder(x)


def refuse(source: Source | str, why: str, **given: object) -> None:
    """Refuse arguments that do not go with the source, if they were given."""
    for name, value in given.items():
        if value is not None:
            raise ModelError(f"{source}: {name}={brief(value)} {why}")


def check_channels(source: Source, taken: int, returned: int) -> None:
    """A network must return as many channels as it takes, or a variance beside each, which is dropped."""
    if returned not in (taken, 2 * taken):
        raise ModelError(
            f"{source}: its network takes {taken} channels and returns {returned}; a denoiser returns as many as it "
            "takes, or twice as many with a learned variance. Wrap it with specent.models.network(...)"
        )


def check_size(size: Any) -> tuple[int, int] | None:
    """Height and width in pixels, of one number or two.

    Examples
    --------
    >>> check_size(64)
    (64, 64)
    """
    if size is None:
        return None
    if isinstance(size, (tuple, list)) and len(size) == 2:
        height, width = (
            arguments.whole(value, f"size[{i}]", least=1, most=_LARGEST, error=ModelError)
            for i, value in enumerate(size)
        )
        return height, width
    side = arguments.whole(size, "size", least=1, most=_LARGEST, error=ModelError)
    return side, side


def configured_size(source: Source, config: Any) -> tuple[int, int]:
    """Height and width out of the ``sample_size`` of a network."""
    found = config.get("sample_size")
    if found is None:
        raise ModelError(f"{source}: its network names no sample_size; pass size=, the height and width in pixels")
    sides = found if isinstance(found, (list, tuple)) and len(found) == 2 else (found, found)
    height, width = (
        arguments.whole(side, f"{source}: config.json of its network: sample_size", least=1, most=_LARGEST,
                     error=ModelError)
        for side in sides
    )  # fmt: skip
    return height, width
