"""Diffusion transformers of class labels, `DiTTransformer2DModel`, on the latents of an autoencoder (arXiv 2212.09748).

They were trained with dropped labels: the index after the last class is the null condition. They return a variance
beside the noise, which is not used: the chain has its own.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from torch import Tensor, nn

from specent import arguments
from specent.arguments import brief
from specent.errors import ModelError
from specent.models.diffusers.autoencoder import Decoder
from specent.models.diffusers.channel import read_channel
from specent.models.diffusers.hub import Source
from specent.models.diffusers.options import Options, check_channels, configured_size, refuse
from specent.models.diffusers.pipeline_model import PipelineParts
from specent.models.diffusers.weights import digests, load_part


class LabelTransformer(nn.Module):
    """A DiT called as ``net(x, time, condition)``; its labels are the conditions, including the null one."""

    def __init__(self, transformer: nn.Module) -> None:
        super().__init__()
        self.transformer = transformer

    def forward(self, x: Tensor, time: Tensor, condition: Tensor) -> Tensor:
        """The noise it predicts, without the learned variance."""
        output: Tensor = self.transformer(x, timestep=time, class_labels=condition, return_dict=False)[0]
        return output[:, : x.shape[1]]


def open_transformer(source: Source, options: Options) -> PipelineParts:
    """A DiT with its labels, its null condition and its autoencoder.

    Raises
    ------
    ModelError
        If an argument does not go with it, or its parts do not fit together.
    """
    refuse(source, "is for text to image pipelines; here conditions are class labels", prompts=options.prompts)
    refuse(source, "is not needed: the network has a null condition of its own", unconditional=options.unconditional)
    part = "" if source.bare else "transformer"
    net = load_part(source, part, "DiTTransformer2DModel", "Transformer2DModel")
    if net is None:
        raise ModelError(f"{source} has no transformer; fetch it again, whole")
    settings = net.config
    check_channels(source, settings.in_channels, settings.out_channels or settings.in_channels)
    count = settings.num_embeds_ada_norm
    if options.null is not None and not isinstance(options.null, bool) and options.null != count:
        raise ModelError(f"{source}: null={brief(options.null)} must be True or False; its index is {count}")
    vae = None if source.bare else load_part(source, "vae", "AutoencoderKL")
    decoder = None if vae is None else Decoder(vae, source)
    if vae is not None and vae.config.latent_channels != settings.in_channels:
        raise ModelError(
            f"{source}: its transformer takes {settings.in_channels} channels, but its vae makes latents of "
            f"{vae.config.latent_channels}"
        )
    height, width = configured_size(source, settings)
    factor = 1 if decoder is None else decoder.factor
    if options.size not in (None, (height * factor, width * factor)):
        raise ModelError(f"{source}: size={options.size} must be {(height * factor, width * factor)}, or left out")
    parts = [part, *([] if vae is None else ["vae"])]
    facts = {
        "pipeline": source.kind,
        "network": "DiTTransformer2DModel",
        "weights": {"network": {"source": source.name, "sha256": digests(source, *parts)}},
    }
    shape = (settings.in_channels, height, width)
    channel = read_channel(source, options.schedule, options.prediction)
    null = options.null is not False
    labels = _labels(source, count, options)
    return PipelineParts(LabelTransformer(net), labels, null, shape, channel, decoder, facts=facts)


def _labels(source: Source, count: int, options: Options) -> tuple[str, ...]:
    """The labels of the options, or the pipeline's own: the first name of each, with its number where two share it."""
    if options.labels is not None:
        labels = arguments.names(options.labels, "labels", error=ModelError)
        if len(labels) != count:
            raise ModelError(f"{source} has {count} class labels, but labels= names {len(labels)}; give one for each")
        return labels
    known: Any = source.index.get("id2label") or {}
    if not isinstance(known, dict) or not all(isinstance(text, str) for text in known.values()):
        raise ModelError(f"{source}: id2label={brief(known)} is no mapping of numbers to names; pass labels=")
    first = [known.get(str(index), str(index)).split(",")[0].strip() or str(index) for index in range(count)]
    shared = Counter(first)
    return tuple(name if shared[name] == 1 else f"{name} ({index})" for index, name in enumerate(first))
