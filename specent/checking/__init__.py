"""Checks of a model before a long run: is its adapter right? The public door is `specent.models.check`."""

from __future__ import annotations

from specent.checking.report import Line as Line
from specent.checking.report import Report as Report
from specent.checking.run import check as check

__all__ = ["Line", "Report", "check"]
