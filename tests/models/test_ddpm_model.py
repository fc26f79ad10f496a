"""A trained network comes back from its folder as it was trained, with its labels and its null condition."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import specent as sp
from specent.errors import SpecentError
from specent.training.ddpm import DDPMSettings, Examples, Trainer
from specent.training.run import Intervals, check_folder, clear, publish, train_in_folder, write_losses
from specent.training.samples import draw_pictures

CARD = {
    "name": "two", "labels": ["dark", "bright"], "label_prior": [0.25, 0.75], "null": "embedding",
    "made_by": "specent run train_ddpm", "data": {"name": "noise", "sha256": "0" * 64},
}  # fmt: skip
SETTINGS = DDPMSettings(steps=3, batch=4, channels=(8, 16), warmup=0)


def train(folder: Path, *, null: str = "embedding") -> Path:
    """A network of three steps; with its unconditional one beside it if `null` is a network."""
    generator = torch.Generator().manual_seed(0)
    images, labels = torch.rand(8, 3, 8, 8, generator=generator) * 2 - 1, torch.arange(8) % 2
    one = null == "embedding"
    settings = SETTINGS if one else DDPMSettings(**{**vars(SETTINGS), "label_dropout": 0.0})
    parts = {folder: (Examples(images, labels, 2 + one, 2 if one else None, "x"), null)}
    if not one:
        parts = {folder / "unconditional": (Examples(images, labels, None, None, "x"), "itself"), **parts}
    for part, (examples, kind) in parts.items():
        card = {**CARD, "null": kind}
        train_in_folder(part, Trainer(settings, examples), Intervals(2, 3), card, progress=False)
    return folder


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The folder of a finished training by the kind of its null condition. Not to be changed."""
    root = tmp_path_factory.mktemp("finished")
    return {null: train(root / null, null=null) for null in ("embedding", "network")}


@pytest.fixture
def folder(finished: dict[str, Path], tmp_path: Path) -> Path:
    """A finished training, as a copy that may be spoilt."""
    return Path(shutil.copytree(finished["embedding"], tmp_path / "run"))


def by_hand(folder: Path, x: torch.Tensor, time: int, condition: torch.Tensor | None) -> torch.Tensor:
    """The denoised data straight from the network and the betas in the folder."""
    from diffusers import DDPMPipeline

    pipeline = DDPMPipeline.from_pretrained(folder)
    bar = pipeline.scheduler.alphas_cumprod[time].double()
    with torch.no_grad():
        noise = pipeline.unet((bar.sqrt() * x).float(), time, condition).sample
    state = (bar.sqrt() * x).float().double()
    return (state - (1 - bar).sqrt() * noise) / bar.sqrt()


@pytest.mark.parametrize("null", ["embedding", "network"])
@pytest.mark.parametrize("time", [0, 300, 999])
def test_the_denoiser_is_that_of_the_saved_network(finished: dict[str, Path], null: str, time: int) -> None:
    folder = finished[null]
    model = sp.models.ddpm(folder)
    sigma = float(sp.schedules.DDPM("linear").noise_level(time))
    x = torch.randn(5, 3, 8, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64) * (1 + sigma)
    condition = torch.tensor([0, 1, 2, 2, 0])
    output = model.denoise(x, sigma, condition)
    expected = by_hand(folder, x, time, condition.clamp_max(1) if null == "network" else condition)
    if null == "network":
        free = by_hand(folder / "unconditional", x, time, None)
        expected[condition == 2] = free[condition == 2]
    # single precision of a network whose output is multiplied by sigma
    torch.testing.assert_close(output.double(), expected, rtol=1e-5, atol=1e-5 * max(1.0, sigma))


@pytest.mark.parametrize("null", ["embedding", "network"])
def test_the_folder_is_a_pipeline_like_any_other(finished: dict[str, Path], null: str) -> None:
    folder = finished[null]
    second = {"null": True} if null == "embedding" else {"unconditional": folder / "unconditional"}
    one, two = sp.models.ddpm(folder), sp.models.pipeline(folder, labels=["dark", "bright"], **second)
    x, conditions = torch.randn(3, 3, 8, 8, generator=torch.Generator().manual_seed(2)), torch.arange(3)
    torch.testing.assert_close(one.denoise(x, 2.0, conditions), two.denoise(x, 2.0, conditions), rtol=0, atol=0)


def test_labels_prior_and_identity_come_from_the_card(folder: Path) -> None:
    model = sp.models.ddpm(folder)
    assert model.labels == ("dark", "bright")
    assert model.label_prior.tolist() == [0.25, 0.75]
    assert model.null
    assert model.shape == (3, 8, 8)
    assert model.identity["name"] == "two"
    assert model.identity["data"] == {"name": "noise", "sha256": "0" * 64}
    assert model.identity["training"]["channels"] == [8, 16]
    assert sp.schedules.from_json(model.identity["schedule"]).time_range == (0, 999)
    weights = hashlib.sha256((folder / "unet" / "diffusion_pytorch_model.safetensors").read_bytes()).hexdigest()
    assert weights in json.dumps(model.identity)


