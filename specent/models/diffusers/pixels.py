"""Networks of pixels, `UNet2DModel`: one with class labels, or one network for each class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from specent import arguments
from specent.errors import ModelError
from specent.models.diffusers.channel import Channel, read_channel
from specent.models.diffusers.hub import Source
from specent.models.diffusers.options import Options, check_channels, configured_size, refuse
from specent.models.diffusers.pipeline_model import PipelineParts
from specent.models.diffusers.weights import digests, load_part


class Networks(nn.Module):
    """One or several U-Nets, one of which serves each condition.

    Parameters
    ----------
    nets : sequence of UNet2DModel
        The networks.
    which : sequence of int
        Index of the network of each condition.
    index : sequence of int
        Class label of each condition in its network, if the network takes one.
    """

    def __init__(self, nets: Sequence[nn.Module], which: Sequence[int], index: Sequence[int]) -> None:
        super().__init__()
        self.nets = nn.ModuleList(nets)
        self.which: Tensor
        self.index: Tensor
        self.register_buffer("which", torch.tensor(which), persistent=False)
        self.register_buffer("index", torch.tensor(index), persistent=False)

    def forward(self, x: Tensor, time: Tensor, condition: Tensor) -> Tensor:
        """What the network of each condition returns, without a learned variance."""
        if len(self.nets) == 1:
            return self._one(0, x, time, condition)
        output = torch.empty_like(x)
        for number in range(len(self.nets)):
            rows = self.which[condition] == number
            if rows.any():
                output[rows] = self._one(number, x[rows], time[rows], condition[rows]).to(output.dtype)
        return output

    def _one(self, number: int, x: Tensor, time: Tensor, condition: Tensor) -> Tensor:
        net: Any = self.nets[number]
        label = None if net.class_embedding is None else self.index[condition]
        output: Tensor = net(x, time, label, return_dict=False)[0]
        return output[:, : x.shape[1]]


def open_pixels(source: Source | Mapping[str, Source], options: Options) -> PipelineParts:
    """A network with class labels, or one network per class; and perhaps one for the null condition.

    Raises
    ------
    ModelError
        If the networks do not fit together, or an argument does not go with them.
    """
    first = next(iter(source.values())) if isinstance(source, Mapping) else source
    refuse(first, "is for text to image pipelines; here conditions are class labels", prompts=options.prompts)
    if isinstance(source, Mapping):
        refuse(first, "cannot go with one network per class; the keys of source are their names", labels=options.labels)
        parts, labels, index, null = dict(source), tuple(source), [-1] * len(source), False
        nets = [_plain(part) for part in parts.values()]
        which = list(range(len(nets)))
    else:
        parts, nets = {"network": source}, [_network(source)]
        labels, index, null = _classes(source, nets[0], options)
        which = [0] * len(index)
    if options.unconditional is not None:
        refuse(first, "does not go with unconditional=, which is the null condition", null=options.null)
        parts["unconditional"] = options.unconditional
        nets.append(_plain(options.unconditional))
        which, index, null = [*which, len(nets) - 1], [*index, -1], True
    elif isinstance(source, Mapping):
        unwanted = None if options.null is False else options.null
        refuse(first, "needs a network of its own here; pass unconditional=", null=unwanted)
    fitting, shape = _together(list(parts.values()), nets, options)
    integer = any(net.config.time_embedding_type == "learned" for net in nets)
    facts = {"pipeline": first.kind, "network": "UNet2DModel", "weights": _weights(parts), "classes": index}
    return PipelineParts(Networks(nets, which, index), labels, null, shape, fitting, integer_times=integer, facts=facts)


def _network(source: Source) -> Any:
    net = load_part(source, _part(source), "UNet2DModel")
    if net is None:
        raise ModelError(f"{source} has no unet; fetch it again, whole")
    if net.config.class_embed_type is not None:
        raise ModelError(
            f"{source}: class_embed_type={net.config.class_embed_type!r} takes no class labels; wrap the network with "
            "specent.models.network(...)"
        )
    check_channels(source, net.config.in_channels, net.config.out_channels)
    return net


def _plain(source: Source) -> Any:
    """A network that takes no class label."""
    net = _network(source)
    if net.class_embedding is not None:
        raise ModelError(
            f"{source} takes class labels, so it is not the network of a single class, nor was it trained without "
            "labels; pass it alone as source=, with null=True if its last label stands for none"
        )
    return net


def _part(source: Source) -> str:
    return "" if source.bare else "unet"


def _classes(source: Source, net: Any, options: Options) -> tuple[tuple[str, ...], list[int], bool]:
    """Names of the labels, the label of the network for every condition, and whether the last of them is null."""
    count = net.config.num_class_embeds
    if net.class_embedding is None:
        raise ModelError(
            f"{source} takes no class labels, so it has one class only; pass one network per class, "
            "{'cat': folder, 'dog': folder}, and for the null condition unconditional=folder"
        )
    null: int | None = None
    if options.null is not None and options.null is not False:
        null = (
            count - 1
            if options.null is True
            else arguments.whole(options.null, "null", most=count - 1, error=ModelError)
        )
    index = [label for label in range(count) if label != null]
    labels = [str(label) for label in index] if options.labels is None else options.labels
    labels = arguments.names(labels, "labels", error=ModelError)
    if len(labels) != len(index):
        hint = ""
        if null is None and len(labels) == count - 1:
            hint = "; if the last of them was trained as the null condition, say null=True"
        besides = " beside null" if null is not None else ""
        raise ModelError(f"{source} has {len(index)} class labels{besides}, but labels= names {len(labels)}{hint}")
    return labels, index if null is None else [*index, null], null is not None


def _together(parts: Sequence[Source], nets: Sequence[Any], options: Options) -> tuple[Channel, tuple[int, int, int]]:
    """The channel and the shape of a sample, in which all networks must agree."""
    channels = [read_channel(part, options.schedule, options.prediction) for part in parts]
    shapes = [(net.config.in_channels, *(options.size or configured_size(part, net.config)))
              for part, net in zip(parts, nets, strict=True)]  # fmt: skip
    for part, one, shape in zip(parts, channels, shapes, strict=True):
        if replace(one, limit=0, scheduler={}) != replace(channels[0], limit=0, scheduler={}):
            raise ModelError(f"{part} was trained on another noise schedule or prediction than {parts[0]}")
        if shape != shapes[0]:
            raise ModelError(f"{part} draws samples of shape {shape}, {parts[0]} of {shapes[0]}; they must be equal")
    step = max(2 ** (len(net.config.block_out_channels) - 1) for net in nets)
    if any(side % step for side in shapes[0][1:]):
        raise ModelError(f"{parts[0]}: size={shapes[0][1:]} must be multiples of {step} in height and width")
    return channels[0], shapes[0]


def _weights(parts: Mapping[str, Source]) -> dict[str, Any]:
    """Source and SHA-256 of every network; no two of them may have the same weights."""
    weights: dict[str, Any] = {
        role: {"source": part.name, "sha256": digests(part, _part(part))} for role, part in parts.items()
    }
    seen: dict[tuple[str, ...], str] = {}
    for role, entry in weights.items():
        key = tuple(entry["sha256"].values())
        if key in seen:
            raise ModelError(f"{role!r} and {seen[key]!r} have the same weights, so they are one condition")
        seen[key] = role
    return weights
