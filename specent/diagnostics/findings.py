"""Everything that is measured of a model under check, each measurement once and when a check first needs it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Generic, TypeVar, cast

from specent.diagnostics.label_errors import LabelErrors, label_errors, with_best_labels
from specent.diagnostics.labelled_data import LabelledExamples
from specent.diagnostics.readings import ReadingErrors, reading_errors
from specent.diagnostics.schedule_fit import ScheduleFit, schedule_fits
from specent.diagnostics.short_run import ShortRun, final_samples, short_run
from specent.diagnostics.subject import Subject

T = TypeVar("T")


@dataclass(frozen=True)
class Outcome(Generic[T]):
    """A measurement, or the error that it raised.

    Examples
    --------
    >>> Outcome.of(lambda: 6 * 7).value
    42
    >>> Outcome.of(lambda: 1 / 0).known
    False
    """

    result: T | None = None
    error: Exception | None = None

    @classmethod
    def of(cls, measure: Callable[[], T]) -> Outcome[T]:
        """The outcome of a measuring function."""
        try:
            return cls(result=measure())
        except Exception as error:
            return cls(error=error)

    @property
    def known(self) -> bool:
        """Whether there is a measurement."""
        return self.error is None

    @property
    def value(self) -> T:
        """The measurement; if there is none, its error is raised."""
        if self.error is not None:
            raise self.error
        return cast(T, self.result)


@dataclass(frozen=True)
class Findings(Subject):
    """A model under check and what more than one check needs to know of it, see `Subject` for its fields."""

    @cached_property
    def run(self) -> Outcome[ShortRun]:
        """A short run of the model itself."""
        return Outcome.of(lambda: short_run(self))

    @cached_property
    def label_errors(self) -> Outcome[LabelErrors]:
        """Errors on the data under several labels and under the null condition."""
        return Outcome.of(lambda: label_errors(self))

    @cached_property
    def states(self) -> LabelledExamples | None:
        """Clean states: the data under the labels that fit best, or else samples of the model itself, if any."""
        if self.examples is None:
            return final_samples(self, self.run.value) if self.run.known else None
        return with_best_labels(self.examples, self.label_errors.value) if self.label_errors.known else self.examples

    @property
    def clean_states(self) -> LabelledExamples:
        """Those states, for a check that needs them."""
        assert self.states is not None
        return self.states

    @cached_property
    def readings(self) -> Outcome[ReadingErrors]:
        """Errors on the data under every reading of the network's outputs."""
        return Outcome.of(lambda: reading_errors(self, self.clean_states))

    @cached_property
    def schedules(self) -> Outcome[tuple[ScheduleFit, ...]]:
        """Errors on the data on every usual schedule, the best first."""
        return Outcome.of(lambda: schedule_fits(self, self.clean_states, self.readings.value))
