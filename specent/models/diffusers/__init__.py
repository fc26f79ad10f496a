"""Pipelines of diffusers as models: pixels, diffusion transformers, and text to image."""

from __future__ import annotations

from specent.models.diffusers.opened import PipelineModel as PipelineModel
from specent.models.diffusers.opening import pipeline as pipeline

__all__ = ["PipelineModel", "pipeline"]
