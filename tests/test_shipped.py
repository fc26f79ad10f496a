"""Where shipped files are looked for, in the source tree and in an installed package."""

from __future__ import annotations

from pathlib import Path

import pytest

from specent import _shipped
from specent.errors import SpecentError


def place(root: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    package = root / "specent"
    package.mkdir()
    monkeypatch.setattr(_shipped, "_PACKAGE", package)
    return package


def test_the_source_tree_has_its_folders_beside_the_package() -> None:
    assert _shipped.folder("recipes").is_dir()
    assert _shipped.folder("datasets").is_dir()
    assert "quickstart" in _shipped.recipe_names()


def test_an_installed_package_carries_its_folders_inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inside = place(tmp_path, monkeypatch) / "datasets"
    inside.mkdir()
    (tmp_path / "datasets").mkdir()
    assert _shipped.folder("datasets") == inside


def test_an_unrelated_folder_beside_an_installed_package_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place(tmp_path, monkeypatch)
    (tmp_path / "datasets").mkdir()
    with pytest.raises(SpecentError, match="lacks its folder 'datasets'"):
        _shipped.folder("datasets")


def test_recipes_of_one_name_do_not_hide_libraries(tmp_path: Path) -> None:
    import json

    (tmp_path / "json.py").write_text("class Settings: ...\ndef main(settings): ...\n")
    assert _shipped.recipe(str(tmp_path / "json.py")).__name__ == "_specent_recipe_json"
    import json as again

    assert again is json
    assert again.dumps([1]) == "[1]"


def test_dashes_in_a_name_are_read_as_underscores() -> None:
    assert _shipped.recipe_path("train-digits") == _shipped.recipe_path("train_digits")
