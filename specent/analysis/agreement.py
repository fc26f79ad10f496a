"""Do the estimators agree? Where they part on unguided runs, by how much, and what explains it.

On unguided runs all estimators have the same expectation if steps are small, the grid spans the noise at which the
sides are decided, and the denoisers are conditional means of one forward process. Two estimators part where they
differ by more than their intervals allow, for all partitions and times together, and by more than a tenth of the
entropy of the prior: below that the finite steps of a usual grid show, see the page on estimators. Sampling does not
explain a larger difference; the steps, the range of the grid or the model do. All are recorded, and a warning is given
where a quarter of the prior entropy is at stake, which the steps of a usual grid never explain.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.special import ndtri

from specent import schema
from specent.schema.definitions import outlines

Array = NDArray[np.float64]

# chance that estimators which agree are said to part, over all partitions, pairs and times together
_FALSE_ALARM = 1e-4
# share of the start below which finite steps are expected to explain a difference
_SHARE = 0.1
_WARNED = 0.25
# gain in log-SNR of a step beyond which it is coarse, and the difference, as a share of the start, that finite steps
# make at most per unit of gain: 0.066 bit of 1 at a gain of 0.33 is the hard case of one dimension
_COARSE = 1.0
_PER_GAIN = 0.5
# share of the grid that should lie where the entropy changes
_USED = 0.2
# bits outside the range of an entropy that are rounding
_ROUNDING = 1e-6
_MOST = 20


@dataclass(frozen=True)
class Disagreement:
    """Two estimators that part on one partition, where they part most."""

    partition: str
    guidance: str
    estimators: tuple[str, str]
    gap: float
    share: float
    log_snr: float
    explanation: str

    @property
    def text(self) -> str:
        """The disagreement as a sentence."""
        first, second = self.estimators
        return (
            f"partition {self.partition!r}, guidance {self.guidance!r}: {first} and {second} differ by {self.gap:.3g} "
            f"bit at log_snr={self.log_snr:.3g}, beyond their intervals: {self.explanation}"
        )


def examined(profiles: xr.Dataset, estimators: Sequence[str]) -> tuple[xr.Dataset, list[str]]:
    """The profiles with their disagreements and impossible values recorded, and texts for warnings.

    Parameters
    ----------
    profiles : Dataset
        Kind ``profiles``, computed, from trajectories.
    estimators : sequence of str
        Those that must agree.

    Returns
    -------
    profiles : Dataset
        With the attribute ``disagreements`` and, where there is an impossible value, the variable ``impossible``.
    texts : list of str
        At most one.
    """
    outside = impossible(profiles)
    found, count = diverging_pairs(profiles, estimators)
    entries = [{**asdict(one), "text": one.text} for one in found]
    profiles = profiles.assign_attrs(disagreements=json.dumps(entries))
    if bool(outside.any()):
        row = schema.KINDS["profiles"]["impossible"]
        profiles["impossible"] = outside.astype(np.int64).assign_attrs(row.attributes({}))
    if not any(one.share > _WARNED for one in found):
        return profiles, []
    more = f" ({count - 1} more partitions or pairs of estimators part, see the attribute 'disagreements')"
    return profiles, [found[0].text + (more if count > 1 else "")]


def impossible(profiles: xr.Dataset) -> xr.DataArray:
    """Where the interval of an estimate lies below 0, or above the entropy of even sides."""
    most = np.log2([sides for _, sides in outlines(profiles)])
    below = profiles["entropy_upper"] < -_ROUNDING
    return below | (profiles["entropy_lower"] > xr.DataArray(most, dims="partition") + _ROUNDING)


def diverging_pairs(profiles: xr.Dataset, estimators: Sequence[str]) -> tuple[list[Disagreement], int]:
    """The pairs of estimators that part on unguided runs, the largest share first, and how many there are.

    Parameters
    ----------
    profiles : Dataset
        Kind ``profiles``, computed.
    estimators : sequence of str
        Those that must agree.

    Returns
    -------
    list of Disagreement
        The largest 20 at most; of every partition and pair where it parts most.
    int
        How many there are.
    """
    unguided = profiles.isel(guidance=np.flatnonzero(profiles["guidance_scale"].values == 1.0))
    pairs = list(itertools.combinations(estimators, 2))
    entropy = unguided["entropy"].transpose("estimator", "guidance", "partition", "time")
    if not pairs or not entropy.size:
        return [], 0
    half = 0.5 * (unguided["entropy_upper"] - unguided["entropy_lower"]).transpose(*entropy.dims)
    start = (unguided["entropy"] + unguided["mutual_information"]).isel(estimator=0, time=-1)
    start = start.transpose("guidance", "partition")
    confidence = float(profiles.attrs["confidence"])
    tests = len(pairs) * entropy[0].size
    # intervals as wide as their confidence is high, stretched to that of all tests together
    stretch = float(ndtri(1 - 0.5 * _FALSE_ALARM / tests) / ndtri(0.5 + 0.5 * confidence))
    found = []
    for a, b in pairs:
        gap = abs(entropy.sel(estimator=a) - entropy.sel(estimator=b))
        room = stretch * (half.sel(estimator=a) + half.sel(estimator=b))
        excess = gap.where((gap > room) & (gap > _SHARE * start), 0.0).transpose("guidance", "partition", "time").values
        for g, p in np.argwhere(excess.max(axis=-1) > 0):
            t = int(np.argmax(excess[g, p]))
            found.append((float(excess[g, p, t]), (a, b), int(g), int(p), t))
    share = {(g, p): start.values[g, p] for g, p in np.ndindex(start.shape)}
    found.sort(key=lambda entry: -entry[0] / share[entry[2:4]])
    named = [
        Disagreement(
            str(unguided["partition"].values[p]), str(unguided["guidance"].values[g]), pair, gap,
            gap / float(share[g, p]),
            float(unguided["log_snr"].values[t]), explanation(unguided.isel(guidance=g, partition=p), gap),
        )
        for gap, pair, g, p, t in found[:_MOST]
    ]  # fmt: skip
    return named, len(found)


def explanation(profile: xr.Dataset, gap: float) -> str:
    """Whether steps, range of the grid or model explain that estimators part, and what to do.

    Parameters
    ----------
    profile : Dataset
        One partition under one guidance setting.
    gap : float
        How far two estimators of it are apart, in bits.
    """
    log_snr = profile["log_snr"].values
    # each estimator has its own idea of where the entropy changes: an estimate that failed is no guide
    spread = [_changing(curve) for curve in profile["entropy"].values]
    steps = np.abs(np.diff(log_snr))
    changing = min(spread, key=lambda active: int(active.sum()))
    gain = float(steps[changing].max()) if changing.any() else float(steps.max())
    used = float(changing.mean())
    start = float((profile["entropy"] + profile["mutual_information"])[0, -1])
    if gain <= _COARSE and gap > _PER_GAIN * gain * start:
        return (
            f"steps are fine there (they gain at most {gain:.2g} in log_snr), so the model explains it: its denoisers "
            "are not the conditional means of one noise process; try specent.check(model, images, labels)"
        )
    low, high = np.exp(-0.5 * log_snr[np.flatnonzero(changing)[[-1, 0]] + [1, 0]]) if changing.any() else (0.0, 0.0)
    levels = np.sort([low, high])
    if used < _USED:
        return (
            f"only {int(changing.sum())} of {len(steps)} steps lie where the entropy changes, and one of them gains "
            f"{gain:.2g} in log_snr: the grid is too wide or too coarse; end it nearer to the noise levels "
            f"{levels[0]:.3g} to {levels[1]:.3g}, or take more steps"
        )
    return f"a step gains {gain:.2g} in log_snr where the entropy changes: take more steps"


def _changing(curve: Array) -> NDArray[np.bool_]:
    """The steps that lie between 2 % and 98 % of the change of a curve."""
    low, high = float(curve.min()), float(curve.max())
    share = (curve - low) / max(high - low, 1e-300)
    inside = (share > 0.02) & (share < 0.98)
    step = inside[1:] | inside[:-1]
    # a curve may fall in a single step
    return step if step.any() else np.abs(np.diff(curve)) == np.abs(np.diff(curve)).max()
