"""Training of a DDPM: it finds a denoiser that is known, and a run that was cut off ends as one that was not."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from specent.errors import SpecentError, SpecentWarning
from specent.models import ddpm_network
from specent.training import checkpoints
from specent.training.ddpm import DDPMSettings, Examples, Trainer

SETTINGS = DDPMSettings(steps=12, batch=8, channels=(8, 16), warmup=2)


def examples(count: int = 40, seed: int = 0) -> Examples:
    """Two classes of 4 x 4 pictures, dark and bright, each a Gaussian of deviation 0.1."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % 2
    images = (labels.float() - 0.5)[:, None, None, None] + 0.1 * torch.randn(count, 1, 4, 4, generator=generator)
    return Examples(images, labels, 3, 2, f"seed {seed}")


def trained(steps: int, settings: DDPMSettings = SETTINGS, folder: Path | None = None) -> Trainer:
    """A run that stops early."""
    trainer = Trainer(settings, examples())

    def stop(step: int) -> None:
        if step == steps:
            raise KeyboardInterrupt

    if folder is not None:
        trainer.resume(folder)
    if steps == settings.steps:
        trainer.run(progress=False)
        return trainer
    with pytest.raises(KeyboardInterrupt):
        trainer.run(stop, progress=False)
    return trainer


@functools.cache
def trained_before(steps: int, settings: DDPMSettings = SETTINGS) -> Trainer:
    """The same run, made once for all tests that change nothing of it."""
    return trained(steps, settings)


def test_a_short_training_approaches_the_noise_of_two_gaussian_classes() -> None:
    settings = DDPMSettings(steps=250, batch=32, learning_rate=1e-2, channels=(16,), warmup=20, average=0.98)
    data = examples(200)
    trainer = Trainer(settings, data)
    trainer.run(progress=False)
    betas = torch.linspace(1e-4, 2e-2, 1000, dtype=torch.float64)
    bars = torch.cumprod(1 - betas, 0)
    generator = torch.Generator().manual_seed(1)
    for time in (100, 150, 250, 400):
        alpha, sigma = float(bars[time].sqrt()), float((1 - bars[time]).sqrt())
        noise = torch.randn(data.images.shape, generator=generator)
        noisy = alpha * data.images + sigma * noise
        with torch.no_grad():
            output = trainer.average(noisy, torch.full((200,), time), data.conditions).sample
        mean = (data.conditions.float() - 0.5)[:, None, None, None]
        # of a Gaussian class: noise is expected in proportion to its share of the variance
        expected = sigma * (noisy - alpha * mean) / (alpha**2 * 0.01 + sigma**2)
        # for scale: who does not know the mean of the class is off by this, 1.8 to 0.06
        ignorant = (sigma * alpha * 0.5 / (alpha**2 * 0.01 + sigma**2)) ** 2
        assert (output - expected).square().mean() < 0.3 * ignorant


def test_states_are_those_of_the_forward_process() -> None:
    settings = replace(SETTINGS, batch=4000)
    data = examples()
    noisy, times, condition, noise = Trainer(settings, data)._batch(3)
    betas = np.linspace(1e-4, 2e-2, 1000)
    bars = np.cumprod(1 - betas)[times.numpy()][:, None, None, None]
    clean = (noisy.double().numpy() - np.sqrt(1 - bars) * noise.double().numpy()) / np.sqrt(bars)
    # every state is one of the pictures with noise; the rounding of single precision grows by 1 / alpha, up to 160
    nearest = np.abs(clean[:, None] - data.images.double().numpy()[None]).max(axis=(2, 3, 4))
    assert nearest.min(axis=1).max() < 1e-3
    # at late times pictures cannot be distinguished in the noise: look at the early ones
    early = times.numpy() < 500
    origin = data.conditions.numpy()[nearest.argmin(axis=1)]
    labelled = condition.numpy() != 2
    np.testing.assert_array_equal(condition.numpy()[labelled & early], origin[labelled & early])
    # a tenth is dropped: standard error 0.005
    assert abs((~labelled).mean() - 0.1) < 0.02
    # uniform times: the mean of 4000 has standard error 4.6, the noise 0.004
    assert abs(times.double().mean() - 499.5) < 4 * 4.6
    assert abs(noise.double().mean()) < 4 * 0.004
    assert abs(noise.double().var() - 1) < 4 * 2**0.5 / noise.numel() ** 0.5


