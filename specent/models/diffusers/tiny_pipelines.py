"""Tiny random pipelines of the real classes, to try an adapter or a recipe without weights.

Their pictures show nothing. Weights are random numbers of a fixed seed, tokenisers know single letters only, and a
pipeline is written within a second or two, as `save_pretrained` writes the large ones.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from specent import _retired, arguments
from specent.arguments import brief
from specent.errors import ModelError
from specent.models.diffusers.weights import quiet

_SIZE = 8
_WIDTH = 16
_TEXT_LENGTH = 77
_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789.,:;!?'-"
# factor of the last layer of a text to image network, so that prompts that differ by a few letters give other pictures
_GAIN = 4.0


def write_pipeline(kind: str, folder: str | Path, *, seed: int = 0) -> Path:
    """Write a tiny random pipeline.

    Parameters
    ----------
    kind : str
        ``"unet"`` and ``"unet_classes"`` (DDPM without and with class labels, the last of which may serve as null),
        ``"dit"``, ``"sd1"``, ``"sd2"`` (v-prediction), ``"sdxl"`` or ``"sd3"``.
    folder : str or Path
        Folder to write; it is created if it does not exist.
    seed : int
        Seed of the weights.

    Returns
    -------
    Path
        The folder, for `specent.models.pipeline`.

    Raises
    ------
    ModelError
        If the kind is not known.
    """
    if kind not in _KINDS:
        raise ModelError(f"kind={brief(kind)} must be one of {', '.join(map(repr, _KINDS))}")
    target = Path(folder)
    with torch.random.fork_rng(devices=[]), quiet():
        torch.manual_seed(arguments.whole(seed, "seed"))
        _KINDS[kind]().save_pretrained(target, safe_serialization=True)
    return target


def _unet(classes: int | None = None) -> Any:
    from diffusers import DDPMPipeline, DDPMScheduler, UNet2DModel

    net = UNet2DModel(
        sample_size=_SIZE, in_channels=3, out_channels=3, down_block_types=("DownBlock2D", "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", "UpBlock2D"), block_out_channels=(8, 16), layers_per_block=1,
        norm_num_groups=4, attention_head_dim=4, num_class_embeds=classes,
    )  # fmt: skip
    return DDPMPipeline(net, DDPMScheduler(clip_sample=False))


def _dit() -> Any:
    from diffusers import DDIMScheduler, DiTPipeline, DiTTransformer2DModel

    net = DiTTransformer2DModel(
        num_attention_heads=2, attention_head_dim=8, in_channels=4, out_channels=8, num_layers=2, norm_num_groups=4,
        sample_size=_SIZE, patch_size=2, num_embeds_ada_norm=1000,
    )  # fmt: skip
    pipe = DiTPipeline(net, _vae(4), DDIMScheduler(clip_sample=False))
    # two of ImageNet's classes share a name
    names = {str(index): f"thing {index}, object {index}" for index in range(1000)} | {"134": "crane", "517": "crane"}
    pipe.register_to_config(id2label=names)
    return pipe


def _vae(channels: int, **more: Any) -> Any:
    from diffusers import AutoencoderKL

    # pictures of twice the size of the latents
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2,
        block_out_channels=(8, 8), latent_channels=channels, norm_num_groups=4, sample_size=2 * _SIZE, **more,
    )  # fmt: skip


def _stable_diffusion(prediction: str) -> Any:
    from diffusers import PNDMScheduler, StableDiffusionPipeline

    words, encoder = _clip()
    # as published: a scheduler with a deterministic step, whose betas are those of the training
    scheduler = PNDMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", skip_prk_steps=True, steps_offset=1,
        prediction_type=prediction,
    )  # fmt: skip
    return StableDiffusionPipeline(
        vae=_vae(4), text_encoder=encoder, tokenizer=words, unet=_conditional_unet(_WIDTH), scheduler=scheduler,
        safety_checker=None, feature_extractor=None, requires_safety_checker=False,
    )  # fmt: skip


def _stable_diffusion_xl() -> Any:
    from diffusers import EulerDiscreteScheduler, StableDiffusionXLPipeline

    first, second = _clip(), _clip(projected=True)
    unet = _conditional_unet(
        2 * _WIDTH, addition_embed_type="text_time", addition_time_embed_dim=4,
        projection_class_embeddings_input_dim=6 * 4 + _WIDTH, use_linear_projection=True,
    )  # fmt: skip
    scheduler = EulerDiscreteScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", steps_offset=1
    )
    return StableDiffusionXLPipeline(
        vae=_vae(4, scaling_factor=0.13025), text_encoder=first[1], text_encoder_2=second[1], tokenizer=first[0],
        tokenizer_2=second[0], unet=unet, scheduler=scheduler, add_watermarker=False,
    )  # fmt: skip


def _stable_diffusion_3() -> Any:
    from diffusers import FlowMatchEulerDiscreteScheduler, SD3Transformer2DModel, StableDiffusion3Pipeline

    first, second = _clip(projected=True), _clip(projected=True)
    net = SD3Transformer2DModel(
        sample_size=_SIZE, patch_size=2, in_channels=16, num_layers=2, attention_head_dim=8, num_attention_heads=2,
        joint_attention_dim=2 * _WIDTH, caption_projection_dim=16, pooled_projection_dim=2 * _WIDTH, out_channels=16,
        pos_embed_max_size=_SIZE,
    )  # fmt: skip
    third = _t5()
    return StableDiffusion3Pipeline(
        transformer=_amplified(net, net.proj_out), scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
        vae=_vae(16, scaling_factor=1.5305, shift_factor=0.0609, use_quant_conv=False, use_post_quant_conv=False),
        text_encoder=first[1], tokenizer=first[0], text_encoder_2=second[1], tokenizer_2=second[0],
        text_encoder_3=third[1], tokenizer_3=third[0],
    )  # fmt: skip


def _conditional_unet(text: int, **more: Any) -> Any:
    from diffusers import UNet2DConditionModel

    net = UNet2DConditionModel(
        sample_size=_SIZE, in_channels=4, out_channels=4, down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"), block_out_channels=(8, 16), layers_per_block=1,
        norm_num_groups=4, attention_head_dim=2, cross_attention_dim=text, **more,
    )  # fmt: skip
    return _amplified(net, net.conv_out)


def _amplified(net: Any, last: torch.nn.Module) -> Any:
    with torch.no_grad():
        for weight in last.parameters():
            weight.mul_(_GAIN)
    return net


def _clip(*, projected: bool = False) -> tuple[Any, Any]:
    """A tokeniser of letters, and a CLIP text encoder."""
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

    words = [*_LETTERS, *(letter + "</w>" for letter in _LETTERS), "<|startoftext|>", "<|endoftext|>"]
    tokeniser = CLIPTokenizer(
        vocab={word: index for index, word in enumerate(words)}, merges=[], model_max_length=_TEXT_LENGTH
    )
    settings = CLIPTextConfig(
        vocab_size=len(words), hidden_size=_WIDTH, intermediate_size=2 * _WIDTH, num_hidden_layers=2,
        num_attention_heads=2, projection_dim=_WIDTH, max_position_embeddings=_TEXT_LENGTH,
        bos_token_id=len(words) - 2, eos_token_id=len(words) - 1, pad_token_id=len(words) - 1,
    )  # fmt: skip
    return tokeniser, (CLIPTextModelWithProjection if projected else CLIPTextModel)(settings).eval()


def _t5() -> tuple[Any, Any]:
    """A tokeniser of letters, and a T5 encoder."""
    from transformers import T5Config, T5EncoderModel, T5TokenizerFast

    words = ["<pad>", "</s>", "<unk>", "▁", *_LETTERS]
    tokeniser = T5TokenizerFast(vocab=[(word, -1.0 if word else 0.0) for word in words], extra_ids=0)
    settings = T5Config(
        vocab_size=len(words), d_model=2 * _WIDTH, d_kv=8, d_ff=2 * _WIDTH, num_layers=1, num_heads=2,
        feed_forward_proj="gated-gelu", tie_word_embeddings=False,
    )  # fmt: skip
    return tokeniser, T5EncoderModel(settings).eval()


_KINDS: dict[str, Callable[[], Any]] = {
    "unet": _unet,
    "unet_classes": lambda: _unet(4),
    "dit": _dit,
    "sd1": lambda: _stable_diffusion("epsilon"),
    "sd2": lambda: _stable_diffusion("v_prediction"),
    "sdxl": _stable_diffusion_xl,
    "sd3": _stable_diffusion_3,
}


def __getattr__(name: str) -> object:
    return _retired.attribute(__name__, name)
