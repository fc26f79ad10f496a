"""Every pipeline, saved and opened again, denoises as its own network and scheduler do by hand."""

from __future__ import annotations

import gc
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import diffusers
import numpy as np
import pytest
import torch
from torch import Tensor

import specent as sp
from specent.models.diffusers import PipelineModel, pipeline
from specent.models.diffusers.weights import quiet

Folder = Callable[[str], Path]
PROMPTS = ["a chair", "a chair and a cat", "a red wall"]
TIMES = [0, 17, 400, 999]


def states(model: PipelineModel, seed: int = 1) -> Tensor:
    return 2 * torch.randn(3, *model.shape, generator=torch.Generator().manual_seed(seed))


def opened(kind: str, source: Path, **parts: object) -> object:
    with quiet():
        return getattr(diffusers, kind).from_pretrained(source, **parts)


def ddim(other: object) -> diffusers.DDIMScheduler:
    """A scheduler of the same channel that returns the denoised data, and does not clip them."""
    scheduler = diffusers.DDIMScheduler.from_config(other.config, clip_sample=False)
    scheduler.set_timesteps(scheduler.config.num_train_timesteps)
    return scheduler


def same(denoised: Tensor, by_hand: Tensor) -> None:
    assert denoised.shape == by_hand.shape
    assert float((denoised - by_hand).abs().max()) < 1e-5 * max(1.0, float(by_hand.abs().max()))


def compare(
    model: PipelineModel, scheduler: diffusers.DDIMScheduler, conditions: Sequence[int],
    net: Callable[[Tensor, int, int], Tensor],
) -> None:  # fmt: skip
    """D of the model beside what the scheduler makes of the network's output, at several times and conditions."""
    x = states(model)
    for time in TIMES:
        alpha = float(scheduler.alphas_cumprod[time]) ** 0.5
        for condition in conditions:
            output = net(alpha * x, time, condition)
            by_hand = scheduler.step(output, time, alpha * x).pred_original_sample
            denoised = model.denoise(x, float(model.schedule.noise_level(time)), torch.full((len(x),), condition))
            same(denoised, by_hand)


@torch.no_grad()
def test_a_unet_of_pixels_with_class_labels(folder: Folder) -> None:
    model = pipeline(folder("unet_classes"), labels=["cat", "dog", "car"], null=True)
    pipe = opened("DDPMPipeline", folder("unet_classes"))

    def net(x: Tensor, time: int, condition: int) -> Tensor:
        return pipe.unet(x, time, torch.full((len(x),), condition)).sample

    assert model.labels == ("cat", "dog", "car")
    assert model.null
    assert model.shape == (3, 8, 8)
    compare(model, ddim(pipe.scheduler), range(4), net)


@torch.no_grad()
def test_a_null_condition_may_be_any_of_the_labels_or_none(folder: Folder) -> None:
    plain = pipeline(folder("unet_classes"))
    assert plain.labels == ("0", "1", "2", "3")
    assert not plain.null
    first = pipeline(folder("unet_classes"), null=0)
    assert first.labels == ("1", "2", "3")
    x = states(plain)
    for condition, label in [(0, 1), (2, 3), (3, 0)]:
        every = [model.denoise(x, 2.0, torch.full((3,), c)) for model, c in ((first, condition), (plain, label))]
        assert torch.equal(*every)


