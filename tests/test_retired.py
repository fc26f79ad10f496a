"""Names of version 0.1 that have moved keep working, with a warning that says the new name."""

import subprocess
import sys
from pathlib import Path

from specent._retired import RETIRED

RETIRED_NAMES = """
import importlib, warnings
import specent
from specent._retired import RETIRED
for old, new in RETIRED.items():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        module, _, name = old.partition(":")
        value = importlib.import_module(module)
        value = getattr(value, name) if name else value
        through_parent = old if name else ":".join(old.rsplit(".", 1))
        parent, _, child = through_parent.partition(":")
        assert getattr(importlib.import_module(parent), child) is value, old
    home, _, name = new.partition(":")
    today = importlib.import_module(home)
    assert value is (getattr(today, name) if name else today), old
    said = [str(warning.message) for warning in caught if "since version 0.2" in str(warning.message)]
    assert said and all(warning.category is DeprecationWarning for warning in caught), old
    assert all(old.replace(":", ".") in text and new.replace(":", ".") in text for text in said), said
import specent.checking.report as old_report, specent.diagnostics.report as new_report
print(len(RETIRED), old_report is new_report)
"""


def test_every_retired_name_works_and_warns_of_the_new_one() -> None:
    """In an interpreter of its own, in which no module was loaded before under its new name."""
    done = subprocess.run([sys.executable, "-c", RETIRED_NAMES], capture_output=True, text=True, check=True)
    count, same = done.stdout.split()
    assert int(count) == len(RETIRED)
    # modules of a retired package are those of today, not a second copy under the old name
    assert same == "True"


def test_a_retired_name_is_reported_where_it_is_used(tmp_path: Path) -> None:
    script = tmp_path / "old.py"
    script.write_text("import specent as sp\nimport specent.checks\n\nsp.cli\nsp.models.exact_profiles\n")
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)
    lines = [line for line in done.stderr.splitlines() if "DeprecationWarning" in line]
    assert [line.split(":")[1] for line in lines] == ["2", "4", "5"]
    assert all(line.startswith(str(script)) for line in lines)
