"""The pages of the documentation: what they show runs, and names what there is."""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest

import specent as sp
from specent import command, plotting, schema
from specent.studies import shipped

ROOT = Path(__file__).resolve().parents[2]
STUDIES = sorted((ROOT / "docs" / "studies").glob("*.md"))
PAGES = [*sorted((ROOT / "docs").glob("*.md")), *STUDIES]
CODE = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def blocks(page: Path, language: str) -> list[str]:
    """The fenced blocks of a page in one language."""
    return [code for found, code in CODE.findall(page.read_text(encoding="utf-8")) if found == language]


def commands() -> Iterator[tuple[str, list[str]]]:
    """Every call of the command line in the documentation and the README, as page and arguments."""
    for page in [*PAGES, ROOT / "README.md", ROOT / "CONTRIBUTING.md"]:
        for block in blocks(page, "console"):
            for line in block.splitlines():
                if line.startswith("$ specent "):
                    yield page.name, shlex.split(line.removeprefix("$ specent "))


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "python")], ids=lambda page: page.stem)
def test_the_python_blocks_of_a_page_run_one_after_another(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, object] = {"__name__": f"docs_{page.stem}"}
    for number, block in enumerate(blocks(page, "python")):
        # dataclasses look their annotations up in the module, so a block is compiled without its own __future__ imports
        exec(compile(block, f"{page.name}, block {number}", "exec", dont_inherit=True), namespace)


def test_every_command_line_shown_names_commands_and_flags_that_exist() -> None:
    shown = list(commands())
    assert len(shown) > 5
    for page, arguments in shown:
        if arguments[0] == "run" and len(arguments) > 1 and not arguments[1].startswith("./"):
            module = shipped.recipe(arguments[1])
            flags = {f"--{field.name.replace('_', '-')}" for field in fields(module.Settings)} | {"--help", "--config"}
            used = {argument for argument in arguments[2:] if argument.startswith("--")}
            assert used <= flags, f"{page}: {arguments}"
        elif arguments[0] != "run":
            command.app.parse_args(arguments, exit_on_error=False, print_error=False)


def test_every_toml_example_holds_settings_of_its_recipe() -> None:
    examples = [block for page in PAGES for block in blocks(page, "toml")]
    assert examples
    for block in examples:
        name = block.splitlines()[0].removeprefix("# ")
        assert set(tomllib.loads(block)) <= {field.name for field in fields(shipped.recipe(name).Settings)}


def test_the_page_of_recipes_names_every_recipe() -> None:
    text = (ROOT / "docs" / "recipes.md").read_text(encoding="utf-8")
    assert [name for name in shipped.recipe_names() if f"| `{name}` |" not in text] == []


def test_the_page_of_figures_names_every_figure() -> None:
    text = (ROOT / "docs" / "figures.md").read_text(encoding="utf-8")
    assert [name for name in plotting.FIGURES if f"`{name}`" not in text] == []


def test_the_list_of_names_holds_every_public_name() -> None:
    text = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^   ([\w.]+)$", text, re.MULTILINE))
    heads = {name.partition(".")[0] for name in listed}
    assert {name for name in sp.__all__ if name not in heads} <= {"plot", "sampling"}
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


def test_the_format_page_can_be_made_from_the_registry() -> None:
    text = schema.as_markdown()
    assert all(f"## Kind `{kind}`" in text for kind in schema.KINDS)
    assert "generated/format.md" in (ROOT / "docs" / "archives.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_between_pages_lead_to_pages_and_headings(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target, anchor in re.findall(r"\]\(([\w./]+)\.md(?:#([\w-]+))?\)", text):
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
        assert page.stem in shipped.recipe_names()
        assert f"({page.name})" in index
        figures = re.findall(r"!\[[^\]]+\]\((\.\./images/[^)]+)\)", page.read_text(encoding="utf-8"))
        assert figures, f"{page.name} shows no figure"
        for figure in figures:
            assert (page.parent / figure).resolve().stat().st_size < 200_000
