"""Run folders and plans of somebody else: they are data, and lead nowhere."""

from __future__ import annotations

import json
import os
import resource
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import specent as sp
from specent import command
from specent.errors import SpecentError
from specent.models.base import Model

LABELS = ["../../up", "<script>alert(1)</script>", "a/b\\c:d"]
MIX = sp.exact.GaussianMixture([[-4.0], [0.0], [4.0]], labels=LABELS)


def plan(samples: int = 4) -> sp.Plan:
    return sp.Plan(sp.models.mixture(MIX), sp.schedules.VE(), sp.schedules.edm_grid(4, 0.02, 100.0), samples, "full")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return sp.run(plan(), tmp_path / "run", shard=2, progress=False)


@pytest.mark.parametrize("name", [".lock", "shard-c00000-00001-s0000000-0000002.nc", "damaged", "run.json"])
@pytest.mark.parametrize("there", [True, False])
def test_a_link_leads_nothing_out_of_the_folder(folder: Path, tmp_path: Path, name: str, there: bool) -> None:
    outside = tmp_path / "mine.nc"
    if there:
        outside.write_text("mine")
    (folder / name).unlink(missing_ok=True)
    (folder / name).symlink_to(outside)
    with pytest.raises(SpecentError, match="holds a symbolic link"):
        sp.run(plan(), folder, progress=False)
    if name == ".lock":
        assert not sp.archive.status(folder).running
    assert not outside.exists() or outside.read_text() == "mine"
    assert sorted(os.listdir(tmp_path)) == (["mine.nc", "run"] if there else ["run"])


@pytest.mark.parametrize("name", [".lock", "shard-c00000-00001-s0000000-0000002.nc", "damaged", "run.json"])
def test_a_pipe_in_the_place_of_a_file_does_not_block(folder: Path, name: str) -> None:
    (folder / name).unlink(missing_ok=True)
    os.mkfifo(folder / name)
    if name == "run.json":
        with pytest.raises(SpecentError, match=r"no run\.json"):
            sp.archive.status(folder)
        return
    state = sp.archive.status(folder, verify=True)
    assert len(state.damaged) == (name.startswith("shard"))
    if name == ".lock":
        with pytest.raises(SpecentError, match="cannot be written to"):
            sp.run(plan(), folder, progress=False)
        return
    if name == "damaged":
        (folder / state.damaged[0][0] if state.damaged else next(folder.glob("shard-*"))).write_text("damaged")
        with pytest.raises(SpecentError, match=r"damaged' is needed for shards that are damaged, but File exists"):
            sp.run(plan(), folder, progress=False)
        return
    with pytest.warns(sp.SpecentWarning, match="set aside"):
        sp.run(plan(), folder, progress=False)
    assert sp.archive.status(folder, verify=True).missing == 0


def test_only_the_samples_of_the_plan_are_sampled_whatever_a_folder_says(folder: Path) -> None:
    record = json.loads((folder / "run.json").read_text())
    record["sizes"] = [4, 100_000]
    (folder / "run.json").write_text(json.dumps(record))
    next(folder.glob("shard-*.nc")).unlink()
    sp.run(plan(), folder, progress=False)
    assert len(list(folder.glob("shard-*.nc"))) == 6
    # one shard of all that, which would not fit into memory
    record |= {"sizes": [10**9], "block": [1, 10**9]}
    (folder / "run.json").write_text(json.dumps(record))
    with pytest.raises(SpecentError, match="memory"):
        sp.run(plan(), folder, progress=False)


@pytest.mark.filterwarnings("ignore::specent.errors.CalibrationWarning")  # of four steps
def test_hostile_labels_stay_data(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = plan().write(tmp_path / "plan.toml")
    assert json.loads(json.dumps(sp.Plan.read(file).definition["classes"])) == LABELS
    out, page = tmp_path / "out", tmp_path / "page.html"
    assert command.main(["run", str(file), "--out", str(out)]) == 0
    assert {path.suffix for path in out.iterdir()} == {".nc", ".json", ""}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "plan.toml"]
    runs = sp.open(out)
    assert runs["class_label"].values.tolist() == LABELS
    assert command.main(["describe", str(out)]) == 0
    profiles = sp.entropy(runs, replicates=50)
    sp.plot.page({"hostile <b>": [profiles]}, page, figures=("entropy",))
    assert "<script>alert(1)" not in page.read_text(encoding="utf-8")
    assert "hostile &lt;b&gt;" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize("label", ["a\x1b[2J", "a\u202eb", "a\rb", "a\u200bb", "a\x9bb"])
