"""EDM2 networks as models: the right network for each condition, and no conditional network as null."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

import specent as sp
from specent.errors import ModelError
from specent.models import EDM2Model
from specent.models.edm2.architecture import Precond
from specent.models.edm2.conversion import convert
from specent.models.edm2.tiny_networks import TINY, tiny_pair, write_tiny

Save = Callable[..., Path]


@pytest.fixture
def files(networks: tuple[Precond, Precond], save: Save) -> tuple[Path, Path]:
    """A conditional network and its unconditional one, as published."""
    return save(networks[0], "edm2-img-test-1-0.1.pkl"), save(networks[1], "edm2-img-test-uncond-1-0.1.pkl")


def states(batch: int = 4) -> torch.Tensor:
    return torch.randn(batch, 4, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_every_condition_is_denoised_by_its_network(
    networks: tuple[Precond, Precond], files: tuple[Path, Path]
) -> None:
    model = sp.models.edm2(files[0], null=files[1])
    assert isinstance(model, EDM2Model)
    assert model.labels == ("0", "1", "2")
    assert model.shape == (4, 8, 8)
    x, sigma = 3 * states(), 2.5
    condition = torch.tensor([2, 3, 0, 3])
    denoised = model.denoise(x, sigma, condition)
    level = torch.full((1,), sigma)
    with torch.no_grad():
        for i, index in enumerate(condition.tolist()):
            state, labels = x[i : i + 1].float(), torch.eye(4)[index : index + 1, :3]
            expected = networks[1](state, level) if index == 3 else networks[0](state, level, labels)
            torch.testing.assert_close(denoised[i : i + 1], expected, rtol=1e-5, atol=1e-5)
    every = model.candidates(x, sigma, torch.arange(4))
    for index in range(4):
        alone = model.denoise(x, sigma, torch.full((4,), index))
        torch.testing.assert_close(every[:, index], alone, rtol=1e-5, atol=1e-5)
    # labels matter: conditions differ from each other and from the null condition
    assert float((every[:, 0] - every[:, 1]).abs().max()) > 1e-3
    assert float((every[:, 0] - every[:, 3]).abs().max()) > 1e-3


def test_a_run_of_a_class_against_the_null_condition_is_whole(files: tuple[Path, Path]) -> None:
    model = sp.models.edm2(files[0], null=files[1])
    partition = sp.Partition.pair("1", "null")
    runs = sp.sample(
        model, schedule=sp.schedules.VE(), time=sp.schedules.edm_grid(8), samples=4, classes=["1", "null"],
        candidates=["1", "null"], partitions=[partition], progress=False,
    )  # fmt: skip
    sp.validate(runs)
    assert np.isfinite(runs.final).all()
    assert runs.final.dims[-3:] == ("channel", "y", "x")


def test_converted_files_and_folders_make_the_same_model(files: tuple[Path, Path], tmp_path: Path) -> None:
    plain = sp.models.edm2(files[0], null=files[1])
    folder = tmp_path / "converted"
    folder.mkdir()
    for path in files:
        convert(path, folder / path.with_suffix(".safetensors").name)
    x, condition = states(), torch.tensor([0, 1, 2, 3])
    expected = plain.denoise(x, 1.0, condition)
    denoised = sp.models.edm2(folder / "edm2-img-test-1-0.1.safetensors", null=folder)
    torch.testing.assert_close(denoised.denoise(x, 1.0, condition), expected, rtol=0, atol=0)
    # both networks of a folder are used
    for source in (folder, tmp_path):
        both = sp.models.edm2(source)
        assert both.null
        torch.testing.assert_close(both.denoise(x, 1.0, condition), expected, rtol=0, atol=0)


def test_weights_stay_as_stored_and_are_applied_in_single_precision(files: tuple[Path, Path]) -> None:
    net = sp.models.edm2(files[0]).net.conditional
    layer = net.unet.enc["8x8_block0"].conv_res0
    assert layer.weight.dtype == torch.float16
    assert layer.frozen.dtype == torch.float32
    wide = layer.weight.float()
    expected = wide / (1e-4 + wide.square().mean((1, 2, 3), keepdim=True).sqrt()) / wide[0].numel() ** 0.5
    torch.testing.assert_close(layer.frozen, expected, rtol=1e-5, atol=1e-7)


def test_the_identity_names_files_digests_and_sizes(files: tuple[Path, Path]) -> None:
    identity = sp.models.edm2(files[0], null=files[1]).identity
    assert identity["name"] == "edm2"
    for fields, path, labels in ((identity, files[0], 3), (identity["null"], files[1], 0)):
        assert fields["file"] == path.name
        assert fields["checkpoint_sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
        assert fields["preset"] == "custom"
        assert fields["config"] == {**TINY.as_dict(), "label_dim": labels}


def test_labels_may_have_names_and_a_prior(files: tuple[Path, Path]) -> None:
    model = sp.models.edm2(files[0], labels=["cat", "dog", "car"], label_prior=[0.5, 0.25, 0.25])
    assert model.labels == ("cat", "dog", "car")
    assert not model.null
    assert model.label_prior.tolist() == [0.5, 0.25, 0.25]
    with pytest.raises(ModelError, match=r"labels=\['cat'\] are 1, the network has 3 classes"):
        sp.models.edm2(files[0], labels=["cat"])


def test_a_conditional_network_is_no_null_condition(files: tuple[Path, Path]) -> None:
    with pytest.raises(
        ModelError, match=r"null='edm2-img-test-1-0.1.pkl' is a conditional network of 3 labels.*uncond"
    ):
        sp.models.edm2(files[0], null=files[0])
    with pytest.raises(ModelError, match=r"source='edm2-img-test-uncond-1-0.1.pkl' is an unconditional network"):
        sp.models.edm2(files[1], null=files[0])


def test_networks_of_different_data_do_not_go_together(files: tuple[Path, Path], save: Save) -> None:
    pixels = Precond(type(TINY)(**{**TINY.as_dict(), "channels": 3, "label_dim": 0}))
    with pytest.raises(ModelError, match=r"null='pixels.pkl' has channels 3, the conditional network 4"):
        sp.models.edm2(files[0], null=save(pixels, "pixels.pkl"))


def test_a_copy_on_another_device_leaves_the_model_where_it_was(files: tuple[Path, Path]) -> None:
    model = sp.models.edm2(files[0], null=files[1])
    condition = torch.tensor([0, 1, 2, 3])
    before = model.denoise(states(), 1.0, condition)
    other = model.to(torch.device("meta"))
    assert isinstance(other, EDM2Model)
    assert {str(value.device) for value in other.net.state_dict().values()} == {"meta"}
    # the weights as they are applied, too
    assert other.net.conditional.unet.out_conv.frozen.device.type == "meta"
    assert {str(value.device) for value in model.net.state_dict().values()} == {"cpu"}
    assert torch.equal(model.denoise(states(), 1.0, condition), before)


def test_a_network_that_is_trained_meanwhile_is_evaluated_alike(files: tuple[Path, Path]) -> None:
    model = sp.models.edm2(files[0], null=files[1])
    condition = torch.tensor([0, 1, 2, 3])
    before = model.denoise(states(), 1.0, condition)
    model.net.train()
    torch.testing.assert_close(model.denoise(states(), 1.0, condition), before, rtol=1e-5, atol=1e-6)
    assert model.net.training


def test_without_a_null_network_there_is_no_guidance(files: tuple[Path, Path]) -> None:
    model = sp.models.edm2(files[0])
    with pytest.raises(sp.SpecentError, match="null condition"):
        sp.sample(
            model, schedule=sp.schedules.VE(), time=sp.schedules.edm_grid(8), samples=2, guidance=sp.Guidance(2.0),
            progress=False,
        )  # fmt: skip


def test_pixels_are_shown_as_they_are_and_latents_want_an_autoencoder(files: tuple[Path, Path], save: Save) -> None:
    pixels = Precond(type(TINY)(**{**TINY.as_dict(), "channels": 3}))
    model = sp.models.edm2(save(pixels, "pixels.pkl"))
    x = torch.tensor([-1.0, 0.0, 1.0])[None, :, None, None].expand(1, 3, 8, 8)
    assert model.decode(x)[0, :, 0, 0].tolist() == [0.0, 0.5, 1.0]
    with pytest.raises(ModelError, match="denoises pixels; leave the autoencoder out"):
        sp.models.edm2(save(pixels, "pixels.pkl"), vae="stabilityai/sd-vae-ft-mse")
    with pytest.raises(ModelError, match="vae='stabilityai/sd-vae-ft-mse'"):
        sp.models.edm2(files[0]).decode(states())


def test_tiny_networks_are_the_same_from_the_same_seed(tmp_path: Path) -> None:
    before = torch.random.get_rng_state()
    first, second = write_tiny(tmp_path)
    data = first.read_bytes(), second.read_bytes()
    assert (write_tiny(tmp_path)[0].read_bytes(), second.read_bytes()) == data
    assert torch.equal(before, torch.random.get_rng_state())
    own, other = (tiny_pair(seed=seed)[0].unet.out_conv.weight for seed in (0, 1))
    assert not torch.equal(own, other)


@pytest.mark.parametrize("source", ["none.pkl", "", 5, None, "\0", "net.onnx", "~nobody-of-this-name/a.pkl"], ids=repr)
def test_paths_that_lead_to_no_network_are_refused(tmp_path: Path, source: object) -> None:
    (tmp_path / "net.onnx").write_bytes(b"")
    path = tmp_path / source if source in ("net.onnx", "none.pkl") else source
    with pytest.raises(ModelError, match="source="):
        sp.models.edm2(path)


def test_a_folder_must_hold_one_network(files: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelError, match=r"neither .safetensors nor .pkl"):
        sp.models.edm2(tmp_path / "empty")
    (tmp_path / "edm2-img-test-2-0.1.pkl").write_bytes(b"")
    with pytest.raises(ModelError, match="several networks"):
        sp.models.edm2(tmp_path)


def test_the_null_condition_needs_a_network_of_its_own(files: tuple[Path, Path]) -> None:
    """Without a null network the condition after the last label is refused by the network, not denoised by chance."""
    model = sp.models.edm2(files[0])
    with pytest.raises(
        ModelError, match=r"condition 3 is the null condition, but there is no network for it; pass null="
    ):
        model.denoise(states(1), 1.0, torch.tensor([3]))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_a_gpu_denoises_as_the_processor_does(files: tuple[Path, Path]) -> None:
    model = sp.models.edm2(files[0], null=files[1])
    x, condition = states(), torch.tensor([0, 1, 2, 3])
    expected = model.denoise(x, 1.0, condition)
    denoised = model.to(torch.device("cuda")).denoise(x.cuda(), 1.0, condition.cuda())
    torch.testing.assert_close(denoised.cpu(), expected, rtol=1e-3, atol=1e-3)


def test_no_name_is_not_the_folder_one_stands_in(files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    (folder := files[0].parent / "alone").mkdir()
    files[0].rename(folder / files[0].name)
    monkeypatch.chdir(folder)
    assert sp.models.edm2(".").labels
    with pytest.raises(ModelError, match="source='' is no path"):
        sp.models.edm2("")
