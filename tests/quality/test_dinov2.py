"""DINOv2 from a folder: a tiny random network, saved and read back; no network, no download."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch

from specent.errors import SpecentError
from specent.quality import dinov2
from specent.quality.dinov2 import network_input

MEAN = torch.tensor([0.485, 0.456, 0.406])[:, None, None]
DEVIATION = torch.tensor([0.229, 0.224, 0.225])[:, None, None]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from transformers import Dinov2Config, Dinov2Model

    torch.manual_seed(0)
    config = Dinov2Config(
        hidden_size=12, num_hidden_layers=2, num_attention_heads=2, image_size=28, patch_size=14, mlp_ratio=2
    )
    path = tmp_path_factory.mktemp("weights") / "tiny"
    Dinov2Model(config).save_pretrained(path)
    return path


def test_features_are_the_class_token_of_the_saved_network(folder: Path) -> None:
    from transformers import Dinov2Model

    pictures = torch.rand(3, 3, 28, 28, generator=torch.Generator().manual_seed(1))
    extractor = dinov2(folder, size=28)
    features = extractor(pictures)
    net = Dinov2Model.from_pretrained(folder).eval()
    with torch.no_grad():
        expected = net(pixel_values=(pictures - MEAN) / DEVIATION).last_hidden_state[:, 0]
    assert features.dtype == np.float64
    np.testing.assert_allclose(features, expected.numpy(), rtol=1e-4, atol=1e-5)
    assert extractor.identity["name"] == "tiny"
    assert extractor.identity == dinov2(str(folder), size=28).identity


def test_the_hash_is_that_of_the_weights(folder: Path, tmp_path: Path) -> None:
    from transformers import Dinov2Model

    net = Dinov2Model.from_pretrained(folder)
    with torch.no_grad():
        net.layernorm.bias += 1
    net.save_pretrained(tmp_path / "tiny")
    assert dinov2(tmp_path / "tiny", size=28).identity != dinov2(folder, size=28).identity


def test_pictures_are_resized_cut_to_a_square_and_normalised() -> None:
    ramp = torch.linspace(0, 1, 56).expand(1, 1, 28, 56)
    standard = network_input(ramp, 14) * DEVIATION + MEAN
    assert standard.shape == (1, 3, 14, 14)
    # grey in all colours, and the middle half of the width, where the ramp runs from 1/4 to 3/4
    torch.testing.assert_close(standard[:, 0], standard[:, 2])
    centres = (torch.arange(14) + 0.5) / 14 * 0.5 + 0.25
    torch.testing.assert_close(standard[0, 0, 7], centres, rtol=0, atol=0.01)
    # a constant stays what it is; enlarging does not overshoot
    torch.testing.assert_close(network_input(torch.ones(1, 3, 8, 8), 28) * DEVIATION + MEAN, torch.ones(1, 3, 28, 28))
    step = torch.zeros(1, 1, 8, 8)
    step[..., 4:] = 1.0
    large = network_input(step, 28) * DEVIATION + MEAN
    assert large.min() >= -1e-6
    assert large.max() <= 1 + 1e-6


def test_a_name_that_cannot_be_reached_says_how_to_pass_a_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(SpecentError, match=re.escape("is no local folder, and the Hugging Face hub cannot be reached")):
        dinov2("nobody/dinov2-none")


def test_a_folder_that_holds_something_else_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(SpecentError, match=re.escape("does not hold config.json and model.safetensors")):
        dinov2(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(SpecentError, match="is a 'bert' network"):
        dinov2(tmp_path)
    # weights that would be unpickled are not looked at
    (tmp_path / "config.json").write_text((folder / "config.json").read_text())
    (tmp_path / "pytorch_model.bin").write_bytes(b"cos\nsystem\n(S'touch hacked'\ntR.")
    with pytest.raises(SpecentError, match=re.escape("does not hold config.json and model.safetensors")):
        dinov2(tmp_path)
    assert not Path("hacked").exists()


def test_bad_input_is_named(folder: Path) -> None:
    extractor = dinov2(folder, size=28)
    for bad, message in (
        (torch.zeros(2, 2, 8, 8), "pictures of shape (2, 2, 8, 8)"),
        (torch.zeros(2, 8, 8), "pictures of shape (2, 8, 8)"),
        (torch.full((1, 1, 8, 8), -0.5), "pictures run from -0.5 to -0.5"),
    ):
        with pytest.raises(SpecentError, match=re.escape(message)):
            extractor(bad)
    with pytest.raises(SpecentError, match="size=30 must be a multiple of the patches of 14 pixels; take 28"):
        dinov2(folder, size=30)
    with pytest.raises(SpecentError, match="name=None"):
        dinov2(None)  # type: ignore[arg-type]
    with pytest.raises(SpecentError, match=r"name='xxx.* is neither a folder nor a name on the hub"):
        dinov2("x" * 5000)
    with pytest.raises(SpecentError, match="device='tpu'"):
        dinov2(folder, device="tpu")
