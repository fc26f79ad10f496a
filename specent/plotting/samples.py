"""Final samples as pictures: a row per class, a panel per guidance setting."""

from __future__ import annotations

from typing import Any

import holoviews as hv
import numpy as np
import xarray as xr

from specent import arguments
from specent.plotting import style
from specent.plotting.raster import Array, Bytes, Shades, evenly, mosaic, need_pictures, ordinary, pixels, wrapped
from specent.plotting.select import Names, select
from specent.schema import need

MOST_CLASSES = 12
"""More classes than this are not drawn unless they are named."""

LARGEST = 64
"""Pictures are drawn at most this wide, in pixels."""


def samples(
    runs: xr.Dataset,
    *,
    class_label: Names = None,
    guidance: Names = None,
    most: int | None = None,
    title: str | None = None,
    data: bool = False,
) -> Any:
    """What the model draws of each class: final samples as pictures, a row per class, a panel per guidance setting.

    Parameters
    ----------
    runs : Dataset
        Of kind ``trajectories``, with final samples over (channel, y, x) or with ``preview`` (decoded pictures), of
        which those at the lowest noise are shown. Three channels are shown in colour, otherwise the first in grey.
    class_label : str or sequence, optional
        Classes, a row each. By default all, of more than 12 classes 12 that are spread evenly over their order in the
        file; the title says how many of them are shown.
    guidance : str or sequence, optional
        Guidance settings, a panel each, side by side; all by default. They are shaded alike: from the darkest to the
        lightest pixel of the first one, so that overshooting under guidance is seen as saturation.
    most : int, optional
        Largest number of samples in a row of a panel; by default 8, less where there are more than three settings.
        The first ones are shown, which share their random numbers between settings.
    title : str, optional
        Title of the figure.
    data : bool
        Whether to return the numbers behind the figure instead.

    Returns
    -------
    holoviews.Overlay
        The pictures of all panels on one raster. With `data`, a table with a row per pixel
        drawn: ``guidance``, ``class_label``, ``sample``, ``channel``, ``y``, ``x``, the ``value`` of the dataset (the
        mean over a block of pixels where a picture is larger than 96 pixels) and its ``shade`` from 0 to 255.

    Raises
    ------
    SpecentError
        If the runs end in no pictures, or a name is unknown.

    Examples
    --------
    >>> import specent as sp
    >>> images = [[[[0.0, 1.0]]], [[[1.0, 0.0]]]]
    >>> runs = sp.sample(
    ...     sp.models.finite(images, ["left", "right"]), schedule=sp.schedules.VE(),
    ...     time=sp.schedules.edm_grid(6), samples=2, progress=False,
    ... )
    >>> table = samples(runs, data=True)
    >>> table[(table.class_label == "left") & (table["sample"] == 0)]["shade"].tolist()
    [0, 255]
    """
    runs = need(runs, "trajectories", "runs")
    style.heading(title)
    arguments.flag(data, "data")
    every, words = need_pictures(runs)
    some = select(every.to_dataset(name="picture"), class_label=class_label, guidance=guidance)["picture"]
    default = _default_most(some.sizes["guidance"])
    count = default if most is None else arguments.whole(most, "most", least=1)
    classes = some.sizes["class_label"]
    if class_label is None:
        some = some.isel(class_label=evenly(classes, MOST_CLASSES))
    some = some.isel(sample=slice(0, count)).transpose("guidance", "class_label", "sample", "channel", "y", "x")
    values = pixels(some)
    # one scale for all settings, or they could not be compared
    shades = Shades.of(values[0], words != "final samples")
    drawn = shades(values)
    if data:
        return _table(some, values, drawn)
    settings, rows = ordinary(some["guidance"].values), ordinary(some["class_label"].values)
    lines = [title or f"What the model draws of each class: {words}"]
    lines.append(_shown(some, classes, every.sizes["sample"]) + (f", {settings[0]}" if len(settings) == 1 else ""))
    return _grid(drawn, rows, settings, lines)


def _default_most(settings: int) -> int:
    """Samples in a row of every panel, so many that all panels fit into one figure."""
    return max(2, min(8, 24 // settings))


def _shown(some: xr.DataArray, classes: int, every: int) -> str:
    """Which part of the classes and samples is shown, in words."""
    rows, columns = some.sizes["class_label"], some.sizes["sample"]
    text = f"{rows} classes" if rows == classes else f"{rows} of {classes} classes, spread evenly over their order"
    return f"{text}; {columns} of {every} samples each" if columns < every else f"{text}; {columns} samples each"


def _grid(drawn: Bytes, classes: list[str], settings: list[str], lines: list[str]) -> Any:
    """All pictures on a single raster, as hundreds of images would be slow to draw; a block of columns per setting."""
    panels, rows, columns, _, width, _ = drawn.shape
    gap = max(1, width // 24)
    blocks = [mosaic(panel, gap) for panel in drawn]
    between = np.zeros((blocks[0].shape[0], (width + 2 * gap) // 2, 4), dtype=np.uint8)
    raster = np.concatenate([part for block in blocks for part in (between, block)][1:], axis=1)
    # one unit is a column
    step = columns + between.shape[1] / (width + 2 * gap)
    right = panels * step - (step - columns)
    grid = hv.RGB(
        raster, kdims=[hv.Dimension("sample"), hv.Dimension("class")], vdims=["R", "G", "B", "A"],
        bounds=(0.0, -float(rows), right, 0.0),
    )  # fmt: skip
    side = min(style.FRAME_WIDTH / right, LARGEST)
    heads = {"xticks": [(g * step + columns / 2, name) for g, name in enumerate(settings)], "xlabel": "guidance"}
    crowded = max(map(len, settings)) * 7 > side * step
    frame = style.frame(height=round(side * raster.shape[0] / (width + 2 * gap)), show_grid=False)
    # a narrow grid leaves room for its title
    beside = max(0, 480 - round(side * right))
    frame["backend_opts"] = {**frame["backend_opts"], "plot.min_border_right": beside}
    return hv.Overlay([grid]).opts(
        **frame | {"frame_width": round(side * right), "default_tools": ["save"]},
        **({"xaxis": "top", "xrotation": 30 if crowded else 0, **heads} if panels > 1 else {"xaxis": None}),
        yticks=[(-row - 0.5, name) for row, name in enumerate(classes)],
        ylabel="class",
        title=wrapped(lines, side * right + beside),
        show_legend=False,
    )


def _table(some: xr.DataArray, values: Array, drawn: Bytes) -> Any:
    """A row per pixel that is drawn."""
    channels = 3 if values.shape[-3] == 3 else 1
    dims = ("guidance", "class_label", "sample", "channel", "y", "x")
    names = {dim: some[dim].values for dim in dims[:3]}
    counts = {dim: np.arange(size) for dim, size in zip(dims[3:], (channels, *values.shape[4:]), strict=True)}
    columns = {
        "value": (dims, values[..., :channels, :, :]),
        "shade": (dims, np.moveaxis(drawn[..., :channels], -1, -3)),
    }
    return xr.Dataset(columns, {**names, **counts}).to_dataframe(dim_order=list(dims)).reset_index()