def test_pictures_are_mirrored_only_if_that_is_asked_for() -> None:
    data = Examples(torch.arange(16.0).reshape(1, 1, 4, 4) / 15, torch.zeros(1, dtype=torch.int64), 2, 1)
    seen = {}
    for flip in (False, True):
        noisy, times, _, noise = Trainer(replace(SETTINGS, batch=400, flip=flip), data)._batch(0)
        bars = torch.cumprod(1 - torch.linspace(1e-4, 2e-2, 1000, dtype=torch.float64), 0)[times].view(-1, 1, 1, 1)
        clean = ((noisy - (1 - bars).sqrt() * noise) / bars.sqrt())[times < 500]
        rising = clean[:, 0, 0, 0] < clean[:, 0, 0, 3]
        seen[flip] = rising.double().mean().item()
    assert seen[False] == 1
    # about 200 pictures of early times: standard error 0.035
    assert abs(seen[True] - 0.5) < 0.15


def test_the_same_seed_gives_the_same_losses_and_another_seed_others() -> None:
    one, two = trained_before(12), trained(12)
    np.testing.assert_array_equal(one.losses, two.losses)
    other = trained(12, replace(SETTINGS, seed=1))
    assert (other.losses != one.losses).all()


def test_the_global_generator_is_left_as_it_was() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    trained(12, replace(SETTINGS, dropout=0.2))
    torch.testing.assert_close(torch.rand(3), expected, rtol=0, atol=0)


@pytest.mark.parametrize("stop", [1, 5, 11])
@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_a_run_that_goes_on_ends_as_one_that_was_not_cut_off(stop: int, dropout: float, tmp_path: Path) -> None:
    settings = replace(SETTINGS, dropout=dropout)
    whole = trained_before(12, settings)
    cut = trained_before(stop, settings)
    cut.save(tmp_path)
    again = Trainer(settings, examples())
    assert again.resume(tmp_path) == stop
    again.run(progress=False)
    np.testing.assert_array_equal(again.losses, whole.losses)
    for net, expected in ((again.net, whole.net), (again.average, whole.average)):
        for key, value in expected.state_dict().items():
            torch.testing.assert_close(net.state_dict()[key], value, rtol=0, atol=0)
    for key, value in checkpoints.optimiser_tensors(whole.optimiser).items():
        torch.testing.assert_close(checkpoints.optimiser_tensors(again.optimiser)[key], value, rtol=0, atol=0)


def test_an_empty_folder_is_a_fresh_start(tmp_path: Path) -> None:
    assert Trainer(SETTINGS, examples()).resume(tmp_path / "none") == 0
    assert Trainer(SETTINGS, examples()).resume(tmp_path) == 0


@pytest.mark.parametrize(
    ("settings", "data", "message"),
    [
        (replace(SETTINGS, learning_rate=2e-3), examples(), "learning_rate=0.001, now 0.002"),
        (replace(SETTINGS, channels=(16, 16)), examples(), r"channels=\[8, 16\], now \[16, 16\]"),
        (replace(SETTINGS, steps=20), examples(), "steps=12, now 20"),
        (SETTINGS, examples(seed=1), "data_sha256='seed 0', now 'seed 1'"),
    ],
)
def test_a_checkpoint_of_other_settings_or_data_is_refused(
    settings: DDPMSettings, data: Examples, message: str, tmp_path: Path
) -> None:
    trained_before(5).save(tmp_path)
    with pytest.raises(SpecentError, match=f"holds a training with {message}; .* overwrite=True"):
        Trainer(settings, data).resume(tmp_path)


