"""Networks of pixels and of class labels: what must fit together, and what cannot be guessed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from diffusers import UNet2DModel

import specent as sp
from specent.errors import ModelError
from specent.models.diffusers import pipeline

Folder = Callable[[str], Path]
SMALL = {
    "sample_size": 8, "down_block_types": ("DownBlock2D",), "up_block_types": ("UpBlock2D",),
    "block_out_channels": (8,), "layers_per_block": 1, "norm_num_groups": 4,
}  # fmt: skip


def altered(folder: Path, **changes: object) -> Path:
    """The folder with another U-Net."""
    UNet2DModel(**{**SMALL, **changes}).save_pretrained(folder / "unet")
    return folder


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"labels": ["a", "b"]}, "has 4 class labels, but labels= names 2"),
        ({"labels": ["a", "b", "c"]}, "if the last of them was trained as the null condition, say null=True"),
        ({"labels": ["a", "b", "c", "d"], "null": True}, "has 3 class labels beside null, but labels= names 4"),
        ({"null": 4}, "null=4 must be a whole number"),
        ({"null": "none"}, "null='none' must be a whole number"),
        ({"prompts": ["a"]}, "is for text to image pipelines"),
        ({"size": 9}, r"size=\(9, 9\) must be multiples of 2"),
        ({"prediction": "x0"}, "prediction='x0'"),
        ({"clipped": True}, "does not clip"),
    ],
)
def test_arguments_that_do_not_go_with_class_labels_are_named(
    folder: Folder, options: dict[str, object], said: str
) -> None:
    with pytest.raises(ModelError, match=said):
        pipeline(folder("unet_classes"), **options)


def test_networks_that_cannot_be_one_model_are_named(folder: Folder, copied: Folder) -> None:
    one, other, classes = folder("unet:1"), folder("unet:2"), folder("unet_classes")
    with pytest.raises(ModelError, match=r"takes no class labels, so it has one class only; .*unconditional="):
        pipeline(one)
    with pytest.raises(ModelError, match="takes class labels, so it is not the network of a single class"):
        pipeline({"a": one, "b": classes})
    with pytest.raises(ModelError, match=r"takes class labels.*null=True if its last label"):
        pipeline(classes, unconditional=classes)
    with pytest.raises(ModelError, match="'b' and 'a' have the same weights"):
        pipeline({"a": one, "b": one})
    with pytest.raises(ModelError, match="null=True needs a network of its own here; pass unconditional="):
        pipeline({"a": one, "b": other}, null=True)
    with pytest.raises(ModelError, match="null=0 needs a network of its own"):
        pipeline({"a": one, "b": other}, null=0)
    with pytest.raises(ModelError, match="null=True does not go with unconditional="):
        pipeline(classes, unconditional=one, null=True)
    with pytest.raises(ModelError, match=r"labels=.* cannot go with one network per class"):
        pipeline({"a": one, "b": other}, labels=["a", "b"])
    with pytest.raises(ModelError, match=r"\(StableDiffusionPipeline\) knows its conditions itself"):
        pipeline({"a": one, "b": folder("sd1")})
    with pytest.raises(ModelError, match=r"source\['b'\]='unet' .*another noise schedule or prediction"):
        pipeline({"a": one, "b": with_prediction(copied("unet"), "v_prediction")})
    with pytest.raises(ModelError, match=r"draws samples of shape \(1, 8, 8\), .* of \(3, 8, 8\)"):
        pipeline({"a": one, "b": altered(copied("unet:3"), in_channels=1, out_channels=1)})
    with pytest.raises(ModelError, match="none called 'null'"):
        pipeline({"a": one, "null": other})


def with_prediction(folder: Path, prediction: str) -> Path:
    file = folder / "scheduler" / "scheduler_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"prediction_type": prediction}))
    return folder


def test_one_network_per_class_without_an_unconditional_one_has_no_null(folder: Folder) -> None:
    model = pipeline({"a": folder("unet:1"), "b": folder("unet:2")}, label_prior=[0.25, 0.75])
    assert not model.null
    assert model.label_prior.tolist() == [0.25, 0.75]
    assert set(model.identity["weights"]) == {"a", "b"}


def test_channels_and_sizes_are_those_of_the_network(copied: Folder) -> None:
    source = altered(copied("unet_classes"), num_class_embeds=2, in_channels=3, out_channels=4)
    with pytest.raises(ModelError, match="takes 3 channels and returns 4"):
        pipeline(source)
    altered(source, num_class_embeds=2, sample_size=None)
    with pytest.raises(ModelError, match="has no sample_size; pass size="):
        pipeline(source)
    assert pipeline(source, size=(16, 24)).shape == (3, 16, 24)
    altered(source, num_class_embeds=2, sample_size=(4, 6), in_channels=1, out_channels=1)
    assert pipeline(source).shape == (1, 4, 6)
    altered(source, class_embed_type="timestep")
    with pytest.raises(ModelError, match="class_embed_type='timestep' takes no class labels"):
        pipeline(source)


@torch.no_grad()
def test_a_learned_variance_is_dropped(copied: Folder) -> None:
    source = altered(copied("unet_classes"), num_class_embeds=2, out_channels=6)
    model = pipeline(source)
    net = UNet2DModel.from_pretrained(source / "unet")
    x, condition = torch.ones(2, 3, 8, 8), torch.tensor([0, 1])
    schedule = model.schedule
    alpha, sigma = float(schedule.alpha(300)), float(schedule.sigma(300))
    noise = net(alpha * x, 300, condition).sample[:, :3]
    denoised = model.denoise(x, sigma / alpha, condition)
    torch.testing.assert_close(denoised, x - sigma / alpha * noise, rtol=1e-5, atol=1e-5)


def test_a_table_of_times_is_looked_up_at_whole_times_only(copied: Folder) -> None:
    source = altered(
        copied("unet_classes"), num_class_embeds=2, time_embedding_type="learned", num_train_timesteps=1000
    )
    model = pipeline(source)
    assert model.integer_times
    options = {"schedule": model.schedule, "samples": 2, "progress": False, "record": sp.Record(distances=False)}
    with pytest.raises(ModelError, match="whole times"):
        sp.sample(model, time=[10.5, 900.0], **options)
    with torch.random.fork_rng(devices=[]):
        denoised = model.denoise(torch.ones(1, 3, 8, 8), float(model.schedule.noise_level(900)), torch.tensor([1]))
    assert torch.isfinite(denoised).all()


@torch.no_grad()
def test_denoised_pixels_are_clipped_as_the_sampler_would(copied: Folder) -> None:
    source = copied("unet_classes")
    file = source / "scheduler" / "scheduler_config.json"
    changes = {"clip_sample": True, "clip_sample_range": 1.5}
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))
    plain, clipped = pipeline(source), pipeline(source, clipped=True)
    x, condition = 5 * torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(0)), torch.arange(4)
    free = plain.denoise(x, 2.0, condition)
    assert float(free.abs().max()) > 1.5
    assert torch.equal(clipped.denoise(x, 2.0, condition), free.clamp(-1.5, 1.5))
    assert clipped.identity["clipped_to"] == 1.5


def test_a_network_alone_with_its_scheduler_beside_it_or_a_schedule(folder: Folder, tmp_path: Path) -> None:
    alone = shutil.copytree(folder("unet_classes") / "unet", tmp_path / "alone")
    with pytest.raises(ModelError, match="has no scheduler_config"):
        pipeline(alone)
    passed = pipeline(alone, schedule=sp.schedules.DDPM("linear"), prediction="epsilon")
    shutil.copy(folder("unet_classes") / "scheduler" / "scheduler_config.json", alone)
    beside = pipeline(alone)
    x, condition = torch.ones(2, 3, 8, 8), torch.tensor([0, 3])
    assert torch.equal(passed.denoise(x, 1.0, condition), beside.denoise(x, 1.0, condition))
    assert (passed.identity["pipeline"], passed.identity["scheduler"]) == ("UNet2DModel", {})


def test_an_old_pipeline_that_keeps_its_network_at_the_top(folder: Folder, tmp_path: Path) -> None:
    source = shutil.copytree(folder("unet_classes") / "unet", tmp_path / "old")
    for name in ("model_index.json", "scheduler/scheduler_config.json"):
        shutil.copy(folder("unet_classes") / name, source)
    assert pipeline(source).shape == (3, 8, 8)


def test_the_transformer_as_published_and_alone(copied: Folder, folder: Folder) -> None:
    source = copied("dit")
    for name, change in [
        ("model_index.json", {"transformer": ["diffusers", "Transformer2DModel"]}),
        ("transformer/config.json", {"_class_name": "Transformer2DModel", "norm_type": "ada_norm_zero"}),
    ]:
        file = source / name
        file.write_text(json.dumps(json.loads(file.read_text()) | change))
    published, plain = pipeline(source), pipeline(folder("dit"))
    x, condition = torch.ones(2, 4, 8, 8), torch.tensor([3, 1000])
    assert torch.equal(published.denoise(x, 1.0, condition), plain.denoise(x, 1.0, condition))
    alone = shutil.copytree(folder("dit") / "transformer", source.with_name("alone"))
    shutil.copy(folder("dit") / "scheduler" / "scheduler_config.json", alone)
    bare = pipeline(alone)
    assert bare.labels[7] == "7"
    with pytest.raises(ModelError, match="override decode"):
        bare.decode(x)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"labels": ["a", "b"]}, "has 1000 class labels, but labels= names 2"),
        ({"prompts": ["a"]}, "is for text to image pipelines"),
        ({"null": 7}, "null=7 must be True or False; its index is 1000"),
        ({"null": 1}, "null=1 must be True or False"),
        ({"size": 32}, r"size=\(32, 32\) must be \(16, 16\)"),
    ],
)
def test_arguments_that_do_not_go_with_a_transformer_are_named(
    folder: Folder, options: dict[str, object], said: str
) -> None:
    with pytest.raises(ModelError, match=said):
        pipeline(folder("dit"), **options)
    with pytest.raises(ModelError, match="not needed: the network has a null condition"):
        pipeline(folder("dit"), unconditional=folder("dit"))


def test_a_transformer_without_its_null_condition_and_with_labels_of_ones_own(folder: Folder) -> None:
    model = pipeline(folder("dit"), null=False, labels=[f"c{i}" for i in range(1000)])
    assert not model.null
    assert model.labels[3] == "c3"


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
@pytest.mark.parametrize("kind", ["unet_classes", "sdxl", "sd3"])
def test_a_gpu_denoises_as_the_processor_does(folder: Folder, kind: str) -> None:
    options = {} if kind == "unet_classes" else {"prompts": ["a chair", "a cat"]}
    x, condition = torch.ones(2, *pipeline(folder(kind), **options).shape), torch.tensor([0, 1])
    here = pipeline(folder(kind), **options).denoise(x, 1.0, condition)
    model = pipeline(folder(kind), device="cuda", **options).to(torch.device("cuda"))
    there = model.denoise(x.cuda(), 1.0, condition.cuda())
    torch.testing.assert_close(there.cpu(), here, rtol=1e-3, atol=1e-3)
    if kind != "unet_classes":
        assert model.decode(x.cuda()).device.type == "cuda"
