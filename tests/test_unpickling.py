"""Whatever a pickle asks for is taken down and never done."""

import collections
import copyreg
import os
import pickle
from pathlib import Path

import numpy as np
import pytest

from specent.errors import SpecentError
from specent.unpickling import OUTSIDE, InertRecord, unpickle


@pytest.mark.parametrize("protocol", range(6))
def test_plain_values_come_back_as_they_are(protocol: int) -> None:
    value = {"a": [1, 2.5, None, True, 2**100], "b": ("text ü", {1: (2,)}), 3: []}
    assert unpickle(pickle.dumps(value, protocol=protocol), allowed=[]) == value


@pytest.mark.parametrize("protocol", [3, 4, 5])
def test_bytes_and_sets_come_back_where_the_protocol_knows_them(protocol: int) -> None:
    value = [b"bytes", *([{1, 2}, frozenset({3})] if protocol > 3 else [])]
    assert unpickle(pickle.dumps(value, protocol=protocol), allowed=[]) == value


class Harm:
    """Would write a file if it were loaded."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {self.target}",)


class Nested:
    """Would call what another call returns."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return eval, (f"open({str(self.target)!r}, 'w')", Harm(self.target))


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("kind", [Harm, Nested])
def test_nothing_runs_and_what_was_asked_for_is_told(kind: type, protocol: int, tmp_path: Path) -> None:
    target = tmp_path / "harm"
    data = pickle.dumps({"x": [kind(target)]}, protocol=protocol)
    (record,) = unpickle(data)["x"]
    assert isinstance(record, InertRecord)
    assert record.name in ("posix.system", "builtins.eval", "__builtin__.eval")
    assert str(target) in record.arguments[0]
    with pytest.raises(SpecentError, match=r"asks for '\w+.\w+'.* not run"):
        unpickle(data, allowed=["numpy.dtype"])
    assert not target.exists()


def test_calls_of_calls_are_refused() -> None:
    # (getattr(os, 'system'))('true'), written out: the result of one call is called
    data = b"cbuiltins\ngetattr\n(cos\n__dict__\nS'system'\ntR(S'true'\ntR."
    with pytest.raises(SpecentError, match="damaged"):
        unpickle(data)


def test_what_another_pickle_has_fetched_by_number_is_not_handed_out(tmp_path: Path) -> None:
    """An extension number that was used once hands out the function itself, without asking for its name again."""
    data = b"\x80\x02\x82\xf0U" + bytes([len(command := f"touch {tmp_path}/harm".encode())]) + command + b"\x85R."
    copyreg.add_extension("os", "system", 240)
    try:
        pickle.loads(b"\x80\x02\x82\xf0.")
        with pytest.raises(SpecentError, match="extension number 240"):
            unpickle(data)
    finally:
        copyreg.remove_extension("os", "system", 240)
        copyreg._extension_cache.clear()
    assert not list(tmp_path.iterdir())


def test_a_function_may_say_which_names_are_allowed() -> None:
    data = pickle.dumps(collections.OrderedDict(a=1), protocol=4)
    assert unpickle(data, allowed=lambda module, name: (module, name) == ("collections", "OrderedDict")).items
    with pytest.raises(SpecentError, match=r"asks for 'collections.OrderedDict'"):
        unpickle(data, allowed=lambda module, name: module != "collections")


def test_objects_are_taken_down_with_their_state_and_entries() -> None:
    ordered = unpickle(pickle.dumps(collections.OrderedDict(a=1, b=2), protocol=4))
    assert ordered.name == "collections.OrderedDict"
    assert ordered.items == [("a", 1), ("b", 2)]
    array = unpickle(pickle.dumps(np.arange(3, dtype=np.uint8), protocol=2))
    assert array.name in ("numpy._core.multiarray._reconstruct", "numpy.core.multiarray._reconstruct")
    # a name that is handed over, not called
    assert issubclass(array.arguments[0], InertRecord)
    assert array.arguments[0].name == "numpy.ndarray"
    _, shape, kind, _, _ = array.state
    assert shape == (3,)
    assert kind.arguments[0] == "u1"


def test_members_of_sequences_and_sets_are_taken_down() -> None:
    appended = unpickle(pickle.dumps(collections.deque([1, 2, 3]), protocol=4))
    assert appended.items == [1, 2, 3]
    one = unpickle(b"cx\ny\n)RI1\na.")
    assert one.items == [1]


def test_old_text_may_stay_bytes() -> None:
    assert unpickle(b"\x80\x02U\x02\xff\xfe.", encoding="bytes") == b"\xff\xfe"


@pytest.mark.parametrize(
    "data",
    [
        b"", b"no pickle", b"\x80\x04\x95", b"\x80\x09.", b".", b"(", b"R.", pickle.dumps(list(range(1000)))[:-10],
        b"\x80\x02P1\n.", b"\x80\x02K\x01Q.", b"\x80\x02U\x02\xff\xfe.", b"h\x05.", b"\x80\x04\x82\x01.",
        b"Nr\xff\xff\xff\xffX", b"\x8e\xff\xff\xff\xff\xff\xff\xff\x7f.", b"cos\n\x00.", b"(K\x01K\x02R.",
    ],
    ids=range(17),
)  # fmt: skip
def test_damaged_pickles_are_one_error(data: bytes) -> None:
    with pytest.raises(SpecentError, match="the pickle is damaged, cut short or no pickle"):
        unpickle(data)