def test_two_checkpoints_are_kept_and_a_damaged_one_is_passed_over_with_a_warning(tmp_path: Path) -> None:
    trainer = Trainer(SETTINGS, examples())
    trainer.run(lambda step: trainer.save(tmp_path) if step % 3 == 0 else None, progress=False)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "step_00000009.json", "step_00000009.safetensors", "step_00000012.json", "step_00000012.safetensors",
    ]  # fmt: skip
    newest = tmp_path / "step_00000012.safetensors"
    damaged = bytearray(newest.read_bytes())
    damaged[-1] ^= 1
    newest.write_bytes(damaged)
    again = Trainer(SETTINGS, examples())
    with pytest.warns(SpecentWarning, match="step_00000012.safetensors is damaged.* goes on from step 9"):
        assert again.resume(tmp_path) == 9
    again.run(progress=False)
    np.testing.assert_array_equal(again.losses, trainer.losses)
    # what comes next replaces the damaged one, and the older stays
    again.save(tmp_path)
    assert Trainer(SETTINGS, examples()).resume(tmp_path) == 12


@pytest.mark.parametrize("harm", ["cut", "no tensors", "card cut", "card of another step"])
def test_whatever_is_wrong_with_all_of_them_is_told(harm: str, tmp_path: Path) -> None:
    trained_before(5).save(tmp_path)
    tensors, card = tmp_path / "step_00000005.safetensors", tmp_path / "step_00000005.json"
    if harm == "cut":
        tensors.write_bytes(tensors.read_bytes()[:-100])
    elif harm == "no tensors":
        tensors.unlink()
    elif harm == "card cut":
        card.write_text(card.read_text()[:20])
    else:
        card.rename(tmp_path / "step_00000006.json")
        tensors.rename(tmp_path / "step_00000006.safetensors")
    with pytest.raises(SpecentError, match=r"no checkpoint is whole: .*step_.* overwrite=True"):
        Trainer(SETTINGS, examples()).resume(tmp_path)


def test_a_file_without_a_card_counts_for_nothing(tmp_path: Path) -> None:
    """As a process leaves it that is killed between the two."""
    trainer = trained_before(5)
    trainer.save(tmp_path)
    (tmp_path / "step_00000007.safetensors").write_bytes(b"half")
    (tmp_path / ".step_00000008.safetensors.1-2.tmp").write_bytes(b"half")
    assert Trainer(SETTINGS, examples()).resume(tmp_path) == 5


def test_tensors_that_do_not_fit_the_network_are_refused(tmp_path: Path) -> None:
    trainer = trained_before(5)
    for change in ("net.conv_in.weight", "average.conv_in.weight", "optimiser.3.exp_avg"):
        checkpoint = checkpoints.newest(trainer.save(tmp_path).parent)
        assert checkpoint is not None
        tensors = {key: value for key, value in checkpoint.tensors.items() if key != change}
        checkpoints.write_step(tmp_path, 5, tensors, trainer.card())
        with pytest.raises(SpecentError, match="the checkpoint of step 5 does not fit"):
            Trainer(SETTINGS, examples()).resume(tmp_path)


@pytest.mark.parametrize(
    ("key", "change"),
    [
        ("average.conv_in.weight", lambda value: value * torch.nan),
        ("net.conv_in.weight", lambda value: value / 0),
        ("net.conv_in.weight", lambda value: value.half()),
        ("optimiser.3.step", lambda value: value * torch.nan),
        ("optimiser.3.step", lambda value: value.expand(5)),
        ("optimiser.3.step", lambda value: value + 1),
        ("optimiser.3.exp_avg_sq", lambda value: value[None]),
        ("optimiser.3.exp_avg_sq", lambda value: value - 1),
        ("optimiser.abc.step", lambda value: torch.zeros(())),
        ("losses", lambda value: value.long()),
        ("losses", lambda value: value * torch.nan),
    ],
)
def test_a_signed_checkpoint_of_other_contents_is_refused_by_the_name_of_the_tensor(
    key: str, change: Callable[[torch.Tensor | None], torch.Tensor], tmp_path: Path
) -> None:
    trainer = trained_before(5)
    checkpoint = checkpoints.newest(trainer.save(tmp_path).parent)
    assert checkpoint is not None
    tensors = {**checkpoint.tensors, key: change(checkpoint.tensors.get(key))}
    checkpoints.write_step(tmp_path, 5, tensors, trainer.card())
    with pytest.raises(SpecentError, match=f"'{key}'"):
        Trainer(SETTINGS, examples()).resume(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"batch": 10**9}, "batch=1000000000 would need .* GiB"),
        ({"channels": (65536, 65536)}, r"channels=\[65536, 65536\].* would need .* GiB"),
    ],
)
def test_sizes_beyond_memory_are_refused_before_anything_is_made(change: dict[str, object], message: str) -> None:
    with pytest.raises(SpecentError, match=message):
        Trainer(replace(SETTINGS, **change), examples())


