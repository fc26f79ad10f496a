"""Checkpoints load strictly, or say what is wrong."""

import errno
import hashlib
import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

import specent as sp
from specent.errors import SpecentError
from specent.models import EDMNetwork
from specent.models.checkpoint import checkpoint_path, save_checkpoint, write_checkpoint


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    net = EDMNetwork(4, 2, width=8, blocks=1, embedding=4, sigma_data=0.5)
    for value in net.parameters():
        torch.nn.init.normal_(value)
    card = {
        "name": "tiny", "labels": ["a", "b"], "shape": [4], "label_prior": [0.25, 0.75], "sigma_data": 0.5,
        "settings": {"width": 8, "blocks": 1, "embedding": 4, "seed": 0},
    }  # fmt: skip
    save_checkpoint(net, tmp_path / "tiny.safetensors", card)
    return tmp_path / "tiny.safetensors"


def resign(path: Path) -> None:
    """Make the card vouch for the file as it is now."""
    card = json.loads(path.with_suffix(".json").read_text())
    card["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    path.with_suffix(".json").write_text(json.dumps(card))


def test_a_checkpoint_comes_back_as_it_was(checkpoint: Path) -> None:
    model = sp.models.digits(checkpoint)
    assert model.labels == ("a", "b")
    assert model.shape == (4,)
    assert model.identity["checkpoint_sha256"] == hashlib.sha256(checkpoint.read_bytes()).hexdigest()
    for key, value in load_file(checkpoint).items():
        torch.testing.assert_close(model.net.state_dict()[key], value, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state.pop("enter.bias"), "missing"),
        (lambda state: state.update(extra=torch.zeros(1)), "unexpected"),
        (lambda state: state.update({"enter.bias": torch.zeros(9)}), r"shape \(9,\)"),
        (lambda state: state["leave.bias"].fill_(float("nan")), "NaN"),
    ],
    ids=["missing", "extra", "shape", "nan"],
)
def test_tensors_that_do_not_fit_are_named(checkpoint: Path, change: object, message: str) -> None:
    state = load_file(checkpoint)
    change(state)
    save_file(state, checkpoint)
    resign(checkpoint)
    with pytest.raises(SpecentError, match=message):
        sp.models.digits(checkpoint)


@pytest.mark.parametrize("dtype", [torch.int32, torch.float16, torch.bool, torch.float64], ids=str)
def test_weights_of_another_type_are_refused(checkpoint: Path, dtype: torch.dtype) -> None:
    state = load_file(checkpoint)
    # in double precision 1e300 is finite, in the network it would not be
    state["leave.bias"] = torch.full((4,), 1e300, dtype=dtype) if dtype == torch.float64 else torch.ones(4, dtype=dtype)
    save_file(state, checkpoint)
    resign(checkpoint)
    with pytest.raises(SpecentError, match=rf"'leave.bias' holds {dtype}, it must be torch.float32"):
        sp.models.digits(checkpoint)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("sigma_data", 0.0, "sigma_data=0.0"),
        ("sigma_data", "half", "sigma_data='half'"),
        ("labels", "ab", "labels='ab' must be a list"),
        ("shape", [1.9, 8, 8], r"shape\[0\]=1.9"),
        ("shape", [True, 8, 8], r"shape\[0\]=True"),
        ("shape", [-1, 8, 8], r"shape\[0\]=-1"),
        ("shape", [1e30], r"shape\[0\]=1e\+30"),
        ("shape", [10**12], "more than the .* bytes of the file"),
        ("settings", "tiny", "settings='tiny'"),
        ("settings", {"width": -1, "blocks": 1, "embedding": 4}, "settings.width=-1"),
        ("settings", {"width": 10**9, "blocks": 1, "embedding": 4}, "settings.width=1000000000"),
        ("settings", {"width": 8, "blocks": 10**9, "embedding": 4}, "settings.blocks=1000000000"),
        ("settings", {"width": 8, "blocks": 1, "embedding": 5}, "embedding=5 must be even"),
        ("settings", {"width": 8, "blocks": 1}, "'embedding'"),
        ("label_prior", [0.5, 0.6], "label_prior="),
        ("name", ["tiny"], "name="),
    ],
)
def test_fields_of_the_card_are_checked(checkpoint: Path, field: str, value: object, message: str) -> None:
    card = checkpoint.with_suffix(".json")
    card.write_text(json.dumps({**json.loads(card.read_text()), field: value}))
    with pytest.raises(SpecentError, match=rf"the card of .*{message}.* train the model again"):
        sp.models.digits(checkpoint)


