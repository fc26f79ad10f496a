"""Finding and loading recipes: the shipped ones by name, any other by the path of its file.

In the source tree ``datasets/`` and ``recipes/`` stand beside the package; the wheel carries them inside it.
"""

from __future__ import annotations

import importlib.util
import sys
import traceback
from pathlib import Path
from types import ModuleType

from specent.errors import SpecentError
from specent.files import shipped_folder


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
        raise recipe_error(error, name, path) from error
    for needed in ("Settings", "main"):
        if not hasattr(module, needed):
            raise SpecentError(
                f"recipe={name!r}: {path} defines no {needed!r}; a recipe needs a dataclass Settings and main(settings)"
            )
    return module


def recipe_error(error: BaseException, name: str, path: Path) -> SpecentError:
    """What went wrong in a recipe, and on which line of its file."""
    here = str(path.absolute())
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == here]
    where = f", line {lines[-1]}" if lines else ""
    return SpecentError(f"recipe={name!r}: {path}{where}: {type(error).__name__}: {error}".rstrip(": "))


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
