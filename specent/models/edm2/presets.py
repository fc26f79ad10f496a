"""Sizes of the published networks, and how their files are called (arXiv 2312.02696)."""

from __future__ import annotations

import re
from dataclasses import replace

from specent.arguments import brief
from specent.errors import ModelError
from specent.models.edm2.network import Config

SIZES = {"xs": 128, "s": 192, "m": 256, "l": 320, "xl": 384, "xxl": 448}
"""Channels of the finest level; the others have two, three and four times as many."""

SETS = {"img512": (64, 4), "img64": (64, 3)}
"""Resolution and channels of the states: latents of ImageNet-512, pixels of ImageNet-64."""

LABELS = 1000

_FILE = re.compile(r"edm2-(img512|img64)-(xs|s|m|l|xl|xxl)(-uncond)?-(\d+)-(\d+\.\d+)")


def preset(name: str) -> Config:
    """Sizes of a published network.

    Parameters
    ----------
    name : str
        Data, size, and ``-uncond`` for the unconditional network: ``"img512-xs"``, ``"img64-s-uncond"``. The name of a
        published file serves too.

    Returns
    -------
    Config

    Raises
    ------
    ModelError
        If there is no such network.

    Examples
    --------
    >>> preset("img512-xs").blocks, preset("img64-xs-uncond").label_dim
    ((128, 256, 384, 512), 0)
    >>> preset("edm2-img512-xs-2147483-0.045.pkl") == preset("img512-xs")
    True
    """
    text = name if isinstance(name, str) else ""
    file = _FILE.match(text)
    text = "-".join([file[1], file[2], *(["uncond"] if file[3] else [])]) if file else text
    data, _, rest = text.partition("-")
    size, _, kind = rest.partition("-")
    if data not in SETS or size not in SIZES or kind not in ("", "uncond") or text.endswith("-"):
        raise ModelError(
            f"preset={brief(name)} is not known; it is one of {', '.join(SETS)}, a size of {', '.join(SIZES)}, and "
            "'uncond' for the unconditional network, as in 'img512-xs' and 'img512-xs-uncond'"
        )
    resolution, channels = SETS[data]
    width = SIZES[size]
    return Config(
        resolution=resolution, channels=channels, label_dim=0 if kind else LABELS,
        blocks=tuple(width * factor for factor in (1, 2, 3, 4)), noise_channels=width, embedding_channels=4 * width,
    )  # fmt: skip


def preset_name(config: Config) -> str:
    """Name of the published network that has these sizes, ``"custom"`` if none has.

    Examples
    --------
    >>> preset_name(preset("img64-xl-uncond"))
    'img64-xl-uncond'
    """
    for data in SETS:
        for size in SIZES:
            for kind in ("", "-uncond"):
                if preset(f"{data}-{size}{kind}") == replace(config, label_balance=0.5, concat_balance=0.5):
                    return f"{data}-{size}{kind}"
    return "custom"


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
