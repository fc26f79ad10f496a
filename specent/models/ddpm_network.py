"""The U-Net of a DDPM of pixels, sized by a few numbers, in the classes of diffusers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch

from specent import arguments, memory
from specent.errors import ModelError

TIMES = 1000
"""Times of the schedule, 0 .. 999, with betas from 1e-4 to 2e-2 in even steps (arXiv 2006.11239)."""

BETAS = (1e-4, 2e-2)


def need_diffusers() -> None:
    """Raise `ModelError` if diffusers is not installed."""
    try:
        import diffusers  # noqa: F401
    except ImportError as error:
        raise ModelError("the networks of a DDPM come with diffusers: pip install diffusers") from error


def unet(
    shape: Sequence[int],
    embeddings: int | None,
    *,
    channels: Sequence[int],
    layers: int,
    attention: Sequence[int],
    dropout: float = 0.0,
    seed: int = 0,
) -> Any:
    """A `UNet2DModel` with random weights from a seed.

    Parameters
    ----------
    shape : sequence of int
        Channels, height and width of a picture.
    embeddings : int or None
        How many conditions it knows; None for a network without labels.
    channels : sequence of int
        Width of each level; from one to the next, height and width are halved.
    layers : int
        Residual blocks per level.
    attention : sequence of int
        Heights at which there is attention.
    dropout : float
        Dropout inside residual blocks.
    seed : int
        Seed of the weights.

    Returns
    -------
    UNet2DModel
        Which predicts the noise.

    Raises
    ------
    ModelError
        If the picture cannot be halved that often, or a width has no groups to be normalised in.
    """
    from diffusers import UNet2DModel

    picture_channels, height, width = shape
    halvings = 2 ** (len(channels) - 1)
    if height % halvings or width % halvings:
        raise ModelError(
            f"channels={list(channels)} halves the picture {len(channels) - 1} times, but {height} x {width} cannot be "
            f"divided by {halvings}; give fewer levels, or pictures of another size"
        )
    if math.gcd(*channels) % 4:
        raise ModelError(f"channels={list(channels)} must be multiples of 4, for the groups of the normalisation")
    attended = [height // 2**level in attention for level in range(len(channels))]
    # a group has at least four channels: alone, each would lose its mean, the brightness of the picture
    groups = math.gcd(math.gcd(*channels) // 4, 32)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(arguments.whole(seed, "seed", error=ModelError))
        return UNet2DModel(
            sample_size=height if height == width else (height, width),
            in_channels=picture_channels,
            out_channels=picture_channels,
            block_out_channels=tuple(channels),
            layers_per_block=layers,
            down_block_types=tuple("AttnDownBlock2D" if here else "DownBlock2D" for here in attended),
            up_block_types=tuple("AttnUpBlock2D" if here else "UpBlock2D" for here in reversed(attended)),
            attention_head_dim=math.gcd(math.gcd(*channels), 64),
            add_attention=bool(attention),
            norm_num_groups=groups,
            dropout=dropout,
            num_class_embeds=embeddings,
        )


def check_sizes(
    shape: Sequence[int], batch: int, *, channels: Sequence[int], layers: int, activations: bool = True
) -> None:
    """Refuse a network or a batch that this machine has no memory for, before it is built.

    What is counted is less than what is used: two convolutions of 3 x 3 in every block on either side, with their
    average, gradient and both moments; four arrays in each of them, if `activations`; and the batch itself.

    Raises
    ------
    SpecentError
        If even that is more than there is.
    """
    weights = sum(2 * 2 * 9 * layers * width**2 for width in channels)
    memory.check_fits(
        4 * 5 * weights, f"a network of channels={list(channels)} and layers={layers}", "take fewer of them"
    )
    size = math.prod(shape)
    numbers = 3 * size
    if activations:
        pixels = [max(1, size // shape[0] // 4**level) for level in range(len(channels))]
        numbers += sum(2 * 4 * layers * width * count for width, count in zip(channels, pixels, strict=True))
    memory.check_fits(4 * batch * numbers, f"a step with batch={batch}", "take a smaller batch")


def scheduler() -> Any:
    """The `DDPMScheduler` that belongs to it; predictions are not clipped, or its chain were no Gaussian one."""
    from diffusers import DDPMScheduler

    low, high = BETAS
    return DDPMScheduler(
        num_train_timesteps=TIMES,
        beta_start=low,
        beta_end=high,
        beta_schedule="linear",
        prediction_type="epsilon",
        variance_type="fixed_small",
        clip_sample=False,
    )
