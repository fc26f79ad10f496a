"""The report on a model: one line per check, with its verdict, its figure, the likely cause and a hint."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from specent.errors import SpecentError, visible

Verdict = Literal["pass", "warn", "fail", "skip"]

_WIDTH = 118
_INDENT = 24


def grade(value: float, good: float, bad: float) -> Verdict:
    """A verdict by size: up to the first limit a pass, up to the second a warning.

    Examples
    --------
    >>> grade(0.1, 0.5, 1.0), grade(0.7, 0.5, 1.0), grade(float("nan"), 0.5, 1.0)
    ('pass', 'warn', 'fail')
    """
    return "pass" if value <= good else "warn" if value <= bad else "fail"


@dataclass(frozen=True)
class Line:
    """The outcome of one check.

    Parameters
    ----------
    name : str
        The check, in a word or two.
    verdict : {"pass", "warn", "fail", "skip"}
        How the model fared.
    figure : str
        The numbers behind the verdict.
    cause, hint : str
        The likely cause and what to do about it; empty where all is well.
    """

    name: str
    verdict: Verdict
    figure: str
    cause: str = ""
    hint: str = ""

    def __str__(self) -> str:
        head = f"{self.verdict:<5} {self.name:<{_INDENT - 7}} "
        parts = [textwrap.wrap(head + self.figure, _WIDTH, subsequent_indent=" " * _INDENT)]
        for title, text in (("cause: ", self.cause), ("hint:  ", self.hint)):
            if text:
                start = " " * _INDENT + title
                parts.append(textwrap.wrap(text, _WIDTH, initial_indent=start, subsequent_indent=" " * len(start)))
        return "\n".join(visible(line) for part in parts for line in part)


@dataclass(frozen=True)
class Report:
    """The report of `check` on a model.

    Parameters
    ----------
    model : str
        Name of the model.
    lines : tuple of Line
        One per check.
    evaluations : int
        How many states were denoised.

    Examples
    --------
    >>> line = Line("prediction", "fail", "z = 40", "it predicts noise", 'say prediction="noise"')
    >>> report = Report("mine", (line,), 8)
    >>> report.ok
    False
    >>> print(report)
    mine: 1 fail (8 network evaluations)
    fail  prediction        z = 40
                            cause: it predicts noise
                            hint:  say prediction="noise"
    """

    model: str
    lines: tuple[Line, ...]
    evaluations: int

    @property
    def ok(self) -> bool:
        """Whether no line failed."""
        return not any(line.verdict == "fail" for line in self.lines)

    @property
    def failed(self) -> tuple[str, ...]:
        """Names of the lines that failed."""
        return tuple(line.name for line in self.lines if line.verdict == "fail")

    def __iter__(self) -> Iterator[Line]:
        return iter(self.lines)

    def __getitem__(self, name: str) -> Line:
        for line in self.lines:
            if line.name == name:
                return line
        raise SpecentError(f"name={name!r} is no line of this report; it has {', '.join(x.name for x in self.lines)}")

    def __str__(self) -> str:
        verdicts = [line.verdict for line in self.lines]
        counts = ", ".join(f"{verdicts.count(v)} {v}" for v in ("pass", "warn", "fail", "skip") if v in verdicts)
        head = f"{visible(self.model)}: {counts} ({self.evaluations} network evaluations)"
        return "\n".join([head, *map(str, self.lines)])
