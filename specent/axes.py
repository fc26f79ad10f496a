r"""Axes along which a profile can be read, and how positions and rates move between them.

Everything in a Gaussian diffusion depends on the log-SNR :math:`\lambda = \ln(\alpha^2/\sigma^2)` alone (arXiv
2107.00630), but the position of a peak depends on the axis the rate is taken along. Rates are positive where noise adds
uncertainty: :math:`-dH/d\lambda`, :math:`dH/d\ln\sigma`, :math:`dH/d\sigma` and :math:`dH/dt`, where sigma is the noise
level :math:`\sigma/\alpha = e^{-\lambda/2}`, in which all schedules coincide, and t the time of the schedule. The
coordinate ``sigma`` of a dataset is another thing, the :math:`\sigma` of the channel at that time: it equals the axis
"sigma" under `specent.schedules.VE`, where :math:`\alpha = 1`, and nowhere else.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from specent import arguments
from specent.arguments import brief
from specent.errors import SpecentError
from specent.schedules import Schedule

Array = NDArray[np.float64]

AXES = ("log_snr", "log_sigma", "sigma", "time")

AXIS_LABELS = {
    "log_snr": "log-SNR ln(α²/σ²)  (noise ⟶ data)",
    "log_sigma": "log noise level ln(σ/α)  (noise ⟶ data)",
    "sigma": "noise level σ/α  (noise ⟶ data)",
    "time": "diffusion time t  (noise ⟶ data)",
}
"""How each is called along a figure."""


def check_axis(axis: str, argument: str = "axis") -> str:
    """Return `axis` if it is one of `AXES`.

    Raises
    ------
    SpecentError
        Naming the argument and the axes there are.
    """
    if not isinstance(axis, str) or axis not in AXES:
        raise SpecentError(f"{argument}={brief(axis)} is not an axis; use one of {', '.join(AXES)}")
    return axis


def position(axis: str, log_snr: ArrayLike, schedule: Schedule | None = None) -> Array:
    """Positions on an axis, from log-SNR.

    Parameters
    ----------
    axis : {"log_snr", "log_sigma", "sigma", "time"}
        The axis; "log_sigma" and "sigma" are those of the noise level ``sigma / alpha``, which is the coordinate
        ``sigma`` of a dataset under VE only.
    log_snr : array_like
        Any shape.
    schedule : Schedule, optional
        The noise schedule, needed for "time" only.

    Returns
    -------
    ndarray
        Same shape as `log_snr`.

    Raises
    ------
    SpecentError
        If the axis is unknown, is "time" and there is no schedule, or a value is beyond double precision.

    Examples
    --------
    >>> position("sigma", [0.0, -2.0]).round(4).tolist()
    [1.0, 2.7183]
    """
    check_axis(axis)
    values = _checked_log_snr(log_snr)
    if axis == "log_snr":
        return values
    if axis == "log_sigma":
        return -0.5 * values
    if axis == "sigma":
        return np.exp(-0.5 * values)
    return _needed(schedule).time(values)


def rate_factor(axis: str, log_snr: ArrayLike, schedule: Schedule | None = None) -> Array:
    """What a rate per unit of log-SNR is multiplied by to become a rate along `axis`.

    Parameters
    ----------
    axis : {"log_snr", "log_sigma", "sigma", "time"}
        The axis of the rate; "sigma" is the noise level ``sigma / alpha``, as in `position`.
    log_snr : array_like
        Where; any shape.
    schedule : Schedule, optional
        The noise schedule, needed for "time" only.

    Returns
    -------
    ndarray
        Positive, the absolute value of ``d log_snr / d axis``, same shape as `log_snr`.

    Raises
    ------
    SpecentError
        If the axis is unknown, is "time" and there is no schedule, or a value is beyond double precision.

    Examples
    --------
    >>> rate_factor("log_sigma", 0.0).item(), rate_factor("sigma", -2 * np.log(4.0)).item()
    (2.0, 0.5)
    """
    check_axis(axis)
    values = _checked_log_snr(log_snr)
    if axis == "log_snr":
        return np.ones_like(values)
    if axis == "log_sigma":
        return np.full_like(values, 2.0)
    if axis == "sigma":
        return 2.0 * np.exp(0.5 * values)
    return 1.0 / _needed(schedule).time_per_log_snr(values)


def _checked_log_snr(log_snr: ArrayLike) -> Array:
    """As numbers; NaN and infinity pass, they stand for positions that do not exist."""
    values = arguments.array(log_snr, "log_snr")
    far = np.isfinite(values) & (np.abs(values) > 1400)
    if far.any():
        raise SpecentError(f"log_snr={values[far].flat[0]:g} is beyond double precision; use values nearer to 0")
    return values


def _needed(schedule: Schedule | None) -> Schedule:
    if schedule is None:
        raise SpecentError("axis='time' needs a schedule: give one with specent.on_schedule, or use another axis")
    hint = "give a schedule, for example specent.schedules.VE()"
    return arguments.instance(schedule, Schedule, "schedule", hint)  # type: ignore[type-abstract]