@torch.no_grad()
def test_one_unet_per_class_and_one_for_none(folder: Folder) -> None:
    folders = [folder(f"unet:{seed}") for seed in (1, 2, 3)]
    model = pipeline({"cat": folders[0], "dog": folders[1]}, unconditional=folders[2])
    pipes = [opened("DDPMPipeline", one) for one in folders]

    def net(x: Tensor, time: int, condition: int) -> Tensor:
        return pipes[condition].unet(x, time).sample

    assert model.labels == ("cat", "dog")
    assert model.null
    compare(model, ddim(pipes[0].scheduler), range(3), net)
    # conditions mixed within a batch reach the network of each
    x, condition = states(model), torch.tensor([1, 2, 0])
    mixed = model.denoise(x, 3.0, condition)
    alone = [model.denoise(x[i : i + 1], 3.0, condition[i : i + 1])[0] for i in range(3)]
    torch.testing.assert_close(mixed, torch.stack(alone), rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_a_conditional_and_an_unconditional_unet(folder: Folder) -> None:
    model = pipeline(folder("unet_classes"), unconditional=folder("unet:1"))
    conditional, free = (opened("DDPMPipeline", folder(kind)) for kind in ("unet_classes", "unet:1"))

    def net(x: Tensor, time: int, condition: int) -> Tensor:
        if condition == 4:
            return free.unet(x, time).sample
        return conditional.unet(x, time, torch.full((len(x),), condition)).sample

    compare(model, ddim(free.scheduler), range(5), net)


@torch.no_grad()
def test_a_diffusion_transformer_without_its_variance(folder: Folder) -> None:
    model = pipeline(folder("dit"))
    pipe = opened("DiTPipeline", folder("dit"))
    assert len(model.labels) == 1000
    assert model.labels[7] == "thing 7"
    assert [model.labels[i] for i in (134, 517)] == ["crane (134)", "crane (517)"]

    def net(x: Tensor, time: int, condition: int) -> Tensor:
        label, steps = torch.full((len(x),), condition), torch.full((len(x),), time)
        noise, variance = pipe.transformer(x, timestep=steps, class_labels=label).sample.split(4, dim=1)
        assert variance.shape == noise.shape
        return noise

    # 1000 is the null condition
    compare(model, ddim(pipe.scheduler), [0, 517, 1000], net)


@torch.no_grad()
@pytest.mark.parametrize("kind", ["sd1", "sd2"])
def test_stable_diffusion_one_and_two(folder: Folder, kind: str) -> None:
    model = pipeline(folder(kind), prompts=PROMPTS)
    assert model.prediction == {"sd1": "noise", "sd2": "v"}[kind]
    assert model.schedule == sp.schedules.DDPM("scaled_linear")
    pipe = opened("StableDiffusionPipeline", folder(kind), safety_checker=None, requires_safety_checker=False)
    tokens, empty = pipe.encode_prompt(PROMPTS, "cpu", 1, True)
    tokens = torch.cat([tokens, empty[:1]])

    def net(x: Tensor, time: int, condition: int) -> Tensor:
        return pipe.unet(x, time, encoder_hidden_states=tokens[condition].expand(len(x), -1, -1)).sample

    compare(model, ddim(pipe.scheduler), range(4), net)


@torch.no_grad()
def test_a_negative_prompt_and_no_null_condition(folder: Folder) -> None:
    model = pipeline(folder("sd1"), prompts=PROMPTS, null="grey")
    other = pipeline(folder("sd1"), prompts=["grey"], null=False)
    x = states(model)
    denoised = model.denoise(x, 2.0, torch.full((3,), 3)), other.denoise(x, 2.0, torch.zeros(3, dtype=torch.int64))
    torch.testing.assert_close(*denoised, rtol=1e-5, atol=1e-5)
    assert not other.null
    assert model.identity["null_prompt"] == "grey"


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Euler hands tensors to numpy.array
@torch.no_grad()
@pytest.mark.parametrize("size", [None, (16, 12)])
def test_stable_diffusion_xl_in_the_coordinates_of_its_own_sampler(folder: Folder, size: tuple[int, int]) -> None:
    model = pipeline(folder("sdxl"), prompts=PROMPTS, size=size)
    assert model.shape == (4, 8, 8 if size is None else 6)
    pipe = opened("StableDiffusionXLPipeline", folder("sdxl"), add_watermarker=False)
    tokens, none, pooled, pooled_none = pipe.encode_prompt(PROMPTS, device="cpu")
    tokens, pooled = torch.cat([tokens, none[:1]]), torch.cat([pooled, pooled_none[:1]])
    whole = size or (16, 16)
    sizes = pipe._get_add_time_ids(whole, (0, 0), whole, torch.float32, pipe.text_encoder_2.config.projection_dim)
    x = states(model)
    for step in (0, 5, 9):
        for condition in range(4):
            # Euler's states are x_0 + sigma noise; ten steps fall on whole times
            pipe.scheduler.set_timesteps(10)
            time, sigma = pipe.scheduler.timesteps[step], float(pipe.scheduler.sigmas[step])
            more = {"text_embeds": pooled[[condition] * 3], "time_ids": sizes.expand(3, -1)}
            scaled = pipe.scheduler.scale_model_input(x, time)
            output = pipe.unet(scaled, time, tokens[[condition] * 3], added_cond_kwargs=more).sample
            by_hand = pipe.scheduler.step(output, time, x).pred_original_sample
            level = float(model.schedule.noise_level(float(time)))
            assert level == pytest.approx(sigma, rel=2e-4)
            same(model.denoise(x, level, torch.full((3,), condition)), by_hand)


@torch.no_grad()
@pytest.mark.parametrize("third", [True, False])
def test_stable_diffusion_3_flows_to_the_data_in_one_step_of_its_own_sampler(copied: Folder, third: bool) -> None:
    source = copied("sd3")
    pipe = opened("StableDiffusion3Pipeline", source)
    if not third:
        # published without its largest text encoder, as is allowed
        pipe.text_encoder_3 = pipe.tokenizer_3 = None
        pipe.register_modules(text_encoder_3=None, tokenizer_3=None)
        source = source.with_name("two")
        pipe.save_pretrained(source)
    model = pipeline(source, prompts=PROMPTS)
    tokens, none, pooled, pooled_none = pipe.encode_prompt(PROMPTS, None, None, device="cpu")
    tokens, pooled = torch.cat([tokens, none[:1]]), torch.cat([pooled, pooled_none[:1]])
    x = states(model)
    for level in (0.01, 0.4, 0.95):
        for condition in range(4):
            pipe.scheduler.set_timesteps(sigmas=[level])
            (time,), sigma = pipe.scheduler.timesteps, float(pipe.scheduler.sigmas[0])
            assert float(time) == pytest.approx(1000 * sigma)
            state = (1 - sigma) * x
            output = pipe.transformer(
                state, encoder_hidden_states=tokens[[condition] * 3], pooled_projections=pooled[[condition] * 3],
                timestep=time.expand(3),
            ).sample  # fmt: skip
            # the only step ends at sigma = 0
            by_hand = pipe.scheduler.step(output, time, state).prev_sample
            same(model.denoise(x, sigma / (1 - sigma), torch.full((3,), condition)), by_hand)


@torch.no_grad()
@pytest.mark.parametrize(
    ("kind", "name"),
    [("dit", "DiTPipeline"), ("sd1", "StableDiffusionPipeline"), ("sdxl", "StableDiffusionXLPipeline"),
     ("sd3", "StableDiffusion3Pipeline")],
)  # fmt: skip
def test_latents_become_the_pictures_that_the_pipeline_makes_of_them(folder: Folder, kind: str, name: str) -> None:
    model = pipeline(folder(kind), **({} if kind == "dit" else {"prompts": PROMPTS}))
    pipe = opened(name, folder(kind))
    x = states(model)
    pictures = model.decode(x)
    settings = pipe.vae.config
    # as the pipelines write it
    latents = x / settings.scaling_factor + (settings.shift_factor or 0.0)
    by_hand = (pipe.vae.decode(latents).sample / 2 + 0.5).clamp(0, 1)
    assert pictures.shape == (3, 3, 16, 16)
    torch.testing.assert_close(pictures, by_hand, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", ["dit", "sd1"])
def test_the_autoencoder_of_a_pipeline_works_on_pixels_from_minus_one_to_one(folder: Folder, kind: str) -> None:
    model = pipeline(folder(kind), **({} if kind == "dit" else {"prompts": PROMPTS}))
    outputs = torch.tensor([-1.5, -1.0, -0.5, 0.0, 0.5, 1.0]).expand(1, 3, 2, -1)

    def decode(_: Tensor, return_dict: bool = True) -> tuple[Tensor]:
        assert not return_dict
        return (outputs,)

    model.decoder.vae.decode = decode
    pictures = model.decode(torch.zeros(1, *model.shape))
    assert pictures[0, 1, 1].tolist() == [0, 0, 0.25, 0.5, 0.75, 1]
    # as the pipelines turn them into pictures
    (picture,) = diffusers.image_processor.VaeImageProcessor().postprocess(outputs)
    greys = model.greys(pictures)[0]
    assert np.array_equal(greys.permute(1, 2, 0), np.asarray(picture))
    assert greys[0, 0].tolist() == [0, 0, 64, 128, 191, 255]


@torch.no_grad()
def test_latents_with_a_mean_and_a_deviation_per_channel(copied: Folder) -> None:
    pipe = opened("StableDiffusionXLPipeline", copied("sdxl"), add_watermarker=False)
    mean, std = [0.1, -0.2, 0.3, 0.0], [2.0, 1.0, 0.5, 3.0]
    pipe.vae.register_to_config(latents_mean=mean, latents_std=std)
    pipe.save_pretrained(copied("sdxl:1"))
    model = pipeline(copied("sdxl:2").with_name("sdxl:1"), prompts=PROMPTS)
    x = states(model)
    scale, shift = (torch.tensor(values).view(1, 4, 1, 1) for values in (std, mean))
    by_hand = (pipe.vae.decode(x * scale / pipe.vae.config.scaling_factor + shift).sample / 2 + 0.5).clamp(0, 1)
    torch.testing.assert_close(model.decode(x), by_hand, rtol=1e-5, atol=1e-6)


def test_text_encoders_are_removed_from_memory(folder: Folder) -> None:
    model = pipeline(folder("sd3"), prompts=PROMPTS)
    gc.collect()
    # by type: some objects warn when their class is read
    alive = {type(thing).__name__ for thing in gc.get_objects() if issubclass(type(thing), torch.nn.Module)}
    assert "SD3Transformer2DModel" in alive
    assert not {name for name in alive if name.startswith(("CLIP", "T5"))}
    prefixes = {name.partition(".")[0] for name in model.net.state_dict()}
    assert prefixes == {"net"}


def with_dropout(folder: Path, part: str, **settings: float) -> None:
    """Give a part of a pipeline dropout, which changes none of its weights."""
    file = folder / part / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | settings))


