"""The Python that has the numbers and figures of a view again."""

from __future__ import annotations

from pathlib import Path

from specent.explorer.computing import Answer
from specent.explorer.naming import python_partition, python_text
from specent.explorer.source import Explored
from specent.explorer.views import FigureView, Scene
from specent.partitions import Partition


def python_lines(scene: Scene, views: tuple[FigureView, ...]) -> str:
    """Lines that are a program: they open the archive, and work out and draw what the view shows.

    Parameters
    ----------
    scene : Scene
        What is shown.
    views : tuple of FigureView
        The figures.

    Returns
    -------
    str
        Python. The profile is called ``profile``, its summary ``summary``, that of pairs ``pair_summary``.
    """
    lines = ["import specent as sp", "", *_opened(scene.source), *_analysed(scene.answer, scene.source, "profile")]
    if scene.answer.summary is not None:
        lines.append("summary = sp.speciation(profile)")
    pairs = scene.pairs is not None and scene.pairs.summary is not None
    if scene.pairs is not None and pairs and any("pair_summary" in view.line(scene) for view in views):
        lines += [*_analysed(scene.pairs, scene.source, "pairs"), "pair_summary = sp.speciation(pairs)"]
    return "\n".join([*lines, "", *(f"{view.name} = {view.line(scene)}" for view in views)]) + "\n"


def _opened(source: Explored) -> list[str]:
    name = "archive" if source.kind == "profiles" else "runs"
    if source.path is None:
        return [f"# {name} is the dataset that was explored"]
    return [f"{name} = sp.open({python_text(str(source.path))})"]


def _analysed(answer: Answer, source: Explored, name: str) -> list[str]:
    request = answer.request
    chosen = {"guidance": request.guidance, "run": request.run}
    if source.kind == "profiles":
        names = [one if isinstance(one, str) else one.name for one in request.partitions]
        chosen = {"partition": tuple(names), **chosen, "estimator": request.estimator}
        return [f"{name} = archive{_selection(chosen)}"]
    runs = "runs" + _selection({"guidance": request.guidance})
    if not answer.whole:
        runs += f".isel(sample=slice(0, {answer.samples}))"
    words = [f"{name} = sp.entropy(", f"    {runs},", f"    {_partitions(request.partitions, source)},"]
    words.append(f"    [{', '.join(map(python_text, request.estimator or ('path',)))}],")
    if answer.rate == "differences":
        words.append('    rate="differences",')
    if answer.replicates is not None:
        words.append(f"    replicates={answer.replicates},")
    return [*words, ")"]


def _selection(chosen: dict[str, tuple[str, ...]]) -> str:
    parts = [f"{dim}=[{', '.join(map(python_text, names))}]" for dim, names in chosen.items() if names]
    return f".sel({', '.join(parts)})" if parts else ""


def _partitions(partitions: tuple[Partition | str, ...], source: Explored) -> str:
    return f"[{', '.join(python_partition(one, source.labels, source.stored) for one in partitions)}]"


def download_name(source: Explored, name: str, suffix: str) -> str:
    """Name of a file that is saved, of letters that every system takes.

    Examples
    --------
    >>> import specent as sp
    >>> from specent.explorer.source import open_source
    >>> download_name(open_source(sp.archive.example()), "entropy", ".pdf")
    'specent_entropy.pdf'
    """
    stem = "specent" if source.path is None else Path(source.path).stem
    plain = "".join(letter if letter.isascii() and (letter.isalnum() or letter in "-_") else "_" for letter in stem)
    return f"{plain[:60] or 'specent'}_{name}{suffix}"
