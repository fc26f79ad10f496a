"""One self-contained page of figures for the datasets of a study: nothing is loaded from the network."""

from __future__ import annotations

import html
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import holoviews as hv
import numpy as np
import xarray as xr
from bokeh.embed import components
from bokeh.models import LayoutDOM, Plot, Toolbar
from bokeh.resources import Resources

from specent.errors import SpecentError
from specent.plotting import style, texts
from specent.plotting.curves import entropy, rate, rescaled
from specent.plotting.fits import scaling
from specent.plotting.pictures import check_output, put
from specent.plotting.select import Names, definitions, families, select
from specent.plotting.strips import predictions
from specent.plotting.summaries import pair_matrix, windows
from specent.plotting.tables import half_places, provenance
from specent.schema import KINDS, need

FIGURES = ("entropy", "rate", "rescaled", "windows", "pair_matrix", "scaling", "predictions")
"""Names of the figures a page can hold, in the order in which they stand."""

EASY = 12
"""More curves than this in one figure are thinned out, unless they were asked for."""


@dataclass(frozen=True)
class _Wanted:
    """What is drawn of the datasets."""

    axis: str | None = None
    partition: Names = None
    estimator: Names = None
    guidance: Names = None
    datasets: dict[str, list[xr.Dataset]] = field(default_factory=dict)

    def of(self, dataset: xr.Dataset) -> dict[str, Names]:
        """The selection as far as it is made and concerns the dimensions of `dataset`."""
        made = {"partition": self.partition, "estimator": self.estimator, "guidance": self.guidance}
        return {dim: names for dim, names in made.items() if names is not None and dim in dataset.dims}


Figures = Iterator[Any]


