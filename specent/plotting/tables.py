"""Numbers and provenance of a page, as HTML."""

from __future__ import annotations

import html
import itertools
import json

import numpy as np
import xarray as xr

from specent.plotting import style
from specent.plotting.select import names_at
from specent.plotting.summaries import natural_axis, on_axis

_SHOWN = ("specent_kind", "seed", "model", "schedule", "versions")
_LONG = 20
_FOLDED = ("seed_rule", "guidance_formula", "history", "settings_sha256")


def half_places(spec: xr.Dataset) -> str:
    """Table of the half-entropy places with their intervals: a row per partition, a column per estimator and setting.

    Parameters
    ----------
    spec : Dataset
        Of kind ``speciation``.

    Returns
    -------
    str
        HTML.
    """
    spec = on_axis(spec).compute()
    axis, origin = natural_axis(spec), str(spec.attrs["time_axis"])
    values = {
        part: style.moved(np.asarray(spec[f"half_entropy{part}"].values, dtype=float), origin, axis)
        for part in ("", "_lower", "_upper")
    }
    lower, upper = np.minimum(values["_lower"], values["_upper"]), np.maximum(values["_lower"], values["_upper"])
    dims = [str(dim) for dim in spec["half_entropy"].dims]
    across = [dim for dim in dims if dim in ("estimator", "guidance")]
    down = [dim for dim in dims if dim in ("dimension", "partition")]

    def cell(at: dict[str, int]) -> str:
        index = tuple(at[dim] for dim in dims)
        place = values[""][index]
        if not np.isfinite(place):
            return ""
        if not upper[index] > lower[index]:
            return f"{place:.4g}"
        return f"{place:.4g} [{lower[index]:.4g}, {upper[index]:.4g}]"

    columns, rows = _indices(spec, across), _indices(spec, down)
    columns = [column for column in columns if any(cell(row | column) for row in rows)]
    head = "".join(f"<th>{html.escape(', '.join(names_at(spec, column).values()))}</th>" for column in columns)
    lines = []
    for row in rows:
        cells = "".join(f"<td>{cell(row | column)}</td>" for column in columns)
        lines.append(f"<tr><td>{html.escape(', '.join(names_at(spec, row).values()))}</td>{cells}</tr>")
    name = style.AXIS_LABELS[axis].partition("  (")[0]
    # a long table would push the figures after it out of sight
    unfolded = "" if len(lines) > _LONG else " open"
    return (
        f"<details{unfolded}><summary>Table: half-entropy places ({html.escape(name)}), intervals in brackets</summary>"
        f'<table class="half"><thead><tr><th></th>{head}</tr></thead><tbody>{"".join(lines)}</tbody></table></details>'
    )


def _indices(spec: xr.Dataset, dims: list[str]) -> list[dict[str, int]]:
    ranges = (range(spec.sizes[dim]) for dim in dims)
    return [dict(zip(dims, index, strict=True)) for index in itertools.product(*ranges)]


def provenance(datasets: list[xr.Dataset]) -> str:
    """Where the numbers come from: title, seed, model, versions and settings of every dataset.

    Parameters
    ----------
    datasets : list of Dataset
        Of any kind.

    Returns
    -------
    str
        HTML.
    """
    parts = []
    for one in datasets:
        settings = html.escape(json.dumps(json.loads(str(one.attrs["settings"])), indent=1, ensure_ascii=False))
        parts.append(
            f"<h3>{html.escape(str(one.attrs['title']))}</h3>{_terms(one, _SHOWN)}"
            f"<details><summary>history and settings</summary>{_terms(one, _FOLDED)}<pre>{settings}</pre></details>"
        )
    return f"<footer><h2>Where the numbers come from</h2>{''.join(parts)}</footer>"


def _terms(dataset: xr.Dataset, names: tuple[str, ...]) -> str:
    rows = [(name, html.escape(str(dataset.attrs[name]))) for name in names if name in dataset.attrs]
    return f"<dl>{''.join(f'<dt>{name}</dt><dd>{text}</dd>' for name, text in rows)}</dl>"
