"""The style shared by all figures: palette, dashes, sizes, axis dimensions and labels."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import holoviews as hv
import numpy as np
import xarray as xr
from bokeh.palettes import Viridis256
from numpy.typing import NDArray

from specent import arguments
from specent.arguments import brief
from specent.axes import AXIS_LABELS as AXIS_LABELS
from specent.axes import check_axis, position
from specent.errors import SpecentError
from specent.schedules import Schedule, from_json
from specent.schema import KINDS

# registers the Bokeh backend and, in a notebook, loads what displays it
hv.extension("bokeh", logo=False, inline=True)

Array = NDArray[np.float64]

MOST_CURVES = 30
"""More curves than this are shown as medians and bands, never as curves."""

EASY = 12
"""More curves than this are hard to read: references are drawn faintly, and pages leave out what nobody selected."""

# the colour sequences of Petroff (arXiv 2107.02270), chosen for every kind of colour vision; the longer one is paler
PALETTE = ("#5790fc", "#f89c20", "#e42536", "#964a8b", "#9c9ca1", "#7a21dd")
LONG_PALETTE = (
    "#3f90da", "#ffa90e", "#bd1f01", "#94a4a2", "#832db6", "#a96b59", "#e76300", "#b9ac70", "#717581", "#92dadd",
)  # fmt: skip
SEQUENTIAL = "viridis"
DIVERGING = "coolwarm"
NEUTRAL = "#666666"

EXACT = "#000000"
EXACT_DASH = "dashed"
ESTIMATOR_DASHES: dict[str, str | list[int]] = {
    "path": "solid",
    "rao_blackwell": [14, 4],
    "denoiser_gap": [2, 3],
    "cross_entropy": [9, 3, 2, 3],
    "null": [1, 6],
    "exact": EXACT_DASH,
}
"""How the line of every estimator is dashed, in every figure."""
DASHES: tuple[str | list[int], ...] = ("solid", "dotted", "dotdash", [12, 3], [1, 6], [12, 3, 2, 3, 2, 3])

FRAME_WIDTH, FRAME_HEIGHT = 560, 330
PANEL_WIDTH, PANEL_HEIGHT = 400, 260
FONTS = {
    "title": "13px",
    "labels": "14px",
    "xticks": "12px",
    "yticks": "12px",
    "legend": "12px",
    "legend_title": "12px",
}

AXIS_NAMES = {"log_snr": "log-SNR", "log_sigma": "ln σ", "sigma": "σ", "time": "t"}
VALUE_LABELS = {
    "entropy": "conditional entropy H[Z | Xₜ]",
    "mutual_information": "mutual information I[Z ; Xₜ]",
    "entropy_rate": "entropy rate",
}


def axis_dimension(axis: str) -> Any:
    """Dimension of a figure's noise axis, on which generation runs to the right."""
    return hv.Dimension(check_axis(axis), label=AXIS_LABELS[axis])


def value_dimension(dataset: xr.Dataset, name: str) -> Any:
    """Dimension of a variable, labelled by its ``long_name`` and ``units``; a rate names the axis it is taken along."""
    # arithmetic on a dataset may have dropped the attributes
    attrs = {**KINDS["profiles"][name].attributes({}), **dataset[name].attrs}
    units = "" if attrs["units"] == "1" else str(attrs["units"])
    if name.startswith(("entropy_rate", "peak_rate")):
        units += f" per unit of {AXIS_NAMES[str(dataset.attrs['rate_axis'])]}"
    text = VALUE_LABELS.get(name, str(attrs["long_name"]).partition(",")[0])
    return hv.Dimension(name, label=text, unit=units or None)


def positions(dataset: xr.Dataset, axis: str) -> Array:
    """Position of every time of `dataset` on `axis`, shape (time,)."""
    if check_axis(axis) == "time":
        return np.asarray(dataset["time"].values, dtype=np.float64)
    if "log_snr" not in dataset.coords:
        raise SpecentError(f"axis={axis!r} needs the coordinate 'log_snr', which the dataset lacks; use axis='time'")
    return position(axis, dataset["log_snr"].values)


def axis_or(axis: str | None, default: str) -> str:
    """The axis that a caller names, or another one where none is named."""
    return default if axis is None else check_axis(axis)


def to_axis(values: Array, origin: str, axis: str) -> Array:
    """Positions on the axis `origin` as positions on `axis`; possible wherever no schedule is needed."""
    if origin == check_axis(axis):
        return values
    if "time" in (origin, axis):
        raise SpecentError(f"axis={axis!r}: positions along {origin!r} cannot be converted to it without the schedule")
    if origin == "sigma":
        # a bootstrap bound may be 0, which lies infinitely far on the side of the data
        with np.errstate(divide="ignore"):
            return position(axis, -2 * np.log(values))
    return position(axis, values if origin == "log_snr" else -2 * values)


def logarithmic(dataset: xr.Dataset, axis: str) -> bool:
    """Whether `axis` is drawn on a logarithmic scale: noise levels are, and times that are noise levels."""
    schedule = schedule_of(dataset)
    return axis == "sigma" or (axis == "time" and schedule is not None and schedule.time_is_noise_level)


