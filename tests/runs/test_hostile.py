"""Run folders and plans of somebody else: they are data, and lead nowhere."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

import specent as sp
from specent import command
from specent.errors import SpecentError

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
