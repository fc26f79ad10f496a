"""The form of a check: a name, what it needs, how it measures, and how it judges the measurement."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from specent.diagnostics.findings import Findings
from specent.diagnostics.report import Line
from specent.diagnostics.schedule_fit import better_schedule

T = TypeVar("T")

Lines = Mapping[str, Line]
"""The lines of the report so far, by name."""


@dataclass(frozen=True)
class Need:
    """What must hold for a check to say anything.

    Parameters
    ----------
    holds : callable
        Whether it does, by the findings and the lines of the report so far.
    reason, hint : str
        Figure and hint of the line of a check that is skipped for it.
    """

    holds: Callable[[Findings, Lines], bool]
    reason: str
    hint: str = ""


@dataclass(frozen=True)
class Check(Generic[T]):
    """One line of the report.

    Parameters
    ----------
    name : str
        Of the line.
    measure : callable
        What the check measures of the findings; it may raise whatever the network raises.
    judge : callable
        The line for a measurement: verdict, figure, and where something is wrong its cause and a hint.
    needs : tuple of Need
        What must hold beforehand; the check is skipped for the first that does not.
    presumes : tuple of Need
        What must hold for a failure to count, which would otherwise be blamed on the wrong part of the adapter.
    """

    name: str
    measure: Callable[[Findings], T]
    judge: Callable[[Findings, T], Line]
    needs: tuple[Need, ...] = ()
    presumes: tuple[Need, ...] = ()


def no_failure(*names: str) -> Callable[[Findings, Lines], bool]:
    """A condition: none of these lines failed."""
    return lambda findings, lines: not any(lines[name].verdict == "fail" for name in names)


_LATER = "judged by a wrong reading or wrong labels"
_FIRST = "fix the lines that fail first"

FINITE = Need(no_failure("finite"), "outputs are not finite", "fix the line 'finite' first")
HAS_NULL = Need(lambda findings, lines: findings.model.null, "the model has no null condition")
COMPLETE = Need(lambda findings, lines: findings.complete, "the labels do not cover what the null condition stands for")
STATES = Need(
    lambda findings, lines: findings.states is not None and findings.states.variance > 0,
    "there are no images, and the model's own run gave none",
    "give data",
)
IMAGES = Need(
    lambda findings, lines: findings.examples is not None,
    "needs images with their labels",
    "give data: images= and labels=, or --data",
)
READINGS = Need(
    lambda findings, lines: findings.readings.known,
    "the network could not be called for the line 'denoising'",
    "fix that line first",
)
OWN_SCHEDULE = Need(
    lambda findings, lines: not findings.schedules.known or better_schedule(findings.schedules.value) is None,
    "the network was trained on another schedule",
    "fix the line 'schedule' first",
)
RIGHT_READING = Need(no_failure("denoising", "prediction", "input scale", "schedule"), _LATER, _FIRST)
LABEL_ERRORS = Need(
    lambda findings, lines: findings.label_errors.known,
    "the network could not be called for the line 'labels'",
    "fix that line first",
)
RIGHT_LABELS = Need(lambda findings, lines: lines["labels"].verdict == "pass", _LATER, _FIRST)
