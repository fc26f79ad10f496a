"""Faults of all kinds: whatever happens to a run, carried out again it ends in the same numbers."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent.parent / "killed_runs.py"


@pytest.mark.parametrize("kills", [6, pytest.param(50, marks=pytest.mark.faults)])
def test_a_run_that_is_killed_again_and_again_ends_in_the_same_bits(tmp_path: Path, kills: int) -> None:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(tmp_path), str(kills)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    # a child that ended before its kill had nothing left to do
    assert report["deaths"] >= kills // 2
    # no kill costs a shard that was there
    assert report["left"] == sorted(report["left"])
    assert 0 < report["left"][-1] <= 48
    assert report["differences"] == []
    assert report["others"] == [".lock", "run.json"]
