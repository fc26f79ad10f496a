"""Files: where those that ship with the package lie.

In the source tree ``datasets/`` and ``recipes/`` stand beside the package; the wheel carries them inside it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from specent.errors import SpecentError

_PACKAGE = Path(__file__).resolve().parent


def shipped_folder(name: Literal["datasets", "recipes"]) -> Path:
    """Folder of the shipped data sets or recipes.

    Parameters
    ----------
    name : {"datasets", "recipes"}
        Which folder.

    Returns
    -------
    Path
        The folder, which exists.

    Raises
    ------
    SpecentError
        If this installation lacks it.

    Examples
    --------
    >>> shipped_folder("recipes").name
    'recipes'
    """
    inside, beside = _PACKAGE / name, _PACKAGE.parent / name
    if inside.is_dir():
        return inside
    # next to an installed package may lie an unrelated one of the same name
    if beside.is_dir() and (_PACKAGE.parent / "pyproject.toml").is_file():
        return beside
    raise SpecentError(f"this installation of specent lacks its folder {name!r}; install the package again")
