"""The rules of the house: who may import whom, what an import costs, what a core-only installation can do."""

import ast
import re
import subprocess
import sys
import venv
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

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
    "matplotlib",
    "cyclopts",
    "sklearn",
    "PIL",
    "pyarrow",
    "distributed",
}
# what stands outside the floors: the public surface, and the table of names that have moved
ROOF = {PACKAGE / "__init__.py", PACKAGE / "_retired.py"}
# the floors of the house, from the ground up; a part imports its own floor and those below it
FLOORS = (
    {"errors"},
    {"arguments", "files", "memory", "untrusted", "unpickling"},
    {"schedules", "partitions", "designs", "guidance", "evidence", "transitions", "axes"},
    {"schema"},
    {"archive", "exact", "images"},
    {"models"},
    {"training", "sampling", "analysis"},
    {"diagnostics", "quality", "interventions", "plotting"},
    {"runs"},
    {"studies", "explorer"},
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
# one name in two modules, where they are the two halves of one idea
HALVES = {
    # the kernel on arrays, the function on datasets, the figure of it
    "entropy": {"evidence", "analysis.entropy", "plotting.curves"},
    "production": {"evidence", "analysis.production"},
    "scaling": {"analysis.scaling", "plotting.fits"},
    "tree": {"analysis.hierarchy", "plotting.tree"},
    "definitions": {"analysis.definitions", "plotting.speciation_levels"},
    "reliability": {"analysis.judgements", "plotting.reliability"},
    # the noise of a grid in one paper, of an axis in another
    "rescaled": {"analysis.grids", "plotting.rescaling"},
    # of a mixture in closed form, of any model by draws
    "denoising_error": {"exact.denoising", "diagnostics.denoising"},
    # the function and the command that calls it
    "check": {"diagnostics.model_check", "command.check"},
    "convert": {"models.edm2.conversion", "command.archives"},
    "describe": {"archive.describing", "command.archives"},
    "explore": {"explorer.serving", "command.explore"},
    # of the structure, of the values too, and the command
    "validate": {"schema.validation", "archive.opening", "command.archives"},
    "merge": {"archive.merging", "command.runs"},
    "status": {"archive.status", "command.runs"},
    "run": {"runs.running", "command.run"},
    # the data set, and the network that was trained on it
    "digits": {"images.arrays", "models.digits"},
    # each kind of thing reads itself back from the text that a file holds
    "from_json": {"guidance", "schedules"},
}
# the heavy libraries that a part may use
LIBRARIES = {
    "images": {"PIL", "pyarrow", "sklearn"},
    "models": {"torch", "safetensors", "sklearn", "diffusers", "transformers"},
    "training": {"torch", "safetensors", "diffusers"},
    "sampling": {"torch"},
    "quality": {"torch", "transformers"},
    "diagnostics": {"torch"},
    "interventions": {"torch"},
    "runs": {"distributed", "torch"},
    "plotting": {"holoviews", "bokeh", "panel", "matplotlib", "PIL"},
    "explorer": {"bokeh", "holoviews", "panel"},
    "studies": {"torch"},
    "command": {"cyclopts"},
}


def module_name(path: Path) -> str:
    """The dotted name of a file of the package."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def without_type_checking(tree: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a file at any depth, less those that only a type checker sees."""
    skipped = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        for statement in node.body
        for inner in ast.walk(statement)
    }
    return (node for node in ast.walk(tree) if id(node) not in skipped)


def imports(path: Path) -> set[str]:
    """Every module a file imports at any depth, as dotted names; type-checking blocks are left out."""
    names: set[str] = set()
    for node in without_type_checking(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            submodules = {f"{node.module}.{alias.name}" for alias in node.names} & MODULES.keys()
            # `from package import module` needs nothing that the package itself defines
            names |= submodules if len(submodules) == len(node.names) else submodules | {node.module}
    return names


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


def circles(graph: dict[str, set[str]]) -> list[set[str]]:
    """The groups of modules that import each other, directly or by way of others."""
    reach = {name: set(graph[name]) for name in graph}
    changed = True
    while changed:
        changed = False
        for seen in reach.values():
            more = set().union(*(reach[other] for other in seen)) - seen
            seen |= more
            changed |= bool(more)
    together = {frozenset(other for other in reach[name] if name in reach[other]) for name in reach}
    return [set(group) for group in together if len(group) > 1]


def test_the_search_for_circles_finds_them() -> None:
    graph = {"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a", "e"}, "e": set()}
    assert circles(graph) == [{"a", "b", "c"}]


def test_no_modules_import_each_other_in_a_circle() -> None:
    inside = {name: path for name, path in MODULES.items() if path not in ROOF}
    graph = {name: (imports(path) & inside.keys()) - {name} for name, path in inside.items()}
    assert circles(graph) == []


