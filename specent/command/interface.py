"""The command line as a whole: its name, its help, and what its commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import App, CycloptsError, Group, Parameter

_HELP = "When does a diffusion model decide? Conditional entropy of class labels along the reverse process, in bits."

_EXAMPLES = """Examples:
  specent run                              list the recipes
  specent run gmm_1d --help                the settings of a recipe
  specent run gmm_1d --steps 128           run it; it writes gmm_1d.nc
  specent run plan.toml --out my_run       carry out a plan file into a run folder
  specent status my_run                    how far is it, and how long does the rest take?
  specent validate gmm_1d.nc               is the archive whole and undamaged?
  specent describe gmm_1d.nc               what is in it?
  specent plot gmm_1d.nc -o gmm_1d.html    one page of interactive figures
  specent check mine.py:model --data digits    is the adapter of my model right?

specent COMMAND --help shows what a command takes.
"""

ERRORS = "Errors are one line; SPECENT_TRACEBACK=1 specent ... shows where they came from."

OPTIONS = Group("Options", sort_key=0)

app = App(
    name="specent",
    help=_HELP,
    help_epilogue=_EXAMPLES + ERRORS,
    help_format="plaintext",
    version=lambda: _version(),
    result_action="return_value",
    suppress_keyboard_interrupt=False,
    default_parameter=Parameter(negative_iterable=()),
)


Names = Annotated[tuple[str, ...], Parameter(consume_multiple=True, show_default=False)]


def _version() -> str:
    import specent

    return str(specent.__version__)


def one_or_more(paths: tuple[Path, ...]) -> tuple[Path, ...]:
    """The paths; none at all is wrong usage."""
    if not paths:
        raise CycloptsError(msg="give the path of at least one archive")
    return paths
