"""One self-contained page of figures for the datasets of a study."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import xarray as xr
from holoviews.core.data import disable_pipeline
from tqdm.auto import tqdm

from specent import arguments, files
from specent.arguments import brief
from specent.axes import check_axis
from specent.errors import SpecentError
from specent.plotting import style, texts
from specent.plotting.contents import FIGURES, PAGE_FIGURES, Section
from specent.plotting.derived import with_profiles
from specent.plotting.document import Chapter, FigureBlock, document, model
from specent.plotting.select import Names
from specent.plotting.tables import half_entropy_table, provenance
from specent.schema import KINDS, need

# figures of speciation
_SUMMARIES = {"windows", "pair_matrix", "scaling"}

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
    """Write one HTML page with every figure the datasets allow, how to read them, a table and the provenance.

    Parameters
    ----------
    datasets : Dataset, sequence of Dataset, or mapping of heading to such a sequence
        Of any kind. What follows from them and is not given is analysed: profiles of trajectories, speciation of
        profiles, and its scaling over ambient dimensions (`specent.analysis.summarise`). The predictions of
        trajectories are drawn under their profiles. The entries of a mapping become sections with a heading each.
    path : str or Path
        File to write, ending in ``.html``; about 1.3 MB and the data of the curves.
    title : str, optional
        Heading; the title of the first dataset by default.
    axis : {"log_snr", "sigma", "log_sigma", "time"}, optional
        Horizontal axis of the curves; "sigma" for windows and "log_snr" for curves by default.
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
    axis = None if axis is None else check_axis(axis)
    grouped = _grouped(datasets)
    every = [one for group in grouped.values() for one in group]
    names = _figure_names(figures)
    sections = {}
    for head, group in grouped.items():
        whole, partitions = with_profiles(group, partition, estimator)
        section = Section.of(whole, axis, partition=partitions, estimator=estimator, guidance=guidance, run=run)
        # only what is selected is summarised
        sections[head] = section if _SUMMARIES.isdisjoint(names) else section.with_summaries(progress=progress)
    chapters = _chapters(sections, names, plain, progress)
    if not any(chapter.blocks for chapter in chapters):
        kinds = ", ".join(sorted({str(one.attrs["specent_kind"]) for one in every}))
        # a fit is a line through points of another dataset
        hint = "; give the speciation that was fitted as well" if kinds == "scaling" else ""
        text = f"nothing to draw: datasets of kind {kinds} have none of the figures {', '.join(names)}"
        raise SpecentError(text + hint)
    text = document(
        title or str(every[0].attrs["title"]),
        chapters,
        "" if plain and figures is not None else texts.HOW_TO_READ + ("" if plain else texts.HOW_TO_USE),
        "" if plain and figures is not None else provenance(every),
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
    return {heading: [_of_any_kind(one) for one in group] for heading, group in groups.items()}


def _of_any_kind(dataset: xr.Dataset) -> xr.Dataset:
    # an error about an object without a kind says what it should be
    kind = dataset.attrs.get("specent_kind") if isinstance(dataset, xr.Dataset) else None
    return need(dataset, kind if isinstance(kind, str) and kind in KINDS else "profiles", "datasets")


def _figure_names(figures: Sequence[str] | None) -> tuple[str, ...]:
    if figures is None:
        return FIGURES
    names = (figures,) if isinstance(figures, str) else tuple(arguments.names(figures, "figures"))
    if not names or any(name not in FIGURES for name in names):
        raise SpecentError(f"figures={list(names)!r}: choose from {', '.join(FIGURES)}")
    return names


def _chapters(sections: Mapping[str, Section], names: Sequence[str], plain: bool, progress: bool) -> list[Chapter]:
    """Every figure of every section; captions and tables unless the page is plain."""
    total, hidden = len(sections) * len(names), None if progress else True
    chapters = []
    # HoloViews need not record how to compute anew what is drawn once
    with (
        disable_pipeline(),
        tqdm(total=total, desc="drawing", unit="figure", disable=hidden, leave=False, delay=2) as bar,
    ):
        for head, section in sections.items():
            blocks: list[FigureBlock] = []
            for name in names:
                caption = "" if plain else _caption(name, section)
                for figure in PAGE_FIGURES[name].draw(section):
                    blocks.append(FigureBlock(name, model(figure, still=plain), caption))
                    # once a section
                    caption = ""
                bar.update()
            tables = [] if plain else [half_entropy_table(spec) for spec in section.datasets["speciation"]]
            chapters.append(Chapter(head, blocks, tables))
    return chapters


def _caption(name: str, section: Section) -> str:
    """How to read a figure, and the remarks on its section, as HTML."""
    remarks = "".join(f"<li>{html.escape(text)}</li>" for text in PAGE_FIGURES[name].remarks(section))
    return html.escape(PAGE_FIGURES[name].caption) + (f'<ul class="remarks">{remarks}</ul>' if remarks else "")
