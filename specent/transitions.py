r"""The stochastic Gaussian reverse transition between any two noise levels of any schedule.

Given the state :math:`x` at :math:`(\alpha, \sigma)` and the denoised data :math:`D`, the state at the next, less
noisy :math:`(\alpha', \sigma')` is drawn from :math:`q(x' | x, x_0 = D)`, the posterior of the forward process (arXiv
2006.11239 equation 7; arXiv 2010.02502 with eta = 1). With :math:`\gamma = \alpha^2/\sigma^2` and :math:`k =
\gamma/\gamma'`,

.. math:: x' = \alpha' \left( k\, x/\alpha + (1-k) D \right) + \sigma' \sqrt{1-k}\; \xi .

Two conditions a, b differ in the mean only, and :math:`|\mu_a - \mu_b|^2/s^2 = (\gamma' - \gamma)\,|D_a - D_b|^2` for
every schedule: evidence needs the denoisers and the gain in signal-to-noise ratio, nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from specent.schedules import Schedule


@dataclass(frozen=True)
class Transition:
    """One step ``x' = keep * x + pull * D + spread * noise``, and the gain in signal-to-noise ratio."""

    keep: float
    pull: float
    spread: float
    gain: float


def transitions(schedule: Schedule, time: NDArray[np.float64]) -> list[Transition]:
    """The steps down a grid: entry i leads from ``time[i + 1]`` to ``time[i]``.

    Parameters
    ----------
    schedule : Schedule
        The noise schedule.
    time : ndarray, shape (time,)
        Ascending times.

    Returns
    -------
    list of Transition, length time - 1

    Examples
    --------
    >>> import numpy as np
    >>> from specent.schedules import VE
    >>> step = transitions(VE(), np.array([1.0, 2.0]))[0]
    >>> step.keep, step.pull, round(step.spread**2, 12), step.gain
    (0.25, 0.75, 0.75, 0.75)
    """
    alpha, sigma, log_snr = schedule.alpha(time), schedule.sigma(time), schedule.log_snr(time)
    share = -np.expm1(log_snr[1:] - log_snr[:-1])  # 1 - k, without cancellation for short steps
    columns = (
        (1 - share) * alpha[:-1] / alpha[1:],
        share * alpha[:-1],
        sigma[:-1] * np.sqrt(share),
        np.exp(log_snr[:-1]) * share,
    )
    return [Transition(*map(float, row)) for row in zip(*columns, strict=True)]
