"""The discrete schedule of denoising diffusion models, given by its betas."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import ArrayLike

from specent import arguments
from specent.arguments import brief
from specent.errors import ScheduleError
from specent.schedules.base import Schedule, finite_log_snr, sigmoid
from specent.schedules.levels import Array, whole_steps


@dataclass(frozen=True)
class DDPM(Schedule):
    """Discrete schedule of arXiv 2006.11239, ``alpha**2 = cumprod(1 - beta)``, at integer times 0 .. T-1.

    Between the integers the log-SNR is interpolated linearly, so any real time in range can be used.

    Parameters
    ----------
    betas : {"linear", "scaled_linear", "cosine"} or sequence of float
        The named schedules are 1e-4 .. 2e-2 (arXiv 2006.11239), the squares of sqrt(0.00085) .. sqrt(0.012) used by
        Stable Diffusion 1.5, and the cosine of arXiv 2102.09672. A sequence gives the betas themselves.
    steps : int
        Number of betas of a named schedule. Ignored for a sequence.

    Examples
    --------
    >>> DDPM("linear").noise_level(500).round(3).item()
    3.443
    """

    betas: Literal["linear", "scaled_linear", "cosine"] | tuple[float, ...] = "linear"
    steps: int = 1000
    name: ClassVar[str] = "ddpm"
    noise_free_start: ClassVar[bool] = False
    signal_free_end: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if isinstance(self.betas, str):
            steps = whole_steps(self.steps)
        else:
            values = arguments.array(self.betas, "betas", error=ScheduleError)
            if values.ndim != 1 or values.size < 2:
                raise ScheduleError(f"betas={brief(self.betas)} must be a list of at least 2 numbers")
            steps = values.size
            object.__setattr__(self, "betas", tuple(values.tolist()))
        object.__setattr__(self, "steps", steps)
        betas = self._betas()
        bad = np.flatnonzero(~((betas > 0) & (betas < 1)))
        if bad.size:
            raise ScheduleError(f"betas[{bad[0]}]={betas[bad[0]]:g} must lie strictly between 0 and 1")
        table = _ddpm_log_snr(betas)
        # beyond 700, alpha or sigma is 0 in double precision
        lost = np.flatnonzero(~(np.diff(table, prepend=np.inf) < 0) | ~(np.abs(table) < 700))
        if lost.size:
            raise ScheduleError(
                f"betas[{lost[0]}]={betas[lost[0]]:g} leaves no signal, or adds no noise, in double precision; use "
                "fewer steps, or betas nearer to those of betas='linear'"
            )
        object.__setattr__(self, "_table", table)

    def _betas(self) -> Array:
        if not isinstance(self.betas, str):
            return np.asarray(self.betas, dtype=np.float64)
        if self.betas == "linear":
            return np.linspace(1e-4, 2e-2, self.steps)
        if self.betas == "scaled_linear":
            return np.linspace(0.00085**0.5, 0.012**0.5, self.steps) ** 2
        if self.betas == "cosine":
            angle = (np.arange(self.steps + 1) / self.steps + 0.008) / 1.008 * np.pi / 2
            bar = np.cos(angle) ** 2
            return np.asarray(np.minimum(1.0 - bar[1:] / bar[:-1], 0.999))
        raise ScheduleError(
            f"betas={self.betas[:40]!r} is not a known schedule; use 'linear', 'scaled_linear', 'cosine' or numbers"
        )

    @property
    def time_range(self) -> tuple[float, float]:
        return (0.0, float(self.steps - 1))

    @property
    def whole_times(self) -> Array:
        return np.arange(self.steps, dtype=np.float64)

    @property
    def _log_snr_table(self) -> Array:
        table: Array = self.__dict__["_table"]
        return table

    def alpha(self, time: ArrayLike) -> Array:
        return np.sqrt(sigmoid(self.log_snr(time)))

    def sigma(self, time: ArrayLike) -> Array:
        return np.sqrt(sigmoid(-self.log_snr(time)))

    def log_snr(self, time: ArrayLike) -> Array:
        return np.interp(self._checked(time), np.arange(self.steps), self._log_snr_table)

    def time(self, log_snr: ArrayLike) -> Array:
        values = finite_log_snr(log_snr)
        table = self._log_snr_table
        slack = 1e-9  # a log-SNR that went through a file or an exponential comes back off by rounding
        outside = (values > table[0] + slack) | (values < table[-1] - slack)
        if outside.any():
            raise ScheduleError(
                f"log_snr={values[outside].flat[0]:g} is outside [{table[-1]:g}, {table[0]:g}], the "
                "range of this ddpm schedule; choose a grid inside it"
            )
        return np.interp(-values, -table, np.arange(self.steps, dtype=np.float64))

    def time_per_log_snr(self, log_snr: ArrayLike) -> Array:
        # the log-SNR is piecewise linear: the slope over one whole step is its derivative
        time, (low, high) = self.time(log_snr), self.time_range
        before, after = np.clip(time - 0.5, low, high), np.clip(time + 0.5, low, high)
        return np.asarray((after - before) / (self.log_snr(before) - self.log_snr(after)))

    @property
    def code(self) -> str:
        if not isinstance(self.betas, str):
            return f"specent.schedules.DDPM of {self.steps} betas of its own"
        return f"specent.schedules.DDPM({self.betas!r}{'' if self.steps == DDPM.steps else f', {self.steps}'})"

    @property
    def definition(self) -> dict[str, Any]:
        return {"name": self.name, "betas": self.betas, "steps": self.steps}


def _ddpm_log_snr(betas: Array) -> Array:
    log_alpha_squared = np.cumsum(np.log1p(-betas))
    return np.asarray(log_alpha_squared - np.log(-np.expm1(log_alpha_squared)))
