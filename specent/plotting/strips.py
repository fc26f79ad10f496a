"""What the denoiser predicts along the reverse path, beneath the profile of the path (arXiv 2602.09651, Fig. 1b)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import holoviews as hv
import numpy as np
import xarray as xr

from specent import arguments
from specent.axes import check_axis
from specent.errors import SpecentError
from specent.plotting import noise_axis, style
from specent.plotting.curves import Profiles, entropy
from specent.plotting.raster import Array, Bytes, Shades, mosaic, ordinary, pixels, predicted_pictures, wrapped
from specent.plotting.select import Names, select
from specent.schema import need

MOST_ROWS = 5
"""More classes than this are not drawn unless they are named."""

_HIGHEST = 560
_UNEVEN = 1.3


def predictions(
    runs: xr.Dataset,
    prof: Profiles | None = None,
    axis: str = "log_snr",
    *,
    class_label: Names = None,
    sample: int = 0,
    guidance: Names = None,
    most: int = 14,
    title: str | None = None,
    data: bool = False,
    **selection: Any,
) -> Any:
    """Predictions of the data along the reverse path as a strip of pictures, aligned with a profile above.

    Every picture is centred on the noise level at which it was predicted. Of the stored predictions those nearest to
    evenly spaced positions are drawn, as many as do not overlap.

    Parameters
    ----------
    runs : Dataset
        Of kind ``trajectories``, with ``preview`` (decoded pictures, which are preferred) or ``prediction`` over
        (channel, y, x). Three channels are shown in colour, otherwise the first one in grey.
    prof : Dataset or sequence of Dataset, optional
        Of kind ``profiles``; their entropy is drawn above the strip on the same axis, and only the stretch on which it
        changes is in view.
    axis : {"log_snr", "sigma", "log_sigma", "time"}
        Horizontal axis, on which generation runs to the right.
    class_label : str or sequence, optional
        Drivers, one row of pictures each; the first five by default, and the title says of how many.
    sample : int
        Which trajectory of the class.
    guidance : str, optional
        Guidance setting of the trajectories; the first by default.
    most : int
        Largest number of pictures in a row.
    title : str, optional
        Title of the strip.
    data : bool
        Whether to return the numbers behind the strip instead.
    **selection
        ``partition``, ``estimator``, ``dimension``, ``run`` of the profile, as for `entropy`.

    Returns
    -------
    holoviews.Overlay, or holoviews.Layout, or pandas.DataFrame
        The strip, under the profile if there is one. As data a row for each pixel drawn: ``guidance``,
        ``class_label``, ``sample``, the position on the axis, ``channel``, ``y``, ``x``, the ``value`` of the dataset
        (the mean over a block of pixels where a picture is larger than 96 pixels) and its ``shade`` from 0 to 255.

    Raises
    ------
    SpecentError
        If the runs hold no pictures, or a name is unknown.

    Examples
    --------
    >>> import specent as sp
    >>> images = [[[[0.0, 1.0]]], [[[1.0, 0.0]]]]
    >>> runs = sp.sample(
    ...     sp.models.finite(images, ["left", "right"]), schedule=sp.schedules.VE(), time=sp.schedules.edm_grid(6),
    ...     samples=2, record=sp.Record(predictions=[0.002, 80.0]), progress=False,
    ... )
    >>> table = predictions(runs, axis="sigma", class_label="left", data=True)
    >>> table[["sigma", "shade"]].round(3).values.tolist()
    [[80.0, 0.0], [80.0, 255.0], [0.002, 0.0], [0.002, 255.0]]
    """
    runs = need(runs, "trajectories", "runs", ("log_likelihood",))
    style.heading(title)
    arguments.flag(data, "data")
    for name in selection:
        arguments.choice(name, "the selection of a profile", ("partition", "estimator", "dimension", "run"))
    curves = [name for name, value in selection.items() if value is not None]
    if curves and prof is None:
        raise SpecentError(f"{curves[0]} selects curves of a profile: give prof, or leave it out")
    pictures = _pictures(runs, class_label, arguments.whole(sample, "sample"), guidance)
    chosen = {"guidance": guidance, **selection}
    above = [] if prof is None else _figures(entropy(prof, axis, **chosen))
    ends = above[0].opts.get("plot").kwargs["xlim"] if above else None
    moments = _moments(runs, pictures, check_axis(axis))
    classes = pictures.sizes["class_label"]
    ruler = _Ruler.of(runs, axis, moments, arguments.whole(most, "most", least=1), ends, classes)
    some = pictures["picture"].isel(guidance=0, prediction_time=list(ruler.chosen))
    values = pixels(some.transpose("class_label", "prediction_time", ...))
    shade = _shaded(values, some["prediction_time"].values, "preview" in runs)
    if data:
        return _table(some, values, shade, axis, moments[list(ruler.chosen)])
    if prof is not None:
        above = _figures(entropy(prof, axis, view=ruler.ends, **chosen))
    shown = f", {classes} of {runs.sizes['class_label']} classes" if classes < runs.sizes["class_label"] else ""
    # short enough for a panel of a page, where the title of a panel is not broken
    words = title or f"Predictions: {pictures['guidance'].values[0]}, sample {sample}{shown}"
    strip = _strip(runs, shade, ruler, axis, second=not above)
    strip = strip.opts(
        yticks=[(-row - 0.5, name) for row, name in enumerate(ordinary(pictures["class_label"].values))],
        title=wrapped([words], style.FRAME_WIDTH),
    )
    return hv.Layout([*above, strip]).cols(1) if above else strip


def _figures(figure: Any) -> list[Any]:
    """The panels of a figure of entropies."""
    return list(figure) if isinstance(figure, hv.Layout) else [figure]


def _shaded(values: Array, times: Array, decoded: bool) -> Bytes:
    """Pictures (class_label, prediction_time, channel, y, x) in 0 to 255."""
    # the shades of the cleanest picture serve the whole row: early ones under guidance may overshoot it
    cleanest = int(np.argmin(times))
    return np.stack([Shades.of(row[cleanest], decoded)(row) for row in values])


def _strip(runs: xr.Dataset, shade: Bytes, ruler: _Ruler, axis: str, *, second: bool) -> Any:
    """The pictures, a raster for each noise level, as one for each picture would be slow to draw."""
    rows, _, height, width, _ = shade.shape
    x, y = style.axis_dimension(axis), hv.Dimension("row", label="class")
    columns = []
    for number, centre in enumerate(ruler.centres):
        raster = mosaic(shade[:, number, None], gap=max(1, width // 24))
        low, high = sorted(ruler.on_axis(centre + ruler.width * np.array([-0.5, 0.5])))
        # where the axis runs downwards images are drawn from right to left
        raster = raster if axis == "log_snr" else raster[:, ::-1]
        columns.append(hv.RGB(raster, [x, y], ["R", "G", "B", "A"], bounds=(low, -float(rows), high, 0.0)))
    side = style.FRAME_WIDTH * ruler.width / (ruler.high - ruler.low)
    options = noise_axis.view(runs, axis, ruler.ends, second=second)
    return hv.Overlay(columns).opts(
        **style.frame(height=max(40, round(side * rows * height / width)), show_grid=False) | options,
        ylim=(-float(rows), 0.0),
        ylabel="class",
        show_legend=False,
    )


def _table(some: xr.DataArray, values: Array, shade: Bytes, axis: str, positions: Array) -> Any:
    """A row for each pixel that is drawn."""
    channels = 3 if values.shape[-3] == 3 else 1
    dims = ("class_label", axis, "channel", "y", "x")
    sizes = (channels, *values.shape[3:])
    coords = {
        "class_label": some["class_label"].values,
        axis: positions,
        **{dim: np.arange(size) for dim, size in zip(dims[2:], sizes, strict=True)},
    }
    columns = {
        "value": (dims, values[:, :, :channels]),
        "shade": (dims, np.moveaxis(shade[..., :channels], -1, 2)),
    }
    table = xr.Dataset(columns, coords).to_dataframe(dim_order=list(dims)).reset_index()
    table.insert(0, "guidance", str(some["guidance"].values))
    table.insert(2, "sample", int(some["sample"].values))
    return table


@dataclass(frozen=True)
class _Ruler:
    """A stretch of the axis in coordinates in which it is drawn evenly, and which pictures stand where on it.

    Parameters
    ----------
    low, high : float
        The stretch, which holds every picture whole.
    width : float
        Width of a picture.
    log : bool
        Whether even coordinates are the logarithms of positions.
    chosen : tuple of int
        The predictions that are drawn.
    centres : tuple of float
        Their positions in even coordinates.
    """

    low: float
    high: float
    width: float
    log: bool
    chosen: tuple[int, ...]
    centres: tuple[float, ...]

    @classmethod
    def of(
        cls, runs: xr.Dataset, axis: str, moments: Array, most: int, ends: tuple[float, float] | None, rows: int
    ) -> _Ruler:
        """The ruler over `ends`, or the whole run; as wide a picture as the moments on it leave room for."""
        log = style.logarithmic(runs, axis)
        even = np.log if log else np.asarray
        stretch = even(style.positions(runs, axis) if ends is None else np.array(ends))
        low, high = float(stretch.min()), float(stretch.max())
        if low == high:
            # a single time has a stretch of its own
            low, high = low - 0.5, high + 0.5
        positions = even(moments)
        inside = np.flatnonzero((positions >= low) & (positions <= high))
        if not inside.size:
            return cls.of(runs, axis, moments, most, None, rows)
        # rows of pictures wider than a fifth of the figure, or than their share of a screen, would be too high
        widest = (high - low) * min(0.2, max(_HIGHEST / rows, 24) / style.FRAME_WIDTH)
        # from the cleanest picture on, whichever way the axis runs
        towards_data = positions[inside] if axis == "log_snr" else -positions[inside]
        chosen = inside[chosen_evenly(towards_data, most, least=(high - low) / most)]
        closest = float(np.diff(np.sort(positions[chosen])).min()) if chosen.size > 1 else np.inf
        width = min(closest, widest)
        # half a picture hangs over each end
        centres = tuple(float(position) for position in positions[chosen])
        return cls(low - width / 2, high + width / 2, width, log, tuple(int(i) for i in chosen), centres)

    @property
    def ends(self) -> tuple[float, float]:
        """The stretch on the axis."""
        first, last = self.on_axis(np.array([self.low, self.high]))
        return first, last

    def on_axis(self, even: Array) -> tuple[float, ...]:
        """Even coordinates as positions on the axis."""
        return tuple(float(position) for position in (np.exp(even) if self.log else even))


def chosen_evenly(positions: Array, most: int, least: float = 0.0) -> list[int]:
    """Which of some positions to draw at, so that they are evenly spaced.

    Parameters
    ----------
    positions : ndarray
        Where there is something to draw, in any order.
    most : int
        Largest number.
    least : float
        Smallest distance between two, if they are not evenly spaced.

    Returns
    -------
    list of int
        Indices in ascending order of their positions, the largest among them: the most whose distances differ by less
        than a third; if these are few, those nearest to even positions that keep the smallest distance; if these are
        few too, all that keep it.

    Examples
    --------
    >>> chosen_evenly(np.arange(10.0), most=4), chosen_evenly(np.array([0.0, 0.1, 1.1, 2.5, 3.0]), most=9, least=0.4)
    ([0, 3, 6, 9], [0, 2, 3, 4])
    """
    order = np.argsort(positions)[::-1]
    down = positions[order]
    even, near, apart = [0], [0], [0]
    for step in [*(down[0] - down[1:]), *((down[0] - down[-1]) / np.arange(1, min(most, len(down))))]:
        targets = down[0] - step * np.arange(np.floor((down[0] - down[-1]) / step + 0.25) + 1) if step else down[:1]
        nearest = np.abs(down[:, None] - targets).argmin(axis=0)
        distances = -np.diff(down[nearest])
        if not 1 < len(targets) <= most or distances.min() <= 0:
            continue
        if len(even) < len(targets) and distances.max() <= _UNEVEN * distances.min():
            even = nearest.tolist()
        if len(near) < len(targets) and distances.min() >= 0.999 * least:
            near = nearest.tolist()
    for i in range(1, len(down)):
        if down[apart[-1]] - down[i] >= 0.999 * least and len(apart) < most:
            apart.append(i)
    enough = 3 * max(map(len, (even, near, apart)))
    best = next(one for one in (even, near, apart) if 4 * len(one) >= enough)
    return [int(order[i]) for i in best[::-1]]


def _pictures(runs: xr.Dataset, class_label: Names, sample: int, guidance: Names) -> xr.Dataset:
    """The predictions of one sample per driver under one guidance setting, decoded ones if there are any."""
    pictures, _ = predicted_pictures(runs)
    if sample not in runs["sample"].values:
        raise SpecentError(f"sample={sample!r} is not among the {runs.sizes['sample']} samples of runs")
    rows = pictures if class_label is not None else pictures.isel(class_label=slice(0, MOST_ROWS))
    return select(rows, class_label=class_label, guidance=guidance).isel(
        guidance=[0], sample=np.flatnonzero(runs["sample"].values == sample)[0]
    )


def _moments(runs: xr.Dataset, pictures: xr.Dataset, axis: str) -> Array:
    """Positions of the predictions on the axis, by the log-SNR at the times of the run."""
    times = np.asarray(pictures["prediction_time"].values, dtype=float)
    if axis == "time":
        return times
    log_snr = np.interp(times, runs["time"].values, runs["log_snr"].values)
    return style.to_axis(log_snr, "log_snr", axis)
