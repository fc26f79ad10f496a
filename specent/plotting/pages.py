"""One self-contained page of figures for the datasets of a study: nothing is loaded from the network."""

from __future__ import annotations

import html
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import holoviews as hv
import numpy as np
import xarray as xr
from bokeh.embed import components
from bokeh.models import GridPlot, LayoutDOM, Plot, Toolbar
from bokeh.resources import Resources

from specent import arguments
from specent.arguments import brief
from specent.errors import SpecentError
from specent.files import write_whole
from specent.plotting import style, texts
from specent.plotting.curves import entropy, in_view, rate, stretch
from specent.plotting.export import figure_path
from specent.plotting.fits import scaling
from specent.plotting.guidance_effect import differences
from specent.plotting.quality import quality
from specent.plotting.rescaling import rescaled
from specent.plotting.select import Names, definitions, families, select, select_each, series
from specent.plotting.strips import predictions
from specent.plotting.summaries import pair_matrix, windows
from specent.plotting.tables import half_places, provenance
from specent.schema import KINDS, NULL, need

FIGURES = ("entropy", "rate", "rescaled", "windows", "pair_matrix", "scaling", "predictions", "differences", "quality")
"""Names of the figures a page can hold, in the order in which they stand."""


@dataclass(frozen=True)
class _Wanted:
    """What is drawn: the datasets by kind, reduced to what was chosen of them."""

    datasets: dict[str, list[xr.Dataset]]
    axis: str | None
    chosen: dict[str, Names]

    @classmethod
    def of(cls, listed: list[xr.Dataset], axis: str | None, **chosen: Names) -> _Wanted:
        made: dict[str, Names] = {dim: names for dim, names in chosen.items() if names is not None}
        # a name may be in one of the datasets only, but one that is in none is a mistake
        drawn = [one for one in listed if one.attrs["specent_kind"] != "trajectories"]
        some = select_each(drawn, guidance=made.get("guidance")) if drawn else []
        # a table of quality has guidance settings only, whatever else is chosen of the curves
        kept = [one for one in some if one.attrs["specent_kind"] == "quality"]
        curved = [one for one in some if one.attrs["specent_kind"] != "quality"]
        others = {dim: names for dim, names in made.items() if dim != "guidance"}
        kept += select_each(curved, **others) if curved else []
        kept += [one for one in listed if one.attrs["specent_kind"] == "trajectories"]
        return cls({kind: [one for one in kept if one.attrs["specent_kind"] == kind] for kind in KINDS}, axis, made)


Figures = Iterator[Any]


def page(
    datasets: xr.Dataset | Sequence[xr.Dataset] | Mapping[str, Sequence[xr.Dataset]],
    path: str | Path,
    *,
    title: str | None = None,
    axis: str | None = None,
    figures: Sequence[str] | None = None,
    partition: Names = None,
    estimator: Names = None,
    guidance: Names = None,
    overwrite: bool = False,
    plain: bool = False,
) -> Path:
    """Write one HTML page with every figure the datasets allow, how to read them, a table and the provenance.

    Parameters
    ----------
    datasets : Dataset, sequence of Dataset, or mapping of heading to such a sequence
        Of any kind. Profiles are drawn by themselves; a scaling is drawn over the speciation given before it, and the
        predictions of trajectories under the profiles given with them. The entries of a mapping become sections with
        a heading each.
    path : str or Path
        File to write, ending in ``.html``; about 1.3 MB and the data of the curves.
    title : str, optional
        Heading; the title of the first dataset by default.
    axis : {"log_snr", "sigma", "log_sigma", "time"}, optional
        Horizontal axis of the curves; "sigma" for windows and "log_snr" for curves by default.
    figures : str or sequence of str, optional
        Names out of `FIGURES`; all that can be drawn by default.
    partition, estimator, guidance : str or sequence, optional
        What is drawn, in every figure; all by default.
    overwrite : bool
        Replace an existing file.
    plain : bool
        Figures only: no text, table, or provenance unless no figure is left out.

    Returns
    -------
    Path
        The written file.

    Raises
    ------
    SpecentError
        If the file cannot be written, a figure or a selection is unknown, or nothing can be drawn.
    """
    path = figure_path(path, (".html",), overwrite=overwrite)
    style.heading(title)
    sections = _sections(datasets)
    listed = [one for section in sections.values() for one in section]
    for one in listed:
        # any kind will do; an object without one is told what it should be
        kind = one.attrs.get("specent_kind") if isinstance(one, xr.Dataset) else None
        need(one, kind if isinstance(kind, str) and kind in KINDS else "profiles", "datasets")
    names = (
        FIGURES if figures is None else (figures,) if isinstance(figures, str) else arguments.names(figures, "figures")
    )
    unknown = [name for name in names if name not in FIGURES]
    if unknown or not names:
        raise SpecentError(f"figures={list(names)!r}: choose from {', '.join(FIGURES)}")
    chosen = {"partition": partition, "estimator": estimator, "guidance": guidance}
    asked = {head: _Wanted.of(section, axis, **chosen) for head, section in sections.items()}
    drawn = [(head, name, one) for head, wanted in asked.items() for name in names for one in _MAKERS[name](wanted)]
    if not drawn:
        kept = ", ".join(sorted({str(one.attrs["specent_kind"]) for one in listed}))
        raise SpecentError(f"nothing to draw: datasets of kind {kept} have none of the figures {', '.join(names)}")
    models = [_model(figure, still=plain) for _, _, figure in drawn]
    first = title or str(listed[0].attrs["title"])
    document = _document(first, drawn, models, asked, listed, plain and figures is not None)
    return write_whole(document, path, overwrite=overwrite, argument="output")


def _sections(datasets: xr.Dataset | Sequence[xr.Dataset] | Mapping[str, Sequence[xr.Dataset]]) -> dict[str, Any]:
    """The datasets of every section by its heading, which is empty where there is only one section."""
    given = dict(datasets) if isinstance(datasets, Mapping) and not isinstance(datasets, xr.Dataset) else {"": datasets}
    made = {}
    for heading, section in given.items():
        try:
            made[str(heading)] = [section] if isinstance(section, xr.Dataset) else list(section)
        except TypeError as error:
            raise SpecentError(f"datasets={brief(section)} is neither a dataset nor a list of them") from error
    if not made or not all(made.values()):
        raise SpecentError("datasets is empty, or one of its sections is; give at least one dataset each")
    return made


def _entropies(wanted: _Wanted) -> Figures:
    for part, heading, seen in _portions(wanted, "entropy", "path", wanted.axis or "log_snr"):
        yield entropy(part, wanted.axis or "log_snr", title=heading).opts(**seen)


def _rates(wanted: _Wanted) -> Figures:
    for part, heading, seen in _portions(wanted, "entropy_rate", "denoiser_gap", wanted.axis):
        yield rate(part, wanted.axis, title=heading).opts(**seen)


def _portions(
    wanted: _Wanted, name: str, best: str, axis: str | None
) -> Iterator[tuple[list[xr.Dataset], str, dict[str, Any]]]:
    """Profiles family by family, since full sets, single classes and pairs have different scales, but one axis."""
    for group in _with_references(wanted.datasets["profiles"]):
        seen = _seen(group, axis or str(group[0].attrs["rate_axis"]))
        for part, heading in _by_family(group[0]):
            together = [part, *(_answers(one, part) for one in group[1:])]
            if _count(together, name):
                kept, note = _tamed(together, name, best, wanted)
                for some, setting in _by_guidance(kept, name):
                    yield some, ", ".join(word for word in (heading, note, setting) if word), seen


def _seen(group: list[xr.Dataset], axis: str) -> dict[str, Any]:
    """Options that bring the stretch on which any entropy of the group changes into view."""
    log = any(style.logarithmic(one, axis) for one in group)
    found = [curve for one in group if _count([one], "entropy") for curve in series(one, "entropy", axis)]
    return in_view(stretch(found, log), log) if found else {}


def _with_references(profiles: list[xr.Dataset]) -> list[list[xr.Dataset]]:
    """Every measured dataset together with the exact ones that answer the same questions on the same axis."""
    exact = [one for one in profiles if set(one["estimator"].values) == {"exact"}]
    measured = [one for one in profiles if not any(one is other for other in exact)]
    groups = [[one, *(other for other in exact if _comparable(one, other))] for one in measured]
    used = [id(one) for group in groups for one in group[1:]]
    return groups + [[one] for one in exact if id(one) not in used]


def _comparable(measured: xr.Dataset, exact: xr.Dataset) -> bool:
    alike = measured.attrs["rate_axis"] == exact.attrs["rate_axis"]
    return (
        alike
        and "dimension" not in {*measured.dims, *exact.dims}
        and bool(_answers(exact, measured).sizes["partition"])
    )


def _answers(dataset: xr.Dataset, asked: xr.Dataset) -> xr.Dataset:
    """The partitions of `dataset` that `asked` holds too, with the same sides and priors."""
    known = [one for one in definitions(asked) if one is not None]
    return dataset.isel(partition=[i for i, one in enumerate(definitions(dataset)) if one in known])


def _by_family(dataset: xr.Dataset) -> Iterator[tuple[xr.Dataset, str]]:
    family = families(dataset)
    for one in dict.fromkeys(family):
        members = [i for i, other in enumerate(family) if other == one]
        name = str(dataset["partition"].values[members[0]])
        heading = name if len(members) == 1 and name != "full" else one.capitalize()
        yield dataset.isel(partition=members), heading if len(set(family)) > 1 else ""


def _tamed(together: list[xr.Dataset], name: str, best: str, wanted: _Wanted) -> tuple[list[xr.Dataset], str]:
    """Only the best estimator and the exact one, where all would make too many curves and none was chosen."""
    names = [str(value) for value in together[0]["estimator"].values]
    kept = [one for one in names if one in ("exact", best)]
    if (
        "estimator" in wanted.chosen
        or best not in names
        or len(kept) == len(names)
        or _count(together, name) <= style.EASY
    ):
        return together, ""
    return [together[0].sel(estimator=kept), *together[1:]], f"estimator {best}"


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
    """Number of curves, or places, that hold a finite number."""
    total = 0
    for one in datasets:
        finite = xr.apply_ufunc(np.isfinite, one[name], dask="allowed")
        total += int((finite.any("time") if "time" in finite.dims else finite).sum())
    return total


def _rescaled(wanted: _Wanted) -> Figures:
    for prof in wanted.datasets["profiles"]:
        if "dimension" not in prof.dims:
            continue
        for index in range(prof.sizes["partition"]):
            part = prof.isel(partition=[index], guidance=[0], estimator=[0])
            if _count([part], "entropy"):
                yield from (rescaled(part, law) for law in ("log", "sqrt"))


def _windows(wanted: _Wanted) -> Figures:
    for spec in wanted.datasets["speciation"]:
        for part, heading in _by_family(spec):
            # many pairs are read off their matrix, and a thousand bars are no figure
            many = len(_pairs(part)) > style.EASY or part.sizes["partition"] > style.MOST_CURVES
            if not _count([part], "half_entropy") or ("partition" not in wanted.chosen and many):
                continue
            (kept,), note = _tamed([part], "half_entropy", "path", wanted)
            title = ", ".join(word for word in (heading, note) if word) or None
            yield windows(kept, _reachable(part, wanted.axis), title=title)


def _matrices(wanted: _Wanted) -> Figures:
    for spec in wanted.datasets["speciation"]:
        # fewer than three labels make no matrix
        if len(_pairs(spec)) < 3 or "dimension" in spec.dims:
            continue
        part = spec.isel(partition=_pairs(spec))
        for setting in range(part.sizes["guidance"]):
            one = part.isel(guidance=[setting])
            if _count([one], "half_entropy"):
                yield pair_matrix(one, _reachable(one, wanted.axis))


def _pairs(dataset: xr.Dataset) -> list[int]:
    return [i for i, family in enumerate(families(dataset)) if family == "pairs"]


def _reachable(spec: xr.Dataset, axis: str | None) -> str | None:
    """The axis that was asked for where places can be moved to it, otherwise the natural one."""
    axes = [str(name) for name in spec["axis"].values]
    return axis if axis in axes or (axis != "time" and axes != ["time"]) else None


def _scalings(wanted: _Wanted) -> Figures:
    specs = [spec for spec in wanted.datasets["speciation"] if "dimension" in spec.dims]
    for fit in wanted.datasets["scaling"]:
        axis = "time" if fit.attrs["law"] == "log" else "sigma"
        fitting = [spec for spec in specs if axis in spec["axis"].values]
        for spec in fitting:
            yield scaling(spec, fit)


