"""CIFAR-10 in both its forms, written here as the originals are, and the same pictures come out.

The Python batches are pickles of protocol 2 by Python 2; a writer of that form stands here, since Python 3 writes text
and bytes otherwise.
"""

import io
import json
import pickle
import struct
import tarfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

import specent as sp
from specent.errors import SpecentError
from specent.images.cifar import CLASSES

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (50, 3, 32, 32), dtype=np.uint8)
LABELS = np.concatenate([np.arange(10), RNG.integers(0, 10, 40)])


def text(value: str | bytes) -> bytes:
    """A string of Python 2: BINSTRING."""
    data = value.encode() if isinstance(value, str) else value
    return b"T" + struct.pack("<i", len(data)) + data


def whole(value: int) -> bytes:
    """BININT."""
    return b"J" + struct.pack("<i", value)


def array(pixels: np.ndarray) -> bytes:
    """An array of bytes as NumPy under Python 2 pickled it."""
    rows, columns = pixels.shape
    empty = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\n" + whole(0) + b"\x85" + text("b") + b"\x87R"
    kind = b"cnumpy\ndtype\n" + text("u1") + whole(0) + whole(1) + b"\x87R"
    state = b"(" + whole(3) + text("|") + b"NNN" + whole(-1) + whole(-1) + whole(0) + b"t"
    filled = b"(" + whole(1) + whole(rows) + whole(columns) + b"\x86" + kind + state + b"b\x89" + text(pixels.tobytes())
    return empty + filled + b"tb"


def batch(pixels: np.ndarray, labels: np.ndarray) -> bytes:
    """A batch: a mapping of four entries."""
    numbers = b"](" + b"".join(whole(int(label)) for label in labels) + b"e"
    names = b"](" + b"".join(text(f"{i}.png") for i in range(len(labels))) + b"e"
    entries = [
        ("batch_label", text("training batch")),
        ("labels", numbers),
        ("data", array(pixels)),
        ("filenames", names),
    ]
    return b"\x80\x02}(" + b"".join(text(key) + value for key, value in entries) + b"u."


def meta(names: tuple[str, ...] = CLASSES) -> bytes:
    """The names of the classes."""
    listed = b"](" + b"".join(text(name) for name in names) + b"e"
    return b"\x80\x02}(" + text("num_cases_per_batch") + whole(10) + text("label_names") + listed + b"u."


@pytest.fixture
def batches(tmp_path: Path) -> Path:
    """The original version: five batches of ten pictures."""
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    for i in range(5):
        part = slice(10 * i, 10 * i + 10)
        (folder / f"data_batch_{i + 1}").write_bytes(batch(PIXELS[part].reshape(10, -1), LABELS[part]))
    (folder / "test_batch").write_bytes(batch(PIXELS[:10].reshape(10, -1), LABELS[:10]))
    (folder / "batches.meta").write_bytes(meta())
    return folder


def png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels.transpose(1, 2, 0)).save(file, "PNG")
    return file.getvalue()


def write_parquet(path: Path, pixels: np.ndarray, labels: np.ndarray, names: tuple[str, ...] | None = CLASSES) -> None:
    """As the hub keeps it: a structure of bytes and path, and the names of the classes with the schema."""
    rows = [{"bytes": png(picture), "path": None} for picture in pixels]
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    table = pa.table({"img": pa.array(rows, kind), "label": pa.array(labels.tolist(), pa.int64())})
    features = {"img": {"_type": "Image"}, "label": {"names": list(names or ()), "_type": "ClassLabel"}}
    metadata = {b"huggingface": json.dumps({"info": {"features": features}}).encode()} if names else {}
    pq.write_table(table.replace_schema_metadata(metadata), path)


def check_pictures(data: sp.images.ImageSet) -> None:
    assert data.name == "cifar10"
    assert data.classes == CLASSES
    assert data.labels.tolist() == LABELS.tolist()
    np.testing.assert_allclose(data.images, PIXELS / 127.5 - 1, atol=2e-7)
    assert data.notes == ("50 pictures; the whole train split has 50000",)


