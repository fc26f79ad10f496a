"""Is the adapter of a model right? A table of checks over what is measured of the model, before a long run.

And the error of what it denoises, of which grids are made.
"""

from __future__ import annotations

from specent.diagnostics.denoising import denoising_error as denoising_error
from specent.diagnostics.model_check import check as check
from specent.diagnostics.report import Line as Line
from specent.diagnostics.report import Report as Report

__all__ = ["Line", "Report", "check", "denoising_error"]
