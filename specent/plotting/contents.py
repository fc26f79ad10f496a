"""What a page shows: which figures follow from which datasets, in portions that can be read.

A figure of a page is a function from a `Section` to HoloViews objects and a caption, in one line of `PAGE_FIGURES`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xarray as xr

from specent.partitions import NULL
from specent.plotting import style, texts
from specent.plotting.curves import entropy, in_view, rate, stretch
from specent.plotting.derived import with_summaries
from specent.plotting.fits import scaling
from specent.plotting.guidance_effect import guidance_effect
from specent.plotting.marks import axes_of, reachable
from specent.plotting.notes import disagreements
from specent.plotting.pairs import pair_matrix
from specent.plotting.quality import quality
from specent.plotting.rescaling import rescaled
from specent.plotting.select import Names, definitions, families, indices, select, select_each, series
from specent.plotting.strips import predictions
from specent.plotting.summaries import windows
from specent.schema import KINDS

Figures = Iterator[Any]
Portion = tuple[list[xr.Dataset], str, dict[str, Any]]


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

    def with_summaries(self, *, progress: bool) -> Section:
        """The section with the speciation and scaling of its profiles."""
        datasets = [one for group in self.datasets.values() for one in group]
        return replace(self, datasets=_by_kind(with_summaries(datasets, progress=progress)))


def _by_kind(datasets: Sequence[xr.Dataset]) -> dict[str, list[xr.Dataset]]:
    return {kind: [one for one in datasets if _kind(one) == kind] for kind in KINDS}


def _kind(dataset: xr.Dataset) -> str:
    """The kind of a dataset of the contract."""
    return str(dataset.attrs["specent_kind"])


def _entropies(section: Section) -> Figures:
    for part, heading, view in _portions(section, "entropy", "path", section.axis or "log_snr"):
        yield entropy(part, section.axis or "log_snr", title=heading).opts(**view)


def _rates(section: Section) -> Figures:
    for part, heading, view in _portions(section, "entropy_rate", "denoiser_gap", section.axis):
        yield rate(part, section.axis, title=heading).opts(**view)


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
                for some, setting in _by_guidance(few, name):
                    words = (title if len(set(titles)) > 1 else "", family, note, setting)
                    yield some, ", ".join(word for word in words if word), view


def _view(group: list[xr.Dataset], axis: str) -> dict[str, Any]:
    """Options that bring the stretch on which any entropy of the group changes into view."""
    log = any(style.logarithmic(one, axis) for one in group)
    curves = [curve for one in group if _count([one], "entropy") for curve in series(one, "entropy", axis)]
    return in_view(stretch(curves, log), log) if curves else {}


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
    known = [one for one in definitions(other) if one is not None]
    return dataset.isel(partition=[i for i, one in enumerate(definitions(dataset)) if one in known])


def _by_family(dataset: xr.Dataset) -> Iterator[tuple[xr.Dataset, str]]:
    family = families(dataset)
    for one in dict.fromkeys(family):
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
    return [together[0].sel(estimator=few), *together[1:]], f"estimator {best}"


def _by_guidance(together: list[xr.Dataset], name: str) -> Iterator[tuple[list[xr.Dataset], str]]:
    """Setting by setting, where all of them would make too many curves; medians stay together to be compared."""
    settings = [str(value) for value in together[0]["guidance"].values]
    if len(settings) == 1 or not style.EASY < _count(together, name) <= style.MOST_CURVES:
        yield together, ""
        return
    for setting in settings:
        some = [one.sel(guidance=[setting]) for one in together if setting in one["guidance"].values]
        if _count(some, name):
            yield some, setting


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
            title = ", ".join(word for word in words if word) or None
            yield windows(few, _axis(part, section.axis), title=title)


def _matrices(section: Section) -> Figures:
    for spec in section.datasets["speciation"]:
        # fewer than three labels make no matrix
        if len(_pairs(spec)) < 3 or _sweep(spec):
            continue
        part = spec.isel(partition=_pairs(spec))
        for setting in range(part.sizes["guidance"]):
            one = part.isel(guidance=[setting])
            if _count([one], "half_entropy"):
                yield pair_matrix(one, _axis(one, section.axis))


def _pairs(dataset: xr.Dataset) -> list[int]:
    return [i for i, family in enumerate(families(dataset)) if family == "pairs"]


def _axis(spec: xr.Dataset, axis: str | None) -> str | None:
    """The axis of the page where the summary can be read on it, otherwise the natural one."""
    return axis if axis is not None and reachable(spec, axis) else None


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
    names = [one.name for one in definitions(profiles) if one and NULL in one.labels and drivers & set(one.labels)]
    if len(names) > 1 and "path" in profiles["estimator"].values and "estimator" not in section.selection:
        return {"partition": names, "estimator": "path"}
    return {"partition": names or [str(profiles["partition"].values[0])]}


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
    """A figure of a page: how it is drawn from a section, how to read it, and what else is to be said of a section."""

    draw: Callable[[Section], Figures]
    caption: str
    remarks: Callable[[Section], list[str]] = lambda _section: []


PAGE_FIGURES: dict[str, PageFigure] = {
    "entropy": PageFigure(_entropies, texts.ENTROPY, _disagreements),
    "rate": PageFigure(_rates, texts.RATE),
    "rescaled": PageFigure(_rescaled, texts.RESCALED),
    "windows": PageFigure(_windows, texts.WINDOWS),
    "pair_matrix": PageFigure(_matrices, texts.PAIR_MATRIX),
    "scaling": PageFigure(_scalings, texts.SCALING),
    "predictions": PageFigure(_strips, texts.PREDICTIONS),
    "guidance_effect": PageFigure(_guidance_effects, texts.GUIDANCE_EFFECT),
    "quality": PageFigure(_qualities, texts.QUALITY),
}

FIGURES = tuple(PAGE_FIGURES)
"""Names of the figures a page can hold, in their order."""
