"""A constant guidance scale (arXiv 2207.12598), in all noise or in an interval of it (arXiv 2404.07724)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

from specent import arguments
from specent.guidance.base import Setting, checked_interval, interval_text, number_text


@dataclass(frozen=True)
class Guidance(Setting):
    """Guidance scale and the interval of noise levels ``sigma / alpha`` in which it applies.

    Parameters
    ----------
    scale : float
        The weight w, from 0 to 1e6; 1 is unguided, 0 follows the null condition.
    interval : tuple of float
        ``(sigma_lo, sigma_hi)``: w applies where ``sigma_lo < sigma / alpha <= sigma_hi``.

    Raises
    ------
    SpecentError
        If the scale is out of range, or the interval is upside down.

    Examples
    --------
    >>> Guidance(2.0, (0.5, 5.0)).scale_at(1.0), Guidance(2.0, (0.5, 5.0)).scale_at(0.5)
    (2.0, 1.0)
    >>> str(Guidance()), str(Guidance(2.0, (0.5, 5.0)))
    ('unguided', 'w=2 for 0.5<sigma<=5')
    """

    scale: float = 1.0
    interval: tuple[float, float] = (0.0, math.inf)
    kind: ClassVar[str] = "constant"
    defined_by_numbers: ClassVar[bool] = True

    def __post_init__(self) -> None:
        scale = arguments.number(self.scale, "guidance scale", least=0, most=1e6)
        # settings read from a file come as lists and whole numbers; a setting must hash, compare and print alike
        object.__setattr__(self, "scale", abs(scale))
        object.__setattr__(self, "interval", checked_interval(self.interval))

    def scale_inside(self, noise_level: float, state: Any) -> float:
        """The same weight at every noise level."""
        return self.scale

    @property
    def numbers(self) -> tuple[float, float, float]:
        """The scale and the ends of the interval."""
        return (self.scale, *self.interval)

    @property
    def guided(self) -> bool:
        """Whether the scale differs from 1."""
        return self.scale != 1.0

    def __str__(self) -> str:
        return f"w={number_text(self.scale)}{interval_text(self.interval)}" if self.guided else "unguided"
