"""Folders and names of the hub, and weights that must not run: nothing is fetched, nothing unknown is opened."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import huggingface_hub
import pytest
import torch
from safetensors.torch import load, save_file

import specent as sp
from specent.errors import ModelError
from specent.models.diffusers import pipeline
from specent.models.diffusers.hub import KNOWN

Folder = Callable[[str], Path]
HASH = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache for what was fetched from the hub, and no way to fetch more."""

    def unreachable(*arguments: object, **options: object) -> None:
        if not options.get("local_files_only"):
            raise ConnectionError("no route to host")
        fetch(*arguments, **options)

    fetch = huggingface_hub.hf_hub_download
    target = tmp_path / "cache"
    target.mkdir()
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(target))
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", unreachable)
    monkeypatch.setattr("specent.models.diffusers.hub._reachable", lambda: True)
    return target


def fetched(cache: Path, name: str, folder: Path) -> None:
    """Put a folder where the hub's own library keeps what it fetched under a name."""
    entry = cache / f"models--{name.replace('/', '--')}"
    shutil.copytree(folder, entry / "snapshots" / HASH)
    (entry / "refs").mkdir()
    (entry / "refs" / "main").write_text(HASH)


@pytest.mark.parametrize("kind", ["unet_classes", "sd1"])
def test_a_name_of_the_hub_that_was_fetched_before_is_opened_offline(
    folder: Folder, cache: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(cache))
    fetched(cache, "someone/tiny", folder(kind))
    options = {"prompts": ["a", "b"]} if kind == "sd1" else {}
    model = pipeline("someone/tiny", local_files_only=True, **options)
    local = pipeline(folder(kind), **options)
    assert model.identity["name"] == "someone/tiny"
    x, condition = torch.ones(2, *model.shape), torch.tensor([0, 1])
    assert torch.equal(model.denoise(x, 1.0, condition), local.denoise(x, 1.0, condition))


def test_a_network_alone_of_the_hub_is_opened_offline(
    folder: Folder, cache: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(cache))
    alone = shutil.copytree(folder("unet_classes") / "unet", tmp_path / "alone")
    shutil.copytree(folder("unet_classes") / "scheduler", alone / "scheduler")
    fetched(cache, "someone/tiny", alone)
    assert pipeline("someone/tiny", local_files_only=True).labels == ("0", "1", "2", "3")


@pytest.mark.parametrize(("local", "said"), [(True, "among what was fetched before"), (False, "fetched from the hub")])
def test_a_name_that_cannot_be_reached_says_how_to_pass_a_folder(cache: Path, local: bool, said: str) -> None:
    with pytest.raises(ModelError, match=rf"source='nobody/nothing' .*{said}.*hf download nobody/nothing --local-dir"):
        pipeline("nobody/nothing", local_files_only=local)
    assert not list(cache.iterdir())


def test_a_hub_that_cannot_be_reached_is_tried_once_and_what_was_fetched_before_serves(
    folder: Folder, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests = []
    monkeypatch.undo()
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(cache))

    class Unreachable:
        def head(self, address: str, timeout: float) -> None:
            requests.append((address, timeout))
            raise ConnectionError("no route to host")

    monkeypatch.setattr(huggingface_hub, "get_session", Unreachable)
    with pytest.raises(
        ModelError, match=r"'nobody/nothing' .*cannot be fetched from the hub \(the hub does not answer\).*hf download"
    ):
        pipeline("nobody/nothing")
    assert requests == [(huggingface_hub.constants.ENDPOINT, 2.5)]
    fetched(cache, "someone/tiny", folder("unet_classes"))
    assert pipeline("someone/tiny").labels == ("0", "1", "2", "3")
    # no request is sent where nothing may be fetched
    pipeline("someone/tiny", local_files_only=True)
    assert len(requests) == 2


@pytest.mark.parametrize("source", [3, None, "", {}, {"cat": 3}, b"x"])
def test_a_source_that_is_neither_folder_nor_name_is_named(source: object) -> None:
    with pytest.raises(ModelError, match="source"):
        pipeline(source)


@pytest.mark.parametrize(
    "source", ["nowhere", "./nowhere", "/nowhere/at/all", "a/b/c", "~nobody-of-this-name/x", Path("nowhere"), "\0"]
)
def test_a_folder_that_is_missing_is_not_looked_for_on_the_hub(source: str | Path, cache: Path) -> None:
    with pytest.raises(ModelError, match="is no folder, nor a name of the hub; give the folder that holds model_index"):
        pipeline(source)


def test_a_file_or_an_empty_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(ModelError, match="is a file; give the folder"):
        pipeline(tmp_path / "model.safetensors")
    with pytest.raises(ModelError, match=r"neither model_index.json nor config.json"):
        pipeline(tmp_path)


