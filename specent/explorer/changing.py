"""A figure on the page that becomes another of the same structure, without being built anew.

A browser takes the better part of a second to build a figure and a few hundredths to move its lines. Two drawings of
one view mostly differ in numbers and texts alone; then those of the new one are put into the models of the old.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from bokeh.model import Model
from bokeh.model.util import collect_models

# what listens to a model is bound to the drawing that stays
_KEPT = ("id", "js_event_callbacks", "js_property_callbacks", "subscribed_events")


def changed_into(shown: Model, wanted: Model) -> bool:
    """Whether a model could be made to show what another shows, and so it does now.

    Parameters
    ----------
    shown : Model
        The model on the page. It is left as it is unless both have the same models in the same places.
    wanted : Model
        What it is to show; it is of no use afterwards.

    Examples
    --------
    >>> from bokeh.plotting import figure
    >>> old, new = figure(title="old"), figure(title="new")
    >>> changed_into(old, new), old.title.text
    (True, 'new')
    >>> new.scatter([1], [2]).name = "points"
    >>> changed_into(old, new)
    False
    """
    old, new = collect_models(shown), collect_models(wanted)
    if [type(model) for model in old] != [type(model) for model in new]:
        return False
    partner = dict(zip(map(id, new), old, strict=True))
    changes: list[tuple[Model, dict[str, Any]]] = []
    for model, other in zip(old, new, strict=True):
        mine, its = (one.properties_with_values() for one in (model, other))
        different: dict[str, Any] = {}
        for name in mine.keys() - set(_KEPT):
            value, goal = mine[name], its[name]
            held = collect_models(goal)
            if [partner.get(id(one)) for one in held] != collect_models(value):
                return False
            # a value that holds models has what they need in themselves
            if not held and not _same(value, goal):
                different[name] = dict(goal) if isinstance(goal, dict) else goal
        if different:
            changes.append((model, different))
    for model, different in changes:
        model.update(**different)
    return True


def _same(one: Any, other: Any) -> bool:
    """Whether plain values are equal, also within arrays, lists and dictionaries; two NaN are."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(value, other[key]) for key, value in one.items())
    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray) and one.dtype == other.dtype != np.dtype(object):
        return np.array_equal(one, other, equal_nan=one.dtype.kind == "f")
    several = (list, tuple, np.ndarray)
    if isinstance(one, several) or isinstance(other, several):
        return type(one) is type(other) and len(one) == len(other) and all(map(_same, one, other))
    return bool(one == other) or (one != one and other != other)
