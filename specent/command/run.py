"""The command ``specent run``: recipes, with a flag for every setting, and plan files."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, CycloptsError, Parameter
from cyclopts.config import Dict as ConfigDict

from specent import studies
from specent.arguments import brief
from specent.command.interface import OPTIONS, Flowing, app, flowing
from specent.command.plans import SUFFIXES, plan_app
from specent.errors import SpecentError, visible
from specent.untrusted import toml_of_file

if TYPE_CHECKING:
    from cyclopts.argument import ArgumentCollection

_RUN_USAGE = """Run a recipe: specent run RECIPE [--flag value ...] [--config FILE.toml]

RECIPE is a name from the list below, or the path of a file of your own (./mine.py).
`specent run RECIPE --help` shows its settings.

Carry out a plan file: specent run PLAN.toml --out RUN [--samples N] [--seed S]
"""

_RECIPE_EPILOGUE = """Several values are separated by spaces (--means -1 1 --labels "a cat" dog); commas do not split.
A file for --config holds the same names at top level, arrays for several values (steps = 256, means = [-1.0, 1.0]).
Flags override the file, the file overrides the defaults."""

# the parser of the command line takes seconds for more values
_MOST_VALUES = 2000
_MOST_BYTES = 1 << 17


@app.command(name="run", help_flags=(), version_flags=())
def run(
    *tokens: Annotated[str, Parameter(allow_leading_hyphen=True, help="A recipe or plan file, and flags.")],
) -> None:
    """Run a recipe, or carry out a plan file (PLAN.toml --out RUN). Without a name: list the recipes."""
    if not tokens or tokens[0] in ("--help", "-h"):
        print(_recipe_list())
        return
    if tokens[0].startswith("-"):
        raise CycloptsError(msg=f"the recipe comes first, then its flags; {tokens[0]!r} is a flag")
    name = tokens[0]
    if name.endswith(SUFFIXES):
        plan_app(name)(tokens[1:], exit_on_error=False, print_error=False)
        return
    module = studies.recipe(name)
    try:
        recipe_app(module, Path(name).stem)(tokens[1:], exit_on_error=False, print_error=False)
    except (SpecentError, CycloptsError, BrokenPipeError):
        raise
    except (Exception, SystemExit) as error:
        # the printer of the help turns a reader that has read enough into an exit
        if isinstance(error.__context__, BrokenPipeError):
            raise error.__context__ from None
        if not isinstance(error, SystemExit) or error.code not in (None, 0):
            raise studies.recipe_error(error, name, studies.recipe_path(name)) from error


def _recipe_list() -> str:
    names = studies.recipe_names()
    width = max((len(name) for name in names), default=0)
    rows = [f"  {name:<{width}}  {_first_line(studies.recipe_path(name))}" for name in names]
    return "\n".join([_RUN_USAGE, "Recipes:", *rows])


def _first_line(path: Path) -> str:
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return docstring.partition("\n")[0]


def recipe_app(module: ModuleType, name: str) -> App:
    """Command line of one recipe: a flag for every field of its ``Settings``.

    Parameters
    ----------
    module : module
        With the frozen dataclass ``Settings``, whose numpydoc docstring holds the help texts, and ``main(settings)``.
    name : str
        How the recipe was called.

    Returns
    -------
    App
        Calls ``main`` with the settings and prints the paths it returns.
    """

    def command(*, settings: Any = None, config: Any = None) -> None:
        written = module.main(module.Settings() if settings is None else settings)
        paths: Iterable[Any] = () if written is None else written if isinstance(written, (tuple, list)) else (written,)
        for path in paths:
            print(f"wrote {visible(str(path))}")

    command.__annotations__ = {
        "settings": Annotated[module.Settings, Parameter(name="*")],
        "config": Annotated[Path | None, Parameter(help="TOML file with settings; flags override it.")],
        "return": None,
    }
    command_line = App(
        name=f"specent run {name}",
        usage=f"Usage: specent run {name} [--flag value ...] [--config FILE.toml]",
        help=flowing(module.__doc__ or ""),
        help_format="plaintext",
        help_formatter=Flowing(),
        help_epilogue=_RECIPE_EPILOGUE,
        version_flags=(),
        default_command=command,
        default_parameter=Parameter(negative_iterable=(), consume_multiple=True, show_default=_default),
        config=[_from_file, _whole_numbers],
        result_action="return_value",
        suppress_keyboard_interrupt=False,
    )
    command_line["--help"].group = OPTIONS
    return command_line


def _default(value: Any) -> Any:
    """What the help says of a default; nothing of an empty one, which the text of the setting explains."""
    return None if value == () else value


def _from_file(app: App, commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
    """Fill what the flags left open from the TOML file of ``--config``."""
    given = [argument for argument in arguments if "--config" in argument.names and argument.tokens]
    if not given:
        return
    path = Path(given[0].tokens[-1].value)
    data = _toml(path)
    names = {flag[2:] for argument in arguments for flag in argument.names if flag.startswith("--")} - {"config"}
    for key, value in data.items():
        if key.replace("_", "-") not in names:
            close = get_close_matches(key.replace("_", "-"), sorted(names), 1)
            hint = f"did you mean {close[0].replace('-', '_')!r}?" if close else "settings stand at top level"
            raise CycloptsError(msg=f"--config {path}: {brief(key)} is not a setting of this recipe; {hint}")
        items = value if isinstance(value, list) else [value]
        if len(items) > _MOST_VALUES:
            raise CycloptsError(msg=f"--config {path}: {key} has {len(items)} values; at most {_MOST_VALUES} are read")
        if any(isinstance(item, (dict, list)) for item in items):
            raise CycloptsError(
                msg=f"--config {path}: {key} = {brief(value)}: a value or a flat array of values is needed"
            )
    ConfigDict(data, source=str(path), use_commands_as_keys=False)(app, commands, arguments)


def _toml(path: Path) -> dict[str, Any]:
    try:
        return toml_of_file(path, _MOST_BYTES)
    except OSError as error:
        raise CycloptsError(msg=f"--config {path}: the file cannot be read ({error.strerror})") from error
    except SpecentError as error:
        raise CycloptsError(msg=f"--config {path}: {error}; settings stand at top level") from error


def _whole_numbers(_app: App, _commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
    """Refuse 1.5 for a whole number, which would be rounded silently otherwise."""
    for argument in arguments:
        if int not in (argument.hint, *getattr(argument.hint, "__args__", ())):
            continue
        for token in argument.tokens:
            if not token.value.lstrip("+-").replace("_", "").isdecimal() and token.value.lower() != "none":
                origin = "" if token.source == "cli" else f" from {token.source}"
                raise CycloptsError(msg=f"{token.keyword} = {token.value}{origin}: a whole number is needed")
