"""The pages of the documentation: what they show runs, and names what there is."""

from __future__ import annotations

import ast
import builtins
import inspect
import re
import shlex
import tomllib
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

import specent as sp
from specent import command, plotting, schema, studies

ROOT = Path(__file__).resolve().parents[2]
STUDIES = sorted((ROOT / "docs" / "studies").glob("*.md"))
MORE = [page for folder in ("howto", "notebooks") for page in sorted((ROOT / "docs" / folder).glob("*.md"))]
PAGES = [*sorted((ROOT / "docs").glob("*.md")), *MORE, *STUDIES]
README = ROOT / "README.md"
INLINE = re.compile(r"`([^`]+)`")
FENCED = re.compile(r"^ *```.*?^ *```", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
# cells of notebooks, which run when the documentation is built
CELL = re.compile(r"^```\{code-cell\} python\n(.*?)^```", re.MULTILINE | re.DOTALL)


def blocks(page: Path, language: str) -> list[str]:
    """The fenced blocks of a page in one language."""
    return [code for found, code in CODE.findall(page.read_text(encoding="utf-8")) if found == language]


def commands() -> Iterator[tuple[str, list[str]]]:
    """Every call of the command line in the documentation and the README, as page and arguments."""
    for page in [*PAGES, README, ROOT / "CONTRIBUTING.md"]:
        text = page.read_text(encoding="utf-8")
        lines = [line for block in blocks(page, "console") for line in block.splitlines()]
        lines += [f"$ {' '.join(code.split())}" for code in INLINE.findall(FENCED.sub("", text))]
        for line in lines:
            words = shlex.split(line.removeprefix("$ specent "), comments=True) if line.startswith("$ specent ") else []
            # a text may elide what the reader fills in
            if words and "..." not in words:
                yield page.name, words


# a name of the package, not what a call of it returned
DOTTED = re.compile(r"sp(\.\w+)+")
# opens networks that a page names but does not bring; what is called, and with which arguments, is checked all the same
OPENS = re.compile(r"sp\.models\.(?:pipeline|edm2|ddpm)\(\s*\"")


def namespace_of(page: Path) -> dict[str, object]:
    """What is there before the first block of a page; the README leaves the network to its reader."""
    namespace: dict[str, object] = {"__name__": f"docs_{page.stem}"}
    if page == README:
        namespace["net"] = lambda x, time, condition: 0.1 * x
    return namespace


def check_calls(code: str, origin: str) -> int:
    """Compare every call of a name of the package in `code` with its signature; returns how many there were."""
    count = 0
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Attribute) and DOTTED.fullmatch(ast.unparse(node)):
            attribute(ast.unparse(node), origin)
        if isinstance(node, ast.Call) and DOTTED.fullmatch(ast.unparse(node.func)):
            count += 1
            function = attribute(ast.unparse(node.func), origin)
            words = {word.arg: ... for word in node.keywords if word.arg}
            given = [argument for argument in node.args if not isinstance(argument, ast.Starred)]
            elided = any(isinstance(argument, ast.Constant) and argument.value is ... for argument in given)
            signature = inspect.signature(function)
            try:
                (signature.bind_partial if elided else signature.bind)(*([] if elided else given), **words)
            except TypeError as error:
                raise AssertionError(f"{origin}: {ast.unparse(node)}: {error}") from None
    return count


def attribute(dotted: str, origin: str) -> Any:
    """The object behind a dotted name that starts with ``sp``."""
    value: Any = sp
    for name in dotted.split(".")[1:]:
        assert hasattr(value, name), f"{origin}: {dotted} does not exist"
        value = getattr(value, name)
    return value


def expressions(page: Path) -> Iterator[str]:
    """The inline code of a page that is an expression of Python."""
    for code in INLINE.findall(FENCED.sub("", page.read_text(encoding="utf-8"))):
        text = " ".join(code.split()).replace("\\|", "|")
        try:
            ast.parse(text, mode="eval")
        except SyntaxError:
            continue
        yield text


