"""Published files are read without running anything in them, and what is no such file is refused in one line."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from specent.errors import ModelError, SpecentError
from specent.models.edm2 import pickles, tiny_networks
from specent.models.edm2.architecture import Precond
from specent.models.edm2.pickles import read_pickle
from specent.models.edm2.tiny_networks import Call, instructions, pickle_bytes, tiny_pair

Save = Callable[..., Path]


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("conditional", [True, False])
def test_a_file_gives_its_weights_and_sizes_and_runs_nothing(
    networks: tuple[Precond, Precond], save: Save, tmp_path: Path, protocol: int, conditional: bool
) -> None:
    net = networks[not conditional]
    sentinel = tmp_path / "ran"
    path = save(net, source=f"open({str(sentinel)!r}, 'w').write('harm')", protocol=protocol)
    assert path.read_bytes().count(b"harm") == 1
    stored = read_pickle(path)
    assert not sentinel.exists()
    assert "torch_utils" not in sys.modules
    assert stored.config == net.config
    expected = net.state_dict()
    assert set(stored.state) == set(expected)
    for name, value in stored.state.items():
        assert value.dtype == (torch.float32 if name.endswith(("freqs", "phases")) else torch.float16)
        torch.testing.assert_close(value.float(), expected[name], rtol=0, atol=0)


def test_files_of_tiny_networks_are_read_alike(networks: tuple[Precond, Precond], tmp_path: Path) -> None:
    path = tmp_path / "tiny.pkl"
    path.write_bytes(pickle_bytes(networks[0]))
    assert b"RuntimeError" in path.read_bytes()
    for name, value in read_pickle(path).state.items():
        torch.testing.assert_close(value.float(), networks[0].state_dict()[name], rtol=1e-3, atol=1e-3)


def test_weights_that_share_a_storage_or_lie_otherwise_in_it_are_what_they_were(
    networks: tuple[Precond, Precond], save: Save
) -> None:
    net = tiny_pair()[0]
    expected = net.unet.out_conv.weight.detach().half().float()
    # channels last, and a part of a larger storage
    net.unet.out_conv.weight.data = net.unet.out_conv.weight.data.to(memory_format=torch.channels_last)
    whole = torch.randn(5, *net.unet.emb_noise.weight.shape)
    net.unet.emb_noise.weight.data = whole[2]
    stored = read_pickle(save(net))
    torch.testing.assert_close(stored.state["unet.out_conv.weight"].float(), expected, rtol=0, atol=0)
    torch.testing.assert_close(stored.state["unet.emb_noise.weight"].float(), whole[2].half().float(), rtol=0, atol=0)


@pytest.mark.parametrize("share", [0.0, 1e-4, 0.01, 0.3, 0.9, 0.9999])
def test_a_file_that_is_cut_short_is_refused(networks: tuple[Precond, Precond], save: Save, share: float) -> None:
    path = save(networks[0])
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(ModelError, match=r"source='net.pkl' is damaged, cut short or no pickle .* fetch it again"):
        read_pickle(path)


@pytest.mark.parametrize(
    "data",
    [
        b"<!DOCTYPE html>", b"PK\x03\x04", b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\x3f",
        b"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\x3f.", b"\x80\x04Nr\xff\xff\xff\x3f.",
        b"(" * 5000 + b"t" * 4999 + b".", b"]" * 200_000 + b"a" * 199_999 + b".",
    ],
    ids=["page", "archive", "size", "frame", "memo", "marks", "depth"],
)  # fmt: skip
def test_other_files_and_huge_claims_are_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "other.pkl"
    path.write_bytes(data)
    with pytest.raises(ModelError, match=r"source='other.pkl' is (damaged|no EDM2 network)"):
        read_pickle(path)


@pytest.mark.parametrize(
    "content",
    [{}, [], None, {"ema": None}, {"ema": {}}, {"ema": Call("torch.nn.modules.linear.Linear", (), state={})}],
    ids=repr,
)
def test_pickles_of_something_else_are_refused(tmp_path: Path, content: object) -> None:
    path = tmp_path / "other.pkl"
    path.write_bytes(b"\x80\x03" + instructions(content) + b".")
    with pytest.raises(ModelError, match="no EDM2 network: a published file is a mapping whose entry 'ema'"):
        read_pickle(path)


def changed(net: Precond, change: Callable[[dict[str, Any]], None], path: Path) -> Path:
    """A file of a network whose outermost attributes were changed."""
    call = tiny_networks._module(net)
    change(call.arguments[0]["state"])
    path.write_bytes(b"\x80\x03" + instructions({"ema": call}) + b".")
    return path


def unet(state: dict[str, Any]) -> dict[str, Any]:
    """Attributes of the U-Net inside those of its preconditioning."""
    return dict(state["_modules"].items)["unet"].arguments[0]["state"]


def enc(state: dict[str, Any]) -> dict[str, Any]:
    return dict(unet(state)["_modules"].items)["enc"].state


def drop(state: dict[str, Any], *names: str) -> None:
    """Leave out some of the modules."""
    state["_modules"] = entries(**{key: value for key, value in state["_modules"].items if key not in names})


def tensor(size: object, stride: object, offset: object = 0, numbers: int = 4) -> Call:
    """A stored parameter of any shape, over so many numbers."""
    storage = tiny_networks._tensor(torch.zeros(numbers)).arguments[0]
    return Call(pickles.PARAMETER, (Call(pickles.TENSOR, (storage, offset, size, stride, False, {})), True, {}))


def entries(**values: Any) -> Call:
    """An ordered mapping."""
    return Call("collections.OrderedDict", items=tuple(values.items()))


def gain(value: object) -> Callable[[dict[str, Any]], None]:
    """Replace the gain of the output."""

    def change(state: dict[str, Any]) -> None:
        unet(state)["_parameters"] = entries(out_gain=value)

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state.pop("label_dim"), "its label_dim is None"),
        (lambda state: state.update(img_resolution=True), "its img_resolution is True"),
        (lambda state: state.update(img_resolution=16), "of another architecture .* lacks .*'unet.dec.16x16_block0"),
        (lambda state: state.update(img_channels=3), r"enc.8x8_conv.weight has shape \(16, 5, 3, 3\), not"),
        (lambda state: state.update(label_dim=4), r"unet.emb_label.weight has shape \(32, 3\), not \(32, 4\)"),
        (lambda state: state.update(label_dim=0), r"has \['unet.emb_label.weight'\] more"),
        (lambda state: state.update(sigma_data=-1.0), "sigma_data=-1"),
        (lambda state: drop(state, "unet"), "has no U-Net"),
        (lambda state: drop(unet(state), "dec"), "lacks .*'unet.dec.4x4_block0"),
        (lambda state: drop(enc(state), "8x8_block0"), "lacks .*'unet.*8x8"),
        (lambda state: state.update(_modules=entries(a=5)), "one of its modules is 5"),
        (lambda state: state.update(_modules=entries(a=Call("torch.nn.modules.linear.Linear"))), "is InertRecord"),
        (lambda state: unet(state).update(label_balance=2.0), "label_balance=2.0"),
        (gain(5), "unet.out_gain is 5, not a tensor"),
        (gain(tensor((10**12,), (0,))), r"has shape \(1000000000000,\), but the file has 4 numbers"),
        (gain(tensor((2, 3), (1, 1))), r"has shape \(2, 3\), but the file has 4 numbers"),
        (gain(tensor((), (), 4)), "the file has 4 numbers"),
        (gain(tensor((2,), (1,), 3)), "the file has 4 numbers"),
        (gain(tensor((2,), (-1,), 3)), "strides"),
        (gain(tensor((2.0,), (1,))), "strides"),
        (gain(tensor("ab", (1,))), "strides"),
        (gain(tensor((2,), ())), "strides"),
        (gain(tensor((0, 2**70), (1, 1))), "strides"),
        (gain(tensor((2**33, 2**33), (0, 0))), "the file has 4 numbers"),
        (gain(tensor((1,), (2**70,))), "strides"),
        (gain(tensor((1,) * 9, (1,) * 9)), "strides"),
        (gain(tensor((0, 2), (1, 1))), r"unet.out_gain has shape \(0, 2\), not"),
        (lambda state: state.update(sigma_data=1e-300), "sigma_data=1e-300"),
        (lambda state: state.update(_modules=entries(**{"a" * 201: 5})), "one is named 'aaa"),
        (lambda state: state.update(_parameters={5: None}), "one is named 5"),
        (lambda state: state.update(_buffers=entries(**{f"b{i}": None for i in range(4097)})), "has 4097 entries"),
        (gain(tensor((3,), (1,))), r"unet.out_gain has shape \(3,\), not \(\)"),
        (gain(Call(pickles.TENSOR, (5, 0, (), ()))), "no storage, but 5"),
        (gain(Call(pickles.TENSOR, (Call(pickles.STORAGE, ("text",)), 0, (), ()))), "storage of 'text', not of bytes"),
        (gain(Call(pickles.TENSOR, (Call(pickles.STORAGE, (b"junk",)), 0, (), ()))), "numbers cannot be read"),
    ],
)  # fmt: skip
def test_networks_of_another_architecture_are_refused_by_name(
    networks: tuple[Precond, Precond], tmp_path: Path, change: Callable[[dict[str, Any]], None], message: str
) -> None:
    path = changed(networks[0], change, tmp_path / "other.pkl")
    with pytest.raises(SpecentError, match=message) as refusal:
        read_pickle(path)
    assert "\n" not in str(refusal.value)


def block(state: dict[str, Any], name: str) -> dict[str, Any]:
    """Attributes of a block of the encoder or decoder, by its name."""
    part, _, layer = name.partition(".")
    return dict(dict(unet(state)["_modules"].items)[part].state["_modules"].items)[layer].arguments[0]["state"]


OTHER_SETTINGS = [
    # the middle block attends with one head of 64 channels, the first does not attend
    ("dec.4x4_in0", {"num_heads": 2}, "num_heads=2", "have 1 "),
    ("dec.4x4_in0", {"num_heads": 0}, "num_heads=0", "have 1 "),
    ("dec.4x4_in0", {"num_heads": None}, "num_heads=None", "have 1 "),
    ("enc.8x8_block0", {"num_heads": 1}, "num_heads=1", "have 0 "),
    ("enc.4x4_block0", {"channels_per_head": 32}, "channels_per_head=32", "have 64 "),
    ("enc.4x4_block0", {"_init_kwargs": {"channels_per_head": 128}}, "channels_per_head=128", "have 64 "),
    ("dec.8x8_up", {"resample_filter": [1, 3, 3, 1]}, r"resample_filter=\[1, 3, 3, 1\]", r"have \(1, 1\) "),
    ("dec.8x8_up", {"resample_filter": [1]}, r"resample_filter=\[1\]", r"have \(1, 1\) "),
    ("enc.4x4_down", {"resample_filter": (1, 2)}, r"resample_filter=\(1, 2\)", r"have \(1, 1\) "),
    ("enc.4x4_down", {"resample_filter": None}, "resample_filter=None", r"have \(1, 1\) "),
    ("enc.4x4_down", {"_init_kwargs": {"resample_filter": [1, 2, 1]}}, "resample_filter", r"have \(1, 1\) "),
    ("enc.8x8_block0", {"clip_act": None}, "clip_act=None", "have 256.0 "),
    ("enc.8x8_block0", {"clip_act": 255.5}, "clip_act=255.5", "have 256.0 "),
    ("enc.8x8_block0", {"_init_kwargs": {"clip_act": None}}, "clip_act=None", "have 256.0 "),
    ("enc.8x8_block0", {"res_balance": 0.5}, "res_balance=0.5", "have 0.3 "),
    ("enc.8x8_block0", {"attn_balance": None}, "attn_balance=None", "have 0.3 "),
    ("dec.4x4_in0", {"attn_balance": 0.25}, "attn_balance=0.25", "have 0.3 "),
    ("dec.4x4_in0", {"_init_kwargs": entries(res_balance=0.5)}, "res_balance=0.5", "have 0.3 "),
]


@pytest.mark.parametrize(
    ("name", "settings", "said", "own"), OTHER_SETTINGS, ids=[str(row[1]) for row in OTHER_SETTINGS]
)
def test_a_setting_that_no_shape_shows_is_refused_by_its_name(
    networks: tuple[Precond, Precond], tmp_path: Path, name: str, settings: dict[str, Any], said: str, own: str
) -> None:
    path = changed(networks[0], lambda state: block(state, name).update(settings), tmp_path / "other.pkl")
    with pytest.raises(ModelError, match=rf"source='other.pkl': unet.{name} has {said}.*{own}") as refusal:
        read_pickle(path)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("kind", ["unet", "preconditioning"])
@pytest.mark.parametrize(
    ("setting", "value"),
    [("channels_per_head", 32), ("resample_filter", [1, 2]), ("clip_act", None), ("attn_balance", 0.2),
     ("res_balance", 0.2), ("concat_balance", 0.2), ("label_balance", 0.2)],
)  # fmt: skip
def test_a_setting_handed_down_to_all_blocks_is_refused_too(
    networks: tuple[Precond, Precond], tmp_path: Path, kind: str, setting: str, value: object
) -> None:
    def change(state: dict[str, Any]) -> None:
        (unet(state) if kind == "unet" else state)["_init_kwargs"] = {setting: value}

    path = changed(networks[0], change, tmp_path / "other.pkl")
    with pytest.raises(ModelError, match=rf"source='other.pkl': (unet|ema) has {setting}="):
        read_pickle(path)


def test_balances_of_labels_and_skips_are_taken_from_the_file(
    networks: tuple[Precond, Precond], tmp_path: Path
) -> None:
    balances = {"label_balance": 0.4, "concat_balance": 0.6}
    path = changed(networks[0], lambda state: unet(state).update(balances), tmp_path / "other.pkl")
    config = read_pickle(path).config
    assert (config.label_balance, config.concat_balance) == (0.4, 0.6)


def shared(doubled: int) -> bytes:
    """Instructions of a tuple that would be written out in as many letters as two to this power."""
    return b")" + b"2\x86" * doubled


@pytest.mark.parametrize("field", ["class_name", "balance"])
def test_values_that_would_be_endless_as_text_are_not_written_out(
    networks: tuple[Precond, Precond], tmp_path: Path, field: str
) -> None:
    def change(state: dict[str, Any]) -> None:
        block = dict(enc(state)["_modules"].items)["8x8_block0"].arguments[0]
        (block if field == "class_name" else block["state"])[field] = "HERE"

    path = changed(networks[0], change, tmp_path / "laughs.pkl")
    data = path.read_bytes()
    path.write_bytes(data.replace(instructions("HERE"), shared(60)))
    with pytest.raises(ModelError, match="the same values over and over") as refusal:
        read_pickle(path)
    assert len(str(refusal.value)) < 1000


@pytest.mark.parametrize("kind", ["one storage", "one text for many storages"])
def test_numbers_that_many_weights_share_are_not_copied_for_each(
    networks: tuple[Precond, Precond], tmp_path: Path, kind: str
) -> None:
    count = 1_000_000
    many = entries(**{f"w{i}": f"HERE{i:03d}" for i in range(200)})
    path = changed(networks[0], lambda state: state.update(_parameters=many), tmp_path / "many.pkl")
    data = path.read_bytes()
    weight = tensor((count,), (1,), numbers=count).arguments[0]
    numbers = weight.arguments[0].arguments[0]
    apart = kind == "one text for many storages"
    whole = instructions(numbers) if apart else instructions(Call(pickles.STORAGE, (numbers,)))
    again = b"ctorch.storage\n_load_from_bytes\nh\xc8\x85R" if apart else b"h\xc8"
    call = (
        b"ctorch._utils\n_rebuild_tensor_v2\n(" + again + instructions(0) + instructions((count,)) + instructions((1,))
    )
    for i in range(200):
        data = data.replace(instructions(f"HERE{i:03d}"), call + b"tR")
    path.write_bytes(data[:2] + whole + b"q\xc80" + data[2:])
    with pytest.raises(ModelError, match="the same numbers many times over"):
        read_pickle(path)


def test_a_network_that_contains_itself_is_refused(tmp_path: Path) -> None:
    def module(state: bytes) -> bytes:
        described = b"}" + instructions("class_name") + instructions("Precond") + b"s" + instructions("state") + state
        return b"ctorch_utils.persistence\n_reconstruct_persistent_obj\n(" + described + b"stR"

    # the attributes have the number 200, and contain a module that has them too
    inside = b"}" + instructions("again") + module(b"h\xc8") + b"s"
    whole = module(b"}q\xc8" + instructions("_modules") + inside + b"s")
    path = tmp_path / "ring.pkl"
    path.write_bytes(b"\x80\x03}" + instructions("ema") + whole + b"s.")
    with pytest.raises(ModelError, match="a value that holds itself"):
        read_pickle(path)


@pytest.mark.parametrize(
    ("storeys", "message"), [(1, "contain each other, or one of them twice"), (30, "the same values over and over")]
)
def test_modules_that_contain_one_twice_are_not_walked_forever(tmp_path: Path, storeys: int, message: str) -> None:
    # storeys of two doors each, both into the same room: of thirty there are a thousand million ways
    inner = Call(pickles.MODULES, state={"_modules": {}}, opcode=pickle.NEWOBJ)
    data, opener = b"", b"ctorch.nn.modules.container\nModuleDict\n)\x81"
    data = instructions(inner) + b"q\xc8"
    for _ in range(storeys):
        data += b"0" + opener + b"}" + instructions("_modules") + b"}("
        data += instructions("a") + b"h\xc8" + instructions("b") + b"h\xc8" + b"usbq\xc8"
    described = b"}(" + instructions("class_name") + instructions("Precond") + instructions("state")
    state = b"}" + instructions("_modules") + b"}" + instructions("deep") + b"h\xc8ss"
    call = b"0ctorch_utils.persistence\n_reconstruct_persistent_obj\n(" + described + state + b"utR"
    path = tmp_path / "deep.pkl"
    path.write_bytes(b"\x80\x03" + data + call + b"q\xc90}" + instructions("ema") + b"h\xc9s.")
    with pytest.raises(ModelError, match=message):
        read_pickle(path)


def test_entries_that_are_not_named_are_no_mapping(networks: tuple[Precond, Precond], tmp_path: Path) -> None:
    odd = Call("collections.OrderedDict", items=(([], 5),))
    path = changed(networks[0], lambda state: state.update(_modules=odd), tmp_path / "odd.pkl")
    with pytest.raises(ModelError, match="has no U-Net"):
        read_pickle(path)


def test_numbers_that_are_not_finite_or_of_another_type_are_named(
    networks: tuple[Precond, Precond], save: Save
) -> None:
    net = tiny_pair()[0]
    net.unet.out_conv.weight.data[0, 0, 0, 0] = torch.nan
    with pytest.raises(ModelError, match=r"unet.out_conv.weight contains a NaN"):
        read_pickle(save(net))


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"source='none.pkl' cannot be read: No such file"):
        read_pickle(tmp_path / "none.pkl")
