"""Latents are decoded by the autoencoder that they are latents of, in its own units."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

import specent as sp
from specent.errors import ModelError
from specent.models.edm2 import vae
from specent.models.edm2.architecture import Precond
from specent.models.edm2.vae import load_vae, scale_latents, unscale_latents

Save = Callable[..., Path]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny autoencoder of four channels with random weights, saved as diffusers does."""
    from diffusers import AutoencoderKL

    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("vae") / "tiny-vae"
    net = AutoencoderKL(
        block_out_channels=(4, 4, 4, 4), down_block_types=["DownEncoderBlock2D"] * 4,
        up_block_types=["UpDecoderBlock2D"] * 4, latent_channels=4, norm_num_groups=2, layers_per_block=1,
    )  # fmt: skip
    net.save_pretrained(path)
    return path


def test_scaled_latents_have_the_spread_of_the_data() -> None:
    mean, deviation = torch.tensor([5.81, 3.25, 0.12, -2.15]), torch.tensor([4.17, 4.62, 3.71, 3.28])
    raw = mean[:, None, None] + deviation[:, None, None] * torch.randn(64, 4, 16, 16)
    scaled = scale_latents(raw)
    # 16384 numbers per channel: standard error of mean and deviation 0.004 and 0.003
    torch.testing.assert_close(scaled.mean((0, 2, 3)), torch.zeros(4), atol=0.016, rtol=0)
    torch.testing.assert_close(scaled.std((0, 2, 3)), torch.full((4,), 0.5), atol=0.012, rtol=0)
    torch.testing.assert_close(unscale_latents(scaled), raw, atol=1e-4, rtol=1e-5)


