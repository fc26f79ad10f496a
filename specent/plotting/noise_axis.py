r"""The noise axis of a figure: one direction, one view, and a second scale on top that agrees with the first.

Generation runs to the right on every axis: noise on the left, data on the right. Log-SNR :math:`\ln(\alpha^2/\sigma^2)`
grows that way (arXiv 2107.00630); the noise level :math:`\sigma/\alpha`, its logarithm and the time of a schedule are
drawn from large to small.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xarray as xr
from bokeh.models import FixedTicker, LinearAxis
from numpy.typing import NDArray

from specent.axes import check_axis
from specent.errors import SpecentError
from specent.plotting import style

Array = NDArray[np.float64]
Conversion = Callable[[Array], Array]

# squares and ratios of larger numbers overflow
_FARTHEST = 1e100

TAG = "noise axis"
"""Bokeh figures with a noise axis carry this among their tags, then the name of the axis, and columns of positions."""


@dataclass(frozen=True)
class SecondScale:
    """Marks of another scale on top of a figure, at positions on the axis below; also says which axis that is.

    Parameters
    ----------
    axis : str
        The axis below.
    title : str
        What the marks are.
    marks : tuple of (float, str)
        Position and text of every mark.
    positions : tuple of str
        Columns that hold positions on the axis and are only read off, such as the ends of an interval.
    """

    axis: str
    title: str
    marks: tuple[tuple[float, str], ...]
    positions: tuple[str, ...] = ()

    def __call__(self, plot: Any, _element: Any) -> None:
        """Add the scale to a Bokeh figure."""
        figure = plot.state
        if TAG in figure.tags:
            return
        figure.tags = [*figure.tags, TAG, self.axis, list(self.positions)]
        if self.marks:
            positions = [position for position, _ in self.marks]
            scale = LinearAxis(axis_label=self.title, name="second scale")
            scale.update(
                ticker=FixedTicker(ticks=positions), major_label_overrides=dict(self.marks), minor_tick_line_alpha=0.0
            )
            scale.update(axis_label_text_font_size="12px", major_label_text_font_size="11px", minor_tick_line_alpha=0.0)
            figure.add_layout(scale, "above")

    def on_axes(self, axes: Any) -> None:
        """Add the scale to axes of Matplotlib."""
        if self.marks:
            scale = axes.secondary_xaxis("top")
            low, high = sorted(axes.get_xlim())
            inside = [(position, text) for position, text in self.marks if low <= position <= high]
            scale.set_xticks([position for position, _ in inside], [text for _, text in inside])
            scale.minorticks_off()
            scale.set_xlabel(self.title)


def view(
    dataset: xr.Dataset, axis: str, ends: tuple[float, float], *, second: bool = True, positions: tuple[str, ...] = ()
) -> dict[str, Any]:
    """Options of a figure that shows a stretch of a noise axis.

    Parameters
    ----------
    dataset : Dataset
        With the coordinate ``log_snr`` on ``time``, which a second scale over time needs; without it there is none.
    axis : {"log_snr", "sigma", "log_sigma", "time"}
        The axis.
    ends : tuple of float
        The smallest and the largest position in view.
    second : bool
        Whether to draw the second scale.
    positions : tuple of str
        Columns of the figure, other than those it is drawn at, that hold positions on the axis.

    Returns
    -------
    dict
        Limits, direction, marks, and the second scale among the ``hooks``.

    Raises
    ------
    SpecentError
        If the positions lie beyond what a figure can show.
    """
    low, high = float(min(ends)), float(max(ends))
    log = style.logarithmic(dataset, check_axis(axis))
    if not (1 / _FARTHEST if log else -_FARTHEST) <= low <= high <= _FARTHEST:
        raise SpecentError(
            f"positions from {low:g} to {high:g} cannot be drawn along axis={axis!r}; choose another axis, or leave "
            "out what lies so far away"
        )
    options: dict[str, Any] = {"xlim": (low, high), **style.noise_axis(np.array([low, high]), log)}
    if axis != "log_snr":
        options["invert_xaxis"] = True
    scale = _second_scale(dataset, axis, low, high, log) if second else SecondScale(axis, "", ())
    return options | {"hooks": [replace(scale, positions=positions)]}


def _second_scale(dataset: xr.Dataset, axis: str, low: float, high: float, log: bool) -> SecondScale:
    """Log-SNR over noise levels and over times that are such, noise levels over everything else."""
    converted = _conversion(dataset, axis)
    if converted is None:
        return SecondScale(axis, "", ())
    to_log_snr, from_log_snr = converted
    ends = np.sort(to_log_snr(np.array([low, high])))
    if log:
        values = _round_numbers(*ends)
        # with the minus sign of the scale below
        texts = [f"{value:g}".replace("-", "−") for value in values]
    else:
        # a noise level of exp(350) or more is none that could be read
        marks = style.ticks(np.exp(-0.5 * np.clip(ends, -700.0, 700.0)))
        levels = [mark for mark in marks if ends[0] <= -2 * np.log(mark[0]) <= ends[1]]
        values, texts = np.array([-2 * np.log(level) for level, _ in levels]), [text for _, text in levels]
    positions = from_log_snr(values)
    title = style.AXIS_LABELS["log_snr" if log else "sigma"].partition("  (")[0]
    return SecondScale(axis, title, tuple(zip(positions.tolist(), texts, strict=True)))


def _conversion(dataset: xr.Dataset, axis: str) -> tuple[Conversion, Conversion] | None:
    """Positions on the axis as log-SNR and back; None where a time has no log-SNR."""
    if axis != "time":
        return (lambda x: style.to_axis(x, axis, "log_snr")), (lambda x: style.to_axis(x, "log_snr", axis))
    if "log_snr" not in dataset.coords or dataset.sizes["time"] < 2:
        return None
    time, log_snr = (np.asarray(dataset[name].values, dtype=np.float64) for name in ("time", "log_snr"))
    order = np.argsort(time)
    time, log_snr = time[order], log_snr[order]
    return (lambda x: np.interp(x, time, log_snr)), (lambda x: np.interp(x, log_snr[::-1], time[::-1]))


def _round_numbers(low: float, high: float, most: int = 8) -> Array:
    """At most `most` multiples of 1, 2 or 5 times a power of ten between two numbers."""
    step = 10.0 ** np.floor(np.log10((high - low) / most or 1.0))
    step *= next((factor for factor in (1, 2, 5) if (high - low) / (factor * step) <= most), 10)
    marks: Array = np.arange(np.ceil(low / step), np.floor(high / step) + 1) * step
    return marks