@pytest.mark.parametrize(
    "page", [page for page in [README, *PAGES] if blocks(page, "python")], ids=lambda page: page.stem
)
def test_the_python_of_a_page_runs_one_block_after_another(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    namespace = namespace_of(page)
    for number, block in enumerate(blocks(page, "python")):
        origin = f"{page.name}, block {number}"
        if page == README and OPENS.search(block):
            assert check_calls(block, origin) > 1
            continue
        # dataclasses look their annotations up in the module, so a block is compiled without its own __future__ imports
        exec(compile(block, origin, "exec", dont_inherit=True), namespace)
    for text in expressions(page):
        # what the text does with the page's own variables
        if "(" in text and text.partition("(")[0].partition(".")[0] in namespace.keys() - {"sp", "np", "torch", "net"}:
            names = {node.id for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Name)}
            if names <= namespace.keys() | set(dir(builtins)):
                eval(compile(text, f"{page.name}: {text}", "eval"), namespace)


@pytest.mark.parametrize("page", [README, *PAGES], ids=lambda page: f"{page.parent.name}-{page.stem}")
def test_every_name_and_call_in_the_text_of_a_page_exists(page: Path) -> None:
    for text in expressions(page):
        if text.startswith("sp."):
            check_calls(text, page.name)


@pytest.mark.parametrize(
    "page", [page for page in PAGES if CELL.search(page.read_text(encoding="utf-8"))], ids=lambda page: page.stem
)
def test_every_call_in_the_cells_of_a_notebook_fits_its_signature(page: Path) -> None:
    cells = CELL.findall(page.read_text(encoding="utf-8"))
    # options of a cell stand in its first lines
    assert sum(check_calls(re.sub(r"^:.*\n", "", cell, flags=re.MULTILINE), page.name) for cell in cells) > 1
    assert not blocks(page, "python"), "a block beside the cells would not be run"


def test_wrong_calls_in_a_text_are_seen() -> None:
    for text in ("sp.nothing", "sp.entropy(runs, method=1)", "sp.Guidance(1, 2, 3, 4, 5)"):
        with pytest.raises(AssertionError, match="page"):
            check_calls(text, "page")
    assert check_calls("sp.entropy(runs, estimator='path')", "page") == 1


def test_every_command_line_shown_names_commands_and_flags_that_exist() -> None:
    shown = list(commands())
    assert len(shown) > 5
    for page, arguments in shown:
        if arguments[0] == "run" and len(arguments) > 1 and not arguments[1].startswith("./"):
            module = studies.recipe(arguments[1])
            flags = {f"--{field.name.replace('_', '-')}" for field in fields(module.Settings)} | {"--help", "--config"}
            used = {argument for argument in arguments[2:] if argument.startswith("--")}
            assert used <= flags, f"{page}: {arguments}"
        elif arguments[0] != "run" and len(arguments) > 1:
            command.app.parse_args(arguments, exit_on_error=False, print_error=False)


@pytest.mark.parametrize("name", sorted({arguments[0] for _, arguments in commands()}))
def test_every_command_that_is_shown_has_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main([name, "--help"]) == 0
    assert "specent" in capsys.readouterr().out


def test_every_toml_example_is_a_plan_or_holds_settings_of_its_recipe(tmp_path: Path) -> None:
    examples = [block for page in PAGES for block in blocks(page, "toml")]
    plans = [block for block in examples if "specent_plan" in block]
    assert plans
    for block in plans:
        (tmp_path / "plan.toml").write_text(block, encoding="utf-8")
        assert sp.Plan.read(tmp_path / "plan.toml").samples > 0
    settings = [block for block in examples if block not in plans]
    assert settings
    for block in settings:
        name = block.splitlines()[0].removeprefix("# ")
        assert set(tomllib.loads(block)) <= {field.name for field in fields(studies.recipe(name).Settings)}


def test_the_page_of_recipes_names_every_recipe() -> None:
    text = (ROOT / "docs" / "recipes.md").read_text(encoding="utf-8")
    assert [name for name in studies.recipe_names() if f"| `{name}` |" not in text] == []


