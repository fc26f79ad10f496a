"""The gallery: every file of `docs/gallery` is an example, which is run, drawn, and put on a page of its own.

An example is a script: the first line of its docstring is its heading, the second paragraph its result in one sentence,
what follows further text. It leaves a figure in the variable `figure`. The archives that it opens are written by the
commands of `contents.toml`, which also says in which order examples stand on the page. A further example is one file
and one line of that table.
"""

from __future__ import annotations

import ast
import hashlib
import shutil
import tomllib
import warnings
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import gallery_pictures
import reference
import workers

import specent as sp
from specent import studies

DOCS = Path(__file__).resolve().parents[1]
EXAMPLES = DOCS / "gallery"
GENERATED = DOCS / "generated"
CONTENTS: dict[str, Any] = tomllib.loads((EXAMPLES / "contents.toml").read_text(encoding="utf-8"))
# what draws does not determine what archives hold
_DRAWS = {"plotting", "explorer", "command"}


@dataclass(frozen=True)
class Example:
    """A script of the gallery."""

    name: str
    heading: str
    result: str
    text: str
    code: str

    @classmethod
    def read(cls, name: str) -> Example:
        """The example of a name."""
        source = (EXAMPLES / f"{name}.py").read_text(encoding="utf-8")
        tree = ast.parse(source)
        parts = [part.strip() for part in (ast.get_docstring(tree) or "").split("\n\n", 2)]
        if len(parts) < 2:
            raise ValueError(f"docs/gallery/{name}.py needs a heading and a result in its docstring")
        code = "\n".join(source.splitlines()[tree.body[0].end_lineno :]).strip()
        return cls(name, parts[0].rstrip("."), " ".join(parts[1].split()), parts[2] if len(parts) > 2 else "", code)

    @property
    def files(self) -> list[str]:
        """Names of the pictures, the one for a light page first."""
        folder = GENERATED / "gallery"
        return [path.name for suffix in ("svg", "png") for path in sorted(folder.glob(f"{self.name}.{suffix}"))] + [
            path.name for path in sorted(folder.glob(f"{self.name}-dark.svg"))
        ]

    def shown(self, folder: str) -> str:
        """The picture in both versions, as text of a page whose pictures lie in `folder`."""
        light, *others = self.files
        alt = self.result.replace("[", "(").replace("]", ")")
        if not others:
            return f"![{alt}]({folder}{light})"
        return f"![{alt}]({folder}{light}){{.only-light}} ![{alt}]({folder}{others[0]}){{.only-dark .dark-light}}"

    def page(self) -> str:
        """The page of the example."""
        note = (
            "The archives that are opened here are written by the commands [of the gallery](/gallery.md#the-archives)."
        )
        code = f"```python\n{self.code}\n```"
        return "\n\n".join([f"# {self.heading}", self.result, self.shown(""), self.text, code, note]) + "\n"

    def figure(self) -> str:
        """The picture with its sentence, as part of another page."""
        target = f"/generated/gallery/{self.name}.md"
        return f"{self.shown('/generated/gallery/')}\n\n*{self.result}* [The code]({target})\n"

    def card(self) -> str:
        """The entry on the page of the gallery."""
        picture = self.shown("/generated/gallery/")
        target = f"/generated/gallery/{self.name}.md"
        return card(f"[{picture}]({target})", f"[{self.heading}]({target})", self.result)


def card(*paragraphs: str) -> str:
    """A card of the gallery."""
    return "\n\n".join([":::{container} card-of-gallery", *paragraphs]) + "\n:::"


def examples() -> list[Example]:
    """Every example in the order of the table; one without its line is refused."""
    names = [name for entries in CONTENTS["sections"].values() for name in entries]
    missing = sorted({path.stem for path in EXAMPLES.glob("*.py")} ^ set(names))
    if missing:
        raise ValueError(f"docs/gallery: {', '.join(missing)} need a file and a line in contents.toml")
    return [Example.read(name) for name in names]


def _sources() -> str:
    """A digest of what determines the archives."""
    root = Path(sp.__file__).parent
    files = [path for path in sorted(root.rglob("*.py")) if path.relative_to(root).parts[0] not in _DRAWS]
    text = b"".join(path.read_bytes() for path in [*files, *sorted((DOCS.parent / "recipes").glob("*.py"))])
    return hashlib.sha256(text + repr(CONTENTS["archives"]).encode()).hexdigest()


def write_archives(folder: Path, executor: ProcessPoolExecutor) -> None:
    """Run the commands, unless it is done already with the same package."""
    stamp = folder / "sources.sha256"
    if stamp.is_file() and stamp.read_text(encoding="utf-8") == _sources():
        return
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(EXAMPLES / "archives", folder)
    workers.results(executor, workers.command, [(line, folder) for line in CONTENTS["archives"]["commands"]])
    stamp.write_text(_sources(), encoding="utf-8")


