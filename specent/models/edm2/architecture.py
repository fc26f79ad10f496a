r"""The EDM2 U-Net and its preconditioning (arXiv 2312.02696, configuration G; preconditioning of arXiv 2206.00364).

The names of parameters and buffers are those of the published files, so a state dictionary of such a file can be loaded
as it is. With :math:`F` the network and :math:`\sigma_d = 1/2`,

.. math:: D(x, \sigma, c) = \frac{\sigma_d^2}{\sigma^2+\sigma_d^2} x + \frac{\sigma\sigma_d}{\sqrt{\sigma^2+\sigma_d^2}}
          F\Bigl(\frac{x}{\sqrt{\sigma^2+\sigma_d^2}}, \tfrac14\ln\sigma, c\Bigr) .
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from specent import arguments
from specent.errors import ModelError
from specent.models.edm2.layers import HEAD, Block, MPConv, MPFourier, mp_cat, mp_silu, mp_sum

_LOGVAR = 128


@dataclass(frozen=True)
class Config:
    """Sizes of a network.

    Parameters
    ----------
    resolution : int
        Height and width of the states.
    channels : int
        Channels of the states: 4 for latents, 3 for pixels.
    label_dim : int
        Number of labels; 0 for an unconditional network.
    blocks : tuple of int
        Channels of every level, from the finest on; each level has half the resolution of the one before.
    noise_channels, embedding_channels : int
        Widths of the noise features and of the embedding.
    per_level : int
        Blocks of a level in the encoder; the decoder has one more.
    attention : tuple of int
        Resolutions with self-attention.
    label_balance, concat_balance : float
        Share of the label in the embedding, and of the skip connections in the decoder.
    sigma_data : float
        Standard deviation of the data.

    Raises
    ------
    ModelError
        If a size is out of range, or sizes do not fit together.
    """

    resolution: int
    channels: int
    label_dim: int
    blocks: tuple[int, ...]
    noise_channels: int
    embedding_channels: int
    per_level: int = 3
    attention: tuple[int, ...] = (16, 8)
    label_balance: float = 0.5
    concat_balance: float = 0.5
    sigma_data: float = 0.5

    def __post_init__(self) -> None:
        for name, least, most in (
            ("resolution", 2, 4096), ("channels", 1, 64), ("label_dim", 0, 1_000_000), ("per_level", 1, 64),
            ("noise_channels", 1, 65536), ("embedding_channels", 1, 65536),
        ):  # fmt: skip
            arguments.whole(getattr(self, name), name, least=least, most=most, error=ModelError)
        for name in ("blocks", "attention"):
            listed = arguments.listed(getattr(self, name), name, "give a list of whole numbers", error=ModelError)
            sizes = [arguments.whole(size, name, least=1, most=65536, error=ModelError) for size in listed]
            object.__setattr__(self, name, tuple(sizes))
        for name in ("label_balance", "concat_balance"):
            arguments.number(getattr(self, name), name, least=0, most=1, error=ModelError)
        arguments.number(self.sigma_data, "sigma_data", least=1e-6, most=1e6, error=ModelError)
        if not 1 <= len(self.blocks) <= 16 or self.resolution % 2 ** (len(self.blocks) - 1):
            raise ModelError(
                f"resolution={self.resolution} cannot be halved for {len(self.blocks)} levels; blocks has one entry "
                "per level"
            )
        # the innermost block attends whatever its resolution is
        widths = [size for level, size in enumerate(self.blocks) if self.resolutions[level] in self.attention]
        if any(size % HEAD for size in (*widths, self.blocks[-1])):
            raise ModelError(f"blocks={self.blocks}: levels with attention need a multiple of {HEAD} channels")

    @property
    def resolutions(self) -> tuple[int, ...]:
        """Resolution of every level."""
        return tuple(self.resolution >> level for level in range(len(self.blocks)))

    def as_dict(self) -> dict[str, Any]:
        """All sizes, JSON serialisable."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}


