r"""Magnitude-preserving building blocks of the EDM2 networks (arXiv 2312.02696, configuration G).

Every layer preserves the expected magnitude of its input, so that no normalisation of activations is needed: weights
are normalised to unit magnitude per output (equations 47 and 66), nonlinearities are divided by the magnitude of their
output for a normal variable (81), sums and concatenations by that of independent terms (88, 103). Numbers in brackets
are equations of that paper.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

_SILU = 0.596
_EPSILON = 1e-4

RESIDUAL_BALANCE = 0.3
"""Weight of the residual branch, and of attention, in their sums with the main branch."""

CLIP = 256.0
"""Largest absolute value of an activation."""

HEAD = 64
"""Channels of an attention head."""

FILTER = (1, 1)
"""Filter along each axis with which resolution is halved and doubled: means, and repeated pixels."""

Flavour = Literal["encoder", "decoder"]
Resample = Literal["keep", "down", "up"]


def normalize(x: Tensor, dims: tuple[int, ...] | None = None) -> Tensor:
    """Scale to unit magnitude: divide by 1e-4 plus the root mean square.

    Parameters
    ----------
    x : Tensor
        Any shape.
    dims : tuple of int, optional
        Axes that are normalised together, by default all but the first.

    Returns
    -------
    Tensor
        Same shape and type; the root mean square is taken in single precision at least.

    Examples
    --------
    >>> normalize(torch.tensor([[3.0, 4.0]])).square().mean().sqrt().round(decimals=3).item()
    1.0
    """
    dims = tuple(range(1, x.ndim)) if dims is None else dims
    kind = torch.promote_types(x.dtype, torch.float32)
    norm: Tensor = torch.linalg.vector_norm(x, dim=dims, keepdim=True, dtype=kind)
    scaled: Tensor = x / (_EPSILON + norm * math.sqrt(norm.numel() / x.numel())).to(x.dtype)
    return scaled


def mp_silu(x: Tensor) -> Tensor:
    """Sigmoid-weighted unit, divided by its root mean square on a normal variable (81).

    Examples
    --------
    >>> round(mp_silu(torch.tensor(1.0)).item(), 4)
    1.2266
    """
    return functional.silu(x) / _SILU


def mp_sum(a: Tensor, b: Tensor, balance: float) -> Tensor:
    """Weighted sum of independent unit-magnitude tensors that is of unit magnitude (88).

    Parameters
    ----------
    a, b : Tensor
        Of one shape.
    balance : float
        Share of `b`, from 0 to 1.

    Examples
    --------
    >>> mp_sum(torch.tensor(3.0), torch.tensor(4.0), 0.5).item()
    4.94974...
    """
    return a.lerp(b, balance) / math.hypot(1 - balance, balance)


def mp_cat(a: Tensor, b: Tensor, balance: float) -> Tensor:
    """Concatenation over channels in which each input has its share of a unit magnitude (103).

    Parameters
    ----------
    a, b : Tensor, shape (batch, channels, ...)
        Of any numbers of channels.
    balance : float
        Share of `b`, from 0 to 1.

    Examples
    --------
    >>> mp_cat(torch.ones(1, 1), torch.ones(1, 3), 0.5).square().mean().round(decimals=6).item()
    1.0
    """
    first, second = a.shape[1], b.shape[1]
    scale = math.sqrt((first + second) / ((1 - balance) ** 2 + balance**2))
    return torch.cat([a * (scale * (1 - balance) / first**0.5), b * (scale * balance / second**0.5)], dim=1)


def _drawn(draw: Callable[[tuple[int, ...]], Tensor], *shape: int) -> Tensor:
    """Random numbers of that shape; none on the meta device: the first sum there imports a compiler for two seconds."""
    blank = torch.empty(shape)
    return blank if blank.is_meta else draw(shape)


class MPFourier(nn.Module):
    """Random Fourier features of a number, of unit magnitude (75).

    Parameters
    ----------
    count : int
        Number of features.
    """

    def __init__(self, count: int) -> None:
        super().__init__()
        self.freqs: Tensor
        self.phases: Tensor
        self.register_buffer("freqs", _drawn(lambda shape: 2 * math.pi * torch.randn(shape), count))
        self.register_buffer("phases", _drawn(lambda shape: 2 * math.pi * torch.rand(shape), count))

    def forward(self, x: Tensor) -> Tensor:
        """Features (batch, count) of numbers (batch,)."""
        angle = x.to(torch.promote_types(x.dtype, torch.float32)).outer(self.freqs) + self.phases
        return (math.sqrt(2) * torch.cos(angle)).to(x.dtype)


class MPConv(nn.Module):
    """Linear map or convolution whose weight is used at unit magnitude, whatever its own (47, 66).

    Parameters
    ----------
    inputs, outputs : int
        Channels.
    kernel : int
        Side of the filter; 0 for a linear map.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int = 0) -> None:
        super().__init__()
        self.weight = nn.Parameter(_drawn(torch.randn, outputs, inputs, *(kernel, kernel)[: 2 * bool(kernel)]))
        self.frozen: Tensor | None
        self.register_buffer("frozen", None, persistent=False)

    def effective(self) -> Tensor:
        """The weight as it is applied, in single precision at least: normalised, over the root of its inputs."""
        wide = self.weight.to(torch.promote_types(self.weight.dtype, torch.float32))
        return normalize(wide) / math.sqrt(wide[0].numel())

    def freeze(self) -> None:
        """Store the effective weight, so that evaluation does not normalise it again."""
        self.frozen = self.effective().detach()

    def train(self, mode: bool = True) -> MPConv:
        super().train(mode)
        if mode:
            self.frozen = None
        return self

    def _load_from_state_dict(self, *arguments: Any) -> None:
        super()._load_from_state_dict(*arguments)
        self.frozen = None

    def forward(self, x: Tensor, gain: Tensor | None = None) -> Tensor:
        """Apply to (batch, inputs, ...); the outputs are multiplied by `gain`, 1 by default."""
        weight = (self.effective() if self.frozen is None else self.frozen).to(x.dtype)
        if weight.ndim == 2:
            output = functional.linear(x, weight)
        else:
            output = functional.conv2d(x, weight, padding=weight.shape[-1] // 2)
        return output if gain is None else output * gain.to(x.dtype)


def resize(x: Tensor, mode: Resample) -> Tensor:
    """The picture as it is, its 2 x 2 means, or every pixel repeated 2 x 2.

    Examples
    --------
    >>> resize(torch.tensor([[[[1.0, 3.0], [5.0, 7.0]]]]), "down").item()
    4.0
    """
    if mode == "down":
        return functional.avg_pool2d(x, 2)
    return functional.interpolate(x, scale_factor=2, mode="nearest") if mode == "up" else x


class Block(nn.Module):
    """Residual block with noise embedding, optional resampling and attention.

    Parameters
    ----------
    inputs, outputs, embedding : int
        Channels of the picture before and after, and of the embedding.
    flavour : {"encoder", "decoder"}
        In the encoder the picture is brought to its number of channels and normalised before the residual branch, in
        the decoder after it.
    resample : {"keep", "down", "up"}
        What is done first.
    attention : bool
        Whether self-attention follows, with a head per 64 channels.
    """

    def __init__(
        self, inputs: int, outputs: int, embedding: int, flavour: Flavour, resample: Resample = "keep",
        attention: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        self.flavour: Flavour = flavour
        self.resample: Resample = resample
        self.heads = outputs // HEAD if attention else 0
        self.emb_gain = nn.Parameter(torch.zeros(()))
        self.conv_res0 = MPConv(outputs if flavour == "encoder" else inputs, outputs, 3)
        self.emb_linear = MPConv(embedding, outputs)
        self.conv_res1 = MPConv(outputs, outputs, 3)
        self.conv_skip = MPConv(inputs, outputs, 1) if inputs != outputs else None
        self.attn_qkv = MPConv(outputs, 3 * outputs, 1) if attention else None
        self.attn_proj = MPConv(outputs, outputs, 1) if attention else None

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        """Next activations from (batch, inputs, height, width) and (batch, embedding)."""
        x = resize(x, self.resample)
        if self.flavour == "encoder":
            x = normalize(self._skipped(x), (1,))
        scale = self.emb_linear(embedding, self.emb_gain) + 1
        residual = mp_silu(self.conv_res0(mp_silu(x)) * scale[:, :, None, None])
        x = self._skipped(x) if self.flavour == "decoder" else x
        x = mp_sum(x, self.conv_res1(residual), RESIDUAL_BALANCE)
        if self.attn_qkv is not None and self.attn_proj is not None:
            attended = attention(self.attn_qkv(x), self.heads)
            x = mp_sum(x, self.attn_proj(attended), RESIDUAL_BALANCE)
        return x.clamp(-CLIP, CLIP)

    def _skipped(self, x: Tensor) -> Tensor:
        return x if self.conv_skip is None else self.conv_skip(x)


def attention(joint: Tensor, heads: int) -> Tensor:
    """Self-attention with unit-magnitude queries, keys and values (cosine attention).

    Parameters
    ----------
    joint : Tensor, shape (batch, 3 * channels, height, width)
        Channels in the order head, feature, then query, key and value.
    heads : int
        Number of heads.

    Returns
    -------
    Tensor, shape (batch, channels, height, width)
    """
    batch, channels, height, width = joint.shape
    parts = normalize(joint.reshape(batch, heads, channels // (3 * heads), 3, height * width), (2,))
    query, key, value = (part.transpose(2, 3) for part in parts.unbind(3))
    mixed = functional.scaled_dot_product_attention(query, key, value)
    return mixed.transpose(2, 3).reshape(batch, channels // 3, height, width)
