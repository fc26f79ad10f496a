"""Numbers of one tensor, as torch writes them inside another pickle: in its older form or as a zip archive.

Both forms are read here, because the reader of torch trusts the length that a file states: it may return memory that
was never filled, or inflate a small file without limit.
"""

from __future__ import annotations

import io
import zipfile
from typing import Any

import torch
from torch import Tensor

from specent.arguments import brief
from specent.errors import ModelError
from specent.models.outputs import reason
from specent.unpickling import OUTSIDE, InertRecord, unpickle

_MAGIC, _PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
_TYPES = {
    "Half": torch.float16, "BFloat16": torch.bfloat16, "Float": torch.float32, "Double": torch.float64,
    "Long": torch.int64, "Int": torch.int32, "Short": torch.int16, "Char": torch.int8, "Byte": torch.uint8,
    "Bool": torch.bool,
}  # fmt: skip
_NAMES = {f"torch.{name}Storage": dtype for name, dtype in _TYPES.items()}


def storage(data: bytes, what: str) -> Tensor:
    """Numbers of a stored storage, as a vector.

    Parameters
    ----------
    data : bytes
        What ``torch.save`` wrote of a storage.
    what : str
        Name of the tensor in messages.

    Returns
    -------
    Tensor, shape (numbers,)

    Raises
    ------
    ModelError
        If the data are damaged or compressed, are anything but one storage, or have fewer numbers than they state.

    Examples
    --------
    >>> stream = io.BytesIO()
    >>> torch.save(torch.tensor([1.0, 2.0]).half()._typed_storage(), stream)
    >>> storage(stream.getvalue(), "weight")
    tensor([1., 2.], dtype=torch.float16)
    """
    try:
        kind, count, content = _archive(data) if data[:2] == b"PK" else _older(data)
        dtype = _NAMES[kind]
        if len(content) != count * dtype.itemsize:
            raise ValueError(f"{len(content)} bytes for {brief(count)} numbers of {dtype}")
    except Exception as error:  # a damaged storage fails in many ways
        raise ModelError(f"{what}: its numbers cannot be read ({reason(error)}); fetch the file again") from error
    # a copy, because bytes cannot be written to
    return torch.frombuffer(bytearray(content), dtype=dtype) if count else torch.empty(0, dtype=dtype)


def _older(data: bytes) -> tuple[str, int, memoryview]:
    """Read four pickles, the list of storages, and the length and bytes of the only storage."""
    stream = io.BytesIO(data)
    if unpickle(stream, allowed=[]) != _MAGIC or unpickle(stream, allowed=[]) != _PROTOCOL:
        raise ValueError("it is no storage")
    system = unpickle(stream, allowed=[])
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise ValueError("its byte order is not little-endian")
    kind, key, count = _described(unpickle(stream, allowed=_NAMES, outside=True))
    if unpickle(stream, allowed=[]) != [key]:
        raise ValueError("its storages are not the ones that it names")
    written = int.from_bytes(stream.read(8), "little")
    if written != count:
        raise ValueError(f"it states {brief(count)} numbers, but has {written}")
    return kind, count, memoryview(data)[stream.tell() :]


def _archive(data: bytes) -> tuple[str, int, bytes]:
    """Read a pickle and the bytes beside it, in an archive that is not compressed."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        files = {file.filename.partition("/")[2]: file for file in archive.infolist()}
        compressed = any(file.compress_type != zipfile.ZIP_STORED for file in files.values())
        if compressed or sum(file.file_size for file in files.values()) > len(data):
            raise ValueError("it is compressed")
        if "byteorder" in files and archive.read(files["byteorder"]) != b"little":
            raise ValueError("its byte order is not little-endian")
        kind, key, count = _described(unpickle(archive.read(files["data.pkl"]), allowed=_NAMES, outside=True))
        return kind, count, archive.read(files[f"data/{key}"])


def _described(value: Any) -> tuple[str, str, int]:
    """Type, key and length of a storage that is outside of its pickle."""
    entries = value.arguments[0] if isinstance(value, InertRecord) and value.name == OUTSIDE else None
    if (
        not isinstance(entries, tuple)
        or len(entries) not in (5, 6)
        or entries[0] != "storage"
        or entries[5:] not in ((), (None,))
    ):
        raise ValueError(f"it is {brief(value)}, not a storage")
    _, kind, key, _, count = entries[:5]
    known = isinstance(kind, type) and issubclass(kind, InertRecord)
    if not known or not isinstance(key, str) or type(count) is not int or not 0 <= count < 2**40:
        raise ValueError(f"it is {brief(entries)}, not a storage")
    return kind.name, key, count
