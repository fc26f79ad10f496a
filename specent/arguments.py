"""Checks of arguments: out comes a plain value, or one `SpecentError` naming argument, value and remedy."""

from __future__ import annotations

import math
import numbers
import reprlib
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from specent.errors import SpecentError, visible

_Kind = TypeVar("_Kind")


# values come from files too, and one of a few bytes may hold itself over and over
_REPR = reprlib.Repr()
_REPR.maxlevel = 3


def brief(value: object) -> str:
    """A short one-line text of any value, for messages.

    Examples
    --------
    >>> brief(list(range(1000)))
    '[0, 1, 2, 3, 4, 5, ...]'
    """
    try:
        text = _REPR.repr(value)
    except Exception:  # a foreign object's own repr may do anything
        text = f"<{type(value).__name__}>"
    return visible(" ".join(text.split()))


def number(
    value: object,
    argument: str,
    *,
    above: float = -math.inf,
    below: float = math.inf,
    least: float = -math.inf,
    most: float = math.inf,
    error: type[SpecentError] = SpecentError,
) -> float:
    """A finite real number within open (`above`, `below`) and closed (`least`, `most`) limits.

    Examples
    --------
    >>> number(np.float32(0.5), "confidence", above=0, below=1)
    0.5
    """
    real = isinstance(value, numbers.Real) and not isinstance(value, (bool, np.bool_, np.timedelta64))
    if type(value) is np.ndarray and value.ndim == 0 and value.dtype.kind in "iuf":
        value, real = value.item(), True
    try:
        plain = float(value) if real else math.nan  # type: ignore[arg-type]
    except (OverflowError, TypeError, ValueError):
        plain = math.inf
    if real and math.isfinite(plain) and above < plain < below and least <= plain <= most:
        return plain
    raise error(f"{argument}={brief(value)} must be {_range(above, below, least, most)}")


def _range(above: float, below: float, least: float, most: float) -> str:
    limits = [
        *([f"above {above:g}"] if above > -math.inf else []),
        *([f"at least {least:g}"] if least > -math.inf else []),
        *([f"below {below:g}"] if below < math.inf else []),
        *([f"at most {most:g}"] if most < math.inf else []),
    ]
    return "a finite number" + (" " + " and ".join(limits) if limits else "")


def whole(
    value: object, argument: str, *, least: int = 0, most: int = 2**63 - 1, error: type[SpecentError] = SpecentError
) -> int:
    """A whole number from `least` to `most`.

    Examples
    --------
    >>> whole(np.int64(3), "samples", least=2)
    3
    """
    if _integral(value):
        plain: int = int(value)  # type: ignore[call-overload]
        if least <= plain <= most:
            return plain
    limit = f"from {least} to {most}" if most < 2**63 - 1 else f"of at least {least}"
    if isinstance(value, int) and value > most:
        limit = f"of at most {most}"
    raise error(f"{argument}={brief(value)} must be a whole number {limit}")


def _integral(value: object) -> bool:
    return isinstance(value, (numbers.Integral, np.integer)) and not isinstance(value, (bool, np.timedelta64))


def array(value: Any, argument: str, *, error: type[SpecentError] = SpecentError) -> NDArray[np.float64]:
    """Real numbers as a double-precision array; text, booleans, dates, complex, masked and ragged data are refused.

    Infinities and NaN pass: what they mean is for the caller to say. A torch tensor may be given.

    Examples
    --------
    >>> array([1, 2], "time")
    array([1., 2.])
    """
    if isinstance(value, np.ma.MaskedArray):
        raise error(f"{argument} is a masked array; fill or drop the masked values first")
    try:
        if type(value).__module__.partition(".")[0] == "torch":
            value = value.detach().cpu().numpy()
        values = np.asarray(value)
        if values.dtype == object and all(_integral(item) for item in values.flat):
            values = values.astype(np.float64)  # whole numbers beyond 64 bits
    except (AttributeError, OverflowError, RuntimeError, TypeError, ValueError) as problem:
        raise error(f"{argument}={brief(value)} is not an array of numbers") from problem
    if values.dtype.kind not in "iuf":
        raise error(f"{argument}={brief(value)} must hold real numbers, not {values.dtype}")
    with np.errstate(over="ignore"):  # of a wider float: infinity, which is for the caller to refuse
        return values.astype(np.float64)


