"""The estimators of the entropy of a partition from trajectories, one file each, and the table of them.

They agree if model and discretisation are good; their disagreement is the diagnosis.
"""

from __future__ import annotations

from specent.analysis.estimators.base import Estimator as Estimator
from specent.analysis.estimators.base import Means as Means
from specent.analysis.estimators.cross_entropy import CrossEntropy
from specent.analysis.estimators.denoiser_gap import DenoiserGap
from specent.analysis.estimators.null import Null
from specent.analysis.estimators.path import Path
from specent.analysis.estimators.rao_blackwell import RaoBlackwell

_ALL: tuple[type[Estimator], ...] = (
    Path,
    CrossEntropy,
    DenoiserGap,
    Null,
    RaoBlackwell,
)

ESTIMATORS = {kind.name: kind() for kind in _ALL}
"""Every estimator by its name."""