def test_letters_that_act_are_refused_in_a_plan_and_shown_as_text(tmp_path: Path, label: str) -> None:
    values = json.loads(plan().write(tmp_path / "plan.json").read_text())
    values["model"]["labels"][0] = label
    values["partitions"] = []
    (tmp_path / "plan.json").write_text(json.dumps(values))
    with pytest.raises(SpecentError) as caught:
        sp.Plan.read(tmp_path / "plan.json")
    assert "must be a name" in str(caught.value)
    assert str(caught.value).isprintable()


def test_letters_that_act_in_a_record_do_not_reach_the_terminal(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (folder / "run.json").read_text()
    (folder / "run.json").write_text(text.replace("Trajectories of", "\\u001b[2J\\u202e\\u009b of"))
    for line in (["describe"], ["status"], ["validate"]):
        command.main([*line, str(folder)])
    shown = capsys.readouterr()
    assert not set("\x1b\x9b\u202e") & set(shown.out + shown.err)


def test_what_a_plan_was_made_of_may_be_gone_or_another_when_it_is_carried_out(tmp_path: Path) -> None:
    model, schedule = sp.models.mixture(MIX), sp.schedules.VE()
    time = sp.schedules.edm_grid(4, 0.02, 100.0)
    partitions, classes = ["full"], LABELS[:2]
    once = sp.Plan(model, schedule, time, 2, (name for name in ["full"]), iter([1.0, 2.0]), classes=iter(classes))
    listed = sp.Plan(model, schedule, time, 2, partitions, [1.0, 2.0], classes=classes)
    definition = once.definition
    assert listed.definition == definition
    time *= 2
    partitions.append(f"{LABELS[0]}|rest")
    classes.reverse()
    for name, plan in {"once": once, "listed": listed}.items():
        runs = sp.open(sp.run(replace(plan, samples=4), tmp_path / name, progress=False))
        assert runs["time"].values.tolist() == definition["time"]
        assert runs["partition"].values.tolist() == ["full"]
        assert runs["class_label"].values.tolist() == LABELS[:2]
        assert runs.sizes["guidance"] == 2


@pytest.mark.parametrize("name", [" run", "run"])
def test_a_folder_is_found_from_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    sp.run(plan(), name, progress=False)
    runs = sp.open(name)
    monkeypatch.chdir(tmp_path / "elsewhere")
    whole = sp.open(tmp_path / name)
    assert runs["production"].equals(whole["production"])


def test_a_name_of_which_netcdf_makes_another_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    # with this folder there, the library would write into it
    (tmp_path / "a" / "b").mkdir(parents=True)
    good = sp.run(plan(), tmp_path / "run", progress=False)
    for write in (
        lambda path: sp.run(plan(), path, progress=False),
        lambda path: sp.archive.merge(good, f"{path}.nc"),
        lambda path: sp.write(sp.open(good), f"{path}.nc"),
    ):
        with pytest.raises(SpecentError, match=r"a\\\\b.*takes a backslash for a slash.*choose a name"):
            write(tmp_path / "a\\b")
    assert sorted(os.listdir(tmp_path)) == ["a", "run"]
    assert not any((tmp_path / "a" / "b").iterdir())
    os.rename(good, tmp_path / "r\\n")
    for read in (sp.open, sp.validate, sp.describe):
        with pytest.raises(SpecentError, match="takes a backslash for a slash"):
            read(tmp_path / "r\\n")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("seed", 7, "the attribute seed is 7 in run.json and 0 in the shards"),
        ("schedule", "{}", "the attribute schedule is '{}' in run.json"),
        ("title", 10**30, "attribute 'title'"),
    ],
)
def test_a_record_that_says_something_else_than_its_shards_is_refused(
    folder: Path, name: str, value: object, message: str
) -> None:
    record = json.loads((folder / "run.json").read_text())
    record["attributes"][name] = value
    (folder / "run.json").write_text(json.dumps(record))
    for use in (sp.open, sp.validate, sp.describe, sp.entropy):
        with pytest.raises(SpecentError, match=message):
            use(folder)


