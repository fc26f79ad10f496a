"""Tiny random pipelines of the real classes, written once. Nothing is fetched from anywhere."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from specent.models.diffusers.tiny_pipelines import write_pipeline

Folder = Callable[[str], Path]


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    """Folder of a tiny pipeline by its kind; ``"unet:3"`` has the weights of seed 3."""
    root = tmp_path_factory.mktemp("pipelines")

    def written(kind: str) -> Path:
        name, _, seed = kind.partition(":")
        target = root / kind.replace(":", "_")
        return target if target.exists() else write_pipeline(name, target, seed=int(seed or 0))

    return written


@pytest.fixture
def copied(folder: Folder, tmp_path: Path) -> Folder:
    """The same, as a copy that may be spoilt."""

    def copy(kind: str) -> Path:
        target = tmp_path / kind
        shutil.copytree(folder(kind), target)
        return target

    return copy
