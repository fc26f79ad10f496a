"""Sampling: the stochastic reverse chain with the evidence of every candidate along it."""

from __future__ import annotations

from specent.sampling.record import Record as Record
from specent.sampling.record import Statistics as Statistics
from specent.sampling.scoring import Scoring as Scoring
from specent.sampling.trajectories import sample as sample

__all__ = ["Record", "Scoring", "Statistics", "sample"]
