"""Interventions: stop a trajectory, go on with fresh noise, and see where it ends; no posterior is trusted."""

from __future__ import annotations

from specent.interventions.u_turn import u_turn as u_turn

__all__ = ["u_turn"]
