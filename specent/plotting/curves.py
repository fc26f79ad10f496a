"""Profiles as curves with interval bands: entropy, its rate, mutual information."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import holoviews as hv
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from specent.errors import SpecentError
from specent.plotting import style
from specent.plotting.select import Names, Series, label, select_each, series, varying
from specent.schema import need

Array = NDArray[np.float64]
Profiles = xr.Dataset | Sequence[xr.Dataset]


def entropy(
    prof: Profiles,
    axis: str = "log_snr",
    *,
    partition: Names = None,
    estimator: Names = None,
    guidance: Names = None,
    dimension: Names = None,
    title: str | None = None,
) -> Any:
    """Conditional entropy H[Z|X_t] in bits against a noise axis, one curve per partition, estimator and setting.

    Parameters
    ----------
    prof : Dataset or sequence of Dataset
        Of kind ``profiles``. Several are drawn together, for instance a measured and an exact one.
    axis : {"log_snr", "sigma", "log_sigma", "time"}
        Horizontal axis; "sigma" is the noise level sigma/alpha on a logarithmic scale.
    partition, estimator, guidance, dimension : str or sequence, optional
        Names of what is drawn; all by default.
    title : str, optional
        Title of the figure.

    Returns
    -------
    holoviews.Overlay
        Curves and bands. More than 30 curves are replaced by medians over the partitions, with a dark band between the
        quartiles and a pale one between the extremes; the title says so. What is in view is the stretch on which the
        curves change; the rest can be panned to.

    Raises
    ------
    SpecentError
        If the dataset is of another kind, a name is unknown, or there is nothing to draw.

    Examples
    --------
    >>> import specent as sp
    >>> mix = sp.exact.GaussianMixture([[-1.0], [1.0]], labels=["a", "b"])
    >>> clock = sp.schedules.VE()
    >>> truth = sp.exact.profiles(mix, clock, sp.schedules.edm_grid(8), [sp.Partition.pair("a", "b")])
    >>> [type(part).__name__ for part in entropy(truth)]
    ['Curve']
    """
    wanted = {"partition": partition, "estimator": estimator, "guidance": guidance, "dimension": dimension}
    return _curves(prof, "entropy", axis, wanted, title)


def mutual_information(
    prof: Profiles,
    axis: str = "log_snr",
    *,
    partition: Names = None,
    estimator: Names = None,
    guidance: Names = None,
    dimension: Names = None,
    title: str | None = None,
) -> Any:
    """Mutual information I[Z;X_t] in bits against a noise axis; see `entropy` for the parameters.

    Returns
    -------
    holoviews.Overlay
        Curves and bands.

    Raises
    ------
    SpecentError
        If the dataset is of another kind, a name is unknown, or there is nothing to draw.
    """
    wanted = {"partition": partition, "estimator": estimator, "guidance": guidance, "dimension": dimension}
    return _curves(prof, "mutual_information", axis, wanted, title)


def rate(
    prof: Profiles,
    axis: str | None = None,
    *,
    partition: Names = None,
    estimator: Names = None,
    guidance: Names = None,
    dimension: Names = None,
    title: str | None = None,
) -> Any:
    """Entropy rate in bits per unit of the axis it was taken along, which the label names.

    Parameters
    ----------
    prof : Dataset or sequence of Dataset
        Of kind ``profiles``, all with the same ``rate_axis``.
    axis : {"log_snr", "sigma", "log_sigma", "time"}, optional
        Horizontal axis; the axis of the rate by default, over which the area under the curve is an entropy.
    partition, estimator, guidance, dimension, title
        As for `entropy`.

    Returns
    -------
    holoviews.Overlay
        Curves and bands.

    Raises
    ------
    SpecentError
        If the dataset is of another kind, a name is unknown, or rates along different axes are mixed.
    """
    listed = _listed(prof)
    axes = sorted({str(one.attrs["rate_axis"]) for one in listed})
    if len(axes) > 1:
        raise SpecentError(f"prof holds rates along {', '.join(axes)}, which cannot share an axis; take them along one")
    wanted = {"partition": partition, "estimator": estimator, "guidance": guidance, "dimension": dimension}
    return _curves(listed, "entropy_rate", axis or axes[0], wanted, title)


def _listed(prof: Profiles) -> list[xr.Dataset]:
    listed = [prof] if isinstance(prof, xr.Dataset) or not isinstance(prof, Sequence) else list(prof)
    if not listed:
        raise SpecentError("prof is empty; give at least one profiles dataset")
    for one in listed:
        need(one, "profiles", "prof")
    return listed


def _curves(prof: Profiles, name: str, axis: str, wanted: dict[str, Names], title: str | None) -> Any:
    listed = _listed(prof)
    style.heading(title)
    chosen = select_each(listed, **wanted)
    found = sorted((one for part in chosen for one in series(part, name, axis)), key=lambda one: one.exact)
    x, height = style.axis_dimension(axis), style.value_dimension(listed[0], name)
    note = ""
    if len(found) <= style.MOST_CURVES:
        parts = _separate(found, x, height)
    else:
        parts = _bundled(found, x, height)
        note = f"median, quartiles (dark), extremes (pale) of {len(found)} curves"
    log = any(style.logarithmic(one, axis) for one in listed)
    ends = stretch(found, log)
    return hv.Overlay(parts).opts(
        **style.frame(**in_view(ends, log)),
        **style.legend(len({part.label for part in parts})),
        title="; ".join(part for part in (title, note) if part),
    )


def stretch(found: Sequence[Series], log: bool) -> tuple[float, float]:
    """The part of the axis on which a curve is more than 3 % of its range away from both its ends.

    A tenth is added on either side, as far as there are values; where nothing changes it is the whole axis.
    """
    whole = np.concatenate([one.x for one in found])
    busy = [one.x[_changing(one.y)] for one in found]
    places = np.concatenate(busy) if any(part.size > 1 for part in busy) else whole
    low, high = (np.log if log else np.asarray)(np.array([places.min(), places.max()]))
    ends = np.array([low, high]) + 0.1 * (high - low) * np.array([-1.0, 1.0])
    first, last = np.clip(np.exp(ends) if log else ends, whole.min(), whole.max())
    return float(first), float(last)


def _changing(values: Array) -> NDArray[np.bool_]:
    finite = values[np.isfinite(values)]
    near = 0.03 * np.ptp(finite)
    away: NDArray[np.bool_] = (np.abs(values - finite[0]) > near) & (np.abs(values - finite[-1]) > near)
    return away


def in_view(ends: tuple[float, float], log: bool) -> dict[str, Any]:
    """Options of a figure of which a stretch of the axis is in view."""
    return {"xlim": ends, **style.noise_axis(np.array(ends), log)}


def _separate(found: list[Series], x: Any, height: Any) -> list[Any]:
    """Every curve for itself: bands first, so that no band hides a curve."""
    looks = _looks(found)
    # many black references would bury the curves they belong to, and share an entry of the legend
    crowded = len(found) > style.EASY
    faints = [crowded and look["color"] == style.EXACT for look in looks]
    dims = varying([one.names for one, faint in zip(found, faints, strict=True) if not faint])
    bands, curves = [], []
    for one, look, faint in zip(found, looks, faints, strict=True):
        text = "exact" if faint else label(one.names, dims)
        if one.bounded and not faint:
            bands.append(_band(one, text, x, height, look["color"]))
        line = curve(one, text, x, height, look["color"], dash=look["line_dash"])
        curves.append(line.opts(line_width=0.8) if faint else line)
    return bands + curves


def _looks(found: list[Series]) -> list[dict[str, Any]]:
    """Colour and dash of every curve: colour by what is asked of which model, dash by estimator."""
    measured = [one for one in found if not one.exact]
    reference = bool(measured)
    drawn = measured or found
    keys = list(dict.fromkeys(_key(one) for one in drawn))
    ordered = len({key[0] for key in keys}) == len(keys) > 1
    hue = dict(zip(keys, style.colours(len(keys), ordered), strict=True))
    estimators = list(dict.fromkeys(one.names.get("estimator") for one in drawn))
    looks: list[dict[str, Any]] = []
    for one in found:
        if one.exact and reference:
            looks.append({"color": style.EXACT, "line_dash": style.EXACT_DASH})
            continue
        # a palette used up starts again with another dash
        turn = 0 if ordered else keys.index(_key(one)) // len(style.PALETTE)
        place = estimators.index(one.names.get("estimator")) + turn * len(estimators)
        looks.append({"color": hue[_key(one)], "line_dash": style.DASHES[place % len(style.DASHES)]})
    return looks


def _key(one: Series) -> tuple[str | None, ...]:
    return tuple(one.names.get(dim) for dim in ("dimension", "partition", "guidance"))


def curve(
    one: Series, text: str, x: Any, height: Any, colour: str, scale: float = 1.0, dash: str | list[int] = "solid"
) -> Any:
    """One curve, whose hover names it and its interval; `scale` divides the places."""
    vdims = [height, hv.Dimension("lower"), hv.Dimension("upper"), hv.Dimension("curve")]
    columns = (one.x / scale, one.y, one.lower, one.upper, np.full(one.x.shape, text))
    return hv.Curve(columns, x, vdims, label=text).opts(
        color=colour,
        line_dash=dash,
        line_width=1.5 if colour == style.EXACT else 2.2,
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


def _bundled(found: list[Series], x: Any, height: Any) -> list[Any]:
    """Medians over the partitions of one family, with bands between the quartiles and between the extremes."""
    dims = [dim for dim in varying([one.names for one in found]) if dim != "partition"]
    groups: dict[tuple[str, str, bytes], list[Series]] = {}
    for one in found:
        groups.setdefault((one.family, label(one.names, dims), one.x.tobytes()), []).append(one)
    if len(groups) > style.MOST_CURVES:
        raise SpecentError(
            f"{len(found)} curves make {len(groups)} medians, still more than {style.MOST_CURVES}; "
            "select fewer with partition=, estimator=, guidance= or dimension="
        )
    medians = []
    for (family, text, _), members in groups.items():
        levels = np.quantile(np.stack([one.y for one in members]), [0.0, 0.25, 0.5, 0.75, 1.0], axis=0)
        name = ", ".join(part for part in (f"{family} ({len(members)})", text) if part)
        names = {**members[0].names, "partition": family}
        medians.append((name, Series(names, family, members[0].x, levels[2], levels[1], levels[3]), levels))
    bands, curves = [], []
    for (name, one, levels), look in zip(medians, _looks([one for _, one, _ in medians]), strict=True):
        for low, high, alpha in ((levels[0], levels[4], 0.10), (levels[1], levels[3], 0.25)):
            band = hv.Area((one.x, low, high), x, [height, hv.Dimension("upper")], label=name)
            bands.append(band.opts(color=look["color"], fill_alpha=alpha, line_alpha=0.0))
        curves.append(curve(one, name, x, height, look["color"], dash=look["line_dash"]))
    return bands + curves
