r"""Classifier-free guidance settings (arXiv 2207.12598), with an optional noise interval (arXiv 2404.07724).

The guided denoiser is :math:`D_w = D_\text{null} + w\,(D_c - D_\text{null})`, so **w = 1 is unguided**. Some papers
write :math:`1 + w` for it: the formula goes into every file.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from specent.errors import SpecentError

FORMULA = "D_null + w (D_class - D_null) for sigma_lo < sigma/alpha <= sigma_hi, D_class elsewhere; w = 1 is unguided"


@dataclass(frozen=True)
class Guidance:
    """Guidance scale and the interval of noise levels in which it applies.

    Parameters
    ----------
    scale : float
        The weight w, not negative; 1 is unguided, 0 follows the null condition.
    interval : tuple of float
        ``(sigma_lo, sigma_hi)``: w applies where ``sigma_lo < sigma / alpha <= sigma_hi``.

    Raises
    ------
    SpecentError
        If the scale is negative or not finite, or the interval is upside down.

    Examples
    --------
    >>> Guidance(2.0, (0.5, 5.0)).scale_at(1.0), Guidance(2.0, (0.5, 5.0)).scale_at(0.5)
    (2.0, 1.0)
    >>> str(Guidance()), str(Guidance(2.0, (0.5, 5.0)))
    ('unguided', 'w=2 for 0.5<sigma<=5')
    """

    scale: float = 1.0
    interval: tuple[float, float] = (0.0, math.inf)

    def __post_init__(self) -> None:
        if not (math.isfinite(self.scale) and self.scale >= 0):
            raise SpecentError(f"guidance scale={self.scale!r} must be finite and not negative; 1 is unguided")
        if len(self.interval) != 2 or not 0 <= self.interval[0] < self.interval[1]:
            raise SpecentError(
                f"guidance interval={self.interval!r} must be (sigma_lo, sigma_hi) with 0 <= sigma_lo < sigma_hi"
            )
        # settings read from a file come as lists and whole numbers; a setting must hash and compare alike
        object.__setattr__(self, "scale", float(self.scale))
        object.__setattr__(self, "interval", (float(self.interval[0]), float(self.interval[1])))

    @property
    def guided(self) -> bool:
        """Whether the setting differs from sampling the conditional model."""
        return self.scale != 1.0

    def scale_at(self, noise_level: float) -> float:
        """Weight w at the noise level ``sigma / alpha``."""
        low, high = self.interval
        return self.scale if low < noise_level <= high else 1.0

    def __str__(self) -> str:
        if not self.guided:
            return "unguided"
        low, high = self.interval
        if low == 0 and math.isinf(high):
            return f"w={self.scale:g}"
        upper = "" if math.isinf(high) else f"<={high:g}"
        return f"w={self.scale:g} for {low:g}<sigma{upper}"
