"""Numbers and provenance of a page, as HTML."""

from __future__ import annotations

import html
import json

import numpy as np
import xarray as xr

from specent.plotting import style
from specent.plotting.marks import natural_axis, on_axis
from specent.plotting.select import indices, names_at

_TERMS = ("specent_kind", "seed", "model", "schedule", "versions")
_LONG = 20
_FOLDED = ("seed_rule", "guidance_formula", "history", "settings_sha256")


def half_entropy_table(spec: xr.Dataset, axis: str | None = None) -> str:
    """Table of the half-entropy noise levels (or times) with their intervals.

    Parameters
    ----------
    spec : Dataset
        Of kind ``speciation``.
    axis : {"log_snr", "sigma", "log_sigma", "time"}, optional
        Axis of the numbers; the noise level by default, or the time for summaries in time only.

    Returns
    -------
    str
        HTML: a row per partition and ambient dimension, a column per run, guidance setting and estimator; a dash
        stands where the entropy never falls to half. Columns without any number are left out, unless all are.
    """
    axis = axis or natural_axis(spec)
    marks = on_axis(spec.compute(), axis)
    dims = [str(dim) for dim in marks["half_entropy"].dims]
    columns = indices(marks, [dim for dim in ("run", "estimator", "guidance") if dim in dims])
    rows = indices(marks, [dim for dim in dims if dim in ("dimension", "partition")])
    values = {bound: marks[f"half_entropy{bound}"].values for bound in ("", "_lower", "_upper")}

    def cell(at: dict[str, int]) -> str:
        index = tuple(at[dim] for dim in dims)
        value, lower, upper = (values[bound][index] for bound in ("", "_lower", "_upper"))
        if not np.isfinite(value):
            return "–"
        return f"{value:.4g} [{lower:.4g}, {upper:.4g}]" if upper > lower else f"{value:.4g}"

    columns = [column for column in columns if any(cell(row | column) != "–" for row in rows)] or columns
    head = "".join(f"<th>{html.escape(', '.join(names_at(marks, column).values()))}</th>" for column in columns)
    lines = []
    for row in rows:
        cells = "".join(f"<td>{cell(row | column)}</td>" for column in columns)
        lines.append(f"<tr><td>{html.escape(', '.join(names_at(marks, row).values()))}</td>{cells}</tr>")
    name = html.escape(style.AXIS_LABELS[axis].partition("  (")[0])
    # a long table would push the figures after it out of sight
    unfolded = "" if len(lines) > _LONG else " open"
    return (
        f"<details{unfolded}><summary>Table: half-entropy {name}, intervals in brackets</summary>"
        f'<table class="half"><thead><tr><th></th>{head}</tr></thead><tbody>{"".join(lines)}</tbody></table></details>'
    )


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
            f"<h3>{html.escape(str(one.attrs['title']))}</h3>{_terms(one, _TERMS)}"
            f"<details><summary>history and settings</summary>{_terms(one, _FOLDED)}<pre>{settings}</pre></details>"
        )
    return f"<footer><h2>Where the numbers come from</h2>{''.join(parts)}</footer>"


def _terms(dataset: xr.Dataset, names: tuple[str, ...]) -> str:
    rows = [(name, html.escape(str(dataset.attrs[name]))) for name in names if name in dataset.attrs]
    return f"<dl>{''.join(f'<dt>{name}</dt><dd>{text}</dd>' for name, text in rows)}</dl>"
