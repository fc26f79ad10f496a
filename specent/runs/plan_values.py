"""The values of a plan file: each is plain text, numbers and tables, and becomes an argument of `specent.Plan`."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import Any

from specent import schedules
from specent.arguments import brief, instance, whole
from specent.errors import SpecentError
from specent.guidance import RULES, Guidance, Setting
from specent.guidance import from_json as guidance_from_json
from specent.partitions import Partition
from specent.sampling.record import Record, Statistics
from specent.sampling.scoring import Scoring
from specent.schedules import SCHEDULES, Array, Schedule

MOST_TIMES = 100_000
"""Times of the chain that a plan file may ask for."""

GRIDS: dict[str, Callable[..., Array]] = {
    "default": lambda schedule, steps: schedule.grid(steps),
    "edm": schedules.edm_grid,
    "log_snr": schedules.log_snr_grid,
    "time": schedules.time_grid,
}
"""Time grids by their name in plan files; the schedule is passed to all of them."""


def check_keys(table: Mapping[str, Any], what: str, known: Mapping[str, bool]) -> None:
    """Refuse a key that is not known, and one that is missing though `known` says that it must be there.

    Examples
    --------
    >>> check_keys({"setps": 8}, "time", {"steps": True})
    Traceback (most recent call last):
    specent.errors.SpecentError: 'setps' is no key of time; did you mean 'steps'?
    """
    for key in table:
        if key not in known:
            close = get_close_matches(str(key)[:100], list(known), 1)
            hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(map(repr, known)) or 'none'}"
            raise SpecentError(f"{brief(key)} is no key of {what}; {hint}")
    for key, needed in known.items():
        if needed and key not in table:
            raise SpecentError(f"{key!r} is missing in {what}; add it")


def table_at(value: Any, where: str) -> dict[str, Any]:
    """The value, if it is a table.

    Examples
    --------
    >>> table_at("ve", "record")
    Traceback (most recent call last):
    specent.errors.SpecentError: record='ve' is a str; give a table of keys and values
    """
    return instance(value, dict, where, "give a table of keys and values")


def named_schedule(value: Any, where: str = "schedule") -> Schedule:
    """A schedule from its name, or from a table of its name and numbers.

    Examples
    --------
    >>> named_schedule("ve"), named_schedule({"name": "ddpm", "steps": 400}).code
    (VE(), "specent.schedules.DDPM('linear', 400)")
    """
    fields = {"name": value} if isinstance(value, str) else dict(table_at(value, where))
    name = fields.pop("name", None)
    if not isinstance(name, str) or name not in SCHEDULES:
        raise SpecentError(f"{where}: name={brief(name)} must be one of {', '.join(map(repr, SCHEDULES))}")
    kind = SCHEDULES[name]
    check_keys(fields, f"{where} {name!r}", dict.fromkeys(inspect.signature(kind).parameters, False))
    return kind.from_definition(fields)


def time_of(value: Any, schedule: Schedule) -> Any:
    """Times of the chain: those in a list, or those of a grid that a table names.

    Examples
    --------
    >>> from specent.schedules import VE
    >>> time_of({"grid": "edm", "steps": 3}, VE()).round(3).tolist()
    [0.002, 2.515, 80.0]
    """
    if isinstance(value, list):
        if len(value) > MOST_TIMES:
            raise SpecentError(f"time has {len(value)} entries; a plan may have {MOST_TIMES}")
        return value
    fields = dict(table_at(value, "time"))
    name = fields.pop("grid", "default")
    if not isinstance(name, str) or name not in GRIDS:
        raise SpecentError(f"time: grid={brief(name)} must be one of {', '.join(map(repr, GRIDS))}")
    parameters = inspect.signature(GRIDS[name]).parameters.values()
    known = {one.name: one.default is one.empty for one in parameters if one.name != "schedule"}
    check_keys(fields, f"time, grid {name!r}", known)
    whole(fields["steps"], "time: steps", least=2, most=MOST_TIMES)
    return GRIDS[name](schedule=schedule, **fields)


def partitions_of(value: Any) -> list[Partition | str]:
    """Partitions: texts for `specent.Partition.parse`, or tables of name, sides and prior.

    Examples
    --------
    >>> partitions_of(["full", {"name": "kind", "sides": {"animal": ["cat", "dog"], "vehicle": ["car"]}}])[1].labels
    ('cat', 'dog', 'car')
    """
    known = {"name": True, "sides": True, "prior": False}
    found: list[Partition | str] = []
    for i, item in enumerate(_items(value)):
        where = f"partitions[{i}]"
        if isinstance(item, str):
            found.append(item)
            continue
        check_keys(table_at(item, where), where, known)
        sides = item["sides"]
        pairs = tuple(sides.items()) if isinstance(sides, dict) else sides
        found.append(Partition(item["name"], pairs, item.get("prior")))
    return found


def guidance_of(value: Any) -> list[Setting]:
    """Guidance settings: scales, or tables of a kind (constant if it is left out) and its numbers.

    Examples
    --------
    >>> guidance_of([1, {"scale": 2.0, "interval": [0.5, 5.0]}])
    [Guidance(scale=1.0, interval=(0.0, inf)), Guidance(scale=2.0, interval=(0.5, 5.0))]
    """
    settings: list[Setting] = []
    for i, item in enumerate(_items(value)):
        where = f"guidance[{i}]"
        if isinstance(item, (int, float)) and not isinstance(item, bool):
            settings.append(Guidance(item))
            continue
        fields = {"kind": Guidance.kind, "interval": [0.0, "inf"], **table_at(item, where)}
        kind = fields["kind"]
        if not isinstance(kind, str) or kind not in RULES:
            raise SpecentError(f"{where}: kind={brief(kind)} must be one of {', '.join(map(repr, RULES))}")
        parameters = inspect.signature(RULES[kind]).parameters.values()
        check_keys(fields, where, {"kind": True, **{one.name: one.default is one.empty for one in parameters}})
        settings.append(guidance_from_json(json.dumps(fields)))
    return settings


def record_of(value: Any) -> Any:
    """What is kept: a table of the arguments of `specent.Record`, or a text that `specent.Plan` knows.

    A table with the key ``statistics`` has the arguments of `specent.Statistics` under it.

    Examples
    --------
    >>> record_of({"predictions": [0.1, 1.0]})
    Record(predictions=(0.1, 1.0), distances=None)
    >>> record_of({"statistics": {"replicates": 100}})
    Statistics(replicates=100, seed=0)
    """
    if isinstance(value, str):
        return value
    fields, where = table_at(value, "record"), "record"
    kind: type[Record | Statistics] = Record
    if "statistics" in fields:
        check_keys(fields, where, {"statistics": True})
        where, kind = "record: statistics", Statistics
        fields = table_at(fields["statistics"], where)
    check_keys(fields, where, dict.fromkeys(inspect.signature(kind).parameters, False))
    return kind(**fields)


def scoring_of(value: Any) -> Scoring:
    """Which candidates are evaluated: a table of the arguments of `specent.Scoring`.

    Examples
    --------
    >>> scoring_of({"lag": 0.1})
    Scoring(drop=0.0004, lag=0.1)
    """
    fields = table_at(value, "scoring")
    check_keys(fields, "scoring", dict.fromkeys(inspect.signature(Scoring).parameters, False))
    return Scoring(**fields)


def _items(value: Any) -> list[Any]:
    """A list; of a single value, a list of it."""
    return value if isinstance(value, list) else [value]
