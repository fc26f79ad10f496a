"""Pictures for the tests."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

MakePicture = Callable[..., bytes]


@pytest.fixture
def picture() -> MakePicture:
    """Bytes of a picture file with random pixels of a mode."""

    def make(height: int = 4, width: int = 4, mode: str = "RGB", seed: int = 0, form: str = "PNG") -> bytes:
        channels = len(Image.new(mode, (1, 1)).getbands())
        pixels = np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)
        image = Image.fromarray(pixels[..., 0] if channels == 1 else pixels, mode=None if mode != "CMYK" else "CMYK")
        file = io.BytesIO()
        image.convert(mode).save(file, form)
        return file.getvalue()

    return make


@pytest.fixture
def two_classes(tmp_path: Path, picture: MakePicture) -> Path:
    """A folder of two cats and three dogs, 4 x 4 in colour."""
    for label, count in (("cat", 2), ("dog", 3)):
        (tmp_path / "animals" / label).mkdir(parents=True)
        for i in range(count):
            (tmp_path / "animals" / label / f"{i}.png").write_bytes(picture(seed=i))
    return tmp_path / "animals"