def test_the_original_batches_are_read_from_a_folder(batches: Path) -> None:
    check_pictures(sp.images.cifar10(batches))
    check_pictures(sp.images.cifar10(batches.parent))
    # what was written here is indeed a pickle of such arrays: the ordinary reader agrees
    batch_two = pickle.loads((batches / "data_batch_2").read_bytes(), encoding="bytes")
    np.testing.assert_array_equal(batch_two[b"data"], PIXELS[10:20].reshape(10, -1))


def test_the_original_archive_is_read_without_unpacking(batches: Path, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "cifar-10-python.tar.gz", "w:gz") as archive:
        archive.add(batches, "cifar-10-batches-py")
    before = sorted(tmp_path.rglob("*"))
    check_pictures(sp.images.cifar10(tmp_path / "cifar-10-python.tar.gz"))
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("protocol", range(5))
def test_batches_pickled_again_are_read_at_every_protocol(batches: Path, protocol: int) -> None:
    for i in range(5):
        part = slice(10 * i, 10 * i + 10)
        content = {"data": PIXELS[part].reshape(10, -1), "labels": LABELS[part].tolist()}
        (batches / f"data_batch_{i + 1}").write_bytes(pickle.dumps(content, protocol=protocol))
    (batches / "batches.meta").write_bytes(pickle.dumps({"label_names": list(CLASSES)}, protocol=protocol))
    check_pictures(sp.images.cifar10(batches))


def test_the_test_split_is_another_set(batches: Path) -> None:
    data = sp.images.cifar10(batches, split="test")
    assert data.name == "cifar10-test"
    assert data.labels.tolist() == LABELS[:10].tolist()


def test_the_parquet_files_of_the_hub_are_read_in_order(tmp_path: Path) -> None:
    (tmp_path / "plain_text").mkdir()
    write_parquet(tmp_path / "plain_text" / "train-00000-of-00002.parquet", PIXELS[:30], LABELS[:30])
    write_parquet(tmp_path / "plain_text" / "train-00001-of-00002.parquet", PIXELS[30:], LABELS[30:])
    write_parquet(tmp_path / "plain_text" / "test-00000-of-00001.parquet", PIXELS[:10], LABELS[:10])
    check_pictures(sp.images.cifar10(tmp_path))
    assert len(sp.images.cifar10(tmp_path, split="test")) == 10
    (tmp_path / "plain_text" / "train-00001-of-00002.parquet").unlink()
    with pytest.raises(SpecentError, match=r"lacks train-00001-of-00002.parquet"):
        sp.images.cifar10(tmp_path)


def test_names_of_the_classes_come_with_the_file(tmp_path: Path) -> None:
    names = tuple(f"class {i}" for i in range(10))
    write_parquet(tmp_path / "x.parquet", PIXELS, LABELS, names)
    assert sp.images.cifar10(tmp_path / "x.parquet").classes == names
    write_parquet(tmp_path / "x.parquet", PIXELS, LABELS, None)
    assert sp.images.cifar10(tmp_path / "x.parquet").classes == CLASSES
    write_parquet(tmp_path / "x.parquet", PIXELS, LABELS, names[:5])
    with pytest.raises(SpecentError, match="names 5 classes"):
        sp.images.cifar10(tmp_path / "x.parquet")


@pytest.mark.parametrize("name", ["os system", "builtins eval", "builtins getattr", "posix fork"])
def test_a_hostile_batch_cannot_act(batches: Path, name: str, tmp_path: Path) -> None:
    module, function = name.split()
    command = f"touch {tmp_path / 'harm'}"
    harm = f"c{module}\n{function}\n".encode() + b"(" + text(command) + b"tR"
    (batches / "data_batch_3").write_bytes(b"\x80\x02}(" + text("labels") + harm + b"u.")
    with pytest.raises(SpecentError, match=rf"data_batch_3 asks for '{module}.{function}'.* was not run"):
        sp.images.cifar10(batches)
    assert not (tmp_path / "harm").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "data_batch_1 is damaged, cut short or no pickle"),
        (b"no pickle", "data_batch_1 is damaged"),
        (batch(PIXELS[:10].reshape(10, -1), LABELS[:10])[:-1000], "data_batch_1 is damaged"),
        (pickle.dumps([1, 2]), "data_batch_1 holds a list"),
        (pickle.dumps({"data": PIXELS[:10].reshape(10, -1)}), "no list of whole numbers under 'labels'"),
        (pickle.dumps({"data": PIXELS[:10].reshape(10, -1), "labels": [0.5] * 10}), "no list of whole numbers"),
        (pickle.dumps({"data": PIXELS[:10].reshape(10, -1), "labels": [0] * 9}), r"shape \(10, 3072\) for 9 labels"),
        (pickle.dumps({"data": PIXELS[:10, 0].reshape(10, -1), "labels": [0] * 10}), r"shape \(10, 1024\)"),
        (pickle.dumps({"data": b"x" * 3072, "labels": [0]}), "no array of bytes"),
        (pickle.dumps({"data": np.zeros((1, 3072)), "labels": [0]}), "no array of bytes"),
        (pickle.dumps({"data": PIXELS[:10].reshape(10, -1), "labels": [10] * 10}), "labels run from 0 to 10"),
    ],
)
def test_batches_that_do_not_serve_are_named(batches: Path, content: bytes, message: str) -> None:
    (batches / "data_batch_1").write_bytes(content)
    with pytest.raises(SpecentError, match=message):
        sp.images.cifar10(batches)


