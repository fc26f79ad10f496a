"""What the profiles of a figure say of themselves: estimators that disagree, numbers that no entropy can be."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import xarray as xr

from specent.arguments import brief
from specent.errors import SpecentError
from specent.plotting.select import Series
from specent.untrusted import parse_json


def disagreements(datasets: Iterable[xr.Dataset]) -> list[dict[str, Any]]:
    """The disagreements that profiles record, as far as their partitions, settings and estimators are there.

    Parameters
    ----------
    datasets : iterable of Dataset
        Of kind ``profiles``. The attribute ``disagreements`` is a JSON list of objects with ``partition``,
        ``guidance``, ``estimators`` (two names) and ``text``.

    Returns
    -------
    list of dict
        These objects.

    Raises
    ------
    SpecentError
        If an attribute is another text.
    """
    entries = []
    for one in datasets:
        names = {
            dim: {str(name) for name in one[dim].values} if dim in one.coords else set()
            for dim in ("partition", "guidance", "estimator")
        }
        entries += [
            entry
            for entry in _listed(str(one.attrs.get("disagreements", "[]")))
            if entry["partition"] in names["partition"]
            and entry["guidance"] in names["guidance"]
            and set(entry["estimators"]) <= names["estimator"]
        ]
    return entries


def _listed(text: str) -> list[dict[str, Any]]:
    try:
        entries = parse_json(text)
    except SpecentError:
        entries = None
    if not isinstance(entries, list) or not all(map(_is_disagreement, entries)):
        raise SpecentError(
            f"the attribute 'disagreements' is {brief(text)}, not the JSON text that specent.entropy writes; drop it"
        )
    return entries


def _is_disagreement(entry: Any) -> bool:
    if not isinstance(entry, dict) or not isinstance(entry.get("estimators"), list):
        return False
    texts = [*(entry.get(name) for name in ("partition", "guidance", "text")), *entry["estimators"]]
    return len(texts) == 5 and all(isinstance(text, str) for text in texts)


def short_notes(datasets: Sequence[xr.Dataset], curves: Sequence[Series]) -> list[str]:
    """Lines for the head of a figure of entropies; the page has the full text."""
    lines = []
    entries = disagreements(datasets)
    if entries:
        first, second = entries[0]["estimators"]
        more = f" and {len(entries) - 1} more" if len(entries) > 1 else ""
        where = f"{entries[0]['partition']}, {entries[0]['guidance']}"
        lines.append(f"Estimators disagree: {first} and {second} ({where}){more}")
    outside = sum(int(one.impossible.sum()) for one in curves)
    if outside:
        lines.append(f"Grey crosses: {outside} values that no entropy can have")
    return lines
