"""Pipelines of diffusers as models: pixels, diffusion transformers, and text to image."""

from __future__ import annotations

from specent.models.pipelines.opened import PipelineModel as PipelineModel
from specent.models.pipelines.opening import pipeline as pipeline

__all__ = ["PipelineModel", "pipeline"]
