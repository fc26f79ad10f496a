"""What two attributes tell of each other on the way, as lines of a table that studies print."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import TYPE_CHECKING

from specent import analysis

if TYPE_CHECKING:
    import xarray as xr

    from specent.partitions import Partition


def entanglement_lines(runs: xr.Dataset, partitions: Sequence[Partition]) -> Iterator[str]:
    """Where two attributes are entangled most, for every pair of them, from unguided trajectories.

    The largest of many estimates is above the largest truth by some of its sampling error; the interval is that of the
    noise level it was found at.

    Parameters
    ----------
    runs : Dataset
        Kind ``trajectories``.
    partitions : sequence of Partition
        The attributes, partitions of the same labels.

    Yields
    ------
    str
        A heading, and a line for every pair.
    """
    yield "\nEntanglement: what two attributes tell of each other, in bits, where it is largest (95 % interval)"
    yield f"{'attributes':>40} {'bits':>24} {'at sigma/alpha':>16}"
    for first, second in combinations(partitions, 2):
        table = analysis.entanglement(runs.isel(guidance=[0]), first, second, progress=False)
        one = table.squeeze(("guidance", "estimator"))
        one = one.isel(time=int(one.entanglement.argmax("time")))
        value, low, high = (float(one[f"entanglement{end}"]) for end in ("", "_lower", "_upper"))
        level = float(one.sigma / one.alpha)
        yield f"{f'{first.name} and {second.name}':>40} {f'{value:.3f} ({low:.3f} .. {high:.3f})':>24} {level:>16.3f}"
