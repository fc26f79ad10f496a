"""The command line as a whole: its name, its help, and what its commands share."""

from __future__ import annotations

from inspect import cleandoc
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, CycloptsError, Group, Parameter
from cyclopts.help import DefaultFormatter, HelpPanel
from cyclopts.help.inline_text import InlineText

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
  specent explore gmm_1d.nc                choose partitions in the browser
  specent grid gmm_1d.nc --steps 16 --kind arctan -o grid.json    noise levels for a sampler
  specent check mine.py:model --data digits    is the adapter of my model right?

specent COMMAND --help shows what a command takes.
"""

ERRORS = "Errors are one line; SPECENT_TRACEBACK=1 specent ... shows where they came from."

OPTIONS = Group("Options", sort_key=0)


class Flowing(DefaultFormatter):
    """Help whose paragraphs fill the width of the terminal, wherever their lines break in the source."""

    def __call__(self, console: Any, options: Any, panel: HelpPanel) -> None:
        """Print a panel of commands or parameters."""
        for entry in panel.entries:
            _flow(entry.description)
        super().__call__(console, options, panel)

    def render_description(self, console: Any, options: Any, description: Any) -> None:
        """Print what a command does."""
        _flow(description)
        super().render_description(console, options, description)


def _flow(text: Any) -> None:
    from rich.text import Text

    if isinstance(text, InlineText) and isinstance(text.primary_renderable, Text):
        text.primary_renderable.plain = flowing(text.primary_renderable.plain)


def flowing(text: str) -> str:
    r"""Paragraphs as single lines, for the width of the terminal to break.

    Examples
    --------
    >>> flowing("one\ntwo\n\n  three ")
    'one two\n\nthree'
    """
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in cleandoc(text).split("\n\n"))


app = App(
    name="specent",
    help=_HELP,
    help_epilogue=_EXAMPLES + ERRORS,
    help_format="plaintext",
    help_formatter=Flowing(),
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
