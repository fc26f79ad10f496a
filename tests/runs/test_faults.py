"""Faults of all kinds: whatever happens to a run, carried out again it ends in the same numbers."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import specent as sp
from specent.errors import SpecentError

SCRIPT = Path(__file__).parent.parent / "killed_runs.py"
LIMITED = """
import resource, signal, sys
import specent as sp
from killed_runs import carry_out
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
try:
    carry_out(__import__("pathlib").Path(sys.argv[1]))
except sp.SpecentError as error:
    sys.exit(f"refused: {error}")
"""


def small_plan(samples: int = 6) -> sp.Plan:
    mix = sp.exact.GaussianMixture([[-3.0], [3.0]], labels=["left", "right"])
    return sp.Plan(sp.models.mixture(mix), sp.schedules.VE(), sp.schedules.edm_grid(4, 0.02, 100.0), samples)


@pytest.mark.parametrize("kills", [6, pytest.param(50, marks=pytest.mark.faults)])
@pytest.mark.parametrize("record", ["trajectories", "statistics"])
def test_a_run_that_is_killed_again_and_again_ends_in_the_same_numbers(tmp_path: Path, kills: int, record: str) -> None:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(tmp_path), str(kills), record], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    # a child that ended before its kill had nothing left to do
    assert report["deaths"] >= kills // 2
    # no kill costs a shard that was there
    assert report["left"] == sorted(report["left"])
    assert 0 < report["left"][-1] <= {"trajectories": 48, "statistics": 32}[record] // (1 if kills > 20 else 2)
    assert report["differences"] == []
    assert report["others"] == [".lock", "run.json"]


def test_a_full_disk_is_one_message_and_leaves_whole_files_only(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(folder)], capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(SCRIPT.parent), *sys.path])},
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert "refused: path=" in done.stderr
    assert "could not be written" in done.stderr
    assert sorted(os.listdir(folder)) == [".lock", "run.json"]
    assert sp.archive.status(folder).done == 0


def test_a_folder_that_goes_away_is_one_message_and_can_be_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "run"
    write = sp.archive.write

    def vanishing(*args: Any, **options: Any) -> Path:
        shutil.rmtree(folder, ignore_errors=True)
        return write(*args, **options)

    monkeypatch.setattr(sp.archive, "write", vanishing)
    with pytest.raises(SpecentError, match=r"the folder .* does not exist"):
        sp.run(small_plan(), folder, shard=3, progress=False)
    monkeypatch.undo()
    sp.run(small_plan(), folder, shard=3, progress=False)
    assert sp.archive.status(folder, verify=True).done == 4


def test_a_place_that_nothing_can_be_written_to_is_refused_before_sampling() -> None:
    with pytest.raises(SpecentError, match="cannot be made"):
        sp.run(small_plan(), "/proc/run", progress=False)


@pytest.mark.parametrize("moment", [0.0, 4e9])
def test_the_clock_decides_nothing(tmp_path: Path, moment: float) -> None:
    """Set back or set forward: what is there is told by what it holds."""
    folder = sp.run(small_plan(), tmp_path / "run", shard=3, progress=False)
    for file in folder.iterdir():
        os.utime(file, (moment, moment))
    before = {file.name: file.stat().st_ino for file in folder.glob("*.nc")}
    sp.run(small_plan(9), folder, progress=False)
    assert {file.name: file.stat().st_ino for file in folder.glob("*.nc")}.items() >= before.items()
    report = sp.archive.status(folder, verify=True)
    assert (report.done, report.missing, report.damaged) == (6, 0, ())
    assert str(report)
