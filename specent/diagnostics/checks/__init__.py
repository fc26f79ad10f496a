"""The checks of a model, in the order of the report. A check is one object; a line here adds it to the report."""

from __future__ import annotations

from typing import Any

from specent.diagnostics.checks.contract import Check
from specent.diagnostics.checks.declared_reading import INPUT_SCALE, PREDICTION
from specent.diagnostics.checks.declared_schedule import SCHEDULE
from specent.diagnostics.checks.denoising import DENOISING
from specent.diagnostics.checks.finite_outputs import FINITE_OUTPUTS
from specent.diagnostics.checks.label_information import CONDITION
from specent.diagnostics.checks.label_order import LABELS
from specent.diagnostics.checks.noise_ends import CLEAN_END, NOISY_END
from specent.diagnostics.checks.null_bits import NULL_BITS
from specent.diagnostics.checks.null_condition import NULL_CONDITION
from specent.diagnostics.checks.repeated_calls import BATCHES, REPEATABLE
from specent.diagnostics.checks.rounding import PRECISION
from specent.diagnostics.checks.self_test import SELF_TEST
from specent.diagnostics.checks.time_shift import TIME

CHECKS: tuple[Check[Any], ...] = (
    FINITE_OUTPUTS,
    CLEAN_END,
    NOISY_END,
    REPEATABLE,
    BATCHES,
    PRECISION,
    DENOISING,
    PREDICTION,
    INPUT_SCALE,
    SCHEDULE,
    TIME,
    LABELS,
    CONDITION,
    NULL_CONDITION,
    NULL_BITS,
    SELF_TEST,
)