def test_the_names_of_one_file_are_not_those_of_another() -> None:
    """What a file fills a class with cannot reach the next file."""
    first, second = (unpickle(b"cx\ny\n.") for _ in range(2))
    assert first is not second
    assert first.name == second.name == "x.y"
    assert InertRecord.name == ""


def _entry(key: int) -> bytes:
    """The instructions that make a key and its value None; Python itself takes long to hash many such keys."""
    return pickle.LONG1 + b"\x0a" + key.to_bytes(10, "little", signed=True) + pickle.NONE


@pytest.mark.parametrize(
    "data",
    [
        b"\x80\x04})" + b"\x85" * 250_000 + b"Ns.",
        b"\x80\x04})" + b"2\x86" * 60 + b"Ns.",
        b"\x80\x04}()" + b"2\x86" * 60 + b"Nu.",
        b"\x80\x04()" + b"2\x86" * 60 + b"Nd.",
        b"\x80\x04\x8f()" + b"2\x86" * 60 + b"\x90.",
        b"\x80\x04()" + b"2\x86" * 60 + b"\x91.",
        b"\x80\x04}(" + b"".join(map(_entry, range(0, (2**61 - 1) * 40_000, 2**61 - 1))) + b"u.",
        pickle.dumps({1, 2**64}, 4),
    ],
    ids=["deep", "key", "keys", "mapping", "set", "frozen", "collisions", "long"],
)
def test_keys_that_take_long_to_hash_are_refused_at_once(data: bytes) -> None:
    with pytest.raises(SpecentError, match=r"as a key or in a set"):
        unpickle(data)


def test_keys_that_are_single_values_come_back() -> None:
    value = {"a": 1, b"b": 2, None: 3, 2.5: 4, -(2**63): 5, 2**64 - 1: {"a", b"b", 1.5, None}}
    assert unpickle(pickle.dumps(value, 4)) == value


def test_values_within_values_come_back_up_to_a_depth() -> None:
    deep = unpickle(b"\x80\x04}\x8c\x01a)" + b"\x85" * 150 + b"s.")["a"]
    for _ in range(150):
        (deep,) = deep
    assert deep == ()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\x80\x04)" + b"\x85" * 250_000 + b".", "nests values more than 200 deep"),
        (b"\x80\x04" + b"]" * 1000 + b"a" * 999 + b".", "nests values more than 200 deep"),
        (b"\x80\x04cx\ny\n\x94" + b")R" + b"\x85" * 300 + b".", "nests values more than 200 deep"),
        (b"\x80\x04)" + b"2\x86" * 60 + b".", "the same values over and over"),
        (b"\x80\x04]" + b"2a" * 1 + b".", "holds itself"),
        (b"\x80\x04cx\ny\n)R2b.", "holds itself"),
        (b"\x80\x04(" + b"N" * 2000 + b"t\x94(" + b"h\x00" * 2000 + b"l.", "the same values over and over"),
        (b"\x80\x04cx\ny\n\x94(" + b"N" * 60 + b"t\x94(" + b"h\x00h\x01R" * 80_000 + b"l.", "over and over"),
        (b"\x80\x04\x8a\x11" + b"\x7f" * 17 + b".", "a number of more than 128 bits"),
        (b"L" + b"1" * 4000 + b"L\n.", "a number of more than 128 bits"),
        (b"I" + b"1" * 5000 + b"\n.", "damaged"),
    ],
    ids=[
        "tuples",
        "lists",
        "record",
        "doubling",
        "cycle",
        "itself",
        "repeated",
        "calls",
        "long",
        "old",
        "digits",
    ],
)
def test_values_that_unfold_without_end_are_refused_at_once(data: bytes, message: str) -> None:
    with pytest.raises(SpecentError, match=message):
        unpickle(data)


def test_references_outside_share_one_class() -> None:
    first, second = unpickle(b"\x80\x02(K\x05QK\x06Ql.", outside=True)
    assert type(first) is type(second)
    assert (first.arguments, second.arguments) == ((5,), (6,))


def test_calls_of_very_many_arguments_and_very_many_names_are_refused() -> None:
    # a tuple that is named again and again would be copied every time
    many = b"\x80\x04(" + b"N" * 1000 + b"t\x94cx\ny\nh\x00\x81."
    assert unpickle(many.replace(b"N" * 1000, b"N" * 60)).arguments == (None,) * 60
    for call in (many, many.replace(b"h\x00\x81", b"h\x00R"), many.replace(b"h\x00\x81", b"h\x00}\x92")):
        with pytest.raises(SpecentError, match="not at most 64 arguments"):
            unpickle(call)
    for names in (b"".join(b"cx\ny%d\n0" % i for i in range(10_002)), b"cx\n" + b"y" * 1001 + b"\n0"):
        with pytest.raises(SpecentError, match="too many names"):
            unpickle(b"\x80\x04" + names + b"N.")


def test_a_file_of_very_many_instructions_is_refused() -> None:
    with pytest.raises(SpecentError, match="more than 300000 instructions"):
        unpickle(b"\x80\x04" + b"N0" * 150_001 + b"N.")


def test_references_outside_are_taken_down_where_they_are_expected() -> None:
    record = unpickle(b"\x80\x02K\x05Q.", outside=True)
    assert (record.name, record.arguments) == (OUTSIDE, (5,))
