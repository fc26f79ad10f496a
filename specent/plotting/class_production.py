"""Entropy rates class by class under each guidance setting: median and quartiles (arXiv 2602.09651, Fig. 3)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import holoviews as hv
import pandas as pd
import xarray as xr

from specent import analysis, arguments
from specent.arguments import brief
from specent.errors import SpecentError
from specent.plotting import colouring, labels, noise_axis, style
from specent.plotting.comparison import ESTIMATOR_NAMES, Bundle, bundles
from specent.plotting.curves import curve
from specent.plotting.guidance_effect import bars_note, foot_of, guiding_bars
from specent.plotting.marks import setting_text
from specent.plotting.select import Names, families, names_of, select, series
from specent.plotting.views import heights, stretch
from specent.schema import need

FAMILIES = ("one against the rest", "against the null condition", "pairs")
"""Partitions that stand for the classes: the first of these of which there are two."""


def class_production(
    prof: xr.Dataset,
    axis: str | None = None,
    *,
    partition: Names = None,
    guidance: Names = None,
    estimator: str = "path",
    title: str | None = None,
    data: bool = False,
) -> Any:
    """Median and quartiles over the classes of the entropy rate, a colour per guidance setting.

    The median of differences that `guidance_effect` shows is not the difference of these medians, but where all classes
    are alike both agree.

    Parameters
    ----------
    prof : Dataset
        Of kind ``profiles``, or ``trajectories``, which are analysed first.
    axis : {"log_snr", "sigma", "log_sigma", "time"}, optional
        Horizontal axis, on which generation runs to the right; by default that along which the rate is taken.
    partition : str or sequence, optional
        Partitions that stand for the classes: by default every class against the rest, or against the null condition.
    guidance : str or sequence, optional
        Guidance settings; all by default.
    estimator : str
        "path" for the production of the entropy under guidance, "cross_entropy" for that of the cross-entropy of the
        driver.
    title : str, optional
        Title of the figure.
    data : bool
        Return the numbers behind the figure instead of the figure.

    Returns
    -------
    holoviews.Overlay, or pandas.DataFrame
        Medians as curves, quartiles as bands, and bars at the foot over the noise levels at which each setting guides.
        As data a row for each point of each setting.

    Raises
    ------
    SpecentError
        If the dataset is of another kind, a name is unknown, or there are fewer than two classes.

    References
    ----------
    arXiv 2602.09651.

    Examples
    --------
    >>> import specent as sp
    >>> prof = sp.entropy(sp.archive.example(), ["cat | rest", "dog | rest", "car | rest"])
    >>> class_production(prof, data=True).columns.tolist()
    ['guidance', 'estimator', 'log_snr', 'lower_quartile', 'median', 'upper_quartile', 'classes']
    """
    style.heading(title)
    arguments.flag(data, "data")
    if not isinstance(estimator, str):
        raise SpecentError(
            f"estimator={brief(estimator)} must be the name of one estimator: the colours of the figure are guidance "
            "settings, so it has room for one, 'path' or 'cross_entropy'"
        )
    if isinstance(prof, xr.Dataset) and str(prof.attrs.get("specent_kind")) == "trajectories":
        prof = analysis.entropy(prof, None if partition is None else names_of(partition), estimator)
    prof = need(prof, "profiles", "prof", ("entropy_rate",))
    axis = style.axis_or(axis, str(prof.attrs["rate_axis"]))
    part = select(_of_classes(prof, partition), estimator=estimator, guidance=guidance)
    groups = bundles(series(part, "entropy_rate", axis))
    if len(groups) != part.sizes["guidance"]:
        raise SpecentError("class_production draws one curve per guidance setting: select one run and one dimension")
    if data:
        return _table(groups, axis, part.sizes["partition"])
    x, height = style.axis_dimension(axis), style.value_dimension(prof, "entropy_rate")
    hues = colouring.hues([_setting(one) for one in groups])
    elements = _bands_and_medians(groups, hues, x, height)
    curves = [one.median for one in groups]
    low, high = heights(curves, from_zero=False)
    foot = foot_of(curves)
    elements += guiding_bars(part, axis, foot, hues, [x, height])
    log = style.logarithmic(part, axis)
    ends, ylim = stretch(curves, log), (min(low, foot[0] - (len(groups) + 1) * foot[1]), high)
    texts = [setting_text(name) for name in hues]
    size = (style.FRAME_WIDTH, style.FRAME_HEIGHT)
    paths = [(one.x, one.y) for one in curves]
    names = labels.direct_labels(paths, texts, list(hues.values()), (ends, ylim, size), log=log)
    options = noise_axis.view(part, axis, ends)
    words = title or "How fast is a class decided under each guidance setting?"
    estimated = ESTIMATOR_NAMES.get(estimator, estimator)
    note = f"median and quartiles over {part.sizes['partition']} classes, estimator {estimated}{bars_note(part)}"
    return hv.Overlay(elements).opts(
        **style.frame() | options | {"hooks": [*options["hooks"], names]},
        xlabel=x.label, ylabel=height.pprint_label, ylim=ylim, show_legend=False,
        title=style.TitleText(f"{words}\n{note}"),
    )  # fmt: skip


def _of_classes(prof: xr.Dataset, partition: Names) -> xr.Dataset:
    """The partitions that stand for the classes."""
    if partition is not None:
        return select(prof, partition=partition)
    sorts = families(prof)
    for family in FAMILIES:
        members = [i for i, one in enumerate(sorts) if one == family]
        if len(members) > 1:
            return prof.isel(partition=members)
    raise SpecentError(
        "prof holds no two partitions of one class each; analyse the runs for them, "
        "sp.entropy(runs, ['cat | rest', 'dog | rest', ...]), or name the partitions"
    )


def _setting(group: Bundle) -> str:
    return group.median.names["guidance"]


def _bands_and_medians(groups: Sequence[Bundle], hues: dict[str, str], x: Any, height: Any) -> list[Any]:
    bands, medians = [hv.HLine(0.0).opts(color=style.NEUTRAL, line_width=1)], []
    for group in groups:
        name = _setting(group)
        ends = (group.median.x, group.levels[1], group.levels[3])
        band = hv.Area(ends, x, [height, hv.Dimension("upper")], label=name)
        bands.append(band.opts(color=hues[name], fill_alpha=0.2, line_alpha=0.0))
        medians.append(curve(group.median, name, x, height, style.Stroke(hues[name])))
    return bands + medians


def _table(groups: Sequence[Bundle], axis: str, classes: int) -> pd.DataFrame:
    parts = []
    for group in groups:
        names = {dim: group.median.names[dim] for dim in ("guidance", "estimator")}
        lower, median, upper = group.levels[1:4]
        quartiles = {"lower_quartile": lower, "median": median, "upper_quartile": upper}
        parts.append(pd.DataFrame({**names, axis: group.median.x, **quartiles, "classes": classes}))
    return pd.concat(parts, ignore_index=True)
