"""Checks of a model before a long run: is its adapter right? The public door is `specent.check`."""

from __future__ import annotations

from specent.diagnostics.report import Line as Line
from specent.diagnostics.report import Report as Report
from specent.diagnostics.run import check as check

__all__ = ["Line", "Report", "check"]
