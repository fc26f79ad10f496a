"""Prompts as conditions, encoded once by the pipeline's own text encoders, which are then removed from memory.

A prompt that is cut off at the limit of a tokeniser gives a warning, and two prompts with the same tokens are refused,
because they would be one condition.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from specent import arguments
from specent.arguments import brief
from specent.errors import ModelError, SpecentWarning
from specent.models.diffusers.hub import Source
from specent.models.diffusers.weights import load_part, load_tokeniser, quiet
from specent.models.outputs import reason

T5_TOKENS = 256
"""Number of tokens of the T5 of Stable Diffusion 3."""

_BATCH = 8
_MOST_TOKENS = 10**6
_CLIP, _CLIP_NETS = ("CLIPTokenizer", "CLIPTokenizerFast"), ("CLIPTextModel", "CLIPTextModelWithProjection")
_T5, _T5_NETS = ("T5Tokenizer", "T5TokenizerFast"), ("T5EncoderModel",)
# how the text encoders of a pipeline are numbered
_NUMBERS = {
    "StableDiffusionPipeline": ("",),
    "StableDiffusionXLPipeline": ("", "_2"),
    "StableDiffusion3Pipeline": ("", "_2", "_3"),
}


@dataclass(frozen=True)
class Text:
    """Prompts as the network takes them, one row each: tokens (conditions, tokens, width) and, for some, a summary."""

    tokens: Tensor
    pooled: Tensor | None = None


def check_prompts(prompts: Any) -> dict[str, str]:
    """Prompts by the label of each: a mapping as it is, a sequence under its own words.

    Examples
    --------
    >>> check_prompts(["a chair", "a cat"])
    {'a chair': 'a chair', 'a cat': 'a cat'}
    """
    if isinstance(prompts, Mapping):
        texts = {arguments.name(key, "prompts", error=ModelError): value for key, value in prompts.items()}
    else:
        names = arguments.names(prompts, "prompts", error=ModelError)
        if len(set(names)) < len(names):
            raise ModelError(f"prompts={brief(list(names))} holds a prompt twice; leave one out")
        texts = {name: name for name in names}
    for label, prompt in texts.items():
        if not isinstance(prompt, str):
            raise ModelError(f"prompts[{label!r}]={brief(prompt)} must be text")
    if not texts:
        raise ModelError(f"prompts={brief(prompts)} must hold at least one prompt")
    return texts


def tokenisers(source: Source) -> list[tuple[Any, int]]:
    """The tokenisers of a pipeline, each with its largest number of tokens."""
    limited = []
    for number in _NUMBERS[source.kind]:
        part = f"tokenizer{number}"
        words = load_tokeniser(source, part, *(_T5 if number == "_3" else _CLIP))
        if words is not None:
            longest = _longest(source, part, words.model_max_length)
            limited.append((words, T5_TOKENS if number == "_3" else longest))
    if not limited:
        raise ModelError(f"{source} has no tokenizer; fetch it again, whole")
    return limited


def _longest(source: Source, part: str, length: Any) -> int:
    """Number of tokens that a tokeniser takes: 1e30 where its files do not say, which is accepted of a T5 only."""
    known = min(length, _MOST_TOKENS) if part == "tokenizer_3" and isinstance(length, int) else length
    what = f"{source}: {part}/tokenizer_config.json: model_max_length"
    return arguments.whole(known, what, least=3, most=_MOST_TOKENS, error=ModelError)


def check_tokens(prompts: Mapping[str, str], null: str | None, words: Sequence[tuple[Any, int]]) -> None:
    """Refuse prompts with the same tokens as another or as the null prompt; warn of one that is cut off.

    Parameters
    ----------
    prompts : mapping
        Prompts by label.
    null : str, optional
        The prompt of the null condition, if it has one.
    words : sequence of (tokeniser, int)
        The tokenisers, each with its largest number of tokens.

    Raises
    ------
    ModelError
        Naming two labels whose prompts are the same to every tokeniser, or one that is the null prompt.

    Warns
    -----
    SpecentWarning
        Naming the words that are cut off.
    """
    seen: dict[tuple[tuple[int, ...], ...], str] = {}
    with quiet():
        named = [*prompts.items(), *([] if null is None else [(None, null)])]
        tokens = [[tuple(word(prompt).input_ids) for word, _ in words] for _, prompt in named]
    for (label, prompt), each in zip(named, tokens, strict=True):
        for (word, limit), ids in zip(words, each, strict=True):
            if len(ids) > limit:
                # the last token marks the end, and is appended again
                lost = word.decode(ids[limit - 1 : -1])
                warnings.warn(
                    f"prompt {brief(prompt)} has {len(ids)} tokens, but {type(word).__name__} takes {limit}: "
                    f"{lost!r} is cut off and says nothing; shorten the prompt",
                    SpecentWarning,
                    stacklevel=5,
                )
        # words that are cut off do not distinguish two prompts
        key = tuple(
            ids if len(ids) <= limit else (*ids[: limit - 1], ids[-1])
            for (_, limit), ids in zip(words, each, strict=True)
        )
        if key not in seen:
            seen[key] = str(label)
        elif label is not None:
            raise ModelError(
                f"prompts {seen[key]!r} and {label!r} are the same tokens, {brief(prompt)}, so they are one "
                "condition; leave one out"
            )
        else:
            raise ModelError(
                f"prompt {seen[key]!r} is the same tokens as the prompt of the null condition, {brief(prompt)}, "
                "so the two are one condition; pass another null=, or null=False"
            )


def encode(source: Source, prompts: Sequence[str], network: nn.Module, device: torch.device) -> Text:
    """Prompts as the network takes them.

    Parameters
    ----------
    source : Source
        A text to image pipeline.
    prompts : sequence of str
        The prompts.
    network : Module
        Its network, whose configuration replaces that of an absent text encoder.
    device : device
        Device of the text encoders, which are loaded for this only.

    Returns
    -------
    Text
        On the processor.

    Raises
    ------
    ModelError
        If a part is missing or an encoder raises.
    """
    pipe = _encoders(source, network, device)
    parts = [list(prompts[low : low + _BATCH]) for low in range(0, len(prompts), _BATCH)]
    try:
        with quiet(), torch.no_grad():
            texts = [_encoded(pipe, part, device) for part in parts]
    except Exception as error:
        raise ModelError(f"{source}: its text encoders raised {reason(error)}") from error
    tokens = torch.cat([text.tokens.float().cpu() for text in texts])
    pooled = [text.pooled.float().cpu() for text in texts if text.pooled is not None]
    return Text(tokens, torch.cat(pooled) if pooled else None)


def _encoded(pipe: Any, prompts: list[str], device: torch.device) -> Text:
    """Prompts through the pipeline's own way of encoding them."""
    options: dict[str, Any] = {
        "device": device, "num_images_per_prompt": 1, "do_classifier_free_guidance": False
    }  # fmt: skip
    kind = type(pipe).__name__
    if kind == "StableDiffusionPipeline":
        return Text(pipe.encode_prompt(prompts, **options)[0])
    if kind == "StableDiffusion3Pipeline":
        options |= {"prompt_2": None, "prompt_3": None, "max_sequence_length": T5_TOKENS}
    encoded = pipe.encode_prompt(prompts, **options)
    return Text(encoded[0], encoded[2])


