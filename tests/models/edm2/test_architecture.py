"""The networks have the published sizes, are those of a second implementation, and denoise as a denoiser must."""

from __future__ import annotations

from dataclasses import replace
from types import ModuleType

import numpy as np
import pytest
import torch

from specent.errors import SpecentError
from specent.models.edm2.architecture import Config, Precond
from specent.models.edm2.layers import MPConv
from specent.models.edm2.presets import NAMES, SIZES, file_name, preset, preset_name
from specent.models.edm2.tiny_networks import TINY, tiny_pair

# arXiv 2312.02696, table of the networks for ImageNet-512
MILLIONS = {"xs": 124.7, "s": 280.2, "m": 497.8, "l": 777.5, "xl": 1119.3, "xxl": 1523.2}


def count(config: Config) -> int:
    with torch.device("meta"):
        return sum(value.numel() for value in Precond(config).parameters())


@pytest.mark.parametrize("size", SIZES)
def test_networks_have_the_published_numbers_of_parameters(size: str) -> None:
    # the table gives tenths of a million; buffers and the part for training only, a few hundred numbers, do not show
    assert count(preset(f"img512-{size}")) / 1e6 == pytest.approx(MILLIONS[size], abs=0.05)


def test_the_other_presets_differ_in_what_they_take_in_only() -> None:
    base, width = preset("img512-s"), 192
    assert count(base) - count(preset("img512-s-uncond")) == 1000 * base.embedding_channels
    # one channel less at the entry and at the exit, 3 x 3
    assert count(base) - count(preset("img64-s")) == 2 * 9 * width
    for name in ("img512-xs", "img64-l", "img512-xxl-uncond"):
        assert preset_name(preset(name)) == name
        assert preset(file_name(name)) == preset(name)
    assert preset_name(TINY) == "custom"


def test_presets_are_the_sets_known_to_be_published() -> None:
    latents = [f"img512-{size}{labels}" for size in ("xs", "s", "m", "l", "xl", "xxl") for labels in ("", "-uncond")]
    assert set(NAMES) == {*latents, "img64-s", "img64-m", "img64-l", "img64-xl"}
    # of the sizes of a set that is not known to exist, nothing is claimed
    assert preset_name(replace(preset("img512-xxl"), channels=3)) == "custom"
    assert preset_name(replace(preset("img64-s"), label_dim=0)) == "custom"


@pytest.mark.parametrize(
    "name",
    ["img512", "img512-xs-cond", "img32-xs", "img512-xs-", "xs", 5, "", "edm2-img512-xs", "img64-xs", "img64-xxl",
     "img64-s-uncond", "edm2-img64-xxl-1073741-0.04.pkl", "edm2-img64-s-uncond-1073741-0.045.pkl"],
)  # fmt: skip
def test_unknown_presets_are_refused_with_those_there_are(name: object) -> None:
    with pytest.raises(SpecentError, match=r"preset=.* is not known; known are img512-xs, .*, img64-s, img64-m"):
        preset(name)


def test_layers_are_called_as_in_the_published_files() -> None:
    with torch.device("meta"):
        names = list(Precond(preset("img512-xs")).state_dict())
    enc = list(dict.fromkeys(name.split(".")[2] for name in names if name.startswith("unet.enc.")))
    dec = list(dict.fromkeys(name.split(".")[2] for name in names if name.startswith("unet.dec.")))
    assert enc == [
        f"{size}x{size}_{part}"
        for size in (64, 32, 16, 8)
        for part in ("conv" if size == 64 else "down", "block0", "block1", "block2")
    ]
    assert dec == [
        f"{size}x{size}_{part}"
        for size in (8, 16, 32, 64)
        for part in (*(("in0", "in1") if size == 8 else ("up",)), "block0", "block1", "block2", "block3")
    ]
    attends = {name.split(".")[2] for name in names if "attn_qkv" in name}
    assert attends == {f"{size}x{size}_block{i}" for size in (16, 8) for i in range(4)} | {"8x8_in0"}
    assert {name for name in names if name.count(".") == 1} == {
        "unet.out_gain", "logvar_fourier.freqs", "logvar_fourier.phases", "logvar_linear.weight",
    }  # fmt: skip


