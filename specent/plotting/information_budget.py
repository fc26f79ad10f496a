r"""The information budget of nested partitions: what every split produces, stacked over the noise.

By the chain rule the entropy rates of all splits, times the prior of what they split, add up to the rate of the finest
partition. Both sides are estimates from different data (see `specent.chain`), so the rate of the finest partition is
drawn over the stack.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import holoviews as hv
import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from specent import arguments
from specent.arguments import brief
from specent.axes import AXES
from specent.errors import SpecentError, visible
from specent.plotting import colouring, labels, noise_axis, style
from specent.plotting.areas import Area, AreaNames
from specent.plotting.comparison import ESTIMATOR_NAMES
from specent.plotting.outside import need_result
from specent.plotting.raster import wrapped
from specent.plotting.select import Names, Series, indices, names_at, select
from specent.plotting.views import in_order, stretch

Array = NDArray[np.float64]

MOST_PANELS = 9
_OPACITY = 0.8
# bits, below which two estimates are the same number but for rounding
_SAME = 1e-6
_DIMS = ("run", "dimension", "guidance", "estimator")
_SUFFIX = {"entropy_rate": "_rate", "entropy": ""}
_QUESTIONS = {
    "entropy_rate": "Which split is decided at which noise?",
    "entropy": "Which split is open at which noise?",
}


def budget(
    chain: xr.Dataset,
    quantity: str = "entropy_rate",
    axis: str | None = None,
    *,
    estimator: Names = None,
    guidance: Names = None,
    run: Names = None,
    title: str | None = None,
    view: tuple[float, float] | None = None,
    data: bool = False,
) -> Any:
    """What the splits of nested partitions contribute, stacked over the noise, an area for each.

    Parameters
    ----------
    chain : Dataset
        The result of `specent.chain`.
    quantity : {"entropy_rate", "entropy"}
        Production of the splits, or what is open of them.
    axis : {"log_snr", "sigma", "log_sigma", "time"}, optional
        Horizontal axis, on which generation runs to the right; by default that along which the rate is taken, over
        which an area is the information of its split.
    estimator, guidance, run : str or sequence, optional
        Names of what is drawn, a panel each; all by default.
    title : str, optional
        Title of the figure.
    view : tuple of float, optional
        Smallest and largest position in view; by default the stretch on which the curves change.
    data : bool
        Return the numbers behind the figure instead of the figure.

    Returns
    -------
    holoviews.Overlay, or holoviews.Layout of panels, or pandas.DataFrame
        Areas from the coarsest split, at the bottom, to the finest ones; of more than ten splits an area for each
        partition. The black line is the finest partition itself, with the interval of its gap from the top of the
        stack, whose largest value the title says. As data a row for each point of each split with its interval, of
        their ``sum``, of the finest ``partition`` and of the ``gap``, the latter less the sum.

    Raises
    ------
    SpecentError
        If it is not the result of `specent.chain`, or a name is unknown.

    Examples
    --------
    >>> import specent as sp
    >>> mix = sp.exact.GaussianMixture([[-8.0], [-4.0], [6.0]], labels=["a", "b", "c"])
    >>> levels = [sp.Partition.groups({"left": ["a", "b"], "right": ["c"]}), sp.Partition.full(["a", "b", "c"])]
    >>> wanted = [*levels, *(one.partition for one in sp.analysis.splits(levels))]
    >>> profiles = sp.exact.profiles(mix, sp.schedules.VE(), [3.0, 6.0], list(dict.fromkeys(wanted)))
    >>> table = budget(sp.chain(profiles, levels), "entropy", "sigma", data=True)
    >>> table["split"].unique().tolist()
    ['left | right', 'left: a | b', 'sum', 'partition', 'gap']
    """
    quantity = arguments.choice(quantity, "quantity", tuple(_SUFFIX))
    style.heading(title)
    arguments.flag(data, "data")
    whole = _checked(chain, _SUFFIX[quantity])
    rate_axis = arguments.choice(str(whole.attrs.get("rate_axis")), "chain: the attribute rate_axis", AXES)
    axis = style.axis_or(axis, rate_axis if quantity == "entropy_rate" else "log_snr")
    part = select(whole, estimator=estimator, guidance=guidance, run=run)
    stacks = [_Stack.of(part, at, quantity, axis) for at in indices(part, [dim for dim in _DIMS if dim in part.dims])]
    stacks = [one for one in stacks if one.finite]
    if not stacks:
        raise SpecentError(f"nothing to draw: the budget of the {quantity} holds no finite numbers in this selection")
    if data:
        return pd.concat([one.table(axis, quantity) for one in stacks], ignore_index=True)
    if len(stacks) > MOST_PANELS:
        raise SpecentError(f"{len(stacks)} panels are too many; select fewer with estimator=, guidance= or run=")
    unit = "bit" if quantity == "entropy" else f"bit per unit of {style.AXIS_NAMES[rate_axis]}"
    drawn = _Frame.of(part, stacks, quantity, unit, axis, view)
    figures = [drawn.panel(one) for one in stacks]
    several = [dim for dim in _DIMS if len({one.names.get(dim) for one in stacks}) > 1]
    titles = [", ".join(ESTIMATOR_NAMES.get(one.names[dim], one.names[dim]) for dim in several) for one in stacks]
    heading = "\n".join([title or _QUESTIONS[quantity], _gap_note(stacks, titles)])
    if len(figures) == 1:
        return figures[0].opts(title=wrapped(heading.split("\n"), style.FRAME_WIDTH))
    return style.side_by_side(figures, titles, heading)


def _checked(chain: Any, suffix: str) -> xr.Dataset:
    names = [f"{name}{suffix}{end}" for name in ("contribution", "budget", "gap") for end in ("", "_lower", "_upper")]
    whole = need_result(chain, "chain", "specent.chain", names, ("split", "split_level", "level", "time"))
    for dim in ("split", "level", "time"):
        if dim not in whole.dims:
            raise SpecentError(f"chain has lost its dimension {dim!r}, over which it is drawn; keep it")
    for name in names:
        lost = {"time", "split" if name.startswith("contribution") else "level"} - {*whole[name].dims}
        if lost:
            raise SpecentError(f"chain: {name!r} has lost its dimension {min(map(str, lost))!r}; keep all of them")
    odd = [dim for dim in whole[names[0]].dims if dim not in (*_DIMS, "split", "time")]
    if odd:
        raise SpecentError(f"chain has the dimension {brief(odd[0])}, which is not drawn; select an entry of it")
    if "log_snr" not in whole.coords or whole["log_snr"].dims != ("time",):
        raise SpecentError("chain has no coordinate 'log_snr' over 'time'; restore it, or make the budget again")
    noise = [whole[name].values for name in ("time", "log_snr")]
    if any(values.dtype.kind not in "fiu" or not np.isfinite(values).all() for values in noise) or not (
        (np.diff(noise[0]) > 0).all() and (np.diff(noise[1]) < 0).all()
    ):
        raise SpecentError("chain: log_snr must descend with time, in finite numbers; sort it, .sortby('time')")
    return whole


@dataclass(frozen=True)
class _Stack:
    """One panel: the contributions from the coarsest to the finest, their sum, the finest partition, and the gap."""

    names: dict[str, str]
    finest: str
    parts: list[Series]
    total: Series
    own: Series
    gap: Series

    @classmethod
    def of(cls, chain: xr.Dataset, at: dict[str, int], quantity: str, axis: str) -> _Stack:
        one, suffix = chain.isel(at), _SUFFIX[quantity]
        x = style.positions(one, axis)
        finest = visible(str(one["level"].values[-1]))

        def series(name: str, values: Sequence[Array]) -> Series:
            nothing = np.zeros(x.shape, dtype=bool)
            return Series({"partition": name}, "", x, values[0], values[1], values[2], nothing)

        def numbers(name: str, dim: str, index: int) -> list[Array]:
            ends = (one[f"{name}{suffix}{end}"] for end in ("", "_lower", "_upper"))
            return [np.asarray(end.isel({dim: index}).values, dtype=np.float64) for end in ends]

        total, gap = numbers("budget", "level", -1), numbers("gap", "level", -1)
        if one.sizes["split"] <= len(style.LONG_PALETTE):
            parts = [
                series(visible(str(name)), numbers("contribution", "split", i))
                for i, name in enumerate(one["split"].values)
            ]
        else:
            # the differences of two sums have no interval of their own
            sums = [numbers("budget", "level", i)[0] for i in range(one.sizes["level"])]
            steps = np.diff([np.zeros(x.shape), *sums], axis=0)
            unknown = np.full(x.shape, np.nan)
            parts = [
                series(visible(str(name)), [step, unknown, unknown])
                for name, step in zip(one["level"].values, steps, strict=True)
            ]
        own = [total[0] + values for values in gap]
        texts = names_at(chain, at)
        return cls(texts, finest, parts, series("sum", total), series("partition", own), series("gap", gap))

    @property
    def finite(self) -> bool:
        """Whether there is a number of every split at every noise level."""
        return all(bool(np.isfinite(one.y).all()) for one in (*self.parts, self.total, self.own))

    def edges(self) -> Array:
        """Lower and upper edges of the areas, shape (split + 1, time)."""
        heights = np.cumsum([one.y for one in self.parts], axis=0)
        return np.concatenate([np.zeros((1, heights.shape[1])), heights])

    def table(self, axis: str, quantity: str) -> pd.DataFrame:
        """A row for each point of each of them."""
        rows = [
            pd.DataFrame(
                {**self.names, "split": one.names["partition"], axis: one.x, quantity: one.y, "lower": one.lower}
                | {"upper": one.upper}
            )
            for one in (*self.parts, self.total, self.own, self.gap)
        ]
        return pd.concat(rows, ignore_index=True)


def _gap_note(stacks: Sequence[_Stack], titles: Sequence[str]) -> str:
    """By how much the two estimates differ where they differ most."""
    largest = [float(np.abs(one.gap.y).max()) for one in stacks]
    worst = int(np.argmax(largest))
    gap = stacks[worst].gap
    at = int(np.argmax(np.abs(gap.y)))
    line = f"black line: {stacks[worst].finest} itself"
    if largest[worst] < _SAME:
        return f"{line}, the same number"
    value = f"{gap.y[at]:+.2g}"
    # bounds have the decimals of the value
    decimals = "2g" if "e" in value else f"{len(value.partition('.')[2])}f"
    bounds = [f"{bound:+.{decimals}}" for bound in (gap.lower[at], gap.upper[at])]
    texts = [text.replace("-", "−") for text in (value, *bounds)]
    interval = f" [{texts[1]}, {texts[2]}]" if gap.bounded else ""
    where = f" ({titles[worst]})" if titles[worst] else ""
    return f"{line}, at most {texts[0]}{interval} from the stack{where}"


@dataclass(frozen=True)
class _Frame:
    """What the panels share."""

    x: Any
    height: Any
    ends: tuple[float, float]
    ylim: tuple[float, float]
    size: tuple[int, int]
    log: bool
    options: dict[str, Any]
    hues: dict[str, str]

    @classmethod
    def of(
        cls, chain: xr.Dataset, stacks: Sequence[_Stack], quantity: str, unit: str, axis: str,
        view: tuple[float, float] | None,
    ) -> _Frame:  # fmt: skip
        log = style.logarithmic(chain, axis)
        curves = [curve for one in stacks for curve in (*one.parts, one.own)]
        ends = in_order(view, log) if view is not None else stretch(curves, log)
        edges = np.concatenate([one.edges().ravel() for one in stacks])
        own = np.concatenate([part for one in stacks for part in (one.own.y, one.own.lower, one.own.upper)])
        values = np.concatenate([edges, own[np.isfinite(own)]])
        low, high = float(values.min()), float(values.max())
        room = 0.06 * ((high - low) or 1.0)
        names = list(dict.fromkeys(part.names["partition"] for one in stacks for part in one.parts))
        label = "entropy rate" if quantity == "entropy_rate" else "conditional entropy"
        return cls(
            style.axis_dimension(axis), hv.Dimension(quantity, label=label, unit=unit), ends,
            # what lies below 0 by chance is seen, but rounding is not
            (low - room if low < -0.01 * high else 0.0, high + room),
            style.frame_size(len(stacks)), log, noise_axis.view(chain, axis, ends), colouring.hues(names),
        )  # fmt: skip

    def panel(self, stack: _Stack) -> Any:
        """The areas, the edges between them with their hover, and the finest partition."""
        edges, elements, areas = stack.edges(), [], []
        upper = hv.Dimension("upper_edge")
        for one, low, high in zip(stack.parts, edges[:-1], edges[1:], strict=True):
            name = one.names["partition"]
            colour = self.hues[name]
            area = hv.Area((one.x, low, high), self.x, [self.height, upper], label=name)
            elements.append(area.opts(color=colour, fill_alpha=_OPACITY, line_alpha=0.0))
            areas.append(Area(name, colour, *(tuple(part.tolist()) for part in (one.x, low, high))))
        for one, high in zip(stack.parts, edges[1:], strict=True):
            elements.append(self._edge(one, high))
        elements += self._whole(stack)
        names = AreaNames(tuple(areas), self.ends, self.ylim, self.size, self.log, _OPACITY)
        legend = labels.StyleLegend(((f"{stack.finest} itself", "solid", 2.0),))
        hooks = [*self.options["hooks"], legend, names]
        return hv.Overlay(elements).opts(
            **style.frame(height=self.size[1]) | {"frame_width": self.size[0]} | self.options | {"hooks": hooks},
            xlabel=self.x.label, ylabel=self.height.pprint_label, ylim=self.ylim, show_legend=False,
        )  # fmt: skip

    def _edge(self, one: Series, high: Array) -> Any:
        """The upper edge of an area, whose hover says how thick the area is."""
        shown = [self.height, *(hv.Dimension(name) for name in ("split", "share", "lower", "upper"))]
        columns = (one.x, high, np.full(one.x.shape, one.names["partition"]), one.y, one.lower, one.upper)
        tips = [("", "@split"), (self.x.name, f"@{{{self.x.name}}}"), (self.height.name, "@share [@lower, @upper]")]
        edge = hv.Curve(columns, self.x, shown)
        return edge.opts(color="white", line_width=1.0, tools=["hover"], hover_tooltips=tips)

    def _whole(self, stack: _Stack) -> list[Any]:
        """The finest partition with the interval of its gap."""
        own, elements = stack.own, []
        if own.bounded:
            band = hv.Area((own.x, own.lower, own.upper), self.x, [self.height, hv.Dimension("upper")])
            elements.append(band.opts(color=style.EXACT, fill_alpha=0.2, line_alpha=0.0))
        return [*elements, hv.Curve((own.x, own.y), self.x, self.height).opts(color=style.EXACT, line_width=2.0)]
