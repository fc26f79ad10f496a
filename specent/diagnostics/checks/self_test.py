"""Are conditional entropy and surprisal of a short run the same on average?

The posterior given the path is exact for any network (arXiv 2506.10433), so what fails here is not the network but the
chain.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from specent.analysis import calibration_gap
from specent.analysis.calibration import worst_gap
from specent.diagnostics.checks.contract import FINITE, Check
from specent.diagnostics.findings import Findings
from specent.diagnostics.paired_differences import z_text
from specent.diagnostics.report import Line


@dataclass(frozen=True)
class _Gap:
    """The most significant gap in bits, with its standard error, and what is to be said of it beyond noise."""

    size: float
    error: float
    failure: str


def _measure(findings: Findings) -> _Gap | None:
    """The gap between mean entropy and mean surprisal; None where there is nothing to decide."""
    dataset = findings.run.value.dataset
    if "partition" not in dataset.dims:
        return None
    gaps = calibration_gap(dataset, replicates=50)
    failure = worst_gap(
        gaps["gap"], gaps["gap_standard_error"], dataset["guidance"].values,
        [str(name) for name in dataset["partition"].values], dataset["log_snr"], "mean entropy minus mean surprisal",
    )  # fmt: skip
    size, error = abs(gaps["gap"]).values, gaps["gap_standard_error"].values
    worst = np.unravel_index(np.argmax(size / np.maximum(error, 1e-9)), size.shape)
    return _Gap(float(size[worst]), max(float(error[worst]), 1e-9), failure)


def _judge(findings: Findings, gap: _Gap | None) -> Line:
    """Whether the posterior given the path is a martingale whose mean entropy is the mean surprisal."""
    run = findings.run.value
    if gap is None:
        return Line("self-test", "skip", "one label has nothing to decide")
    if gap.failure:
        return Line(
            "self-test", "fail", gap.failure,
            "the chain and its likelihood are not the same: a fault of candidates(), or of this package",
            "if the model overrides candidates(), compare it with denoise(); otherwise report it",
        )  # fmt: skip
    figure = (
        f"entropy and surprisal differ by {z_text(gap.size / gap.error)} at most ({gap.size:.2g} bit), over "
        f"{run.dataset.sizes['time']} noise levels"
    )
    if run.notes:
        return Line("self-test", "warn", figure, run.notes[0], "end the grid at higher noise, if the model knows any")
    return Line("self-test", "pass", figure)


SELF_TEST = Check("self-test", _measure, _judge, needs=(FINITE,))