def page(
    datasets: xr.Dataset | Sequence[xr.Dataset],
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
    datasets : Dataset or sequence of Dataset
        Of any kind. Profiles are drawn by themselves; a scaling is drawn over the speciation given before it, and the
        predictions of trajectories under the profiles given with them.
    path : str or Path
        File to write, ending in ``.html``; about 1.3 MB and the data of the curves.
    title : str, optional
        Heading; the title of the first dataset by default.
    axis : {"log_snr", "sigma", "log_sigma", "time"}, optional
        Horizontal axis of the curves; "sigma" for windows and "log_snr" for curves by default.
    figures : sequence of str, optional
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
    path = check_output(path, suffixes=(".html",), overwrite=overwrite)
    listed = [datasets] if isinstance(datasets, xr.Dataset) else list(datasets)
    if not listed:
        raise SpecentError("datasets is empty; give at least one dataset")
    for one in listed:
        # any kind will do; an object without one is told what it should be
        kind = one.attrs.get("specent_kind") if isinstance(one, xr.Dataset) else None
        need(one, kind if isinstance(kind, str) and kind in KINDS else "profiles", "datasets")
    names = FIGURES if figures is None else tuple(figures)
    unknown = [name for name in names if name not in FIGURES]
    if unknown or not names:
        raise SpecentError(f"figures={list(names)!r}: choose from {', '.join(FIGURES)}")
    kinds = {kind: [one for one in listed if one.attrs["specent_kind"] == kind] for kind in KINDS}
    wanted = _Wanted(axis, partition, estimator, guidance, kinds)
    drawn = [(name, figure) for name in names for figure in _MAKERS[name](wanted)]
    if not drawn:
        kept = ", ".join(sorted({str(one.attrs["specent_kind"]) for one in listed}))
        raise SpecentError(f"nothing to draw: datasets of kind {kept} have none of the figures {', '.join(names)}")
    plain = plain and figures is not None
    heading = title or str(listed[0].attrs["title"])
    return put(_document(heading, drawn, wanted, listed, plain).encode(), path)


def _entropies(wanted: _Wanted) -> Figures:
    for part, heading in _portions(wanted, "entropy", "path"):
        yield entropy(part, wanted.axis or "log_snr", title=heading)


def _rates(wanted: _Wanted) -> Figures:
    for part, heading in _portions(wanted, "entropy_rate", "denoiser_gap"):
        yield rate(part, wanted.axis, title=heading)


def _portions(wanted: _Wanted, name: str, best: str) -> Iterator[tuple[xr.Dataset, str]]:
    """Profiles family by family, since full sets, single classes and pairs have different scales."""
    for prof in wanted.datasets["profiles"]:
        chosen = select(prof, **wanted.of(prof))
        for part, heading in _by_family(chosen):
            if _finite(part, name):
                kept, note = _tamed(part, name, best, wanted)
                for one, setting in _by_guidance(kept, name):
                    yield one, ", ".join(word for word in (heading, note, setting) if word)


def _by_family(dataset: xr.Dataset) -> Iterator[tuple[xr.Dataset, str]]:
    family = families(dataset)
    for one in dict.fromkeys(family):
        members = [i for i, other in enumerate(family) if other == one]
        yield dataset.isel(partition=members), one.capitalize() if len(set(family)) > 1 else ""


def _tamed(dataset: xr.Dataset, name: str, best: str, wanted: _Wanted) -> tuple[xr.Dataset, str]:
    """Only the best estimator and the exact one, where all would make too many curves and none was chosen."""
    names = [str(value) for value in dataset["estimator"].values]
    kept = [one for one in names if one in ("exact", best)]
    if wanted.estimator is not None or not kept or _count(dataset, name) <= EASY:
        return dataset, ""
    return dataset.sel(estimator=kept), f"estimators: {', '.join(kept)}"


def _by_guidance(dataset: xr.Dataset, name: str) -> Iterator[tuple[xr.Dataset, str]]:
    """Setting by setting, where all of them would make too many curves; medians stay together to be compared."""
    if not EASY < _count(dataset, name) <= style.MOST_CURVES:
        yield dataset, ""
        return
    parts = [dataset.isel(guidance=[i]) for i in range(dataset.sizes["guidance"])]
    yield from ((part, str(part["guidance"].values[0])) for part in parts if _finite(part, name))


def _count(dataset: xr.Dataset, name: str) -> int:
    """Number of curves with a finite value."""
    finite = xr.apply_ufunc(np.isfinite, dataset[name], dask="allowed")
    return int((finite.any("time") if "time" in finite.dims else finite).sum())


def _finite(dataset: xr.Dataset, name: str) -> bool:
    return bool(np.isfinite(dataset[name]).any())


def _rescaled(wanted: _Wanted) -> Figures:
    for prof in wanted.datasets["profiles"]:
        if "dimension" not in prof.dims or style.schedule_name(prof) not in ("vp", "ve"):
            continue
        chosen = select(prof, **wanted.of(prof))
        for index in range(chosen.sizes["partition"]):
            part = chosen.isel(partition=[index], guidance=[0], estimator=[0])
            if _finite(part, "entropy"):
                yield rescaled(part)


def _windows(wanted: _Wanted) -> Figures:
    for spec in wanted.datasets["speciation"]:
        for part, heading in _by_family(select(spec, **wanted.of(spec))):
            # many pairs are read off their matrix
            if not _finite(part, "half_time") or (wanted.partition is None and len(_pairs(part)) > EASY):
                continue
            kept, note = _tamed(part, "half_time", "path", wanted)
            title = ", ".join(word for word in (heading, note) if word) or None
            yield windows(kept, _reachable(part, wanted.axis), title=title)


def _matrices(wanted: _Wanted) -> Figures:
    for spec in wanted.datasets["speciation"]:
        chosen = select(spec, **wanted.of(spec))
        # fewer than three labels make no matrix
        if len(_pairs(chosen)) < 3 or "dimension" in spec.dims:
            continue
        part = chosen.isel(partition=_pairs(chosen))
        for setting in range(part.sizes["guidance"]):
            one = part.isel(guidance=[setting])
            if _finite(one, "half_time"):
                yield pair_matrix(one, _reachable(one, wanted.axis))


def _pairs(dataset: xr.Dataset) -> list[int]:
    return [i for i, p in enumerate(definitions(dataset)) if p is not None and [len(s) for _, s in p.sides] == [1, 1]]


def _reachable(spec: xr.Dataset, axis: str | None) -> str | None:
    """The axis that was asked for where places can be moved to it, otherwise the natural one."""
    origin = str(spec.attrs["time_axis"])
    return axis if axis == origin or "time" not in (axis, origin) else None


def _scalings(wanted: _Wanted) -> Figures:
    specs = [spec for spec in wanted.datasets["speciation"] if "dimension" in spec.dims]
    for fit in wanted.datasets["scaling"]:
        fitting = [spec for spec in specs if (spec.attrs["time_axis"] == "time") == (fit.attrs["law"] == "log")]
        for spec in fitting:
            yield scaling(spec, fit, **wanted.of(fit))


def _strips(wanted: _Wanted) -> Figures:
    profiles = wanted.datasets["profiles"]
    for runs in wanted.datasets["trajectories"]:
        if "prediction" not in runs or not {"channel", "y", "x"} <= set(runs["prediction"].dims):
            continue
        chosen: dict[str, Any] = {} if wanted.guidance is None else {"guidance": wanted.guidance}
        for setting in select(runs[["guidance"]], **chosen)["guidance"].values:
            prof = next((one for one in profiles if setting in one["guidance"].values), None)
            above: dict[str, Any] = {} if prof is None else dict(wanted.of(prof))
            if prof is not None and wanted.partition is None:
                above["partition"] = str(prof["partition"].values[0])
            yield predictions(runs, prof, wanted.axis or "log_snr", **above | {"guidance": str(setting)})


_MAKERS: dict[str, Callable[[_Wanted], Figures]] = {
    "entropy": _entropies,
    "rate": _rates,
    "rescaled": _rescaled,
    "windows": _windows,
    "pair_matrix": _matrices,
    "scaling": _scalings,
    "predictions": _strips,
}


def _document(
    heading: str, drawn: list[tuple[str, Any]], wanted: _Wanted, listed: list[xr.Dataset], plain: bool
) -> str:
    script, blocks = components([_model(figure) for _, figure in drawn])
    body = [f"<h1>{html.escape(heading)}</h1>"]
    if not plain:
        body.append(texts.HOW_TO_READ)
    explained: set[str] = set()
    for (name, _), block in zip(drawn, blocks, strict=True):
        words = "" if plain or name in explained else f"<figcaption>{html.escape(texts.CAPTIONS[name])}</figcaption>"
        explained.add(name)
        body.append(f'<figure class="{name}">{words}{block}</figure>')
    if not plain:
        body += [half_places(select(spec, **wanted.of(spec))) for spec in wanted.datasets["speciation"]]
        body.append(provenance(listed))
    return texts.PAGE.format(
        title=html.escape(heading),
        # only the text of Bokeh itself: rendered resources may also point at files that Panel would serve
        scripts="".join(f"<script>{text}</script>" for text in Resources(mode="inline", components=["bokeh"]).js_raw),
        body="\n".join(body),
        script=script,
    )


def _model(figure: Any) -> LayoutDOM:
    """The Bokeh model of a figure, its size given by its frame."""
    model: LayoutDOM = hv.renderer("bokeh").get_plot(figure).state
    for part in model.select({"type": Plot}):
        part.update(sizing_mode=None)
    for bar in model.select({"type": Toolbar}):
        bar.update(logo=None)
    return model
