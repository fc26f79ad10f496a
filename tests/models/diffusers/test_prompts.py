"""Prompts as conditions: what a tokeniser cuts off or cannot tell apart is said."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from specent.errors import ModelError, SpecentWarning
from specent.models.diffusers import pipeline
from specent.models.diffusers.hub import find_source
from specent.models.diffusers.prompts import check_tokens, tokenisers

Folder = Callable[[str], Path]
# the tokenisers of the tiny pipelines know single letters: 75 fit between the marks of beginning and end
FITS = "a" * 75


def test_a_mapping_gives_prompts_short_labels(folder: Folder) -> None:
    model = pipeline(folder("sd1"), prompts={"plain": "a chair", "cat": "a chair and a cat"})
    long = pipeline(folder("sd1"), prompts=["a chair", "a chair and a cat"])
    assert model.labels == ("plain", "cat")
    x, condition = torch.ones(3, *model.shape), torch.tensor([0, 1, 2])
    assert torch.equal(model.denoise(x, 1.0, condition), long.denoise(x, 1.0, condition))


@pytest.mark.parametrize("kind", ["sd1", "sdxl", "sd3"])
def test_words_beyond_the_limit_are_named(folder: Folder, kind: str) -> None:
    with pytest.warns(SpecentWarning, match="has 81 tokens, but CLIPTokenizer takes 77: 'b cat' is cut off"):
        pipeline(folder(kind), prompts=["a chair", FITS + "b cat"])


def test_the_last_word_that_fits_is_not_lost(folder: Folder) -> None:
    model = pipeline(folder("sd1"), prompts=[FITS, "b"])
    assert model.labels == (FITS, "b")


def test_the_longest_text_encoder_still_reads_what_the_others_lose(folder: Folder) -> None:
    """Prompts that part beyond the limit of CLIP are two conditions where a T5 reads on, and one where none does."""
    prompts = [FITS + "b", FITS + "c"]
    with pytest.warns(SpecentWarning, match="is cut off"):
        assert pipeline(folder("sd3"), prompts=prompts).labels == tuple(prompts)
    with (
        pytest.warns(SpecentWarning, match="is cut off"),
        pytest.raises(ModelError, match=rf"prompts '{prompts[0]}' and '{prompts[1]}' are the same tokens"),
    ):
        pipeline(folder("sdxl"), prompts=prompts)


@pytest.mark.parametrize("kind", ["sd1", "sdxl"])
def test_prompts_that_are_the_same_tokens_are_refused_by_both_names(folder: Folder, kind: str) -> None:
    with pytest.raises(ModelError, match="prompts 'A chair' and 'a  chair' are the same tokens"):
        pipeline(folder(kind), prompts=["A chair", "a red chair", "a  chair"])


def test_a_prompt_that_is_the_null_prompt_is_refused(folder: Folder) -> None:
    words = tokenisers(find_source(folder("sd1")))
    with pytest.raises(ModelError, match=r"prompt 'a cat' is the same tokens .* null condition.*'A cat'.*null=False"):
        pipeline(folder("sd1"), prompts=["a cat", "a dog"], null="A  cat")
    with pytest.raises(ModelError, match="prompt 'empty' is the same tokens as the prompt of the null condition"):
        check_tokens({"chair": "a chair", "empty": ""}, "", words)
    check_tokens({"chair": "a chair", "empty": ""}, None, words)
    check_tokens({"chair": "a chair", "empty": ""}, "grey", words)


def test_more_prompts_than_are_encoded_at_once_keep_their_order(folder: Folder) -> None:
    prompts = [f"{number} chairs" for number in range(11)]
    many = pipeline(folder("sdxl"), prompts=prompts)
    for index in (0, 7, 8, 10):
        one = pipeline(folder("sdxl"), prompts=[prompts[index]])
        x = torch.ones(1, *one.shape)
        pair = (
            model.denoise(x, 1.0, torch.tensor([condition]))
            for model, condition in ((many, index), (one, 0), (many, 11), (one, 1))
        )
        together, alone, null, null_alone = pair
        torch.testing.assert_close(together, alone, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(null, null_alone, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("prompts", "said"),
    [
        (None, r"pass prompts=\[...\], or prompts="),
        ("a chair", "must be a list of names, not one str"),
        ([], "at least one prompt"),
        ({}, "at least one prompt"),
        (["a", "a"], "holds a prompt twice"),
        (["a", ""], r"prompts\[1\]=''"),
        ({"a": 3}, r"prompts\['a'\]=3 must be text"),
        (["null"], "none called 'null'"),
        (3, "must be a list of names"),
    ],
)
def test_prompts_that_cannot_be_used_are_named(folder: Folder, prompts: object, said: str) -> None:
    with pytest.raises(ModelError, match=said):
        pipeline(folder("sd1"), prompts=prompts)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"labels": ["a"]}, r"labels=\['a'\] is for pipelines of class labels"),
        ({"unconditional": "sd1"}, "unconditional.* is not needed: the null condition is a prompt"),
        ({"null": 3}, "null=3 must be a prompt"),
        ({"size": 15}, r"size=\(15, 15\) must be multiples of 2"),
        ({"size": (16, 0)}, r"size\[1\]=0"),
        ({"size": "16"}, "size='16'"),
        ({"size": 1_000_000}, "size=1000000 must be a whole number of at most 8192"),
        ({"clipped": True}, "does not clip"),
        ({"clipped": 1}, "clipped=1 must be True or False"),
        ({"variant": 3.5}, "variant=3.5"),
        ({"device": "abacus"}, "device='abacus'"),
        ({"label_prior": [1.0, 1.0]}, "label_prior"),
        ({"schedule": "ddpm"}, "schedule='ddpm'"),
    ],
)
def test_arguments_that_do_not_go_with_text_are_named(folder: Folder, options: dict[str, object], said: str) -> None:
    if "unconditional" in options:
        options = {"unconditional": folder("sd1")}
    with pytest.raises(Exception, match=said) as caught:
        pipeline(folder("sd1"), **{"prompts": ["a", "b"], **options})
    assert type(caught.value).__module__ == "specent.errors"


def altered(folder: Path, part: str, **changes: object) -> Path:
    file = folder / part / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))
    return folder


def test_sizes_of_stable_diffusion_3_are_multiples_of_its_patches_up_to_the_largest(folder: Folder) -> None:
    with pytest.raises(ModelError, match="multiples of 4"):
        pipeline(folder("sd3"), prompts=["a"], size=18)
    with pytest.raises(ModelError, match="draws up to 32 pixels"):
        pipeline(folder("sd3"), prompts=["a"], size=36)
    assert pipeline(folder("sd3"), prompts=["a"], size=(20, 16)).shape == (16, 10, 8)


def test_parts_that_do_not_fit_together_are_named(copied: Folder, folder: Folder) -> None:
    from diffusers import UNet2DConditionModel

    source = copied("sd1")
    small = {"down_block_types": ["CrossAttnDownBlock2D"], "up_block_types": ["CrossAttnUpBlock2D"],
             "block_out_channels": [8], "norm_num_groups": 4, "layers_per_block": 1, "attention_head_dim": 2,
             "sample_size": 8}  # fmt: skip
    for changes, said in [
        # inpainting: latents, a mask and the latents of a masked picture
        ({"in_channels": 9, "cross_attention_dim": 16}, "takes 9 channels and returns 4"),
        (
            {"in_channels": 9, "out_channels": 9, "cross_attention_dim": 16},
            "takes 9 channels, but its vae makes latents of 4",
        ),
        ({"cross_attention_dim": 24}, "takes text of width 24, but its text encoders make 16"),
        ({"cross_attention_dim": 16, "time_cond_proj_dim": 8}, "distilled from a guided one"),
        ({"cross_attention_dim": 16, "sample_size": None}, "has no sample_size; pass size="),
    ]:
        UNet2DConditionModel(**{**small, **changes}).save_pretrained(source / "unet")
        with pytest.raises(ModelError, match=said):
            pipeline(source, prompts=["a", "b"])
    assert pipeline(source, prompts=["a"], size=(16, 24)).shape == (4, 8, 12)


def test_a_network_of_another_pipeline_is_named(copied: Folder) -> None:
    source, other = copied("sdxl"), copied("sd1")
    file = source / "model_index.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"_class_name": "StableDiffusionPipeline"}))
    with pytest.raises(ModelError, match=r"takes text of width 32|wants more than text"):
        pipeline(source, prompts=["a"])
    file = other / "model_index.json"
    content = json.loads(file.read_text())
    file.write_text(json.dumps(content | {"unet": ["diffusers", "UNet2DModel"]}))
    with pytest.raises(ModelError, match="its unet is 'UNet2DModel', but only UNet2DConditionModel"):
        pipeline(other, prompts=["a"])
    for part in ("vae", "unet", "tokenizer", "text_encoder"):
        file.write_text(json.dumps(content | {part: [None, None]}))
        with pytest.raises(ModelError, match=f"has no {part}"):
            pipeline(other, prompts=["a"])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"scaling_factor": 0}, "scaling_factor=0 must be a finite number"),
        ({"scaling_factor": float("nan")}, "scaling_factor=nan"),
        ({"scaling_factor": None}, "scaling_factor=None"),
        ({"scaling_factor": "x"}, "scaling_factor='x'"),
        ({"shift_factor": "a"}, "shift_factor='a'"),
        ({"latents_mean": [0.0] * 4, "latents_std": [0]}, r"latents_std=\[0\] must hold 4 numbers"),
        ({"latents_mean": [0.0] * 4, "latents_std": [1, 1, 0, 1]}, r"latents_std\[2\]=0 must be"),
        ({"latents_mean": [0.0, None, 0.0, 0.0], "latents_std": [1] * 4}, r"latents_mean\[1\]=None"),
    ],
)
def test_factors_of_latents_that_are_none_are_named(copied: Folder, changes: dict[str, object], said: str) -> None:
    with pytest.raises(ModelError, match=rf"vae/config.json: {said}"):
        pipeline(altered(copied("sd1"), "vae", **changes), prompts=["a", "b"])


@pytest.mark.parametrize("size", ["x", 0, [8, 10**9]])
def test_a_sample_size_that_is_none_is_named(copied: Folder, size: object) -> None:
    with pytest.raises(ModelError, match=r"config\.json of its network: sample_size="):
        pipeline(altered(copied("sd1"), "unet", sample_size=size), prompts=["a", "b"])


@pytest.mark.parametrize("length", ["x", 0, 2**40])
def test_a_length_of_a_tokeniser_that_is_none_is_named(copied: Folder, length: object) -> None:
    file = copied("sd1") / "tokenizer" / "tokenizer_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"model_max_length": length}))
    with pytest.raises(ModelError, match=f"tokenizer/tokenizer_config.json: model_max_length={length!r}"):
        pipeline(file.parents[1], prompts=["a", "b"])


@pytest.mark.parametrize("emptied", [False, True])
def test_a_tokeniser_that_is_missing_is_named(copied: Folder, emptied: bool) -> None:
    source = copied("sd1")
    shutil.rmtree(source / "tokenizer")
    if emptied:
        (source / "tokenizer").mkdir()
    with pytest.raises(ModelError, match=r"lacks the files of its tokenizer in the folder tokenizer/"):
        pipeline(source, prompts=["a cat", "a dog"])
