r"""Classifier-free guidance settings (arXiv 2207.12598), with an optional noise interval (arXiv 2404.07724).

The guided denoiser is :math:`D_w = D_\text{null} + w\,(D_c - D_\text{null})`, so **w = 1 is unguided**. Some papers
write :math:`1 + w` for it: the formula goes into every file.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from specent import checks
from specent.errors import SpecentError

FORMULA = "D_null + w (D_class - D_null) for sigma_lo < sigma/alpha <= sigma_hi, D_class elsewhere; w = 1 is unguided"


@dataclass(frozen=True)
class Guidance:
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

    def __post_init__(self) -> None:
        scale = checks.number(self.scale, "guidance scale", least=0, most=1e6)
        interval = checks.array(self.interval, "guidance interval")
        if interval.shape != (2,) or not 0 <= interval[0] < interval[1]:
            raise SpecentError(
                f"guidance interval={checks.shown(self.interval)} must be (sigma_lo, sigma_hi) with "
                "0 <= sigma_lo < sigma_hi"
            )
        # settings read from a file come as lists and whole numbers; a setting must hash, compare and print alike
        object.__setattr__(self, "scale", abs(scale))
        object.__setattr__(self, "interval", (abs(float(interval[0])), float(interval[1])))

    @property
    def guided(self) -> bool:
        """Whether the setting differs from sampling the conditional model."""
        return self.scale != 1.0

    def scale_at(self, noise_level: float) -> float:
        """Weight w at the noise level ``sigma / alpha``."""
        noise_level = checks.number(noise_level, "noise_level", least=0)
        low, high = self.interval
        return self.scale if low < noise_level <= high else 1.0

    def __str__(self) -> str:
        if not self.guided:
            return "unguided"
        low, high = self.interval
        if low == 0 and math.isinf(high):
            return f"w={_plain(self.scale)}"
        upper = "" if math.isinf(high) else f"<={_plain(high)}"
        return f"w={_plain(self.scale)} for {_plain(low)}<sigma{upper}"


def _plain(value: float) -> str:
    """The shortest text that tells the number from every other, so that two settings never share a name."""
    return repr(value).removesuffix(".0")
