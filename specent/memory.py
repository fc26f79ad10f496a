"""The memory of this machine, and arrays that would not fit into it."""

from __future__ import annotations

import os
import sys

from specent.errors import SpecentError


def total() -> int:
    """Bytes of memory that this machine has; a number beyond all arrays where the system does not say.

    Examples
    --------
    >>> total() > 0
    True
    """
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return sys.maxsize


def check_fits(size: int, what: str, hint: str, *, error: type[SpecentError] = SpecentError) -> None:
    """Refuse arrays of `size` bytes if they exceed the memory of this machine.

    Examples
    --------
    >>> check_fits(8, "one number", "take none")
    """
    memory = total()
    if size > memory:
        raise error(
            f"{what} would need {size / 2**30:.3g} GiB, but this machine has {memory / 2**30:.3g} GiB of memory; {hint}"
        )