def test_no_module_is_imported_by_its_name_as_text() -> None:
    loaders = {"import_module", "__import__", "find_spec", "exec", "eval"}
    for path in MODULES.values():
        if path in ROOF:
            continue
        nodes = list(ast.walk(ast.parse(path.read_text())))
        names = {node.id for node in nodes if isinstance(node, ast.Name)}
        names |= {node.attr for node in nodes if isinstance(node, ast.Attribute)}
        texts = [node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)]
        if names & loaders:
            assert not [text for text in texts if re.fullmatch(r"specent(\.\w+)+", text)], path


def defined_in(path: Path) -> list[str]:
    """The public functions and classes of a file."""
    kinds = (ast.FunctionDef, ast.ClassDef)
    tree = ast.parse(path.read_text())
    return [node.name for node in tree.body if isinstance(node, kinds) and not node.name.startswith("_")]


def test_a_public_function_or_class_has_a_name_of_its_own() -> None:
    homes: dict[str, list[str]] = {}
    for module, path in MODULES.items():
        for name in defined_in(path):
            homes.setdefault(name, []).append(module.removeprefix("specent."))
    twice = {name: where for name, where in homes.items() if len(where) > 1}
    assert {name: where for name, where in twice.items() if not set(where) <= HALVES.get(name, set())} == {}


def test_files_and_functions_are_short_enough_to_read() -> None:
    long = []
    for path in MODULES.values():
        text, name = path.read_text(), str(path.relative_to(PACKAGE))
        if text.count("\n") > 400:
            long.append(f"{name} has {text.count(chr(10))} lines, more than 400")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                length = body_length(node)
                if length > 60:
                    long.append(f"{node.name} in {name} has {length} lines, more than 60")
    assert long == []


def body_length(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function from its head to its end, docstring left out."""
    assert node.end_lineno is not None
    first = node.body[0]
    length = node.end_lineno - node.lineno + 1
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
        assert first.end_lineno is not None
        length -= first.end_lineno - first.lineno + 1
    return length


def test_the_page_for_contributors_shows_these_floors() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    rows = re.findall(r"^\| (\d+) \| `(\w+)` \| [^|]+ \|([^|]*)\|([^|]*)\|$", text, re.MULTILINE)
    table = {
        part: (int(floor), set(re.findall(r"`(\w+)`", apart)), libraries) for floor, part, apart, libraries in rows
    }
    assert table.keys() == set().union(*FLOORS)
    for number, parts in enumerate(FLOORS, 1):
        for part in parts:
            floor, apart, libraries = table[part]
            assert floor == number, part
            assert apart == APART.get(part, set()), part
            assert {name for name in libraries.replace(" ", "").split(",") if name} == LIBRARIES.get(part, set()), part


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
    # seconds of every process
    assert not {"scipy.stats", "scipy.optimize", "scipy.interpolate", "scipy.cluster"} & set(all_light)
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
from specent.files import shipped_folder
assert (shipped_folder("datasets") / "digits.safetensors").is_file(), "the wheel does not carry what ships"
print("core only: fine")
"""


def _needed(name: str) -> set[str]:
    """Names of the distributions that one needs without its extras, and those that these need."""
    seen, todo = set(), [(name, "")]
    while todo:
        one = todo.pop()
        for requirement in map(Requirement, metadata.requires(one[0]) or []):
            if requirement.marker is None or requirement.marker.evaluate({"extra": one[1]}):
                todo += {(requirement.name, extra) for extra in ("", *requirement.extras)} - seen
                seen |= {(requirement.name, extra) for extra in ("", *requirement.extras)}
    return {name for name, _ in seen}


def _link(names: set[str], folder: Path) -> None:
    """Put links to the packages and modules of installed distributions into a folder."""
    for name in names:
        here = Path(str(metadata.distribution(name).locate_file("")))
        for top in {file.parts[0] for file in metadata.files(name) or []} - {"..", "__pycache__"}:
            if not (folder / top).exists():
                (folder / top).symlink_to(here / top)


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
    venv.create(tmp_path / "core", with_pip=False)
    python = tmp_path / "core" / "bin" / "python"
    install = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", ROOT]
    subprocess.run(install, check=True, capture_output=True)
    # what it says it needs, and no more, from the libraries that are here
    _link(_needed("specent"), next((tmp_path / "core").glob("lib/python*/site-packages")))
    script = CORE_ONLY.format(heavy=sorted(HEAVY), archive=str(archive), output=str(tmp_path / "profiles.nc"))
    done = subprocess.run([python, "-W", "error", "-c", script], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "core only: fine"
