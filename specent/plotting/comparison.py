"""How the curves of a figure are told apart.

Colour stands for one thing: the first of ambient dimension, partition, guidance setting and run of which there are
several. The line style stands for the estimator. Whatever else differs has a panel of its own. Exact references are
thin and dashed in the colour of the curve they belong to.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from specent.errors import SpecentError
from specent.plotting import colouring, style
from specent.plotting.labels import ColourScale, StyleLegend
from specent.plotting.select import SERIES_DIMS, Series, label, varying

Array = NDArray[np.float64]

COLOURED = ("dimension", "partition", "guidance", "run")
MOST_PANELS = 9
QUANTILES = ("minimum", "lower_quartile", "median", "upper_quartile", "maximum")

ESTIMATOR_NAMES = {
    "path": "path",
    "rao_blackwell": "Rao-Blackwell",
    "denoiser_gap": "denoiser gap",
    "cross_entropy": "cross-entropy",
    "null": "null network",
    "exact": "exact",
}


@dataclass(frozen=True)
class CurvePanel:
    """The curves of one panel, and what they have in common that those of other panels have not."""

    title: str
    curves: list[Series]


@dataclass(frozen=True)
class Comparison:
    """What colour stands for in a figure, the colour of every name, and what has a panel of its own."""

    dim: str
    hues: dict[str, str]
    apart: tuple[str, ...]
    differing: tuple[str, ...]
    measured: bool

    @classmethod
    def of(cls, curves: Sequence[Series]) -> Comparison:
        """The comparison of some curves."""
        measured = [one for one in curves if not one.exact] or list(curves)
        several = [dim for dim in COLOURED if len({one.names.get(dim) for one in measured}) > 1]
        dim = several[0] if several else "partition"
        names = list(dict.fromkeys(one.names.get(dim, "") for one in [*measured, *curves]))
        hues = colouring.hues(names, ordered=dim == "dimension" and len(names) > 1)
        every = varying([one.names for one in curves])
        return cls(dim, hues, tuple(several[1:]), tuple(every), len(measured) < len(curves) or not measured[0].exact)

    @property
    def ordered(self) -> bool:
        """Whether colours are shades of one scale."""
        return self.dim == "dimension" and len(self.hues) > 1

    def key(self, one: Series) -> str:
        """The name of a curve that its colour stands for."""
        return one.names.get(self.dim, "")

    def stroke(self, one: Series) -> style.Stroke:
        """How a curve is drawn."""
        colour = self.hues.get(self.key(one), style.NEUTRAL)
        if one.exact and self.measured:
            return style.Stroke(colour, style.EXACT_DASH, 1.2)
        return style.Stroke(colour, "solid" if one.exact else style.dash(one.names.get("estimator")))

    def panels(self, curves: Sequence[Series]) -> list[CurvePanel]:
        """The curves panel by panel; references that do not say which panel they belong to are in each.

        Raises
        ------
        SpecentError
            If there are more than `MOST_PANELS`.
        """
        if not self.apart:
            return [CurvePanel("", list(curves))]
        keys = list(dict.fromkeys(self._apart(one) for one in curves if not one.exact))
        if len(keys) > MOST_PANELS:
            raise SpecentError(
                f"{len(keys)} panels ({' x '.join(self.apart)}) are too many; select fewer with "
                f"{', '.join(f'{dim}=' for dim in self.apart)}"
            )
        return [
            CurvePanel(", ".join(name for name in key if name), [one for one in curves if self._belongs(one, key)])
            for key in keys
        ]

    def _apart(self, one: Series) -> tuple[str, ...]:
        return tuple(one.names.get(dim, "") for dim in self.apart)

    def _belongs(self, one: Series, key: tuple[str, ...]) -> bool:
        own = self._apart(one)
        return own == key or (one.exact and all(name in ("", panel) for name, panel in zip(own, key, strict=True)))

    def legend(self, curves: Sequence[Series], alike: Mapping[str, Sequence[str]] | None = None) -> list[Any]:
        """What says which style of line stands for which estimator, and which colour for which dimension.

        Estimators that are not drawn, because they agree with another one everywhere, stand beside its name.
        """
        hooks: list[Any] = []
        if self.ordered:
            texts = tuple(name.removeprefix("d = ") for name in self.hues)
            hooks.append(ColourScale("dimension d", tuple(self.hues.values()), texts))
        styles = {one.names.get("estimator", ""): self.stroke(one) for one in curves}
        if len(styles) > 1:
            hooks.append(
                StyleLegend(
                    tuple(
                        (_estimators([name, *(alike or {}).get(name, ())]), _hashable(line.dash), line.width)
                        for name, line in styles.items()
                    )
                )
            )
        return hooks


def _estimators(names: Sequence[str]) -> str:
    return ", ".join(ESTIMATOR_NAMES.get(name, name) for name in names)


def without_coinciding(curves: Sequence[Series]) -> tuple[list[Series], dict[str, list[str]]]:
    """The curves less those of an estimator that agrees with another one everywhere, as the rates of some do.

    Parameters
    ----------
    curves : sequence of Series
        The curves of a panel.

    Returns
    -------
    list of Series
        The curves that can be seen.
    dict of str to list of str
        The estimators that are left out, by the one that they agree with.
    """
    groups: dict[str, list[Series]] = {}
    for one in curves:
        groups.setdefault(one.names.get("estimator", ""), []).append(one)
    alike: dict[str, list[str]] = {}
    for name, members in groups.items():
        twin = next(
            (other for other in alike if "exact" not in (name, other) and _coincide(groups[other], members)), None
        )
        if twin is None:
            alike[name] = []
        else:
            alike[twin].append(name)
    return [one for one in curves if one.names.get("estimator", "") in alike], alike


def _coincide(one: Sequence[Series], other: Sequence[Series]) -> bool:
    def key(part: Series) -> tuple[tuple[str, str], ...]:
        return tuple((dim, name) for dim, name in part.names.items() if dim != "estimator")

    known = {key(part): part for part in one}
    return len(one) == len(other) and all(
        key(part) in known
        and np.array_equal(part.x, known[key(part)].x)
        and np.array_equal(part.y, known[key(part)].y, equal_nan=True)
        for part in other
    )


def _hashable(dash: str | list[int]) -> str | tuple[int, ...]:
    return dash if isinstance(dash, str) else tuple(dash)


@dataclass(frozen=True)
class Bundle:
    """Many curves as their quantiles at every time, shape (5, time), and the median as a curve."""

    name: str
    median: Series
    levels: Array


def bundles(curves: Sequence[Series]) -> list[Bundle]:
    """Quantiles over the partitions of one family, of curves that agree in everything else."""
    dims = [dim for dim in varying([one.names for one in curves]) if dim != "partition"]
    groups: dict[tuple[str, str, bytes], list[Series]] = {}
    for one in curves:
        groups.setdefault((one.family, label(one.names, dims), one.x.tobytes()), []).append(one)
    result = []
    for (family, text, _), members in groups.items():
        levels = np.quantile(np.stack([one.y for one in members]), [0.0, 0.25, 0.5, 0.75, 1.0], axis=0)
        names = {**members[0].names, "partition": family}
        impossible = np.zeros(members[0].x.shape, dtype=bool)
        median = Series(names, family, members[0].x, levels[2], levels[1], levels[3], impossible)
        name = ", ".join(part for part in (f"{family} ({len(members)})", text) if part)
        result.append(Bundle(name, median, levels))
    return result


def table(curves: Sequence[Series], axis: str, name: str, *, bundled: bool = False) -> pd.DataFrame:
    """The numbers of some curves, a row for each of their points.

    Parameters
    ----------
    curves : sequence of Series
        The curves.
    axis, name : str
        The axis of their positions and the quantity, which name the columns.
    bundled : bool
        Whether the quantiles over many curves are drawn instead of each.

    Returns
    -------
    pandas.DataFrame
        The names by dimension, the position, and the value with ``lower`` and ``upper``, or the quantiles.
    """
    parts = []
    if bundled:
        for group in bundles(curves):
            quantiles = dict(zip(QUANTILES, group.levels, strict=True))
            parts.append(pd.DataFrame({**_named(group.median), axis: group.median.x, **quantiles}))
    else:
        for one in curves:
            columns = {axis: one.x, name: one.y, "lower": one.lower, "upper": one.upper}
            parts.append(pd.DataFrame({**_named(one), **columns}))
    return pd.concat(parts, ignore_index=True)


def _named(one: Series) -> dict[str, str]:
    return {dim: one.names[dim] for dim in SERIES_DIMS if dim in one.names}