def inputs(batch: int = 3) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(batch, 4, 8, 8, generator=generator, dtype=torch.float64)
    sigma = torch.tensor([0.02, 0.7, 30.0], dtype=torch.float64)[:batch]
    return x * (0.25 + sigma**2).sqrt()[:, None, None, None], sigma, torch.eye(3, dtype=torch.float64)[:batch]


@pytest.mark.parametrize("conditional", [True, False])
def test_the_network_is_that_of_the_plain_implementation(
    reference: ModuleType, networks: tuple[Precond, Precond], conditional: bool
) -> None:
    net = networks[not conditional]
    x, sigma, labels = inputs()
    weights = {name: value.double().numpy() for name, value in net.state_dict().items()}
    expected = reference.denoised(x.numpy(), sigma.numpy(), labels.numpy() if conditional else None, weights)
    with torch.no_grad():
        single = net(x.float(), sigma.float(), labels.float() if conditional else None)
    # the labels and the noise reach the output: it is not the same without them
    assert np.abs(expected - 0.25 / (0.25 + sigma.numpy() ** 2)[:, None, None, None] * x.numpy()).max() > 1e-3
    np.testing.assert_allclose(single, expected, atol=2e-5)


def test_a_state_is_denoised_alike_in_any_batch_and_after_freezing(networks: tuple[Precond, Precond]) -> None:
    x, sigma, labels = (value.float() for value in inputs())
    net = networks[0]
    with torch.no_grad():
        together = net(x, sigma, labels)
        for i in range(3):
            alone = net(x[i : i + 1], sigma[i : i + 1], labels[i : i + 1])
            torch.testing.assert_close(together[i : i + 1], alone, rtol=1e-5, atol=1e-6)
        names = list(net.state_dict())
        net.freeze()
        torch.testing.assert_close(net(x, sigma, labels), together, rtol=1e-5, atol=1e-6)
    assert list(net.state_dict()) == names


def test_what_is_hardly_noisy_is_left_as_it_is(networks: tuple[Precond, Precond]) -> None:
    x, labels = 0.5 * torch.randn(3, 4, 8, 8, generator=torch.Generator().manual_seed(2)), torch.eye(3)
    with torch.no_grad():
        for level in (1e-2, 1e-4):
            gap = networks[0](x, torch.full((3,), level), labels) - x
            # c_skip is 1 - 4 sigma^2, c_out is sigma, and the raw output is of the order of 1
            assert float(gap.abs().max()) < 10 * level


def test_labels_enter_at_unit_magnitude(networks: tuple[Precond, Precond]) -> None:
    unet = networks[0].unet
    assert unet.emb_label is not None
    label = unet.emb_label(torch.eye(3) * 3**0.5)
    # every row of the weight has unit magnitude over the three labels: so has the embedding over the labels
    torch.testing.assert_close(label.square().mean(0).sqrt(), torch.ones(32), rtol=1e-3, atol=0)


def test_a_frozen_network_normalises_no_weight_again(monkeypatch: pytest.MonkeyPatch) -> None:
    net, _ = tiny_pair()
    normalised: list[MPConv] = []
    plain = MPConv.effective

    def counted(layer: MPConv) -> torch.Tensor:
        normalised.append(layer)
        return plain(layer)

    monkeypatch.setattr(MPConv, "effective", counted)
    x, sigma, labels = (value.float() for value in inputs())
    with torch.no_grad():
        net(x, sigma, labels)
        layers = [module for module in net.unet.modules() if isinstance(module, MPConv)]
        assert len(normalised) == len(layers)
        net.freeze()
        normalised.clear()
        net(x, sigma, labels)
    assert normalised == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"resolution": 9}, "resolution=9 cannot be halved"),
        ({"blocks": (64, 100)}, "multiple of 64"),
        ({"blocks": ()}, "0 levels"),
        ({"channels": 0}, "channels=0"),
        ({"label_dim": -1}, "label_dim=-1"),
        ({"blocks": (16, "x")}, "blocks='x'"),
        ({"attention": 8}, "attention=8"),
        ({"label_balance": 1.5}, "label_balance=1.5"),
        ({"sigma_data": 0.0}, "sigma_data=0"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(SpecentError, match=message):
        Config(**{**TINY.as_dict(), **change})
