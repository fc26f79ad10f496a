"""What a page shows: which figures follow from which datasets, in portions that can be read.

A figure of a page is a function from a `Section` to HoloViews objects and a caption, in one line of `PAGE_FIGURES`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import holoviews as hv
import numpy as np
import xarray as xr

from specent import arguments
from specent.errors import SpecentError
from specent.partitions import NULL
from specent.plotting import page_statistics, style, texts
from specent.plotting.comparison import ESTIMATOR_NAMES
from specent.plotting.curves import entropy, rate
from specent.plotting.derived import with_summaries
from specent.plotting.fits import scaling
from specent.plotting.guidance_effect import guidance_effect
from specent.plotting.marks import axes_of, reachable
from specent.plotting.notes import disagreements
from specent.plotting.pair_levels import Pairs
from specent.plotting.pairs import pair_matrix
from specent.plotting.quality import quality
from specent.plotting.raster import final_pictures
from specent.plotting.rescaling import rescaled
from specent.plotting.samples import samples
from specent.plotting.select import Names, defined_partitions, families, indices, select, select_each, series
from specent.plotting.strips import predictions
from specent.plotting.summaries import windows
from specent.plotting.tree import tree
from specent.plotting.views import stretch
from specent.schema import KINDS

_SINGLE = "one against the rest"
Figures = Iterator[Any]
Portion = tuple[list[xr.Dataset], str, tuple[float, float] | None]


@dataclass(frozen=True)
class Section:
    """The datasets of a section by kind, reduced to the selection, and the axis of its curves."""

    datasets: Mapping[str, list[xr.Dataset]]
    axis: str | None
    selection: Mapping[str, Names]

    @classmethod
    def of(cls, datasets: Sequence[xr.Dataset], axis: str | None, **selection: Names) -> Section:
        """Select from the datasets; a name may be in one of them only, but one that is in none is refused."""
        named = {dim: names for dim, names in selection.items() if names is not None}
        # trajectories are selected from by the figure that draws them, and of statistics the profiles are drawn
        runs = [one for one in datasets if _kind(one) in ("trajectories", "statistics")]
        parts = [one for one in datasets if _kind(one) not in ("trajectories", "statistics")]
        for dim, names in named.items():
            # a table of quality has guidance settings only, whatever else is selected of the curves
            without = [one for one in parts if dim not in one.dims]
            if len(without) < len(parts) or not without:
                with_dim = [one for one in parts if dim in one.dims]
                parts = (select_each(with_dim, **{dim: names}) if with_dim else []) + without
            else:
                select_each(parts, **{dim: names})
        return cls(_by_kind(parts + runs), axis, named)

    @property
    def every(self) -> list[xr.Dataset]:
        """All datasets, kind by kind."""
        return [one for group in self.datasets.values() for one in group]

    def with_summaries(self, *, progress: bool) -> Section:
        """The section with the speciation and scaling of its profiles."""
        return replace(self, datasets=_by_kind(with_summaries(self.every, progress=progress)))


def _by_kind(datasets: Sequence[xr.Dataset]) -> dict[str, list[xr.Dataset]]:
    return {kind: [one for one in datasets if _kind(one) == kind] for kind in KINDS}


def _kind(dataset: xr.Dataset) -> str:
    """The kind of a dataset of the contract."""
    return str(dataset.attrs["specent_kind"])


def _entropies(section: Section) -> Figures:
    for part, heading, view in _portions(section, "entropy", "path", section.axis or "log_snr"):
        figure = entropy(part, section.axis or "log_snr", view=view)
        yield _with_line(figure, heading)


def _rates(section: Section) -> Figures:
    for part, heading, view in _portions(section, "entropy_rate", "denoiser_gap", section.axis):
        yield _with_line(rate(part, section.axis, view=view), heading)


def _with_line(figure: Any, line: str) -> Any:
    """The figure with a line under its title, which asks what it answers: of which partitions and estimator it is."""
    if not line:
        return figure
    question, *notes = str(hv.Store.lookup_options("bokeh", figure, "plot").kwargs["title"]).split("\n")
    # the heading of several panels is HTML
    text = style.heading_of_panels(line) if isinstance(figure, hv.Layout) else line
    return figure.opts(title=style.TitleText("\n".join([question, text, *notes])))


def _portions(section: Section, name: str, best: str, axis: str | None) -> Iterator[Portion]:
    """Profiles family by family, since full sets, single classes and pairs have different scales, but one axis."""
    groups = _with_references(section.datasets["profiles"])
    titles = [str(group[0].attrs["title"]) for group in groups]
    for group, title in zip(groups, titles, strict=True):
        view = _view(group, axis or str(group[0].attrs["rate_axis"]))
        for part, family in _by_family(group[0]):
            together = [part, *(_common_partitions(one, part) for one in group[1:])]
            if _count(together, name):
                few, note = _best_estimator(together, name, best, section)
                words = (title if len(set(titles)) > 1 else "", family, note)
                yield few, ", ".join(word for word in words if word), view


def _view(group: list[xr.Dataset], axis: str) -> tuple[float, float] | None:
    """The stretch on which any entropy of the group changes."""
    log = any(style.logarithmic(one, axis) for one in group)
    curves = [curve for one in group if _count([one], "entropy") for curve in series(one, "entropy", axis)]
    return stretch(curves, log) if curves else None


def _with_references(profiles: list[xr.Dataset]) -> list[list[xr.Dataset]]:
    """Every measured dataset together with the exact ones of the same partitions on the same axis."""
    exact = [one for one in profiles if set(one["estimator"].values) == {"exact"}]
    measured = [one for one in profiles if not any(one is other for other in exact)]
    groups = [[one, *(other for other in exact if _comparable(one, other))] for one in measured]
    used = [id(one) for group in groups for one in group[1:]]
    return groups + [[one] for one in exact if id(one) not in used]


def _comparable(measured: xr.Dataset, exact: xr.Dataset) -> bool:
    return (
        measured.attrs["rate_axis"] == exact.attrs["rate_axis"]
        and not _sweep(measured)
        and not _sweep(exact)
        and bool(_common_partitions(exact, measured).sizes["partition"])
    )


def _sweep(dataset: xr.Dataset) -> bool:
    """Whether a dataset goes over ambient dimensions."""
    return dataset.sizes.get("dimension", 1) > 1


def _common_partitions(dataset: xr.Dataset, other: xr.Dataset) -> xr.Dataset:
    """The partitions of `dataset` that `other` holds too, with the same sides and priors."""
    known = {one for one in defined_partitions(other) if one is not None}
    return dataset.isel(partition=[i for i, one in enumerate(defined_partitions(dataset)) if one in known])


def _by_family(dataset: xr.Dataset) -> Iterator[tuple[xr.Dataset, str]]:
    family = families(dataset)
    # a few classes, each against the others, say more than all of them at once
    few = 1 < family.count(_SINGLE) <= len(style.LONG_PALETTE)
    for one in sorted(dict.fromkeys(family), key=lambda name: few and name != _SINGLE):
        members = [i for i, other in enumerate(family) if other == one]
        name = str(dataset["partition"].values[members[0]])
        heading = name if len(members) == 1 and name != "full" else one.capitalize()
        yield dataset.isel(partition=members), heading if len(set(family)) > 1 else ""


def _best_estimator(together: list[xr.Dataset], name: str, best: str, section: Section) -> tuple[list[xr.Dataset], str]:
    """Only the best estimator and the exact one, where all would make too many curves and none was selected."""
    names = [str(value) for value in together[0]["estimator"].values]
    few = [one for one in names if one in ("exact", best)]
    if (
        "estimator" in section.selection
        or best not in names
        or len(few) == len(names)
        or _count(together, name) <= style.EASY
    ):
        return together, ""
    return [together[0].sel(estimator=few), *together[1:]], f"estimator {ESTIMATOR_NAMES.get(best, best)}"


def _count(datasets: list[xr.Dataset], name: str) -> int:
    """Number of curves, or summaries on one axis, that hold a finite number."""
    total = 0
    for one in datasets:
        finite = xr.apply_ufunc(np.isfinite, one[name], dask="allowed")
        total += int(finite.any([dim for dim in ("time", "axis") if dim in finite.dims]).sum())
    return total


def _rescaled(section: Section) -> Figures:
    for prof in section.datasets["profiles"]:
        if not _sweep(prof):
            continue
        for at in indices(prof, [dim for dim in ("run", "partition") if dim in prof.dims]):
            part = prof.isel({dim: [i] for dim, i in at.items()} | {"guidance": [0], "estimator": [0]})
            if _count([part], "entropy"):
                yield from (rescaled(part, law) for law in ("log", "sqrt"))


def _windows(section: Section) -> Figures:
    titles = [str(spec.attrs["title"]) for spec in section.datasets["speciation"]]
    for spec, whose in zip(section.datasets["speciation"], titles, strict=True):
        for part, heading in _by_family(spec):
            # many pairs are read off their matrix, and a thousand bars are no figure
            many = len(_pairs(part)) > style.EASY or part.sizes["partition"] > style.MOST_CURVES
            if not _count([part], "half_entropy") or ("partition" not in section.selection and many):
                continue
            (few,), note = _best_estimator([part], "half_entropy", "path", section)
            words = (whose if len(set(titles)) > 1 else "", heading, note)
            yield _with_line(windows(few, _axis(part, section.axis)), ", ".join(word for word in words if word))


def _matrices(section: Section) -> Figures:
    for spec in section.datasets["speciation"]:
        # fewer than three labels make no matrix
        if len(_pairs(spec)) < 3 or _sweep(spec):
            continue
        part = spec.isel(partition=_pairs(spec))
        if _count([part], "half_entropy"):
            estimator = part["estimator"].values if "estimator" in section.selection else None
            yield pair_matrix(part, estimator=estimator)


def _pairs(dataset: xr.Dataset) -> list[int]:
    return [i for i, family in enumerate(families(dataset)) if family == "pairs"]


def _axis(spec: xr.Dataset, axis: str | None) -> str | None:
    """The axis of the page where the summary can be read on it, otherwise the natural one."""
    return axis if axis is not None and reachable(spec, axis) else None


def _trees(section: Section) -> Figures:
    runs = next((one for one in section.datasets["trajectories"] if final_pictures(one)[0] is not None), None)
    for spec in section.datasets["speciation"]:
        timed = style.schedule_of(spec) is not None
        if not _pairs(spec) or _sweep(spec) or (axes_of(spec) == ["time"] and not timed):
            continue
        pairs = Pairs.of(spec)
        # fewer than three labels, or only some of their pairs, make no tree
        if len(pairs.labels) > 2 and pairs.complete and _count([spec.isel(partition=pairs.partitions)], "half_entropy"):
            axis = section.axis if section.axis != "time" or timed else None
            yield tree(spec, runs, axis or "sigma")


def _scalings(section: Section) -> Figures:
    specs = [spec for spec in section.datasets["speciation"] if _sweep(spec)]
    for fit in section.datasets["scaling"]:
        for spec in specs:
            if ("time" in axes_of(spec)) if fit.attrs["law"] == "log" else reachable(spec, "sigma"):
                yield scaling(spec, fit)


def _strips(section: Section) -> Figures:
    groups = _with_references(section.datasets["profiles"])
    for runs in section.datasets["trajectories"]:
        if "prediction" not in runs or not {"channel", "y", "x"} <= set(runs["prediction"].dims):
            continue
        settings = select(runs[["guidance"]], guidance=section.selection.get("guidance"))["guidance"].values
        for setting in settings:
            above = next((group for group in groups if setting in group[0]["guidance"].values), None)
            curves: dict[str, Any] = {} if above is None else _curves_above(runs, above[0], section)
            yield predictions(runs, above, section.axis or "log_snr", guidance=str(setting), **curves)


def _curves_above(runs: xr.Dataset, profiles: xr.Dataset, section: Section) -> dict[str, Any]:
    """What is drawn above a strip: its drivers, each against the null condition, otherwise the first partition."""
    drivers = {str(name) for name in runs["class_label"].values[:5]} - {NULL}
    names = [
        one.name for one in defined_partitions(profiles) if one and NULL in one.labels and drivers & set(one.labels)
    ]
    if len(names) > 1 and "path" in profiles["estimator"].values and "estimator" not in section.selection:
        return {"partition": names, "estimator": "path"}
    return {"partition": names or [str(profiles["partition"].values[0])]}


def _sample_grids(section: Section) -> Figures:
    for runs in section.datasets["trajectories"]:
        if final_pictures(runs)[0] is not None:
            yield samples(runs, guidance=section.selection.get("guidance"))


def _guidance_effects(section: Section) -> Figures:
    for diff in section.datasets["differences"]:
        # over selected partitions the summaries would be those of all: such are drawn one by one
        single = section.selection.get("partition")
        for part, heading in [(diff, "")] if single is None else list(_by_family(diff)):
            some = None if single is None else part["partition"].values.tolist()
            for quantity in ("entropy_rate", "entropy"):
                axis = section.axis if section.axis or quantity == "entropy_rate" else "log_snr"
                yield guidance_effect(part, quantity, axis, partition=some, title=heading or None)


def _qualities(section: Section) -> Figures:
    yield from (quality(table) for table in section.datasets["quality"])


def _disagreements(section: Section) -> list[str]:
    return [str(entry["text"]) for entry in disagreements(section.datasets["profiles"])]


@dataclass(frozen=True)
class PageFigure:
    """A figure of a page: how it is drawn from a section, how to read it, and what else is to be said of a section.

    The first sentence of the caption stands beside the figure, the others are folded.
    """

    draw: Callable[[Section], Figures]
    caption: str
    remarks: Callable[[Section], list[str]] = lambda _section: []


PAGE_FIGURES: dict[str, PageFigure] = {
    "entropy": PageFigure(_entropies, texts.ENTROPY, _disagreements),
    "rate": PageFigure(_rates, texts.RATE),
    "rescaled": PageFigure(_rescaled, texts.RESCALED),
    "windows": PageFigure(_windows, texts.WINDOWS),
    "pair_matrix": PageFigure(_matrices, texts.PAIR_MATRIX),
    "tree": PageFigure(_trees, texts.TREE),
    "scaling": PageFigure(_scalings, texts.SCALING),
    "predictions": PageFigure(_strips, texts.PREDICTIONS),
    "samples": PageFigure(_sample_grids, texts.SAMPLES),
    "posteriors": PageFigure(
        lambda one: page_statistics.posterior_figures(one.datasets, one.axis, one.selection), page_statistics.POSTERIORS
    ),
    "reliability": PageFigure(
        lambda one: page_statistics.reliability_figures(one.datasets, one.axis, one.selection),
        page_statistics.RELIABILITY,
    ),
    "paths": PageFigure(
        lambda one: page_statistics.path_figures(one.datasets, one.axis, one.selection), page_statistics.PATHS
    ),
    "disagreement": PageFigure(
        lambda one: page_statistics.disagreement_figures(_with_references(one.datasets["profiles"]), one.axis),
        page_statistics.DISAGREEMENT,
    ),
    "class_production": PageFigure(
        lambda one: page_statistics.class_figures(one.datasets, one.axis), page_statistics.CLASS_PRODUCTION
    ),
    "guidance_effect": PageFigure(_guidance_effects, texts.GUIDANCE_EFFECT),
    "quality": PageFigure(_qualities, texts.QUALITY),
    "returns": PageFigure(lambda one: page_statistics.return_figures(one.datasets, one.axis), page_statistics.RETURNS),
}

FIGURES = tuple(PAGE_FIGURES)
"""Names of the figures a page can hold, in their order."""


def figure_names(figures: Names) -> tuple[str, ...]:
    """The figures that are named, or all where None is.

    Raises
    ------
    SpecentError
        If a name is unknown, or there is none.

    Examples
    --------
    >>> figure_names("rate"), figure_names(None) == FIGURES
    (('rate',), True)
    """
    if figures is None:
        return FIGURES
    names = (figures,) if isinstance(figures, str) else tuple(arguments.names(figures, "figures"))
    if not names or any(name not in FIGURES for name in names):
        raise SpecentError(f"figures={list(names)!r}: choose from {', '.join(FIGURES)}")
    return names
