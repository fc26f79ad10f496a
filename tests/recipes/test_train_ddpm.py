"""The training recipe: killed at any step and started again, it ends as if nothing had happened."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import specent as sp
from specent import command
from specent.errors import SpecentError, SpecentWarning
from specent.studies import recipe
from specent.training.run import CHECKPOINTS

module = recipe("train_ddpm")

# a run of no significance: what it measures is not to be trusted, and says so
pytestmark = pytest.mark.filterwarnings("ignore::specent.errors.SpecentWarning")

SMALL = {"steps": 24, "batch": 8, "channels": (8, 16), "layers": 1, "attention": (0,), "warmup": 4, "checkpoints": 5,
         "pictures": 0, "check": 0, "threads": 1}  # fmt: skip

# loads all libraries once; then, for every step in its arguments, a process of its own starts the training and kills
# itself, as the system would, in that step counted from its start. Prints the newest checkpoint after each death
KILLED = """
import os, signal, sys
from pathlib import Path
import diffusers.models.unets, sklearn.datasets, torch, torch._dynamo
from specent.studies import recipe

folder, calls, step = Path(sys.argv[1]), 0, torch.optim.Adam.step
module = recipe("train_ddpm")
for last in map(int, sys.argv[2:]):
    child = os.fork()
    if not child:
        def dying(*arguments, **named):
            global calls
            calls += 1
            if calls == last:
                os.kill(os.getpid(), signal.SIGKILL)
            return step(*arguments, **named)

        torch.optim.Adam.step = dying
        try:
            module.main(module.Settings(output=folder, **{small}))
        finally:
            os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    newest = max((folder / "{checkpoints}").glob("*.json"))
    print(code, newest.stem.removeprefix("step_"), (folder / "specent.json").exists(), flush=True)
