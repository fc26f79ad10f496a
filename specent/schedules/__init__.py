r"""Noise schedules and time grids.

Every schedule is one class in a file of its own, see `specent.schedules.base` for what it must say. A new one is
entered into `SCHEDULES`, by which it is known in files.
"""

from __future__ import annotations

from typing import Any

from specent.arguments import brief
from specent.errors import ScheduleError
from specent.schedules.base import Schedule as Schedule
from specent.schedules.ddpm import DDPM as DDPM
from specent.schedules.flow_matching import FlowMatching as FlowMatching
from specent.schedules.grids import check_grid as check_grid
from specent.schedules.grids import edm_grid as edm_grid
from specent.schedules.grids import log_snr_grid as log_snr_grid
from specent.schedules.grids import time_grid as time_grid
from specent.schedules.levels import Array as Array
from specent.schedules.ve import VE as VE
from specent.schedules.vp import VP as VP
from specent.untrusted import parse_json

SCHEDULES: dict[str, type[Schedule]] = {
    VP.name: VP,
    VE.name: VE,
    DDPM.name: DDPM,
    FlowMatching.name: FlowMatching,
}
"""Every schedule by its name in files."""


def from_json(text: str) -> Schedule:
    """Rebuild a schedule from the text of `Schedule.to_json`.

    Raises
    ------
    ScheduleError
        If the text names no known schedule.

    Examples
    --------
    >>> from_json(VP().to_json())
    VP()
    """
    try:
        fields: dict[str, Any] = parse_json(text)
        return SCHEDULES[fields.pop("name")].from_definition(fields)
    except ScheduleError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ScheduleError(f"schedule={brief(text)} is not the JSON text of a known schedule") from error
