"""Warnings about a grid whose ends spoil the numbers: a start that knows the label, a last step that is too long."""

from __future__ import annotations

import warnings

import numpy as np
from torch import Tensor

from specent.errors import SpecentWarning
from specent.evidence import BITS_PER_NAT
from specent.partitions import NULL
from specent.sampling.setup import Setup

START_BITS = 0.05
"""Information of the label at the start of the chain, in bits, beyond which a warning is given."""

_LOOKED_AT = 32

LAST_GAIN = 4.0
"""Gain in log-SNR of the last step beyond which it is coarse: the noise falls by a factor of more than seven."""

LAST_RATIO = 2.5
"""By how many times the last step must gain more than the one before it to be coarse.

Grids whose noise levels follow a power law, as in arXiv 2206.00364, stay below it at any number of steps: a user of few
steps knows that all of them are coarse.
"""


def warn_of_coarse_end(setup: Setup) -> None:
    """Warn if the last step is much longer than the others, as evenly spaced times make it on many schedules."""
    gains = setup.log_snr[:-1] - setup.log_snr[1:]
    if len(gains) < 2 or not (gains[0] > LAST_GAIN and gains[0] > LAST_RATIO * gains[1]):
        return
    low, before, high = setup.noise_level[[0, 1, -1]]
    # the ends a little inside, so that the schedule has them as they are printed
    spaced = f"edm_grid({len(setup.time)}, {1.006 * low:.3g}, {0.994 * high:.3g}, schedule=schedule)"
    if setup.schedule.whole_times is not None:
        spaced = f"np.unique({spaced}.round())"
    warnings.warn(
        f"the last step of the grid, from noise level {before:.3g} to {low:.3g}, gains {gains[0]:.2g} in log-SNR, "
        f"{gains[0] / gains[1]:.2g} times as much as the step before it: details of the samples and late decisions are "
        f"not resolved. Put more times near the clean end, as in time = {spaced}",
        SpecentWarning,
        stacklevel=6,
    )


def warn_of_informed_start(delta: Tensor, setup: Setup) -> None:
    """Warn if the chain starts where the state would already tell the labels apart, which a path cannot know.

    At small signal-to-noise ratio the mutual information of label and state is half that ratio times the variance of
    the labels' denoised data (arXiv math/0412108).
    """
    labels = [i for i, name in enumerate(setup.candidates) if name != NULL]
    if len(labels) < 2:
        labels = list(range(len(setup.candidates)))
    # a mean over some trajectories tells as well whether the grid ends too early, and costs nothing
    some = delta[:: max(len(delta) // _LOOKED_AT, 1), labels]
    variance = (some - some.mean(1, keepdim=True)).square().sum() / (len(some) * len(labels))
    known = 0.5 * float(np.exp(setup.log_snr[-1])) * float(variance) * BITS_PER_NAT
    if known > START_BITS:
        warnings.warn(
            f"time ends at noise level {setup.noise_level[-1]:.3g}, where a state already tells about {known:.1g} bit "
            "of its label, but the chain starts from pure noise and knows nothing: every time of decision will be "
            "wrong. End the grid at higher noise; its times are those of its schedule, as in "
            "edm_grid(64, 0.02, 100, schedule=VP())",
            SpecentWarning,
            stacklevel=6,
        )