def test_a_run_leaves_losses_samples_and_a_finished_card(folder: Path) -> None:
    lines = (folder / "loss.csv").read_text().splitlines()
    assert lines[0] == "step,loss"
    assert [int(line.split(",")[0]) for line in lines[1:]] == [1, 2, 3]
    card = json.loads((folder / "specent.json").read_text())
    # the mean of the last steps, here of all
    assert card["loss"] == pytest.approx(np.mean([float(line.split(",")[1]) for line in lines[1:]]), rel=1e-6)
    # rows of eight for dark, bright and null, four pixels a pixel
    with Image.open(folder / "samples_0000003.png") as sheet:
        assert sheet.size == (4 * (8 * 9 + 1), 4 * (3 * 9 + 1))
    assert not list(folder.glob(".*"))


def test_a_finished_run_is_not_trained_again(folder: Path) -> None:
    before = (folder / "unet" / "diffusion_pytorch_model.safetensors").read_bytes()
    train(folder)
    assert (folder / "unet" / "diffusion_pytorch_model.safetensors").read_bytes() == before
    assert (folder / "loss.csv").read_text().count("\n") == 4


def test_weights_in_the_order_of_a_gpu_are_written_as_any_others(folder: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    images, labels = torch.rand(8, 3, 8, 8, generator=generator) * 2 - 1, torch.arange(8) % 2
    trainer = Trainer(SETTINGS, Examples(images, labels, 3, 2, "x"))
    trainer.resume(folder / "checkpoints")
    for net in (trainer.net, trainer.average):
        net.to(memory_format=torch.channels_last)
    before = (folder / "unet" / "diffusion_pytorch_model.safetensors").read_bytes()
    trainer.save(folder / "checkpoints")
    publish(folder, trainer, CARD)
    assert (folder / "unet" / "diffusion_pytorch_model.safetensors").read_bytes() == before
    assert trainer.resume(folder / "checkpoints") == 3


def test_what_a_killed_process_left_is_cleared_away(folder: Path) -> None:
    (folder / "checkpoints" / ".step_00000002.safetensors.1-2.tmp").write_bytes(b"half")
    (folder / ".x.tmp").mkdir()
    train(folder)
    assert not [*folder.glob(".*"), *(folder / "checkpoints").glob(".*")]


def test_long_curves_of_losses_are_thinned_by_means(tmp_path: Path) -> None:
    losses = np.arange(45_001, dtype=np.float32)
    lines = write_losses(tmp_path / "loss.csv", losses, 50_000).read_text().splitlines()
    # three steps a line: means 1, 4, 7 ... at steps 3, 6, 9 ...
    assert lines[1:3] == ["3,1", "6,4"]
    assert len(lines) == 1 + 45_001 // 3


def test_the_damaged_the_unfinished_and_the_foreign_are_refused(folder: Path, tmp_path: Path) -> None:
    card = folder / "specent.json"
    text = card.read_text()
    for change, message in (
        (lambda c: c.pop("labels"), "lacks 'labels'"),
        (lambda c: c.update(label_prior=[0.5]), "label_prior="),
        (lambda c: c.update(labels=["a"]), "labels= names 1"),
        (lambda c: c.update(null="itself"), "null='itself'; open the folder of the network with labels"),
        (lambda c: c.update(null=None), "null=None"),
        (lambda c: c.update(data="x"), "data='x'"),
        (lambda c: c.update(sha256="0"), "its SHA-256 begins"),
    ):
        changed = json.loads(text)
        change(changed)
        card.write_text(json.dumps(changed))
        with pytest.raises(SpecentError, match=message):
            sp.models.ddpm(folder)
    for content in ("no json", "[]"):
        card.write_text(content)
        with pytest.raises(SpecentError, match=r"specent\.json"):
            sp.models.ddpm(folder)
    card.unlink()
    with pytest.raises(SpecentError, match="its training is not finished; run it again"):
        sp.models.ddpm(folder)
    (tmp_path / "other").mkdir()
    with pytest.raises(SpecentError, match=r"specent.models.pipeline"):
        sp.models.ddpm(tmp_path / "other")
    card.write_text(text)
    weights = folder / "unet" / "diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.raises(SpecentError, match="damaged or another file"):
        sp.models.ddpm(folder)


@pytest.mark.parametrize("path", [5, "", "a\0b", "~nobody-of-this-name/x", "/no/such/folder"])
def test_what_is_no_folder_is_named(path: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SpecentError, match="folder="):
        sp.models.ddpm(path)


def test_a_folder_of_something_else_is_not_trained_in_nor_cleared(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("x")
    for overwrite in (False, True):
        with pytest.raises(SpecentError, match=r"holds other files, 'thesis.tex'"):
            check_folder(tmp_path / "mine", overwrite=overwrite)
    (folder / "notes.txt").write_text("mine")
    assert check_folder(folder) == folder
    with pytest.raises(SpecentError, match=r"'notes.txt'"):
        check_folder(folder, overwrite=True)
    clear(folder)
    assert [path.name for path in folder.iterdir()] == ["notes.txt"]
    with pytest.raises(SpecentError, match="is a file"):
        check_folder(folder / "notes.txt")
    with pytest.raises(SpecentError, match="does not exist"):
        check_folder(tmp_path / "none" / "run")
    assert check_folder(tmp_path / "new") == tmp_path / "new"


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize(
    "files",
    [
        {"unet/config.json": "{}", "scheduler/scheduler_config.json": "{}", "model_index.json": "{}"},
        {"checkpoints/mine.ckpt": "x"},
        {"checkpoints/step_00000001.json": "hello"},
        {"checkpoints/step_00000001.safetensors": "x", "unet/config.json": "x"},
        {"specent.json": "hello", "unet/precious": "x"},
        {"specent.json": '{"made_by": "specent run train_ddpm"}', "unet/precious": "x"},
        {"specent.json/inside": "x"},
        {"checkpoints": "a file"},
        {"unet": "a file"},
        {"samples_mine.png": "x"},
    ],
)
def test_what_only_bears_our_names_is_neither_replaced_nor_removed(
    files: dict[str, str], overwrite: bool, tmp_path: Path
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    before = contents(tmp_path)
    with pytest.raises(SpecentError, match="holds other files"):
        check_folder(tmp_path, overwrite=overwrite)
    assert contents(tmp_path) == before


@pytest.mark.parametrize("name", ["unet", "checkpoints", "specent.json"])
def test_links_are_not_followed(name: str, folder: Path, tmp_path: Path) -> None:
    (folder / name).rename(tmp_path / "elsewhere")
    (folder / name).symlink_to(tmp_path / "elsewhere")
    for overwrite in (False, True):
        with pytest.raises(SpecentError, match=f"holds other files, '{name}'"):
            check_folder(folder, overwrite=overwrite)
    clear(folder)
    assert (folder / name).is_symlink()
    assert (tmp_path / "elsewhere").exists()


def test_a_folder_of_ours_is_gone_on_with_and_cleared(folder: Path, tmp_path: Path) -> None:
    assert check_folder(folder, overwrite=True) == folder
    clear(folder)
    assert not list(folder.iterdir())
    # killed before the first checkpoint
    (folder / "checkpoints").mkdir()
    (folder / "samples_0000002.png").write_bytes(b"x")
    assert check_folder(folder) == check_folder(folder, overwrite=True) == folder
    with pytest.raises(SpecentError, match="'/proc/x' cannot be used"):
        check_folder("/proc/x")


def test_a_network_that_is_not_finite_is_not_published(folder: Path) -> None:
    before = contents(folder)
    images, labels = torch.zeros(2, 3, 8, 8), torch.arange(2)
    trainer = Trainer(SETTINGS, Examples(images, labels, 3, 2, "x"))
    with torch.no_grad():
        trainer.average.conv_out.bias[0] = torch.nan
    with pytest.raises(SpecentError, match=r"'average.conv_out.bias' holds a NaN"):
        publish(folder, trainer, CARD)
    with pytest.raises(SpecentError, match=r"'average.conv_out.bias' holds a NaN"):
        trainer.save(folder / "checkpoints")
    assert contents(folder) == before


def test_samples_of_the_exact_network_of_a_gaussian_have_its_mean_and_spread() -> None:
    """Data of mean 0.3 and deviation 0.05: the network is known in closed form, and so is what the chain must draw."""
    mean, deviation = 0.3, 0.05
    bars = torch.cumprod(1 - torch.linspace(1e-4, 2e-2, 1000, dtype=torch.float64), 0)

    class Exact:
        def __call__(self, x: torch.Tensor, time: torch.Tensor, labels: None) -> object:
            bar = bars[time].view(-1, 1, 1, 1)
            alpha, sigma = bar.sqrt(), (1 - bar).sqrt()
            noise = sigma * (x - alpha * mean) / (alpha**2 * deviation**2 + sigma**2)
            return type("Output", (), {"sample": noise.float()})

    pictures = draw_pictures(Exact(), None, 500, (1, 2, 2), 0, torch.device("cpu")) * 2 - 1
    # 2000 numbers: standard error of the mean 0.001, of the deviation 1.6 per cent. The last step takes the mean of
    # the data at the lowest level, 0.043, which loses a share of the spread: 0.05^2 / (0.05^2 + 0.043^2) remains
    assert abs(pictures.mean() - mean) < 0.005
    level = float(((1 - bars[19]) / bars[19]).sqrt())
    left = deviation * (deviation**2 / (deviation**2 + level**2)) ** 0.5
    # the steps of 20 times each lose a little of the spread as well
    assert abs(pictures.std() / left - 1) < 0.15
