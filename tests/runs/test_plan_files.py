"""Plan files: what is read is what was written, and what cannot be used is one line that names it."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import specent as sp
from specent import command
from specent.errors import SpecentError
from specent.models.diffusers.tiny_pipelines import write_pipeline
from specent.models.edm2.tiny_networks import write_tiny
from specent.runs.named_models import KINDS
from specent.runs.plan_values import GRIDS

MIX = sp.exact.GaussianMixture([[-4.0], [0.0], [4.0]], labels=["left", "middle", "right"])
HEAD = 'specent_plan = "1"\nsamples = 4\nschedule = "ve"\ntime = {grid = "edm", steps = 5}\n'
MODEL = '[model]\nkind = "mixture"\nmeans = [[-4.0], [4.0]]\n'

numbers = st.floats(-50, 50)
labels = st.lists(
    st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=8).filter(lambda text: text != "null"),
    min_size=2,
    max_size=5,
    unique=True,
)
rules = st.one_of(
    st.builds(sp.Guidance, st.floats(0, 10)),
    st.builds(lambda scale, low, width: sp.Guidance(scale, (low, low + width)), st.floats(0, 9), st.floats(0, 5),
              st.floats(0.01, 50)),
    st.builds(sp.FeedbackGuidance, st.floats(0.8, 0.999), st.floats(0, 0.9), st.one_of(st.none(), st.floats(0.1, 1))),
)  # fmt: skip
schedules = st.sampled_from(
    [sp.schedules.VE(), sp.schedules.VP(), sp.schedules.FlowMatching(), sp.schedules.DDPM("cosine", 300),
     sp.schedules.DDPM(np.linspace(1e-4, 0.03, 80))]
)  # fmt: skip


@st.composite
def plans(draw: st.DrawFn) -> sp.Plan:
    """Plans of mixtures, with everything that a plan can say."""
    names = draw(labels)
    weights = np.array(draw(st.lists(st.floats(0.1, 1), min_size=len(names), max_size=len(names))))
    means = draw(st.lists(st.lists(numbers, min_size=2, max_size=2), min_size=len(names), max_size=len(names)))
    mix = sp.exact.GaussianMixture(means, draw(st.floats(0.01, 9)), weights / weights.sum(), names, dimension=3)
    schedule = draw(schedules)
    time = schedule.grid(draw(st.integers(2, 9)))
    partitions = [sp.Partition.full(names), sp.Partition.one_vs_rest(names[0], names)]
    partitions += [sp.Partition.groups({"one": names[:1], "two": names[1:]}, prior=[0.3, 0.7], name='a "name" \\')]
    return sp.Plan(
        sp.models.mixture(mix), schedule, time, draw(st.integers(2, 10**6)),
        draw(st.permutations(partitions)), draw(st.lists(rules, min_size=1, max_size=3, unique_by=str)),
        seed=draw(st.integers(0, 2**63 - 1)), classes=draw(st.sampled_from([None, names[::-1], [*names[:1], "null"]])),
        record=sp.Record(time[: draw(st.integers(0, 2))], draw(st.sampled_from([None, True, False]))),
        shared_noise=draw(st.booleans()), precision=draw(st.sampled_from(["float32", "bfloat16"])),
    )  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(plan=plans(), suffix=st.sampled_from(["toml", "json"]))
def test_a_plan_that_is_written_and_read_is_the_same(
    plan: sp.Plan, suffix: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    again = sp.Plan.read(plan.write(tmp_path_factory.mktemp("plan") / f"plan.{suffix}"))
    assert again.definition == plan.definition
    assert again.samples == plan.samples
    assert again.record == plan.record


def written(tmp_path: Path, text: str, suffix: str = "toml") -> Path:
    path = tmp_path / f"plan.{suffix}"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_plan_by_hand_is_that_of_python(tmp_path: Path) -> None:
    text = """
