"""What a file of somebody else may ask for: regular files only, and JSON or TOML of a size that is read in a moment.

A named pipe or a device in the place of a file never ends, and a text of a few bytes may nest more deeply than anything
that walks through it can follow. What is read here is refused before it takes time or memory.
"""

from __future__ import annotations

import errno
import json
import os
import re
import stat
import tomllib
from io import BufferedReader
from itertools import chain
from pathlib import Path
from typing import Any

from specent.errors import SpecentError

# the settings of a thousand partitions of a thousand labels have a million entries
_MOST_LETTERS = 1 << 26
_MOST_KEYS = 300_000
_MOST_ENTRIES = 3_000_000
_DEEPEST = 100
_MOST_BYTES = 1 << 24
# the parser takes minutes for a name of many parts
_MANY_PARTS = re.compile(
    r"""(?:(?:(?<![\w-])[\w-]{1,100}+|"(?:[^"\\\n]|\\.){0,100}+"|'[^'\n]{0,100}+')[ \t]*+\.[ \t]*+){17}"""
)


def open_regular(path: str | os.PathLike[str]) -> BufferedReader:
    """Open a file to be read, if it is a regular one: neither a folder, nor a device, nor a pipe, which may never end.

    Raises
    ------
    OSError
        If it is another thing, or cannot be opened.

    Examples
    --------
    >>> open_regular("/dev/null")
    Traceback (most recent call last):
    OSError: [Errno 22] not a regular file: '/dev/null'
    """
    # looked at before it is opened, which alone may move a device; and after, because it may have been exchanged
    _refuse_special(os.stat(path).st_mode, path)
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        _refuse_special(os.fstat(descriptor).st_mode, path)
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def _refuse_special(mode: int, path: str | os.PathLike[str]) -> None:
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), os.fspath(path))
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "not a regular file", os.fspath(path))


def read_regular(path: str | os.PathLike[str], most: int | None = None) -> bytes:
    """The bytes of a regular file of at most `most` bytes.

    Raises
    ------
    OSError
        If it is no regular file, is larger, or cannot be read.

    Examples
    --------
    >>> read_regular(__file__, most=10)
    Traceback (most recent call last):
    OSError: [Errno 27] larger than 10 bytes: ...
    """
    with open_regular(path) as file:
        content = file.read() if most is None else file.read(most + 1)
    if most is not None and len(content) > most:
        raise OSError(errno.EFBIG, f"larger than {most} bytes", os.fspath(path))
    return content


def json_of_file(path: Path) -> Any:
    """What a small JSON file holds, such as the card of a checkpoint.

    Raises
    ------
    OSError
        If it is no regular file, is larger than any card, or cannot be read.
    SpecentError
        If it is not JSON within the bounds of `parse_json`.
    """
    return parse_json(read_regular(path, _MOST_BYTES))


def toml_of_file(path: Path, most: int) -> dict[str, Any]:
    """What a TOML file of at most `most` bytes holds.

    Raises
    ------
    OSError
        If it is no regular file, is larger, or cannot be read.
    SpecentError
        If it is not TOML, has a name of many parts, or is nested very deeply.
    """
    content = read_regular(path, most)
    try:
        text = content.decode("utf-8")
        if _MANY_PARTS.search(text):
            raise SpecentError("this is TOML with a name of many parts; it is not read")
        value = tomllib.loads(text)
    except SpecentError:
        raise
    except (ValueError, RecursionError) as error:  # numbers of thousands of digits and deep nesting among them
        raise SpecentError(f"this is not TOML ({str(error)[:200]})") from error
    _check_depth(value, "TOML")
    return value


def parse_json(text: str | bytes) -> Any:
    """What a JSON text of a file holds, if it is neither very large nor nested very deeply.

    Parameters
    ----------
    text : str or bytes
        The text.

    Returns
    -------
    object
        Plain values.

    Raises
    ------
    SpecentError
        If it is not JSON, or has too many letters, entries, keys or levels.

    Examples
    --------
    >>> parse_json('{"steps": [8, 16]}')
    {'steps': [8, 16]}
    >>> parse_json("[" * 200 + "]" * 200)
    Traceback (most recent call last):
    specent.errors.SpecentError: JSON of more than 100 levels; it is not read
    """
    try:
        letters = text.decode("utf-8") if isinstance(text, bytes) else text
        _check_counts(letters)
        value = json.loads(letters)
    except SpecentError:
        raise
    except RecursionError as error:
        raise _too_deep() from error
    except (TypeError, ValueError) as error:
        raise SpecentError(f"not JSON ({str(error)[:200]})") from error
    _check_depth(value)
    return value


def _check_counts(text: str) -> None:
    # those inside of texts count too, so these are upper bounds
    for name, count, most in (
        ("letters", len(text), _MOST_LETTERS),
        ("keys", text.count(":"), _MOST_KEYS),
        ("entries", text.count(",") + text.count("[") + text.count("{"), _MOST_ENTRIES),
    ):
        if count > most:
            raise SpecentError(f"JSON of more than {most} {name}; it is not read")


def _check_depth(value: Any, what: str = "JSON") -> None:
    """Level by level, because a function that calls itself would fail where the check is needed."""
    level = [value]
    for _ in range(_DEEPEST):
        groups = [item.values() if type(item) is dict else item for item in level if type(item) in (dict, list)]
        if not groups:
            return
        level = list(chain.from_iterable(groups))
    if any(type(item) in (dict, list) for item in level):
        raise _too_deep(what)


def _too_deep(what: str = "JSON") -> SpecentError:
    return SpecentError(f"{what} of more than {_DEEPEST} levels; it is not read")