def _encoders(source: Source, network: nn.Module, device: torch.device) -> Any:
    """The pipeline with nothing but its text encoders."""
    import diffusers

    parts: dict[str, Any] = {"vae": None, "scheduler": None}
    for number in _NUMBERS[source.kind]:
        words, nets = (_T5, _T5_NETS) if number == "_3" else (_CLIP, _CLIP_NETS)
        parts[f"tokenizer{number}"] = load_tokeniser(source, f"tokenizer{number}", *words)
        net = load_part(source, f"text_encoder{number}", *nets)
        # only the largest encoder of Stable Diffusion 3 is optional
        if net is None and number != "_3":
            raise ModelError(f"{source} has no text_encoder{number}; fetch it again, whole")
        parts[f"text_encoder{number}"] = None if net is None else net.to(device)
    if source.kind == "StableDiffusionPipeline":
        parts |= {"unet": None, "safety_checker": None, "feature_extractor": None, "requires_safety_checker": False}
    elif source.kind == "StableDiffusionXLPipeline":
        parts |= {"unet": None, "add_watermarker": False}
    else:
        parts["transformer"] = network
    with quiet():
        try:
            return getattr(diffusers, source.kind)(**parts)
        except Exception as error:
            raise ModelError(f"{source}: its text encoders cannot be put together: {reason(error)}") from error
