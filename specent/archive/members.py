"""Whether a shard is like another that was opened and validated, which takes a tenth of the time of validating it.

The shards of a run have the same variables, attributes and coordinates. They differ in classes, samples, settings and
history, which are examined here; everything else is compared with what a good shard had.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np

from specent.archive import sealing
from specent.archive.handles import opened
from specent.archive.locking import LIBRARY
from specent.archive.plausibility import refuse_implausible_sizes
from specent.errors import ArchiveError
from specent.files import sha256
from specent.untrusted import parse_json

_OWN_ATTRIBUTES = ("settings", "settings_sha256", "history")
_OWN_COORDINATES = ("class_label", "label_prior", "sample")

Pattern = tuple[Any, ...]


def pattern(path: Path) -> Pattern:
    """What a shard has in common with the others of its run: declarations, attributes and coordinates.

    Raises
    ------
    OSError, RuntimeError, LookupError, ValueError
        If the file cannot be read, which it is not told why.
    """
    with LIBRARY, netCDF4.Dataset(path) as file:
        return _pattern(file)


def _pattern(file: netCDF4.Dataset) -> Pattern:
    own = [file.variables[name] for name in _OWN_COORDINATES]
    free = {"class_label", "sample", *(name for variable in own for name in variable.dimensions[1:])}
    declared, values = [], []
    for name, variable in file.variables.items():
        attributes = _plain(variable.__dict__)
        fixed = [(d, size) for d, size in zip(variable.dimensions, variable.shape, strict=True) if d not in free]
        declared.append((name, str(variable.dtype), variable.ndim, fixed, attributes))
        # variables of data name their coordinates
        if name not in _OWN_COORDINATES and "coordinates" not in attributes:
            values.append(_values(variable))
    return declared, {k: v for k, v in _plain(file.__dict__).items() if k not in _OWN_ATTRIBUTES}, values


def resembles(path: Path, good: Pattern, classes: list[str], samples: range, plan: Any) -> bool:
    """Whether a shard is undamaged, has the pattern of a good one, and holds these classes and samples of the plan.

    Parameters
    ----------
    path : Path
        The file, which is read as a whole.
    good : Pattern
        Of a shard that was opened, which validates it.
    classes, samples : list of str, range
        What it is to hold.
    plan : callable
        Raises unless the text of its settings names the plan.
    """
    sealing.check_signature(path)
    sealing.check_seal(path)
    try:
        with LIBRARY, netCDF4.Dataset(path) as file:
            refuse_implausible_sizes(file, path.stat().st_size, sealed=True)
            if _pattern(file) != good:
                return False
            settings = file.settings
            plan(settings)
            prior = dict(zip(_texts(file["candidate"]), file["candidate_prior"][:].tolist(), strict=True))
            own = [prior.get(label, -1.0) for label in classes]
            return bool(
                isinstance(file.history, str)
                and file.settings_sha256 == sha256(settings.encode())
                and _texts(file["class_label"]) == classes
                and np.array_equal(file["sample"][:], samples)
                and np.array_equal(file["label_prior"][:], own)
            )
    except (OSError, RuntimeError, LookupError, ValueError, AttributeError):
        return False


def _plain(attributes: dict[str, Any]) -> dict[str, Any]:
    return {name: value.item() if isinstance(value, np.generic) else value for name, value in attributes.items()}


def _values(variable: Any) -> bytes:
    variable.set_auto_maskandscale(False)
    if variable.dtype == "S1":
        variable.set_auto_chartostring(False)
    return np.ascontiguousarray(variable[...]).tobytes()


def _texts(variable: Any) -> list[str]:
    variable.set_auto_chartostring(False)
    return list(map(str, netCDF4.chartostring(variable[:], encoding="utf-8").tolist()))


@lru_cache(maxsize=1 << 16)
def check_once(path: Path, plan_sha256: str, state: tuple[int, int, int]) -> None:
    """Check the seal of a shard, and its plan; `state` tells a file from another that took its name since."""
    sealing.check_signature(path)
    sealing.check_seal(path)
    with opened(path) as file:
        check_plan(path, str(file.settings), plan_sha256)


def check_plan(path: Path, settings: str, plan_sha256: str) -> None:
    """Refuse a shard whose settings name another plan."""
    stored = parse_json(settings)
    if not isinstance(stored, dict) or stored.get("plan_sha256") != plan_sha256:
        raise ArchiveError(f"path={str(path)!r} belongs to another plan than that of its folder")
