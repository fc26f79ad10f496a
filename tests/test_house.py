"""The rules of the house: who may import whom, what an import costs, what a core-only installation can do."""

import ast
import subprocess
import sys
import venv
from pathlib import Path

import pytest

import specent as sp
from specent._retired import RETIRED

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "specent"
HEAVY = {
    "torch",
    "safetensors",
    "diffusers",
    "transformers",
    "holoviews",
    "bokeh",
    "panel",
    "hvplot",
    "cyclopts",
    "sklearn",
    "PIL",
    "pyarrow",
}
# what stands outside the floors: the public surface, and the table of names that have moved
ROOF = {PACKAGE / "__init__.py", PACKAGE / "_retired.py"}
# the floors of the house, from the ground up; a part imports its own floor and those below it
FLOORS = (
    {"errors"},
    {"arguments", "files", "memory", "unpickling"},
    {"schedules", "partitions", "guidance", "evidence", "transitions", "axes"},
    {"schema"},
    {"archive", "exact", "images"},
    {"models"},
    {"training", "sampling", "analysis"},
    {"diagnostics", "quality", "plotting"},
    {"studies"},
    {"command"},
)
# what a part may not see although it stands below
APART = {
    "analysis": {"models", "training", "sampling"},
    "plotting": {"models", "training", "sampling", "archive"},
    "sampling": {"training", "analysis"},
    "training": {"sampling", "analysis"},
    "exact": {"archive", "images"},
    "archive": {"exact", "images"},
    "images": {"archive", "exact"},
}
# the heavy libraries that a part may use
LIBRARIES = {
    "images": {"PIL", "pyarrow", "sklearn"},
    "models": {"torch", "safetensors", "sklearn", "diffusers", "transformers"},
    "training": {"torch", "safetensors", "diffusers"},
    "sampling": {"torch"},
    "quality": {"torch", "transformers"},
    "diagnostics": {"torch"},
    "plotting": {"holoviews", "bokeh", "panel", "hvplot", "PIL"},
    "studies": {"torch"},
    "command": {"cyclopts"},
}


def imports(path: Path) -> set[str]:
    """Every module a file imports at any depth, as dotted names; type-checking blocks are left out."""
    tree = ast.parse(path.read_text())
    skipped = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    found: set[str] = set()
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            if node.module == "specent":
                found |= {f"specent.{alias.name}" for alias in node.names}
    return found


def part_of(module: str) -> str:
    """The file or folder of the package that a dotted name lies in."""
    return module.split(".")[1]


@pytest.mark.parametrize(
    "path",
    [p for p in sorted(PACKAGE.rglob("*.py")) if p not in ROOF],
    ids=lambda p: str(p.relative_to(PACKAGE)),
)
def test_modules_import_only_what_their_floor_may(path: Path) -> None:
    part = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    floor = next(i for i, parts in enumerate(FLOORS) if part in parts)
    below = set().union(*FLOORS[: floor + 1]) - APART.get(part, set())
    for name in imports(path):
        top = name.partition(".")[0]
        if top == "specent" and "." in name and part_of(name) != "_retired":
            assert part_of(name) in below, f"{path.name} may not import {name}"
        # the shared kernels look at a tensor's namespace only after they were handed one
        elif top in HEAVY and not (path.name == "evidence.py" and top == "torch"):
            assert top in LIBRARIES.get(part, set()), f"{path.name} may not import {name}"
        assert not name.startswith("recipes")


def test_every_public_name_loads_and_is_listed() -> None:
    for name in sp.__all__:
        assert getattr(sp, name) is not None
    assert set(sp.__all__) <= set(dir(sp))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = sp.nothing


