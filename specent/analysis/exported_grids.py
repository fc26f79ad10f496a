"""Grids of noise levels as other samplers take them: plain numbers in JSON, from the highest noise down.

EDM samplers (arXiv 2206.00364) take noise levels. The schedulers of diffusers take ``sigmas`` or ``timesteps``: those
of a DDPM the noise levels with a 0 at the end, or the integer times nearest to them; those of flow matching their times
between 1 and 0, to which the scheduler still applies its shift.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from specent.errors import SpecentError
from specent.schedules import DDPM, FlowMatching, Schedule, check_grid

Array = NDArray[np.float64]


def exported_grid(time: ArrayLike, schedule: Schedule) -> dict[str, Any]:
    """A grid as JSON serialisable values.

    Parameters
    ----------
    time : array_like, shape (steps,)
        Ascending times, as of `specent.grids`.
    schedule : Schedule
        Their schedule.

    Returns
    -------
    dict
        ``noise_levels`` (sigma / alpha) and ``times`` of the schedule, descending. Where diffusers has a scheduler of
        that kind also ``diffusers``: arguments of ``set_timesteps``, or of pipelines. ``sigmas`` is for those that take
        them, ``timesteps`` for the others.

    Raises
    ------
    SpecentError
        If the grid cannot be used, or two of its times are the same for a network of integer times.

    Examples
    --------
    >>> from specent.schedules import VE
    >>> exported_grid([0.1, 1.0, 10.0], VE())
    {'schedule': 'VE()', 'noise_levels': [10.0, 1.0, 0.1], 'times': [10.0, 1.0, 0.1]}
    """
    grid = check_grid(schedule, time)[::-1]
    levels = np.exp(-0.5 * schedule.log_snr(grid))
    made: dict[str, Any] = {"schedule": repr(schedule), "noise_levels": _plain(levels), "times": _plain(grid)}
    if isinstance(schedule, DDPM):
        whole = np.rint(grid).astype(int)
        if np.any(np.diff(whole) >= 0):
            twice = int(whole[1:][np.diff(whole) >= 0][0])
            raise SpecentError(
                f"steps={len(grid)} put two noise levels at the timestep {twice} of the network; take fewer steps"
            )
        made["diffusers"] = {"sigmas": [*_plain(levels), 0.0], "timesteps": whole.tolist()}
    elif isinstance(schedule, FlowMatching):
        made["diffusers"] = {"sigmas": _plain(grid)}
    return made


def _plain(values: Array) -> list[float]:
    """Numbers with ten digits, more than any sampler resolves."""
    return [float(f"{value:.10g}") for value in values]
