"""Tables that studies print."""

from __future__ import annotations

import math
import sys
import warnings
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from specent.errors import SpecentError, SpecentWarning, visible

if TYPE_CHECKING:
    import xarray as xr


def print_lines(lines: Callable[[], Iterable[str]]) -> None:
    """Print lines about results that are already written; if they fail, a note on standard error says why.

    Parameters
    ----------
    lines : callable
        Returns the lines.
    """
    try:
        with warnings.catch_warnings():
            # a table says itself which curves have no number
            warnings.simplefilter("ignore", SpecentWarning)
            # a heading begins with an empty line, and a label of a file may hold anything
            text = "\n".join(visible(part) for line in lines() for part in line.split("\n"))
    except SpecentError as error:
        sys.stderr.write(f"specent: the archive is written, but nothing can be printed about it: {error}\n")
    else:
        sys.stdout.write(text + "\n")


def half_entropy_text(summary: xr.Dataset) -> str:
    """Half-entropy noise level or time of a single curve, with its interval.

    Parameters
    ----------
    summary : Dataset
        Kind ``speciation``, of one curve on one axis.

    Returns
    -------
    str
        "never" for a curve that does not fall to half.
    """
    value, *bounds = (float(summary[f"half_entropy{end}"]) for end in ("", "_lower", "_upper"))
    if math.isnan(value):
        return "never"
    lower, upper = sorted(bounds)
    return f"{value:.3f} ({lower:.3f} .. {upper:.3f})"
