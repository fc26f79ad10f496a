"""Files: names that can be written to, writing a file whole or not at all, digests, and the folders that ship.

Every file of the package is written here. It is made under a hidden temporary name in its own folder, brought to the
disk, and given its name in one step, so a process that is killed at any moment leaves the old file, the new one, or
none, and at most a hidden file ending in ``.tmp`` beside it.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from specent.arguments import brief, flag
from specent.errors import SpecentError
from specent.untrusted import open_regular

_PACKAGE = Path(__file__).resolve().parent
_LONGEST = 255  # bytes of one name, on every common file system
_LONGEST_PATH = 4095  # bytes of a whole path
_LONGEST_PART = 80


def as_path(path: Any, argument: str = "path", *, error: type[SpecentError] = SpecentError) -> Path:
    """The argument as a path that the operating system can look up, with ``~`` expanded.

    Parameters
    ----------
    path : str or path-like
        The name of a file or folder.
    argument : str
        What messages call it.
    error : type
        Which error to raise.

    Returns
    -------
    Path
        The path, which need not exist.

    Raises
    ------
    SpecentError
        If no file can have that name.

    Examples
    --------
    >>> as_path("runs.nc").name
    'runs.nc'
    """
    text = os.fspath(path) if isinstance(path, os.PathLike) else path
    if not isinstance(text, str):
        raise error(f"{argument}={brief(path)} is a {type(path).__name__}; give the name of a file as text")
    if not text or "\0" in text or any("\ud800" <= letter <= "\udfff" for letter in text):
        raise error(f"{argument}={brief(path)} cannot be the name of a file; choose another")
    try:
        expanded = Path(text).expanduser()
    except RuntimeError as problem:
        raise error(f"{argument}={text!r}: there is no such user ({problem}); write the folder out") from problem
    if len(str(expanded).encode()) > _LONGEST_PATH:
        raise error(f"{argument}={brief(text)} is a path of {len(str(expanded).encode())} bytes, which is too long")
    for part in expanded.parts:
        if len(part.encode()) > _LONGEST:
            raise error(
                f"{argument}={brief(text)} contains the name {brief(part)} of {len(part.encode())} bytes; shorten it "
                f"to {_LONGEST} at most"
            )
    return expanded


def name_part(text: str) -> str:
    """A text, such as the label of a class, as a part of the name of a file: other texts give other names.

    Letters, digits, spaces and ``+-_.`` stay, if none of them would lead out of a folder or hide the file; everything
    else is written as in addresses. A long text is cut, and its digest says which it is.

    Examples
    --------
    >>> name_part("golden retriever"), name_part("../etc/passwd"), name_part("cat|dog")
    ('golden retriever', '%2E.%2Fetc%2Fpasswd', 'cat%7Cdog')
    """
    letters = "".join(
        letter if letter.isascii() and (letter.isalnum() or letter in " +-_.") else _escaped(letter) for letter in text
    )
    if letters[:1] in (".", " ", "-", "~"):
        letters = _escaped(letters[0]) + letters[1:]
    if len(letters) > _LONGEST_PART:
        letters = f"{letters[: _LONGEST_PART - 17]}~{sha256(text.encode('utf-8', 'surrogatepass'))[:16]}"
    return letters


def _escaped(letter: str) -> str:
    return "".join(f"%{byte:02X}" for byte in letter.encode("utf-8", "surrogatepass"))


def output_path(
    path: Any,
    suffixes: str | tuple[str, ...],
    *,
    overwrite: bool = False,
    argument: str = "path",
    error: type[SpecentError] = SpecentError,
) -> Path:
    """Check that a file can be written to `path`, before the work whose result it is to hold.

    Parameters
    ----------
    path : str or path-like
        Name of the file, in an existing folder. A symbolic link is followed first: what it leads to is what is
        checked, and later written; the link stays.
    suffixes : str or tuple of str
        How the name may end.
    overwrite : bool
        Whether an existing file may be replaced.
    argument : str
        What messages call the path.
    error : type
        Which error to raise.

    Returns
    -------
    Path
        The absolute path, links followed.

    Raises
    ------
    SpecentError
        If no file can have that name, the suffix is another, the folder is missing or cannot be written to, the name
        is that of a folder or device, or the file exists and may not be replaced.

    Examples
    --------
    >>> output_path("runs.txt", ".nc")
    Traceback (most recent call last):
    specent.errors.SpecentError: path='runs.txt' must end in '.nc'
    """
    overwrite = flag(overwrite, "overwrite", error=error)
    named = as_path(path, argument, error=error)
    shown = f"{argument}={str(named)!r}"
    try:
        target = named.resolve()
        has_folder, exists, is_folder, is_file = (
            target.parent.is_dir(), target.exists(), target.is_dir(), target.is_file()
        )  # fmt: skip
    except (OSError, RuntimeError) as problem:  # a loop of links, no permission to look
        raise error(f"{shown} cannot be followed ({problem}); choose another") from problem
    leads = "" if target == named.absolute() else f" leads to {str(target)!r}, which"
    allowed = (suffixes,) if isinstance(suffixes, str) else suffixes
    if target.suffix not in allowed:
        raise error(f"{shown}{leads} must end in {' or '.join(map(repr, allowed))}")
    if not has_folder:
        raise error(f"{shown}: the folder {str(target.parent)!r} does not exist; make it first")
    if exists and not is_file:
        raise error(f"{shown}{leads} is a {'folder' if is_folder else 'device'}; choose another name")
    if exists and not overwrite:
        raise error(f"{shown}{leads} exists; {_TAKEN}")
    try:
        _empty_file(target).unlink()
    except OSError as problem:
        raise error(
            f"{shown}: the folder cannot be written to ({problem.strerror}); choose another folder"
        ) from problem
    return target


_TAKEN = "pass overwrite=True to replace it, or choose another name"


@contextmanager
def whole_file(
    target: Path, *, overwrite: bool = False, argument: str = "path", error: type[SpecentError] = SpecentError
) -> Iterator[Path]:
    """A hidden temporary file beside `target`, which becomes `target` when the ``with`` block ends well.

    The file is brought to the disk, then it is given its name in one step that replaces the old file, or fails if
    another writer took the name meanwhile; last, the folder is brought to the disk. If anything fails, the temporary
    file is removed and an old file stays.

    Parameters
    ----------
    target : Path
        Where the file is to be, as `output_path` returns it.
    overwrite : bool
        Replace an existing file.
    argument : str
        What messages call the path.
    error : type
        Which error to raise.

    Yields
    ------
    Path
        The temporary file, empty.

    Raises
    ------
    SpecentError
        If the name is taken, or the disk fails.
    """
    shown = f"{argument}={str(target)!r}"
    try:
        temporary = _empty_file(target)
        try:
            yield temporary
            _sync(temporary, os.O_RDWR)
            try:
                _rename(temporary, target, overwrite)
            except FileExistsError as problem:
                raise error(f"{shown} exists; {_TAKEN}") from problem
        finally:
            temporary.unlink(missing_ok=True)
        sync_folder(target.parent)
    except OSError as problem:
        raise error(f"{shown} could not be written ({problem.strerror or problem}); is the disk full?") from problem


def write_whole(
    data: bytes | str,
    target: Path,
    *,
    overwrite: bool = False,
    argument: str = "path",
    error: type[SpecentError] = SpecentError,
) -> Path:
    r"""Write bytes, or text as UTF-8, to a file that is there whole or not at all (see `whole_file`).

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_whole("step,loss\n", Path(folder, "loss.csv")).read_text()
    'step,loss\n'
    """
    with whole_file(target, overwrite=overwrite, argument=argument, error=error) as temporary:
        temporary.write_bytes(data.encode() if isinstance(data, str) else data)
    return target


def _empty_file(target: Path) -> Path:
    """A new, empty, hidden file beside the target: the only sure test that the folder can be written to."""
    # cut, so that a name of any allowed length leaves room for the rest
    temporary = target.with_name(f".{target.name[:40]}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
    os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    return temporary


def _rename(temporary: Path, target: Path, overwrite: bool) -> None:
    """Give a finished file its name, in one step that either replaces, or fails if the name is taken."""
    if overwrite:
        os.replace(temporary, target)
        return
    try:
        os.link(temporary, target)
        return
    except FileExistsError:
        raise
    except OSError:  # no hard links on this file system: reserve the name first
        os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    try:
        os.replace(temporary, target)
    except OSError:
        target.unlink(missing_ok=True)
        raise


def move(source: Path, target: Path) -> None:
    """Give a file another name, in another folder of the same disk, replacing what has it.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     move(write_whole("text", Path(folder, "a")), Path(folder, "b"))
    ...     Path(folder, "b").read_text()
    'text'
    """
    os.replace(source, target)
    sync_folder(target.parent)
    sync_folder(source.parent)


def sync_folder(folder: Path) -> None:
    """Bring the names in a folder to the disk."""
    _sync(folder, os.O_RDONLY)


def _sync(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sha256(source: Path | bytes) -> str:
    """SHA-256 of a file, which is never in memory as a whole, or of bytes; in hexadecimal.

    Examples
    --------
    >>> sha256(b"")[:8]
    'e3b0c442'
    """
    if not isinstance(source, Path):
        return hashlib.sha256(source).hexdigest()
    with open_regular(source) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def compare_digest(
    source: Path | bytes, expected: object, what: str, hint: str, *, error: type[SpecentError] = SpecentError
) -> None:
    """Refuse a file that is not the one whose SHA-256 its card names.

    Parameters
    ----------
    source : Path or bytes
        The file, or what was read from it.
    expected : object
        What the card says; anything but text is refused.
    what : str
        What messages call the file.
    hint : str
        What to do about it.
    error : type
        Which error to raise.

    Raises
    ------
    SpecentError
        If the digests differ, or the file cannot be read.

    Examples
    --------
    >>> compare_digest(b"weights", "e3b0c442", "checkpoint digits.safetensors", "fetch it again")
    Traceback (most recent call last):
    specent.errors.SpecentError: checkpoint digits.safetensors is damaged or another file: its SHA-256 begins ...
    """
    try:
        actual = sha256(source)
    except OSError as problem:
        raise error(f"{what} cannot be read ({problem.strerror}); {hint}") from problem
    if actual != expected:
        says = brief(expected[:16] if isinstance(expected, str) else expected)
        raise error(
            f"{what} is damaged or another file: its SHA-256 begins {actual[:16]!r}, that of its card {says}; {hint}"
        )


def shipped_folder(name: Literal["datasets", "recipes"]) -> Path:
    """Folder of the shipped data sets or recipes, inside the package if installed and beside it in the source tree.

    Parameters
    ----------
    name : {"datasets", "recipes"}
        Which folder.

    Returns
    -------
    Path
        The folder, which exists.

    Raises
    ------
    SpecentError
        If this installation lacks it.

    Examples
    --------
    >>> shipped_folder("recipes").name
    'recipes'
    """
    inside, beside = _PACKAGE / name, _PACKAGE.parent / name
    if inside.is_dir():
        return inside
    # next to an installed package may lie an unrelated one of the same name
    if beside.is_dir() and (_PACKAGE.parent / "pyproject.toml").is_file():
        return beside
    raise SpecentError(f"this installation of specent lacks its folder {name!r}; install the package again")