def test_what_is_missing_is_named(batches: Path, tmp_path: Path) -> None:
    (batches / "data_batch_4").unlink()
    with pytest.raises(SpecentError, match=r"neither train-\*.parquet nor 'data_batch_4'"):
        sp.images.cifar10(batches)
    with pytest.raises(SpecentError, match="does not exist"):
        sp.images.cifar10(tmp_path / "none")
    with pytest.raises(SpecentError, match="split='validation'"):
        sp.images.cifar10(batches, split="validation")
    (batches / "batches.meta").write_bytes(meta(CLASSES[:3]))
    (tmp_path / "text.tar.gz").write_text("no archive")
    with pytest.raises(SpecentError, match="cannot be read"):
        sp.images.cifar10(tmp_path / "text.tar.gz")


def test_meta_with_other_than_ten_names_is_refused(batches: Path) -> None:
    (batches / "batches.meta").write_bytes(meta(CLASSES[:3]))
    with pytest.raises(SpecentError, match="no ten classes"):
        sp.images.cifar10(batches)


def test_tables_that_do_not_serve_are_named(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"image": [1], "label": [0]}), path)
    with pytest.raises(SpecentError, match=r"columns \['image', 'label'\]"):
        sp.images.cifar10(path)
    write_parquet(path, PIXELS[:, :, :16], LABELS)
    with pytest.raises(SpecentError, match=r"row 0 has shape \(16, 32, 3\)"):
        sp.images.cifar10(path)
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    for picture, message in ((None, "no bytes"), (b"text", "unreadable"), (png(PIXELS[0])[:-40], "unreadable")):
        rows = pa.array([{"bytes": png(PIXELS[0]), "path": None}, {"bytes": picture, "path": "x"}], kind)
        pq.write_table(pa.table({"img": rows, "label": [0, 1]}), path)
        with pytest.raises(SpecentError, match=f"row 1.* {message}"):
            sp.images.cifar10(path)
    write_parquet(path, PIXELS, LABELS + 5)
    with pytest.raises(SpecentError, match="labels run from"):
        sp.images.cifar10(path)
    write_parquet(path, PIXELS[:5], LABELS[:5])
    with pytest.raises(SpecentError, match=r"5 classes .*without pictures"):
        sp.images.cifar10(path)
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(SpecentError, match="cannot be read as parquet"):
        sp.images.cifar10(path)


@pytest.mark.parametrize("name", [b")" + b"2\x86" * 15, b"N", b"U\x00", b"U\x01\n", b"K\x05"])
def test_classes_that_have_no_names_are_refused_and_not_written_out(batches: Path, name: bytes) -> None:
    data = meta()
    first = text(CLASSES[0])
    assert data.count(first) == 1
    (batches / "batches.meta").write_bytes(data.replace(first, name))
    with pytest.raises(SpecentError, match=r"batches.meta names a class .* which is no name") as message:
        sp.images.cifar10(batches, progress=False)
    assert len(str(message.value)) < 1000


def test_entries_of_a_table_have_names(batches: Path) -> None:
    (batches / "batches.meta").write_bytes(meta()[:-2] + whole(5) + whole(5) + b"u.")
    with pytest.raises(SpecentError, match=r"batches.meta has an entry 5; those of a batch of CIFAR-10 have names"):
        sp.images.cifar10(batches, progress=False)