def test_the_page_of_figures_names_every_figure() -> None:
    text = (ROOT / "docs" / "figures.md").read_text(encoding="utf-8")
    assert [name for name in plotting.FIGURES if f"`{name}`" not in text] == []


def test_the_list_of_names_holds_every_public_name() -> None:
    text = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^   ([\w.]+)$", text, re.MULTILINE))
    heads = {name.partition(".")[0] for name in listed}
    assert {name for name in sp.__all__ if name not in heads} == set()
    modules = (
        (sp.exact, "exact"),
        (sp.models, "models"),
        (sp.analysis, "analysis"),
        (sp.quality, "quality"),
        (sp.images, "images"),
    )
    for module, name in (*modules, (plotting, "plotting")):
        public = {f"{name}.{entry}" for entry in module.__all__ if entry != "FIGURES"}
        assert {entry for entry in public if entry not in listed and entry.partition(".")[2] not in listed} == set()


def test_what_a_caller_meets_is_in_the_list_of_names() -> None:
    text = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^   ([\w.]+)$", text, re.MULTILINE))
    assert {"guidance.Setting", "guidance.RULES", "schedules.SCHEDULES"} <= listed
    assert {f"diagnostics.{name}" for name in sp.diagnostics.__all__ if name not in listed} <= listed
    for name in listed:
        attribute(f"sp.{name}", "api.md")


def test_the_page_of_figures_shows_how_runs_are_compared() -> None:
    blocks_shown = blocks(ROOT / "docs" / "figures.md", "python")
    assert any("sp.compare(" in block for block in blocks_shown)


def test_the_format_page_can_be_made_from_the_registry() -> None:
    text = schema.as_markdown()
    assert all(f"## Kind `{kind}`" in text for kind in schema.KINDS)
    assert "generated/format.md" in (ROOT / "docs" / "archives.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_between_pages_lead_to_pages_and_headings(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    # a path from the root of the documentation begins with a slash
    for target, anchor in re.findall(r"\]\(/?([\w./]+)\.md(?:#([\w-]+))?\)", text):
        other = (page.parent / f"{target}.md").read_text(encoding="utf-8")
        headings = {slug(head) for head in re.findall(r"^#+ (.*)$", other, re.MULTILINE)}
        headings |= set(re.findall(r"^\(([\w-]+)\)=$", other, re.MULTILINE))
        assert not anchor or anchor in headings, f"{target}.md#{anchor}"


def slug(heading: str) -> str:
    """Anchor of a heading, as GitHub and the documentation make it."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def test_every_study_is_of_a_recipe_shows_a_figure_and_stands_in_the_index() -> None:
    pages = [page for page in STUDIES if page.stem != "index"]
    index = (ROOT / "docs" / "studies" / "index.md").read_text(encoding="utf-8")
    assert len(pages) >= 7
    for page in pages:
        assert page.stem in studies.recipe_names()
        assert f"({page.name})" in index
        figures = re.findall(
            r"^```\{include\} \.\./generated/figures/(\w+)\.md$", page.read_text(encoding="utf-8"), re.M
        )
        assert figures, f"{page.name} shows no figure"
        assert all((ROOT / "docs" / "gallery" / f"{figure}.py").is_file() for figure in figures)


def test_the_glossary_explains_the_words_in_alphabetical_order_and_pages_lead_to_it() -> None:
    text = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
    terms = re.findall(r"^(\S.*)\n: \S", text, re.MULTILINE)
    assert terms == sorted(terms, key=str.lower)
    needed = {
        "driver",
        "candidate",
        "side",
        "evidence",
        "production",
        "partition",
        "half-entropy noise level",
        "schedule",
    }
    assert needed | {"transition window", "denoiser", "null condition", "path posterior", "surprisal"} <= set(terms)
    assert "(docs/glossary.md)" in README.read_text(encoding="utf-8")
    assert "(glossary.md)" in (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
