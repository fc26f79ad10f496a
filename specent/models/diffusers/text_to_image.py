"""Text to image: Stable Diffusion 1, 2, XL (arXiv 2112.10752, 2307.01952) and 3 (arXiv 2403.03206), on their latents.

The conditions are prompts, which are encoded once. The null condition is the empty prompt, as in training; Stable
Diffusion XL has zeros instead. A network of Stable Diffusion XL takes the size of the picture too.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from specent.arguments import brief
from specent.errors import ModelError
from specent.models.diffusers.autoencoder import Decoder
from specent.models.diffusers.channel import read_channel
from specent.models.diffusers.hub import Source
from specent.models.diffusers.options import Options, check_channels, configured_size, refuse
from specent.models.diffusers.pipeline_model import PipelineParts
from specent.models.diffusers.prompts import Text, check_prompts, check_tokens, encode, tokenisers
from specent.models.diffusers.weights import digests, load_part

ZEROS = "zeros"
"""Name in archives of a null condition that is zeros, not a prompt."""


class TextUNet(nn.Module):
    """The U-Net of Stable Diffusion with its encoded prompts.

    Parameters
    ----------
    unet : UNet2DConditionModel
        The network.
    text : Text
        A row for each condition.
    sizes : tuple of int, optional
        Size of the picture for Stable Diffusion XL: of the original, corner of the crop, and of the target.
    """

    def __init__(self, unet: nn.Module, text: Text, sizes: tuple[int, ...] | None = None) -> None:
        super().__init__()
        self.unet = unet
        self.tokens: Tensor
        self.pooled: Tensor | None
        self.sizes: Tensor | None
        self.register_buffer("tokens", text.tokens)
        self.register_buffer("pooled", text.pooled)
        self.register_buffer("sizes", None if sizes is None else torch.tensor([sizes], dtype=torch.float32))

    def forward(self, x: Tensor, time: Tensor, condition: Tensor) -> Tensor:
        """What the network predicts."""
        more = None
        if self.pooled is not None and self.sizes is not None:
            more = {"text_embeds": self.pooled[condition], "time_ids": self.sizes.expand(len(x), -1)}
        tokens = self.tokens[condition]
        output: Tensor = self.unet(x, time, tokens, added_cond_kwargs=more, return_dict=False)[0]
        return output


class TextTransformer(nn.Module):
    """The transformer of Stable Diffusion 3 with its encoded prompts."""

    def __init__(self, transformer: nn.Module, text: Text) -> None:
        super().__init__()
        self.transformer = transformer
        self.tokens: Tensor
        self.pooled: Tensor
        self.register_buffer("tokens", text.tokens)
        self.register_buffer("pooled", text.pooled)

    def forward(self, x: Tensor, time: Tensor, condition: Tensor) -> Tensor:
        """The velocity it predicts."""
        output: Tensor = self.transformer(
            x, encoder_hidden_states=self.tokens[condition], pooled_projections=self.pooled[condition], timestep=time,
            return_dict=False,
        )[0]  # fmt: skip
        return output


def open_text_to_image(source: Source, options: Options) -> PipelineParts:
    """A text to image pipeline with its prompts as conditions.

    Raises
    ------
    ModelError
        If an argument does not go with it, its parts do not fit together, or two prompts have the same tokens.
    """
    refuse(source, "is for pipelines of class labels; here conditions are prompts=", labels=options.labels)
    refuse(source, "is not needed: the null condition is a prompt", unconditional=options.unconditional)
    if options.prompts is None:
        raise ModelError(f"{source} draws from text; pass prompts=[...], or prompts={{label: prompt, ...}}")
    prompts, null = check_prompts(options.prompts), _null_prompt(source, options.null)
    channel = read_channel(source, options.schedule, options.prediction)
    check_tokens(prompts, None if null == ZEROS else null, tokenisers(source))
    flow = source.kind == "StableDiffusion3Pipeline"
    part, kind = ("transformer", "SD3Transformer2DModel") if flow else ("unet", "UNet2DConditionModel")
    net, vae = load_part(source, part, kind), load_part(source, "vae", "AutoencoderKL")
    if net is None or vae is None:
        raise ModelError(f"{source} has no {part if net is None else 'vae'}; fetch it again, whole")
    decoder = Decoder(vae, source)
    shape = _shape(source, net, decoder, options.size)
    texts = [*prompts.values(), *([] if null in (None, ZEROS) else [null])]
    text = encode(source, texts, net, options.device)
    if null == ZEROS:
        text = _with_zeros(text)
    wrapped = _transformer(source, net, text) if flow else _unet(source, net, text, decoder.factor, shape)
    encoders = [f"text_encoder{number}" for number in ("", "_2", "_3") if _has(source, f"text_encoder{number}")]
    facts = {
        "pipeline": source.kind,
        "network": kind,
        "weights": {"network": {"source": source.name, "sha256": digests(source, part, "vae", *encoders)}},
        "prompts": prompts,
        **({} if null is None else {"null_prompt": null}),
        "size": [side * decoder.factor for side in shape[1:]],
    }
    return PipelineParts(wrapped, tuple(prompts), null is not None, shape, channel, decoder, facts=facts)


def _null_prompt(source: Source, null: Any) -> str | None:
    """Prompt of the null condition, `ZEROS` for zeros instead of a prompt, None for no null condition."""
    if null is False:
        return None
    if null is None or null is True:
        zeros = source.kind == "StableDiffusionXLPipeline" and source.index.get("force_zeros_for_empty_prompt", True)
        return ZEROS if zeros else ""
    if not isinstance(null, str):
        raise ModelError(f"{source}: null={brief(null)} must be a prompt, or False for no null condition")
    return null


def _has(source: Source, part: str) -> bool:
    entry = source.index.get(part)
    return isinstance(entry, list) and entry[:1] != [None]


def _shape(source: Source, net: Any, decoder: Decoder, size: tuple[int, int] | None) -> tuple[int, int, int]:
    """Shape of the latents of a picture, which must suit network and autoencoder."""
    settings = net.config
    check_channels(source, settings.in_channels, settings.out_channels or settings.in_channels)
    if decoder.vae.config.latent_channels != settings.in_channels:
        raise ModelError(
            f"{source}: its network takes {settings.in_channels} channels, but its vae makes latents of "
            f"{decoder.vae.config.latent_channels}; a network that also takes a picture or a mask cannot be used"
        )
    patch = settings.get("patch_size") or 1
    step = decoder.factor * patch
    if size is None:
        height, width = configured_size(source, settings)
    elif any(side % step for side in size):
        raise ModelError(f"{source}: size={size} must be multiples of {step} pixels in height and width")
    else:
        height, width = (side // decoder.factor for side in size)
    most = settings.get("pos_embed_max_size")
    if most is not None and max(height, width) > most * patch:
        raise ModelError(f"{source}: size={size} is too large; its network draws up to {most * step} pixels")
    return settings.in_channels, height, width


def _with_zeros(text: Text) -> Text:
    """The conditions with one of zeros after them."""
    rows = [
        None if rows is None else torch.cat([rows, torch.zeros_like(rows[:1])]) for rows in (text.tokens, text.pooled)
    ]
    return Text(*rows)  # type: ignore[arg-type]


def _unet(source: Source, net: Any, text: Text, factor: int, shape: tuple[int, int, int]) -> TextUNet:
    settings = net.config
    if settings.time_cond_proj_dim is not None:
        raise ModelError(f"{source}: its network is distilled from a guided one (time_cond_proj_dim), no denoiser")
    _check_width(source, text.tokens, settings.cross_attention_dim)
    if source.kind == "StableDiffusionPipeline":
        if settings.addition_embed_type is not None:
            raise ModelError(f"{source}: its unet takes more than text ({settings.addition_embed_type!r})")
        return TextUNet(net, text)
    if settings.addition_embed_type != "text_time" or text.pooled is None:
        raise ModelError(f"{source}: its unet takes no summary of the text and no sizes; is its class the right one?")
    height, width = (side * factor for side in shape[1:])
    sizes = (height, width, 0, 0, height, width)
    inputs = net.add_embedding.linear_1.in_features
    numbers = settings.addition_time_embed_dim * len(sizes) + text.pooled.shape[-1]
    if inputs != numbers:
        raise ModelError(
            f"{source}: its unet takes {inputs} numbers of text and sizes, but its text encoders and six sizes make "
            f"{numbers}; a refiner takes other numbers and cannot be used"
        )
    return TextUNet(net, text, sizes)


def _transformer(source: Source, net: Any, text: Text) -> TextTransformer:
    _check_width(source, text.tokens, net.config.joint_attention_dim)
    if text.pooled is None or text.pooled.shape[-1] != net.config.pooled_projection_dim:
        raise ModelError(f"{source}: its text encoders do not make the summary of text that its transformer takes")
    return TextTransformer(net, text)


def _check_width(source: Source, tokens: Tensor, expected: Any) -> None:
    width = tokens.shape[-1]
    if width not in (expected if isinstance(expected, (list, tuple)) else [expected]):
        raise ModelError(f"{source}: its network takes text of width {expected}, but its text encoders make {width}")
