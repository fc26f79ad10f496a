"""Converted files have the numbers of the published ones, and are complete or absent."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from specent import command
from specent.errors import ModelError
from specent.models.edm2 import conversion
from specent.models.edm2.architecture import Precond
from specent.models.edm2.conversion import convert, read_network

Save = Callable[..., Path]


@pytest.fixture
def converted(networks: tuple[Precond, Precond], save: Save) -> Path:
    return convert(save(networks[0], "net.pkl"), save(networks[0], "net.pkl").with_suffix(".safetensors"))[0]


def test_a_converted_file_is_the_published_one(networks: tuple[Precond, Precond], converted: Path) -> None:
    source = converted.with_suffix(".pkl")
    before, after = read_network(source), read_network(converted)
    assert after.config == before.config == networks[0].config
    assert set(after.state) == set(before.state)
    for name, value in before.state.items():
        assert after.state[name].dtype == value.dtype
        torch.testing.assert_close(after.state[name], value, rtol=0, atol=0)


def test_the_card_says_what_it_is_and_where_it_came_from(converted: Path) -> None:
    card = json.loads(converted.with_suffix(".json").read_text())
    source = converted.with_suffix(".pkl")
    assert card["sha256"] == hashlib.sha256(converted.read_bytes()).hexdigest()
    assert card["source"] == {"file": "net.pkl", "sha256": hashlib.sha256(source.read_bytes()).hexdigest()}
    assert card["name"] == "edm2"
    assert card["preset"] == "custom"
    assert card["config"]["blocks"] == [16, 64]
    assert "licence" in card


def test_the_command_converts_and_says_what_it_wrote(
    networks: tuple[Precond, Precond], save: Save, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, output = save(networks[1], "free.pkl"), tmp_path / "free.safetensors"
    assert command.main(["convert", str(source), "-o", str(output)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" (")[0] for line in lines] == [f"wrote {output}", f"wrote {output.with_suffix('.json')}"]
    assert read_network(output).config.label_dim == 0
    assert command.main(["convert", str(source), "-o", str(output)]) == 1
    assert "pass --overwrite to replace it" in capsys.readouterr().err
    assert command.main(["convert", str(source), "-o", str(output), "--overwrite"]) == 0


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "damaged, cut short or no pickle"),
        (b"\x80\x04}.", "no EDM2 network"),
        (b"cos\nsystem\n(S'true'\ntR.", "asks for 'os.system'"),
    ],
    ids=["truncated", "other", "hostile"],
)
def test_a_bad_source_is_one_line_and_leaves_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], data: bytes, message: str
) -> None:
    source = tmp_path / "bad.pkl"
    source.write_bytes(data)
    assert command.main(["convert", str(source), "-o", str(tmp_path / "out.safetensors")]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("specent: source='bad.pkl'")
    assert message in lines[0]
    assert [path.name for path in tmp_path.iterdir()] == ["bad.pkl"]


@pytest.mark.parametrize(
    ("source", "output", "message"),
    [
        ("none.pkl", "a.safetensors", "is no file ending in .pkl"),
        ("net.pkl", "a.bin", "must end in '.safetensors'"),
        ("net.pkl", "none/a.safetensors", "does not exist; make it first"),
        ("net.bin", "a.safetensors", "is no file ending in .pkl"),
        ("\0", "a.safetensors", "is no file ending in .pkl"),
    ],
)
def test_bad_paths_are_refused(
    networks: tuple[Precond, Precond], save: Save, tmp_path: Path, source: str, output: str, message: str
) -> None:
    save(networks[0])
    (tmp_path / "net.bin").write_bytes(b"")
    with pytest.raises(ModelError, match=message):
        convert(str(tmp_path / source), tmp_path / output)


def test_what_appears_meanwhile_is_kept(
    networks: tuple[Precond, Precond], save: Save, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output, plain = tmp_path / "a.safetensors", conversion.read_pickle

    def appears(path: Path) -> conversion.StoredNetwork:
        output.write_text("mine")
        return plain(path)

    monkeypatch.setattr(conversion, "read_pickle", appears)
    with pytest.raises(ModelError, match="exists"):
        convert(save(networks[0]), output)
    assert output.read_text() == "mine"


def test_a_failed_write_leaves_nothing(
    networks: tuple[Precond, Precond], save: Save, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = save(networks[0])

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("specent.files.os.fsync", full)
    with pytest.raises(ModelError, match=r"could not be written \(No space left on device\)"):
        convert(source, tmp_path / "a.safetensors")
    assert list(tmp_path.iterdir()) == [source]


def test_a_damaged_converted_file_or_card_is_refused(converted: Path) -> None:
    card = converted.with_suffix(".json")
    text = card.read_text()
    for change, message in (
        (text.replace('"resolution": 8', '"resolution": 9'), "the card of .*resolution=9 cannot be halved"),
        (text.replace('"resolution"', '"resolutions"'), "the card of .* convert the published file again"),
        (text.replace('"edm2"', '"other"'), "does not describe an EDM2 network"),
        (text.replace('"label_dim": 3', '"label_dim": 5'), r"emb_label.weight has shape \(32, 3\), not \(32, 5\)"),
        ("{}", "is not a card"),
    ):
        card.write_text(change)
        with pytest.raises(ModelError, match=message):
            read_network(converted)
    card.write_text(text)
    data = bytearray(converted.read_bytes())
    data[-1] ^= 1
    converted.write_bytes(data)
    with pytest.raises(ModelError, match="SHA-256"):
        read_network(converted)


def test_other_weights_under_a_matching_card_are_refused(converted: Path) -> None:
    card = converted.with_suffix(".json")
    state = load_file(converted)
    state["unet.out_conv.weight"] = state["unet.out_conv.weight"].double()
    save_file(state, converted)
    fields = json.loads(card.read_text())
    card.write_text(json.dumps({**fields, "sha256": hashlib.sha256(converted.read_bytes()).hexdigest()}))
    with pytest.raises(ModelError, match=r"unet.out_conv.weight has type torch.float64; half or single precision"):
        read_network(converted)
    converted.write_bytes(converted.read_bytes()[:-8])
    card.write_text(json.dumps({**fields, "sha256": hashlib.sha256(converted.read_bytes()).hexdigest()}))
    with pytest.raises(ModelError, match="not a whole safetensors file"):
        read_network(converted)