class UNet(nn.Module):
    """The U-Net; see `Config` for its sizes."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        width = config.embedding_channels
        self.out_gain = nn.Parameter(torch.zeros(()))
        self.emb_fourier = MPFourier(config.noise_channels)
        self.emb_noise = MPConv(config.noise_channels, width)
        self.emb_label = MPConv(config.label_dim, width) if config.label_dim else None
        # the input has one channel of ones more, because no layer has a bias
        self.enc, skip_widths = _encoder(config)
        self.dec = _decoder(config, skip_widths)
        self.out_conv = MPConv(config.blocks[0], config.channels, 3)

    def forward(self, x: Tensor, noise: Tensor, labels: Tensor | None) -> Tensor:
        """Raw output for scaled states (batch, channels, R, R), noise and one-hot labels (batch, label_dim)."""
        embedding = self.emb_noise(self.emb_fourier(noise))
        if self.emb_label is not None and labels is not None:
            label = self.emb_label(labels.to(embedding.dtype) * self.config.label_dim**0.5)
            embedding = mp_sum(embedding, label, self.config.label_balance)
        embedding = mp_silu(embedding)
        x = torch.cat([x, torch.ones_like(x[:, :1])], dim=1)
        skips = []
        for layer in self.enc.values():
            x = layer(x) if isinstance(layer, MPConv) else layer(x, embedding)
            skips.append(x)
        for name, layer in self.dec.items():
            x = mp_cat(x, skips.pop(), self.config.concat_balance) if "block" in name else x
            x = layer(x, embedding)
        output: Tensor = self.out_conv(x, self.out_gain)
        return output


def _encoder(config: Config) -> tuple[nn.ModuleDict, list[int]]:
    """Layers of the encoder, and the number of channels of the output of each."""
    layers: dict[str, nn.Module] = {}
    widths: list[int] = []
    for level, (size, outputs) in enumerate(zip(config.resolutions, config.blocks, strict=True)):
        if level == 0:
            layers[f"{size}x{size}_conv"] = MPConv(config.channels + 1, outputs, 3)
            widths.append(outputs)
        else:
            layers[f"{size}x{size}_down"] = Block(widths[-1], widths[-1], config.embedding_channels, "encoder", "down")
            widths.append(widths[-1])
        for i in range(config.per_level):
            attends = size in config.attention
            block = Block(widths[-1], outputs, config.embedding_channels, "encoder", attention=attends)
            layers[f"{size}x{size}_block{i}"] = block
            widths.append(outputs)
    return nn.ModuleDict(layers), widths


def _decoder(config: Config, skip_widths: list[int]) -> nn.ModuleDict:
    """Layers of the decoder, which join the outputs of the encoder in reverse order."""
    layers: dict[str, nn.Module] = {}
    remaining, embedding = list(skip_widths), config.embedding_channels
    inputs = remaining[-1]
    for level in reversed(range(len(config.blocks))):
        size, outputs = config.resolutions[level], config.blocks[level]
        if level == len(config.blocks) - 1:
            layers[f"{size}x{size}_in0"] = Block(inputs, inputs, embedding, "decoder", attention=True)
            layers[f"{size}x{size}_in1"] = Block(inputs, inputs, embedding, "decoder")
        else:
            layers[f"{size}x{size}_up"] = Block(inputs, inputs, embedding, "decoder", "up")
        for i in range(config.per_level + 1):
            attends = size in config.attention
            block = Block(inputs + remaining.pop(), outputs, embedding, "decoder", attention=attends)
            layers[f"{size}x{size}_block{i}"] = block
            inputs = outputs
    return nn.ModuleDict(layers)


class Precond(nn.Module):
    """A denoiser: the U-Net with its preconditioning.

    Parameters
    ----------
    config : Config
        Sizes.
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.unet = UNet(config)
        # only training uses this estimate of the error, but the files have it
        self.logvar_fourier = MPFourier(_LOGVAR)
        self.logvar_linear = MPConv(_LOGVAR, 1)

    def forward(self, x: Tensor, sigma: Tensor, labels: Tensor | None = None) -> Tensor:
        """Denoised data for states (batch, channels, R, R), noise levels (batch,) and one-hot labels."""
        data = self.config.sigma_data
        level = sigma[:, None, None, None]
        total = level**2 + data**2
        raw = self.unet(x / total.sqrt(), sigma.log() / 4, labels)
        denoised: Tensor = x * (data**2 / total) + raw * (level * data / total.sqrt())
        return denoised

    def freeze(self) -> Precond:
        """Normalise all weights once, for evaluation only. `train` undoes it."""
        self.eval().requires_grad_(False)
        for module in self.modules():
            if isinstance(module, MPConv):
                module.freeze()
        return self