def test_type_checkers_see_the_same_public_names() -> None:
    tree = ast.parse((PACKAGE / "__init__.py").read_text())
    block = next(node for node in tree.body if isinstance(node, ast.If))
    seen = {alias.asname for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert seen == set(sp.__all__)


def test_every_part_of_the_house_is_a_public_name() -> None:
    assert set().union(*FLOORS) <= set(sp.__all__)


def test_every_retired_name_leads_to_a_module_that_exists() -> None:
    for new in RETIRED.values():
        path = ROOT.joinpath(*new.partition(":")[0].split("."))
        assert path.with_suffix(".py").is_file() or (path / "__init__.py").is_file(), new


def test_importing_the_package_brings_in_nothing_heavy() -> None:
    # each of the four failed in version 0.1 until something else had imported it
    code = """
import sys, specent as sp
print(*sys.modules)
print(*[getattr(sp, name).__name__ for name in ("errors", "guidance", "evidence", "partitions")])
[getattr(sp, name) for name in {light}]
print(*sys.modules)
"""
    light = [part for parts in FLOORS for part in parts if not LIBRARIES.get(part)]
    done = subprocess.run([sys.executable, "-c", code.format(light=light)], capture_output=True, text=True, check=True)
    alone, names, all_light = (line.split() for line in done.stdout.splitlines())
    assert not {name for name in alone if name.partition(".")[0] in HEAVY | {"xarray", "scipy", "numpy"}}
    assert names == ["specent.errors", "specent.guidance", "specent.evidence", "specent.partitions"]
    # pandas, beneath xarray, imports pyarrow by itself where it is installed
    assert not set(all_light) & (HEAVY - {"pyarrow"})


CORE_ONLY = """
import importlib.util, sys
import numpy as np
assert not [name for name in {heavy!r} if importlib.util.find_spec(name)], "this is not a core-only installation"
import specent as sp
runs = sp.open({archive!r})
profiles = sp.entropy(runs)
mix = sp.exact.GaussianMixture([[-4.0], [4.0]], labels=["left", "right"])
exact = sp.exact.profiles(mix, sp.schedules.VE(), runs.time.values, [sp.Partition.full(mix.labels)])
gap = abs(profiles.entropy.sel(estimator="path").squeeze() - exact.entropy.squeeze())
assert gap.max() < 0.15, gap.max()  # 200 trajectories: standard error 0.035 bit
sweep = sp.exact.scaling_profiles(2.0 ** np.arange(8, 21), sp.schedules.VE(), sp.schedules.edm_grid(400, 0.1, 1e5))
fit = sp.fit_scaling(sp.speciation(sweep, axis="sigma"), law="sqrt")
assert abs(float(fit.exponent.squeeze()) - 0.5) < 0.002
sp.write(profiles, {output!r})
print("core only: fine")
"""


def test_a_core_only_installation_analyses_an_archive_and_fits_a_scaling(tmp_path: Path) -> None:
    mix = sp.exact.GaussianMixture([[-4.0], [4.0]], labels=["left", "right"])
    runs = sp.sample(
        sp.models.mixture(mix),
        schedule=sp.schedules.VE(),
        time=sp.schedules.edm_grid(32),
        samples=100,
        partitions=[sp.Partition.full(mix.labels)],
        progress=False,
    )
    archive = sp.write(runs, tmp_path / "runs.nc")
    venv.create(tmp_path / "core", with_pip=True)
    python = tmp_path / "core" / "bin" / "python"
    install = [python, "-m", "pip", "install", "--quiet", "--constraint", ROOT / "constraints.txt", ROOT]
    subprocess.run(install, check=True, capture_output=True)
    script = CORE_ONLY.format(heavy=sorted(HEAVY), archive=str(archive), output=str(tmp_path / "profiles.nc"))
    done = subprocess.run([python, "-W", "error", "-c", script], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "core only: fine"
    # the wheel carries what ships
    recipes = subprocess.run([python, "-c", "from specent.files import shipped_folder as f; print(f('datasets'))"],
                             capture_output=True, text=True, cwd=tmp_path, check=True)  # fmt: skip
    assert Path(recipes.stdout.strip(), "digits.safetensors").is_file()
