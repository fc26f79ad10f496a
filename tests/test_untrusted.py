"""Files of somebody else: regular ones only, and JSON within bounds."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import specent as sp
from specent import command, files
from specent.errors import SpecentError
from specent.images.stored import opened_npz
from specent.models.checkpoint import load_checkpoint, read_card
from specent.models.ddpm_model import ddpm
from specent.models.diffusers.hub import read_json
from specent.models.edm2.pickles import read_pickle
from specent.studies.imagenet import lines_of
from specent.training.checkpoints import newest
from specent.untrusted import json_of_file, open_regular, parse_json, read_regular


@pytest.fixture
def pipe(tmp_path: Path) -> Iterator[Path]:
    """A named pipe that nobody writes to: whoever opens it waits for ever, or here until the alarm."""

    def waited(*_: object) -> None:
        raise TimeoutError("the pipe was opened")

    path = tmp_path / "step_00000001.json"
    os.mkfifo(path)
    before = signal.signal(signal.SIGALRM, waited)
    signal.alarm(60)
    yield path
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


READERS: dict[str, Callable[[Path], object]] = {
    "archive": sp.open,
    "archive without its seal": lambda path: sp.open(path, verify=False),
    "validate": sp.validate,
    "describe": sp.describe,
    "card": read_card,
    "card of a training": lambda path: ddpm(path.parent),
    "card of a checkpoint": lambda path: newest(path.parent),
    "digest": lambda path: files.compare_digest(path, "", "checkpoint", "fetch it again"),
    "weights": lambda path: load_checkpoint(None, path, ""),  # type: ignore[arg-type]
    "pipeline": lambda path: read_json(path, "pipeline"),
    "pickle": read_pickle,
    "class names": lines_of,
}


@pytest.mark.parametrize("read", READERS.values(), ids=READERS.keys())
def test_a_pipe_in_the_place_of_a_file_is_refused_by_every_reader(pipe: Path, read: Callable[[Path], object]) -> None:
    if read is READERS["card of a training"]:
        (pipe.parent / "specent.json").symlink_to(pipe)
    with pytest.raises(SpecentError, match="not a regular file"):
        read(pipe)


def test_a_pipe_in_the_place_of_a_configuration_or_of_arrays_is_refused(
    pipe: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main(["run", "gmm_1d", "--config", str(pipe)]) == 2
    assert "cannot be read (not a regular file)" in capsys.readouterr().err
    with pytest.raises(SpecentError, match="not a regular file"), opened_npz(pipe, "data"):
        pass


def test_a_device_a_folder_and_a_link_to_either_are_refused(tmp_path: Path) -> None:
    (tmp_path / "zero").symlink_to("/dev/zero")
    for path in ("/dev/zero", tmp_path / "zero"):
        with pytest.raises(OSError, match="not a regular file"):
            open_regular(path)
    with pytest.raises(IsADirectoryError):
        open_regular(tmp_path)
    with pytest.raises(FileNotFoundError):
        read_regular(tmp_path / "none")


def test_a_file_is_read_up_to_its_bound(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"12345")
    assert read_regular(tmp_path / "a", 5) == read_regular(tmp_path / "a") == b"12345"
    with pytest.raises(OSError, match="larger than 4 bytes"):
        read_regular(tmp_path / "a", 4)


def test_json_within_the_bounds_comes_back() -> None:
    value = {
        "labels": [[f"label {i}" for i in range(1000)] for _ in range(50)],
        "deep": json.loads("[" * 98 + "]" * 98),
    }
    assert parse_json(json.dumps(value)) == value
    assert parse_json('"ü"'.encode()) == "ü"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a":' * 101 + "1" + "}" * 101, "more than 100 levels"),
        ("[" * 10**6, "more than 100 levels"),
        ("[" * 101 + "]" * 101, "more than 100 levels"),
        ("{" + ",".join(f'"{i}":0' for i in range(300_001)) + "}", "more than 300000 keys"),
        ("[" + "0," * 3_000_000 + "0]", "more than 3000000 entries"),
        ('"' + "x" * 2**26 + '"', "more than 67108864 letters"),
        ("1" * 5000, "not JSON"),
        ("{", "not JSON"),
        (b"\xff", "not JSON"),
        (None, "not JSON"),
    ],
    ids=["deep", "very deep", "lists", "keys", "entries", "letters", "digits", "cut", "bytes", "none"],
)
def test_json_beyond_the_bounds_is_refused_at_once(text: str, message: str) -> None:
    with pytest.raises(SpecentError, match=message):
        parse_json(text)


def test_a_card_of_any_size_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "card.json").open("wb") as file:
        file.truncate(2**40)  # takes no room on the disk
    with pytest.raises(OSError, match="larger than 16777216 bytes"):
        json_of_file(tmp_path / "card.json")
    with pytest.raises(SpecentError, match="larger than"):
        read_card(tmp_path / "card.safetensors")