@pytest.mark.parametrize("name", ["shard-c99999-00001-s0000000-0000002.nc", "shard-c00000-00001-s0000009-0000002.nc"])
def test_a_name_that_begins_behind_its_end_is_no_shard(folder: Path, name: str) -> None:
    (folder / name).write_text("somebody's")
    assert sp.archive.status(folder, verify=True).done == 6
    assert sp.open(folder).sizes["sample"] == 4
    sp.run(plan(), folder, progress=False)
    assert (folder / name).read_text() == "somebody's"


class Changeable(Model):
    """Gives its labels in another order, or raises, after it was called a few times."""

    def __init__(self, error: Exception | None = None) -> None:
        super().__init__(LABELS, (1,))
        self.error, self.calls, self.exact_model = error, 0, sp.models.mixture(MIX)

    @property
    def identity(self) -> dict[str, str]:
        return {"name": "changeable"}

    def to(self, device: torch.device) -> Changeable:
        return self

    def denoise(self, x: torch.Tensor, sigma: float, condition: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        if self.error is not None:
            raise self.error
        self.labels = LABELS[::-1]
        return self.exact_model.denoise(x, sigma, condition)


def test_a_model_whose_labels_change_is_called_with_the_numbers_they_had(tmp_path: Path) -> None:
    schedule, time = sp.schedules.VE(), sp.schedules.edm_grid(4, 0.02, 100.0)
    changed = sp.run(sp.Plan(Changeable(), schedule, time, 4), tmp_path / "a", shard=2, progress=False, check=False)
    steady = sp.run(sp.Plan(sp.models.mixture(MIX), schedule, time, 4), tmp_path / "b", shard=2, progress=False)
    np.testing.assert_allclose(
        sp.open(changed)["log_likelihood"], sp.open(steady)["log_likelihood"], rtol=1e-4, atol=1e-4
    )


class SpeechlessError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


def test_an_error_without_words_costs_its_shards_and_no_more(tmp_path: Path) -> None:
    made = sp.Plan(Changeable(SpeechlessError()), sp.schedules.VE(), sp.schedules.edm_grid(4, 0.02, 100.0), 4)
    with pytest.raises(SpecentError, match="the model raised SpeechlessError: without a message; repair the model"):
        sp.run(made, tmp_path / "run", progress=False, check=False)


def test_the_seed_of_the_resampling_is_that_with_which_the_sums_were_resampled(tmp_path: Path) -> None:
    schedule, time = sp.schedules.VE(), sp.schedules.edm_grid(4, 0.02, 100.0)
    kept = sp.Plan(sp.models.mixture(MIX), schedule, time, 25, "full", record=sp.Statistics(50))
    folder = sp.run(kept, tmp_path / "run", progress=False)
    text = (folder / "run.json").read_text()
    (folder / "run.json").write_text(text.replace('"resampling_seed": 0', '"resampling_seed": 3'))
    with pytest.raises(SpecentError, match=r"the attribute resampling_seed is 3 in run\.json and 0 in the shards"):
        sp.entropy(folder)


@pytest.mark.parametrize(("key", "value"), [("sizes", []), ("sizes", [-4]), ("block", [0, 2]), ("block", [1, "x"])])
def test_a_record_whose_shards_make_no_grid_is_named(folder: Path, key: str, value: object) -> None:
    record = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps({**record, key: value}))
    with pytest.raises(SpecentError, match=rf"run\.json' does not describe a run \({key}=.*it is damaged"):
        sp.archive.status(folder)


def test_a_disk_without_room_for_the_lock_is_one_error(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        with pytest.raises(SpecentError, match=r"folder=.*cannot be written to \(File too large\); is the disk full"):
            sp.run(plan(), tmp_path / "run", progress=False)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert sp.open(sp.run(plan(), tmp_path / "run", progress=False)).sizes["sample"] == 4
