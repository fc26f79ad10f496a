"""One self-contained page of figures for the datasets of a study."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import xarray as xr
from holoviews.core.data import disable_pipeline
from tqdm.auto import tqdm

from specent import arguments, files
from specent.arguments import brief
from specent.axes import check_axis
from specent.errors import SpecentError
from specent.plotting import colouring, style, texts
from specent.plotting.available import nothing_to_draw, refuse_unavailable, warn_of_empty
from specent.plotting.contents import PAGE_FIGURES, Section, figure_names
from specent.plotting.derived import of_any_kind, with_profiles
from specent.plotting.document import Chapter, FigureBlock, document
from specent.plotting.embedding import embedded
from specent.plotting.results import result
from specent.plotting.scales import noise_data
from specent.plotting.select import Names
from specent.plotting.tables import half_entropy_table, provenance

# figures of speciation
_SUMMARIES = {"windows", "pair_matrix", "tree", "scaling"}
# figures that a page shows before the reader asks for more
_IN_SIGHT = 5

Datasets = xr.Dataset | Sequence[xr.Dataset]


def page(
    datasets: Datasets | Mapping[str, Datasets],
    path: str | Path,
    *,
    title: str | None = None,
    axis: str | None = None,
    figures: Sequence[str] | None = None,
    partition: Names = None,
    estimator: Names = None,
    guidance: Names = None,
    run: Names = None,
    overwrite: bool = False,
    plain: bool = False,
    progress: bool = True,
) -> Path:
    """Write a report in one HTML file: what the datasets show in a sentence, their figures, tables, and provenance.

    Parameters
    ----------
    datasets : Dataset, sequence of Dataset, or mapping of heading to such a sequence
        Of any kind. What follows from them and is not given is analysed: profiles of trajectories, speciation of
        profiles, and its scaling over ambient dimensions (`specent.analysis.summarise`). The predictions of
        trajectories are drawn under their profiles. The entries of a mapping become sections with a heading each.
    path : str or Path
        File to write, ending in ``.html``; about 1.4 MB and the data of the figures. It loads nothing from elsewhere.
    title : str, optional
        Heading; the title of the first dataset by default.
    axis : {"log_snr", "sigma", "log_sigma", "time", "step"}, optional
        Scale of the noise axes when the page opens; "log_snr" by default. The reader changes it for all figures.
    figures : str or sequence of str, optional
        Names out of `FIGURES`; all that can be drawn by default.
    partition, estimator, guidance, run : str or sequence, optional
        What is drawn, in every figure; all by default. Of trajectories any partition can be drawn, as "full",
        "cat | dog", "cat | rest" or "cat, dog | car", and any estimator of `specent.entropy`.
    overwrite : bool
        Replace an existing file.
    plain : bool
        Figures only: no text, table, or provenance unless no figure is left out.
    progress : bool
        Whether to show a progress bar, on a terminal and where it takes more than two seconds.

    Returns
    -------
    Path
        The written file.

    Raises
    ------
    SpecentError
        If the file cannot be written, a figure or a selection is unknown, or nothing can be drawn.
    """
    target = files.output_path(path, ".html", overwrite=overwrite)
    style.heading(title)
    arguments.flag(plain, "plain")
    arguments.flag(progress, "progress")
    scale = "log_snr" if axis is None else axis if axis == "step" else check_axis(axis)
    grouped = _grouped(datasets)
    every = [one for group in grouped.values() for one in group]
    names = figure_names(figures)
    refuse_unavailable(names, every)
    sections = {}
    for head, group in grouped.items():
        whole, partitions = with_profiles(group, partition, estimator)
        section = Section.of(
            whole, _drawn_over(whole), partition=partitions, estimator=estimator, guidance=guidance, run=run
        )
        # only what is selected is summarised
        sections[head] = section if _SUMMARIES.isdisjoint(names) else section.with_summaries(progress=progress)
    chapters = _chapters(sections, names, plain, progress)
    if not any(chapter.blocks for chapter in chapters):
        raise nothing_to_draw(names, every)
    warn_of_empty(figures, [block.name for chapter in chapters for block in chapter.blocks], every)
    text = document(
        title or str(every[0].attrs["title"]),
        chapters,
        noise_data(scale, [section.every for section in sections.values()]),
        "" if plain else provenance(every),
        plain=plain,
    )
    return files.write_whole(text, target, overwrite=overwrite)


def _grouped(datasets: Datasets | Mapping[str, Datasets]) -> dict[str, list[xr.Dataset]]:
    """The datasets of every section by its heading, which is empty where there is only one section."""
    # a dataset is a mapping too
    several = isinstance(datasets, Mapping) and not isinstance(datasets, xr.Dataset)
    sections: dict[str, Any] = {**datasets} if several else {"": datasets}  # type: ignore[dict-item]
    groups = {}
    for heading, group in sections.items():
        try:
            groups[str(heading)] = [group] if isinstance(group, xr.Dataset) else list(group)
        except TypeError as error:
            raise SpecentError(f"datasets={brief(group)} is neither a dataset nor a list of them") from error
    if not groups or not all(groups.values()):
        raise SpecentError("datasets is empty, or one of its sections is; give at least one dataset each")
    return {heading: [of_any_kind(one) for one in group] for heading, group in groups.items()}


def _drawn_over(datasets: Sequence[xr.Dataset]) -> str:
    """The axis of all figures, from which the reader changes to others: the log-SNR wherever it is known."""
    timed = [one for one in datasets if "time" in one.dims]
    return "log_snr" if all("log_snr" in one.coords for one in timed) else "time"


def _chapters(sections: Mapping[str, Section], names: Sequence[str], plain: bool, progress: bool) -> list[Chapter]:
    """Every figure of every section, with its sentence and its tables unless the page is plain."""
    total, hidden = len(sections) * len(names), None if progress else True
    blocks: dict[str, list[FigureBlock]] = {}
    # HoloViews need not record how to compute anew what is drawn once
    with (
        disable_pipeline(),
        colouring.agreed(colouring.common_colours([one for section in sections.values() for one in section.every])),
        tqdm(total=total, desc="drawing", unit="figure", disable=hidden, leave=False, delay=2) as bar,
    ):
        for head, section in sections.items():
            blocks[head] = []
            for name in names:
                drawn = enumerate(PAGE_FIGURES[name].draw(section))
                blocks[head] += [_block(name, figure, section, plain, first=number == 0) for number, figure in drawn]
                bar.update()
    shown = _in_sight(blocks)
    chapters = []
    for number, (head, section) in enumerate(sections.items(), 1):
        summaries = [] if plain else section.datasets["speciation"]
        tables = [half_entropy_table(one, name=f"table-{number}-{at}") for at, one in enumerate(summaries, 1)]
        ordered = blocks[head] if plain else _by_rank(blocks[head])
        chapters.append(Chapter(head, ordered, tables, "" if plain else result(section.datasets), shown[head]))
    return chapters


def _block(name: str, figure: Any, section: Section, plain: bool, *, first: bool) -> FigureBlock:
    """A figure with its words, which stand once a section: a sentence beside it, and how to read it folded."""
    drawn, entry = embedded(figure, still=plain), PAGE_FIGURES[name]
    heading, *notes = drawn.lines or [texts.HEADINGS.get(name, name.replace("_", " "))]
    block = FigureBlock(name, drawn.model, heading, notes, panels=drawn.panels)
    if plain or not first:
        return block
    caption, _, reading = entry.caption.partition(". ")
    remarks = "".join(f"<li>{html.escape(text)}</li>" for text in entry.remarks(section))
    return replace(
        block,
        caption=f"<p>{html.escape(caption.rstrip('.'))}.</p>"
        + (f'<ul class="remarks">{remarks}</ul>' if remarks else ""),
        reading=f"<p>{html.escape(reading)}</p>" if reading else "",
    )


def _by_rank(blocks: Sequence[FigureBlock]) -> list[FigureBlock]:
    """The most telling first: one of every sort, in the order of the headings, then the others."""
    ranks = {name: rank for rank, name in enumerate(texts.HEADINGS)}
    seen: dict[str, int] = {}
    keys = []
    for number, block in enumerate(blocks):
        seen[block.name] = seen.get(block.name, 0) + 1
        keys.append((seen[block.name], ranks.get(block.name, len(ranks)), number))
    return [blocks[key[-1]] for key in sorted(keys)]


def _in_sight(blocks: Mapping[str, Sequence[FigureBlock]]) -> dict[str, int]:
    """How many figures of every section are in sight when the page opens: one each, then more of the first ones."""
    shown = dict.fromkeys(blocks, 0)
    while sum(shown.values()) < _IN_SIGHT:
        open_ = [head for head in blocks if shown[head] < len(blocks[head])]
        if not open_:
            break
        least = min(shown[head] for head in open_)
        shown[next(head for head in open_ if shown[head] == least)] += 1
    return shown
