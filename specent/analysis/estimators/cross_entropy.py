r"""Cross-entropy: the mean surprisal :math:`-\log_2 P(z)` of the side z that drives the path.

On unguided runs its expectation is that of the path posterior, with more noise. Under guidance the two differ and both
are reported (arXiv 2602.09651).
"""

from __future__ import annotations

import numpy as np
import xarray as xr

from specent.analysis.calibration import SURPRISAL
from specent.analysis.estimators.base import Estimator, Means


class CrossEntropy(Estimator):
    """Mean surprisal of the driving side."""

    name = "cross_entropy"
    statistics = (SURPRISAL,)
    production = "cross_production"
    # its test against the path posterior knows the variance that rare wrong turns add, which no interval shows
    agrees = False

    def curve(self, means: Means) -> xr.DataArray:
        return means[SURPRISAL.name]

    def limits(self, sides: int) -> tuple[float, float]:
        return 0.0, np.inf
