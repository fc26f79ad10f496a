"""The options of `pipeline`, and the checks that the families of pipelines share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from specent import arguments
from specent.arguments import brief
from specent.errors import ModelError
from specent.models.diffusers.hub import Source
from specent.schedules import Schedule

# the largest edge of a picture in pixels
_LARGEST = 2**13


@dataclass(frozen=True)
class Options:
    """The arguments of `pipeline` beside the source; None where the configuration of the pipeline decides."""

    labels: Sequence[str] | None = None
    prompts: Any = None
    null: bool | int | str | None = None
    unconditional: Source | None = None
    size: tuple[int, int] | None = None
    schedule: Schedule | None = None
    prediction: str | None = None
    device: torch.device = torch.device("cpu")  # noqa: RUF009  (immutable)


def refuse(source: Source | str, why: str, **options: object) -> None:
    """Refuse options that do not go with the source, unless they are None."""
    for name, value in options.items():
        if value is not None:
            raise ModelError(f"{source}: {name}={brief(value)} {why}")


def check_channels(source: Source, inputs: int, outputs: int) -> None:
    """Refuse a network unless it returns as many channels as it takes, or twice as many with a learned variance."""
    if outputs not in (inputs, 2 * inputs):
        raise ModelError(
            f"{source}: its network takes {inputs} channels and returns {outputs}; a denoiser returns as many as it "
            "takes, or twice as many with a learned variance. Wrap it with specent.models.network(...)"
        )


def picture_size(size: Any) -> tuple[int, int] | None:
    """Height and width in pixels, from one number or two.

    Examples
    --------
    >>> picture_size(64)
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
    """Height and width from the ``sample_size`` of a network."""
    size = config.get("sample_size")
    if size is None:
        raise ModelError(f"{source}: its network has no sample_size; pass size=, the height and width in pixels")
    sides = size if isinstance(size, (list, tuple)) and len(size) == 2 else (size, size)
    height, width = (
        arguments.whole(side, f"{source}: config.json of its network: sample_size", least=1, most=_LARGEST,
                     error=ModelError)
        for side in sides
    )  # fmt: skip
    return height, width