def test_pictures_are_those_of_the_autoencoder_itself(
    networks: tuple[Precond, Precond], save: Save, folder: Path
) -> None:
    from diffusers import AutoencoderKL

    model = sp.models.edm2(save(networks[0]), vae=folder)
    latents = 0.5 * torch.randn(6, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    scaled = model.decode(latents)
    assert scaled.shape == (6, 3, 64, 64)
    mean = torch.tensor([5.81, 3.25, 0.12, -2.15])[:, None, None]
    deviation = torch.tensor([4.17, 4.62, 3.71, 3.28])[:, None, None]
    with torch.no_grad():
        plain = AutoencoderKL.from_pretrained(folder).decode(latents * deviation / 0.5 + mean).sample
    torch.testing.assert_close(scaled, plain.clamp(0, 1), rtol=1e-4, atol=1e-5)
    facts = model.identity["vae"]
    assert facts["name"] == "tiny-vae"
    weights = (folder / "diffusion_pytorch_model.safetensors").read_bytes()
    assert facts["sha256"] == hashlib.sha256(weights).hexdigest()


OUTPUTS = [-0.5, 0.0, 0.25, 0.5, 0.75, 1.0, 1.5]
# the published convention: pixels from 0 to 1, greys rounded down
GREYS = [0, 0, 63, 127, 191, 255, 255]


class Fake(torch.nn.Module):
    """An autoencoder that decodes anything to columns of known values."""

    def decode(self, latents: torch.Tensor, return_dict: bool = True) -> tuple[torch.Tensor]:
        assert not return_dict
        return (torch.tensor(OUTPUTS).expand(len(latents), 3, 2, -1),)


def test_what_the_autoencoder_returns_is_shown_in_the_published_greys(
    networks: tuple[Precond, Precond], save: Save, folder: Path
) -> None:
    model = sp.models.edm2(save(networks[0]), vae=folder)
    model.decoder = vae.LatentDecoder(Fake(), {})
    pictures = model.decode(torch.zeros(5, 4, 8, 8))
    assert pictures.shape == (5, 3, 2, len(OUTPUTS))
    assert pictures[4, 2, 1].tolist() == [0, 0, 0.25, 0.5, 0.75, 1, 1]
    assert model.greys(pictures)[4, 2, 1].tolist() == GREYS


@pytest.mark.parametrize("low", [1, 4])
def test_previews_of_latents_have_the_published_greys(
    networks: tuple[Precond, Precond], save: Save, folder: Path, tmp_path: Path, low: int
) -> None:
    from diffusers import AutoencoderKL

    # its last layer gives one known value for each of the three colours, whatever the latents are
    flat = AutoencoderKL.from_pretrained(folder)
    with torch.no_grad():
        flat.decoder.conv_out.weight.zero_()
        flat.decoder.conv_out.bias.copy_(torch.tensor(OUTPUTS[low : low + 3]))
    flat.save_pretrained(tmp_path / "flat")
    model = sp.models.edm2(save(networks[0]), vae=tmp_path / "flat")
    runs = sp.sample(
        model, schedule=sp.schedules.VE(), time=sp.schedules.edm_grid(4), samples=2, classes=["0"],
        record=sp.Record([80.0]), progress=False,
    )  # fmt: skip
    pictures = sp.models.previews(model, runs, progress=False).preview.isel(sample=0).squeeze()
    greys = pictures.transpose("preview_channel", "preview_y", "preview_x").values
    assert greys.shape == (3, 64, 64)
    assert (greys == np.array(GREYS[low : low + 3])[:, None, None]).all()


def test_previews_of_a_run_can_be_decoded(networks: tuple[Precond, Precond], save: Save, folder: Path) -> None:
    from specent.models.previews import previews

    model = sp.models.edm2(save(networks[0]), vae=folder)
    runs = sp.sample(
        model, schedule=sp.schedules.VE(), time=sp.schedules.edm_grid(6), samples=2, classes=["0"],
        record=sp.Record([0.01, 1.0, 40.0]), progress=False,
    )  # fmt: skip
    scaled = previews(model, runs, progress=False)
    assert scaled.preview.shape == (1, 1, 2, 3, 3, 64, 64)
    sp.validate(scaled)


def test_what_is_no_such_autoencoder_is_refused(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    with pytest.raises(ModelError, match=r"vae='other': config.json cannot be read"):
        load_vae(other)
    config = json.loads((folder / "config.json").read_text())
    weights = (folder / "diffusion_pytorch_model.safetensors").read_bytes()
    (other / "diffusion_pytorch_model.safetensors").write_bytes(weights)
    for change, message in (
        ("junk", "no JSON object"),
        ("[]", "no JSON object"),
        (json.dumps({**config, "latent_channels": 16}), r"no AutoencoderKL of 4 channels \(it has 16\)"),
        (json.dumps({**config, "_class_name": "UNet2DModel"}), "no AutoencoderKL"),
        (json.dumps({**config, "layers_per_block": 2}), "cannot be loaded|lacks the tensor"),
    ):
        (other / "config.json").write_text(change)
        with pytest.raises(ModelError, match=rf"vae='other'.*({message})"):
            load_vae(other)
    (other / "config.json").write_text(json.dumps(config))
    (other / "diffusion_pytorch_model.safetensors").write_bytes(weights[:-100])
    with pytest.raises(ModelError, match="vae='other' cannot be loaded"):
        load_vae(other)


@pytest.mark.parametrize("name", ["", 5, None])
def test_what_names_no_autoencoder_is_refused(name: object) -> None:
    with pytest.raises(ModelError, match="must be a folder, or a name of the hub such as 'stabilityai/sd-vae-ft-mse'"):
        load_vae(name)


def test_a_name_that_cannot_be_fetched_says_how_to_pass_a_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    def unreachable(*_: object, **options: object) -> None:
        assert options["allow_patterns"] == ["config.json", "diffusion_pytorch_model.safetensors"]
        raise OSError("we are offline")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", unreachable)
    with pytest.raises(ModelError, match=r"vae='stabilityai/sd-vae-ft-mse' is no folder here.*pass vae=FOLDER"):
        load_vae(vae.NAME)