def schedule_of(dataset: xr.Dataset) -> Schedule | None:
    """The noise schedule of a dataset; None if the dataset does not name it, or names an unknown one."""
    try:
        return from_json(str(dataset.attrs.get("schedule", "")))
    except SpecentError:
        return None


def ticks(values: Array) -> list[tuple[float, str]]:
    """Ticks of a logarithmic axis over the positive ones of `values`: at decades, at 1, 2 and 5, or closer."""
    positive = values[np.isfinite(values) & (values > 0)]
    if not positive.size:
        return []
    low, high = np.log10(positive.min()), np.log10(positive.max())
    digits: tuple[float, ...] = (1, 2, 5) if high - low < 3 else (1,)
    if high - low < 0.8:
        digits = (1, 1.5, 2, 3, 4, 5, 6, 7, 8, 9)
    if high - low < 0.4:
        digits = (1, 1.2, 1.4, 1.6, 1.8, 2, 2.5, 3, 3.5, 4, 4.5, 5, 6, 7, 8, 9)
    powers = range(int(np.floor(low)) - 1, int(np.ceil(high)) + 1)
    return [(digit * 10.0**power, f"{digit * 10.0**power:g}") for power in powers for digit in digits]


def noise_axis(values: Array, log: bool) -> dict[str, Any]:
    """Options of the horizontal axis for the positions drawn on it."""
    return {"logx": True, "xticks": ticks(values)} if log else {}


def heading(title: str | None) -> str | None:
    """The title of a figure or page, if it is text that can be written."""
    if title is not None:
        arguments.instance(title, str, "title", "give text")
        try:
            title.encode()
        except UnicodeEncodeError as error:
            raise SpecentError(f"title={brief(title)} holds characters that cannot be written") from error
    return title


class TitleText(str):
    """The text of a title as it is.

    HoloViews takes titles for templates: a class that is called ``{x}`` would end in a KeyError, and one that is called
    ``{label:>999999999}`` would fill the memory.
    """

    __slots__ = ()

    def format(self, *_arguments: object, **_names: object) -> str:
        """The text itself."""
        return str(self)


def frame_size(panels: int) -> tuple[int, int]:
    """Width and height of the frame of a figure, or of each of several panels, in pixels."""
    return (FRAME_WIDTH, FRAME_HEIGHT) if panels == 1 else (PANEL_WIDTH, PANEL_HEIGHT)


def side_by_side(figures: Sequence[Any], titles: Sequence[str], heading: str) -> Any:
    """Panels with a title each under one heading, in two columns with shared axes."""
    titled = [figure.opts(title=TitleText(title)) for figure, title in zip(figures, titles, strict=True)]
    return hv.Layout(titled).cols(2).opts(shared_axes=True, title=heading_of_panels(heading))


def heading_of_panels(text: str) -> str:
    """The heading above several panels, which HoloViews writes as HTML while titles of single figures are text."""
    return TitleText(html.escape(text, quote=False))


def frame(height: int = FRAME_HEIGHT, **more: Any) -> dict[str, Any]:
    """Options of a whole figure: frames of one width and one left margin, so that stacked axes line up."""
    return {
        "frame_width": FRAME_WIDTH,
        "frame_height": height,
        "show_grid": True,
        "fontsize": FONTS,
        "toolbar": "above",
        "default_tools": ["pan", "box_zoom", "save", "reset"],
        "backend_opts": {"plot.min_border_left": 90, "plot.toolbar.logo": None},
        **more,
    }


def legend(entries: int = 1) -> dict[str, Any]:
    """Options of a legend outside the frame, whose entries hide their curve when clicked."""
    return {
        # a legend higher than the figure would not be drawn
        "legend_limit": 10 * MOST_CURVES,
        "legend_cols": 1 + (entries - 1) // 14,
        "legend_position": "right",
        "show_legend": True,
        "legend_opts": {"click_policy": "hide", "padding": 4, "location": "top_left"},
    }


@dataclass(frozen=True)
class Stroke:
    """How a curve is drawn."""

    colour: str
    dash: str | list[int] = "solid"
    width: float = 2.2


REFERENCE = Stroke(EXACT, EXACT_DASH, 1.5)


def colours(count: int, ordered: bool = False) -> list[str]:
    """`count` colours: shades of one scale if `ordered`, otherwise the palette, repeated."""
    if ordered:
        # the pale yellow end of the scale is left out
        return [str(Viridis256[round(i * 225 / max(count - 1, 1))]) for i in range(count)]
    palette = PALETTE if count <= len(PALETTE) else LONG_PALETTE
    return [palette[i % len(palette)] for i in range(count)]


def dash(estimator: str | None) -> str | list[int]:
    """Dashes of the line of an estimator; a curve that names none is solid."""
    return ESTIMATOR_DASHES.get(estimator or "path", DASHES[-1])


def dimension_text(value: float) -> str:
    """Ambient dimension for a legend: large powers of two as such."""
    power = np.log2(value)
    return f"d = 2^{power:.0f}" if value >= 1024 and power == round(power) else f"d = {value:g}"


def name_list(names: Sequence[str], most: int = 8) -> str:
    """Names for an error message, cut after a few."""
    text = ", ".join(repr(name) for name in names[:most])
    return text + (f", ... ({len(names)} in all)" if len(names) > most else "")
