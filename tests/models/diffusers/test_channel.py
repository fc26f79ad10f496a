"""Schedulers of diffusers as noise schedules: the same numbers, and nothing assumed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
import torch

import specent as sp
from specent.errors import ModelError
from specent.models.diffusers.channel import betas, read_channel
from specent.models.diffusers.hub import find_source

Folder = Callable[[str], Path]
# the constructors of some schedulers hand tensors to NumPy in ways that it no longer likes
pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:__array_wrap__ must accept:DeprecationWarning"),
]

CONFIGURATIONS = [
    {},
    {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"},
    {"beta_schedule": "squaredcos_cap_v2", "num_train_timesteps": 400},
    {"beta_start": 0.002, "beta_end": 0.05, "num_train_timesteps": 250},
    {"trained_betas": [0.01, 0.02, 0.05, 0.2, 0.4]},
]
SCHEDULERS = [
    "DDPMScheduler", "DDIMScheduler", "PNDMScheduler", "EulerDiscreteScheduler", "EulerAncestralDiscreteScheduler",
    "HeunDiscreteScheduler", "LMSDiscreteScheduler", "KDPM2DiscreteScheduler", "DPMSolverMultistepScheduler",
    "DPMSolverSinglestepScheduler", "DEISMultistepScheduler", "UniPCMultistepScheduler",
]  # fmt: skip


def written(folder: Path, _class: str, /, **config: Any) -> Path:
    """The folder with another scheduler in its configuration, as its class writes it."""
    getattr(diffusers, _class)(**config).save_pretrained(folder / "scheduler")
    return folder


def altered(folder: Path, **changes: Any) -> Path:
    """The folder with entries of its scheduler's configuration replaced, or taken out if they are None."""
    file = folder / "scheduler" / "scheduler_config.json"
    config = json.loads(file.read_text()) | changes
    file.write_text(json.dumps({key: value for key, value in config.items() if value is not None}))
    return folder


# every scheduler by default, and with one of the other configurations
DIAGONAL = [(name, config) for i, name in enumerate(SCHEDULERS) for config in ({}, CONFIGURATIONS[1 + i % 4])]


@pytest.mark.parametrize(("name", "config"), DIAGONAL, ids=lambda value: value if isinstance(value, str) else "")
def test_every_scheduler_with_betas_gives_its_own_betas(
    copied: Folder, name: str, config: dict[str, Any]
) -> None:  # fmt: skip
    scheduler = getattr(diffusers, name)(**config)
    # its single precision: 6e-8 of rounding in 1 - ratio and in a square
    np.testing.assert_allclose(betas(scheduler), scheduler.betas.double().numpy(), rtol=1e-6, atol=1e-7)
    channel = read_channel(find_source(written(copied("unet"), name, **config)))
    level = np.sqrt(1 / scheduler.alphas_cumprod.double().numpy() - 1)
    steps = np.arange(channel.schedule.steps)
    # diffusers takes 1 - abar in single precision, which is 1e-4 at the first time
    np.testing.assert_allclose(channel.schedule.noise_level(steps), level, rtol=4e-4)
    assert channel.prediction == "noise"
    assert channel.factor == 1


@pytest.mark.parametrize(
    ("config", "name"),
    [(CONFIGURATIONS[0], "linear"), (CONFIGURATIONS[1], "scaled_linear"), (CONFIGURATIONS[2], "cosine")],
)
def test_the_named_schedules_are_found_by_their_name(copied: Folder, config: dict[str, Any], name: Any) -> None:
    channel = read_channel(find_source(written(copied("unet"), "DDPMScheduler", **config))).schedule
    assert channel == sp.schedules.DDPM(name, config.get("num_train_timesteps", 1000))


def test_a_time_without_signal_is_left_out(copied: Folder) -> None:
    config = {**CONFIGURATIONS[1], "rescale_betas_zero_snr": True, "prediction_type": "v_prediction"}
    scheduler = diffusers.DDIMScheduler(**config)
    channel = read_channel(find_source(written(copied("unet"), "DDIMScheduler", **config)))
    assert float(scheduler.alphas_cumprod[-1]) == 0
    assert channel.schedule.steps == 999
    assert channel.prediction == "v"
    time = np.array([0, 10, 500, 900, 990])
    expected = scheduler.alphas_cumprod.double().numpy()[time]
    np.testing.assert_allclose(channel.schedule.alpha(time) ** 2, expected, rtol=2e-5)


def test_a_rare_schedule_is_taken_as_the_scheduler_has_it(copied: Folder) -> None:
    channel = read_channel(find_source(written(copied("unet"), "DDPMScheduler", beta_schedule="sigmoid"))).schedule
    expected = torch.sigmoid(torch.linspace(-6, 6, 1000, dtype=torch.float64)) * (0.02 - 1e-4) + 1e-4
    np.testing.assert_allclose(channel.betas, expected, rtol=1e-5)


def test_what_a_configuration_leaves_out_has_the_default_of_its_class(copied: Folder) -> None:
    source = altered(copied("unet"), beta_start=None, beta_end=None, beta_schedule=None, prediction_type=None)
    assert read_channel(find_source(source)).schedule == sp.schedules.DDPM("linear")
    source = altered(copied("unet:1"), _class_name="HeunDiscreteScheduler", beta_start=None, beta_end=None)
    channel = read_channel(find_source(source)).schedule
    assert [channel.betas[0], channel.betas[-1]] == pytest.approx([0.00085, 0.012])


@pytest.mark.parametrize(("name", "kind"), [("sample", "data"), ("v_prediction", "v"), ("epsilon", "noise")])
def test_prediction_types_are_read(copied: Folder, name: str, kind: str) -> None:
    assert read_channel(find_source(altered(copied("unet"), prediction_type=name))).prediction == kind


@pytest.mark.parametrize(
    "options", [{"steps_offset": 1}, {"timestep_spacing": "trailing"}, {"variance_type": "learned"}]
)
def test_how_a_sampler_spaces_its_steps_does_not_matter(copied: Folder, options: dict[str, Any]) -> None:
    channel = read_channel(find_source(altered(copied("unet"), **options)))
    assert channel.schedule == sp.schedules.DDPM("linear")
    assert next(iter(options)) in channel.scheduler


@pytest.mark.parametrize("shift", [1.0, 3.0])
def test_the_shift_of_a_flow_changes_its_grid_and_not_its_channel(copied: Folder, shift: float) -> None:
    channel = read_channel(find_source(written(copied("sd3"), "FlowMatchEulerDiscreteScheduler", shift=shift)))
    assert channel.schedule == sp.schedules.FlowMatching()
    assert (channel.prediction, channel.factor) == ("velocity", 1000)


@pytest.mark.parametrize(
    ("name", "config", "said"),
    [
        ("LCMScheduler", {}, "distilled network"),
        ("TCDScheduler", {}, "distilled network"),
        ("CMStochasticIterativeScheduler", {}, "distilled network"),
        ("VQDiffusionScheduler", {"num_vec_classes": 8}, "discrete forward process"),
        ("IPNDMScheduler", {}, "deterministic step only"),
        ("EDMEulerScheduler", {}, "preconditions the network"),
        ("ScoreSdeVeScheduler", {}, "names no betas"),
        ("UnCLIPScheduler", {}, "is not known; known are DDPMScheduler"),
        ("EulerDiscreteScheduler", {"timestep_type": "continuous"}, "timestep_type='continuous'"),
        ("DPMSolverMultistepScheduler", {"use_flow_sigmas": True, "prediction_type": "flow_prediction"}, "flow_sigmas"),
        ("FlowMatchEulerDiscreteScheduler", {"invert_sigmas": True}, "invert_sigmas"),
    ],
)
def test_a_scheduler_of_no_gaussian_channel_is_named_with_the_remedy(
    copied: Folder, name: str, config: dict[str, Any], said: str
) -> None:
    source = find_source(written(copied("unet"), name, **config))
    with pytest.raises(ModelError, match=f"source='unet' .*{said}.*schedule=specent.schedules"):
        read_channel(source)
    # the remedy
    channel = read_channel(source, sp.schedules.VE(), "data")
    assert (channel.schedule, channel.prediction) == (sp.schedules.VE(), "data")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"prediction_type": "x0"}, "prediction_type of its DDPMScheduler='x0' must be"),
        ({"prediction_type": "flow_prediction"}, "predicts a flow"),
        ({"beta_schedule": "steep"}, "its DDPMScheduler cannot be created"),
        ({"trained_betas": [0.1, 1.5]}, r"betas\[1\]=1.5 must lie"),
        ({"_class_name": 3}, "scheduler 3 is not known"),
        ({"_class_name": None}, "scheduler None is not known"),
        ({"clip_sample_range": "x"}, "scheduler_config.json: clip_sample_range='x' must be"),
        ({"num_train_timesteps": 0}, "scheduler_config.json: num_train_timesteps=0 must be"),
        ({"beta_start": float("nan")}, "scheduler_config.json: beta_start=nan must hold no NaN"),
    ],
)
def test_a_configuration_that_cannot_be_used_is_named(copied: Folder, changes: dict[str, Any], said: str) -> None:
    source = copied("unet")
    file = source / "scheduler" / "scheduler_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))
    with pytest.raises(ModelError, match=said):
        read_channel(find_source(source))


@pytest.mark.parametrize(
    ("shift", "said"),
    [(float("nan"), "shift=nan must hold no NaN"), (0, "shift=0 must be"), ("x", "shift='x' must be")],
)
def test_the_shift_of_a_flow_that_is_none_is_named(copied: Folder, shift: object, said: str) -> None:
    with pytest.raises(ModelError, match=f"scheduler_config.json: {said}"):
        read_channel(find_source(altered(copied("sd3"), shift=shift)))


def test_a_missing_or_broken_configuration_is_named(copied: Folder) -> None:
    file = copied("unet") / "scheduler" / "scheduler_config.json"
    for text in ("{", "[1]", "\0"):
        file.write_text(text)
        with pytest.raises(ModelError, match=r"scheduler_config.json (is not JSON|holds \[1\])"):
            read_channel(find_source(file.parents[1]))
    file.unlink()
    with pytest.raises(ModelError, match=r"has no scheduler_config.json.*schedule=specent"):
        read_channel(find_source(file.parents[1]))


def test_a_schedule_of_ones_own_needs_a_prediction_and_is_checked(folder: Folder) -> None:
    source = find_source(folder("unet"))
    with pytest.raises(ModelError, match="prediction='v'"):
        read_channel(source, sp.schedules.VE())
    with pytest.raises(ModelError, match="schedule='ve'"):
        read_channel(source, "ve", "data")
    with pytest.raises(ModelError, match="prediction='x'"):
        read_channel(source, None, "x")
    assert read_channel(source, None, "v").prediction == "v"
