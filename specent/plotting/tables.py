"""Numbers and provenance of a page, as HTML: tables that can be sorted and saved, and text that can be copied."""

from __future__ import annotations

import html
import json
import math
from typing import Any

import numpy as np
import xarray as xr

from specent.plotting import style
from specent.plotting.marks import natural_axis, on_axis
from specent.plotting.scales import json_text
from specent.plotting.select import indices, names_at

_TERMS = (
    "specent_kind", "seed", "seed_rule", "model", "guidance_formula", "schedule", "versions", "history",
    "settings_sha256",
)  # fmt: skip
_BOUNDS = ("", "_lower", "_upper")
Number = tuple[float, float, float]


def _decimals(value: float) -> int:
    """Number of decimals with which a number has three digits."""
    if not math.isfinite(value) or value == 0:
        return 2
    return max(0, 2 - math.floor(math.log10(abs(value))))


def with_interval(number: Number) -> str:
    """A number with its interval, all with the same number of decimals; a dash where there is none.

    An interval that is narrower than the digits is left out.

    Examples
    --------
    >>> with_interval((1.3724, 1.331, 1.409)), with_interval((23.456, 23.455, 23.457))
    ('1.37 [1.33, 1.41]', '23.5')
    >>> with_interval((0.0396, -16.03, 16.11))
    '0.0 [-16.0, 16.1]'
    """
    value, lower, upper = number
    if not math.isfinite(value):
        return "–"
    # of a number that is small beside its interval, the interval has three digits
    reach = max(upper - value, value - lower) if math.isfinite(upper - lower) else 0.0
    digits = _decimals(max(abs(value), reach))
    text, low, high = (f"{one:.{digits}f}" for one in (value, lower, upper))
    return f"{text} [{low}, {high}]" if upper > lower and not low == text == high else text


def half_entropy_table(spec: xr.Dataset, axis: str | None = None, name: str = "table") -> str:
    """Table of the half-entropy noise levels (or times) with their intervals, sorted by a click on its head.

    Parameters
    ----------
    spec : Dataset
        Of kind ``speciation``.
    axis : {"log_snr", "sigma", "log_sigma", "time"}, optional
        Axis of the numbers; the noise level by default, or the time for summaries in time only.
    name : str
        Identifier of the table in its page.

    Returns
    -------
    str
        HTML: a row per partition and ambient dimension, a column per run, guidance setting and estimator; a dash
        stands where the entropy never falls to half. Columns without any number are left out, unless all are. All
        numbers in full, one a row, go with it to be saved as CSV.
    """
    axis = axis or natural_axis(spec)
    marks = on_axis(spec.compute(), axis)
    dims = [str(dim) for dim in marks["half_entropy"].dims]
    columns = indices(marks, [dim for dim in ("run", "estimator", "guidance") if dim in dims])
    rows = indices(marks, [dim for dim in dims if dim in ("dimension", "partition")])
    values = [marks[f"half_entropy{bound}"].values for bound in _BOUNDS]

    def number(at: dict[str, int]) -> Number:
        index = tuple(at[dim] for dim in dims)
        value, lower, upper = (float(one[index]) for one in values)
        return value, lower, upper

    columns = [one for one in columns if any(math.isfinite(number(row | one)[0]) for row in rows)] or columns
    head = _head("partition" if "partition" in dims else "", text_column=True)
    head += "".join(_head(", ".join(names_at(marks, column).values())) for column in columns)
    lines = []
    for row in rows:
        who = html.escape(", ".join(names_at(marks, row).values()))
        cells = "".join(_cell(number(row | column)) for column in columns)
        lines.append(f'<tr><td class="text" data-value="{who}">{who}</td>{cells}</tr>')
    what = html.escape(style.AXIS_LABELS[axis].partition("  (")[0])
    return (
        f'<details class="numbers"><summary>Table of half-entropy {what} ({len(rows)} rows)</summary><div>'
        f'<p>Intervals in brackets. A click on a head sorts. <button data-table="{name}" data-name="half_entropy.csv">'
        f'Save as CSV</button></p><div class="scroll"><table class="half"><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(lines)}</tbody></table></div>{_tidy(marks, dims, axis, name)}</div></details>"
    )


def _head(text: str, *, text_column: bool = False) -> str:
    kind = ' class="text"' if text_column else ""
    return f'<th scope="col"{kind} aria-sort="none"><button data-column="yes">{html.escape(text)}</button></th>'


def _cell(number: Number) -> str:
    if not math.isfinite(number[0]):
        return "<td>–</td>"
    value, _, interval = with_interval(number).partition(" ")
    return f'<td data-value="{number[0]!r}">{value} <small>{interval}</small></td>'


def _tidy(marks: xr.Dataset, dims: list[str], axis: str, name: str) -> str:
    """The numbers in full, one a row, for the script that saves them."""
    values = [marks[f"half_entropy{bound}"].values for bound in _BOUNDS]
    rows: list[list[Any]] = []
    for at in indices(marks, dims):
        numbers = [float(one[tuple(at[dim] for dim in dims)]) for one in values]
        keys = [_plain(marks[dim].values[index]) for dim, index in at.items()]
        rows.append([*keys, *(value if math.isfinite(value) else None for value in numbers)])
    columns = [*dims, f"half_entropy_{axis}", "lower", "upper"]
    data = json_text({"columns": columns, "rows": rows})
    return f'<script type="application/json" id="{html.escape(name)}">{data}</script>'


def _plain(value: Any) -> str | float:
    return float(value) if isinstance(value, float | np.floating | np.integer) else str(value)


def provenance(datasets: list[xr.Dataset]) -> str:
    """Where the numbers come from: title, seed, model, versions and settings of every dataset, folded.

    Parameters
    ----------
    datasets : list of Dataset
        Of any kind.

    Returns
    -------
    str
        HTML with one block of text, which a button copies.
    """
    parts = []
    for one in datasets:
        lines = [str(one.attrs["title"])]
        lines += [f"{name}: {one.attrs[name]}" for name in _TERMS if name in one.attrs]
        settings = json.dumps(json.loads(str(one.attrs["settings"])), indent=1, ensure_ascii=False)
        parts.append("\n".join([*lines, f"settings: {settings}"]))
    text = html.escape("\n\n".join(parts))
    return (
        '<footer><details class="origin"><summary>Where the numbers come from: seeds, models, versions, settings'
        '</summary><p><button data-copy="provenance">Copy</button></p>'
        f'<pre id="provenance" tabindex="0">{text}</pre></details></footer>'
    )