def name(value: object, argument: str, *, error: type[SpecentError] = SpecentError) -> str:
    """One name: text that can be written to a file, or a whole number turned into text.

    Examples
    --------
    >>> name(7, "label")
    '7'
    """
    if _integral(value):
        return str(int(value))  # type: ignore[call-overload]
    if not isinstance(value, str) or not value or not value.isprintable():
        raise error(f"{argument}={brief(value)} must be a name: printable text, or a whole number")
    return str(value)


def names(value: Any, argument: str, *, error: type[SpecentError] = SpecentError) -> tuple[str, ...]:
    """Names from any sequence but a single text.

    Examples
    --------
    >>> names(["cat", 3], "labels")
    ('cat', '3')
    """
    if isinstance(value, (str, bytes, dict)):
        raise error(f"{argument}={brief(value)} must be a list of names, not one {type(value).__name__}")
    try:
        items = list(value.tolist() if isinstance(value, np.ndarray) else value)
    except TypeError as problem:
        raise error(f"{argument}={brief(value)} must be a list of names") from problem
    # the usual case, in which no message is needed: thousands of labels are passed for thousands of partitions
    if set(map(type, items)) == {str} and all(items) and all(map(str.isprintable, items)):
        return tuple(items)
    return tuple(name(item, f"{argument}[{i}]", error=error) for i, item in enumerate(items))


def shape(value: Any, *, error: type[SpecentError] = SpecentError) -> tuple[int, ...]:
    """The shape of one sample as a tuple: (features,) or (channels, height, width).

    Examples
    --------
    >>> shape([1, 8, 8])
    (1, 8, 8)
    """
    try:
        sizes = None if isinstance(value, (str, bytes, dict)) else tuple(value)
    except TypeError:
        sizes = None
    if sizes is None or len(sizes) not in (1, 3):
        raise error(f"shape={brief(value)}: a sample is (features,) or (channels, height, width)")
    return tuple(whole(size, f"shape[{i}]", least=1, error=error) for i, size in enumerate(sizes))


def listed(value: Any, argument: str, hint: str, *, error: type[SpecentError] = SpecentError) -> list[Any]:
    """The items of a list, tuple or other sequence, but not of a text or a mapping; `hint` says what to pass instead.

    Examples
    --------
    >>> listed((0.6, 0.4), "window", "pass two fractions")
    [0.6, 0.4]
    """
    try:
        if isinstance(value, (str, bytes, Mapping)):
            raise TypeError
        return list(value)
    except TypeError as problem:
        raise error(f"{argument}={brief(value)} is a {type(value).__name__}; {hint}") from problem


def instance(
    value: object, kind: type[_Kind], argument: str, hint: str, *, error: type[SpecentError] = SpecentError
) -> _Kind:
    """`value`, if it is a `kind`; `hint` says what to pass instead.

    Examples
    --------
    >>> instance(1.5, float, "scale", "a number")
    1.5
    """
    if not isinstance(value, kind):
        raise error(f"{argument}={brief(value)} is a {type(value).__name__}; {hint}")
    return value


def choice(value: object, argument: str, choices: Iterable[str], *, error: type[SpecentError] = SpecentError) -> str:
    """`value`, if it is one of some names.

    Examples
    --------
    >>> choice("tree", "order", ("labels", "tree"))
    'tree'
    """
    known = list(choices)
    # comparing an array with a name gives an array
    if not isinstance(value, str) or value not in known:
        raise error(f"{argument}={brief(value)} is not one of {', '.join(known)}")
    return str(value)


def flag(value: object, argument: str, *, error: type[SpecentError] = SpecentError) -> bool:
    """True or False, and nothing that merely counts as one.

    Examples
    --------
    >>> flag(np.bool_(True), "overwrite")
    True
    """
    if not isinstance(value, (bool, np.bool_)):
        raise error(f"{argument}={brief(value)} must be True or False")
    return bool(value)
