"""No number comes out of a stored storage that was not written into it."""

from __future__ import annotations

import io
import pickle
import zipfile

import pytest
import torch

from specent.errors import ModelError
from specent.models.edm2.storages import storage


def saved(numbers: torch.Tensor, archive: bool) -> bytes:
    stream = io.BytesIO()
    torch.save(numbers._typed_storage(), stream, _use_new_zipfile_serialization=archive)
    return stream.getvalue()


@pytest.mark.parametrize("archive", [True, False])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.int64], ids=str)
@pytest.mark.parametrize("count", [0, 1, 37])
def test_numbers_are_those_that_torch_wrote(count: int, dtype: torch.dtype, archive: bool) -> None:
    numbers = (torch.arange(count) - 3).to(dtype)
    torch.testing.assert_close(storage(saved(numbers, archive), "weight"), numbers, rtol=0, atol=0)


def older(keys: list[str], claimed: int, written: int, payload: bytes) -> bytes:
    """The older form of single-precision numbers."""
    system = {"protocol_version": 1001, "little_endian": True, "type_sizes": {}}
    heads = [pickle.dumps(head, 2) for head in (0x1950A86A20F9469CFC6C, 1001, system)]
    position = b"(" + b"".join(
        (pickle.dumps("storage", 2)[2:-1], b"ctorch\nFloatStorage\n", pickle.dumps("0", 2)[2:-1],
         pickle.dumps("cpu", 2)[2:-1], pickle.dumps(claimed, 2)[2:-1], b"Nt")
    )  # fmt: skip
    return b"".join(
        [*heads, b"\x80\x02" + position + b"Q.", pickle.dumps(keys, 2), written.to_bytes(8, "little"), payload]
    )


def test_the_older_form_gives_only_what_is_written() -> None:
    payload = torch.tensor([1.0, 2.0]).numpy().tobytes()
    assert storage(older(["0"], 2, 2, payload), "weight").tolist() == [1.0, 2.0]
    for bad in (
        older([], 2_000_000_000, 2, payload), older(["0"], 2_000_000_000, 2, payload), older([], 2, 2, payload),
        older(["0"], 2_000_000_000, 2_000_000_000, payload), older(["0"], 2, 2, payload[:-1]),
        older(["0"], 2, 2, payload + b"more"), older(["0"], -1, 2, payload), older(["0"], 2**70, 2, payload),
        older(["0", "0"], 2, 2, payload),
    ):  # fmt: skip
        with pytest.raises(ModelError, match="weight: its numbers cannot be read") as refusal:
            storage(bad, "weight")
        assert "\n" not in str(refusal.value)


def repacked(data: bytes, method: int, **changed: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as source, zipfile.ZipFile(stream, "w", method) as target:
        for name in source.namelist():
            target.writestr(name, changed.get(name.rpartition("/")[2], source.read(name)))
    return stream.getvalue()


def test_archives_that_are_packed_or_hold_other_than_they_say_are_refused() -> None:
    data = saved(torch.zeros(100_000), archive=True)
    assert len(storage(repacked(data, zipfile.ZIP_STORED), "weight")) == 100_000
    for bad in (
        repacked(data, zipfile.ZIP_DEFLATED),
        repacked(data, zipfile.ZIP_STORED, byteorder=b"big"),
        repacked(data, zipfile.ZIP_STORED, **{"0": b"short"}),
        data[:-30],
    ):
        with pytest.raises(ModelError, match="its numbers cannot be read"):
            storage(bad, "weight")


def test_a_storage_that_would_take_forever_to_read_is_refused() -> None:
    bomb = b"\x80\x02})" + b"2\x86" * 60 + b"Ns."
    magic = pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps(1001, 2)
    with pytest.raises(ModelError, match="as a key or in a set"):
        storage(magic + bomb, "weight")
