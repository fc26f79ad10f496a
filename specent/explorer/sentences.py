"""What the page says about its numbers, in words."""

from __future__ import annotations

import numpy as np

from specent.explorer.computing import Answer
from specent.explorer.source import Explored

_MOST = 4


def progress_text(source: Explored, answer: Answer | None, *, busy: bool) -> str:
    """What is shown, of how many trajectories, and what is still being worked out."""
    parts = [source.title]
    if source.shards:
        parts.append(f"{source.done} of {source.shards} shards" + (", following the run" if source.grows else ""))
    if answer is None:
        return "; ".join([*parts, "working it out"])
    if answer.of:
        count = "all" if answer.whole else f"the first {answer.samples} of"
        parts.append(f"{count} {answer.of} trajectories of each class")
    if busy:
        parts.append("working out all of them")
    return "; ".join([*parts, *answer.remarks])


def result_text(answer: Answer) -> str:
    """At which noise half of the entropy is left, of every curve that has such a level.

    Examples
    --------
    >>> import specent as sp
    >>> from specent.explorer.computing import Computing, Request
    >>> from specent.explorer.source import open_source
    >>> computing = Computing(open_source(sp.archive.example()))
    >>> answer = computing.answer(Request((sp.Partition.pair("cat", "dog"),), ("unguided",)), whole=True)
    >>> result_text(answer).partition(" at ")[0]
    'cat | dog: half of the entropy is left'
    """
    summary = answer.summary
    if summary is None or "sigma" not in summary["axis"].values:
        return ""
    # the page is laid out before figures are imported
    from specent.plotting.select import indices, names_at

    half = summary.sel(axis="sigma")
    dims = [str(dim) for dim in half["half_entropy"].dims]
    several = [dim for dim in dims if half.sizes[dim] > 1]
    texts = []
    for at in indices(half, dims):
        value, low, high = (float(half[f"half_entropy{end}"].isel(at)) for end in ("", "_lower", "_upper"))
        who = ", ".join(name for dim, name in names_at(half, at).items() if dim in ("partition", *several))
        if np.isfinite(value):
            interval = f" [{low:.3g}, {high:.3g}]" if high > low else ""
            texts.append(f"{who}: half of the entropy is left at σ/α = {value:.3g}{interval}")
        else:
            texts.append(f"{who}: the entropy never falls to half")
    more = f"; {len(texts) - _MOST} more" if len(texts) > _MOST else ""
    return "; ".join(texts[:_MOST]) + more


def half_level(answer: Answer) -> float | None:
    """Log-SNR at which half of the entropy of the first curve is left; None if it never falls so far."""
    if answer.summary is None or "log_snr" not in answer.summary["axis"].values:
        return None
    levels = answer.summary["half_entropy"].sel(axis="log_snr").values.ravel()
    finite = levels[np.isfinite(levels)]
    return float(finite[0]) if finite.size else None