specent_plan = "1"
samples = 30
seed = 7
classes = ["left", "null"]
partitions = ["full", "left|rest", {name = "side", sides = {one = ["left"], others = ["middle", "right"]}}]
guidance = [1, 2.5, {scale = 3.0, interval = [0.5, 5.0]}, {kind = "feedback", pi = 0.9}]
record = {predictions = [100.0], distances = false}
[time]
grid = "log_snr"
steps = 6
log_snr_min = -5
log_snr_max = 4
[schedule]
name = "ddpm"
betas = "scaled_linear"
[model]
kind = "mixture"
means = [[-4.0], [0.0], [4.0]]
labels = ["left", "middle", "right"]
"""
    ddpm = sp.schedules.DDPM("scaled_linear")
    plan = sp.Plan(
        sp.models.mixture(MIX), ddpm, sp.schedules.log_snr_grid(ddpm, 6, -5, 4), 30,
        ["full", "left|rest", sp.Partition.groups({"one": ["left"], "others": ["middle", "right"]}, name="side")],
        [1, 2.5, sp.Guidance(3.0, (0.5, 5.0)), sp.FeedbackGuidance(0.9)], seed=7, classes=["left", "null"],
        record=sp.Record([100.0], False),
    )  # fmt: skip
    read = sp.Plan.read(written(tmp_path, text))
    assert read.definition == plan.definition
    assert read.samples == 30


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ('grid = "edm", steps = 6, sigma_min = 0.1, sigma_max = 9, rho = 3', sp.schedules.edm_grid(6, 0.1, 9, 3)),
        ('grid = "time", steps = 3, start = 1, end = 3', [1.0, 2.0, 3.0]),
        ("steps = 4", sp.schedules.VE().grid(4)),
    ],
)
def test_grids_have_names(tmp_path: Path, table: str, expected: Any) -> None:
    text = HEAD.replace('grid = "edm", steps = 5', table) + MODEL
    np.testing.assert_array_equal(sp.Plan.read(written(tmp_path, text)).time, expected)


@pytest.fixture(scope="module")
def networks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("networks")
    network, null = write_tiny(folder)
    network.rename(folder / "net.pkl")
    null.rename(folder / "null.pkl")
    write_pipeline("sd2", folder / "sd2")
    return folder


TABLES: list[dict[str, Any]] = [
    {"kind": "edm2", "source": "net.pkl", "null": "null.pkl", "labels": ["a", "b", "c"]},
    {"kind": "pipeline", "source": "sd2", "prompts": {"a": "a chair", "b": "a red chair"}},
]


@pytest.mark.parametrize("table", TABLES, ids=["edm2", "pipeline"])
def test_networks_are_named_by_paths_beside_the_plan(
    networks: Path, table: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    model: sp.models.Model
    if table["kind"] == "edm2":
        model = sp.models.edm2(networks / "net.pkl", null=networks / "null.pkl", labels=table["labels"])
    else:
        model = sp.models.pipeline(networks / "sd2", prompts=table["prompts"])
    plan = sp.Plan(model, sp.schedules.VE(), sp.schedules.edm_grid(4, 0.05, 10.0), 4, partitions="full")
    file = plan.write(networks / "plan.json", model=table, overwrite=True)
    again = sp.Plan.read(file)
    assert again.definition == plan.definition
    assert again.setup("cpu").model.labels == model.labels
    # the file says which network it is
    values = json.loads(file.read_text())
    values["model"]["identity"]["name"] = "another"
    file.write_text(json.dumps(values))
    with pytest.raises(SpecentError, match=r"model: it is another one: name is 'another' there and"):
        sp.Plan.read(file)


class Mine(sp.models.Model):
    """A model that only Python can make."""

    def __init__(self, scale: float) -> None:
        super().__init__(["a", "b"], (1,))
        self.scale = scale

    @property
    def identity(self) -> dict[str, Any]:
        return {"name": "mine", "scale": self.scale, "comment": None}

    def to(self, device: torch.device) -> Mine:
        return self

    def denoise(self, x: torch.Tensor, sigma: float, condition: torch.Tensor) -> torch.Tensor:
        return self.scale * x


@pytest.mark.parametrize("suffix", ["toml", "json"])
def test_a_model_of_python_is_passed_and_must_be_the_one_that_is_described(tmp_path: Path, suffix: str) -> None:
    plan = sp.Plan(Mine(0.5), sp.schedules.VE(), sp.schedules.edm_grid(4), 4)
    file = plan.write(tmp_path / f"plan.{suffix}")
    assert sp.Plan.read(file, model=Mine(0.5)).definition == plan.definition
    with pytest.raises(SpecentError, match=r"use Plan.read\(path, model=...\)"):
        sp.Plan.read(file)
    with pytest.raises(
        SpecentError, match=r"plan .*plan\.\w+': model: .* scale is 0.5 there and 0.7 here; use the model"
    ):
        sp.Plan.read(file, model=Mine(0.7))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (MODEL, "lacks specent_plan = '1'"),
        (HEAD.replace('"1"', '"2"') + MODEL, "specent_plan='2' is another version; this package reads '1'"),
        (HEAD.replace('"1"', "1") + MODEL, "specent_plan=1 is another version"),
        (HEAD.replace("samples = 4\n", "") + MODEL, "'samples' is missing in a plan"),
        (HEAD + "smaples = 3\n" + MODEL, "'smaples' is no key of a plan; did you mean 'samples'?"),
        (HEAD.replace("samples = 4", "samples = 4.5") + MODEL, "samples=4.5 must be a whole number"),
        (HEAD.replace("samples = 4", "samples = true") + MODEL, "samples=True must be a whole number"),
        (HEAD + 'seed = "x"\n' + MODEL, "seed='x' must be a whole number"),
        (HEAD.replace('"ve"', '"vee"') + MODEL, "schedule: name='vee' must be one of 'vp', 've'"),
        (HEAD.replace('"ve"', "3") + MODEL, "schedule=3 is a int; give a table"),
        (HEAD.replace('"ve"', '{name = "ve", betas = 3}') + MODEL, "'betas' is no key of schedule 've'; there are"),
        (HEAD.replace("steps = 5", "steps = 1") + MODEL, "time: steps=1 must be"),
        (HEAD.replace("steps = 5", "steps = 100001") + MODEL, "time: steps=100001 must be"),
        (HEAD.replace(", steps = 5", "") + MODEL, "'steps' is missing in time, grid 'edm'"),
        (HEAD.replace('"edm"', '"karras"') + MODEL, "time: grid='karras' must be one of 'default', 'edm'"),
        (HEAD.replace('{grid = "edm", steps = 5}', "[2.0, 1.0]") + MODEL, "time"),
        (HEAD.replace('{grid = "edm", steps = 5}', "1979-05-27") + MODEL, "dates and numbers of thousands of digits"),
        (HEAD + 'partitions = ["full", "1|3"]\n' + MODEL, "unknown label '3'"),
        (HEAD + "partitions = [3]\n" + MODEL, r"partitions[0]=3 is a int; give a table"),
        (HEAD + 'partitions = [{name = "a"}]\n' + MODEL, "'sides' is missing in partitions[0]"),
        (HEAD + 'guidance = ["2"]\n' + MODEL, "guidance[0]='2' is a str"),
        (HEAD + 'guidance = [{kind = "strong"}]\n' + MODEL, "guidance[0]: kind='strong' must be one of 'constant'"),
        (HEAD + "guidance = [{scael = 2.0}]\n" + MODEL, "'scael' is no key of guidance[0]; did you mean 'scale'?"),
        (HEAD + "record = {predictions = [900.0]}\n" + MODEL, "must be times within the grid"),
        (HEAD + "record = {everything = true}\n" + MODEL, "'everything' is no key of record"),
        (HEAD + 'precision = "half"\n' + MODEL, "precision='half' must be one of 'float32'"),
        (HEAD + 'shared_noise = "yes"\n' + MODEL, "shared_noise='yes' must be True or False"),
        (HEAD + 'classes = "0"\n' + MODEL, "classes='0' must be a list of names"),
        (HEAD + "model = 3\n", "model=3 is a int; give a table"),
        (HEAD + "[model]\nkind = 'exec'\n", "model: kind='exec' must be one of 'mixture', 'digits'"),
        (HEAD + "[model]\nkind = 'mixture'\n", "'means' is missing in model of kind 'mixture'"),
        (HEAD + MODEL + "mean = 3\n", "'mean' is no key of model of kind 'mixture'; did you mean 'means'?"),
        (HEAD + MODEL + 'labels = ["a", "null"]\n', "model: labels: 'null' is the name of the null condition"),
        (HEAD + MODEL + "dimension = 10000000000\n", "the means have 20000000000 coordinates"),
        (HEAD + "[model]\nkind = 'digits'\npath = 'none.safetensors'\n", "none.json"),
        (HEAD + "[model]\nkind = 'digits'\npath = 3\n", "model: path=3 is a int; give a path as text"),
        (HEAD + "[model]\nkind = 'edm2'\nsource = 'none.pkl'\n", "none.pkl"),
        (HEAD + "[model]\nkind = 'edm2'\nsource = 'a.pkl'\nlocal_files_only = false\n", "'local_files_only' is no key"),
        (HEAD + "[model]\nkind = 'pipeline'\nsource = 'nobody/nothing'\n", "nobody/nothing"),
        (HEAD + MODEL + 'identity = {name = "other"}\n', "name is 'other' there and 'gaussian_mixture' here"),
        (HEAD + MODEL + "identity = 3\n", "model: identity=3 is a int"),
        ("a" + ".a" * 30_000 + " = 1", "a name of many parts"),
        ("time = " + "[" * 50_000, "this is not TOML"),
        ("seed = " + "1" * 5000, "this is not TOML"),
        ("time = [" + "[1, " * 120 + "]" * 120 + "]", "TOML of more than 100 levels"),
        ("# " + "x" * (1 << 20), "cannot be read (larger than 1048576 bytes); larger plans are read as .json"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_one_line_that_names_it(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(SpecentError) as caught:
        sp.Plan.read(written(tmp_path, text))
    message = str(caught.value)
    assert message.startswith(f"plan {str(tmp_path / 'plan.toml')!r}")
    assert said in message
    assert os.listdir(tmp_path) == ["plan.toml"]


def test_more_sides_than_a_run_can_have_are_refused_at_once(tmp_path: Path) -> None:
    count = 3000
    values = {
        "specent_plan": "1", "samples": 2, "schedule": "ve", "time": {"steps": 4},
        "partitions": [f"{i}|rest" for i in range(count)],
        "model": {"kind": "mixture", "means": [[float(i)] for i in range(count)]},
    }  # fmt: skip
    with pytest.raises(SpecentError, match="3000 texts of 3000 labels each stand for up to 9000000 sides"):
        sp.Plan.read(written(tmp_path, json.dumps(values), "json"))


@pytest.mark.parametrize("name", ["plan", "plan.yaml", "plan.toml.bak"])
def test_only_two_suffixes_are_plans(tmp_path: Path, name: str) -> None:
    plan = sp.Plan(sp.models.mixture(MIX), sp.schedules.VE(), sp.schedules.edm_grid(4), 4)
    with pytest.raises(SpecentError, match=r"must end in '.toml' or '.json'"):
        plan.write(tmp_path / name)
    with pytest.raises(SpecentError, match=r"must end in '.toml' or '.json'"):
        sp.Plan.read(tmp_path / name)


def test_a_plan_that_could_not_be_read_again_is_not_written(tmp_path: Path) -> None:
    mix = sp.exact.GaussianMixture(np.random.default_rng(0).normal(size=(800, 80)))
    plan = sp.Plan(sp.models.mixture(mix), sp.schedules.VE(), sp.schedules.edm_grid(4), 4)
    with pytest.raises(SpecentError, match=r"bytes as .toml, of which 1048576 are read; write it as .json"):
        plan.write(tmp_path / "plan.toml")
    assert sp.Plan.read(plan.write(tmp_path / "plan.json")).definition == plan.definition


@pytest.mark.parametrize("kind", ["fifo", "device", "folder"])
def test_what_is_no_file_does_not_block(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "plan.toml"
    {"fifo": os.mkfifo, "folder": os.mkdir, "device": lambda p: os.symlink("/dev/zero", p)}[kind](path)
    with pytest.raises(SpecentError, match="cannot be read"):
        sp.Plan.read(path)


def test_every_row_names_arguments_that_its_function_has() -> None:
    for kind in KINDS.values():
        assert {*kind.paths, *kind.names} <= kind.parameters.keys()
        assert not kind.fixed.keys() & kind.parameters.keys()
    assert set(GRIDS) == {"default", "edm", "log_snr", "time"}


def test_the_command_prints_the_price_of_a_guided_plan(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    grid = sp.schedules.edm_grid(4, 0.02, 100.0)
    plan = sp.Plan(sp.models.mixture(MIX), sp.schedules.VE(), grid, 4, "full", [sp.Guidance(), sp.Guidance(2.0)])
    file, out = plan.write(tmp_path / "plan.toml"), tmp_path / "run"
    assert command.main(["run", str(file), "--out", str(out)]) == 0
    assert capsys.readouterr().out.endswith("\n\n" + sp.analysis.guidance_price_text(sp.open(out)) + "\n")


def test_the_command_carries_a_plan_out_and_lets_it_grow(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan = sp.Plan(sp.models.mixture(MIX), sp.schedules.VE(), sp.schedules.edm_grid(4, 0.02, 100.0), 4, "full", seed=3)
    file, out = plan.write(tmp_path / "plan.toml"), tmp_path / "run"
    line = ["run", str(file), "--out", str(out)]
    assert command.main(line) == 0
    printed = capsys.readouterr().out
    assert printed.startswith(f"{out}: finished\n  done      1 of 1 shards, 12 trajectories")
    assert "Price" not in printed
    runs = sp.sample(
        sp.models.mixture(MIX), schedule=sp.schedules.VE(), time=plan.time, samples=4, partitions="full", seed=3,
        progress=False,
    )  # fmt: skip
    found = sp.open(out)
    # shards are rounded to 16 bits of the mantissa
    np.testing.assert_allclose(found.log_likelihood, runs.log_likelihood, rtol=2e-5, atol=1e-6)
    before = {path.name: path.read_bytes() for path in out.glob("shard-*.nc")}
    assert command.main([*line, "--samples", "7"]) == 0
    assert sp.open(out).sizes["sample"] == 7
    assert {name: (out / name).read_bytes() for name in before} == before
    assert command.main([*line, "--seed", "4"]) == 1
    assert "another plan: seed is 3 there and 4 here" in capsys.readouterr().err
    assert command.main(["run", str(file)]) == 2
    assert "--out" in capsys.readouterr().err
    assert command.main([*line[:2], "--help"]) == 0
    assert "Trajectories per class" in capsys.readouterr().out


def test_a_plan_can_be_changed_before_it_is_carried_out(tmp_path: Path) -> None:
    file = written(tmp_path, HEAD + MODEL)
    plan = replace(sp.Plan.read(file), seed=9)
    assert plan.definition["seed"] == 9


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("digits", "model='digits' is a str; give a table"),
        (3, "model=3 is a int; give a table"),
        ({"kind": "edm2", "source": Path("net.pkl")}, r"model=.*not JSON serializable.*use text \(of paths too\)"),
        ({"kind": "edm2", "source": float("nan")}, "cannot be written"),
        ({"kind": "edm2", "source": "\ud800"}, "surrogates not allowed"),
        ({1: 2}, "model: kind=None must be one of 'mixture'"),
        ({"kind": "edm3"}, "model: kind='edm3' must be one of 'mixture'"),
        ({"kind": "edm2", "null": "null.pkl"}, "'source' is missing in model of kind 'edm2'"),
        ({"kind": "ddpm", "fodler": "x"}, "did you mean 'folder'"),
    ],
)
@pytest.mark.parametrize("suffix", [".toml", ".json"])
def test_a_model_that_could_not_be_read_again_is_not_written(
    tmp_path: Path, model: Any, message: str, suffix: str
) -> None:
    plan = sp.Plan(sp.models.digits(), sp.schedules.VE(), sp.schedules.edm_grid(4), 2)
    with pytest.raises(SpecentError, match=message):
        plan.write(tmp_path / f"plan{suffix}", model=model)
    assert not list(tmp_path.iterdir())


def test_none_in_a_list_is_for_json(tmp_path: Path) -> None:
    plan = sp.Plan(sp.models.digits(), sp.schedules.VE(), sp.schedules.edm_grid(4), 2)
    model = {"kind": "edm2", "source": "net.pkl", "labels": ["a", None]}
    with pytest.raises(SpecentError, match=r"TOML has no word for None.*write the plan as \.json"):
        plan.write(tmp_path / "plan.toml", model=model)
    assert json.loads(plan.write(tmp_path / "plan.json", model=model).read_text())["model"]["labels"] == ["a", None]
