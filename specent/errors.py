"""The one family of errors, and the one category of warnings, that the package raises on purpose.

Every message names the argument, the value it had and what to do about it. Values come from files too, so a message is
one line of visible letters, whatever they are.
"""

from __future__ import annotations

import re

# letters without a shape that Python calls printable: joiners, fillers, a blank, selectors of variants
_UNSEEN = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
_BREAKS = frozenset("\t\n\v\f\r\x1c\x1d\x1e\x1f\x85\u2028\u2029")
_LONGEST = 20_000


def visible(text: str) -> str:
    r"""Text of a file for the terminal: what would act there, reverse what follows or not be seen is written out.

    Escape sequences, line breaks, and all other control, format, bidirectional and zero-width characters come out as
    Python writes them. Everything else is unchanged.

    Examples
    --------
    >>> print(visible("a\x1b[2Jb\u202ec"))
    a\x1b[2Jb\u202ec
    """
    if text.isprintable() and not _UNSEEN.search(text):
        return text
    return "".join(letter if _is_seen(letter) else letter.encode("unicode_escape").decode() for letter in text)


def _is_seen(letter: str) -> bool:
    # spaces other than the plain one do no harm, if they do not break a line
    return (letter.isprintable() or (letter.isspace() and letter not in _BREAKS)) and not _UNSEEN.match(letter)


def one_line(message: object) -> str:
    r"""A message for the terminal: on one line, in visible letters, and of a length that can be read.

    Examples
    --------
    >>> print(one_line("first\n  second\r"))
    first second\r
    """
    # quoted messages of other libraries have several lines
    text = " ".join(part.strip(" \t") for part in str(message).split("\n"))
    return visible(text if len(text) <= _LONGEST else f"{text[: _LONGEST // 2]} ... {text[-_LONGEST // 2 :]}")


class _OneLine(BaseException):
    """Raised with a message that may quote a file."""

    def __init__(self, *arguments: object) -> None:
        super().__init__(*(one_line(part) if isinstance(part, str) else part for part in arguments))


class SpecentError(_OneLine, ValueError):
    """Bad input, found before any long work and before anything is written."""


class PartitionError(SpecentError):
    """A partition that contradicts itself or the labels it is used with."""


class ScheduleError(SpecentError):
    """A noise schedule or a time grid that cannot be used."""


class ModelError(SpecentError):
    """A model, checkpoint or network output that cannot be used."""


class ArchiveError(SpecentError):
    """A file that is missing, damaged, not ours, or of another kind than needed."""


class SpecentWarning(_OneLine, UserWarning):
    """A number that was computed but should not be trusted without a look."""


class CalibrationWarning(SpecentWarning):
    """Two estimators that must agree differ by more than sampling noise explains."""
