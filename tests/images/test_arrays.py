"""Pictures in .npz files, and the line of text that names a data set."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

import specent as sp
from specent.errors import SpecentError

PIXELS = np.random.default_rng(0).integers(0, 256, (4, 3, 6, 5), dtype=np.uint8)
LABELS = np.array(["b", "a", "b", "a"])


def test_pixels_and_labels_come_back(tmp_path: Path) -> None:
    np.savez(tmp_path / "few.npz", images=PIXELS, labels=LABELS)
    data = sp.images.npz(tmp_path / "few.npz")
    np.testing.assert_allclose(data.images, PIXELS / 127.5 - 1, atol=2e-7)
    assert data.classes == ("a", "b")
    assert data.label_names.tolist() == LABELS.tolist()
    assert data.name == "few"


@pytest.mark.parametrize("layout", ["channels last", "grey", "floats", "compressed"])
def test_the_same_pictures_in_other_forms(tmp_path: Path, layout: str) -> None:
    images = {
        "channels last": PIXELS.transpose(0, 2, 3, 1),
        "grey": PIXELS[:, 0],
        "floats": (PIXELS / 127.5 - 1).astype(np.float32),
        "compressed": PIXELS,
    }[layout]
    (np.savez_compressed if layout == "compressed" else np.savez)(tmp_path / "x.npz", images=images, labels=LABELS)
    data = sp.images.npz(tmp_path / "x.npz")
    expected = PIXELS[:, :1] if layout == "grey" else PIXELS
    np.testing.assert_allclose(data.images, expected / 127.5 - 1, atol=2e-7)


def test_whole_numbers_are_classes_in_their_own_order_or_point_to_names(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", images=PIXELS, labels=np.array([10, 9, 10, 9]))
    data = sp.images.npz(tmp_path / "a.npz")
    assert data.classes == ("9", "10")
    assert data.label_names.tolist() == ["10", "9", "10", "9"]
    np.savez(tmp_path / "b.npz", images=PIXELS, labels=np.array([0, 1, 0, 1]), classes=np.array(["x", "c"]))
    assert sp.images.npz(tmp_path / "b.npz").label_names.tolist() == ["x", "c", "x", "c"]
    np.savez(tmp_path / "c.npz", images=PIXELS, labels=LABELS, classes=np.array(["b", "a"]))
    data = sp.images.npz(tmp_path / "c.npz")
    assert data.classes == ("b", "a")
    assert data.label_names.tolist() == LABELS.tolist()


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"images": PIXELS}, "not 'labels'"),
        ({"x": PIXELS, "labels": LABELS}, "not 'images'"),
        ({"images": PIXELS.astype(np.int32), "labels": LABELS}, "images hold int32"),
        ({"images": PIXELS / 255, "labels": LABELS}, r"2 \* images - 1"),
        ({"images": PIXELS / 100 - 1, "labels": LABELS}, r"images\[\d\] runs from"),
        ({"images": PIXELS[:, :2], "labels": LABELS}, r"shape \(4, 2, 6, 5\)"),
        ({"images": PIXELS[0, 0], "labels": LABELS}, r"shape \(6, 5\)"),
        ({"images": PIXELS, "labels": LABELS[:3]}, r"labels of shape \(3,\)"),
        ({"images": PIXELS, "labels": np.array([0.0, 1.0, 0.0, 1.0])}, "labels of shape"),
        (
            {"images": PIXELS, "labels": np.array([0, 1, 2, 1]), "classes": np.array(["a", "b"])},
            "labels run from 0 to 2",
        ),
        ({"images": PIXELS, "labels": np.array(["a", "b", "c", "a"]), "classes": np.array(["a", "b"])}, "label 'c'"),
        ({"images": PIXELS, "labels": np.array([0, 1, 1, 1]), "classes": np.array([["a", "b"]])}, "classes of shape"),
        ({"images": PIXELS, "labels": np.array([0, 1, 1, 1]), "classes": np.array(["a", "b", "c"])}, "'c'.*without"),
        ({"images": PIXELS, "labels": np.array([None, 1, 2, 3])}, "'labels' holds Python objects"),
    ],
)
def test_arrays_that_do_not_serve_are_named(tmp_path: Path, arrays: dict[str, np.ndarray], message: str) -> None:
    np.savez(tmp_path / "x.npz", **arrays)
    with pytest.raises(SpecentError, match=message):
        sp.images.npz(tmp_path / "x.npz")


def test_a_pickle_inside_is_not_run(tmp_path: Path) -> None:
    class Harm:
        def __reduce__(self) -> tuple[object, tuple[object, ...]]:
            return Path.touch, (tmp_path / "harm",)

    harm = np.empty(4, dtype=object)
    harm[:] = Harm()
    np.savez(tmp_path / "x.npz", images=PIXELS, labels=harm)
    with pytest.raises(SpecentError, match="Python objects"):
        sp.images.npz(tmp_path / "x.npz")
    assert not (tmp_path / "harm").exists()


def test_a_head_that_claims_more_than_follows_is_refused_before_memory_is_taken(tmp_path: Path) -> None:
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": (10**12, 3, 8, 8)})
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("images.npy", file.getvalue() + bytes(100))
        archive.writestr("labels.npy", b"")
    with pytest.raises(SpecentError, match="'images' is damaged"):
        sp.images.npz(tmp_path / "x.npz")


@pytest.mark.parametrize(
    ("name", "descr", "shape"),
    [
        ("images", "|u1", (True, 8, 8)),
        ("images", "|u1", (0, 10**22)),
        ("labels", "<U0", (10**12,)),
    ],
)
def test_a_head_that_makes_no_sense_is_refused(name: str, descr: str, shape: tuple[int, ...], tmp_path: Path) -> None:
    np.savez(tmp_path / "good.npz", images=PIXELS, labels=LABELS)
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(head, {"descr": descr, "fortran_order": False, "shape": shape})
    with zipfile.ZipFile(tmp_path / "good.npz") as good, zipfile.ZipFile(tmp_path / "x.npz", "w") as bad:
        for member in good.namelist():
            bad.writestr(member, head.getvalue() + bytes(64 * (True in shape)) if name in member else good.read(member))
    with pytest.raises(SpecentError, match=f"'{name}' of shape .* holds nothing"):
        sp.images.npz(tmp_path / "x.npz")


def test_members_that_are_not_arrays_of_numpy_are_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("images", b"x")
        archive.writestr("labels", b"x")
    with pytest.raises(SpecentError, match="not 'images'"):
        sp.images.npz(tmp_path / "x.npz")


def test_memory_is_counted_with_the_copies_in_single_precision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.savez_compressed(tmp_path / "x.npz", images=np.zeros((4, 1, 64, 64), dtype=np.uint8), labels=LABELS)
    # 16384 numbers of one byte in the file, of four in memory, twice
    for memory, enough in ((16384 * 9 - 1, False), (16384 * 9, True)):
        monkeypatch.setattr("specent.memory.total", lambda memory=memory: memory)
        if enough:
            assert len(sp.images.npz(tmp_path / "x.npz")) == 4
        else:
            with pytest.raises(SpecentError, match="would need"):
                sp.images.npz(tmp_path / "x.npz")


def test_a_label_beyond_all_classes_is_shown_as_it_is(tmp_path: Path) -> None:
    labels = np.array([0, 1, 0, 2**64 - 1], dtype=np.uint64)
    np.savez(tmp_path / "x.npz", images=PIXELS, labels=labels, classes=np.array(["a", "b"]))
    with pytest.raises(SpecentError, match="labels run from 0 to 18446744073709551615"):
        sp.images.npz(tmp_path / "x.npz")


@pytest.mark.parametrize(
    ("options", "message"),
    [({"size": -5}, "size=-5"), ({"channels": 7}, "channels=7"), ({"size": 16}, "size=16: 'digits' has pictures of 8")],
)
def test_a_form_that_cannot_be_had_is_refused(options: dict[str, int], message: str) -> None:
    with pytest.raises(SpecentError, match=message):
        sp.images.read("digits", **options)


def test_damaged_and_foreign_files_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", images=PIXELS, labels=LABELS)
    data = (tmp_path / "x.npz").read_bytes()
    (tmp_path / "cut.npz").write_bytes(data[: len(data) // 2])
    (tmp_path / "text.npz").write_text("no archive")
    damaged = bytearray(data)
    damaged[300] ^= 1
    (tmp_path / "flipped.npz").write_bytes(damaged)
    for name in ("cut", "text", "flipped"):
        with pytest.raises(SpecentError, match=f"{name}.npz.* cannot be read as an .npz file"):
            sp.images.npz(tmp_path / f"{name}.npz")
    with pytest.raises(SpecentError, match="is no file"):
        sp.images.npz(tmp_path / "none.npz")


def test_a_line_of_text_names_a_data_set(tmp_path: Path, two_classes: Path) -> None:
    assert len(sp.images.read("digits")) == 1797
    assert sp.images.read(f"folder:{two_classes}").counts == {"cat": 2, "dog": 3}
    np.savez(tmp_path / "x.npz", images=PIXELS, labels=LABELS)
    assert sp.images.read(str(tmp_path / "x.npz")).shape == (3, 6, 5)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "data=''"),
        ("mnist", "data='mnist' is none of 'digits', 'cifar10:PATH'"),
        ("cifar10", "write cifar10:PATH"),
        ("folder:", "write folder:PATH"),
        ("digits:", "write digits alone"),
        ("cifar10:/nowhere", "does not exist"),
        ("folder:/nowhere", "is no folder"),
        (5, "data=5"),
    ],
)
def test_a_text_that_names_none_is_refused(text: str, message: str) -> None:
    with pytest.raises(SpecentError, match=message):
        sp.images.read(text)


def test_an_array_that_unpacks_to_far_more_than_data_do_is_refused(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "x.npz", images=np.zeros((2**17, 1, 24, 24), np.uint8), labels=LABELS)
    assert (tmp_path / "x.npz").stat().st_size < 100_000
    with pytest.raises(SpecentError, match=r"'images' has \d+ bytes and would unpack to 75497600"):
        sp.images.npz(tmp_path / "x.npz")
    # the list of contents lies about the packed size, too
    content = bytearray((tmp_path / "x.npz").read_bytes())
    entry = content.index(b"PK\x01\x02")
    content[entry + 20 : entry + 24] = (2**30).to_bytes(4, "little")
    (tmp_path / "x.npz").write_bytes(content)
    with pytest.raises(SpecentError, match="would unpack to 75497600"):
        sp.images.npz(tmp_path / "x.npz")


def test_other_ways_of_packing_and_other_heads_are_refused(tmp_path: Path) -> None:
    array = io.BytesIO()
    np.lib.format.write_array(array, PIXELS, version=(2, 0))
    for method, message in ((zipfile.ZIP_LZMA, "packed in another way"), (zipfile.ZIP_STORED, r"version \(2, 0\)")):
        with zipfile.ZipFile(tmp_path / "x.npz", "w", method) as archive:
            archive.writestr("images.npy", array.getvalue())
            archive.writestr("labels.npy", array.getvalue())
        with pytest.raises(SpecentError, match=message):
            sp.images.npz(tmp_path / "x.npz")
