"""Profiles as curves with interval bands: entropy, its rate, mutual information.

Colour tells apart what is compared, the line style the estimators; `specent.plotting.comparison` has the rules. Exact
references are thin and dashed in the colour of their partition. Up to four curves show their intervals as bands, of
more only the one under the pointer does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import holoviews as hv
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from specent import arguments
from specent.errors import SpecentError
from specent.plotting import labels, noise_axis, style
from specent.plotting.bands import BandUnderPointer
from specent.plotting.comparison import Comparison, CurvePanel, bundles, table, without_coinciding
from specent.plotting.marks import marks_on_curves
from specent.plotting.notes import short_notes
from specent.plotting.select import Names, Series, label, select_each, series_of_all
from specent.plotting.titles import in_words, short_name
from specent.plotting.views import heights, in_order, stretch
from specent.schema import need

Array = NDArray[np.float64]
Profiles = xr.Dataset | Sequence[xr.Dataset]

MOST_BANDS = 4
"""Of more curves than this the interval is drawn of the one under the pointer only."""


def entropy(
    prof: Profiles,
    axis: str = "log_snr",
    *,
    partition: Names = None,
    estimator: Names = None,
    guidance: Names = None,
    dimension: Names = None,
    run: Names = None,
    title: str | None = None,
    view: tuple[float, float] | None = None,
    data: bool = False,
) -> Any:
    """Conditional entropy H[Z|X_t] in bits against a noise axis.

    Parameters
    ----------
    prof : Dataset or sequence of Dataset
        Of kind ``profiles``. Several are drawn together, for instance a measured and an exact one; where they hold
        curves of the same names, the dataset of each is named by its title or number.
    axis : {"log_snr", "sigma", "log_sigma", "time"}
        Horizontal axis, on which generation runs to the right; "sigma" is the noise level sigma/alpha.
    partition, estimator, guidance, dimension, run : str or sequence, optional
        Names of what is drawn; all by default. The first of dimension, partition, guidance and run of which there are
        several is told apart by colour; the others have a panel each.
    title : str, optional
        Title of the figure; what it shows in words by default.
    view : tuple of float, optional
        Smallest and largest position in view; by default the stretch on which the curves change. The rest can be panned
        to.
    data : bool
        Return the numbers behind the figure instead of the figure.

    Returns
    -------
    holoviews.Overlay, or holoviews.Layout of panels, or pandas.DataFrame
        Curves and bands. More than 30 curves of a panel are replaced by medians over the partitions, with a dark band
        between the quartiles and a pale one between the extremes; the title says so. As data a row for each point of
        each curve: its names, its position, its value, ``lower`` and ``upper``, or the quantiles.

    Raises
    ------
    SpecentError
        If the dataset is of another kind, a name is unknown, or there is nothing to draw.

    Examples
    --------
    >>> import specent as sp
    >>> mix = sp.exact.GaussianMixture([[-1.0], [1.0]], labels=["a", "b"])
    >>> truth = sp.exact.profiles(mix, sp.schedules.VE(), sp.schedules.edm_grid(8), [sp.Partition.pair("a", "b")])
    >>> [type(part).__name__ for part in entropy(truth)]
    ['Segments', 'Scatter', 'Segments', 'Scatter', 'Curve']
    >>> entropy(truth, "sigma", data=True).columns.tolist()
    ['partition', 'guidance', 'estimator', 'sigma', 'entropy', 'lower', 'upper']
    """
    selection = {
        "partition": partition, "estimator": estimator, "guidance": guidance, "dimension": dimension, "run": run,
    }  # fmt: skip
    return _figure(prof, "entropy", axis, selection, title, view, data)


def mutual_information(
    prof: Profiles,
    axis: str = "log_snr",
    *,
    partition: Names = None,
    estimator: Names = None,
    guidance: Names = None,
    dimension: Names = None,
    run: Names = None,
    title: str | None = None,
    view: tuple[float, float] | None = None,
    data: bool = False,
) -> Any:
    """Mutual information I[Z;X_t] in bits against a noise axis; see `entropy` for the parameters.

    Returns
    -------
    holoviews.Overlay, or holoviews.Layout of panels, or pandas.DataFrame
        Curves and bands, or their numbers.

    Raises
    ------
    SpecentError
        If the dataset is of another kind, a name is unknown, or there is nothing to draw.
    """
    selection = {
        "partition": partition, "estimator": estimator, "guidance": guidance, "dimension": dimension, "run": run,
    }  # fmt: skip
    return _figure(prof, "mutual_information", axis, selection, title, view, data)


def rate(
    prof: Profiles,
    axis: str | None = None,
    *,
    partition: Names = None,
    estimator: Names = None,
    guidance: Names = None,
    dimension: Names = None,
    run: Names = None,
    title: str | None = None,
    view: tuple[float, float] | None = None,
    data: bool = False,
) -> Any:
    """Entropy rate in bits per unit of the axis it was taken along, which the label names.

    Parameters
    ----------
    prof : Dataset or sequence of Dataset
        Of kind ``profiles``, all with the same ``rate_axis``.
    axis : {"log_snr", "sigma", "log_sigma", "time"}, optional
        Horizontal axis; the axis of the rate by default, over which the area under the curve is an entropy.
    partition, estimator, guidance, dimension, run, title, view, data
        As for `entropy`.

    Returns
    -------
    holoviews.Overlay, or holoviews.Layout of panels, or pandas.DataFrame
        Curves and bands, or their numbers.

    Raises
    ------
    SpecentError
        If the dataset is of another kind, a name is unknown, or rates along different axes are mixed.
    """
    datasets = _datasets(prof, "entropy_rate")
    axes = sorted({str(one.attrs["rate_axis"]) for one in datasets})
    if len(axes) > 1:
        raise SpecentError(f"prof holds rates along {', '.join(axes)}, which cannot share an axis; take them along one")
    selection = {
        "partition": partition, "estimator": estimator, "guidance": guidance, "dimension": dimension, "run": run,
    }  # fmt: skip
    return _figure(datasets, "entropy_rate", style.axis_or(axis, axes[0]), selection, title, view, data)


def _datasets(prof: Profiles, name: str) -> list[xr.Dataset]:
    datasets = [prof] if isinstance(prof, xr.Dataset) or not isinstance(prof, Sequence) else list(prof)
    if not datasets:
        raise SpecentError("prof is empty; give at least one profiles dataset")
    return [need(one, "profiles", "prof", (name,)) for one in datasets]


@dataclass(frozen=True)
class _Frame:
    """What the panels of a figure share: dimensions, limits in pixels and numbers, the noise axis, and marks on it."""

    x: Any
    height: Any
    ends: tuple[float, float]
    ylim: tuple[float, float]
    size: tuple[int, int]
    log: bool
    options: dict[str, Any]
    marks: tuple[list[Any], list[labels.MarkLegend]]


def _figure(
    prof: Profiles,
    name: str,
    axis: str,
    selection: dict[str, Names],
    title: str | None,
    view: tuple[float, float] | None,
    data: bool,
) -> Any:
    datasets = _datasets(prof, name)
    style.heading(title)
    arguments.flag(data, "data")
    parts = select_each(datasets, **selection)
    curves = series_of_all(parts, name, axis)
    comparison = Comparison.of(curves)
    panels = comparison.panels(curves)
    many = any(sum(not one.exact for one in panel.curves) > style.MOST_CURVES for panel in panels)
    if data:
        return table([one for panel in panels for one in panel.curves], axis, name, bundled=many)
    log = any(style.logarithmic(one, axis) for one in datasets)
    ends = stretch(curves, log) if view is None else in_order(view, log)
    ylim = heights(curves, from_zero=name != "entropy_rate")
    size = style.frame_size(len(panels))
    x, height = style.axis_dimension(axis), style.value_dimension(datasets[0], name)
    marks = marks_on_curves(parts, axis, ends, ylim, x, height)
    whole = _Frame(x, height, ends, ylim, size, log, noise_axis.view(datasets[0], axis, ends), marks)
    figures = [_panel(panel, comparison, whole, many) for panel in panels]
    lines = [title or in_words(curves, name), *_remarks(parts, curves, name, ylim)]
    if many:
        lines.append(f"median, quartiles (dark), extremes (pale) of {len(curves)} curves")
    heading = "\n".join(line for line in lines if line)
    if len(figures) == 1:
        return figures[0].opts(title=style.TitleText(heading))
    return style.side_by_side(figures, [panel.title for panel in panels], heading)


def _remarks(parts: list[xr.Dataset], curves: list[Series], name: str, ylim: tuple[float, float]) -> list[str]:
    """What has to be said of the numbers of a figure."""
    remarks = short_notes(parts, curves) if name == "entropy" else []
    possible = [one.y[~one.impossible & np.isfinite(one.y)] for one in curves]
    if name != "entropy_rate" and any(part.size and part.min() < -0.01 * ylim[1] for part in possible):
        remarks.append("Below the axis: unbiased estimates of a number near 0 scatter to either side of it")
    return remarks


def _panel(panel: CurvePanel, comparison: Comparison, whole: _Frame, many: bool) -> Any:
    """The curves of one panel with what names them."""
    apart, alike = (panel.curves, {}) if many else without_coinciding(panel.curves)
    drawn = CurvePanel(panel.title, apart)
    elements, bands, names = _bundled(panel, whole) if many else _separate(drawn, comparison, whole)
    crosses, inside = _crosses(panel.curves, whole)
    hooks = [*whole.options["hooks"], names, *comparison.legend(drawn.curves, alike), *whole.marks[1]]
    if len(bands) > MOST_BANDS and not many:
        hooks.append(BandUnderPointer())
        bands = []
    options = {**whole.options, "hooks": hooks, "ylim": inside or whole.ylim}
    width, height = whole.size
    return hv.Overlay([*whole.marks[0], *bands, *elements, *crosses]).opts(
        **style.frame(height=height) | {"frame_width": width} | options, show_legend=False
    )


def _crosses(curves: Sequence[Series], whole: _Frame) -> tuple[list[Any], tuple[float, float] | None]:
    """Marks on impossible values, and limits that hold them; marks beyond the others stand at the limits."""
    if not any(one.impossible.any() for one in curves):
        return [], None
    values = np.concatenate([one.y[one.impossible] for one in curves])
    positions = np.concatenate([one.x[one.impossible] for one in curves])
    low, high = whole.ylim
    margin = 0.04 * (high - low)
    low, high = (low - 2 * margin if values.min() < low else low), high + margin
    inside = np.clip(values, low + margin, high - margin)
    crosses = hv.Scatter(
        (positions, inside, values), whole.x, [whole.height, hv.Dimension("value")], label="impossible value"
    )
    tips = [("impossible value", "@value"), (whole.x.name, f"@{{{whole.x.name}}}")]
    crosses.opts(marker="x", color="#666666", size=9, line_width=2, tools=["hover"], hover_tooltips=tips)
    return [crosses], (low, high)


def _separate(
    panel: CurvePanel, comparison: Comparison, whole: _Frame
) -> tuple[list[Any], list[Any], labels.DirectLabels]:
    """Every curve for itself, its band, and a label for every colour."""
    dims = comparison.differing
    elements, bands = [], []
    for one in panel.curves:
        text, line = label(one.names, dims), comparison.stroke(one)
        if one.bounded and not one.exact:
            bands.append(_band(one, text, whole.x, whole.height, line.colour))
        elements.append(curve(one, text, whole.x, whole.height, line))
    named = {comparison.key(one): one for one in reversed(panel.curves) if not one.exact or not comparison.measured}
    if len(named) < 2 or comparison.ordered:
        return elements, bands, labels.DirectLabels((), (), (), ())
    first = [one for one in panel.curves if any(one is other for other in named.values())]
    others = [one for one in panel.curves if not any(one is other for other in first)]
    names = labels.direct_labels(
        [(one.x, one.y) for one in first],
        [short_name(comparison.key(one), one.family) for one in first],
        [comparison.stroke(one).colour for one in first],
        (whole.ends, whole.ylim, whole.size),
        log=whole.log,
        obstacles=[(one.x, one.y) for one in others],
    )
    return elements, bands, names


def curve(one: Series, text: str, x: Any, height: Any, line: style.Stroke, scale: float = 1.0) -> Any:
    """One curve, whose hover names it and its interval; `scale` divides its positions on the axis."""
    vdims = [height, hv.Dimension("lower"), hv.Dimension("upper"), hv.Dimension("curve")]
    columns = (one.x / scale, one.y, one.lower, one.upper, np.full(one.x.shape, text))
    return hv.Curve(columns, x, vdims, label=text).opts(
        color=line.colour,
        line_dash=line.dash,
        line_width=line.width,
        tools=["hover"],
        hover_tooltips=[
            ("", "@curve"),
            (x.name, f"@{{{x.name}}}"),
            (height.name, f"@{{{height.name}}} [@lower, @upper]"),
        ],
    )


def _band(one: Series, text: str, x: Any, height: Any, colour: str) -> Any:
    band = hv.Area((one.x, one.lower, one.upper), x, [height, hv.Dimension("upper")], label=text)
    return band.opts(color=colour, fill_alpha=0.2, line_alpha=0.0)


def _bundled(panel: CurvePanel, whole: _Frame) -> tuple[list[Any], list[Any], labels.DirectLabels]:
    """Medians over the partitions of one family, with bands between the quartiles and between the extremes."""
    groups = bundles(panel.curves)
    if len(groups) > style.MOST_CURVES:
        raise SpecentError(
            f"{len(panel.curves)} curves make {len(groups)} medians, still more than {style.MOST_CURVES}; "
            "select fewer with partition=, estimator=, guidance=, dimension= or run="
        )
    comparison = Comparison.of([group.median for group in groups])
    bands, elements = [], []
    for group in groups:
        line = comparison.stroke(group.median)
        for low, high, alpha in ((0, 4, 0.10), (1, 3, 0.25)):
            ends = (group.median.x, group.levels[low], group.levels[high])
            band = hv.Area(ends, whole.x, [whole.height, hv.Dimension("upper")], label=group.name)
            bands.append(band.opts(color=line.colour, fill_alpha=alpha, line_alpha=0.0))
        elements.append(curve(group.median, group.name, whole.x, whole.height, line))
    medians = [group.median for group in groups]
    names = labels.direct_labels(
        [(one.x, one.y) for one in medians], [group.name for group in groups],
        [comparison.stroke(one).colour for one in medians], (whole.ends, whole.ylim, whole.size), log=whole.log,
    )  # fmt: skip
    return elements, bands, names
