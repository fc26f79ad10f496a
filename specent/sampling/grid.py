"""Warnings about a grid whose ends spoil the numbers: a start that knows the label, a last step that is too long."""

from __future__ import annotations

import warnings

import numpy as np
from torch import Tensor

from specent.errors import SpecentWarning
from specent.evidence import BITS_PER_NAT
from specent.partitions import NULL
from specent.sampling.plan import Plan

START_BITS = 0.05
"""Information of the label at the start of the chain, in bits, beyond which a warning is given."""


def warn_of_informed_start(gram: Tensor, plan: Plan) -> None:
    """Warn if the chain starts where the state would already tell the labels apart, which a path cannot know.

    At small signal-to-noise ratio the mutual information of label and state is half that ratio times the variance of
    the labels' denoised data (arXiv math/0412108).
    """
    labels = [i for i, name in enumerate(plan.candidates) if name != NULL]
    if len(labels) < 2:
        labels = list(range(len(plan.candidates)))
    inner = gram[:, labels][:, :, labels]
    variance = inner.diagonal(dim1=1, dim2=2).mean(-1) - inner.mean((-2, -1))
    known = 0.5 * float(np.exp(plan.log_snr[-1])) * float(variance.mean()) * BITS_PER_NAT
    if known > START_BITS:
        warnings.warn(
            f"time ends at noise level {plan.noise_level[-1]:.3g}, where a state already tells about {known:.1g} bit "
            "of its label, but the chain starts from pure noise and knows nothing: every time of decision will be "
            "wrong. End the grid at higher noise; its times are those of its schedule, as in "
            "edm_grid(64, 0.02, 100, schedule=VP())",
            SpecentWarning,
            stacklevel=5,
        )
