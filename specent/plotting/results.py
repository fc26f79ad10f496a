"""What a section of a page shows, in one sentence that is computed from its datasets, with intervals."""

from __future__ import annotations

import html
import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import xarray as xr

from specent.analysis.price import quick_price
from specent.errors import SpecentError
from specent.plotting.marks import on_axis, reachable
from specent.plotting.select import families, indices, names_at
from specent.plotting.tables import Number, with_interval
from specent.plotting.turns import is_exact

_FEW = 3
# of more samples than this only the best and the worst are named
_LISTED = 4
_BOUNDS = ("", "_lower", "_upper")
_BY = {
    "null": "by the null condition",
    "mixture": "by the mixture of classes",
    "class": "by a drawn class",
    "exact": "",
}


def result(datasets: Mapping[str, Sequence[xr.Dataset]]) -> str:
    """The sentence of a section.

    Parameters
    ----------
    datasets : mapping of kind to sequence of Dataset
        Those of the section.

    Returns
    -------
    str
        HTML; empty where the datasets hold nothing that can be said in a sentence.
    """
    clauses = [*_laws(datasets["scaling"])]
    if not clauses:
        clauses = [*_half_entropies(datasets["speciation"])]
    clauses += [*_qualities(datasets["quality"]), *_returns(datasets["interventions"])]
    clauses += [*_prices(datasets["trajectories"])]
    sentence = "; ".join(clauses)
    return f"{sentence[0].upper()}{sentence[1:]}." if sentence else ""


def _half_entropies(summaries: Sequence[xr.Dataset]) -> Iterator[str]:
    marks = [on_axis(one, "sigma") for one in summaries if reachable(one, "sigma") and "dimension" not in one.dims]
    if not marks:
        return
    # the first summary with measured numbers; the exact ones stand beside it
    measured = next((one for one in marks if _estimator(one) != "exact"), marks[0])
    estimator, own = _estimator(measured), measured
    rows = {name: _at(own, estimator, name) for name in own["partition"].values.tolist()}
    rows = {name: number for name, number in rows.items() if math.isfinite(number[0])}
    family = dict(zip(own["partition"].values.tolist(), families(own), strict=True))
    groups = {kind: [name for name in rows if family[name] == kind] for kind in dict.fromkeys(family.values())}
    full = groups.pop("full set", [])
    first = full or [name for kind in groups.values() if len(kind) <= 2 for name in kind][:2]
    for index, name in enumerate(first):
        what = "about the class" if name in full else f"about {html.escape(name)}"
        lead = "half of the uncertainty " if not index else "half of that "
        yield f"{lead}{what} has gone at noise level {with_interval(rows[name])}{_beside(marks, own, estimator, name)}"
    yield from _extremes({kind: names for kind, names in groups.items() if len(names) >= _FEW}, rows)


def _extremes(groups: Mapping[str, list[str]], rows: Mapping[str, Number]) -> Iterator[str]:
    """Which of many partitions are decided first and last."""
    for kind, names in groups.items():
        order = sorted(names, key=lambda name: -rows[name][0])
        early, late = (f"{html.escape(name)} ({with_interval(rows[name])})" for name in (order[0], order[-1]))
        which = {"pairs": "of the pairs ", "one against the rest": "of the classes "}.get(kind, "")
        yield f"{which}{early} is decided first and {late} last"


def _beside(marks: Sequence[xr.Dataset], own: xr.Dataset, estimator: str, name: str) -> str:
    """The exact number of the same partition, and what guidance makes of it."""
    words = []
    if estimator != "exact":
        for one in marks:
            if "exact" in one["estimator"].values and name in one["partition"].values:
                words.append(f"exact {with_interval(_at(one, 'exact', name))}")
                break
    settings = own["guidance"].values.tolist() if "guidance" in own.dims else []
    for setting in settings[1:3]:
        number = _at(own, estimator, name, setting)
        if math.isfinite(number[0]):
            words.append(f"{html.escape(setting)}: {with_interval(number)}")
    return f" ({'; '.join(words)})" if words else ""


def _estimator(marks: xr.Dataset) -> str:
    """The estimator that speaks for a summary: the posterior of the path, or the first that is no exact reference."""
    names = [str(name) for name in np.atleast_1d(marks["estimator"].values)] if "estimator" in marks.coords else []
    others = [name for name in names if name != "exact"]
    return "path" if "path" in names else others[0] if others else "exact"


def _at(marks: xr.Dataset, estimator: str, name: str, setting: str | None = None) -> Number:
    """Half-entropy noise level with its bounds; of the first run and setting where none is named."""
    values = []
    for bound in _BOUNDS:
        value = marks[f"half_entropy{bound}"].sel(partition=name)
        if "estimator" in value.dims:
            value = value.sel(estimator=estimator)
        if setting is not None:
            value = value.sel(guidance=setting)
        values.append(float(value.isel(dict.fromkeys(value.dims, 0))))
    return values[0], values[1], values[2]


