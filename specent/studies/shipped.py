"""Where the files that ship with the package lie, how a recipe among them is loaded, and what recipes share.

In the source tree ``datasets/`` and ``recipes/`` stand beside the package; the wheel carries them inside it.
"""

from __future__ import annotations

import importlib.util
import sys
import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, fields, replace
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeVar

from specent.errors import SpecentError, SpecentWarning
from specent.files import shipped_folder

if TYPE_CHECKING:
    import xarray as xr
    from _typeshed import DataclassInstance

_Settings = TypeVar("_Settings", bound="DataclassInstance")


def recipe_names() -> list[str]:
    """Names of the shipped recipes, sorted."""
    return sorted(path.stem for path in shipped_folder("recipes").glob("*.py") if not path.stem.startswith("_"))


def recipe(name: str) -> ModuleType:
    """Load a recipe: a shipped one by its name, any other by the path of its file.

    Parameters
    ----------
    name : str
        Name of a shipped recipe, or a path that ends in ``.py``.

    Returns
    -------
    module
        With the dataclass ``Settings`` and the function ``main(settings)``.

    Raises
    ------
    SpecentError
        If there is no such recipe, its file fails when it is loaded, or lacks ``Settings`` or ``main``.
    """
    path = recipe_path(name)
    # a private name: dataclasses look their module up there, and a recipe must not hide a library of its name
    module_name = f"_specent_recipe_{path.stem}"
    spec = importlib.util.spec_from_file_location(module_name, path)
    if spec is None or spec.loader is None:
        raise SpecentError(f"recipe={name!r} cannot be loaded as Python")
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module
    try:
        spec.loader.exec_module(module)
    except SyntaxError as error:
        raise SpecentError(f"recipe={name!r}: {error.filename or path}, line {error.lineno}: {error.msg}") from error
    except (Exception, SystemExit) as error:
        raise failed(error, name, path) from error
    for needed in ("Settings", "main"):
        if not hasattr(module, needed):
            raise SpecentError(
                f"recipe={name!r}: {path} defines no {needed!r}; a recipe needs a dataclass Settings and main(settings)"
            )
    return module


def failed(error: BaseException, name: str, path: Path) -> SpecentError:
    """What went wrong in a recipe, and on which line of its file."""
    here = str(path.absolute())
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == here]
    where = f", line {lines[-1]}" if lines else ""
    return SpecentError(f"recipe={name!r}: {path}{where}: {type(error).__name__}: {error}".rstrip(": "))


def recorded(settings: Any, *without: str) -> dict[str, Any]:
    """Settings of a recipe as they are kept in its archives, paths as text.

    Parameters
    ----------
    settings : dataclass
        The settings.
    *without : str
        Fields to leave out.

    Returns
    -------
    dict
        Name and value of every other field.
    """
    fields = {key: value for key, value in asdict(settings).items() if key not in without}
    return {key: str(value) if isinstance(value, Path) else value for key, value in fields.items()}


def tiny(settings: _Settings, /, **small: Any) -> _Settings:
    """Settings of a recipe for a run of seconds: `small` replaces every field that still has its default.

    Parameters
    ----------
    settings : dataclass
        The settings, as asked for.
    **small
        Field and value of the tiny run.

    Returns
    -------
    dataclass
        What was asked for explicitly is kept.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> @dataclass(frozen=True)
    ... class Settings:
    ...     samples: int = 1000
    ...     steps: int = 64
    >>> tiny(Settings(steps=32), samples=4, steps=8)
    Settings(samples=4, steps=32)
    """
    default = {field.name: field.default for field in fields(settings)}
    return replace(settings, **{key: value for key, value in small.items() if getattr(settings, key) == default[key]})


@contextmanager
def meaningless(yes: bool, network: str = "random") -> Iterator[None]:
    """If so, say first that the numbers of a tiny run mean nothing; within it, no warning says so once more."""
    if not yes:
        yield
        return
    sys.stdout.write(f"A tiny run on a {network} network: the numbers below mean nothing.\n")
    sys.stdout.flush()
    with warnings.catch_warnings():
        # what such a warning advises cannot help a network that knows nothing
        warnings.simplefilter("ignore", SpecentWarning)
        yield


def titled(made: xr.Dataset, yes: bool, network: str = "random") -> xr.Dataset:
    """If so, the dataset with a title that says that it comes from a tiny run."""
    return made.assign_attrs(title=f"{made.attrs['title']} (tiny run, {network} network)") if yes else made


def tell(lines: Callable[[], Iterable[str]]) -> None:
    """Print lines about results that are already safe; if they cannot be made, a note on standard error says why."""
    try:
        text = "\n".join(lines())
    except SpecentError as error:
        sys.stderr.write(f"specent: the archive is written, but nothing can be printed about it: {error}\n")
    else:
        sys.stdout.write(text + "\n")


def recipe_path(name: str) -> Path:
    """File of the recipe `name`, which is checked to exist.

    Raises
    ------
    SpecentError
        If there is no such recipe; the message names those there are.
    """
    if name.endswith(".py"):
        path = Path(name)
        if not path.is_file():
            raise SpecentError(f"recipe={name!r}: there is no such file")
        return path
    known = recipe_names()
    # `specent run train-digits` means train_digits
    plain = name.replace("-", "_")
    if plain not in known:
        raise SpecentError(
            f"recipe={name!r} is not one of {', '.join(known)}; to run a file of your own give its path, ./mine.py"
        )
    return shipped_folder("recipes") / f"{plain}.py"
