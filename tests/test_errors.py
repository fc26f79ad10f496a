"""Whatever a file says, the terminal shows letters."""

from __future__ import annotations

import ast
import pickle
import sys
import unicodedata
import warnings

import pytest

from specent.arguments import brief
from specent.errors import ArchiveError, CalibrationWarning, SpecentError, SpecentWarning, one_line, visible

# control, format, surrogate, private use, not assigned, and separators of lines and paragraphs, as Unicode has them
UNSEEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def test_no_character_of_unicode_acts_or_hides() -> None:
    written_out = {}
    for letter in map(chr, range(sys.maxunicode + 1)):
        shown, category = visible(letter), unicodedata.category(letter)
        if category in UNSEEN:
            assert shown.isascii(), hex(ord(letter))
            assert shown.isprintable(), hex(ord(letter))
            written_out[letter] = shown
        else:
            assert shown == letter or (shown.isascii() and category in ("Mn", "Lo", "So"))
    # as Python reads it, each is the character it stands for; one list is read in a tenth of the time of its entries
    read = ast.literal_eval("[" + ",".join(f"'{shown}'" for shown in written_out.values()) + "]")
    assert read == list(written_out)


@pytest.mark.parametrize("text", ["", "plain", "dög | 猫", "a\\b", "n\u00a0b", "1\u2009000", "e\u0301"])
def test_what_can_be_read_stays_as_it_is(text: str) -> None:
    assert visible(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2Jgone", r"\x1b[2Jgone"),
        ("a\x07\rb", r"a\x07\rb"),
        ("\x9b31m", r"\x9b31m"),
        ("safe\u202egnp.exe", r"safe\u202egnp.exe"),
        ("ad\u200bmin\ufe0f", r"ad\u200bmin\ufe0f"),
        ("two\nlines", r"two\nlines"),
        ("\U000e0041", r"\U000e0041"),
        ("\ud800", r"\ud800"),
    ],
)
def test_what_acts_or_hides_is_written_out(text: str, shown: str) -> None:
    assert visible(text) == visible(visible(text)) == shown


def test_errors_and_warnings_are_one_visible_line_of_bounded_length() -> None:
    for kind in (SpecentError, ArchiveError, SpecentWarning, CalibrationWarning):
        made = kind("label '\x1b[2J\u202e':\n\n   quoted\r")
        assert str(made) == r"label '\x1b[2J\u202e':  quoted\r"
        assert str(pickle.loads(pickle.dumps(made))) == str(made)
    assert len(str(SpecentError("x" * 10**7))) < 30_000
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warnings.warn("\x1b", SpecentWarning, stacklevel=1)
    assert str(caught[0].message) == r"\x1b"


def test_values_in_messages_are_visible() -> None:
    class Own:
        def __repr__(self) -> str:
            return "\x1b[2J\u200b"

    assert brief(Own()) == r"\x1b[2J\u200b"
    assert one_line(Own()) == r"\x1b[2J\u200b"