def test_a_loss_that_is_not_finite_stops_the_run_and_is_never_saved(tmp_path: Path) -> None:
    data = examples()
    broken = Trainer(replace(SETTINGS, learning_rate=10.0, clip=1e30, warmup=0, steps=200), data)
    with torch.no_grad():
        broken.net.conv_out.weight.fill_(1e38)
    with pytest.raises(SpecentError, match=r"the training loss is (nan|inf) at step 1; lower learning_rate"):
        broken.run(lambda step: broken.save(tmp_path), progress=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("steps", 0), ("steps", 2.5), ("batch", 0), ("batch", True), ("warmup", -1), ("layers", 0), ("seed", -1),
        ("layers", 10**6), ("learning_rate", 0.0), ("learning_rate", float("nan")), ("clip", 0), ("label_dropout", 1.0),
        ("average", 1.0), ("dropout", -0.1), ("channels", ()), ("channels", 32), ("channels", (32, 0)),
        ("attention", (8.5,)), ("flip", 1), ("precision", "float16"),
    ],
)  # fmt: skip
def test_settings_that_cannot_be_used_are_named(name: str, value: object) -> None:
    with pytest.raises(SpecentError, match=f"{name}="):
        DDPMSettings(**{name: value})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"images": torch.full((40, 1, 4, 4), torch.nan)}, "NaN"),
        ({"images": torch.zeros(40, 4, 4)}, "images of shape"),
        ({"images": torch.zeros(40, 1, 4, 4, dtype=torch.float64)}, "images of shape"),
        ({"conditions": torch.zeros(3, dtype=torch.int64)}, "conditions of shape"),
        ({"conditions": torch.full((40,), 3)}, "conditions run from 3 to 3; 3 are known"),
        ({"null": None}, "label_dropout=0.1 needs a null condition"),
        ({"images": torch.zeros(40, 1, 5, 4)}, "5 x 4 cannot be divided by 2"),
    ],
)
def test_data_that_cannot_be_trained_on_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(SpecentError, match=message):
        Trainer(SETTINGS, replace(examples(), **change))


def test_reduced_precision_is_for_gpus() -> None:
    with pytest.raises(SpecentError, match="precision='bfloat16' pays on a GPU only"):
        Trainer(replace(SETTINGS, precision="bfloat16"), examples())


def test_the_network_is_sized_by_its_settings() -> None:
    net = ddpm_network.unet((3, 16, 8), 5, channels=(16, 32, 32), layers=2, attention=(8,), dropout=0.1, seed=3)
    config = net.config
    assert config.down_block_types == ("DownBlock2D", "AttnDownBlock2D", "DownBlock2D")
    assert config.up_block_types == ("UpBlock2D", "AttnUpBlock2D", "UpBlock2D")
    assert list(config.sample_size) == [16, 8]
    assert config.norm_num_groups == 4
    assert net.class_embedding.num_embeddings == 5
    again = ddpm_network.unet((3, 16, 8), 5, channels=(16, 32, 32), layers=2, attention=(8,), dropout=0.1, seed=3)
    torch.testing.assert_close(again.conv_in.weight, net.conv_in.weight, rtol=0, atol=0)
    with pytest.raises(SpecentError, match="multiples of 4"):
        ddpm_network.unet((3, 16, 8), 5, channels=(6,), layers=1, attention=())


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_a_gpu_trains_in_reduced_precision_and_stays_near_the_processor() -> None:
    settings = replace(SETTINGS, steps=30, warmup=0)
    here = Trainer(settings, examples())
    there = Trainer(replace(settings, precision="bfloat16"), examples(), torch.device("cuda"))
    for trainer in (here, there):
        trainer.run(progress=False)
    # batches and noise are the same; bfloat16 has 8 bits
    np.testing.assert_allclose(there.losses, here.losses, rtol=0.1)
