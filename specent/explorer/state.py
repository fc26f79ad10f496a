"""What is looked at, as a value that an address can hold."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from urllib.parse import parse_qs, urlencode

from specent.axes import AXES

THEMES = ("light", "dark")
"""Names of the colour schemes; of an empty name it is the one that the browser prefers."""

# an address is typed by anybody: what is longer than any partition of a thousand classes is no state
_LONGEST = 200_000


@dataclass(frozen=True)
class State:
    """Everything that a reader chooses. Empty values stand for what an archive shows at first.

    Attributes
    ----------
    partition : str
        Name, text or JSON definition of the partition.
    guidance, run, estimator : tuple of str
        Names of what is drawn.
    axis : str
        Noise axis of the figures.
    level : float or None
        Noise level that is looked at, as a log-SNR.
    class_label, sample : str, int
        The trajectory that is looked at; a negative number for none.
    pinned : bool
        Whether the noise level stays where it is while the pointer moves.
    theme : str
        One of `THEMES`, or empty.
    """

    partition: str = ""
    guidance: tuple[str, ...] = ()
    run: tuple[str, ...] = ()
    estimator: tuple[str, ...] = ()
    axis: str = "log_snr"
    level: float | None = None
    class_label: str = ""
    sample: int = -1
    pinned: bool = False
    theme: str = ""

    def to_query(self) -> str:
        """The state as the query of an address, empty for the default.

        Examples
        --------
        >>> State(partition="cat | dog", level=-1.5).to_query()
        '?partition=cat+%7C+dog&level=-1.5'
        """
        pairs: list[tuple[str, str]] = []
        for field in fields(self):
            value = getattr(self, field.name)
            if value != field.default:
                values = value if isinstance(value, tuple) else (int(value) if isinstance(value, bool) else value,)
                pairs += [(field.name, str(one)) for one in values]
        return "?" + urlencode(pairs) if pairs else ""

    @classmethod
    def of_query(cls, query: str) -> State:
        """The state in the query of an address; what cannot be read is left at its default.

        Examples
        --------
        >>> State.of_query("?axis=sigma&level=nonsense&colour=red")
        State(partition='', guidance=(), ..., axis='sigma', level=None, ...)
        """
        try:
            values = parse_qs(query[:_LONGEST].removeprefix("?"), keep_blank_values=True, errors="strict")
        except ValueError:
            return cls()
        axis, theme = _last(values.get("axis")), _last(values.get("theme"))
        return cls(
            partition=_last(values.get("partition")),
            guidance=tuple(values.get("guidance", ())),
            run=tuple(values.get("run", ())),
            estimator=tuple(values.get("estimator", ())),
            axis=axis if axis in AXES else cls.axis,
            level=_level(_last(values.get("level"))),
            class_label=_last(values.get("class_label")),
            sample=_sample(_last(values.get("sample"))),
            pinned=_last(values.get("pinned")) == "1",
            theme=theme if theme in THEMES else "",
        )


def _last(values: Sequence[str] | None) -> str:
    return values[-1] if values else ""


def _level(text: str) -> float | None:
    try:
        level = float(text)
    except ValueError:
        return None
    return level if math.isfinite(level) else None


def _sample(text: str) -> int:
    # int() would take any digits, and blanks
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else -1
