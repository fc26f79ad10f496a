"""Runs too large for one sitting: a plan, cut into shards, sampled into a folder that survives interruptions."""

from __future__ import annotations

from specent.runs.plan import Plan as Plan
from specent.runs.running import run as run

__all__ = ["Plan", "run"]
