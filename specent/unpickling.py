"""Pickles read as plain records: nothing that a file names is ever looked up, imported or run.

A pickle is a program: a normal load calls whatever the file names. Here every name becomes an `InertRecord`, which
remembers what it would have been called with, and the caller turns the records it knows into arrays and tables. There
is no list of harmless functions to get wrong: no function can be reached at all.

What a file names or nests is bounded too, for a few bytes of it may otherwise ask for any time or memory: keys and
members of sets are single values, so that none takes long to hash, or is hashed so deeply that the stack runs out.
"""

from __future__ import annotations

import io
import pickle
import pickletools
from collections.abc import Callable, Iterable
from typing import Any, ClassVar

from specent.arguments import brief
from specent.errors import ArchiveError

OUTSIDE = "outside"
"""Name of the record of something that a file refers to outside of the pickle."""

# far beyond what a file of arrays has, and still read in a second
_MOST_INSTRUCTIONS = 300_000
_MOST_NAMES = 10_000
_MOST_BITS = 128
_DEEPEST = 200
_MOST_UNFOLDED = 2_000_000
_LONGEST_NAME = 1000
_MOST_ARGUMENTS = 64


class InertRecord:
    """The object that a pickle would construct from one of its names.

    Attributes
    ----------
    name : str
        Module and name, ``"numpy.dtype"``. The same on the class: a name that is handed over as a value, not called,
        comes out as a subclass of `InertRecord`.
    arguments : tuple
        What it would have been called with.
    state : object
        What the new object would have been filled with, None if nothing.
    items : list
        Entries that would have been put into it: pairs of key and value of a mapping, members of a sequence.
    """

    name: ClassVar[str] = ""

    def __new__(cls, *arguments: Any, **named: Any) -> InertRecord:
        record = super().__new__(cls)
        record.arguments = (*arguments, named) if named else arguments
        record.state = None
        record.items = []
        return record

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
        return f"InertRecord({self.name!r}, {len(self.arguments)} arguments)"


# the reader in Python, not that in C: a number in the file cannot make it reserve memory, or overrun any
class _Unpickler(pickle._Unpickler):
    dispatch: ClassVar[dict[int, Callable[[Any], None]]] = dict(pickle._Unpickler.dispatch)

    def __init__(
        self, data: io.BytesIO, encoding: str, allowed: Callable[[str, str], bool], what: str, outside: bool
    ) -> None:
        super().__init__(data, encoding=encoding)
        self.allowed, self.what, self.outside = allowed, what, outside
        self.known: dict[str, type[InertRecord]] = {}
        self.reference = type("InertRecord", (InertRecord,), {"name": OUTSIDE})

    def find_class(self, module: str, name: str) -> type[InertRecord]:
        if len(module) + len(name) > _LONGEST_NAME or len(self.known) > _MOST_NAMES:
            raise pickle.UnpicklingError(f"it holds a name of more than {_LONGEST_NAME} letters, or too many names")
        full_name = f"{module}.{name}"
        if not self.allowed(module, name):
            raise ArchiveError(
                f"{self.what} asks for {brief(full_name)}, which such a file has no need of; it was not run, and "
                "the file is not to be trusted"
            )
        if full_name not in self.known:
            self.known[full_name] = type("InertRecord", (InertRecord,), {"name": full_name})
        return self.known[full_name]

    def persistent_load(self, pid: Any) -> Any:
        if self.outside:
            # one class for all of them: a class takes a thousand bytes, and a reference two
            return self.reference(pid)
        raise pickle.UnpicklingError(f"it refers to an object outside of it, {brief(pid)}")


def _check_keys(values: Iterable[Any]) -> None:
    """Refuse keys and members of sets that are no single values: a tuple of tuples may take forever to hash."""
    for value in values:
        plain = value is None or type(value) in (str, bytes, bool, float)
        # any number of longer ones can be found that fall on one slot of a table
        if not plain and not (type(value) is int and -(2**63) <= value < 2**64):
            raise pickle.UnpicklingError(
                f"it has a {type(value).__name__} as a key or in a set, where text, bytes or a number of 64 bits belong"
            )


def _check_call(calls: list[Any]) -> None:
    for call in calls:
        if not isinstance(call, (tuple, dict)) or len(call) > _MOST_ARGUMENTS:
            raise pickle.UnpicklingError(f"it makes a call that has not at most {_MOST_ARGUMENTS} arguments")


def _keys(machine: Any, begin: int, step: int, into: Any) -> None:
    if not isinstance(into, InertRecord):
        _check_keys(machine.stack[begin::step])


def _checked(code: bytes, check: Callable[[Any], None]) -> None:
    """Put a check before what the machine does at an instruction."""
    act = pickle._Unpickler.dispatch[code[0]]

    def checked(machine: Any) -> None:
        check(machine)
        act(machine)

    _Unpickler.dispatch[code[0]] = checked


# what lies on the stack then: entries since the mark, and what they go into before it; or a key and its value
_checked(pickle.SETITEM, lambda machine: _keys(machine, -2, 2, machine.stack[-3]))
_checked(pickle.SETITEMS, lambda machine: _keys(machine, 0, 2, machine.metastack[-1][-1]))
_checked(pickle.DICT, lambda machine: _keys(machine, 0, 2, None))
_checked(pickle.ADDITEMS, lambda machine: _keys(machine, 0, 1, machine.metastack[-1][-1]))
_checked(pickle.FROZENSET, lambda machine: _keys(machine, 0, 1, None))
_checked(pickle.REDUCE, lambda machine: _check_call(machine.stack[-1:]))
_checked(pickle.NEWOBJ, lambda machine: _check_call(machine.stack[-1:]))
_checked(pickle.NEWOBJ_EX, lambda machine: _check_call(machine.stack[-2:]))


