"""Tiny runs: the whole of a study in seconds, on sizes and networks whose numbers mean nothing."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, TypeVar

from specent.errors import SpecentWarning

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_Settings = TypeVar("_Settings", bound="DataclassInstance")


def tiny_settings(settings: _Settings, /, **small: Any) -> _Settings:
    """Settings of a study for a run of seconds: `small` replaces every field that still has its default.

    Parameters
    ----------
    settings : dataclass
        The settings of the user.
    **small
        Field and value of the tiny run.

    Returns
    -------
    dataclass
        With what the user chose explicitly unchanged.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> @dataclass(frozen=True)
    ... class Settings:
    ...     samples: int = 1000
    ...     steps: int = 64
    >>> tiny_settings(Settings(steps=32), samples=4, steps=8)
    Settings(samples=4, steps=32)
    """
    default = {field.name: field.default for field in fields(settings)}
    return replace(settings, **{key: value for key, value in small.items() if getattr(settings, key) == default[key]})


@contextmanager
def without_meaning(network: str | None) -> Iterator[None]:
    """For a tiny run on such a network: say first that its numbers mean nothing, and silence warnings that say it too.

    Parameters
    ----------
    network : str, optional
        What the network is ("random"); None changes nothing.
    """
    if network is None:
        yield
        return
    sys.stdout.write(f"A tiny run on a {network} network: the numbers below mean nothing.\n")
    sys.stdout.flush()
    with warnings.catch_warnings():
        # what such a warning advises cannot help a network that knows nothing
        warnings.simplefilter("ignore", SpecentWarning)
        yield
