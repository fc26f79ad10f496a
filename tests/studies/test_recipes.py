"""Where shipped files are looked for, in the source tree and in an installed package."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from specent import files, studies
from specent.errors import SpecentError


def package_in(root: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    package = root / "specent"
    package.mkdir()
    monkeypatch.setattr(files, "_PACKAGE", package)
    return package


def test_the_source_tree_has_its_folders_beside_the_package() -> None:
    assert files.shipped_folder("recipes").is_dir()
    assert files.shipped_folder("datasets").is_dir()
    assert "quickstart" in studies.recipe_names()


def test_an_installed_package_carries_its_folders_inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inside = package_in(tmp_path, monkeypatch) / "datasets"
    inside.mkdir()
    (tmp_path / "datasets").mkdir()
    assert files.shipped_folder("datasets") == inside


def test_an_unrelated_folder_beside_an_installed_package_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package_in(tmp_path, monkeypatch)
    (tmp_path / "datasets").mkdir()
    with pytest.raises(SpecentError, match="lacks its folder 'datasets'"):
        files.shipped_folder("datasets")


def test_recipes_of_one_name_do_not_hide_libraries(tmp_path: Path) -> None:
    import json

    (tmp_path / "json.py").write_text("class Settings: ...\ndef main(settings): ...\n")
    assert studies.recipe(str(tmp_path / "json.py")).__name__ == "_specent_recipe_json"
    import json as again

    assert again is json
    assert again.dumps([1]) == "[1]"


def test_dashes_in_a_name_are_read_as_underscores() -> None:
    assert studies.recipe_path("train-digits") == studies.recipe_path("train_digits")


def test_settings_are_stored_with_paths_as_text() -> None:
    @dataclass(frozen=True)
    class Settings:
        output: Path = Path("a/b.nc")
        steps: int = 3
        labels: tuple[str, ...] = ("a", "b")

    assert studies.stored_settings(Settings()) == {"output": "a/b.nc", "steps": 3, "labels": ("a", "b")}
    assert studies.stored_settings(Settings(), "output", "labels") == {"steps": 3}


def test_a_table_that_cannot_be_made_is_a_note(capsys: pytest.CaptureFixture[str]) -> None:
    def broken() -> list[str]:
        raise SpecentError("there is no peak")

    studies.print_lines(broken)
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == "specent: the archive is written, but nothing can be printed about it: there is no peak\n"
    studies.print_lines(lambda: ["one", "two"])
    assert capsys.readouterr().out == "one\ntwo\n"


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("import a_library_that_is_not_there\n", "line 1: ModuleNotFoundError: No module named 'a_library"),
        ("x = 1\n\nx / 0\n", "line 3: ZeroDivisionError: division by zero"),
        ("raise SystemExit(0)\n", "line 1: SystemExit: 0"),
        ("import json\njson.loads('{')\n", "line 2: JSONDecodeError"),
    ],
)
def test_a_recipe_that_fails_when_it_is_loaded_is_reported_with_its_line(
    source: str, said: str, tmp_path: Path
) -> None:
    path = tmp_path / "mine.py"
    path.write_text(source)
    with pytest.raises(SpecentError) as caught:
        studies.recipe(str(path))
    assert f"{path}, {said}" in str(caught.value)
