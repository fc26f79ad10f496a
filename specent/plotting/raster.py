"""Pictures of trajectories as pixels that can be drawn: where they come from, their shades, and many on one raster."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from textwrap import wrap

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from specent.errors import SpecentError
from specent.plotting.style import TitleText

Array = NDArray[np.float64]
Bytes = NDArray[np.uint8]

PIXELS = ("channel", "y", "x")
MOST_PIXELS = 96
"""Pictures with longer sides are averaged over blocks of pixels before they are drawn."""


@dataclass(frozen=True)
class Shades:
    """The two numbers that are drawn black and white; what lies beyond them is drawn like them."""

    black: float
    white: float

    @classmethod
    def of(cls, pictures: Array, decoded: bool) -> Shades:
        """Those of decoded pictures are 0 and 255, otherwise the extremes of some reference pictures."""
        if decoded:
            return cls(0.0, 255.0)
        finite = pictures[np.isfinite(pictures)]
        return cls(float(finite.min()), float(finite.max())) if finite.size else cls(0.0, 1.0)

    def __call__(self, pictures: Array) -> Bytes:
        """Pictures (..., channel, y, x) in 0 to 255; three channels are colours, otherwise the first is shown in grey.

        Returns shape (..., y, x, 3).

        Examples
        --------
        >>> Shades(-1.0, 1.0)(np.array([[[-1.0, 0.0, 3.0]]]))[0].tolist()
        [[0, 0, 0], [128, 128, 128], [255, 255, 255]]
        """
        some = pictures if pictures.shape[-3] == 3 else np.repeat(pictures[..., :1, :, :], 3, axis=-3)
        unit = (some - self.black) / max(self.white - self.black, 1e-12)
        shades = np.rint(255 * np.clip(np.nan_to_num(unit, nan=0.0), 0.0, 1.0)).astype(np.uint8)
        return np.moveaxis(shades, -3, -1)


def predicted_pictures(runs: xr.Dataset) -> tuple[xr.Dataset, bool]:
    """Predictions of pictures over (..., channel, y, x), and whether they are decoded ones."""
    if "preview" in runs:
        return runs[["preview"]].rename({"preview": "picture", **{f"preview_{dim}": dim for dim in PIXELS}}), True
    if "prediction" in runs and set(PIXELS) <= set(runs["prediction"].dims):
        return runs[["prediction"]].rename(prediction="picture"), False
    raise SpecentError(
        "runs hold no predictions of pictures over (channel, y, x); sample a model of images and record predictions"
    )


def final_pictures(runs: xr.Dataset) -> tuple[xr.DataArray | None, str]:
    """The pictures at the end of every trajectory, and what they are in words.

    Parameters
    ----------
    runs : Dataset
        Of kind ``trajectories``.

    Returns
    -------
    DataArray or None
        Over (guidance, class_label, sample, channel, y, x): the decoded prediction at the lowest noise where there is
        one, as latents are no pictures, otherwise the final sample; None where neither is a picture.
    str
        "final samples" or "last decoded predictions".
    """
    if "preview" in runs:
        last = runs["preview"].isel(prediction_time=int(np.argmin(runs["prediction_time"].values)))
        renamed = last.rename({f"preview_{dim}": dim for dim in PIXELS})
        return renamed.drop_vars([*PIXELS], errors="ignore"), "last decoded predictions"
    if "final" in runs and set(PIXELS) <= set(runs["final"].dims):
        return runs["final"].drop_vars([*PIXELS], errors="ignore"), "final samples"
    return None, ""


def need_pictures(runs: xr.Dataset) -> tuple[xr.DataArray, str]:
    """As `final_pictures`, for a figure that cannot do without.

    Raises
    ------
    SpecentError
        If the trajectories end in no pictures.
    """
    pictures, words = final_pictures(runs)
    if pictures is None:
        shape = dict(runs["final"].sizes) if "final" in runs else {}
        inner = [f"{dim}={size}" for dim, size in shape.items() if dim not in ("guidance", "class_label", "sample")]
        held = f"their final samples are over ({', '.join(inner)})" if inner else "they hold no final samples"
        raise SpecentError(
            f"runs hold no pictures over (channel, y, x): {held}; sample a model of images, or decode latents with "
            "sp.models.previews"
        )
    return pictures, words


def pixels(pictures: xr.DataArray) -> Array:
    """The numbers of some pictures with the pixels last, averaged over blocks where they are too large to be drawn."""
    values = np.asarray(pictures.transpose(..., *PIXELS).compute().values, dtype=np.float64)
    block = -(-max(values.shape[-2:]) // MOST_PIXELS)
    return shrunk(values, block) if block > 1 else values


def shrunk(values: Array, block: int) -> Array:
    """Means over blocks of `block` by `block` pixels, (..., y, x); a rest at the far edges is left out.

    Examples
    --------
    >>> shrunk(np.arange(10.0).reshape(2, 5), 2).tolist()
    [[3.0, 5.0]]
    """
    height, width = (size // block for size in values.shape[-2:])
    cut = values[..., : height * block, : width * block]
    means: Array = cut.reshape(*values.shape[:-2], height, block, width, block).mean(axis=(-3, -1))
    return means


def mosaic(tiles: Bytes, gap: int = 1) -> Bytes:
    """Pictures (row, column, y, x, 3) on one raster (y, x, 4), with `gap` transparent pixels around every one.

    Examples
    --------
    >>> mosaic(np.full((1, 2, 1, 1, 3), 9, dtype=np.uint8))[1, :, 3].tolist()
    [0, 255, 0, 0, 255, 0]
    """
    rows, columns, height, width, _ = tiles.shape
    whole = np.zeros((rows, columns, height + 2 * gap, width + 2 * gap, 4), dtype=np.uint8)
    inside = whole[:, :, gap : gap + height, gap : gap + width]
    inside[..., :3], inside[..., 3] = tiles, 255
    return whole.swapaxes(1, 2).reshape(rows * whole.shape[2], columns * whole.shape[3], 4)


def evenly(count: int, most: int) -> list[int]:
    """`most` of `count` indices, evenly spread from the first to the last; all where there are no more.

    Examples
    --------
    >>> evenly(9, 3), evenly(2, 3)
    ([0, 4, 8], [0, 1])
    """
    if count <= most:
        return [*range(count)]
    return [int(index) for index in np.linspace(0, count - 1, most).round()]


def ordinary(names: Iterable[object]) -> list[str]:
    """Names of coordinates as text for ticks, cut where they would take the room of the figure."""
    texts = [str(name) for name in names]
    return [text if len(text) <= 24 else f"{text[:23]}…" for text in texts]


def wrapped(lines: Iterable[str], pixels: float) -> str:
    """Lines of a title, broken where they would be wider than the figure.

    Examples
    --------
    >>> print(wrapped(["Which samples are shown", "", "all"], 150.0))
    Which samples are
    shown
    all
    """
    broken = (part for line in lines for part in wrap(line, max(12, int(pixels / 8.8))))
    return TitleText("\n".join(broken))
