"""What the distribution says about itself."""

import importlib.util
import re
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
README = (ROOT / "README.md").read_text(encoding="utf-8")


TARGET = re.compile(r"\]\(([^)#][^)]*)\)")


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The build hook, whose own library is only there while a wheel is built."""
    interface = ModuleType("hatchling.metadata.plugin.interface")
    interface.MetadataHookInterface = object  # type: ignore[attr-defined]
    for name in ("hatchling", "hatchling.metadata", "hatchling.metadata.plugin"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setitem(sys.modules, interface.__name__, interface)
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def described(hook: ModuleType, **metadata: object) -> str:
    instance = hook.LongDescription()
    instance.root = str(ROOT)
    metadata = {"version": "0.2.0", **metadata}
    instance.update(metadata)
    assert metadata["readme"]["content-type"] == "text/markdown"
    return str(metadata["readme"]["text"])


def test_the_long_description_has_no_link_that_only_works_in_the_repository(hook: ModuleType) -> None:
    assert any("://" not in target for target in TARGET.findall(README))
    text = described(hook, urls=PROJECT.get("urls", {}))
    assert [target for target in TARGET.findall(text) if "://" not in target] == []
    # a caption without its picture would puzzle
    assert ("docs/images/digits.png" in text) == ("A small model of the 8 x 8 handwritten digits" in text)
    assert text.startswith("# specent")
    assert len(text) > 0.8 * len(README)


def test_links_are_absolute_where_there_is_a_repository(hook: ModuleType) -> None:
    text = described(hook, urls={"Repository": "https://example.org/specent/"})
    assert "](https://example.org/specent/raw/v0.2.0/docs/images/digits.png)" in text
    assert "](https://example.org/specent/raw/v0.2.0/CONTRIBUTING.md)" in text
    assert [target for target in TARGET.findall(text) if "://" not in target] == []


def test_no_url_is_a_placeholder() -> None:
    for url in PROJECT.get("urls", {}).values():
        assert not re.search(r"example\.|TODO|OWNER|your-", url)


def test_every_file_says_the_same_version_and_date() -> None:
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    fields = dict(re.findall(r'^([\w-]+): "?([^"\n]+)"?$', citation, re.MULTILINE))
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    released, date = re.findall(r"^## (\d[\d.]*) - (\d{4}-\d\d-\d\d)$", changes, re.MULTILINE)[0]
    assert PROJECT["version"] == fields["version"] == released
    assert fields["date-released"] == date
    assert fields["license"] == PROJECT["license"]
    assert fields["cff-version"] == "1.2.0"
