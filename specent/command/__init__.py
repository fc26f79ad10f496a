"""The command ``specent``: run a recipe, check and describe archives, draw their figures.

Exit codes: 0 done, 1 bad input (one line on standard error says what and how to mend it), 2 wrong usage,
130 interrupted, 143 terminated. With SPECENT_TRACEBACK=1 in the environment a traceback stands above that line.
"""

from __future__ import annotations

import ast
import os
import signal
import sys
import threading
import tomllib
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from inspect import cleandoc
from pathlib import Path
from types import FrameType, ModuleType
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from cyclopts import App, CycloptsError, Group, Parameter
from cyclopts.config import Dict as ConfigDict

from specent.arguments import brief
from specent.errors import SpecentError
from specent.studies import shipped

if TYPE_CHECKING:
    import xarray as xr
    from cyclopts.argument import ArgumentCollection

    from specent.partitions import Partition

_HELP = "When does a diffusion model decide? Conditional entropy of class labels along the reverse process, in bits."

_EXAMPLES = """Examples:
  specent run                              list the recipes
  specent run gmm_1d --help                the settings of a recipe
  specent run gmm_1d --steps 128           run it; it writes gmm_1d.nc
  specent validate gmm_1d.nc               is the archive whole and undamaged?
  specent describe gmm_1d.nc               what is in it?
  specent plot gmm_1d.nc -o gmm_1d.html    one page of interactive figures
  specent check mine.py:model --data digits    is the adapter of my model right?

Errors are one line; SPECENT_TRACEBACK=1 specent ... shows where they came from."""

_RUN_USAGE = """Run a recipe: specent run RECIPE [--flag value ...] [--config FILE.toml]

RECIPE is a name from the list below, or the path of a file of your own (./mine.py).
`specent run RECIPE --help` shows its settings.
"""

_RECIPE_EPILOGUE = """Several values are separated by spaces (--means -1 1 --labels "a cat" dog); commas do not split.
A file for --config holds the same names at top level, arrays for several values (steps = 256, means = [-1.0, 1.0]).
Flags override the file, the file overrides the defaults."""

_OPTIONS = Group("Options", sort_key=0)

app = App(
    name="specent",
    help=_HELP,
    help_epilogue=_EXAMPLES,
    help_format="plaintext",
    version=lambda: _version(),
    result_action="return_value",
    suppress_keyboard_interrupt=False,
    default_parameter=Parameter(negative_iterable=()),
)


_Names = Annotated[tuple[str, ...], Parameter(consume_multiple=True, show_default=False)]


class _Terminated(BaseException):
    """SIGTERM arrived; no `Exception`, so that nothing but `main` catches it."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments after the program's name; those of the process by default.

    Returns
    -------
    int
        0 done, 1 bad input, 2 wrong usage, 130 interrupted, 143 terminated.
    """
    tokens = sys.argv[1:] if argv is None else list(argv)
    try:
        with _termination():
            app(tokens, exit_on_error=False, print_error=False)
            sys.stdout.flush()
    except SpecentError as error:
        return _failed(error, error, 1)
    except CycloptsError as error:
        return _failed(f"{error} (specent --help shows the usage)", error, 2)
    except BrokenPipeError:
        # `specent describe FILE | head` has read enough; what is left must not be flushed at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt as error:
        return _failed("interrupted; nothing half-written is left", error, 130)
    except _Terminated as error:
        return _failed("terminated; nothing half-written is left", error, 143)
    except Exception as error:
        return _failed(f"{type(error).__name__}: {error} (SPECENT_TRACEBACK=1 shows where)", error, 1)
    return 0