"""


def losses(folder: Path) -> str:
    return (folder / "loss.csv").read_text()


def weights(folder: Path) -> bytes:
    return (folder / "unet" / "diffusion_pytorch_model.safetensors").read_bytes()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nobody cut off."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    module.main(module.Settings(output=folder, **SMALL))
    return folder


def test_killed_at_three_random_steps_it_ends_with_the_same_losses(whole: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    rng = np.random.default_rng(7)
    deaths = (1 + rng.integers(5, 10), 1 + rng.integers(1, 10), 1 + rng.integers(1, 10))
    code = KILLED.replace("{small}", repr(SMALL)).replace("{checkpoints}", CHECKPOINTS)
    command_line = [sys.executable, "-c", code, str(folder), *map(str, deaths)]
    done = subprocess.run(command_line, capture_output=True, text=True, check=False)
    lines = [line.split() for line in done.stdout.splitlines() if line.startswith("-")]
    assert [line[0] for line in lines] == [str(-signal.SIGKILL)] * 3, done.stderr
    # none of them got to its end
    assert {line[2] for line in lines} == {"False"}
    reached = [int(line[1]) for line in lines]
    # each run went on from the checkpoint before; which are written every fifth step
    assert 0 < reached[0] <= reached[1] <= reached[2] < 24
    module.main(module.Settings(output=folder, **SMALL))
    assert losses(folder) == losses(whole)
    assert weights(folder) == weights(whole)


def test_losses_fall_and_do_not_depend_on_how_often_it_is_saved(whole: Path, tmp_path: Path) -> None:
    module.main(module.Settings(output=tmp_path / "run", **{**SMALL, "checkpoints": 24}))
    assert losses(tmp_path / "run") == losses(whole)
    curve = [float(line.split(",")[1]) for line in losses(whole).splitlines()[1:]]
    assert len(curve) == 24
    assert np.mean(curve[-6:]) < np.mean(curve[:6])


def test_other_settings_are_refused_in_a_folder_with_checkpoints(whole: Path) -> None:
    before = losses(whole)
    with pytest.raises(SpecentError, match=r"holds a training with batch=8, now 16; .*overwrite=True"):
        module.main(module.Settings(output=whole, **{**SMALL, "batch": 16}))
    assert losses(whole) == before


def test_overwriting_starts_again(whole: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    module.main(module.Settings(output=folder, **{**SMALL, "seed": 1}))
    assert losses(folder) != losses(whole)
    module.main(module.Settings(output=folder, overwrite=True, **SMALL))
    assert losses(folder) == losses(whole)


def test_a_damaged_checkpoint_is_told_of_and_the_one_before_serves(whole: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    module.main(module.Settings(output=folder, **SMALL))
    newest = max((folder / CHECKPOINTS).glob("*.safetensors"))
    newest.write_bytes(newest.read_bytes()[:-1])
    with pytest.warns(SpecentWarning, match="damaged.*goes on from step 20"):
        module.main(module.Settings(output=folder, **SMALL))
    assert losses(folder) == losses(whole)


def test_the_tiny_run_goes_through_all_of_it_and_its_archive_validates(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    card, profiles = module.main(module.Settings(output=folder, tiny=True))
    sp.validate(profiles)
    made = sp.open(profiles)
    assert made.estimator.values.tolist() == ["exact", "path", "cross_entropy", "denoiser_gap"]
    assert json.loads(made.attrs["settings"])["recipe_settings"]["data"] == "digits"
    assert json.loads(card.read_text())["data"]["sha256"] == sp.images.digits().sha256
    assert sp.models.ddpm(folder).labels == tuple("0123456789")
    assert list(folder.glob("samples_*.png"))
    assert made.attrs["title"].endswith("(tiny run, hardly trained network)")
    printed = capsys.readouterr()
    assert printed.out.startswith("A tiny run on a hardly trained network: the numbers below mean nothing.\n")
    assert "1797 pictures" in printed.out
    assert "nothing can be printed" not in printed.err


def test_a_tiny_run_leaves_the_folder_of_a_full_one_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    module.main(module.Settings(tiny=True, check=0, pictures=0))
    assert [path.name for path in tmp_path.iterdir()] == ["ddpm_tiny"]


@pytest.mark.filterwarnings("ignore::specent.errors.SpecentWarning")  # that one curve never falls to half
def test_a_profile_that_never_falls_to_half_is_listed_beside_those_that_do() -> None:
    """An exact profile of two components 10 apart, and as an estimate one of components that are hardly apart."""
    time, partitions = sp.schedules.edm_grid(200, 0.05, 200), [sp.Partition.pair("a", "b")]
    exact, flat = (
        sp.exact.profiles(
            sp.exact.GaussianMixture([[0.0], [far]], labels=["a", "b"]), sp.schedules.VE(), time, partitions
        )
        for far in (10.0, 0.01)
    )
    flat = flat.assign_coords(estimator=("estimator", ["path"], exact.estimator.attrs))
    _, first, second = module.half_entropy_table(sp.analysis.combine(exact, flat))
    # two components 2 m apart: sigma^2 = (m / 1.021770)^2 - 1 (shared/science)
    assert float(first.split()[1]) == pytest.approx(np.sqrt((5 / 1.021770) ** 2 - 1), rel=0.01)
    assert second.split() == ["path", "never:", "1.000", "bit", "are", "open", "at", "the", "end"]


def test_two_networks_are_trained_side_by_side(tmp_path: Path, two_dogs: Path) -> None:
    folder = tmp_path / "run"
    settings = module.Settings(data=f"folder:{two_dogs}", output=folder, networks="two", **{**SMALL, "steps": 4})
    module.main(settings)
    model = sp.models.ddpm(folder)
    assert model.labels == ("cat", "dog")
    assert model.label_prior.tolist() == [0.4, 0.6]
    assert model.null
    x, conditions = torch.zeros(1, 3, 8, 8), torch.arange(3)
    denoised = model.candidates(x, 5.0, conditions)[0]
    assert (denoised[2] - denoised[0]).abs().max() > 1e-4


@pytest.fixture
def two_dogs(tmp_path: Path) -> Path:
    """Two cats and three dogs."""
    from PIL import Image

    rng = np.random.default_rng(0)
    for label, count in (("cat", 2), ("dog", 3)):
        (tmp_path / "animals" / label).mkdir(parents=True)
        for i in range(count):
            pixels = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "animals" / label / f"{i}.png")
    return tmp_path / "animals"


def test_sizes_follow_from_the_pictures_unless_given() -> None:
    small, medium, large = (module.training(module.Settings(), height) for height in (8, 32, 64))
    assert small.channels == (32, 64)
    assert medium.channels == (128, 256, 256, 256)
    assert large.steps == medium.steps > small.steps
    given = module.Settings(steps=5, channels=(8, 8), attention=(0,), label_dropout=0.2, flip=True)
    assert module.training(given, 32) == replace(
        medium, steps=5, channels=(8, 8), attention=(), label_dropout=0.2, flip=True
    )
    assert module.training(module.Settings(networks="two"), 8).label_dropout == 0
    assert not small.flip
    assert module.training(module.Settings(), 32, mirrored=True).flip


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("--data mnist", "data='mnist'"),
        ("--data folder:/nowhere", "is no folder"),
        ("--output /dev/null", "is a file"),
        ("--output none/run", "does not exist"),
        ("--output /proc/x", "cannot be used"),
        ("--layers 1000000", "layers=1000000"),
        ("--batch 1000000000", "batch=1000000000"),
        ("--channels 65536 65536", "channels=[65536, 65536]"),
        ("--steps 0", "steps=0"),
        ("--batch 0", "batch=0"),
        ("--learning-rate -1", "learning_rate=-1.0"),
        ("--label-dropout 1", "label_dropout=1.0"),
        ("--networks two --label-dropout 0.1", "label_dropout=0.1 is for one network"),
        ("--channels 0", "channels=0"),
        ("--channels 30 60", "channels=[30, 60]"),
        ("--channels 8 8 8 8 8", "cannot be divided"),
        ("--checkpoints 0", "checkpoints=0"),
        ("--check 1", "check=1"),
        ("--levels 3", "levels=3"),
        ("--threads -1", "threads=-1"),
        ("--seed -1", "seed=-1"),
        ("--precision bfloat16", "precision='bfloat16'"),
        ("--device abacus", "device='abacus'"),
    ],
)
def test_a_bad_setting_is_one_line_and_nothing_is_written(
    line: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert command.main(["run", "train_ddpm", *line.split()]) == 1
    error = capsys.readouterr().err
    assert error.startswith("specent: ")
    assert error.count("\n") == 1
    assert said in error
    assert not list(tmp_path.iterdir())