@torch.no_grad()
def test_dropout_is_off_in_networks_and_text_encoders(folder: Folder, copied: Folder) -> None:
    pixels, prompted = copied("unet_classes"), copied("sd3")
    with_dropout(pixels, "unet", dropout=0.9)
    with_dropout(prompted, "text_encoder", attention_dropout=0.9)
    with_dropout(prompted, "text_encoder_2", attention_dropout=0.9)
    with_dropout(prompted, "text_encoder_3", dropout_rate=0.9)
    for kind, source, options in (("unet_classes", pixels, {}), ("sd3", prompted, {"prompts": PROMPTS})):
        model, plain = pipeline(source, **options), pipeline(folder(kind), **options)
        assert not [module for module in model.net.modules() if module.training]
        x, condition = states(model), torch.arange(3)
        denoised = model.denoise(x, 2.0, condition)
        torch.testing.assert_close(denoised, plain.denoise(x, 2.0, condition), rtol=1e-6, atol=1e-6)
        # a network that someone trains is evaluated for the call, and trained on afterwards
        model.net.train()
        assert torch.equal(model.denoise(x, 2.0, condition), denoised)
        assert all(module.training for module in model.net.modules())


@pytest.mark.parametrize("kind", ["unet_classes", "dit", "sd1", "sd3"])
def test_a_copy_on_another_device_leaves_the_model_where_it_was(folder: Folder, kind: str) -> None:
    model = pipeline(folder(kind), **SOURCES[kind])
    x, condition = states(model), torch.zeros(3, dtype=torch.int64)
    before, schedule = model.denoise(x, 2.0, condition), model.schedule
    other = model.to(torch.device("meta"))
    assert isinstance(other, PipelineModel)
    assert {str(value.device) for value in other.net.state_dict().values()} == {"meta"}
    assert {str(value.device) for value in model.net.state_dict().values()} == {"cpu"}
    assert model.schedule is schedule
    assert torch.equal(model.denoise(x, 2.0, condition), before)
    assert (other.labels, other.shape, other.limit) == (model.labels, model.shape, model.limit)
    assert other.identity == model.identity


