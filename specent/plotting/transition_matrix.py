"""Who is taken for whom: on which side continuations end, given the side of their origin, at one noise level."""

from __future__ import annotations

from typing import Any

import holoviews as hv
import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray
from scipy.special import ndtri

from specent import arguments
from specent.errors import SpecentError
from specent.plotting import heat, style
from specent.plotting.raster import wrapped
from specent.plotting.select import Names, indices, names_at, select
from specent.plotting.turns import MOVER_NAMES
from specent.schema import need

MOST_MATRICES = 6
# numbers in cells have two digits
_ROUNDING = 0.005


def transition_matrix(
    turns: xr.Dataset,
    level: float | None = None,
    *,
    mover: Names = None,
    run: Names = None,
    title: str | None = None,
    data: bool = False,
) -> Any:
    """Probability that a continuation ends on a side, the column, given the side of its origin, the row.

    Parameters
    ----------
    turns : Dataset
        Of kind ``interventions``.
    level : float, optional
        Noise level ``sigma / alpha``, of which the nearest turn is drawn; by default the turn at which the trace of the
        first matrix is halfway between that of a guess and certainty.
    mover, run : str or sequence, optional
        A matrix each; all by default.
    title : str, optional
        Title of the figure.
    data : bool
        Return the numbers behind the figure instead of the figure.

    Returns
    -------
    holoviews.Overlay, or holoviews.Layout of matrices, or pandas.DataFrame
        Heat maps on one scale from 0 to 1, with the numbers in the cells of up to 15 sides. As data a row for each cell
        of each matrix, with ``lower`` and ``upper`` by its standard error.

    Raises
    ------
    SpecentError
        If the dataset is of another kind, a name is unknown, or there are too many matrices.

    References
    ----------
    arXiv 2402.16991.

    Examples
    --------
    >>> import specent as sp
    >>> mix = sp.exact.GaussianMixture([[-8.0], [8.0]], labels=["left", "right"])
    >>> turned = sp.exact.u_turns(mix, sp.schedules.VE(), [4.0, 8.0])
    >>> transition_matrix(turned, 8.0, data=True)[["side", "end_side", "kernel"]].round(3).values.tolist()[:2]
    [['left', 'left', 0.773], ['left', 'right', 0.227]]
    """
    style.heading(title)
    arguments.flag(data, "data")
    whole = select(need(turns, "interventions", "turns", ("kernel",)), mover=mover, run=run).compute()
    if whole.sizes["side"] != whole.sizes["end_side"]:
        raise SpecentError("turns has lost sides at one end of its kernel; keep all, or the same at both")
    at = _nearest(whole, level)
    noise = float(np.exp(-0.5 * whole["log_snr"].values[at]))
    one = whole.isel(time=at)
    panels = indices(one, [dim for dim in ("run", "mover") if dim in one["kernel"].dims])
    tables = [_table(one.isel(panel), names_at(one, panel)) for panel in panels]
    if data:
        return pd.concat(tables, ignore_index=True)
    if len(tables) > MOST_MATRICES:
        raise SpecentError(
            f"{len(tables)} matrices are too many for a figure; select up to {MOST_MATRICES} with mover="
        )
    if not any(np.isfinite(table["kernel"]).any() for table in tables):
        raise SpecentError("nothing to draw: the kernel holds no finite number in this selection")
    scale = heat.Scale(
        0.0, 1.0, style.SEQUENTIAL, False, "probability of the end", 2, what="probability",
        cell=("from, to", "@{other_label}, @label"),
    )  # fmt: skip
    sides = [str(side) for side in one["side"].values]
    figures = []
    for table, panel in zip(tables, panels, strict=True):
        numbers = (_shown(table[name].to_numpy().reshape(len(sides), -1)) for name in ("kernel", "lower", "upper"))
        names = ", ".join(MOVER_NAMES.get(name, name) for name in names_at(one, panel).values())
        # a cell without a number is blank
        analysed = np.zeros((len(sides), len(sides)), dtype=bool)
        bar, width = table is tables[-1], 560 if len(tables) == 1 else 320
        drawn = heat.matrix(heat.Cells(sides, *numbers), analysed, scale, names, bar=bar, width=width)
        figures.append(drawn.opts(xlabel="side of the end", ylabel="side of the origin"))
    words = [title or "Where do continuations end?", f"noise level {noise:.3g}"]
    if any((table["kernel"] < -_ROUNDING).any() for table in tables):
        words.append("below 0: what is extrapolated over the steps scatters about 0")
    if len(figures) == 1:
        alone = names_at(one, panels[0]).values()
        lines = [*words, ", ".join(MOVER_NAMES.get(name, name) for name in alone)]
        return figures[0].opts(title=wrapped(lines, figures[0].opts.get("plot").kwargs["frame_width"]))
    return hv.Layout(figures).cols(3).opts(shared_axes=False, title=style.heading_of_panels("\n".join(words)))


def _nearest(turns: xr.Dataset, level: float | None) -> int:
    """The index of the turn nearest to a noise level, or of that at which returns are least certain."""
    if level is not None:
        wanted = arguments.number(level, "level", above=0)
        return int(np.argmin(np.abs(turns["log_snr"].values + 2 * np.log(wanted))))
    first = turns["kernel"].isel({dim: 0 for dim in ("run", "mover") if dim in turns["kernel"].dims})
    kernels = first.transpose("time", "side", "end_side").values
    sides = kernels.shape[1]
    distance = np.abs(np.einsum("tzz->t", kernels) - 0.5 * (1 + sides))
    return int(np.nanargmin(distance)) if np.isfinite(distance).any() else 0


def _shown(numbers: NDArray[np.float64]) -> NDArray[np.float64]:
    """Numbers of which none rounds to a zero with a sign."""
    return np.where(np.abs(numbers) < _ROUNDING, 0.0, numbers)


def _table(turns: xr.Dataset, names: dict[str, str]) -> pd.DataFrame:
    """A row for every cell of one matrix, row by row."""
    kernel = turns["kernel"].transpose("side", "end_side").values.astype(np.float64)
    error = np.full(kernel.shape, np.nan)
    if "kernel_standard_error" in turns:
        error = turns["kernel_standard_error"].transpose("side", "end_side").values.astype(np.float64)
    confidence = turns.attrs.get("confidence", 0.95)
    share = float(confidence) if isinstance(confidence, int | float) and 0 < confidence < 1 else 0.95
    half = float(ndtri(0.5 + share / 2)) * error
    rows, columns = (index.ravel() for index in np.indices(kernel.shape))
    sides, ends = (turns[name].values.astype(str) for name in ("side", "end_side"))
    # what was extrapolated may lie beyond the range of a probability, and its interval holds it
    low, high = np.fmin(np.clip(kernel - half, 0.0, 1.0), kernel), np.fmax(np.clip(kernel + half, 0.0, 1.0), kernel)
    cells = {"kernel": kernel.ravel(), "lower": low.ravel(), "upper": high.ravel()}
    return pd.DataFrame({**names, "side": sides[rows], "end_side": ends[columns], **cells})
