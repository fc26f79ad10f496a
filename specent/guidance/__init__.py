r"""Guidance settings: a constant scale, a scale in an interval of noise levels, and a scale that feeds back.

Every rule is one class in a file of its own, see `specent.guidance.base` for what it must say. A new one is entered
into `RULES`, by which it is known in files.
"""

from __future__ import annotations

from collections.abc import Iterable

from specent.arguments import brief
from specent.errors import SpecentError
from specent.guidance.base import FORMULA as FORMULA
from specent.guidance.base import Setting as Setting
from specent.guidance.constant import Guidance as Guidance
from specent.guidance.feedback import FeedbackGuidance as FeedbackGuidance
from specent.untrusted import parse_json

RULES: dict[str, type[Setting]] = {
    Guidance.kind: Guidance,
    FeedbackGuidance.kind: FeedbackGuidance,
}
"""Every rule by its name in definitions."""


def from_json(text: str) -> Setting:
    """The guidance setting that a JSON text defines.

    Parameters
    ----------
    text : str
        As written by ``to_json`` of a setting, and as kept in the coordinate ``guidance_definition``.

    Returns
    -------
    Setting
        Of the rule that the text names.

    Raises
    ------
    SpecentError
        If the text defines none.

    Examples
    --------
    >>> from_json(Guidance(2.0, (0.5, 5.0)).to_json())
    Guidance(scale=2.0, interval=(0.5, 5.0))
    """
    try:
        fields = dict(parse_json(text))
        kind = fields.pop("kind")
        if kind not in RULES:
            raise SpecentError(f"kind={brief(kind)} is not one of {', '.join(RULES)}")
        return RULES[kind].from_definition(fields)
    except SpecentError as error:
        raise SpecentError(f"the definition {brief(text)} is of no guidance setting: {error}") from error
    except (KeyError, RecursionError, TypeError, ValueError) as error:
        raise SpecentError(f"the definition {brief(text)} is of no guidance setting") from error


def formula(settings: Iterable[Setting]) -> str:
    """How the scales of some settings enter, as text for a file.

    Examples
    --------
    >>> formula([Guidance(), Guidance(2.0)]) == FORMULA
    True
    """
    return FORMULA + "".join(dict.fromkeys(setting.formula for setting in settings))
