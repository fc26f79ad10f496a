"""Trajectories in the plane or on a line over the exact density of the mixture that they end in.

Archives keep predictions of the data along the way, not states. Of an exact mixture whose labels have one component
each the state behind a prediction is known (`specent.exact.state_of_prediction`) and drawn; otherwise the predictions
themselves are drawn, and the title says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import holoviews as hv
import numpy as np
import pandas as pd
import xarray as xr
from bokeh.palettes import Greys256
from numpy.typing import NDArray
from scipy.special import logsumexp

from specent import arguments, exact
from specent.errors import SpecentError, visible
from specent.exact import GaussianMixture
from specent.plotting import colouring, labels, noise_axis, style
from specent.plotting.marks import landmark_elements, landmarks, together
from specent.plotting.select import Names, select
from specent.schema import need

Array = NDArray[np.float64]

MOST_POINTS = 500
"""Final samples of every class that are drawn at most."""

_CELLS = 160
_SQUARE = 380
# states that rounding of the stored predictions moves by more than this share of their spread are left out
_ROUNDING = 0.03
# the darkest shades are left to what lies on top
_SHADES = list(Greys256[::-1][:150])


def paths(
    runs: xr.Dataset,
    mixture: GaussianMixture | None = None,
    axis: str = "log_snr",
    *,
    guidance: Names = None,
    class_label: Names = None,
    most: int | None = None,
    title: str | None = None,
    data: bool = False,
) -> Any:
    """Trajectories and final samples of data of one or two dimensions, coloured by class, over the exact density.

    Parameters
    ----------
    runs : Dataset
        Of kind ``trajectories``, whose data are of one or two dimensions.
    mixture : GaussianMixture, optional
        The density behind them; that which `runs` records by default, if they are of an exact mixture.
    axis : {"log_snr", "sigma", "log_sigma", "time"}
        Of data of one dimension: horizontal axis, on which generation runs to the right.
    guidance : str, optional
        Guidance setting; the first by default.
    class_label : str or sequence, optional
        Classes that are drawn; all by default.
    most : int, optional
        Paths of every class that are drawn at most; 12 on a line and 3 in the plane by default. Final samples are drawn
        as many as are there, up to 500 of every class.
    title : str, optional
        Title of the figure.
    data : bool
        Return the numbers behind the figure instead of the figure.

    Returns
    -------
    holoviews.Overlay, or pandas.DataFrame
        In the plane: final samples, paths, and the density of the data. On a line: states over the noise, the density
        at every noise level, and where the drift of a mixture bifurcates and speciation is predicted. As data a row for
        each state, prediction and final sample, distinguished by the column ``mark``.

    Raises
    ------
    SpecentError
        If the data have more dimensions, a name is unknown, or there is nothing to draw.

    Examples
    --------
    >>> import specent as sp
    >>> table = paths(sp.archive.example(), data=True)
    >>> table.mark.unique().tolist(), len(table)
    (['final'], 180)
    """
    style.heading(title)
    arguments.flag(data, "data")
    runs = need(runs, "trajectories", "runs", ("final",))
    if mixture is not None:
        arguments.instance(mixture, GaussianMixture, "mixture", "give a specent.exact.GaussianMixture")
    part = select(runs, guidance=guidance, class_label=class_label).isel(guidance=[0])
    size = _dimension(part, mixture)
    most = (12 if size == 1 else 3) if most is None else arguments.whole(most, "most", least=0, most=200)
    tracks = _Tracks.of(part, mixture, most)
    if data:
        return tracks.table(axis if size == 1 else None)
    density = mixture or tracks.source
    return _plane(tracks, density, title) if size == 2 else _line(tracks, density, axis, title)


def _dimension(runs: xr.Dataset, mixture: GaussianMixture | None) -> int:
    dims = [dim for dim in runs["final"].dims if dim not in ("guidance", "class_label", "sample")]
    size = runs.sizes["feature"] if dims == ["feature"] else 0
    if size not in (1, 2):
        raise SpecentError("runs are not of data of one or two dimensions; draw pictures with samples or predictions")
    # squares of larger numbers overflow
    if not (np.abs(runs["final"].values.astype(np.float64)) < 1e100).all():
        raise SpecentError("the variable 'final' of runs holds numbers that cannot be drawn; leave out what diverged")
    if mixture is not None and mixture.dimension != size:
        raise SpecentError(f"mixture has {mixture.dimension} dimensions, the data of runs {size}")
    return size


@dataclass(frozen=True, eq=False)
class _Tracks:
    """What is known of some trajectories under one guidance setting.

    Attributes
    ----------
    runs : Dataset
        The trajectories.
    source : GaussianMixture or None
        The mixture whose exact denoisers moved them.
    kind : {"state", "prediction", ""}
        What `values` are; empty if nothing is known on the way.
    values : ndarray, shape (classes, samples, times, features)
        States divided by alpha, or predictions; NaN where states are lost in rounding.
    final : ndarray, shape (classes, samples, features)
    """

    runs: xr.Dataset
    source: GaussianMixture | None
    kind: str
    values: Array
    final: Array

    @classmethod
    def of(cls, part: xr.Dataset, mixture: GaussianMixture | None, most: int) -> _Tracks:
        source = exact.recorded_mixture(part)
        if mixture is not None and source != mixture:
            source = None
        final = part["final"].isel(guidance=0, sample=slice(0, MOST_POINTS))
        ends = np.asarray(final.transpose("class_label", "sample", "feature").values, dtype=np.float64)
        if "prediction" not in part or not most:
            return cls(part, source, "", np.zeros((len(ends), 0, 0, ends.shape[-1])), ends)
        stored = part["prediction"].isel(guidance=0, sample=slice(0, most)).sortby("prediction_time", ascending=False)
        values = np.asarray(stored.transpose("class_label", "sample", "prediction_time", "feature").values)
        known = _states(part, source, values)
        kind = "prediction" if known is None else "state"
        return cls(part, source, kind, values.astype(np.float64) if known is None else known, ends)

    @property
    def names(self) -> list[str]:
        """The classes."""
        return [visible(str(name)) for name in self.runs["class_label"].values]

    @property
    def moments(self) -> xr.Dataset:
        """The times of `values`, from noise to data, with their noise."""
        return _moments(self.runs)

    def table(self, axis: str | None) -> pd.DataFrame:
        """The numbers that are drawn, on a noise axis or in the plane."""
        parts: list[dict[str, Any]] = []
        features = [f"x{i}" for i in range(self.final.shape[-1])]
        times = {} if not self.kind else {"time": self.moments["time"].values}
        if axis is not None and self.kind:
            times[axis] = style.positions(self.moments, axis)
        for c, name in enumerate(self.names):
            for s, values in enumerate(self.values[c]):
                columns = dict(zip(features, values.T, strict=True))
                parts.append({"mark": self.kind, "class_label": name, "sample": s, **times, **columns})
            columns = dict(zip(features, self.final[c].T, strict=True))
            parts.append({"mark": "final", "class_label": name, "sample": np.arange(len(self.final[c])), **columns})
        return pd.concat([pd.DataFrame(one) for one in parts], ignore_index=True).dropna(subset=features[:1])

    def notes(self) -> str:
        """What is drawn, in words."""
        setting = str(self.runs["guidance"].values[0])
        what = {
            "state": "paths of the noisy state, at the spread of the data",
            "prediction": "paths of the predicted data x₀",
            "": "final samples",
        }[self.kind]
        lost = self.kind == "state" and bool(np.isnan(self.values).any())
        return f"{what}, {setting}" + ("; they begin where stored digits suffice" if lost else "")


def _moments(runs: xr.Dataset) -> xr.Dataset:
    """Times of the predictions, descending, with the coordinates of the schedule."""
    times = np.sort(runs["prediction_time"].values)[::-1]
    index = np.abs(runs["time"].values[:, None] - times).argmin(axis=0)
    return runs[["time", "sigma", "alpha", "log_snr"]].isel(time=index).assign_attrs(runs.attrs)


def _states(runs: xr.Dataset, source: GaussianMixture | None, values: NDArray[Any]) -> Array | None:
    """States behind predictions, divided by alpha; None if they cannot be known."""
    if source is None or float(runs["guidance_scale"].values[0]) != 1.0:
        return None
    owners = [str(name) for name in runs["class_label"].values]
    if any(source.component_labels.count(name) != 1 for name in owners):
        return None
    moments = _moments(runs)
    alpha, sigma = moments["alpha"].values, moments["sigma"].values
    states = np.stack([
        exact.state_of_prediction(source, name, rows, alpha, sigma) / alpha[:, None]
        for name, rows in zip(owners, values, strict=True)
    ])  # fmt: skip
    # archives keep 10 bits of a prediction, fresh runs all
    fresh = values.dtype == np.float32 and bool((values.view(np.int32) & 0xFF).any())
    variance = source.variances.min() + (sigma / alpha) ** 2
    rounding = 2.0 ** (-24 if fresh else -11) * np.abs(values).max(axis=-1) * variance / source.variances.min()
    return np.where((rounding > _ROUNDING * np.sqrt(variance))[..., None], np.nan, states)


def _plane(tracks: _Tracks, density: GaussianMixture | None, title: str | None) -> Any:
    x, y = (hv.Dimension(f"x{i}", label=f"{text} coordinate") for i, text in enumerate(("first", "second")))
    low, high = _box(tracks, density)
    elements: list[Any] = []
    if density is not None:
        elements += _shaded(density, low, high, x, y)
    scale = _to_spread(tracks, density)
    hues = colouring.hues(tracks.names)
    for name, values, final in zip(tracks.names, tracks.values, tracks.final, strict=True):
        curves = [one[np.isfinite(one[:, 0])] for one in values * scale]
        if curves:
            elements.append(hv.Path(curves, [x, y], label=name).opts(color=hues[name], line_width=1.0, alpha=0.55))
        dots = hv.Points((final[:, 0], final[:, 1], np.full(len(final), name)), [x, y], "class_label", label=name)
        size = 5 if len(final) < 100 else 3
        dots.opts(color=hues[name], size=size, alpha=0.9, tools=["hover"], hover_tooltips=[("class", "@class_label")])
        elements.append(dots)
    middles = np.median(tracks.final, axis=1)
    spread = 0.06 * (high[1] - low[1]) + 2 * np.median(np.abs(tracks.final[:, :, 1] - middles[:, None, 1]), axis=1)
    names = labels.DirectLabels(
        tuple(middles[:, 0].tolist()), tuple((middles[:, 1] + spread).tolist()), tuple(hues), tuple(hues.values())
    )
    height = int(np.clip(_SQUARE * (high[1] - low[1]) / (high[0] - low[0]), 220, 520))
    whole = style.frame(height=height) | {"frame_width": _SQUARE, "hooks": [names]}
    ground = "" if density is None else "\nover the exact density of the data"
    heading = style.TitleText(f"{title or 'Where do the trajectories go?'}\n{tracks.notes()}{ground}")
    return hv.Overlay(elements).opts(
        **whole, xlim=(low[0], high[0]), ylim=(low[1], high[1]), show_legend=False, title=heading
    )


def _to_spread(tracks: _Tracks, density: GaussianMixture | None) -> Array:
    """What brings the spread of noisy states down to that of the data, coordinate by coordinate."""
    if tracks.kind != "state" or density is None:
        return np.ones(tracks.values.shape[2:])
    centred = density.means - density.weights @ density.means
    spread = density.weights @ (centred**2 + density.variances[:, None])
    noise = np.exp(-tracks.moments["log_snr"].values)[:, None]
    return np.asarray(np.sqrt(spread / (spread + noise)))


def _box(tracks: _Tracks, density: GaussianMixture | None) -> tuple[Array, Array]:
    """Lower and upper corner of what is in view: the data, and what is near them."""
    points = tracks.final.reshape(-1, tracks.final.shape[-1])
    low, high = points.min(axis=0), points.max(axis=0)
    if density is not None:
        reach = 3 * float(np.sqrt(density.variances.max()))
        low, high = (
            np.minimum(low, density.means.min(axis=0) - reach),
            np.maximum(high, density.means.max(axis=0) + reach),
        )
    margin = 0.12 * (high - low)
    return low - margin, high + margin


def _shaded(density: GaussianMixture, low: Array, high: Array, x: Any, y: Any) -> list[Any]:
    """The density of the data as an image that states its range, with lines of equal density."""
    across, up = (np.linspace(low[i], high[i], 2 * _CELLS + 1)[1::2] for i in range(2))
    values = _density(density, np.stack(np.meshgrid(across, up), axis=-1), 1.0, 0.0)
    shade = hv.Dimension("density", label="density of the data")
    most = float(values.max())
    image = hv.Image((across, up, values), [x, y], shade)
    image.opts(cmap=_SHADES, clim=(0.0, most), colorbar=True, colorbar_opts={"title": shade.label, "width": 14})
    lines = hv.operation.contours(image, levels=[most * share for share in (0.05, 0.25, 0.6)])
    return [image, lines.opts(color="#444444", line_width=0.7, alpha=0.8)]


def _density(mix: GaussianMixture, x: Array, alpha: float, sigma: float) -> Array:
    weighted = np.log(np.maximum(mix.weights, 1e-300)) + mix.log_density(x, alpha, sigma)
    return np.asarray(np.exp(logsumexp(weighted, axis=-1)))


def _line(tracks: _Tracks, density: GaussianMixture | None, axis: str, title: str | None) -> Any:
    if not tracks.kind:
        raise SpecentError("runs keep nothing on the way; sample with record=specent.Record(predictions=time)")
    moments, whole = tracks.moments, tracks.runs
    position = style.positions(moments, axis)
    log = style.logarithmic(moments, axis)
    ends = float(position.min()), float(position.max())
    scale = _scale(moments) if tracks.kind == "state" else np.ones(len(position))
    values = tracks.values[..., 0] * scale
    finite = values[np.isfinite(values)]
    margin = 0.08 * float(np.ptp(finite))
    ylim = float(finite.min()) - margin, float(finite.max()) + margin
    text = "state xₜ / √(α² + σ²)" if tracks.kind == "state" else "predicted data x₀"
    x, y = style.axis_dimension(axis), hv.Dimension("x0", label=text)
    elements: list[Any] = []
    if density is not None and tracks.kind == "state":
        elements.append(_columns(density, moments, position, ends, ylim, log, x, y))
    hues = colouring.hues(tracks.names)
    for name, rows in zip(tracks.names, values, strict=True):
        curves = [np.stack([position, row], axis=-1)[np.isfinite(row)] for row in rows]
        elements.append(hv.Path(curves, [x, y], label=name).opts(color=hues[name], line_width=1.1, alpha=0.7))
    marks, words = landmark_elements(landmarks(whole, axis), ends, ylim, x, y)
    middles = [(position, np.nanmedian(rows, axis=0)) for rows in values]
    size = (style.FRAME_WIDTH, style.FRAME_HEIGHT)
    names = labels.direct_labels(middles, tracks.names, list(hues.values()), (ends, ylim, size), log=log)
    options = noise_axis.view(moments.sortby("time"), axis, ends)
    options["hooks"] = [*options["hooks"], together(names, words)]
    ground = "\nover the exact density at each noise level" if len(elements) > len(hues) else ""
    heading = style.TitleText(f"{title or 'Where do the trajectories go?'}\n{tracks.notes()}{ground}")
    return hv.Overlay([*elements, *marks]).opts(**style.frame() | options, ylim=ylim, show_legend=False, title=heading)


def _scale(moments: xr.Dataset) -> Array:
    """What makes of a state divided by alpha one of the variance-preserving schedule."""
    return np.asarray(1 / np.sqrt(1 + np.exp(-moments["log_snr"].values)))


def _columns(
    density: GaussianMixture, moments: xr.Dataset, position: Array, ends: tuple[float, float],
    ylim: tuple[float, float], log: bool, x: Any, y: Any,
) -> Any:  # fmt: skip
    """The density of states at every noise level, each column relative to its largest value."""
    low, high = np.log(ends) if log else ends
    across = np.linspace(low, high, 2 * _CELLS + 1)[1::2]
    order = np.argsort(position)
    known = np.log(position) if log else position
    log_snr = np.interp(across, known[order], moments["log_snr"].values[order])
    up = np.linspace(*ylim, 2 * _CELLS + 1)[1::2]
    alpha, sigma = np.sqrt(1 / (1 + np.exp(-log_snr))), np.sqrt(1 / (1 + np.exp(log_snr)))
    columns = [_density(density, up[:, None], float(a), float(s)) for a, s in zip(alpha, sigma, strict=True)]
    values = np.stack([column / column.max() for column in columns], axis=1)
    bounds = (ends[0], ylim[0], ends[1], ylim[1])
    shade = hv.Dimension("density", label="density / its largest at this noise")
    image = hv.Image(values[::-1], [x, y], shade, bounds=bounds)
    return image.opts(cmap=_SHADES, clim=(0.0, 1.0), colorbar=True, colorbar_opts={"title": shade.label, "width": 14})
