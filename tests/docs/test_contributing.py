"""The worked examples of CONTRIBUTING.md: done as they are written, on a copy of the package, and tested there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"^```python\n# (\S+\.py)\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL))
EDITS = re.findall(r"^```diff\n# (\S+\.py)\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
# new files with their doctests and tests, and tests that are edited
TESTS = [*FILES, *dict.fromkeys(name for name, _ in EDITS if name.startswith("tests/"))]


def edited(text: str, edit: str) -> str:
    """`text` after the lines of `edit` that start with a minus have made room for those with a plus."""
    before, after = (
        "".join(line[1:] + "\n" for line in edit.splitlines() if line[0] in marks) for marks in (" -", " +")
    )
    assert text.count(before) == 1, f"the lines to edit stand {text.count(before)} times in the file:\n{before}"
    return text.replace(before, after)


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("copy")
    for name in ("specent", "datasets", "recipes", "tests/guidance"):
        # with what Python has compiled, which is valid of a copy as old as its source
        shutil.copytree(ROOT / name, folder / name)
    for name in ("pyproject.toml", "tests/conftest.py"):
        shutil.copy(ROOT / name, folder / name)
    for name, code in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(code, encoding="utf-8")
    for name, edit in EDITS:
        path = folder / name
        path.write_text(edited(path.read_text(encoding="utf-8"), edit), encoding="utf-8")
    return folder


def test_the_examples_pass_their_own_tests(copy: Path) -> None:
    assert len(FILES) == 6
    assert len(EDITS) == 6
    # the coverage of this run is not that of a copy
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        f"--basetemp={copy / 'temporary'}",
        *TESTS,
    ]
    done = subprocess.run(
        command, cwd=copy, env=environment | {"PYTHONPATH": str(copy)}, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stdout[-3000:]
    shown = subprocess.run(
        [sys.executable, "-c", "import specent; print(specent.__file__)"],
        cwd=copy, env=environment | {"PYTHONPATH": str(copy)}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert Path(shown.stdout.strip()).is_relative_to(copy)


def test_the_examples_keep_the_rules_of_the_house(copy: Path) -> None:
    for command in (["ruff", "check"], ["ruff", "format", "--check"]):
        done = subprocess.run(
            [sys.executable, "-m", *command, *TESTS], cwd=copy, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout
