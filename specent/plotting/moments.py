"""What trajectories look like at one noise level, and how single ones get there."""

from __future__ import annotations

from typing import Any

import holoviews as hv
import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from specent import arguments
from specent.analysis.trajectory_posteriors import side_posterior
from specent.errors import SpecentError
from specent.partitions import Partition
from specent.plotting import colouring, noise_axis, style
from specent.plotting.raster import PIXELS, Shades, mosaic, ordinary, pixels, predicted_pictures
from specent.plotting.select import Names, select
from specent.schema import need

Array = NDArray[np.float64]

MOST_SIDES = 4
"""Of more sides than this one histogram is drawn over all of them."""

_HIGHEST = 12


def posterior_histogram(
    runs: xr.Dataset,
    log_snr: float,
    partition: Partition | str | None = None,
    *,
    guidance: Names = None,
    bins: int = 20,
    title: str | None = None,
    data: bool = False,
) -> Any:
    """How sure trajectories are of the side that drives them at one noise level, as a histogram.

    Parameters
    ----------
    runs : Dataset
        Of kind ``trajectories``; all of it is read, so select what is to be drawn first.
    log_snr : float
        Noise level; the nearest one of `runs` is taken.
    partition : Partition or str, optional
        The first of those that `runs` was sampled with by default.
    guidance : str, optional
        Guidance setting; the first by default.
    bins : int
        Number of bins from 0 to 1.
    title : str, optional
        Title of the figure.
    data : bool
        Return the numbers behind the figure instead of it.

    Returns
    -------
    holoviews.Overlay or pandas.DataFrame
        A line of steps for every side up to 4, otherwise one over all sides. With `data` a row for every bin: ``side``,
        ``left``, ``right``, and ``share`` of the trajectories, which sums to 1 over the bins.

    Raises
    ------
    SpecentError
        If the dataset is of another kind, or something that is named is unknown.

    Examples
    --------
    >>> import specent as sp
    >>> table = posterior_histogram(sp.archive.example(), -20.0, "cat | dog", bins=4, data=True)
    >>> table[table.share > 0][["left", "right"]].values.tolist()
    [[0.5, 0.75], [0.5, 0.75]]
    """
    style.heading(title)
    count = arguments.whole(bins, "bins", least=1, most=1000)
    table = _at_level(runs, log_snr, partition, guidance)
    edges = np.linspace(0.0, 1.0, count + 1)
    parts = []
    for side, rows in _groups(table):
        heights, _ = np.histogram(rows, edges)
        share = heights / max(heights.sum(), 1)
        parts.append(pd.DataFrame({"side": side, "left": edges[:-1], "right": edges[1:], "share": share}))
    result = pd.concat(parts, ignore_index=True)
    if arguments.flag(data, "data"):
        return result
    x = hv.Dimension("posterior", label="posterior of its own side")
    y = hv.Dimension("share", label="share of trajectories")
    names = list(dict.fromkeys(result["side"]))
    lines = []
    for side, colour in colouring.hues(names).items():
        share = result.loc[result["side"] == side, "share"].to_numpy()
        steps = hv.Area((np.repeat(edges, 2)[1:-1], np.repeat(share, 2)), x, y, label=side)
        lines.append(steps.opts(color=colour, fill_alpha=0.25, line_color=colour, line_width=2.0))
    words = f"{table.attrs['partition']} at σ/α = {np.exp(-0.5 * float(table['log_snr'])):.3g}"
    return hv.Overlay(lines).opts(
        **style.frame(),
        xlim=(0.0, 1.0),
        ylim=(0.0, 1.05 * max(float(result["share"].max()), 1e-6)),
        legend_position="top_left",
        show_legend=len(names) > 1,
        title=style.TitleText(title or f"How sure is each trajectory?\n{words}"),
    )


def _at_level(runs: xr.Dataset, log_snr: float, partition: Partition | str | None, guidance: Names) -> xr.Dataset:
    """The posterior of the driving side of every trajectory at the nearest noise level."""
    some = select(need(runs, "trajectories", "runs", ["log_likelihood"]), guidance=guidance).isel(guidance=[0])
    level = arguments.number(log_snr, "log_snr")
    at = int(np.argmin(np.abs(some["log_snr"].values - level)))
    # an analysis takes two times at least
    near = [at, at + 1 if at + 1 < some.sizes["time"] else at - 1]
    table = side_posterior(some.isel(time=sorted(near)), partition)
    table = table.isel(time=sorted(near).index(at), guidance=0)
    own = table["posterior"].sel(side=table["driver_side"])
    return table.assign(own=own.drop_vars("side", errors="ignore"))


def _groups(table: xr.Dataset) -> list[tuple[str, Array]]:
    """The posteriors of trajectories by the side that drives them, or of all where there are many sides."""
    sides = [str(side) for side in table["side"].values]
    if len(sides) > MOST_SIDES:
        return [(f"{len(sides)} sides", table["own"].values.ravel())]
    drivers = table["driver_side"].values
    return [(side, table["own"].values[drivers == side].ravel()) for side in sides]


def trajectory_posteriors(
    runs: xr.Dataset,
    partition: Partition | str | None = None,
    axis: str = "log_snr",
    *,
    class_label: str | None = None,
    sample: int | None = None,
    guidance: Names = None,
    most: int = 30,
    title: str | None = None,
    data: bool = False,
) -> Any:
    """How sure single trajectories are of the side that drives them along the noise axis, one of them marked.

    Parameters
    ----------
    runs : Dataset
        Of kind ``trajectories``; only the samples that may be drawn are read.
    partition : Partition or str, optional
        The first of those that `runs` was sampled with by default.
    axis : {"log_snr", "sigma", "log_sigma", "time"}
        Horizontal axis.
    class_label, sample : str, int, optional
        The trajectory that is marked, which is drawn whichever the others are.
    guidance : str, optional
        Guidance setting; the first by default.
    most : int
        Trajectories that are drawn at most, as many of every class.
    title : str, optional
        Title of the figure.
    data : bool
        Return the numbers behind the figure instead of it.

    Returns
    -------
    holoviews.Overlay or pandas.DataFrame
        Thin lines in the colour of the driving side, and a thick one. With `data` a row for every point:
        ``class_label``, ``sample``, ``side``, the position on the axis, and the ``posterior`` of that side.

    Raises
    ------
    SpecentError
        If the dataset is of another kind, or something that is named is unknown.

    Examples
    --------
    >>> import specent as sp
    >>> table = trajectory_posteriors(sp.archive.example(), "cat | dog", most=4, data=True)
    >>> table[["class_label", "sample"]].drop_duplicates().values.tolist()
    [['cat', 0], ['cat', 1], ['dog', 0], ['dog', 1]]
    """
    style.heading(title)
    count = arguments.whole(most, "most", least=1)
    some = select(need(runs, "trajectories", "runs", ["log_likelihood"]), guidance=guidance).isel(guidance=[0])
    if class_label is not None:
        # one that is on no side of the partition is not drawn
        arguments.choice(class_label, "class_label", some["class_label"].values.tolist())
    posterior = side_posterior(_first_samples(some, count, sample), partition).isel(guidance=0)
    drawn = _drawn(posterior, count, class_label, sample)
    x = style.positions(some, axis)
    table = _paths(posterior, drawn, axis, x)
    if arguments.flag(data, "data"):
        return table
    return _path_figure(some, table, posterior, axis, x, (class_label, sample), title)


def _first_samples(runs: xr.Dataset, most: int, sample: int | None) -> xr.Dataset:
    """The samples of which some may be drawn: of many trajectories only these are read."""
    numbers = runs["sample"].values.tolist()
    if sample is not None and arguments.whole(sample, "sample") not in numbers:
        raise SpecentError(f"sample={sample} is not among the {len(numbers)} samples of runs")
    # an analysis takes two samples at least
    chosen = list(range(min(max(most, 2), len(numbers))))
    if sample is not None and numbers.index(sample) >= len(chosen):
        chosen.append(numbers.index(sample))
    return runs.isel(sample=chosen)


def _drawn(posterior: xr.Dataset, most: int, class_label: str | None, sample: int | None) -> list[tuple[str, int]]:
    labels = [str(name) for name in posterior["class_label"].values]
    each = max(1, most // len(labels))
    numbers = posterior["sample"].values.tolist()
    some = [(label, number) for label in labels[:most] for number in numbers[:each]]
    if class_label is None or sample is None or class_label not in labels:
        return some
    return [one for one in some if one != (class_label, sample)] + [(class_label, sample)]


def _paths(posterior: xr.Dataset, drawn: list[tuple[str, int]], axis: str, x: Array) -> pd.DataFrame:
    parts = []
    for label, number in drawn:
        one = posterior.sel(class_label=label, sample=number)
        side = str(one["driver_side"].item())
        columns = {"class_label": label, "sample": number, "side": side, axis: x}
        parts.append(pd.DataFrame({**columns, "posterior": one["posterior"].sel(side=side).values}))
    return pd.concat(parts, ignore_index=True)


def _path_figure(
    runs: xr.Dataset, table: pd.DataFrame, posterior: xr.Dataset, axis: str, x: Array,
    marked: tuple[str | None, int | None], title: str | None,
) -> Any:  # fmt: skip
    sides = list(dict.fromkeys(table["side"]))
    hues = colouring.hues(sides)
    across, up = style.axis_dimension(axis), hv.Dimension("posterior", label="posterior of its own side")
    lines = []
    for side, colour in hues.items():
        rows = table[table["side"] == side]
        others = [
            rows_of_one.assign(number=number)
            for (label, number), rows_of_one in rows.groupby(["class_label", "sample"], sort=False)
            if (label, number) != marked
        ]
        if others:
            lines.append(_several_paths(others, axis, across, up, side).opts(color=colour, line_width=1.0, alpha=0.5))
    chosen = table[(table["class_label"] == marked[0]) & (table["sample"] == marked[1])]
    if len(chosen):
        columns = (chosen[axis].to_numpy(), chosen["posterior"].to_numpy())
        curve = hv.Curve(columns, across, up, label=f"{marked[0]}, sample {marked[1]}")
        lines.append(curve.opts(color=hues[str(chosen["side"].iloc[0])], line_width=4.0))
    ends = (float(x.min()), float(x.max()))
    return hv.Overlay(lines).opts(
        **style.frame(),
        **noise_axis.view(runs, axis, ends),
        ylim=(0.0, 1.02),
        show_legend=len(lines) <= _HIGHEST,
        legend_position="bottom_right",
        title=style.TitleText(
            title or f"How sure are single trajectories?\n{posterior.attrs['partition']}, some of each class"
        ),
    )


def _several_paths(paths: list[pd.DataFrame], axis: str, across: Any, up: Any, label: str) -> Any:
    """Many lines as one curve with gaps: HoloViews takes its time for every element and every path."""
    gap = pd.DataFrame({axis: [np.nan], "posterior": [np.nan], "class_label": [""], "number": [0]})
    columns = [axis, "posterior", "class_label", "number"]
    rows = pd.concat([part for one in paths for part in (one[columns], gap)], ignore_index=True)
    curve = hv.Curve(rows, across, [up, "class_label", "number"], label=label)
    tips = [("class", "@class_label"), ("sample", "@number"), (up.label, "@posterior{0.000}")]
    return curve.opts(tools=["hover"], hover_tooltips=tips)


def predictions_at(
    runs: xr.Dataset,
    log_snr: float,
    *,
    class_label: Names = None,
    guidance: Names = None,
    most: int = 8,
    title: str | None = None,
    data: bool = False,
) -> Any:
    """What the denoiser predicts at one noise level: predictions of the data as pictures, a row per class.

    Parameters
    ----------
    runs : Dataset
        Of kind ``trajectories``, with ``preview`` (decoded pictures, which are preferred) or ``prediction`` over
        (channel, y, x).
    log_snr : float
        Noise level; the nearest one of which predictions are stored is taken.
    class_label : str or sequence, optional
        Drivers, a row each; the first 12 by default.
    guidance : str, optional
        Guidance setting; the first by default.
    most : int
        Largest number of pictures in a row.
    title : str, optional
        Title of the figure.
    data : bool
        Return the numbers behind the figure instead of it.

    Returns
    -------
    holoviews.Overlay or pandas.DataFrame
        The pictures on one raster. With `data` a row per pixel that is drawn: ``class_label``, ``sample``, ``channel``,
        ``y``, ``x`` and the ``value``.

    Raises
    ------
    SpecentError
        If the runs hold no predictions of pictures, or something that is named is unknown.

    Examples
    --------
    >>> import specent as sp
    >>> images = [[[[0.0, 1.0]]], [[[1.0, 0.0]]]]
    >>> runs = sp.sample(
    ...     sp.models.finite(images, ["left", "right"]), schedule=sp.schedules.VE(), time=sp.schedules.edm_grid(6),
    ...     samples=2, record=sp.Record(predictions=6), progress=False,
    ... )
    >>> table = predictions_at(runs, 12.0, most=1, data=True)
    >>> table["value"].round(3).tolist()
    [0.0, 1.0, 1.0, 0.0]
    """
    style.heading(title)
    pictures, decoded = predicted_pictures(need(runs, "trajectories", "runs"))
    rows = pictures if class_label is not None else pictures.isel(class_label=slice(0, _HIGHEST))
    rows = select(rows, class_label=class_label, guidance=guidance).isel(guidance=0)
    rows = rows.isel(sample=slice(0, arguments.whole(most, "most", least=1)))
    levels = np.interp(rows["prediction_time"].values, runs["time"].values, runs["log_snr"].values)
    at = int(np.argmin(np.abs(levels - arguments.number(log_snr, "log_snr"))))
    # the shades of the cleanest predictions serve all levels
    clean = pixels(rows["picture"].isel(prediction_time=int(np.argmax(levels))))
    some = rows["picture"].isel(prediction_time=at).transpose("class_label", "sample", *PIXELS)
    values = pixels(some)
    if arguments.flag(data, "data"):
        return _pixel_table(some, values)
    drawn = mosaic(Shades.of(clean, decoded)(values), max(1, values.shape[-1] // 24))
    names, columns = ordinary(some["class_label"].values), some["sample"].values.tolist()
    height, width = drawn.shape[:2]
    picture = hv.RGB(drawn, kdims=["column", "row"], bounds=(0, 0, width, height))
    pitch, high = width / len(columns), height / len(names)
    size = min(style.FRAME_WIDTH, 64 * len(columns))
    return hv.Overlay([picture]).opts(
        **style.frame(height=round(size * height / width), show_grid=False, frame_width=size),
        xticks=[((i + 0.5) * pitch, str(number)) for i, number in enumerate(columns)],
        yticks=[(height - (i + 0.5) * high, name) for i, name in enumerate(names)],
        xlabel="sample",
        ylabel="driver",
        title=style.TitleText(title or f"What the denoiser predicts at σ/α = {np.exp(-0.5 * levels[at]):.3g}"),
    )


def _pixel_table(some: xr.DataArray, values: Array) -> pd.DataFrame:
    names = [some["class_label"].values.astype(str), some["sample"].values]
    index = pd.MultiIndex.from_product(
        [*names, *(range(size) for size in values.shape[2:])], names=["class_label", "sample", *PIXELS]
    )
    return pd.DataFrame({"value": values.ravel()}, index=index).reset_index()