def _laws(fits: Sequence[xr.Dataset]) -> Iterator[str]:
    for fit in fits:
        name, words = {
            "log": ("slope", "the half-entropy time moves by {} per unit of ln(d)/2"),
            "sqrt": ("exponent", "the half-entropy noise level grows like d to the power {}"),
        }[str(fit.attrs["law"])]
        at = next(
            (at for at in indices(fit, [str(dim) for dim in fit[name].dims]) if np.isfinite(float(fit[name].isel(at)))),
            None,
        )
        if at is None:
            continue
        value, error = float(fit[name].isel(at)), float(fit[f"{name}_standard_error"].isel(at))
        used = fit["dimension"].values[np.isfinite(fit["residual"].isel(at).values)]
        exact = names_at(fit, at).get("estimator") == "exact"
        text = f"{value:.3f}" if exact or not np.isfinite(error) else f"{value:.3f} ± {error:.1g}"
        yield f"{words.format(text)}, from d = {used.min():.0f} to {used.max():.0f}"


def _qualities(tables: Sequence[xr.Dataset]) -> Iterator[str]:
    for table in tables:
        name = "frechet_limit" if "frechet_limit" in table else "frechet_distance"
        found = []
        dims = [dim for dim in ("run", "guidance") if dim in table[name].dims]
        for at in indices(table, dims):
            value, lower, upper = (float(table[f"{name}{bound}"].isel(at)) for bound in _BOUNDS)
            if np.isfinite(value):
                who = ", ".join(names_at(table, at).values())
                found.append((value, f"{html.escape(who)}: {with_interval((value, lower, upper))}"))
        if len(found) > _LISTED:
            (_, least), (_, most) = min(found), max(found)
            yield f"Fréchet distance of the samples, the least and the largest of {len(found)}: {least}; {most}"
        elif found:
            yield f"Fréchet distance of the samples: {', '.join(text for _, text in found)}"


def _prices(runs: Sequence[xr.Dataset]) -> Iterator[str]:
    """How far guided paths are from unguided ones, where that is known."""
    for one in runs:
        try:
            table = quick_price(one)
        except SpecentError:
            # nothing is guided, or the null condition was not scored
            continue
        texts = []
        for name in table["guidance"].values.tolist()[:_FEW]:
            value, lower, upper = (float(table[f"price{end}"].sel(guidance=name)) for end in _BOUNDS)
            texts.append(f"{html.escape(name)} {with_interval((value, lower, upper))} bit")
        few = f" (of {table.attrs['trajectories']})" if table.attrs["trajectories"] else ""
        yield f"price of guidance, by which unguided paths are away from guided ones{few}: {', '.join(texts)}"


def _returns(turns: Sequence[xr.Dataset]) -> Iterator[str]:
    """How many continuations return, at the noise level at which that is least certain, and what was predicted."""
    # what is exact is said where nothing was measured
    for one in [each for each in turns if not is_exact(each)] or turns:
        for at in indices(one, [dim for dim in ("run",) if dim in one.dims])[:_FEW]:
            text = _return(one.isel(at))
            if text:
                yield "".join(f"{html.escape(name)}: " for name in names_at(one, at).values()) + text


def _return(turns: xr.Dataset) -> str:
    """The clause of one run."""
    name = "basin" if "basin" in turns and "phi" not in turns else "phi"
    if name not in turns or "side_prior" not in turns.coords:
        return ""
    # halfway between a guess and certainty
    middle = 0.5 * (1 + float(np.sum(turns["side_prior"].values ** 2)))
    distance = np.abs(turns[name].isel(mover=0).values - middle)
    if not np.isfinite(distance).any():
        return ""
    there = turns.isel(time=int(np.nanargmin(distance)))
    movers = [str(mover) for mover in turns["mover"].values]
    words = [_BY.get(mover, f"by {html.escape(mover)}") for mover in movers]
    numbers = [with_interval(_share(there.isel(mover=i), name)) for i in range(len(movers))]
    what, verb = (
        ("of the continuations", "return") if name == "phi" else ("of the states", "lie in the basin of their side")
    )
    parts = [f"{numbers[0]} {what} {words[0]} {verb}".replace("  ", " ")]
    parts += [f"{number} {by}" for number, by in zip(numbers[1:], words[1:], strict=True)]
    if name == "phi" and "posterior_phi" in turns:
        parts[-1] += f", and the posterior predicts {with_interval(_share(there, 'posterior_phi'))}"
    return f"at noise level {float(np.exp(-0.5 * there['log_snr'])):.3g}, {', '.join(parts)}"


def _share(there: xr.Dataset, name: str) -> Number:
    value, lower, upper = (float(there[f"{name}{end}" if f"{name}{end}" in there else name]) for end in _BOUNDS)
    return value, lower, upper
