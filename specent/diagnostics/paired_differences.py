"""Paired comparisons: the same states, denoised in two ways."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm
from scipy.stats import t as student

Array = NDArray[np.float64]

# chance that noise alone makes one comparison significant
_FALSE_ALARM = 1e-6
# standard errors beyond which a single noise level counts as decided, and the share of them that makes most
_DECIDED, _SHARE = 3.0, 0.75


@lru_cache(maxsize=1024)
def _threshold(chance: float, freedom: int) -> float:
    """What Student's t exceeds with that chance; a check asks for the same few again and again."""
    return float(student.isf(chance, freedom))


@dataclass(frozen=True)
class PairedDifference:
    """Mean of a difference over independent examples, with its standard error."""

    mean: float
    error: float
    count: int

    @property
    def z(self) -> float:
        """The mean in standard errors; of a difference without scatter, infinity or 0."""
        if self.error > 0:
            return self.mean / self.error
        return float(np.sign(self.mean)) * np.inf if self.mean else 0.0

    @property
    def significant(self) -> bool:
        """Whether it is above zero beyond what noise explains."""
        return self.count > 2 and self.z > _threshold(_FALSE_ALARM, self.count - 1)

    def below(self, errors: float) -> bool:
        """Whether it is below zero by more than so many standard errors, or as unlikely a number if they are few."""
        return self.count > 2 and self.z < -_threshold(float(norm.sf(errors)), self.count - 1)


def paired_difference(first: Array, second: Array) -> PairedDifference:
    """The first minus the second, paired.

    Examples
    --------
    >>> paired_difference(np.array([2.0, 3.0, 4.0]), np.array([1.0, 2.0, 3.0])).mean
    1.0
    """
    values = np.asarray(first, dtype=np.float64) - np.asarray(second, dtype=np.float64)
    count = len(values)
    error = float(values.std(ddof=1)) / count**0.5 if count > 1 else np.inf
    return PairedDifference(float(values.mean()), error, count)


def mostly_smaller(first: Array, second: Array) -> bool:
    """Whether the second is smaller at most of the levels at which the two differ, both of shape (levels, n).

    Examples
    --------
    >>> noise = np.random.default_rng(0).normal(size=(4, 50))
    >>> mostly_smaller(noise + 5, noise), mostly_smaller(noise, noise + 5)
    (True, False)
    """
    gaps = [paired_difference(*pair) for pair in zip(first, second, strict=True)]
    decided = [np.sign(gap.mean) for gap in gaps if abs(gap.z) > _DECIDED]
    return bool(sum(sign > 0 for sign in decided) > _SHARE * len(decided))


def z_text(z: float) -> str:
    """A number of standard errors, as text.

    Examples
    --------
    >>> z_text(12.34), z_text(np.inf)
    ('12 standard errors', 'without exception')
    """
    if not np.isfinite(z):
        return "without exception"
    return f"{z:.0f} standard errors" if abs(z) >= 10 else f"{z:.2g} standard errors"
