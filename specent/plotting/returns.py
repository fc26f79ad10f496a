r"""How often trajectories that turn come back to their side, against the noise level at which they turn.

What was counted is an estimate of :math:`\phi = E\sum_z P(z|x_t)^2` (arXiv 2402.16991) whatever the posterior says, and
stands beside what the posterior predicts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import holoviews as hv
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from specent import arguments
from specent.analysis.behaviour import posterior_disagreements
from specent.errors import SpecentError
from specent.plotting import colouring, labels, noise_axis, style
from specent.plotting.raster import wrapped
from specent.plotting.select import Names, Series, select
from specent.plotting.turns import (
    EXACT,
    MOVER_NAMES,
    POSTERIOR,
    counted,
    is_exact,
    measured_and_exact,
    predictions_of_posterior,
    quantity_of,
    shares_of_turns,
    table_of_shares,
)
from specent.plotting.views import in_order, stretch

Array = NDArray[np.float64]

MOST_PANELS = 9
_PREDICTED_DASH, _GUESS_DASH = (2, 3), "dotdash"
_QUESTIONS = {
    "phi": "How often does a trajectory return to its side?",
    "basin": "How often is the basin of a state the side of its origin?",
}
_HEIGHTS = {"phi": "share that returns, φ", "basin": "share in the basin of its side"}
_STARTS = {"data": "data with noise", "trunk": "trajectories of the model"}
_TIP = "@{{{}}}{{0.0000}} [@lower{{0.0000}}, @upper{{0.0000}}]"
# pixels between what stands at one noise level; with their names between them at the only one
_APART, _ALONE = 7.0, 130.0


def returns(
    turns: xr.Dataset | Sequence[xr.Dataset],
    axis: str = "sigma",
    *,
    mover: Names = None,
    run: Names = None,
    title: str | None = None,
    view: tuple[float, float] | None = None,
    data: bool = False,
) -> Any:
    r"""Share of the continuations that end on the side of their origin, beside what the posterior predicts.

    Parameters
    ----------
    turns : Dataset or sequence of Dataset
        Of kind ``interventions``: a measured one (several side by side come from `specent.compare`), an exact one, or
        both.
    axis : {"sigma", "log_snr", "log_sigma", "time"}
        Horizontal axis, on which generation runs to the right.
    mover, run : str or sequence, optional
        Names of what is drawn; all by default. Movers are told apart by colour, and runs have a panel each; of a single
        mover the runs are told apart by colour.
    title : str, optional
        Title of the figure.
    view : tuple of float, optional
        Smallest and largest position in view; the levels of the turns by default.
    data : bool
        Return the numbers behind the figure instead of the figure.

    Returns
    -------
    holoviews.Overlay, or holoviews.Layout of panels, or pandas.DataFrame
        Dots with their intervals, side by side at each noise level; what the posterior at the turn predicts as hollow
        diamonds on a dotted line; what is exact thin and dashed; and a line at :math:`\sum_z\pi_z^2`, how often a guess
        is right. Of the deterministic continuation it is the basin. The title names movers that are further than four
        standard errors from the prediction of the posterior. As data a row for each: ``mover``, which is "posterior"
        for what is predicted, the position, and the share with ``lower`` and ``upper``.

    Raises
    ------
    SpecentError
        If a dataset is of another kind, a name is unknown, or two datasets do not belong together.

    References
    ----------
    arXiv 2402.16991, 2402.18491.

    Examples
    --------
    >>> import specent as sp
    >>> mix = sp.exact.GaussianMixture([[-8.0], [8.0]], labels=["left", "right"])
    >>> turned = sp.exact.u_turns(mix, sp.schedules.VE(), [4.0, 8.0])
    >>> returns(turned, data=True).round(4).values.tolist()
    [['exact', 4.0, 0.9606, 0.9606, 0.9606], ['exact', 8.0, 0.7727, 0.7727, 0.7727]]
    """
    style.heading(title)
    arguments.flag(data, "data")
    measured, exact = measured_and_exact(turns)
    whole = exact if measured is None else measured
    assert whole is not None
    name = quantity_of(whole)
    chosen = select(whole, mover=mover, run=run).compute()
    curves = shares_of_turns(chosen, name, axis)
    if name == "phi":
        curves += predictions_of_posterior(chosen, axis)
        curves += [] if measured is None or exact is None else shares_of_turns(exact, quantity_of(exact), axis)
    if data:
        return table_of_shares(curves, axis, name)
    panels = _panels(curves)
    drawn = _Frame.of(chosen, curves, axis, name, view, len(panels))
    figures = [drawn.panel(some) for some in panels.values()]
    heading = "\n".join([title or _QUESTIONS[name], *_notes(chosen, name)])
    if len(figures) == 1:
        return figures[0].opts(title=wrapped(heading.split("\n"), style.FRAME_WIDTH))
    return style.side_by_side(figures, list(panels), heading)


def _panels(curves: Sequence[Series]) -> dict[str, list[Series]]:
    """The curves run by run where there are several movers, otherwise together."""
    movers = {one.names["mover"] for one in counted(curves)}
    runs = list(dict.fromkeys(one.names["run"] for one in curves if "run" in one.names))
    if len(runs) < 2 or len(movers) < 2:
        return {"": list(curves)}
    if len(runs) > MOST_PANELS:
        raise SpecentError(f"{len(runs)} panels are too many; select fewer with run=, or a single mover")
    return {run: [one for one in curves if one.names.get("run", run) == run] for run in runs}


def _notes(turns: xr.Dataset, name: str) -> list[str]:
    """What turns, and whose behaviour is not what the posterior predicts."""
    start = _STARTS.get(str(turns.attrs["start"]), str(turns.attrs["start"]))
    notes = [f"{start}, {turns.sizes['side']} sides" if "side" in turns.dims else start]
    odd = []
    for mover in turns["mover"].values.tolist() if name == "phi" and not is_exact(turns) else ():
        one = turns.sel(mover=[mover])
        runs = [one.isel(run=i) for i in range(one.sizes["run"])] if "run" in one.dims else [one]
        if any(posterior_disagreements(part) for part in runs):
            odd.append(MOVER_NAMES.get(mover, mover))
    if odd:
        notes.append(f"More than four standard errors from what the posterior predicts: {', '.join(odd)}")
    return notes


@dataclass(frozen=True)
class _Frame:
    """What the panels share: dimensions, limits in numbers and pixels, what colour stands for, and how a guess does."""

    x: Any
    height: Any
    ends: tuple[float, float]
    ylim: tuple[float, float]
    size: tuple[int, int]
    log: bool
    options: dict[str, Any]
    hues: dict[str, str]
    by: str
    guess: float | None

    @classmethod
    def of(
        cls, turns: xr.Dataset, curves: Sequence[Series], axis: str, name: str, view: tuple[float, float] | None,
        panels: int,
    ) -> _Frame:  # fmt: skip
        log = style.logarithmic(turns, axis)
        ends = in_order(view, log) if view is not None else _ends(curves, log)
        guess = float(np.sum(turns["side_prior"].values ** 2)) if "side_prior" in turns.coords else np.nan
        movers = list(dict.fromkeys(one.names["mover"] for one in counted(curves)))
        runs = list(dict.fromkeys(one.names["run"] for one in curves if "run" in one.names))
        by = "run" if len(movers) < 2 and runs else "mover"
        # a mover has the same colour in every figure
        hues = colouring.hues(runs if by == "run" else [*dict.fromkeys([*MOVER_NAMES, *movers])])
        return cls(
            style.axis_dimension(axis), hv.Dimension(name, label=_HEIGHTS[name]), ends, _limits(curves, guess),
            style.frame_size(panels), log, noise_axis.view(turns, axis, ends, positions=("level",)), hues, by,
            guess if np.isfinite(guess) else None,
        )  # fmt: skip

    def panel(self, curves: Sequence[Series]) -> Any:
        """One panel: the line of a guess, what is exact, what is predicted, and what was counted."""
        dots = counted(curves)
        others = [one for one in curves if not any(one is other for other in dots)]
        elements: list[Any] = []
        if self.guess is not None:
            line = hv.HLine(self.guess)
            elements.append(line.opts(color=style.NEUTRAL, line_width=1.0, line_dash=_GUESS_DASH))
        for one in others:
            elements += self._predicted(one) if one.names["mover"] == POSTERIOR else [self._exact(one, alone=not dots)]
        apart = _ALONE if dots and dots[0].x.size == 1 else _APART
        shifts = [apart * (number - 0.5 * (len(dots) - 1)) for number in range(len(dots))]
        for one, shift in zip(dots, shifts, strict=True):
            elements += self._dots(one, shift)
        hooks = [*self.options["hooks"], self._names(dots, others, shifts), self._legend(curves)]
        return hv.Overlay(elements).opts(
            **style.frame(height=self.size[1]) | {"frame_width": self.size[0]} | self.options | {"hooks": hooks},
            xlabel=self.x.label, ylabel=self.height.label, ylim=self.ylim, show_legend=False,
        )  # fmt: skip

    def _colour(self, one: Series) -> str:
        return self.hues.get(one.names.get(self.by, ""), style.NEUTRAL)

    def _line(self, one: Series, text: str, line: style.Stroke) -> Any:
        shown = [self.height, hv.Dimension("lower"), hv.Dimension("upper"), hv.Dimension("curve")]
        columns = (one.x, one.y, one.lower, one.upper, np.full(one.x.shape, text))
        tips = [("", "@curve"), (self.x.name, f"@{{{self.x.name}}}"), (self.height.name, _TIP.format(self.height.name))]
        return hv.Curve(columns, self.x, shown, label=text).opts(
            color=line.colour, line_dash=line.dash, line_width=line.width, tools=["hover"], hover_tooltips=tips
        )

    def _exact(self, one: Series, *, alone: bool) -> Any:
        line = style.Stroke(style.EXACT) if alone else style.Stroke(style.EXACT, style.EXACT_DASH, 1.2)
        return self._line(one, "exact", line)

    def _predicted(self, one: Series) -> list[Any]:
        """The prediction of the posterior: a dotted line with diamonds, and the band of its interval."""
        colour = self._colour(one)
        elements: list[Any] = []
        if one.bounded:
            band = hv.Area((one.x, one.lower, one.upper), self.x, [self.height, hv.Dimension("upper")])
            elements.append(band.opts(color=colour, fill_alpha=0.2, line_alpha=0.0))
        elements.append(self._line(one, "the posterior predicts", style.Stroke(colour, list(_PREDICTED_DASH), 1.6)))
        marks = hv.Scatter((one.x, one.y), self.x, self.height)
        return [*elements, marks.opts(color="white", line_color=colour, marker="diamond", size=11, line_width=1.5)]

    def _dots(self, one: Series, shift: float) -> list[Any]:
        """Dots with their intervals, so many pixels beside their noise level."""
        text = ", ".join(_named(name) for dim, name in one.names.items() if dim != "estimator")
        x, colour = self._shifted(one.x, shift), self._colour(one)
        whiskers = hv.Segments(
            (x, one.lower, x, one.upper), [self.x, self.height, hv.Dimension("to"), hv.Dimension("upper")]
        )
        columns = (x, one.y, one.lower, one.upper, np.full(x.shape, text), one.x)
        shown = [self.height, *(hv.Dimension(name) for name in ("lower", "upper", "who", "level"))]
        tips = [("", "@who"), (self.x.name, "@level"), (self.height.name, _TIP.format(self.height.name))]
        dots = hv.Scatter(columns, self.x, shown, label=text)
        # between dots, and none through a single one
        between = [hv.Curve((x, one.y), self.x, self.height)] if x.size > 1 else []
        return [
            *(line.opts(color=colour, line_width=1.2, alpha=0.7) for line in between),
            whiskers.opts(color=colour, line_width=2.2),
            dots.opts(color=colour, size=8, line_color="white", tools=["hover"], hover_tooltips=tips),
        ]

    def _shifted(self, x: Array, pixels: float) -> Array:
        """Positions so many pixels to the right of others, less where the levels stand close."""
        u, ends = (np.log(x), np.log(self.ends)) if self.log else (x, np.asarray(self.ends))
        gaps = np.diff(np.sort(u))
        room = 0.2 * float(gaps.min()) / _APART if gaps.size else np.inf
        rightward = 1.0 if self.x.name == "log_snr" else -1.0
        moved = u + rightward * pixels * min((ends[1] - ends[0]) / self.size[0], room)
        return np.asarray(np.exp(moved) if self.log else moved)

    def _names(self, dots: Sequence[Series], others: Sequence[Series], shifts: Sequence[float]) -> labels.DirectLabels:
        """What the colours stand for, beside the dots; under those of a single noise level, which are no curves."""
        texts, colours = [_named(one.names[self.by]) for one in dots], [self._colour(one) for one in dots]
        if len(dots) < 2:
            return labels.DirectLabels((), (), (), ())
        if dots[0].x.size == 1:
            x = tuple(float(self._shifted(one.x, shift)[0]) for one, shift in zip(dots, shifts, strict=True))
            down = 0.04 * (self.ylim[1] - self.ylim[0])
            y = tuple(max(float(np.fmin(one.lower, one.y)[0]) - down, self.ylim[0] + down) for one in dots)
            return labels.DirectLabels(x, y, tuple(texts), tuple(colours))
        return labels.direct_labels(
            [(one.x, one.y) for one in dots], texts, colours, (self.ends, self.ylim, self.size), log=self.log,
            obstacles=[(one.x, one.y) for one in others],
        )  # fmt: skip

    def _legend(self, curves: Sequence[Series]) -> labels.StyleLegend:
        """What the lines stand for."""
        movers, counting = ({one.names["mover"] for one in some} for some in (curves, counted(curves)))
        entries: list[tuple[str, str | tuple[int, ...], float]] = []
        if counting:
            who = f", moved by: {_named(next(iter(counting)))}" if len(counting) == 1 else ""
            entries.append((f"counted{who}", "solid", 2.2))
        if POSTERIOR in movers:
            entries.append(("the posterior predicts", _PREDICTED_DASH, 1.6))
        if EXACT in movers:
            entries.append(("exact", "dashed", 1.2) if counting else ("exact", "solid", 2.2))
        if self.guess is not None:
            entries.append(("a guess", _GUESS_DASH, 1.0))
        return labels.StyleLegend(tuple(entries))


def _named(name: str) -> str:
    return MOVER_NAMES.get(name, name)


def _limits(curves: Sequence[Series], guess: float) -> tuple[float, float]:
    """Limits of the shares, from that of a guess to 1, or what lies beyond with its interval."""
    values = np.concatenate([[guess, 1.0], *(part for one in curves for part in (one.y, one.lower, one.upper))])
    low, high = float(values[np.isfinite(values)].min()), float(values[np.isfinite(values)].max())
    margin = 0.05 * max(high - low, 0.1)
    return low - margin, high + margin


def _ends(curves: Sequence[Series], log: bool) -> tuple[float, float]:
    """The levels of the turns with room at either end; of exact curves alone the stretch on which they change."""
    dots = counted(curves)
    if not dots:
        return stretch(curves, log)
    levels = np.concatenate([one.x for one in dots])
    low, high = (np.log if log else np.asarray)(np.array([levels.min(), levels.max()]))
    room = 0.08 * (high - low) if high > low else 0.5
    first, last = (np.exp if log else np.asarray)(np.array([low - room, high + room]))
    return float(first), float(last)
