"""Models and data by a line of text, and the command that checks them."""

from pathlib import Path

import numpy as np
import pytest

from specent import command
from specent.diagnostics.model_texts import data_from_text, model_from_text
from specent.errors import SpecentError
from specent.files import shipped_folder
from specent.models.diffusers.tiny_pipelines import write_pipeline
from specent.models.edm2.tiny_networks import write_tiny

MINE = '''
import torch
import specent as sp
import beside

class Own:
    """Two unit Gaussians."""
    schedule, conditions, shape = sp.schedules.VE(), ["left", "right"], (2,)
    def __call__(self, x, t, condition):
        mean = beside.DISTANCE * (2.0 * condition - 1)[:, None].to(x.dtype)
        return mean + (x - mean) / (1 + t[:, None] ** 2)

own = Own()

def network():
    return sp.models.network(own, Own.conditions, Own.shape, prediction="data", null=False)

def swapped():
    return sp.models.network(lambda x, t, c: own(x, t, 1 - c), Own.conditions, Own.shape, prediction="data", null=False)

def of(path):
    return network()

def ends():
    raise SystemExit(0)

def broken():
    return 1 / 0

number = 3
'''


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a model of one's own and its data."""
    (tmp_path / "mine.py").write_text(MINE)
    (tmp_path / "beside.py").write_text("DISTANCE = 2.0\n")
    generator = np.random.default_rng(0)
    kinds = generator.integers(2, size=600)
    latents = 2.0 * (2 * kinds - 1)[:, None] + generator.standard_normal((600, 2))
    np.savez(tmp_path / "data.npz", latents=latents, labels=np.array(["left", "right"])[kinds])
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", ["own", "network"])
def test_an_object_or_a_function_of_a_file_is_a_model(folder: Path, name: str) -> None:
    model = model_from_text(f"mine.py:{name}")
    assert model.labels == ("left", "right")
    assert not model.null


