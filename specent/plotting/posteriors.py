"""The posterior along single trajectories: all of them as a raster, a few as curves, quantiles on top.

However many trajectories there are, what is drawn is a raster of fixed size: Datashader counts the paths through every
pixel, block by block, and the counts of blocks add up.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import holoviews as hv
import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from specent import arguments
from specent.analysis.inputs import checked_runs
from specent.analysis.scored import ScoredPartition
from specent.analysis.trajectory_posteriors import (
    each_posterior,
    fractions,
    posterior_quantiles,
    scored_partition,
    side_index,
)
from specent.partitions import Partition
from specent.plotting import labels, noise_axis, style
from specent.plotting.select import Names, Series, select
from specent.plotting.views import in_order, stretch

Array = NDArray[np.float64]

PIXELS = (400, 200)
"""Width and height of the raster."""

MOST = 30
"""Single trajectories that are drawn as curves at most."""

_CMAP = "Greys"
_MEDIAN = style.PALETTE[2]
_CLOSE = ((0.0, 1.0), (-0.03, 1.03))


def posteriors(
    runs: xr.Dataset,
    partition: str | Partition | None = None,
    axis: str = "log_snr",
    *,
    side: str | None = None,
    guidance: Names = None,
    curves: int = 4,
    quantiles: ArrayLike = (0.1, 0.5, 0.9),
    title: str | None = None,
    view: tuple[float, float] | None = None,
    data: bool = False,
) -> Any:
    """The posterior of a side along every trajectory, against a noise axis.

    Parameters
    ----------
    runs : Dataset or path
        Of kind ``trajectories``; read block by block, so that there may be more than memory holds.
    partition : str or Partition, optional
        The partition; the first of those that `runs` was sampled with by default. Any other of the scored labels can be
        named.
    axis : {"log_snr", "sigma", "log_sigma", "time"}
        Horizontal axis, on which generation runs to the right.
    side : str, optional
        Side of the partition whose posterior is drawn; that which holds the driver of the trajectory by default.
    guidance : str or sequence, optional
        Guidance settings, with a panel each; the first by default.
    curves : int
        How many single trajectories are drawn as curves, up to 30 and to as many as there are; drivers take turns.
    quantiles : array_like
        Quantiles over the trajectories that are drawn as curves, from 0 to 1.
    title : str, optional
        Title of the figure.
    view : tuple of float, optional
        Smallest and largest position in view; by default the stretch on which the quantiles change.
    data : bool
        Return the numbers behind the figure instead of the figure.

    Returns
    -------
    holoviews.Overlay, or holoviews.Layout of panels, or pandas.DataFrame
        A raster of the share of trajectories through every pixel, which the colour bar states on a logarithmic scale;
        quantiles and single trajectories as curves. As data a row for each pixel with a trajectory, for each point of a
        quantile and for each point of a single trajectory, distinguished by the column ``mark``.

    Raises
    ------
    SpecentError
        If the dataset is of another kind, a name is unknown, or a number is out of range.

    Examples
    --------
    >>> import specent as sp
    >>> table = posteriors(sp.archive.example(), "cat | dog", data=True)
    >>> table.mark.unique().tolist()
    ['share', 'quantile', 'trajectory']
    """
    style.heading(title)
    arguments.flag(data, "data")
    curves = arguments.whole(curves, "curves", least=0, most=MOST)
    runs = checked_runs(runs)
    runs = runs.isel(guidance=[0]) if guidance is None else select(runs, guidance=guidance)
    scored = scored_partition(runs, partition)
    number = side_index(scored, side)
    # mistakes are told before all trajectories are read
    x, log = style.positions(runs, axis), style.logarithmic(runs, axis)
    chosen = None if view is None else in_order(view, log)
    drawn_at = fractions(quantiles, "quantiles")
    few = _few(runs, scored, number, curves)
    levels = posterior_quantiles(runs, scored.partition, drawn_at, side=side)
    ends = chosen or _view(levels, x, log)
    shares = _shares(runs, scored, number, x, ends, log)
    panels = [
        _Panel(str(name), axis, scored, x, ends, log, shares[g], levels.isel(guidance=g), [one.at(g) for one in few])
        for g, name in enumerate(runs["guidance"].values)
    ]
    if data:
        return pd.concat([panel.table() for panel in panels], ignore_index=True)
    whose = "its own side" if side is None else f"the side {side}"
    count = int((scored.share > 0).sum()) * runs.sizes["sample"]
    drawn = f"{count:,}".replace(",", " ")
    heading = f"{title or f'How sure is each path of {whose}?'}\n{scored.name}: {drawn} trajectories"
    size = style.frame_size(len(panels))
    figures = [panel.drawn(runs, whose, size) for panel in panels]
    if len(figures) == 1:
        return figures[0].opts(title=style.TitleText(f"{heading}, {panels[0].setting}"))
    return style.side_by_side(figures, [panel.setting for panel in panels], heading)


@dataclass(frozen=True, eq=False)
class _Trajectory:
    """One trajectory: who drove it, the side that holds the driver, and its posterior, shape (guidance, time)."""

    driver: str
    sample: int
    side: int
    values: Array

    def at(self, g: int) -> _Trajectory:
        """The same under one guidance setting, shape (time,)."""
        return _Trajectory(self.driver, self.sample, self.side, self.values[g])


@dataclass(frozen=True, eq=False)
class _Panel:
    """What one panel shows."""

    setting: str
    axis: str
    scored: ScoredPartition
    x: Array
    ends: tuple[float, float]
    log: bool
    shares: Array
    levels: xr.Dataset
    few: list[_Trajectory]

    @cached_property
    def pixels(self) -> tuple[Array, Array]:
        """Middles of the pixels along both axes."""
        low, high = np.log(self.ends) if self.log else self.ends
        edges = np.linspace(low, high, PIXELS[0] + 1)
        middles = 0.5 * (edges[1:] + edges[:-1])
        return np.exp(middles) if self.log else middles, _middles()

    def table(self) -> pd.DataFrame:
        """The numbers of the panel."""
        common = {"guidance": self.setting, "partition": self.scored.name}
        row, column = np.nonzero(self.shares)
        x, y = self.pixels
        raster = {self.axis: x[column], "posterior": y[row], "share": self.shares[row, column]}
        parts: list[dict[str, Any]] = [{"mark": "share", **raster}]
        for level, values in self._quantiles():
            parts.append({"mark": "quantile", self.axis: self.x, "posterior": values, "quantile": level})
        for one in self.few:
            names = {"class_label": one.driver, "sample": one.sample}
            parts.append({"mark": "trajectory", self.axis: self.x, "posterior": one.values, **names})
        return pd.concat([pd.DataFrame({**common, **part}) for part in parts], ignore_index=True)

    def _quantiles(self) -> list[tuple[float, Array]]:
        values = self.levels["posterior_quantile"].transpose("quantile", "time").values
        return [(float(level), row) for level, row in zip(self.levels["quantile"].values, values, strict=True)]

    def drawn(self, runs: xr.Dataset, whose: str, size: tuple[int, int]) -> Any:
        """The panel as a figure."""
        x, y = style.axis_dimension(self.axis), hv.Dimension("posterior", label=f"posterior of {whose}")
        quantiles = self._quantiles()
        elements = [self._raster(x, y), *self._trajectories(x, y)]
        for level, values in quantiles:
            text, width = _quantile_text(level), 2.6 if level == 0.5 else 1.6
            tips = [("", text), ("posterior", "@posterior{0.000}")]
            line = hv.Curve((self.x, values), x, y, label=text)
            elements.append(line.opts(color=_MEDIAN, line_width=width, tools=["hover"], hover_tooltips=tips))
        paths = [*((self.x, values) for _, values in quantiles), *((self.x, one.values) for one in self.few)]
        texts = [*(_quantile_text(level) for level, _ in quantiles), *(one.driver for one in self.few)]
        hues = [*([_MEDIAN] * len(quantiles)), *(self._hue(one) for one in self.few)]
        names = labels.direct_labels(paths, texts, hues, (self.ends, _CLOSE[1], size), log=self.log)
        options = noise_axis.view(runs, self.axis, self.ends)
        options["hooks"] = [*options["hooks"], names]
        whole = style.frame(height=size[1]) | {"frame_width": size[0]} | options
        return hv.Overlay(elements).opts(**whole, ylim=_CLOSE[1], show_legend=False)

    def _raster(self, x: Any, y: Any) -> Any:
        share = hv.Dimension("share", label="share of trajectories")
        shown = np.where(self.shares > 0, self.shares, np.nan)
        low = float(np.nanmin(shown)) if np.isfinite(shown).any() else 0.1
        # rows of an image are listed from the top
        bounds = (self.ends[0], _CLOSE[1][0], self.ends[1], _CLOSE[1][1])
        image = hv.Image(shown[::-1], kdims=[x, y], vdims=share, bounds=bounds)
        return image.opts(
            cmap=_CMAP, cnorm="log", clim=(low / 4, 1.0), colorbar=True, clipping_colors={"NaN": (0, 0, 0, 0)},
            colorbar_opts={"title": "share of trajectories", "width": 14},
        )  # fmt: skip

    def _trajectories(self, x: Any, y: Any) -> list[Any]:
        extra = [y, hv.Dimension("driver")]
        curves = []
        for one in self.few:
            line = hv.Curve((self.x, one.values, np.full(self.x.shape, one.driver)), x, extra, label=one.driver)
            tips = [("driver", "@driver"), ("sample", str(one.sample)), ("posterior", "@posterior{0.000}")]
            curves.append(line.opts(color=self._hue(one), line_width=1.2, tools=["hover"], hover_tooltips=tips))
        return curves

    def _hue(self, one: _Trajectory) -> str:
        """Colour of the side that holds the driver; red is that of the quantiles."""
        hues = [hue for hue in style.colours(len(self.scored.partition.sides) + 1) if hue != _MEDIAN]
        return hues[one.side % len(hues)]


def _quantile_text(level: float) -> str:
    return "median" if level == 0.5 else f"{100 * level:g} %"


def _middles() -> Array:
    edges = np.linspace(*_CLOSE[1], PIXELS[1] + 1)
    return np.asarray(0.5 * (edges[1:] + edges[:-1]))


def _view(levels: xr.Dataset, x: Array, log: bool) -> tuple[float, float]:
    """The stretch on which a quantile changes."""
    rows = levels["posterior_quantile"].transpose("guidance", "quantile", "time").values.reshape(-1, len(x))
    never = np.zeros(x.shape, dtype=bool)
    return stretch([Series({}, "", x, row, row, row, never) for row in rows], log)


def _shares(
    runs: xr.Dataset, scored: ScoredPartition, side: int | None, x: Array, ends: tuple[float, float], log: bool
) -> Array:
    """Share of the trajectories through every pixel, shape (guidance, rows from below, columns)."""
    # a heavy import, and compiled when first used
    import datashader

    along, reach = (np.log(x), np.log(ends)) if log else (x, np.asarray(ends))
    canvas = datashader.Canvas(*PIXELS, x_range=tuple(reach), y_range=_CLOSE[1])
    total = np.zeros((runs.sizes["guidance"], PIXELS[1], PIXELS[0]))
    columns = [f"t{i}" for i in range(len(x))]
    for block in each_posterior(runs, scored):
        values = block.of_side(scored, side)
        weights = scored.share[block.drivers] / runs.sizes["sample"]
        # drivers of one weight are counted together: a thousand canvases would take their time
        for weight in np.unique(weights):
            some = values[weights == weight]
            for g in range(total.shape[0]):
                lines = pd.DataFrame(some[:, :, g].reshape(-1, len(x)), columns=columns)
                counts = canvas.line(lines, x=along, y=columns, axis=1, agg=datashader.count())
                total[g] += weight * counts.values
    return total


def _few(runs: xr.Dataset, scored: ScoredPartition, side: int | None, count: int) -> list[_Trajectory]:
    """A few trajectories, of every driver in turn."""
    drivers = np.flatnonzero(scored.share > 0)
    each = min(-(-count // len(drivers)), runs.sizes["sample"])
    if each == 0:
        return []
    found = []
    for block in each_posterior(runs.isel(sample=slice(0, each)), scored):
        values = block.of_side(scored, side)
        for row, driver in enumerate(block.drivers):
            for number in range(values.shape[1]):
                label = int(runs["sample"].values[block.samples.start + number])
                who = str(runs["class_label"].values[driver])
                found.append((number, row, _Trajectory(who, label, int(scored.side[driver]), values[row, number])))
    return [one for _, _, one in sorted(found, key=lambda entry: entry[:2])][:count]
