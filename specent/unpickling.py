"""Pickles read as plain records: nothing that a file names is ever looked up, imported or called.

A pickle is a program: a normal load calls whatever the file names. Here every name becomes an inert `Record`, which
remembers what it would have been called with, and the caller turns the records it knows into arrays and tables. There
is no list of harmless functions to get wrong: no function can be reached at all.
"""

from __future__ import annotations

import io
import pickle
import pickletools
from collections.abc import Callable, Iterable
from typing import Any, ClassVar

from specent import checks
from specent.errors import ArchiveError


class Record:
    """What a pickle wanted to make of one of its names.

    Attributes
    ----------
    name : str
        Module and name, ``"numpy.dtype"``. The same on the class: a name that is handed over as a value, not called,
        comes out as a subclass of `Record`.
    arguments : tuple
        What it would have been called with.
    state : object
        What the new object would have been filled with, None if nothing.
    items : list
        Entries that would have been put into it: pairs of key and value of a mapping, members of a sequence.
    """

    name: ClassVar[str] = ""

    def __new__(cls, *arguments: Any, **named: Any) -> Record:
        made = super().__new__(cls)
        made.arguments = (*arguments, named) if named else arguments
        made.state = None
        made.items = []
        return made

    def __init__(self, *arguments: Any, **named: Any) -> None:
        self.arguments: tuple[Any, ...]
        self.state: Any
        self.items: list[Any]

    # what the machine of a pickle may do to an object, taken down only
    def __setstate__(self, state: Any) -> None:
        self.state = state

    def __setitem__(self, key: Any, value: Any) -> None:
        self.items.append((key, value))

    def append(self, item: Any) -> None:
        """Take down a member."""
        self.items.append(item)

    def extend(self, items: Iterable[Any]) -> None:
        """Take down several members."""
        self.items.extend(items)

    add = append

    def __repr__(self) -> str:
        return f"Record({self.name!r}, {len(self.arguments)} arguments)"


# the reader in Python, not that in C: a number in the file cannot make it reserve memory, or overrun any
class _Unpickler(pickle._Unpickler):
    def __init__(self, data: bytes, encoding: str, allowed: Callable[[str, str], bool], what: str) -> None:
        super().__init__(io.BytesIO(data), encoding=encoding)
        self.allowed, self.what = allowed, what
        self.known: dict[str, type[Record]] = {}

    def find_class(self, module: str, name: str) -> type[Record]:
        called = f"{module}.{name}"
        if not self.allowed(module, name):
            raise ArchiveError(
                f"{self.what} asks for {checks.shown(called)}, which such a file has no need of; it was not run, and "
                "the file is not to be trusted"
            )
        if called not in self.known:
            self.known[called] = type("Record", (Record,), {"name": called})
        return self.known[called]

    def persistent_load(self, pid: Any) -> Any:
        raise pickle.UnpicklingError(f"it refers to an object outside of it, {checks.shown(pid)}")


def _check_instructions(data: bytes) -> None:
    """Refuse instructions that reach past `find_class`, or take memory that the file does not fill."""
    for instruction, argument, _ in pickletools.genops(data):
        # what another pickle has fetched by such a number is handed out without asking for its name
        if instruction.name in ("EXT1", "EXT2", "EXT4"):
            raise pickle.UnpicklingError(f"it names something by the extension number {argument}")
        if instruction.name in ("PUT", "BINPUT", "LONG_BINPUT") and not 0 <= (argument or 0) <= len(data):
            raise pickle.UnpicklingError(f"it numbers a value {argument}, beyond its own length")


def unpickle(
    data: bytes,
    *,
    allowed: Iterable[str] | Callable[[str, str], bool] | None = None,
    encoding: str = "ASCII",
    what: str = "the pickle",
) -> Any:
    r"""What a pickle holds: numbers, text, bytes, lists, tuples, sets and mappings as they are, all else as records.

    Parameters
    ----------
    data : bytes
        The pickle, of any protocol.
    allowed : iterable of str or callable, optional
        Names that the file may hold, such as ``"numpy.dtype"``, or a function that says of a module and a name in it
        whether the file may hold them. Any other is refused, though it could not act. By default every name is taken
        down.
    encoding : str
        How text of Python 2 is decoded; ``"bytes"`` leaves it as bytes.
    what : str
        How the file is called in messages.

    Returns
    -------
    object
        Plain values and `Record`.

    Raises
    ------
    ArchiveError
        If the data are no whole pickle, or hold a name that is not allowed.

    Examples
    --------
    >>> made = unpickle(b"cos\nsystem\n(S'echo harm'\ntR.")
    >>> made.name, made.arguments
    ('os.system', ('echo harm',))
    >>> unpickle(b"cos\nsystem\n(S'echo harm'\ntR.", allowed=["numpy.dtype"])
    Traceback (most recent call last):
    specent.errors.ArchiveError: the pickle asks for 'os.system', which such a file has no need of; ...
    """
    try:
        _check_instructions(data)
        return _Unpickler(data, encoding, _permits(allowed), what).load()
    except ArchiveError:
        raise
    except Exception as error:  # a damaged program fails in any way
        told = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise ArchiveError(f"{what} is damaged, cut short or no pickle ({told}); fetch it again") from error


def _permits(allowed: Iterable[str] | Callable[[str, str], bool] | None) -> Callable[[str, str], bool]:
    if callable(allowed):
        return allowed
    names = None if allowed is None else frozenset(allowed)
    return lambda module, name: names is None or f"{module}.{name}" in names
