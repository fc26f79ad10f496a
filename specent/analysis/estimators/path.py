r"""Path posterior: the mean entropy of the posterior given the path (arXiv 2506.10433, 2602.09651).

For any network this is Bayes' rule for the side that drove the path, as long as sampling and likelihood are the same
chain. Two things follow on unguided runs and are tested: the mean entropy of the posterior is the mean surprisal of the
driving side, see `specent.analysis.calibration`.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import xarray as xr

from specent.analysis import calibration
from specent.analysis.estimators.base import Estimator, Means, log2_sides


class Path(Estimator):
    """Mean entropy of the posterior given the path."""

    name = "path"
    statistics = (calibration.ENTROPY, calibration.SURPRISAL, calibration.SURPRISAL_VARIANCE)
    production = "production"

    def curve(self, means: Means) -> xr.DataArray:
        return means[calibration.ENTROPY.name]

    def limits(self, sides: int) -> tuple[float, float]:
        return 0.0, log2_sides(sides)

    def self_check(self, means: Means) -> Iterator[str]:
        gap, error = calibration.gap_and_error(
            means[calibration.ENTROPY.name] - means[calibration.SURPRISAL.name],
            means[calibration.SURPRISAL_VARIANCE.name],
        )
        unguided = np.flatnonzero(means.runs["guidance_scale"].values == 1.0)
        text = calibration.worst_gap(
            gap.isel(guidance=unguided), error.isel(guidance=unguided), means.runs["guidance"].values[unguided],
            [scored.name for scored in means.partitions], means.log_snr, "path minus cross_entropy",
        )  # fmt: skip
        if text:
            yield f"{text}; the likelihood is not that of the chain that was sampled"
