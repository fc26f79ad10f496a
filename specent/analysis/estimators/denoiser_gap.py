r"""Denoiser gap: the prior entropy less the integral of the production (arXiv math/0412108, 2302.03792).

On unguided runs the production is half the posterior variance of the sides' denoisers, under guidance the form of Ito's
lemma takes its place, see `specent.evidence`. The rate needs no differentiation; the curve is its trapezoidal integral
in log_snr from the noisiest time, so the noisy end must be there.
"""

from __future__ import annotations

from collections.abc import Sequence

import xarray as xr

from specent.analysis.curves import integrated
from specent.analysis.estimators.base import Estimator, Means
from specent.analysis.inputs import check_start
from specent.analysis.scored import ScoredPartition


class DenoiserGap(Estimator):
    """Prior entropy less the integral of the production."""

    name = "denoiser_gap"
    production = "production"
    integrates = True

    def curve(self, means: Means) -> xr.DataArray:
        return means.prior_entropy - integrated(means["production"], means.log_snr)

    def refuse(self, runs: xr.Dataset, partitions: Sequence[ScoredPartition]) -> None:
        check_start(runs, partitions, "estimator 'denoiser_gap' would lack what was produced there")
