"""What the denoiser predicts along the reverse path, beneath the profile of the path (arXiv 2602.09651, Fig. 1b)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import holoviews as hv
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from specent import arguments
from specent.errors import SpecentError
from specent.plotting import style
from specent.plotting.curves import Profiles, entropy, in_view
from specent.plotting.select import Names, select
from specent.schema import need

Array = NDArray[np.float64]
_PREVIEW, _DIMS = "preview", ("channel", "y", "x")


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
    **selection: Any,
) -> Any:
    """Predictions of the data along the reverse path as a strip of pictures, aligned with a profile above.

    Parameters
    ----------
    runs : Dataset
        Of kind ``trajectories``, with ``preview`` (decoded pictures, which are preferred) or ``prediction`` over
        (channel, y, x). Three channels are shown in colour, otherwise the first one in grey.
    prof : Dataset or sequence of Dataset, optional
        Of kind ``profiles``; their entropy is drawn above the strip on the same axis, and only the stretch on which it
        changes is in view.
    axis : {"log_snr", "sigma", "log_sigma", "time"}
        Horizontal axis; a picture is centred at the time of its prediction.
    class_label : str or sequence, optional
        Drivers, one row of pictures each; the first five by default.
    sample : int
        Which trajectory of the class.
    guidance : str, optional
        Guidance setting of the trajectories; the first by default.
    most : int
        Largest number of pictures in a row; where there are more, or they would overlap, some are left out.
    title : str, optional
        Title of the strip.
    **selection
        ``partition``, ``estimator``, ``dimension``, ``run`` of the profile, as for `entropy`.

    Returns
    -------
    holoviews.Overlay or holoviews.Layout
        The strip, under the profile if there is one.

    Raises
    ------
    SpecentError
        If the runs hold no pictures, or a name is unknown.
    """
    runs = need(runs, "trajectories", "runs")
    style.heading(title)
    pictures = _pictures(runs, class_label, arguments.whole(sample, "sample"), guidance)
    above = None if prof is None else entropy(prof, axis, guidance=guidance, **selection)
    ends = None if above is None else above.opts.get("plot").kwargs["xlim"]
    moments = _moments(runs, pictures, axis)
    ruler = _Ruler.of(runs, axis, moments, arguments.whole(most, "most", least=1), ends)
    centres = ruler.flat(moments)
    separate = ruler.apart(centres)
    data = pictures["picture"].isel(guidance=0, prediction_time=separate)
    data = data.transpose("class_label", "prediction_time", "channel", "y", "x")
    values = np.asarray(data.compute().values, dtype=float)
    drivers = [str(name) for name in pictures["class_label"].values]
    cleanest = int(np.argmin(data["prediction_time"].values))
    tiles = []
    for row in range(len(drivers)):
        # the shades of the cleanest picture serve the whole row: early ones under guidance may overshoot it
        best = values[row, cleanest]
        limits = (0.0, 255.0) if _PREVIEW in runs else (float(np.nanmin(best)), float(np.nanmax(best)))
        for picture, centre in zip(values[row], centres[separate], strict=True):
            left, right = ruler.on_axis(centre + ruler.width * np.array([-0.48, 0.48]))
            tiles.append(_tile(picture, (left, -row - 0.95, right, -row - 0.05), limits, style.axis_dimension(axis)))
    # a tile takes 0.96 of its width and 0.9 of the height of its row: make it as high in pixels as it is wide
    pixels = style.FRAME_WIDTH * 0.96 * ruler.width / (ruler.high - ruler.low) / 0.9
    strip = hv.Overlay(tiles).opts(
        **style.frame(height=max(40, round(pixels * len(drivers))), show_grid=False, **ruler.options()),
        yticks=[(-row - 0.5, driver) for row, driver in enumerate(drivers)],
        ylim=(-len(drivers), 0.0),
        ylabel="driver",
        title=title or f"Predicted data along the path, {pictures['guidance'].values[0]}, sample {sample}",
        show_legend=False,
    )
    return strip if above is None else hv.Layout([above.opts(**ruler.options()), strip]).cols(1)


@dataclass(frozen=True)
class _Ruler:
    """A stretch of the axis, in coordinates in which the axis is drawn evenly, and the width of a picture on it."""

    low: float
    high: float
    width: float
    log: bool

    @classmethod
    def of(cls, runs: xr.Dataset, axis: str, moments: Array, most: int, ends: tuple[float, float] | None) -> _Ruler:
        """The ruler over `ends`, or the whole run; as wide a picture as the moments on it leave room for."""
        log = style.logarithmic(runs, axis)
        even = np.log if log else np.asarray
        positions = even(style.positions(runs, axis) if ends is None else np.array(ends))
        low, high = float(positions.min()), float(positions.max())
        inside = np.sort(even(moments)[(even(moments) >= low) & (even(moments) <= high)])
        if not inside.size:
            return cls.of(runs, axis, moments, most, None)
        # rows of pictures wider than a fifth of the figure would be higher than a screen
        closest = float(np.diff(inside).min()) if inside.size > 1 else np.inf
        width = min(max(closest, (high - low) / most), (high - low) / 5)
        # half a picture hangs over each end
        return cls(low - width / 2, high + width / 2, width, log)

    def flat(self, positions: Array) -> Array:
        """Positions on the axis in even coordinates."""
        return np.log(positions) if self.log else positions

    def on_axis(self, even: Array) -> tuple[float, ...]:
        """Even coordinates as positions on the axis."""
        return tuple(float(position) for position in (np.exp(even) if self.log else even))

    def apart(self, centres: Array) -> list[int]:
        """Indices of the centres on the ruler that are at least a width apart, from the low end."""
        separate: list[int] = []
        for i in np.argsort(centres):
            inside = self.low + self.width / 2 <= centres[i] <= self.high - self.width / 2
            if inside and (not separate or centres[i] - centres[separate[-1]] >= 0.999 * self.width):
                separate.append(int(i))
        return separate

    def options(self) -> dict[str, Any]:
        """Options of a figure drawn on this stretch."""
        ends = self.on_axis(np.array([self.low, self.high]))
        return in_view((ends[0], ends[1]), self.log)


def _pictures(runs: xr.Dataset, class_label: Names, sample: int, guidance: Names) -> xr.Dataset:
    """The predictions of one sample per driver under one guidance setting, decoded ones if there are any."""
    if _PREVIEW in runs:
        pictures = runs[[_PREVIEW]].rename({_PREVIEW: "picture", **{f"preview_{dim}": dim for dim in _DIMS}})
    elif "prediction" in runs and set(_DIMS) <= set(runs["prediction"].dims):
        pictures = runs[["prediction"]].rename(prediction="picture")
    else:
        raise SpecentError(
            "runs hold no predictions of pictures over (channel, y, x); sample a model of images and record predictions"
        )
    if sample not in runs["sample"].values:
        raise SpecentError(f"sample={sample!r} is not among the {runs.sizes['sample']} samples of runs")
    rows = pictures if class_label is not None else pictures.isel(class_label=slice(0, 5))
    return select(rows, class_label=class_label, guidance=guidance).isel(guidance=[0]).sel(sample=sample)


def _moments(runs: xr.Dataset, pictures: xr.Dataset, axis: str) -> Array:
    """Positions of the predictions on the axis, by the log-SNR at the times of the run."""
    times = np.asarray(pictures["prediction_time"].values, dtype=float)
    if axis == "time":
        return times
    log_snr = np.interp(times, runs["time"].values, runs["log_snr"].values)
    return style.to_axis(log_snr, "log_snr", axis)


def _tile(values: Array, bounds: tuple[float, ...], limits: tuple[float, float], x: Any) -> Any:
    """One picture, (channel, y, x) in the grey or colour scale of its row."""
    low, high = limits
    y = hv.Dimension("row", label="driver")
    if values.shape[0] == 3:
        shade = np.clip((values - low) / max(high - low, 1e-12), 0.0, 1.0)
        return hv.RGB(np.moveaxis(shade, 0, -1), kdims=[x, y], bounds=bounds)
    tile = hv.Image(values[0], kdims=[x, y], vdims=hv.Dimension("grey"), bounds=bounds)
    return tile.opts(cmap="gray", clim=(low, max(high, low + 1e-12)))
