"""A pipeline of diffusers as a model, whatever its family."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn

from specent.errors import ModelError
from specent.models.diffusers.autoencoder import Decoder
from specent.models.diffusers.channel import Channel
from specent.models.modules import check_weights
from specent.models.network import NetworkModel


@dataclass(frozen=True)
class PipelineParts:
    """A network called as ``net(x, time, condition)``, with everything that a model of it needs.

    `facts` are recorded in archives beside name, prediction and schedule.
    """

    net: nn.Module
    labels: Sequence[str]
    null: bool
    shape: tuple[int, int, int]
    channel: Channel
    decoder: Decoder | None = None
    integer_times: bool = False
    facts: dict[str, Any] = field(default_factory=dict)


class ScaledTime(nn.Module):
    """A network whose time has another unit than the schedule."""

    def __init__(self, net: nn.Module, factor: float) -> None:
        super().__init__()
        self.net, self.factor = net, factor

    def forward(self, x: Tensor, time: Tensor, condition: Tensor) -> Tensor:
        """Call it with ``factor * time``."""
        output: Tensor = self.net(x, self.factor * time, condition)
        return output


class PipelineModel(NetworkModel):
    """A pipeline of diffusers as a model; see `pipeline`."""

    def __init__(
        self, parts: PipelineParts, name: str, label_prior: ArrayLike | None = None, clipped: bool = False
    ) -> None:
        channel = parts.channel
        check_weights(parts.net)
        net = parts.net if channel.factor == 1 else ScaledTime(parts.net, channel.factor)
        self.limit = channel.limit if clipped else np.inf
        self.decoder = parts.decoder
        identity = {
            "name": name,
            **parts.facts,
            "prediction": channel.prediction,
            "schedule": channel.schedule.to_json(),
            "scheduler": dict(channel.scheduler),
            **({"clipped_to": self.limit} if clipped else {}),
        }
        super().__init__(
            net.eval(), parts.labels, parts.shape, channel.prediction, channel.schedule, label_prior, parts.null,
            identity, torch.float32, parts.integer_times,
        )  # fmt: skip
        if clipped and not np.isfinite(self.limit):
            raise ModelError(f"clipped=True: the sampler of {name!r} does not clip its data; leave it out")

    def denoise(self, x: Tensor, sigma: float, condition: Tensor) -> Tensor:
        denoised = super().denoise(x, sigma, condition)
        return denoised.clamp(-self.limit, self.limit) if np.isfinite(self.limit) else denoised

    def decode(self, x: Tensor) -> Tensor:
        return super().decode(x) if self.decoder is None else self.decoder(x)
