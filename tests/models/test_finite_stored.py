"""A finite data set that stays on disk, against the same set in memory."""

import hashlib
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import specent as sp
from specent.errors import ModelError

RNG = np.random.default_rng(5)
IMAGES = RNG.normal(size=(600, 3, 4, 4)).astype(np.float32)
GREYS = RNG.integers(0, 256, size=(600, 3, 4, 4), dtype=np.uint8)
LABELS = RNG.choice(["x", "y", "z"], size=600)


class Reader:
    """What an array in a file is: numbers by slices and increasing indices, and the most rows asked for at once."""

    def __init__(self, numbers: np.ndarray) -> None:
        self.numbers = numbers
        self.shape = numbers.shape
        self.dtype = numbers.dtype
        self.most = 0

    def __getitem__(self, rows: slice | np.ndarray) -> np.ndarray:
        if not isinstance(rows, slice):
            assert (np.diff(rows) > 0).all()
        found = self.numbers[rows]
        self.most = max(self.most, len(found))
        return found


def mapped(folder: Path, numbers: np.ndarray) -> np.memmap:
    """These numbers in a file."""
    np.save(folder / "images.npy", numbers)
    made = np.load(folder / "images.npy", mmap_mode="r")
    assert isinstance(made, np.memmap)
    return made


@pytest.mark.parametrize("kind", ["f4", "u1", ">f8", "i8"])
@pytest.mark.parametrize("precision", ["float64", "float32"])
@pytest.mark.parametrize("ordered", [False, True])
def test_a_memory_map_is_the_same_model_as_the_array(kind: str, precision: Any, ordered: bool, tmp_path: Path) -> None:
    numbers = (IMAGES if "f" in kind else GREYS).astype(kind)
    numbers = (IMAGES if "f" in kind else GREYS).astype(kind)
    labels = np.sort(LABELS) if ordered else LABELS
    here = sp.models.finite(numbers, labels, precision=precision, block=100)
    there = sp.models.finite(mapped(tmp_path, numbers), labels, precision=precision, block=100)
    assert there.identity == here.identity
    assert isinstance(here.images, torch.Tensor)
    assert not isinstance(there.images, torch.Tensor)
    spread = float(numbers.std())
    for sigma in (0.1 * spread, 10 * spread):
        state = torch.as_tensor(numbers[:20].astype(float)) + sigma * torch.randn(20, 3, 4, 4, dtype=torch.float64)
        for one, other in zip(there.moments(state, sigma), here.moments(state, sigma), strict=True):
            np.testing.assert_array_equal(one, other)
        for condition in (torch.full((20,), 3), torch.arange(20) % 4):
            np.testing.assert_array_equal(
                there.denoise(state, sigma, condition), here.denoise(state, sigma, condition)
            )  # fmt: skip
    drivers = torch.arange(3).repeat_interleave(500)
    draws = [model.draw_data(drivers, torch.Generator().manual_seed(1)) for model in (there, here)]
    np.testing.assert_array_equal(*draws)


def test_exact_profiles_of_a_memory_map(tmp_path: Path) -> None:
    sources = (mapped(tmp_path, GREYS), GREYS)
    arguments = (sp.schedules.VE(), [1.0, 30.0], "full")
    there, here = (
        sp.models.finite(source, LABELS).exact_profiles(*arguments, samples=20, progress=False) for source in sources
    )
    assert there.identical(here)


@pytest.mark.parametrize("block", [7, 100])
def test_an_array_on_disk_is_read_in_blocks_and_forwards(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_module("specent.models.finite"), "_AT_ONCE", block * 48)
    source = Reader(IMAGES)
    model = sp.models.finite(source, LABELS, block=block)
    state = torch.as_tensor(IMAGES[:20]).double()
    log_density, mean = model.moments(state, 0.5)
    assert source.most == block
    expected = sp.models.finite(IMAGES, LABELS, block=block).moments(state, 0.5)
    np.testing.assert_array_equal(log_density, expected[0])
    np.testing.assert_array_equal(mean, expected[1])


def test_the_digest_is_of_the_numbers_sorted_by_label() -> None:
    order = np.argsort(LABELS, kind="stable")
    for numbers in (IMAGES, GREYS):
        text = numbers[order].astype(np.float64).tobytes() + "\n".join(np.sort(LABELS)).encode()
        for precision in ("float64", "float32"):
            model = sp.models.finite(numbers, LABELS, precision=precision)
            assert model.identity["sha256"] == hashlib.sha256(text).hexdigest()


def test_single_precision_is_part_of_the_identity_and_double_precision_is_not() -> None:
    double, single = (sp.models.finite(IMAGES, LABELS, precision=name).identity for name in ("float64", "float32"))
    assert single == {**double, "precision": "float32"}
    assert "precision" not in double


def test_draws_of_whole_numbers_are_the_data_in_both_precisions() -> None:
    drivers = torch.arange(3).repeat_interleave(100)
    for precision in ("float64", "float32"):
        model = sp.models.finite(GREYS, LABELS, precision=precision)
        draws = model.draw_data(drivers, torch.Generator().manual_seed(3)).numpy()
        known = {tuple(row) for row in GREYS.reshape(600, -1).tolist()}
        assert {tuple(row) for row in draws.tolist()} <= known
        assert draws.dtype == np.float64


def test_the_array_may_change_after_it_was_given() -> None:
    images = IMAGES.astype(np.float64)
    model = sp.models.finite(images, np.sort(LABELS))
    state = torch.as_tensor(IMAGES[:4]).double()
    before = model.moments(state, 1.0)[1]
    images[:] = 0.0
    np.testing.assert_array_equal(model.moments(state, 1.0)[1], before)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"precision": "float16"}, "precision='float16' must be 'float64' or 'float32'"),
        ({"precision": None}, "precision=None must be 'float64' or 'float32'"),
        ({"precision": ["float32"]}, "precision=.*float32.* must be"),
        (
            {"images": [[1e50], [0.0]], "precision": "float32"},
            r"up to 1e\+50, too large to be held in single",
        ),
        ({"images": Reader(np.array([[1.0], [np.inf]]))}, r"images\[1\] holds a NaN or an infinity"),
        ({"images": Reader(np.ma.masked_array([[1.0], [2.0]], [[True], [False]]))}, "images holds masked values"),
        ({"images": Reader(np.zeros((3, 1)))}, r"images has shape \(3, 1\)"),
        ({"images": Reader(np.zeros((2, 1), complex))}, "images="),
    ],
)
def test_what_cannot_be_used_is_named(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        sp.models.finite(**{"images": [[-1.0], [1.0]], "labels": ["a", "b"], **change})