SOURCES = {
    "unet_classes": {"labels": ["cat", "dog", "car"], "null": True},
    "dit": {},
    "sd1": {"prompts": PROMPTS},
    "sd2": {"prompts": PROMPTS},
    "sdxl": {"prompts": PROMPTS},
    "sd3": {"prompts": PROMPTS},
}


@pytest.mark.filterwarnings("ignore:time ends at:specent.errors.SpecentWarning")  # random networks part ways at once
@pytest.mark.parametrize("kind", [*SOURCES, "two"])
def test_the_archive_of_a_whole_chain_validates(folder: Folder, kind: str, tmp_path: Path) -> None:
    if kind == "two":
        model = pipeline({"cat": folder("unet:1"), "dog": folder("unet:2")}, unconditional=folder("unet:3"))
    else:
        model = pipeline(folder(kind), **SOURCES[kind])
    flow = isinstance(model.schedule, sp.schedules.FlowMatching)
    grid = sp.schedules.edm_grid(8, 0.05, 14.0, schedule=model.schedule)
    some = model.labels[:2]
    runs = sp.sample(
        model,
        schedule=model.schedule,
        time=grid if flow else np.unique(grid.round()),
        samples=3,
        classes=some,
        candidates=[*some, "null"],
        partitions=[sp.Partition.pair(*some)],
        guidance=[sp.Guidance(), sp.Guidance(2.0)],
        record=sp.Record([grid[3]]),
        progress=False,
    )
    runs = sp.models.previews(model, runs, progress=False)
    sp.write(runs, tmp_path / "runs.nc")
    sp.validate(tmp_path / "runs.nc")
    archive = sp.open(tmp_path / "runs.nc")
    assert archive.preview.dtype == np.uint8
    assert archive.preview.shape[-3:] == (3, 8, 8) if kind in ("unet_classes", "two") else (3, 16, 16)
    assert np.isfinite(archive.log_likelihood).all()