def _strips(wanted: _Wanted) -> Figures:
    groups = _with_references(wanted.datasets["profiles"])
    for runs in wanted.datasets["trajectories"]:
        if "prediction" not in runs or not {"channel", "y", "x"} <= set(runs["prediction"].dims):
            continue
        settings = select(runs[["guidance"]], guidance=wanted.chosen.get("guidance"))["guidance"].values
        for setting in settings:
            above = next((group for group in groups if setting in group[0]["guidance"].values), None)
            asked: dict[str, Any] = {} if above is None else _asked_of(runs, above[0], wanted)
            yield predictions(runs, above, wanted.axis or "log_snr", guidance=str(setting), **asked)


def _asked_of(runs: xr.Dataset, profiles: xr.Dataset, wanted: _Wanted) -> dict[str, Any]:
    """What is drawn above a strip: its drivers, each against the null condition, otherwise the first partition."""
    drivers = {str(name) for name in runs["class_label"].values[:5]} - {NULL}
    asked = [one.name for one in definitions(profiles) if one and NULL in one.labels and drivers & set(one.labels)]
    if len(asked) > 1 and "path" in profiles["estimator"].values and "estimator" not in wanted.chosen:
        return {"partition": asked, "estimator": "path"}
    return {"partition": asked or [str(profiles["partition"].values[0])]}


def _differences(wanted: _Wanted) -> Figures:
    for diff in wanted.datasets["differences"]:
        # over selected partitions the summaries would be those of all: such are drawn one by one
        single = wanted.chosen.get("partition")
        for part, heading in [(diff, "")] if single is None else list(_by_family(diff)):
            some = None if single is None else part["partition"].values.tolist()
            for quantity in ("entropy_rate", "entropy"):
                axis = wanted.axis if wanted.axis or quantity == "entropy_rate" else "log_snr"
                yield differences(part, quantity, axis, partition=some, title=heading or None)


def _qualities(wanted: _Wanted) -> Figures:
    yield from (quality(table) for table in wanted.datasets["quality"])


_MAKERS: dict[str, Callable[[_Wanted], Figures]] = {
    "entropy": _entropies,
    "rate": _rates,
    "rescaled": _rescaled,
    "windows": _windows,
    "pair_matrix": _matrices,
    "scaling": _scalings,
    "predictions": _strips,
    "differences": _differences,
    "quality": _qualities,
}


def _document(
    heading: str, drawn: list[tuple[str, str, Any]], models: list[LayoutDOM], asked: dict[str, _Wanted],
    listed: list[xr.Dataset], plain: bool,
) -> str:  # fmt: skip
    script, blocks = components(models)
    body = [f"<h1>{html.escape(heading)}</h1>"]
    if not plain:
        body.append(texts.HOW_TO_READ)
    for head, wanted in asked.items():
        body += [f"<h2>{html.escape(head)}</h2>"] if head else []
        explained: set[str] = set()
        for (section, name, _), block in zip(drawn, blocks, strict=True):
            if section == head:
                words = (
                    ""
                    if plain or name in explained
                    else f"<figcaption>{html.escape(texts.CAPTIONS[name])}</figcaption>"
                )
                explained.add(name)
                body.append(f'<figure class="{name}">{words}{block}</figure>')
        if not plain:
            body += [half_places(spec) for spec in wanted.datasets["speciation"]]
    if not plain:
        body.append(provenance(listed))
    return texts.PAGE.format(
        title=html.escape(heading),
        # only the text of Bokeh itself: rendered resources may also point at files that Panel would serve
        scripts="".join(f"<script>{text}</script>" for text in Resources(mode="inline", components=["bokeh"]).js_raw),
        body="\n".join(body),
        script=script,
    )


def _model(figure: Any, *, still: bool) -> LayoutDOM:
    """The Bokeh model of a figure, its size given by its frame; a picture that stands still has no tools."""
    model: LayoutDOM = hv.renderer("bokeh").get_plot(figure).state
    for part in model.select({"type": Plot}):
        part.update(sizing_mode=None)
    if still:
        for part in (*model.select({"type": Plot}), *model.select({"type": GridPlot})):
            part.update(toolbar_location=None)
    for bar in model.select({"type": Toolbar}):
        bar.update(logo=None)
    return model
