"""A set of pictures is what it says, or is refused."""

import hashlib

import numpy as np
import pytest

import specent as sp
from specent.errors import SpecentError
from specent.images.imageset import check_memory, to_unit_range


def test_pixels_are_mapped_linearly_from_black_to_white() -> None:
    values = np.arange(256, dtype=np.uint8)
    exact = values.astype(np.float64) / 127.5 - 1
    # single precision between -1 and 1: half a unit in the last place is 6e-8, after two operations
    np.testing.assert_allclose(to_unit_range(values), exact, rtol=0, atol=2e-7)
    assert to_unit_range(values)[0] == -1
    assert to_unit_range(values)[-1] == 1


def test_the_digest_is_that_of_pictures_labels_and_names() -> None:
    images = np.linspace(-1, 1, 2 * 16).reshape(2, 1, 4, 4)
    data = sp.images.ImageSet(images, np.array([1, 0], dtype=np.int32), ("a", "b"), "two")
    content = images.astype("<f4").tobytes() + np.array([1, 0], dtype="<i8").tobytes() + b"a\nb"
    assert data.sha256 == hashlib.sha256(content).hexdigest()
    other = sp.images.ImageSet(images, np.array([0, 1]), ("a", "b"), "two")
    assert other.sha256 != data.sha256


def test_a_set_knows_its_shape_counts_and_names() -> None:
    data = sp.images.ImageSet(np.zeros((3, 3, 2, 5)), np.array([1, 1, 0]), ("a", "b"), "few", ("note",))
    assert data.shape == (3, 2, 5)
    assert data.counts == {"a": 1, "b": 2}
    assert data.label_names.tolist() == ["b", "b", "a"]
    assert len(data) == 3
    assert data.notes == ("note",)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"images": np.zeros((2, 2, 4, 4))}, r"images of shape \(2, 2, 4, 4\)"),
        ({"images": np.zeros((2, 4, 4))}, r"images of shape \(2, 4, 4\)"),
        ({"images": np.zeros((0, 1, 4, 4)), "labels": np.zeros(0, int)}, r"images of shape \(0, 1, 4, 4\)"),
        ({"images": np.array([[["a"]]], dtype=object)}, "images of shape"),
        ({"images": np.full((2, 1, 4, 4), np.nan)}, r"images\[0\] runs from nan"),
        ({"images": np.concatenate([np.zeros((1, 1, 2, 2)), np.full((1, 1, 2, 2), 1.5)])}, r"images\[1\].* 1.5 to 1.5"),
        ({"labels": np.array([0, 2])}, "labels run from 0 to 2; there are 2 classes"),
        ({"labels": np.array([-1, 1])}, "labels run from -1"),
        ({"labels": np.array([0.0, 1.0])}, "labels of shape"),
        ({"labels": np.array([0])}, r"labels of shape \(1,\)"),
        ({"labels": np.array([0, 0])}, r"1 class \('b'\) without pictures"),
        ({"classes": ("a", "a")}, "distinct"),
        ({"classes": ("a", "null")}, "named 'null'"),
        ({"name": ""}, "name=''"),
    ],
)
def test_what_does_not_fit_is_named(change: dict[str, object], message: str) -> None:
    good = {"images": np.zeros((2, 1, 4, 4)), "labels": np.array([0, 1]), "classes": ("a", "b"), "name": "two"}
    with pytest.raises(SpecentError, match=message):
        sp.images.ImageSet(**{**good, **change})


def test_more_pictures_than_memory_holds_are_refused_before_they_are_read() -> None:
    with pytest.raises(SpecentError, match=r"path='x': 10\d+ pictures of 3 x 64 x 64 would need .* GiB"):
        check_memory(10**12, (3, 64, 64), "path='x'")


def test_the_digits_are_those_of_the_exact_model() -> None:
    images, labels = sp.models.digits_data()
    data = sp.images.digits()
    # multiples of an eighth are exact in single precision
    np.testing.assert_array_equal(data.images, images)
    np.testing.assert_array_equal(data.label_names, labels)