@pytest.mark.parametrize("path", ["", "/", 5, ".", "a\0b", b"tiny"], ids=repr)
def test_paths_that_name_no_file_are_refused(path: object) -> None:
    with pytest.raises(SpecentError, match=r"path=.* pass the path of a checkpoint"):
        sp.models.digits(path)


def test_a_folder_is_no_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(SpecentError, match="names no file"):
        sp.models.digits(tmp_path)


def test_another_sha256_than_the_card_says_is_refused(checkpoint: Path) -> None:
    data = bytearray(checkpoint.read_bytes())
    data[-1] ^= 1
    checkpoint.write_bytes(data)
    with pytest.raises(SpecentError, match="SHA-256"):
        sp.models.digits(checkpoint)


def test_a_truncated_file_is_refused_even_if_its_card_agrees(checkpoint: Path) -> None:
    checkpoint.write_bytes(checkpoint.read_bytes()[:-10])
    resign(checkpoint)
    with pytest.raises(SpecentError, match="not a whole safetensors file"):
        sp.models.digits(checkpoint)


def test_missing_files_and_bad_cards_are_named(checkpoint: Path) -> None:
    with pytest.raises(SpecentError, match="no card"):
        sp.models.digits(checkpoint.with_name("other.safetensors"))
    card = checkpoint.with_suffix(".json")
    text = card.read_text()
    card.write_text("not json")
    with pytest.raises(SpecentError, match="not JSON"):
        sp.models.digits(checkpoint)
    card.write_text("[]")
    with pytest.raises(SpecentError, match="not a card"):
        sp.models.digits(checkpoint)
    card.write_text(text.replace('"labels"', '"lables"'))
    with pytest.raises(SpecentError, match="labels"):
        sp.models.digits(checkpoint)
    card.write_text(text)
    checkpoint.unlink()
    with pytest.raises(SpecentError, match="cannot be read"):
        sp.models.digits(checkpoint)


def test_what_is_no_file_is_never_replaced(tmp_path: Path) -> None:
    target = tmp_path / "n.safetensors"
    target.write_bytes(b"before")
    (tmp_path / "n.json").mkdir()
    with pytest.raises(SpecentError, match=r"n\.json' is a folder"):
        checkpoint_path(target, overwrite=True)
    assert target.read_bytes() == b"before"


def test_both_files_are_whole_before_either_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "n.safetensors"
    write_checkpoint(b"before", target, {"a": 1})
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    for full in ("write_text", "write_bytes"):  # the card, the weights
        with monkeypatch.context() as patch:
            patch.setattr(Path, full, no_space)
            with pytest.raises(SpecentError, match=r"could not be written \(No space left on device\)"):
                write_checkpoint(b"after", target, {"a": 2}, overwrite=True)
        assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


def no_space(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_checkpoint_that_appears_meanwhile_survives(tmp_path: Path) -> None:
    target = tmp_path / "n.safetensors"
    target.write_bytes(b"mine")
    with pytest.raises(SpecentError, match=r"n\.safetensors' exists"):
        write_checkpoint(b"after", target, {"a": 2})
    assert [file.read_bytes() for file in tmp_path.iterdir()] == [b"mine"]


def test_the_longest_name_can_be_that_of_a_checkpoint(tmp_path: Path) -> None:
    target = checkpoint_path(tmp_path / ("a" * 243 + ".safetensors"))
    write_checkpoint(b"data", target, {})
    assert target.read_bytes() == b"data"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("a" * 300 + ".safetensors", "shorten it to 255 at most"),
        ("~nobody-of-this-name/o.safetensors", "there is no such user"),
        ("a\0.safetensors", "cannot be the name of a file"),
        (5, "is a int; give the name of a file as text"),
    ],
)
def test_names_that_no_file_can_have_are_refused(tmp_path: Path, name: object, message: str) -> None:
    path = name if not isinstance(name, str) or name.startswith("~") else str(tmp_path / name)
    with pytest.raises(SpecentError, match=f"output=.*{message}"):
        checkpoint_path(path)
