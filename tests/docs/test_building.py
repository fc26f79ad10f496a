"""What builds the documentation: the gallery, drawings for dark pages, claims, and the look at the finished pages."""

from __future__ import annotations

import ast
import dataclasses
import string
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import specent as sp
from specent import plotting, studies

ROOT = Path(__file__).resolve().parents[2]
GALLERY = ROOT / "docs" / "gallery"
CONTENTS = tomllib.loads((GALLERY / "contents.toml").read_text(encoding="utf-8"))
EXAMPLES = sorted(path.stem for path in GALLERY.glob("*.py"))
# public names of sp.plot that write files
WRITERS = {"page", "picture", "figure_path", "save", "save_figures", "is_print", "FIGURES"}


@pytest.fixture
def tools(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The extensions of the documentation can be imported."""
    monkeypatch.syspath_prepend(str(ROOT / "docs" / "_ext"))
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if (ROOT / "docs" / "_ext" / f"{name}.py").is_file():
            del sys.modules[name]


def module(name: str) -> ModuleType:
    import importlib

    return importlib.import_module(name)


def test_every_figure_function_has_an_example_of_its_name_that_calls_it() -> None:
    functions = set(plotting.__all__) - WRITERS
    assert functions - set(EXAMPLES) == set()
    for name in functions:
        calls = {ast.unparse(node.func) for node in ast.walk(tree(name)) if isinstance(node, ast.Call)}
        assert f"sp.plot.{name}" in calls


def tree(name: str) -> ast.Module:
    return ast.parse((GALLERY / f"{name}.py").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_example_says_what_it_shows_and_has_its_line(name: str) -> None:
    heading, result = (ast.get_docstring(tree(name)) or "").split("\n\n")[:2]
    assert len(heading) < 80
    assert len(result.split()) < 40
    assert result.rstrip()[-1] == "."
    assert sum(entries.count(name) for entries in CONTENTS["sections"].values()) == 1
    assigned = {
        target.id
        for node in tree(name).body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    assert "figure" in assigned


@pytest.mark.usefixtures("tools")
@pytest.mark.parametrize("name", EXAMPLES)
def test_the_numbers_of_a_result_are_computed_by_the_code_beside_it(name: str) -> None:
    example = module("gallery").Example.read(name)
    places = {field for _, field, _, _ in string.Formatter().parse(example.result) if field}
    assert places
    assigned = {
        node.id for node in ast.walk(tree(name)) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }
    assert places <= assigned


@pytest.mark.usefixtures("tools")
def test_what_an_example_computes_stands_in_its_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gallery = module("gallery")
    monkeypatch.setattr(gallery.gallery_pictures, "write", lambda figure, target: None)
    example = gallery.Example(
        "one", "One", "Two and two are {total:.1f}.", "Of {count}.", "figure, count = 0, 2\ntotal = 4"
    )
    drawn = gallery.draw(example, tmp_path)
    assert (drawn.result, drawn.text) == ("Two and two are 4.0.", "Of 2.")
    with pytest.raises(KeyError, match="other"):
        gallery.draw(dataclasses.replace(example, result="{other}"), tmp_path)


@pytest.mark.usefixtures("tools")
def test_pages_with_code_are_spread_over_the_list_the_longest_first(tmp_path: Path) -> None:
    lengths = {f"a{i}": 0 for i in range(20)} | {"x": 30, "y": 90, "z": 60}
    for name, length in lengths.items():
        (tmp_path / name).write_text(
            f"```{{code-cell}} python\n{'#' * length}\n```\n" if length else "text", encoding="utf-8"
        )
    names = sorted(lengths)

    class Pages:
        def doc2path(self, name: str) -> Path:
            return tmp_path / name

    module("notebooks").spread(None, Pages(), names)
    assert sorted(names) == sorted(lengths)
    positions = [names.index(name) for name in ("y", "z", "x")]
    assert positions == [0, 7, 15]


@pytest.mark.usefixtures("tools")
def test_a_command_that_fails_says_why(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"specent describe gone\.nc: .*gone\.nc"):
        module("workers").command("specent describe gone.nc", tmp_path)


def test_every_recipe_is_shown_by_an_example() -> None:
    assert set(CONTENTS["recipes"]) == set(studies.recipe_names())
    assert set(CONTENTS["recipes"].values()) <= set(EXAMPLES)
    assert set(CONTENTS["stand_ins"]) <= set(CONTENTS["recipes"])


def test_every_picture_of_the_folder_is_on_a_page() -> None:
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    text = "".join(path.read_text(encoding="utf-8") for path in pages if "generated" not in path.parts)
    assert all(path.name in text for path in (ROOT / "docs" / "images").iterdir())


@pytest.mark.usefixtures("tools")
def test_dead_links_missing_names_and_foreign_addresses_are_seen(tmp_path: Path) -> None:
    built = module("built")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "other.html").write_text(
        '<h1 id="there">x</h1><a href="../index.html#top">x</a>', encoding="utf-8"
    )
    (tmp_path / "index.html").write_text(
        '<p id="top"></p><a href="sub/other.html#there">x</a><a href="https://example.org">x</a><a href="#top">x</a>',
        encoding="utf-8",
    )
    assert built.faults(tmp_path) == []
    broken = {
        '<a href="gone.html">': "the link gone.html leads nowhere",
        '<a href="sub/other.html#gone">': "the link sub/other.html#gone leads nowhere",
        '<img src="gone.png">': "the link gone.png leads nowhere",
        '<script src="https://example.org/a.js"></script>': "loads https://example.org/a.js from the network",
        '<link rel="stylesheet" href="//example.org/a.css">': "loads //example.org/a.css from the network",
        "<style>@import url(https://example.org/b.css)</style>": "loads https://example.org/b.css from the network",
        '<p style="background: url(http://example.org/b.png)">': "loads http://example.org/b.png from the network",
    }
    for text, fault in broken.items():
        (tmp_path / "index.html").write_text(f'<p id="top"></p>{text}', encoding="utf-8")
        assert built.faults(tmp_path) == [f"index.html: {fault}"]
    (tmp_path / "index.html").write_text('<p id="top"></p>', encoding="utf-8")
    (tmp_path / "style.css").write_text("@font-face { src: url('https://example.org/c.woff') }", encoding="utf-8")
    assert built.faults(tmp_path) == ["style.css: loads https://example.org/c.woff from the network"]


@pytest.mark.usefixtures("tools")
def test_a_documentation_that_is_too_large_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built = module("built")
    (tmp_path / "a.txt").write_text("x" * 2_600_000, encoding="utf-8")
    assert built.faults(tmp_path) == []
    monkeypatch.setattr(built, "LARGEST", 1_000_000)
    assert built.faults(tmp_path) == ["the pages take 3 MB; 1 MB are allowed"]


@pytest.mark.usefixtures("tools")
@pytest.mark.parametrize(
    ("light", "dark"), [("#000000", "#ffffff"), ("#000", "#ffffff"), ("#ffffff", "#141414"), ("#e69f00", "#e69f00")]
)
def test_a_dark_page_gets_light_ink_and_keeps_light_colours(light: str, dark: str) -> None:
    assert module("ink").dark(f"stroke: {light};") == f"stroke: {dark};"


@pytest.mark.usefixtures("tools")
@pytest.mark.parametrize("colour", [*plotting.style.PALETTE, "#00003c"])
def test_colours_of_figures_can_be_seen_on_a_dark_page(colour: str) -> None:
    ink = module("ink")
    assert ink.contrast(ink.dark(colour.lower())) >= ink.CONTRAST


@pytest.mark.usefixtures("tools")
def test_scales_and_pictures_keep_their_colours() -> None:
    ink = module("ink")
    assert not ink.can_be_dark('<g id="QuadMesh_1">')
    assert not ink.can_be_dark('<image xlink:href="data:image/png;base64,">')
    assert ink.can_be_dark('<g id="line2d_1">')


@pytest.mark.usefixtures("tools")
def test_a_claim_that_does_not_hold_or_does_not_stand_on_its_page_is_refused() -> None:
    claims = module("claims").Claims()
    arguments = {"page": "docs/scaling.md", "within": 1e-3, "command": "x"}
    claims.add("F(1)", "0.514056", exact=0.514056, computed=0.5141, **arguments)
    assert len(claims.rows) == 1
    with pytest.raises(ValueError, match="off the exact"):
        claims.add("F(1)", "0.514056", exact=0.52, computed=0.5141, **arguments)
    with pytest.raises(ValueError, match="off the claimed"):
        claims.add("F(1)", "0.514056", exact=None, computed=0.53, **arguments)
    with pytest.raises(ValueError, match="does not stand in"):
        claims.add("F(1)", "0.51405678", exact=None, computed=0.51405678, **arguments)
    table = module("claims").Claims()
    table.add("<b>", "0.514056", exact=None, computed=0.514056, **arguments)
    assert "&lt;b&gt;" in table._repr_html_()


@pytest.mark.usefixtures("tools")
def test_the_font_of_formulas_says_where_indices_stand(tmp_path: Path) -> None:
    from fontTools.ttLib import TTFont

    module("mathfont").write(tmp_path / "formulas.woff")
    font = TTFont(tmp_path / "formulas.woff")
    constants = font["MATH"].table.MathConstants
    assert constants.SubscriptShiftDown.Value > 0
    assert constants.AxisHeight.Value > 0
    # slanted letters, Greek ones among them
    assert {0x1D465, 0x1D70E, 0x2211} <= set(font.getBestCmap())


def test_the_release_notes_and_the_citation_are_of_this_version() -> None:
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"version: {sp.__version__}" in citation
    assert f"## {sp.__version__}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
