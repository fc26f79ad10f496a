"""Sizes of the published networks, and the names of their files (arXiv 2312.02696)."""

from __future__ import annotations

import re
from dataclasses import replace

from specent.arguments import brief
from specent.errors import ModelError
from specent.models.edm2.architecture import Config

SIZES = {"xs": 128, "s": 192, "m": 256, "l": 320, "xl": 384, "xxl": 448}
"""Channels of the finest level; the others have two, three and four times as many."""

STATES = {"img512": (64, 4), "img64": (64, 3)}
"""Resolution and channels of the states: latents of ImageNet-512, pixels of ImageNet-64."""

LABELS = 1000

NAMES = (
    *(f"img512-{size}{labels}" for size in SIZES for labels in ("", "-uncond")),
    *(f"img64-{size}" for size in ("s", "m", "l", "xl")),
)
"""The sets known to be published; ``-uncond`` is a network without labels."""

_FILE = re.compile(r"edm2-(img\d+-[a-z]+(?:-uncond)?)-\d+-\d+\.\d+")


def preset(name: str) -> Config:
    """Sizes of a published network.

    Parameters
    ----------
    name : str
        One of `NAMES`, such as ``"img512-xs"``; ``"img512-xs-uncond"`` is the network without labels. The name of a
        published file serves too.

    Returns
    -------
    Config

    Raises
    ------
    ModelError
        If no such network is known.

    Examples
    --------
    >>> preset("img512-xs").blocks, preset("img512-s-uncond").label_dim
    ((128, 256, 384, 512), 0)
    >>> preset("edm2-img512-xs-2147483-0.045.pkl") == preset("img512-xs")
    True
    """
    text = name if isinstance(name, str) else ""
    file = _FILE.match(text)
    text = file[1] if file else text
    if text not in NAMES:
        raise ModelError(f"preset={brief(name)} is not known; known are {', '.join(NAMES)}")
    data, size, *unconditional = text.split("-")
    resolution, channels = STATES[data]
    width = SIZES[size]
    return Config(
        resolution=resolution, channels=channels, label_dim=0 if unconditional else LABELS,
        blocks=tuple(width * factor for factor in (1, 2, 3, 4)), noise_channels=width, embedding_channels=4 * width,
    )  # fmt: skip


def preset_name(config: Config) -> str:
    """Name of the published network that has these sizes, ``"custom"`` if none is known.

    Examples
    --------
    >>> preset_name(preset("img512-xl-uncond"))
    'img512-xl-uncond'
    """
    sizes = replace(config, label_balance=0.5, concat_balance=0.5)
    return next((name for name in NAMES if preset(name) == sizes), "custom")


def file_name(name: str, images: int = 2147483, average: float = 0.045) -> str:
    """Name of a published file.

    Parameters
    ----------
    name : str
        See `preset`.
    images : int
        Length of the training, in 1024 images.
    average : float
        Length of the average over the weights, relative to the training.

    Returns
    -------
    str

    Examples
    --------
    >>> file_name("img512-xs-uncond")
    'edm2-img512-xs-uncond-2147483-0.045.pkl'
    """
    preset(name)
    return f"edm2-{name}-{images}-{average:.3f}.pkl"
