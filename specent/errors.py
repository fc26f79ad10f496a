"""The one family of errors, and the one category of warnings, that the package raises on purpose.

Every message names the argument, the value it had and what to do about it.
"""

from __future__ import annotations


class SpecentError(ValueError):
    """Bad input, found before any long work and before anything is written."""


class PartitionError(SpecentError):
    """A partition that contradicts itself or the labels it is used with."""


class ScheduleError(SpecentError):
    """A noise schedule or a time grid that cannot be used."""


class ModelError(SpecentError):
    """A model, checkpoint or network output that cannot be used."""


class ArchiveError(SpecentError):
    """A file that is missing, damaged, not ours, or of another kind than needed."""


class SpecentWarning(UserWarning):
    """A number that was computed but should not be trusted without a look."""


class CalibrationWarning(SpecentWarning):
    """Two estimators that must agree differ by more than sampling noise explains."""