@contextmanager
def _termination() -> Iterator[None]:
    """Turn SIGTERM into an exception, so that temporary files are removed on the way out."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise _Terminated

    if threading.current_thread() is not threading.main_thread():
        # signals are for the main thread to handle
        yield
        return
    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _failed(message: object, error: BaseException, code: int) -> int:
    if os.environ.get("SPECENT_TRACEBACK", "0") not in ("", "0"):
        traceback.print_exception(error)
    text = " ".join(str(message).split())
    # on the command line the argument of Python is a flag
    text = text if "--overwrite" in text else text.replace("overwrite=True", "--overwrite")
    print(f"specent: {text}", file=sys.stderr)
    return code


def _version() -> str:
    import specent

    return str(specent.__version__)


@app.command(name="run", help_flags=(), version_flags=())
def run(*tokens: Annotated[str, Parameter(allow_leading_hyphen=True, help="Name of a recipe and its flags.")]) -> None:
    """Run a recipe: sample or compute, and write one archive. Without a name: list the recipes."""
    if not tokens or tokens[0] in ("--help", "-h"):
        print(_recipe_list())
        return
    if tokens[0].startswith("-"):
        raise CycloptsError(msg=f"specent run: the recipe comes first, then its flags; {tokens[0]!r} is a flag")
    name = tokens[0]
    module = shipped.recipe(name)
    try:
        recipe_app(module, Path(name).stem)(tokens[1:], exit_on_error=False, print_error=False)
    except (SpecentError, CycloptsError, BrokenPipeError):
        raise
    except (Exception, SystemExit) as error:
        if not isinstance(error, SystemExit) or error.code not in (None, 0):
            raise shipped.failed(error, name, shipped.recipe_path(name)) from error


def _recipe_list() -> str:
    names = shipped.recipe_names()
    width = max((len(name) for name in names), default=0)
    rows = [f"  {name:<{width}}  {_first_line(shipped.recipe_path(name))}" for name in names]
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
            print(f"wrote {path}")

    command.__annotations__ = {
        "settings": Annotated[module.Settings, Parameter(name="*")],
        "config": Annotated[Path | None, Parameter(help="TOML file with settings; flags override it.")],
        "return": None,
    }
    made = App(
        name=f"specent run {name}",
        usage=f"Usage: specent run {name} [--flag value ...] [--config FILE.toml]",
        help=_reflowed(module.__doc__ or ""),
        help_format="plaintext",
        help_epilogue=_RECIPE_EPILOGUE,
        version_flags=(),
        default_command=command,
        default_parameter=Parameter(negative_iterable=(), consume_multiple=True),
        config=[_from_file, _whole_numbers],
        result_action="return_value",
        suppress_keyboard_interrupt=False,
    )
    made["--help"].group = _OPTIONS
    return made


def _reflowed(text: str) -> str:
    """Paragraphs as single lines, for the width of the terminal to break."""
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in cleandoc(text).split("\n\n"))


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
            raise CycloptsError(msg=f"--config {path}: {key!r} is not a setting of this recipe; {hint}")
        items = value if isinstance(value, list) else [value]
        if any(isinstance(item, (dict, list)) for item in items):
            raise CycloptsError(
                msg=f"--config {path}: {key} = {brief(value)}: a value or a flat array of values is needed"
            )
    ConfigDict(data, source=str(path), use_commands_as_keys=False)(app, commands, arguments)


def _toml(path: Path) -> dict[str, Any]:
    try:
        # a device or a pipe may never end
        if path.exists() and not path.is_file():
            raise CycloptsError(msg=f"--config {path}: this is not a regular file")
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CycloptsError(msg=f"--config {path}: the file cannot be read ({error.strerror})") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise CycloptsError(msg=f"--config {path}: this is not TOML ({error})") from error


def _whole_numbers(_app: App, _commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
    """Refuse 1.5 for a whole number, which would be rounded silently otherwise."""
    for argument in arguments:
        if int not in (argument.hint, *getattr(argument.hint, "__args__", ())):
            continue
        for token in argument.tokens:
            if not token.value.lstrip("+-").replace("_", "").isdecimal() and token.value.lower() != "none":
                origin = "" if token.source == "cli" else f" from {token.source}"
                raise CycloptsError(msg=f"{token.keyword} = {token.value}{origin}: a whole number is needed")


@app.command(name="validate")
def validate(*paths: Path) -> None:
    """Check archives: whole, undamaged, and as the data contract says. Every bad one is named.

    Parameters
    ----------
    paths : Path
        One or more archives.
    """
    from specent import archive

    bad: list[str] = []
    for path in _some(paths, "validate"):
        try:
            archive.validate(path)
        except SpecentError as error:
            bad.append(f"{path}: {error}" if str(path) not in str(error) else str(error))
        else:
            print(f"{path}: good")
    if bad:
        raise SpecentError("; ".join(bad))


@app.command(name="describe")
def describe(path: Path) -> None:
    """Say what an archive holds: kind, dimensions, variables with units, provenance.

    Parameters
    ----------
    path : Path
        The archive.
    """
    from specent import archive

    print(archive.describe(path))


@app.command(name="plot")
def plot(
    *paths: Path,
    output: Annotated[Path, Parameter(name=("--output", "-o"))],
    overwrite: bool = False,
    title: str | None = None,
    axis: str | None = None,
    partition: _Names = (),
    estimator: _Names = (),
    guidance: _Names = (),
    figure: _Names = (),
) -> None:
    """Draw archives: one self-contained page (.html), or a picture of it (.png, needs Chromium).

    Archives of trajectories and profiles are analysed first; what is drawn follows from what they hold. For instance:
    specent plot digits.nc -o digits.html --partition full "3 | 8" --estimator exact path --axis sigma

    Parameters
    ----------
    paths : Path
        One or more archives of any kind.
    output : Path
        File to write, ending in .html or .png.
    overwrite : bool
        Replace an existing file.
    title : str
        Heading of the page; that of the first archive by default.
    axis : str
        Horizontal axis of the curves: log_snr, sigma, log_sigma or time.
    partition : tuple of str
        Names of the partitions to draw; all of them by default. Of an archive of trajectories any other can be asked,
        as "full", "cat | dog", "cat | rest" or "cat, dog | car".
    estimator : tuple of str
        Names of the estimators to draw; all of them by default.
    guidance : tuple of str
        Guidance settings to draw; all of them by default.
    figure : tuple of str
        Figures to draw, by name; all that the archives allow by default.
    """
    from specent import plotting

    plotting.figure_path(output, overwrite=overwrite)
    given = _some(paths, "plot")
    called: dict[str, str] = {}
    datasets = [made for path in given for made in _drawable(path, partition, called)]
    wanted = {
        "partition": tuple(called.get(text, text) for text in partition),
        "estimator": estimator,
        "guidance": guidance,
    }
    write: Callable[..., Path] = plotting.picture if output.suffix == ".png" else plotting.page
    written = write(
        datasets,
        output,
        title=title,
        axis=axis,
        figures=figure or None,
        overwrite=overwrite,
        **{name: chosen or None for name, chosen in wanted.items()},
    )
    print(f"wrote {written} ({written.stat().st_size / 1e6:.1f} MB)")


@app.command(name="check")
def check(
    model: str,
    *,
    data: str | None = None,
    null: str | None = None,
    label: _Names = (),
    prompt: _Names = (),
    levels: tuple[float, float] | None = None,
    samples: int | None = None,
    seed: int = 0,
    device: str = "cpu",
    local_files_only: bool = False,
) -> None:
    """Tell a wrong adapter from a right one before a long run. Fails (exit code 1) if a line of the report does.

    MODEL is "digits", FILE.py:NAME (a model, an object that denoises, or a function that returns one), a .safetensors
    of train_digits or of specent convert, a published EDM2 .pkl, or the folder or hub name of a pipeline. For instance:
    specent check mine.py:model --data folder:pictures

    Parameters
    ----------
    model : str
        The model.
    data : str
        Labelled data of the kind it was trained on: digits, cifar10:PATH, folder:PATH, or a .npz file with images or
        latents, and labels. Without it half of the questions stay open.
    null : str
        Network of the null condition, for EDM2 and for pipelines that have it apart.
    label : tuple of str
        Names of the labels of a network that has none.
    prompt : tuple of str
        Prompts of a text to image pipeline.
    levels : tuple of float
        Smallest and largest noise level that are to be sampled; those of the network by default.
    samples : int
        How many images are used.
    seed : int
        Seed of the noise.
    device : str
        cpu or cuda.
    local_files_only : bool
        Use only what was fetched before.
    """
    from specent import diagnostics
    from specent.diagnostics.model_texts import data_from_text, model_from_text

    made = model_from_text(model, null=null, labels=label, prompts=prompt, local_files_only=local_files_only)
    images, labels = (None, None) if data is None else data_from_text(data, made)
    report = diagnostics.check(made, images, labels, levels=levels, samples=samples, seed=seed, device=device)
    print(report)
    if not report.ok:
        raise SpecentError(f"check: {', '.join(report.failed)} failed; the report says what to do")


@app.command(name="convert")
def convert(
    source: Path,
    *,
    output: Annotated[Path, Parameter(name=("--output", "-o"))],
    overwrite: bool = False,
) -> None:
    """Turn a published EDM2 network (.pkl) into safetensors, without running anything in it. For instance:
    specent convert edm2-img512-xs-2147483-0.045.pkl -o edm2-img512-xs.safetensors

    Parameters
    ----------
    source : Path
        The published file.
    output : Path
        File to write, ending in .safetensors; a card (.json) with its sizes and both SHA-256 is written beside it.
    overwrite : bool
        Replace existing files.
    """
    from specent.models.edm2.conversion import convert as converted

    for path in converted(source, output, overwrite=overwrite):
        print(f"wrote {path} ({path.stat().st_size / 1e6:.1f} MB)")


def _some(paths: tuple[Path, ...], command: str) -> tuple[Path, ...]:
    if not paths:
        raise CycloptsError(msg=f"specent {command}: give the path of at least one archive")
    return paths


def _drawable(path: Path, partition: tuple[str, ...], called: dict[str, str]) -> list[xr.Dataset]:
    """The dataset in an archive and what follows from it: figures compute nothing themselves.

    Partitions that are asked of trajectories get a name; `called` collects it.
    """
    from specent import analysis, archive

    dataset = archive.open(path)
    made = [dataset]
    if dataset.attrs["specent_kind"] == "trajectories":
        asked = [_question(text, dataset) for text in partition]
        called.update({text: question.name for text, question in zip(partition, asked, strict=True)})
        # trajectories of which nothing was asked may still hold pictures
        if asked or "definition" in dataset.coords or "prediction" not in dataset:
            made.append(analysis.entropy(dataset, asked or None))
    if made[-1].attrs["specent_kind"] == "profiles":
        made += _summaries(made[-1])
    return made


def _question(text: str, runs: xr.Dataset) -> Partition:
    """A partition that the runs were sampled with, by its name, or a new one."""
    from specent.partitions import Partition
    from specent.schema import NULL

    named = [str(name) for name in runs["partition"].values] if "partition" in runs.coords else []
    if text in named:
        return Partition.from_json(str(runs["definition"].sel(partition=text).item()))
    if "|" not in text and text.strip() != "full":
        known = ", ".join(map(repr, named[:8])) + (", ..." if len(named) > 8 else "")
        raise SpecentError(
            f"partition={text!r} is none of the archive's ({known}), nor a new one such as 'full', 'cat | dog' or "
            "'cat | rest'"
        )
    return Partition.parse(text, [str(name) for name in runs["candidate"].values if name != NULL])


def _summaries(profiles: xr.Dataset) -> list[xr.Dataset]:
    """Speciation of profiles and, over dimensions on a clock whose law is known, its scaling."""
    from specent import analysis, schedules

    name = schedules.from_json(str(profiles.attrs["schedule"])).name if "schedule" in profiles.attrs else ""
    axis, law = {"vp": ("time", "log"), "ve": ("sigma", "sqrt")}.get(name, ("log_snr", ""))
    scaled = profiles.sizes.get("dimension", 0) >= 3 and law != ""
    try:
        spec = analysis.speciation(profiles, axis=axis if scaled else "log_snr")
        return [spec, analysis.fit_scaling(spec, law)] if scaled else [spec]  # type: ignore[arg-type]
    except SpecentError as error:
        kept, left_out = (profiles, []) if scaled else _falling(profiles)
        if not left_out:
            # curves that never fall to half can still be drawn
            print(f"specent: drawn without places: {error}", file=sys.stderr)
            return []
        names = ", ".join(map(repr, left_out[:6])) + (", ..." if len(left_out) > 6 else "")
        print(f"specent: drawn without the places of {names}, which never fall to half of their start", file=sys.stderr)
        return [analysis.speciation(kept)]


def _falling(profiles: xr.Dataset) -> tuple[xr.Dataset, list[str]]:
    """The profiles without the partitions, or the estimators, that never fall to half; none left out if all are."""
    from specent import analysis

    def falls(part: xr.Dataset) -> bool:
        try:
            analysis.speciation(part)
        except SpecentError:
            return False
        return True

    sizes = {dim: profiles.sizes[dim] for dim in ("partition", "estimator")}
    works = np.array(
        [
            [falls(profiles.isel(partition=[p], estimator=[e])) for e in range(sizes["estimator"])]
            for p in range(sizes["partition"])
        ]
    )
    # whichever leaves more
    choices = {"partition": works.all(axis=1), "estimator": works.all(axis=0)}
    dim = max(choices, key=lambda dim: choices[dim].sum() / sizes[dim])
    chosen = choices[dim]
    if not chosen.any():
        return profiles, []
    return profiles.isel({dim: chosen}), [str(name) for name in profiles[dim].values[~chosen]]
