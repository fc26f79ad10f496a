"""How far estimators of the same curve lie apart, partition by partition."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import holoviews as hv
import numpy as np
import xarray as xr

from specent import analysis, arguments
from specent.errors import SpecentError
from specent.plotting import noise_axis, style
from specent.plotting.comparison import ESTIMATOR_NAMES, Comparison, table
from specent.plotting.curves import curve
from specent.plotting.notes import disagreements
from specent.plotting.select import Names, Series, select, series
from specent.plotting.views import heights, stretch
from specent.schema import need

QUANTITIES = ("entropy", "entropy_rate")
MOST = 6
"""Panels that are drawn at most where no partitions are named: those in which estimators lie furthest apart."""


def disagreement(
    prof: xr.Dataset | Sequence[xr.Dataset],
    quantity: str = "entropy",
    axis: str | None = None,
    *,
    reference: str | None = None,
    partition: Names = None,
    guidance: Names = None,
    title: str | None = None,
    data: bool = False,
) -> Any:
    """Every estimator less one of them, against a noise axis, with the interval of the difference.

    Parameters
    ----------
    prof : Dataset or sequence of Dataset
        Of kind ``profiles``: several estimators, or a measured dataset and an exact one.
    quantity : {"entropy", "entropy_rate"}
        What is compared.
    axis : {"log_snr", "sigma", "log_sigma", "time"}, optional
        Horizontal axis, on which generation runs to the right; for a rate the axis it is taken along by default.
    reference : str, optional
        The estimator that is subtracted: by default the exact one, otherwise the path posterior.
    partition, guidance : str or sequence, optional
        Names of what is drawn; by default the six panels in which estimators lie furthest apart, unguided settings only
        if there are any: under guidance some estimators estimate different things.
    title : str, optional
        Title of the figure.
    data : bool
        Return the numbers behind the figure instead of the figure.

    Returns
    -------
    holoviews.Overlay, or holoviews.Layout of panels, or pandas.DataFrame
        A panel per partition and guidance setting: differences with the intervals that the dataset allows, a line at
        zero, and an arrow of the size that `specent.entropy` recorded where it found that estimators part.

    Raises
    ------
    SpecentError
        If the datasets are of another kind, have one estimator only, or a name is unknown.

    Examples
    --------
    >>> import specent as sp
    >>> table = disagreement(sp.entropy(sp.archive.example(), "cat | dog"), data=True)
    >>> table.estimator.unique().tolist()
    ['cross_entropy', 'denoiser_gap']
    """
    quantity = arguments.choice(quantity, "quantity", QUANTITIES)
    style.heading(title)
    arguments.flag(data, "data")
    measured, diff = _differences(prof, reference)
    axis = style.axis_or(axis, "log_snr" if quantity == "entropy" else str(diff.attrs["rate_axis"]))
    diff = _selected(diff, partition, guidance)
    curves = series(diff, f"{quantity}_difference", axis)
    panels, count = _panels(curves, everything=partition is not None)
    curves = [one for panel in panels for one in panel]
    if data:
        return table(curves, axis, f"{quantity}_difference")
    whole = _Frame.of(diff, curves, quantity, axis, len(panels))
    entries = disagreements([measured]) if quantity == "entropy" else []
    figures = [whole.drawn(panel, diff, entries) for panel in panels]
    words = (
        "How far do estimators lie apart?" if quantity == "entropy" else "How far do estimators of the rate lie apart?"
    )
    lines = [title or words, *_notes(curves, len(panels), count)]
    heading = "\n".join(lines)
    if len(figures) == 1:
        return figures[0].opts(title=style.TitleText(f"{heading}\n{_name(panels[0][0], diff)}"))
    return style.side_by_side(figures, [_name(panel[0], diff) for panel in panels], heading)


def _differences(prof: Any, reference: str | None) -> tuple[xr.Dataset, xr.Dataset]:
    """The measured profiles and the differences of their estimators from the reference."""
    given = list(prof) if isinstance(prof, Sequence) and not isinstance(prof, str) else [prof]
    datasets = [need(one, "profiles", "prof", QUANTITIES) for one in given]
    if len(datasets) == 1:
        return datasets[0], analysis.estimator_differences(datasets[0], reference)
    exact = [one for one in datasets if isinstance(one, xr.Dataset) and _is_exact(one)]
    measured = [one for one in datasets if not any(one is other for other in exact)]
    if len(datasets) != 2 or len(exact) != 1 or reference not in (None, "exact"):
        raise SpecentError("prof must be one dataset of several estimators, or a measured and an exact one")
    return measured[0], analysis.estimator_differences(measured[0], exact[0])


def _is_exact(prof: xr.Dataset) -> bool:
    return "estimator" in prof.coords and set(prof["estimator"].values.tolist()) == {"exact"}


def _selected(diff: xr.Dataset, partition: Names, guidance: Names) -> xr.Dataset:
    if guidance is None and "guidance_scale" in diff.coords:
        plain = np.flatnonzero(diff["guidance_scale"].values == 1.0)
        diff = diff.isel(guidance=plain) if len(plain) else diff
    return select(diff, partition=partition, guidance=guidance)


def _panels(curves: Sequence[Series], *, everything: bool) -> tuple[list[list[Series]], int]:
    """The curves panel by panel, the largest differences first unless partitions were named, and how many there are."""
    groups: dict[tuple[str, ...], list[Series]] = {}
    for one in curves:
        key = tuple(one.names.get(dim, "") for dim in ("run", "dimension", "guidance", "partition"))
        groups.setdefault(key, []).append(one)
    panels = list(groups.values())
    if everything:
        if len(panels) > 2 * MOST:
            raise SpecentError(f"{len(panels)} panels are too many; select fewer with partition= or guidance=")
        return panels, len(panels)
    return sorted(panels, key=lambda panel: -max(_largest(one) for one in panel))[:MOST], len(panels)


def _largest(one: Series) -> float:
    return float(np.nanmax(np.abs(one.y)))


def _name(one: Series, diff: xr.Dataset) -> str:
    several = [dim for dim in ("run", "dimension", "guidance") if dim in diff.dims and diff.sizes[dim] > 1]
    return ", ".join([one.names["partition"], *(one.names[dim] for dim in several)])


def _notes(curves: Sequence[Series], drawn: int, count: int) -> list[str]:
    notes = []
    if drawn < count:
        notes.append(f"the {drawn} of {count} partitions and settings in which they lie furthest apart")
    if not any(one.bounded for one in curves):
        notes.append("no intervals: the dataset holds no replicates")
    return notes


@dataclass(frozen=True)
class _Frame:
    """What the panels share."""

    x: Any
    height: Any
    axis: str
    ylim: tuple[float, float]
    size: tuple[int, int]
    options: dict[str, Any]
    reference: str

    @classmethod
    def of(cls, diff: xr.Dataset, curves: Sequence[Series], quantity: str, axis: str, panels: int) -> _Frame:
        log = style.logarithmic(diff, axis)
        reference = ESTIMATOR_NAMES.get(str(diff.attrs["reference"]), str(diff.attrs["reference"]))
        unit = "bit" if quantity == "entropy" else f"bit per unit of {style.AXIS_NAMES[str(diff.attrs['rate_axis'])]}"
        text = "H[Z | Xₜ]" if quantity == "entropy" else "entropy rate"
        height = hv.Dimension(f"{quantity}_difference", label=f"{text} less {reference}", unit=unit)
        size = style.frame_size(panels)
        options = noise_axis.view(diff, axis, stretch(curves, log))
        ylim = heights(curves, from_zero=False)
        return cls(style.axis_dimension(axis), height, axis, ylim, size, options, reference)

    def drawn(self, panel: Sequence[Series], diff: xr.Dataset, entries: list[dict[str, Any]]) -> Any:
        """One panel: bands, the line at zero, curves, and what was recorded."""
        comparison = replace(Comparison.of(panel), measured=False)
        elements: list[Any] = [hv.HLine(0.0).opts(color=style.NEUTRAL, line_width=1.2)]
        for one in panel:
            line, text = comparison.stroke(one), ESTIMATOR_NAMES.get(one.names["estimator"], one.names["estimator"])
            if one.bounded:
                band = hv.Area((one.x, one.lower, one.upper), self.x, [self.height, hv.Dimension("upper")], label=text)
                elements.append(band.opts(color=line.colour, fill_alpha=0.2, line_alpha=0.0))
                elements += self._edges(one, line) if len(panel) > 1 else []
            elements.append(curve(one, text, self.x, self.height, line))
        elements += self._marks(panel, diff, entries)
        hooks = [*self.options["hooks"], *comparison.legend(panel)]
        named = {"xlabel": self.x.label, "ylabel": self.height.pprint_label}
        whole = (
            named | style.frame(height=self.size[1]) | {"frame_width": self.size[0]} | self.options | {"hooks": hooks}
        )
        return hv.Overlay(elements).opts(**whole, ylim=self.ylim, show_legend=False)

    def _edges(self, one: Series, line: style.Stroke) -> list[Any]:
        """The ends of an interval in the line style of its estimator: bands of one partition have one colour."""
        edges = [hv.Curve((one.x, end), self.x, self.height) for end in (one.lower, one.upper)]
        return [edge.opts(color=line.colour, line_dash=line.dash, line_width=1.0, alpha=0.7) for edge in edges]

    def _marks(self, panel: Sequence[Series], diff: xr.Dataset, entries: list[dict[str, Any]]) -> list[Any]:
        """From one estimator to the other where they were found to part."""
        ends = [self.x, self.height, hv.Dimension("x1"), hv.Dimension("y1"), hv.Dimension("text")]
        zero = np.zeros(panel[0].x.shape)
        known = {one.names["estimator"]: one.y for one in panel} | {str(diff.attrs["reference"]): zero}
        marks = []
        for entry in entries:
            first, second = entry["estimators"]
            own = all(panel[0].names[dim] == entry[dim] for dim in ("partition", "guidance"))
            if not own or not {first, second} <= known.keys() or not isinstance(entry.get("log_snr"), (int, float)):
                continue
            at = int(np.argmin(np.abs(diff["log_snr"].values - entry["log_snr"])))
            position = panel[0].x[at]
            row = [(position, known[first][at], position, known[second][at], entry["text"])]
            segment = hv.Segments(row, ends[:4], ends[4], label="recorded disagreement")
            segment.opts(color="black", line_width=2.5, tools=["hover"], hover_tooltips=[("recorded", "@text")])
            marks.append(segment)
        return marks