def _check_instructions(stream: io.BytesIO, length: int) -> None:
    """Refuse instructions that reach past `find_class`, or take memory that the file does not fill."""
    for number, (instruction, argument, _) in enumerate(pickletools.genops(stream)):
        if number > _MOST_INSTRUCTIONS:
            raise pickle.UnpicklingError(f"it has more than {_MOST_INSTRUCTIONS} instructions")
        # what another pickle has fetched by such a number is handed out without asking for its name
        if instruction.name in ("EXT1", "EXT2", "EXT4"):
            raise pickle.UnpicklingError(f"it names something by the extension number {argument}")
        if type(argument) is int and argument.bit_length() > _MOST_BITS:
            raise pickle.UnpicklingError(f"it has a number of more than {_MOST_BITS} bits")
        if instruction.name in ("PUT", "BINPUT", "LONG_BINPUT") and not 0 <= (argument or 0) <= length:
            raise pickle.UnpicklingError(f"it numbers a value {argument}, beyond its own length")


def unpickle(
    data: bytes | io.BytesIO,
    *,
    allowed: Iterable[str] | Callable[[str, str], bool] | None = None,
    encoding: str = "ASCII",
    what: str = "the pickle",
    outside: bool = False,
) -> Any:
    r"""What a pickle holds: numbers, text, bytes, lists, tuples, sets and mappings as they are, all else as records.

    Parameters
    ----------
    data : bytes or BytesIO
        The pickle, of any protocol. From a stream one pickle is read, and the stream is left behind it.
    allowed : iterable of str or callable, optional
        Names that the file may hold, such as ``"numpy.dtype"``, or a function that says of a module and a name in it
        whether the file may hold them. Any other is refused, though it could not act. By default every name is taken
        down.
    encoding : str
        How text of Python 2 is decoded; ``"bytes"`` leaves it as bytes.
    what : str
        What messages call the file.
    outside : bool
        Whether it may refer to objects outside of it, which come out as records named `OUTSIDE`.

    Returns
    -------
    object
        Plain values and `InertRecord`.

    Raises
    ------
    ArchiveError
        If the data are no whole pickle, hold a name that is not allowed, a key that is no single value, a number of
        more than 128 bits, or values within values without end.

    Examples
    --------
    >>> record = unpickle(b"cos\nsystem\n(S'echo harm'\ntR.")
    >>> record.name, record.arguments
    ('os.system', ('echo harm',))
    >>> unpickle(b"cos\nsystem\n(S'echo harm'\ntR.", allowed=["numpy.dtype"])
    Traceback (most recent call last):
    specent.errors.ArchiveError: the pickle asks for 'os.system', which such a file has no need of; ...
    """
    try:
        stream = io.BytesIO(data) if isinstance(data, bytes) else data
        begin, length = stream.tell(), stream.seek(0, io.SEEK_END)
        stream.seek(begin)
        _check_instructions(stream, length)
        stream.seek(begin)
        value = _Unpickler(stream, encoding, _permits(allowed), what, outside).load()
        _check_structure(value)
        return value
    except ArchiveError:
        raise
    except Exception as error:  # a damaged program fails in any way
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise ArchiveError(f"{what} is damaged, cut short or no pickle ({reason}); fetch it again") from error


def _parts(value: Any) -> Iterable[Any]:
    """What a value contains, of the kinds that may contain something."""
    if isinstance(value, InertRecord):
        return (*value.arguments, value.state, *value.items)
    if type(value) is dict:
        return value.values()
    return value if type(value) in (list, tuple) else ()


def _check_structure(whole: Any) -> None:
    """Refuse values nested deeply, in themselves, or so that few of them unfold to very many.

    A tuple of twice the same tuple, sixty times over, has few bytes, but whatever walks through it, compares it or
    prints it never ends.
    """
    # how many levels and values a finished one unfolds to; None while the walk is within it
    known: dict[int, tuple[int, int] | None] = {}
    todo, seen = [whole], 0
    while todo:
        value = todo[-1]
        parts = () if known.get(id(value)) else tuple(_parts(value))
        if not parts:
            known.setdefault(id(value), (0, 1))
            todo.pop()
        elif id(value) not in known:
            known[id(value)] = None
            seen += len(parts)
            within = [part for part in parts if type(part) in (list, tuple, dict) or isinstance(part, InertRecord)]
            if any(id(part) in known and known[id(part)] is None for part in within):
                raise pickle.UnpicklingError("it holds a value that holds itself")
            if seen > _MOST_UNFOLDED:
                raise pickle.UnpicklingError("it holds the same values over and over")
            todo += within
        else:
            sizes = [known.get(id(part)) or (0, 1) for part in parts]
            levels, size = 1 + max(level for level, _ in sizes), 1 + sum(count for _, count in sizes)
            if levels > _DEEPEST:
                raise pickle.UnpicklingError(f"it nests values more than {_DEEPEST} deep")
            if size > _MOST_UNFOLDED:
                raise pickle.UnpicklingError("it holds the same values over and over")
            known[id(value)] = levels, size
            todo.pop()


def _permits(allowed: Iterable[str] | Callable[[str, str], bool] | None) -> Callable[[str, str], bool]:
    if callable(allowed):
        return allowed
    names = None if allowed is None else frozenset(allowed)
    return lambda module, name: names is None or f"{module}.{name}" in names