@pytest.mark.parametrize("kind", ["FluxPipeline", ["my_pipeline", "Mine"], None, "os.system"])
def test_an_unknown_pipeline_lists_those_known(copied: Folder, kind: object) -> None:
    file = copied("unet_classes") / "model_index.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"_class_name": kind}))
    with pytest.raises(ModelError, match=r"is not known; known are .*bring_your_own") as caught:
        pipeline(file.parent)
    assert all(name in str(caught.value) for name in KNOWN)


def test_code_beside_a_pipeline_is_not_run(copied: Folder, tmp_path: Path) -> None:
    source = copied("unet_classes")
    file = source / "model_index.json"
    content = json.loads(file.read_text())
    (source / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nclass UNet2DModel: pass\n")
    (source / "unet" / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nclass Net: pass\n")
    for unet in (["evil", "Net"], ["os", "system"], ["evil", "UNet2DModel"], "Net"):
        file.write_text(json.dumps(content | {"unet": unet}))
        if unet == ["evil", "UNet2DModel"]:
            # the class is diffusers' own, whatever module the file names
            assert pipeline(source).labels[0] == "0"
        else:
            with pytest.raises(ModelError, match=r"its unet is .* only UNet2DModel can be used there"):
                pipeline(source)
    assert not (tmp_path / "ran").exists()


class Hostile:
    """Touches a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return os.system, (f"touch {self.path}",)


def test_pickled_weights_are_refused_and_do_not_run(copied: Folder, tmp_path: Path) -> None:
    source = copied("unet_classes")
    weights = source / "unet" / "diffusion_pytorch_model.safetensors"
    weights.unlink()
    (source / "unet" / "diffusion_pytorch_model.bin").write_bytes(pickle.dumps(Hostile(tmp_path / "ran")))
    with pytest.raises(
        ModelError, match=r"unet has pickled weights only \(diffusion_pytorch_model.bin\).*save_pretrained"
    ):
        pipeline(source)
    # nor under the name of the other format
    (source / "unet" / "diffusion_pytorch_model.bin").rename(weights)
    with pytest.raises(ModelError, match="unet cannot be loaded as UNet2DModel"):
        pipeline(source)
    assert not (tmp_path / "ran").exists()


def test_weights_that_are_damaged_or_of_another_network_are_named(copied: Folder) -> None:
    source = copied("unet_classes")
    file = source / "unet" / "diffusion_pytorch_model.safetensors"
    whole = file.read_bytes()
    state = load(whole)
    file.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelError, match="unet cannot be loaded as UNet2DModel"):
        pipeline(source)
    save_file({key: value for key, value in state.items() if key != "conv_in.weight"}, file)
    with pytest.raises(ModelError, match=r"the weights of unet lack 1 tensors .*'conv_in.weight'"):
        pipeline(source)
    save_file(state | {"conv_in.weight": state["conv_in.weight"][:, :1].contiguous()}, file)
    with pytest.raises(ModelError, match="unet cannot be loaded as UNet2DModel"):
        pipeline(source)
    save_file(state | {"conv_in.bias": state["conv_in.bias"] * torch.nan}, file)
    with pytest.raises(ModelError, match=r"conv_in.bias' of the network holds a NaN"):
        pipeline(source)
    file.unlink()
    with pytest.raises(ModelError, match=r"unet has no weights \(\*.safetensors\)"):
        pipeline(source)


def test_weights_whose_link_dangles_are_missing_and_the_libraries_say_nothing(
    copied: Folder, capfd: pytest.CaptureFixture[str]
) -> None:
    source = copied("sd1")
    file = source / "unet" / "diffusion_pytorch_model.safetensors"
    whole = file.read_bytes()
    file.write_bytes(whole[:100])
    with pytest.raises(ModelError, match="unet cannot be loaded"):
        pipeline(source, prompts=["a", "b"])
    file.unlink()
    file.symlink_to("gone")
    with pytest.raises(ModelError, match=r"unet has no weights \(\*.safetensors\)"):
        pipeline(source, prompts=["a", "b"])
    assert capfd.readouterr() == ("", "")


def test_a_part_of_no_configuration_is_named(copied: Folder, capfd: pytest.CaptureFixture[str]) -> None:
    file = copied("sd1") / "unet" / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"_class_name": []}))
    with pytest.raises(ModelError, match=r"unet/config.json: _class_name=\[\] must be the name of a class"):
        pipeline(file.parents[1], prompts=["a", "b"])
    file.unlink()
    with pytest.raises(ModelError, match=r"has no unet/config\.json, .*; fetch it again, whole"):
        pipeline(file.parents[1], prompts=["a", "b"])
    assert capfd.readouterr() == ("", "")


def test_a_variant_is_found_or_named(copied: Folder) -> None:
    source = copied("sd1")
    file = source / "unet" / "diffusion_pytorch_model.safetensors"
    half = {key: value.half() for key, value in load(file.read_bytes()).items()}
    save_file(half, file.with_name("diffusion_pytorch_model.fp16.safetensors"))
    # parts without the variant are taken plain
    model = pipeline(source, prompts=["a"], variant="fp16")
    assert [name for name in model.identity["weights"]["network"]["sha256"] if "fp16" in name] == [
        "unet/diffusion_pytorch_model.fp16.safetensors"
    ]
    assert {weight.dtype for weight in model.net.parameters()} == {torch.float32}
    file.unlink()
    with pytest.raises(ModelError, match=r"variant 'fp16' only; pass variant='fp16'"):
        pipeline(source, prompts=["a"])


def test_weights_in_several_files_are_all_recorded(copied: Folder) -> None:
    from diffusers import UNet2DModel

    source = copied("unet_classes")
    net = UNet2DModel.from_pretrained(source / "unet")
    (source / "unet" / "diffusion_pytorch_model.safetensors").unlink()
    net.save_pretrained(source / "unet", max_shard_size="60kB")
    content = pipeline(source).identity["weights"]["network"]["sha256"]
    files = {f"unet/{file.name}": file for file in (source / "unet").glob("*.safetensors")}
    assert len(files) > 1
    assert content == {name: hashlib.sha256(file.read_bytes()).hexdigest() for name, file in files.items()}


def test_an_archive_knows_the_pipeline_but_not_this_machine(folder: Folder, tmp_path: Path) -> None:
    model = pipeline(folder("sd2"), prompts={"plain": "a chair", "more": "a chair and a cat"})
    identity = json.loads(json.dumps(model.identity))
    assert identity["name"] == folder("sd2").name
    assert identity["pipeline"] == "StableDiffusionPipeline"
    assert identity["prediction"] == "v"
    assert identity["prompts"] == {"plain": "a chair", "more": "a chair and a cat"}
    assert identity["null_prompt"] == ""
    assert identity["scheduler"]["_class_name"] == "PNDMScheduler"
    assert identity["scheduler"]["beta_schedule"] == "scaled_linear"
    files = identity["weights"]["network"]["sha256"]
    assert set(files) == {
        "unet/diffusion_pytorch_model.safetensors", "vae/diffusion_pytorch_model.safetensors",
        "text_encoder/model.safetensors",
    }  # fmt: skip
    for name, digest in files.items():
        assert digest == hashlib.sha256((folder("sd2") / name).read_bytes()).hexdigest()
    assert str(folder("sd2").parent) not in json.dumps(identity)


def test_opening_a_pipeline_says_nothing(folder: Folder, capfd: pytest.CaptureFixture[str]) -> None:
    pipeline(folder("sd3"), prompts=["a", "b"])
    assert capfd.readouterr() == ("", "")


def test_without_diffusers_it_is_said_what_to_install(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "diffusers", None)
    with pytest.raises(ModelError, match=r"pip install 'specent\[diffusers\]'"):
        sp.models.pipeline(folder("unet_classes"))


def test_files_as_older_versions_published_them_are_read(copied: Folder, folder: Folder) -> None:
    """As Stable Diffusion 1.5 lies on the hub: older names of tensors, and a tokeniser in two files."""
    source = copied("sd1")
    text = source / "text_encoder" / "model.safetensors"
    state = {f"text_model.{key}": value for key, value in load(text.read_bytes()).items()}
    save_file(state | {"text_model.embeddings.position_ids": torch.arange(77)[None]}, text)
    vae = source / "vae" / "diffusion_pytorch_model.safetensors"
    older = {"to_q.": "query.", "to_k.": "key.", "to_v.": "value.", "to_out.0.": "proj_attn."}
    renamed = {}
    for key, value in load(vae.read_bytes()).items():
        for new, old in older.items():
            key = key.replace(f"attentions.0.{new}", f"attentions.0.{old}")
        renamed[key] = value
    assert any("proj_attn" in key for key in renamed)
    save_file(renamed, vae)
    words = source / "tokenizer"
    content = json.loads((words / "tokenizer.json").read_text())
    (words / "vocab.json").write_text(json.dumps(content["model"]["vocab"]))
    (words / "merges.txt").write_text("#version: 0.2\n")
    (words / "tokenizer.json").unlink()
    marks = {
        f"{name}_token": {"__type": "AddedToken", "content": text, "lstrip": False, "normalized": True, "rstrip": False}
        for name, text in (("bos", "<|startoftext|>"), ("eos", "<|endoftext|>"), ("unk", "<|endoftext|>"))
    }
    settings = {"model_max_length": 77, "pad_token": "<|endoftext|>", "tokenizer_class": "CLIPTokenizer", **marks}
    (words / "tokenizer_config.json").write_text(json.dumps(settings))
    old, new = (pipeline(one, prompts=["a chair", "a cat"]) for one in (source, folder("sd1")))
    x, condition = torch.ones(3, *new.shape), torch.tensor([0, 1, 2])
    assert torch.equal(old.denoise(x, 1.0, condition), new.denoise(x, 1.0, condition))
    assert torch.equal(old.decode(x), new.decode(x))
