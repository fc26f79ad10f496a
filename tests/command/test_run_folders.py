"""``specent status`` and ``merge``, and run folders where archives are taken."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import specent as sp
from specent.command import main

MIX = sp.exact.GaussianMixture([[-4.0], [4.0]], labels=["left", "right"])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    model, grid = sp.models.mixture(MIX), sp.schedules.edm_grid(4, 0.02, 100.0)
    return sp.run(sp.Plan(model, sp.schedules.VE(), grid, 6), tmp_path / "run", shard=3, progress=False)


def test_status_says_how_far_a_run_is_and_fails_if_a_shard_is_damaged(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["status", str(folder)]) == 0
    assert capsys.readouterr().out.startswith(f"{folder}: finished\n  done      4 of 4 shards, 12 trajectories")
    shard = sorted(folder.glob("shard-*.nc"))[2]
    shard.write_bytes(shard.read_bytes().replace(b"specent_kind", b"specent_kinD"))
    assert main(["status", str(folder)]) == 0
    assert main(["status", str(folder), "--verify"]) == 1
    output = capsys.readouterr()
    assert f"{shard}' is damaged or was altered" in output.out
    assert output.err == (
        f"specent: 1 shard is damaged in {str(folder)!r}; carry the plan out again to sample what is lost\n"
    )


def test_merge_writes_one_archive_that_validates(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "runs.nc"
    assert main(["merge", str(folder), "-o", str(path)]) == 0
    assert main(["validate", str(path), str(folder)]) == 0
    assert capsys.readouterr().out.endswith(f"{path}: good\n{folder}: good\n")
    assert sp.open(path)["log_likelihood"].equals(sp.open(folder)["log_likelihood"].compute())
    assert main(["merge", str(folder), "-o", str(path)]) == 1
    sorted(folder.glob("shard-*.nc"))[1].unlink()
    assert main(["merge", str(folder), "-o", str(path), "--overwrite"]) == 1
    assert "lacks 1 of 4 shards" in capsys.readouterr().err


def test_a_run_folder_is_described(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["describe", str(folder)]) == 0
    assert "trajectories: Trajectories of gaussian_mixture" in capsys.readouterr().out


@pytest.mark.filterwarnings("ignore::specent.errors.CalibrationWarning")  # of four steps
def test_a_run_folder_is_drawn(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "page.html"
    assert main(["plot", str(folder), "-o", str(page), "--partition", "full", "--figure", "entropy"]) == 0
    assert '<figure class="entropy">' in page.read_text(encoding="utf-8")
    assert f"wrote {page}" in capsys.readouterr().out


def test_of_a_run_folder_the_named_estimators_are_drawn_and_no_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from specent.plotting import derived

    plan = sp.Plan(sp.models.mixture(MIX), sp.schedules.VE(), sp.schedules.edm_grid(6, 0.02, 100.0), 6, "left|right")
    sp.run(plan, tmp_path / "run", progress=False)
    computed: list[list[str]] = []

    def entropy(*arguments: Any, **options: Any) -> Any:
        profiles = sp.entropy(*arguments, **options)
        computed.append(profiles["estimator"].values.tolist())
        return profiles

    monkeypatch.setattr(derived, "entropy", entropy)
    command = ["plot", str(tmp_path / "run"), "-o", str(tmp_path / "page.html"), "--figure", "entropy", "--overwrite"]
    assert main([*command, "--estimator", "rao_blackwell", "path"]) == 0
    assert main(command) == 0
    assert computed == [["rao_blackwell", "path"], ["path", "cross_entropy", "denoiser_gap"]]
    assert main([*command, "--estimator", "pathh"]) == 1
    assert "estimator: 'pathh' is not in the dataset" in capsys.readouterr().err


@pytest.mark.parametrize("command", [["status"], ["merge", "-o", "a.nc"], ["describe"], ["validate"]])
def test_what_is_no_run_folder_is_one_line(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command[0], str(tmp_path), *command[1:]]) == 1
    assert "is not a run folder: it holds no run.json; pass the folder that" in capsys.readouterr().err
    assert main([command[0], str(tmp_path / "nowhere"), *command[1:]]) == 1
    assert "does not exist; check the name and the folder" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["status", "merge", "validate", "describe", "plot", "convert"])
def test_the_help_of_a_command_has_an_example_of_it_and_none_of_others(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command, "--help"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert f"For instance: specent {command} " in text
    assert "specent run gmm_1d" not in text
