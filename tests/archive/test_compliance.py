from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import specent.archive as archive
from specent import schema

# CF reads any axis called "time" as clock time; ours is diffusion time and says so in its long_name
KNOWN = "Coordinate variable 'time' should have standard_name='time', found: 'None'"


def test_the_cf_checker_finds_nothing_but_that_time_is_not_clock_time(make_dataset, tmp_path):
    paths = [str(archive.write(make_dataset(kind), tmp_path / f"{kind}.nc")) for kind in schema.KINDS]
    checker = str(Path(sys.executable).with_name("compliance-checker"))
    options = ["--test=cf:1.11", "--format=json_new", f"--output={tmp_path / 'report.json'}"]
    done = subprocess.run([checker, *options, *paths], capture_output=True, text=True, timeout=600, check=False)
    assert "exceptions occurred" not in done.stderr
    report = json.loads((tmp_path / "report.json").read_text())
    assert len(report) == len(schema.KINDS)
    for kind, path in zip(schema.KINDS, paths, strict=True):
        stored = report[path]["cf:1.11"]
        assert stored["scored_points"] > 100 - 100 * ("time" in make_dataset(kind).dims)
        groups = [stored[f"{level}_priorities"] for level in ("high", "medium", "low")]
        messages = {message for group in groups for result in group for message in result["msgs"]}
        timed = ("trajectories", "statistics", "profiles", "differences", "interventions")
        assert messages == ({KNOWN} if kind in timed else set())
