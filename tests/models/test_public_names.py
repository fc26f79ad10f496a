"""The table of public names: one line each, loaded on first use, never hidden by a module of the same name."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import specent as sp


def run(code: str) -> list[str]:
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_importing_models_loads_no_model_and_nothing_heavy() -> None:
    loaded = run("import sys, specent.models; print(*sys.modules)")
    assert not {name.partition(".")[0] for name in loaded} & {"torch", "diffusers", "transformers", "numpy"}
    assert [name for name in loaded if name.startswith("specent.models")] == ["specent.models"]


def test_every_public_name_is_a_function_or_a_class_of_its_own_name() -> None:
    loaded = [getattr(sp.models, name) for name in sp.models.__all__]
    assert [value.__name__ for value in loaded] == sp.models.__all__
    assert len(loaded) >= 19
    assert {"mixture", "network", "edm2", "Model", "as_model"} <= set(dir(sp.models))
    assert not [value for value in loaded if isinstance(value, ModuleType)]


def test_a_function_is_not_hidden_by_the_module_of_its_name() -> None:
    # the modules are loaded before the functions in one case, and after them in the other
    code = """
import specent.models.mixture, specent.models.edm2.presets
import specent, sys
print(type(specent.models.mixture).__name__, type(specent.models.edm2).__name__)
for name in ("specent.models.mixture", "specent.models.edm2"):
    del sys.modules[name]
import specent.models.mixture, specent.models.edm2.presets
from specent.models import *
print(type(specent.models.mixture).__name__, type(specent.models.edm2).__name__, type(mixture).__name__)
"""
    assert run(code) == ["function"] * 5


def test_a_name_that_is_none_is_refused() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = sp.models.nothing


def test_one_line_registers_a_model(tmp_path: Path) -> None:
    package = Path(sp.models.__file__).parent
    text = (package / "__init__.py").read_text(encoding="utf-8")
    line = "    from specent.models.mixture import mixture as mixture\n"
    assert text.count(line) == 1
    # the same package under another name, in which another line stands in place of that one
    (tmp_path / "other_models").mkdir()
    changed = text.replace(line, "    from fractions import Fraction as Fraction\n")
    (tmp_path / "other_models" / "__init__.py").write_text(changed, encoding="utf-8")
    path = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); "
    first, *names = run(path + "import other_models as models; print(models.Fraction.__name__, *models.__all__)")
    assert first == "Fraction"
    assert set(names) == {*sp.models.__all__, "Fraction"} - {"mixture"}