def test_checkpoints_and_folders_are_distinguished(folder: Path) -> None:
    shipped = shipped_folder("datasets") / "digits.safetensors"
    assert model_from_text(str(shipped)).identity == model_from_text("digits").identity
    (folder / "edm2").mkdir()
    network, null = write_tiny(folder / "edm2")
    assert not model_from_text(str(network)).null
    assert model_from_text(str(network), null=str(null), labels=["a", "b", "c"]).labels == ("a", "b", "c")
    command.main(["convert", str(network), "-o", str(folder / "converted.safetensors")])
    assert model_from_text("converted.safetensors").identity["name"] == "edm2"
    assert model_from_text(str(folder / "edm2")).null
    assert model_from_text(str(write_pipeline("dit", folder / "dit"))).null
    prompted = model_from_text(str(write_pipeline("sd1", folder / "sd1")), prompts=["a chair", "a cat"])
    assert prompted.labels == ("a chair", "a cat")


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("nothing", {}, "is none of 'digits', FILE.py:NAME"),
        ("mine.py", {}, "say which object of the file, as mine.py:model"),
        ("none.py:model", {}, "there is no file 'none.py'"),
        ("mine.py:model", {}, "defines no 'model'; it has .*own"),
        ("mine.py:of", {}, "is a function of path; give one without arguments"),
        ("mine.py:broken", {}, "raised ZeroDivisionError"),
        ("mine.py:ends", {}, "raised SystemExit: 0"),
        ("mine.py:number", {}, "not a model"),
        ("wrong.py:model", {}, "the file raised SyntaxError"),
        ("digits", {"prompts": ["a"]}, r"prompts=\['a'\] does not go with model='digits'"),
        ("mine.py:own", {"null": "other"}, "null='other' does not go with"),
        ("no.safetensors", {}, "no card"),
        ("", {}, "model=''"),
        ("x" * 5000, {}, "is no path that can be read"),
        ("x" * 5000 + ".py:own", {}, "is no path that can be read"),
        ("~nobody-of-that-name/x.pkl", {}, "is no path that can be read"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_what_names_no_model_is_said(folder: Path, text: str, options: dict[str, object], message: str) -> None:
    (folder / "wrong.py").write_text("def (")
    with pytest.raises(SpecentError, match=message):
        model_from_text(text, **options)


def test_data_are_pictures_or_latents(folder: Path) -> None:
    images, labels = data_from_text("data.npz", model_from_text("mine.py:own"))
    assert images.shape == (600, 2)
    assert set(labels) == {"left", "right"}
    pixels = np.random.default_rng(0).integers(0, 256, size=(6, 8, 8), dtype=np.uint8)
    np.savez(folder / "pictures.npz", images=pixels, labels=np.arange(6))
    images, labels = data_from_text("pictures.npz", model_from_text("digits"))
    np.testing.assert_allclose(images[:, 0], pixels / 127.5 - 1, atol=1e-6)
    assert labels.tolist() == list("012345")
    with pytest.raises(SpecentError, match="data='none' is none of"):
        data_from_text("none", model_from_text("digits"))


class Shape:
    """Stands in for a model of which the loader needs the shape only."""

    def __init__(self, *shape: int) -> None:
        self.shape = shape


@pytest.mark.parametrize("name", ["latents", "images", "x"])
@pytest.mark.parametrize("shape", [(4, 8, 8), (5,)], ids=str)
def test_latents_and_vectors_are_taken_as_they_are(folder: Path, name: str, shape: tuple[int, ...]) -> None:
    latents = 9 * np.random.default_rng(0).standard_normal((6, *shape))
    np.savez(folder / "other.npz", **{name: latents, "labels": np.arange(6)})
    images, labels = data_from_text("other.npz", Shape(*shape))  # type: ignore[arg-type]
    np.testing.assert_array_equal(images, latents)
    assert labels.tolist() == list(range(6))


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"latents": np.zeros((6, 4, 4, 4))}, r"latents has shape \(6, 4, 4, 4\); the model needs \(n, 4, 8, 8\)"),
        ({"x": np.full((6, 4, 8, 8), np.nan)}, r"x\[0\] holds a NaN"),
        ({"images": np.zeros((6, 4, 8, 8)), "labels": np.arange(5)}, r"labels has shape \(5,\); it must be \(6,\)"),
        ({"images": np.full((6, 4, 8, 8), "a")}, "images has type <U1; it must hold numbers"),
        ({"images": np.full((6, 4, 8, 8), None)}, "not objects"),
        ({"data": np.zeros((6, 4, 8, 8))}, "it needs one of latents, images, x, and labels"),
        ({"x": np.zeros((6, 4, 8, 8)), "labels": None}, "holds x but no labels"),
    ],
    ids=["shape", "nan", "labels", "text", "objects", "name", "unlabelled"],
)
def test_data_that_do_not_fit_are_refused(folder: Path, arrays: dict[str, object], message: str) -> None:
    columns = {name: value for name, value in {"labels": np.arange(6), **arrays}.items() if value is not None}
    np.savez(folder / "other.npz", **columns)  # type: ignore[arg-type]
    with pytest.raises(SpecentError, match=message):
        data_from_text("other.npz", Shape(4, 8, 8))  # type: ignore[arg-type]


def test_the_command_prints_the_report_and_succeeds(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["check", "mine.py:network", "--data", "data.npz"]) == 0
    out, err = capsys.readouterr()
    rows = out.splitlines()
    assert rows[0].startswith("network: ")
    assert " fail" not in rows[0]
    assert sum(row.startswith(("pass", "skip")) for row in rows) == 16
    assert "network evaluations" in err  # how many it will take, on the bar


def test_the_command_fails_if_a_line_does(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["check", "mine.py:swapped", "--data", "data.npz", "--samples", "300"]) == 1
    out, err = capsys.readouterr()
    assert "the conditions 'left' and 'right' are swapped" in " ".join(out.split())
    assert err.splitlines()[-1] == "specent: check: labels failed; the report says what to do"


def test_the_command_without_data_says_what_is_open(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["check", "mine.py:network", "--levels", "0.01", "50"]) == 0
    assert capsys.readouterr().out.count("needs images with their labels") == 7