def draw(example: Example, archives: Path) -> Example:
    """Run an example, write its figure in both versions, and put the numbers that it computed into its text."""
    namespace: dict[str, Any] = {"__name__": f"gallery_{example.name}"}
    target = GENERATED / "gallery" / example.name
    with workers.inside(archives), warnings.catch_warnings():
        # what a measurement warns of is said in the text of an example
        warnings.simplefilter("ignore", sp.SpecentWarning)
        exec(compile(example.code, f"docs/gallery/{example.name}.py", "exec", dont_inherit=True), namespace)
        gallery_pictures.write(namespace["figure"], target)
    filled = {part: getattr(example, part).format_map(namespace) for part in ("result", "text")}
    return replace(example, **filled)


def write_index(every: list[Example]) -> None:
    """The cards of the gallery, section by section, and the commands."""
    named = {example.name: example for example in every}
    lines = []
    for section, names in CONTENTS["sections"].items():
        lines += [f"## {section}", "::::{container} gallery", *(named[name].card() for name in names), "::::"]
    toctree = "\n".join(f"{example.heading} <generated/gallery/{example.name}>" for example in every)
    lines.append(f"```{{toctree}}\n:hidden:\n\n{toctree}\n```")
    (GENERATED / "gallery.md").write_text("\n\n".join(lines) + "\n", encoding="utf-8")
    first = every[0]
    picture, target = first.shown("/generated/gallery/"), f"/generated/gallery/{first.name}.md"
    landing = f"{picture}\n\n*{first.result} {first.text}* [The code]({target})\n"
    (GENERATED / "landing.md").write_text(landing, encoding="utf-8")
    (GENERATED / "recipes.md").write_text(recipe_cards(named), encoding="utf-8")
    for example in every:
        (GENERATED / "figures" / f"{example.name}.md").write_text(example.figure(), encoding="utf-8")
    archives = CONTENTS["archives"]
    commands = "\n".join(f"$ {line}" for line in [*archives["commands"], *archives["stored"]])
    (GENERATED / "gallery_commands.md").write_text(f"```console\n{commands}\n```\n", encoding="utf-8")


def recipe_cards(named: dict[str, Example]) -> str:
    """A card for every recipe: the picture of an example that shows what it shows, with its result, and its command."""
    cards = []
    for name in studies.recipe_names():
        example = named[CONTENTS["recipes"][name]]
        picture, target = example.shown("/generated/gallery/"), f"/generated/gallery/{example.name}.md"
        about = (studies.recipe(name).__doc__ or "").strip().splitlines()[0]
        stand_in = f"{CONTENTS['stand_ins'][name]} " if name in CONTENTS["stand_ins"] else ""
        study = f" [The study](/studies/{name}.md)." if (DOCS / "studies" / f"{name}.md").is_file() else ""
        result = f"{stand_in}{example.result} [The code]({target}).{study}"
        cards.append(card(f"[{picture}]({target})", f"`specent run {name}`", about, f"*Shown:* {result}"))
    return "\n\n".join(["::::{container} gallery", *cards, "::::"]) + "\n"


def write(app: Any) -> None:
    """Write archives, pictures and pages before the documentation is read."""
    archives = GENERATED / "archives"
    for name in ("gallery", "figures", "pages"):
        (GENERATED / name).mkdir(parents=True, exist_ok=True)
    with workers.pool() as executor:
        report = executor.submit(reference.write_example)
        write_archives(archives, executor)
        every = workers.results(executor, draw, [(example, archives) for example in examples()])
        report.result()
    for example in every:
        (GENERATED / "gallery" / f"{example.name}.md").write_text(example.page(), encoding="utf-8")
    write_index(every)


def show_figure(app: Any, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    """Put the figure of the gallery on the page of the function that draws it."""
    module, _, function = name.rpartition(".")
    if module != "specent.plotting" or not (EXAMPLES / f"{function}.py").is_file():
        return
    light, *others = Example.read(function).files
    versions = [(light, "only-light"), (others[0], "only-dark dark-light")] if others else [(light, "")]
    for file, classes in versions:
        lines += ["", f".. image:: /generated/gallery/{file}", f"   :alt: Figure of {function}"]
        lines += [f"   :class: {classes}", ""] if classes else [""]
    lines += [f"The code of this figure is in the :doc:`gallery </generated/gallery/{function}>`.", ""]


def setup(app: Any) -> dict[str, bool]:
    """Write the gallery first."""
    app.connect("builder-inited", write)
    # after numpydoc, which would take the figure for a part of the last section
    app.connect("autodoc-process-docstring", show_figure, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
