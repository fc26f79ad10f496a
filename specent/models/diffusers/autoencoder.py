"""The autoencoder of a pipeline of latents."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from specent import arguments
from specent.arguments import brief
from specent.errors import ModelError
from specent.models.diffusers.hub import Source

# bound on the factors of latents, and on their inverse
_FACTOR = 1e6


class Decoder:
    """Decodes latents to pictures with a variational autoencoder, which stays on the processor until it is used.

    As all of diffusers, it works on pixels from -1 to 1.

    Parameters
    ----------
    vae : AutoencoderKL
        Its configuration has the factors of the latents, which are ``(z - shift) * scaling``; some pipelines have a
        mean and a standard deviation for each channel.
    source : Source
        The pipeline, for messages.

    Raises
    ------
    ModelError
        If latents cannot be scaled with one of the factors.
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
        """Width of a latent pixel, in pixels of the picture."""
        return int(2 ** (len(self.vae.config.block_out_channels) - 1))

    @torch.no_grad()
    def __call__(self, x: Tensor) -> Tensor:
        """Pictures (batch, 3, height, width) from 0 to 1 of latents (batch, channels, height, width)."""
        self.vae.to(x.device)
        latents = x.float() * (self.spread.to(x.device) / self.scaling) + self.shift.to(x.device)
        picture: Tensor = self.vae.decode(latents, return_dict=False)[0]
        return (0.5 * picture + 0.5).clamp(0, 1)


def _per_channel(values: Any, what: str, count: int, least: float) -> list[float] | None:
    """One number for each channel of the latents, None if there are none."""
    if values is None:
        return None
    items = arguments.listed(values, what, "one number for each channel is needed", error=ModelError)
    if len(items) != count:
        raise ModelError(f"{what}={brief(values)} must hold {count} numbers, one for each channel")
    return [
        arguments.number(item, f"{what}[{index}]", least=least, most=_FACTOR, error=ModelError)
        for index, item in enumerate(items)
    ]
