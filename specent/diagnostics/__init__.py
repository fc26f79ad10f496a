"""Is the adapter of a model right? A table of checks over what is measured of the model, before a long run."""

from __future__ import annotations

from specent.diagnostics.model_check import check as check
from specent.diagnostics.report import Line as Line
from specent.diagnostics.report import Report as Report

__all__ = ["Line", "Report", "check"]
